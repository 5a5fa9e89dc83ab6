//! Activation functions with a kink.
//!
//! At a kink the derivative is zero on the flat side, as PyTorch has it for `relu`, `relu6` and `hardtanh`.

use super::Rule;
use super::mask::{step, where_between, where_positive};
use crate::gradient::tape::{Call, Cotangents, Tape, float};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("Celu", celu),
    ("Clip", clip),
    ("Elu", elu),
    ("HardSigmoid", hard_sigmoid),
    ("HardSwish", hard_swish),
    ("LeakyRelu", leaky_relu),
    ("PRelu", prelu),
    ("Relu", relu),
    ("Selu", selu),
    ("Shrink", shrink),
    ("ThresholdedRelu", thresholded_relu),
];

/// `a > value`
fn above(tape: &mut Tape<'_>, a: &str, value: f32) -> String {
    let value = tape.scalar(value);
    tape.op("Greater", &[a, &value])
}

fn relu(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let dx = where_positive(tape, call.output(), call.cotangent()?);
    Ok(vec![(0, dx)])
}

fn thresholded_relu(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let active = above(tape, call.input(0)?, call.float("alpha", 1.0));
    Ok(vec![(0, tape.masked(&active, call.cotangent()?))])
}

/// The bounds are inputs since opset 11, attributes before; read off the output, which lies on a bound where the input passed it.
fn clip(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    if call.wants(1) || call.wants(2) {
        return clip_to_computed(tape, call);
    }
    let (y, dy) = (call.output(), call.cotangent()?);
    let (mut numbers, mut tensors) = ([None, None], [None, None]);
    for (index, attribute) in ["min", "max"].into_iter().enumerate() {
        let given = call.node.input.get(index + 1);
        match given.filter(|name| !name.is_empty()) {
            Some(name) => match tape.constant_floats(name).as_deref() {
                Some([value]) => numbers[index] = Some(*value),
                _ => tensors[index] = Some(name),
            },
            None => numbers[index] = call.optional_float(attribute),
        }
    }
    // A bound that nothing reaches is none; their product with a small number must not overflow.
    let numbers = numbers.map(|bound| bound.filter(|value| value.abs() < 1e15));
    let mut dx = where_between(tape, y, numbers[0], numbers[1], dy);
    for (bound, comparison) in tensors.into_iter().zip(["Greater", "Less"]) {
        if let Some(bound) = bound {
            let within = tape.op(comparison, &[y, bound]);
            dx = tape.masked(&within, &dx);
        }
    }
    Ok(vec![(0, dx)])
}

/// With bounds that depend on the picture, `Min(Max(X, low), high)`: equal ones share the cotangent, as PyTorch's `clamp` has it.
fn clip_to_computed(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let bound = |position: usize| {
        call.node
            .input
            .get(position)
            .filter(|name| !name.is_empty())
    };
    let raised = match bound(1) {
        Some(low) => tape.op("Max", &[x, low]),
        None => x.to_owned(),
    };
    let half = tape.scalar(0.5);
    let mut rest = call.cotangent()?.to_owned();
    let mut results = Vec::new();
    for (position, value) in [(2, &raised), (1, &x.to_owned())] {
        let Some(bound) = bound(position) else {
            continue;
        };
        let room = match position {
            1 => tape.op("Sub", &[value, bound]),
            _ => tape.op("Sub", &[bound, value]),
        };
        // One where the value is taken, zero where the bound is, a half where they are equal.
        let side = tape.op("Sign", &[&room]);
        let side = tape.mul(&side, &half);
        let weight = tape.op("Add", &[&side, &half]);
        let passed = tape.mul(&rest, &weight);
        if call.wants(position) {
            let taken = tape.op("Sub", &[&rest, &passed]);
            results.push((position, tape.sum_to(&taken, x, bound)?));
        }
        rest = passed;
    }
    if call.wants(0) {
        results.push((0, rest));
    }
    Ok(results)
}

/// `slope` times the cotangent where the input is not positive.
fn leaky(tape: &mut Tape<'_>, call: &Call<'_>, slope: &str) -> Cotangents {
    let active = above(tape, call.input(0)?, 0.0);
    let weak = tape.mul(call.cotangent()?, slope);
    Ok(vec![(
        0,
        tape.op("Where", &[&active, call.cotangent()?, &weak]),
    )])
}

fn leaky_relu(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let alpha = call.float("alpha", 0.01);
    if (0.0..=1.0).contains(&alpha) {
        let slope = step(tape, call.input(0)?, alpha, 1.0);
        return Ok(vec![(0, tape.mul(&slope, call.cotangent()?))]);
    }
    let slope = tape.scalar(alpha);
    leaky(tape, call, &slope)
}

/// The slope gets `dY X` where the input is not positive, summed over what shares an entry.
fn prelu(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (x, slope, dy) = (call.input(0)?, call.input(1)?, call.cotangent()?);
    let mut results = if call.wants(0) {
        leaky(tape, call, slope)?
    } else {
        vec![]
    };
    if call.wants(1) {
        let zero = tape.scalar(0.0);
        let below = tape.op("Min", &[x, &zero]);
        let product = tape.mul(dy, &below);
        results.push((1, tape.sum_to(&product, x, slope)?));
    }
    Ok(results)
}

/// `dY` where the input lies beyond the threshold on either side.
fn shrink(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let magnitude = tape.op("Abs", &[call.input(0)?]);
    let beyond = above(tape, &magnitude, call.float("lambd", 0.5));
    Ok(vec![(0, tape.masked(&beyond, call.cotangent()?))])
}

/// For `f(x) = a (exp(x / c) - 1)` below zero the derivative is `(f(x) + a) / c`.
fn exponential(
    tape: &mut Tape<'_>,
    call: &Call<'_>,
    a: f32,
    c: f32,
    above_zero: f32,
) -> Cotangents {
    let (x, y, dy) = (call.input(0)?, call.output(), call.cotangent()?);
    let active = above(tape, x, 0.0);
    let a = tape.scalar(a);
    let shifted = tape.op("Add", &[y, &a]);
    let slope = tape.scale(&shifted, 1.0 / c);
    let weak = tape.mul(dy, &slope);
    let strong = tape.scale(dy, above_zero);
    Ok(vec![(0, tape.op("Where", &[&active, &strong, &weak]))])
}

fn elu(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    exponential(tape, call, call.float("alpha", 1.0), 1.0, 1.0)
}

fn celu(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let alpha = call.float("alpha", 1.0);
    exponential(tape, call, alpha, alpha, 1.0)
}

/// The constants are those of Klambauer et al. 2017, the operator's defaults.
fn selu(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let alpha = call.float("alpha", 1.673_263_2);
    let gamma = call.float("gamma", 1.050_701);
    exponential(tape, call, alpha * gamma, 1.0, gamma)
}

/// `alpha` where the result lies between 0 and 1.
fn hard_sigmoid(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let scaled = tape.scale(call.cotangent()?, call.float("alpha", 0.2));
    let dx = where_between(tape, call.output(), Some(0.0), Some(1.0), &scaled);
    Ok(vec![(0, dx)])
}

/// With `h(x) = clamp(x/6 + 1/2, 0, 1)` it is `x h(x)`, and its derivative `h(x) + x/6` where `x^2 < 9`, `h(x)` elsewhere.
fn hard_swish(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (x, dy) = (call.input(0)?, call.cotangent()?);
    let sixth = 1.0 / 6.0;
    let gate = tape.node("HardSigmoid", &[x], vec![float("alpha", sixth)]);
    let nine = tape.scalar(9.0);
    let square = tape.mul(x, x);
    let room = tape.op("Sub", &[&nine, &square]);
    let inside = step(tape, &room, 0.0, sixth);
    let slope = tape.mul(&inside, x);
    let slope = tape.op("Add", &[&slope, &gate]);
    Ok(vec![(0, tape.mul(&slope, dy))])
}
