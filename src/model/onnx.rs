//! Reading and writing ONNX files within limits.
//!
//! Everything that later code takes for granted about a graph is checked here, once: every name is made exactly once and
//! before it is read, every initializer holds as many bytes as its shape says, nothing lies outside the file.

use std::collections::{HashMap, HashSet};

use prost::Message;
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, tensor_proto::DataType,
    type_proto,
};

use super::ModelError;

/// Bounds on what a model file may ask for, checked before anything of that size is allocated.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Nodes of the graph.
    pub nodes: u64,
    /// Initializers of the graph.
    pub initializers: u64,
    /// Dimensions of one tensor.
    pub rank: u64,
    /// Elements of one tensor, stored or computed.
    pub elements: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            file_bytes: 1 << 30,
            nodes: 5_000,
            initializers: 20_000,
            rank: 8,
            elements: 1 << 28,
        }
    }
}

/// The opset that a gradient graph has at least: the first with every operator its rules write.
pub const MINIMUM_OPSET: i64 = 17;

/// Decodes an ONNX file and checks that its graph is whole.
///
/// # Errors
/// [`ModelError::NotOnnx`], [`ModelError::Damaged`], [`ModelError::TooLarge`] or [`ModelError::Unsupported`].
pub fn read(bytes: &[u8], limits: &Limits) -> Result<ModelProto, ModelError> {
    if bytes.is_empty() {
        return Err(ModelError::NotOnnx("the file is empty (0 bytes)".into()));
    }
    within("the file", bytes.len() as u64, limits.file_bytes)?;
    let proto = ModelProto::decode(bytes)
        .map_err(|error| ModelError::NotOnnx(format!("its protobuf does not decode ({error})")))?;
    check(&proto, limits)?;
    Ok(proto)
}

/// The bytes of an ONNX file.
#[must_use]
pub fn write(proto: &ModelProto) -> Vec<u8> {
    proto.encode_to_vec()
}

/// The version of the default operator set that the model imports (0 where it imports none).
#[must_use]
pub fn opset(proto: &ModelProto) -> i64 {
    proto
        .opset_import
        .iter()
        .find(|set| is_default_domain(&set.domain))
        .map_or(0, |set| set.version)
}

/// Makes the model import at least version `minimum` of the default operator set.
pub fn raise_opset(proto: &mut ModelProto, minimum: i64) {
    match proto
        .opset_import
        .iter_mut()
        .find(|set| is_default_domain(&set.domain))
    {
        Some(set) => set.version = set.version.max(minimum),
        None => proto.opset_import.push(OperatorSetIdProto {
            domain: String::new(),
            version: minimum,
        }),
    }
}

/// Whether `domain` means ONNX's own operators.
fn is_default_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// Replaces every `Cast` of a half-precision initializer to f32 by an f32 initializer of the cast's name.
///
/// Files store weights as f16 to be small; engines want them as f32 once, not at every run (tract folds such casts only
/// up to a memory budget). The values are the same: every f16 is an f32.
pub fn widen_half_initializers(proto: &mut ModelProto) {
    let Some(GraphProto {
        node,
        initializer,
        output,
        ..
    }) = proto.graph.as_mut()
    else {
        return;
    };
    let is_half = |tensor: &TensorProto| tensor.data_type == DataType::Float16 as i32;
    let halves: HashMap<String, usize> = initializer
        .iter()
        .enumerate()
        .filter(|(_, tensor)| is_half(tensor))
        .map(|(index, tensor)| (tensor.name.clone(), index))
        .collect();
    let mut wide = Vec::new();
    node.retain(|node| {
        let mut attributes = node.attribute.iter();
        let to_f32 = attributes.any(|a| a.name == "to" && a.i == DataType::Float as i64);
        let source = node.input.first().and_then(|name| halves.get(name));
        match (
            node.op_type == "Cast" && to_f32,
            source,
            node.output.first(),
        ) {
            (true, Some(&index), Some(name)) => {
                wide.push(widened(&initializer[index], name));
                false
            }
            _ => true,
        }
    });
    let inputs = node.iter().flat_map(|node| &node.input);
    let still_read: HashSet<&String> = inputs
        .chain(output.iter().map(|output| &output.name))
        .collect();
    initializer.retain(|tensor| !is_half(tensor) || still_read.contains(&tensor.name));
    initializer.extend(wide);
}

/// The f32 copy, under another name, of an f16 tensor.
fn widened(half: &TensorProto, name: &str) -> TensorProto {
    let raw: Vec<u8> = if half.raw_data.is_empty() {
        half.int32_data
            .iter()
            .flat_map(|&bits| half::f16::from_bits(bits as u16).to_f32().to_le_bytes())
            .collect()
    } else {
        half.raw_data
            .chunks_exact(2)
            .flat_map(|pair| {
                half::f16::from_le_bytes([pair[0], pair[1]])
                    .to_f32()
                    .to_le_bytes()
            })
            .collect()
    };
    TensorProto {
        name: name.to_owned(),
        dims: half.dims.clone(),
        data_type: DataType::Float as i32,
        raw_data: raw,
        ..TensorProto::default()
    }
}

/// Fails with [`ModelError::TooLarge`] where `found` passes `limit`.
pub(super) fn within(what: &str, found: u64, limit: u64) -> Result<(), ModelError> {
    if found <= limit {
        Ok(())
    } else {
        Err(ModelError::TooLarge {
            what: what.to_owned(),
            found,
            limit,
        })
    }
}

/// Checks the whole model: operator set, sizes, names, order.
fn check(proto: &ModelProto, limits: &Limits) -> Result<(), ModelError> {
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
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            if !made.contains(name.as_str()) {
                return Err(ModelError::Damaged(format!(
                    "node {} reads '{name}', which nothing before it makes",
                    node_name(node)
                )));
            }
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

/// Checks one node: known domain, at least one output, no subgraph, sound tensor attributes.
fn check_node(node: &NodeProto, limits: &Limits) -> Result<(), ModelError> {
    if !is_default_domain(&node.domain) {
        return Err(ModelError::Unsupported(format!(
            "node {} is operator {}.{}, not one of ONNX's own",
            node_name(node),
            node.domain,
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
        let names_axes = matches!(attribute.name.as_str(), "axis" | "axes");
        let beyond = axes.copied().find(|axis| !(-rank..rank).contains(axis));
        if let Some(axis) = beyond.filter(|_| names_axes) {
            return Err(ModelError::Damaged(format!(
                "node {} ({}) has the axis {axis}",
                node_name(node),
                node.op_type
            )));
        }
        if attribute.g.is_some() || !attribute.graphs.is_empty() {
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

/// Checks that a stored tensor is in the file, within the limits, and as long as its shape says.
fn check_tensor(tensor: &TensorProto, limits: &Limits) -> Result<(), ModelError> {
    let name = &tensor.name;
    if tensor.data_location == Some(1) || !tensor.external_data.is_empty() {
        return Err(ModelError::Unsupported(format!(
            "the data of tensor '{name}' lies in another file; save the model as one file"
        )));
    }
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
    let stored = match stored_elements(tensor) {
        Some(stored) => stored,
        None => {
            return Err(ModelError::Unsupported(format!(
                "tensor '{name}' has the element type {}",
                tensor.data_type
            )));
        }
    };
    if stored == elements {
        Ok(())
    } else {
        Err(ModelError::Damaged(format!(
            "tensor '{name}' has shape {:?} ({elements} elements) but holds {stored}",
            tensor.dims
        )))
    }
}

/// How many elements a tensor's data fields hold, whichever of them is used; `None` for an element type not handled.
fn stored_elements(tensor: &TensorProto) -> Option<u64> {
    use DataType as T;
    let data_type = DataType::try_from(tensor.data_type).ok()?;
    let (width, typed) = match data_type {
        T::Float => (4, tensor.float_data.len()),
        T::Double => (8, tensor.double_data.len()),
        T::Int64 => (8, tensor.int64_data.len()),
        T::Uint64 => (8, tensor.uint64_data.len()),
        T::Uint32 => (4, tensor.uint64_data.len()),
        T::Int32 => (4, tensor.int32_data.len()),
        T::Float16 | T::Uint16 | T::Int16 => (2, tensor.int32_data.len()),
        T::Int8 | T::Uint8 | T::Bool => (1, tensor.int32_data.len()),
        _ => return None,
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

/// A node's name for messages: its own, or that of what it makes.
#[must_use]
pub fn node_name(node: &NodeProto) -> &str {
    if node.name.is_empty() {
        node.output.first().map_or("", String::as_str)
    } else {
        &node.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_model_are_named_so() {
        for bytes in [&b""[..], b"hello, this is text", &[0u8; 64], b"\x08\x08"] {
            let error = read(bytes, &Limits::default()).unwrap_err();
            assert!(matches!(error, ModelError::NotOnnx(_)), "{error}");
        }
    }

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

    #[test]
    fn halves_become_floats_of_the_same_value() {
        let values = [1.5f32, -0.25, 65504.0];
        let half = TensorProto {
            name: "w.f16".into(),
            dims: vec![3],
            data_type: DataType::Float16 as i32,
            raw_data: values
                .iter()
                .flat_map(|&v| half::f16::from_f32(v).to_le_bytes())
                .collect(),
            ..TensorProto::default()
        };
        let wide = widened(&half, "w");
        let back: Vec<f32> = wide
            .raw_data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        assert_eq!(back, values);
    }
}
