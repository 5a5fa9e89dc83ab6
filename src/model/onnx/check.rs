//! What later code takes for granted about a graph, checked once: known operator sets, sizes within the limits, names that are made
//! before they are read, stored tensors as long as their shapes say.

use std::collections::HashSet;

use tract_onnx::pb::{ModelProto, NodeProto, TensorProto, tensor_proto::DataType, type_proto};

use super::{Limits, is_default_domain, node_name, opset, within};
use crate::model::ModelError;

/// Operators whose code `scripts/trim.mjs` takes out of the page's WebAssembly: sound, recurrent networks, random numbers, detectors'
/// boxes, language models.
const NOT_IN_THE_PAGE: [&str; 18] = [
    "BlackmanWindow",
    "DFT",
    "GRU",
    "GatherBlockQuantized",
    "HammingWindow",
    "HannWindow",
    "LSTM",
    "MatMulNBits",
    "MelWeightMatrix",
    "Multinomial",
    "NonMaxSuppression",
    "RNN",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "RotaryEmbedding",
    "STFT",
];

/// Checks the whole model: operator set, sizes, names, order. A condition's branches are checked when they are inlined.
pub fn check(proto: &ModelProto, limits: &Limits) -> Result<(), ModelError> {
    let graph = proto
        .graph
        .as_ref()
        .ok_or_else(|| ModelError::NotOnnx("it holds no graph".into()))?;
    if graph.node.is_empty() || graph.output.is_empty() {
        return Err(ModelError::NotOnnx(
            "its graph has no nodes or no outputs".into(),
        ));
    }
    if opset(proto) <= 0 {
        return Err(ModelError::NotOnnx(
            "it imports no version of the ONNX operators".into(),
        ));
    }
    within("the number of nodes", graph.node.len() as u64, limits.nodes)?;
    if !graph.sparse_initializer.is_empty() {
        return Err(ModelError::Unsupported(
            "it stores sparse initializers".into(),
        ));
    }
    within(
        "the number of initializers",
        graph.initializer.len() as u64,
        limits.initializers,
    )?;
    let mut made: HashSet<&str> = HashSet::new();
    for tensor in &graph.initializer {
        check_tensor(tensor, limits)?;
        if !made.insert(&tensor.name) {
            return Err(ModelError::Damaged(format!(
                "two initializers are named '{}'",
                tensor.name
            )));
        }
    }
    for input in &graph.input {
        let is_tensor = matches!(
            input.r#type.as_ref().and_then(|t| t.value.as_ref()),
            Some(type_proto::Value::TensorType(_))
        );
        if !is_tensor {
            return Err(ModelError::Unsupported(format!(
                "its input '{}' is not a tensor",
                input.name
            )));
        }
        made.insert(&input.name);
    }
    for node in &graph.node {
        check_node(node, limits)?;
        if let Some(name) = node
            .input
            .iter()
            .find(|name| !name.is_empty() && !made.contains(name.as_str()))
        {
            return Err(ModelError::Damaged(format!(
                "node {} reads '{name}', which nothing before it makes",
                node_name(node)
            )));
        }
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if !made.insert(name) {
                return Err(ModelError::Damaged(format!(
                    "two nodes make the tensor '{name}'"
                )));
            }
        }
    }
    for output in &graph.output {
        if !made.contains(output.name.as_str()) {
            return Err(ModelError::Damaged(format!(
                "no node makes its output '{}'",
                output.name
            )));
        }
    }
    Ok(())
}

/// Checks one node: known domain, an operator that is there, at least one output, no subgraph but a condition's branches, sound tensor attributes.
fn check_node(node: &NodeProto, limits: &Limits) -> Result<(), ModelError> {
    if !is_default_domain(&node.domain) {
        return Err(ModelError::Unsupported(format!(
            "node {} is operator {}.{}, not one of ONNX's own",
            node_name(node),
            node.domain,
            node.op_type
        )));
    }
    if cfg!(target_arch = "wasm32") && NOT_IN_THE_PAGE.contains(&node.op_type.as_str()) {
        return Err(ModelError::Unsupported(format!(
            "node {} is operator {}, which the page leaves out to stay small; the gradlens command has it",
            node_name(node),
            node.op_type
        )));
    }
    if node.output.iter().all(String::is_empty) {
        return Err(ModelError::Damaged(format!(
            "node {} makes nothing",
            node_name(node)
        )));
    }
    for attribute in &node.attribute {
        let rank = limits.rank as i64;
        let axes = attribute.ints.iter().chain([&attribute.i]);
        // tract takes anything else for a sequence of swaps, and finds no end of them.
        let is_order = (0..attribute.ints.len() as i64).all(|axis| attribute.ints.contains(&axis));
        if node.op_type == "Transpose" && attribute.name == "perm" && !is_order {
            return Err(ModelError::Damaged(format!(
                "node {} (Transpose) has the order {:?}, which is none of its axes",
                node_name(node),
                &attribute.ints[..attribute.ints.len().min(8)]
            )));
        }
        let names_axes = matches!(attribute.name.as_str(), "axis" | "axes");
        let beyond = axes.copied().find(|axis| !(-rank..rank).contains(axis));
        if let Some(axis) = beyond.filter(|_| names_axes) {
            return Err(ModelError::Damaged(format!(
                "node {} ({}) has the axis {axis}",
                node_name(node),
                node.op_type
            )));
        }
        let branches = node.op_type == "If";
        if !branches && (attribute.g.is_some() || !attribute.graphs.is_empty()) {
            return Err(ModelError::Unsupported(format!(
                "node {} ({}) holds a graph of its own (control flow)",
                node_name(node),
                node.op_type
            )));
        }
        for tensor in attribute.t.iter().chain(&attribute.tensors) {
            check_tensor(tensor, limits)?;
        }
    }
    Ok(())
}

/// Checks that a stored tensor is within the limits, and as long as its shape says.
fn check_tensor(tensor: &TensorProto, limits: &Limits) -> Result<(), ModelError> {
    let elements = element_count(tensor, limits)?;
    let stored = stored_elements(tensor).ok_or_else(|| {
        ModelError::Unsupported(format!(
            "tensor '{}' has the element type {}",
            tensor.name, tensor.data_type
        ))
    })?;
    if stored == elements {
        Ok(())
    } else {
        Err(ModelError::Damaged(format!(
            "tensor '{}' has shape {:?} ({elements} elements) but holds {stored}",
            tensor.name, tensor.dims
        )))
    }
}

/// How many elements a tensor's shape says it has, within the limits.
pub fn element_count(tensor: &TensorProto, limits: &Limits) -> Result<u64, ModelError> {
    let name = &tensor.name;
    within(
        &format!("the rank of tensor '{name}'"),
        tensor.dims.len() as u64,
        limits.rank,
    )?;
    let mut elements = 1u64;
    for &dim in &tensor.dims {
        let dim = u64::try_from(dim).map_err(|_| {
            ModelError::Damaged(format!("tensor '{name}' has the negative dimension {dim}"))
        })?;
        elements = elements.saturating_mul(dim);
    }
    within(
        &format!("the number of elements of tensor '{name}'"),
        elements,
        limits.elements,
    )?;
    Ok(elements)
}

/// Bytes of one element; `None` for an element type not handled.
pub fn element_width(data_type: i32) -> Option<usize> {
    use DataType as T;
    match DataType::try_from(data_type).ok()? {
        T::Double | T::Int64 | T::Uint64 => Some(8),
        T::Float | T::Int32 | T::Uint32 => Some(4),
        T::Float16 | T::Bfloat16 | T::Uint16 | T::Int16 => Some(2),
        T::Int8 | T::Uint8 | T::Bool => Some(1),
        _ => None,
    }
}

/// How many elements a tensor's data fields hold, whichever of them is used; `None` for an element type not handled.
fn stored_elements(tensor: &TensorProto) -> Option<u64> {
    use DataType as T;
    let width = element_width(tensor.data_type)?;
    let typed = match DataType::try_from(tensor.data_type).ok()? {
        T::Float => tensor.float_data.len(),
        T::Double => tensor.double_data.len(),
        T::Int64 => tensor.int64_data.len(),
        T::Uint64 | T::Uint32 => tensor.uint64_data.len(),
        _ => tensor.int32_data.len(),
    };
    if tensor.raw_data.is_empty() {
        Some(typed as u64)
    } else if tensor.raw_data.len().is_multiple_of(width) {
        Some((tensor.raw_data.len() / width) as u64)
    } else {
        // Half an element: no shape matches.
        Some(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_initializer_is_damage_and_a_huge_one_is_too_large() {
        let mut tensor = TensorProto {
            name: "w".into(),
            dims: vec![2, 3],
            data_type: DataType::Float as i32,
            raw_data: vec![0; 20],
            ..TensorProto::default()
        };
        assert!(matches!(
            check_tensor(&tensor, &Limits::default()),
            Err(ModelError::Damaged(_))
        ));
        tensor.raw_data = vec![0; 24];
        check_tensor(&tensor, &Limits::default()).unwrap();
        tensor.dims = vec![i64::MAX, i64::MAX];
        assert!(matches!(
            check_tensor(&tensor, &Limits::default()),
            Err(ModelError::TooLarge { .. })
        ));
    }
}
