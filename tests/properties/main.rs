//! Gradient rules against finite differences, on random shapes and attributes.
//!
//! A property builds a small classifier around one operator, differentiates it, turns both graphs into double precision, and compares
//! the gradient with central differences of the forward graph, pixel by pixel. Values keep away from kinks; `gradient_rules.rs` has ties.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

mod double;
mod graph;
mod values;
mod windows;

use gradlens::gradient::{self, differentiate};
use gradlens::model::{Model, ModelError, onnx};
use gradlens::random::SplitMix;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::TractResult;

use double::Runner;
use graph::{Graph, Numbers};

const CLASSES: usize = 2;
/// Half the distance of a central difference.
const STEP: f64 = 1e-5;
/// Largest error, as a part of the largest derivative; the graph's constants are f32.
const TOLERANCE: f64 = 5e-6;
/// The same where tract has no f64 kernel of the operator, and the step is wider.
const ROUGH_STEP: f64 = 4e-3;
const ROUGH_TOLERANCE: f64 = 3e-2;

/// What every property draws: a shape, whether the batch is open, an opset, and the seed of all numbers.
#[derive(Debug, Clone)]
struct Setting {
    shape: [usize; 4],
    open: bool,
    opset: i64,
    seed: u64,
}

fn settings() -> impl Strategy<Value = Setting> {
    let shape = (1..=3usize, select(vec![1, 3]), 1..=4usize, 1..=4usize);
    (
        shape,
        any::<bool>(),
        select(vec![17, 18, 21]),
        any::<u64>().no_shrink(),
    )
        .prop_map(|((n, c, h, w), open, opset, seed)| Setting {
            shape: [n, c, h, w],
            open,
            opset,
            seed,
        })
}

/// Differentiates `operator(input)` and compares with differences; pixels lie between `low` and `high`.
fn check(
    setting: &Setting,
    low: f64,
    high: f64,
    operator: impl FnOnce(&mut Graph, &str) -> String,
) -> Result<(), TestCaseError> {
    // A model needs a layer that can be explained: more than a pixel.
    let mut shape = setting.shape;
    let single = shape[2..] == [1, 1];
    shape[3] += usize::from(single);
    let mut graph = Graph {
        nodes: vec![],
        initializers: vec![],
        numbers: Numbers(SplitMix(setting.seed)),
        opset: setting.opset,
    };
    let count: usize = shape.iter().product();
    let pixels = graph.numbers.distinct(count, low, high);
    let pixels: Vec<f64> = pixels.iter().map(|&value| f64::from(value)).collect();
    let factor = graph.floats(&[1, shape[1] as i64, 1, 1], 0.9, 1.1);
    let mut layer = graph.node("Mul", &["input", &factor], vec![]);
    if single {
        let bounds = [&[0], &[1], &[3]].map(|values: &[i64; 1]| graph.ints(values));
        let [start, end, axis] = bounds.each_ref().map(String::as_str);
        layer = graph.node("Slice", &[&layer, start, end, axis], vec![]);
    }
    let y = operator(&mut graph, &layer);
    let fail = |what: &str, error: String| TestCaseError::fail(format!("{what}: {error}"));

    // How wide the operator's result is, so that the classifier behind it fits.
    let alone = graph.model(Some(shape[0]), shape, &y);
    let image = [(shape.as_slice(), pixels.as_slice())];
    let forward = Runner::new(&alone, false, &[&shape]).and_then(|runner| runner.run(&image));
    let (wide, _) = forward.map_err(|error| fail("the operator alone", format!("{error:#}")))?;
    let features: usize = wide[1..].iter().product();
    let rows = graph.ints(&[-1, features as i64]);
    let flat = graph.node("Reshape", &[&y, &rows], vec![]);
    let weights = graph.floats(&[features as i64, CLASSES as i64], -1.0, 1.0);
    let scores = graph.node("MatMul", &[&flat, &weights], vec![]);
    let seed: Vec<f64> = (0..shape[0] * CLASSES)
        .map(|index| 0.5 + ((index * 7) % 5) as f64 / 4.0)
        .collect();

    let batch = (!setting.open).then_some(shape[0]);
    let proto = graph.model(batch, shape, &scores);
    let bytes = onnx::write(&proto);
    let model = match Model::open(&bytes, None, "property") {
        Ok(model) => model,
        // Too small to have a layer that can be explained.
        Err(ModelError::NoLayer) => return Err(TestCaseError::reject("no layer")),
        Err(error) => return Err(fail("open", error.to_string())),
    };
    let backward = differentiate(&model, &[], true)
        .map_err(|error| fail("differentiate", error.to_string()))?;
    let names = &backward.graph.as_ref().unwrap().output;
    assert_eq!(names.last().unwrap().name, gradient::GRADIENT_INPUT);

    let compare = |double: bool| -> TractResult<(f64, Vec<f64>, Vec<f64>)> {
        let step = if double { STEP } else { ROUGH_STEP };
        let seed_shape = [shape[0], CLASSES];
        let runner = Runner::new(&backward, double, &[&shape, &seed_shape])?;
        let (_, found) = runner.run(&[(&shape, &pixels), (&seed_shape, &seed)])?;
        let forward = Runner::new(&proto, double, &[&shape])?;
        let loss = |pixels: &[f64]| -> TractResult<f64> {
            let (_, scores) = forward.run(&[(&shape, pixels)])?;
            Ok(scores
                .iter()
                .zip(&seed)
                .map(|(score, weight)| score * weight)
                .sum())
        };
        let mut expected = Vec::with_capacity(count);
        for index in 0..count {
            let mut moved = pixels.clone();
            moved[index] = pixels[index] + step;
            let above = loss(&moved)?;
            moved[index] = pixels[index] - step;
            expected.push((above - loss(&moved)?) / (2.0 * step));
        }
        let largest = expected
            .iter()
            .fold(0.0, |most: f64, value| most.max(value.abs()));
        let pairs = found.iter().zip(&expected);
        let difference = pairs.fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()));
        let error = if found.len() == expected.len() && !difference.is_nan() {
            difference / largest.max(1e-3)
        } else {
            f64::INFINITY
        };
        Ok((error, found, expected))
    };
    // tract 0.23.9 computes a GroupNormalization in f32 whatever it is given.
    let in_single = |node: &NodeProto| node.op_type == "GroupNormalization";
    let single = graph.nodes.iter().any(in_single);
    let (outcome, tolerance) = match compare(!single) {
        Ok(outcome) if single => (Ok(outcome), ROUGH_TOLERANCE),
        Ok(outcome) => (Ok(outcome), TOLERANCE),
        Err(_) => (compare(false), ROUGH_TOLERANCE),
    };
    let (error, found, expected) = outcome.map_err(|error| fail("run", format!("{error:#}")))?;
    prop_assert!(
        error <= tolerance,
        "error {error:e}, found {found:?}, expected {expected:?}"
    );
    Ok(())
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 120,
        rng_seed: RngSeed::Fixed(20_260_701),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    }
}

/// Some of the axes of an image: those whose bit is set, from the end where the sign says so.
fn axes(bits: usize, from_end: bool) -> Vec<i64> {
    let all = (0..4).filter(|axis| bits >> axis & 1 == 1);
    all.map(|axis| if from_end { axis - 4 } else { axis })
        .collect()
}
