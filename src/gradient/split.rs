//! Cutting a gradient graph at its seed: what depends on the picture alone, and what depends on the class.

use std::collections::HashSet;

use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto};

use super::SEED;
use crate::model::ModelError;
use crate::model::facts::read_names;
use crate::model::layers::{ancestors, descendants};

/// A gradient graph in two parts.
#[derive(Debug, Clone)]
pub struct Split {
    /// Picture in; scores, probabilities, activations and the [`frontier`](Split::frontier) out. Runs once a picture.
    pub body: ModelProto,
    /// Frontier and seed in; gradients out. Runs once a class: for a last layer it is a product and a broadcast.
    pub head: ModelProto,
    /// Names of the tensors that the body hands to the head.
    pub frontier: Vec<String>,
}

/// Cuts a gradient graph into what can be computed before the class is known and what cannot.
///
/// This is partial evaluation: a node belongs to the head exactly if it depends on the seed. For any graph, branches around
/// the layer included, the two parts together compute what the whole does.
///
/// # Errors
/// [`ModelError::Damaged`] where the graph has no seed input.
pub fn split_at_seed(mut proto: ModelProto) -> Result<Split, ModelError> {
    // The weights are moved to the part that needs them, not copied with it.
    let weights = proto
        .graph
        .as_mut()
        .map(|graph| std::mem::take(&mut graph.initializer));
    let graph = match proto.graph.as_ref() {
        Some(graph) if graph.input.iter().any(|input| input.name == SEED) => graph,
        _ => return Err(ModelError::Damaged(format!("it has no input '{SEED}'"))),
    };
    let of_class = descendants(graph, &[SEED]);
    let pictures: Vec<&str> = graph
        .input
        .iter()
        .map(|input| input.name.as_str())
        .filter(|name| *name != SEED)
        .collect();
    let of_picture = descendants(graph, &pictures);

    let (head_outputs, body_outputs): (Vec<&ValueInfoProto>, Vec<&ValueInfoProto>) = graph
        .output
        .iter()
        .partition(|output| of_class.contains(output.name.as_str()));
    let head_needs = ancestors(graph, &names(&head_outputs));
    // What the head's own nodes read of the picture's side.
    let mut seen = HashSet::new();
    let frontier: Vec<String> = graph
        .node
        .iter()
        .filter(|node| {
            node.output
                .iter()
                .any(|name| of_class.contains(name.as_str()))
        })
        .filter(|node| {
            node.output
                .iter()
                .any(|name| head_needs.contains(name.as_str()))
        })
        .flat_map(|node| node.input.iter())
        .filter(|name| of_picture.contains(name.as_str()) && !of_class.contains(name.as_str()))
        .filter(|name| seen.insert(name.as_str()))
        .cloned()
        .collect();

    let untyped = |name: &String| ValueInfoProto {
        name: name.clone(),
        ..ValueInfoProto::default()
    };
    let is_declared = |name: &&String| body_outputs.iter().all(|output| output.name != **name);
    let body = part(graph, &|name| of_class.contains(name), &[], {
        let declared = body_outputs.iter().map(|&output| output.clone());
        let handed = frontier.iter().filter(is_declared).map(untyped);
        declared.chain(handed).collect()
    });
    let beyond: HashSet<&str> = frontier.iter().map(String::as_str).collect();
    let seed = graph
        .input
        .iter()
        .filter(|input| input.name == SEED)
        .cloned();
    let head_inputs: Vec<ValueInfoProto> = seed.chain(frontier.iter().map(untyped)).collect();
    let outputs = head_outputs.into_iter().cloned().collect();
    let head = part(graph, &|name| beyond.contains(name), &head_inputs, outputs);
    let [body, head] = share(weights.unwrap_or_default(), [body, head]);
    let whole = |graph: GraphProto| ModelProto {
        graph: Some(graph),
        ..ModelProto {
            ir_version: proto.ir_version,
            opset_import: proto.opset_import.clone(),
            metadata_props: proto.metadata_props.clone(),
            ..ModelProto::default()
        }
    };
    Ok(Split {
        body: whole(body),
        head: whole(head),
        frontier,
    })
}

/// Gives each of two parts the weights that it reads; what neither reads is dropped.
pub(super) fn share(weights: Vec<TensorProto>, mut parts: [GraphProto; 2]) -> [GraphProto; 2] {
    let names_read = |part| read_names(part).cloned().collect();
    let read: [HashSet<String>; 2] = parts.each_ref().map(names_read);
    for tensor in weights {
        match read.each_ref().map(|names| names.contains(&tensor.name)) {
            [true, true] => {
                parts[1].initializer.push(tensor.clone());
                parts[0].initializer.push(tensor);
            }
            [true, false] => parts[0].initializer.push(tensor),
            [false, true] => parts[1].initializer.push(tensor),
            [false, false] => {}
        }
    }
    parts
}

fn names<'g>(values: &[&'g ValueInfoProto]) -> Vec<&'g str> {
    values.iter().map(|value| value.name.as_str()).collect()
}

/// The nodes that `outputs` need, without weights, stopping at tensors that are `given` from outside; with `inputs`, or the graph's own
/// inputs that are not given where there are none.
pub(super) fn part(
    graph: &GraphProto,
    given: &dyn Fn(&str) -> bool,
    inputs: &[ValueInfoProto],
    outputs: Vec<ValueInfoProto>,
) -> GraphProto {
    let mut needed: HashSet<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
    let mut kept = Vec::new();
    for node in graph.node.iter().rev() {
        let makes_needed = node
            .output
            .iter()
            .any(|name| needed.contains(name.as_str()) && !given(name));
        if makes_needed {
            needed.extend(node.input.iter().map(String::as_str));
            kept.push(node.clone());
        }
    }
    kept.reverse();
    let own = graph
        .input
        .iter()
        .filter(|input| !given(&input.name))
        .cloned();
    let input = if inputs.is_empty() {
        own.collect()
    } else {
        inputs.to_vec()
    };
    GraphProto {
        node: kept,
        input,
        output: outputs,
        name: graph.name.clone(),
        ..GraphProto::default()
    }
}
