//! Which activations can be explained, and which one to begin with.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use tract_onnx::pb::{GraphProto, NodeProto};

use super::facts::{ElementType, Facts};

/// A 4-D activation between the picture and the scores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// The tensor's name.
    pub name: String,
    /// Number of channels.
    pub channels: i64,
    /// Rows of the map.
    pub height: i64,
    /// Columns of the map.
    pub width: i64,
    /// The operator that makes it.
    pub operator: String,
    /// Whether this is the layer to begin with.
    pub recommended: bool,
    /// Why it is recommended; empty elsewhere.
    pub reason: String,
}

/// Every 4-D f32 activation of known size that depends on `input` and that `scores` depends on, in the graph's order.
///
/// The recommended one is the last with a map of more than one position that a path reaches without passing a global
/// pooling: the deepest features that still know where they are, which is where Grad-CAM's paper (Selvaraju et al. 2017,
/// section 3) looks. (Behind the pooling a reordered `[N, 1, 1, C]` can look like a map; beside it, a squeeze-and-excitation
/// gate joins features that do have one.)
#[must_use]
pub fn list(graph: &GraphProto, facts: &Facts, input: &str, scores: &str) -> Vec<Layer> {
    let below = descendants(graph, &[input]);
    let above = ancestors(graph, &[scores]);
    let mut layers: Vec<Layer> = graph
        .node
        .iter()
        .flat_map(|node| node.output.iter().map(move |name| (node, name)))
        .filter(|(_, name)| below.contains(name.as_str()) && above.contains(name.as_str()))
        .filter_map(|(node, name)| {
            let fact = facts.get(name)?;
            let shape = fact.shape.as_ref()?;
            let [_, channels, height, width] = shape.as_slice() else {
                return None;
            };
            (fact.element == ElementType::F32).then_some(())?;
            Some(Layer {
                name: name.clone(),
                channels: channels.known()?,
                height: height.known()?,
                width: width.known()?,
                operator: node.op_type.clone(),
                recommended: false,
                reason: String::new(),
            })
        })
        .collect();
    let spatial = unpooled(graph, facts, input);
    let has_map = |layer: &&mut Layer| {
        layer.height * layer.width > 1 && spatial.contains(layer.name.as_str())
    };
    if let Some(last) = layers.iter_mut().rev().find(has_map) {
        last.recommended = true;
        last.reason = format!(
            "the last activation with a map ({} x {}) before it is pooled into the scores",
            last.width, last.height
        );
    }
    layers
}

/// Names of the tensors that `input` reaches without passing through a node that pools a whole map into one position.
fn unpooled<'g>(graph: &'g GraphProto, facts: &Facts, input: &'g str) -> HashSet<&'g str> {
    let positions = |name: &String| -> Option<i64> {
        let shape = facts.get(name)?.shape.as_ref()?;
        match shape.as_slice() {
            [_, _, height, width] => Some(height.known()? * width.known()?),
            _ => None,
        }
    };
    let pools = |node: &NodeProto| {
        let pooling = node.op_type.starts_with("Reduce") || node.op_type.ends_with("Pool");
        let before = node.input.first().and_then(positions);
        let after = node.output.first().and_then(positions);
        pooling && before.is_some_and(|count| count > 1) && after.is_none_or(|count| count == 1)
    };
    reached(graph.node.iter().filter(|node| !pools(node)), &[input])
}

/// Names of the tensors that depend on one of `roots`, the roots included.
pub(crate) fn descendants<'g>(graph: &'g GraphProto, roots: &[&'g str]) -> HashSet<&'g str> {
    reached(graph.node.iter(), roots)
}

/// Names of the tensors that `roots` reach through `nodes`, which are in topological order: `onnx::read` made sure.
fn reached<'g>(nodes: impl Iterator<Item = &'g NodeProto>, roots: &[&'g str]) -> HashSet<&'g str> {
    let mut reached: HashSet<&str> = roots.iter().copied().collect();
    for node in nodes {
        if node
            .input
            .iter()
            .any(|name| reached.contains(name.as_str()))
        {
            let made = node.output.iter().filter(|name| !name.is_empty());
            reached.extend(made.map(String::as_str));
        }
    }
    reached
}

/// Names of the tensors that one of `leaves` depends on, the leaves included.
pub(crate) fn ancestors<'g>(graph: &'g GraphProto, leaves: &[&'g str]) -> HashSet<&'g str> {
    let mut needed: HashSet<&str> = leaves.iter().copied().collect();
    for node in graph.node.iter().rev() {
        if node
            .output
            .iter()
            .any(|name| needed.contains(name.as_str()))
        {
            needed.extend(
                node.input
                    .iter()
                    .filter(|name| !name.is_empty())
                    .map(String::as_str),
            );
        }
    }
    needed
}

/// Index of the node that makes each tensor.
pub(crate) fn producers(graph: &GraphProto) -> HashMap<&str, usize> {
    let outputs = graph.node.iter().enumerate().flat_map(|(index, node)| {
        node.output
            .iter()
            .filter(|name| !name.is_empty())
            .map(move |name| (name.as_str(), index))
    });
    outputs.collect()
}
