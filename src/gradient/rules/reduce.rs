//! Reductions over axes.

use super::Rule;
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape, int, ints};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("ReduceMax", reduce_extremum),
    ("ReduceMean", reduce_mean),
    ("ReduceMin", reduce_extremum),
    ("ReduceSum", reduce_sum),
];

/// `operator` over `axes`, which stay as ones. All but `ReduceSum` take them as an attribute until opset 17.
pub(super) fn reduced(
    tape: &mut Tape<'_>,
    call: &Call<'_>,
    operator: &str,
    tensor: &str,
    axes: &[i64],
) -> String {
    let keep = int("keepdims", 1);
    if call.opset < 18 {
        tape.node(operator, &[tensor], vec![ints("axes", axes), keep])
    } else {
        let axes = tape.ints(axes);
        tape.node(operator, &[tensor, &axes], vec![keep])
    }
}

/// The reduced axes, counted from the front: an attribute in older opsets, an input in newer ones, all where absent.
fn axes(tape: &Tape<'_>, call: &Call<'_>) -> Result<Vec<i64>, GradientError> {
    let rank = tape.shape(call.input(0)?)?.len() as i64;
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
        _ => (0..rank).collect(),
    };
    Ok(given
        .into_iter()
        .map(|axis| if axis < 0 { axis + rank } else { axis })
        .collect())
}

/// A tensor of the output's shape with the reduced axes put back as ones.
fn with_axes(
    tape: &mut Tape<'_>,
    call: &Call<'_>,
    tensor: &str,
    axes: &[i64],
) -> Result<String, GradientError> {
    if call.int("keepdims", 1) != 0 || axes.is_empty() {
        return Ok(tensor.to_owned());
    }
    let axes = tape.ints(axes);
    Ok(tape.op("Unsqueeze", &[tensor, &axes]))
}

/// Repeats a tensor with ones along `axes` to the size of the input.
fn spread(
    tape: &mut Tape<'_>,
    call: &Call<'_>,
    tensor: &str,
    axes: &[i64],
) -> Result<String, GradientError> {
    let x = call.input(0)?;
    let shape = tape.shape(x)?;
    let size = |axis: usize| match axes.contains(&(axis as i64)) {
        true => shape[axis].known(),
        false => Some(1),
    };
    match (0..shape.len()).map(size).collect::<Option<Vec<i64>>>() {
        Some(sizes) => Ok(tape.repeat(tensor, &sizes)),
        None => {
            let target = tape.op("Shape", &[x]);
            Ok(tape.op("Expand", &[tensor, &target]))
        }
    }
}

fn reduce_sum(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let axes = axes(tape, call)?;
    let dy = with_axes(tape, call, call.cotangent()?, &axes)?;
    Ok(vec![(0, spread(tape, call, &dy, &axes)?)])
}

fn reduce_mean(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let axes = axes(tape, call)?;
    let shape = tape.shape(x)?;
    let count: Option<i64> = axes
        .iter()
        .map(|&axis| shape[axis as usize].known())
        .product();
    let count = count.ok_or_else(|| tape.open_shape(x))?;
    let share = tape.scale(call.cotangent()?, 1.0 / count as f32);
    let share = with_axes(tape, call, &share, &axes)?;
    Ok(vec![(0, spread(tape, call, &share, &axes)?)])
}

/// `ReduceMax` and `ReduceMin`: equal extrema share the cotangent, as PyTorch's `amax` has it.
fn reduce_extremum(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let axes = axes(tape, call)?;
    let y = with_axes(tape, call, call.output(), &axes)?;
    let dy = with_axes(tape, call, call.cotangent()?, &axes)?;
    let equal = tape.op("Equal", &[x, &y]);
    let mask = tape.node("Cast", &[&equal], vec![int("to", 1)]);
    let axes = tape.ints(&axes);
    let count = tape.node("ReduceSum", &[&mask, &axes], vec![int("keepdims", 1)]);
    let share = tape.op("Div", &[&dy, &count]);
    Ok(vec![(0, tape.mul(&mask, &share))])
}
