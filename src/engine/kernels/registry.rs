//! Tells tract of the tile, and that it comes first.

use tract_onnx::prelude::DatumType;
use tract_onnx::tract_core::tract_linalg::isa::{Arch, IsaSet};
use tract_onnx::tract_core::tract_linalg::mmm::{MatMatMul, Query, Suitable};
use tract_onnx::tract_core::tract_linalg::mmm_routines::MmmRoutine;
use tract_onnx::tract_core::tract_linalg::mmm_tiers::MmmTier;

use super::matrix;

/// Above tract's own tier for WebAssembly, which has 1.
const PRECEDENCE: u8 = 9;

tract_onnx::tract_core::internal::inventory::submit! {
    MmmRoutine { make }
}

tract_onnx::tract_core::internal::inventory::submit! {
    MmmTier {
        arch: Some(Arch::Wasm32Simd128),
        precedence: PRECEDENCE,
        name: "gradlens",
        applies: |_| true,
        preferred,
    }
}

fn make() -> Box<dyn MatMatMul> {
    let mut tile = matrix::matrix_tile();
    // Without it the tile counts as portable code, which comes after tract's own.
    tile.arch = Some(Arch::Wasm32Simd128);
    tile.mmm()
}

/// Products of matrices are the tile's; those with a vector have kernels of tract's own.
fn preferred(_: &IsaSet, kind: DatumType, query: &Query, _: &[Suitable]) -> Option<&'static str> {
    (kind == DatumType::F32 && query.n != Some(1)).then_some(matrix::NAME)
}

/// Refers to this module's part of the program.
#[inline(never)]
pub(super) fn keep() {
    std::hint::black_box(preferred as fn(&IsaSet, DatumType, &Query, &[Suitable]) -> _);
}
