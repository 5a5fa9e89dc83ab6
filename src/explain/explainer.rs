//! A model made ready to be asked about one layer.

use std::sync::{Arc, OnceLock};

use ndarray::{Array3, Array4, ArrayD, Axis, Ix3, Ix4, array};
use tract_onnx::pb::ModelProto;

use super::{Case, ExplainError, HeatMap, How, Method, Place, Question, Unwatched, Watch};
use crate::engine::{Engine, EngineInfo, Kind, Session, Spec, Value};
use crate::gradient::{self, GRADIENT_INPUT, PROBABILITIES, SCORES};
use crate::image::{Crop, Picture, Prepared, PreprocessError, preprocess, preprocess_region};
use crate::lungs::{Fields, grown};
#[cfg(feature = "web")]
use crate::model::as_sha256;
use crate::model::{Input, Model, ModelError, Squash, onnx, sha256_hex};

/// A model, its gradient graph at one layer, and both halves of it prepared on an engine.
///
/// The graph is cut where the class comes in: [`observe`](Explainer::observe) runs once a picture, and
/// [`explain`](Explainer::explain) then runs only what depends on the class.
pub struct Explainer {
    /// The model.
    pub model: Arc<Model>,
    /// The layer explained.
    pub layer: String,
    gradient_sha256: OnceLock<String>,
    engine: Arc<dyn Engine>,
    body: Box<dyn Session>,
    outputs: Vec<String>,
    head_graph: ModelProto,
    frontier: Vec<String>,
    head: OnceLock<Box<dyn Session>>,
}

/// What a model made of one picture.
#[derive(Debug, Clone)]
pub struct Observation {
    /// One score a class, before the softmax. Where one score stands between two classes, its negative and itself.
    pub logits: Vec<f32>,
    /// One probability a class.
    pub probabilities: Vec<f32>,
    /// The network's input, `[1, C, H, W]`.
    pub input: Array4<f32>,
    /// Activations of the layer, `[K, H, W]`.
    pub activations: Array3<f32>,
    frontier: Vec<Value>,
}

impl Explainer {
    /// Makes the gradient graph of `model` at `layer` (its default where `None`) and prepares it on `engine`.
    ///
    /// # Errors
    /// An unknown layer, an operator without a gradient rule, or a graph that the engine does not accept.
    pub fn new(
        engine: Arc<dyn Engine>,
        model: Arc<Model>,
        layer: Option<&str>,
    ) -> Result<Explainer, ExplainError> {
        if let Some(batch) = model.batch.filter(|&batch| batch != 1) {
            return Err(ModelError::Unsupported(format!(
                "it takes {batch} pictures at a time; export it with an open batch or a batch of 1"
            ))
            .into());
        }
        let layer = layer.unwrap_or(&model.layer).to_owned();
        let graph = gradient::derive(&model, std::slice::from_ref(&layer), false)?;
        let halves = gradient::split_at_seed(graph)?;
        let input = &model.manifest.input;
        let spec = Spec {
            kind: Kind::F32,
            shape: match model.channels_last {
                false => vec![1, model.channels, input.height, input.width],
                true => vec![1, input.height, input.width, model.channels],
            },
        };

        let outputs = halves.body.graph.iter().flat_map(|graph| &graph.output);
        let outputs = outputs.map(|output| output.name.clone()).collect();
        let body = engine.prepare_hollow(halves.body, model.graph()?, &[spec])?;
        let head = OnceLock::new();
        if halves.frontier.is_empty() {
            // Nothing of the picture's side decides its shapes: the first answer need not wait for it.
            let seed = Spec {
                kind: Kind::F32,
                shape: vec![1, model.classes],
            };
            let _ =
                head.set(engine.prepare_hollow(halves.head.clone(), model.graph()?, &[seed])?);
        }
        Ok(Explainer {
            outputs,
            model,
            layer,
            gradient_sha256: OnceLock::new(),
            engine,
            body,
            head_graph: halves.head,
            frontier: halves.frontier,
            head,
        })
    }

    /// Another model with the same layer, made ready at it on the same engine.
    ///
    /// # Errors
    /// As [`new`](Explainer::new).
    pub fn of_model(&self, model: Arc<Model>) -> Result<Explainer, ExplainError> {
        Explainer::new(self.engine.clone(), model, Some(&self.layer))
    }

    /// sha256 of the gradient graph's file. Computed when it is first asked for: of large models it takes as long as all else that
    /// makes them ready.
    #[must_use]
    pub fn gradient_sha256(&self) -> &str {
        self.gradient_sha256.get_or_init(|| {
            let graph =
                gradient::differentiate(&self.model, std::slice::from_ref(&self.layer), false);
            // It could be made when this was.
            graph.map_or_else(|_| String::new(), |graph| sha256_hex(&onnx::write(&graph)))
        })
    }

    /// Takes the sha256 of the gradient graph's file from a caller who has a faster way to it, or none where it is to be computed anew.
    ///
    /// # Errors
    /// [`ModelError::Digest`] for a text that is none.
    #[cfg(feature = "web")]
    pub(crate) fn digested(&mut self, sha256: Option<&str>) -> Result<(), ModelError> {
        let known = sha256.map(as_sha256).transpose()?;
        self.gradient_sha256 = known.map_or_else(OnceLock::new, OnceLock::from);
        Ok(())
    }

    /// The engine that it runs on.
    #[must_use]
    pub fn engine(&self) -> EngineInfo {
        self.engine.info()
    }

    /// The model's input tensor for a picture. Where the model wants the lungs only, they are those of `fields`, and the middle
    /// square where there are none.
    ///
    /// # Errors
    /// [`PreprocessError`] where the picture cannot be brought to the input's size.
    pub fn prepare(
        &self,
        picture: &Picture,
        fields: Option<&Fields>,
    ) -> Result<Prepared, PreprocessError> {
        let manifest = &self.model.manifest;
        let Input {
            width,
            height,
            channels,
            ..
        } = manifest.input;
        let how = &manifest.preprocessing;
        let bounds = fields.and_then(Fields::bounds);
        match (how.crop, bounds, &manifest.companion) {
            (Crop::Lungs, Some(bounds), Some(companion)) => {
                let margin = companion.crop_margin;
                let region = grown(bounds, margin, picture.width(), picture.height());
                preprocess_region(picture, region, how, width, height, channels)
            }
            _ => preprocess(picture, how, width, height, channels),
        }
    }

    /// Runs the forward pass on an input tensor `[1, C, H, W]`.
    ///
    /// # Errors
    /// [`ExplainError::Engine`] where the engine fails, [`ExplainError::Output`] where the model breaks its word.
    pub fn observe(&self, input: &Array4<f32>) -> Result<Observation, ExplainError> {
        let given = match self.model.channels_last {
            false => input.clone(),
            true => {
                let turned = input.view().permuted_axes([0, 2, 3, 1]);
                turned.as_standard_layout().into_owned()
            }
        };
        let values = self.body.run(&[Value::F32(given.into_dyn())])?;
        let find = |name: &str| {
            let position = self.outputs.iter().position(|output| output == name);
            position.and_then(|position| values.get(position)).cloned()
        };
        let scores = find(SCORES).and_then(Value::into_f32).unwrap_or_default();
        let logits = self.one_a_class(SCORES, scores)?;
        if let Some(class) = logits.iter().position(|logit| !logit.is_finite()) {
            return Err(ExplainError::NotFinite {
                class,
                logit: logits[class],
            });
        }
        let probabilities = match find(PROBABILITIES).and_then(Value::into_f32) {
            Some(array) => self.one_a_class(PROBABILITIES, array)?,
            None => squashed(&logits, self.model.squash),
        };
        let (logits, probabilities) = match self.model.is_two_sided() {
            true => (
                vec![-logits[0], logits[0]],
                vec![1.0 - probabilities[0], probabilities[0]],
            ),
            false => (logits, probabilities),
        };
        let activations = if self.is_at_pixels() {
            input.index_axis(Axis(0), 0).to_owned()
        } else {
            let name = gradient::activation_name(&self.layer);
            let activations = find(&name).and_then(Value::into_f32).unwrap_or_default();
            one_map(&name, activations)?
        };
        let frontier = self.frontier.iter().filter_map(|name| find(name)).collect();
        Ok(Observation {
            logits,
            probabilities,
            input: input.clone(),
            activations,
            frontier,
        })
    }

    /// Whether the layer is the network's input.
    #[must_use]
    pub fn is_at_pixels(&self) -> bool {
        self.layer == self.model.input
    }

    /// The gradient of `seed . logits` with respect to the layer, `[K, H, W]`. Runs only the part that depends on the class.
    ///
    /// # Errors
    /// As [`observe`](Explainer::observe).
    pub fn gradient(
        &self,
        observation: &Observation,
        seed: ndarray::Array2<f32>,
    ) -> Result<Array3<f32>, ExplainError> {
        let mut inputs = vec![Value::F32(seed.into_dyn())];
        inputs.extend(observation.frontier.iter().cloned());
        let head = match self.head.get() {
            Some(head) => head,
            None => {
                let specs: Vec<Spec> = inputs.iter().map(Value::spec).collect();
                let prepared = self.engine.prepare_hollow(
                    self.head_graph.clone(),
                    self.model.graph()?,
                    &specs,
                )?;
                self.head.get_or_init(|| prepared)
            }
        };
        let name = match self.is_at_pixels() {
            true => GRADIENT_INPUT.to_owned(),
            false => gradient::gradient_name(&self.layer),
        };
        let gradient = head
            .run(&inputs)?
            .into_iter()
            .next()
            .and_then(Value::into_f32);
        let gradient = one_map(&name, gradient.unwrap_or_default())?;
        Ok(match self.is_at_pixels() && self.model.channels_last {
            true => gradient.permuted_axes([2, 0, 1]),
            false => gradient,
        })
    }

    /// The gradient of what a question asks for, with respect to the layer, `[K, H, W]`.
    ///
    /// # Errors
    /// As [`explain`](Explainer::explain).
    pub fn gradient_of(
        &self,
        observation: &Observation,
        question: &Question,
    ) -> Result<Array3<f32>, ExplainError> {
        let mut seed = question.seed(&observation.probabilities, self.model.squash)?;
        if self.model.is_two_sided() {
            // Both classes are read from one score; what speaks for the first speaks against the second.
            seed = seed.dot(&array![[-1.0], [1.0]]);
        }
        self.gradient(observation, seed)
    }

    /// Answers a question about an observed picture with a heat map.
    ///
    /// # Errors
    /// [`ExplainError::NoClass`] or [`ExplainError::Question`] for a senseless question, else as [`observe`](Explainer::observe).
    pub fn explain(
        &self,
        observation: &Observation,
        question: &Question,
        method: &dyn Method,
    ) -> Result<HeatMap, ExplainError> {
        self.explain_watched(observation, question, method, &Unwatched)
    }

    /// As [`explain`](Explainer::explain), told of each pass of a method that makes many.
    ///
    /// # Errors
    /// As [`explain`](Explainer::explain); [`ExplainError::Stopped`] where `watch` has had enough.
    pub fn explain_watched(
        &self,
        observation: &Observation,
        question: &Question,
        method: &dyn Method,
        watch: &dyn Watch,
    ) -> Result<HeatMap, ExplainError> {
        // A senseless question is told before any pass.
        question.seed(&observation.probabilities, self.model.squash)?;
        let how = method.how();
        if how.place() == Place::Pixels && !self.is_at_pixels() {
            return Err(ExplainError::Question(format!(
                "{} looks at the pixels and not at '{}'",
                method.id(),
                self.layer
            )));
        }
        let (values, gradients) = match how {
            How::Layer(map) | How::Pixels(map) => {
                let gradients = self.gradient_of(observation, question)?;
                (
                    map(observation.activations.view(), gradients.view()),
                    Some(gradients),
                )
            }
            How::Passes { map, .. } => {
                let case = Case {
                    explainer: self,
                    observation,
                    question,
                    watch,
                };
                (map(&case)?, None)
            }
        };
        let min = values.iter().copied().fold(f32::INFINITY, f32::min);
        let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let empty = emptiness(&values, min, max, observation, gradients.as_ref(), question);
        Ok(HeatMap {
            values,
            min,
            max,
            empty,
        })
    }

    /// A `[1, classes]` output as a list.
    fn one_a_class(&self, output: &str, array: ArrayD<f32>) -> Result<Vec<f32>, ExplainError> {
        if array.shape() == [1, self.model.classes] {
            return Ok(array.into_iter().collect());
        }
        Err(ExplainError::Output {
            output: output.to_owned(),
            shape: array.shape().to_vec(),
            expected: format!("[1, {}]", self.model.classes),
        })
    }
}

/// A `[1, K, H, W]` output without its batch axis.
fn one_map(output: &str, array: ArrayD<f32>) -> Result<Array3<f32>, ExplainError> {
    let shape = array.shape().to_vec();
    let wrong = || ExplainError::Output {
        output: output.to_owned(),
        shape: shape.clone(),
        expected: "[1, K, H, W]".into(),
    };
    let array = array.into_dimensionality::<Ix4>().map_err(|_| wrong())?;
    if array.len_of(Axis(0)) != 1 {
        return Err(wrong());
    }
    array
        .index_axis_move(Axis(0), 0)
        .into_dimensionality::<Ix3>()
        .map_err(|_| wrong())
}

/// Probabilities for a model that ends in its logits.
fn squashed(logits: &[f32], squash: Squash) -> Vec<f32> {
    match squash {
        Squash::Sigmoid => logits
            .iter()
            .map(|logit| 1.0 / (1.0 + (-logit).exp()))
            .collect(),
        Squash::Softmax => {
            let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let exps: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
            let sum: f32 = exps.iter().sum();
            exps.iter().map(|exp| exp / sum).collect()
        }
    }
}

/// Why a map shows nothing, if it shows nothing. A blank map without a word is what users of other tools complain of most.
fn emptiness(
    values: &ndarray::Array2<f32>,
    min: f32,
    max: f32,
    observation: &Observation,
    gradients: Option<&Array3<f32>>,
    question: &Question,
) -> Option<String> {
    if values.iter().any(|value| !value.is_finite()) {
        return Some(
            "The map holds values that are not numbers: the model overflows on this picture."
                .into(),
        );
    }
    if max > min {
        return None;
    }
    let Some(gradients) = gradients else {
        return Some(match max == 0.0 {
            true => "The map is empty: no change of the picture that was tried changes the score."
                .into(),
            false => format!("The map is flat: it is {max} everywhere."),
        });
    };
    if gradients.iter().all(|&gradient| gradient == 0.0) {
        let p = observation
            .probabilities
            .get(question.class)
            .copied()
            .unwrap_or(0.0);
        return Some(match question.target {
            super::Target::Probability => format!(
                "The map is empty: the probability {p} is saturated, so nothing moves it. Explain the logit instead."
            ),
            super::Target::Logit => {
                "The map is empty: no gradient reaches this layer from this class.".into()
            }
        });
    }
    if observation
        .activations
        .iter()
        .all(|&activation| activation == 0.0)
    {
        return Some("The map is empty: every activation of this layer is zero.".into());
    }
    let same = |channel: ndarray::ArrayView2<'_, f32>| {
        let mut values = channel.iter();
        let first = values.next();
        values.all(|value| Some(value) == first)
    };
    if observation.activations.outer_iter().all(same) {
        return Some(
            "The map is empty: every channel of this layer is the same at every place.".into(),
        );
    }
    if max == 0.0 {
        return Some(
            "The map is empty: at every position this layer speaks against the class, and the method shows only what \
             speaks for it."
                .into(),
        );
    }
    Some(format!("The map is flat: it is {max} everywhere."))
}
