//! What passes gave so far, so that work which was stopped goes on where it was.
//!
//! A page cannot hear "stop" while a call runs. It lets the call end soon, listens, and calls again; the work is done over from its
//! start, but every pass that has been made gives its result at once.

use std::any::Any;
use std::sync::{Mutex, PoisonError};

/// The results of the passes of one piece of work, stage by stage in the order in which the stages begin.
#[derive(Default)]
pub struct Tape(Mutex<Stages>);

#[derive(Default)]
struct Stages {
    /// A `Vec<Option<T>>` each, a place a pass.
    results: Vec<Box<dyn Any + Send>>,
    /// The stage that begins next.
    next: usize,
}

/// A stage that has begun.
pub(crate) struct Stage(usize);

impl Tape {
    /// The same work begins again.
    pub fn rewind(&self) {
        self.with(|stages| stages.next = 0);
    }

    /// Begins the next stage, of `count` passes: what is known of it.
    pub(crate) fn begin<T: Send + 'static>(&self, count: usize) -> (Stage, Vec<Option<T>>) {
        self.with(|stages| {
            let at = stages.next;
            stages.next += 1;
            let known = stages
                .results
                .get_mut(at)
                .and_then(|results| results.downcast_mut::<Vec<Option<T>>>());
            match known {
                Some(known) if known.len() == count => (Stage(at), std::mem::take(known)),
                // Another stage than the last time: nothing from here on is of use.
                _ => {
                    stages.results.truncate(at);
                    stages.results.push(Box::new(Vec::<Option<T>>::new()));
                    (Stage(at), (0..count).map(|_| None).collect())
                }
            }
        })
    }

    /// Keeps what is known of a stage.
    pub(crate) fn keep<T: Send + 'static>(&self, stage: &Stage, results: Vec<Option<T>>) {
        self.with(|stages| {
            if let Some(place) = stages.results.get_mut(stage.0) {
                *place = Box::new(results);
            }
        });
    }

    /// Forgets the stages that began inside a pass of this one: its result is known.
    pub(crate) fn forget_inside(&self, stage: &Stage) {
        self.with(|stages| {
            stages.next = stage.0 + 1;
            stages.results.truncate(stages.next);
        });
    }

    fn with<R>(&self, change: impl FnOnce(&mut Stages) -> R) -> R {
        // A pass that panicked has left no half-written stage behind.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_found_again_and_another_one_is_not_taken_for_it() {
        let tape = Tape::default();
        let (stage, known) = tape.begin::<f32>(2);
        assert_eq!(known, [None, None]);
        tape.keep(&stage, vec![Some(1.0_f32), None]);
        tape.rewind();
        let (stage, known) = tape.begin::<f32>(2);
        assert_eq!(known, [Some(1.0), None]);
        tape.keep(&stage, known);
        tape.rewind();
        assert_eq!(tape.begin::<f32>(3).1, [None, None, None]);
        tape.rewind();
        assert_eq!(tape.begin::<f64>(3).1, [None, None, None]);
    }
}
