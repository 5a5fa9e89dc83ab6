//! The forward pass: from an input tensor to scores and activations.

use ndarray::{Array3, Array4, ArrayD, Axis, Ix3, Ix4};

use super::{ExplainError, Explainer};
use crate::engine::Value;
use crate::gradient::{self, PROBABILITIES, SCORES};
use crate::model::Squash;

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
    pub(super) frontier: Vec<Value>,
}

impl Explainer {
    /// Runs the forward pass on an input tensor `[1, C, H, W]`.
    ///
    /// # Errors
    /// [`ExplainError::Engine`] where the engine fails, [`ExplainError::Output`] where the model breaks its word.
    pub fn observe(&self, input: &Array4<f32>) -> Result<Observation, ExplainError> {
        let values = self.body.run(&[self.given(input)])?;
        let find = |name: &str| {
            let position = self.outputs.iter().position(|output| output == name);
            position.and_then(|position| values.get(position)).cloned()
        };
        let scores = [SCORES, PROBABILITIES].into_iter().filter_map(find);
        let (logits, probabilities) = self.scored(scores.collect())?;
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

    /// An input tensor `[1, C, H, W]` in the order of axes that the model takes.
    pub(super) fn given(&self, input: &Array4<f32>) -> Value {
        let given = match self.model.channels_last {
            false => input.clone(),
            true => {
                let turned = input.view().permuted_axes([0, 2, 3, 1]);
                turned.as_standard_layout().into_owned()
            }
        };
        Value::F32(given.into_dyn())
    }

    /// Logits and probabilities, one a class, of the model's scores and, where it has them, its probabilities.
    pub(super) fn scored(&self, values: Vec<Value>) -> Result<(Vec<f32>, Vec<f32>), ExplainError> {
        let mut values = values.into_iter().map(Value::into_f32);
        let scores = values.next().flatten().unwrap_or_default();
        let logits = self.one_a_class(SCORES, scores)?;
        if let Some(class) = logits.iter().position(|logit| !logit.is_finite()) {
            return Err(ExplainError::NotFinite {
                class,
                logit: logits[class],
            });
        }
        let probabilities = match values.next().flatten() {
            Some(array) => self.one_a_class(PROBABILITIES, array)?,
            None => squashed(&logits, self.model.squash),
        };
        Ok(match self.model.is_two_sided() {
            true => (
                vec![-logits[0], logits[0]],
                vec![1.0 - probabilities[0], probabilities[0]],
            ),
            false => (logits, probabilities),
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
pub(super) fn one_map(output: &str, array: ArrayD<f32>) -> Result<Array3<f32>, ExplainError> {
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
