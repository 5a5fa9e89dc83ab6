//! The backward pass, and the answer to a question.

use std::collections::HashMap;

use ndarray::{Array2, Array3, Array4, array};

use super::emptiness::emptiness;
use super::observation::one_map;
use super::smoothing::{self, Smooth};
use super::tail::{Entered, Tail};
use super::{
    Case, ExplainError, Explainer, HeatMap, How, Joined, Method, Needs, Observation, Place,
    Question, Term, Unwatched, Watch, has_counterfactual, pixels, weighted,
};
use crate::engine::{Spec, Value};
use crate::gradient::{self, GRADIENT_INPUT, Relus, bias_gradient_name};

/// What a backward pass gives.
struct Gradients<'e> {
    /// With respect to the layer, `[K, H, W]`.
    at_layer: Array3<f32>,
    /// Where biases are added.
    of_biases: Vec<Term<'e>>,
}

impl Explainer {
    /// The gradient of `seed . logits` with respect to the layer, `[K, H, W]`. Runs only the part that depends on the class.
    ///
    /// # Errors
    /// As [`observe`](Explainer::observe).
    pub fn gradient(
        &self,
        observation: &Observation,
        seed: ndarray::Array2<f32>,
    ) -> Result<Array3<f32>, ExplainError> {
        Ok(self.gradients(observation, seed)?.at_layer)
    }

    /// The same, and those where the method's biases are added.
    fn gradients(
        &self,
        observation: &Observation,
        seed: ndarray::Array2<f32>,
    ) -> Result<Gradients<'_>, ExplainError> {
        let mut inputs = vec![Value::F32(seed.into_dyn())];
        inputs.extend(observation.frontier.iter().cloned());
        let head = match self.head.get() {
            Some(head) => head,
            None => {
                let specs: Vec<Spec> = inputs.iter().map(Value::spec).collect();
                let prepared = self.prepare_graph(self.head_graph.clone(), &specs)?;
                self.head.get_or_init(|| prepared)
            }
        };
        let found = head.run(&inputs)?.into_iter();
        let mut found: HashMap<&str, Value> = self
            .head_outputs
            .iter()
            .map(String::as_str)
            .zip(found)
            .collect();
        let mut take = |name: &str| {
            let value = found.remove(name).and_then(Value::into_f32);
            one_map(name, value.unwrap_or_default())
        };
        let name = match self.is_at_pixels() {
            true => GRADIENT_INPUT.to_owned(),
            false => gradient::gradient_name(&self.layer),
        };
        let gradient = take(&name)?;
        let at_layer = match self.is_at_pixels() && self.model.channels_last {
            true => gradient.permuted_axes([2, 0, 1]),
            false => gradient,
        };
        let of_biases = self.biases.iter().map(|bias| {
            Ok(Term {
                biases: &bias.values,
                gradients: take(&bias_gradient_name(&bias.tensor))?,
            })
        });
        let of_biases = of_biases.collect::<Result<_, ExplainError>>()?;
        Ok(Gradients {
            at_layer,
            of_biases,
        })
    }

    /// The gradient of what a question asks for, with respect to the layer, `[K, H, W]`.
    ///
    /// # Errors
    /// As [`explain`](Explainer::explain).
    pub fn gradient_of(
        &self,
        observation: &Observation,
        question: &Question,
    ) -> Result<Array3<f32>, ExplainError> {
        Ok(self.gradients_of(observation, question)?.at_layer)
    }

    /// The same, and those where the method's biases are added.
    fn gradients_of(
        &self,
        observation: &Observation,
        question: &Question,
    ) -> Result<Gradients<'_>, ExplainError> {
        let mut seed = question.seed(&observation.probabilities, self.model.squash)?;
        if self.model.is_two_sided() {
            // Both classes are read from one score; what speaks for the first speaks against the second.
            seed = seed.dot(&array![[-1.0], [1.0]]);
        }
        self.gradients(observation, seed)
    }

    /// Answers a question about an observed picture with a heat map.
    ///
    /// # Errors
    /// [`ExplainError::NoClass`] or [`ExplainError::Question`] for a senseless question, else as [`observe`](Explainer::observe).
    pub fn explain(
        &self,
        observation: &Observation,
        question: &Question,
        method: &dyn Method,
    ) -> Result<HeatMap, ExplainError> {
        self.explain_watched(observation, question, method, &Unwatched)
    }

    /// As [`explain`](Explainer::explain), told of each pass of a method that makes many.
    ///
    /// # Errors
    /// As [`explain`](Explainer::explain); [`ExplainError::Stopped`] where `watch` has had enough.
    pub fn explain_watched(
        &self,
        observation: &Observation,
        question: &Question,
        method: &dyn Method,
        watch: &dyn Watch,
    ) -> Result<HeatMap, ExplainError> {
        // A senseless question is told before any pass.
        question.seed(&observation.probabilities, self.model.squash)?;
        if !self.is_for(method) {
            return Err(ExplainError::Question(match method.how().place() {
                Place::Pixels if !self.is_at_pixels() => format!(
                    "{} looks at the pixels and not at '{}'",
                    method.id(),
                    self.layer
                ),
                _ => format!("{} has a gradient graph of its own", method.id()),
            }));
        }
        if question.counterfactual {
            has_counterfactual(method)?;
        }
        smoothing::check(method, &self.smooth, self.layers().count())?;
        let (values, gradients) = match self.smooths(Smooth::Augmented) || !self.beside.is_empty() {
            false => self.raw(observation, question, method, watch)?,
            true => {
                let input = &observation.input;
                let values = smoothing::smoothed(self, question, method, input, watch)?;
                (values, None)
            }
        };
        let min = values.iter().copied().fold(f32::INFINITY, f32::min);
        let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let is_of_layer = method.how().has_channels();
        let gradients = gradients.as_ref();
        let empty = emptiness(
            &values,
            min,
            max,
            observation,
            gradients,
            is_of_layer,
            question,
        );
        Ok(HeatMap {
            values,
            min,
            max,
            empty,
        })
    }

    /// A method's own map at the layer, and the gradients there where it is made of them.
    pub(super) fn raw(
        &self,
        observation: &Observation,
        question: &Question,
        method: &dyn Method,
        watch: &dyn Watch,
    ) -> Result<(Array2<f32>, Option<Array3<f32>>), ExplainError> {
        let case = Case {
            explainer: self,
            observation,
            question,
            watch,
        };
        let joined = |joined: Joined| match self.smooths(Smooth::Eigen) {
            true => Joined::Component,
            false => joined,
        };
        let activations = observation.activations.view();
        Ok(match method.how() {
            How::Layer(of) => {
                let gradients = self.gradient_of(observation, question)?;
                let parts = (of.parts)(activations, gradients.view());
                (joined(of.joined).map(&parts), Some(gradients))
            }
            How::Channels(weights) => {
                let parts = weighted(activations, &weights(&case)?);
                (joined(Joined::PositiveSum).map(&parts), None)
            }
            How::Pixels(map) | How::Guided(map) => {
                let gradients = self.gradient_of(observation, question)?;
                (map(activations, gradients.view()), Some(gradients))
            }
            How::Product(of) => {
                let gradients = self.gradient_of(observation, question)?;
                let cam = of.map(activations, gradients.view());
                let guided = self.guided()?;
                let seen = guided.observe(&observation.input)?;
                let guided = guided.gradient_of(&seen, question)?;
                (pixels::product(&cam, guided.view()), Some(gradients))
            }
            How::Biases(map) => {
                let found = self.gradients_of(observation, question)?;
                let values = map(activations, found.at_layer.view(), &found.of_biases);
                (values, Some(found.at_layer))
            }
            How::Passes { map, .. } => (map(&case)?, None),
        })
    }

    /// The tensors of an input at the layer, to run what follows with others.
    pub(super) fn enter(&self, input: &Array4<f32>) -> Result<Entered<'_>, ExplainError> {
        let tail = match self.tail.get() {
            Some(tail) => tail,
            None => {
                let tail = Tail::new(self, input)?;
                self.tail.get_or_init(|| tail)
            }
        };
        tail.enter(self, input)
    }

    /// The same model with guided ReLUs, at the pixels.
    fn guided(&self) -> Result<&Explainer, ExplainError> {
        if let Some(guided) = self.guided.get() {
            return Ok(guided);
        }
        let needs = Needs {
            place: Place::Pixels,
            relus: Relus::Guided,
            biases: false,
        };
        let model = self.model.clone();
        let guided =
            Explainer::derived(self.engine.clone(), model, self.model.input.clone(), needs)?;
        Ok(self.guided.get_or_init(|| Box::new(guided)))
    }
}
