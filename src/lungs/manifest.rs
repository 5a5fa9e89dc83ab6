//! The manifest beside a segmenter.

use serde::{Deserialize, Serialize};

use crate::image::Preprocessing;
use crate::model::{Input, ModelError};

/// The schema that [`Manifest`] is written in.
pub const SCHEMA: &str = "gradlens.segmenter/1";

/// `manifest.json` of a segmenter of lung fields, schema `gradlens.segmenter/1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// A short name; what the manifest of a classifier calls it by.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// Version of the weights.
    #[serde(default)]
    pub version: String,
    /// The picture input.
    pub input: Input,
    /// From a decoded picture to the input tensor.
    pub preprocessing: Preprocessing,
    /// Which output is what.
    pub outputs: Outputs,
    /// A pixel above this logit is lung.
    #[serde(default)]
    pub threshold: f32,
    /// From the mask to a box.
    #[serde(rename = "box")]
    pub fit: Fit,
    /// What is no upright frontal chest X-ray.
    pub gate: Gate,
    /// The words shown with every result.
    #[serde(default)]
    pub notice: String,
    /// What the weights were learned from.
    #[serde(default)]
    pub sources: String,
}

/// Names of a segmenter's outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// Logits of lung, `[1, 1, H, W]`, over the part of the picture that the network saw.
    pub lungs: String,
    /// Logit of an upright frontal chest X-ray, one number.
    pub frontal: String,
}

/// How a box is laid around a mask.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// Parts of the mask below this share of the largest part's area are specks.
    pub smallest_part: f64,
    /// A mask with less of the grid than this shows no lungs.
    pub smallest_lungs: f64,
}

/// The check that a picture is what the classifiers were made for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// A picture whose logit is below it does not pass.
    pub threshold: f32,
    /// The share of chest X-rays of the `val` split that pass.
    pub kept_on_val: f64,
}

impl Manifest {
    /// Reads a segmenter's manifest.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] says which field is wrong and where.
    pub fn parse(json: &str) -> Result<Manifest, ModelError> {
        let manifest: Manifest =
            serde_json::from_str(json).map_err(|error| ModelError::Manifest(error.to_string()))?;
        if manifest.schema != SCHEMA {
            return Err(ModelError::Manifest(format!(
                "its schema is '{}', a segmenter's is '{SCHEMA}'",
                manifest.schema
            )));
        }
        Ok(manifest)
    }
}
