//! Where an activation has its channels and where its map: `[N, K, H, W]`, `[N, H, W, K]`, or tokens `[N, T, K]`.
//!
//! ONNX does not say what an axis means. The operators around a tensor do: a convolution has its channels on axis 1, a layer
//! normalisation over the last axis has them there; arithmetic and transposition carry the knowledge on.

use std::collections::HashMap;

use serde::Serialize;
use tract_onnx::pb::{GraphProto, NodeProto};

use super::facts::{Dim, ElementType, Facts, integers};
use super::input::PictureInput;
use super::onnx::parts;

/// The order of an activation's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "layout", rename_all = "kebab-case")]
pub enum Layout {
    /// `[N, K, H, W]`: convolutional networks.
    ChannelsFirst,
    /// `[N, H, W, K]`: Swin and other hierarchical transformers; networks that come from TensorFlow.
    ChannelsLast,
    /// `[N, prefix + H W, K]`: vision transformers. First come `prefix` tokens without a place (class, distillation, registers),
    /// then the map, row by row.
    Tokens {
        /// How many tokens stand before the map.
        prefix: i64,
    },
}

/// An activation as channels and a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Map {
    pub layout: Layout,
    pub channels: i64,
    pub height: i64,
    pub width: i64,
    /// Whether the graph says where the channels are; else it is taken to be as in convolutional networks.
    pub certain: bool,
}

impl Map {
    /// Number of places on the map.
    pub fn positions(&self) -> i64 {
        self.height * self.width
    }

    /// The axes that the map lies along.
    pub fn axes(&self) -> &'static [i64] {
        match self.layout {
            Layout::ChannelsFirst => &[2, 3],
            Layout::ChannelsLast => &[1, 2],
            Layout::Tokens { .. } => &[1],
        }
    }
}

/// Operators with channels on axis 1 of their first input and output.
const CHANNELS_FIRST: &[&str] = &[
    "AveragePool",
    "BatchNormalization",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNormalization",
    "InstanceNormalization",
    "LRN",
    "MaxPool",
    "SpaceToDepth",
];

/// Operators that treat every position by itself, with broadcasting.
const POSITION_WISE: &[&str] = &[
    "Abs",
    "Add",
    "Cast",
    "Celu",
    "Clip",
    "Div",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Log",
    "Max",
    "Mean",
    "Min",
    "Mish",
    "Mul",
    "Neg",
    "PRelu",
    "Pow",
    "Reciprocal",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Sub",
    "Sum",
    "Tanh",
    "ThresholdedRelu",
    "Where",
];

/// Operators that keep the meaning of the axes, but not their sizes.
const AXIS_KEEPING: &[&str] = &["Concat", "Pad", "Resize", "Slice", "Split", "Upsample"];

/// Whether a node computes each position of a tensor with channels behind from that position alone.
pub fn is_position_wise(node: &NodeProto, facts: &Facts) -> bool {
    POSITION_WISE.contains(&node.op_type.as_str())
        || normalises_last_axis(node, facts)
        || is_dense_layer(node, facts)
}

/// The channel axis of tensors of rank 3 and 4, as far as the graph tells.
struct ChannelAxes<'g> {
    graph: &'g GraphProto,
    facts: &'g Facts,
    axes: HashMap<&'g str, usize>,
}

impl<'g> ChannelAxes<'g> {
    fn find(graph: &'g GraphProto, facts: &'g Facts) -> HashMap<&'g str, usize> {
        let axes = HashMap::new();
        let mut search = ChannelAxes { graph, facts, axes };
        // The surest witness first: what it settles is not asked again.
        search.hear(
            |node, _| CHANNELS_FIRST.contains(&node.op_type.as_str()),
            |_| 1,
        );
        search.hear(normalises_last_axis, |rank| rank - 1);
        search.hear(is_dense_layer, |rank| rank - 1);
        search.axes
    }

    /// Takes what the nodes for which `is_witness` holds say of their first input and output, and carries it on.
    fn hear(
        &mut self,
        is_witness: impl Fn(&NodeProto, &Facts) -> bool,
        axis: impl Fn(usize) -> usize,
    ) {
        for node in self
            .graph
            .node
            .iter()
            .filter(|node| is_witness(node, self.facts))
        {
            for name in node.input.first().into_iter().chain(node.output.first()) {
                if let Some(rank) = rank(self.facts, name) {
                    self.axes.entry(name).or_insert_with(|| axis(rank));
                }
            }
        }
        // A sweep either way settles all but winding ways; each further one must settle at least one tensor.
        loop {
            let before = self.axes.len();
            self.graph.node.iter().for_each(|node| self.carry(node));
            self.graph
                .node
                .iter()
                .rev()
                .for_each(|node| self.carry(node));
            if self.axes.len() == before {
                return;
            }
        }
    }

    /// Carries what is known of one of a node's tensors to the others.
    fn carry(&mut self, node: &'g NodeProto) {
        let operator = node.op_type.as_str();
        let Some(y) = node.output.first() else { return };
        if operator == "Transpose" {
            let Some(order) = order(node) else { return };
            let x = &node.input[0];
            if let Some(&axis) = self.axes.get(x.as_str()) {
                if let Some(to) = order.iter().position(|&from| from == axis as i64) {
                    self.axes.entry(y).or_insert(to);
                }
            } else if let Some(&axis) = self.axes.get(y.as_str())
                && let Some(&from) = order.get(axis)
            {
                self.axes.insert(x, from as usize);
            }
            return;
        }
        let keeps_sizes = POSITION_WISE.contains(&operator);
        if !keeps_sizes && !AXIS_KEEPING.contains(&operator) {
            return;
        }
        let shape = self.facts.get(y).and_then(|fact| fact.shape.as_ref());
        let alike = |name: &str| {
            let other = self.facts.get(name).and_then(|fact| fact.shape.as_ref());
            match (shape, other) {
                (Some(shape), Some(other)) if keeps_sizes => shape == other,
                (Some(shape), Some(other)) => shape.len() == other.len(),
                _ => false,
            }
        };
        let tensors = || {
            node.input
                .iter()
                .chain(&node.output)
                .filter(|name| alike(name))
        };
        let known = tensors().find_map(|name| self.axes.get(name.as_str()).copied());
        if let Some(axis) = known {
            let names: Vec<&str> = tensors().map(String::as_str).collect();
            for name in names {
                self.axes.entry(name).or_insert(axis);
            }
        }
    }
}

/// The order of a transposition, where it is written out and within its rank.
fn order(node: &NodeProto) -> Option<Vec<i64>> {
    let order = &parts::attribute(node, "perm")?.ints;
    let rank = order.len() as i64;
    (!node.input.is_empty() && order.iter().all(|axis| (0..rank).contains(axis)))
        .then(|| order.clone())
}

fn rank(facts: &Facts, name: &str) -> Option<usize> {
    facts
        .get(name)?
        .rank()
        .filter(|rank| (3..=4).contains(rank))
}

/// A layer normalisation over the last axis, or the mean over it that one of an older opset begins with.
fn normalises_last_axis(node: &NodeProto, facts: &Facts) -> bool {
    let Some(rank) = node.input.first().and_then(|name| rank(facts, name)) else {
        return false;
    };
    let last = rank as i64 - 1;
    match node.op_type.as_str() {
        "LayerNormalization" => axis(node, -1, rank) == last,
        "ReduceMean" => reduced_axes(node, facts).is_some_and(|axes| axes == [last]),
        _ => false,
    }
}

/// The axes that a reduction runs over, counted from the front; `None` for any other node.
pub fn reduced_axes(node: &NodeProto, facts: &Facts) -> Option<Vec<i64>> {
    if !node.op_type.starts_with("Reduce") {
        return None;
    }
    let rank = facts.get(node.input.first()?)?.rank()? as i64;
    let attribute = parts::attribute(node, "axes");
    let axes = match node.input.get(1) {
        Some(name) => integers(facts, name)?,
        None => attribute.map_or_else(|| (0..rank).collect(), |attribute| attribute.ints.clone()),
    };
    let from_front = |&axis: &i64| if axis < 0 { axis + rank } else { axis };
    Some(axes.iter().map(from_front).collect())
}

/// A node's axis attribute, counted from the front of `rank` axes.
pub fn axis(node: &NodeProto, default: i64, rank: usize) -> i64 {
    let axis = parts::attribute(node, "axis").map_or(default, |attribute| attribute.i);
    if axis < 0 { axis + rank as i64 } else { axis }
}

/// A product with a matrix that the picture does not change: a linear layer over the last axis.
pub fn is_dense_layer(node: &NodeProto, facts: &Facts) -> bool {
    let rank_of = |position: usize| facts.get(node.input.get(position)?)?.rank();
    node.op_type == "MatMul" && rank_of(1) == Some(2) && rank_of(0).is_some_and(|rank| rank > 2)
}

/// How many tokens at most stand before a map: one for the class, some for distillation or registers.
const LONGEST_PREFIX: i64 = 16;

/// Every activation of the graph that has a map, by name: it must have the batch of `picture`.
pub fn maps<'g>(
    graph: &'g GraphProto,
    facts: &'g Facts,
    picture: &PictureInput,
) -> HashMap<&'g str, Map> {
    let axes = ChannelAxes::find(graph, facts);
    let shape = |name: &str| facts.get(name).and_then(|fact| fact.shape.as_deref());
    let Some([batch, ..]) = shape(&picture.name) else {
        return HashMap::new();
    };
    let proportions = (picture.height as i64, picture.width as i64);
    let mut maps: HashMap<&str, Map> = HashMap::new();
    // Sizes of the maps so far: a row of tokens is one of them, or the picture's in small.
    let mut grids: Vec<(i64, i64)> = Vec::new();
    for name in graph.node.iter().flat_map(|node| &node.output) {
        let Some([first, sizes @ ..]) = shape(name) else {
            continue;
        };
        let sizes: Option<Vec<i64>> = sizes.iter().map(Dim::known).collect();
        let is_float = facts
            .get(name)
            .is_some_and(|fact| fact.element == ElementType::F32);
        let Some(sizes) = sizes.filter(|_| is_float && first == batch) else {
            continue;
        };
        let axis = axes.get(name.as_str()).copied();
        let map = match (sizes.as_slice(), axis) {
            (&[height, width, channels], Some(3)) => Map {
                layout: Layout::ChannelsLast,
                channels,
                height,
                width,
                certain: true,
            },
            (&[channels, height, width], _) => Map {
                layout: Layout::ChannelsFirst,
                channels,
                height,
                width,
                certain: axis == Some(1),
            },
            (&[tokens, channels], Some(2)) => match grid(tokens, &grids, proportions) {
                Some((height, width)) => Map {
                    layout: Layout::Tokens {
                        prefix: tokens - height * width,
                    },
                    channels,
                    height,
                    width,
                    certain: true,
                },
                None => continue,
            },
            _ => continue,
        };
        let size = (map.height, map.width);
        if sizes.len() == 3 && map.certain && map.positions() > 1 && grids.last() != Some(&size) {
            grids.push(size);
        }
        maps.insert(name, map);
    }
    maps
}

/// Rows and columns of a row of tokens: of the maps so far the one that leaves the fewest tokens over, the latest of several; where
/// none fits, as many rows and columns as have the picture's proportions.
fn grid(tokens: i64, grids: &[(i64, i64)], (rows, columns): (i64, i64)) -> Option<(i64, i64)> {
    let left = |&(height, width): &(i64, i64)| tokens - height * width;
    let fits = |size: &&(i64, i64)| {
        (0..=LONGEST_PREFIX).contains(&left(size)) && left(size) < size.0 * size.1
    };
    let known = grids
        .iter()
        .rev()
        .filter(fits)
        .min_by_key(|size| left(size));
    known.copied().or_else(|| {
        (0..=LONGEST_PREFIX.min(tokens / 2)).find_map(|prefix| {
            let places = tokens - prefix;
            let height = (1..=places)
                .take_while(|height| height * height * columns <= places * rows)
                .last()?;
            let width = places / height;
            (places > 1 && height * width == places && height * columns == width * rows)
                .then_some((height, width))
        })
    })
}
