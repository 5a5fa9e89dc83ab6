//! The names that users of a gradient graph rely on, and keeping the model's own out of their way.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::GraphProto;

use super::{Bias, GradientError};
use crate::model::Model;

/// Name of the cotangent input, shape `[N, classes]`.
pub const SEED: &str = "seed";
/// Name of [`SEED`] until the model's own tensor of that name, if it has one, is renamed.
pub(super) const SEED_WITHIN: &str = "backward/seed";
/// Name of the score output.
pub const SCORES: &str = "scores";
/// Name of the probability output.
pub const PROBABILITIES: &str = "probabilities";
/// Name of the output that holds the gradient with respect to the pixels.
pub const GRADIENT_INPUT: &str = "gradient/input";

/// Name of the output that holds a layer's activation.
#[must_use]
pub fn activation_name(layer: &str) -> String {
    format!("activation/{layer}")
}

/// Name of the output that holds the gradient where a bias is added into `tensor`.
#[must_use]
pub fn bias_gradient_name(tensor: &str) -> String {
    format!("gradient/bias/{tensor}")
}

/// Name of the output that holds the gradient with respect to a layer's activation.
#[must_use]
pub fn gradient_name(layer: &str) -> String {
    format!("gradient/{layer}")
}

/// Checks that the names which the gradient graph needs are free, and that no two of them are the same.
pub(super) fn check_names(
    model: &Model,
    layers: &[&str],
    biases: &[Bias],
) -> Result<(), GradientError> {
    let of_layers = layers
        .iter()
        .flat_map(|layer| [activation_name(layer), gradient_name(layer)]);
    let of_biases = biases.iter().map(|bias| bias_gradient_name(&bias.tensor));
    let fixed = [SEED, SCORES, PROBABILITIES, GRADIENT_INPUT].map(str::to_owned);
    let mut names = HashSet::new();
    for name in of_layers.chain(of_biases).chain(fixed) {
        if name == model.input || !names.insert(name.clone()) {
            return Err(GradientError::NameTaken(name));
        }
    }
    if model.facts.contains_key(SEED_WITHIN) {
        return Err(GradientError::NameTaken(SEED_WITHIN.to_owned()));
    }
    Ok(())
}

/// Gives the public names to what they stand for: the seed gets its own, and a tensor of the model that has a public name
/// but is something else gets another.
pub(super) fn free_names(graph: &mut GraphProto, outputs: &mut [(String, String)]) {
    let all: HashSet<String> = graph
        .node
        .iter()
        .flat_map(|node| node.input.iter().chain(&node.output))
        .chain(graph.initializer.iter().map(|tensor| &tensor.name))
        .cloned()
        .collect();
    let mut new_names: HashMap<String, String> = HashMap::new();
    let public = outputs
        .iter()
        .filter(|(public, tensor)| public != tensor)
        .map(|(public, _)| public.as_str());
    for name in public.chain([SEED]).filter(|name| all.contains(*name)) {
        let mut other = format!("model/{name}");
        while all.contains(&other) {
            other.insert_str(0, "model/");
        }
        new_names.insert(name.to_owned(), other);
    }
    new_names.insert(SEED_WITHIN.to_owned(), SEED.to_owned());

    let renamed = |name: &mut String| {
        if let Some(other) = new_names.get(name) {
            name.clone_from(other);
        }
    };
    for node in &mut graph.node {
        node.input
            .iter_mut()
            .chain(&mut node.output)
            .for_each(renamed);
    }
    let initializers = graph.initializer.iter_mut().map(|tensor| &mut tensor.name);
    initializers.for_each(renamed);
    outputs
        .iter_mut()
        .map(|(_, tensor)| tensor)
        .for_each(renamed);
}
