//! What went wrong with which file.

use std::fmt;
use std::path::{Path, PathBuf};

/// One line for standard error: the file, and why it has no result.
#[derive(Debug)]
pub struct Failure {
    file: Option<PathBuf>,
    reason: String,
}

impl Failure {
    /// A file and the reason.
    pub fn of(file: &Path, reason: impl fmt::Display) -> Failure {
        // One line, whatever a library's message brings.
        let reason = reason
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        Failure {
            file: Some(file.to_owned()),
            reason,
        }
    }

    /// A wrong argument.
    pub fn usage(reason: impl fmt::Display) -> Failure {
        Failure {
            file: None,
            reason: reason.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}: {}", file.display(), self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl From<Failure> for Vec<Failure> {
    fn from(failure: Failure) -> Self {
        vec![failure]
    }
}
