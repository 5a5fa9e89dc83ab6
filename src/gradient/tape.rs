//! The tape that rules write backward nodes to, and the call that a rule answers.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType,
    tensor_proto::DataType,
};

use super::GradientError;
use super::thin::Known;
use crate::model::facts::{Dim, Fact, Facts};
use crate::model::onnx::node_name;

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
        self.nodes.push(NodeProto {
            name: output.clone(),
            op_type: operator.to_owned(),
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.clone()],
            attribute: attributes,
            ..NodeProto::default()
        });
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
    fn constant(&mut self, data_type: DataType, dims: Vec<i64>, raw: Vec<u8>) -> String {
        let key = (data_type as i32, dims.clone(), raw.clone());
        if let Some(name) = self.constants.get(&key) {
            return name.clone();
        }
        let name = self.fresh("constant");
        let shape = dims.iter().copied().map(Dim::Known).collect();
        self.note_shape(&name, shape);
        self.initializers.push(TensorProto {
            name: name.clone(),
            dims,
            data_type: data_type as i32,
            raw_data: raw,
            ..TensorProto::default()
        });
        self.constants.insert(key, name.clone());
        self.fixed.insert(name.clone());
        name
    }

    /// An f32 scalar.
    pub fn scalar(&mut self, value: f32) -> String {
        self.constant(DataType::Float, vec![], value.to_le_bytes().to_vec())
    }

    /// An f32 constant of the shape `dims`.
    pub fn floats(&mut self, dims: &[i64], values: &[f32]) -> String {
        let raw = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.constant(DataType::Float, dims.to_vec(), raw)
    }

    /// Zeros of the shape that the vector `shape` holds when the graph runs.
    ///
    /// The value is written out: tract 0.23.9 makes the operator's default zero an f64.
    pub fn zeros(&mut self, shape: &str) -> String {
        let zero = TensorProto {
            dims: vec![1],
            data_type: DataType::Float as i32,
            raw_data: 0f32.to_le_bytes().to_vec(),
            ..TensorProto::default()
        };
        let value = AttributeProto {
            name: "value".into(),
            r#type: AttributeType::Tensor as i32,
            t: Some(zero),
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
        let raw = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.constant(DataType::Int64, dims.to_vec(), raw)
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

    /// The shape of a forward tensor.
    ///
    /// # Errors
    /// [`GradientError::Shape`] where not even the rank is known.
    pub fn shape(&self, tensor: &str) -> Result<Vec<Dim>, GradientError> {
        match self.facts.get(tensor).and_then(|fact| fact.shape.clone()) {
            Some(shape) => Ok(shape),
            None => Err(GradientError::Shape {
                tensor: tensor.to_owned(),
                shape: "unknown".into(),
            }),
        }
    }

    /// The sizes of a forward tensor from axis `from` on.
    ///
    /// # Errors
    /// [`GradientError::Shape`] where one of them is open.
    pub fn sizes(&self, tensor: &str, from: usize) -> Result<Vec<i64>, GradientError> {
        let shape = self.shape(tensor)?;
        let known: Option<Vec<i64>> = shape.iter().skip(from).map(Dim::known).collect();
        known.ok_or_else(|| self.open_shape(tensor))
    }

    /// The error for a shape that should be fixed and is not.
    pub fn open_shape(&self, tensor: &str) -> GradientError {
        let shape = self
            .facts
            .get(tensor)
            .map_or("unknown".into(), |fact| fact.shape_text());
        GradientError::Shape {
            tensor: tensor.to_owned(),
            shape,
        }
    }

    /// The values of a small constant, rounded to integers.
    pub fn constant_ints(&self, tensor: &str) -> Option<Vec<i64>> {
        let values = self.facts.get(tensor)?.values.as_ref()?;
        Some(values.iter().map(|&value| value as i64).collect())
    }

    /// The values of a small constant.
    pub fn constant_floats(&self, tensor: &str) -> Option<Vec<f32>> {
        let values = self.facts.get(tensor)?.values.as_ref()?;
        Some(values.iter().map(|&value| value as f32).collect())
    }

    /// `cotangent`, which has as many elements as the forward tensor `like`, in that tensor's shape.
    ///
    /// # Errors
    /// [`GradientError::Shape`] where the rank of `like` is unknown.
    pub fn reshape_like(&mut self, cotangent: &str, like: &str) -> Result<String, GradientError> {
        let shape = self.shape(like)?;
        let target = if shape.iter().filter(|dim| dim.known().is_none()).count() <= 1 {
            let target: Vec<i64> = shape.iter().map(|dim| dim.known().unwrap_or(-1)).collect();
            self.ints(&target)
        } else {
            self.op("Shape", &[like])
        };
        Ok(self.op("Reshape", &[cotangent, &target]))
    }

    /// Sums a cotangent of the shape of `from` down to the shape of `to`, which was broadcast to it.
    ///
    /// # Errors
    /// [`GradientError::Shape`] where it cannot be told which axes were broadcast.
    pub fn sum_to(
        &mut self,
        cotangent: &str,
        from: &str,
        to: &str,
    ) -> Result<String, GradientError> {
        let wide = self.shape(from)?;
        self.sum_from(cotangent, &wide, to)
    }

    /// Sums a cotangent of the shape `wide` down to the shape of the forward tensor `to`, which was broadcast to it.
    ///
    /// # Errors
    /// [`GradientError::Shape`] where the rank of `to` is unknown or larger, or a size may be one and may not.
    pub fn sum_from(
        &mut self,
        cotangent: &str,
        wide: &[Dim],
        to: &str,
    ) -> Result<String, GradientError> {
        let narrow = self.shape(to)?;
        let Some(leading) = wide.len().checked_sub(narrow.len()) else {
            return Err(self.open_shape(to));
        };
        let mut axes: Vec<i64> = (0..leading as i64).collect();
        for (axis, dim) in narrow.iter().enumerate() {
            let beside = &wide[leading + axis];
            match (dim, beside) {
                (Dim::Known(1), Dim::Known(1)) => {}
                (Dim::Known(1), _) => axes.push((leading + axis) as i64),
                // It may be the same size or a one.
                (Dim::Symbol(_), Dim::Known(_)) => return Err(self.open_shape(to)),
                // Expressions of the batch that are written differently mean the same size.
                _ => {}
            }
        }
        self.sum_axes(cotangent, &axes, leading, to)
    }

    /// Sums a cotangent over `axes`, of which the first `leading` are not there in the forward tensor `to`.
    ///
    /// # Errors
    /// [`GradientError::Shape`] where the rank of `to` is unknown.
    pub fn sum_axes(
        &mut self,
        cotangent: &str,
        axes: &[i64],
        leading: usize,
        to: &str,
    ) -> Result<String, GradientError> {
        if axes.is_empty() {
            return Ok(cotangent.to_owned());
        }
        let summed = self.sum(cotangent, axes);
        if leading == 0 {
            Ok(summed)
        } else {
            self.reshape_like(&summed, to)
        }
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

/// One node to differentiate.
pub struct Call<'a> {
    /// The forward node.
    pub node: &'a NodeProto,
    /// The model's opset.
    pub opset: i64,
    /// The cotangent of each output, where it has one.
    pub cotangents: Vec<Option<String>>,
    /// Which inputs need a cotangent.
    pub wanted: Vec<bool>,
}

/// What a rule returns: cotangents of inputs, by position.
pub type Cotangents = Result<Vec<(usize, String)>, GradientError>;

impl Call<'_> {
    /// Name of input `position`.
    ///
    /// # Errors
    /// [`GradientError::Form`] where the node has no such input.
    pub fn input(&self, position: usize) -> Result<&str, GradientError> {
        match self.node.input.get(position) {
            Some(name) if !name.is_empty() => Ok(name),
            _ => Err(self.form(&format!("a missing input {position}"))),
        }
    }

    /// Name of the first output. `onnx::read` made sure there is one.
    pub fn output(&self) -> &str {
        self.node.output.first().map_or("", String::as_str)
    }

    /// Cotangent of the first output.
    ///
    /// # Errors
    /// [`GradientError::Form`] where only another output carries one.
    pub fn cotangent(&self) -> Result<&str, GradientError> {
        match self.cotangents.first() {
            Some(Some(name)) => Ok(name),
            _ => Err(self.form("a gradient through its second output")),
        }
    }

    /// Whether input `position` needs a cotangent.
    pub fn wants(&self, position: usize) -> bool {
        self.wanted.get(position).copied().unwrap_or(false)
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node
            .attribute
            .iter()
            .find(|attribute| attribute.name == name)
    }

    /// An integer attribute.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name)
            .map_or(default, |attribute| attribute.i)
    }

    /// `axis`, which counts from the end where it is negative, counted from the front.
    ///
    /// # Errors
    /// [`GradientError::Form`] where a tensor of rank `rank` has no such axis.
    pub fn within(&self, axis: i64, rank: usize) -> Result<usize, GradientError> {
        let from_front = if axis < 0 {
            axis.saturating_add(rank as i64)
        } else {
            axis
        };
        usize::try_from(from_front)
            .ok()
            .filter(|&axis| axis < rank)
            .ok_or_else(|| self.form("an axis outside its rank"))
    }

    /// The attribute `axis`, counted from the front.
    ///
    /// # Errors
    /// [`GradientError::Form`] where a tensor of rank `rank` has no such axis.
    pub fn axis(&self, default: i64, rank: usize) -> Result<usize, GradientError> {
        self.within(self.int("axis", default), rank)
    }

    /// A float attribute.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name)
            .map_or(default, |attribute| attribute.f)
    }

    /// A float attribute without a default.
    pub fn optional_float(&self, name: &str) -> Option<f32> {
        self.attribute(name).map(|attribute| attribute.f)
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.attribute(name).map(|attribute| attribute.ints.clone())
    }

    /// A string attribute.
    pub fn text(&self, name: &str) -> Option<String> {
        self.attribute(name)
            .map(|attribute| String::from_utf8_lossy(&attribute.s).into_owned())
    }

    /// The error for a form that the rule does not cover.
    pub fn form(&self, form: &str) -> GradientError {
        GradientError::Form {
            operator: self.node.op_type.clone(),
            node: node_name(self.node).to_owned(),
            form: form.to_owned(),
        }
    }
}

/// An integer attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i: value,
        ..AttributeProto::default()
    }
}

/// A float attribute.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f: value,
        ..AttributeProto::default()
    }
}

/// A list-of-integers attribute.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

/// A string attribute.
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: value.as_bytes().to_vec(),
        ..AttributeProto::default()
    }
}
