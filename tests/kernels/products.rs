//! The matrix tile, against tract's portable one.

use gradlens::engine::kernels::matrix_tile;
#[cfg(target_arch = "wasm32")]
use gradlens::engine::{Engine, Tract};
use gradlens::random::SplitMix;
use tract_onnx::prelude::{DatumType, Tensor};
use tract_onnx::tract_core::tract_linalg::BinOp;
use tract_onnx::tract_core::tract_linalg::generic::mmm::generic_f32_4x4;
use tract_onnx::tract_core::tract_linalg::mmm::{
    AsInputValue, FusedKerSpec, FusedSpec, MatMatMul, MatMatMulKer, OutputStoreKer,
};
use wasm_bindgen_test::wasm_bindgen_test;

use super::{Numbers, assert_same};

const BINARY: [BinOp; 6] = [
    BinOp::Min,
    BinOp::Max,
    BinOp::Add,
    BinOp::Mul,
    BinOp::Sub,
    BinOp::SubF,
];

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
