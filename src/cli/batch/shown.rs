//! Results on a terminal: a row a picture, and a count where there are many.

use std::collections::BTreeMap;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};

use super::super::say;
use crate::render::{Peak, peak};
use crate::report::{CompanionEntry, Report};

/// Rows that a terminal is given; of the others only the counts.
const MOST_ROWS: usize = 100;

/// What is shown when all is done.
#[derive(Debug)]
pub struct Shown {
    table: Table,
    rows: usize,
    /// How many pictures have their highest score for each class.
    best: BTreeMap<String, usize>,
    warnings: Vec<String>,
    /// What is not shown of files that hold more than a picture.
    notes: Vec<String>,
}

impl Default for Shown {
    fn default() -> Self {
        let mut table = Table::new();
        table
            .load_style(UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(["picture", "scores", "explained", "map", "highest at"]);
        Shown {
            table,
            rows: 0,
            best: BTreeMap::new(),
            warnings: Vec::new(),
            notes: Vec::new(),
        }
    }
}

impl Shown {
    /// Takes a result.
    pub fn add(&mut self, report: &Report) {
        self.rows += 1;
        if let Some(best) = report.best() {
            *self.best.entry(best.label.clone()).or_default() += 1;
        }
        if let Some(warning) = report.companion.as_ref().and_then(CompanionEntry::warning) {
            self.warnings
                .push(format!("{} {warning}", report.picture.name));
        }
        if let Some(note) = &report.picture.note {
            self.notes
                .push(format!("{} is {note}", report.picture.name));
        }
        if self.rows > MOST_ROWS {
            return;
        }
        let mut scores: Vec<_> = report.scores.iter().collect();
        scores.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let scores: Vec<String> = scores
            .iter()
            .take(5)
            .map(|score| format!("{} {:.3}", score.label, score.probability))
            .collect();
        let contrast = report
            .explained
            .contrast
            .as_ref()
            .map(|label| format!(" rather than {label}"));
        let against = match report.explained.counterfactual {
            true => "against ",
            false => "",
        };
        let smooth = report.smooth.iter().map(|way| format!(", {way}"));
        let explained = format!(
            "{against}{}{}\n{} of the {}, {}{}",
            report.explained.label,
            contrast.unwrap_or_default(),
            report.method,
            report.explained.target,
            report.manner().layers.join(" and "),
            smooth.collect::<String>()
        );
        let map = format!(
            "{} x {}\n{:.4} to {:.4}",
            report.map.width, report.map.height, report.map.min, report.map.max
        );
        let (width, height) = (report.picture.width, report.picture.height);
        let peak = match (&report.map.empty, peak_of(report)) {
            (Some(why), _) => why.clone(),
            (None, Some(peak)) => format!(
                "{:.0}, {:.0}\n{}",
                peak.x,
                peak.y,
                peak.words(width, height)
            ),
            (None, None) => String::new(),
        };
        self.table.add_row([
            report.picture.name.clone(),
            scores.join("\n"),
            explained,
            map,
            peak,
        ]);
    }

    /// Prints what there is: what must be said before any score, the rows, the notice.
    pub fn print(self, notice: &str) {
        if self.rows == 0 {
            return;
        }
        for warning in self.warnings.iter().take(MOST_ROWS) {
            say(warning);
        }
        for note in self.notes.iter().take(MOST_ROWS) {
            say(note);
        }
        say(&self.table.to_string());
        if self.rows > MOST_ROWS {
            let counts: Vec<String> = self
                .best
                .iter()
                .map(|(label, count)| format!("{label} {count}"))
                .collect();
            say(&format!(
                "{} pictures, of which the first {MOST_ROWS} are above; highest score: {}",
                self.rows,
                counts.join(", ")
            ));
            if !self.warnings.is_empty() {
                say(&format!(
                    "{} of them do not look like what the model was made for",
                    self.warnings.len()
                ));
            }
        }
        say(notice);
    }
}

/// The highest place of a report's map.
fn peak_of(report: &Report) -> Option<Peak> {
    peak(&report.map.array()?.view(), report.preprocessing.region)
}
