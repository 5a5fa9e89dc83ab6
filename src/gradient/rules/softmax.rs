//! Softmax and its logarithm.

use super::Rule;
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape};

pub(super) const RULES: &[(&str, Rule)] = &[("LogSoftmax", log_softmax), ("Softmax", softmax)];

/// The axes of a softmax: its own, and until opset 12 all behind it too.
fn softmax_axes(tape: &Tape<'_>, call: &Call<'_>) -> Result<Vec<i64>, GradientError> {
    let rank = tape.shape(call.output())?.len();
    let flattened = call.opset < 13;
    let axis = call.axis(if flattened { 1 } else { -1 }, rank)?;
    let end = if flattened { rank } else { axis + 1 };
    Ok((axis as i64..end as i64).collect())
}

/// `dX = (dY - sum(dY Y)) Y`
fn softmax(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (y, dy) = (call.output(), call.cotangent()?);
    let axes = softmax_axes(tape, call)?;
    let weighted = tape.mul(dy, y);
    let sum = tape.sum(&weighted, &axes);
    let centred = tape.op("Sub", &[dy, &sum]);
    Ok(vec![(0, tape.mul(&centred, y))])
}

/// `dX = dY - exp(Y) sum(dY)`
fn log_softmax(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (y, dy) = (call.output(), call.cotangent()?);
    let axes = softmax_axes(tape, call)?;
    let sum = tape.sum(dy, &axes);
    let probabilities = tape.op("Exp", &[y]);
    let share = tape.mul(&probabilities, &sum);
    Ok(vec![(0, tape.op("Sub", &[dy, &share]))])
}
