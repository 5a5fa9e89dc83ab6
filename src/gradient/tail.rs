//! The forward pass cut at a layer: what leads to it, and what follows.

use std::collections::HashSet;

use tract_onnx::pb::{GraphProto, ModelProto, ValueInfoProto};

use super::split::{part, share};
use super::{GradientError, forward_pass, prepared_for};
use crate::model::Model;
use crate::model::layers::{ancestors, descendants};

/// A model in two parts, to run what follows a layer with other activations than the picture's.
#[derive(Debug, Clone)]
pub struct Tail {
    /// Picture in; the [`handed`](Tail::handed) tensors out.
    pub body: ModelProto,
    /// Handed tensors in; scores, and probabilities where the model has them, out.
    pub tail: ModelProto,
    /// Names of the tensors at the cut: the layer, as the model has it, then what reaches the scores beside it.
    pub handed: Vec<String>,
}

/// Cuts a model's forward pass at `layer`.
///
/// # Errors
/// [`GradientError::Model`] where the layer does not exist.
pub fn cut_at(model: &Model, layer: &str) -> Result<Tail, GradientError> {
    if layer != model.input {
        model.find_layer(layer)?;
    }
    let mut outputs = vec![model.scores.as_str()];
    outputs.extend(model.probabilities.as_deref());
    let mut kept = outputs.clone();
    kept.push(layer);
    let mut forward = forward_pass(model, &kept)?;
    prepared_for(model, &mut forward);
    let weights = std::mem::take(&mut forward.initializer);

    let behind = descendants(&forward, &[layer]);
    let of_picture = descendants(&forward, &[model.input.as_str()]);
    let needed = ancestors(&forward, &outputs);
    let mut seen: HashSet<&str> = HashSet::from([layer]);
    let mut handed = vec![layer.to_owned()];
    for node in &forward.node {
        let is_behind = node.output.iter().any(|name| {
            name != layer && behind.contains(name.as_str()) && needed.contains(name.as_str())
        });
        if !is_behind {
            continue;
        }
        for name in &node.input {
            let crosses = of_picture.contains(name.as_str()) && !behind.contains(name.as_str());
            if crosses && seen.insert(name) {
                handed.push(name.clone());
            }
        }
    }

    let named = |name: &String| ValueInfoProto {
        name: name.clone(),
        ..ValueInfoProto::default()
    };
    let cut: HashSet<&str> = handed.iter().map(String::as_str).collect();
    let ends = outputs.iter().map(|name| named(&(*name).to_owned()));
    let inputs: Vec<ValueInfoProto> = handed.iter().map(named).collect();
    let tail = part(
        &forward,
        &|name| cut.contains(name),
        &inputs,
        ends.collect(),
    );
    let body = part(&forward, &|_| false, &[], inputs);
    let [body, tail] = share(weights, [body, tail]);
    let whole = |graph: GraphProto| ModelProto {
        ir_version: model.proto.ir_version.max(8),
        opset_import: model.proto.opset_import.clone(),
        graph: Some(graph),
        ..ModelProto::default()
    };
    Ok(Tail {
        body: whole(body),
        tail: whole(tail),
        handed,
    })
}
