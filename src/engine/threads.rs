//! Work divided among threads: natively those of [`start`], in WebAssembly those that others bring, since there a thread is a worker that
//! runs the same module over the same memory, and only the page can start it.
//!
//! Runs of different pictures may be in progress at once, each on a thread of its own. Helpers are for the processors that are left:
//! with as many runs as there are threads, none takes part.
//!
//! A network is a hundred pieces of work of some ten to a thousand microseconds, one after the other. Between them threads keep looking
//! for the next piece for a while: going to sleep and being woken takes longer than most of them. (rayon's threads go to sleep at
//! once here, as they cannot yield: with them, mobilenet_v3_large takes 10.0 instead of 8.9 ms.) A thread that comes late, or not at all, costs its
//! help and nothing else: all parts that nobody has taken are done by the one who asks.
#![allow(
    unsafe_code,
    reason = "what a part does is borrowed from the stack of the thread that asks for it"
)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How often a thread looks before it goes to sleep: about a tenth of a millisecond. Natively, each look is a pause of the processor's.
const LOOKS: usize = if cfg!(target_arch = "wasm32") {
    1 << 16
} else {
    1 << 12
};

/// What each part does.
type Work<'a> = &'a (dyn Fn(usize) + Sync + 'a);

/// The piece of work at hand, and who waits for what.
struct Board {
    /// Threads that have joined.
    joined: AtomicUsize,
    /// Runs in progress.
    runs: AtomicUsize,
    /// Whether a piece of work is being done.
    busy: AtomicBool,
    /// Its number, the next part of it, and the number of its parts, see [`Ticket`].
    ticket: AtomicU64,
    /// A pointer to its [`Work`], good as long as parts are left.
    work: AtomicPtr<()>,
    /// Parts that are not done.
    left: AtomicUsize,
    /// What the first part to panic said.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Threads that sleep, or are about to: told of new work, or of its end.
    asleep: AtomicUsize,
    lock: Mutex<()>,
    bell: Condvar,
}

static BOARD: Board = Board {
    joined: AtomicUsize::new(0),
    runs: AtomicUsize::new(0),
    busy: AtomicBool::new(false),
    ticket: AtomicU64::new(0),
    work: AtomicPtr::new(std::ptr::null_mut()),
    left: AtomicUsize::new(0),
    panic: Mutex::new(None),
    asleep: AtomicUsize::new(0),
    lock: Mutex::new(()),
    bell: Condvar::new(),
};

/// Threads that take part: the one that asks, and those that have joined.
#[must_use]
pub fn running() -> usize {
    1 + BOARD.joined.load(Ordering::Relaxed)
}

/// Threads that a piece of work can have now: those that no other run is in progress on.
pub(super) fn free() -> usize {
    let others = BOARD.runs.load(Ordering::Relaxed).saturating_sub(1);
    running().saturating_sub(others).max(1)
}

/// A run in progress, until it is dropped.
pub(super) struct Run(());

/// Tells that a run is in progress on the calling thread.
pub(super) fn enter() -> Run {
    BOARD.runs.fetch_add(1, Ordering::Relaxed);
    Run(())
}

impl Drop for Run {
    fn drop(&mut self) {
        BOARD.runs.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Starts threads that take part, so that there are `count` with the one that asks. They stay, asleep when there is nothing to do.
///
/// # Errors
/// The system's, where it has no more threads.
#[cfg(not(target_arch = "wasm32"))]
pub fn start(count: usize) -> std::io::Result<()> {
    static STARTED: Mutex<usize> = Mutex::new(1);
    let mut started = lock(&STARTED);
    while *started < count {
        std::thread::Builder::new()
            .name(format!("kernels {started}"))
            .spawn(join)?;
        *started += 1;
    }
    Ok(())
}

/// Makes the calling thread one that takes part. It does not return.
pub fn join() {
    let number = BOARD.joined.fetch_add(1, Ordering::Relaxed) + 1;
    loop {
        BOARD.wait(|| BOARD.has_parts() && number < free());
        BOARD.do_parts();
    }
}

/// Calls `work` with every number below `parts`, on all threads at once unless they are busy. Comes back when all is done.
pub(super) fn each(parts: usize, work: Work) {
    let count = u16::try_from(parts).unwrap_or(0);
    if count < 2 || free() == 1 || BOARD.busy.swap(true, Ordering::Acquire) {
        return (0..parts).for_each(work);
    }
    BOARD.post(count, &raw const work);
    BOARD.do_parts();
    BOARD.wait(|| BOARD.left.load(Ordering::SeqCst) == 0);
    let panic = lock(&BOARD.panic).take();
    BOARD.busy.store(false, Ordering::Release);
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

/// The number of a piece of work in the upper half, then the next part of it, then how many there are.
#[derive(Clone, Copy)]
struct Ticket(u64);

impl Ticket {
    fn next(self) -> u16 {
        (self.0 >> 16) as u16
    }

    fn parts(self) -> u16 {
        self.0 as u16
    }

    fn with_one_taken(self) -> Ticket {
        Ticket(self.0 + (1 << 16))
    }

    /// That of the next piece of work.
    fn following(self, parts: u16) -> Ticket {
        Ticket(((self.0 >> 32) + 1) << 32 | u64::from(parts))
    }
}

impl Board {
    fn ticket(&self) -> Ticket {
        Ticket(self.ticket.load(Ordering::SeqCst))
    }

    fn has_parts(&self) -> bool {
        let ticket = self.ticket();
        ticket.next() < ticket.parts()
    }

    /// Puts up a piece of work. `work` must be good until no parts are left.
    fn post(&self, parts: u16, work: *const Work) {
        self.left.store(usize::from(parts), Ordering::Relaxed);
        self.work.store(work.cast_mut().cast(), Ordering::Relaxed);
        let ticket = self.ticket().following(parts);
        self.ticket.store(ticket.0, Ordering::SeqCst);
        self.ring();
    }

    /// Does parts of the work at hand until all are taken.
    fn do_parts(&self) {
        while let Some(part) = self.take_part() {
            // Safety: `each` waits until this part, too, is done, and keeps what is pointed at until then.
            let work = unsafe { *self.work.load(Ordering::Relaxed).cast::<Work>() };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(part))) {
                lock(&self.panic).get_or_insert(panic);
            }
            if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.ring();
            }
        }
    }

    /// A part that is this thread's now. That it could be taken says that its work is the one at hand, and will be until it is done.
    fn take_part(&self) -> Option<usize> {
        loop {
            let ticket = self.ticket();
            if ticket.next() >= ticket.parts() {
                return None;
            }
            let taken = ticket.with_one_taken().0;
            let order = (Ordering::SeqCst, Ordering::Relaxed);
            if self
                .ticket
                .compare_exchange_weak(ticket.0, taken, order.0, order.1)
                .is_ok()
            {
                return Some(usize::from(ticket.next()));
            }
        }
    }

    /// Waits until something holds that is rung for: looks for it, and sleeps where it takes long.
    fn wait(&self, holds: impl Fn() -> bool) {
        for _ in 0..LOOKS {
            if holds() {
                return;
            }
            std::hint::spin_loop();
        }
        let mut guard = lock(&self.lock);
        // Who rings looks for this after the change that is waited for, and this looks for the change after that.
        self.asleep.fetch_add(1, Ordering::SeqCst);
        while !holds() {
            guard = self
                .bell
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.fetch_sub(1, Ordering::SeqCst);
    }

    fn ring(&self) {
        if self.asleep.load(Ordering::SeqCst) > 0 {
            // Who is about to sleep holds the lock until it does.
            drop(lock(&self.lock));
            self.bell.notify_all();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
#[allow(clippy::panic, reason = "a panic here is what is tested")]
mod tests {
    use std::collections::HashSet;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_part_is_done_once_by_whoever_takes_it_and_a_panic_comes_through() {
        for _ in 0..3 {
            thread::spawn(join);
        }
        while running() < 4 {
            thread::yield_now();
        }
        let asking = thread::current().id();
        let helpers = Mutex::new(HashSet::new());
        for round in 0..20_000 {
            let done: Vec<_> = (0..round % 40).map(|_| AtomicUsize::new(0)).collect();
            each(done.len(), &|part| {
                // Work within work is done where it is.
                each(3, &|_| {
                    done[part].fetch_add(1, Ordering::Relaxed);
                });
                if round == 12_345 {
                    // So long that whoever sleeps wakes up, and whoever has nothing to do goes to sleep.
                    thread::sleep(Duration::from_millis(if part == 5 { 40 } else { 4 }));
                    lock(&helpers).insert(thread::current().id());
                }
            });
            assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 3));
        }
        assert!(lock(&helpers).len() > 1);
        // With as many runs in progress as there are threads, nobody helps.
        let runs = [(); 4].map(|()| enter());
        assert_eq!((running(), free()), (4, 1));
        each(9, &|_| {
            thread::sleep(Duration::from_millis(4));
            assert_eq!(thread::current().id(), asking);
        });
        drop(runs);
        let failed = catch_unwind(|| each(9, &|part| assert!(part != 7, "the seventh")));
        assert!(failed.is_err());
        let sum = AtomicUsize::new(0);
        each(9, &|part| {
            sum.fetch_add(part, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 36);
    }
}
