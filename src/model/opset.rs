//! One form for every operator, whatever opset a model was written in.
//!
//! Between opsets 7 and 17 some operators of image classifiers moved attributes to inputs, changed their names, and the softmax
//! changed what its axis means; `Pad` can name its axes since 18. All are rewritten as a model is opened, so that nothing
//! behind it knows more than one form.

mod forms;

use std::collections::HashSet;

use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, TensorProto};

use super::facts::Facts;
use super::onnx::parts::{self, text};
use super::onnx::{self, MINIMUM_OPSET, node_name};

use super::{Limits, ModelError, facts};

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
            "Upsample",
        ],
    ),
];

/// Brings a model to opset [`MINIMUM_OPSET`], or leaves it at its newer one; returns its facts then.
///
/// # Errors
/// [`ModelError::Unsupported`] names the operator whose form cannot be converted; otherwise those of [`facts::infer`].
pub(super) fn modernise(proto: &mut ModelProto, limits: &Limits) -> Result<Facts, ModelError> {
    let opset = onnx::opset(proto);
    let unknown = Facts::new();
    rewrite(proto, opset, &unknown, |converter, mut node, out| {
        converter.move_attributes(&mut node)?;
        out.push(node);
        Ok(())
    })?;
    onnx::raise_opset(proto, MINIMUM_OPSET);
    let facts = facts::infer(proto, limits)?;
    let changed = rewrite(proto, opset, &facts, |converter, node, out| {
        converter.by_facts(node, out)
    })?;
    if changed {
        facts::infer(proto, limits)
    } else {
        Ok(facts)
    }
}

/// Puts every node through `convert`; returns whether one of them changed.
fn rewrite(
    proto: &mut ModelProto,
    opset: i64,
    facts: &Facts,
    convert: impl Fn(&mut Converter<'_>, NodeProto, &mut Vec<NodeProto>) -> Result<(), ModelError>,
) -> Result<bool, ModelError> {
    let Some(graph) = proto.graph.as_mut() else {
        return Ok(false);
    };
    let names = graph.node.iter().flat_map(|node| &node.output);
    let initializers = graph.initializer.iter().map(|tensor| &tensor.name);
    let read = graph.node.iter().flat_map(|node| &node.input);
    let renames =
        |node: &&NodeProto| matches!(node.op_type.as_str(), "Cast" | "Constant" | "Identity");
    let computed = graph
        .node
        .iter()
        .filter(|node| !renames(node))
        .flat_map(|node| &node.output);
    let mut converter = Converter {
        opset,
        facts,
        taken: names.chain(initializers).cloned().collect(),
        read: read.cloned().collect(),
        computed: computed.cloned().collect(),
        constants: Vec::new(),
        changed: false,
    };
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        convert(&mut converter, node, &mut nodes)?;
    }
    let Converter {
        constants, changed, ..
    } = converter;
    graph.node = nodes;
    graph.initializer.extend(constants);
    Ok(changed)
}

/// What the conversion of one node may need of the graph around it.
struct Converter<'a> {
    opset: i64,
    facts: &'a Facts,
    /// Every name that the graph makes.
    taken: HashSet<String>,
    /// Every name that a node reads.
    read: HashSet<String>,
    /// Every name of a tensor that is not stored.
    computed: HashSet<String>,
    constants: Vec<TensorProto>,
    changed: bool,
}

impl Converter<'_> {
    /// Gives `node` the inputs that it has today, without knowing any shape.
    fn move_attributes(&mut self, node: &mut NodeProto) -> Result<(), ModelError> {
        let opset = self.opset;
        let operator = node.op_type.clone();
        let refused = REFUSED
            .iter()
            .find(|(since, operators)| opset < *since && operators.contains(&operator.as_str()));
        if let Some((since, _)) = refused {
            return Err(self.refusal(node, *since));
        }
        match operator.as_str() {
            "Slice" if opset < 10 => {
                for (position, name) in [(1, "starts"), (2, "ends"), (3, "axes")] {
                    self.ints_to_input(node, name, position);
                }
            }
            "TopK" if opset < 10 => {
                if let Some(k) = take(node, "k") {
                    self.int_input(node, "k", 1, &[k.i]);
                }
            }
            "Upsample" => {
                if let Some(scales) = take(node, "scales") {
                    let dims = [scales.floats.len() as i64];
                    let scales = parts::floats("scales", &dims, &scales.floats);
                    self.input(node, 1, scales);
                }
                node.op_type = "Resize".into();
                self.plain_coordinates(node);
            }
            "Resize" if opset < 11 => self.plain_coordinates(node),
            "Scatter" if opset < 11 => node.op_type = "ScatterElements".into(),
            "Clip" if opset < 11 => {
                for (position, name) in [(1, "min"), (2, "max")] {
                    self.float_to_input(node, name, position);
                }
            }
            "Pad" if opset < 11 => {
                self.ints_to_input(node, "pads", 1);
                self.float_to_input(node, "value", 2);
            }
            // At inference the ratio does nothing.
            "Dropout" if opset < 12 => node.attribute.clear(),
            "BatchNormalization" if opset < 14 => self.batch_normalization(node)?,
            "ReduceSum" | "Squeeze" | "Unsqueeze" if opset < 13 => {
                self.ints_to_input(node, "axes", 1);
            }
            "Split" if opset < 13 => self.ints_to_input(node, "split", 1),
            _ => {}
        }
        Ok(())
    }

    /// Before opset 11 pixels had no size: a place in the result, divided by the scale, is a place in the source. There was no
    /// region of interest.
    fn plain_coordinates(&mut self, node: &mut NodeProto) {
        node.attribute
            .push(text("coordinate_transformation_mode", "asymmetric"));
        node.input.insert(node.input.len().min(1), String::new());
        self.changed = true;
    }

    /// The integers of an input that is constant.
    fn ints(&self, node: &NodeProto, position: usize) -> Option<Vec<i64>> {
        let name = node.input.get(position)?;
        if let Some(made) = self.constants.iter().find(|tensor| tensor.name == *name) {
            let (values, _) = made.raw_data.as_chunks();
            return Some(values.iter().map(|&raw| i64::from_le_bytes(raw)).collect());
        }
        facts::integers(self.facts, name)
    }

    /// Statistics came out of training only; the present form has no place for them.
    fn batch_normalization(&mut self, node: &mut NodeProto) -> Result<(), ModelError> {
        let a_pixel_each = take(node, "spatial").is_some_and(|spatial| spatial.i == 0);
        let statistics = node.output.iter().skip(1);
        if a_pixel_each || statistics.clone().any(|name| self.read.contains(name)) {
            return Err(self.refusal(node, 14));
        }
        node.output.truncate(1);
        Ok(())
    }

    fn ints_to_input(&mut self, node: &mut NodeProto, name: &str, position: usize) {
        if let Some(attribute) = take(node, name) {
            self.int_input(node, name, position, &attribute.ints);
        }
    }

    fn int_input(&mut self, node: &mut NodeProto, name: &str, position: usize, values: &[i64]) {
        let dims = [values.len() as i64];
        self.input(node, position, parts::integers(name, &dims, values));
    }

    fn float_to_input(&mut self, node: &mut NodeProto, name: &str, position: usize) {
        if let Some(attribute) = take(node, name) {
            self.input(node, position, parts::floats(name, &[], &[attribute.f]));
        }
    }

    /// Puts a new constant, named as a part of the node, at an input's position.
    fn input(&mut self, node: &mut NodeProto, position: usize, mut constant: TensorProto) {
        let of = node.output.first().map_or("", String::as_str);
        constant.name = self.name(of, &constant.name);
        let length = node.input.len().max(position + 1);
        node.input.resize(length, String::new());
        node.input[position].clone_from(&constant.name);
        self.constants.push(constant);
        self.changed = true;
    }

    /// A name that the graph does not have, for a `part` of what makes tensor `of`.
    fn name(&mut self, of: &str, part: &str) -> String {
        let mut name = format!("{of}/{part}");
        while !self.taken.insert(name.clone()) {
            name.push('_');
        }
        name
    }

    fn refusal(&self, node: &NodeProto, needed: i64) -> ModelError {
        ModelError::Unsupported(format!(
            "operator {} (node {}) has the form of opset {}; convert the model to opset {needed} or newer",
            node.op_type,
            node_name(node),
            self.opset
        ))
    }
}

/// Removes an attribute.
fn take(node: &mut NodeProto, name: &str) -> Option<AttributeProto> {
    let mut attributes = node.attribute.iter();
    let position = attributes.position(|attribute| attribute.name == name)?;
    Some(node.attribute.remove(position))
}
