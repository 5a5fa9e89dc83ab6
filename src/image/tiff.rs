//! TIFF files, their first page.

use std::io::{Cursor, ErrorKind};

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageBuffer, RgbImage};
use tiff::decoder::{Decoder, DecodingResult, Limits as TiffLimits};
use tiff::tags::{SampleFormat, Tag};
use tiff::{ColorType, TiffError};

use super::{ImageError, Limits, Picture};
use crate::guard::caught;

/// Whether these bytes begin as a TIFF or BigTIFF file, in either order of bytes.
pub(super) fn is_tiff(bytes: &[u8]) -> bool {
    let magic: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
    magic.iter().any(|magic| bytes.starts_with(magic))
}

/// Decodes the first page, and says if there are more.
pub(super) fn decode(
    bytes: &[u8],
    limits: &Limits,
) -> Result<(Picture, Option<String>), ImageError> {
    // A decoder that panics has met a damaged file.
    caught(|| first_page(bytes, limits)).unwrap_or_else(|panic| Err(ImageError::damaged(panic)))
}

fn first_page(bytes: &[u8], limits: &Limits) -> Result<(Picture, Option<String>), ImageError> {
    let translate = |error| translate(error, limits);
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(translate)?;
    let (width, height) = decoder.dimensions().map_err(translate)?;
    let color = decoder.colortype().map_err(translate)?;
    let (kept, channels, bits) = match color {
        ColorType::Gray(bits) => (1, 1, bits),
        ColorType::GrayA(bits) => (1, 2, bits),
        ColorType::RGB(bits) => (3, 3, bits),
        ColorType::RGBA(bits) => (3, 4, bits),
        // One grey and what no tag explains: mostly alpha.
        ColorType::Multiband {
            bit_depth,
            num_samples: 2,
        } => (1, 2, bit_depth),
        ColorType::CMYK(8) => (3, 4, 8),
        other => return Err(unsupported(format!("{other:?}"))),
    };
    if !matches!((kept, bits), (1, 1 | 2 | 4) | (_, 8 | 16)) {
        return Err(unsupported(format!("{bits} bits a sample")));
    }
    let formats = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat);
    let formats = formats.map_err(translate)?.unwrap_or_default();
    if formats
        .iter()
        .any(|format| *format != SampleFormat::Uint.to_u16())
    {
        return Err(unsupported(
            "samples that are signed or floating-point numbers",
        ));
    }
    // The samples with all channels, and those that are kept.
    limits.check(
        width,
        height,
        (channels + kept) * usize::from(bits).div_ceil(8),
    )?;
    let orientation = decoder.find_tag_unsigned::<u16>(Tag::Orientation);
    let orientation = orientation
        .map_err(translate)?
        .and_then(|code| Orientation::from_exif(u8::try_from(code).ok()?))
        .unwrap_or(Orientation::NoTransforms);
    let note = decoder
        .more_images()
        .then(|| "the first of several pages".to_owned());
    let mut budget = TiffLimits::default();
    budget.decoding_buffer_size = limits.max_bytes;
    budget.intermediate_buffer_size = limits.max_bytes;
    let mut decoder = decoder.with_limits(budget);
    let mut result = DecodingResult::U8(Vec::new());
    let layout = decoder
        .read_image_to_buffer(&mut result)
        .map_err(translate)?;
    if layout.planes > 1 {
        return Err(unsupported("colours that lie in planes of their own"));
    }
    let whole = || ImageError::damaged("its pixels do not fill it");
    let image = match result {
        DecodingResult::U8(samples) if matches!(color, ColorType::CMYK(_)) => {
            let colours = samples.as_chunks::<4>().0.iter().flat_map(from_cmyk);
            RgbImage::from_raw(width, height, colours.collect()).map(DynamicImage::from)
        }
        DecodingResult::U8(samples) if bits < 8 => {
            let greys = unpacked(&samples, width as usize, bits.into());
            GrayImage::from_raw(width, height, greys).map(DynamicImage::from)
        }
        DecodingResult::U8(samples) => {
            let samples = without_alpha(samples, channels, kept);
            match kept {
                1 => GrayImage::from_raw(width, height, samples).map(DynamicImage::from),
                _ => RgbImage::from_raw(width, height, samples).map(DynamicImage::from),
            }
        }
        DecodingResult::U16(samples) => {
            let samples = without_alpha(samples, channels, kept);
            match kept {
                1 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma16),
                _ => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb16),
            }
        }
        _ => return Err(unsupported("its kind of samples")),
    };
    let picture = image.and_then(|image| Picture::upright(image, orientation));
    Ok((picture.ok_or_else(whole)?, note))
}

/// The first channels of each pixel.
fn without_alpha<S: Copy>(samples: Vec<S>, channels: usize, kept: usize) -> Vec<S> {
    if channels == kept {
        return samples;
    }
    let pixels = samples.chunks_exact(channels);
    pixels
        .flat_map(|pixel| pixel.iter().take(kept).copied())
        .collect()
}

/// Greys of 1, 2 or 4 bits, each row filled up to a whole byte, as 8 bits.
fn unpacked(samples: &[u8], width: usize, bits: usize) -> Vec<u8> {
    let most = (1_u8 << bits) - 1;
    let rows = samples.chunks_exact((width * bits).div_ceil(8).max(1));
    let grey = |row: &[u8], at: usize| {
        let byte = row.get(at * bits / 8).copied().unwrap_or(0);
        let shift = 8 - bits - at * bits % 8;
        (byte >> shift & most) * (255 / most)
    };
    rows.flat_map(|row| (0..width).map(move |at| grey(row, at)))
        .collect()
}

/// Ink as light, without a profile.
fn from_cmyk(&[c, m, y, k]: &[u8; 4]) -> [u8; 3] {
    [c, m, y].map(|ink| {
        let light = (255 - u32::from(ink)) * (255 - u32::from(k));
        ((light + 127) / 255) as u8
    })
}

fn unsupported(reason: impl std::fmt::Display) -> ImageError {
    ImageError::unsupported("TIFF", reason)
}

/// Puts the decoder's errors into ours.
fn translate(error: TiffError, limits: &Limits) -> ImageError {
    match error {
        TiffError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            ImageError::damaged("the file ends before the picture does")
        }
        TiffError::LimitsExceeded => ImageError::TooMuchMemory {
            max_bytes: limits.max_bytes,
        },
        TiffError::UnsupportedError(reason) => unsupported(reason),
        other => ImageError::damaged(other),
    }
}
