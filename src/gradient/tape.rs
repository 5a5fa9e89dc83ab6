//! The tape that rules write backward nodes to, and the call that a rule answers.

mod call;
mod shapes;

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType,
};

pub use call::{Call, Cotangents};

use super::thin::Known;
use crate::model::facts::{Dim, Fact, Facts};
use crate::model::onnx::parts;
pub use crate::model::onnx::parts::{float, int, ints, text};

/// Prefix of every name that the tape makes.
const PREFIX: &str = "backward/";

/// Operators with infinite values at finite inputs.
const POLES: &[&str] = &["Div", "Pow", "Reciprocal"];

/// Backward nodes and their constants, in the order in which they run.
///
/// Names stand for tensors; every method that adds a node returns the name of its output.
pub struct Tape<'g> {
    /// What is known of the forward tensors.
    pub facts: &'g Facts,
    /// The nodes written so far.
    pub nodes: Vec<NodeProto>,
    /// The constants written so far.
    pub initializers: Vec<TensorProto>,
    /// Outputs to add to forward nodes: (name of the node's first output, position of the new output, its name).
    pub extra_outputs: Vec<(String, usize, String)>,
    constants: HashMap<(i32, Vec<i64>, Vec<u8>), String>,
    /// Which of its tensors hang on constants alone.
    fixed: HashSet<String>,
    /// Which of its tensors may hold infinities for finite pictures.
    unbounded: HashSet<String>,
    /// Shapes, and which tensors repeat others.
    pub(super) known: Known,
    /// The forward node that makes a tensor.
    makers: HashMap<&'g str, &'g NodeProto>,
}

impl<'g> Tape<'g> {
    /// An empty tape over a forward graph with these facts.
    pub fn new(facts: &'g Facts, forward: &'g GraphProto) -> Self {
        let outputs =
            |node: &'g NodeProto| node.output.iter().map(move |name| (name.as_str(), node));
        Tape {
            facts,
            nodes: Vec::new(),
            initializers: Vec::new(),
            extra_outputs: Vec::new(),
            constants: HashMap::new(),
            fixed: HashSet::new(),
            unbounded: HashSet::new(),
            known: Known::default(),
            makers: forward.node.iter().flat_map(outputs).collect(),
        }
    }

    /// A name that nothing has yet.
    fn fresh(&self, operator: &str) -> String {
        let mut count = self.nodes.len() + self.initializers.len() + self.extra_outputs.len();
        loop {
            let name = format!("{PREFIX}{operator}_{count}");
            if !self.facts.contains_key(&name) {
                return name;
            }
            count += 1_000_000;
        }
    }

    /// Adds a node with one output.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = self.fresh(operator);
        if inputs.iter().all(|name| self.is_fixed(name)) {
            self.fixed.insert(output.clone());
        } else if POLES.contains(&operator)
            && !inputs.get(1).is_some_and(|name| self.is_fixed(name))
            || inputs.iter().any(|&name| self.unbounded.contains(name))
        {
            self.unbounded.insert(output.clone());
        }
        self.note_output(operator, inputs, &output);
        self.nodes
            .push(parts::node(operator, inputs, &output, attributes));
        output
    }

    /// Whether a tensor is known to be constant.
    fn is_fixed(&self, tensor: &str) -> bool {
        let small_constant = |fact: &Fact| fact.values.is_some();
        self.fixed.contains(tensor) || self.facts.get(tensor).is_some_and(small_constant)
    }

    /// Whether a cotangent may be infinite, as behind a square root of zero: then zero times it is not zero.
    pub fn may_be_infinite(&self, cotangent: &str) -> bool {
        self.unbounded.contains(cotangent)
    }

    /// The forward node that makes a tensor; none for inputs and weights.
    pub fn maker(&self, tensor: &str) -> Option<&'g NodeProto> {
        self.makers.get(tensor).copied()
    }

    /// Adds a node without attributes.
    pub fn op(&mut self, operator: &str, inputs: &[&str]) -> String {
        match self.thinned(operator, inputs) {
            Some(output) => output,
            None => self.node(operator, inputs, Vec::new()),
        }
    }

    /// The further output number `position` of the forward node that makes `tensor`.
    pub fn forward_output(&mut self, tensor: &str, position: usize) -> String {
        let known = self
            .extra_outputs
            .iter()
            .find(|(of, at, _)| of == tensor && *at == position);
        if let Some((_, _, name)) = known {
            return name.clone();
        }
        let name = self.fresh("forward");
        self.extra_outputs
            .push((tensor.to_owned(), position, name.clone()));
        name
    }

    /// A constant; the same constant twice is stored once.
    fn constant(&mut self, mut tensor: TensorProto) -> String {
        let key = (
            tensor.data_type,
            tensor.dims.clone(),
            tensor.raw_data.clone(),
        );
        if let Some(name) = self.constants.get(&key) {
            return name.clone();
        }
        let name = self.fresh("constant");
        let shape = tensor.dims.iter().copied().map(Dim::Known).collect();
        self.note_shape(&name, shape);
        tensor.name.clone_from(&name);
        self.initializers.push(tensor);
        self.constants.insert(key, name.clone());
        self.fixed.insert(name.clone());
        name
    }

    /// An f32 scalar.
    pub fn scalar(&mut self, value: f32) -> String {
        self.floats(&[], &[value])
    }

    /// An f32 constant of the shape `dims`.
    pub fn floats(&mut self, dims: &[i64], values: &[f32]) -> String {
        self.constant(parts::floats("", dims, values))
    }

    /// Zeros of the shape that the vector `shape` holds when the graph runs.
    ///
    /// The value is written out: tract 0.23.9 makes the operator's default zero an f64.
    pub fn zeros(&mut self, shape: &str) -> String {
        let value = AttributeProto {
            name: "value".into(),
            r#type: AttributeType::Tensor as i32,
            t: Some(parts::floats("", &[1], &[0.0])),
            ..AttributeProto::default()
        };
        self.node("ConstantOfShape", &[shape], vec![value])
    }

    /// `tensor` repeated along some axes on which it has size one: `sizes` has its new size there, and ones elsewhere.
    ///
    /// Padding with the edge's value is what tract 0.23.9 leaves alone: it drops an `Expand` before a 1 x 1 convolution, and a
    /// product with a constant map of ones after a `Gemm`, and then cannot prepare the graph.
    pub fn repeat(&mut self, tensor: &str, sizes: &[i64]) -> String {
        if sizes.iter().all(|&size| size == 1) {
            return tensor.to_owned();
        }
        let before = vec![0; sizes.len()];
        let after: Vec<i64> = sizes.iter().map(|size| size - 1).collect();
        let pads = self.ints(&[before, after].concat());
        let repeated = self.node("Pad", &[tensor, &pads], vec![text("mode", "edge")]);
        self.note_repeated(&repeated, tensor, sizes);
        repeated
    }

    /// An i64 vector (axes, shapes, positions).
    pub fn ints(&mut self, values: &[i64]) -> String {
        self.int_tensor(&[values.len() as i64], values)
    }

    /// An i64 constant of the shape `dims`.
    pub fn int_tensor(&mut self, dims: &[i64], values: &[i64]) -> String {
        self.constant(parts::integers("", dims, values))
    }

    /// `tensor[start..end]` along each axis of `axes`.
    pub fn slice(&mut self, tensor: &str, starts: &[i64], ends: &[i64], axes: &[i64]) -> String {
        let (starts, ends, axes) = (self.ints(starts), self.ints(ends), self.ints(axes));
        self.op("Slice", &[tensor, &starts, &ends, &axes])
    }

    /// `tensor`, of rank `rank`, with zeros put before and behind along one axis.
    pub fn pad_axis(
        &mut self,
        tensor: &str,
        rank: usize,
        axis: usize,
        before: i64,
        after: i64,
    ) -> String {
        let mut pads = vec![0; 2 * rank];
        (pads[axis], pads[rank + axis]) = (before, after);
        let pads = self.ints(&pads);
        self.op("Pad", &[tensor, &pads])
    }

    /// `a * b`
    pub fn mul(&mut self, a: &str, b: &str) -> String {
        self.op("Mul", &[a, b])
    }

    /// `a * value`; `a` itself where `value` is one.
    pub fn scale(&mut self, a: &str, value: f32) -> String {
        if value == 1.0 {
            return a.to_owned();
        }
        let value = self.scalar(value);
        self.mul(a, &value)
    }

    /// `cotangent` where `condition`, zero elsewhere.
    pub fn masked(&mut self, condition: &str, cotangent: &str) -> String {
        let zero = self.scalar(0.0);
        self.op("Where", &[condition, cotangent, &zero])
    }

    /// `tensor` with axes of size one put in, of these numbers in the result.
    pub fn unsqueeze(&mut self, tensor: &str, axes: &[i64]) -> String {
        if axes.is_empty() {
            return tensor.to_owned();
        }
        let axes = self.ints(axes);
        self.op("Unsqueeze", &[tensor, &axes])
    }

    /// The sum over `axes`, which stay as ones.
    pub fn sum(&mut self, tensor: &str, axes: &[i64]) -> String {
        if axes.is_empty() {
            return tensor.to_owned();
        }
        let axes = self.ints(axes);
        self.node("ReduceSum", &[tensor, &axes], vec![int("keepdims", 1)])
    }

    /// Output number `position` of a forward node, which gets that output where it has none.
    pub fn further_output(&mut self, call: &Call<'_>, position: usize) -> String {
        match call.node.output.get(position) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => self.forward_output(call.output(), position),
        }
    }
}
