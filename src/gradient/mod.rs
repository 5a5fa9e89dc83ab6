//! Reverse mode: an ONNX classifier in, a plain ONNX gradient graph out.
//!
//! The graph computes the model's scores, the activations of the layers asked for, and the gradient of `seed . scores` with
//! respect to them, where `seed` is an input `[N, classes]`: one-hot for a class, a difference of two one-hots for a contrast,
//! any cotangent at all. Every operator in it belongs to ONNX's default domain, so any ONNX runtime runs it.
//!
//! The method is the textbook one (Griewank and Walther, *Evaluating Derivatives*, 2008, chapter 3): walk the nodes on the
//! way from the layers to the scores backwards; each has a rule that turns the cotangents of its outputs into those of
//! its inputs; a tensor that is read several times adds up what it gets.

mod biases;
mod declare;
mod error;
mod forward;
mod names;
mod nest;
mod relus;
mod rules;
mod split;
mod tail;
pub(crate) mod tape;
mod thin;

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, ModelProto};

pub use biases::{Bias, biases};
pub use error::GradientError;
pub use names::{
    GRADIENT_INPUT, PROBABILITIES, SCORES, SEED, activation_name, bias_gradient_name, gradient_name,
};
pub use relus::Relus;
pub use split::{Split, split_at_seed};
pub use tail::{Tail, cut_at};

use crate::model::facts::ElementType;
use crate::model::layers::ancestors;
use crate::model::onnx::Piece;
use crate::model::onnx::parts::{self, ints};
use crate::model::{Layer, Layout, Model, onnx, weights};
use declare::{declarations, property, shape_of, value_info};
use names::{SEED_WITHIN, check_names, free_names};
use tape::{Call, Tape};

/// What a gradient graph is to hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// The layers whose activations and gradients it gives. The model's input may be among them.
    pub layers: &'a [String],
    /// Whether it gives the gradient at the pixels.
    pub input: bool,
    /// What its backward pass does at ReLUs.
    pub relus: Relus,
    /// The biases whose gradients it gives; those that the scores do not depend on are left out.
    pub biases: &'a [Bias],
}

/// Makes the gradient graph of `model` at `layers` and, with `input` or where the model's input is among them, at the pixels.
///
/// # Errors
/// As [`graph_of`].
pub fn differentiate(
    model: &Model,
    layers: &[String],
    input: bool,
) -> Result<ModelProto, GradientError> {
    let wanted = Wanted {
        layers,
        input,
        ..Wanted::default()
    };
    graph_of(model, &wanted)
}

/// Makes the gradient graph of `model` that gives what is wanted.
///
/// Inputs: the model's own and [`SEED`]. Outputs: [`SCORES`], [`PROBABILITIES`] where the model has them, and
/// `activation/LAYER` and `gradient/LAYER` a layer, [`GRADIENT_INPUT`] and `gradient/bias/TENSOR` on request. The same model and request give the same
/// bytes.
///
/// # Errors
/// [`GradientError`] names the operator without a rule, the open shape, or the unknown layer; [`GradientError::NoRelu`] where there is nothing to
/// guide.
pub fn graph_of(model: &Model, wanted: &Wanted<'_>) -> Result<ModelProto, GradientError> {
    let mut gradient = derive(model, wanted)?;
    if let Some(graph) = &mut gradient.graph {
        weights::fill(graph, model.graph()?, &HashSet::new());
    }
    Ok(gradient)
}

/// The file of [`graph_of`], in pieces that follow each other: large weights stay where they are.
///
/// # Errors
/// As [`graph_of`].
pub(crate) fn file_of<'m>(
    model: &'m Model,
    wanted: &Wanted<'_>,
) -> Result<Vec<Piece<'m>>, GradientError> {
    Ok(onnx::pieces(derive(model, wanted)?, model.graph()?))
}

/// [`graph_of`], but that large weights stay in the model: the graph's tensors are [hollow](weights).
pub(crate) fn derive(model: &Model, wanted: &Wanted<'_>) -> Result<ModelProto, GradientError> {
    let Wanted { layers, .. } = wanted;
    // The input is a layer, too, under a name of its own.
    let input = wanted.input || layers.contains(&model.input);
    let mut layers_once: Vec<&str> = Vec::new();
    for layer in layers.iter().filter(|layer| **layer != model.input) {
        model.find_layer(layer)?;
        if !layers_once.contains(&layer.as_str()) {
            layers_once.push(layer);
        }
    }
    check_names(model, &layers_once, wanted.biases)?;

    let mut sought: Vec<&str> = layers_once.clone();
    if input {
        sought.push(&model.input);
    }
    let of_biases: Vec<&str> = wanted
        .biases
        .iter()
        .map(|bias| bias.tensor.as_str())
        .collect();
    let mut kept_outputs: Vec<&str> = vec![&model.scores];
    kept_outputs.extend(model.probabilities.as_deref());
    kept_outputs.extend(&layers_once);
    let mut forward = forward_pass(model, &kept_outputs)?;
    let (mut tape, cotangents) = backward(model, &forward, &sought, &of_biases, wanted.relus)?;
    forward::add_outputs(&mut forward, &tape.extra_outputs);

    let mut outputs = vec![(SCORES.to_owned(), model.scores.clone())];
    if let Some(probabilities) = &model.probabilities {
        outputs.push((PROBABILITIES.to_owned(), probabilities.clone()));
    }
    for &layer in &layers_once {
        let map = model.find_layer(layer)?;
        outputs.push((activation_name(layer), on_grid(&mut tape, layer, map)));
        outputs.push((
            gradient_name(layer),
            on_grid(&mut tape, &cotangents[layer], map),
        ));
    }
    if input {
        outputs.push((
            GRADIENT_INPUT.to_owned(),
            cotangents[model.input.as_str()].clone(),
        ));
    }
    for tensor in of_biases {
        if let Some(cotangent) = cotangents.get(tensor) {
            outputs.push((bias_gradient_name(tensor), cotangent.clone()));
        }
    }
    tape.prune(&outputs);
    let mut graph = forward;
    graph.name = format!("{}.gradient", model.manifest.id);
    graph.node.extend(tape.nodes);
    graph.initializer.extend(tape.initializers);
    prepared_for(model, &mut graph);
    free_names(&mut graph, &mut outputs);
    for (public, tensor) in &outputs {
        if public != tensor {
            graph
                .node
                .push(parts::node("Identity", &[tensor], public, vec![]));
        }
    }
    graph.output = declarations(model, &layers_once, wanted.biases, &outputs)?;
    let scores = shape_of(model, &model.scores);
    graph.input = graph
        .input
        .into_iter()
        .filter(|value| value.name == model.input)
        .chain([value_info(SEED, scores)])
        .collect();
    graph.value_info.clear();

    let mut metadata_props = vec![
        property("gradlens.version", crate::VERSION),
        property("gradlens.source_sha256", &model.sha256),
        property("gradlens.layers", &layers_once.join("\n")),
    ];
    if wanted.relus != Relus::Plain {
        metadata_props.push(property("gradlens.relus", wanted.relus.name()));
    }
    Ok(ModelProto {
        ir_version: model.proto.ir_version.max(8),
        opset_import: model.proto.opset_import.clone(),
        producer_name: "gradlens".into(),
        producer_version: crate::VERSION.into(),
        graph: Some(graph),
        metadata_props,
        ..ModelProto::default()
    })
}

/// The forward pass of a model, constants folded, without what `kept_outputs` do not need.
fn forward_pass(model: &Model, kept_outputs: &[&str]) -> Result<GraphProto, GradientError> {
    let source = model.graph()?;
    let mut forward = GraphProto {
        name: String::new(),
        output: Vec::new(),
        ..weights::without(source)
    };
    forward::fold(&mut forward, &model.facts, kept_outputs);
    forward::prune(&mut forward, kept_outputs);
    nest::nest_concats(&mut forward);
    Ok(forward)
}

/// Writes what engines trip over in forms that every engine runs.
fn prepared_for(model: &Model, graph: &mut GraphProto) {
    forward::spell_out_celu(graph);
    forward::spell_out_steps(graph, &model.facts);
}

/// Every operator with a gradient rule.
#[must_use]
pub fn operators() -> Vec<&'static str> {
    rules::operators()
}

/// The operators between the picture and the scores that have no gradient rule, each once, in the graph's order.
#[must_use]
pub fn operators_without_rule(model: &Model) -> Vec<String> {
    let Ok(graph) = model.graph() else {
        return Vec::new();
    };
    let below = reached_by_gradient(model, graph, &[&model.input]);
    let above = ancestors(graph, &[&model.scores]);
    let mut missing: Vec<String> = Vec::new();
    for node in &graph.node {
        let on_the_way = node
            .output
            .iter()
            .any(|name| above.contains(name.as_str()) && below.contains(name.as_str()));
        if on_the_way && rules::find(&node.op_type).is_none() && !missing.contains(&node.op_type) {
            missing.push(node.op_type.clone());
        }
    }
    missing
}

/// Integer and boolean tensors (shapes, masks, indices) carry no gradient.
fn carries_gradient(model: &Model, tensor: &str) -> bool {
    model
        .facts
        .get(tensor)
        .is_none_or(|fact| matches!(fact.element, ElementType::F32 | ElementType::Unknown))
}

/// Names of the tensors that depend on `roots` by more than shapes and masks, the roots included.
fn reached_by_gradient<'g>(
    model: &Model,
    graph: &'g GraphProto,
    roots: &[&'g str],
) -> HashSet<&'g str> {
    let mut reached: HashSet<&str> = roots.iter().copied().collect();
    for node in &graph.node {
        let inputs = &mut node.input.iter().map(String::as_str);
        if inputs.any(|name| reached.contains(name)) {
            let outputs = node.output.iter().map(String::as_str);
            reached
                .extend(outputs.filter(|name| !name.is_empty() && carries_gradient(model, name)));
        }
    }
    reached
}

/// Runs the rules from the scores back to `sought`; returns the tape and the cotangent of every tensor sought, and of every one `beside` them that has one.
fn backward<'m>(
    model: &'m Model,
    forward: &GraphProto,
    sought: &[&str],
    beside: &[&str],
    relus: Relus,
) -> Result<(Tape<'m>, HashMap<String, String>), GradientError> {
    let below = reached_by_gradient(model, forward, &[sought, beside].concat());
    let mut guided = 0;
    let mut tape = Tape::new(&model.facts, model.graph()?);
    let mut cotangents: HashMap<String, String> = HashMap::new();
    cotangents.insert(model.scores.clone(), SEED_WITHIN.to_owned());
    for node in forward.node.iter().rev() {
        let given: Vec<Option<String>> = node
            .output
            .iter()
            .map(|name| cotangents.get(name).cloned())
            .collect();
        let wanted: Vec<bool> = node
            .input
            .iter()
            .map(|name| below.contains(name.as_str()))
            .collect();
        let reached = given.iter().any(Option::is_some);
        if !reached || !wanted.contains(&true) {
            continue;
        }
        let rule = rules::find(&node.op_type).ok_or_else(|| GradientError::NoRule {
            operator: node.op_type.clone(),
            node: onnx::node_name(node).to_owned(),
        })?;
        let call = Call {
            node,
            opset: onnx::opset(&model.proto),
            cotangents: given,
            wanted,
        };
        let is_guided = relus == Relus::Guided && relus::is_relu(&tape, &call);
        guided += usize::from(is_guided);
        for (position, mut cotangent) in rule(&mut tape, &call)? {
            if is_guided && position == 0 {
                cotangent = tape.op("Relu", &[&cotangent]);
            }
            let tensor = &node.input[position];
            let total = match cotangents.get(tensor) {
                Some(earlier) => {
                    let earlier = earlier.clone();
                    tape.op("Add", &[&earlier, &cotangent])
                }
                None => cotangent,
            };
            tape.note_like(&total, tensor);
            cotangents.insert(tensor.clone(), total);
        }
    }
    if relus == Relus::Guided && guided == 0 {
        return Err(GradientError::NoRelu);
    }
    match sought.iter().find(|name| !cotangents.contains_key(**name)) {
        Some(name) => Err(GradientError::NoPath((*name).to_owned())),
        None => Ok((tape, cotangents)),
    }
}

/// An activation `[N, K, H, W]`, whatever order its axes have in the model, or its cotangent: what Grad-CAM and its kin compute with.
fn on_grid(tape: &mut Tape<'_>, tensor: &str, layer: &Layer) -> String {
    let last_to_front = || vec![ints("perm", &[0, 3, 1, 2])];
    match layer.layout {
        Layout::ChannelsFirst => tensor.to_owned(),
        Layout::ChannelsLast => tape.node("Transpose", &[tensor], last_to_front()),
        Layout::Tokens { prefix } => {
            let placed = match prefix {
                0 => tensor.to_owned(),
                _ => {
                    let (start, end, axis) = (
                        tape.ints(&[prefix]),
                        tape.ints(&[i64::MAX]),
                        tape.ints(&[1]),
                    );
                    tape.op("Slice", &[tensor, &start, &end, &axis])
                }
            };
            // Zero: as many pictures as there are.
            let rows = tape.ints(&[0, layer.height, layer.width, layer.channels]);
            let rows = tape.op("Reshape", &[&placed, &rows]);
            tape.node("Transpose", &[&rows], last_to_front())
        }
    }
}
