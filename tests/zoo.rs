//! Small classifiers of many families, exported from timm and torchvision: the layer that is recommended, scores, gradients and the maps of
//! every method that pytorch-grad-cam has against PyTorch in double precision, natively and in browsers.
//!
//! `tests/fixtures/make_zoo.py` and `make_methods.py` make them; `npm run zoo` checks the architectures in their full width (docs/zoo.md).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

mod common;

use std::collections::HashMap;
use std::sync::LazyLock;

use gradlens::engine::Value;
use gradlens::explain::{How, METHODS, Method, method};
use gradlens::gradient::{self, activation_name, differentiate, gradient_name};
use gradlens::model::{Limits, Model, onnx};
use ndarray::{Array3, ArrayD, Ix4};
use tract_onnx::pb::ModelProto;

use common::{classifier, classifiers, floats, run_both_ways, stored, take, worst};
use wasm_bindgen_test::wasm_bindgen_test;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Largest difference allowed, as a part of the largest expected value.
const TOLERANCE: f32 = 1e-4;

/// The small classifiers, by what is special about them.
const FAMILIES: [(&str, &[&str]); 5] = [
    (
        "plain and residual",
        &[
            "densenet",
            "inception",
            "regnet-y",
            "res2net",
            "resnet-bottleneck",
            "resnext-se-antialias",
        ],
    ),
    (
        "mobile",
        &[
            "efficientnet",
            "ghostnet",
            "mobilenet-v3",
            "shufflenet",
            "squeezenet",
        ],
    ),
    (
        "without batch normalisation",
        &["convnext", "convnext-v2", "nfnet", "poolformer"],
    ),
    ("hybrid", &["levit", "maxvit", "mobilevit"]),
    (
        "transformers",
        &[
            "deit-distilled",
            "mixer",
            "swin",
            "vit-class-token",
            "vit-registers-pooled",
        ],
    ),
];

/// A method's maps of a batch, `[N, H, W]`.
fn maps(method: &dyn Method, activations: &ArrayD<f32>, gradients: &ArrayD<f32>) -> ArrayD<f32> {
    let [activations, gradients] =
        [activations, gradients].map(|values| values.view().into_dimensionality::<Ix4>().unwrap());
    let (count, _, height, width) = activations.dim();
    let mut maps = Array3::zeros((count, height, width));
    let pictures = activations.outer_iter().zip(gradients.outer_iter());
    for (mut map, (activations, gradients)) in maps.outer_iter_mut().zip(pictures) {
        let How::Layer(of) = method.how() else {
            panic!("{} is not of a layer", method.id())
        };
        map.assign(&of.map(activations, gradients));
    }
    maps.into_dyn()
}

/// The layers that the maker of the fixture names: one tensor, perhaps under several names.
fn expected_layers(proto: &ModelProto) -> Vec<String> {
    let mut properties = proto.metadata_props.iter();
    let layers = properties.find(|property| property.key == "fixture.layer");
    layers.unwrap().value.lines().map(str::to_owned).collect()
}

/// The largest error of a classifier's gradient graph, of the whole and of its two parts.
fn error(name: &str) -> Result<f32, String> {
    let bytes = classifier(name).ok_or("there is no such fixture")?;
    let mut proto = onnx::read(bytes, &Limits::default()).map_err(|error| error.to_string())?;
    let layers = expected_layers(&proto);
    let input = take(&mut proto, "fixture/input");
    let seed = take(&mut proto, "fixture/seed");
    let expected = ["scores", "gradient/layer", "gradient/input", "cam"]
        .map(|what| (what, take(&mut proto, &format!("expected/{what}"))));

    let model = Model::open(&onnx::write(&proto), None, name).map_err(|error| error.to_string())?;
    if !layers.contains(&model.layer) {
        let known = layers.join(" or ");
        return Err(format!("recommends '{}' instead of {known}", model.layer));
    }
    let layer = model.layer.clone();
    let graph = differentiate(&model, std::slice::from_ref(&layer), true)
        .map_err(|error| error.to_string())?;
    // What is compared is what a file would hold.
    let graph =
        onnx::read(&onnx::write(&graph), &Limits::default()).map_err(|error| error.to_string())?;
    let given = |name: &str| {
        let values = match name {
            gradient::SEED => &seed,
            _ => &input,
        };
        Value::F32(values.clone())
    };
    let mut largest: f32 = 0.0;
    for values in run_both_ways(&graph, given)? {
        for (what, expected) in &expected {
            let found = match *what {
                "scores" => floats(&values, gradient::SCORES),
                "gradient/layer" => floats(&values, &gradient_name(&layer)),
                "gradient/input" => floats(&values, gradient::GRADIENT_INPUT),
                _ => maps(
                    method("grad-cam").unwrap(),
                    &floats(&values, &activation_name(&layer)),
                    &floats(&values, &gradient_name(&layer)),
                ),
            };
            let error = worst(&found, expected);
            if error > TOLERANCE {
                return Err(format!("{what} differs by {error:e} of its maximum"));
            }
            largest = largest.max(error);
        }
        let [activations, gradients] =
            [activation_name, gradient_name].map(|name| floats(&values, &name(&layer)));
        for (method, expected) in peers(name) {
            let error = worst(&maps(method, &activations, &gradients), &expected);
            if error > TOLERANCE {
                let method = method.id();
                return Err(format!("{method} differs by {error:e} of its maximum"));
            }
            largest = largest.max(error);
        }
    }
    Ok(largest)
}

/// pytorch-grad-cam's maps of a classifier.
static PEERS: LazyLock<HashMap<String, ArrayD<f32>>> =
    LazyLock::new(|| stored(include_bytes!("fixtures/maps.onnx")));

/// Each method that pytorch-grad-cam has too, and its map of a classifier.
fn peers(classifier: &str) -> impl Iterator<Item = (&'static dyn Method, ArrayD<f32>)> {
    METHODS.iter().filter_map(move |method| {
        let map = PEERS.get(&format!("{classifier}/{}", method.id()))?;
        Some((*method, map.clone()))
    })
}

/// Checks every classifier of a family; one that fails does not hide the others.
fn check(family: &str) {
    let (_, names) = FAMILIES.iter().find(|(name, _)| *name == family).unwrap();
    let mut failures = Vec::new();
    for name in *names {
        match error(name) {
            Ok(error) => println!("{name}: {error:e}"),
            Err(problem) => failures.push(format!("{name}: {problem}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[wasm_bindgen_test(unsupported = test)]
fn plain_and_residual_networks() {
    check("plain and residual");
}

#[wasm_bindgen_test(unsupported = test)]
fn mobile_networks() {
    check("mobile");
}

#[wasm_bindgen_test(unsupported = test)]
fn networks_without_batch_normalisation() {
    check("without batch normalisation");
}

#[wasm_bindgen_test(unsupported = test)]
fn networks_with_convolutions_and_attention() {
    check("hybrid");
}

#[wasm_bindgen_test(unsupported = test)]
fn transformers() {
    check("transformers");
}

#[wasm_bindgen_test(unsupported = test)]
fn every_classifier_is_checked() {
    let checked: usize = FAMILIES.iter().map(|(_, names)| names.len()).sum();
    assert_eq!(checked, classifiers());
}

#[wasm_bindgen_test(unsupported = test)]
fn every_method_of_a_layer_has_a_peer_but_the_articles() {
    let of_a_layer = METHODS
        .iter()
        .filter(|method| matches!(method.how(), How::Layer(_)));
    let ids: Vec<&str> = of_a_layer.map(|method| method.id()).collect();
    let own: Vec<&&str> = ids
        .iter()
        .filter(|id| !PEERS.contains_key(&format!("resnet-bottleneck/{id}")))
        .collect();
    assert_eq!(own, [&"guided-grad-cam-article"]);
    assert_eq!(PEERS.len(), (ids.len() - 1) * classifiers());
}
