//! The map that is asked about, what it explains, and the further passes that a check makes.

use ndarray::{Array2, Array4};

use super::{Mask, Silence};
use crate::explain::{
    Case, ExplainError, Explainer, HeatMap, Method, Observation, Question, Target, Unwatched, Watch,
};
use crate::image::{Region, resize_linear};

/// A map, and all that a check may need to ask about it.
pub struct Subject<'a> {
    /// The model at the layer explained.
    pub explainer: &'a Explainer,
    /// What it made of the picture.
    pub observation: &'a Observation,
    /// What the map explains.
    pub question: &'a Question,
    /// How the map came about.
    pub method: &'a dyn Method,
    /// The map.
    pub map: &'a HeatMap,
    /// The part of the picture that it covers.
    pub region: Region,
    /// What a person marked on the picture, or why there is nothing marked.
    pub mask: Result<&'a Mask, String>,
    /// The lungs, or why there are none.
    pub lungs: Result<&'a Mask, String>,
    /// Who waits.
    pub watch: &'a dyn Watch,
}

impl Subject<'_> {
    /// The map at the size of the network's input.
    #[must_use]
    pub fn heat(&self) -> Array2<f32> {
        self.at_input(self.map)
    }

    /// Another map at the size of the network's input.
    #[must_use]
    pub fn at_input(&self, map: &HeatMap) -> Array2<f32> {
        let (_, _, height, width) = self.observation.input.dim();
        resize_linear(&map.values.view(), height, width)
    }

    /// What checks measure: the probability of the class, less that of the contrast, whatever the map's gradient was taken of. A probability means
    /// the same for every model.
    fn measured(&self) -> Question {
        Question {
            target: Target::Probability,
            ..self.question.clone()
        }
    }

    /// That, of an observation.
    #[must_use]
    pub fn score_of(&self, seen: &Observation) -> f64 {
        let question = self.measured();
        f64::from(self.case(&question).score(seen))
    }

    /// That, of the picture as it is.
    #[must_use]
    pub fn score(&self) -> f64 {
        self.score_of(self.observation)
    }

    /// That, of `count` changed inputs: a forward pass each.
    ///
    /// # Errors
    /// As [`Case::passes`].
    pub fn scores(
        &self,
        count: usize,
        input: &(dyn Fn(usize) -> Array4<f32> + Sync),
    ) -> Result<Vec<f64>, ExplainError> {
        let question = self.measured();
        let scores = self.case(&question).scores(count, input)?;
        Ok(scores.into_iter().map(f64::from).collect())
    }

    /// `count` maps that are made again in changed circumstances, side by side where each is a single pass.
    ///
    /// # Errors
    /// As [`Case::passes`].
    pub fn again<T: Clone + Send + 'static>(
        &self,
        count: usize,
        make: &(dyn Fn(usize, &dyn Watch) -> Result<T, ExplainError> + Sync),
    ) -> Result<Vec<T>, ExplainError> {
        match self.method.how().makes_passes() {
            // Its own passes run side by side, and whoever waits may end them.
            true => self.one_by_one(count, make),
            false => self
                .case(self.question)
                .passes(count, &|index| make(index, &Unwatched)),
        }
    }

    /// [`again`](Subject::again), a map after the other.
    fn one_by_one<T: Clone + Send + 'static>(
        &self,
        count: usize,
        make: &(dyn Fn(usize, &dyn Watch) -> Result<T, ExplainError> + Sync),
    ) -> Result<Vec<T>, ExplainError> {
        let Some(tape) = self.watch.tape() else {
            return (0..count).map(|index| make(index, self.watch)).collect();
        };
        let (stage, mut known) = tape.begin::<T>(count);
        let mut end = Ok(());
        for (index, place) in known.iter_mut().enumerate() {
            if place.is_some() {
                continue;
            }
            match make(index, self.watch) {
                Ok(value) => *place = Some(value),
                Err(error) => {
                    end = Err(error);
                    break;
                }
            }
            tape.forget_inside(&stage);
        }
        let values = known.iter().flatten().cloned().collect();
        tape.keep(&stage, known);
        end.map(|()| values)
    }

    /// The mask a person drew, or silence.
    pub(super) fn marked(&self) -> Result<&Mask, Silence> {
        self.mask.clone().map_err(Silence::Nothing)
    }

    /// The label of the class explained.
    #[must_use]
    pub fn label(&self) -> String {
        let labels = &self.explainer.model.manifest.labels;
        let of = |class: usize| labels.get(class).map_or("?", |label| label.id.as_str());
        match self.question.contrast {
            None => of(self.question.class).to_owned(),
            Some(contrast) => format!("{} less {}", of(self.question.class), of(contrast)),
        }
    }

    fn case<'q>(&'q self, question: &'q Question) -> Case<'q> {
        Case {
            explainer: self.explainer,
            observation: self.observation,
            question,
            watch: self.watch,
        }
    }
}
