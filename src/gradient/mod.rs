//! Reverse mode: an ONNX classifier in, a plain ONNX gradient graph out.
//!
//! The graph computes the model's scores, the activations of the layers asked for, and the gradient of `seed . scores` with
//! respect to them, where `seed` is an input `[N, classes]`: one-hot for a class, a difference of two one-hots for a contrast,
//! any cotangent at all. Every operator in it belongs to ONNX's default domain, so any ONNX runtime runs it.
//!
//! The method is the textbook one (Griewank and Walther, *Evaluating Derivatives*, 2008, chapter 3): walk the nodes on the
//! way from the layers to the scores backwards; each has a rule that turns the cotangents of its outputs into those of
//! its inputs; a tensor that is read several times adds up what it gets.

mod error;
mod opset;
mod rules;
mod split;
pub(crate) mod tape;

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::Dimension,
    tensor_shape_proto::dimension, type_proto,
};

pub use error::GradientError;
pub use split::{Split, split_at_seed};

use crate::model::Model;
use crate::model::facts::{Dim, ElementType, Fact};
use crate::model::layers::{ancestors, descendants};
use crate::model::onnx::{self, MINIMUM_OPSET};
use tape::{Call, Tape};

/// Name of the cotangent input, shape `[N, classes]`.
pub const SEED: &str = "seed";
/// Name of [`SEED`] until the model's own tensor of that name, if it has one, is renamed.
const SEED_WITHIN: &str = "backward/seed";
/// Name of the score output.
pub const SCORES: &str = "scores";
/// Name of the probability output.
pub const PROBABILITIES: &str = "probabilities";
/// Name of the output that holds the gradient with respect to the pixels.
pub const GRADIENT_INPUT: &str = "gradient/input";

/// Name of the output that holds a layer's activation.
#[must_use]
pub fn activation_name(layer: &str) -> String {
    format!("activation/{layer}")
}

/// Name of the output that holds the gradient with respect to a layer's activation.
#[must_use]
pub fn gradient_name(layer: &str) -> String {
    format!("gradient/{layer}")
}

/// Makes the gradient graph of `model` at `layers` and, with `input`, at the pixels.
///
/// Inputs: the model's own and [`SEED`]. Outputs: [`SCORES`], [`PROBABILITIES`] where the model has them, and
/// `activation/LAYER` and `gradient/LAYER` a layer, [`GRADIENT_INPUT`] on request. The same model and request give the same
/// bytes.
///
/// # Errors
/// [`GradientError`] names the operator without a rule, the open shape, or the unknown layer.
pub fn differentiate(
    model: &Model,
    layers: &[String],
    input: bool,
) -> Result<ModelProto, GradientError> {
    let mut layers_once: Vec<&str> = Vec::new();
    for layer in layers {
        model.find_layer(layer)?;
        if !layers_once.contains(&layer.as_str()) {
            layers_once.push(layer);
        }
    }
    let source = model.graph()?;
    check_names(model, &layers_once)?;

    let mut sought: Vec<&str> = layers_once.clone();
    if input {
        sought.push(&model.input);
    }
    let mut kept_outputs: Vec<&str> = vec![&model.scores];
    kept_outputs.extend(model.probabilities.as_deref());
    kept_outputs.extend(&layers_once);
    let mut forward = pruned(source, &kept_outputs);

    let (tape, cotangents) = backward(model, &forward, &sought)?;
    add_outputs(&mut forward, &tape.extra_outputs);
    opset::modernise(&mut forward, onnx::opset(&model.proto), &model.facts)?;

    let mut outputs = vec![(SCORES.to_owned(), model.scores.clone())];
    if let Some(probabilities) = &model.probabilities {
        outputs.push((PROBABILITIES.to_owned(), probabilities.clone()));
    }
    for &layer in &layers_once {
        outputs.push((activation_name(layer), layer.to_owned()));
        outputs.push((gradient_name(layer), cotangents[layer].clone()));
    }
    if input {
        outputs.push((
            GRADIENT_INPUT.to_owned(),
            cotangents[model.input.as_str()].clone(),
        ));
    }
    let fact_of = |name: &str| -> Option<&Fact> {
        let like = match name.split_once('/') {
            Some(("gradient", "input")) if input && name == GRADIENT_INPUT => model.input.as_str(),
            Some(("activation" | "gradient", layer)) => layer,
            _ => model.scores.as_str(),
        };
        model.facts.get(like)
    };

    let mut graph = forward;
    graph.name = format!("{}.gradient", model.manifest.id);
    graph.node.extend(tape.nodes);
    graph.initializer.extend(tape.initializers);
    spell_out_celu(&mut graph);
    free_names(&mut graph, &mut outputs);
    for (public, tensor) in &outputs {
        if public != tensor {
            graph.node.push(NodeProto {
                name: public.clone(),
                op_type: "Identity".into(),
                input: vec![tensor.clone()],
                output: vec![public.clone()],
                ..NodeProto::default()
            });
        }
    }
    graph.output = outputs
        .iter()
        .map(|(name, _)| value_info(name, fact_of(name)))
        .collect();
    let seed_like = model.facts.get(&model.scores);
    graph.input = graph
        .input
        .into_iter()
        .filter(|value| value.name == model.input)
        .chain([value_info(SEED, seed_like)])
        .collect();
    graph.value_info.clear();

    let mut proto = ModelProto {
        ir_version: model.proto.ir_version.max(8),
        opset_import: model.proto.opset_import.clone(),
        producer_name: "gradlens".into(),
        producer_version: crate::VERSION.into(),
        graph: Some(graph),
        metadata_props: vec![
            property("gradlens.version", crate::VERSION),
            property("gradlens.source_sha256", &model.sha256),
            property("gradlens.layers", &layers_once.join("\n")),
        ],
        ..ModelProto::default()
    };
    onnx::raise_opset(&mut proto, MINIMUM_OPSET);
    Ok(proto)
}

/// Checks that the names which the gradient graph needs are free, and that no two of them are the same.
fn check_names(model: &Model, layers: &[&str]) -> Result<(), GradientError> {
    let of_layers = layers
        .iter()
        .flat_map(|layer| [activation_name(layer), gradient_name(layer)]);
    let fixed = [SEED, SCORES, PROBABILITIES, GRADIENT_INPUT].map(str::to_owned);
    let mut names = HashSet::new();
    for name in of_layers.chain(fixed) {
        if name == model.input || !names.insert(name.clone()) {
            return Err(GradientError::NameTaken(name));
        }
    }
    if model.facts.contains_key(SEED_WITHIN) {
        return Err(GradientError::NameTaken(SEED_WITHIN.to_owned()));
    }
    Ok(())
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
    let below = descendants(graph, &[&model.input]);
    let above = ancestors(graph, &[&model.scores]);
    let mut missing: Vec<String> = Vec::new();
    for node in &graph.node {
        let on_the_way = node.output.iter().any(|name| above.contains(name.as_str()))
            && node.input.iter().any(|name| below.contains(name.as_str()))
            && node.output.iter().any(|name| carries_gradient(model, name));
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
        .is_none_or(|fact| fact.element != ElementType::Other)
}

/// Runs the rules from the scores back to `sought`; returns the tape and the cotangent of every tensor sought.
fn backward<'m>(
    model: &'m Model,
    forward: &GraphProto,
    sought: &[&str],
) -> Result<(Tape<'m>, HashMap<String, String>), GradientError> {
    let below = descendants(forward, sought);
    let active = |name: &str| below.contains(name) && carries_gradient(model, name);
    let mut tape = Tape::new(&model.facts);
    let mut cotangents: HashMap<String, String> = HashMap::new();
    cotangents.insert(model.scores.clone(), SEED_WITHIN.to_owned());
    for node in forward.node.iter().rev() {
        let given: Vec<Option<String>> = node
            .output
            .iter()
            .map(|name| cotangents.get(name).cloned())
            .collect();
        let wanted: Vec<bool> = node.input.iter().map(|name| active(name)).collect();
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
        for (position, cotangent) in rule(&mut tape, &call)? {
            let tensor = &node.input[position];
            let total = match cotangents.get(tensor) {
                Some(earlier) => {
                    let earlier = earlier.clone();
                    tape.op("Add", &[&earlier, &cotangent])
                }
                None => cotangent,
            };
            cotangents.insert(tensor.clone(), total);
        }
    }
    match sought.iter().find(|name| !cotangents.contains_key(**name)) {
        Some(name) => Err(GradientError::NoPath((*name).to_owned())),
        None => Ok((tape, cotangents)),
    }
}

/// The part of a graph that `outputs` need.
fn pruned(graph: &GraphProto, outputs: &[&str]) -> GraphProto {
    let needed = ancestors(graph, outputs);
    let is_needed = |name: &String| needed.contains(name.as_str());
    GraphProto {
        node: graph
            .node
            .iter()
            .filter(|node| node.output.iter().any(is_needed))
            .cloned()
            .collect(),
        initializer: graph
            .initializer
            .iter()
            .filter(|tensor| is_needed(&tensor.name))
            .cloned()
            .collect(),
        input: graph.input.clone(),
        ..GraphProto::default()
    }
}

/// Gives forward nodes the further outputs that rules asked for.
fn add_outputs(forward: &mut GraphProto, extra: &[(String, usize, String)]) {
    for (tensor, position, name) in extra {
        if let Some(node) = forward
            .node
            .iter_mut()
            .find(|node| node.output.first() == Some(tensor))
        {
            node.output
                .resize((*position + 1).max(node.output.len()), String::new());
            node.output[*position].clone_from(name);
        }
    }
}

/// Writes `Celu` as `alpha Elu(x / alpha)`: tract 0.23.9 computes `exp(x / alpha) - 1` below zero, without the factor.
fn spell_out_celu(graph: &mut GraphProto) {
    let alpha = |node: &NodeProto| {
        let attribute = node.attribute.iter().find(|a| a.name == "alpha");
        attribute.map_or(1.0, |attribute| attribute.f)
    };
    let nodes = std::mem::take(&mut graph.node);
    for node in nodes {
        let (true, Some(y)) = (node.op_type == "Celu", node.output.first()) else {
            graph.node.push(node);
            continue;
        };
        let part = |part: &str| format!("backward/celu/{y}/{part}");
        graph.initializer.push(TensorProto {
            name: part("alpha"),
            data_type: DataType::Float as i32,
            raw_data: alpha(&node).to_le_bytes().to_vec(),
            ..TensorProto::default()
        });
        let step = |operator: &str, inputs: [&str; 2], output: String| NodeProto {
            name: output.clone(),
            op_type: operator.into(),
            input: inputs
                .iter()
                .filter(|name| !name.is_empty())
                .map(|&name| name.to_owned())
                .collect(),
            output: vec![output],
            ..NodeProto::default()
        };
        let x = node.input.first().map_or("", String::as_str);
        graph.node.extend([
            step("Div", [x, &part("alpha")], part("scaled")),
            step("Elu", [&part("scaled"), ""], part("elu")),
            step("Mul", [&part("elu"), &part("alpha")], y.clone()),
        ]);
    }
}

/// Gives the public names to what they stand for: the seed gets its own, and a tensor of the model that has a public name
/// but is something else gets another.
fn free_names(graph: &mut GraphProto, outputs: &mut [(String, String)]) {
    let all: HashSet<String> = graph
        .node
        .iter()
        .flat_map(|node| node.input.iter().chain(&node.output))
        .chain(graph.initializer.iter().map(|tensor| &tensor.name))
        .cloned()
        .collect();
    let mut new_names: HashMap<String, String> = HashMap::new();
    let public = outputs
        .iter()
        .filter(|(public, tensor)| public != tensor)
        .map(|(public, _)| public.as_str());
    for name in public.chain([SEED]).filter(|name| all.contains(*name)) {
        let mut other = format!("model/{name}");
        while all.contains(&other) {
            other.insert_str(0, "model/");
        }
        new_names.insert(name.to_owned(), other);
    }
    new_names.insert(SEED_WITHIN.to_owned(), SEED.to_owned());

    let renamed = |name: &mut String| {
        if let Some(other) = new_names.get(name) {
            name.clone_from(other);
        }
    };
    for node in &mut graph.node {
        node.input
            .iter_mut()
            .chain(&mut node.output)
            .for_each(renamed);
    }
    let initializers = graph.initializer.iter_mut().map(|tensor| &mut tensor.name);
    initializers.for_each(renamed);
    outputs
        .iter_mut()
        .map(|(_, tensor)| tensor)
        .for_each(renamed);
}

/// The declaration of a graph input or output.
fn value_info(name: &str, fact: Option<&Fact>) -> ValueInfoProto {
    let shape = fact
        .and_then(|fact| fact.shape.as_ref())
        .map(|shape| TensorShapeProto {
            dim: shape
                .iter()
                .map(|dim| Dimension {
                    denotation: String::new(),
                    value: match dim {
                        Dim::Known(size) => Some(dimension::Value::DimValue(*size)),
                        Dim::Symbol(symbol) if symbol == "?" => None,
                        Dim::Symbol(symbol) => Some(dimension::Value::DimParam(symbol.clone())),
                    },
                })
                .collect(),
        });
    ValueInfoProto {
        name: name.to_owned(),
        doc_string: String::new(),
        r#type: Some(TypeProto {
            denotation: String::new(),
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: DataType::Float as i32,
                shape,
            })),
        }),
    }
}

/// One entry of the metadata.
fn property(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto {
        key: key.into(),
        value: value.into(),
    }
}
