//! PNG files.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageBuffer, RgbImage};
use png::{BitDepth, ColorType, DecodingError, Transformations};

use super::{ImageError, Limits, Picture};

/// The eight bytes that begin every PNG file.
pub(super) const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];

/// How much smaller than its data a DEFLATE stream can be, at most. Source: zlib's technical details.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// Decodes one PNG file; of an animation, the default image.
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    let translate = |error| translate(error, limits);
    let budget = png::Limits {
        bytes: limits.max_bytes,
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), budget);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(translate)?;
    let (width, height) = header.size();
    let bits = header.bits_per_pixel() as u64;
    // Samples come out at 8 or 16 bits; a palette as RGB, and transparency as one channel more.
    let expanded = if header.bit_depth == BitDepth::Sixteen {
        8
    } else {
        4
    };
    limits.check(width, height, expanded)?;
    check_plausible(bytes.len() as u64, width, height, bits)?;

    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(translate)?;
    let orientation = reader
        .info()
        .exif_metadata
        .as_ref()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    let (color, depth) = reader.output_color_type();
    let length = reader
        .output_buffer_size()
        .ok_or_else(|| translate(DecodingError::LimitsExceeded))?;
    let mut samples = vec![0; length];
    let frame = reader.next_frame(&mut samples).map_err(translate)?;
    if (frame.width, frame.height) != (width, height) {
        return Err(ImageError::damaged(
            "its first frame is smaller than the picture",
        ));
    }
    // Reads on to the end marker, so that a file cut after its last pixel is noticed too.
    reader.finish().map_err(translate)?;

    let image = match depth {
        BitDepth::Eight => assemble8(width, height, color, samples),
        BitDepth::Sixteen => assemble16(width, height, color, &samples),
        _ => None,
    };
    image
        .and_then(|image| Picture::upright(image, orientation))
        .ok_or_else(|| ImageError::unsupported("PNG", format!("{color:?} at {depth:?} bits")))
}

/// Refuses a file whose data, were they as dense as DEFLATE can make them, could not fill its pixels.
fn check_plausible(
    file_bytes: u64,
    width: u32,
    height: u32,
    bits_per_pixel: u64,
) -> Result<(), ImageError> {
    let raw = u64::from(width)
        .saturating_mul(u64::from(height))
        .saturating_mul(bits_per_pixel)
        / 8;
    if raw / MAX_DEFLATE_RATIO > file_bytes {
        return Err(ImageError::damaged(format!(
            "{file_bytes} bytes are too few for {width} x {height} pixels"
        )));
    }
    Ok(())
}

/// 8-bit samples as a picture of one or three channels.
fn assemble8(width: u32, height: u32, color: ColorType, samples: Vec<u8>) -> Option<DynamicImage> {
    match color {
        ColorType::Grayscale => GrayImage::from_raw(width, height, samples).map(DynamicImage::from),
        ColorType::GrayscaleAlpha => {
            let grey = samples.chunks_exact(2).map(|pixel| pixel[0]).collect();
            GrayImage::from_raw(width, height, grey).map(DynamicImage::from)
        }
        ColorType::Rgb => RgbImage::from_raw(width, height, samples).map(DynamicImage::from),
        ColorType::Rgba => {
            let rgb = samples
                .chunks_exact(4)
                .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
                .collect();
            RgbImage::from_raw(width, height, rgb).map(DynamicImage::from)
        }
        ColorType::Indexed => None,
    }
}

/// 16-bit samples, big-endian as PNG stores them, as a picture of one or three channels.
fn assemble16(width: u32, height: u32, color: ColorType, samples: &[u8]) -> Option<DynamicImage> {
    let kept = match color {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => 1,
        ColorType::Rgb | ColorType::Rgba => 3,
        ColorType::Indexed => return None,
    };
    let values = samples
        .chunks_exact(2 * color.samples())
        .flat_map(|pixel| {
            pixel[..2 * kept]
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        })
        .collect::<Vec<u16>>();
    if kept == 1 {
        ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageLuma16)
    } else {
        ImageBuffer::from_raw(width, height, values).map(DynamicImage::ImageRgb16)
    }
}

/// Puts the decoder's errors into ours.
fn translate(error: DecodingError, limits: &Limits) -> ImageError {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            ImageError::damaged("the file ends before the picture does")
        }
        DecodingError::LimitsExceeded => ImageError::TooMuchMemory {
            max_bytes: limits.max_bytes,
        },
        other => ImageError::damaged(other),
    }
}
