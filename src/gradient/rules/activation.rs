//! Activation functions.
//!
//! At a kink the derivative is zero on the flat side, as PyTorch has it for `relu`, `relu6` and `hardtanh`.

use super::Rule;
use super::mask::{step, where_between, where_positive};
use crate::gradient::tape::{Call, Cotangents, Tape, float};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("Celu", celu),
    ("Clip", clip),
    ("Elu", elu),
    ("Gelu", gelu),
    ("HardSigmoid", hard_sigmoid),
    ("HardSwish", hard_swish),
    ("LeakyRelu", leaky_relu),
    ("Mish", mish),
    ("PRelu", prelu),
    ("Relu", relu),
    ("Selu", selu),
    ("Sigmoid", sigmoid),
    ("Softplus", softplus),
    ("Softsign", softsign),
    ("Tanh", tanh),
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
    let (y, dy) = (call.output(), call.cotangent()?);
    let (mut numbers, mut tensors) = ([None, None], [None, None]);
    for (index, attribute) in ["min", "max"].into_iter().enumerate() {
        if call.wants(index + 1) {
            return Err(call.form("bounds that depend on the picture"));
        }
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
        let slope = step(tape, call.input(0)?, alpha);
        return Ok(vec![(0, tape.mul(&slope, call.cotangent()?))]);
    }
    let slope = tape.scalar(alpha);
    leaky(tape, call, &slope)
}

fn prelu(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    if call.wants(1) {
        return Err(call.form("a slope that depends on the picture"));
    }
    leaky(tape, call, call.input(1)?)
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

/// `Y (1 - Y)`
fn sigmoid(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let y = call.output();
    let slope = logistic_slope(tape, y);
    Ok(vec![(0, tape.mul(call.cotangent()?, &slope))])
}

/// `s (1 - s)`
fn logistic_slope(tape: &mut Tape<'_>, s: &str) -> String {
    let one = tape.scalar(1.0);
    let rest = tape.op("Sub", &[&one, s]);
    tape.mul(s, &rest)
}

/// `1 - Y^2`
fn tanh(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let slope = tanh_slope(tape, call.output());
    Ok(vec![(0, tape.mul(call.cotangent()?, &slope))])
}

/// `1 - t^2`
fn tanh_slope(tape: &mut Tape<'_>, t: &str) -> String {
    let one = tape.scalar(1.0);
    let square = tape.mul(t, t);
    tape.op("Sub", &[&one, &square])
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
    let inside = step(tape, &room, 0.0);
    let slope = tape.scale(&inside, sixth);
    let slope = tape.mul(&slope, x);
    let slope = tape.op("Add", &[&slope, &gate]);
    Ok(vec![(0, tape.mul(&slope, dy))])
}

/// `sigmoid(x)`
fn softplus(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let slope = tape.op("Sigmoid", &[call.input(0)?]);
    Ok(vec![(0, tape.mul(call.cotangent()?, &slope))])
}

/// `1 / (1 + |x|)^2`
fn softsign(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let magnitude = tape.op("Abs", &[call.input(0)?]);
    let one = tape.scalar(1.0);
    let base = tape.op("Add", &[&magnitude, &one]);
    let square = tape.mul(&base, &base);
    Ok(vec![(0, tape.op("Div", &[call.cotangent()?, &square]))])
}

/// With `t = tanh(softplus(x))`: `t + x (1 - t^2) sigmoid(x)`
fn mish(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let softplus = tape.op("Softplus", &[x]);
    let t = tape.op("Tanh", &[&softplus]);
    let slope = tanh_slope(tape, &t);
    let gate = tape.op("Sigmoid", &[x]);
    let inner = tape.mul(&slope, &gate);
    let inner = tape.mul(x, &inner);
    let slope = tape.op("Add", &[&t, &inner]);
    Ok(vec![(0, tape.mul(call.cotangent()?, &slope))])
}

fn gelu(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let square = tape.mul(x, x);
    let slope = match call.text("approximate").as_deref() {
        None | Some("none") => normal_slope(tape, x, &square),
        Some("tanh") => tanh_gelu_slope(tape, x, &square),
        Some(other) => return Err(call.form(&format!("approximation {other}"))),
    };
    Ok(vec![(0, tape.mul(call.cotangent()?, &slope))])
}

/// With the normal distribution `F` and its density `f`, the derivative of `x F(x)`: `F(x) + x f(x)`
fn normal_slope(tape: &mut Tape<'_>, x: &str, square: &str) -> String {
    let scaled = tape.scale(x, std::f32::consts::FRAC_1_SQRT_2);
    let error = tape.op("Erf", &[&scaled]);
    let distribution = half_of_one_more(tape, &error);
    let exponent = tape.scale(square, -0.5);
    let bell = tape.op("Exp", &[&exponent]);
    let density = tape.scale(
        &bell,
        std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2 / 2.0,
    );
    let weighted = tape.mul(x, &density);
    tape.op("Add", &[&distribution, &weighted])
}

/// With `u = a (x + b x^3)` and `t = tanh(u)`, the derivative of `x (1 + t) / 2`: `(1 + t) / 2 + x (1 - t^2) a (1 + 3 b x^2) / 2`
fn tanh_gelu_slope(tape: &mut Tape<'_>, x: &str, square: &str) -> String {
    let (a, b) = (
        std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2,
        0.044_715,
    );
    let constant = tape.scalar(a);
    let quadratic = tape.scale(square, a * b);
    let inner = tape.op("Add", &[&constant, &quadratic]);
    let u = tape.mul(x, &inner);
    let t = tape.op("Tanh", &[&u]);
    let distribution = half_of_one_more(tape, &t);
    let half = tape.scalar(a / 2.0);
    let quadratic = tape.scale(square, 1.5 * a * b);
    let inner_slope = tape.op("Add", &[&half, &quadratic]);
    let outer_slope = tanh_slope(tape, &t);
    let product = tape.mul(&outer_slope, &inner_slope);
    let product = tape.mul(x, &product);
    tape.op("Add", &[&distribution, &product])
}

/// `(1 + t) / 2`
fn half_of_one_more(tape: &mut Tape<'_>, t: &str) -> String {
    let half = tape.scalar(0.5);
    let scaled = tape.mul(t, &half);
    tape.op("Add", &[&scaled, &half])
}
