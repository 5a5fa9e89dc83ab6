//! The engine's threads: the page starts the workers.

use wasm_bindgen::prelude::*;

use super::thrown;
use crate::engine::threads;

/// Makes this worker the first of the engine's threads; as many others as are missing are to call [`join_threads`].
///
/// # Errors
/// One line: it has been called before.
#[wasm_bindgen]
pub fn start_threads(count: usize) -> Result<(), JsError> {
    threads::start(count).map_err(thrown)
}

/// Makes this worker one of the engine's threads, and does not return.
#[wasm_bindgen]
pub fn join_threads() {
    threads::join();
}
