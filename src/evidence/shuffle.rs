//! A model that has forgotten what it learned, from the scores down to some layer.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, TensorProto};

use crate::model::layers::ancestors;
use crate::model::{Model, ModelError, onnx};
use crate::random::SplitMix;

/// Operators that multiply by weights: a layer each.
const LAYERS: &[&str] = &["Conv", "ConvTranspose", "Gemm", "MatMul"];
/// Operators whose stored inputs are learned. Sizes, bounds and factors of others are not.
const LEARNED: &[&str] = &[
    "Add",
    "BatchNormalization",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Div",
    "Gemm",
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "MatMul",
    "Mul",
    "PRelu",
    "Sub",
];

/// What a model learned, and where it is read.
pub struct Weights {
    /// Positions in the graph of the operators with weights, the nearest to the scores first.
    layers: Vec<usize>,
    /// Position of the last reader of each initializer that was learned.
    readers: HashMap<String, usize>,
}

impl Weights {
    /// Finds them.
    ///
    /// # Errors
    /// [`ModelError`] for a model without a graph, which none is.
    pub fn of(model: &Model) -> Result<Weights, ModelError> {
        let graph = model.graph()?;
        let mut weights = Weights {
            layers: Vec::new(),
            readers: HashMap::new(),
        };
        let needed = ancestors(graph, &[&model.scores]);
        let mut constants = Constants::of(graph);
        for (position, node) in graph.node.iter().enumerate() {
            if constants.takes(node)
                || !node
                    .output
                    .iter()
                    .any(|name| needed.contains(name.as_str()))
            {
                continue;
            }
            let operator = node.op_type.as_str();
            if !LEARNED.contains(&operator) {
                continue;
            }
            let learned = node.input.iter().flat_map(|name| constants.behind(name));
            let mut is_layer = false;
            for (name, rank) in learned {
                weights.readers.insert(name.to_owned(), position);
                is_layer |= rank >= 2;
            }
            if is_layer && LAYERS.contains(&operator) {
                weights.layers.push(position);
            }
        }
        weights.layers.reverse();
        Ok(weights)
    }

    /// How many layers have weights.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// The model with everything that it learned in its last `layers` layers, and between and behind them, in a random order: each stored tensor keeps its values, so that
    /// the activations stay in their range and variances positive, but not their places.
    ///
    /// # Errors
    /// [`ModelError`] where the result is no model, which it is.
    pub fn forgotten(&self, model: &Model, layers: usize, seed: u64) -> Result<Model, ModelError> {
        let down_to = layers.checked_sub(1).and_then(|last| self.layers.get(last));
        let down_to = match layers >= self.layers.len() {
            true => 0,
            false => down_to.copied().unwrap_or(usize::MAX),
        };
        let mut proto = model.proto.clone();
        let stored = proto
            .graph
            .iter_mut()
            .flat_map(|graph| &mut graph.initializer);
        for (index, tensor) in stored.enumerate() {
            if self
                .readers
                .get(&tensor.name)
                .is_some_and(|reader| *reader >= down_to)
            {
                shuffle(tensor, &mut SplitMix::of(seed, index));
            }
        }
        // Opened anew: what is known of small constants went into the model's facts.
        let mut manifest = model.manifest.clone();
        manifest.scores = Some(model.scores.clone());
        manifest.probabilities.clone_from(&model.probabilities);
        let text = serde_json::to_string(&manifest)
            .map_err(|error| ModelError::Manifest(error.to_string()))?;
        Model::open(&onnx::encode(&proto)?, Some(&text), &manifest.id)
    }
}

/// Which tensors are known before the graph runs, and the initializers that they come from.
struct Constants<'g> {
    behind: HashMap<&'g str, Vec<(&'g str, usize)>>,
}

impl<'g> Constants<'g> {
    fn of(graph: &'g GraphProto) -> Constants<'g> {
        let learned = |tensor: &'g TensorProto| {
            // One number is a factor or a bound.
            let many = tensor.dims.iter().product::<i64>() > 1;
            let itself = (tensor.name.as_str(), tensor.dims.len());
            (
                tensor.name.as_str(),
                if many && is_float(tensor) {
                    vec![itself]
                } else {
                    vec![]
                },
            )
        };
        Constants {
            behind: graph.initializer.iter().map(learned).collect(),
        }
    }

    /// Whether a node's result is known before the graph runs: it is then remembered.
    fn takes(&mut self, node: &'g tract_onnx::pb::NodeProto) -> bool {
        let mut inputs = node.input.iter().filter(|name| !name.is_empty());
        if !inputs
            .clone()
            .all(|name| self.behind.contains_key(name.as_str()))
        {
            return false;
        }
        let sources: HashSet<(&str, usize)> =
            inputs.by_ref().flat_map(|name| self.behind(name)).collect();
        for output in &node.output {
            self.behind
                .insert(output, sources.iter().copied().collect());
        }
        true
    }

    /// The initializers with their ranks that a constant comes from.
    fn behind(&self, name: &str) -> Vec<(&'g str, usize)> {
        self.behind.get(name).cloned().unwrap_or_default()
    }
}

fn is_float(tensor: &TensorProto) -> bool {
    use tract_onnx::pb::tensor_proto::DataType;
    [DataType::Float, DataType::Float16, DataType::Bfloat16].contains(&tensor.data_type())
}

/// Brings the values of a stored tensor into another order.
fn shuffle(tensor: &mut TensorProto, random: &mut SplitMix) {
    let count = usize::try_from(tensor.dims.iter().product::<i64>()).unwrap_or(0);
    // Of these the file fills one.
    random.shuffle(&mut tensor.float_data);
    random.shuffle(&mut tensor.int32_data);
    let width = tensor.raw_data.len().checked_div(count).unwrap_or(0);
    if width > 0 {
        let mut order: Vec<&[u8]> = tensor.raw_data.chunks(width).collect();
        random.shuffle(&mut order);
        tensor.raw_data = order.concat();
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    /// The bits of an initializer's values, sorted.
    fn sorted(tensor: &TensorProto) -> Vec<[u8; 4]> {
        let mut values = tensor.raw_data.as_chunks().0.to_vec();
        values.sort_unstable();
        values
    }

    #[test]
    fn the_last_layers_forget_their_order_and_the_others_nothing() {
        let zoo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zoo");
        for name in ["densenet", "vit-class-token", "mobilenet-v3"] {
            let bytes = std::fs::read(zoo.join(format!("{name}.onnx"))).unwrap();
            let model = Model::open(&bytes, None, name).unwrap();
            let weights = Weights::of(&model).unwrap();
            let before = &model.graph().unwrap().initializer;
            let mut changed_before = 0;
            for layers in [1, weights.layers() / 2, weights.layers()] {
                let other = weights.forgotten(&model, layers, 7).unwrap();
                let after = &other.graph().unwrap().initializer;
                let mut changed = 0;
                for tensor in before {
                    let same = after
                        .iter()
                        .find(|other| other.name == tensor.name)
                        .unwrap();
                    assert_eq!(sorted(tensor), sorted(same), "{name} {}", tensor.name);
                    changed += usize::from(tensor.raw_data != same.raw_data);
                }
                assert!(changed > changed_before, "{name} {layers}: {changed}");
                // A weight of some values moves but by a rare chance.
                let least = layers.min(weights.layers());
                assert!(changed >= least, "{name} {layers}: {changed}");
                changed_before = changed;
            }
            let nothing = weights.forgotten(&model, 0, 7).unwrap();
            let after = &nothing.graph().unwrap().initializer;
            assert!(
                before
                    .iter()
                    .zip(after)
                    .all(|(a, b)| a.raw_data == b.raw_data)
            );
        }
    }
}
