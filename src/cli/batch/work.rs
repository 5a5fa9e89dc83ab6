//! One picture of a call: explained, written, and not done twice.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use serde::Serialize;

use super::super::args::{self, File};
use super::super::failure::Failure;
use super::super::waiting::Waiting;
use super::super::{files, keys};
use super::pictures::Job;
use crate::explain::{Explainer, method};
use crate::image::{Limits, Wanted, decode_as};
use crate::lungs::Lungs;
use crate::model::sha256_hex;
use crate::regions::Coco;
use crate::report::Report;
use crate::study::{Request, Study};

/// The share of the map's largest value from which on a region is proposed, where nothing is said.
const THRESHOLD: f64 = 0.5;

/// What every picture of a call is explained with.
pub struct Work<'a> {
    pub explainer: &'a Explainer,
    pub lungs: Option<&'a Lungs>,
    /// A question a class.
    pub requests: Vec<Request>,
    pub wanted: Wanted,
    /// The pictures of the call by where they really are.
    pub inputs: HashMap<PathBuf, PathBuf>,
    pub watch: Waiting,
    pub key: Option<SigningKey>,
    pub arguments: &'a args::Explain,
}

impl Work<'_> {
    /// Where the result of a question goes: `STEM.overlay.png`, and with several classes `STEM.CLASS.overlay.png`.
    fn result(&self, job: &Job, request: &Request, file: File) -> PathBuf {
        let labels = &self.explainer.model.manifest.labels;
        let class = match (self.requests.len(), request.class) {
            (1, _) | (_, None) => String::new(),
            (_, Some(index)) => match labels.get(index).map(|label| label.id.as_str()) {
                Some(id) if id.chars().all(in_names) && !id.is_empty() => format!("{id}."),
                _ => format!("class-{index}."),
            },
        };
        let name = format!("{}.{class}{}", job.stem, file.ending());
        self.arguments.out.join(name)
    }

    /// The files to write; the report is the last, so that where it is the others are.
    fn files(&self) -> impl Iterator<Item = File> {
        File::ALL.into_iter().filter(|file| match file {
            File::Annotations if self.arguments.annotations.is_some() => true,
            file => self.arguments.files.contains(file),
        })
    }

    /// The threshold of proposals.
    fn threshold(&self) -> f64 {
        self.arguments.annotations.unwrap_or(THRESHOLD)
    }

    /// Refuses to replace a picture of the same call by a result.
    fn spare(&self, job: &Job) -> Result<(), Failure> {
        let every = self
            .requests
            .iter()
            .flat_map(|request| self.files().map(|file| self.result(job, request, file)));
        let existing = every.filter_map(|file| file.canonicalize().ok());
        match existing.filter_map(|file| self.inputs.get(&file)).next() {
            None => Ok(()),
            Some(picture) => {
                let reason = format!(
                    "its result would replace {}, a picture of this call; name another folder with --out",
                    picture.display()
                );
                Err(Failure::of(&job.picture, reason))
            }
        }
    }

    /// Explains a picture and writes its files, unless they are there: a result for each question.
    pub fn run(&self, job: &Job) -> Vec<Result<Box<Report>, Failure>> {
        let bytes = self.spare(job).and_then(|()| files::read(&job.picture));
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(failure) => return vec![Err(failure)],
        };
        // Opened for the first question that is not answered yet, for all of them.
        let mut study = None;
        let mut results = Vec::with_capacity(self.requests.len());
        for request in &self.requests {
            if let Some(report) = self.done_before(job, request, &bytes) {
                results.push(Ok(report));
                continue;
            }
            let opened = match study.take() {
                Some(study) => Ok(study),
                None => self.open(job, &bytes),
            };
            match opened {
                Ok(opened) => {
                    results.push(self.answer(job, request, &opened));
                    study = Some(opened);
                }
                Err(failure) => {
                    results.push(Err(failure));
                    break;
                }
            }
        }
        results
    }

    fn open(&self, job: &Job, bytes: &[u8]) -> Result<Study, Failure> {
        let name = job
            .picture
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let limits = Limits::default();
        let (explainer, lungs) = (self.explainer, self.lungs);
        let study = Study::open_as(explainer, lungs, &name, bytes, &limits, &self.wanted);
        study.map_err(|error| Failure::of(&job.picture, error))
    }

    /// Answers one question and writes the files.
    fn answer(&self, job: &Job, request: &Request, study: &Study) -> Result<Box<Report>, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::of(&job.picture, error);
        let mut answer = study
            .ask_watched(self.explainer, request, &self.watch)
            .map_err(|error| failed(&error))?;
        if let Some(key) = &self.key {
            keys::sign_report(key, &mut answer.report).map_err(|error| failed(&error))?;
        }
        let (colormap, opacity) = (self.arguments.colormap, self.arguments.opacity);
        for file in self.files() {
            let bytes = match file {
                File::Overlay => answer
                    .overlay_png(study, colormap, opacity)
                    .map_err(|error| failed(&error))?,
                File::Figure => answer
                    .figure_png(study, colormap, opacity)
                    .map_err(|error| failed(&error))?,
                File::Map => answer.map_npy().map_err(|error| failed(&error))?,
                File::Annotations => {
                    let annotations = answer.annotations(self.explainer, self.threshold());
                    json(&annotations.map_err(|error| failed(&error))?)
                        .map_err(|error| failed(&error))?
                }
                File::Page => answer
                    .html(study, self.explainer, (colormap, opacity), &[], &[])
                    .map_err(|error| failed(&error))?
                    .into_bytes(),
                File::Report => json(&answer.report).map_err(|error| failed(&error))?,
            };
            files::write(&self.result(job, request, file), &bytes)?;
        }
        Ok(Box::new(answer.report))
    }

    /// The report of an earlier call that asked the same of the same picture and wrote all its files.
    fn done_before(&self, job: &Job, request: &Request, bytes: &[u8]) -> Option<Box<Report>> {
        if !self.arguments.resume
            || !self
                .files()
                .all(|file| self.result(job, request, file).is_file())
        {
            return None;
        }
        let text = fs::read(self.result(job, request, File::Report)).ok()?;
        let report: Box<Report> = serde_json::from_slice(&text).ok()?;
        let explainer = self.explainer;
        let manifest = &explainer.model.manifest;
        let best = || report.best().map(|score| score.index);
        let contrast = request
            .contrast
            .and_then(|index| manifest.labels.get(index))
            .map(|label| &label.id);
        let method = request.method.as_deref().and_then(|id| method(id).ok())?;
        let same = report.picture.sha256 == sha256_hex(bytes)
            && report.model.sha256 == explainer.model.sha256
            && report.model.gradient_sha256 == explainer.gradient_sha256()
            && report.preprocessing.rules == manifest.preprocessing
            && Some(report.explained.index) == request.class.or_else(best)
            && report.explained.contrast.as_ref() == contrast
            && report.explained.target == request.target.unwrap_or_else(|| method.target())
            && report.method == method.id()
            && report.explained.counterfactual == request.counterfactual
            && report.manner() == explainer.manner()
            && report.signature.is_some() == self.key.is_some()
            && self.seen_alike(&report, bytes);
        let as_high = || {
            let text = fs::read(self.result(job, request, File::Annotations)).ok()?;
            let written: Coco = serde_json::from_slice(&text).ok()?;
            written.info.get("threshold")?.as_f64()
        };
        let same = same
            && (self.files().all(|file| file != File::Annotations)
                || as_high() == Some(self.threshold()));
        same.then_some(report)
    }

    /// Whether a report's picture was seen through the window that is wanted now.
    fn seen_alike(&self, report: &Report, bytes: &[u8]) -> bool {
        if report.picture.window.is_none() && self.wanted == Wanted::Usual {
            return true;
        }
        let decoded = decode_as(bytes, &Limits::default(), &self.wanted).ok();
        let levels = decoded.and_then(|decoded| decoded.levels);
        levels.is_some_and(|levels| levels.applied == report.picture.window)
    }
}

/// Whether a character of a label can stand in a file's name anywhere.
fn in_names(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// JSON for a file.
fn json(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(text)
}

/// Removes what an interrupted call left of files that it was writing.
pub fn remove_parts(out: &Path) {
    for entry in fs::read_dir(out).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let begun = name
            .strip_suffix(".part")
            .and_then(|name| name.rsplit_once('.'));
        let own = begun.is_some_and(|(file, process)| {
            process.bytes().all(|c| c.is_ascii_digit())
                && File::ALL.iter().any(|kind| file.ends_with(kind.ending()))
        });
        if own {
            // One that stays is only untidy.
            let _ = fs::remove_file(entry.path());
        }
    }
}
