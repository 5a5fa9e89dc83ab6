//! Telling what a file is by its content, and bounding what it may cost.

use super::window::{Function, Levels, Stored, Wanted};
use super::{ImageError, Picture, dicom, jpeg, png, raster, tiff};

/// What a picture file may cost. The header is checked against it before pixels are allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest side, in pixels.
    pub max_side: u32,
    /// The largest area, in pixels.
    pub max_pixels: u64,
    /// The largest buffer of decoded samples, and the most side data (profiles, texts) in a PNG, in bytes.
    pub max_bytes: usize,
}

impl Default for Limits {
    /// 32,768 pixels a side, 100 million pixels, 640 MiB: room for any radiograph, at 16 bits and three channels.
    fn default() -> Self {
        Self {
            max_side: 32_768,
            max_pixels: 100_000_000,
            max_bytes: 640 << 20,
        }
    }
}

impl Limits {
    /// 40 million pixels and 256 MiB: what a browser tab can hold several times over, as rendering needs.
    #[must_use]
    pub const fn for_a_tab() -> Self {
        Self {
            max_side: 32_768,
            max_pixels: 40_000_000,
            max_bytes: 256 << 20,
        }
    }

    /// Checks a claimed size. `bytes_per_pixel` counts decoded samples, all channels.
    ///
    /// # Errors
    /// [`ImageError::TooLarge`] names the limit that is passed.
    pub(super) fn check(
        &self,
        width: u32,
        height: u32,
        bytes_per_pixel: usize,
    ) -> Result<(), ImageError> {
        let pixels = u64::from(width) * u64::from(height);
        let limit = if width.max(height) > self.max_side {
            format!("{} pixels a side", self.max_side)
        } else if pixels > self.max_pixels {
            format!("{} pixels in all", self.max_pixels)
        } else if pixels.saturating_mul(bytes_per_pixel as u64) > self.max_bytes as u64 {
            format!("{} bytes in memory", self.max_bytes)
        } else {
            return Ok(());
        };
        Err(ImageError::TooLarge {
            width,
            height,
            limit,
        })
    }
}

/// A decoded file.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The picture, as a network and a person see it.
    pub picture: Picture,
    /// Its values and what they are seen through, where a window can be chosen: grey pictures from DICOM, or with 16 bits.
    pub levels: Option<Levels>,
    /// What of the file is not shown, where it holds more: "the first of 20 frames".
    pub note: Option<String>,
}

/// Decodes a picture file, whatever its name, its values seen through the usual window; see [`decode_as`].
///
/// # Errors
/// As [`decode_as`].
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    decode_as(bytes, limits, &Wanted::Usual).map(|decoded| decoded.picture)
}

/// Decodes a picture file, whatever its name, and turns it upright by its EXIF orientation.
///
/// PNG: 1, 2, 4, 8 and 16 bits, grey, RGB and palette, interlaced or not. JPEG: baseline and progressive, 8 bits, grey, YCbCr, RGB,
/// CMYK and YCCK. WebP, lossy and lossless. BMP. TIFF: grey, RGB and CMYK, 8 and 16 bits, the first page. DICOM: see
/// `docs/pictures.md`. Alpha is dropped, not composited; of an animation, the default or first image.
///
/// A file must be whole: data that end early, that do not decode or whose end marker is missing are an error, because a
/// classifier would score the filler. One case escapes: a JPEG whose data stop early but are followed by a valid end.
///
/// # Errors
/// [`ImageError`]: empty, not a picture, another format, unsupported, damaged, or beyond `limits`; a window that the picture cannot
/// be seen through.
pub fn decode_as(bytes: &[u8], limits: &Limits, wanted: &Wanted) -> Result<Decoded, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    // First: what precedes its magic may make a DICOM file a TIFF as well.
    if bytes.get(128..132) == Some(b"DICM") {
        return dicom::decode(bytes, limits, wanted);
    }
    let (picture, note) = if bytes.starts_with(&png::SIGNATURE) {
        (png::decode(bytes, limits)?, None)
    } else if bytes.starts_with(&jpeg::SIGNATURE) {
        (jpeg::decode(bytes, limits)?, None)
    } else if tiff::is_tiff(bytes) {
        tiff::decode(bytes, limits)?
    } else if let Some(format) = raster::Format::of(bytes) {
        raster::decode(bytes, format, limits)?
    } else if let Some(name) = other_format(bytes) {
        return Err(ImageError::OtherFormat(name));
    } else if dicom::is_dicom(bytes) {
        return dicom::decode(bytes, limits, wanted);
    } else {
        return Err(ImageError::NotAPicture(first_bytes(bytes)));
    };
    let (picture, levels) = leveled(picture, wanted)?;
    Ok(Decoded {
        picture,
        levels,
        note,
    })
}

/// A picture that is no DICOM, seen through what is wanted; its values are 0 to 65535.
fn leveled(picture: Picture, wanted: &Wanted) -> Result<(Picture, Option<Levels>), ImageError> {
    match picture.into_grey16() {
        Ok((width, height, samples)) => {
            let stored = Stored {
                width,
                height,
                samples,
                bits: 16,
                values: (0..=u16::MAX).map(f64::from).collect(),
                padding: None,
                inverted: false,
                units: None,
                function: Function::Linear,
                presets: Vec::new(),
                tables: Vec::new(),
                plain: true,
            };
            let (picture, levels) = stored.seen(wanted)?;
            Ok((picture, Some(levels)))
        }
        Err(picture) if *wanted == Wanted::Usual => Ok((picture, None)),
        Err(_) => Err(ImageError::NoLevels),
    }
}

/// Up to eight bytes in hexadecimal, for a message.
fn first_bytes(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Names a file of a kind that is not read, where its first bytes tell.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: [(usize, &[u8], &str); 8] = [
        (0, b"%PDF", "a PDF document"),
        (0, b"GIF8", "a GIF picture"),
        (4, b"ftyphei", "a HEIF picture"),
        (4, b"ftypmif1", "a HEIF picture"),
        (4, b"ftypavif", "an AVIF picture"),
        (4, b"jP  \r\n\x87\n", "a JPEG 2000 picture"),
        (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
        (0, b"PK\x03\x04", "a ZIP archive"),
    ];
    MAGIC
        .iter()
        .find(|(at, magic, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)))
        .map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8]) -> String {
        decode(bytes, &Limits::default())
            .map(|_| ())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_is_no_picture_is_named() {
        assert_eq!(message(b""), "is empty (0 bytes)");
        assert_eq!(
            message(b"%PDF-1.7 ..."),
            "is a PDF document; gradlens reads JPEG, PNG, WebP, BMP, TIFF and DICOM"
        );
        assert_eq!(
            message(b"hello"),
            "is not a picture that gradlens reads: JPEG, PNG, WebP, BMP, TIFF or DICOM (first bytes 68 65 6c 6c 6f)"
        );
        let mut dicom = vec![0; 132];
        dicom[128..].copy_from_slice(b"DICM");
        assert_eq!(
            message(&dicom),
            "is a DICOM picture that cannot be read here: it holds no pixels"
        );
    }

    #[test]
    fn each_limit_is_named() {
        let limits = Limits {
            max_side: 100,
            max_pixels: 5000,
            max_bytes: 6000,
        };
        let words = |w, h, b| limits.check(w, h, b).err().map(|e| e.to_string());
        assert_eq!(words(50, 100, 1), None);
        assert_eq!(
            words(101, 1, 1).as_deref(),
            Some("is 101 x 1 pixels; the limit is 100 pixels a side")
        );
        assert_eq!(
            words(80, 80, 1).as_deref(),
            Some("is 80 x 80 pixels; the limit is 5000 pixels in all")
        );
        assert_eq!(
            words(50, 100, 3).as_deref(),
            Some("is 50 x 100 pixels; the limit is 6000 bytes in memory")
        );
        assert!(
            Limits::default()
                .check(u32::MAX, u32::MAX, usize::MAX)
                .is_err()
        );
    }
}
