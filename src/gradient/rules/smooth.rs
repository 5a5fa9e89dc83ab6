//! Activation functions without a kink.

use super::Rule;
use crate::gradient::tape::{Call, Cotangents, Tape};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("Gelu", gelu),
    ("Mish", mish),
    ("Sigmoid", sigmoid),
    ("Softplus", softplus),
    ("Softsign", softsign),
    ("Tanh", tanh),
];

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
