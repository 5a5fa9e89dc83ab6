//! `gradlens evidence`: pictures in; of each map a table of what speaks for and against it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};

use super::args;
use super::batch::order::in_order;
use super::batch::pictures;
use super::failure::Failure;
use super::ready::Ready;
use super::waiting::Waiting;
use super::{Outcome, files, say};
use crate::evidence::{CHECKS, Check, Entry, Evidence, Mask, check};
use crate::guard::caught;
use crate::image::{self, Limits};
use crate::lungs::Lungs;
use crate::report::CompanionEntry;
use crate::study::Study;

/// Columns of a table that goes to no terminal.
const WIDTH: u16 = 140;

pub fn run(arguments: &args::Evidence) -> Outcome {
    let checks = match arguments.checks.is_empty() {
        true => CHECKS.to_vec(),
        false => {
            let found: Result<Vec<_>, _> = arguments.checks.iter().map(|id| check(id)).collect();
            found.map_err(Failure::usage)?
        }
    };
    let ready = Ready::of(&arguments.ask)?;
    ready.request()?;
    let pictures = pictures::expand(&arguments.pictures)?;
    let marks = Marks::of(arguments.mask.as_deref(), pictures.len())?;
    // The model's own companion has looked already.
    let shipped = match ready.lungs {
        None if checks.iter().any(|check| check.id() == "outside-lungs") => {
            files::open_shipped_lungs(ready.place.engine.as_ref())?
        }
        _ => None,
    };
    let work = Work {
        watch: Waiting::of(pictures.len(), arguments.json),
        ready: &ready,
        shipped,
        checks,
        marks,
    };
    let progress = super::progress(pictures.len(), arguments.json, "pictures");
    let (mut failures, mut shown) = (Vec::new(), false);
    ready.place.run(|| {
        in_order(
            pictures.into_iter(),
            |picture| {
                let done = caught(|| work.run(&picture));
                let done = done.unwrap_or_else(|panic| Err(Failure::of(&picture, panic)));
                (picture, done)
            },
            |(picture, done)| {
                progress.inc(1);
                match done {
                    Err(failure) => failures.push(failure),
                    Ok(evidence) if arguments.json => match serde_json::to_string(&evidence) {
                        Ok(line) => say(&line),
                        Err(error) => failures.push(Failure::of(&picture, error)),
                    },
                    Ok(evidence) => {
                        progress.suspend(|| show(&evidence));
                        shown = true;
                    }
                }
                true
            },
        );
    })?;
    progress.finish_and_clear();
    if shown {
        say(&ready.explainer.model.manifest.notice);
    }
    match failures.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(failures),
    }
}

/// What every picture of a call is checked with.
struct Work<'a> {
    ready: &'a Ready,
    shipped: Option<Lungs>,
    checks: Vec<&'static dyn Check>,
    marks: Marks,
    watch: Waiting,
}

impl Work<'_> {
    fn run(&self, picture: &Path) -> Result<Box<Evidence>, Failure> {
        let bytes = files::read(picture)?;
        let name = picture.file_name().unwrap_or_default().to_string_lossy();
        let failed = |error: &dyn std::fmt::Display| Failure::of(picture, error);
        let Ready {
            explainer,
            lungs,
            wanted,
            ..
        } = self.ready;
        let request = self.ready.request()?;
        let limits = Limits::default();
        let study = Study::open_as(explainer, lungs.as_ref(), &name, &bytes, &limits, wanted)
            .map_err(|error| failed(&error))?;
        let mask = self
            .marks
            .on(picture, (study.picture.width(), study.picture.height()))?;
        let evidence = study.evidence(
            explainer,
            request,
            &self.checks,
            mask.as_ref().map_err(Clone::clone),
            self.shipped.as_ref(),
            &self.watch,
        );
        evidence.map(Box::new).map_err(|error| failed(&error))
    }
}

/// Where the masks are.
enum Marks {
    None,
    /// For the one picture.
    File(PathBuf),
    /// One a picture, by its stem.
    Folder(PathBuf),
}

impl Marks {
    fn of(given: Option<&Path>, pictures: usize) -> Result<Marks, Failure> {
        match given {
            None => Ok(Marks::None),
            Some(folder) if folder.is_dir() => Ok(Marks::Folder(folder.to_owned())),
            Some(file) if pictures > 1 => {
                let reason = format!(
                    "is one mask for {pictures} pictures; name a folder that has STEM.png for STEM.jpg"
                );
                Err(Failure::of(file, reason))
            }
            Some(file) => Ok(Marks::File(file.to_owned())),
        }
    }

    /// The mask of a picture of this size, or why there is none.
    fn on(&self, picture: &Path, size: (u32, u32)) -> Result<Result<Mask, String>, Failure> {
        let file = match self {
            Marks::None => {
                return Ok(Err(
                    "It needs what a person marked: give it with --mask.".into()
                ));
            }
            Marks::File(file) => file.clone(),
            Marks::Folder(folder) => {
                let mut name = picture.file_stem().unwrap_or_default().to_owned();
                name.push(".png");
                let file = folder.join(&name);
                if !file.exists() {
                    return Ok(Err(format!(
                        "The folder of masks has no {}.",
                        name.to_string_lossy()
                    )));
                }
                file
            }
        };
        let mask = image::decode(&files::read(&file)?, &Limits::default())
            .map_err(|error| Failure::of(&file, error))?;
        if (mask.width(), mask.height()) != size {
            let reason = format!(
                "has {} x {} pixels and the picture {} has {} x {}: a mask has the picture's size",
                mask.width(),
                mask.height(),
                picture.display(),
                size.0,
                size.1
            );
            return Err(Failure::of(&file, reason));
        }
        Ok(Ok(Mask::of_picture(&mask)))
    }
}

/// Prints the table of a picture.
fn show(evidence: &Evidence) {
    let report = &evidence.report;
    if let Some(warning) = report.companion.as_ref().and_then(CompanionEntry::warning) {
        say(&format!("{} {warning}", report.picture.name));
    }
    let explained = &report.explained;
    let probability = report
        .scores
        .get(explained.index)
        .map_or(0.0, |score| score.probability);
    let contrast = explained
        .contrast
        .as_ref()
        .map(|label| format!(" rather than {label}"));
    say(&format!(
        "{}: {} of {} ({probability:.3}){}, {}, {}",
        report.picture.name,
        report.method,
        explained.label,
        contrast.unwrap_or_default(),
        explained.target,
        report.layer
    ));
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["check", "numbers", "what it says", "what it does not say"]);
    if table.width().is_none() {
        // Sentences without a terminal to wrap them.
        table.set_width(WIDTH);
    }
    for entry in &evidence.checks {
        table.add_row([
            entry.name.clone(),
            numbers(entry),
            entry
                .found
                .as_ref()
                .map(|found| found.says.clone())
                .or_else(|| entry.nothing.clone())
                .unwrap_or_default(),
            entry.does_not_say.clone(),
        ]);
    }
    say(&table.to_string());
}

fn numbers(entry: &Entry) -> String {
    let found = entry.found.iter().flat_map(|found| &found.numbers);
    let lines: Vec<String> = found
        .map(|number| format!("{} {:.3}", number.name, number.value))
        .collect();
    match lines.is_empty() {
        true => "none".into(),
        false => lines.join("\n"),
    }
}

/// `--help` names the checks; this keeps it honest.
#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn help_names_every_check() {
        let mut command = args::Arguments::command();
        let evidence = command.find_subcommand_mut("evidence").unwrap();
        let help: String = evidence
            .render_long_help()
            .to_string()
            .split_whitespace()
            .collect();
        assert!(
            CHECKS.iter().all(|check| help.contains(check.id())),
            "{help}"
        );
        assert!(help.contains("Notfordiagnosticuse"));
    }
}
