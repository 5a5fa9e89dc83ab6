//! `gradlens verify`: reports in, a verdict on each out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use ed25519_dalek::VerifyingKey;
use indicatif::ParallelProgressIterator as _;
use rayon::prelude::*;
use serde::Serialize;

use super::args::{self, Device};
use super::claims::{self, Claim};
use super::failure::Failure;
use super::shelf::{Found, Models, Pictures};
use super::{DIFFERS, Outcome, files, keys, say, tell};
use crate::engine::Tract;
use crate::explain::{ExplainError, Explainer};
use crate::guard::caught;
use crate::image::Limits;
use crate::lungs::Lungs;
use crate::model::{Label, Model};
use crate::report::Report;
use crate::report::verify::{Comparison, Difference, Tolerances, compare};
use crate::study::{Request, Study, StudyError};

pub fn run(arguments: &args::Verify) -> Outcome {
    if arguments.device == Device::Cuda {
        return Err(Failure::usage("this build has no CUDA path; use --device cpu").into());
    }
    let tolerances = arguments
        .tolerance
        .map_or_else(Tolerances::default, Tolerances::of);
    let (claims, failures) = claims::read(&arguments.reports);
    if claims.is_empty() && failures.is_empty() {
        let given: Vec<String> = arguments
            .reports
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(Failure::usage(format!("no report in {}", given.join(", "))).into());
    }
    let key = arguments.key.as_deref().map(keys::public).transpose()?;
    let desk = Desk {
        key,
        pictures: Pictures::below(&arguments.pictures)?,
        models: Models::at(arguments.model.as_deref())?,
        tolerances,
        open: Mutex::default(),
    };
    let progress = super::progress(claims.len(), arguments.json, "reports");
    let checks: Vec<Check> = claims
        .par_iter()
        .progress_with(progress.clone())
        .map(|claim| desk.check(claim))
        .collect();
    progress.finish_and_clear();
    tell(&failures);
    if arguments.json {
        for check in &checks {
            match serde_json::to_string(check) {
                Ok(line) => say(&line),
                Err(error) => return Err(Failure::usage(error).into()),
            }
        }
    } else {
        say(&table(&checks));
        say(&summary(&checks, &tolerances));
    }
    let any = |verdict: Verdict| checks.iter().any(|check| check.verdict == verdict);
    if any(Verdict::Differs) {
        Ok(ExitCode::from(DIFFERS))
    } else if any(Verdict::CannotCheck) || !failures.is_empty() {
        Ok(ExitCode::from(super::BAD_INPUT))
    } else {
        Ok(ExitCode::SUCCESS)
    }
}

/// What a report comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Verdict {
    #[serde(rename = "holds")]
    Holds,
    #[serde(rename = "differs")]
    Differs,
    #[serde(rename = "cannot check")]
    CannotCheck,
}

impl Verdict {
    const fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Differs => "differs",
            Self::CannotCheck => "cannot check",
        }
    }
}

/// A verdict and what it rests on.
#[derive(Debug, Serialize)]
struct Check {
    /// Where the report was found.
    report: String,
    /// Name of its picture.
    picture: String,
    /// Id of its model.
    model: String,
    verdict: Verdict,
    /// Why it cannot be checked, or under what it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(flatten)]
    comparison: Comparison,
}

/// Everything that verdicts are found with.
struct Desk {
    /// Who must have signed.
    key: Option<VerifyingKey>,
    pictures: Pictures,
    models: Models,
    tolerances: Tolerances,
    open: Mutex<HashMap<Key, Opened>>,
}

/// What two reports share that one explainer serves: the model's file, the layer, and settings where the report brings its own.
type Key = (PathBuf, String, String);

/// A model made ready, or why it cannot be.
type Opened = Result<Arc<Ready>, Stop>;

struct Ready {
    explainer: Explainer,
    lungs: Option<Lungs>,
    /// Whether the settings are the report's own.
    own: bool,
}

/// Why there is no comparison.
#[derive(Debug, Clone)]
enum Stop {
    /// Something is missing here.
    Cannot(String),
    /// The report says what cannot be.
    Differs(Difference),
}

impl Stop {
    fn differs(what: &str, claimed: impl ToString, found: impl ToString) -> Stop {
        Stop::Differs(Difference {
            what: what.into(),
            claimed: claimed.to_string(),
            found: found.to_string(),
        })
    }
}

impl Desk {
    /// Finds the verdict on one report.
    fn check(&self, claim: &Claim) -> Check {
        let report = claim.report.as_deref();
        let outcome = match &report {
            Err(reason) => Err(Stop::Cannot((*reason).clone())),
            Ok(report) => {
                caught(|| self.repeat(report)).unwrap_or_else(|panic| Err(Stop::Cannot(panic)))
            }
        };
        let (mut verdict, reason, mut comparison) = match outcome {
            Ok((comparison, own)) => {
                let note = "under the report's own settings: the model has no manifest";
                let verdict = if comparison.holds() {
                    Verdict::Holds
                } else {
                    Verdict::Differs
                };
                (verdict, own.then(|| note.to_owned()), comparison)
            }
            Err(Stop::Cannot(reason)) => {
                (Verdict::CannotCheck, Some(reason), Comparison::default())
            }
            Err(Stop::Differs(difference)) => {
                let differences = vec![difference];
                (
                    Verdict::Differs,
                    None,
                    Comparison {
                        differences,
                        ..Comparison::default()
                    },
                )
            }
        };
        if let (Ok(_), Err(reason)) = (&report, keys::check(&claim.json, self.key.as_ref())) {
            // A report with a false signature is false, whatever else can be said of it.
            verdict = Verdict::Differs;
            comparison.differences.insert(
                0,
                Difference {
                    what: "signature".into(),
                    claimed: "valid".into(),
                    found: reason,
                },
            );
        }
        Check {
            report: claim.from.clone(),
            picture: report
                .as_ref()
                .map(|report| report.picture.name.clone())
                .unwrap_or_default(),
            model: report
                .as_ref()
                .map(|report| report.model.id.clone())
                .unwrap_or_default(),
            verdict,
            reason,
            comparison,
        }
    }

    /// Makes the report again and compares; also whether under the report's own settings.
    fn repeat(&self, report: &Report) -> Result<(Comparison, bool), Stop> {
        let file = match self.models.find(&report.model) {
            Found::Yes(file) => file,
            Found::Other(sha256) => {
                return Err(Stop::differs("model.sha256", &report.model.sha256, sha256));
            }
            Found::No => {
                return Err(Stop::Cannot(format!(
                    "its model '{}' ({}) is not at hand; at hand are: {}",
                    report.model.id,
                    report.model.sha256,
                    self.models.ids()
                )));
            }
        };
        let bytes = match self.pictures.find(&report.picture) {
            Found::Yes(bytes) => bytes,
            Found::Other(sha256) => {
                return Err(Stop::differs(
                    "picture.sha256",
                    &report.picture.sha256,
                    sha256,
                ));
            }
            Found::No => {
                return Err(Stop::Cannot(format!(
                    "no picture with its checksum {} is at hand",
                    report.picture.sha256
                )));
            }
        };
        let ready = self.ready(file, report)?;
        let explainer = &ready.explainer;
        let study = Study::open(
            explainer,
            ready.lungs.as_ref(),
            &report.picture.name,
            &bytes,
            &Limits::default(),
        );
        let study = study.map_err(|error| Stop::Cannot(format!("its picture {error}")))?;
        let manifest = &explainer.model.manifest;
        let index = |label: &String| {
            let found = manifest.labels.iter().position(|known| known.id == *label);
            found.ok_or_else(|| Stop::differs("explained.contrast", label, "no such class"))
        };
        let request = Request {
            class: Some(report.explained.index),
            contrast: report.explained.contrast.as_ref().map(index).transpose()?,
            method: Some(report.method.clone()),
            target: Some(report.explained.target),
        };
        let answer = study
            .ask(explainer, &request)
            .map_err(|error| match error {
                StudyError::Explain(ExplainError::NoClass { .. }) => Stop::differs(
                    "explained.index",
                    report.explained.index,
                    format!("{} classes", manifest.labels.len()),
                ),
                error => Stop::Cannot(error.to_string()),
            })?;
        Ok((compare(report, &answer.report, &self.tolerances), ready.own))
    }

    /// The model of a report at its layer, opened once for all reports that share them.
    fn ready(&self, file: &Path, report: &Report) -> Opened {
        let cannot =
            |error: &dyn ToString| Stop::Cannot(format!("its model: {}", error.to_string()));
        // One model is opened at a time: two would need twice the memory, and the second may be the first again.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = match files::has_manifest(file) {
            true => String::new(),
            false => {
                serde_json::to_string(&(&report.preprocessing.rules, report.preprocessing.input))
                    .map_err(|error| cannot(&error))?
            }
        };
        let key = (file.to_owned(), report.layer.clone(), settings);
        if let Some(opened) = open.get(&key) {
            return opened.clone();
        }
        let opened = open_for(file, report).map_err(|stop| match stop {
            Err(failure) => cannot(&failure),
            Ok(stop) => stop,
        });
        let opened = opened.map(Arc::new);
        open.insert(key, opened.clone());
        opened
    }
}

/// Opens a report's model at its layer.
fn open_for(file: &Path, report: &Report) -> Result<Ready, Result<Stop, Failure>> {
    let mut model = files::open_model(file).map_err(Err)?;
    let own = model.guessed;
    if own {
        model = under_settings_of(report, file, &model).map_err(Err)?;
    }
    if model.find_layer(&report.layer).is_err() {
        return Err(Ok(Stop::differs("layer", &report.layer, "no such layer")));
    }
    let lungs = files::open_companion(file, &model, &Tract).map_err(Err)?;
    let explainer = Explainer::new(Arc::new(Tract), Arc::new(model), Some(&report.layer));
    let explainer = explainer.map_err(|error| Err(Failure::of(file, error)))?;
    Ok(Ready {
        explainer,
        lungs,
        own,
    })
}

/// A model without a manifest, with the settings that a report was made under.
fn under_settings_of(report: &Report, file: &Path, model: &Model) -> Result<Model, Failure> {
    let mut manifest = model.manifest.clone();
    manifest.preprocessing = report.preprocessing.rules.clone();
    [manifest.input.width, manifest.input.height] = report.preprocessing.input;
    manifest.notice = report.notice.clone();
    let labels = report.scores.iter().map(|score| Label {
        id: score.label.clone(),
        name: score.label.clone(),
    });
    manifest.labels = labels.collect();
    files::open_model_as(file, &manifest)
}

/// A row a report that does not hold.
fn table(checks: &[Check]) -> String {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["report", "verdict", "what", "claimed", "found"]);
    for check in checks {
        let differences = &check.comparison.differences;
        let column = |of: fn(&Difference) -> &String| {
            let shown: Vec<&str> = differences
                .iter()
                .take(MOST_ROWS)
                .map(|difference| of(difference).as_str())
                .collect();
            shown.join("\n")
        };
        let mut what = column(|difference| &difference.what);
        if differences.len() > MOST_ROWS {
            what.push_str(&format!("\nand {} more", differences.len() - MOST_ROWS));
        }
        let what = match (&check.reason, what.is_empty()) {
            (Some(reason), true) => reason.clone(),
            (_, true) => check.nearness(),
            _ => what,
        };
        table.add_row([
            check.report.clone(),
            check.verdict.words().into(),
            what,
            column(|difference| &difference.claimed),
            column(|difference| &difference.found),
        ]);
    }
    table.to_string()
}

/// Differences of one report that the table shows.
const MOST_ROWS: usize = 6;

impl Check {
    /// How near claim and repetition are.
    fn nearness(&self) -> String {
        let map = self
            .comparison
            .map
            .map(|map| format!(", map within {map:.1e} of its range"));
        format!(
            "scores within {:.1e}{}",
            self.comparison.scores,
            map.unwrap_or_default()
        )
    }
}

/// The last line.
fn summary(checks: &[Check], tolerances: &Tolerances) -> String {
    let count = |verdict: Verdict| {
        checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    };
    format!(
        "{} hold, {} differ, {} cannot be checked (tolerance {} for scores and {} of a map's range)",
        count(Verdict::Holds),
        count(Verdict::Differs),
        count(Verdict::CannotCheck),
        tolerances.score,
        tolerances.map
    )
}
