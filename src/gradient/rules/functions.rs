//! Functions of one variable, and steps, whose derivative is zero.

use super::Rule;
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("Abs", abs),
    ("Acos", acos),
    ("Acosh", acosh),
    ("Asin", asin),
    ("Asinh", asinh),
    ("Atan", atan),
    ("Atanh", atanh),
    ("Ceil", step),
    ("Cos", cos),
    ("Cosh", cosh),
    ("Erf", erf),
    ("Exp", exp),
    ("Floor", step),
    ("Hardmax", step),
    ("Log", log),
    ("Neg", neg),
    ("Reciprocal", reciprocal),
    ("Round", step),
    ("Sign", step),
    ("Sin", sin),
    ("Sinh", sinh),
    ("Sqrt", sqrt),
    ("Tan", tan),
];

/// `dX = dY slope`
fn times(tape: &mut Tape<'_>, call: &Call<'_>, slope: &str) -> Cotangents {
    Ok(vec![(0, tape.mul(call.cotangent()?, slope))])
}

/// `dX = dY / divisor`
fn over(tape: &mut Tape<'_>, call: &Call<'_>, divisor: &str) -> Cotangents {
    Ok(vec![(0, tape.op("Div", &[call.cotangent()?, divisor]))])
}

/// `dX = -(...)` of what another rule says.
fn minus(tape: &mut Tape<'_>, results: Cotangents) -> Cotangents {
    let negated = |(position, dx): (usize, String)| (position, tape.op("Neg", &[&dx]));
    Ok(results?.into_iter().map(negated).collect())
}

/// No gradient flows: the derivative is zero wherever there is one.
fn step(_: &mut Tape<'_>, _: &Call<'_>) -> Cotangents {
    Ok(vec![])
}

/// `dX = -dY`
fn neg(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    Ok(vec![(0, tape.op("Neg", &[call.cotangent()?]))])
}

/// `sign(X)`, zero at zero
fn abs(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let sign = tape.op("Sign", &[call.input(0)?]);
    times(tape, call, &sign)
}

/// `-Y^2`
fn reciprocal(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let square = tape.mul(call.output(), call.output());
    let results = times(tape, call, &square);
    minus(tape, results)
}

/// `1 / (2 Y)`
fn sqrt(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let twice = tape.scale(call.output(), 2.0);
    over(tape, call, &twice)
}

/// `Y`
fn exp(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    times(tape, call, call.output())
}

/// `1 / X`
fn log(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    over(tape, call, call.input(0)?)
}

/// `cos(X)`
fn sin(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let slope = tape.op("Cos", &[call.input(0)?]);
    times(tape, call, &slope)
}

/// `-sin(X)`
fn cos(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let slope = tape.op("Sin", &[call.input(0)?]);
    let results = times(tape, call, &slope);
    minus(tape, results)
}

/// `1 + Y^2`
fn tan(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let one = tape.scalar(1.0);
    let square = tape.mul(call.output(), call.output());
    let slope = tape.op("Add", &[&square, &one]);
    times(tape, call, &slope)
}

/// `1 - X` and `1 + X`, whose product is `1 - X^2` without the rounding of the square near one.
fn around_one(tape: &mut Tape<'_>, call: &Call<'_>) -> Result<[String; 2], GradientError> {
    let x = call.input(0)?;
    let one = tape.scalar(1.0);
    Ok([tape.op("Sub", &[&one, x]), tape.op("Add", &[&one, x])])
}

/// `1 / sqrt(1 - X^2)`
fn asin(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let [below, above] = around_one(tape, call)?;
    let product = tape.mul(&below, &above);
    let root = tape.op("Sqrt", &[&product]);
    over(tape, call, &root)
}

/// `-1 / sqrt(1 - X^2)`
fn acos(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let results = asin(tape, call);
    minus(tape, results)
}

/// `1 + X^2`
fn one_and_square(tape: &mut Tape<'_>, call: &Call<'_>) -> Result<String, GradientError> {
    let x = call.input(0)?;
    let one = tape.scalar(1.0);
    let square = tape.mul(x, x);
    Ok(tape.op("Add", &[&square, &one]))
}

/// `1 / (1 + X^2)`
fn atan(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let sum = one_and_square(tape, call)?;
    over(tape, call, &sum)
}

/// `cosh(X)`
fn sinh(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let slope = tape.op("Cosh", &[call.input(0)?]);
    times(tape, call, &slope)
}

/// `sinh(X)`
fn cosh(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let slope = tape.op("Sinh", &[call.input(0)?]);
    times(tape, call, &slope)
}

/// `1 / sqrt(1 + X^2)`
fn asinh(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let sum = one_and_square(tape, call)?;
    let root = tape.op("Sqrt", &[&sum]);
    over(tape, call, &root)
}

/// `1 / sqrt(X^2 - 1)`
fn acosh(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let [below, above] = around_one(tape, call)?;
    let negative = tape.mul(&below, &above);
    let product = tape.op("Neg", &[&negative]);
    let root = tape.op("Sqrt", &[&product]);
    over(tape, call, &root)
}

/// `1 / (1 - X^2)`
fn atanh(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let [below, above] = around_one(tape, call)?;
    let product = tape.mul(&below, &above);
    over(tape, call, &product)
}

/// `2 / sqrt(pi) exp(-X^2)`, the factor within the exponent: a pass less over the tensor.
fn erf(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let square = tape.mul(x, x);
    let peak = tape.scalar(std::f32::consts::FRAC_2_SQRT_PI.ln());
    let exponent = tape.op("Sub", &[&peak, &square]);
    let slope = tape.op("Exp", &[&exponent]);
    times(tape, call, &slope)
}
