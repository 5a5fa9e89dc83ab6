//! Reductions over axes.

use super::Rule;
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape, int, ints};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("ReduceL1", reduce_l1),
    ("ReduceL2", reduce_l2),
    ("ReduceLogSum", reduce_log_sum),
    ("ReduceLogSumExp", reduce_log_sum_exp),
    ("ReduceMax", reduce_extremum),
    ("ReduceMean", reduce_mean),
    ("ReduceMin", reduce_extremum),
    ("ReduceProd", reduce_prod),
    ("ReduceSum", reduce_sum),
    ("ReduceSumSquare", reduce_sum_square),
];

/// `operator` over `axes`, which stay as ones. All but `ReduceSum` take them as an attribute until opset 17.
pub(super) fn reduced(
    tape: &mut Tape<'_>,
    call: &Call<'_>,
    operator: &str,
    tensor: &str,
    axes: &[i64],
) -> String {
    if axes.is_empty() {
        return tensor.to_owned();
    }
    let keep = int("keepdims", 1);
    if call.opset < 18 {
        tape.node(operator, &[tensor], vec![ints("axes", axes), keep])
    } else {
        let axes = tape.ints(axes);
        tape.node(operator, &[tensor, &axes], vec![keep])
    }
}

/// `tensor`, which has size one along `axes`, repeated along them to the sizes of the forward tensor `like`.
pub(super) fn spread(
    tape: &mut Tape<'_>,
    tensor: &str,
    axes: &[i64],
    like: &str,
) -> Result<String, GradientError> {
    let shape = tape.shape(like)?;
    let size = |axis: usize| match axes.contains(&(axis as i64)) {
        true => shape[axis].known(),
        false => Some(1),
    };
    Ok(
        match (0..shape.len()).map(size).collect::<Option<Vec<i64>>>() {
            Some(sizes) => tape.repeat(tensor, &sizes),
            None => {
                // No `Expand` to a computed shape: cut at the seed, the shape would be an input, and tract 0.23.9 could not infer it.
                let everywhere = tape.op("Equal", &[like, like]);
                tape.op("Where", &[&everywhere, tensor, tensor])
            }
        },
    )
}

/// The reduced axes, counted from the front and in order: an attribute in older opsets, an input in newer ones, all where absent.
fn axes(tape: &Tape<'_>, call: &Call<'_>) -> Result<Vec<i64>, GradientError> {
    let rank = tape.shape(call.input(0)?)?.len();
    let given = match call.node.input.get(1).filter(|name| !name.is_empty()) {
        Some(name) => Some(
            tape.constant_ints(name)
                .ok_or_else(|| call.form("axes that are not constant"))?,
        ),
        None => call.ints("axes"),
    };
    let given = match given {
        Some(axes) if !axes.is_empty() => axes,
        _ if call.int("noop_with_empty_axes", 0) != 0 => vec![],
        _ => (0..rank as i64).collect(),
    };
    let from_front = given.into_iter().map(|axis| call.within(axis, rank));
    let mut axes = from_front.collect::<Result<Vec<usize>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes.into_iter().map(|axis| axis as i64).collect())
}

/// A tensor of the output's shape with the reduced axes put back as ones.
fn with_axes(tape: &mut Tape<'_>, call: &Call<'_>, tensor: &str, axes: &[i64]) -> String {
    if call.int("keepdims", 1) != 0 {
        return tensor.to_owned();
    }
    tape.unsqueeze(tensor, axes)
}

/// `dX = factor`, the same along the reduced axes.
fn same_along(tape: &mut Tape<'_>, call: &Call<'_>, factor: &str, axes: &[i64]) -> Cotangents {
    let factor = with_axes(tape, call, factor, axes);
    Ok(vec![(0, spread(tape, &factor, axes, call.input(0)?)?)])
}

/// `dX = dY`
fn reduce_sum(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let axes = axes(tape, call)?;
    same_along(tape, call, call.cotangent()?, &axes)
}

/// `dX = dY / n`; where `n` is open, the graph counts the elements.
fn reduce_mean(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (x, dy) = (call.input(0)?, call.cotangent()?);
    let axes = axes(tape, call)?;
    let shape = tape.shape(x)?;
    let count: Option<i64> = axes
        .iter()
        .map(|&axis| shape[axis as usize].known())
        .product();
    let share = match count {
        Some(count) => tape.scale(dy, 1.0 / count as f32),
        None => {
            let [all, left] = [x, call.output()].map(|tensor| {
                let size = tape.op("Size", &[tensor]);
                tape.node("Cast", &[&size], vec![int("to", 1)])
            });
            let share = tape.op("Div", &[&left, &all]);
            tape.mul(dy, &share)
        }
    };
    same_along(tape, call, &share, &axes)
}

/// `ReduceMax` and `ReduceMin`: equal extrema share the cotangent, as PyTorch's `amax` has it.
fn reduce_extremum(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let axes = axes(tape, call)?;
    let y = with_axes(tape, call, call.output(), &axes);
    let dy = with_axes(tape, call, call.cotangent()?, &axes);
    let equal = tape.op("Equal", &[x, &y]);
    let mask = tape.node("Cast", &[&equal], vec![int("to", 1)]);
    let count = tape.sum(&mask, &axes);
    let share = tape.op("Div", &[&dy, &count]);
    Ok(vec![(0, tape.mul(&mask, &share))])
}

/// `dX = dY P / X` with the product `P` of what is not zero; beside a zero only that zero gets a gradient, `dY P`, beside two nothing.
fn reduce_prod(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let axes = axes(tape, call)?;
    if axes.is_empty() {
        return Ok(vec![(0, call.cotangent()?.to_owned())]);
    }
    let dy = with_axes(tape, call, call.cotangent()?, &axes);
    let (zero, one) = (tape.scalar(0.0), tape.scalar(1.0));
    let is_zero = tape.op("Equal", &[x, &zero]);
    let others = tape.op("Where", &[&is_zero, &one, x]);
    let product = reduced(tape, call, "ReduceProd", &others, &axes);
    let weighted = tape.mul(&dy, &product);
    let quotient = tape.op("Div", &[&weighted, &others]);
    let mask = tape.node("Cast", &[&is_zero], vec![int("to", 1)]);
    let zeros = tape.sum(&mask, &axes);
    let alone = tape.op("Equal", &[&zeros, &mask]);
    Ok(vec![(0, tape.masked(&alone, &quotient))])
}

/// `dX = dY sign(X)`
fn reduce_l1(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let axes = axes(tape, call)?;
    let dy = with_axes(tape, call, call.cotangent()?, &axes);
    let sign = tape.op("Sign", &[call.input(0)?]);
    Ok(vec![(0, tape.mul(&sign, &dy))])
}

/// `dX = dY X / Y`, zero where `Y` is, as in PyTorch.
fn reduce_l2(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let axes = axes(tape, call)?;
    let slope = tape.op("Div", &[call.cotangent()?, call.output()]);
    let zero = tape.scalar(0.0);
    let positive = tape.op("Greater", &[call.output(), &zero]);
    let slope = tape.masked(&positive, &slope);
    let slope = with_axes(tape, call, &slope, &axes);
    Ok(vec![(0, tape.mul(call.input(0)?, &slope))])
}

/// `dX = 2 dY X`
fn reduce_sum_square(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let axes = axes(tape, call)?;
    let twice = tape.scale(call.cotangent()?, 2.0);
    let twice = with_axes(tape, call, &twice, &axes);
    Ok(vec![(0, tape.mul(call.input(0)?, &twice))])
}

/// `dX = dY / exp(Y)`
fn reduce_log_sum(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let axes = axes(tape, call)?;
    let sum = tape.op("Exp", &[call.output()]);
    let share = tape.op("Div", &[call.cotangent()?, &sum]);
    same_along(tape, call, &share, &axes)
}

/// `dX = dY exp(X - Y)`, which cannot overflow.
fn reduce_log_sum_exp(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let axes = axes(tape, call)?;
    let y = with_axes(tape, call, call.output(), &axes);
    let dy = with_axes(tape, call, call.cotangent()?, &axes);
    let difference = tape.op("Sub", &[call.input(0)?, &y]);
    let share = tape.op("Exp", &[&difference]);
    Ok(vec![(0, tape.mul(&share, &dy))])
}
