//! Our own kernels, put in the place of tract's operators; in WebAssembly, a matrix kernel is plugged into its public registry, too.
//!
//! They are written once over registers ([`lanes`]) and compiled for each [`Set`] of instructions. The tests compare them with tract's.
#![allow(
    unsafe_code,
    reason = "tract hands kernels raw pointers; bounds checks in their loops would cost more than the sums"
)]

mod affine;
mod after;
mod convolution;
mod depthwise;
mod divide;
mod filled;
mod fold;
mod gather;
mod lanes;
mod matrix;
mod operator;
mod pool;
mod pools;
mod product;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod registry;
mod rim;
mod room;
mod set;
mod sweep;
mod tile;
mod upright;
mod window;
mod winograd;

use std::sync::{Mutex, PoisonError};

use tract_onnx::prelude::{TractResult, TypedModel};
use tract_onnx::tract_core::optim::Optimizer;

use super::hollow::Store;

pub use after::After;
pub use convolution::Convolution;
pub use matrix::matrix_tile;
pub use pool::{largest, mean};
pub use set::Set;
pub use window::Window;

/// Makes sure that the registry's entries are part of the program: a linker drops what nothing refers to.
pub(super) fn register() {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    registry::keep();
}

/// Replaces the operators of a graph that the kernels can do.
pub(super) fn quicken(model: &mut TypedModel) -> TractResult<()> {
    if !operator::replace(model)? {
        // Weights may still be the result of a cast or a reshape.
        Optimizer::prop_consts().optimize(model)?;
        operator::replace(model)?;
    }
    affine::replace(model)?;
    rim::replace(model)?;
    pools::replace(model)
}

/// Puts the weights of a graph in the form that the kernels want, each thread some of them.
pub(super) fn prepare(model: &mut TypedModel, store: &Store) -> TractResult<()> {
    let nodes = model.nodes.iter_mut();
    let own = nodes.filter_map(|node| node.op_as_mut::<operator::Convolve>());
    let own: Vec<Mutex<&mut operator::Convolve>> = own.map(Mutex::new).collect();
    let failed = Mutex::new(Ok(()));
    divide::each(own.len(), |index| {
        let op = &mut own[index].lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = op.prepare(store) {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Err(error);
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}
