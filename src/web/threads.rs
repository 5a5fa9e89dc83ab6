//! The engine's threads: the page starts the workers.

use wasm_bindgen::prelude::*;

use crate::engine::threads;

/// Makes this worker one of the engine's threads, and does not return.
#[wasm_bindgen]
pub fn join_threads() {
    threads::join();
}
