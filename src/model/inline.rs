//! Graphs within the graph, written out: model-local functions, and the branch that a settled condition takes.
//!
//! Exporters leave both behind where the model itself has neither: PyTorch's newer one wraps layers in functions, its older one
//! asks with an `If` for shapes that are fixed.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{
    FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto::DataType,
};

use super::layers::ancestors;
use super::onnx::{is_default_domain, node_name, opset, parts, within};
use super::{Limits, ModelError, facts, onnx};

/// How deeply functions may call functions, and how many conditions are settled.
const MOST_ROUNDS: usize = 64;

/// Replaces every call of a model-local function by the function's nodes.
///
/// # Errors
/// [`ModelError::Unsupported`] for a function of another opset or with an attribute left to a default,
/// [`ModelError::TooLarge`] where calls multiply, [`ModelError::Damaged`] for functions that call themselves.
pub fn functions(proto: &mut ModelProto, limits: &Limits) -> Result<(), ModelError> {
    let functions = std::mem::take(&mut proto.functions);
    let version = opset(proto);
    let Some(graph) = proto.graph.as_mut().filter(|_| !functions.is_empty()) else {
        return Ok(());
    };
    let find = |node: &NodeProto| {
        functions.iter().find(|function| {
            function.name.as_deref().unwrap_or_default() == node.op_type
                && function.domain.as_deref().unwrap_or_default() == node.domain
        })
    };
    for _ in 0..MOST_ROUNDS {
        if !graph.node.iter().any(|node| find(node).is_some()) {
            return Ok(());
        }
        let mut names = Names::of(graph);
        let mut nodes = Vec::new();
        for node in std::mem::take(&mut graph.node) {
            match find(&node) {
                Some(function) => nodes.extend(called(function, &node, version, &mut names)?),
                None => nodes.push(node),
            }
            within("the number of nodes", nodes.len() as u64, limits.nodes)?;
        }
        graph.node = nodes;
    }
    Err(ModelError::Damaged(
        "its functions call each other without an end".into(),
    ))
}

/// The nodes of a function, on the tensors and with the attributes of the call.
fn called(
    function: &FunctionProto,
    call: &NodeProto,
    version: i64,
    names: &mut Names,
) -> Result<Vec<NodeProto>, ModelError> {
    let whose = || format!("{} (node {})", call.op_type, node_name(call));
    let other = function
        .opset_import
        .iter()
        .find(|set| is_default_domain(&set.domain) && set.version != version);
    if let Some(set) = other {
        return Err(ModelError::Unsupported(format!(
            "its function {} is written in opset {}, the model in opset {version}",
            whose(),
            set.version
        )));
    }
    let formal = function.input.iter().zip(
        call.input
            .iter()
            .map(String::as_str)
            .chain(std::iter::repeat("")),
    );
    let mut given: HashMap<&str, String> = formal
        .map(|(name, tensor)| (name.as_str(), tensor.to_owned()))
        .collect();
    // A function may hand an input on as it is; then the output's name needs a node.
    let mut handed_on = Vec::new();
    for (name, tensor) in function.output.iter().zip(&call.output) {
        if tensor.is_empty() {
            continue;
        }
        match given.get(name.as_str()) {
            Some(source) => handed_on.push((source.clone(), tensor.clone())),
            None => drop(given.insert(name, tensor.clone())),
        }
    }
    let mut nodes = function.node.clone();
    names.rename(&mut nodes, node_name(call), given);
    for node in &mut nodes {
        let mut complete = true;
        node.attribute.retain_mut(|attribute| {
            if attribute.ref_attr_name.is_empty() {
                return true;
            }
            let value = call
                .attribute
                .iter()
                .find(|a| a.name == attribute.ref_attr_name);
            complete &= value.is_some() || function.attribute.contains(&attribute.ref_attr_name);
            if let Some(value) = value {
                let name = std::mem::take(&mut attribute.name);
                *attribute = value.clone();
                attribute.name = name;
            }
            value.is_some()
        });
        if !complete {
            return Err(ModelError::Unsupported(format!(
                "its function {} leaves an attribute to a default",
                whose()
            )));
        }
    }
    nodes.extend(
        handed_on
            .into_iter()
            .map(|(from, to)| parts::node("Identity", &[&from], &to, vec![])),
    );
    Ok(nodes)
}

/// Replaces every `If` whose condition the shapes settle by the nodes of the branch it takes.
///
/// # Errors
/// [`ModelError::Unsupported`] for one that depends on the picture; what [`onnx::check`] finds in the branch taken.
pub fn conditions(proto: &mut ModelProto, limits: &Limits) -> Result<(), ModelError> {
    for _ in 0..MOST_ROUNDS {
        let Some(graph) = proto.graph.as_ref() else {
            return Ok(());
        };
        let Some(position) = graph.node.iter().position(|node| node.op_type == "If") else {
            return Ok(());
        };
        let node = &graph.node[position];
        let taken = match settled(proto, graph, position, limits)? {
            Some(true) => "then_branch",
            Some(false) => "else_branch",
            None => {
                return Err(ModelError::Unsupported(format!(
                    "node {} (If) holds a graph of its own (control flow), and which branch it takes is not known before \
                     the model runs",
                    node_name(node)
                )));
            }
        };
        let branch = parts::attribute(node, taken);
        let branch = branch
            .and_then(|attribute| attribute.g.clone())
            .ok_or_else(|| {
                ModelError::Damaged(format!("node {} (If) has no {taken}", node_name(node)))
            })?;
        if let Some(graph) = proto.graph.as_mut() {
            splice(graph, position, branch)?;
        }
        onnx::check(proto, limits)?;
    }
    Err(ModelError::Unsupported(format!(
        "it has more than {MOST_ROUNDS} conditions"
    )))
}

/// The condition of the `If` at `position`, the first of its graph, where the graph before it settles it.
fn settled(
    proto: &ModelProto,
    graph: &GraphProto,
    position: usize,
    limits: &Limits,
) -> Result<Option<bool>, ModelError> {
    let Some(condition) = graph.node[position].input.first() else {
        return Ok(None);
    };
    if let Some(stored) = graph
        .initializer
        .iter()
        .find(|tensor| tensor.name == *condition)
    {
        return Ok(truth(stored));
    }
    let needed = ancestors(graph, &[condition]);
    let node: Vec<NodeProto> = graph.node[..position]
        .iter()
        .filter(|node| {
            node.output
                .iter()
                .any(|name| needed.contains(name.as_str()))
        })
        .cloned()
        .collect();
    let before = GraphProto {
        node,
        initializer: graph
            .initializer
            .iter()
            .filter(|tensor| needed.contains(tensor.name.as_str()))
            .cloned()
            .collect(),
        input: graph.input.clone(),
        output: vec![tract_onnx::pb::ValueInfoProto {
            name: condition.clone(),
            ..Default::default()
        }],
        ..GraphProto::default()
    };
    let before = ModelProto {
        ir_version: proto.ir_version,
        opset_import: proto.opset_import.clone(),
        graph: Some(before),
        ..ModelProto::default()
    };
    let facts = facts::infer(&before, limits)?;
    let values = facts.get(condition).and_then(|fact| fact.values.as_ref());
    Ok(match values.map(Vec::as_slice) {
        Some(&[value]) => Some(value != 0.0),
        _ => None,
    })
}

/// The value of a stored boolean.
fn truth(tensor: &TensorProto) -> Option<bool> {
    let raw = tensor.raw_data.first().map(|&byte| i32::from(byte));
    let value = raw.or_else(|| tensor.int32_data.first().copied())?;
    (tensor.data_type == DataType::Bool as i32).then_some(value != 0)
}

/// Puts the nodes of a branch in the place of the node at `position`.
fn splice(
    graph: &mut GraphProto,
    position: usize,
    mut branch: GraphProto,
) -> Result<(), ModelError> {
    let mut names = Names::of(graph);
    let node = graph.node.remove(position);
    if branch.output.len() < node.output.len()
        || !branch.input.is_empty()
        || !branch.sparse_initializer.is_empty()
    {
        return Err(ModelError::Damaged(format!(
            "the branch of node {} (If) does not make its outputs",
            node_name(&node)
        )));
    }
    let mut made: HashSet<&str> = branch
        .node
        .iter()
        .flat_map(|node| &node.output)
        .map(String::as_str)
        .collect();
    let mut given = HashMap::new();
    let mut handed_on = Vec::new();
    for (inner, outer) in branch.output.iter().zip(&node.output) {
        if made.remove(inner.name.as_str()) {
            given.insert(inner.name.as_str(), outer.clone());
        } else {
            handed_on.push((inner.name.clone(), outer.clone()));
        }
    }
    let mut nodes = branch.node.clone();
    nodes.extend(
        handed_on
            .into_iter()
            .map(|(from, to)| parts::node("Identity", &[&from], &to, vec![])),
    );
    for tensor in &branch.initializer {
        given.insert(&tensor.name, names.fresh(node_name(&node), &tensor.name));
    }
    let stored: HashMap<String, String> = given
        .iter()
        .map(|(&inner, outer)| (inner.to_owned(), outer.clone()))
        .collect();
    names.rename(&mut nodes, node_name(&node), given);
    for tensor in &mut branch.initializer {
        if let Some(name) = stored.get(&tensor.name) {
            tensor.name.clone_from(name);
        }
    }
    graph.initializer.append(&mut branch.initializer);
    graph.node.splice(position..position, nodes);
    Ok(())
}

/// Calls `see` with every name that a node reads, in its branches too.
pub fn reads<'n>(node: &'n NodeProto, see: &mut impl FnMut(&'n str)) {
    node.input.iter().for_each(|name| see(name));
    // The decoder bounds how deeply graphs nest.
    fn within<'n>(graph: &'n GraphProto, see: &mut dyn FnMut(&'n str)) {
        graph.output.iter().for_each(|output| see(&output.name));
        for node in &graph.node {
            node.input.iter().for_each(|name| see(name));
            node.attribute
                .iter()
                .filter_map(|a| a.g.as_ref())
                .for_each(|graph| within(graph, see));
        }
    }
    node.attribute
        .iter()
        .filter_map(|a| a.g.as_ref())
        .for_each(|graph| within(graph, see));
}

/// Every name of a graph, so that new ones are new.
struct Names(HashSet<String>);

impl Names {
    fn of(graph: &GraphProto) -> Names {
        let mut all: HashSet<String> = HashSet::new();
        for node in &graph.node {
            all.extend(node.output.iter().cloned());
            reads(node, &mut |name| {
                all.insert(name.to_owned());
            });
        }
        let others = graph.input.iter().map(|input| &input.name);
        all.extend(
            others
                .chain(graph.initializer.iter().map(|tensor| &tensor.name))
                .cloned(),
        );
        Names(all)
    }

    /// A name for the tensor `inner` of what `owner` stands for.
    fn fresh(&mut self, owner: &str, inner: &str) -> String {
        let plain = format!("{owner}/{inner}");
        let numbered = (2..).map(|number| format!("{plain}.{number}"));
        let mut candidates = std::iter::once(plain.clone()).chain(numbered);
        let name = candidates
            .find(|name| !self.0.contains(name))
            .unwrap_or(plain);
        self.0.insert(name.clone());
        name
    }

    /// Gives the tensors of inlined nodes the names in `given`, and what the nodes make beyond those new names under `owner`.
    fn rename(&mut self, nodes: &mut [NodeProto], owner: &str, given: HashMap<&str, String>) {
        let mut names: HashMap<String, String> = given
            .into_iter()
            .map(|(inner, outer)| (inner.to_owned(), outer))
            .collect();
        for node in nodes.iter_mut() {
            for output in node.output.iter().filter(|name| !name.is_empty()) {
                if !names.contains_key(output) {
                    names.insert(output.clone(), self.fresh(owner, output));
                }
            }
            if !node.name.is_empty() {
                node.name = format!("{owner}/{}", node.name);
            }
        }
        nodes.iter_mut().for_each(|node| renamed(node, &names));
    }
}

/// Renames what a node reads and makes, in its branches too.
fn renamed(node: &mut NodeProto, names: &HashMap<String, String>) {
    let rename = |name: &mut String| {
        if let Some(other) = names.get(name) {
            name.clone_from(other);
        }
    };
    node.input
        .iter_mut()
        .chain(&mut node.output)
        .for_each(rename);
    for graph in node.attribute.iter_mut().filter_map(|a| a.g.as_mut()) {
        graph
            .output
            .iter_mut()
            .map(|output| &mut output.name)
            .for_each(rename);
        graph.node.iter_mut().for_each(|node| renamed(node, names));
    }
}
