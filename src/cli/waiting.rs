//! Waiting for a method that makes many passes over one picture: on all cores, with a bar.

use std::time::Instant;

use indicatif::ProgressBar;
use rayon::prelude::*;

use crate::explain::Watch;

/// Who waits in a terminal.
pub enum Waiting {
    /// For one picture: its passes run side by side.
    Alone(ProgressBar),
    /// For many: they run side by side already.
    AmongOthers,
}

impl Waiting {
    /// For this many pictures.
    pub fn of(pictures: usize, json: bool) -> Waiting {
        match pictures {
            0 | 1 => Waiting::Alone(super::progress(usize::MAX, json, "passes")),
            _ => Waiting::AmongOthers,
        }
    }
}

impl Watch for Waiting {
    fn goes_on(&self, done: usize, of: usize) -> bool {
        if let Waiting::Alone(bar) = self {
            if bar.is_finished() {
                // Other passes over the same picture.
                bar.reset();
            }
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            if done == of {
                bar.finish_and_clear();
            }
        }
        true
    }

    fn spread(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        match self {
            Waiting::Alone(_) => (0..count).into_par_iter().for_each(work),
            Waiting::AmongOthers => (0..count).for_each(work),
        }
    }
}

/// Who waits until then and no longer.
pub struct Until(pub Instant);

impl Watch for Until {
    fn goes_on(&self, _: usize, _: usize) -> bool {
        Instant::now() < self.0
    }
}
