//! The methods that look at the pixels or make many passes, on small classifiers, against Captum, pytorch-grad-cam and RISE's formula in double precision.
//!
//! `tests/fixtures/make_methods.py` makes what is compared. The methods of a layer's gradients are in `zoo.rs`.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

mod common;

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{QUESTION, observed, stored, worst};
use gradlens::explain::{Case, ExplainError, Watch, layer_for, method};
use ndarray::{Array3, ArrayD};

/// The class that the fixture's maps explain.
const CLASS: usize = QUESTION.class;

/// The peers' maps, by `CLASSIFIER/METHOD`.
static PEERS: LazyLock<HashMap<String, ArrayD<f32>>> =
    LazyLock::new(|| stored(include_bytes!("fixtures/passes.onnx")));

#[test]
fn maps_are_the_peers() {
    let mut failures = Vec::new();
    let mut worst_of: HashMap<&str, f32> = HashMap::new();
    for (key, expected) in PEERS.iter() {
        let (name, id) = key.split_once('/').unwrap();
        let (explainer, seen) = observed(name, id);
        let found = explainer.explain(&seen, &QUESTION, method(id).unwrap());
        let found = found.unwrap();
        assert_eq!(found.empty, None, "{key}");
        let error = worst(&found.values.into_dyn(), expected);
        println!("{key}: {error:e}");
        let most = worst_of.entry(id).or_default();
        *most = most.max(error);
        if error > 1e-4 {
            failures.push(format!("{key}: {error:e}"));
        }
    }
    println!("{worst_of:?}");
    assert_eq!(PEERS.len(), 49);
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Integrated gradients' completeness: the map's sum is the score's rise from the baseline, but for the steps.
#[test]
fn integrated_gradients_add_up() {
    for name in ["convnext", "vit-class-token"] {
        let (explainer, seen) = observed(name, "integrated-gradients");
        let ig = method("integrated-gradients").unwrap();
        let map = explainer.explain(&seen, &QUESTION, ig).unwrap();
        let nothing = explainer.observe(&(&seen.input * 0.0)).unwrap();
        let rise = seen.logits[CLASS] - nothing.logits[CLASS];
        let sum = map.values.sum();
        assert!(
            (sum - rise).abs() < 0.02 * rise.abs().max(0.1),
            "{sum} {rise}"
        );
    }
}

/// Counts passes and has enough of them at some point.
struct Impatient {
    patience: usize,
    seen: AtomicUsize,
}

impl Watch for Impatient {
    fn goes_on(&self, done: usize, of: usize) -> bool {
        assert!(done <= of);
        self.seen.fetch_add(1, Ordering::Relaxed);
        done < self.patience
    }
}

#[test]
fn passes_are_told_and_can_be_stopped() {
    let (explainer, seen) = observed("densenet", "rise");
    let rise = method("rise").unwrap();
    let watch = |patience| Impatient {
        patience,
        seen: AtomicUsize::new(0),
    };
    let impatient = watch(10);
    let stopped = explainer.explain_watched(&seen, &QUESTION, rise, &impatient);
    assert!(matches!(stopped, Err(ExplainError::Stopped)));
    assert_eq!(impatient.seen.load(Ordering::Relaxed), 10);
    let patient = watch(usize::MAX);
    explainer
        .explain_watched(&seen, &QUESTION, rise, &patient)
        .unwrap();
    assert_eq!(patient.seen.load(Ordering::Relaxed), 1000);
}

#[test]
fn what_cannot_be_is_said() {
    let (explainer, seen) = observed("densenet", "grad-cam");
    let gradient = method("gradient").unwrap();
    let error = explainer.explain(&seen, &QUESTION, gradient).err().unwrap();
    assert!(error.to_string().contains("pixels"), "{error}");
    let error = layer_for(gradient, &explainer.model, Some("conv"))
        .err()
        .unwrap();
    assert!(error.to_string().contains("leave the layer out"), "{error}");
    // An input that nothing depends on any more: the model's scores of zeros.
    let blank = explainer.observe(&(&seen.input * 0.0)).unwrap();
    let case = Case {
        explainer: &explainer,
        observation: &blank,
        question: &QUESTION,
        watch: &gradlens::explain::Unwatched,
    };
    assert_eq!(case.score(&blank), blank.logits[CLASS]);
    let same = explainer.explain(&blank, &QUESTION, method("occlusion").unwrap());
    assert!(same.unwrap().empty.unwrap().contains("no change"));
    let scores: Vec<f32> = case.scores(3, &|_| blank.input.clone()).unwrap();
    assert_eq!(scores, [blank.logits[CLASS]; 3]);
    let gradients: Vec<Array3<f32>> = case.gradients(0, &|_| blank.input.clone()).unwrap();
    assert!(gradients.is_empty());
}
