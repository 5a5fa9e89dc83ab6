//! Normalisation by stored or computed mean and variance.

use super::Rule;
use super::reduce::reduced;
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("BatchNormalization", batch_normalization),
    ("GroupNormalization", group_normalization),
    ("InstanceNormalization", instance_normalization),
    ("LayerNormalization", layer_normalization),
    ("MeanVarianceNormalization", mean_variance_normalization),
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
    let factor = along_channels(tape, &factor, rank);
    Ok(vec![(0, tape.mul(call.cotangent()?, &factor))])
}

/// A vector with an entry a channel, shaped so that it broadcasts along axis 1 of a tensor of that rank.
fn along_channels(tape: &mut Tape<'_>, vector: &str, rank: usize) -> String {
    let mut shape = vec![1; rank.saturating_sub(1)];
    if let Some(first) = shape.first_mut() {
        *first = -1;
    }
    let shape = tape.ints(&shape);
    tape.op("Reshape", &[vector, &shape])
}

/// `x^ = (X - mean) / deviation` over some axes, and one over the deviation.
struct Standardised {
    values: String,
    inverse: String,
    axes: Vec<i64>,
}

impl Standardised {
    /// Computes the statistics of `x` once more: the operator keeps its own to itself.
    fn again(
        tape: &mut Tape<'_>,
        call: &Call<'_>,
        x: &str,
        axes: Vec<i64>,
        epsilon: f32,
    ) -> Standardised {
        let mean = reduced(tape, call, "ReduceMean", x, &axes);
        let centred = tape.op("Sub", &[x, &mean]);
        let square = tape.mul(&centred, &centred);
        let variance = reduced(tape, call, "ReduceMean", &square, &axes);
        let epsilon = tape.scalar(epsilon);
        let shifted = tape.op("Add", &[&variance, &epsilon]);
        let deviation = tape.op("Sqrt", &[&shifted]);
        let inverse = tape.op("Reciprocal", &[&deviation]);
        Standardised {
            values: tape.mul(&centred, &inverse),
            inverse,
            axes,
        }
    }

    /// `dX = (dx^ - mean(dx^) - x^ mean(dx^ x^)) / deviation`
    fn backward(&self, tape: &mut Tape<'_>, call: &Call<'_>, cotangent: &str) -> String {
        let mean = reduced(tape, call, "ReduceMean", cotangent, &self.axes);
        let product = tape.mul(cotangent, &self.values);
        let slope = reduced(tape, call, "ReduceMean", &product, &self.axes);
        let along = tape.mul(&self.values, &slope);
        let across = tape.op("Sub", &[cotangent, &mean]);
        let difference = tape.op("Sub", &[&across, &along]);
        tape.mul(&difference, &self.inverse)
    }
}

/// `Y = x^ scale + bias` over the last axes; the forward node is asked for its mean and its inverse deviation.
fn layer_normalization(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    if call.cotangents.iter().skip(1).any(Option::is_some) {
        return Err(call.form("a gradient through its statistics"));
    }
    let (x, scale, dy) = (call.input(0)?, call.input(1)?, call.cotangent()?);
    let rank = tape.shape(x)?.len();
    let first = call.axis(-1, rank)?;
    let mean = tape.further_output(call, 1);
    let inverse = tape.further_output(call, 2);
    let centred = tape.op("Sub", &[x, &mean]);
    let standardised = Standardised {
        values: tape.mul(&centred, &inverse),
        inverse,
        axes: (first as i64..rank as i64).collect(),
    };
    let mut results = Vec::new();
    if call.wants(0) {
        let scaled = tape.mul(dy, scale);
        results.push((0, standardised.backward(tape, call, &scaled)));
    }
    if call.wants(1) {
        let product = tape.mul(dy, &standardised.values);
        results.push((1, tape.sum_to(&product, x, scale)?));
    }
    if call.wants(2) {
        results.push((2, tape.sum_to(dy, x, call.input(2)?)?));
    }
    Ok(results)
}

/// The cotangents of a scale and a bias with an entry a channel, where they are wanted: sums over all other axes.
fn channel_weights(
    tape: &mut Tape<'_>,
    call: &Call<'_>,
    cotangent: &str,
    standardised: &str,
    rank: usize,
) -> Result<Vec<(usize, String)>, GradientError> {
    let axes: Vec<i64> = (0..rank as i64).filter(|&axis| axis != 1).collect();
    let mut results = Vec::new();
    if call.wants(1) {
        let product = tape.mul(cotangent, standardised);
        results.push((1, tape.sum_axes(&product, &axes, 1, call.input(1)?)?));
    }
    if call.wants(2) {
        results.push((2, tape.sum_axes(cotangent, &axes, 1, call.input(2)?)?));
    }
    Ok(results)
}

/// `Y = x^ scale + bias`, the statistics taken over the picture of a channel.
fn instance_normalization(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (x, scale, dy) = (call.input(0)?, call.input(1)?, call.cotangent()?);
    let rank = tape.shape(x)?.len();
    let axes: Vec<i64> = (2..rank as i64).collect();
    if axes.is_empty() {
        return Err(call.form("an input without spatial axes"));
    }
    let epsilon = call.float("epsilon", 1e-5);
    let standardised = Standardised::again(tape, call, x, axes, epsilon);
    let mut results = channel_weights(tape, call, dy, &standardised.values, rank)?;
    if call.wants(0) {
        let scale = along_channels(tape, scale, rank);
        let scaled = tape.mul(dy, &scale);
        results.push((0, standardised.backward(tape, call, &scaled)));
    }
    Ok(results)
}

/// `Y = x^ scale + bias`, the statistics taken over a group of channels; `[N, G, -1]` is the shape in which a group is an axis.
///
/// Scale and bias have an entry a channel; older forms, with an entry a group, are something else once the model is open.
fn group_normalization(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (x, scale, dy) = (call.input(0)?, call.input(1)?, call.cotangent()?);
    let rank = tape.shape(x)?.len();
    let groups = call.int("num_groups", 0);
    if rank < 2 || groups < 1 {
        return Err(call.form("an input without groups"));
    }
    let grouped_shape = tape.ints(&[0, groups, -1]);
    let grouped = tape.op("Reshape", &[x, &grouped_shape]);
    let epsilon = call.float("epsilon", 1e-5);
    let standardised = Standardised::again(tape, call, &grouped, vec![2], epsilon);
    let mut results = Vec::new();
    if call.wants(1) || call.wants(2) {
        let values = tape.reshape_like(&standardised.values, x)?;
        results = channel_weights(tape, call, dy, &values, rank)?;
    }
    let scale = along_channels(tape, scale, rank);
    let scaled = tape.mul(dy, &scale);
    let scaled = tape.op("Reshape", &[&scaled, &grouped_shape]);
    if call.wants(0) {
        let dx = standardised.backward(tape, call, &scaled);
        results.push((0, tape.reshape_like(&dx, x)?));
    }
    Ok(results)
}

/// `Y = (X - mean) / (deviation + 1e-9)`, by default over batch and picture: the statistics of a channel.
///
/// The constant keeps zero from being divided by zero and is too small to matter otherwise.
fn mean_variance_normalization(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let rank = tape.shape(x)?.len();
    let axes = call.ints("axes").unwrap_or_else(|| vec![0, 2, 3]);
    let axes = axes.into_iter().map(|axis| call.within(axis, rank));
    let axes = axes.collect::<Result<Vec<usize>, _>>()?;
    let axes = axes.into_iter().map(|axis| axis as i64).collect();
    let standardised = Standardised::again(tape, call, x, axes, 1e-18);
    Ok(vec![(
        0,
        standardised.backward(tape, call, call.cotangent()?),
    )])
}
