//! Models: reading ONNX and its manifest, its layers, its score tensor.

mod error;
pub mod external;
pub mod facts;
mod growth;
mod guess;
pub(crate) mod half;
mod inline;
mod input;
pub mod labels;
pub(crate) mod layers;
pub(crate) mod layout;
mod manifest;
pub mod onnx;
mod opset;
mod outputs;
pub(crate) mod weights;

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use tract_onnx::pb::{GraphProto, ModelProto};

pub use error::ModelError;
pub use external::Beside;
pub use layers::Layer;
pub use layout::Layout;
pub use manifest::{Companion, DEFAULT_NOTICE, Input, Label, Manifest, SCHEMA, STAMP};
pub use onnx::{Limits, Source};
pub use outputs::{Candidate, Squash};

use facts::Facts;
use outputs::Outputs;

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
    /// What the guess rests on, a sentence each; empty where the manifest was given.
    pub reasons: Vec<String>,
    /// Whether the model leaves the size of its input open, so that a manifest may choose it.
    pub open_size: bool,
    /// sha256 of the file, lower-case hexadecimal; empty until [`identify`](Model::identify) where it was opened
    /// [unidentified](Model::open_unidentified).
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
    /// The function that the model itself ends in, where it ends in one.
    pub own_squash: Option<Squash>,
    /// Number of scores.
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
        let mut model = Model::open_unidentified(&bytes, manifest, id, files)?;
        model.sha256 = sha256_hex(bytes);
        Ok(model)
    }

    /// [`open_beside`](Model::open_beside) without the checksum of the file, for a caller who has a faster way to it. The file need not be in
    /// this program's memory.
    ///
    /// # Errors
    /// As [`open_beside`](Model::open_beside).
    pub fn open_unidentified(
        file: &dyn Source,
        manifest: Option<&str>,
        id: &str,
        files: &dyn Beside,
    ) -> Result<Model, ModelError> {
        let limits = Limits::default();
        let mut proto = onnx::read_beside(file, files, &limits)?;
        growth::check(graph_of(&proto)?, &limits)?;
        let given = manifest.map(Manifest::parse).transpose()?;
        let input = input::find(graph_of(&proto)?, given.as_ref())?;
        input::fix_size(&mut proto, &input);
        inline::conditions(&mut proto, &limits)?;
        growth::check(graph_of(&proto)?, &limits)?;
        let facts = opset::modernise(&mut proto, &limits)?;
        let graph = graph_of(&proto)?;
        let mut outputs = outputs::find(graph, &facts, given.as_ref())?;
        onnx::within(
            "the number of classes",
            outputs.classes as u64,
            limits.classes,
        )?;
        outputs.squash_by(given.as_ref().and_then(|manifest| manifest.squash))?;
        let layers = layers::list(graph, &facts, &input, &outputs.scores);
        let guessed = given.is_none();
        let (mut manifest, reasons) = match given {
            Some(manifest) => (manifest, Vec::new()),
            None => guess::manifest(id, &proto, graph, &facts, &input, &outputs),
        };
        let layer = fit(&mut manifest, &outputs, input.channels, &layers)?;
        Ok(Model {
            manifest,
            guessed,
            reasons,
            open_size: input.open_size,
            sha256: String::new(),
            channels: input.channels,
            channels_last: input.channels_last,
            batch: input.batch,
            input: input.name,
            scores: outputs.scores,
            probabilities: outputs.probabilities,
            squash: outputs.squash,
            own_squash: outputs.own_squash,
            classes: outputs.classes,
            layer,
            layers,
            proto,
            facts,
        })
    }

    /// Takes the sha256 of its file.
    ///
    /// # Errors
    /// [`ModelError::Digest`] for a text that is none.
    pub fn identify(&mut self, sha256: &str) -> Result<(), ModelError> {
        self.sha256 = as_sha256(sha256)?;
        Ok(())
    }

    /// Takes another manifest, where that changes only how the graph is fed and read: labels, preprocessing, the function behind
    /// the scores, the default layer. Returns whether it does; if not, the model must be opened again with it.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] where it does not fit the model, which then stays as it was.
    pub fn adopt(&mut self, mut manifest: Manifest) -> Result<bool, ModelError> {
        let graph_of = |manifest: &Manifest| {
            let Input {
                name,
                width,
                height,
                channels,
            } = manifest.input.clone();
            let outputs = (manifest.scores.clone(), manifest.probabilities.clone());
            (name, width, height, channels.count(), outputs)
        };
        if graph_of(&manifest) != graph_of(&self.manifest) {
            return Ok(false);
        }
        let mut outputs = Outputs {
            scores: self.scores.clone(),
            probabilities: self.probabilities.clone(),
            squash: self.squash,
            own_squash: self.own_squash,
            classes: self.classes,
        };
        outputs.squash_by(manifest.squash)?;
        self.layer = fit(&mut manifest, &outputs, self.channels, &self.layers)?;
        self.squash = outputs.squash;
        self.manifest = manifest;
        self.guessed = false;
        self.reasons.clear();
        Ok(true)
    }

    /// Whether the model's one score stands between two labels: the first where it is below 0, the second above.
    #[must_use]
    pub fn is_two_sided(&self) -> bool {
        self.classes == 1 && self.manifest.labels.len() == 2
    }

    /// The tensors that could hold the scores.
    #[must_use]
    pub fn score_candidates(&self) -> Vec<Candidate> {
        let graph = self.proto.graph.as_ref();
        graph.map_or(Vec::new(), |graph| outputs::candidates(graph, &self.facts))
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
    hex(&Sha256::digest(bytes))
}

/// [`sha256_hex`] of bytes that come in pieces.
pub(crate) fn sha256_of(pieces: impl Iterator<Item: AsRef<[u8]>>) -> String {
    let mut digest = Sha256::new();
    pieces.for_each(|piece| digest.update(piece));
    hex(&digest.finalize())
}

/// A sha256 that was computed elsewhere.
pub(crate) fn as_sha256(text: &str) -> Result<String, ModelError> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    match text.len() == 64 && text.bytes().all(is_digit) {
        true => Ok(text.to_owned()),
        false => Err(ModelError::Digest),
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
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

/// Checks a manifest against the model, fills in labels that it leaves out, and returns the layer to explain by default.
fn fit(
    manifest: &mut Manifest,
    outputs: &Outputs,
    channels: usize,
    layers: &[Layer],
) -> Result<String, ModelError> {
    let recommended = layers.iter().find(|layer| layer.recommended);
    let recommended = recommended.ok_or(ModelError::NoLayer)?;
    let layer = match manifest.layer.as_ref() {
        Some(name) if layers.iter().any(|layer| layer.name == *name) => name.clone(),
        Some(name) => {
            return Err(ModelError::Manifest(format!(
                "its layer '{name}' is not in the model; '{}' would be",
                recommended.name
            )));
        }
        None => recommended.name.clone(),
    };
    if manifest.labels.is_empty() {
        manifest.labels = guess::unnamed(outputs);
    }
    let two_sided = outputs.is_two_sided() && manifest.labels.len() == 2;
    if manifest.labels.len() != outputs.classes && !two_sided {
        return Err(ModelError::Manifest(format!(
            "it names {} labels, but the model's scores '{}' have {} classes",
            manifest.labels.len(),
            outputs.scores,
            outputs.classes
        )));
    }
    let preprocessing = manifest.preprocessing.check(channels);
    preprocessing.map_err(|error| ModelError::Manifest(error.to_string()))?;
    Ok(layer)
}
