//! Files in JavaScript's memory, read and written without a copy in this program's.

use js_sys::Uint8Array;

use crate::model::onnx::Piece;
use crate::model::{Source, sha256_of};

/// Bytes that are taken in at a time.
const BLOCK: usize = 1 << 20;

/// Between memory that threads share and memory of JavaScript's own, Chromium copies words of so many bytes if these begin at a multiple of
/// it on both sides, and single bytes otherwise, which takes six times longer.
const WORD: usize = 8;

/// A file that JavaScript holds.
pub(super) struct Held(pub Uint8Array);

impl Source for Held {
    fn length(&self) -> usize {
        self.0.length() as usize
    }

    fn read(&self, first: usize, length: usize) -> Vec<u8> {
        let skip = match (self.0.byte_offset() as usize + first) % WORD {
            skip if cfg!(feature = "threads") && skip <= first => skip,
            _ => 0,
        };
        // A file's length is a u32 here.
        let [start, end] = [first - skip, first + length].map(|place| place as u32);
        let mut bytes = self.0.subarray(start, end).to_vec();
        bytes.drain(..skip);
        bytes
    }
}

impl Held {
    /// Its sha256, for whom no one else computes it.
    pub fn sha256(&self) -> String {
        let length = self.length();
        let blocks = (0..length).step_by(BLOCK);
        sha256_of(blocks.map(|first| self.read(first, BLOCK.min(length - first))))
    }
}

/// A file in pieces as one array of JavaScript's.
pub(super) fn gathered(pieces: &[Piece]) -> Uint8Array {
    let file = Uint8Array::new_with_length(length(pieces) as u32);
    let mut first = 0;
    for piece in pieces {
        // First to the beginning of an array: see WORD.
        file.set(&Uint8Array::from(piece.bytes()), first);
        first += piece.bytes().len() as u32;
    }
    file
}

/// Bytes of a file in pieces.
pub(super) fn length(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| piece.bytes().len()).sum()
}
