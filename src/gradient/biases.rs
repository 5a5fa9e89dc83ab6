//! The biases of a network: what convolutions and batch normalisations add to each channel, whatever the picture.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use crate::model::onnx::parts::attribute;
use crate::model::{Model, ModelError};

/// The biases of one operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Bias {
    /// The tensor `[N, K, H, W]` that they were added into.
    pub tensor: String,
    /// One a channel.
    pub values: Vec<f32>,
}

/// Every bias in the graph of `model` that has a map, in its order: the third input of `Conv` and `ConvTranspose`, a constant for each channel that an `Add` right behind one
/// of them adds, and `beta - mean gamma / sqrt(variance + epsilon)` of `BatchNormalization`. A batch normalisation that the exporter has
/// folded into its convolution is that convolution's bias.
///
/// # Errors
/// [`ModelError`] for a model without a graph, which none is.
pub fn biases(model: &Model) -> Result<Vec<Bias>, ModelError> {
    let graph = model.graph()?;
    let stored = Stored::of(graph);
    let mut convolved: HashSet<&str> = HashSet::new();
    let mut found = Vec::new();
    for node in &graph.node {
        let Some(tensor) = node.output.first() else {
            continue;
        };
        let is_map = || model.facts.get(tensor).and_then(|fact| fact.rank()) == Some(4);
        let values = match node.op_type.as_str() {
            "Conv" | "ConvTranspose" => {
                convolved.insert(tensor);
                node.input.get(2).and_then(|name| stored.values(name))
            }
            "BatchNormalization" => stored.of_normalisation(node),
            "Add" => stored.added(node, &convolved),
            _ => None,
        };
        if let Some(values) = values
            && is_map()
            && values.iter().any(|&value| value != 0.0)
        {
            found.push(Bias {
                tensor: tensor.clone(),
                values,
            });
        }
    }
    Ok(found)
}

/// The initializers of a graph.
struct Stored<'g>(HashMap<&'g str, &'g TensorProto>);

impl<'g> Stored<'g> {
    fn of(graph: &'g GraphProto) -> Stored<'g> {
        let named = |tensor: &'g TensorProto| (tensor.name.as_str(), tensor);
        let mut all: HashMap<&str, &TensorProto> = graph.initializer.iter().map(named).collect();
        // Constants and second names of initializers, as some exporters write them.
        for node in &graph.node {
            let value = match node.op_type.as_str() {
                "Constant" => attribute(node, "value").and_then(|attribute| attribute.t.as_ref()),
                "Identity" => node
                    .input
                    .first()
                    .and_then(|name| all.get(name.as_str()).copied()),
                _ => None,
            };
            if let (Some(tensor), Some(name)) = (value, node.output.first()) {
                all.insert(name, tensor);
            }
        }
        Stored(all)
    }

    /// The values of an f32 initializer.
    fn values(&self, name: &str) -> Option<Vec<f32>> {
        let tensor = self.0.get(name)?;
        if tensor.data_type() != DataType::Float {
            return None;
        }
        if !tensor.float_data.is_empty() {
            return Some(tensor.float_data.clone());
        }
        let (fours, _) = tensor.raw_data.as_chunks();
        Some(fours.iter().map(|&four| f32::from_le_bytes(four)).collect())
    }

    /// `beta - mean gamma / sqrt(variance + epsilon)`
    fn of_normalisation(&self, node: &NodeProto) -> Option<Vec<f32>> {
        let input = |position: usize| self.values(node.input.get(position)?);
        let [gamma, beta, mean, variance] = [input(1)?, input(2)?, input(3)?, input(4)?];
        let epsilon = attribute(node, "epsilon").map_or(1e-5, |attribute| attribute.f);
        let channels = gamma.iter().zip(&beta).zip(mean.iter().zip(&variance));
        let bias = channels.map(|((&gamma, &beta), (&mean, &variance))| {
            let deviation = (f64::from(variance) + f64::from(epsilon)).sqrt();
            (f64::from(beta) - f64::from(mean) * f64::from(gamma) / deviation) as f32
        });
        Some(bias.collect())
    }

    /// What an `Add` behind a convolution adds to each channel: a constant `[1, K, 1, 1]`, with or without the batch.
    fn added(&self, node: &NodeProto, convolved: &HashSet<&str>) -> Option<Vec<f32>> {
        let [a, b] = node.input.as_slice() else {
            return None;
        };
        let constant = match (
            convolved.contains(a.as_str()),
            convolved.contains(b.as_str()),
        ) {
            (true, false) => b,
            (false, true) => a,
            _ => return None,
        };
        match self.0.get(constant.as_str())?.dims.as_slice() {
            [_, 1, 1] | [1, _, 1, 1] => self.values(constant),
            _ => None,
        }
    }
}
