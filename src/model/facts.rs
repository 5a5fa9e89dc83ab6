//! What is known of every tensor of a graph before it runs: element type, shape, and the value where it is constant.
//!
//! The inference is tract's; this module turns its answer into a table by ONNX tensor name.

mod batch;
pub(crate) mod operators;
pub(crate) mod quick;
mod walk;

use std::collections::{HashMap, HashSet};
use std::fmt;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact};
use tract_onnx::tract_hir::prelude::{DatumType, Tensor};

use super::onnx::{self, parts};
use super::{Limits, ModelError, half, weights};
use crate::guard::guarded;

/// One dimension of a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// A number that the graph fixes.
    Known(i64),
    /// A symbol (the batch, mostly) or an expression of symbols, in tract's notation; `?` where nothing is known.
    Symbol(String),
}

impl Dim {
    /// The number, where it is fixed.
    #[must_use]
    pub fn known(&self) -> Option<i64> {
        match self {
            Dim::Known(value) => Some(*value),
            Dim::Symbol(_) => None,
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Known(value) => write!(f, "{value}"),
            Dim::Symbol(symbol) => write!(f, "{symbol}"),
        }
    }
}

/// The element types that gradlens tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// 32-bit floating point: the only type that gradients flow through.
    F32,
    /// 64-bit integers: shapes, axes, positions.
    I64,
    /// Any other type.
    Other,
    /// Not inferred.
    Unknown,
}

/// What is known of one tensor.
#[derive(Debug, Clone)]
pub struct Fact {
    /// Element type.
    pub element: ElementType,
    /// Shape; `None` where not even the rank is known.
    pub shape: Option<Vec<Dim>>,
    /// The values of a constant of at most [`SMALL`] elements, as f64 (axes, shapes, bounds: what rules read).
    pub values: Option<Vec<f64>>,
}

/// Constants of up to this many elements are kept in [`Fact::values`].
pub const SMALL: usize = 4096;

impl Fact {
    /// Number of dimensions, where it is known.
    #[must_use]
    pub fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }

    /// The shape as `[N, 3, 224, 224]`, for messages.
    #[must_use]
    pub fn shape_text(&self) -> String {
        match &self.shape {
            None => "[?]".into(),
            Some(dims) => {
                let dims: Vec<String> = dims.iter().map(Dim::to_string).collect();
                format!("[{}]", dims.join(", "))
            }
        }
    }
}

/// Facts by tensor name.
pub type Facts = HashMap<String, Fact>;

/// The values of a small constant, as integers.
pub(crate) fn integers(facts: &Facts, name: &str) -> Option<Vec<i64>> {
    let values = facts.get(name)?.values.as_ref()?;
    Some(values.iter().map(|&value| value as i64).collect())
}

/// Operators whose first output has their first input's shape and type, with the rank that input has at least.
///
/// They are inferred as `Identity`: tract's own rules for them trust the rank and the axis of a damaged file.
const SHAPE_KEEPING: &[(&str, usize)] = &[
    ("BatchNormalization", 2),
    ("InstanceNormalization", 3),
    ("LayerNormalization", 1),
    ("LRN", 3),
];

/// Infers the facts of a graph.
///
/// # Errors
/// [`ModelError::Damaged`] where shapes contradict each other or an attribute does not parse, [`ModelError::TooLarge`]
/// where a tensor between the nodes passes the limit.
pub fn infer(proto: &ModelProto, limits: &Limits) -> Result<Facts, ModelError> {
    let simple = simplified(proto);
    let mut facts = as_declared(simple.clone())?;
    batch::fill(&simple, &mut facts, as_declared);
    check(proto, &facts, limits)?;
    Ok(facts)
}

/// The graph with those weights only whose values matter.
fn simplified(proto: &ModelProto) -> ModelProto {
    let mut simple = ModelProto {
        ir_version: proto.ir_version,
        opset_import: proto.opset_import.clone(),
        graph: proto.graph.as_ref().map(weights::without),
        ..ModelProto::default()
    };
    half::widen_half_initializers(&mut simple);
    if let (Some(graph), Some(whole)) = (&mut simple.graph, &proto.graph) {
        let leave = weights::only_weights(graph);
        weights::fill(graph, whole, &leave);
    }
    simple
}

/// What tract infers from the shapes that the inputs are declared with.
fn as_declared(mut simple: ModelProto) -> Result<Facts, ModelError> {
    let read: HashSet<String> = simple.graph.iter().flat_map(read_names).cloned().collect();
    for node in simple.graph.iter_mut().flat_map(|graph| &mut graph.node) {
        let keeps_shape = SHAPE_KEEPING
            .iter()
            .any(|(operator, _)| *operator == node.op_type);
        // Old exports of a normalisation over weights list statistics that nothing reads; tract takes them for damage.
        if keeps_shape && !node.output.iter().skip(1).any(|name| read.contains(name)) {
            node.output.truncate(1);
            node.op_type = "Identity".into();
            node.attribute.clear();
            node.input.truncate(1);
        }
    }
    if let Some(graph) = &mut simple.graph {
        weights::declare(graph);
    }
    guarded(|| walk::facts(&simple)).map_err(ModelError::Damaged)
}

/// The names that nodes and outputs of a graph read.
pub(crate) fn read_names(graph: &GraphProto) -> impl Iterator<Item = &String> {
    let outputs = graph.output.iter().map(|output| &output.name);
    graph
        .node
        .iter()
        .flat_map(|node| &node.input)
        .chain(outputs)
}

/// The first node whose inputs are known and whose result is not: the operator that the inference does not get past.
#[must_use]
pub fn first_gap<'g>(graph: &'g GraphProto, facts: &Facts) -> Option<&'g NodeProto> {
    let is_open = |dim: &Dim| *dim == Dim::Symbol("?".into());
    let is_known = |name: &String| {
        let shape = facts.get(name).and_then(|fact| fact.shape.as_ref());
        name.is_empty() || shape.is_some_and(|shape| !shape.iter().any(is_open))
    };
    graph
        .node
        .iter()
        .find(|node| node.input.iter().all(is_known) && !node.output.iter().all(is_known))
}

/// Checks what only inferred shapes tell: sizes, and the ranks and axes that [`SHAPE_KEEPING`] operators rely on.
fn check(proto: &ModelProto, facts: &Facts, limits: &Limits) -> Result<(), ModelError> {
    for (name, fact) in facts {
        let known = fact.shape.iter().flatten().filter_map(Dim::known);
        let elements = known.fold(1u64, |product, size| {
            product.saturating_mul(size.max(0) as u64)
        });
        onnx::within(
            &format!("the number of elements of tensor '{name}'"),
            elements,
            limits.elements,
        )?;
    }
    for node in proto.graph.iter().flat_map(|graph| &graph.node) {
        let least = SHAPE_KEEPING
            .iter()
            .find(|(operator, _)| *operator == node.op_type);
        let rank = node
            .input
            .first()
            .and_then(|name| facts.get(name))
            .and_then(Fact::rank);
        let (Some((operator, least)), Some(rank)) = (least, rank) else {
            continue;
        };
        let axis = parts::attribute(node, "axis").map_or(0, |attribute| attribute.i);
        let bound = rank as i64;
        if rank < *least || !(-bound..bound).contains(&axis) {
            return Err(ModelError::Damaged(format!(
                "{operator} (node {}) does not fit its input of rank {rank}",
                onnx::node_name(node)
            )));
        }
    }
    Ok(())
}

/// tract's fact in this module's terms.
fn translate(fact: &InferenceFact) -> Fact {
    let element = match fact.datum_type.concretize() {
        Some(DatumType::F32) => ElementType::F32,
        // tract's own type for sizes is ONNX's i64.
        Some(DatumType::I64 | DatumType::TDim) => ElementType::I64,
        Some(_) => ElementType::Other,
        None => ElementType::Unknown,
    };
    let shape = fact.shape.rank().concretize().map(|_| {
        fact.shape
            .dims()
            .map(|dim| match dim.concretize() {
                Some(dim) => match dim.to_i64() {
                    Ok(value) => Dim::Known(value),
                    Err(_) => Dim::Symbol(dim.to_string()),
                },
                None => Dim::Symbol("?".into()),
            })
            .collect()
    });
    let values = fact
        .value
        .concretize()
        .and_then(|tensor| small_values(&tensor));
    Fact {
        element,
        shape,
        values,
    }
}

/// The elements of a small constant as f64.
fn small_values(tensor: &Tensor) -> Option<Vec<f64>> {
    if tensor.len() > SMALL {
        return None;
    }
    let wide = tensor.cast_to::<f64>().ok()?;
    Some(
        wide.to_plain_array_view::<f64>()
            .ok()?
            .iter()
            .copied()
            .collect(),
    )
}
