//! The kernels that are plugged into tract against tract's own portable ones, natively and in browsers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]
#![allow(
    unsafe_code,
    reason = "tract's kernels take raw pointers, from tests too"
)]

mod common;

use gradlens::engine::kernels::{After, Convolution, Set, Window, largest, matrix_tile, mean};
use gradlens::engine::{Engine, Kind, Spec, Tract, TractWithoutKernels, Value, threads};
use gradlens::gradient::{SEED, differentiate};
use gradlens::model::{Limits, Model, onnx};
use gradlens::random::SplitMix;
use ndarray::ArrayD;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{DatumType, Tensor};
use tract_onnx::tract_core::tract_linalg::BinOp;
use tract_onnx::tract_core::tract_linalg::generic::mmm::generic_f32_4x4;
use tract_onnx::tract_core::tract_linalg::mmm::{
    AsInputValue, FusedKerSpec, FusedSpec, MatMatMul, MatMatMulKer, OutputStoreKer,
};
use wasm_bindgen_test::wasm_bindgen_test;

use common::{classifier, classifier_names, take, worst};

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

const BINARY: [BinOp; 6] = [
    BinOp::Min,
    BinOp::Max,
    BinOp::Add,
    BinOp::Mul,
    BinOp::Sub,
    BinOp::SubF,
];

/// What a random product is made of.
struct Numbers(SplitMix);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.draw() % bound as u64) as usize
    }

    /// From -1 to 1; now and then something that minimum, maximum and a comparison treat in their own way.
    fn float(&mut self) -> f32 {
        match self.below(40) {
            0 => 0.0,
            1 => -0.0,
            _ => (self.0.draw() >> 40) as f32 / (1 << 23) as f32 - 1.0,
        }
    }

    fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.float()).collect();
        Tensor::from_shape(shape, &values).unwrap()
    }
}

/// A step after a product, with the values it needs.
enum Step {
    Scalar(Tensor, BinOp),
    Row(Tensor, BinOp),
    Column(Tensor, BinOp),
    Outer(Tensor, Tensor),
    Other(Tensor),
    Leaky(Tensor),
}

/// A product of random size, what follows it, and whether the result's columns lie together.
struct Product {
    a: Tensor,
    b: Tensor,
    steps: Vec<Step>,
    by_rows: bool,
}

impl Product {
    fn random(numbers: &mut Numbers) -> Product {
        let [m, k, n] = [23, 40, 37].map(|bound| 1 + numbers.below(bound));
        let steps = (0..numbers.below(4))
            .map(|_| {
                let op = BINARY[numbers.below(BINARY.len())];
                match numbers.below(6) {
                    0 => Step::Scalar(numbers.tensor(&[]), op),
                    1 => Step::Row(numbers.tensor(&[m]), op),
                    2 => Step::Column(numbers.tensor(&[n]), op),
                    3 => Step::Outer(numbers.tensor(&[m]), numbers.tensor(&[n])),
                    4 => Step::Other(numbers.tensor(&[m, n])),
                    _ => Step::Leaky(numbers.tensor(&[])),
                }
            })
            .collect();
        Product {
            a: numbers.tensor(&[m, k]),
            b: numbers.tensor(&[k, n]),
            steps,
            by_rows: numbers.below(2) == 0,
        }
    }

    fn run(&self, kernel: &dyn MatMatMul) -> Vec<f32> {
        let (m, n) = (self.a.shape()[0], self.b.shape()[1]);
        let (row, column) = if self.by_rows { (n, 1) } else { (1, m) };
        let mut result = Tensor::zero_dt(DatumType::F32, &[m * n]).unwrap();
        let (format_a, format_b) = &kernel.packings()[0];
        let a = format_a.prepare_one(&self.a, 1, 0).unwrap();
        let b = format_b.prepare_one(&self.b, 0, 1).unwrap();
        let mut specs = vec![FusedSpec::AddMatMul {
            a: AsInputValue::Owned(a),
            b: AsInputValue::Owned(b),
            packing: 0,
        }];
        for step in &self.steps {
            specs.push(match step {
                Step::Scalar(value, op) => FusedSpec::BinScalar(value, *op),
                Step::Row(values, op) => FusedSpec::BinPerRow(values.view(), *op),
                Step::Column(values, op) => FusedSpec::BinPerCol(values.view(), *op),
                Step::Outer(rows, columns) => FusedSpec::AddRowColProducts(rows, columns),
                Step::Other(values) => FusedSpec::AddUnicast(unsafe {
                    kernel.c_view(Some(0), Some(1)).wrap(&values.view())
                }),
                Step::Leaky(slope) => FusedSpec::LeakyRelu(slope),
            });
        }
        assert!(specs.iter().all(|spec| kernel.can_fuse(spec)));
        unsafe {
            let store = kernel.c_from_data_and_strides(4, row as isize, column as isize);
            specs.push(FusedSpec::Store(store.wrap(&result.view_mut())));
            kernel.run(m, n, &specs).unwrap();
        }
        let plain = result.try_as_plain_ram().unwrap();
        plain.as_slice::<f32>().unwrap().to_vec()
    }
}

/// Equal to the bit, but for the sign of a zero: which of two zeros a minimum returns is nobody's promise.
fn assert_same(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let same = found == expected || (found.is_nan() && expected.is_nan());
        assert!(same, "{what}: {found} instead of {expected} at {index}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn products_of_random_size_and_what_follows_them() {
    let mut numbers = Numbers(SplitMix(1));
    let tile = matrix_tile().mmm();
    let generic = generic_f32_4x4.mmm();
    for case in 0..400 {
        let product = Product::random(&mut numbers);
        let what = format!("case {case}");
        assert_same(&product.run(&*tile), &product.run(&*generic), &what);
    }
}

/// Runs a kernel on one tile: loads it, does `steps`, stores it with the given distances, in floats, between rows and columns.
fn on_a_tile(steps: &[FusedKerSpec<f32>], distances: [usize; 2]) -> Vec<f32> {
    let kernel = matrix_tile();
    let (rows, columns) = (MatMatMulKer::mr(&kernel), MatMatMulKer::nr(&kernel));
    let mut result = vec![f32::MAX; rows * distances[0] + columns * distances[1]];
    let mut all = vec![FusedKerSpec::Clear];
    all.extend_from_slice(steps);
    all.push(FusedKerSpec::Store(OutputStoreKer {
        ptr: result.as_mut_ptr().cast(),
        row_byte_stride: 4 * distances[0] as isize,
        col_byte_stride: 4 * distances[1] as isize,
        item_size: 4,
    }));
    all.push(FusedKerSpec::Done);
    assert_eq!(kernel.kernel(&all), 0);
    result
}

#[wasm_bindgen_test(unsupported = test)]
fn a_tile_is_loaded_and_stored_at_any_distance() {
    let by_rows: Vec<f32> = (0..32).map(|value| value as f32).collect();
    for distances in [[8, 1], [1, 4], [50, 1], [120, 3], [2, 16]] {
        let load = FusedKerSpec::LoadTile(std::ptr::null(), by_rows.as_ptr());
        let stored = on_a_tile(&[load], distances);
        let mut expected = vec![f32::MAX; stored.len()];
        for row in 0..4 {
            for column in 0..8 {
                expected[row * distances[0] + column * distances[1]] = by_rows[row * 8 + column];
            }
        }
        assert_eq!(stored, expected, "{distances:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_not_a_number_is_treated_as_tract_does() {
    let nan = [f32::NAN; 8];
    for (steps, is_nan) in [
        // A minimum keeps the sum where the comparison is false.
        (vec![FusedKerSpec::ScalarMin(f32::NAN)], false),
        (vec![FusedKerSpec::ScalarMax(f32::NAN)], false),
        (
            vec![
                FusedKerSpec::PerColAdd(nan.as_ptr()),
                FusedKerSpec::ScalarMax(0.0),
            ],
            true,
        ),
        (
            vec![
                FusedKerSpec::PerRowAdd(nan.as_ptr()),
                FusedKerSpec::LeakyRelu(0.5),
            ],
            true,
        ),
    ] {
        let found = on_a_tile(&steps, [8, 1]);
        assert!(
            found[..32].iter().all(|value| value.is_nan() == is_nan),
            "{steps:?}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_the_tile_cannot_do_is_an_error() {
    let kernel = matrix_tile();
    assert_eq!(kernel.kernel(&[FusedKerSpec::ShiftLeft(1)]), 1);
    assert!(!MatMatMulKer::can_fuse(&kernel, &FusedSpec::ShiftLeft(1)));
}

#[cfg(target_arch = "wasm32")]
#[wasm_bindgen_test]
fn tract_prefers_the_tile_for_products_of_matrices() {
    use tract_onnx::tract_core::tract_linalg::MmmDispatch;

    // What refers to the engine is linked with it, and the tile's entry in tract's registry with that.
    assert_eq!(Tract.info().simd, "wasm-simd128");
    let chosen = |m, n| {
        let kernel = MmmDispatch::native().preferred_kernel(DatumType::F32, m, Some(64), n);
        kernel.unwrap().name().to_owned()
    };
    assert_eq!(chosen(Some(32), Some(100)), "gradlens_f32_4x8");
    assert_eq!(chosen(Some(32), None), "gradlens_f32_4x8");
    assert!(chosen(Some(32), Some(1)).starts_with("wasm_f32"));
}

/// A convolution of random geometry, of up to `scale` times 30 maps; `None` where the window is larger than the map.
fn random_convolution(numbers: &mut Numbers, scale: usize) -> Option<Convolution> {
    let mut pair = |first: usize, bound: usize| [0, 1].map(|_| first + numbers.below(bound));
    let size = pair(1, 32);
    let kernel = match pair(0, 4)[0] {
        0 => [3, 3],
        1 => [1, 1],
        _ => pair(1, 7),
    };
    let strides = match pair(0, 8)[0] {
        0..4 => [1, 1],
        4..7 => pair(1, 3),
        _ => pair(1, 40),
    };
    let dilations = match pair(0, 4)[0] {
        0 => pair(1, 2),
        _ => [1, 1],
    };
    let (before, behind) = (pair(0, 4), pair(0, 3));
    let mut output = [0; 2];
    for axis in 0..2 {
        let extent = (kernel[axis] - 1) * dilations[axis] + 1;
        let room = (size[axis] + before[axis] + behind[axis]).checked_sub(extent)?;
        output[axis] = room / strides[axis] + 1;
    }
    let [a, b, c] = [5, 9, 30].map(|bound| 1 + numbers.below(scale * bound));
    let (maps, rows, groups) = match numbers.below(3) {
        0 => (b, b, b),
        1 => (2 * a, 2 * b, 2),
        _ => (c, b + 2 * a, 1),
    };
    let after = match numbers.below(4) {
        0 => vec![],
        1 => vec![After::AtLeast(0.0)],
        2 => vec![After::AtLeast(0.0), After::AtMost(6.0)],
        _ => vec![After::HardSwish],
    };
    let window = Window {
        size,
        output,
        kernel,
        strides,
        dilations,
        before,
    };
    Some(Convolution {
        window,
        maps,
        rows,
        groups,
        after,
        set: Set::best(),
    })
}

/// The definition, in double precision.
fn by_definition(of: &Convolution, kernels: &[f32], bias: &[f32], maps: &[f32]) -> Vec<f32> {
    let Window {
        size,
        output,
        kernel,
        strides,
        dilations,
        before,
    } = &of.window;
    let [maps_each, rows_each] = [of.maps / of.groups, of.rows / of.groups];
    let mut results = Vec::new();
    for row in 0..of.rows {
        for position in 0..output[0] * output[1] {
            let place = [position / output[1], position % output[1]];
            let mut sum = f64::from(bias[row]);
            for map in 0..maps_each {
                for tap in 0..kernel[0] * kernel[1] {
                    let tap_at = [tap / kernel[1], tap % kernel[1]];
                    let at = [0, 1].map(|axis| {
                        (place[axis] * strides[axis] + tap_at[axis] * dilations[axis])
                            .checked_sub(before[axis])
                            .filter(|&at| at < size[axis])
                    });
                    let [Some(y), Some(x)] = at else { continue };
                    let map_index = row / rows_each * maps_each + map;
                    let weight = kernels[(row * maps_each + map) * kernel[0] * kernel[1] + tap];
                    let value = maps[(map_index * size[0] + y) * size[1] + x];
                    sum += f64::from(weight) * f64::from(value);
                }
            }
            for step in &of.after {
                sum = match *step {
                    After::AtLeast(low) => sum.max(low.into()),
                    After::AtMost(high) => sum.min(high.into()),
                    After::HardSwish => sum * (sum / 6.0 + 0.5).clamp(0.0, 1.0),
                };
            }
            results.push(sum as f32);
        }
    }
    results
}

#[wasm_bindgen_test(unsupported = test)]
fn convolutions_of_random_geometry_are_what_the_definition_says() {
    for set in Set::available() {
        let mut numbers = Numbers(SplitMix(2));
        for case in 0..600 {
            // Every sixth is large: its columns are several panels, and its maps more than stay in the cache.
            let scale = if case % 6 == 0 { 8 } else { 1 };
            let Some(convolution) = random_convolution(&mut numbers, scale) else {
                continue;
            };
            let convolution = Convolution { set, ..convolution };
            let window = &convolution.window;
            let count = convolution.rows * convolution.maps / convolution.groups;
            let mut floats = |count: usize| (0..count).map(|_| numbers.float()).collect::<Vec<_>>();
            let kernels = floats(count * window.taps());
            let bias = floats(convolution.rows);
            let maps = floats(convolution.maps * window.size[0] * window.size[1]);
            let mut found = vec![f32::NAN; convolution.rows * window.positions()];
            let mut prepared = vec![f32::NAN; convolution.prepared_length()];
            convolution.prepare(&kernels, &mut prepared);
            convolution.run(&prepared, &bias, &maps, &mut found);
            let expected = by_definition(&convolution, &kernels, &bias, &maps);
            let name = set.name();
            // Sums are of up to 12000 numbers below one.
            let bound = 5e-5 * (scale as f32).sqrt();
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() < bound * expected.abs().max(1.0),
                    "{name}, case {case}: {found}, {expected}, {convolution:?}"
                );
            }
        }
    }
}

/// What convolutions and pooling of random geometry make of random maps, bit by bit.
#[cfg(not(target_arch = "wasm32"))]
fn bits_of_random_geometry(set: Set) -> Vec<Vec<u32>> {
    let mut numbers = Numbers(SplitMix(3));
    let mut results = Vec::new();
    while results.len() < 150 {
        let Some(convolution) = random_convolution(&mut numbers, 12) else {
            continue;
        };
        let convolution = Convolution { set, ..convolution };
        let window = &convolution.window;
        let count = convolution.rows * convolution.maps / convolution.groups;
        let mut floats = |count: usize| (0..count).map(|_| numbers.float()).collect::<Vec<_>>();
        let mut kernels = vec![f32::NAN; convolution.prepared_length()];
        convolution.prepare(&floats(count * window.taps()), &mut kernels);
        let bias = floats(convolution.rows);
        let maps = floats(convolution.maps * window.size[0] * window.size[1]);
        let mut convolved = vec![f32::NAN; convolution.rows * window.positions()];
        convolution.run(&kernels, &bias, &maps, &mut convolved);
        let pooled = |pool: &dyn Fn(&mut [f32])| {
            let mut pooled = vec![f32::NAN; convolution.maps * window.positions()];
            pool(&mut pooled);
            pooled
        };
        let parts = [
            convolved,
            pooled(&|pooled| largest(set, window, &maps, pooled)),
            pooled(&|pooled| mean(set, window, true, &maps, pooled)),
            pooled(&|pooled| mean(set, window, false, &maps, pooled)),
        ];
        results.push(parts.concat().into_iter().map(f32::to_bits).collect());
    }
    results
}

/// Natively, since the threads of a browser are the page's; what they do is the same there.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn several_threads_give_the_same_as_one_to_the_bit() {
    assert_eq!(threads::running(), 1, "no other test may start threads");
    let every_set = || {
        Set::available()
            .into_iter()
            .flat_map(bits_of_random_geometry)
    };
    let alone: Vec<_> = every_set().collect();
    for more in [1, 2] {
        for _ in 0..more {
            std::thread::spawn(threads::join);
        }
        let count = if more == 1 { 2 } else { 4 };
        while threads::running() < count {
            std::thread::yield_now();
        }
        for (case, (alone, together)) in alone.iter().zip(every_set()).enumerate() {
            assert!(*alone == together, "case {case}, {count} threads");
        }
    }
}

/// The outputs of a gradient graph at the recommended layer and the pixels.
fn outputs(
    engine: &dyn Engine,
    graph: &ModelProto,
    input: &ArrayD<f32>,
    seed: &ArrayD<f32>,
) -> Vec<ArrayD<f32>> {
    let declared = &graph.graph.as_ref().unwrap().input;
    let given: Vec<&ArrayD<f32>> = declared
        .iter()
        .map(|declared| if declared.name == SEED { seed } else { input })
        .collect();
    let specs: Vec<Spec> = given
        .iter()
        .map(|values| Spec {
            kind: Kind::F32,
            shape: values.shape().to_vec(),
        })
        .collect();
    let session = engine.prepare(graph.clone(), &specs).unwrap();
    let values: Vec<Value> = given.into_iter().cloned().map(Value::F32).collect();
    let results = session.run(&values).unwrap();
    results.into_iter().filter_map(Value::into_f32).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn small_classifiers_give_the_same_with_and_without_the_kernels() {
    for name in classifier_names() {
        let bytes = classifier(name).unwrap();
        let mut proto = onnx::read(bytes, &Limits::default()).unwrap();
        let [input, seed] =
            ["input", "seed"].map(|what| take(&mut proto, &format!("fixture/{what}")));
        for what in ["scores", "gradient/layer", "gradient/input", "cam"] {
            take(&mut proto, &format!("expected/{what}"));
        }
        let model = Model::open(&onnx::write(&proto), None, name).unwrap();
        let graph = differentiate(&model, std::slice::from_ref(&model.layer), true).unwrap();
        let [with, without] = [&Tract as &dyn Engine, &TractWithoutKernels]
            .map(|engine| outputs(engine, &graph, &input, &seed));
        for (with, without) in with.iter().zip(&without) {
            let error = worst(with, without);
            assert!(error < 1e-5, "{name}: {error:e} of the maximum");
        }
    }
}
