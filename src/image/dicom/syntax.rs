//! Transfer syntaxes: how a file's elements and its pixels are written. Source: DICOM PS3.5, A and PS3.6, A.

use super::dataset::Coding;

/// How pixels are compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compression {
    None,
    RunLength,
    /// JPEG, lossy or lossless.
    Jpeg,
    Jpeg2000,
    /// What no decoder in Rust reads: its name, or its identifier.
    Unread(String),
}

/// A transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syntax {
    pub coding: Coding,
    pub deflated: bool,
    pub compression: Compression,
}

impl Syntax {
    /// Pixels as they are.
    pub fn native(coding: Coding) -> Syntax {
        Syntax {
            coding,
            deflated: false,
            compression: Compression::None,
        }
    }

    /// What a Transfer Syntax UID stands for.
    pub fn of(uid: &str) -> Syntax {
        let compression = match uid {
            "1.2.840.10008.1.2" => return Syntax::native(Coding::Implicit),
            "1.2.840.10008.1.2.1" => return Syntax::native(Coding::Explicit),
            "1.2.840.10008.1.2.2" => return Syntax::native(Coding::BigEndian),
            "1.2.840.10008.1.2.1.99" => {
                return Syntax {
                    deflated: true,
                    ..Syntax::native(Coding::Explicit)
                };
            }
            "1.2.840.10008.1.2.5" => Compression::RunLength,
            "1.2.840.10008.1.2.4.50"
            | "1.2.840.10008.1.2.4.51"
            | "1.2.840.10008.1.2.4.57"
            | "1.2.840.10008.1.2.4.70" => Compression::Jpeg,
            "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => Compression::Jpeg2000,
            "1.2.840.10008.1.2.4.80" => Compression::Unread("JPEG-LS (lossless)".into()),
            "1.2.840.10008.1.2.4.81" => Compression::Unread("JPEG-LS (near-lossless)".into()),
            "1.2.840.10008.1.2.4.92" | "1.2.840.10008.1.2.4.93" => {
                Compression::Unread("JPEG 2000 part 2".into())
            }
            "1.2.840.10008.1.2.4.110" | "1.2.840.10008.1.2.4.111" | "1.2.840.10008.1.2.4.112" => {
                Compression::Unread("JPEG XL".into())
            }
            "1.2.840.10008.1.2.4.201" | "1.2.840.10008.1.2.4.202" | "1.2.840.10008.1.2.4.203" => {
                Compression::Unread("HTJ2K (high-throughput JPEG 2000)".into())
            }
            video if video.starts_with("1.2.840.10008.1.2.4.10") => {
                Compression::Unread("video".into())
            }
            other => Compression::Unread(other.into()),
        };
        Syntax {
            coding: Coding::Explicit,
            deflated: false,
            compression,
        }
    }
}
