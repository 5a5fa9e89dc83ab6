//! Every gradient rule, run by the engine and compared with PyTorch's autograd, natively and in browsers.
//!
//! `tests/fixtures/make_ops.py` makes the graphs and computes, in double precision, what they must give.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

mod common;

use std::collections::BTreeSet;

use gradlens::engine::Value;
use gradlens::gradient::{self, GradientError, differentiate};
use gradlens::model::{Layout, Limits, Model, ModelError, onnx};
use ndarray::ArrayD;
use tract_onnx::pb::ModelProto;

use common::{floats, operator_fixture, operator_fixtures, run, run_both_ways, take, worst};
use wasm_bindgen_test::wasm_bindgen_test;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Largest difference allowed, as a part of the largest expected value.
const TOLERANCE: f32 = 1e-4;

/// A graph and what it must give.
struct Case {
    name: String,
    proto: ModelProto,
    input: ArrayD<f32>,
    seed: ArrayD<f32>,
    scores: ArrayD<f32>,
    gradient_layer: ArrayD<f32>,
    gradient_input: ArrayD<f32>,
}

impl Case {
    /// Takes the expected values out of the model's initializers.
    fn read(name: &str) -> Case {
        let bytes = operator_fixture(name);
        let mut proto = onnx::read(bytes, &Limits::default()).unwrap();
        let mut taken = |key: &str| take(&mut proto, key);
        Case {
            name: name.to_owned(),
            input: taken("fixture/input"),
            seed: taken("fixture/seed"),
            scores: taken("expected/scores"),
            gradient_layer: taken("expected/gradient/layer"),
            gradient_input: taken("expected/gradient/input"),
            proto,
        }
    }

    fn operators(&self) -> impl Iterator<Item = &str> {
        let nodes = &self.proto.graph.as_ref().unwrap().node;
        nodes.iter().map(|node| node.op_type.as_str())
    }

    /// The largest error among scores and both gradients, of the whole graph and of its two parts.
    fn error(&self) -> Result<f32, String> {
        let model = Model::open(&onnx::write(&self.proto), None, &self.name)
            .map_err(|error| error.to_string())?;
        let graph =
            differentiate(&model, &["layer".into()], true).map_err(|error| error.to_string())?;
        // What is compared is what a file would hold.
        let graph = onnx::read(&onnx::write(&graph), &Limits::default())
            .map_err(|error| error.to_string())?;
        let given = |name: &str| {
            let values = match name {
                gradient::SEED => &self.seed,
                _ => &self.input,
            };
            Value::F32(values.clone())
        };
        let [whole, parts] = run_both_ways(&graph, given)?;

        // The graph gives a layer as `[N, K, H, W]`, whatever order its axes have in the model.
        let layer = model
            .find_layer("layer")
            .map_err(|error| error.to_string())?;
        let gradient_layer = match layer.layout {
            Layout::ChannelsLast => {
                let turned = self.gradient_layer.view().permuted_axes(vec![0, 3, 1, 2]);
                turned.as_standard_layout().into_owned()
            }
            _ => self.gradient_layer.clone(),
        };
        let expected = [
            (gradient::SCORES, &self.scores),
            ("gradient/layer", &gradient_layer),
            (gradient::GRADIENT_INPUT, &self.gradient_input),
        ];
        let errors = expected.map(|(name, values)| {
            let whole = worst(&floats(&whole, name), values);
            whole.max(worst(&floats(&parts, name), values))
        });
        let largest = errors.into_iter().fold(0.0, f32::max);
        if largest <= TOLERANCE {
            Ok(largest)
        } else {
            Err(format!(
                "scores, layer, input differ by {errors:?} of their maximum"
            ))
        }
    }
}

/// The cases of a family.
fn family(family: &str) -> Vec<Case> {
    let prefix = format!("{family}-");
    let names = operator_fixtures()
        .into_iter()
        .filter(|name| name.starts_with(&prefix));
    names.map(Case::read).collect()
}

/// Runs every case of a family; one that fails does not hide the others.
fn check(name: &str) {
    let cases = family(name);
    assert!(!cases.is_empty(), "no fixtures: run make_ops.py");
    let mut largest = (0.0, "");
    let mut failures = Vec::new();
    for case in &cases {
        match case.error() {
            Ok(error) if error > largest.0 => largest = (error, &case.name),
            Ok(_) => {}
            Err(problem) => failures.push(format!("{}: {problem}", case.name)),
        }
    }
    println!(
        "{name}: {} cases, largest error {:e} ({})",
        cases.len(),
        largest.0,
        largest.1
    );
    assert!(
        failures.is_empty(),
        "{} of {} fail\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

const FAMILIES: [&str; 11] = [
    "activation",
    "conv",
    "elementwise",
    "index",
    "linear",
    "norm",
    "opset",
    "pool",
    "reduce",
    "resize",
    "shape",
];

#[wasm_bindgen_test(unsupported = test)]
fn activation_functions() {
    check("activation");
}

#[wasm_bindgen_test(unsupported = test)]
fn convolutions() {
    check("conv");
}

#[wasm_bindgen_test(unsupported = test)]
fn elementwise_arithmetic() {
    check("elementwise");
}

#[wasm_bindgen_test(unsupported = test)]
fn indices() {
    check("index");
}

#[wasm_bindgen_test(unsupported = test)]
fn matrix_products() {
    check("linear");
}

#[wasm_bindgen_test(unsupported = test)]
fn normalisation() {
    check("norm");
}

#[wasm_bindgen_test(unsupported = test)]
fn opsets() {
    check("opset");
}

#[wasm_bindgen_test(unsupported = test)]
fn pooling() {
    check("pool");
}

#[wasm_bindgen_test(unsupported = test)]
fn reductions() {
    check("reduce");
}

#[wasm_bindgen_test(unsupported = test)]
fn resizing() {
    check("resize");
}

#[wasm_bindgen_test(unsupported = test)]
fn shapes() {
    check("shape");
}

#[wasm_bindgen_test(unsupported = test)]
fn every_rule_has_a_case() {
    let cases: Vec<Case> = FAMILIES.iter().flat_map(|name| family(name)).collect();
    let covered: BTreeSet<&str> = cases.iter().flat_map(Case::operators).collect();
    let missing: Vec<&str> = gradient::operators()
        .into_iter()
        .filter(|operator| !covered.contains(operator))
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

fn open(name: &str) -> Model {
    let bytes = operator_fixture(name);
    Model::open(bytes, None, name).unwrap()
}

fn differentiated(name: &str, layer: &str) -> Result<ModelProto, GradientError> {
    differentiate(&open(name), &[layer.to_owned()], true)
}

#[wasm_bindgen_test(unsupported = test)]
fn what_cannot_be_differentiated_is_named() {
    let message = |name| differentiated(name, "layer").unwrap_err().to_string();
    assert_eq!(
        message("errors-no-rule"),
        "operator GridSample (node GridSample_3) has no gradient rule"
    );
    assert_eq!(
        gradient::operators_without_rule(&open("errors-no-rule")),
        ["GridSample"]
    );
    assert_eq!(
        message("errors-no-form"),
        "operator Gather (node Gather_1) has no gradient rule for index 7 on an axis of 3 elements"
    );
    assert!(matches!(
        differentiated("errors-no-path", "layer"),
        Err(GradientError::NoPath(tensor)) if tensor == "layer"
    ));
}

#[wasm_bindgen_test(unsupported = test)]
fn older_forms_are_rewritten_or_refused() {
    // Opset 12: `Squeeze` and `Unsqueeze` with their axes as attributes.
    let graph = differentiated("errors-old-squeeze", "layer").unwrap();
    assert_eq!(onnx::opset(&graph), 17);
    let nodes = &graph.graph.as_ref().unwrap().node;
    let squeeze = nodes.iter().find(|node| node.op_type == "Squeeze").unwrap();
    assert_eq!((squeeze.input.len(), squeeze.attribute.len()), (2, 0));
    let ones = |name: &str| {
        let width = if name == gradient::SEED {
            vec![1, 2]
        } else {
            vec![1, 3, 4, 3]
        };
        Value::F32(ArrayD::ones(width))
    };
    run(&graph, ones).unwrap();

    let bytes = operator_fixture("errors-old-squeeze");
    let mut proto = onnx::read(bytes, &Limits::default()).unwrap();
    proto.opset_import[0].version = 6;
    let error = Model::open(&onnx::write(&proto), None, "ancient").unwrap_err();
    assert_eq!(
        error.to_string(),
        "is not supported: operator Gemm (node Gemm_6) has the form of opset 6; convert the model to opset 7 or newer"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn an_unknown_layer_gets_a_hint() {
    let error = differentiated("names-plain", "laye").unwrap_err();
    assert!(matches!(
        error,
        GradientError::Model(ModelError::UnknownLayer { .. })
    ));
    assert!(error.to_string().contains("did you mean layer?"), "{error}");
}

#[wasm_bindgen_test(unsupported = test)]
fn no_operator_lacks_a_rule_where_all_have_one() {
    for case in FAMILIES.iter().flat_map(|name| family(name)) {
        let model = Model::open(&onnx::write(&case.proto), None, &case.name).unwrap();
        let missing = gradient::operators_without_rule(&model);
        assert!(missing.is_empty(), "{}: {missing:?}", case.name);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn names_of_the_model_do_not_matter() {
    let input = ArrayD::from_shape_fn(vec![1, 3, 4, 3], |at| {
        (at[1] * 5 + at[2] * 3 + at[3]) as f32 / 8.0 - 1.0
    });
    let seed = ArrayD::from_shape_vec(vec![1, 2], vec![1.0, -0.5]).unwrap();
    let answers = |name: &str, layer: &str| -> Vec<ArrayD<f32>> {
        let graph = differentiated(name, layer).unwrap();
        onnx::read(&onnx::write(&graph), &Limits::default()).unwrap();
        let given = |input_name: &str| match input_name {
            gradient::SEED => Value::F32(seed.clone()),
            _ => Value::F32(input.clone()),
        };
        let values = run(&graph, given).unwrap_or_else(|error| panic!("{name}: {error}"));
        let layer = gradient::gradient_name(layer);
        [
            gradient::SCORES,
            gradient::PROBABILITIES,
            &layer,
            gradient::GRADIENT_INPUT,
        ]
        .map(|output| floats(&values, output))
        .to_vec()
    };
    let expected = answers("names-plain", "layer");
    assert!(expected[3].iter().any(|&value| value != 0.0));
    for name in [
        "same",
        "exchanged",
        "softmax-is-scores",
        "seed",
        "gradient",
        "renamed-already",
    ] {
        assert_eq!(
            answers(&format!("names-{name}"), "layer"),
            expected,
            "{name}"
        );
    }
    // A layer that itself has a public name.
    let after_relu = answers("names-plain", "active");
    assert_eq!(answers("names-seed", "seed"), after_relu);
    assert_eq!(
        answers("names-softmax-is-scores", "probabilities"),
        after_relu
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn the_same_request_gives_the_same_bytes() {
    let bytes = || onnx::write(&differentiated("conv-residual", "layer").unwrap());
    assert_eq!(bytes(), bytes());
}

/// Every integer and scale of the fixtures' constants and attributes, one at a time, replaced by an absurd one: an error or a graph,
/// never a panic nor an endless loop.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn absurd_constants_do_no_harm() {
    const INTEGERS: [i64; 5] = [i64::MIN, -1, 0, 1_000_000_000, i64::MAX];
    const FLOATS: [f32; 4] = [f32::NAN, -1.0, 0.0, 1e30];
    let try_it = |proto: &ModelProto, name: &str| {
        if let Ok(model) = Model::open(&onnx::write(proto), None, name) {
            let _ = differentiate(&model, &["layer".into()], true);
        }
    };
    for case in ["index", "opset", "resize", "shape"]
        .into_iter()
        .flat_map(family)
    {
        let graph = case.proto.graph.as_ref().unwrap();
        for (index, tensor) in graph.initializer.iter().enumerate() {
            let small = tensor.raw_data.len() <= 64;
            let replacements: Vec<Vec<u8>> = match tensor.data_type {
                7 if small => INTEGERS.map(|value| value.to_le_bytes().to_vec()).to_vec(),
                1 if small => FLOATS.map(|value| value.to_le_bytes().to_vec()).to_vec(),
                _ => continue,
            };
            for raw in replacements {
                for at in (0..tensor.raw_data.len()).step_by(raw.len()) {
                    let mut proto = case.proto.clone();
                    let changed = &mut proto.graph.as_mut().unwrap().initializer[index];
                    changed.raw_data[at..at + raw.len()].copy_from_slice(&raw);
                    try_it(&proto, &case.name);
                }
            }
        }
        for (index, node) in graph.node.iter().enumerate() {
            for (position, attribute) in node.attribute.iter().enumerate() {
                for value in INTEGERS {
                    for entry in 0..attribute.ints.len().max(1) {
                        let mut proto = case.proto.clone();
                        let node = &mut proto.graph.as_mut().unwrap().node[index];
                        let changed = &mut node.attribute[position];
                        changed.i = value;
                        if let Some(slot) = changed.ints.get_mut(entry) {
                            *slot = value;
                        }
                        try_it(&proto, &case.name);
                    }
                }
            }
        }
    }
}
