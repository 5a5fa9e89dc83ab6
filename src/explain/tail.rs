//! What follows a layer, run with other activations than the picture's.

use ndarray::{Array4, ArrayD, Axis};

use super::{ExplainError, Explainer};
use crate::engine::{Session, Spec, Value};
use crate::gradient::cut_at;
use crate::model::{Layout, ModelError};

/// A model cut at a layer, both parts prepared for one picture.
pub struct Tail {
    /// `None` where the layer is the input itself.
    body: Option<Box<dyn Session>>,
    tail: Box<dyn Session>,
    channels: Axis,
}

impl Tail {
    /// Cuts and prepares the model of an explainer at its layer; what follows it for tensors of the shapes that `input` leads to. Gives the tensors at the cut, too.
    pub(super) fn new(explainer: &Explainer, input: &Array4<f32>) -> Result<Tail, ExplainError> {
        let model = &explainer.model;
        let parts = cut_at(model, &explainer.layer)?;
        let given = explainer.given(input);
        let layout = match explainer.is_at_pixels() {
            true if model.channels_last => Layout::ChannelsLast,
            true => Layout::ChannelsFirst,
            false => model.find_layer(&explainer.layer)?.layout,
        };
        let body = match explainer.is_at_pixels() {
            true => None,
            false => Some(explainer.prepare_graph(parts.body, &[given.spec()])?),
        };
        let mut handed = Vec::new();
        match &body {
            Some(body) => handed.extend(body.run(&[given])?),
            None => handed.push(given),
        }
        let specs: Vec<Spec> = handed.iter().map(Value::spec).collect();
        let rank = specs.first().map_or(0, |spec| spec.shape.len());
        Ok(Tail {
            body,
            tail: explainer.prepare_graph(parts.tail, &specs)?,
            channels: Axis(match layout {
                Layout::ChannelsFirst => 1,
                Layout::ChannelsLast | Layout::Tokens { .. } => rank.saturating_sub(1),
            }),
        })
    }

    /// The tensors at the cut: the layer as the model has it, and what reaches the scores beside it.
    pub(super) fn enter(
        &self,
        explainer: &Explainer,
        input: &Array4<f32>,
    ) -> Result<Entered<'_>, ExplainError> {
        let given = explainer.given(input);
        let mut values = match &self.body {
            Some(body) => body.run(&[given])?,
            None => vec![given],
        }
        .into_iter();
        let layer = values.next().and_then(Value::into_f32);
        let layer = layer.ok_or_else(|| {
            ModelError::Unsupported(format!(
                "its layer '{}' does not hold floats",
                explainer.layer
            ))
        })?;
        Ok(Entered {
            tail: self,
            layer,
            beside: values.collect(),
        })
    }
}

/// The tensors at a cut, of one picture.
pub struct Entered<'t> {
    tail: &'t Tail,
    /// The layer, its axes in the model's order.
    pub layer: ArrayD<f32>,
    beside: Vec<Value>,
}

impl Entered<'_> {
    /// Scores, and probabilities where the model has them, with one channel of the layer set to `value` everywhere.
    pub(super) fn without(&self, channel: usize, value: f32) -> Result<Vec<Value>, ExplainError> {
        let mut layer = self.layer.clone();
        layer
            .index_axis_mut(self.tail.channels, channel)
            .fill(value);
        let mut inputs = vec![Value::F32(layer)];
        inputs.extend(self.beside.iter().cloned());
        Ok(self.tail.tail.run(&inputs)?)
    }
}
