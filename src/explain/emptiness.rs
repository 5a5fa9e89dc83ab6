//! Why a map shows nothing.

use ndarray::{Array2, Array3, ArrayView2};

use super::{Observation, Question, Target};

/// Why a map shows nothing, if it shows nothing. A blank map without a word is what users of other tools complain of most.
pub(super) fn emptiness(
    values: &Array2<f32>,
    min: f32,
    max: f32,
    observation: &Observation,
    gradients: Option<&Array3<f32>>,
    is_of_layer: bool,
    question: &Question,
) -> Option<String> {
    if values.iter().any(|value| !value.is_finite()) {
        return Some(
            "The map holds values that are not numbers: the model overflows on this picture."
                .into(),
        );
    }
    if max > min {
        return None;
    }
    if gradients.is_none() && !is_of_layer {
        return Some(match max == 0.0 {
            true => "The map is empty: no change of the picture that was tried changes the score."
                .into(),
            false => format!("The map is flat: it is {max} everywhere."),
        });
    }
    if gradients.is_some_and(|gradients| gradients.iter().all(|&gradient| gradient == 0.0)) {
        let p = observation
            .probabilities
            .get(question.class)
            .copied()
            .unwrap_or(0.0);
        return Some(match question.target {
            Target::Probability => format!(
                "The map is empty: the probability {p} is saturated, so nothing moves it. Explain the logit instead."
            ),
            Target::Logit => {
                "The map is empty: no gradient reaches this layer from this class.".into()
            }
        });
    }
    if observation
        .activations
        .iter()
        .all(|&activation| activation == 0.0)
    {
        return Some("The map is empty: every activation of this layer is zero.".into());
    }
    let same = |channel: ArrayView2<'_, f32>| {
        let mut values = channel.iter();
        let first = values.next();
        values.all(|value| Some(value) == first)
    };
    if observation.activations.outer_iter().all(same) {
        return Some(
            "The map is empty: every channel of this layer is the same at every place.".into(),
        );
    }
    if max == 0.0 {
        return Some(
            "The map is empty: at every position this layer speaks against the class, and the method shows only what \
             speaks for it."
                .into(),
        );
    }
    Some(format!("The map is flat: it is {max} everywhere."))
}
