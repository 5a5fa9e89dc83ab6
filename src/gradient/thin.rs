//! Repeated tensors stay thin: arithmetic broadcasts them, so that the copies are never written.
//!
//! The gradient of a mean or of a pooling is one value repeated over many places. What follows is mostly arithmetic, which gives the
//! same values from the one.

use std::collections::{HashMap, HashSet};

use super::tape::Tape;
use crate::model::facts::Dim;

/// Operators of two inputs that broadcast.
const ARITHMETIC: &[&str] = &["Add", "Div", "Max", "Min", "Mul", "Sub"];

/// Operators that keep the shape of their first input.
const SHAPE_KEEPING: &[&str] = &[
    "Abs",
    "Cast",
    "Clip",
    "Exp",
    "HardSigmoid",
    "Neg",
    "Reciprocal",
    "Sigmoid",
    "Sign",
    "Sqrt",
    "Tanh",
];

/// What is known of the tensors on a tape.
#[derive(Default)]
pub(super) struct Known {
    shapes: HashMap<String, Vec<Dim>>,
    /// Repeated tensors: the one that is repeated, and the size that it gets on each axis, or one.
    repeated: HashMap<String, (String, Vec<i64>)>,
}

impl Tape<'_> {
    /// Notes that a backward tensor has the shape of the forward tensor `like`.
    pub(super) fn note_like(&mut self, tensor: &str, like: &str) {
        if let Ok(shape) = self.shape(like) {
            self.note_shape(tensor, shape);
        }
    }

    /// Notes the shape of a backward tensor.
    pub(super) fn note_shape(&mut self, tensor: &str, shape: Vec<Dim>) {
        self.known.shapes.insert(tensor.to_owned(), shape);
    }

    /// Notes that a tensor repeats another.
    pub(super) fn note_repeated(&mut self, tensor: &str, source: &str, sizes: &[i64]) {
        let repeated = (source.to_owned(), sizes.to_vec());
        self.known.repeated.insert(tensor.to_owned(), repeated);
    }

    /// Notes what the shape of a node's output is, where it follows from its inputs.
    pub(super) fn note_output(&mut self, operator: &str, inputs: &[&str], output: &str) {
        let shape = match inputs {
            [x, ..] if SHAPE_KEEPING.contains(&operator) => self.known_shape(x).cloned(),
            [a, b] if ARITHMETIC.contains(&operator) => self
                .known_shape(a)
                .zip(self.known_shape(b))
                .and_then(|(a, b)| broadcast(a, b)),
            _ => None,
        };
        if let Some(shape) = shape {
            self.note_shape(output, shape);
        }
    }

    fn known_shape(&self, tensor: &str) -> Option<&Vec<Dim>> {
        let forward = || self.facts.get(tensor)?.shape.as_ref();
        self.known.shapes.get(tensor).or_else(forward)
    }

    /// Arithmetic in which a repeated tensor takes part, done with the one that is repeated.
    pub(super) fn thinned(&mut self, operator: &str, inputs: &[&str]) -> Option<String> {
        let &[a, b] = inputs else { return None };
        if !ARITHMETIC.contains(&operator) {
            return None;
        }
        let repeated = |tensor: &str| self.known.repeated.get(tensor).cloned();
        let (thin_a, thin_b) = (repeated(a), repeated(b));
        let source = |thin: Option<&(String, Vec<i64>)>, whole: &str| {
            thin.map_or_else(|| whole.to_owned(), |(source, _)| source.clone())
        };
        let operands = [source(thin_a.as_ref(), a), source(thin_b.as_ref(), b)];
        let operands = [operands[0].as_str(), operands[1].as_str()];
        let (sizes, other) = match (thin_a, thin_b) {
            (Some((_, sizes)), Some((_, same))) if sizes == same => (sizes, None),
            (Some((_, sizes)), None) => (sizes, Some(b)),
            (None, Some((_, sizes))) => (sizes, Some(a)),
            _ => return None,
        };
        let shape = match other {
            Some(other) => self.known_shape(other)?.clone(),
            None => vec![],
        };
        if shape.is_empty() {
            let thin = self.node(operator, &operands, vec![]);
            return Some(self.repeat(&thin, &sizes));
        }
        let beyond = shape.len().checked_sub(sizes.len())?;
        let covers = sizes
            .iter()
            .zip(&shape[beyond..])
            .all(|(&size, dim)| size == 1 || *dim == Dim::Known(size));
        covers.then(|| self.node(operator, &operands, vec![]))
    }

    /// Drops the nodes and constants that neither `outputs` nor other nodes need.
    pub(super) fn prune(&mut self, outputs: &[(String, String)]) {
        let mut needed: HashSet<String> = outputs.iter().map(|(_, name)| name.clone()).collect();
        let mut kept = Vec::new();
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if node.output.iter().any(|name| needed.contains(name)) {
                needed.extend(node.input.iter().cloned());
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
        self.initializers
            .retain(|tensor| needed.contains(&tensor.name));
    }
}

/// The shape of arithmetic on two tensors; `None` where it cannot be told.
fn broadcast(a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
    let beyond = long.len() - short.len();
    let mut shape = long.to_vec();
    for (dim, other) in shape[beyond..].iter_mut().zip(short) {
        match (&*dim, other) {
            (same, other) if same == other && *other != Dim::Symbol("?".into()) => {}
            (_, Dim::Known(1)) => {}
            (Dim::Known(1), _) => *dim = other.clone(),
            _ => return None,
        }
    }
    Some(shape)
}
