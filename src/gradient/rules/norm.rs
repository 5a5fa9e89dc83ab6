//! Normalisation at inference, and softmax.

use super::Rule;
use crate::gradient::tape::{Call, Cotangents, Tape, int};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("BatchNormalization", batch_normalization),
    ("LogSoftmax", log_softmax),
    ("Softmax", softmax),
];

/// With the stored statistics it is a factor a channel: `scale / sqrt(variance + epsilon)`.
fn batch_normalization(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    if call.int("training_mode", 0) != 0 || (1..5).any(|input| call.wants(input)) {
        return Err(call.form("training mode"));
    }
    let (scale, variance) = (call.input(1)?, call.input(4)?);
    let rank = tape.shape(call.input(0)?)?.len();
    let epsilon = tape.scalar(call.float("epsilon", 1e-5));
    let shifted = tape.op("Add", &[variance, &epsilon]);
    let deviation = tape.op("Sqrt", &[&shifted]);
    let factor = tape.op("Div", &[scale, &deviation]);
    let mut shape = vec![1; rank];
    shape[1] = -1;
    let shape = tape.ints(&shape);
    let factor = tape.op("Reshape", &[&factor, &shape]);
    Ok(vec![(0, tape.mul(call.cotangent()?, &factor))])
}

/// The axis of a softmax. Before opset 13 it flattened the axes behind it into one; the same where it is the last.
fn axis(tape: &Tape<'_>, call: &Call<'_>) -> Result<i64, crate::gradient::GradientError> {
    let rank = tape.shape(call.output())?.len() as i64;
    let axis = call.int("axis", if call.opset < 13 { 1 } else { -1 });
    let axis = if axis < 0 { axis + rank } else { axis };
    if call.opset < 13 && axis != rank - 1 {
        return Err(call.form("flattened axes (opset 12 and older)"));
    }
    Ok(axis)
}

/// `dX = (dY - sum(dY Y)) Y`
fn softmax(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (y, dy) = (call.output(), call.cotangent()?);
    let axes = axis(tape, call)?;
    let axes = tape.ints(&[axes]);
    let weighted = tape.mul(dy, y);
    let sum = tape.node("ReduceSum", &[&weighted, &axes], vec![int("keepdims", 1)]);
    let centred = tape.op("Sub", &[dy, &sum]);
    Ok(vec![(0, tape.mul(&centred, y))])
}

/// `dX = dY - exp(Y) sum(dY)`
fn log_softmax(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (y, dy) = (call.output(), call.cotangent()?);
    let axes = axis(tape, call)?;
    let axes = tape.ints(&[axes]);
    let sum = tape.node("ReduceSum", &[dy, &axes], vec![int("keepdims", 1)]);
    let probabilities = tape.op("Exp", &[y]);
    let share = tape.mul(&probabilities, &sum);
    Ok(vec![(0, tape.op("Sub", &[dy, &share]))])
}
