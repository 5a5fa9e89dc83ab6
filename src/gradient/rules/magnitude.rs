//! Normalisation by the magnitude of neighbours: of channels nearby, or of a whole axis.

use super::Rule;
use super::reduce::reduced;
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape, int, ints};
use crate::model::facts::Dim;

pub(super) const RULES: &[(&str, Rule)] = &[
    ("LRN", local_response),
    ("LpNormalization", lp_normalization),
];

/// `Y = X b^-beta` with `b = bias + alpha mean(X^2)` over a window of `size` channels, so
/// `dX = dY b^-beta - 2 alpha beta X mean'(dY Y / b)`, where `mean'` is over the channels whose windows hold this one.
fn local_response(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (x, dy) = (call.input(0)?, call.cotangent()?);
    let channels = tape.shape(x)?.get(1).and_then(Dim::known);
    let channels = channels.ok_or_else(|| tape.open_shape(x))?;
    let size = call.int("size", 0);
    if size < 1 || channels < 1 {
        return Err(call.form("a window without channels"));
    }
    // What of a window lies outside wherever it stands is left out.
    let before = ((size - 1) / 2).min(channels - 1);
    let behind = (size / 2).min(channels - 1);
    let share = (before + 1 + behind) as f32 / size as f32;
    let (alpha, beta) = (share * call.float("alpha", 1e-4), call.float("beta", 0.75));
    let square = tape.mul(x, x);
    let mean = channel_mean(tape, &square, x, channels, [before, behind])?;
    let scaled = tape.scale(&mean, alpha);
    let bias = tape.scalar(call.float("bias", 1.0));
    let base = tape.op("Add", &[&scaled, &bias]);
    let exponent = tape.scalar(-beta);
    let power = tape.op("Pow", &[&base, &exponent]);
    let direct = tape.mul(dy, &power);
    let product = tape.mul(dy, call.output());
    let quotient = tape.op("Div", &[&product, &base]);
    let mean = channel_mean(tape, &quotient, x, channels, [behind, before])?;
    let factor = tape.scale(&mean, 2.0 * alpha * beta);
    let indirect = tape.mul(x, &factor);
    Ok(vec![(0, tape.op("Sub", &[&direct, &indirect]))])
}

/// The mean of `tensor`, which has the shape of `x`, over windows of channels; outside there are zeros, which count.
fn channel_mean(
    tape: &mut Tape<'_>,
    tensor: &str,
    x: &str,
    channels: i64,
    [before, behind]: [i64; 2],
) -> Result<String, GradientError> {
    let plane = tape.ints(&[0, 1, channels, -1]);
    let plane = tape.op("Reshape", &[tensor, &plane]);
    let attributes = vec![
        ints("kernel_shape", &[before + 1 + behind, 1]),
        ints("pads", &[before, 0, behind, 0]),
        int("count_include_pad", 1),
    ];
    let mean = tape.node("AveragePool", &[&plane], attributes);
    tape.reshape_like(&mean, x)
}

/// `Y = X / |X|`, so `dX = (dY - g sum(dY Y)) / |X|` with the gradient `g` of the norm: `Y`, or `sign(X)` where `p` is 1.
/// Where all is zero the operator gives zeros, and so does this.
fn lp_normalization(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (x, y, dy) = (call.input(0)?, call.output(), call.cotangent()?);
    let axis = call.axis(-1, tape.shape(x)?.len())? as i64;
    let (operator, slope) = match call.int("p", 2) {
        1 => ("ReduceL1", tape.op("Sign", &[x])),
        2 => ("ReduceL2", y.to_owned()),
        p => return Err(call.form(&format!("p = {p}"))),
    };
    let norm = reduced(tape, call, operator, x, &[axis]);
    let product = tape.mul(dy, y);
    let along = tape.sum(&product, &[axis]);
    let along = tape.mul(&slope, &along);
    let across = tape.op("Sub", &[dy, &along]);
    let quotient = tape.op("Div", &[&across, &norm]);
    let zero = tape.scalar(0.0);
    let positive = tape.op("Greater", &[&norm, &zero]);
    Ok(vec![(0, tape.masked(&positive, &quotient))])
}
