//! What the tests of gradients share: fixtures, running a graph, comparing.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

#[cfg(all(feature = "cuda", not(target_arch = "wasm32")))]
pub mod kernels;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use include_dir::{Dir, File, include_dir};

#[cfg(all(feature = "cuda", not(target_arch = "wasm32")))]
use gradlens::engine::cuda::{Cuda, Precision};
use gradlens::engine::{Engine, Tract, TractWithoutKernels, Value};
use gradlens::explain::{Explainer, Manner, Observation, Question, Target, method};
use gradlens::gradient::{self, split_at_seed};
use gradlens::model::{Limits, Model, onnx};
use ndarray::{ArrayD, Axis, Ix4, Slice};
use prost::Message as _;
use tract_onnx::pb::{ModelProto, TensorProto};

/// A file or folder of `tests/fixtures`.
pub fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(path)
}

/// The engine that is tested: tract, or what `GRADLENS_TEST_ENGINE` names. `tract-alone` is tract without our kernels,
/// `cuda` is this machine's GPU, `cuda-kernels` runs the kernels' text on the processor; both need the feature `cuda`.
pub fn engine() -> Arc<dyn Engine> {
    static ENGINE: OnceLock<Arc<dyn Engine>> = OnceLock::new();
    let chosen = || -> Arc<dyn Engine> {
        match std::env::var("GRADLENS_TEST_ENGINE").as_deref() {
            Err(_) | Ok("" | "tract") => Arc::new(Tract),
            Ok("tract-alone") => Arc::new(TractWithoutKernels),
            #[cfg(all(feature = "cuda", not(target_arch = "wasm32")))]
            Ok("cuda-kernels") => Arc::new(kernels::engine(Precision::Strict)),
            #[cfg(all(feature = "cuda", not(target_arch = "wasm32")))]
            Ok("cuda") => Arc::new(Cuda::open(Precision::Strict).unwrap()),
            Ok(other) => panic!("there is no engine '{other}' in this build"),
        }
    };
    ENGINE.get_or_init(chosen).clone()
}

/// The graphs of `tests/fixtures/ops`, inside the binary: a browser has no files.
static OPERATORS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/tests/fixtures/ops");

/// The names of the operator fixtures, sorted.
pub fn operator_fixtures() -> Vec<&'static str> {
    let stem = |file: &'static File<'_>| file.path().file_stem()?.to_str();
    let mut names: Vec<&str> = OPERATORS.files().filter_map(stem).collect();
    names.sort_unstable();
    names
}

/// The bytes of an operator fixture.
pub fn operator_fixture(name: &str) -> &'static [u8] {
    OPERATORS
        .get_file(format!("{name}.onnx"))
        .unwrap()
        .contents()
}

/// The small classifiers of `tests/fixtures/zoo`, inside the binary.
static CLASSIFIERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/tests/fixtures/zoo");

/// The bytes of a small classifier.
pub fn classifier(name: &str) -> Option<&'static [u8]> {
    CLASSIFIERS
        .get_file(format!("{name}.onnx"))
        .map(File::contents)
}

/// The names of the small classifiers.
pub fn classifier_names() -> impl Iterator<Item = &'static str> {
    CLASSIFIERS
        .files()
        .filter_map(|file| file.path().file_stem()?.to_str())
}

/// How many small classifiers there are.
pub fn classifiers() -> usize {
    CLASSIFIERS.files().count()
}

/// Takes an initializer out of a model.
pub fn take(proto: &mut ModelProto, name: &str) -> ArrayD<f32> {
    let stored = &mut proto.graph.as_mut().unwrap().initializer;
    let position = stored.iter().position(|tensor| tensor.name == name);
    array(&stored.remove(position.unwrap_or_else(|| panic!("there is no '{name}'"))))
}

/// The values of an f32 initializer.
pub fn array(tensor: &TensorProto) -> ArrayD<f32> {
    let values = tensor
        .raw_data
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes));
    let shape: Vec<usize> = tensor.dims.iter().map(|&dim| dim as usize).collect();
    ArrayD::from_shape_vec(shape, values.collect()).unwrap()
}

/// The tensors of a fixture that is a graph without nodes, by their names.
pub fn stored(bytes: &[u8]) -> HashMap<String, ArrayD<f32>> {
    let tensors = ModelProto::decode(bytes)
        .unwrap()
        .graph
        .unwrap()
        .initializer;
    let named = tensors.iter();
    named
        .map(|tensor| (tensor.name.clone(), array(tensor)))
        .collect()
}

/// What the peers' fixtures explain: the logit of a class.
pub const QUESTION: Question = Question {
    class: 1,
    contrast: None,
    target: Target::Logit,
    counterfactual: false,
};

/// A small classifier made ready for a method, and what it makes of the first of its pictures.
pub fn observed(name: &str, method_id: &str) -> (Explainer, Observation) {
    observed_in(name, method_id, &Manner::default())
}

/// The same, with layers and smoothing.
pub fn observed_in(name: &str, method_id: &str, manner: &Manner) -> (Explainer, Observation) {
    let mut proto = onnx::read(classifier(name).unwrap(), &Limits::default()).unwrap();
    let pictures = take(&mut proto, "fixture/input");
    let model = Model::open(&onnx::write(&proto), None, name).unwrap();
    let method = method(method_id).unwrap();
    let explainer = Explainer::for_method(engine(), Arc::new(model), method, manner).unwrap();
    let first = pictures.slice_axis(Axis(0), Slice::from(0..1)).to_owned();
    let seen = explainer.observe(&first.into_dimensionality::<Ix4>().unwrap());
    let seen = seen.unwrap();
    (explainer, seen)
}

/// Runs a graph; `find` gives each of its inputs by name. Returns its outputs by name.
pub fn run(
    graph: &ModelProto,
    find: impl Fn(&str) -> Value,
) -> Result<Vec<(String, Value)>, String> {
    let declared = graph.graph.as_ref().unwrap();
    let inputs: Vec<Value> = declared.input.iter().map(|i| find(&i.name)).collect();
    let specs: Vec<_> = inputs.iter().map(Value::spec).collect();
    let session = engine()
        .prepare(graph.clone(), &specs)
        .map_err(|e| e.to_string())?;
    let values = session.run(&inputs).map_err(|e| e.to_string())?;
    let names = declared.output.iter().map(|output| output.name.clone());
    Ok(names.zip(values).collect())
}

/// Runs a gradient graph as a whole, and cut at the seed: the outputs of the one, and of both parts of the other.
pub fn run_both_ways(
    graph: &ModelProto,
    given: impl Fn(&str) -> Value,
) -> Result<[Vec<(String, Value)>; 2], String> {
    let whole = run(graph, &given).map_err(|error| format!("whole: {error}"))?;
    let halves = split_at_seed(graph.clone()).map_err(|error| error.to_string())?;
    let mut parts = run(&halves.body, &given).map_err(|error| format!("body: {error}"))?;
    let handed = |name: &str| match name {
        gradient::SEED => given(name),
        _ => named(&parts, name),
    };
    let head = run(&halves.head, handed).map_err(|error| format!("head: {error}"))?;
    parts.extend(head);
    Ok([whole, parts])
}

/// The value named `name`.
pub fn named(values: &[(String, Value)], name: &str) -> Value {
    let found = values.iter().find(|(known, _)| known == name);
    found
        .unwrap_or_else(|| panic!("there is no '{name}'"))
        .1
        .clone()
}

/// The floats named `name`.
pub fn floats(values: &[(String, Value)], name: &str) -> ArrayD<f32> {
    named(values, name)
        .into_f32()
        .unwrap_or_else(|| panic!("'{name}' is not f32"))
}

/// The largest difference, as a part of the largest expected magnitude; infinite where the shapes differ or a value is
/// no number. Where zero is expected everywhere, the largest value found.
pub fn worst(found: &ArrayD<f32>, expected: &ArrayD<f32>) -> f32 {
    if found.shape() != expected.shape() || found.iter().any(|value| !value.is_finite()) {
        return f32::INFINITY;
    }
    let largest = |values: &mut dyn Iterator<Item = f32>| values.map(f32::abs).fold(0.0, f32::max);
    let scale = largest(&mut expected.iter().copied());
    let difference = largest(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    if scale > 0.0 {
        difference / scale
    } else {
        difference
    }
}
