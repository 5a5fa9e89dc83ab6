//! Threads of the page: workers that run the engine's module over the same memory, as threads of rayon's.
//!
//! The engine's own thread is one of the pool, and never waits for the others: a worker that starts late, or not at all, costs its
//! help and nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use rayon::{ThreadBuilder, ThreadPoolBuilder};
use wasm_bindgen::prelude::*;

use super::thrown;

/// Threads that nobody runs yet.
static WAITING: Mutex<Vec<ThreadBuilder>> = Mutex::new(Vec::new());
/// Told of each thread that is put there.
static MORE: Condvar = Condvar::new();
/// Threads that workers run.
static JOINED: AtomicUsize = AtomicUsize::new(0);

/// Makes this thread the first of `count`; the others are run by as many calls of [`join_threads`].
///
/// # Errors
/// One line: this thread belongs to a pool already.
#[wasm_bindgen]
pub fn start_threads(count: usize) -> Result<(), JsError> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(count)
        .use_current_thread()
        .spawn_handler(|thread| {
            let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(thread);
            MORE.notify_one();
            Ok(())
        })
        .build()
        .map_err(thrown)?;
    // It lasts as long as the page's worker does.
    std::mem::forget(pool);
    Ok(())
}

/// Runs one of the threads in the worker that calls it, and does not return.
#[wasm_bindgen]
pub fn join_threads() {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    let thread = loop {
        match waiting.pop() {
            Some(thread) => break thread,
            None => waiting = MORE.wait(waiting).unwrap_or_else(PoisonError::into_inner),
        }
    };
    drop(waiting);
    JOINED.fetch_add(1, Ordering::Relaxed);
    thread.run();
}

/// Threads that take part in a run: this one, and those of the workers that have joined.
#[wasm_bindgen]
#[must_use]
pub fn threads() -> usize {
    1 + JOINED.load(Ordering::Relaxed)
}
