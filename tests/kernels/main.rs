//! The kernels that are plugged into tract against tract's own portable ones, natively and in browsers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]
#![allow(
    unsafe_code,
    reason = "tract's kernels take raw pointers, from tests too"
)]

#[path = "../common/mod.rs"]
mod common;
mod convolutions;
mod products;

use gradlens::engine::{Engine, Kind, Spec, Tract, TractWithoutKernels, Value};
use gradlens::gradient::{SEED, differentiate};
use gradlens::model::{Limits, Model, onnx};
use gradlens::random::SplitMix;
use ndarray::ArrayD;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::Tensor;
use wasm_bindgen_test::wasm_bindgen_test;

use common::{classifier, classifier_names, take, worst};

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// What a random product is made of.
struct Numbers(SplitMix);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.draw() % bound as u64) as usize
    }

    /// From -1 to 1; now and then something that minimum, maximum and a comparison treat in their own way.
    fn float(&mut self) -> f32 {
        match self.below(40) {
            0 => 0.0,
            1 => -0.0,
            _ => (self.0.draw() >> 40) as f32 / (1 << 23) as f32 - 1.0,
        }
    }

    fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.float()).collect();
        Tensor::from_shape(shape, &values).unwrap()
    }
}

/// Equal to the bit, but for the sign of a zero: which of two zeros a minimum returns is nobody's promise.
fn assert_same(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let same = found == expected || (found.is_nan() && expected.is_nan());
        assert!(same, "{what}: {found} instead of {expected} at {index}");
    }
}

/// The outputs of a gradient graph at the recommended layer and the pixels.
fn outputs(
    engine: &dyn Engine,
    graph: &ModelProto,
    input: &ArrayD<f32>,
    seed: &ArrayD<f32>,
) -> Vec<ArrayD<f32>> {
    let declared = &graph.graph.as_ref().unwrap().input;
    let given: Vec<&ArrayD<f32>> = declared
        .iter()
        .map(|declared| if declared.name == SEED { seed } else { input })
        .collect();
    let specs: Vec<Spec> = given
        .iter()
        .map(|values| Spec {
            kind: Kind::F32,
            shape: values.shape().to_vec(),
        })
        .collect();
    let session = engine.prepare(graph.clone(), &specs).unwrap();
    let values: Vec<Value> = given.into_iter().cloned().map(Value::F32).collect();
    let results = session.run(&values).unwrap();
    results.into_iter().filter_map(Value::into_f32).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn small_classifiers_give_the_same_with_and_without_the_kernels() {
    for name in classifier_names() {
        let bytes = classifier(name).unwrap();
        let mut proto = onnx::read(bytes, &Limits::default()).unwrap();
        let [input, seed] =
            ["input", "seed"].map(|what| take(&mut proto, &format!("fixture/{what}")));
        for what in ["scores", "gradient/layer", "gradient/input", "cam"] {
            take(&mut proto, &format!("expected/{what}"));
        }
        let model = Model::open(&onnx::write(&proto), None, name).unwrap();
        let graph = differentiate(&model, std::slice::from_ref(&model.layer), true).unwrap();
        let [with, without] = [&Tract as &dyn Engine, &TractWithoutKernels]
            .map(|engine| outputs(engine, &graph, &input, &seed));
        for (with, without) in with.iter().zip(&without) {
            let error = worst(with, without);
            assert!(error < 1e-5, "{name}: {error:e} of the maximum");
        }
    }
}
