//! What the tests of gradients share: fixtures, running a graph, comparing.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};

use include_dir::{Dir, File, include_dir};

use gradlens::engine::{Engine, Tract, Value};
use ndarray::ArrayD;
use tract_onnx::pb::{ModelProto, TensorProto};

/// A file or folder of `tests/fixtures`.
pub fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(path)
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

/// Runs a graph in tract; `find` gives each of its inputs by name. Returns its outputs by name.
pub fn run(
    graph: &ModelProto,
    find: impl Fn(&str) -> Value,
) -> Result<Vec<(String, Value)>, String> {
    let declared = graph.graph.as_ref().unwrap();
    let inputs: Vec<Value> = declared.input.iter().map(|i| find(&i.name)).collect();
    let specs: Vec<_> = inputs.iter().map(Value::spec).collect();
    let session = Tract
        .prepare(graph.clone(), &specs)
        .map_err(|e| e.to_string())?;
    let values = session.run(&inputs).map_err(|e| e.to_string())?;
    let names = declared.output.iter().map(|output| output.name.clone());
    Ok(names.zip(values).collect())
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
