//! Elementwise arithmetic on two or more tensors, with broadcasting; `Cast` and what passes through.

use super::Rule;
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape, int};
use crate::model::facts::ElementType;

pub(super) const RULES: &[(&str, Rule)] = &[
    ("Add", add),
    ("Cast", cast),
    ("Div", div),
    ("Dropout", identity),
    ("Identity", identity),
    ("Max", extremum),
    ("Mean", mean),
    ("Min", extremum),
    ("Mod", modulo),
    ("Mul", mul),
    ("Pow", pow),
    ("Sub", sub),
    ("Sum", add),
    ("Where", select),
];

/// Sums the cotangent of input `position`, which has the output's shape, down to that input's shape.
fn fit(
    tape: &mut Tape<'_>,
    call: &Call<'_>,
    position: usize,
    cotangent: &str,
) -> Result<(usize, String), GradientError> {
    Ok((
        position,
        tape.sum_to(cotangent, call.output(), call.input(position)?)?,
    ))
}

/// The positions of the inputs that are wanted.
fn wanted<'a>(call: &'a Call<'_>) -> impl Iterator<Item = usize> + 'a {
    (0..call.node.input.len()).filter(|&position| call.wants(position))
}

/// `Dropout` at inference and `Identity` pass the cotangent on.
fn identity(_: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    if wanted(call).any(|position| position > 0) {
        return Err(call.form("a ratio that depends on the picture"));
    }
    Ok(vec![(0, call.cotangent()?.to_owned())])
}

/// Between floating types only: anything else is a step function.
fn cast(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    const FLOAT: i64 = 1;
    const DOUBLE: i64 = 11;
    if !matches!(call.int("to", 0), FLOAT | DOUBLE) {
        return Err(call.form("a type that is not f32 or f64"));
    }
    Ok(vec![(
        0,
        tape.node("Cast", &[call.cotangent()?], vec![int("to", FLOAT)]),
    )])
}

/// `Add` and `Sum`: every input gets the cotangent.
fn add(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let dy = call.cotangent()?;
    wanted(call)
        .map(|position| fit(tape, call, position, dy))
        .collect()
}

fn mean(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let share = tape.scale(call.cotangent()?, 1.0 / call.node.input.len() as f32);
    wanted(call)
        .map(|position| fit(tape, call, position, &share))
        .collect()
}

fn sub(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let mut results = Vec::new();
    for position in wanted(call) {
        let (position, fitted) = fit(tape, call, position, call.cotangent()?)?;
        let result = match position {
            0 => fitted,
            _ => tape.op("Neg", &[&fitted]),
        };
        results.push((position, result));
    }
    Ok(results)
}

fn mul(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    if let Some(position) = gated_by_itself(tape, call) {
        let dx = swish(tape, call, call.input(1 - position)?)?;
        return Ok(vec![(position, dx)]);
    }
    let mut results = Vec::new();
    for position in wanted(call) {
        let other = if position == 0 { 1 } else { 0 };
        let product = tape.mul(call.cotangent()?, call.input(other)?);
        results.push(fit(tape, call, position, &product)?);
    }
    Ok(results)
}

/// The position of an `x` that is multiplied by `Sigmoid(x)`.
fn gated_by_itself(tape: &Tape<'_>, call: &Call<'_>) -> Option<usize> {
    let [a, b] = call.node.input.as_slice() else {
        return None;
    };
    let is_gate_of = |gate: &str, x: &String| {
        let maker = tape.maker(gate);
        maker.is_some_and(|node| node.op_type == "Sigmoid" && node.input.first() == Some(x))
    };
    let position = (0..2).find(|&position| match position {
        0 => is_gate_of(b, a),
        _ => is_gate_of(a, b),
    })?;
    (call.wants(0) && call.wants(1)).then_some(position)
}

/// `Y = X s` with `s = sigmoid(X)`: `dX = dY (s + Y (1 - s))`, fewer passes over the tensor than through product and sigmoid.
fn swish(tape: &mut Tape<'_>, call: &Call<'_>, gate: &str) -> Result<String, GradientError> {
    let one = tape.scalar(1.0);
    let rest = tape.op("Sub", &[&one, gate]);
    let along = tape.mul(&rest, call.output());
    let slope = tape.op("Add", &[&along, gate]);
    Ok(tape.mul(&slope, call.cotangent()?))
}

/// `dA = dY / B`, `dB = -dY Y / B`
fn div(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let divisor = call.input(1)?;
    let quotient = tape.op("Div", &[call.cotangent()?, divisor]);
    let mut results = Vec::new();
    for position in wanted(call) {
        results.push(match position {
            0 => fit(tape, call, 0, &quotient)?,
            _ => {
                let product = tape.mul(&quotient, call.output());
                let (position, fitted) = fit(tape, call, position, &product)?;
                (position, tape.op("Neg", &[&fitted]))
            }
        });
    }
    Ok(results)
}

/// `Y = A - B q` with a whole `q`: `dA = dY`, `dB = -dY q`. `q` is rounded to what it is.
fn modulo(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (a, b, dy) = (call.input(0)?, call.input(1)?, call.cotangent()?);
    let mut results = Vec::new();
    if call.wants(0) {
        results.push(fit(tape, call, 0, dy)?);
    }
    if call.wants(1) {
        let multiple = tape.op("Sub", &[call.output(), a]);
        let quotient = tape.op("Div", &[&multiple, b]);
        let negative = tape.op("Round", &[&quotient]);
        let product = tape.mul(dy, &negative);
        results.push(fit(tape, call, 1, &product)?);
    }
    Ok(results)
}

/// `dX = dY p X^(p - 1)`, zero where `p` is zero; `dP = dY Y log(X)`, zero where `X` is zero and `p` is not negative, as in PyTorch.
fn pow(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (base, exponent, dy) = (call.input(0)?, call.input(1)?, call.cotangent()?);
    let mut results = Vec::new();
    if call.wants(0) {
        let known = tape
            .facts
            .get(exponent)
            .and_then(|fact| fact.values.clone());
        let product = match known.as_deref() {
            // A square, far the most frequent.
            Some([2.0]) => {
                let twice = tape.scale(dy, 2.0);
                tape.mul(&twice, base)
            }
            Some([1.0]) => dy.to_owned(),
            Some([0.0]) => tape.scale(dy, 0.0),
            Some([p]) => {
                let lower = tape.scalar((p - 1.0) as f32);
                let power = tape.op("Pow", &[base, &lower]);
                let slope = tape.scale(&power, *p as f32);
                tape.mul(dy, &slope)
            }
            _ => {
                let p = as_float(tape, exponent);
                let (zero, one) = (tape.scalar(0.0), tape.scalar(1.0));
                let lower = tape.op("Sub", &[&p, &one]);
                let power = tape.op("Pow", &[base, &lower]);
                let slope = tape.mul(&p, &power);
                let product = tape.mul(dy, &slope);
                let constant = tape.op("Equal", &[&p, &zero]);
                tape.op("Where", &[&constant, &zero, &product])
            }
        };
        results.push(fit(tape, call, 0, &product)?);
    }
    if call.wants(1) {
        let zero = tape.scalar(0.0);
        let logarithm = tape.op("Log", &[base]);
        let slope = tape.mul(call.output(), &logarithm);
        let product = tape.mul(dy, &slope);
        let at_zero = tape.op("Equal", &[base, &zero]);
        let not_negative = tape.op("GreaterOrEqual", &[exponent, &zero]);
        let flat = tape.op("And", &[&at_zero, &not_negative]);
        let product = tape.op("Where", &[&flat, &zero, &product]);
        results.push(fit(tape, call, 1, &product)?);
    }
    Ok(results)
}

/// A tensor as f32, which the exponent of a power need not be.
fn as_float(tape: &mut Tape<'_>, tensor: &str) -> String {
    let element = tape.facts.get(tensor).map(|fact| fact.element);
    match element {
        Some(ElementType::F32) => tensor.to_owned(),
        _ => tape.node("Cast", &[tensor], vec![int("to", 1)]),
    }
}

/// `Max` and `Min`: the inputs that are the extremum share the cotangent equally, as PyTorch has it.
fn extremum(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let mut masks = Vec::new();
    for position in 0..call.node.input.len() {
        let equal = tape.op("Equal", &[call.input(position)?, call.output()]);
        masks.push(tape.node("Cast", &[&equal], vec![int("to", 1)]));
    }
    let names: Vec<&str> = masks.iter().map(String::as_str).collect();
    let count = tape.op("Sum", &names);
    let share = tape.op("Div", &[call.cotangent()?, &count]);
    let mut results = Vec::new();
    for position in wanted(call) {
        let product = tape.mul(&masks[position], &share);
        results.push(fit(tape, call, position, &product)?);
    }
    Ok(results)
}

/// `Where(condition, a, b)`
fn select(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (condition, dy) = (call.input(0)?, call.cotangent()?);
    let zero = tape.scalar(0.0);
    let mut results = Vec::new();
    for position in wanted(call) {
        let chosen = match position {
            1 => tape.op("Where", &[condition, dy, &zero]),
            2 => tape.op("Where", &[condition, &zero, dy]),
            _ => return Err(call.form("a condition that carries a gradient")),
        };
        results.push(fit(tape, call, position, &chosen)?);
    }
    Ok(results)
}
