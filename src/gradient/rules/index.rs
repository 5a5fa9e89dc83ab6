//! Operators that pick elements by index.

use tract_onnx::pb::AttributeProto;

use super::Rule;
use super::selection::{LONGEST_AXIS, Selection};
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape, int, text};
use crate::model::facts::Dim;

pub(super) const RULES: &[(&str, Rule)] = &[
    ("CumSum", cumulative_sum),
    ("Gather", gather),
    ("GatherElements", gather_elements),
    ("GatherND", gather_nd),
    ("ScatterElements", scatter_elements),
    ("ScatterND", scatter_nd),
    ("TopK", top_k),
    ("Trilu", triangle),
];

/// Each gathered slice's cotangent goes back to where the slice was; slices gathered twice add up.
fn gather(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let shape = tape.shape(x)?;
    let axis = call.axis(0, shape.len())?;
    let one_axis = one_index_axis(tape, call, axis)?;
    let dx = match (shape[axis].known(), tape.constant_ints(indices)) {
        (Some(size), Some(indices)) => {
            let sources = indices.iter().map(|&index| within(call, index, size));
            let selection = Selection {
                axis,
                size: usize::try_from(size).unwrap_or(0),
                sources: sources.map(|at| at.map(Some)).collect::<Result<_, _>>()?,
            };
            selection.put_back(tape, call, &one_axis, shape.len())?
        }
        _ => {
            let rank = shape.len();
            let mut target = vec![1; rank];
            target[axis] = -1;
            let target = tape.ints(&target);
            let column = tape.op("Reshape", &[indices, &target]);
            let whole = tape.op("Shape", &[&one_axis]);
            let places = tape.op("Expand", &[&column, &whole]);
            scatter(tape, x, &places, &one_axis, axis)
        }
    };
    Ok(vec![(0, dx)])
}

/// The cotangent with as many axes as the data: the axes of the indices as one.
fn one_index_axis(
    tape: &mut Tape<'_>,
    call: &Call<'_>,
    axis: usize,
) -> Result<String, GradientError> {
    let (x, dy) = (call.input(0)?, call.cotangent()?);
    let mut shape: Vec<Dim> = tape.shape(x)?;
    let indices = tape.shape(call.input(1)?)?;
    match indices.len() {
        0 => {
            let axis = tape.ints(&[axis as i64]);
            Ok(tape.op("Unsqueeze", &[dy, &axis]))
        }
        1 => Ok(dy.to_owned()),
        _ => {
            let count = indices.iter().map(Dim::known).product::<Option<i64>>();
            shape[axis] = count.map_or(Dim::Symbol("?".into()), Dim::Known);
            let target: Vec<i64> = shape.iter().map(|dim| dim.known().unwrap_or(-1)).collect();
            if target.iter().filter(|&&size| size == -1).count() > 1 {
                return Err(tape.open_shape(call.input(1)?));
            }
            let target = tape.ints(&target);
            Ok(tape.op("Reshape", &[dy, &target]))
        }
    }
}

/// An index, which counts from the end where it is negative, counted from the front.
fn within(call: &Call<'_>, index: i64, size: i64) -> Result<usize, GradientError> {
    let from_front = if index < 0 {
        index.saturating_add(size)
    } else {
        index
    };
    if (0..size.min(LONGEST_AXIS)).contains(&from_front) {
        Ok(from_front as usize)
    } else {
        Err(call.form(&format!("index {index} on an axis of {size} elements")))
    }
}

/// `updates` added to zeros of the shape of `like`, at `places` along `axis`.
fn scatter(tape: &mut Tape<'_>, like: &str, places: &str, updates: &str, axis: usize) -> String {
    let shape = tape.op("Shape", &[like]);
    let zeros = tape.zeros(&shape);
    let attributes = vec![int("axis", axis as i64), text("reduction", "add")];
    tape.node("ScatterElements", &[&zeros, places, updates], attributes)
}

fn gather_elements(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let axis = call.axis(0, tape.shape(x)?.len())?;
    let dx = scatter(tape, x, indices, call.cotangent()?, axis);
    Ok(vec![(0, dx)])
}

/// The values came from the places that the second output names.
fn top_k(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let axis = call.axis(-1, tape.shape(x)?.len())?;
    let places = match call.node.output.get(1).filter(|name| !name.is_empty()) {
        Some(name) => name.clone(),
        None => tape.forward_output(call.output(), 1),
    };
    let dx = scatter(tape, x, &places, call.cotangent()?, axis);
    Ok(vec![(0, dx)])
}

fn gather_nd(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    if call.int("batch_dims", 0) != 0 {
        return Err(call.form("batch dimensions"));
    }
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let shape = tape.op("Shape", &[x]);
    let zeros = tape.zeros(&shape);
    let inputs = [zeros.as_str(), indices, call.cotangent()?];
    let dx = tape.node("ScatterND", &inputs, vec![text("reduction", "add")]);
    Ok(vec![(0, dx)])
}

fn scatter_elements(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let axis = call.axis(0, tape.shape(call.input(0)?)?.len())?;
    let axis = || vec![int("axis", axis as i64)];
    scattered(tape, call, "GatherElements", &axis)
}

fn scatter_nd(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    scattered(tape, call, "GatherND", &Vec::new)
}

/// The updates' cotangent is gathered from where they went; what they replaced gets zero, what they were added to all.
fn scattered(
    tape: &mut Tape<'_>,
    call: &Call<'_>,
    gather: &str,
    attributes: &dyn Fn() -> Vec<AttributeProto>,
) -> Cotangents {
    let (indices, updates, dy) = (call.input(1)?, call.input(2)?, call.cotangent()?);
    let replaces = match call.text("reduction").as_deref() {
        None | Some("none") => true,
        Some("add") => false,
        Some(other) => return Err(call.form(&format!("reduction {other}"))),
    };
    let mut results = Vec::new();
    if call.wants(0) && replaces {
        let shape = tape.op("Shape", &[updates]);
        let zeros = tape.zeros(&shape);
        let inputs = [dy, indices, zeros.as_str()];
        results.push((0, tape.node(&call.node.op_type, &inputs, attributes())));
    } else if call.wants(0) {
        results.push((0, dy.to_owned()));
    }
    if call.wants(2) {
        results.push((2, tape.node(gather, &[dy, indices], attributes())));
    }
    Ok(results)
}

/// Each element is in the sums from its own on: the sum from the other end.
fn cumulative_sum(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let attributes = vec![
        int("reverse", i64::from(call.int("reverse", 0) == 0)),
        int("exclusive", call.int("exclusive", 0)),
    ];
    let inputs = [call.cotangent()?, call.input(1)?];
    Ok(vec![(0, tape.node("CumSum", &inputs, attributes))])
}

/// What the triangle left out gets zero.
fn triangle(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let mut inputs = vec![call.cotangent()?];
    inputs.extend(call.input(1).ok());
    let upper = vec![int("upper", call.int("upper", 1))];
    Ok(vec![(0, tape.node("Trilu", &inputs, upper))])
}
