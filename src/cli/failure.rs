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

    /// Why, without the file's name.
    pub fn reason(&self) -> &str {
        &self.reason
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
            // A name may hold line breaks or escape sequences; a message must not.
            Some(file) => write!(
                f,
                "{}: {}",
                printable(&file.to_string_lossy()),
                printable(&self.reason)
            ),
            None => f.write_str(&printable(&self.reason)),
        }
    }
}

impl From<Failure> for Vec<Failure> {
    fn from(failure: Failure) -> Self {
        vec![failure]
    }
}

/// The text with its control characters escaped.
fn printable(text: &str) -> String {
    let escape = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::of(Path::new("a\n\u{1b}[2Jb.png"), "is\n  damaged");
        assert_eq!(failure.to_string(), "a\\n\\u{1b}[2Jb.png: is damaged");
    }
}
