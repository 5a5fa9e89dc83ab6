//! WebP and BMP files.

use std::io::{Cursor, ErrorKind};

use image::codecs::bmp::BmpDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError as Reason};

use super::{ImageError, Limits, Picture};
use crate::guard::caught;

/// A format that this module reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    WebP,
    Bmp,
}

impl Format {
    /// Tells by the first bytes.
    pub(super) fn of(bytes: &[u8]) -> Option<Format> {
        if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Format::WebP)
        } else if bytes.starts_with(b"BM") {
            Some(Format::Bmp)
        } else {
            None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Format::WebP => "WebP",
            Format::Bmp => "BMP",
        }
    }
}

/// Decodes one file; of an animated WebP, the first image, and a note that says so.
pub(super) fn decode(
    bytes: &[u8],
    format: Format,
    limits: &Limits,
) -> Result<(Picture, Option<String>), ImageError> {
    let work = || match format {
        Format::WebP => {
            check_riff(bytes)?;
            let decoder = WebPDecoder::new(Cursor::new(bytes));
            let decoder = decoder.map_err(|reason| translate(reason, format))?;
            let note = decoder
                .has_animation()
                .then(|| "the first image of an animation".into());
            Ok((read(decoder, format, limits)?, note))
        }
        Format::Bmp => {
            let decoder = BmpDecoder::new(Cursor::new(bytes));
            let decoder = decoder.map_err(|reason| translate(reason, format))?;
            check_rows(bytes, &decoder)?;
            Ok((read(decoder, format, limits)?, None))
        }
    };
    // A decoder that panics has met a damaged file.
    caught(work).unwrap_or_else(|panic| Err(ImageError::damaged(panic)))
}

/// Decodes by any decoder of the `image` crate, the size checked first.
fn read(
    mut decoder: impl ImageDecoder,
    format: Format,
    limits: &Limits,
) -> Result<Picture, ImageError> {
    let (width, height) = decoder.dimensions();
    // Alpha and the picture without it are there at once.
    let bytes_per_pixel = 2 * usize::from(decoder.color_type().bytes_per_pixel());
    limits.check(width, height, bytes_per_pixel)?;
    let mut budget = image::Limits::default();
    budget.max_alloc = Some(limits.max_bytes as u64);
    decoder
        .set_limits(budget)
        .map_err(|reason| translate(reason, format))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(|reason| translate(reason, format))?;
    Picture::opaque(image, orientation)
        .ok_or_else(|| ImageError::damaged("it is 0 pixels wide or high"))
}

/// Whether a RIFF file is as long as it says.
fn check_riff(bytes: &[u8]) -> Result<(), ImageError> {
    let claimed = bytes.get(4..8).and_then(|four| four.try_into().ok());
    let claimed = claimed.map_or(u64::MAX, |four| u64::from(u32::from_le_bytes(four)) + 8);
    match claimed <= bytes.len() as u64 {
        true => Ok(()),
        false => Err(ends_early()),
    }
}

/// Whether a BMP file without compression holds all of its rows: the decoder fills what is missing.
fn check_rows(bytes: &[u8], decoder: &impl ImageDecoder) -> Result<(), ImageError> {
    let number = |at: usize, size: usize| {
        let own = bytes.get(at..at + size)?.iter().rev();
        Some(own.fold(0_u64, |value, byte| value << 8 | u64::from(*byte)))
    };
    let (data, header) = (number(10, 4), number(14, 4));
    // The oldest header has shorter fields.
    let bits = number(if header == Some(12) { 24 } else { 28 }, 2);
    let compression = if header == Some(12) {
        Some(0)
    } else {
        number(30, 4)
    };
    let (Some(data), Some(bits), Some(compression)) = (data, bits, compression) else {
        return Err(ends_early());
    };
    let (width, height) = decoder.dimensions();
    // Run lengths (1, 2) end with a mark of their own.
    let needed = match compression {
        1 | 2 => 0,
        _ => (u64::from(width) * bits).div_ceil(32) * 4 * u64::from(height),
    };
    match data.saturating_add(needed) <= bytes.len() as u64 {
        true => Ok(()),
        false => Err(ends_early()),
    }
}

fn ends_early() -> ImageError {
    ImageError::damaged("the file ends before the picture does")
}

/// Puts the decoder's errors into ours.
fn translate(error: Reason, format: Format) -> ImageError {
    match error {
        Reason::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => ends_early(),
        Reason::Limits(reason) => ImageError::unsupported(format.name(), reason),
        Reason::Unsupported(reason) => ImageError::unsupported(format.name(), reason),
        other => ImageError::damaged(other),
    }
}
