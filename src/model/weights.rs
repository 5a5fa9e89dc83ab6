//! Weights apart from the graph that reads them: who only looks at names and shapes need not carry them around.
//!
//! Large models are mostly weights. Inferring shapes, deriving a gradient graph and cutting it in two work on hollow copies of the
//! tensors, which note where their values are; an engine takes the values from there, once.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, StringStringEntryProto, TensorProto, tensor_proto::DataType};

use super::facts::SMALL;
use super::half;
use super::onnx::parts;

/// Operators that read weights beside maps.
const LAYERS: &[&str] = &["Conv", "ConvTranspose", "Gemm", "MatMul"];

/// Key of the note in a hollow tensor. [`external`](super::external) leaves none of a file's own entries in a graph.
const KEY: &str = "initializer";

/// A copy of a graph whose large tensors are hollow.
pub fn without(graph: &GraphProto) -> GraphProto {
    GraphProto {
        node: graph.node.clone(),
        name: graph.name.clone(),
        initializer: graph.initializer.iter().map(hollow).collect(),
        input: graph.input.clone(),
        output: graph.output.clone(),
        ..GraphProto::default()
    }
}

/// A copy of a tensor; where it holds many floats, of its name, type and shape only, with a note of whose values it stands for.
fn hollow(tensor: &TensorProto) -> TensorProto {
    let floats = [DataType::Float as i32, DataType::Float16 as i32];
    let elements: i64 = tensor.dims.iter().product();
    if elements <= SMALL as i64 || !floats.contains(&tensor.data_type) || tensor.raw_data.is_empty()
    {
        return tensor.clone();
    }
    TensorProto {
        name: tensor.name.clone(),
        dims: tensor.dims.clone(),
        data_type: tensor.data_type,
        external_data: vec![StringStringEntryProto {
            key: KEY.into(),
            value: tensor.name.clone(),
        }],
        ..TensorProto::default()
    }
}

/// Whose values a hollow tensor stands for; `None` for one that holds its own.
pub fn source(tensor: &TensorProto) -> Option<&str> {
    let mut entries = tensor.external_data.iter();
    let entry = entries.find(|entry| entry.key == KEY)?;
    tensor.raw_data.is_empty().then_some(&entry.value)
}

/// Gives hollow tensors of `graph` their values, which initializers of `whole` hold, except those that `leave` names.
pub fn fill(graph: &mut GraphProto, whole: &GraphProto, leave: &HashSet<String>) {
    let whole = by_name(whole);
    for tensor in &mut graph.initializer {
        let values = source(tensor).and_then(|name| whole.get(name));
        if let Some(values) = values.filter(|_| !leave.contains(&tensor.name)) {
            let name = std::mem::take(&mut tensor.name);
            *tensor = match tensor.data_type == values.data_type {
                true => TensorProto {
                    name,
                    ..(*values).clone()
                },
                false => half::single(values, &name),
            };
        }
    }
}

/// The initializers of a graph by their names.
pub fn by_name(graph: &GraphProto) -> HashMap<&str, &TensorProto> {
    graph
        .initializer
        .iter()
        .map(|tensor| (tensor.name.as_str(), tensor))
        .collect()
}

/// Names of the hollow tensors that are read as the weights of layers and in no other way: what is computed of them has no value
/// before there is a picture.
pub fn only_weights(graph: &GraphProto) -> HashSet<String> {
    let hollow = graph.initializer.iter().filter(|t| source(t).is_some());
    let mut names: HashSet<String> = hollow.map(|tensor| tensor.name.clone()).collect();
    let others = graph
        .node
        .iter()
        .filter(|node| !LAYERS.contains(&node.op_type.as_str()));
    for name in others.flat_map(|node| &node.input) {
        names.remove(name);
    }
    for output in &graph.output {
        names.remove(&output.name);
    }
    names
}

/// Takes the hollow tensors out of a graph.
pub fn take_hollow(graph: &mut GraphProto) -> Vec<TensorProto> {
    let (hollow, own) = std::mem::take(&mut graph.initializer)
        .into_iter()
        .partition(|tensor| source(tensor).is_some());
    graph.initializer = own;
    hollow
}

/// Makes inputs of the hollow tensors of a graph, with their types and shapes.
pub fn declare(graph: &mut GraphProto) {
    for tensor in take_hollow(graph) {
        let declared = parts::declared(&tensor.name, tensor.data_type, &tensor.dims);
        graph.input.push(declared);
    }
}
