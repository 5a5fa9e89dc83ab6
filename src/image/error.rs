//! What can be wrong with a picture, and whose fault it is.

use super::{Region, Window};

/// Why bytes did not become a [`Picture`](super::Picture).
///
/// Each message is one line that continues the file's name: "`scan.png` is empty (0 bytes)".
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// There are no bytes at all.
    #[error("is empty (0 bytes)")]
    Empty,
    /// The bytes begin like no file we know; the field holds the first of them in hexadecimal.
    #[error(
        "is not a picture that gradlens reads: JPEG, PNG, WebP, BMP, TIFF or DICOM (first bytes {0})"
    )]
    NotAPicture(String),
    /// The bytes are a known kind of file that gradlens does not read.
    #[error("is {0}; gradlens reads JPEG, PNG, WebP, BMP, TIFF and DICOM")]
    OtherFormat(&'static str),
    /// A valid file of a known format that uses a rare feature the decoder lacks.
    #[error("is a {format} picture that cannot be read here: {reason}")]
    Unsupported {
        /// "JPEG", "DICOM" and so on.
        format: &'static str,
        /// The feature.
        reason: String,
    },
    /// The file breaks its format's rules, or ends early.
    #[error("is damaged: {0}")]
    Damaged(String),
    /// The header asks for more pixels than [`Limits`](super::Limits) allow. Nothing was allocated.
    #[error("is {width} x {height} pixels; the limit is {limit}")]
    TooLarge {
        /// Claimed width in pixels.
        width: u32,
        /// Claimed height in pixels.
        height: u32,
        /// The limit in words, with its unit.
        limit: String,
    },
    /// The file holds more side data (profiles, texts) than [`Limits`](super::Limits) allow.
    #[error("needs more memory than the limit of {max_bytes} bytes")]
    TooMuchMemory {
        /// The limit in bytes.
        max_bytes: usize,
    },
    /// A window was asked for, and the picture has 8 bits a sample or colours.
    #[error(
        "has no values to see through a window: that takes a grey picture from DICOM, or with 16 bits"
    )]
    NoLevels,
    /// A window that no function can be applied with.
    #[error("cannot be seen through a window of centre {} and width {}: numbers are needed, and a width of 1 or more", .0.center, .0.width)]
    Window(Window),
    /// The file has no window or table of that name.
    #[error("has no window '{wanted}'; it has: {}", .there.join(", "))]
    NoPreset {
        /// The name asked for.
        wanted: String,
        /// The names there are.
        there: Vec<String>,
    },
    /// The file has no table (VOI LUT) of that number.
    #[error("has no table {wanted} for its values; it has {there}")]
    NoTable {
        /// The number asked for, from 1 on.
        wanted: usize,
        /// How many there are.
        there: usize,
    },
}

impl ImageError {
    /// A [`Damaged`](Self::Damaged) whose reason, as a decoder worded it, is brought into one line.
    pub(super) fn damaged(reason: impl std::fmt::Display) -> Self {
        Self::Damaged(one_line(&reason.to_string()))
    }

    /// An [`Unsupported`](Self::Unsupported) whose reason is brought into one line.
    pub(super) fn unsupported(format: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Unsupported {
            format,
            reason: one_line(&reason.to_string()),
        }
    }
}

/// Why a picture did not become an input tensor.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessError {
    /// `mean` or `std` has neither one value nor one per channel.
    #[error("preprocessing.{field} has {found} values; the input has {channels} channels")]
    ChannelCount {
        /// "mean" or "std".
        field: &'static str,
        /// How many values it has.
        found: usize,
        /// How many channels the network's input has.
        channels: usize,
    },
    /// A number that is not finite, or a standard deviation that is not above 0.
    #[error("preprocessing.{field} holds {value}; {rule}")]
    Value {
        /// The field's name.
        field: &'static str,
        /// The value found.
        value: f64,
        /// What it must be.
        rule: &'static str,
    },
    /// The percentiles of `stretch` are out of order or outside 0 to 100.
    #[error(
        "preprocessing.stretch is from {low} to {high}; percentiles must satisfy 0 <= low < high <= 100"
    )]
    Stretch {
        /// Lower percentile.
        low: f64,
        /// Upper percentile.
        high: f64,
    },
    /// A part of the picture that does not lie in it.
    #[error("the part of the picture to be shown to the model does not lie in it: {0:?}")]
    Region(Region),
    /// The network's input has no pixels, or more than a picture may have.
    #[error("the model's input is {width} x {height} pixels; each side must be 1 to {max}")]
    InputSize {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// The largest side accepted.
        max: usize,
    },
}

/// Joins the lines of a message, drops control characters and ends it after 200 characters.
fn one_line(message: &str) -> String {
    let words = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let clean = words.chars().filter(|c| !c.is_control());
    let mut line: String = clean.clone().take(200).collect();
    if clean.count() > 200 {
        line.push_str(" ...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoders_message_becomes_one_bounded_line() {
        let error = ImageError::damaged(format!("first\n  second\t{}", "x".repeat(500)));
        let text = error.to_string();
        assert!(text.starts_with("is damaged: first second xxx"));
        assert!(!text.contains('\n') && text.len() < 230);
    }
}
