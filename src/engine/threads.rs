//! Threads where the operating system gives none: in WebAssembly, a thread is a worker that runs the same module over the same
//! memory, and that only the page can start.
//!
//! The engine's own thread is one of the pool, and never waits for the others: a worker that starts late, or not at all, costs its
//! help and nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use rayon::{ThreadBuilder, ThreadPoolBuildError, ThreadPoolBuilder};

/// Threads that nobody runs yet.
static WAITING: Mutex<Vec<ThreadBuilder>> = Mutex::new(Vec::new());
/// Told of each thread that is put there.
static MORE: Condvar = Condvar::new();
/// Threads that have joined the first.
static JOINED: AtomicUsize = AtomicUsize::new(0);

/// Makes this thread the first of `count`; the others are run by as many calls of [`join`].
///
/// # Errors
/// This thread belongs to a pool already.
pub fn start(count: usize) -> Result<(), ThreadPoolBuildError> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(count)
        .use_current_thread()
        .spawn_handler(|thread| {
            let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(thread);
            MORE.notify_one();
            Ok(())
        })
        .build()?;
    // It lasts as long as this thread does.
    std::mem::forget(pool);
    Ok(())
}

/// Runs one of the threads in the thread that calls it, and does not return.
pub fn join() {
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

/// Threads that take part in a run: the first, and those that have joined it.
#[must_use]
pub fn running() -> usize {
    1 + JOINED.load(Ordering::Relaxed)
}
