//! A line, or a whole file, read without keeping more of it than a report may have.

use std::io::{self, BufRead};

use sha2::{Digest as _, Sha256};

use super::claim::too_large;
use crate::model::{hex, sha256_hex};

/// Bytes that were read to an end.
#[derive(Debug)]
pub struct Line {
    pub sha256: String,
    /// The bytes, or why they were not kept.
    pub bytes: Result<Vec<u8>, String>,
    /// How many were read, the end of the line included.
    pub length: u64,
}

impl Default for Line {
    fn default() -> Line {
        Line::of(Vec::new())
    }
}

impl Line {
    /// Bytes that are there already.
    pub fn of(bytes: Vec<u8>) -> Line {
        Line {
            sha256: sha256_hex(&bytes),
            length: bytes.len() as u64,
            bytes: Ok(bytes),
        }
    }

    /// Reads up to and with the byte `end`, or all there is. What is longer than `limit` is read, too, but not kept.
    pub fn read(
        reader: &mut impl BufRead,
        end: Option<u8>,
        limit: u64,
    ) -> io::Result<Option<Line>> {
        let (mut kept, mut length, mut digest) = (Vec::new(), 0u64, Sha256::new());
        loop {
            let there = reader.fill_buf()?;
            if there.is_empty() {
                break;
            }
            let stop = end.and_then(|end| there.iter().position(|byte| *byte == end));
            let text = there.get(..stop.unwrap_or(there.len())).unwrap_or_default();
            digest.update(text);
            if length + text.len() as u64 <= limit {
                kept.extend_from_slice(text);
            } else {
                kept = Vec::new();
            }
            let used = text.len() + usize::from(stop.is_some());
            length += used as u64;
            reader.consume(used);
            if stop.is_some() {
                break;
            }
        }
        let bytes = match length > limit {
            true => Err(too_large(length)),
            false => Ok(kept),
        };
        let line = Line {
            sha256: hex(&digest.finalize()),
            bytes,
            length,
        };
        Ok((length > 0).then_some(line))
    }
}
