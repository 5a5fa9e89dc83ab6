//! A picture to the tensor of a network's input, and back to what the network saw.

use image::RgbImage;
use ndarray::{Array2, Array4, Axis};

use super::{
    Channels, Crop, Picture, PreprocessError, Preprocessing, Region, Resize, Stretch,
    resize_linear, resize_triangle,
};

/// The longest side of a network's input that is accepted, in pixels.
const MAX_INPUT_SIDE: usize = 8192;

/// A stretch over less than one 8-bit level would only show noise and is left out.
const LEAST_CONTRAST: f32 = 1.0 / 255.0;

/// The input of a network, and where in the picture it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// `[1, channels, height, width]`, as the network reads it.
    pub tensor: Array4<f32>,
    /// The part of the picture that the network sees. A heat map of the tensor belongs there.
    pub region: Region,
    channels: Channels,
    /// Mean and standard deviation of each channel.
    scales: Vec<(f32, f32)>,
}

impl Prepared {
    /// Grey, halfway from black to white, as the network would read it: a number a channel.
    #[must_use]
    pub fn grey(&self) -> Vec<f32> {
        let scales = self.scales.iter();
        scales.map(|(mean, std)| (0.5 - mean) / std).collect()
    }

    /// The same part of the picture, with something else to see there.
    #[must_use]
    pub fn with(&self, tensor: Array4<f32>) -> Prepared {
        Prepared {
            tensor,
            ..self.clone()
        }
    }

    /// What the network saw, for the eye: the tensor before mean and standard deviation, at the input's size.
    #[must_use]
    pub fn seen(&self) -> RgbImage {
        seen(&self.tensor, self.channels, &self.scales)
    }
}

/// Crops, resizes and normalises a picture for an input of `width` x `height` pixels.
///
/// The order is that of [`Preprocessing`]'s fields. With `grey`, or for an input of one channel, luma is taken.
///
/// # Errors
/// [`PreprocessError`]: the model's block does not fit its input. No picture is at fault.
pub fn preprocess(
    picture: &Picture,
    how: &Preprocessing,
    width: usize,
    height: usize,
    channels: Channels,
) -> Result<Prepared, PreprocessError> {
    let region = crop(picture.width(), picture.height(), how.crop);
    preprocess_region(picture, region, how, width, height, channels)
}

/// [`preprocess`] of another part of the picture than its `crop` names.
///
/// # Errors
/// As [`preprocess`], and [`PreprocessError::Region`] for a part that does not lie in the picture.
pub fn preprocess_region(
    picture: &Picture,
    region: Region,
    how: &Preprocessing,
    width: usize,
    height: usize,
    channels: Channels,
) -> Result<Prepared, PreprocessError> {
    if !region.lies_in(picture.width(), picture.height()) {
        return Err(PreprocessError::Region(region));
    }
    let count = channels.count();
    how.check(count)?;
    let sides = 1..=MAX_INPUT_SIDE;
    if !sides.contains(&width) || !sides.contains(&height) {
        return Err(PreprocessError::InputSize {
            width,
            height,
            max: MAX_INPUT_SIDE,
        });
    }
    let resize = |plane: Array2<f32>| match how.resize {
        Resize::Triangle => resize_triangle(&plane.view(), height, width),
        Resize::OpencvLinear => resize_linear(&plane.view(), height, width),
    };
    let grey = how.grey || channels == Channels::Grey || picture.channels() == 1;
    let mut planes: Vec<Array2<f32>> = if grey {
        vec![resize(picture.luma_of(region))]
    } else {
        (0..count)
            .map(|channel| resize(picture.channel_of(channels.source(channel), region)))
            .collect()
    };
    if let Some(percentiles) = how.stretch {
        stretch(&mut planes, percentiles);
    }
    let scales: Vec<(f32, f32)> = (0..count).map(|channel| how.scale_of(channel)).collect();
    let mut tensor = Array4::zeros((1, count, height, width));
    let mut image = tensor.index_axis_mut(Axis(0), 0);
    for ((mut target, plane), (mean, std)) in image
        .outer_iter_mut()
        .zip(planes.iter().cycle())
        .zip(&scales)
    {
        target.zip_mut_with(plane, |out, value| *out = (value - mean) / std);
    }
    Ok(Prepared {
        tensor,
        region,
        channels,
        scales,
    })
}

/// The part of a picture of this size that is kept where nothing is known of its content.
fn crop(width: u32, height: u32, crop: Crop) -> Region {
    match crop {
        Crop::None => Region::whole(width, height),
        Crop::CenterSquare | Crop::Lungs => {
            let side = width.min(height);
            Region {
                x: (width - side) / 2,
                y: (height - side) / 2,
                width: side,
                height: side,
            }
        }
    }
}

/// Stretches the values between two percentiles to 0..1, over all planes together.
fn stretch(planes: &mut [Array2<f32>], percentiles: Stretch) {
    let mut values: Vec<f32> = planes.iter().flatten().copied().collect();
    let low = percentile(&mut values, percentiles.low);
    let high = percentile(&mut values, percentiles.high);
    if high - low >= LEAST_CONTRAST {
        for plane in planes {
            plane.mapv_inplace(|value| ((value - low) / (high - low)).clamp(0.0, 1.0));
        }
    }
}

/// A percentile, interpolated between order statistics as NumPy's method "linear" does. Reorders `values`.
fn percentile(values: &mut [f32], percent: f64) -> f32 {
    let Some(last) = values.len().checked_sub(1) else {
        return f32::NAN;
    };
    let rank = (percent / 100.0 * last as f64).clamp(0.0, last as f64);
    let (_, &mut below, rest) =
        values.select_nth_unstable_by(rank.floor() as usize, f32::total_cmp);
    let above = rest.iter().copied().min_by(f32::total_cmp).unwrap_or(below);
    (f64::from(below) + (f64::from(above) - f64::from(below)) * rank.fract()) as f32
}

/// Undoes mean and standard deviation, clamps to 0..1, and shows grey inputs as grey.
fn seen(tensor: &Array4<f32>, channels: Channels, scales: &[(f32, f32)]) -> RgbImage {
    let (_, _, height, width) = tensor.dim();
    let mut rgb = RgbImage::new(width as u32, height as u32);
    for shown in 0..3 {
        let channel = if channels.count() == 1 {
            0
        } else {
            channels.source(shown)
        };
        let (mean, std) = scales.get(channel).copied().unwrap_or((0.0, 1.0));
        let image = tensor.index_axis(Axis(0), 0);
        let plane = image.index_axis(Axis(0), channel);
        for (sample, value) in rgb.iter_mut().skip(shown).step_by(3).zip(plane) {
            *sample = ((value * std + mean).clamp(0.0, 1.0) * 255.0).round() as u8;
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn block(grey: bool, crop: Crop, stretch: Option<Stretch>) -> Preprocessing {
        Preprocessing {
            grey,
            crop,
            stretch,
            ..Preprocessing::imagenet()
        }
    }

    #[test]
    fn the_center_square_rounds_its_offsets_down() {
        assert_eq!(
            crop(1090, 842, Crop::CenterSquare),
            Region {
                x: 124,
                y: 0,
                width: 842,
                height: 842
            }
        );
        assert_eq!(
            crop(4, 7, Crop::CenterSquare),
            Region {
                x: 0,
                y: 1,
                width: 4,
                height: 4
            }
        );
        assert_eq!(crop(4, 7, Crop::None), Region::whole(4, 7));
    }

    #[test]
    fn percentiles_interpolate_like_numpy() {
        // numpy.percentile([3, 1, 2, 10], [0, 25, 50, 99, 100]) = 1, 1.75, 2.5, 9.79, 10
        for (percent, expected) in [
            (0.0, 1.0),
            (25.0, 1.75),
            (50.0, 2.5),
            (99.0, 9.79),
            (100.0, 10.0),
        ] {
            assert!((percentile(&mut [3.0, 1.0, 2.0, 10.0], percent) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn what_is_seen_is_the_crop_in_its_colours_whatever_the_channel_order() {
        let mut image = RgbImage::from_pixel(4, 2, Rgb([200, 100, 50]));
        image.put_pixel(0, 0, Rgb([0, 0, 0]));
        let picture = Picture::from_rgb8(image).unwrap();
        for channels in [Channels::Rgb, Channels::Bgr] {
            let prepared = preprocess(
                &picture,
                &block(false, Crop::CenterSquare, None),
                2,
                2,
                channels,
            )
            .unwrap();
            assert_eq!(prepared.tensor.dim(), (1, 3, 2, 2));
            assert!(prepared.seen().pixels().all(|p| p.0 == [200, 100, 50]));
        }
        let bgr = preprocess(
            &picture,
            &block(false, Crop::None, None),
            4,
            2,
            Channels::Bgr,
        )
        .unwrap();
        assert!((bgr.tensor[[0, 0, 1, 1]] - (50.0 / 255.0 - 0.485) / 0.229).abs() < 1e-6);
    }

    #[test]
    fn grey_is_luma_in_every_channel() {
        let picture = Picture::from_rgb8(RgbImage::from_pixel(3, 3, Rgb([255, 0, 0]))).unwrap();
        let three = preprocess(
            &picture,
            &block(true, Crop::None, None),
            3,
            3,
            Channels::Rgb,
        )
        .unwrap();
        assert!(three.seen().pixels().all(|p| p.0 == [76, 76, 76]));
        let mut one = block(false, Crop::None, None);
        (one.mean, one.std) = (vec![0.5], vec![0.5]);
        let one = preprocess(&picture, &one, 3, 3, Channels::Grey).unwrap();
        assert_eq!(one.tensor.dim(), (1, 1, 3, 3));
        assert!(one.seen().pixels().all(|p| p.0 == [76, 76, 76]));
    }

    #[test]
    fn a_flat_picture_is_not_stretched() {
        let full = Some(Stretch {
            low: 0.0,
            high: 100.0,
        });
        let flat = Picture::from_grey8(2, 2, vec![90; 4]).unwrap();
        let prepared =
            preprocess(&flat, &block(true, Crop::None, full), 2, 2, Channels::Rgb).unwrap();
        assert!(prepared.seen().iter().all(|v| *v == 90));
        let dim = Picture::from_grey8(2, 2, vec![90, 91, 92, 100]).unwrap();
        let prepared =
            preprocess(&dim, &block(true, Crop::None, full), 2, 2, Channels::Rgb).unwrap();
        assert_eq!(prepared.seen().get_pixel(0, 0).0, [0; 3]);
        assert_eq!(prepared.seen().get_pixel(1, 1).0, [255; 3]);
    }

    #[test]
    fn one_pixel_is_enough_and_no_input_size_panics() {
        let dot = Picture::from_grey16(1, 1, vec![65_535]).unwrap();
        let how = block(
            true,
            Crop::CenterSquare,
            Some(Stretch {
                low: 1.0,
                high: 99.0,
            }),
        );
        let prepared = preprocess(&dot, &how, 5, 4, Channels::Rgb).unwrap();
        assert_eq!(prepared.tensor.dim(), (1, 3, 4, 5));
        for (width, height) in [(0, 4), (4, 0), (usize::MAX, 1)] {
            let error = preprocess(&dot, &how, width, height, Channels::Rgb).unwrap_err();
            assert!(matches!(error, PreprocessError::InputSize { .. }));
        }
    }
}
