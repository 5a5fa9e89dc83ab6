//! Inferring facts: from node to node where that tells everything, from all sides where it does not.

use std::collections::HashMap;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{InferenceModelExt, TractResult};
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact};

use super::operators::{named, with_operators};
use super::{Facts, translate};

/// What is known of the tensors of a graph.
pub(super) fn facts(proto: &ModelProto) -> TractResult<Facts> {
    match walked(proto) {
        Ok(Some(facts)) => Ok(facts),
        _ => from_all_sides(proto),
    }
}

/// What follows of each node from those before it; `None` where that leaves something open.
fn walked(proto: &ModelProto) -> TractResult<Option<Facts>> {
    with_operators(proto, |operators| {
        let mut known: HashMap<&str, InferenceFact> = HashMap::new();
        let graph = proto.graph.iter();
        for input in graph.clone().flat_map(|graph| &graph.input) {
            known.insert(&input.name, operators.declared(input)?);
        }
        for tensor in graph.clone().flat_map(|graph| &graph.initializer) {
            known.insert(&tensor.name, operators.stored(tensor)?.into());
        }
        for node in graph.flat_map(|graph| &graph.node) {
            let inputs = named(&node.input).map(|name| known.get(name.as_str()));
            let Some(inputs) = inputs.collect::<Option<Vec<_>>>() else {
                return Ok(None);
            };
            let outputs = operators.outputs(node, &inputs)?;
            known.extend(named(&node.output).map(String::as_str).zip(outputs));
        }
        let is_whole = |fact: &InferenceFact| {
            fact.datum_type.is_concrete() && fact.shape.concretize().is_some()
        };
        let whole = known.values().all(is_whole);
        let facts = known
            .iter()
            .map(|(&name, fact)| (name.to_owned(), translate(fact)));
        Ok(whole.then(|| facts.collect()))
    })
}

/// What all nodes together tell of each.
fn from_all_sides(proto: &ModelProto) -> TractResult<Facts> {
    let parsed = tract_onnx::onnx().parse(proto, None)?;
    let mut model = parsed.model;
    // Obstinate: one operator that tract cannot type leaves the others' facts; what a rule then misses it names.
    model.analyse(true)?;
    let outlets = parsed.outlets_by_name.into_iter();
    Ok(outlets
        .filter_map(|(name, outlet)| Some((name, translate(model.outlet_fact(outlet).ok()?))))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::{simplified, weights};
    use super::*;
    use crate::model::{Limits, onnx};

    #[test]
    fn from_node_to_node_is_as_from_all_sides() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let mut walks = 0;
        for folder in ["ops", "zoo"] {
            for entry in fs::read_dir(fixtures.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_none_or(|extension| extension != "onnx") {
                    continue;
                }
                let read = onnx::read(&fs::read(&path).unwrap(), &Limits::default());
                let Ok(proto) = read else { continue };
                let mut simple = simplified(&proto);
                weights::declare(simple.graph.as_mut().unwrap());
                let Ok(Some(walked)) = walked(&simple) else {
                    continue;
                };
                walks += 1;
                let all = from_all_sides(&simple).unwrap();
                assert_eq!(walked.len(), all.len(), "{}", path.display());
                for (name, fact) in walked {
                    let [ours, theirs] = [&fact, &all[&name]].map(|fact| format!("{fact:?}"));
                    assert_eq!(ours, theirs, "{name} of {}", path.display());
                }
            }
        }
        assert!(walks > 60, "{walks} graphs were walked");
    }
}
