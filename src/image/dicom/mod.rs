//! DICOM files: X-rays as hospitals keep them.
//!
//! Elements are read one by one ([`dataset`]), and kept only where they say what pixels mean: of a patient nothing is kept. The first
//! frame's pixels ([`frame`]) become grey through the file's own tables and windows ([`grey`]), or a colour picture ([`colour`]).

mod colour;
mod dataset;
mod frame;
mod grey;
mod syntax;
mod tags;

use flate2::read::DeflateDecoder;
use std::io::Read as _;

use self::dataset::{Coding, DataSet};
use self::frame::Frame;
use self::syntax::Syntax;
use self::tags::Tag;
use super::decode::Decoded;
use super::{ImageError, Limits, Wanted};

/// Where a file's elements begin: behind 128 bytes for anyone's use and "DICM", behind "DICM", or at once.
fn start(bytes: &[u8]) -> Option<usize> {
    let magic = |at: usize| bytes.get(at..at + 4) == Some(b"DICM".as_slice());
    if magic(128) {
        return Some(132);
    }
    if magic(0) {
        return Some(4);
    }
    coding_of(bytes).map(|_| 0)
}

/// How the elements are written that begin here, judged by the first one; groups 0002 and 0008 come first.
fn coding_of(bytes: &[u8]) -> Option<Coding> {
    let head = bytes.get(..8)?;
    let is_vr = head.get(4..6)?.iter().all(u8::is_ascii_uppercase);
    let length = u32::from_le_bytes(head.get(4..8)?.try_into().ok()?);
    match (head.first()?, head.get(1)?, is_vr) {
        (2 | 8, 0, true) => Some(Coding::Explicit),
        (0, 8, true) => Some(Coding::BigEndian),
        // The first element of group 0008 is short: a length, a character set, a kind of picture, an identifier.
        (8, 0, false) if length <= 256 && head.get(3) == Some(&0) => Some(Coding::Implicit),
        _ => None,
    }
}

/// Whether these bytes are a DICOM file, whatever its name.
pub(super) fn is_dicom(bytes: &[u8]) -> bool {
    start(bytes).is_some()
}

/// Decodes the first frame of a DICOM file.
pub(super) fn decode(
    bytes: &[u8],
    limits: &Limits,
    wanted: &Wanted,
) -> Result<Decoded, ImageError> {
    let body = bytes
        .get(start(bytes).unwrap_or_default()..)
        .unwrap_or_default();
    let (meta, length) = DataSet::read_meta(body)?;
    let body = body.get(length..).unwrap_or_default();
    let named = meta.text(tags::TRANSFER_SYNTAX_UID);
    let syntax = match &named {
        // Some files are written otherwise than they say.
        Some(uid) => match (Syntax::of(uid), coding_of(body)) {
            (syntax, Some(coding)) if !syntax.deflated => Syntax { coding, ..syntax },
            (syntax, _) => syntax,
        },
        // Without a header the elements speak for themselves.
        None => Syntax::native(coding_of(body).unwrap_or(Coding::Implicit)),
    };
    if syntax.deflated {
        let room = limits.max_bytes as u64;
        let mut inflated = Vec::new();
        let read = DeflateDecoder::new(body)
            .take(room + 1)
            .read_to_end(&mut inflated);
        read.map_err(ImageError::damaged)?;
        if inflated.len() as u64 > room {
            return Err(ImageError::TooMuchMemory {
                max_bytes: limits.max_bytes,
            });
        }
        return picture(
            &DataSet::read(&inflated, syntax.coding)?,
            &syntax,
            limits,
            wanted,
        );
    }
    picture(
        &DataSet::read(body, syntax.coding)?,
        &syntax,
        limits,
        wanted,
    )
}

fn picture(
    set: &DataSet<'_>,
    syntax: &Syntax,
    limits: &Limits,
    wanted: &Wanted,
) -> Result<Decoded, ImageError> {
    let frame = Frame::read(set, syntax, limits)?;
    let note =
        (frame.layout.frames > 1).then(|| format!("the first of {} frames", frame.layout.frames));
    if frame.layout.is_grey() {
        let (picture, levels) = grey::stored(set, frame)?.seen(wanted)?;
        return Ok(Decoded {
            picture,
            levels: Some(levels),
            note,
        });
    }
    if *wanted != Wanted::Usual {
        return Err(ImageError::NoLevels);
    }
    Ok(Decoded {
        picture: colour::picture(set, frame)?,
        levels: None,
        note,
    })
}

/// What a DICOM file says that gradlens does not read.
fn unsupported(reason: impl std::fmt::Display) -> ImageError {
    ImageError::unsupported("DICOM", reason)
}

/// An element that must be there.
fn missing(what: &str, tag: Tag) -> ImageError {
    ImageError::damaged(format!("its header has no {what} {tag}"))
}
