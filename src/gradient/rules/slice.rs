//! Operators that cut axes off or lengthen them.

use super::Rule;
use super::selection::{LONGEST_AXIS, Selection};
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape};

pub(super) const RULES: &[(&str, Rule)] = &[("Pad", pad), ("Slice", slice)];

/// The integers of input `position`, or of the attribute that older opsets have in its place.
fn integers(
    tape: &Tape<'_>,
    call: &Call<'_>,
    position: usize,
    attribute: &str,
) -> Result<Option<Vec<i64>>, GradientError> {
    match call.node.input.get(position) {
        Some(name) if !name.is_empty() => tape
            .constant_ints(name)
            .map(Some)
            .ok_or_else(|| call.form(&format!("{attribute} that are not constant"))),
        _ => Ok(call.ints(attribute)),
    }
}

/// What was cut away gets zeros.
fn slice(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let shape = tape.shape(x)?;
    let rank = shape.len();
    let starts = integers(tape, call, 1, "starts")?.unwrap_or_default();
    let ends = integers(tape, call, 2, "ends")?.unwrap_or_default();
    let axes = integers(tape, call, 3, "axes")?;
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = integers(tape, call, 4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(call.form("bounds of different lengths"));
    }
    let mut pads = vec![0; 2 * rank];
    let mut dx = call.cotangent()?.to_owned();
    for (index, &axis) in axes.iter().enumerate() {
        let (start, end, step) = (starts[index], ends[index], steps[index]);
        let axis = call.within(axis, rank)?;
        if start == 0 && end == i64::MAX && step == 1 {
            // Nothing is cut, whatever the size.
            continue;
        }
        let size = shape[axis].known().ok_or_else(|| tape.open_shape(x))?;
        if step == 1 {
            let within = |bound: i64| if bound < 0 { bound + size } else { bound }.clamp(0, size);
            if within(start) >= within(end) {
                return Err(call.form("an empty result"));
            }
            pads[axis] = within(start);
            pads[rank + axis] = size - within(end);
        } else {
            let sources = taken(call, start, end, step, size)?;
            let selection = Selection {
                axis,
                size: size as usize,
                sources,
            };
            dx = selection.put_back(tape, call, &dx, rank)?;
        }
    }
    if pads.iter().any(|&pad| pad != 0) {
        let pads = tape.ints(&pads);
        dx = tape.op("Pad", &[&dx, &pads]);
    }
    Ok(vec![(0, dx)])
}

/// The elements of an axis that a slice with steps takes.
fn taken(
    call: &Call<'_>,
    start: i64,
    end: i64,
    step: i64,
    size: i64,
) -> Result<Vec<Option<usize>>, GradientError> {
    if step == 0 || size > LONGEST_AXIS {
        return Err(call.form(&format!("steps of {step} over {size} elements")));
    }
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
    let mut sources = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        sources.push(Some(at as usize));
        at = at.saturating_add(step);
    }
    Ok(sources)
}

/// What was added gets no gradient, or hands it to the element that it repeats.
fn pad(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    if (1..call.node.input.len()).any(|position| call.wants(position)) {
        return Err(call.form("a value that depends on the picture"));
    }
    let x = call.input(0)?;
    let shape = tape.shape(x)?;
    let rank = shape.len();
    let pads = integers(tape, call, 1, "pads")?.ok_or_else(|| call.form("no pads"))?;
    let axes = integers(tape, call, 3, "axes")?;
    let axes = axes.unwrap_or_else(|| (0..rank as i64).collect());
    if pads.len() != 2 * axes.len() {
        return Err(call.form(&format!("{} pads for {} axes", pads.len(), axes.len())));
    }
    let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
    for (index, &axis) in axes.iter().enumerate() {
        let axis = call.within(axis, rank)?;
        (before[axis], after[axis]) = (pads[index], pads[axes.len() + index]);
    }
    let mode = call.text("mode").unwrap_or_else(|| "constant".into());
    if mode == "constant" {
        return pad_constant(tape, call, &before, &after);
    }
    let mut dx = call.cotangent()?.to_owned();
    for axis in (0..rank).filter(|&axis| before[axis] != 0 || after[axis] != 0) {
        let size = shape[axis].known().ok_or_else(|| tape.open_shape(x))?;
        let sources = repeated(call, &mode, before[axis], after[axis], size)?;
        let selection = Selection {
            axis,
            size: size as usize,
            sources,
        };
        dx = selection.put_back(tape, call, &dx, rank)?;
    }
    Ok(vec![(0, dx)])
}

/// The elements that stand along a padded axis.
fn repeated(
    call: &Call<'_>,
    mode: &str,
    before: i64,
    after: i64,
    size: i64,
) -> Result<Vec<Option<usize>>, GradientError> {
    let possible = 0..LONGEST_AXIS;
    if size == 0 || [before, after, size].iter().any(|n| !possible.contains(n)) {
        return Err(call.form(&format!(
            "pads of {before} and {after} on {size} elements in mode {mode}"
        )));
    }
    let last = size - 1;
    let source = |place: i64| -> Option<i64> {
        match mode {
            "edge" => Some(place.clamp(0, last)),
            "wrap" => Some(place.rem_euclid(size)),
            "reflect" if last == 0 => Some(0),
            "reflect" => {
                let place = place.rem_euclid(2 * last);
                Some(place.min(2 * last - place))
            }
            _ => None,
        }
    };
    let sources = (-before..size + after).map(|place| source(place).map(|at| Some(at as usize)));
    sources
        .collect::<Option<_>>()
        .ok_or_else(|| call.form(&format!("mode {mode}")))
}

/// What was added is cut off again.
fn pad_constant(tape: &mut Tape<'_>, call: &Call<'_>, before: &[i64], after: &[i64]) -> Cotangents {
    if before.iter().chain(after).any(|&pad| pad < 0) {
        return Err(call.form("negative pads"));
    }
    let axes = 0..before.len();
    let padded: Vec<usize> = axes
        .filter(|&axis| before[axis] > 0 || after[axis] > 0)
        .collect();
    let dy = call.cotangent()?;
    if padded.is_empty() {
        return Ok(vec![(0, dy.to_owned())]);
    }
    let starts: Vec<i64> = padded.iter().map(|&axis| before[axis]).collect();
    let end = |&axis: &usize| match after[axis] {
        0 => i64::MAX,
        added => -added,
    };
    let ends: Vec<i64> = padded.iter().map(end).collect();
    let axes: Vec<i64> = padded.iter().map(|&axis| axis as i64).collect();
    Ok(vec![(0, tape.slice(dy, &starts, &ends, &axes))])
}
