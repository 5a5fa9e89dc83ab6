//! A verdict on a report: it is made again with the model and the picture that it names, and compared.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::engine::EngineInfo;
use crate::explain::{ExplainError, Explainer};
use crate::guard::caught;
use crate::image::Limits;
use crate::lungs::Lungs;
use crate::model::sha256_hex;
use crate::report::Report;
use crate::report::verify::{Comparison, Difference, Tolerances, compare};
use crate::study::{Request, Study, StudyError};

/// What a report comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Nothing differs.
    #[serde(rename = "holds")]
    Holds,
    /// Something differs.
    #[serde(rename = "differs")]
    Differs,
    /// Something that is needed is not at hand.
    #[serde(rename = "cannot check")]
    CannotCheck,
}

impl Verdict {
    /// As verdict lines write it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Differs => "differs",
            Self::CannotCheck => "cannot check",
        }
    }
}

/// Why there is no comparison.
#[derive(Debug, Clone)]
pub enum Stop {
    /// Something is missing here.
    Cannot(String),
    /// The report says what cannot be.
    Differs(Difference),
}

impl Stop {
    /// The report says what cannot be: where, what it says, what is so.
    pub fn differs(what: &str, claimed: impl ToString, found: impl ToString) -> Stop {
        Stop::Differs(Difference::of_words(what, &claimed, &found))
    }
}

/// A report made again.
#[derive(Debug, Clone)]
pub struct Repetition {
    /// What was found.
    pub report: Report,
    /// What was claimed beside it.
    pub comparison: Comparison,
}

/// Makes a report again under `explainer`, which has its model at its layer, from the bytes of its picture, and compares.
///
/// # Errors
/// [`Stop`]: the picture is not the report's or cannot be read, the report asks for what the model does not have, or the engine fails.
pub fn repeat(
    report: &Report,
    explainer: &Explainer,
    lungs: Option<&Lungs>,
    picture: &[u8],
    tolerances: &Tolerances,
) -> Result<Repetition, Stop> {
    let sha256 = sha256_hex(picture);
    if sha256 != report.picture.sha256 {
        return Err(Stop::differs(
            "picture.sha256",
            &report.picture.sha256,
            sha256,
        ));
    }
    caught(|| made_again(report, explainer, lungs, picture))
        .unwrap_or_else(|panic| Err(Stop::Cannot(panic)))
        .map(|again| Repetition {
            comparison: compare(report, &again, tolerances),
            report: again,
        })
}

fn made_again(
    report: &Report,
    explainer: &Explainer,
    lungs: Option<&Lungs>,
    picture: &[u8],
) -> Result<Report, Stop> {
    let limits = Limits::default();
    let (name, wanted) = (&report.picture.name, report.picture.wanted());
    let study = Study::open_as(explainer, lungs, name, picture, &limits, &wanted);
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
        counterfactual: report.explained.counterfactual,
    };
    let answer = study.ask(explainer, &request);
    let answer = answer.map_err(|error| match error {
        StudyError::Explain(ExplainError::NoClass { .. }) => Stop::differs(
            "explained.index",
            report.explained.index,
            format!("{} classes", manifest.labels.len()),
        ),
        error => Stop::Cannot(error.to_string()),
    })?;
    Ok(answer.report)
}

/// What verdicts are found under: two runs under the same terms say the same of the same report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// How far numbers may lie apart.
    #[serde(flatten)]
    pub tolerances: Tolerances,
    /// The public key that must have signed, in base64.
    pub key: Option<String>,
    /// sha256 over the models at hand and their manifests.
    pub models: String,
    /// What computes.
    pub engine: EngineInfo,
}

/// A verdict and what it rests on: a line of `gradlens verify --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Where the report was found.
    pub report: String,
    /// sha256 of the report's own bytes.
    pub sha256: String,
    /// Name of its picture.
    pub picture: String,
    /// Id of its model.
    pub model: String,
    /// What it comes to.
    pub verdict: Verdict,
    /// Why it cannot be checked, or what to know of how it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was found beside what is claimed.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Under what.
    pub under: Terms,
}

impl Check {
    /// How bad it is, the worst the least: what differs before what cannot be checked before what holds; within them by how many tolerances
    /// claim and repetition are apart, where what must be the same and is not is farther than any number.
    #[must_use]
    pub fn rank(&self) -> (u8, f64) {
        let class = match self.verdict {
            Verdict::Differs => 0,
            Verdict::CannotCheck => 1,
            Verdict::Holds => 2,
        };
        let differences = &self.comparison.differences;
        let words = differences.iter().any(|one| one.in_tolerances.is_none());
        let apart = match words {
            true => f64::INFINITY,
            false => self.comparison.in_tolerances.unwrap_or(0.0),
        };
        (class, -apart)
    }

    /// How near claim and repetition are, in words.
    #[must_use]
    pub fn nearness(&self) -> Cow<'static, str> {
        let Some(scores) = self.comparison.scores else {
            return "nothing was compared".into();
        };
        let short = |apart: f64| match apart == 0.0 {
            true => "0".to_owned(),
            false => format!("{apart:.1e}"),
        };
        let map = self.comparison.map;
        let map = map.map(|map| format!(", map within {} of its range", short(map)));
        format!("scores within {}{}", short(scores), map.unwrap_or_default()).into()
    }
}
