//! What a model is taken for once it is open: its scores, its sizes, its labels.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use gradlens::engine::Tract;
use gradlens::explain::{Explainer, Question, Target, method};
use gradlens::model::onnx::parts::int;
use gradlens::model::{Model, Squash, onnx};
use tract_onnx::pb::{StringStringEntryProto, TensorProto, tensor_proto::DataType};

use crate::common;
use crate::graphs::{changed, floats, format, node, refusal, sound, value};

#[test]
fn a_sound_model_opens_with_a_guess() {
    let model = changed(|_| {}).unwrap();
    assert!(model.guessed);
    assert_eq!((model.layer.as_str(), model.classes), ("a", 3));
    assert_eq!(
        (model.manifest.input.width, model.manifest.input.height),
        (8, 8)
    );
    let recommended = model.layers.iter().find(|layer| layer.recommended).unwrap();
    assert!(
        recommended.reason.contains("6 x 6"),
        "{}",
        recommended.reason
    );
}

#[test]
fn scores_are_found_before_the_squashing_function() {
    // Whatever reshapes the probabilities afterwards.
    for wrapping in ["Identity", "Flatten"] {
        let model = changed(|graph| {
            graph.node.push(node("Softmax", &["y"], "p1"));
            graph.node.push(node(wrapping, &["p1"], "p2"));
            graph.output = vec![value("p2", DataType::Float, &[1, 3])];
        })
        .unwrap();
        assert_eq!(
            (model.scores.as_str(), model.probabilities.as_deref()),
            ("y", Some("p2"))
        );
        assert_eq!(model.squash, Squash::Softmax);
    }
    let sigmoid = changed(|graph| {
        graph.node.push(node("Sigmoid", &["y"], "s"));
        graph.output = vec![value("s", DataType::Float, &[1, 3])];
    });
    assert_eq!(sigmoid.unwrap().squash, Squash::Sigmoid);
    let single = changed(|graph| graph.initializer[1] = floats("m", &[4, 1])).unwrap();
    assert_eq!((single.classes, single.squash), (1, Squash::Sigmoid));
    let across = refusal(|graph| {
        let mut softmax = node("Softmax", &["y"], "s");
        softmax.attribute.push(int("axis", 0));
        graph.node.push(softmax);
        graph.output = vec![value("s", DataType::Float, &[1, 3])];
    });
    assert!(across.contains("axis 0"), "{across}");
}

#[test]
fn an_open_size_is_filled_and_a_fixed_batch_explained_away() {
    let open = changed(|graph| graph.input = vec![value("x", DataType::Float, &[-1, 3, -1, -1])]);
    let open = open.unwrap();
    assert_eq!(
        (open.manifest.input.width, open.manifest.input.height),
        (224, 224)
    );
    let two =
        changed(|graph| graph.input = vec![value("x", DataType::Float, &[2, 3, 8, 8])]).unwrap();
    let refused = Explainer::new(Arc::new(Tract), Arc::new(two), None)
        .err()
        .unwrap();
    assert!(
        refused.to_string().contains("2 pictures at a time"),
        "{refused}"
    );
}

#[test]
fn a_model_that_overflows_says_so() {
    let model = changed(|graph| graph.initializer[1].float_data[0] = f32::INFINITY).unwrap();
    let explainer = Explainer::new(Arc::new(Tract), Arc::new(model), None).unwrap();
    let error = explainer
        .observe(&ndarray::Array4::ones((1, 3, 8, 8)))
        .unwrap_err();
    assert!(error.to_string().contains("overflows"), "{error}");
}

/// The scores of a model for `x[i] = sin(i)`.
fn scores(model: Model) -> Vec<f32> {
    let explainer = Explainer::new(Arc::new(Tract), Arc::new(model), None).unwrap();
    let picture = (0..3 * 8 * 8).map(|index| (index as f32).sin()).collect();
    let picture = ndarray::Array4::from_shape_vec((1, 3, 8, 8), picture).unwrap();
    explainer.observe(&picture).unwrap().logits
}

#[test]
fn every_form_of_file_scores_as_in_onnx_runtime() {
    let facts = fs::read_to_string(common::fixture("formats/scores.json")).unwrap();
    let mut facts: BTreeMap<String, Vec<f32>> = serde_json::from_str(&facts).unwrap();
    facts.remove("undecided");
    // Another test gives it its second file.
    facts.remove("external");
    assert_eq!(facts.len(), 8);
    for (name, expected) in facts {
        let model = format(&name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let bytes = fs::read(common::fixture(&format!("formats/{name}.onnx"))).unwrap();
        assert_eq!(model.sha256, gradlens::model::sha256_hex(&bytes));
        let found = scores(model);
        // f16 rounds at every node, and gradlens does not.
        let tolerance = if name == "half" { 4e-3 } else { 1e-5 };
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= tolerance * b.abs().max(1.0);
        assert!(
            found.iter().zip(&expected).all(close),
            "{name}: {found:?}, not {expected:?}"
        );
    }
}

#[test]
fn one_score_stands_between_two_classes() {
    let open = || {
        changed(|graph| {
            graph.initializer[1] = floats("m", &[4, 1]);
            graph.output = vec![value("y", DataType::Float, &[1, 1])];
        })
    };
    let model = open().unwrap();
    let names: Vec<&str> = model
        .manifest
        .labels
        .iter()
        .map(|label| label.name.as_str())
        .collect();
    assert_eq!(names, ["negative", "positive"]);
    let explainer = Explainer::new(Arc::new(Tract), Arc::new(model), None).unwrap();
    let seen = explainer
        .observe(&ndarray::Array4::ones((1, 3, 8, 8)))
        .unwrap();
    assert_eq!(seen.logits[0], -seen.logits[1]);
    assert!((seen.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    let seed = |class: usize| {
        let row = [[-1.0, 1.0][class]];
        explainer.gradient(&seen, ndarray::arr2(&[row])).unwrap()
    };
    assert_eq!(seed(0), -seed(1));
    let map = |class| {
        let question = Question {
            class,
            contrast: None,
            target: Target::Logit,
            counterfactual: false,
        };
        explainer
            .explain(&seen, &question, method("grad-cam").unwrap())
            .unwrap()
    };
    assert_ne!(map(0).values, map(1).values);
}

#[test]
fn a_guess_says_what_it_rests_on() {
    let mut proto = sound();
    let graph = proto.graph.as_mut().unwrap();
    graph.initializer.push(TensorProto {
        float_data: vec![127.5],
        dims: vec![],
        ..floats("half", &[1])
    });
    graph.node.insert(0, node("Sub", &["x", "half"], "s"));
    graph.node.insert(1, node("Div", &["s", "half"], "d"));
    graph.node[2].input[0] = "d".into();
    let names = "{0: 'cat', 1: 'dog', 2: \"cow\"}";
    let entry = StringStringEntryProto {
        key: "names".into(),
        value: names.into(),
    };
    proto.metadata_props.push(entry);
    let mut model = Model::open(&onnx::write(&proto), None, "guess").unwrap();
    assert_eq!(model.manifest.preprocessing.std, [1.0 / 255.0]);
    assert_eq!(model.manifest.labels[2].name, "cow");
    let reasons = model.reasons.join(" ");
    assert!(
        reasons.contains("0 to 255") && reasons.contains("'names'"),
        "{reasons}"
    );

    let mut manifest = model.manifest.clone();
    manifest.squash = Some(Squash::Sigmoid);
    manifest.labels.clear();
    assert!(model.adopt(manifest.clone()).unwrap());
    assert_eq!((model.squash, model.guessed), (Squash::Sigmoid, false));
    assert_eq!(model.manifest.labels[1].name, "class 1");
    manifest.labels = gradlens::model::labels::parse("a\nb").unwrap();
    let error = model.adopt(manifest.clone()).unwrap_err().to_string();
    assert!(error.contains("2 labels"), "{error}");
    manifest.input.width = 16;
    assert!(!model.adopt(manifest).unwrap());
}
