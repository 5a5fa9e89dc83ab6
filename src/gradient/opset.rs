//! Bringing the forward nodes of an older model to the forms of [`MINIMUM_OPSET`](crate::model::onnx::MINIMUM_OPSET).
//!
//! Between opsets 9 and 17 some operators of image classifiers moved attributes to inputs, and the softmax changed what its axis
//! means. The gradient graph imports the newer opset, so its forward nodes must be written the newer way.

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::GradientError;
use super::tape::int;
use crate::model::facts::{Dim, Facts};
use crate::model::onnx::node_name;

/// Operators whose older form is not converted, with the first opset that has the present one.
const REFUSED: &[(i64, &[&str])] = &[
    (5, &["Reshape"]),
    (
        7,
        &[
            "Add",
            "BatchNormalization",
            "Div",
            "Gemm",
            "Mul",
            "Pow",
            "PRelu",
            "Sub",
        ],
    ),
    (10, &["Upsample", "TopK"]),
    (11, &["Resize"]),
];

/// Rewrites the nodes of a graph of opset `opset` so that they mean the same under opset 17.
///
/// # Errors
/// [`GradientError::Opset`] names the operator whose form cannot be converted.
pub(super) fn modernise(
    graph: &mut GraphProto,
    opset: i64,
    facts: &Facts,
) -> Result<(), GradientError> {
    for mut node in std::mem::take(&mut graph.node) {
        let mut converter = Converter {
            node: &mut node,
            constants: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
        };
        converter.convert(opset, facts)?;
        let Converter {
            constants,
            before,
            after,
            ..
        } = converter;
        graph.initializer.extend(constants);
        graph.node.extend(before);
        graph.node.push(node);
        graph.node.extend(after);
    }
    Ok(())
}

/// One node on its way, the constants that its attributes became, and the nodes that now stand around it.
struct Converter<'a> {
    node: &'a mut NodeProto,
    constants: Vec<TensorProto>,
    before: Vec<NodeProto>,
    after: Vec<NodeProto>,
}

impl Converter<'_> {
    fn convert(&mut self, opset: i64, facts: &Facts) -> Result<(), GradientError> {
        let operator = self.node.op_type.clone();
        let refused = REFUSED
            .iter()
            .find(|(since, operators)| opset < *since && operators.contains(&operator.as_str()));
        if let Some((since, _)) = refused {
            return Err(self.refusal(opset, *since));
        }
        match operator.as_str() {
            "Slice" if opset < 10 => {
                for (position, name) in [(1, "starts"), (2, "ends"), (3, "axes")] {
                    self.ints_to_input(name, position);
                }
            }
            "Clip" if opset < 11 => {
                for (position, name) in [(1, "min"), (2, "max")] {
                    self.float_to_input(name, position);
                }
            }
            "Pad" if opset < 11 => {
                self.ints_to_input("pads", 1);
                self.float_to_input("value", 2);
            }
            // At inference the ratio does nothing.
            "Dropout" if opset < 12 => self.node.attribute.clear(),
            "BatchNormalization" if opset < 14 => {
                self.node
                    .attribute
                    .retain(|attribute| attribute.name != "spatial");
            }
            "ReduceSum" | "Squeeze" | "Unsqueeze" if opset < 13 => self.ints_to_input("axes", 1),
            "Split" if opset < 13 => self.ints_to_input("split", 1),
            "Softmax" | "LogSoftmax" if opset < 13 => self.softmax_axis(opset, facts)?,
            "GroupNormalization" if (18..21).contains(&opset) => self.group_normalization(),
            _ => {}
        }
        Ok(())
    }

    /// Before opset 13 a softmax ran over all axes from its own on, by default from 1: flattened into one, if they are more than one.
    fn softmax_axis(&mut self, opset: i64, facts: &Facts) -> Result<(), GradientError> {
        let axis = self.take("axis").map_or(1, |attribute| attribute.i);
        let output = self.node.output.first().and_then(|name| facts.get(name));
        let shape = output.and_then(|fact| fact.shape.as_ref());
        let Some(shape) = shape.filter(|shape| !shape.is_empty()) else {
            return Err(self.refusal(opset, 13));
        };
        let axis = if axis < 0 {
            axis + shape.len() as i64
        } else {
            axis
        };
        let behind = usize::try_from(axis)
            .ok()
            .and_then(|axis| shape.get(axis + 1..));
        let Some(behind) = behind else {
            return Err(self.refusal(opset, 13));
        };
        if behind.iter().all(|dim| *dim == Dim::Known(1)) {
            self.node.attribute.push(int("axis", axis));
            return Ok(());
        }
        self.reshaped("Flatten", None, vec![int("axis", axis)]);
        self.node.attribute.push(int("axis", -1));
        Ok(())
    }

    /// Between opsets 18 and 20 scale and bias had an entry a group, a form since withdrawn: an instance is such a group, where a group
    /// is an axis.
    fn group_normalization(&mut self) {
        let groups = self.take("num_groups").map_or(1, |attribute| attribute.i);
        let shape = self.constant("groups", DataType::Int64, vec![3], bytes(&[0, groups, -1]));
        self.reshaped("Reshape", Some(shape), vec![]);
        self.node.op_type = "InstanceNormalization".into();
        self.node
            .attribute
            .retain(|attribute| attribute.name == "epsilon");
    }

    /// Puts the node between one that changes the shape of its first input and one that gives its output the old shape.
    fn reshaped(
        &mut self,
        operator: &str,
        further_input: Option<String>,
        attributes: Vec<AttributeProto>,
    ) {
        let x = self.node.input.first().cloned().unwrap_or_default();
        let y = self.node.output.first().cloned().unwrap_or_default();
        let part = |part: &str| format!("{}/{part}", self.prefix());
        let step = |operator: &str, input: Vec<String>, output: String| NodeProto {
            name: output.clone(),
            op_type: operator.into(),
            input,
            output: vec![output],
            ..NodeProto::default()
        };
        let (shape, inner, result) = (part("shape"), part("reshaped"), part("result"));
        let inputs = [x.clone()].into_iter().chain(further_input).collect();
        let mut first = step(operator, inputs, inner.clone());
        first.attribute = attributes;
        self.before = vec![first, step("Shape", vec![x], shape.clone())];
        self.after = vec![step("Reshape", vec![result.clone(), shape], y)];
        let input = self.node.input.first_mut().map(|name| (name, inner));
        let output = self.node.output.first_mut().map(|name| (name, result));
        for (name, new) in input.into_iter().chain(output) {
            *name = new;
        }
    }

    /// Removes an attribute.
    fn take(&mut self, name: &str) -> Option<AttributeProto> {
        let position = self
            .node
            .attribute
            .iter()
            .position(|attribute| attribute.name == name)?;
        Some(self.node.attribute.remove(position))
    }

    fn ints_to_input(&mut self, name: &str, position: usize) {
        if let Some(attribute) = self.take(name) {
            let dims = vec![attribute.ints.len() as i64];
            let raw = bytes(&attribute.ints);
            self.input(name, position, DataType::Int64, dims, raw);
        }
    }

    fn float_to_input(&mut self, name: &str, position: usize) {
        if let Some(attribute) = self.take(name) {
            let raw = attribute.f.to_le_bytes().to_vec();
            self.input(name, position, DataType::Float, vec![], raw);
        }
    }

    /// Puts a new constant at an input's position.
    fn input(&mut self, name: &str, position: usize, kind: DataType, dims: Vec<i64>, raw: Vec<u8>) {
        let name = self.constant(name, kind, dims, raw);
        let length = self.node.input.len().max(position + 1);
        self.node.input.resize(length, String::new());
        self.node.input[position] = name;
    }

    fn constant(&mut self, part: &str, kind: DataType, dims: Vec<i64>, raw: Vec<u8>) -> String {
        let name = format!("{}/{part}", self.prefix());
        self.constants.push(TensorProto {
            name: name.clone(),
            data_type: kind as i32,
            dims,
            raw_data: raw,
            ..TensorProto::default()
        });
        name
    }

    /// What the names of the node's new tensors begin with.
    fn prefix(&self) -> String {
        let of = self.node.output.first().map_or("", String::as_str);
        format!("backward/opset/{of}")
    }

    fn refusal(&self, opset: i64, needed: i64) -> GradientError {
        GradientError::Opset {
            operator: self.node.op_type.clone(),
            node: node_name(self.node).to_owned(),
            opset,
            needed,
        }
    }
}

/// The raw data of an i64 tensor.
fn bytes(values: &[i64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}
