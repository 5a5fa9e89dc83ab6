//! Joining tensors along an axis, and cutting one into parts.

use super::Rule;
use crate::gradient::tape::{Call, Cotangents, Tape, int};
use crate::model::facts::Dim;

pub(super) const RULES: &[(&str, Rule)] = &[("Concat", concat), ("Split", split)];

/// The most positions that are written out for a `Gather`.
const LONGEST_GATHER: i64 = 1 << 12;

/// Each input gets its part of the cotangent.
fn concat(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let axis = call.axis(1, tape.shape(call.output())?.len())?;
    let dy = call.cotangent()?;
    let mut results = Vec::new();
    let mut start = 0;
    for position in 0..call.node.input.len() {
        let name = call.input(position)?;
        let size = tape.shape(name)?.get(axis).and_then(Dim::known);
        let size = size.ok_or_else(|| tape.open_shape(name))?;
        if call.wants(position) {
            let part = part(tape, dy, start, size, axis as i64);
            results.push((position, part));
        }
        start = i64::saturating_add(start, size);
    }
    Ok(results)
}

/// `size` entries of axis `axis`, from `start` on.
///
/// tract 0.23.9 moves a `Slice` up through the arithmetic to the convolution before it, which then runs in many small pieces. A
/// `Gather` stays where it is, and of channels it copies whole planes.
fn part(tape: &mut Tape<'_>, tensor: &str, start: i64, size: i64, axis: i64) -> String {
    let end = start.saturating_add(size);
    if axis != 1 || size > LONGEST_GATHER {
        return tape.slice(tensor, &[start], &[end], &[axis]);
    }
    let entries: Vec<i64> = (start..end).collect();
    let entries = tape.ints(&entries);
    tape.node("Gather", &[tensor, &entries], vec![int("axis", axis)])
}

/// The parts joined again, zeros where a part does not reach the scores.
fn split(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let shape = tape.shape(x)?;
    let axis = call.axis(0, shape.len())?;
    let sizes: Vec<Option<i64>> = call
        .node
        .output
        .iter()
        .map(|output| tape.shape(output).ok()?.get(axis)?.known())
        .collect();
    let is_reached = |part: &usize| matches!(call.cotangents.get(*part), Some(Some(_)));
    let reached: Vec<usize> = (0..sizes.len()).filter(is_reached).collect();
    let sum = |sizes: &[Option<i64>]| sizes.iter().copied().sum::<Option<i64>>();
    // Zeros at the ends are padding; those of a size unknown are joined, like those between.
    let (first, last) = (reached[0], reached[reached.len() - 1]);
    let (first, before) = sum(&sizes[..first]).map_or((0, 0), |size| (first, size));
    let (last, after) = sum(&sizes[last + 1..]).map_or((sizes.len() - 1, 0), |size| (last, size));
    let mut parts = Vec::new();
    for part in first..=last {
        parts.push(match &call.cotangents[part] {
            Some(name) => name.clone(),
            None => {
                let shape = tape.op("Shape", &[&call.node.output[part]]);
                tape.zeros(&shape)
            }
        });
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let mut dx = match parts.as_slice() {
        [one] => (*one).to_owned(),
        _ => tape.node("Concat", &parts, vec![int("axis", axis as i64)]),
    };
    if before != 0 || after != 0 {
        dx = tape.pad_axis(&dx, shape.len(), axis, before, after);
    }
    Ok(vec![(0, dx)])
}
