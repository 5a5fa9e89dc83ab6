//! Models: reading ONNX and its manifest, its layers, its score tensor.

mod error;
pub mod external;
pub mod facts;
pub(crate) mod half;
mod inline;
mod input;
pub(crate) mod layers;
pub(crate) mod layout;
mod manifest;
pub mod onnx;
mod outputs;

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use tract_onnx::pb::{GraphProto, ModelProto};

pub use error::ModelError;
pub use external::Beside;
pub use layers::Layer;
pub use layout::Layout;
pub use manifest::{DEFAULT_NOTICE, Input, Label, Manifest, SCHEMA, STAMP};
pub use onnx::Limits;
pub use outputs::Squash;

use crate::image::{Channels, Preprocessing};
use facts::Facts;
use input::PictureInput;

/// A classifier: its graph, and how to feed and read it.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bytes = std::fs::read("models/covid-xray/model.onnx")?;
/// let manifest = std::fs::read_to_string("models/covid-xray/manifest.json")?;
/// let model = gradlens::model::Model::open(&bytes, Some(&manifest), "covid-xray")?;
/// println!("{} explains {}", model.manifest.id, model.layer);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Model {
    /// The manifest, given or guessed.
    pub manifest: Manifest,
    /// Whether the manifest was guessed from the graph.
    pub guessed: bool,
    /// sha256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// Name of the picture input.
    pub input: String,
    /// Channels of the picture input: 1 or 3.
    pub channels: usize,
    /// Whether the picture input is `[N, H, W, C]` instead of `[N, C, H, W]`.
    pub channels_last: bool,
    /// How many pictures the model takes at a time; `None` where that is open.
    pub batch: Option<usize>,
    /// Name of the score tensor, before any softmax or sigmoid; shape `[N, classes]`.
    pub scores: String,
    /// Name of the probability tensor, where the model ends in one.
    pub probabilities: Option<String>,
    /// How scores become probabilities.
    pub squash: Squash,
    /// Number of classes.
    pub classes: usize,
    /// The layer explained by default.
    pub layer: String,
    /// Every layer that can be explained, in the graph's order.
    pub layers: Vec<Layer>,
    pub(crate) proto: ModelProto,
    pub(crate) facts: Facts,
}

impl Model {
    /// Opens a model from the bytes of its ONNX file and, where there is one, the text of its manifest.
    ///
    /// `id` names a model whose manifest is guessed.
    ///
    /// # Errors
    /// [`ModelError`]: the file is not ONNX, damaged or too large; it has no image input, no class scores, no layer with
    /// a map; the manifest does not fit it.
    pub fn open(bytes: &[u8], manifest: Option<&str>, id: &str) -> Result<Model, ModelError> {
        Model::open_beside(bytes, manifest, id, &external::Nothing)
    }

    /// [`open`](Model::open) for a model that keeps tensors in files beside its own.
    ///
    /// # Errors
    /// As [`open`](Model::open), and [`ModelError::External`] for a file that cannot be read.
    pub fn open_beside(
        bytes: &[u8],
        manifest: Option<&str>,
        id: &str,
        files: &dyn Beside,
    ) -> Result<Model, ModelError> {
        let limits = Limits::default();
        let mut proto = onnx::read_beside(bytes, files, &limits)?;
        let given = manifest.map(Manifest::parse).transpose()?;
        let input = input::find(graph_of(&proto)?, given.as_ref())?;
        input::fix_size(&mut proto, &input);
        inline::conditions(&mut proto, &limits)?;
        let facts = facts::infer(&proto, &limits)?;
        let graph = graph_of(&proto)?;
        let outputs = outputs::find(graph, &facts, given.as_ref())?;
        let layers = layers::list(graph, &facts, &input, &outputs.scores);
        let recommended = layers
            .iter()
            .find(|layer| layer.recommended)
            .ok_or(ModelError::NoLayer)?;
        let layer = match given.as_ref().and_then(|manifest| manifest.layer.as_ref()) {
            Some(name) if layers.iter().any(|layer| layer.name == *name) => name.clone(),
            Some(name) => {
                return Err(ModelError::Manifest(format!(
                    "its layer '{name}' is not in the model; '{}' would be",
                    recommended.name
                )));
            }
            None => recommended.name.clone(),
        };
        let guessed = given.is_none();
        let manifest = match given {
            Some(manifest) => manifest,
            None => guess(id, &input, outputs.classes),
        };
        if manifest.labels.len() != outputs.classes {
            return Err(ModelError::Manifest(format!(
                "it names {} labels, but the model's scores '{}' have {} classes",
                manifest.labels.len(),
                outputs.scores,
                outputs.classes
            )));
        }
        let preprocessing = manifest.preprocessing.check(input.channels);
        preprocessing.map_err(|error| ModelError::Manifest(error.to_string()))?;
        Ok(Model {
            manifest,
            guessed,
            sha256: sha256_hex(bytes),
            channels: input.channels,
            channels_last: input.channels_last,
            batch: input.batch,
            input: input.name,
            scores: outputs.scores,
            probabilities: outputs.probabilities,
            squash: outputs.squash,
            classes: outputs.classes,
            layer,
            layers,
            proto,
            facts,
        })
    }

    /// The layer named `name`.
    ///
    /// # Errors
    /// [`ModelError::UnknownLayer`], with the nearest names.
    pub fn find_layer(&self, name: &str) -> Result<&Layer, ModelError> {
        self.layers
            .iter()
            .find(|layer| layer.name == name)
            .ok_or_else(|| {
                let close: Vec<&str> = self
                    .layers
                    .iter()
                    .map(|layer| layer.name.as_str())
                    .filter(|known| known.contains(name) || name.contains(known))
                    .take(4)
                    .collect();
                let hint = if close.is_empty() {
                    format!("the recommended one is '{}'", self.layer)
                } else {
                    format!("did you mean {}?", close.join(", "))
                };
                ModelError::UnknownLayer {
                    name: name.to_owned(),
                    hint,
                }
            })
    }

    pub(crate) fn graph(&self) -> Result<&GraphProto, ModelError> {
        graph_of(&self.proto)
    }
}

/// sha256 of `bytes` in lower-case hexadecimal, as reports write it.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The graph of a model that `onnx::read` accepted.
fn graph_of(proto: &ModelProto) -> Result<&GraphProto, ModelError> {
    proto
        .graph
        .as_ref()
        .ok_or_else(|| ModelError::NotOnnx("it holds no graph".into()))
}

/// A manifest for a model that brings none: ImageNet's usual preprocessing, numbered classes.
fn guess(id: &str, input: &PictureInput, classes: usize) -> Manifest {
    let grey = input.channels == 1;
    let imagenet = Preprocessing::imagenet();
    Manifest {
        schema: SCHEMA.into(),
        id: id.into(),
        name: id.into(),
        version: String::new(),
        labels: (0..classes)
            .map(|index| Label {
                id: index.to_string(),
                name: format!("class {index}"),
            })
            .collect(),
        input: Input {
            name: input.name.clone(),
            width: input.width,
            height: input.height,
            channels: if grey { Channels::Grey } else { Channels::Rgb },
        },
        preprocessing: match grey {
            true => Preprocessing {
                grey,
                mean: vec![0.5],
                std: vec![0.5],
                ..imagenet
            },
            false => imagenet,
        },
        scores: None,
        probabilities: None,
        layer: None,
        notice: DEFAULT_NOTICE.into(),
        sources: String::new(),
    }
}
