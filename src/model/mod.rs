//! Models: reading ONNX and its manifest, its layers, its score tensor.

mod error;
pub mod facts;
pub(crate) mod layers;
mod manifest;
pub mod onnx;

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use tract_onnx::pb::{GraphProto, ModelProto};

pub use error::ModelError;
pub use layers::Layer;
pub use manifest::{DEFAULT_NOTICE, Input, Label, Manifest, SCHEMA};
pub use onnx::Limits;

use crate::image::{Channels, Preprocessing};
use facts::{ElementType, Fact, Facts};

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
        let proto = onnx::read(bytes, &Limits::default())?;
        let given = manifest.map(Manifest::parse).transpose()?;
        let mut wide = proto.clone();
        onnx::widen_half_initializers(&mut wide);
        let facts = facts::infer(&wide)?;
        drop(wide);
        let graph = graph_of(&proto)?;

        let input = find_input(graph, &facts, given.as_ref())?;
        let outputs = find_outputs(graph, &facts, given.as_ref())?;
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
            None => guess(id, &input, &facts[&input], outputs.classes)?,
        };
        if manifest.labels.len() != outputs.classes {
            return Err(ModelError::Manifest(format!(
                "it names {} labels, but the model's scores '{}' have {} classes",
                manifest.labels.len(),
                outputs.scores,
                outputs.classes
            )));
        }
        Ok(Model {
            manifest,
            guessed,
            sha256: sha256_hex(bytes),
            input,
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

    /// Channels of the picture input (1 or 3).
    #[must_use]
    pub fn channels(&self) -> usize {
        match self
            .facts
            .get(&self.input)
            .and_then(|fact| fact.shape.as_ref())
        {
            Some(shape) => shape.get(1).and_then(facts::Dim::known).unwrap_or(3) as usize,
            None => 3,
        }
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

/// Inputs that no initializer fills, each with its shape, for a message.
fn free_inputs<'g>(graph: &'g GraphProto, facts: &'g Facts) -> Vec<(&'g str, Option<&'g Fact>)> {
    graph
        .input
        .iter()
        .map(|input| input.name.as_str())
        .filter(|name| graph.initializer.iter().all(|tensor| tensor.name != *name))
        .map(|name| (name, facts.get(name)))
        .collect()
}

/// `name [shape], name [shape]`, for a message.
fn describe(tensors: &[(&str, Option<&Fact>)]) -> String {
    let texts: Vec<String> = tensors
        .iter()
        .map(|(name, fact)| format!("{name} {}", fact.map_or("[?]".into(), Fact::shape_text)))
        .collect();
    if texts.is_empty() {
        "there are none".into()
    } else {
        texts.join(", ")
    }
}

/// The input that takes a picture: the manifest's, else the only free input of rank 4 with 1 or 3 channels.
fn find_input(
    graph: &GraphProto,
    facts: &Facts,
    manifest: Option<&Manifest>,
) -> Result<String, ModelError> {
    let inputs = free_inputs(graph, facts);
    let takes_picture = |fact: &Fact| {
        let channels = fact
            .shape
            .as_ref()
            .and_then(|shape| shape.get(1))
            .and_then(facts::Dim::known);
        fact.rank() == Some(4)
            && matches!(channels, Some(1 | 3))
            && fact.element == ElementType::F32
    };
    let found = inputs
        .iter()
        .find(|(_, fact)| fact.is_some_and(takes_picture));
    let name = match manifest {
        Some(manifest) => {
            let name = &manifest.input.name;
            let declared = inputs.iter().find(|(input, _)| input == name);
            let fits = |fact: &Fact| {
                takes_picture(fact)
                    && fact.shape.as_ref().is_some_and(|shape| {
                        let is = |dim: &facts::Dim, size: usize| {
                            dim.known().is_none_or(|known| known == size as i64)
                        };
                        is(&shape[2], manifest.input.height) && is(&shape[3], manifest.input.width)
                    })
            };
            match declared {
                Some((_, Some(fact))) if fits(fact) => name.as_str(),
                _ => {
                    return Err(ModelError::Manifest(format!(
                        "it names the input '{name}' of {} x {} pixels, but the model takes {}",
                        manifest.input.width,
                        manifest.input.height,
                        describe(&inputs)
                    )));
                }
            }
        }
        None => {
            found
                .ok_or_else(|| ModelError::NoImageInput(describe(&inputs)))?
                .0
        }
    };
    match inputs.iter().find(|(other, _)| *other != name) {
        Some((other, _)) => Err(ModelError::Unsupported(format!(
            "it needs the further input '{other}' beside the picture"
        ))),
        None => Ok(name.to_owned()),
    }
}

/// The function that turns scores into probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Squash {
    /// One of several classes.
    Softmax,
    /// Each class for itself.
    Sigmoid,
}

/// The tensors that a model's answer is read from.
struct Outputs {
    scores: String,
    probabilities: Option<String>,
    squash: Squash,
    classes: usize,
}

/// The score tensor and the probability tensor: the manifest's, else by rule: the first output of shape `[N, classes]`;
/// if a softmax or sigmoid makes it, it holds the probabilities and its input the scores.
fn find_outputs(
    graph: &GraphProto,
    facts: &Facts,
    manifest: Option<&Manifest>,
) -> Result<Outputs, ModelError> {
    let classes_of = |name: &str| -> Option<usize> {
        let shape = facts.get(name)?.shape.as_ref()?;
        let [_, classes] = shape.as_slice() else {
            return None;
        };
        classes
            .known()
            .and_then(|count| usize::try_from(count).ok())
            .filter(|&count| count > 0)
    };
    let producers = layers::producers(graph);
    let squashed_input = |name: &str| -> Option<(&str, Squash)> {
        let node = &graph.node[*producers.get(name)?];
        let squash = match node.op_type.as_str() {
            "Softmax" => Squash::Softmax,
            "Sigmoid" => Squash::Sigmoid,
            _ => return None,
        };
        Some((node.input.first()?, squash))
    };
    if let Some(scores) = manifest.and_then(|manifest| manifest.scores.as_ref()) {
        let classes = classes_of(scores).ok_or_else(|| {
            ModelError::Manifest(format!(
                "its score tensor '{scores}' is not a tensor [N, classes] of the model"
            ))
        })?;
        let probabilities = manifest.and_then(|manifest| manifest.probabilities.clone());
        if let Some(name) = &probabilities
            && classes_of(name) != Some(classes)
        {
            return Err(ModelError::Manifest(format!(
                "its probability tensor '{name}' is not a tensor [N, {classes}] of the model"
            )));
        }
        let squash = probabilities.as_deref().and_then(squashed_input);
        let squash = squash.map_or(Squash::Softmax, |(_, squash)| squash);
        return Ok(Outputs {
            scores: scores.clone(),
            probabilities,
            squash,
            classes,
        });
    }
    let outputs: Vec<&str> = graph
        .output
        .iter()
        .map(|output| output.name.as_str())
        .collect();
    // A softmax among the outputs tells most: its input is what was trained against.
    let squashed = outputs
        .iter()
        .find_map(|name| Some((*name, squashed_input(name)?, classes_of(name)?)));
    if let Some((name, (scores, squash), classes)) = squashed {
        return Ok(Outputs {
            scores: scores.to_owned(),
            probabilities: Some(name.to_owned()),
            squash,
            classes,
        });
    }
    let plain = outputs
        .iter()
        .find_map(|name| Some((*name, classes_of(name)?)));
    match plain {
        Some((name, classes)) => {
            let squash = Squash::Softmax;
            Ok(Outputs {
                scores: name.to_owned(),
                probabilities: None,
                squash,
                classes,
            })
        }
        None => {
            let outputs: Vec<_> = outputs
                .iter()
                .map(|name| (*name, facts.get(*name)))
                .collect();
            Err(ModelError::NoScores(describe(&outputs)))
        }
    }
}

/// A manifest for a model that brings none: ImageNet's usual preprocessing, numbered classes.
fn guess(id: &str, input: &str, fact: &Fact, classes: usize) -> Result<Manifest, ModelError> {
    let side = |axis: usize| {
        let known = fact
            .shape
            .as_ref()
            .and_then(|shape| shape.get(axis))
            .and_then(facts::Dim::known);
        known.map_or(Ok(224), |size| {
            usize::try_from(size)
                .map_err(|_| ModelError::Damaged(format!("its input has {size} pixels")))
        })
    };
    let grey = fact
        .shape
        .as_ref()
        .is_some_and(|shape| shape[1] == facts::Dim::Known(1));
    Ok(Manifest {
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
            name: input.into(),
            width: side(3)?,
            height: side(2)?,
            channels: if grey { Channels::Grey } else { Channels::Rgb },
        },
        preprocessing: if grey {
            Preprocessing {
                grey,
                mean: vec![0.5],
                std: vec![0.5],
                ..Preprocessing::imagenet()
            }
        } else {
            Preprocessing::imagenet()
        },
        scores: None,
        probabilities: None,
        layer: None,
        notice: DEFAULT_NOTICE.into(),
        sources: String::new(),
    })
}
