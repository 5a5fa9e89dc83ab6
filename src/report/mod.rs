//! The JSON report: what was explained, with which numbers, computed by what.

pub mod page;
pub mod signature;
pub mod verify;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::engine::EngineInfo;
use crate::explain::{Explainer, HeatMap, Manner, Method, Observation, Question, Smooth, Target};
use crate::image::{Applied, Decoded, Preprocessing, Region, Wanted};
use crate::lungs::Fields;
use signature::Signature;

/// The schema that [`Report`] is written in.
pub const SCHEMA: &str = "gradlens.report/1";

/// A report, schema `gradlens.report/1`. Enough to compute the same numbers again elsewhere, and to compare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The picture's file.
    pub picture: PictureEntry,
    /// The model's files.
    pub model: ModelEntry,
    /// What was done to the picture before the network saw it.
    pub preprocessing: PreprocessingEntry,
    /// What the model's companion says of the picture, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub companion: Option<CompanionEntry>,
    /// One entry a class, in the model's order.
    pub scores: Vec<ScoreEntry>,
    /// The question.
    pub explained: ExplainedEntry,
    /// The method's id.
    pub method: String,
    /// The layer's tensor name.
    pub layer: String,
    /// The layers whose maps were fused, where there are several; the first is `layer`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
    /// How the map was smoothed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub smooth: Vec<Smooth>,
    /// The raw map.
    pub map: MapEntry,
    /// What computed it.
    pub engine: EngineInfo,
    /// The words that belong to every result.
    pub notice: String,
    /// Who made it, where it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// Which picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureEntry {
    /// File name without its folder.
    pub name: String,
    /// sha256 of the file's bytes.
    pub sha256: String,
    /// Width as displayed, in pixels.
    pub width: u32,
    /// Height as displayed, in pixels.
    pub height: u32,
    /// The window or table that its values were seen through; absent where its samples are greys or colours as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Applied>,
    /// What of the file was not looked at, where it holds more: "the first of 20 frames".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl PictureEntry {
    /// The entry of a decoded file.
    #[must_use]
    pub fn of(name: &str, bytes: &[u8], decoded: &Decoded) -> PictureEntry {
        PictureEntry {
            name: name.to_owned(),
            sha256: crate::model::sha256_hex(bytes),
            width: decoded.picture.width(),
            height: decoded.picture.height(),
            window: decoded.levels.as_ref().and_then(|levels| levels.applied),
            note: decoded.note.clone(),
        }
    }

    /// What to decode the file with, so that the same picture comes out.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        self.window.map_or(Wanted::Usual, Wanted::Exactly)
    }
}

/// Which model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// The manifest's id.
    pub id: String,
    /// sha256 of `model.onnx`.
    pub sha256: String,
    /// sha256 of the gradient graph for the report's layer, as `gradlens gradient` writes it.
    pub gradient_sha256: String,
}

/// How the network saw the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreprocessingEntry {
    /// The model's rules.
    #[serde(flatten)]
    pub rules: Preprocessing,
    /// Width and height of the network's input.
    pub input: [usize; 2],
    /// The part of the picture that the rules kept, in its pixels.
    pub region: Region,
}

/// What the segmenter that looked at the picture first says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompanionEntry {
    /// The id of its manifest.
    pub id: String,
    /// sha256 of its file.
    pub sha256: String,
    /// Whether it found lungs.
    pub lungs_found: bool,
    /// Whether the picture is what the model was made for, where the model asks that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateEntry>,
}

/// Whether a picture is an upright frontal chest X-ray.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateEntry {
    /// The segmenter's logit.
    pub logit: f32,
    /// The least logit that passes.
    pub threshold: f32,
    /// Whether it passes.
    pub passed: bool,
}

impl CompanionEntry {
    /// The entry of a picture's fields, with `gate` the verdict on the picture too.
    #[must_use]
    pub fn of(fields: &Fields, gate: bool) -> CompanionEntry {
        CompanionEntry {
            id: fields.found_by.id.clone(),
            sha256: fields.found_by.sha256.clone(),
            lungs_found: fields.bounds().is_some(),
            gate: gate.then(|| GateEntry {
                logit: fields.frontal,
                threshold: fields.gate,
                passed: fields.is_frontal(),
            }),
        }
    }

    /// What must be said before any score: that the picture is not what the model was made for.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let gate = self.gate.as_ref().filter(|gate| !gate.passed)?;
        Some(format!(
            "does not look like an upright frontal chest X-ray ({:.1}, the threshold is {:.1}): its scores mean nothing",
            gate.logit, gate.threshold
        ))
    }
}

/// A class and what it got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreEntry {
    /// Position among the scores.
    pub index: usize,
    /// The label's id.
    pub label: String,
    /// The score before the softmax.
    pub logit: f32,
    /// The probability.
    pub probability: f32,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedEntry {
    /// The class explained.
    pub index: usize,
    /// Its label's id.
    pub label: String,
    /// Label's id of the class that it was contrasted with.
    pub contrast: Option<String>,
    /// Logit or probability.
    pub target: Target,
    /// Whether the map is of what speaks against the class.
    #[serde(default, skip_serializing_if = "is_false")]
    pub counterfactual: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The raw map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapEntry {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Row by row, unnormalised, with as many digits as an f32 needs.
    pub values: Vec<f32>,
    /// Why there is nothing to see, where there is nothing to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty: Option<String>,
}

impl MapEntry {
    /// Position of the largest value, row by row.
    #[must_use]
    pub fn highest(&self) -> Option<usize> {
        let values = self.values.iter().enumerate();
        values.max_by(|a, b| a.1.total_cmp(b.1)).map(|(at, _)| at)
    }

    /// The map as an array `[H, W]`; `None` where the sizes contradict each other.
    #[must_use]
    pub fn array(&self) -> Option<Array2<f32>> {
        Array2::from_shape_vec((self.height, self.width), self.values.clone()).ok()
    }
}

/// One entry a class of an observation.
#[must_use]
pub fn scores(explainer: &Explainer, observation: &Observation) -> Vec<ScoreEntry> {
    let labels = &explainer.model.manifest.labels;
    let values = observation.logits.iter().zip(&observation.probabilities);
    let entries = labels.iter().zip(values).enumerate();
    entries
        .map(|(index, (label, (&logit, &probability)))| ScoreEntry {
            index,
            label: label.id.clone(),
            logit,
            probability,
        })
        .collect()
}

/// A picture as it was seen, for its report.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    /// The file.
    pub picture: &'a PictureEntry,
    /// The part that the network saw.
    pub region: Region,
    /// What the companion says of it.
    pub companion: Option<CompanionEntry>,
    /// What the network made of it.
    pub observation: &'a Observation,
}

impl Report {
    /// The class with the highest score.
    #[must_use]
    pub fn best(&self) -> Option<&ScoreEntry> {
        let scores = self.scores.iter();
        scores.max_by(|a, b| a.logit.total_cmp(&b.logit))
    }

    /// At which layers its map was made, and how it was smoothed.
    #[must_use]
    pub fn manner(&self) -> Manner {
        match self.layers.as_slice() {
            [] => Manner::of(std::slice::from_ref(&self.layer), &self.smooth),
            layers => Manner::of(layers, &self.smooth),
        }
    }

    /// Puts a report together.
    #[must_use]
    pub fn new(
        explainer: &Explainer,
        seen: &Seen<'_>,
        question: &Question,
        method: &dyn Method,
        map: &HeatMap,
    ) -> Report {
        let manifest = &explainer.model.manifest;
        let label = |index: usize| manifest.labels.get(index).map(|label| label.id.clone());
        let (height, width) = map.values.dim();
        let manner = explainer.manner();
        Report {
            schema: SCHEMA.into(),
            picture: seen.picture.clone(),
            model: ModelEntry {
                id: manifest.id.clone(),
                sha256: explainer.model.sha256.clone(),
                gradient_sha256: explainer.gradient_sha256().to_owned(),
            },
            preprocessing: PreprocessingEntry {
                rules: manifest.preprocessing.clone(),
                input: [manifest.input.width, manifest.input.height],
                region: seen.region,
            },
            companion: seen.companion.clone(),
            scores: scores(explainer, seen.observation),
            explained: ExplainedEntry {
                index: question.class,
                label: label(question.class).unwrap_or_default(),
                contrast: question.contrast.and_then(label),
                target: question.target,
                counterfactual: question.counterfactual,
            },
            method: method.id().into(),
            layer: explainer.layer.clone(),
            layers: match manner.layers.len() {
                1 => Vec::new(),
                _ => manner.layers,
            },
            smooth: manner.smooth,
            map: MapEntry {
                width,
                height,
                min: map.min,
                max: map.max,
                values: map.values.iter().copied().collect(),
                empty: map.empty.clone(),
            },
            engine: explainer.engine(),
            notice: manifest.notice.clone(),
            signature: None,
        }
    }
}
