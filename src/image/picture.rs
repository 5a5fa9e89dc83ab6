//! A decoded picture, upright, with every bit its file had.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// A rectangle of a picture, in pixels of the picture as displayed; x runs right, y down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// First column.
    pub x: u32,
    /// First row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Region {
    /// Everything of a picture of this size.
    #[must_use]
    pub const fn whole(width: u32, height: u32) -> Self {
        Self {
            x: 0,
            y: 0,
            width,
            height,
        }
    }

    /// Whether it has pixels and all of them lie in a picture of this size.
    #[must_use]
    pub fn lies_in(&self, width: u32, height: u32) -> bool {
        let end = |start: u32, length: u32| u64::from(start) + u64::from(length);
        self.width > 0
            && self.height > 0
            && end(self.x, self.width) <= u64::from(width)
            && end(self.y, self.height) <= u64::from(height)
    }
}

/// A picture: grey or RGB, 8 or 16 bits a sample, at least one pixel, turned upright.
///
/// The samples stay as the file had them: rendering reads 8 bits, preprocessing all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    samples: Samples,
}

#[derive(Debug, Clone, PartialEq)]
enum Samples {
    Grey8(GrayImage),
    Grey16(ImageBuffer<Luma<u16>, Vec<u16>>),
    Rgb8(RgbImage),
    Rgb16(ImageBuffer<Rgb<u16>, Vec<u16>>),
}

/// Calls `$body` with `$image` bound to the buffer, whatever its samples.
macro_rules! for_any {
    ($picture:expr, $image:ident => $body:expr) => {
        match &$picture.samples {
            Samples::Grey8($image) => $body,
            Samples::Grey16($image) => $body,
            Samples::Rgb8($image) => $body,
            Samples::Rgb16($image) => $body,
        }
    };
}

impl Picture {
    /// A grey picture from row-major 8-bit samples; `None` unless there are `width * height` of them, at least one.
    #[must_use]
    pub fn from_grey8(width: u32, height: u32, samples: Vec<u8>) -> Option<Self> {
        GrayImage::from_raw(width, height, samples)
            .and_then(|image| Self::non_empty(Samples::Grey8(image)))
    }

    /// A grey picture from row-major 16-bit samples, 65535 being white; `None` unless there are `width * height` of
    /// them, at least one.
    #[must_use]
    pub fn from_grey16(width: u32, height: u32, samples: Vec<u16>) -> Option<Self> {
        ImageBuffer::from_raw(width, height, samples)
            .and_then(|image| Self::non_empty(Samples::Grey16(image)))
    }

    /// An RGB picture from an 8-bit image; `None` if it has no pixels.
    #[must_use]
    pub fn from_rgb8(image: RgbImage) -> Option<Self> {
        Self::non_empty(Samples::Rgb8(image))
    }

    fn non_empty(samples: Samples) -> Option<Self> {
        let picture = Self { samples };
        (picture.width() > 0 && picture.height() > 0).then_some(picture)
    }

    /// A decoder's image, turned as its EXIF data say; `None` if it has no pixels, or channels other than ours.
    pub(super) fn upright(mut image: DynamicImage, orientation: Orientation) -> Option<Self> {
        image.apply_orientation(orientation);
        Self::non_empty(match image {
            DynamicImage::ImageLuma8(image) => Samples::Grey8(image),
            DynamicImage::ImageLuma16(image) => Samples::Grey16(image),
            DynamicImage::ImageRgb8(image) => Samples::Rgb8(image),
            DynamicImage::ImageRgb16(image) => Samples::Rgb16(image),
            _ => return None,
        })
    }

    /// Width, height and samples of a grey picture with 16 bits a sample; any other comes back as it is.
    pub(super) fn into_grey16(self) -> Result<(u32, u32, Vec<u16>), Self> {
        match self.samples {
            Samples::Grey16(image) => Ok((image.width(), image.height(), image.into_raw())),
            samples => Err(Self { samples }),
        }
    }

    /// A decoder's image without its alpha, turned upright; `None` if it has no pixels, or samples that are no integers.
    pub(super) fn opaque(image: DynamicImage, orientation: Orientation) -> Option<Self> {
        let image = match image {
            DynamicImage::ImageLumaA8(_) => DynamicImage::from(image.into_luma8()),
            DynamicImage::ImageLumaA16(_) => DynamicImage::from(image.into_luma16()),
            DynamicImage::ImageRgba8(_) => DynamicImage::from(image.into_rgb8()),
            DynamicImage::ImageRgba16(_) => DynamicImage::from(image.into_rgb16()),
            image => image,
        };
        Self::upright(image, orientation)
    }

    /// Width in pixels, as displayed.
    #[must_use]
    pub fn width(&self) -> u32 {
        for_any!(self, image => image.width())
    }

    /// Height in pixels, as displayed.
    #[must_use]
    pub fn height(&self) -> u32 {
        for_any!(self, image => image.height())
    }

    /// 1 (grey) or 3 (RGB).
    #[must_use]
    pub fn channels(&self) -> usize {
        match self.samples {
            Samples::Grey8(_) | Samples::Grey16(_) => 1,
            Samples::Rgb8(_) | Samples::Rgb16(_) => 3,
        }
    }

    /// Bits a sample: 8 or 16. Files with fewer come as 8.
    #[must_use]
    pub fn bits(&self) -> u32 {
        match self.samples {
            Samples::Grey8(_) | Samples::Rgb8(_) => 8,
            Samples::Grey16(_) | Samples::Rgb16(_) => 16,
        }
    }

    /// The picture for the eye: 8-bit RGB; 16-bit samples are divided by 257 and rounded.
    #[must_use]
    pub fn to_rgb8(&self) -> RgbImage {
        let narrow = |sample: u16| ((u32::from(sample) + 128) / 257) as u8;
        let mut rgb = RgbImage::new(self.width(), self.height());
        match &self.samples {
            Samples::Grey8(image) => copy_grey(&mut rgb, image.as_raw(), |sample| sample),
            Samples::Grey16(image) => copy_grey(&mut rgb, image.as_raw(), narrow),
            Samples::Rgb8(image) => rgb.copy_from_slice(image.as_raw()),
            Samples::Rgb16(image) => {
                for (out, &sample) in rgb.iter_mut().zip(image.as_raw()) {
                    *out = narrow(sample);
                }
            }
        }
        rgb
    }

    /// Luma of the whole picture, 0 to 1, `[height, width]`. See [`luma_of`](Self::luma_of).
    #[must_use]
    pub fn luma(&self) -> Array2<f32> {
        self.luma_of(Region::whole(self.width(), self.height()))
    }

    /// Luma of a region, 0 to 1, `[region.height, region.width]`.
    ///
    /// `(299 R + 587 G + 114 B) / 1000` on the samples, unrounded (Rec. 601, as Pillow's mode "L" before its rounding); a
    /// grey picture passes through. Pixels outside the picture are 0.
    #[must_use]
    pub fn luma_of(&self, region: Region) -> Array2<f32> {
        let rgb = |r: u32, g: u32, b: u32| r * 299 + g * 587 + b * 114;
        match &self.samples {
            Samples::Grey8(image) => plane(image.as_raw(), image.width(), 1, region, |p| {
                f32::from(p[0]) / 255.0
            }),
            Samples::Grey16(image) => plane(image.as_raw(), image.width(), 1, region, |p| {
                f32::from(p[0]) / 65535.0
            }),
            Samples::Rgb8(image) => plane(image.as_raw(), image.width(), 3, region, |p| {
                rgb(p[0].into(), p[1].into(), p[2].into()) as f32 / 1000.0 / 255.0
            }),
            Samples::Rgb16(image) => plane(image.as_raw(), image.width(), 3, region, |p| {
                (f64::from(rgb(p[0].into(), p[1].into(), p[2].into())) / 65_535_000.0) as f32
            }),
        }
    }

    /// One channel (0 red, 1 green, 2 blue) of a region, 0 to 1, `[region.height, region.width]`.
    ///
    /// A grey picture has the same values in each. Pixels outside the picture are 0.
    #[must_use]
    pub fn channel_of(&self, channel: usize, region: Region) -> Array2<f32> {
        let c = channel.min(2);
        match &self.samples {
            Samples::Grey8(_) | Samples::Grey16(_) => self.luma_of(region),
            Samples::Rgb8(image) => plane(image.as_raw(), image.width(), 3, region, |p| {
                f32::from(p[c]) / 255.0
            }),
            Samples::Rgb16(image) => plane(image.as_raw(), image.width(), 3, region, |p| {
                f32::from(p[c]) / 65535.0
            }),
        }
    }
}

/// Writes each grey sample into the three channels.
fn copy_grey<S: Copy>(rgb: &mut RgbImage, samples: &[S], narrow: impl Fn(S) -> u8) {
    for (pixel, &sample) in rgb.chunks_exact_mut(3).zip(samples) {
        pixel.fill(narrow(sample));
    }
}

/// Gathers `value` of each pixel of a region; `samples` are row-major with `channels` a pixel and `width` pixels a row.
fn plane<S>(
    samples: &[S],
    width: u32,
    channels: usize,
    region: Region,
    value: impl Fn(&[S]) -> f32,
) -> Array2<f32> {
    let mut plane = Array2::zeros((region.height as usize, region.width as usize));
    let rows = samples
        .chunks_exact(width as usize * channels)
        .skip(region.y as usize);
    for (mut out, row) in plane.rows_mut().into_iter().zip(rows) {
        for (out, pixel) in out
            .iter_mut()
            .zip(row.chunks_exact(channels).skip(region.x as usize))
        {
            *out = value(pixel);
        }
    }
    plane
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_is_unrounded_rec_601() {
        let picture = Picture::from_rgb8(RgbImage::from_pixel(2, 1, Rgb([255, 0, 1]))).unwrap();
        let expected = (255.0 * 0.299 + 0.114) / 255.0;
        assert!((picture.luma()[[0, 1]] - expected).abs() < 1e-6);
        assert_eq!(
            picture.channel_of(2, Region::whole(1, 1))[[0, 0]],
            1.0 / 255.0
        );
    }

    #[test]
    fn sixteen_bits_are_kept_and_shown_as_eight() {
        let picture = Picture::from_grey16(3, 1, vec![0, 40_000, 65_535]).unwrap();
        assert_eq!(picture.luma()[[0, 1]], 40_000.0 / 65_535.0);
        assert_eq!(
            picture.to_rgb8().into_raw(),
            [0, 0, 0, 156, 156, 156, 255, 255, 255]
        );
    }

    #[test]
    fn a_region_beyond_the_picture_reads_as_zero() {
        let picture = Picture::from_grey8(2, 2, vec![10, 20, 30, 40]).unwrap();
        let corner = picture.luma_of(Region {
            x: 1,
            y: 1,
            width: 2,
            height: 2,
        });
        assert_eq!(
            corner
                .mapv(|v| (v * 255.0) as u8)
                .into_raw_vec_and_offset()
                .0,
            [40, 0, 0, 0]
        );
        assert!(
            !Region {
                x: 1,
                y: 0,
                width: 2,
                height: 1
            }
            .lies_in(2, 2)
        );
        assert!(
            !Region {
                x: u32::MAX,
                y: 0,
                width: 2,
                height: 1
            }
            .lies_in(2, 2)
        );
        assert!(Picture::from_grey8(0, 0, vec![]).is_none());
    }
}
