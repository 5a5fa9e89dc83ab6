//! The manifest beside a model: how a picture becomes its input, what its outputs mean, and what must be said with a result.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{ModelError, Squash};
use crate::image::{Channels, Crop, Preprocessing};

/// The schema that [`Manifest`] is written in.
pub const SCHEMA: &str = "gradlens.model/1";

/// The sentence that every result carries, whatever a manifest says, and every exported picture in its pixels.
pub const STAMP: &str = "Not for diagnostic use.";

/// What every result carries where the manifest says nothing of its own.
pub const DEFAULT_NOTICE: &str = "Not for diagnostic use. A heat map shows what moved this score; it does not locate \
     disease, and a high accuracy can come from shortcuts in the data.";

/// `manifest.json`, schema `gradlens.model/1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// A short name, the same in reports and on the command line.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// Version of the weights.
    #[serde(default)]
    pub version: String,
    /// One label a class, in the order of the scores; numbered where there are none. A single score may have two: what it speaks
    /// against, and what it speaks for.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// The picture input.
    pub input: Input,
    /// From a decoded picture to the input tensor.
    pub preprocessing: Preprocessing,
    /// Name of the score tensor, before the softmax. Found by rule where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<String>,
    /// Name of the probability tensor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<String>,
    /// How scores become probabilities, where the model itself does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub squash: Option<Squash>,
    /// The layer to explain by default. Found by rule where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// The segmenter that is run before it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub companion: Option<Companion>,
    /// The words shown with every result; [`STAMP`] is put before them where they do not begin with it.
    #[serde(default = "default_notice")]
    pub notice: String,
    /// What the weights were learned from.
    #[serde(default)]
    pub sources: String,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Short name: what `--class` takes and what reports hold.
    pub id: String,
    /// Name for people.
    pub name: String,
}

/// The picture input of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Tensor name.
    pub name: String,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Order of the channels.
    pub channels: Channels,
}

/// The segmenter of lungs that looks at a picture before the classifier does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Companion {
    /// Name of its folder, beside the classifier's.
    pub model: String,
    /// What the box around the lungs grows by on each side, as a share of its width or height; for the crop `lungs`.
    #[serde(default)]
    pub crop_margin: f64,
    /// Whether its verdict on the picture is shown before any score.
    #[serde(default)]
    pub gate: bool,
}

impl Companion {
    /// What is wrong with it.
    fn mistake(&self) -> Option<&'static str> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.model.is_empty() || !self.model.chars().all(plain) {
            return Some("its model is not the plain name of a folder");
        }
        (!(0.0..=1.0).contains(&self.crop_margin)).then_some("its crop_margin is not 0 to 1")
    }
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] says which field is wrong and where.
    pub fn parse(json: &str) -> Result<Manifest, ModelError> {
        let mut manifest: Manifest =
            serde_json::from_str(json).map_err(|error| ModelError::Manifest(error.to_string()))?;
        if manifest.schema != SCHEMA {
            return Err(ModelError::Manifest(format!(
                "its schema is '{}', this version reads '{SCHEMA}'",
                manifest.schema
            )));
        }
        let mut ids = HashSet::new();
        if let Some(label) = manifest.labels.iter().find(|label| !ids.insert(&label.id)) {
            return Err(ModelError::Manifest(format!(
                "two of its labels have the id '{}'",
                label.id
            )));
        }
        if let Some(mistake) = manifest.companion.as_ref().and_then(Companion::mistake) {
            return Err(ModelError::Manifest(format!("companion: {mistake}")));
        }
        if manifest.preprocessing.crop == Crop::Lungs && manifest.companion.is_none() {
            return Err(ModelError::Manifest(
                "its crop is 'lungs', but it names no companion that finds them".into(),
            ));
        }
        if !manifest.notice.starts_with(STAMP) {
            manifest.notice = format!("{STAMP} {}", manifest.notice).trim_end().to_owned();
        }
        Ok(manifest)
    }

    /// Index of the class that `text` names: its label's id or name (in any case), or its index.
    #[must_use]
    pub fn class_index(&self, text: &str) -> Option<usize> {
        let same = |label: &Label| {
            label.id.eq_ignore_ascii_case(text) || label.name.eq_ignore_ascii_case(text)
        };
        self.labels.iter().position(same).or_else(|| {
            text.parse()
                .ok()
                .filter(|&index: &usize| index < self.labels.len())
        })
    }
}

/// For serde.
fn default_notice() -> String {
    DEFAULT_NOTICE.into()
}
