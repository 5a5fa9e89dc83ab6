//! Colour pictures: RGB, YBR and palettes. Source: DICOM PS3.3, C.7.6.3.1.2.

use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, RgbImage};

use super::dataset::DataSet;
use super::frame::{Frame, Layout};
use super::{grey, tags, unsupported};
use crate::image::{ImageError, Picture};

/// The picture of a frame with colours.
pub fn picture(set: &DataSet<'_>, frame: Frame) -> Result<Picture, ImageError> {
    let Frame {
        layout,
        samples,
        is_rgb,
    } = frame;
    let (width, height) = (layout.width, layout.height);
    let image = if layout.samples == 1 {
        if set.get(tags::SEGMENTED_RED_DATA).is_some() {
            return Err(unsupported("its palette is segmented"));
        }
        let (first, entries) = grey::palette(set, layout.signed).ok_or_else(|| {
            ImageError::damaged("its palette is missing, or shorter than it says")
        })?;
        let mask = ((1_u32 << layout.stored) - 1) as u16;
        let colour = |sample: &u16| {
            let at = usize::try_from(i32::from(*sample & mask) - first).unwrap_or(0);
            entries
                .get(at)
                .or(entries.last())
                .copied()
                .unwrap_or_default()
        };
        let colours = samples.iter().flat_map(colour).collect();
        ImageBuffer::from_raw(width, height, colours).map(DynamicImage::ImageRgb16)
    } else {
        if layout.allocated == 16 {
            return wide(&layout, &samples);
        }
        let pixels = samples.as_chunks::<3>().0.iter();
        let pixels = pixels.map(|pixel| pixel.map(|sample| sample.min(255) as u8));
        let colours: Vec<u8> = match layout.photometric.as_str() {
            _ if is_rgb => pixels.flatten().collect(),
            "RGB" => pixels.flatten().collect(),
            "YBR_FULL" | "YBR_FULL_422" => pixels.flat_map(rgb).collect(),
            other => return Err(unsupported(format!("colours as {other}"))),
        };
        RgbImage::from_raw(width, height, colours).map(DynamicImage::from)
    };
    image
        .and_then(|image| Picture::upright(image, Orientation::NoTransforms))
        .ok_or_else(|| ImageError::damaged("its pixels do not fill it"))
}

/// A picture of RGB with up to 16 bits a sample.
fn wide(layout: &Layout, samples: &[u16]) -> Result<Picture, ImageError> {
    if layout.photometric != "RGB" {
        return Err(unsupported(format!(
            "colours of 16 bits as {}",
            layout.photometric
        )));
    }
    let most = (1_u32 << layout.stored) - 1;
    let sample = |sample: &u16| (u32::from(*sample).min(most) * 65535 / most) as u16;
    let colours = samples.iter().map(sample).collect();
    ImageBuffer::from_raw(layout.width, layout.height, colours)
        .map(DynamicImage::ImageRgb16)
        .and_then(|image| Picture::upright(image, Orientation::NoTransforms))
        .ok_or_else(|| ImageError::damaged("its pixels do not fill it"))
}

/// Full-range Y, Cb, Cr as red, green, blue (Rec. 601).
fn rgb([y, blue, red]: [u8; 3]) -> [u8; 3] {
    let [y, blue, red] = [
        f64::from(y),
        f64::from(blue) - 128.0,
        f64::from(red) - 128.0,
    ];
    // The casts saturate.
    [
        y + 1.402 * red,
        y - 0.114 * 1.772 / 0.587 * blue - 0.299 * 1.402 / 0.587 * red,
        y + 1.772 * blue,
    ]
    .map(|value| value.round() as u8)
}
