//! Where reports are judged: it finds what a report names, opens each model once, and comes to a verdict.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::VerifyingKey;

use super::super::failure::Failure;
use super::super::kept::Kept;
use super::super::{files, keys};
use super::claim::Claim;
use super::shelf::{Found, Models, Pictures};
use crate::engine::Engine;
use crate::explain::{Explainer, Manner, Needs, method};
use crate::guard::caught;
use crate::lungs::Lungs;
use crate::model::{Label, Model};
use crate::report::Report;
use crate::report::verify::{Comparison, Difference, Tolerances};
use crate::verdict::{Check, Stop, Terms, Verdict, repeat};

/// Everything that verdicts are found with. It serves many threads at once.
pub struct Desk {
    engine: Arc<dyn Engine>,
    pictures: Pictures,
    models: Arc<Models>,
    /// Who must have signed.
    key: Option<VerifyingKey>,
    terms: Terms,
    open: Kept<Key, Opened>,
}

/// A verdict, and the report as it was made again where it could be.
pub struct Examined {
    pub check: Check,
    pub again: Option<Box<Report>>,
}

/// What two reports share that one explainer serves: the model's file, layers and smoothing, settings where the report brings its own, and the gradient graph of its method.
type Key = (PathBuf, Manner, String, Option<Needs>);

/// Models that are kept open. Reports that each bring another layer or other settings must not fill the memory.
const MOST_OPEN: usize = 8;

/// A model made ready, or why it cannot be.
type Opened = Result<Arc<Ready>, Stop>;

struct Ready {
    explainer: Explainer,
    lungs: Option<Lungs>,
    /// Whether the settings are the report's own.
    own: bool,
}

impl Desk {
    /// A desk that finds models and pictures there, and tolerates this much.
    pub fn new(
        engine: Arc<dyn Engine>,
        models: Arc<Models>,
        pictures: Pictures,
        key: Option<VerifyingKey>,
        tolerances: Tolerances,
    ) -> Desk {
        let terms = Terms {
            tolerances,
            key: key.as_ref().map(keys::written),
            models: models.sha256(),
            engine: engine.info(),
        };
        Desk {
            engine,
            pictures,
            models,
            key,
            terms,
            open: Kept::new(MOST_OPEN),
        }
    }

    /// Under what verdicts are found here.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Comes to a verdict on a report. Its picture is `picture` where that is given; else it is looked for.
    pub fn examine(&self, claim: &Claim, picture: Option<&[u8]>) -> Examined {
        let mut check = Check {
            report: claim.from.clone(),
            sha256: claim.sha256.clone(),
            picture: String::new(),
            model: String::new(),
            verdict: Verdict::CannotCheck,
            reason: None,
            comparison: Comparison::default(),
            under: self.terms.clone(),
        };
        let report = match &claim.report {
            Ok(report) => report,
            Err(reason) => {
                check.reason = Some(reason.clone());
                return Examined { check, again: None };
            }
        };
        check.picture.clone_from(&report.picture.name);
        check.model.clone_from(&report.model.id);
        let outcome = caught(|| self.repeat(report, picture, &mut check));
        let outcome = outcome.unwrap_or_else(|panic| Err(Stop::Cannot(panic)));
        let again = match outcome {
            Ok(again) => Some(again),
            Err(Stop::Cannot(reason)) => {
                check.reason = Some(reason);
                None
            }
            Err(Stop::Differs(difference)) => {
                check.verdict = Verdict::Differs;
                check.comparison.differences.push(difference);
                None
            }
        };
        if let Err(reason) = keys::check(&claim.json, self.key.as_ref()) {
            // A report with a false signature is false, whatever else can be said of it.
            check.verdict = Verdict::Differs;
            let difference = Difference::of_words("signature", &"valid", &reason);
            check.comparison.differences.insert(0, difference);
        }
        Examined { check, again }
    }

    /// Makes the report again and writes down what it comes to.
    fn repeat(
        &self,
        report: &Report,
        picture: Option<&[u8]>,
        check: &mut Check,
    ) -> Result<Box<Report>, Stop> {
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
        let found;
        let bytes = match picture {
            Some(bytes) => bytes,
            None => {
                found = self.picture(report)?;
                &found
            }
        };
        let ready = self.ready(file, report)?;
        let again = repeat(
            report,
            &ready.explainer,
            ready.lungs.as_ref(),
            bytes,
            &self.terms.tolerances,
        )?;
        check.verdict = match again.comparison.holds() {
            true => Verdict::Holds,
            false => Verdict::Differs,
        };
        let note = "under the report's own settings: the model has no manifest";
        check.reason = ready.own.then(|| note.to_owned());
        check.comparison = again.comparison;
        Ok(Box::new(again.report))
    }

    fn picture(&self, report: &Report) -> Result<Vec<u8>, Stop> {
        let claimed = &report.picture.sha256;
        match self.pictures.find(&report.picture) {
            Found::Yes(bytes) => Ok(bytes),
            Found::Other(sha256) => Err(Stop::differs("picture.sha256", claimed, sha256)),
            Found::No => Err(Stop::Cannot(format!(
                "no picture with its checksum {claimed} is at hand"
            ))),
        }
    }

    /// The model of a report at its layer, opened once for all reports that share them.
    fn ready(&self, file: &Path, report: &Report) -> Opened {
        let cannot =
            |error: &dyn ToString| Stop::Cannot(format!("its model: {}", error.to_string()));
        let settings = match files::has_manifest(file) {
            true => String::new(),
            false => {
                let labels: Vec<_> = report.scores.iter().map(|score| &score.label).collect();
                let seen = &report.preprocessing;
                serde_json::to_string(&(&seen.rules, seen.input, labels, &report.notice))
                    .map_err(|error| cannot(&error))?
            }
        };
        // One that asks for a method that does not exist is told so when it is opened.
        let needs = method(&report.method)
            .ok()
            .map(|method| method.how().needs());
        let key = (file.to_owned(), report.manner(), settings, needs);
        self.open.get(key, |_| {
            let opened = self.open_for(file, report).map_err(|stop| match stop {
                Err(failure) => cannot(&failure),
                Ok(stop) => stop,
            });
            opened.map(Arc::new)
        })
    }

    /// Opens a report's model at its layer.
    fn open_for(&self, file: &Path, report: &Report) -> Result<Ready, Result<Stop, Failure>> {
        let mut model = files::open_model(file).map_err(Err)?;
        let own = model.guessed;
        if own {
            model = under_settings_of(report, file, &model).map_err(Err)?;
        }
        for layer in &report.manner().layers {
            if *layer != model.input && model.find_layer(layer).is_err() {
                return Err(Ok(Stop::differs("layer", layer, "no such layer")));
            }
        }
        let lungs = files::open_companion(file, &model, self.engine.as_ref()).map_err(Err)?;
        let method = method(&report.method).map_err(|error| Ok(Stop::Cannot(error.to_string())))?;
        let (engine, manner) = (self.engine.clone(), report.manner());
        let explainer = Explainer::for_method(engine, Arc::new(model), method, &manner);
        let explainer = explainer.map_err(|error| Err(Failure::of(file, error)))?;
        Ok(Ready {
            explainer,
            lungs,
            own,
        })
    }
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
