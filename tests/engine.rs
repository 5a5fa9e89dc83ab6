//! The engine suite: the same cases natively (`cargo test`) and in browsers (`wasm-pack test`).
//!
//! Everything it reads is inside the binary, since a browser has no files.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

mod common;

use std::sync::Arc;

use gradlens::engine::{EngineError, Kind, Spec, Value};
use gradlens::explain::{Explainer, Target};
use gradlens::image::{Limits, Picture, decode};
use gradlens::lungs::Lungs;
use gradlens::model::Model;
use gradlens::study::{Request, Study, StudyError};
use ndarray::{Array4, ArrayD};
use wasm_bindgen_test::wasm_bindgen_test;

use common::engine;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

const MODEL: &[u8] = include_bytes!("../models/covid-xray/model.onnx");
const MANIFEST: &str = include_str!("../models/covid-xray/manifest.json");
const LUNGS: &[u8] = include_bytes!("../models/lungs/model.onnx");
const LUNGS_MANIFEST: &str = include_str!("../models/lungs/manifest.json");
const SAMPLE: &[u8] = include_bytes!("../www/public/samples/synthetic-1.jpg");

fn model() -> Arc<Model> {
    Arc::new(Model::open(MODEL, Some(MANIFEST), "covid-xray").unwrap())
}

fn explainer(layer: Option<&str>) -> Explainer {
    Explainer::new(engine(), model(), layer).unwrap()
}

fn lungs() -> Lungs {
    Lungs::open(engine().as_ref(), LUNGS, LUNGS_MANIFEST).unwrap()
}

/// A picture-like input that is the same everywhere.
fn waves() -> Array4<f32> {
    Array4::from_shape_fn((1, 3, 224, 224), |(_, c, y, x)| {
        ((x as f32 / 9.0).sin() + (y as f32 / 13.0 + c as f32).cos()) / 2.0
    })
}

#[wasm_bindgen_test(unsupported = test)]
fn the_engine_says_what_it_is() {
    let info = engine().info();
    let expected = match info.device.as_str() {
        "cuda" => ("gradlens-cuda", 1),
        _ => ("tract", 1),
    };
    assert_eq!((info.name.as_str(), info.threads), expected);
    if cfg!(target_arch = "wasm32") {
        assert_eq!(info.simd, "wasm-simd128");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn values_that_do_not_fit_are_refused() {
    let graph = gradlens::gradient::differentiate(&model(), &["conv_head".into()], false).unwrap();
    let halves = gradlens::gradient::split_at_seed(graph.clone()).unwrap();
    let floats = |shape: &[usize]| Spec {
        kind: Kind::F32,
        shape: shape.to_vec(),
    };
    let head = engine()
        .prepare(halves.head.clone(), &[floats(&[1, 3])])
        .unwrap();
    let seed = |shape: &[usize]| Value::F32(ArrayD::zeros(shape));
    assert_eq!(head.run(&[seed(&[1, 3])]).unwrap().len(), 1);
    for wrong in [
        vec![],
        vec![seed(&[1, 4])],
        vec![Value::I64(ArrayD::zeros(&[1usize, 3][..]))],
    ] {
        let refused = head.run(&wrong);
        assert!(
            matches!(refused, Err(EngineError::Input { .. })),
            "{refused:?}"
        );
    }
    let shapes = [vec![], vec![floats(&[1, 3]), floats(&[1, 3])]];
    for specs in shapes {
        assert!(matches!(
            engine().prepare(halves.head.clone(), &specs),
            Err(EngineError::Prepare(_))
        ));
    }
}

/// The gradient of a score by central differences of the forward pass, along a direction: independent of every rule.
#[wasm_bindgen_test(unsupported = test)]
fn the_gradient_predicts_how_the_score_moves() {
    let graph = gradlens::gradient::differentiate(&model(), &[], true).unwrap();
    let input = Spec {
        kind: Kind::F32,
        shape: vec![1, 3, 224, 224],
    };
    let seed = Spec {
        kind: Kind::F32,
        shape: vec![1, 3],
    };
    let session = engine().prepare(graph, &[input, seed]).unwrap();
    let one_hot = ArrayD::from_shape_vec(vec![1, 3], vec![1.0, 0.0, 0.0]).unwrap();
    let run = |picture: &Array4<f32>| {
        let given = [
            Value::F32(picture.clone().into_dyn()),
            Value::F32(one_hot.clone()),
        ];
        let outputs = session.run(&given).unwrap();
        let floats = |position: usize| outputs[position].clone().into_f32().unwrap();
        let gradient = outputs.last().unwrap().clone().into_f32().unwrap();
        (floats(0)[[0, 0]], gradient)
    };
    let picture = waves();
    let (_, gradient) = run(&picture);
    // Along the gradient itself the slope is its squared norm.
    let norm = gradient
        .iter()
        .map(|value| value * value)
        .sum::<f32>()
        .sqrt();
    assert!(norm > 0.0);
    let step = 0.001;
    let direction = gradient.mapv(|value| value / norm);
    let moved = |factor: f32| {
        let shifted = &picture.clone().into_dyn() + &direction.mapv(|value| value * factor);
        run(&shifted.into_dimensionality().unwrap()).0
    };
    let slope = (moved(step) - moved(-step)) / (2.0 * step);
    let error = (slope - norm).abs() / norm;
    assert!(
        error < 0.02,
        "the score moves by {slope}, the gradient says {norm}"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_picture_becomes_scores_a_map_and_files() {
    let explainer = explainer(None);
    let study = Study::open(
        &explainer,
        Some(&lungs()),
        "synthetic-1.jpg",
        SAMPLE,
        &Limits::default(),
    )
    .unwrap();
    let sum: f32 = study.observation.probabilities.iter().sum();
    assert!((sum - 1.0).abs() < 1e-5);
    let answer = study.ask(&explainer, &Request::default()).unwrap();
    assert_eq!(answer.map.values.dim(), (7, 7));
    assert!(answer.map.min >= 0.0 && answer.map.max > answer.map.min);
    assert_eq!(answer.report.explained.index, study.best_class());
    let overlay = answer
        .overlay_png(&study, "viridis".parse().unwrap(), 0.5)
        .unwrap();
    assert!(overlay.starts_with(b"\x89PNG"));
    assert!(answer.map_npy().unwrap().starts_with(b"\x93NUMPY"));
    let text = serde_json::to_string(&answer.report).unwrap();
    let back: gradlens::report::Report = serde_json::from_str(&text).unwrap();
    assert_eq!(back, answer.report, "as many digits as an f32 needs");
}

#[wasm_bindgen_test(unsupported = test)]
fn contrasts_are_differences_and_gradients_linear() {
    let explainer = explainer(Some("blocks.5.0"));
    let observation = explainer.observe(&waves()).unwrap();
    let gradient = |seed: [f32; 3]| {
        let seed = ndarray::Array2::from_shape_vec((1, 3), seed.to_vec()).unwrap();
        explainer.gradient(&observation, seed).unwrap()
    };
    let (a, b) = (gradient([1.0, 0.0, 0.0]), gradient([0.0, 0.0, 1.0]));
    let contrast = gradient([1.0, 0.0, -1.0]);
    let largest = contrast
        .iter()
        .fold(0.0f32, |largest, value| largest.max(value.abs()));
    let worst = (&a - &b - &contrast)
        .iter()
        .fold(0.0f32, |worst, value| worst.max(value.abs()));
    assert!(
        largest > 0.0 && worst < 1e-5 * largest,
        "{worst} of {largest}"
    );
    // A softmax does not change when all logits rise together: the probability's gradient is blind to that direction.
    let sum = gradient([1.0, 1.0, 1.0]);
    assert!(sum.iter().all(|value| value.is_finite()));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_wrong_is_said_not_thrown() {
    let explainer = explainer(None);
    let opened = Study::open(
        &explainer,
        Some(&lungs()),
        "note.txt",
        b"not a picture",
        &Limits::default(),
    );
    assert!(matches!(opened, Err(StudyError::Image(_))));
    let alone = Study::open(&explainer, None, "x.jpg", SAMPLE, &Limits::default());
    assert!(matches!(alone, Err(StudyError::NoCompanion(name)) if name == "lungs"));
    let study = Study::open(
        &explainer,
        Some(&lungs()),
        "synthetic-1.jpg",
        SAMPLE,
        &Limits::default(),
    )
    .unwrap();
    let ask = |request| study.ask(&explainer, &request).unwrap_err().to_string();
    let beyond = Request {
        class: Some(9),
        ..Request::default()
    };
    assert!(ask(beyond).contains("no class 9"));
    let itself = Request {
        class: Some(1),
        contrast: Some(1),
        ..Request::default()
    };
    assert!(ask(itself).contains("itself"));
    let unknown = Request {
        method: Some("magic".into()),
        ..Request::default()
    };
    assert!(ask(unknown).contains("grad-cam"));
    let cut = Model::open(&MODEL[..MODEL.len() / 3], Some(MANIFEST), "cut");
    assert!(cut.unwrap_err().to_string().contains("not an ONNX model"));
    let target = Request {
        target: Some(Target::Probability),
        ..Request::default()
    };
    assert!(study.ask(&explainer, &target).is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn lungs_are_found_in_a_chest_and_nowhere_else() {
    let lungs = lungs();
    let picture = decode(SAMPLE, &Limits::default()).unwrap();
    let fields = lungs.look(&picture).unwrap();
    let bounds = fields.bounds().unwrap();
    assert!(bounds.lies_in(picture.width(), picture.height()));
    let area = f64::from(bounds.width) * f64::from(bounds.height);
    let share = area / (f64::from(picture.width()) * f64::from(picture.height()));
    assert!((0.2..0.95).contains(&share), "{bounds:?}");

    let stripes = (0..64 * 64)
        .map(|at| if at % 8 < 4 { 0 } else { 255 })
        .collect();
    let stripes = lungs
        .look(&Picture::from_grey8(64, 64, stripes).unwrap())
        .unwrap();
    assert!(!stripes.is_frontal(), "{}", stripes.frontal);
}
