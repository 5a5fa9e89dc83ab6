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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use common::{QUESTION, classifier, engine, observed, observed_in, stored, take, worst};
use gradlens::explain::{
    Case, ExplainError, Explainer, METHODS, Manner, Observation, Question, Smooth, Watch,
    layer_for, method,
};
use gradlens::gradient::{Relus, Wanted, graph_of};
use gradlens::model::onnx::parts;
use gradlens::model::{Limits, Model, onnx};
use ndarray::{Array3, ArrayD, Axis, Slice};

/// The class that the fixture's maps explain.
const CLASS: usize = QUESTION.class;

/// The peers' maps, by `CLASSIFIER/METHOD`.
static PEERS: LazyLock<HashMap<String, ArrayD<f32>>> =
    LazyLock::new(|| stored(include_bytes!("fixtures/passes.onnx")));

#[test]
fn maps_are_the_peers() {
    let (mut failures, mut nothings) = (Vec::new(), 0);
    let mut worst_of: HashMap<&str, f32> = HashMap::new();
    for (key, expected) in PEERS.iter() {
        let (name, id) = key.split_once('/').unwrap();
        let (explainer, seen) = observed(name, id);
        let found = explainer.explain(&seen, &QUESTION, method(id).unwrap());
        let found = found.unwrap();
        // Where the peer finds nothing, so do we, and say so.
        let nothing = expected.iter().all(|&value| value == 0.0);
        assert_eq!(found.empty.is_some(), nothing, "{key}");
        if nothing {
            nothings += 1;
        }
        let error = worst(&found.values.into_dyn(), expected);
        println!("{key}: {error:e}");
        let most = worst_of.entry(id).or_default();
        *most = most.max(error);
        // The Grad-CAM that guided Grad-CAM multiplies with may be all but nothing: densenet's is 0.001 at most, a sum of terms whose
        // sizes add up to 0.6, so that their rounding counts six hundredfold.
        let bound = if id == "guided-grad-cam" { 3e-4 } else { 1e-4 };
        if error > bound {
            failures.push(format!("{key}: {error:e}"));
        }
    }
    println!("{worst_of:?}");
    assert_eq!((PEERS.len(), nothings), (81, 6));
    assert!(failures.is_empty(), "{failures:#?}");
}

/// The small classifier with each of its ReLUs written as a `Clip` from zero, as ReLU6 is; opset 11 took the bounds from the attributes to the inputs.
fn clipped(name: &str) -> (Explainer, Observation) {
    let mut proto = onnx::read(classifier(name).unwrap(), &Limits::default()).unwrap();
    let pictures = take(&mut proto, "fixture/input");
    let has_inputs = onnx::opset(&proto) >= 11;
    let graph = proto.graph.as_mut().unwrap();
    graph.initializer.push(parts::floats("bound", &[], &[0.0]));
    for node in &mut graph.node {
        if node.op_type == "Relu" {
            node.op_type = "Clip".into();
            match has_inputs {
                true => node.input.push("bound".into()),
                false => node.attribute.push(parts::float("min", 0.0)),
            }
        }
    }
    let model = Arc::new(Model::open(&onnx::write(&proto), None, name).unwrap());
    let guided = method("guided-backpropagation").unwrap();
    let explainer = Explainer::for_method(engine(), model, guided, &Manner::default()).unwrap();
    let first = pictures.slice_axis(Axis(0), Slice::from(0..1)).to_owned();
    let seen = explainer.observe(&first.into_dimensionality().unwrap());
    (explainer, seen.unwrap())
}

#[test]
fn a_clip_from_zero_is_a_relu() {
    for name in ["resnet-bottleneck", "densenet"] {
        let (explainer, seen) = clipped(name);
        let guided = method("guided-backpropagation").unwrap();
        let found = explainer.explain(&seen, &QUESTION, guided).unwrap();
        let expected = &PEERS[&format!("{name}/guided-backpropagation")];
        assert!(worst(&found.values.into_dyn(), expected) < 1e-4, "{name}");
    }
}

#[test]
fn guided_graphs_say_so() {
    let model = |name: &str| Model::open(classifier(name).unwrap(), None, name).unwrap();
    let graph = |name: &str, relus| {
        let wanted = Wanted {
            input: true,
            relus,
            ..Wanted::default()
        };
        graph_of(&model(name), &wanted)
    };
    let said = |relus| {
        let properties = graph("densenet", relus).unwrap().metadata_props;
        let mut values = properties.iter().filter(|one| one.key == "gradlens.relus");
        values.next().map(|one| one.value.clone())
    };
    assert_eq!(said(Relus::Guided).as_deref(), Some("guided"));
    assert_eq!(said(Relus::Plain), None);
    // GELU and SiLU are no ReLUs: no plain gradient under another name.
    for name in ["convnext", "vit-class-token", "efficientnet"] {
        let error = graph(name, Relus::Guided).err().unwrap().to_string();
        assert!(
            error.contains("ReLUs, and there is none"),
            "{name}: {error}"
        );
        let at_layer = method("guided-grad-cam").unwrap();
        let explainer = Explainer::for_method(
            engine(),
            Arc::new(model(name)),
            at_layer,
            &Manner::default(),
        )
        .unwrap();
        let (_, seen) = observed(name, "grad-cam");
        let error = explainer.explain(&seen, &QUESTION, at_layer).err().unwrap();
        assert!(error.to_string().contains("ReLUs"), "{name}: {error}");
    }
}

/// Ablation needs a score to take shares of, FullGrad biases.
#[test]
fn nothing_to_take_shares_of_is_said() {
    let (explainer, seen) = observed("squeezenet", "ablation-cam");
    assert_eq!(seen.logits[CLASS], 0.0);
    let ablation = method("ablation-cam").unwrap();
    let error = explainer.explain(&seen, &QUESTION, ablation).err().unwrap();
    assert!(error.to_string().contains("the score is 0"), "{error}");

    let mut proto = onnx::read(classifier("vit-class-token").unwrap(), &Limits::default()).unwrap();
    let nodes = &mut proto.graph.as_mut().unwrap().node;
    let convolution = nodes
        .iter_mut()
        .find(|node| node.op_type == "Conv")
        .unwrap();
    assert_eq!(convolution.input.len(), 3);
    convolution.input.truncate(2);
    let model = Arc::new(Model::open(&onnx::write(&proto), None, "vit").unwrap());
    let full = method("full-grad").unwrap();
    let error = Explainer::for_method(engine(), model, full, &Manner::default())
        .err()
        .unwrap();
    assert!(error.to_string().contains("no biases"), "{error}");
}

/// pytorch-grad-cam's smoothed and fused maps, by `CLASSIFIER/METHOD/MANNER`, for fused ones with the other layer behind.
static SMOOTHED: LazyLock<HashMap<String, ArrayD<f32>>> =
    LazyLock::new(|| stored(include_bytes!("fixtures/smoothed.onnx")));

#[test]
fn smoothed_and_fused_maps_are_the_peers() {
    let (mut failures, mut nothings) = (Vec::new(), 0);
    for (key, expected) in SMOOTHED.iter() {
        let [name, id, manner] = key.splitn(3, '/').collect::<Vec<_>>()[..] else {
            panic!("{key}");
        };
        let (plain, _) = observed(name, id);
        let manner = match manner.strip_prefix("fused/") {
            Some(other) => Manner::of(&[plain.layer.clone(), other.to_owned()], &[]),
            None => {
                let smooth: Vec<Smooth> =
                    manner.split('+').map(|way| way.parse().unwrap()).collect();
                Manner::of(&[], &smooth)
            }
        };
        let (explainer, seen) = observed_in(name, id, &manner);
        let found = explainer
            .explain(&seen, &QUESTION, method(id).unwrap())
            .unwrap();
        let nothing = expected.iter().all(|&value| value == 0.0);
        assert_eq!(found.empty.is_some(), nothing, "{key}: {:?}", found.empty);
        nothings += usize::from(nothing);
        let error = worst(&found.values.into_dyn(), expected);
        println!("{key}: {error:e}");
        // The Grad-CAM that guided Grad-CAM multiplies with may be all but nothing: densenet's is 0.001 at most, a sum of terms whose
        // sizes add up to 0.6, so that their rounding counts six hundredfold.
        let bound = if id == "guided-grad-cam" { 3e-4 } else { 1e-4 };
        if error > bound {
            failures.push(format!("{key}: {error:e}"));
        }
    }
    assert_eq!((SMOOTHED.len(), nothings), (66, 1));
    assert!(failures.is_empty(), "{failures:#?}");
}

/// What speaks against a class is what speaks for it with every gradient turned around.
#[test]
fn a_counterfactual_is_of_the_negative() {
    let counter = Question {
        counterfactual: true,
        ..QUESTION
    };
    let (explainer, seen) = observed("densenet", "grad-cam");
    let of =
        |question: &Question, id: &str| explainer.explain(&seen, question, method(id).unwrap());
    let gradients = explainer.gradient_of(&seen, &QUESTION).unwrap();
    let negative = explainer.gradient_of(&seen, &counter).unwrap();
    assert_eq!(gradients, -&negative);
    // Of every channel with the sign of its weight, one of the two maps has the place.
    let (for_it, against) = (of(&QUESTION, "grad-cam"), of(&counter, "grad-cam"));
    let (for_it, against) = (for_it.unwrap().values, against.unwrap().values);
    let weights = gradients
        .map_axis(Axis(2), |row| row.sum())
        .sum_axis(Axis(1))
        / 4.0;
    for (place, value) in (&for_it - &against).indexed_iter() {
        let channels = seen.activations.outer_iter().zip(&weights);
        let sum: f32 = channels
            .map(|(channel, weight)| channel[place] * weight)
            .sum();
        assert!(
            (sum - value).abs() < 1e-5 * sum.abs().max(1.0),
            "{sum} {value}"
        );
    }
    // Ablation-CAM's shares turn their sign; a map without signs has no counterfactual.
    let ablated =
        [&QUESTION, &counter].map(|question| of(question, "ablation-cam").unwrap().values);
    assert!(
        ablated
            .iter()
            .all(|map| map.iter().any(|&value| value > 0.0)),
        "{ablated:?}"
    );
    assert!(
        (&ablated[0] * &ablated[1])
            .iter()
            .all(|&product| product == 0.0)
    );
    let error = of(&counter, "eigen-cam").err().unwrap();
    assert!(error.to_string().contains("the same map"), "{error}");
}

#[test]
fn only_maps_of_channels_are_smoothed() {
    for (id, smooth) in [
        ("occlusion", Smooth::Augmented),
        ("gradient", Smooth::Eigen),
    ] {
        let model = Model::open(classifier("densenet").unwrap(), None, "densenet").unwrap();
        let manner = Manner::of(&[], &[smooth]);
        let error = Explainer::for_method(engine(), Arc::new(model), method(id).unwrap(), &manner);
        let error = error.err().unwrap().to_string();
        assert!(error.contains("cannot be smoothed"), "{error}");
    }
    let model = Model::open(classifier("densenet").unwrap(), None, "densenet").unwrap();
    let layers: Vec<String> = model
        .layers
        .iter()
        .map(|layer| layer.name.clone())
        .collect();
    let many = Manner::of(&layers, &[]);
    let error = many
        .check(method("grad-cam").unwrap(), &model)
        .err()
        .unwrap();
    assert!(error.to_string().contains("too many to fuse"), "{error}");
}

/// Every method answers on a transformer's token grid, or says in a line why it has no answer.
#[test]
fn transformers_have_every_method() {
    for name in ["vit-class-token", "swin", "deit-distilled"] {
        for way in METHODS {
            let id = way.id();
            let (explainer, seen) = match id {
                "guided-backpropagation" => continue,
                _ => observed(name, id),
            };
            match explainer.explain(&seen, &QUESTION, *way) {
                Ok(found) => assert!(found.values.iter().all(|v| v.is_finite()), "{name} {id}"),
                Err(error) => {
                    assert_eq!(id, "guided-grad-cam", "{name}: {error}");
                    assert!(error.to_string().contains("ReLUs, and there is none"));
                }
            }
        }
    }
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
