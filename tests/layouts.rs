//! One classifier in three layouts must give the same scores, activations, gradients and maps.
//!
//! `tests/fixtures/make_layouts.py` makes the graphs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

mod common;

use std::sync::Arc;

use gradlens::engine::Tract;
use gradlens::explain::{Explainer, METHODS, Question, Target};
use gradlens::model::{Layout, Model};
use ndarray::Array4;

use common::{operator_fixture, worst};

/// What is found at the layer named `layer`: activations, gradient and the first method's map.
fn answers(form: &str) -> [ndarray::ArrayD<f32>; 3] {
    let model = open(form);
    let explainer = Explainer::new(Arc::new(Tract), Arc::new(model), Some("layer")).unwrap();
    let picture = Array4::from_shape_fn((1, 3, 12, 12), |(_, k, y, x)| {
        ((k * 31 + y * 7 + x * 3) % 17) as f32 / 8.0 - 1.0
    });
    let observation = explainer.observe(&picture).unwrap();
    let question = Question {
        class: 2,
        contrast: None,
        target: Target::Logit,
        counterfactual: false,
    };
    let seed = question
        .seed(&observation.probabilities, explainer.model.squash)
        .unwrap();
    let gradient = explainer.gradient(&observation, seed).unwrap();
    let map = explainer
        .explain(&observation, &question, METHODS[0])
        .unwrap();
    [
        observation.activations.into_dyn(),
        gradient.into_dyn(),
        map.values.into_dyn(),
    ]
}

fn open(form: &str) -> Model {
    Model::open(operator_fixture(&format!("layouts-{form}")), None, form).unwrap()
}

#[test]
fn the_layout_of_a_model_does_not_matter() {
    let expected = answers("first");
    assert!(expected[2].iter().any(|&value| value > 0.0));
    for form in ["last", "tokens"] {
        for (found, expected) in answers(form).iter().zip(&expected) {
            assert!(worst(found, expected) < 1e-5, "{form}");
        }
    }
}

#[test]
fn layouts_are_found_and_the_last_map_recommended() {
    let forms = [
        ("first", "layer", Layout::ChannelsFirst),
        ("last", "layer", Layout::ChannelsLast),
        ("tokens", "placed", Layout::Tokens { prefix: 0 }),
    ];
    for (form, recommended, layout) in forms {
        let model = open(form);
        assert_eq!(model.layer, recommended, "{form}");
        let layer = model.find_layer(recommended).unwrap();
        assert_eq!((layer.layout, layer.channels), (layout, 5), "{form}");
        assert_eq!((layer.height, layer.width), (3, 3), "{form}");
    }
    let with_class = open("tokens");
    let layer = with_class.find_layer("layer").unwrap();
    assert_eq!(layer.layout, Layout::Tokens { prefix: 1 });
    assert!(open("last").channels_last);
}
