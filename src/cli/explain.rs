//! `gradlens explain`: pictures in; overlays, figures, maps and reports out.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use ed25519_dalek::SigningKey;
use indicatif::ParallelProgressIterator as _;
use rayon::prelude::*;

use super::args::{self, Device};
use super::failure::Failure;
use super::{Outcome, files, keys, say};
use crate::engine::Tract;
use crate::explain::{ExplainError, Explainer, method};
use crate::guard::caught;
use crate::image::Limits;
use crate::lungs::Lungs;
use crate::model::Model;
use crate::report::CompanionEntry;
use crate::study::{Answer, Request, Study};

pub fn run(arguments: &args::Explain) -> Outcome {
    if arguments.device == Device::Cuda {
        return Err(Failure::usage("this build has no CUDA path; use --device cpu").into());
    }
    let model = files::open_model(&arguments.model)?;
    let lungs = files::open_companion(&arguments.model, &model)?;
    let request = request(&model, arguments)?;
    let explainer = Explainer::new(Arc::new(Tract), Arc::new(model), arguments.layer.as_deref());
    let explainer = explainer.map_err(|error| Failure::of(&arguments.model, error))?;
    fs::create_dir_all(&arguments.out)
        .map_err(|error| Failure::of(&arguments.out, files::reason(&error)))?;

    let key = arguments.sign.as_deref().map(keys::private);
    let jobs = jobs(&arguments.pictures);
    let places = arguments
        .pictures
        .iter()
        .filter_map(|picture| Some((picture.canonicalize().ok()?, picture.as_path())));
    let work = Work {
        explainer: &explainer,
        lungs: lungs.as_ref(),
        request,
        inputs: places.collect(),
        key: key.transpose()?,
        arguments,
    };
    let progress = super::progress(jobs.len(), arguments.json, "pictures");
    let results: Vec<Result<Answer, Failure>> = jobs
        .par_iter()
        .progress_with(progress.clone())
        .map(|job| {
            let done = caught(|| job.run(&work));
            done.unwrap_or_else(|panic| Err(Failure::of(job.picture, panic)))
        })
        .collect();
    progress.finish_and_clear();

    let (answers, failures): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let answers: Vec<Answer> = answers.into_iter().flatten().collect();
    if arguments.json {
        for answer in &answers {
            match serde_json::to_string(&answer.report) {
                Ok(line) => say(&line),
                Err(error) => return Err(Failure::usage(error).into()),
            }
        }
    } else if !answers.is_empty() {
        for report in answers.iter().map(|answer| &answer.report) {
            if let Some(warning) = report.companion.as_ref().and_then(CompanionEntry::warning) {
                say(&format!("{} {warning}", report.picture.name));
            }
        }
        say(&table(&answers));
        say(&explainer.model.manifest.notice);
    }
    let failures: Vec<Failure> = failures.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(failures)
    }
}

/// The question, in the model's indices.
fn request(model: &Model, arguments: &args::Explain) -> Result<Request, Failure> {
    let class = |text: &Option<String>| -> Result<Option<usize>, Failure> {
        let Some(text) = text else { return Ok(None) };
        let index = model.manifest.class_index(text);
        index.map(Some).ok_or_else(|| {
            let labels: Vec<&str> = model
                .manifest
                .labels
                .iter()
                .take(20)
                .map(|label| label.id.as_str())
                .collect();
            let known = labels.join(", ");
            Failure::usage(ExplainError::NoClass {
                asked: format!("'{text}'"),
                known,
            })
        })
    };
    let request = Request {
        class: class(&arguments.class)?,
        contrast: class(&arguments.contrast)?,
        method: Some(arguments.method.clone()),
        target: arguments.target,
    };
    method(&arguments.method).map_err(Failure::usage)?;
    if request.contrast.is_some() && request.class == request.contrast {
        return Err(Failure::usage(ExplainError::itself()));
    }
    Ok(request)
}

/// A picture and the stem that its results are written under.
struct Job<'a> {
    picture: &'a Path,
    stem: String,
}

/// One job a picture. Where two pictures have the same stem the later one's gets a number, so that nothing is overwritten.
fn jobs(pictures: &[PathBuf]) -> Vec<Job<'_>> {
    let mut taken = HashSet::new();
    let mut job = |picture| {
        let stem = Path::file_stem(picture)
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        let stem = std::iter::once(stem.clone())
            .chain(numbered)
            .find(|stem| taken.insert(stem.clone()));
        Job {
            picture,
            stem: stem.unwrap_or_default(),
        }
    };
    pictures
        .iter()
        .map(|picture| job(picture.as_path()))
        .collect()
}

/// The four files of a picture, by what follows its stem.
const KINDS: [&str; 4] = ["overlay.png", "figure.png", "map.npy", "report.json"];

/// What every picture of a call is explained with.
struct Work<'a> {
    explainer: &'a Explainer,
    lungs: Option<&'a Lungs>,
    request: Request,
    /// The pictures by where they really are.
    inputs: HashMap<PathBuf, &'a Path>,
    key: Option<SigningKey>,
    arguments: &'a args::Explain,
}

impl Job<'_> {
    /// Where a result goes.
    fn result(&self, arguments: &args::Explain, kind: &str) -> PathBuf {
        arguments.out.join(format!("{}.{kind}", self.stem))
    }

    /// Refuses to replace a picture of the same call by a result.
    fn spare(&self, work: &Work<'_>) -> Result<(), Failure> {
        let existing = KINDS
            .iter()
            .filter_map(|kind| self.result(work.arguments, kind).canonicalize().ok());
        match existing.filter_map(|file| work.inputs.get(&file)).next() {
            None => Ok(()),
            Some(picture) => {
                let reason = format!(
                    "its result would replace {}, a picture of this call; name another folder with --out",
                    picture.display()
                );
                Err(Failure::of(self.picture, reason))
            }
        }
    }

    /// Explains the picture and writes its four files.
    fn run(&self, work: &Work<'_>) -> Result<Answer, Failure> {
        self.spare(work)?;
        let Work {
            explainer,
            lungs,
            arguments,
            ..
        } = *work;
        let bytes = files::read(self.picture)?;
        let name = self
            .picture
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let failed = |error: &dyn std::fmt::Display| Failure::of(self.picture, error);
        let study = Study::open(explainer, lungs, &name, &bytes, &Limits::default())
            .map_err(|error| failed(&error))?;
        let mut answer = study
            .ask(explainer, &work.request)
            .map_err(|error| failed(&error))?;
        if let Some(key) = &work.key {
            // Through text: a number is signed as it is written, with the digits that an f32 needs.
            let text = serde_json::to_string(&answer.report).map_err(|error| failed(&error))?;
            let json = serde_json::from_str(&text).map_err(|error| failed(&error))?;
            answer.report.signature = Some(keys::sign(key, &json).map_err(|error| failed(&error))?);
        }
        let (colormap, opacity) = (arguments.colormap, arguments.opacity);
        let overlay = answer
            .overlay_png(&study, colormap, opacity)
            .map_err(|error| failed(&error))?;
        let figure = answer
            .figure_png(&study, colormap, opacity)
            .map_err(|error| failed(&error))?;
        let map = answer.map_npy().map_err(|error| failed(&error))?;
        let mut report =
            serde_json::to_vec_pretty(&answer.report).map_err(|error| failed(&error))?;
        report.push(b'\n');
        let results = KINDS.into_iter().zip([overlay, figure, map, report]);
        for (kind, bytes) in results {
            files::write(&self.result(arguments, kind), &bytes)?;
        }
        Ok(answer)
    }
}

/// One row a picture.
fn table(answers: &[Answer]) -> String {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["picture", "scores", "explained", "map", "highest at"]);
    for answer in answers {
        let report = &answer.report;
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
        let explained = format!(
            "{}{}\n{} of the {}, {}",
            report.explained.label,
            contrast.unwrap_or_default(),
            report.method,
            report.explained.target,
            report.layer
        );
        let map = format!(
            "{} x {}\n{:.4} to {:.4}",
            report.map.width, report.map.height, report.map.min, report.map.max
        );
        let (width, height) = (report.picture.width, report.picture.height);
        let peak = match (&answer.map.empty, answer.peak) {
            (Some(why), _) => why.clone(),
            (None, Some(peak)) => format!(
                "{:.0}, {:.0}\n{}",
                peak.x,
                peak.y,
                peak.words(width, height)
            ),
            (None, None) => String::new(),
        };
        table.add_row([
            report.picture.name.clone(),
            scores.join("\n"),
            explained,
            map,
            peak,
        ]);
    }
    table.to_string()
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

    #[test]
    fn the_same_stem_twice_gets_a_number() {
        let pictures = ["a/x.png", "b/x.jpg", "x-2.png", "x.png"].map(PathBuf::from);
        let stems: Vec<String> = jobs(&pictures).into_iter().map(|job| job.stem).collect();
        assert_eq!(stems, ["x", "x-2", "x-2-2", "x-3"]);
    }
}
