//! Operators that move elements without changing them.

use super::Rule;
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape, int, ints};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("Concat", concat),
    ("Expand", expand),
    ("Flatten", reshape),
    ("Pad", pad),
    ("Reshape", reshape),
    ("Slice", slice),
    ("Split", split),
    ("Squeeze", reshape),
    ("Transpose", transpose),
    ("Unsqueeze", reshape),
];

/// `Reshape`, `Flatten`, `Squeeze` and `Unsqueeze` keep the order of the elements: back to the input's shape.
fn reshape(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    Ok(vec![(
        0,
        tape.reshape_like(call.cotangent()?, call.input(0)?)?,
    )])
}

/// The inverse permutation; without one the axes were reversed, which is its own inverse.
fn transpose(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let attributes = match call.ints("perm") {
        Some(order) => {
            let mut inverse = vec![0; order.len()];
            for (position, &axis) in order.iter().enumerate() {
                match usize::try_from(axis)
                    .ok()
                    .and_then(|axis| inverse.get_mut(axis))
                {
                    Some(slot) => *slot = position as i64,
                    None => return Err(call.form("an axis outside its rank")),
                }
            }
            vec![ints("perm", &inverse)]
        }
        None => vec![],
    };
    Ok(vec![(
        0,
        tape.node("Transpose", &[call.cotangent()?], attributes),
    )])
}

fn expand(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    Ok(vec![(
        0,
        tape.sum_to(call.cotangent()?, call.output(), call.input(0)?)?,
    )])
}

/// `tensor[start..end]` along each axis of `axes`.
fn cut(tape: &mut Tape<'_>, tensor: &str, starts: &[i64], ends: &[i64], axes: &[i64]) -> String {
    let (starts, ends, axes) = (tape.ints(starts), tape.ints(ends), tape.ints(axes));
    tape.op("Slice", &[tensor, &starts, &ends, &axes])
}

/// The axis attribute, counted from the front, with the rank of `like`.
fn axis(
    tape: &Tape<'_>,
    call: &Call<'_>,
    like: &str,
    default: i64,
) -> Result<usize, GradientError> {
    let rank = tape.shape(like)?.len() as i64;
    let axis = call.int("axis", default);
    let axis = if axis < 0 { axis + rank } else { axis };
    usize::try_from(axis)
        .ok()
        .filter(|&axis| (axis as i64) < rank)
        .ok_or_else(|| call.form("an axis outside its rank"))
}

/// Each input gets its part of the cotangent.
fn concat(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let axis = axis(tape, call, call.output(), 1)?;
    let dy = call.cotangent()?;
    let mut results = Vec::new();
    let mut start = 0;
    for position in 0..call.node.input.len() {
        let name = call.input(position)?;
        let size = tape.shape(name)?[axis]
            .known()
            .ok_or_else(|| tape.open_shape(name))?;
        if call.wants(position) {
            results.push((
                position,
                cut(tape, dy, &[start], &[start + size], &[axis as i64]),
            ));
        }
        start += size;
    }
    Ok(results)
}

/// The parts joined again, zeros where a part does not reach the scores.
fn split(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let axis = axis(tape, call, call.input(0)?, 0)?;
    let mut parts = Vec::new();
    for (output, cotangent) in call.node.output.iter().zip(&call.cotangents) {
        parts.push(match cotangent {
            Some(name) => name.clone(),
            None => {
                let shape = tape.op("Shape", &[output]);
                tape.zeros(&shape)
            }
        });
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Ok(vec![(
        0,
        tape.node("Concat", &parts, vec![int("axis", axis as i64)]),
    )])
}

/// What was cut away gets zeros.
fn slice(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let shape = tape.shape(x)?;
    let rank = shape.len();
    let list = |position: usize, attribute: &str| match call.node.input.get(position) {
        Some(name) if !name.is_empty() => tape
            .constant_ints(name)
            .map(Some)
            .ok_or_else(|| call.form("bounds that are not constant")),
        _ => Ok(call.ints(attribute)),
    };
    let starts = list(1, "starts")?.unwrap_or_default();
    let ends = list(2, "ends")?.unwrap_or_default();
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(call.form("bounds of different lengths"));
    }
    let mut pads = vec![0; 2 * rank];
    let mut dx = call.cotangent()?.to_owned();
    for (index, &axis) in axes.iter().enumerate() {
        let (start, end, step) = (starts[index], ends[index], steps[index]);
        let axis = if axis < 0 { axis + rank as i64 } else { axis } as usize;
        if start == 0 && end == i64::MAX && step == 1 {
            // Nothing is cut, whatever the size.
            continue;
        }
        let size = shape
            .get(axis)
            .ok_or_else(|| call.form("an axis outside its rank"))?
            .known()
            .ok_or_else(|| tape.open_shape(x))?;
        if step == 1 {
            let within = |bound: i64| if bound < 0 { bound + size } else { bound }.clamp(0, size);
            pads[axis] = within(start);
            pads[rank + axis] = size - within(end);
        } else {
            dx = spaced(tape, call, &dx, &positions(start, end, step, size), axis)?;
        }
    }
    if pads.iter().any(|&pad| pad != 0) {
        let pads = tape.ints(&pads);
        dx = tape.op("Pad", &[&dx, &pads]);
    }
    Ok(vec![(0, dx)])
}

/// What a slice takes of an axis: for each position there, its place in the result.
fn positions(start: i64, end: i64, step: i64, size: i64) -> Vec<Option<i64>> {
    let mut places = vec![None; size as usize];
    // ONNX clamps a descending slice to -1..size-1, an ascending one to 0..size.
    let (low, high) = if step < 0 { (-1, size - 1) } else { (0, size) };
    let within = |bound: i64| {
        let bound = if bound < 0 {
            bound.saturating_add(size)
        } else {
            bound
        };
        bound.clamp(low, high)
    };
    let (mut at, end) = (within(start), within(end));
    let mut place = 0;
    while (step > 0 && at < end) || (step < 0 && at > end) {
        places[at as usize] = Some(place);
        place += 1;
        at += step;
    }
    places
}

/// `cotangent` with its elements along `axis` put at `positions`, zeros between: gathered from itself and one zero behind it.
fn spaced(
    tape: &mut Tape<'_>,
    call: &Call<'_>,
    cotangent: &str,
    positions: &[Option<i64>],
    axis: usize,
) -> Result<String, GradientError> {
    let rank = tape.shape(call.output())?.len();
    let mut pads = vec![0; 2 * rank];
    pads[rank + axis] = 1;
    let taken = positions.iter().flatten().count() as i64;
    let places: Vec<i64> = positions.iter().map(|at| at.unwrap_or(taken)).collect();
    let (pads, places) = (tape.ints(&pads), tape.ints(&places));
    let with_zero = tape.op("Pad", &[cotangent, &pads]);
    Ok(tape.node(
        "Gather",
        &[&with_zero, &places],
        vec![int("axis", axis as i64)],
    ))
}

/// Zero padding (or any constant): what was added gets no gradient; what negative padding cut away gets zeros.
fn pad(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let mode = call.text("mode").unwrap_or_else(|| "constant".into());
    if mode != "constant" {
        return Err(call.form(&format!("mode {mode}")));
    }
    if call.node.input.get(3).is_some_and(|name| !name.is_empty()) {
        return Err(call.form("an axes input"));
    }
    if (1..call.node.input.len()).any(|position| call.wants(position)) {
        return Err(call.form("a value that depends on the picture"));
    }
    let pads = match call.node.input.get(1).filter(|name| !name.is_empty()) {
        Some(name) => tape
            .constant_ints(name)
            .ok_or_else(|| call.form("pads that are not constant"))?,
        None => call.ints("pads").ok_or_else(|| call.form("no pads"))?,
    };
    let rank = pads.len() / 2;
    let (before, after) = pads.split_at(rank);
    // Cutting by `Slice`, growing by `Pad`: tract 0.23.9 has no negative padding.
    let padded: Vec<usize> = (0..rank)
        .filter(|&axis| before[axis] > 0 || after[axis] > 0)
        .collect();
    let mut dx = call.cotangent()?.to_owned();
    if !padded.is_empty() {
        let starts: Vec<i64> = padded.iter().map(|&axis| before[axis].max(0)).collect();
        let end = |&axis: &usize| {
            if after[axis] > 0 {
                -after[axis]
            } else {
                i64::MAX
            }
        };
        let ends: Vec<i64> = padded.iter().map(end).collect();
        let axes: Vec<i64> = padded.iter().map(|&axis| axis as i64).collect();
        dx = cut(tape, &dx, &starts, &ends, &axes);
    }
    if pads.iter().any(|&pad| pad < 0) {
        let back: Vec<i64> = pads.iter().map(|&pad| (-pad).max(0)).collect();
        let back = tape.ints(&back);
        dx = tape.op("Pad", &[&dx, &back]);
    }
    Ok(vec![(0, dx)])
}
