//! The scores of a call as CSV (RFC 4180), for spreadsheets; the page writes the same columns.

use std::path::{Path, PathBuf};

use csv::{Terminator, Writer, WriterBuilder};

use super::super::failure::Failure;
use super::super::files;
use crate::report::Report;

/// A table that is being written.
pub struct Scores {
    place: PathBuf,
    rows: Writer<Vec<u8>>,
    /// Of the last row.
    picture: Option<PathBuf>,
}

impl Scores {
    /// Begins a table that goes to `place`, of a classifier of these labels.
    pub fn begin(place: &Path, labels: &[String]) -> Result<Scores, Failure> {
        let mut scores = Scores {
            place: place.to_owned(),
            rows: WriterBuilder::new()
                .terminator(Terminator::CRLF)
                .from_writer(Vec::new()),
            picture: None,
        };
        let fixed = [
            "picture",
            "sha256",
            "width",
            "height",
            "model",
            "model_sha256",
            "predicted",
            "gate_passed",
        ];
        let mut heads: Vec<String> = fixed.map(String::from).to_vec();
        heads.extend(labels.iter().map(|label| format!("probability_{label}")));
        heads.extend(labels.iter().map(|label| format!("logit_{label}")));
        scores.write(&heads)?;
        Ok(scores)
    }

    /// Adds the row of a picture's report; another question about the same picture has the same scores.
    pub fn add(&mut self, picture: &Path, report: &Report) -> Result<(), Failure> {
        if self.picture.as_deref() == Some(picture) {
            return Ok(());
        }
        self.picture = Some(picture.to_owned());
        let gate = report
            .companion
            .as_ref()
            .and_then(|entry| entry.gate.as_ref());
        let mut row = vec![
            harmless(&report.picture.name),
            report.picture.sha256.clone(),
            report.picture.width.to_string(),
            report.picture.height.to_string(),
            harmless(&report.model.id),
            report.model.sha256.clone(),
            report
                .best()
                .map(|score| harmless(&score.label))
                .unwrap_or_default(),
            gate.map(|gate| gate.passed.to_string()).unwrap_or_default(),
        ];
        let scores = &report.scores;
        row.extend(scores.iter().map(|score| score.probability.to_string()));
        row.extend(scores.iter().map(|score| score.logit.to_string()));
        self.write(&row)
    }

    /// Writes the file.
    pub fn end(self) -> Result<(), Failure> {
        let bytes = self
            .rows
            .into_inner()
            .map_err(|error| Failure::of(&self.place, error))?;
        files::write(&self.place, &bytes)
    }

    fn write(&mut self, row: &[String]) -> Result<(), Failure> {
        self.rows
            .write_record(row)
            .map_err(|error| Failure::of(&self.place, error))
    }
}

/// A text that no spreadsheet takes for a formula: a quote goes before what would begin one.
fn harmless(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_a_formula_is_a_text() {
        for (given, written) in [
            ("=1+1.jpg", "'=1+1.jpg"),
            ("-x", "'-x"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("a=b.png", "a=b.png"),
            ("", ""),
        ] {
            assert_eq!(harmless(given), written);
        }
    }
}
