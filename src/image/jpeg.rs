//! JPEG files.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::{ImageError, Limits, Picture};

/// Start of image, and the first byte of the marker that must follow.
pub(super) const SIGNATURE: [u8; 3] = [0xff, 0xd8, 0xff];

/// Decodes one JPEG file.
///
/// The headers are read leniently, since harmless oddities are common there; the data strictly, since a lenient decoder
/// paints what it cannot read grey and says nothing.
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    let lenient = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), lenient);
    decoder.decode_headers().map_err(translate)?;
    let missing = || ImageError::damaged("the header has no size");
    let (width, height) = decoder.dimensions().ok_or_else(missing)?;
    let width = u32::try_from(width).map_err(|_| missing())?;
    let height = u32::try_from(height).map_err(|_| missing())?;
    let (target, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        _ => (ColorSpace::RGB, 3),
    };
    limits.check(width, height, channels)?;
    check_whole(bytes, width, height)?;
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);

    decoder.set_options(
        lenient
            .jpeg_set_out_colorspace(target)
            .set_strict_mode(true),
    );
    let length = width as usize * height as usize * channels;
    if decoder.output_buffer_size() != Some(length) {
        return Err(ImageError::unsupported("JPEG", "its colour space"));
    }
    let mut samples = vec![0; length];
    decoder.decode_into(&mut samples).map_err(translate)?;
    let image = if channels == 1 {
        GrayImage::from_raw(width, height, samples).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, samples).map(DynamicImage::from)
    };
    image
        .and_then(|image| Picture::upright(image, orientation))
        .ok_or_else(missing)
}

/// Checks that the file is long enough for its size and that its end marker is there.
fn check_whole(bytes: &[u8], width: u32, height: u32) -> Result<(), ImageError> {
    // A block of 8 x 8 pixels takes at least one bit: the shortest Huffman code of its first coefficient.
    let blocks = u64::from(width.div_ceil(8)) * u64::from(height.div_ceil(8));
    if (bytes.len() as u64) < blocks / 8 {
        return Err(ImageError::damaged(format!(
            "{} bytes are too few for {width} x {height} pixels",
            bytes.len()
        )));
    }
    if !reaches_end(bytes) {
        return Err(ImageError::damaged("the file ends before the picture does"));
    }
    Ok(())
}

/// Walks from marker to marker and tells whether the end of image (EOI) is among them.
///
/// Segments are skipped by their length, so that a thumbnail's EOI inside one does not count.
/// Source: ITU-T T.81, annex B.
fn reaches_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[prefix, code]) = bytes.get(at..at + 2) {
        match (prefix, code) {
            (0xff, 0xd9) => return true,
            // Fill bytes may precede a marker.
            (0xff, 0xff) => at += 1,
            // Stuffed 0xff of entropy-coded data, TEM, restart markers and SOI stand alone.
            (0xff, 0x00 | 0x01 | 0xd0..=0xd8) => at += 2,
            (0xff, _) => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2),
                _ => return false,
            },
            // Entropy-coded data, or stray bytes between segments.
            _ => at += 1,
        }
    }
    false
}

/// Puts the decoder's errors into ours.
fn translate(error: DecodeErrors) -> ImageError {
    match error {
        DecodeErrors::Unsupported(scheme) => ImageError::unsupported("JPEG", format!("{scheme:?}")),
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => {
            ImageError::damaged("the file ends before the picture does")
        }
        DecodeErrors::ZeroError => ImageError::damaged("it is 0 pixels wide or high"),
        DecodeErrors::Format(words)
        | DecodeErrors::HuffmanDecode(words)
        | DecodeErrors::DqtError(words)
        | DecodeErrors::SosError(words)
        | DecodeErrors::SofError(words)
        | DecodeErrors::MCUError(words) => ImageError::damaged(words),
        DecodeErrors::FormatStatic(words) => ImageError::damaged(words),
        other => ImageError::damaged(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_marker_counts_only_outside_segments() {
        let thumbnail = [0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9];
        assert!(!reaches_end(&thumbnail));
        let whole = [
            &thumbnail[..],
            &[0xff, 0xda, 0, 2, 1, 2, 0xff, 0, 0xff, 0xd0, 3, 0xff, 0xd9],
        ]
        .concat();
        assert!(reaches_end(&whole));
        for length in 0..whole.len() {
            assert!(!reaches_end(&whole[..length]), "{length}");
        }
    }

    #[test]
    fn a_huge_claim_in_a_short_file_is_refused() {
        assert!(check_whole(&[0xff; 100], 30_000, 3_000).is_err());
    }
}
