//! The engine for GPUs where there is none: its kernels run on the processor, from the same text.
//!
//! `GRADLENS_TEST_ENGINE=cuda-kernels` runs the engine's suite, the gradient rules and the small classifiers through it as well, and `cuda` on a card.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use common::kernels::engine;
use gradlens::engine::cuda::{Cuda, Precision};
use gradlens::engine::{Batched, Engine, EngineError, Kind, Spec, Tract};
use gradlens::explain::{Explainer, Observation, Question, method};
use gradlens::gradient::{differentiate, split_at_seed};
use gradlens::model::Model;
use ndarray::{Array2, Array4};

static STRICT: LazyLock<Cuda> = LazyLock::new(|| engine(Precision::Strict));

fn shipped(name: &str) -> Arc<Model> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("models")
        .join(name);
    let bytes = std::fs::read(folder.join("model.onnx")).unwrap();
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    Arc::new(Model::open(&bytes, Some(&manifest), name).unwrap())
}

/// A picture-like input, another for each number.
fn waves(model: &Model, number: usize) -> Array4<f32> {
    let input = &model.manifest.input;
    let turn = number as f32;
    Array4::from_shape_fn(
        (1, model.channels, input.height, input.width),
        |(_, c, y, x)| {
            ((x as f32 / 9.0 + turn).sin() + (y as f32 / 13.0 + c as f32 - turn).cos()) / 2.0
        },
    )
}

fn map(explainer: &Explainer, observation: &Observation) -> Array2<f32> {
    let method = method("grad-cam").unwrap();
    let question = Question {
        class: 0,
        contrast: None,
        target: method.target(),
        counterfactual: false,
    };
    explainer
        .explain(observation, &question, method)
        .unwrap()
        .values
}

/// The largest difference as a share of the largest value expected.
fn apart<'a>(
    found: impl IntoIterator<Item = &'a f32>,
    expected: impl IntoIterator<Item = &'a f32> + Clone,
) -> f32 {
    let largest = expected
        .clone()
        .into_iter()
        .fold(0.0, |most: f32, value| most.max(value.abs()));
    let pairs = found.into_iter().zip(expected);
    pairs
        .map(|(a, b)| (a - b).abs() / largest)
        .fold(0.0, f32::max)
}

#[test]
fn without_a_driver_there_is_one_clear_line() {
    match Cuda::open(Precision::Strict) {
        Ok(cuda) => assert_eq!(cuda.info().device, "cuda"),
        Err(EngineError::Device(line)) => {
            assert!(!line.contains('\n') && line.contains("NVIDIA"), "{line}")
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn shipped_classifiers_stay_on_the_card_and_agree_with_tract() {
    for name in ["covid-xray", "covid-xray-inception", "shortcut-xray"] {
        let model = shipped(name);
        let halves = split_at_seed(
            differentiate(&model, std::slice::from_ref(&model.layer), false).unwrap(),
        )
        .unwrap();
        let input = &model.manifest.input;
        let spec = Spec {
            kind: Kind::F32,
            shape: vec![1, model.channels, input.height, input.width],
        };
        assert_eq!(
            STRICT.on_host(halves.body, &[spec]).unwrap(),
            Vec::<String>::new(),
            "{name}"
        );
        let explainers = [Arc::new(STRICT.clone()) as Arc<dyn Engine>, Arc::new(Tract)]
            .map(|engine| Explainer::new(engine, model.clone(), None).unwrap());
        let picture = waves(&model, 1);
        let [own, expected] = explainers
            .each_ref()
            .map(|explainer| explainer.observe(&picture).unwrap());
        assert!(
            apart(&own.logits, &expected.logits) < 1e-5,
            "{name}: {:?} and {:?}",
            own.logits,
            expected.logits
        );
        let layers = apart(&own.activations, &expected.activations);
        let seed = Array2::from_shape_fn((1, model.classes), |(_, class)| {
            f32::from(u8::from(class == 1))
        });
        let [own, expected] = [(&explainers[0], own), (&explainers[1], expected)]
            .map(|(explainer, seen)| explainer.gradient(&seen, seed.clone()).unwrap());
        let gradients = apart(&own, &expected);
        println!("{name}: activations {layers:e} apart, gradients {gradients:e}");
        assert!(layers < 1e-4 && gradients < 1e-4);
    }
}

/// The backward pass to the pixels: which operators go to the processor, for all small classifiers together.
#[test]
fn few_operators_leave_the_card() {
    let mut on_host = BTreeSet::new();
    for name in common::classifier_names() {
        let model = Model::open(common::classifier(name).unwrap(), None, name).unwrap();
        let graph = differentiate(&model, std::slice::from_ref(&model.layer), true).unwrap();
        let input = &model.manifest.input;
        let specs = [
            vec![2, model.channels, input.height, input.width],
            vec![2, model.classes],
        ]
        .map(|shape| Spec {
            kind: Kind::F32,
            shape,
        });
        let left = STRICT.on_host(graph, &specs).unwrap();
        if !left.is_empty() {
            println!("{name}: {left:?}");
        }
        on_host.extend(left);
    }
    let allowed = BTreeSet::from(["Resize".to_owned()]);
    assert!(on_host.is_subset(&allowed), "{on_host:?}");
}

#[test]
fn the_same_bits_every_time_and_the_same_numbers_in_a_batch() {
    let model = shipped("covid-xray");
    let alone = Explainer::new(Arc::new(STRICT.clone()), model.clone(), None).unwrap();
    let joint = Explainer::new(
        Arc::new(Batched::new(Arc::new(STRICT.clone()), 3)),
        model.clone(),
        None,
    )
    .unwrap();
    let expected: Vec<Observation> = (0..3)
        .map(|number| alone.observe(&waves(&model, number)).unwrap())
        .collect();
    // The first of a session is alone: what belongs to one picture is learned from it.
    joint.observe(&waves(&model, 9)).unwrap();
    std::thread::scope(|scope| {
        for (number, expected) in expected.iter().enumerate() {
            let (alone, joint, model) = (&alone, &joint, &model);
            scope.spawn(move || {
                let found = joint.observe(&waves(model, number)).unwrap();
                // tract writes the graph of a batch in other words: the same to rounding.
                assert!(
                    apart(&found.logits, &expected.logits) < 1e-5,
                    "{:?} {:?}",
                    found.logits,
                    expected.logits
                );
                assert!(apart(&map(joint, &found), &map(alone, expected)) < 1e-5);
            });
        }
    });
}

#[test]
fn tensor_cores_are_near_enough_for_a_first_look() {
    let model = shipped("covid-xray");
    let explainers = [engine(Precision::Fast), STRICT.clone()]
        .map(|engine| Explainer::new(Arc::new(engine), model.clone(), None).unwrap());
    assert_eq!(explainers[0].engine().name, "gradlens-cuda-tf32");
    for number in 0..3 {
        let picture = waves(&model, number);
        let [fast, strict] = explainers
            .each_ref()
            .map(|explainer| explainer.observe(&picture).unwrap());
        let scores = apart(&fast.logits, &strict.logits);
        let maps = apart(&map(&explainers[0], &fast), &map(&explainers[1], &strict));
        println!("scores {scores:e}, maps {maps:e} apart");
        // Ten bits of a factor are 5e-4; that nothing at all differs would mean that the strict kernels ran.
        assert!(scores > 0.0 && scores < 2e-2 && maps > 0.0 && maps < 2e-2);
    }
}
