//! Bringing the forward nodes of an older model to the forms of [`MINIMUM_OPSET`](crate::model::onnx::MINIMUM_OPSET).
//!
//! Between opsets 9 and 17 some operators of image classifiers moved attributes to inputs, and the softmax changed what its axis
//! means. The gradient graph imports the newer opset, so its forward nodes must be written the newer way.

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::GradientError;
use super::tape::int;
use crate::model::facts::Facts;
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
    let mut constants = Vec::new();
    for node in &mut graph.node {
        let mut converter = Converter {
            node,
            constants: &mut constants,
        };
        converter.convert(opset, facts)?;
    }
    graph.initializer.extend(constants);
    Ok(())
}

/// One node on its way, and the constants that its attributes became.
struct Converter<'a> {
    node: &'a mut NodeProto,
    constants: &'a mut Vec<TensorProto>,
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
            _ => {}
        }
        Ok(())
    }

    /// Before opset 13 a softmax ran over all axes from its own on, by default from 1; the same where its own is the last.
    fn softmax_axis(&mut self, opset: i64, facts: &Facts) -> Result<(), GradientError> {
        let axis = self.take("axis").map_or(1, |attribute| attribute.i);
        let output = self.node.output.first().and_then(|name| facts.get(name));
        let rank = output
            .and_then(crate::model::facts::Fact::rank)
            .unwrap_or(0) as i64;
        if axis != rank - 1 && axis != -1 {
            return Err(self.refusal(opset, 13));
        }
        self.node.attribute.push(int("axis", -1));
        Ok(())
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
            let raw = attribute
                .ints
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            let dims = vec![attribute.ints.len() as i64];
            self.input(name, position, DataType::Int64, dims, raw);
        }
    }

    fn float_to_input(&mut self, name: &str, position: usize) {
        if let Some(attribute) = self.take(name) {
            self.input(
                name,
                position,
                DataType::Float,
                vec![],
                attribute.f.to_le_bytes().to_vec(),
            );
        }
    }

    /// Puts a new constant at an input's position.
    fn input(&mut self, name: &str, position: usize, kind: DataType, dims: Vec<i64>, raw: Vec<u8>) {
        let of = self.node.output.first().map_or("", String::as_str);
        let name = format!("backward/opset/{of}/{name}");
        self.constants.push(TensorProto {
            name: name.clone(),
            data_type: kind as i32,
            dims,
            raw_data: raw,
            ..TensorProto::default()
        });
        let length = self.node.input.len().max(position + 1);
        self.node.input.resize(length, String::new());
        self.node.input[position] = name;
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
