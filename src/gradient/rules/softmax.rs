//! Softmax and its logarithm.

use super::Rule;
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape};

pub(super) const RULES: &[(&str, Rule)] = &[("LogSoftmax", log_softmax), ("Softmax", softmax)];

/// The axis of a softmax.
fn softmax_axes(tape: &Tape<'_>, call: &Call<'_>) -> Result<[i64; 1], GradientError> {
    let rank = tape.shape(call.output())?.len();
    Ok([call.axis(-1, rank)? as i64])
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
