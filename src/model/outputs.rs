//! The tensors that a model's answer is read from: scores before the squashing function, probabilities behind it.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use tract_onnx::pb::{GraphProto, NodeProto};

use super::facts::{self, Fact, Facts};
use super::layers::{descendants, producers};
use super::onnx::{node_name, parts};
use super::{Manifest, ModelError};

/// The function that turns scores into probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Squash {
    /// One of several classes.
    Softmax,
    /// Each class for itself.
    Sigmoid,
}

/// Where the answer is.
#[derive(Debug)]
pub struct Outputs {
    pub scores: String,
    pub probabilities: Option<String>,
    pub squash: Squash,
    /// The function that the model itself ends in.
    pub own_squash: Option<Squash>,
    pub classes: usize,
}

impl Outputs {
    /// Whether one score decides between two classes: what is below 0 and what is above.
    pub fn is_two_sided(&self) -> bool {
        self.classes == 1 && self.squash == Squash::Sigmoid
    }

    /// Takes the manifest's word for the function that the model does not have.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] where the model has another one.
    pub fn squash_by(&mut self, said: Option<Squash>) -> Result<(), ModelError> {
        match (said, self.own_squash) {
            (Some(said), Some(own)) if said != own => Err(ModelError::Manifest(format!(
                "it says {}, but the model itself ends in a {}",
                said.name(),
                own.name()
            ))),
            (said, own) => {
                self.squash = own.or(said).unwrap_or(usual(self.classes));
                Ok(())
            }
        }
    }
}

impl Squash {
    /// As a manifest has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Squash::Softmax => "softmax",
            Squash::Sigmoid => "sigmoid",
        }
    }
}

/// Operators that pass values on unchanged, whatever they do to the shape.
const PASSING: &[&str] = &[
    "Cast",
    "Dropout",
    "Flatten",
    "Identity",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
];

/// Finds the score tensor and the probability tensor: the manifest's, else by rule.
///
/// The rule: the first output of shape `[N, classes]` that a softmax or sigmoid makes (whatever reshapes it afterwards) holds
/// the probabilities, and what the function was given holds the scores. Without one, the first output of that shape holds
/// the scores; a single score means a sigmoid, several a softmax.
///
/// # Errors
/// [`ModelError::NoScores`]; [`ModelError::Manifest`] where the manifest's names do not fit the graph or each other;
/// [`ModelError::Unsupported`] for a softmax over another axis than the classes'.
pub fn find(
    graph: &GraphProto,
    facts: &Facts,
    manifest: Option<&Manifest>,
) -> Result<Outputs, ModelError> {
    let search = Search {
        graph,
        facts,
        producers: producers(graph),
    };
    let named = |name: &Option<String>| name.clone();
    let scores = manifest.and_then(|manifest| named(&manifest.scores));
    let probabilities = manifest.and_then(|manifest| named(&manifest.probabilities));
    match (scores, probabilities) {
        (Some(scores), probabilities) => search.given_scores(scores, probabilities),
        (None, Some(probabilities)) => {
            let found = search.squashed(&probabilities)?;
            found.ok_or_else(|| {
                ModelError::Manifest(format!(
                    "its probability tensor '{probabilities}' does not come from a softmax or sigmoid of scores \
                     [N, classes]; name the scores too"
                ))
            })
        }
        (None, None) => search.by_rule(),
    }
}

/// A graph to look for outputs in.
struct Search<'g> {
    graph: &'g GraphProto,
    facts: &'g Facts,
    producers: HashMap<&'g str, usize>,
}

impl<'g> Search<'g> {
    /// Number of classes of a tensor `[N, classes]`.
    fn classes(&self, name: &str) -> Option<usize> {
        let shape = self.facts.get(name)?.shape.as_ref()?;
        let [_, classes] = shape.as_slice() else {
            return None;
        };
        let classes = classes
            .known()
            .and_then(|count| usize::try_from(count).ok());
        classes.filter(|&count| count > 0)
    }

    fn producer(&self, name: &str) -> Option<&'g NodeProto> {
        self.producers
            .get(name)
            .map(|&index| &self.graph.node[index])
    }

    /// What a softmax or sigmoid behind `name` was given, with the function; `None` where none is behind it.
    fn squashed(&self, name: &str) -> Result<Option<Outputs>, ModelError> {
        let mut node = self.producer(name);
        while let Some(passing) = node.filter(|node| PASSING.contains(&node.op_type.as_str())) {
            node = passing.input.first().and_then(|input| self.producer(input));
        }
        let Some(node) = node else { return Ok(None) };
        let squash = match node.op_type.as_str() {
            "Softmax" => Squash::Softmax,
            "Sigmoid" => Squash::Sigmoid,
            _ => return Ok(None),
        };
        let scores = node.input.first().cloned().unwrap_or_default();
        let (Some(classes), Some(same)) = (self.classes(&scores), self.classes(name)) else {
            return Ok(None);
        };
        if classes != same {
            return Ok(None);
        }
        self.check_axis(node, squash)?;
        let probabilities = Some(name.to_owned());
        Ok(Some(Outputs {
            scores,
            probabilities,
            squash,
            own_squash: Some(squash),
            classes,
        }))
    }

    /// A softmax of `[N, classes]` must run over the classes.
    fn check_axis(&self, node: &NodeProto, squash: Squash) -> Result<(), ModelError> {
        match parts::attribute(node, "axis").map(|attribute| attribute.i) {
            Some(axis) if squash == Squash::Softmax && axis != 1 && axis != -1 => {
                Err(ModelError::Unsupported(format!(
                    "its softmax (node {}) runs over axis {axis}, not over the classes",
                    node_name(node)
                )))
            }
            _ => Ok(()),
        }
    }

    /// The manifest names the scores, and perhaps the probabilities.
    fn given_scores(
        &self,
        scores: String,
        probabilities: Option<String>,
    ) -> Result<Outputs, ModelError> {
        let classes = self.classes(&scores).ok_or_else(|| {
            ModelError::Manifest(format!(
                "its score tensor '{scores}' is not a tensor [N, classes] of the model"
            ))
        })?;
        if let Some(name) = &probabilities {
            if self.classes(name) != Some(classes) {
                return Err(ModelError::Manifest(format!(
                    "its probability tensor '{name}' is not a tensor [N, {classes}] of the model"
                )));
            }
            if name == &scores || !descendants(self.graph, &[&scores]).contains(name.as_str()) {
                return Err(ModelError::Manifest(format!(
                    "its probability tensor '{name}' does not depend on its score tensor '{scores}'"
                )));
            }
            let own_squash = self.squashed(name)?.map(|found| found.squash);
            return Ok(Outputs {
                scores,
                probabilities,
                squash: own_squash.unwrap_or(usual(classes)),
                own_squash,
                classes,
            });
        }
        // The manifest leaves the probabilities out: the graph may have them all the same.
        let outputs = self.graph.output.iter().map(|output| output.name.as_str());
        let inner = self
            .graph
            .node
            .iter()
            .flat_map(|node| node.output.iter().map(String::as_str));
        let mut seen = HashSet::new();
        for name in outputs.chain(inner).filter(|name| seen.insert(*name)) {
            if let Some(found) = self.squashed(name)?
                && found.scores == scores
            {
                return Ok(found);
            }
        }
        Ok(Outputs {
            scores,
            probabilities: None,
            squash: usual(classes),
            own_squash: None,
            classes,
        })
    }

    fn by_rule(&self) -> Result<Outputs, ModelError> {
        let names = || self.graph.output.iter().map(|output| output.name.as_str());
        for name in names() {
            if let Some(found) = self.squashed(name)? {
                return Ok(found);
            }
        }
        let plain = names().find_map(|name| Some((name, self.classes(name)?)));
        match plain {
            Some((name, classes)) => Ok(Outputs {
                scores: name.to_owned(),
                probabilities: None,
                squash: usual(classes),
                own_squash: None,
                classes,
            }),
            None => {
                let shape =
                    |name: &str| self.facts.get(name).map_or("[?]".into(), Fact::shape_text);
                let texts: Vec<String> = names()
                    .take(6)
                    .map(|name| format!("{name} {}", shape(name)))
                    .collect();
                let gap = facts::first_gap(self.graph, self.facts).filter(|_| {
                    names().any(|name| self.facts.get(name).is_none_or(|fact| fact.shape.is_none()))
                });
                Err(match gap {
                    Some(node) => ModelError::Unsupported(format!(
                        "the engine does not know operator {} (node {}), or not in this form",
                        node.op_type,
                        node_name(node)
                    )),
                    None => ModelError::NoScores(texts.join(", ")),
                })
            }
        }
    }
}

/// A tensor that could hold the scores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The tensor's name.
    pub name: String,
    /// Number of classes.
    pub classes: usize,
}

/// What the scores can be read from: every output `[N, classes]`, and what a softmax or sigmoid that makes one was given.
pub fn candidates(graph: &GraphProto, facts: &Facts) -> Vec<Candidate> {
    let search = Search {
        graph,
        facts,
        producers: producers(graph),
    };
    let mut found: Vec<Candidate> = Vec::new();
    for output in &graph.output {
        let before = search.squashed(&output.name).ok().flatten();
        let name = before.map_or(output.name.clone(), |outputs| outputs.scores);
        let known = found.iter().any(|candidate| candidate.name == name);
        if let Some(classes) = search.classes(&name).filter(|_| !known) {
            found.push(Candidate { name, classes });
        }
    }
    found
}

/// The function for a model that ends in its scores.
fn usual(classes: usize) -> Squash {
    if classes == 1 {
        Squash::Sigmoid
    } else {
        Squash::Softmax
    }
}
