//! The samples of a file's first frame, as they are stored.

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};

use super::dataset::{DataSet, Value, words};
use super::syntax::{Compression, Syntax};
use super::{missing, tags, unsupported};
use crate::guard::caught;
use crate::image::{ImageError, Limits};

/// How pixels lie in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    pub width: u32,
    pub height: u32,
    /// 1 or 3.
    pub samples: usize,
    /// Bits of a sample in the file: 8 or 16.
    pub allocated: u32,
    /// Bits of them that count.
    pub stored: u32,
    /// The highest of these.
    pub high_bit: u32,
    pub signed: bool,
    /// Whether all of a colour's samples come before the next colour's.
    pub planar: bool,
    pub frames: u32,
    pub photometric: String,
}

impl Layout {
    /// Reads and checks a header; nothing is allocated yet.
    fn of(set: &DataSet<'_>, limits: &Limits) -> Result<Layout, ImageError> {
        let word = |what: &str, tag| set.word(tag).ok_or_else(|| missing(what, tag));
        let samples = usize::from(set.word(tags::SAMPLES_PER_PIXEL).unwrap_or(1));
        let allocated = u32::from(word("Bits Allocated", tags::BITS_ALLOCATED)?);
        let stored = set
            .word(tags::BITS_STORED)
            .map_or(allocated, |stored| u32::from(stored).min(allocated));
        let high_bit = set.word(tags::HIGH_BIT).map(u32::from);
        let photometric = set.text(tags::PHOTOMETRIC_INTERPRETATION);
        let layout = Layout {
            width: u32::from(word("Columns", tags::COLUMNS)?),
            height: u32::from(word("Rows", tags::ROWS)?),
            samples,
            allocated,
            stored,
            high_bit: high_bit
                .filter(|high| *high < allocated && high + 1 >= stored)
                .unwrap_or(stored.saturating_sub(1)),
            signed: set.word(tags::PIXEL_REPRESENTATION) == Some(1),
            planar: set.word(tags::PLANAR_CONFIGURATION) == Some(1),
            frames: set
                .number(tags::NUMBER_OF_FRAMES)
                .map_or(1, |frames| frames.clamp(1.0, 1e9) as u32),
            photometric: photometric.unwrap_or_else(|| "MONOCHROME2".into()),
        };
        if !matches!(samples, 1 | 3) {
            return Err(unsupported(format!("{samples} samples a pixel")));
        }
        if !matches!(allocated, 8 | 16) || stored == 0 {
            return Err(unsupported(format!(
                "{stored} bits a sample in {allocated}"
            )));
        }
        if layout.width == 0 || layout.height == 0 {
            return Err(ImageError::damaged("it is 0 pixels wide or high"));
        }
        // The samples as stored, and as the picture that becomes of them.
        limits.check(layout.width, layout.height, 4 * samples)?;
        Ok(layout)
    }

    pub fn is_grey(&self) -> bool {
        self.samples == 1 && self.photometric != "PALETTE COLOR"
    }

    pub fn pixels(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Bytes of a frame that is not compressed.
    fn frame_bytes(&self) -> usize {
        let samples = match self.photometric.as_str() {
            // Two pixels share their colour.
            "YBR_FULL_422" | "YBR_PARTIAL_422" => 2,
            _ => self.samples,
        };
        self.pixels() * samples * (self.allocated as usize / 8)
    }
}

/// A frame's samples, colours of a pixel together.
#[derive(Debug)]
pub struct Frame {
    pub layout: Layout,
    pub samples: Vec<u16>,
    /// Whether the decoder has made RGB of whatever it was.
    pub is_rgb: bool,
}

impl Frame {
    /// The first frame.
    pub fn read(set: &DataSet<'_>, syntax: &Syntax, limits: &Limits) -> Result<Frame, ImageError> {
        if set.get(tags::FLOAT_PIXEL_DATA).is_some()
            || set.get(tags::DOUBLE_FLOAT_PIXEL_DATA).is_some()
        {
            return Err(unsupported("its pixels are floating-point numbers"));
        }
        let data = set
            .get(tags::PIXEL_DATA)
            .ok_or_else(|| unsupported("it holds no pixels"))?;
        let layout = Layout::of(set, limits)?;
        match (data, &syntax.compression) {
            (Value::Plain(bytes), Compression::None) => native(layout, bytes, set),
            (Value::Fragments(fragments), compression) => {
                let frame = first_frame(fragments, compression);
                match compression {
                    Compression::None => Err(ImageError::damaged(
                        "its pixel data come in pieces, which its transfer syntax rules out",
                    )),
                    Compression::RunLength => run_length(layout, &frame),
                    Compression::Jpeg => decoded(|| jpeg(layout, &frame, limits)),
                    Compression::Jpeg2000 => decoded(|| jpeg_2000(layout, &frame)),
                    Compression::Unread(name) => Err(unread(name)),
                }
            }
            (_, Compression::Unread(name)) => Err(unread(name)),
            _ => Err(ImageError::damaged(
                "its pixel data do not come in the pieces that its transfer syntax wants",
            )),
        }
    }
}

/// A decoder that panics has met a damaged file.
fn decoded(decode: impl FnOnce() -> Result<Frame, ImageError>) -> Result<Frame, ImageError> {
    caught(decode).unwrap_or_else(|panic| Err(ImageError::damaged(panic)))
}

fn unread(name: &str) -> ImageError {
    unsupported(format!(
        "its pixels are compressed as {name}; save it uncompressed, or as JPEG, JPEG 2000 or RLE"
    ))
}

fn too_short(layout: &Layout, found: usize) -> ImageError {
    ImageError::damaged(format!(
        "{found} bytes of pixels are too few for {} x {} pixels",
        layout.width, layout.height
    ))
}

/// The pieces of the first frame, joined: a piece that begins as a JPEG does begins the next frame.
fn first_frame(fragments: &[&[u8]], compression: &Compression) -> Vec<u8> {
    let begins = |piece: &&[u8]| match compression {
        Compression::Jpeg2000 => piece.starts_with(&[0xff, 0x4f, 0xff, 0x51]),
        Compression::Jpeg => piece.starts_with(&[0xff, 0xd8]),
        // One piece, one frame.
        _ => true,
    };
    let mut pieces = fragments.iter();
    let first = pieces.next();
    let rest = pieces.take_while(|piece| !begins(piece));
    first
        .into_iter()
        .chain(rest)
        .copied()
        .collect::<Vec<_>>()
        .concat()
}

fn native(layout: Layout, bytes: &[u8], set: &DataSet<'_>) -> Result<Frame, ImageError> {
    let needed = layout.frame_bytes();
    let all = (needed as u64).saturating_mul(u64::from(layout.frames));
    if (bytes.len() as u64) < all {
        return Err(too_short(&layout, bytes.len()));
    }
    // Swapped bytes come in pairs.
    let needed = match set.swapped {
        true => needed.next_multiple_of(2).min(bytes.len()),
        false => needed,
    };
    let bytes = bytes.get(..needed).unwrap_or_default();
    let samples: Vec<u16> = match layout.allocated {
        16 => words(bytes, set.is_big_endian()).collect(),
        _ if set.swapped => words(bytes, false)
            .flat_map(|word| word.to_be_bytes().map(u16::from))
            .collect(),
        _ => bytes.iter().copied().map(u16::from).collect(),
    };
    Ok(Frame {
        samples: match layout.photometric.as_str() {
            "YBR_FULL_422" | "YBR_PARTIAL_422" => spread(&samples),
            _ if layout.planar && layout.samples == 3 => interleaved(&samples, layout.pixels()),
            _ => samples,
        },
        layout,
        is_rgb: false,
    })
}

/// Y1 Y2 Cb Cr as Y1 Cb Cr Y2 Cb Cr.
fn spread(samples: &[u16]) -> Vec<u16> {
    let pairs = samples.as_chunks::<4>().0.iter();
    pairs
        .flat_map(|&[first, second, blue, red]| [first, blue, red, second, blue, red])
        .collect()
}

/// Planes of one colour each as pixels of three.
fn interleaved(samples: &[u16], pixels: usize) -> Vec<u16> {
    let plane = |at: usize| samples.get(at * pixels..).unwrap_or_default().iter();
    let rest = plane(1).zip(plane(2));
    let all = plane(0).zip(rest).take(pixels);
    all.flat_map(|(a, (b, c))| [*a, *b, *c]).collect()
}

/// Source: PS3.5, G: a header of 64 bytes, then a segment for each byte of a pixel, the highest byte of the first sample first.
fn run_length(layout: Layout, bytes: &[u8]) -> Result<Frame, ImageError> {
    let short = || ImageError::damaged("the file ends before the picture does");
    let number = |at: usize| {
        let four = bytes.get(at * 4..at * 4 + 4)?;
        Some(u32::from_le_bytes(four.try_into().ok()?) as usize)
    };
    let (pixels, width) = (layout.pixels(), layout.allocated as usize / 8);
    let segments = layout.samples * width;
    if number(0) != Some(segments) {
        return Err(ImageError::damaged(
            "its run-length data have another number of segments than its pixels have bytes",
        ));
    }
    let mut samples = vec![0_u16; pixels * layout.samples];
    for segment in 0..segments {
        let from = number(segment + 1).ok_or_else(short)?;
        let to = match number(segment + 2) {
            Some(next) if segment + 1 < segments && next > from => next,
            _ => bytes.len(),
        };
        let plane = unpacked(bytes.get(from..to).ok_or_else(short)?, pixels).ok_or_else(short)?;
        let (colour, shift) = (segment / width, 8 * (width - 1 - segment % width));
        let own = samples.iter_mut().skip(colour).step_by(layout.samples);
        for (sample, byte) in own.zip(plane) {
            *sample |= u16::from(byte) << shift;
        }
    }
    Ok(Frame {
        layout,
        samples,
        is_rgb: false,
    })
}

/// PackBits: a count and what it counts; `None` where the data give out.
fn unpacked(mut bytes: &[u8], wanted: usize) -> Option<Vec<u8>> {
    let mut plane = Vec::with_capacity(wanted);
    while plane.len() < wanted {
        let (count, rest) = bytes.split_first()?;
        match *count {
            0x80 => bytes = rest,
            literal if literal < 0x80 => {
                let (run, rest) = rest.split_at_checked(usize::from(literal) + 1)?;
                plane.extend_from_slice(run);
                bytes = rest;
            }
            repeated => {
                let (value, rest) = rest.split_first()?;
                plane.resize(plane.len() + 257 - usize::from(repeated), *value);
                bytes = rest;
            }
        }
    }
    plane.truncate(wanted);
    Some(plane)
}

fn jpeg(mut layout: Layout, bytes: &[u8], limits: &Limits) -> Result<Frame, ImageError> {
    let translate = |error: jpeg_decoder::Error| match error {
        jpeg_decoder::Error::Unsupported(feature) => {
            unsupported(format!("its JPEG data need {feature:?}"))
        }
        other => ImageError::damaged(other),
    };
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(limits.max_bytes);
    // The header says what the colours are; the JPEG's own markers are often not there.
    decoder.set_color_transform(match layout.photometric.as_str() {
        "RGB" => ColorTransform::RGB,
        "MONOCHROME1" | "MONOCHROME2" | "PALETTE COLOR" => ColorTransform::Grayscale,
        _ => ColorTransform::YCbCr,
    });
    decoder.read_info().map_err(translate)?;
    let info = decoder
        .info()
        .ok_or_else(|| ImageError::damaged("its JPEG data have no size"))?;
    check_size(&layout, info.width.into(), info.height.into())?;
    let (samples, wide) = match info.pixel_format {
        PixelFormat::L8 => (1, false),
        PixelFormat::L16 => (1, true),
        PixelFormat::RGB24 => (3, false),
        PixelFormat::CMYK32 => return Err(unsupported("its JPEG data have four colours")),
    };
    if samples != layout.samples {
        return Err(ImageError::damaged(format!(
            "its JPEG data have {samples} samples a pixel, its header says {}",
            layout.samples
        )));
    }
    let data = decoder.decode().map_err(translate)?;
    layout.high_bit = layout.stored - 1;
    Ok(Frame {
        samples: match wide {
            true => words(&data, cfg!(target_endian = "big")).collect(),
            false => data.into_iter().map(u16::from).collect(),
        },
        layout,
        is_rgb: samples == 3,
    })
}

fn jpeg_2000(mut layout: Layout, bytes: &[u8]) -> Result<Frame, ImageError> {
    let settings = DecodeSettings {
        resolve_palette_indices: false,
        strict: true,
        target_resolution: None,
    };
    let image = Image::new(bytes, &settings).map_err(ImageError::damaged)?;
    check_size(&layout, image.width(), image.height())?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(ImageError::damaged)?;
    let components = decoded.components();
    if components.len() != layout.samples {
        return Err(ImageError::damaged(format!(
            "its JPEG 2000 data have {} samples a pixel, its header says {}",
            components.len(),
            layout.samples
        )));
    }
    // The decoder takes all samples for unsigned, and moves them up by half of their range. Source: ISO 15444-1, A.5.1.
    let signed = bytes.get(42).is_some_and(|size| size & 0x80 != 0);
    let mut samples = vec![0_u16; layout.pixels() * layout.samples];
    for (colour, component) in components.iter().enumerate() {
        let half = match signed {
            true => 1_i32 << (component.bit_depth().clamp(1, 16) - 1),
            false => 0,
        };
        let own = samples.iter_mut().skip(colour).step_by(layout.samples);
        for (sample, value) in own.zip(component.samples()) {
            *sample = (value.round() as i32 - half) as u16;
        }
    }
    layout.high_bit = layout.stored - 1;
    Ok(Frame {
        is_rgb: layout.samples == 3,
        layout,
        samples,
    })
}

/// Whether compressed data have the size that the header states, which is the one that the limits were checked for.
fn check_size(layout: &Layout, width: u32, height: u32) -> Result<(), ImageError> {
    if (width, height) == (layout.width, layout.height) {
        return Ok(());
    }
    Err(ImageError::damaged(format!(
        "its compressed pixels are {width} x {height}, its header says {} x {}",
        layout.width, layout.height
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of TIFF 6.0, section 9.
    #[test]
    fn packed_bits() {
        let packed = [
            0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7,
            0xaa,
        ];
        let plain = [
            0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22,
            0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
        ];
        assert_eq!(unpacked(&packed, plain.len()).unwrap(), plain);
        assert_eq!(unpacked(&packed, plain.len() + 1), None);
    }
}
