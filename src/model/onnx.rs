//! Reading and writing ONNX files within limits.

mod check;
mod file;
pub mod parts;

use std::collections::HashSet;

use prost::Message;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};

pub(super) use check::{check, element_count, element_width};
pub(crate) use file::pieces;
pub use file::{Piece, Source};

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
    file: &dyn Source,
    files: &dyn Beside,
    limits: &Limits,
) -> Result<ModelProto, ModelError> {
    if file.length() == 0 {
        return Err(ModelError::NotOnnx("the file is empty (0 bytes)".into()));
    }
    within("the file", file.length() as u64, limits.file_bytes)?;
    let mut proto = file::decode(file)
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
    read_beside(&bytes, &external::Nothing, limits)
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
}
