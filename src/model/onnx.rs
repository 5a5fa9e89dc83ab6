//! Reading and writing ONNX files within limits.
//!
//! Everything that later code takes for granted about a graph is checked here, once: every name is made exactly once and
//! before it is read, every initializer holds as many bytes as its shape says, nothing lies outside the file.

use std::collections::HashSet;

use prost::Message;
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, tensor_proto::DataType,
    type_proto,
};

use super::external::{self, Beside};
use super::{ModelError, half, inline};

/// Bounds on what a model file may ask for, checked before anything of that size is allocated.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the file. Protobuf itself ends at 2 GiB.
    pub file_bytes: u64,
    /// Bytes of the tensors that lie in files beside it.
    pub external_bytes: u64,
    /// Nodes of the graph.
    pub nodes: u64,
    /// Initializers of the graph.
    pub initializers: u64,
    /// Classes of the answer.
    pub classes: u64,
    /// Dimensions of one tensor.
    pub rank: u64,
    /// Elements of one tensor, stored or computed.
    pub elements: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            file_bytes: i32::MAX as u64,
            external_bytes: 1 << 32,
            nodes: 5_000,
            initializers: 20_000,
            classes: 200_000,
            rank: 8,
            elements: 1 << 28,
        }
    }
}

/// The opset that a gradient graph has at least: the first with every operator its rules write.
pub const MINIMUM_OPSET: i64 = 17;

/// Decodes an ONNX file, brings in what lies in the `files` beside it, and writes it in the plain form that later code knows:
/// functions inlined, one name for the default domain, f32 only, no input that nothing reads. Checks
/// that the graph is whole.
///
/// # Errors
/// [`ModelError::NotOnnx`], [`ModelError::Damaged`], [`ModelError::TooLarge`], [`ModelError::External`] or
/// [`ModelError::Unsupported`].
pub fn read_beside(
    bytes: &[u8],
    files: &dyn Beside,
    limits: &Limits,
) -> Result<ModelProto, ModelError> {
    if bytes.is_empty() {
        return Err(ModelError::NotOnnx("the file is empty (0 bytes)".into()));
    }
    within("the file", bytes.len() as u64, limits.file_bytes)?;
    let mut proto = ModelProto::decode(bytes)
        .map_err(|error| ModelError::NotOnnx(format!("its protobuf does not decode ({error})")))?;
    external::load(&mut proto, files, limits)?;
    inline::functions(&mut proto, limits)?;
    name_default_domain(&mut proto);
    check(&proto, limits)?;
    half::to_single(&mut proto);
    if let Some(graph) = proto.graph.as_mut() {
        drop_idle_inputs(graph);
        // What an exporter noted of shapes may contradict a size that is fixed later.
        graph.value_info.clear();
    }
    Ok(proto)
}

/// [`read_beside`] for a model that is one file.
///
/// # Errors
/// As [`read_beside`].
pub fn read(bytes: &[u8], limits: &Limits) -> Result<ModelProto, ModelError> {
    read_beside(bytes, &external::Nothing, limits)
}

/// Writes the default domain, which has two names, with the shorter one.
fn name_default_domain(proto: &mut ModelProto) {
    let imports = proto.opset_import.iter_mut().map(|set| &mut set.domain);
    let nodes = proto.graph.iter_mut().flat_map(|graph| &mut graph.node);
    let domains = imports.chain(nodes.map(|node| &mut node.domain));
    domains
        .filter(|domain| is_default_domain(domain))
        .for_each(String::clear);
}

/// Leaves out inputs that have a stored value (before IR version 4 every initializer was listed as one) and inputs that nothing
/// reads.
fn drop_idle_inputs(graph: &mut GraphProto) {
    let stored: HashSet<&str> = graph
        .initializer
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    let mut read: HashSet<&str> = graph
        .output
        .iter()
        .map(|output| output.name.as_str())
        .collect();
    for node in &graph.node {
        inline::reads(node, &mut |name| {
            read.insert(name);
        });
    }
    let idle = |name: &str| stored.contains(name) || !read.contains(name);
    let kept: Vec<bool> = graph.input.iter().map(|input| !idle(&input.name)).collect();
    let mut kept = kept.into_iter();
    graph.input.retain(|_| kept.next().unwrap_or(true));
}

/// The bytes of an ONNX file, where they fit into one.
///
/// # Errors
/// [`ModelError::TooLarge`] beyond the 2 GiB of a protobuf.
pub fn encode(proto: &ModelProto) -> Result<Vec<u8>, ModelError> {
    let most = Limits::default().file_bytes;
    within("the file to write", proto.encoded_len() as u64, most)?;
    Ok(write(proto))
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
pub(super) fn is_default_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
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

/// Checks the whole model: operator set, sizes, names, order. A condition's branches are checked when they are inlined.
pub(super) fn check(proto: &ModelProto, limits: &Limits) -> Result<(), ModelError> {
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

/// Checks one node: known domain, at least one output, no subgraph but a condition's branches, sound tensor attributes.
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
pub(super) fn element_count(tensor: &TensorProto, limits: &Limits) -> Result<u64, ModelError> {
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
pub(super) fn element_width(data_type: i32) -> Option<usize> {
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
}
