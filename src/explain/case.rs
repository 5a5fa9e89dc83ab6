//! One question about one observed picture, and the further passes that a method makes to answer it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ndarray::{Array3, Array4};

use super::{ExplainError, Explainer, Observation, Question, Tape, Target};

/// Who waits while a method makes its passes. The methods themselves start no thread.
pub trait Watch: Sync {
    /// Is told after each pass; `false` ends the work.
    fn goes_on(&self, done: usize, of: usize) -> bool {
        let _ = (done, of);
        true
    }

    /// Calls `work` with every number below `count`, in any order, several at once where that is of use.
    fn spread(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(work);
    }

    /// Where results are kept for the next time, by who ends work in order to go on with it.
    fn tape(&self) -> Option<&Tape> {
        None
    }
}

/// Nobody: one pass after the other, to the end.
pub struct Unwatched;

impl Watch for Unwatched {}

/// A question about an observed picture.
pub struct Case<'a> {
    /// The model at the layer asked about.
    pub explainer: &'a Explainer,
    /// What it made of the picture.
    pub observation: &'a Observation,
    /// What is asked.
    pub question: &'a Question,
    /// Who waits for the answer.
    pub watch: &'a dyn Watch,
}

impl Case<'_> {
    /// The quantity in question, of an observation: a logit or a probability, less that of the contrast; its negative for a counterfactual.
    #[must_use]
    pub fn score(&self, seen: &Observation) -> f32 {
        self.quantity(&seen.logits, &seen.probabilities)
    }

    /// The same, of logits and probabilities.
    #[must_use]
    pub fn quantity(&self, logits: &[f32], probabilities: &[f32]) -> f32 {
        let values = match self.question.target {
            Target::Logit => logits,
            Target::Probability => probabilities,
        };
        let of = |class: usize| values.get(class).copied().unwrap_or(f32::NAN);
        let quantity = of(self.question.class) - self.question.contrast.map_or(0.0, of);
        match self.question.counterfactual {
            false => quantity,
            true => -quantity,
        }
    }

    /// The scores of `count` changed inputs.
    ///
    /// # Errors
    /// As [`passes`](Case::passes).
    pub fn scores(
        &self,
        count: usize,
        input: &(dyn Fn(usize) -> Array4<f32> + Sync),
    ) -> Result<Vec<f32>, ExplainError> {
        self.passes(count, &|index| {
            Ok(self.score(&self.explainer.observe(&input(index))?))
        })
    }

    /// The gradients at `count` changed inputs, with respect to the explainer's layer.
    ///
    /// # Errors
    /// As [`passes`](Case::passes).
    pub fn gradients(
        &self,
        count: usize,
        input: &(dyn Fn(usize) -> Array4<f32> + Sync),
    ) -> Result<Vec<Array3<f32>>, ExplainError> {
        self.passes(count, &|index| {
            let seen = self.explainer.observe(&input(index))?;
            self.explainer.gradient_of(&seen, self.question)
        })
    }

    /// Makes `count` passes, in any order, and gives their results in order. Those that are on the [tape](Watch::tape) are not made again.
    ///
    /// # Errors
    /// [`ExplainError::Stopped`] where who waits has had enough; the first error of a pass.
    pub fn passes<T: Clone + Send + 'static>(
        &self,
        count: usize,
        pass: &(dyn Fn(usize) -> Result<T, ExplainError> + Sync),
    ) -> Result<Vec<T>, ExplainError> {
        passes(self.watch, count, pass)
    }
}

/// Makes `count` passes for `watch`, in any order, and gives their results in order. Those that are on its tape are not made again.
pub(super) fn passes<T: Clone + Send + 'static>(
    watch: &dyn Watch,
    count: usize,
    pass: &(dyn Fn(usize) -> Result<T, ExplainError> + Sync),
) -> Result<Vec<T>, ExplainError> {
    let (stage, known) = match watch.tape() {
        Some(tape) => {
            let (stage, known) = tape.begin(count);
            (Some((tape, stage)), known)
        }
        None => (None, (0..count).map(|_| None).collect()),
    };
    let missing: Vec<usize> = (0..count)
        .filter(|&index| known.get(index).is_none_or(Option::is_none))
        .collect();
    let results: Vec<Mutex<Option<Result<T, ExplainError>>>> = known
        .into_iter()
        .map(|known| Mutex::new(known.map(Ok)))
        .collect();
    let (done, ended) = (
        AtomicUsize::new(count - missing.len()),
        AtomicBool::new(false),
    );
    watch.spread(missing.len(), &|at| {
        let Some(&index) = missing.get(at) else {
            return;
        };
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let result = pass(index);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if result.is_err() || !watch.goes_on(done, count) {
            ended.store(true, Ordering::Relaxed);
        }
        if let Some(Ok(mut place)) = results.get(index).map(Mutex::lock) {
            *place = Some(result);
        }
    });
    let results = results.into_iter();
    let results = results.map(|result| result.into_inner().ok().flatten().transpose());
    let results = results.collect::<Result<Vec<Option<T>>, ExplainError>>()?;
    let values = match results.iter().all(Option::is_some) {
        true if stage.is_none() => return Ok(results.into_iter().flatten().collect()),
        true => Ok(results.iter().flatten().cloned().collect()),
        false => Err(ExplainError::Stopped),
    };
    if let Some((tape, stage)) = stage {
        tape.keep(&stage, results);
    }
    values
}
