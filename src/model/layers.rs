//! Which activations can be explained, and which one to begin with.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use tract_onnx::pb::{GraphProto, NodeProto};

use super::facts::{self, Fact, Facts};
use super::input::PictureInput;
use super::layout::{self, Layout, Map};

/// An activation with a map, between the picture and the scores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// The tensor's name.
    pub name: String,
    /// Number of channels.
    pub channels: i64,
    /// Rows of the map.
    pub height: i64,
    /// Columns of the map.
    pub width: i64,
    /// The order of the tensor's axes.
    #[serde(flatten)]
    pub layout: Layout,
    /// The operator that makes it.
    pub operator: String,
    /// Whether this is the layer to begin with.
    pub recommended: bool,
    /// Why it is recommended; empty elsewhere.
    pub reason: String,
}

/// Every f32 activation with a map of known size that depends on `picture` and that `scores` depends on, in the graph's order.
///
/// The recommended one is the last
/// - that has more than one position and that a path reaches without passing a global pooling: the deepest features that still
///   know where they are, which is where Grad-CAM's paper (Selvaraju et al. 2017, section 3) looks. (Behind the pooling a reordered
///   `[N, 1, 1, C]` can look like a map; beside it, a squeeze-and-excitation gate joins features that do have one);
/// - whose positions the scores depend on: behind the last attention of a vision transformer only the class token counts, and the
///   gradient of all others is zero;
/// - that has as many channels as the last of all: the stream that the blocks add to, not what they widen inside.
#[must_use]
pub(super) fn list(
    graph: &GraphProto,
    facts: &Facts,
    picture: &PictureInput,
    scores: &str,
) -> Vec<Layer> {
    let input = picture.name.as_str();
    let below = descendants(graph, &[input]);
    let above = ancestors(graph, &[scores]);
    let maps = layout::maps(graph, facts, picture);
    let on_the_way =
        |name: &&String| below.contains(name.as_str()) && above.contains(name.as_str());
    let mut layers: Vec<Layer> = Vec::new();
    for node in &graph.node {
        for name in node.output.iter().filter(on_the_way) {
            if let Some(map) = maps.get(name.as_str()) {
                layers.push(Layer {
                    name: name.clone(),
                    channels: map.channels,
                    height: map.height,
                    width: map.width,
                    layout: map.layout,
                    operator: node.op_type.clone(),
                    recommended: false,
                    reason: String::new(),
                });
            }
        }
    }
    let ways = Ways {
        graph,
        facts,
        maps: &maps,
    };
    let position = recommended(&layers, &ways, input, scores);
    if let Some(layer) = position.and_then(|position| layers.get_mut(position)) {
        let (width, height) = (layer.width, layer.height);
        layer.recommended = true;
        layer.reason = match layer.layout {
            Layout::Tokens { prefix } if prefix > 0 => format!(
                "the last token map ({width} x {height}, behind {prefix} without a place) whose positions reach the scores"
            ),
            _ => format!(
                "the last activation with a map ({width} x {height}) before it is pooled into the scores"
            ),
        };
    }
    layers
}

/// Position of the layer that [`list`] recommends.
fn recommended(layers: &[Layer], ways: &Ways<'_>, input: &str, scores: &str) -> Option<usize> {
    let spatial = ways.unpooled(input);
    let read = ways.read_whole(scores);
    let projections = ways.projections();
    let last = |fits: &dyn Fn(&Layer) -> bool| {
        layers.iter().rposition(|layer| {
            let has_map = layer.height * layer.width > 1 && spatial.contains(layer.name.as_str());
            has_map && fits(layer)
        })
    };
    let in_stream = |layer: &Layer| {
        let name = layer.name.as_str();
        ways.maps.get(name).is_some_and(|map| map.certain) && !projections.contains(name)
    };
    let stream = last(&in_stream).map(|position| layers[position].channels);
    let best = |layer: &Layer| {
        let name = layer.name.as_str();
        in_stream(layer) && Some(layer.channels) == stream && read.contains(name)
    };
    last(&best).or_else(|| last(&|_| true))
}

/// How the picture's positions reach the scores.
struct Ways<'g> {
    graph: &'g GraphProto,
    facts: &'g Facts,
    maps: &'g HashMap<&'g str, Map>,
}

impl<'g> Ways<'g> {
    /// Names of the tensors that `input` reaches without passing through a node that gives up the positions of a map.
    fn unpooled(&self, input: &'g str) -> HashSet<&'g str> {
        let keeps = |node: &&NodeProto| !self.pools(node) && !self.takes_prefix(node);
        reached(self.graph.node.iter().filter(keeps), &[input])
    }

    /// The map that a node's first input has.
    fn map_before(&self, node: &NodeProto) -> Option<&Map> {
        self.maps.get(node.input.first()?.as_str())
    }

    /// Whether a node pools a whole map into one position.
    fn pools(&self, node: &NodeProto) -> bool {
        let Some(before) = self.map_before(node).filter(|map| map.positions() > 1) else {
            return false;
        };
        if node.op_type.ends_with("Pool") {
            let after = node
                .output
                .first()
                .and_then(|name| self.maps.get(name.as_str()));
            return after.is_some_and(|map| map.positions() == 1);
        }
        let Some(axes) = layout::reduced_axes(node, self.facts) else {
            return false;
        };
        before.axes().iter().all(|axis| axes.contains(axis))
    }

    /// Whether a node takes, of a row of tokens, only those before the map.
    fn takes_prefix(&self, node: &NodeProto) -> bool {
        let Some(Map {
            layout: Layout::Tokens { prefix },
            ..
        }) = self.map_before(node)
        else {
            return false;
        };
        let input = |position: usize| {
            node.input
                .get(position)
                .and_then(|name| facts::integers(self.facts, name))
        };
        let axis = layout::axis(node, 0, 3);
        match node.op_type.as_str() {
            "Gather" if axis == 1 => input(1)
                .is_some_and(|places| places.iter().all(|place| (0..*prefix).contains(place))),
            "Slice" => match (input(1), input(2), input(3)) {
                (Some(starts), Some(ends), Some(axes)) => {
                    axes.iter()
                        .zip(starts)
                        .zip(ends)
                        .any(|((&axis, start), end)| {
                            matches!(axis, 1 | -2)
                                && (0..=*prefix).contains(&start)
                                && (0..=*prefix).contains(&end)
                        })
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Names of the tensors whose positions `scores` depends on, not only the tokens before a map.
    fn read_whole(&self, scores: &'g str) -> HashSet<&'g str> {
        let mut whole: HashSet<&str> = HashSet::from([scores]);
        let mut prefix: HashSet<&str> = HashSet::new();
        for node in self.graph.node.iter().rev() {
            let reads = |names: &HashSet<&str>| {
                node.output.iter().any(|name| names.contains(name.as_str()))
            };
            let inputs = node.input.iter().map(String::as_str);
            let row = node.output.first().and_then(|name| self.row(name));
            if !reads(&whole) && !reads(&prefix) {
                continue;
            } else if self.takes_prefix(node) {
                prefix.extend(inputs.take(1));
            } else if reads(&whole) || row.is_none() {
                whole.extend(inputs);
            } else if layout::is_position_wise(node, self.facts) {
                for name in inputs {
                    let same_row = self.row(name) == row;
                    if same_row { &mut prefix } else { &mut whole }.insert(name);
                }
            } else if node.op_type == "Concat" && layout::axis(node, 0, 3) == 1 {
                // Of the parts of a row, those that the prefix reaches into.
                let mut before = 0;
                for name in inputs {
                    if row.is_some_and(|(_, prefix)| before < prefix) {
                        whole.insert(name);
                    }
                    before += self.axis_1(name).unwrap_or(0);
                }
            } else {
                whole.extend(inputs);
            }
        }
        whole
    }

    /// Tokens in a row, and how many of them stand before the map.
    fn row(&self, name: &str) -> Option<(i64, i64)> {
        match self.maps.get(name)?.layout {
            Layout::Tokens { prefix } => Some((self.axis_1(name)?, prefix)),
            _ => None,
        }
    }

    fn axis_1(&self, name: &str) -> Option<i64> {
        self.facts.get(name)?.shape.as_ref()?.get(1)?.known()
    }

    /// Names of what linear layers make: the queries, keys and values inside a block, not the stream between the blocks.
    fn projections(&self) -> HashSet<&'g str> {
        let mut projections: HashSet<&str> = HashSet::new();
        for node in &self.graph.node {
            let is_bias = |name: &String| self.facts.get(name).and_then(Fact::rank) == Some(1);
            let adds_bias = node.op_type == "Add"
                && node.input.iter().any(is_bias)
                && node
                    .input
                    .iter()
                    .any(|name| projections.contains(name.as_str()));
            if adds_bias || layout::is_dense_layer(node, self.facts) {
                projections.extend(node.output.first().map(String::as_str));
            }
        }
        projections
    }
}

/// Names of the tensors that depend on one of `roots`, the roots included.
pub(crate) fn descendants<'g>(graph: &'g GraphProto, roots: &[&'g str]) -> HashSet<&'g str> {
    reached(graph.node.iter(), roots)
}

/// Names of the tensors that `roots` reach through `nodes`, which are in topological order: `onnx::read` made sure.
fn reached<'g>(nodes: impl Iterator<Item = &'g NodeProto>, roots: &[&'g str]) -> HashSet<&'g str> {
    let mut reached: HashSet<&str> = roots.iter().copied().collect();
    for node in nodes {
        if node
            .input
            .iter()
            .any(|name| reached.contains(name.as_str()))
        {
            let made = node.output.iter().filter(|name| !name.is_empty());
            reached.extend(made.map(String::as_str));
        }
    }
    reached
}

/// Names of the tensors that one of `leaves` depends on, the leaves included.
pub(crate) fn ancestors<'g>(graph: &'g GraphProto, leaves: &[&'g str]) -> HashSet<&'g str> {
    let mut needed: HashSet<&str> = leaves.iter().copied().collect();
    for node in graph.node.iter().rev() {
        if node
            .output
            .iter()
            .any(|name| needed.contains(name.as_str()))
        {
            needed.extend(
                node.input
                    .iter()
                    .filter(|name| !name.is_empty())
                    .map(String::as_str),
            );
        }
    }
    needed
}

/// Index of the node that makes each tensor.
pub(crate) fn producers(graph: &GraphProto) -> HashMap<&str, usize> {
    let outputs = graph.node.iter().enumerate().flat_map(|(index, node)| {
        node.output
            .iter()
            .filter(|name| !name.is_empty())
            .map(move |name| (name.as_str(), index))
    });
    outputs.collect()
}
