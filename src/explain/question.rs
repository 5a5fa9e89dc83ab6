//! What is asked: which class, against which other, of which quantity.

use std::fmt;
use std::str::FromStr;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::ExplainError;
use crate::model::Squash;

/// The quantity that a gradient is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The score before the softmax.
    Logit,
    /// The probability behind it.
    Probability,
}

impl FromStr for Target {
    type Err = ExplainError;

    fn from_str(text: &str) -> Result<Self, ExplainError> {
        match text {
            "logit" => Ok(Target::Logit),
            "probability" => Ok(Target::Probability),
            other => Err(ExplainError::Question(format!(
                "there is no target '{other}'; the targets are logit, probability"
            ))),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Target::Logit => "logit",
            Target::Probability => "probability",
        })
    }
}

/// Which class is to be explained, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The class.
    pub class: usize,
    /// The class that it is contrasted with: what speaks for the one *rather than* the other.
    pub contrast: Option<usize>,
    /// Logit or probability.
    pub target: Target,
    /// Whether the map is of what speaks against the class: all the same of the quantity's negative.
    pub counterfactual: bool,
}

impl Question {
    /// The cotangent of the scores, `[1, classes]`, whose pull-back is the gradient asked for.
    ///
    /// For a logit it is one-hot. For a probability it is the row of the squashing function's Jacobian:
    /// `p_c (e_c - p)` for a softmax, `p_c (1 - p_c) e_c` for a sigmoid. A contrast is the difference of two such rows, a counterfactual
    /// the negative.
    ///
    /// # Errors
    /// [`ExplainError::NoClass`] for a class beyond `probabilities`; [`ExplainError::Question`] for a contrast with itself.
    pub fn seed(&self, probabilities: &[f32], squash: Squash) -> Result<Array2<f32>, ExplainError> {
        if self.contrast == Some(self.class) {
            return Err(ExplainError::itself());
        }
        let classes = probabilities.len();
        let row = |class: usize| -> Result<Vec<f32>, ExplainError> {
            let p = *probabilities
                .get(class)
                .ok_or_else(|| ExplainError::NoClass {
                    asked: class.to_string(),
                    known: format!("0 to {}", classes.saturating_sub(1)),
                })?;
            let one_hot = |index: usize| if index == class { 1.0 } else { 0.0 };
            Ok((0..classes)
                .map(|index| match (self.target, squash) {
                    (Target::Logit, _) => one_hot(index),
                    (Target::Probability, Squash::Softmax) => {
                        p * (one_hot(index) - probabilities[index])
                    }
                    (Target::Probability, Squash::Sigmoid) => p * (1.0 - p) * one_hot(index),
                })
                .collect())
        };
        let mut seed = row(self.class)?;
        if let Some(contrast) = self.contrast {
            for (value, against) in seed.iter_mut().zip(row(contrast)?) {
                *value -= against;
            }
        }
        let sign = if self.counterfactual { -1.0 } else { 1.0 };
        Ok(Array2::from_shape_fn((1, classes), |(_, index)| {
            sign * seed[index]
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: [f32; 3] = [0.7, 0.2, 0.1];

    fn seed(class: usize, contrast: Option<usize>, target: Target, squash: Squash) -> Vec<f32> {
        let question = Question {
            class,
            contrast,
            target,
            counterfactual: false,
        };
        question
            .seed(&P, squash)
            .unwrap()
            .into_raw_vec_and_offset()
            .0
    }

    #[test]
    fn a_logit_is_one_hot_and_a_contrast_a_difference() {
        assert_eq!(
            seed(1, None, Target::Logit, Squash::Softmax),
            [0.0, 1.0, 0.0]
        );
        assert_eq!(
            seed(1, Some(0), Target::Logit, Squash::Softmax),
            [-1.0, 1.0, 0.0]
        );
    }

    #[test]
    fn a_probability_is_a_row_of_the_jacobian() {
        let row = seed(0, None, Target::Probability, Squash::Softmax);
        let expected = [0.7 * 0.3, -0.7 * 0.2, -0.7 * 0.1];
        assert!(
            row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
            "{row:?}"
        );
        // A softmax's rows sum to zero: adding a constant to all logits changes nothing.
        assert!(row.iter().sum::<f32>().abs() < 1e-6);
        let row = seed(1, None, Target::Probability, Squash::Sigmoid);
        assert!((row[1] - 0.16).abs() < 1e-6 && row[0] == 0.0);
    }

    #[test]
    fn senseless_questions_are_refused() {
        let ask = |class, contrast| Question {
            class,
            contrast,
            target: Target::Logit,
            counterfactual: false,
        };
        assert!(ask(3, None).seed(&P, Squash::Softmax).is_err());
        assert!(ask(1, Some(1)).seed(&P, Squash::Softmax).is_err());
    }
}
