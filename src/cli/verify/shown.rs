//! Verdicts on a terminal: the worst first, and a count of all.

use std::collections::HashMap;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};

use super::super::say;
use super::worst::Worst;
use crate::report::verify::{Difference, Tolerances};
use crate::verdict::{Check, Verdict};

/// Rows that a terminal is given.
const MOST_ROWS: usize = 100;

/// Differences of one report that are shown.
const MOST_DIFFERENCES: usize = 6;

/// How many reports came to which verdict.
#[derive(Debug, Default)]
pub struct Counts(HashMap<Verdict, usize>);

impl Counts {
    pub fn of(&self, verdict: Verdict) -> usize {
        self.0.get(&verdict).copied().unwrap_or_default()
    }

    pub fn all(&self) -> usize {
        self.0.values().sum()
    }

    pub fn words(&self) -> String {
        format!(
            "{} hold, {} differ, {} cannot be checked",
            self.of(Verdict::Holds),
            self.of(Verdict::Differs),
            self.of(Verdict::CannotCheck),
        )
    }
}

/// What is shown when all is done.
pub struct Shown {
    pub counts: Counts,
    worst: Worst<Check>,
}

impl Default for Shown {
    fn default() -> Shown {
        Shown {
            counts: Counts::default(),
            worst: Worst::most(MOST_ROWS),
        }
    }
}

impl Shown {
    /// Takes a verdict.
    pub fn add(&mut self, check: Check) {
        *self.counts.0.entry(check.verdict).or_default() += 1;
        self.worst.add(check.rank(), || check);
    }

    /// Prints what there is.
    pub fn print(&self, tolerances: &Tolerances) {
        let all = self.counts.all();
        if all == 0 {
            return;
        }
        let mut table = Table::new();
        table
            .load_style(UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header([
                "report",
                "verdict",
                "what",
                "claimed",
                "found",
                "tolerances",
            ]);
        for check in self.worst.iter() {
            table.add_row(row(check));
        }
        say(&table.to_string());
        if all > MOST_ROWS {
            say(&format!(
                "{all} reports, of which the worst {MOST_ROWS} are above"
            ));
        }
        say(&format!(
            "{} (tolerance {} for scores and {} of a map's range)",
            self.counts.words(),
            tolerances.score,
            tolerances.map
        ));
    }
}

fn row(check: &Check) -> [String; 6] {
    let differences = &check.comparison.differences;
    let column = |of: &dyn Fn(&Difference) -> String| {
        let shown: Vec<String> = differences.iter().take(MOST_DIFFERENCES).map(of).collect();
        shown.join("\n")
    };
    let mut what = column(&|one| one.what.clone());
    if differences.len() > MOST_DIFFERENCES {
        what.push_str(&format!(
            "\nand {} more",
            differences.len() - MOST_DIFFERENCES
        ));
    }
    let what = match (&check.reason, what.is_empty()) {
        (Some(reason), true) => reason.clone(),
        (_, true) => check.nearness().into_owned(),
        _ => what,
    };
    let apart = match (differences.is_empty(), check.comparison.in_tolerances) {
        (true, Some(apart)) => in_words(Some(apart)),
        (true, None) => String::new(),
        (false, _) => column(&|one| in_words(one.in_tolerances)),
    };
    [
        check.report.clone(),
        check.verdict.words().into(),
        what,
        column(&|one| one.claimed.clone()),
        column(&|one| one.found.clone()),
        apart,
    ]
}

/// A number of tolerances.
pub fn in_words(tolerances: Option<f64>) -> String {
    match tolerances {
        None => "must be the same".into(),
        Some(f64::MAX) => "beyond all".into(),
        Some(many) if many >= 1e4 => format!("{many:.1e}"),
        Some(few) if few >= 10.0 => format!("{few:.0}"),
        Some(few) => format!("{few:.2}"),
    }
}
