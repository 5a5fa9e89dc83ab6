//! What becomes of verdicts as they come in, in the order of the reports.

use std::process::ExitCode;
use std::time::Instant;

use indicatif::ProgressBar;

use super::super::args;
use super::super::failure::Failure;
use super::super::{BAD_INPUT, DIFFERS, Outcome, bar, say, tell};
use super::desk::Desk;
use super::log::Log;
use super::page::Page;
use super::reports::Raw;
use super::shown::Shown;
use super::table::Table;
use crate::verdict::{Check, Verdict};

/// A report and the verdict on it, which there is none on where it is no report and nobody asked.
pub type Judged = Result<(Raw, Option<Check>), Failure>;

/// Where verdicts go.
pub struct Results {
    json: bool,
    pub log: Option<Log>,
    table: Option<Table>,
    page: Option<Page>,
    shown: Shown,
    progress: Progress,
    failures: Vec<Failure>,
    /// Whether the work was given up.
    stopped: bool,
}

/// How far the work is, in bytes: how many reports a file has is known at its end.
struct Progress {
    bar: ProgressBar,
    begun: Instant,
    reports: u64,
}

impl Results {
    /// Opens what is to be written, all but the file of verdicts. `weight` is the number of bytes of all reports.
    pub fn begin(
        arguments: &args::Verify,
        weight: u64,
        failures: Vec<Failure>,
    ) -> Result<Results, Failure> {
        let template = "{bar:30} {percent} %, {msg}, {eta} left";
        Ok(Results {
            json: arguments.json,
            log: None,
            table: arguments.table.as_deref().map(Table::begin).transpose()?,
            page: arguments.page.as_deref().map(Page::begin).transpose()?,
            shown: Shown::default(),
            progress: Progress {
                bar: bar(weight, arguments.json, template),
                begun: Instant::now(),
                reports: 0,
            },
            failures,
            stopped: false,
        })
    }

    /// Takes the next verdict; `false` where there is no use in going on.
    pub fn take(&mut self, judged: Judged) -> bool {
        let taken = match judged {
            Err(failure) => {
                self.fail(failure);
                return true;
            }
            Ok((raw, None)) => {
                self.progress.bar.inc(raw.weight);
                return true;
            }
            Ok((raw, Some(check))) => self.write(&check).and_then(|()| self.add(raw, check)),
        };
        match taken {
            Ok(()) => self.progress.more(),
            Err(failure) => {
                self.fail(failure);
                self.stopped = true;
            }
        }
        !self.stopped
    }

    /// Appends a verdict to the file of verdicts.
    fn write(&mut self, check: &Check) -> Result<(), Failure> {
        match &mut self.log {
            Some(log) => log.add(&line(check)?),
            None => Ok(()),
        }
    }

    /// Takes a verdict that is in the file of verdicts.
    pub fn add(&mut self, raw: Raw, check: Check) -> Result<(), Failure> {
        self.progress.bar.inc(raw.weight);
        if self.json {
            say(&line(&check)?);
        }
        if let Some(table) = &mut self.table {
            table.add(&check)?;
        }
        if let Some(page) = &mut self.page {
            page.add(&check, raw);
        }
        self.shown.add(check);
        Ok(())
    }

    /// Takes what went wrong with a file.
    pub fn fail(&mut self, failure: Failure) {
        self.failures.push(failure);
    }

    /// Ends what is written and tells how it went.
    pub fn end(mut self, arguments: &args::Verify, desk: &Desk) -> Outcome {
        self.progress.bar.finish_and_clear();
        let counts = &self.shown.counts;
        if counts.all() == 0 && self.failures.is_empty() {
            let given = arguments.reports.iter();
            let given: Vec<String> = given.map(|path| path.display().to_string()).collect();
            return Err(Failure::usage(format!("no report in {}", given.join(", "))).into());
        }
        if !self.stopped {
            let page = self.page.map(|page| page.end(desk, counts));
            let table = self.table.map(Table::end);
            // The last: where it is, the others are.
            let log = self.log.map(Log::end);
            let ended = [page, table, log].into_iter().flatten();
            self.failures.extend(ended.filter_map(Result::err));
        }
        tell(&self.failures);
        if !self.json {
            self.shown.print(&desk.terms().tolerances);
        }
        let broken = counts.of(Verdict::CannotCheck) > 0 || !self.failures.is_empty();
        Ok(match (counts.of(Verdict::Differs) > 0, broken) {
            (true, _) => ExitCode::from(DIFFERS),
            (false, true) => ExitCode::from(BAD_INPUT),
            (false, false) => ExitCode::SUCCESS,
        })
    }
}

impl Progress {
    /// One report more was judged.
    fn more(&mut self) {
        self.reports += 1;
        let rate = self.reports as f64 / self.begun.elapsed().as_secs_f64();
        let done = format!("{} judged, {rate:.1} a second", self.reports);
        self.bar.set_message(done);
    }
}

/// A verdict as a line.
fn line(check: &Check) -> Result<String, Failure> {
    serde_json::to_string(check)
        .map_err(|error| Failure::usage(format!("{}: {error}", check.report)))
}
