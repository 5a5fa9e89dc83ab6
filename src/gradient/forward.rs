//! The forward pass as the gradient graph holds it: what the outputs need, constants folded, forms that every engine runs.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use crate::model::facts::{self, Dim, ElementType, Fact, Facts};
use crate::model::layers::ancestors;
use crate::model::onnx::parts::{self, attribute, floats, int, integers};

/// Leaves out what `outputs` do not need.
pub(super) fn prune(graph: &mut GraphProto, outputs: &[&str]) {
    let needed = ancestors(graph, outputs).into_iter();
    let needed: HashSet<String> = needed.map(str::to_owned).collect();
    let makes_needed = |node: &NodeProto| node.output.iter().any(|name| needed.contains(name));
    graph.node.retain(makes_needed);
    let is_needed = |tensor: &TensorProto| needed.contains(&tensor.name);
    graph.initializer.retain(is_needed);
}

/// Constants of floats up to this many elements are folded: factors of attention and the like, no weights, which stay shared.
const FEW: usize = 16;
/// Integers up to here are exact as f64, which [`Fact::values`] holds them as.
const EXACT: f64 = (1u64 << 53) as f64;

/// Writes constants for what is known before the graph runs, so that nothing computes it again, and drops names of names.
///
/// Exporters compute shapes from shapes: `Shape`, `Gather`, `Concat` and more stand before a `Reshape` whose result is known but for the
/// batch. Of `outputs` the names stay.
pub(super) fn fold(graph: &mut GraphProto, facts: &Facts, outputs: &[&str]) {
    let mut fold = Fold {
        facts,
        stored: graph
            .initializer
            .iter()
            .map(|tensor| tensor.name.clone())
            .collect(),
        constants: Vec::new(),
        aliases: HashMap::new(),
    };
    for mut node in std::mem::take(&mut graph.node) {
        for name in &mut node.input {
            if let Some(other) = fold.aliases.get(name) {
                name.clone_from(other);
            }
        }
        if fold.is_alias(&node, outputs) {
            fold.aliases
                .insert(node.output[0].clone(), node.input[0].clone());
        } else if !fold.store(&node, outputs) {
            fold.fix_shape(&mut node);
            graph.node.push(node);
        }
    }
    graph.initializer.append(&mut fold.constants);
}

/// What [`fold`] knows on its way through the nodes.
struct Fold<'f> {
    facts: &'f Facts,
    /// Names of all initializers, old and new.
    stored: HashSet<String>,
    constants: Vec<TensorProto>,
    /// A name that is dropped, and the initializer it stood for.
    aliases: HashMap<String, String>,
}

impl Fold<'_> {
    /// Whether a node only gives an initializer a second name.
    fn is_alias(&self, node: &NodeProto, outputs: &[&str]) -> bool {
        let source = node.input.first();
        node.op_type == "Identity"
            && source.is_some_and(|name| self.stored.contains(name))
            && node.output.len() == 1
            && !outputs.contains(&node.output[0].as_str())
    }

    /// Stores all outputs of a node as constants; `false` where one is not known, or a weight.
    fn store(&mut self, node: &NodeProto, outputs: &[&str]) -> bool {
        let names = || node.output.iter().filter(|name| !name.is_empty());
        let is_weight =
            node.op_type == "Cast" && node.input.iter().any(|name| self.stored.contains(name));
        if is_weight || names().any(|name| outputs.contains(&name.as_str())) {
            return false;
        }
        let tensors: Option<Vec<TensorProto>> = names()
            .map(|name| constant(name, self.facts.get(name)?))
            .collect();
        let Some(tensors) = tensors else { return false };
        for tensor in tensors {
            self.stored.insert(tensor.name.clone());
            self.constants.push(tensor);
        }
        true
    }

    /// Gives a `Reshape` whose result is known but for the batch a constant target.
    fn fix_shape(&mut self, node: &mut NodeProto) {
        let shape = node
            .output
            .first()
            .and_then(|name| self.facts.get(name)?.shape.as_ref());
        let (Some(shape), "Reshape", [_, target]) =
            (shape, node.op_type.as_str(), node.input.as_slice())
        else {
            return;
        };
        let open = shape.iter().filter(|dim| dim.known().is_none()).count();
        let sizes: Vec<i64> = shape.iter().map(|dim| dim.known().unwrap_or(-1)).collect();
        if self.stored.contains(target) || open > 1 || sizes.contains(&0) {
            return;
        }
        let words: Vec<String> = sizes.iter().map(i64::to_string).collect();
        let name = format!("backward/shape/{}", words.join("x"));
        if self.facts.contains_key(&name) {
            return;
        }
        if self.stored.insert(name.clone()) {
            self.constants
                .push(integers(&name, &[sizes.len() as i64], &sizes));
        }
        node.input[1] = name;
        // Minus one is not zero: the target means the same with and without it.
        node.attribute.clear();
    }
}

/// A known tensor as an initializer; `None` where it is not known, is a weight, or has another type than integers and floats.
fn constant(name: &str, fact: &Fact) -> Option<TensorProto> {
    let values = fact.values.as_ref()?;
    let dims: Option<Vec<i64>> = fact.shape.as_ref()?.iter().map(Dim::known).collect();
    match fact.element {
        ElementType::I64 if values.iter().all(|value| value.abs() <= EXACT) => {
            let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
            Some(integers(name, &dims?, &values))
        }
        ElementType::F32 if values.len() <= FEW => {
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            Some(floats(name, &dims?, &values))
        }
        _ => None,
    }
}

/// Gives forward nodes the further outputs that rules asked for.
pub(super) fn add_outputs(forward: &mut GraphProto, extra: &[(String, usize, String)]) {
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
pub(super) fn spell_out_celu(graph: &mut GraphProto) {
    let nodes = std::mem::take(&mut graph.node);
    for node in nodes {
        let (true, Some(y)) = (node.op_type == "Celu", node.output.first()) else {
            graph.node.push(node);
            continue;
        };
        let part = |part: &str| format!("backward/celu/{y}/{part}");
        let [alpha, scaled, elu] = ["alpha", "scaled", "elu"].map(part);
        let value = attribute(&node, "alpha").map_or(1.0, |attribute| attribute.f);
        graph.initializer.push(floats(&alpha, &[], &[value]));
        let x = node.input.first().map_or("", String::as_str);
        graph.node.extend([
            parts::node("Div", &[x, &alpha], &scaled, vec![]),
            parts::node("Elu", &[&scaled], &elu, vec![]),
            parts::node("Mul", &[&elu, &alpha], y, vec![]),
        ]);
    }
}

/// Writes a `Slice` with steps as `Gather`: tract 0.23.9 moves one in front of a `Reshape`, where its axis is another.
pub(super) fn spell_out_steps(graph: &mut GraphProto, facts: &Facts) {
    let nodes = std::mem::take(&mut graph.node);
    for node in nodes {
        let (Some(places), Some(y)) = (stepped(&node, facts), node.output.first()) else {
            graph.node.push(node);
            continue;
        };
        let mut x = node.input[0].clone();
        let last = places.len().saturating_sub(1);
        for (position, (axis, indices)) in places.iter().enumerate() {
            let part = |part: &str| format!("backward/steps/{y}/{position}/{part}");
            let table = integers(&part("indices"), &[indices.len() as i64], indices);
            let output = if position == last {
                y.clone()
            } else {
                part("taken")
            };
            let axis = vec![int("axis", *axis)];
            let gather = parts::node("Gather", &[&x, &table.name], &output, axis);
            graph.node.push(gather);
            graph.initializer.push(table);
            x = output;
        }
    }
}

/// The longest axis that is written out.
const LONGEST_AXIS: i64 = 1 << 16;

/// The axes of a `Slice` that goes forward in steps of more than one along each of them, and the places that it takes.
fn stepped(node: &NodeProto, facts: &Facts) -> Option<Vec<(i64, Vec<i64>)>> {
    if node.op_type != "Slice" || node.input.len() != 5 {
        return None;
    }
    let input = |position: usize| facts::integers(facts, &node.input[position]);
    let (starts, ends, axes, steps) = (input(1)?, input(2)?, input(3)?, input(4)?);
    let shape = facts.get(&node.input[0])?.shape.as_ref()?;
    let rank = shape.len() as i64;
    let all = axes.iter().zip(starts).zip(ends).zip(steps);
    let places = all.map(|(((&axis, start), end), step)| {
        let axis = if axis < 0 { axis + rank } else { axis };
        let size = shape.get(usize::try_from(axis).ok()?)?.known()?;
        if !(2..=LONGEST_AXIS).contains(&step) || !(0..=LONGEST_AXIS).contains(&size) {
            return None;
        }
        let within = |place: i64| match place {
            place if place < 0 => (place.saturating_add(size)).max(0),
            place => place.min(size),
        };
        let indices: Vec<i64> = (within(start)..within(end))
            .step_by(step as usize)
            .collect();
        (!indices.is_empty()).then_some((axis, indices))
    });
    places
        .collect::<Option<Vec<_>>>()
        .filter(|places| !places.is_empty())
}
