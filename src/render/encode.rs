//! Pictures as bytes for a file or a canvas.

use image::RgbImage;
use png::{BitDepth, ColorType, Compression, Encoder, EncodingError};

use super::RenderError;

/// Encodes a picture as PNG, with texts beside the pixels: pairs of a keyword and its text.
///
/// PNG registers the keywords "Title", "Description", "Software", "Source", "Disclaimer", "Warning" and "Comment" among
/// others. A text beyond Latin-1 is written as UTF-8 (`iTXt`). The same picture gives the same bytes everywhere.
///
/// # Errors
/// [`RenderError::Encode`] if the picture has no pixels, or a keyword is not 1 to 79 Latin-1 characters.
pub fn encode_png(picture: &RgbImage, texts: &[(&str, &str)]) -> Result<Vec<u8>, RenderError> {
    write_png(picture, texts).map_err(|error| RenderError::Encode(error.to_string()))
}

fn write_png(picture: &RgbImage, texts: &[(&str, &str)]) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    for (keyword, text) in texts {
        let (keyword, text) = ((*keyword).to_owned(), (*text).to_owned());
        if text.chars().all(|c| u32::from(c) < 256) {
            encoder.add_text_chunk(keyword, text)?;
        } else {
            encoder.add_itxt_chunk(keyword, text)?;
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture.as_raw())?;
    writer.finish()?;
    Ok(bytes)
}

/// A picture as a canvas takes it: RGBA, opaque, four bytes a pixel, row-major.
#[must_use]
pub fn rgba(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = vec![255; picture.as_raw().len() / 3 * 4];
    for (out, pixel) in bytes.chunks_exact_mut(4).zip(picture.chunks_exact(3)) {
        out[..3].copy_from_slice(pixel);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Limits, decode};

    #[test]
    fn what_is_written_is_read_back() {
        let picture = RgbImage::from_fn(31, 17, |x, y| image::Rgb([x as u8 * 8, y as u8 * 15, 7]));
        let bytes = encode_png(
            &picture,
            &[
                ("Disclaimer", "Not for diagnostic use."),
                ("Comment", "Łódź"),
            ],
        )
        .unwrap();
        assert_eq!(
            decode(&bytes, &Limits::default()).unwrap().to_rgb8(),
            picture
        );
        let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(holds(b"tEXtDisclaimer\0Not for diagnostic use."));
        assert!(holds("Łódź".as_bytes()));
        assert_eq!(rgba(&picture)[4..8], [8, 0, 7, 255]);
    }

    #[test]
    fn what_png_cannot_hold_is_an_error() {
        assert!(encode_png(&RgbImage::new(0, 0), &[]).is_err());
        assert!(encode_png(&RgbImage::new(1, 1), &[("", "text")]).is_err());
    }
}
