//! `gradlens explain`: pictures in; overlays, figures, maps and reports out.

use std::fs;
use std::process::ExitCode;

use indicatif::ProgressBar;

use super::args;
use super::batch::order::in_order;
use super::batch::pictures::{self, Job};
use super::batch::scores::Scores;
use super::batch::shown::Shown;
use super::batch::table::{Row, Table};
use super::batch::work::{Work, remove_parts};
use super::failure::Failure;
use super::ready::Ready;
use super::waiting::Waiting;
use super::{Outcome, files, keys, say};
use crate::guard::caught;
use crate::report::Report;

pub fn run(arguments: &args::Explain) -> Outcome {
    let Ready {
        place,
        explainer,
        lungs,
        requests,
        wanted,
    } = Ready::of(&arguments.ask)?;
    fs::create_dir_all(&arguments.out)
        .map_err(|error| Failure::of(&arguments.out, files::reason(&error)))?;

    let pictures = pictures::expand(&arguments.pictures)?;
    let places = pictures
        .iter()
        .filter_map(|picture| Some((picture.canonicalize().ok()?, picture.clone())));
    let work = Work {
        explainer: &explainer,
        lungs: lungs.as_ref(),
        requests,
        wanted,
        inputs: places.collect(),
        watch: Waiting::of(pictures.len(), arguments.json),
        key: arguments.sign.as_deref().map(keys::private).transpose()?,
        arguments,
    };
    if arguments.resume {
        remove_parts(&arguments.out);
    }
    let labels = explainer.model.manifest.labels.iter();
    let labels: Vec<String> = labels.map(|label| label.id.clone()).collect();
    let mut results = Results {
        json: arguments.json,
        table: arguments
            .table
            .as_deref()
            .map(|file| Table::begin(file, labels.clone()))
            .transpose()?,
        scores: arguments
            .scores
            .as_deref()
            .map(|file| Scores::begin(file, &labels))
            .transpose()?,
        progress: super::progress(pictures.len(), arguments.json, "pictures"),
        shown: Shown::default(),
        failures: Vec::new(),
    };
    place.run(|| {
        in_order(
            pictures::jobs(pictures).into_iter(),
            |job| {
                let done = caught(|| work.run(&job));
                let done = done.unwrap_or_else(|panic| vec![Err(Failure::of(&job.picture, panic))]);
                (job, done)
            },
            |(job, done)| {
                results.progress.inc(1);
                done.into_iter().all(|one| results.take(&job, one))
            },
        );
    })?;
    results.end(&explainer.model.manifest.notice)
}

/// What becomes of results as they come in, in the order of the pictures.
struct Results {
    json: bool,
    table: Option<Table>,
    scores: Option<Scores>,
    progress: ProgressBar,
    shown: Shown,
    failures: Vec<Failure>,
}

impl Results {
    /// Takes the next result; `false` where there is no use in going on.
    fn take(&mut self, job: &Job, done: Result<Box<Report>, Failure>) -> bool {
        if let Some(table) = &mut self.table {
            let row = match &done {
                Ok(report) => Row::Done(report),
                Err(failure) => Row::Failed(failure.reason().to_owned()),
            };
            if let Err(failure) = table.add(&job.picture, &row) {
                self.failures.push(failure);
                self.table = None;
                return false;
            }
        }
        if let (Some(scores), Ok(report)) = (&mut self.scores, &done)
            && let Err(failure) = scores.add(&job.picture, report)
        {
            self.failures.push(failure);
            self.scores = None;
            return false;
        }
        match done {
            Err(failure) => self.failures.push(failure),
            Ok(report) if self.json => match serde_json::to_string(&report) {
                Ok(line) => say(&line),
                Err(error) => self.failures.push(Failure::of(&job.picture, error)),
            },
            Ok(report) => self.shown.add(&report),
        }
        true
    }

    fn end(self, notice: &str) -> Outcome {
        self.progress.finish_and_clear();
        let mut failures = self.failures;
        if let Some(Err(failure)) = self.table.map(Table::end) {
            failures.push(failure);
        }
        if let Some(Err(failure)) = self.scores.map(Scores::end) {
            failures.push(failure);
        }
        if !self.json {
            self.shown.print(notice);
        }
        match failures.is_empty() {
            true => Ok(ExitCode::SUCCESS),
            false => Err(failures),
        }
    }
}

/// `--help` names the methods; this keeps it honest.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::METHODS;
    use clap::CommandFactory;

    #[test]
    fn help_names_every_method() {
        let mut command = args::Arguments::command();
        let explain = command.find_subcommand_mut("explain").unwrap();
        // Without line breaks, which may fall into a name.
        let squeezed = |text: &str| text.split_whitespace().collect::<String>();
        let help = squeezed(&explain.render_long_help().to_string());
        assert!(
            METHODS.iter().all(|method| help.contains(method.id())),
            "{help}"
        );
        assert!(help.contains(&squeezed("Not for diagnostic use")));
    }
}
