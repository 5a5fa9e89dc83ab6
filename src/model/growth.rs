//! Operators that make a large tensor of a small one: what they would make is checked before shape inference, which evaluates
//! constants, makes it.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::onnx::{node_name, parts, within};
use super::{Limits, ModelError};

/// Checks every stored size that a node of the graph grows something to.
///
/// # Errors
/// [`ModelError::TooLarge`] names the node.
pub(super) fn check(graph: &GraphProto, limits: &Limits) -> Result<(), ModelError> {
    let mut stored: HashMap<&str, &TensorProto> = graph
        .initializer
        .iter()
        .map(|tensor| (tensor.name.as_str(), tensor))
        .collect();
    for node in graph.node.iter().filter(|node| node.op_type == "Constant") {
        let value = node
            .attribute
            .iter()
            .find_map(|attribute| attribute.t.as_ref());
        if let (Some(name), Some(value)) = (node.output.first(), value) {
            stored.insert(name, value);
        }
    }
    let mut total = 0u64;
    for node in &graph.node {
        let elements = grown(node, &stored);
        total = total.saturating_add(elements);
        let what = format!("what node {} ({}) makes", node_name(node), node.op_type);
        within(&what, total, limits.elements)?;
    }
    Ok(())
}

/// How many elements a node makes of one, as far as stored values tell; 0 where they do not.
fn grown(node: &NodeProto, stored: &HashMap<&str, &TensorProto>) -> u64 {
    let values = |position: usize| -> Option<Vec<f64>> {
        numbers(stored.get(node.input.get(position)?.as_str())?)
    };
    let product = |values: Option<Vec<f64>>| {
        values.map(|values| values.iter().map(|v| v.abs().max(1.0)).product())
    };
    let elements: Option<f64> = match node.op_type.as_str() {
        "ConstantOfShape" => product(values(0)),
        "Expand" | "Tile" => product(values(1)),
        "OneHot" => product(values(1)),
        "Resize" => product(values(3)).or_else(|| product(values(2))),
        "Upsample" => product(values(1)),
        "Pad" => values(1)
            .or_else(|| {
                let pads = parts::attribute(node, "pads")?;
                Some(pads.ints.iter().map(|&pad| pad as f64).collect())
            })
            .map(|pads| {
                let (before, after) = pads.split_at(pads.len() / 2);
                before
                    .iter()
                    .zip(after)
                    .map(|(a, b)| (1.0 + a + b).abs().max(1.0))
                    .product()
            }),
        "Range" => match (
            values(0).as_deref(),
            values(1).as_deref(),
            values(2).as_deref(),
        ) {
            (Some(&[start]), Some(&[limit]), Some(&[delta])) => {
                Some(((limit - start) / delta).abs())
            }
            _ => None,
        },
        _ => None,
    };
    // NaN (0 / 0 in a range) counts as beyond every limit; so does what an integer cannot hold.
    elements.map_or(0, |elements| {
        if elements.is_nan() {
            u64::MAX
        } else {
            elements as u64
        }
    })
}

/// The values of a small stored vector of integers or floats.
fn numbers(tensor: &TensorProto) -> Option<Vec<f64>> {
    const SMALL: usize = 64;
    let raw = &tensor.raw_data;
    if raw.len() > 8 * SMALL || tensor.dims.iter().product::<i64>() > SMALL as i64 {
        return None;
    }
    let values = match DataType::try_from(tensor.data_type).ok()? {
        DataType::Int64 if raw.is_empty() => tensor.int64_data.iter().map(|&v| v as f64).collect(),
        DataType::Int64 => raw
            .as_chunks()
            .0
            .iter()
            .map(|&b| i64::from_le_bytes(b) as f64)
            .collect(),
        DataType::Int32 if raw.is_empty() => {
            tensor.int32_data.iter().map(|&v| f64::from(v)).collect()
        }
        DataType::Int32 => raw
            .as_chunks()
            .0
            .iter()
            .map(|&b| f64::from(i32::from_le_bytes(b)))
            .collect(),
        DataType::Float if raw.is_empty() => {
            tensor.float_data.iter().map(|&v| f64::from(v)).collect()
        }
        DataType::Float => raw
            .as_chunks()
            .0
            .iter()
            .map(|&b| f64::from(f32::from_le_bytes(b)))
            .collect(),
        _ => return None,
    };
    Some(values)
}
