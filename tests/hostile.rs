//! Models made to hurt: every operator fixture with absurd attributes, shapes, constants and wiring. Whatever comes back, it comes
//! back soon, in little memory, and as one line.
//!
//! The mutations are a fixed sequence, so a failure repeats. `GRADLENS_HOSTILE=N` tries N of each fixture instead of the few that
//! the tests have time for; `GRADLENS_HOSTILE_ONLY=NAME` keeps to the fixtures whose name holds NAME.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

#[path = "common/chance.rs"]
mod chance;
mod common;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chance::{Chance, most_memory};
use gradlens::engine::Tract;
use gradlens::explain::{Explainer, Question, Target, method};
use gradlens::gradient;
use gradlens::model::{Model, onnx};
use ndarray::Array4;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto::DataType,
    tensor_shape_proto::dimension, type_proto,
};

/// Mutants of each fixture in a usual run.
const FEW: u64 = 12;
/// No mutant may take longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One change to the model.
fn mutate(proto: &mut ModelProto, chance: &mut Chance) {
    let graph = proto.graph.as_mut().unwrap();
    match chance.below(16) {
        0..=4 => attribute(graph, chance),
        5..=7 => constant(graph, chance),
        8 => shape(graph, chance),
        9 | 10 => wiring(graph, chance),
        11 => {
            let at = chance.below(graph.node.len());
            graph.node[at].op_type = chance.pick(&gradient::operators()).to_owned();
        }
        12 => {
            let at = chance.below(graph.node.len());
            let added = AttributeProto {
                i: chance.number(),
                ..AttributeProto::default()
            };
            let name = chance.pick(&[
                "axis",
                "axes",
                "group",
                "keepdims",
                "num_outputs",
                "kernel_shape",
                "strides",
                "perm",
            ]);
            let ints = (0..chance.below(9)).map(|_| chance.number()).collect();
            // Type 2 is an integer, type 7 a list of them.
            let kind = chance.pick(&[2, 7]);
            graph.node[at].attribute.push(AttributeProto {
                name: name.into(),
                r#type: kind,
                ints,
                ..added
            });
        }
        13 => {
            let at = chance.below(graph.node.len());
            let node = graph.node.remove(at);
            let again = chance.below(2) == 0;
            if again {
                let renamed = node
                    .output
                    .iter()
                    .map(|name| format!("{name}.again"))
                    .collect();
                let twin = NodeProto {
                    output: renamed,
                    ..node.clone()
                };
                graph.node.insert(at, twin);
                graph.node.insert(at, node);
            }
        }
        14 => {
            let version =
                chance.pick(&[1, 6, 7, 9, 10, 11, 12, 13, 16, 18, 19, 20, 21, 25, 1 << 40]);
            proto
                .opset_import
                .iter_mut()
                .for_each(|set| set.version = version);
        }
        _ => {
            let at = chance.below(graph.node.len());
            if !graph.node[at].attribute.is_empty() {
                let which = chance.below(graph.node[at].attribute.len());
                graph.node[at].attribute.remove(which);
            }
        }
    }
}

fn attribute(graph: &mut GraphProto, chance: &mut Chance) {
    let mut all: Vec<&mut AttributeProto> = graph
        .node
        .iter_mut()
        .flat_map(|node| &mut node.attribute)
        .collect();
    if all.is_empty() {
        return;
    }
    let which = chance.below(all.len());
    let attribute = &mut *all[which];
    attribute.i = chance.number();
    attribute.f = chance.float();
    if !attribute.s.is_empty() {
        attribute.s = chance
            .pick(&[
                "",
                "linear",
                "nearest",
                "SAME_UPPER",
                "VALID",
                "bij,bjk->bik",
                "...,...->",
                "reflect",
                "\u{fffd}",
            ])
            .into();
    }
    match chance.below(4) {
        0 => attribute.ints.push(chance.number()),
        1 => drop(attribute.ints.pop()),
        2 => attribute.ints.clear(),
        _ => {
            let length = attribute.ints.len();
            if length > 0 {
                attribute.ints[chance.below(length)] = chance.number();
            }
        }
    }
    if let Some(tensor) = attribute.t.as_mut() {
        numbers(tensor, chance);
    }
}

/// Absurd values in a small constant, in the place that a rule or a shape inference reads.
fn constant(graph: &mut GraphProto, chance: &mut Chance) {
    let small = |tensor: &&mut TensorProto| {
        !tensor.name.starts_with("expected") && elements(tensor).is_some_and(|count| count < 64)
    };
    let mut all: Vec<&mut TensorProto> = graph.initializer.iter_mut().filter(small).collect();
    if all.is_empty() {
        return;
    }
    let which = chance.below(all.len());
    numbers(all[which], chance);
}

/// Elements by the shape; `None` where their number is beyond all bounds, or negative.
fn elements(tensor: &TensorProto) -> Option<i64> {
    let product = tensor
        .dims
        .iter()
        .try_fold(1i64, |product, &dim| product.checked_mul(dim));
    product.filter(|&count| count >= 0)
}

fn numbers(tensor: &mut TensorProto, chance: &mut Chance) {
    let own = elements(tensor);
    let count = match own {
        Some(own) if own < 1 << 16 && chance.below(4) > 0 => own,
        _ => chance.below(9) as i64,
    };
    if own != Some(count) || chance.below(6) == 0 {
        tensor.dims = if count == 1 && chance.below(2) == 0 {
            vec![]
        } else {
            vec![count]
        };
    }
    let own = tensor.raw_data.clone();
    let kept = |index: usize, width: usize| {
        own.get(index * width..(index + 1) * width)
            .map(<[u8]>::to_vec)
    };
    let one = chance.below(count.max(1) as usize);
    if tensor.data_type == DataType::Int64 as i32 {
        let value = |index: usize, chance: &mut Chance| match kept(index, 8) {
            Some(bytes) if index != one => bytes,
            _ => chance.number().to_le_bytes().to_vec(),
        };
        tensor.raw_data = (0..count as usize)
            .flat_map(|index| value(index, chance))
            .collect();
    } else if tensor.data_type == DataType::Float as i32 {
        let value = |index: usize, chance: &mut Chance| match kept(index, 4) {
            Some(bytes) if index != one => bytes,
            _ => chance.float().to_le_bytes().to_vec(),
        };
        tensor.raw_data = (0..count as usize)
            .flat_map(|index| value(index, chance))
            .collect();
    }
}

/// Another shape for a weight, or for the picture.
fn shape(graph: &mut GraphProto, chance: &mut Chance) {
    if chance.below(3) == 0 {
        let kind = graph.input[0]
            .r#type
            .as_mut()
            .and_then(|kind| kind.value.as_mut());
        if let Some(type_proto::Value::TensorType(tensor)) = kind
            && let Some(shape) = tensor.shape.as_mut()
        {
            let at = chance.below(shape.dim.len());
            let size = chance.number();
            if let Some(dim) = shape.dim.get_mut(at) {
                dim.value = (chance.below(3) > 0).then_some(dimension::Value::DimValue(size));
            }
        }
        return;
    }
    let at = chance.below(graph.initializer.len());
    let Some(tensor) = graph.initializer.get_mut(at) else {
        return;
    };
    match chance.below(4) {
        0 => tensor.dims.reverse(),
        1 => tensor.dims.insert(0, 1),
        2 => tensor.dims = vec![elements(tensor).unwrap_or(-1)],
        _ => {
            let length = tensor.dims.len();
            if length > 0 {
                tensor.dims[chance.below(length)] = chance.number();
            }
        }
    }
}

fn wiring(graph: &mut GraphProto, chance: &mut Chance) {
    let at = chance.below(graph.node.len());
    let earlier: Vec<String> = graph.node[..at]
        .iter()
        .flat_map(|node| node.output.clone())
        .chain(graph.initializer.iter().map(|tensor| tensor.name.clone()))
        .chain(graph.input.iter().map(|input| input.name.clone()))
        .collect();
    let node = &mut graph.node[at];
    let slot = chance.below(node.input.len());
    match chance.below(5) {
        0 => drop(node.input.pop()),
        1 => node
            .input
            .push(earlier[chance.below(earlier.len())].clone()),
        2 if !node.input.is_empty() => node.input[slot].clear(),
        3 => node.input.reverse(),
        _ if !node.input.is_empty() => {
            node.input[slot] = earlier[chance.below(earlier.len())].clone()
        }
        _ => {}
    }
}

/// All that a face does with a model, as far as it gets.
fn use_up(bytes: &[u8], run: bool) -> Result<(), String> {
    let line = |error: &dyn std::fmt::Display| error.to_string();
    let model = Model::open(bytes, None, "mutant").map_err(|error| line(&error))?;
    let _ = gradient::operators_without_rule(&model);
    let layers: Vec<String> = model
        .layers
        .iter()
        .map(|layer| layer.name.clone())
        .collect();
    gradient::differentiate(&model, &layers, true).map_err(|error| line(&error))?;
    let pixels = model.channels * model.manifest.input.width * model.manifest.input.height;
    if !run || pixels > 1 << 16 {
        return Ok(());
    }
    let explainer =
        Explainer::new(Arc::new(Tract), Arc::new(model), None).map_err(|error| line(&error))?;
    let input = &explainer.model.manifest.input;
    let picture = Array4::from_elem(
        (1, explainer.model.channels, input.height, input.width),
        0.25,
    );
    let observation = explainer.observe(&picture).map_err(|error| line(&error))?;
    let question = Question {
        class: 0,
        contrast: None,
        target: Target::Logit,
        counterfactual: false,
    };
    let grad_cam = method("grad-cam").map_err(|error| line(&error))?;
    explainer
        .explain(&observation, &question, grad_cam)
        .map_err(|error| line(&error))?;
    Ok(())
}

#[test]
fn mutants_of_every_operator_come_to_an_end() {
    let tries = env::var("GRADLENS_HOSTILE")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(FEW);
    let only = env::var("GRADLENS_HOSTILE_ONLY").unwrap_or_default();
    // Panics inside tract are caught and told in a line; their texts would drown the result.
    std::panic::set_hook(Box::new(|_| {}));
    let mut bad = Vec::new();
    let (mut whole, mut refused) = (0, 0);
    for (number, name) in common::operator_fixtures().into_iter().enumerate() {
        if !name.contains(&only) {
            continue;
        }
        let sound = onnx::read(common::operator_fixture(name), &onnx::Limits::default()).unwrap();
        for attempt in 0..tries {
            let mut chance = Chance(((number as u64 + 1) << 32) | (attempt + 1));
            let mut proto = sound.clone();
            for _ in 0..=chance.below(3) {
                mutate(&mut proto, &mut chance);
            }
            let bytes = onnx::write(&proto);
            let (start, memory) = (Instant::now(), most_memory());
            let outcome = catch_unwind(AssertUnwindSafe(|| use_up(&bytes, attempt % 3 == 0)));
            let (time, grown) = (start.elapsed(), most_memory().saturating_sub(memory));
            let fault = match &outcome {
                Err(_) => Some("panics".to_owned()),
                Ok(Err(error)) if error.contains('\n') || error.len() > 2000 => {
                    Some(format!("says {error}"))
                }
                _ if time > PATIENCE => Some(format!("takes {time:?}")),
                _ if grown > 3 << 30 => Some(format!("takes {grown} bytes")),
                Ok(Ok(())) => {
                    whole += 1;
                    None
                }
                Ok(Err(_)) => {
                    refused += 1;
                    None
                }
            };
            if let Some(fault) = fault {
                let file = env::temp_dir().join(format!("hostile-{name}-{attempt}.onnx"));
                std::fs::write(&file, &bytes).unwrap();
                bad.push(format!("{name} {attempt} {fault}: {}", file.display()));
            }
        }
    }
    drop(std::panic::take_hook());
    println!("{whole} answered, {refused} refused");
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
