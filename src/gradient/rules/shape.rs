//! Operators that move elements without changing them.

use super::Rule;
use crate::gradient::tape::{Call, Cotangents, Tape, int, ints, text};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("DepthToSpace", depth_to_space),
    ("Expand", expand),
    ("Flatten", reshape),
    ("Reshape", reshape),
    ("SpaceToDepth", space_to_depth),
    ("Squeeze", reshape),
    ("Tile", tile),
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

/// The copies of each element along each axis are summed: the axis is cut in two, copies and elements.
fn tile(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let shape = tape.shape(x)?;
    let repeats = tape
        .constant_ints(call.input(1)?)
        .ok_or_else(|| call.form("repeats that are not constant"))?;
    if repeats.len() != shape.len() || repeats.iter().any(|&count| count < 1) {
        return Err(call.form(&format!("repeats {repeats:?}")));
    }
    if shape.iter().filter(|dim| dim.known().is_none()).count() > 1 {
        return Err(tape.open_shape(x));
    }
    let (mut apart, mut copies) = (Vec::new(), Vec::new());
    for (dim, &count) in shape.iter().zip(&repeats) {
        if count > 1 {
            copies.push(apart.len() as i64);
            apart.push(count);
        }
        apart.push(dim.known().unwrap_or(-1));
    }
    if copies.is_empty() {
        return Ok(vec![(0, call.cotangent()?.to_owned())]);
    }
    let (apart, copies) = (tape.ints(&apart), tape.ints(&copies));
    let split = tape.op("Reshape", &[call.cotangent()?, &apart]);
    let summed = tape.node("ReduceSum", &[&split, &copies], vec![int("keepdims", 0)]);
    Ok(vec![(0, summed)])
}

fn space_to_depth(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let attributes = vec![
        int("blocksize", call.int("blocksize", 0)),
        text("mode", "DCR"),
    ];
    Ok(vec![(
        0,
        tape.node("DepthToSpace", &[call.cotangent()?], attributes),
    )])
}

/// Depth-column-row order is what `SpaceToDepth` undoes; for column-row-depth order the blocks' own axes move last.
fn depth_to_space(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (x, dy, block) = (call.input(0)?, call.cotangent()?, call.int("blocksize", 0));
    if call.text("mode").is_none_or(|mode| mode == "DCR") {
        let attributes = vec![int("blocksize", block)];
        return Ok(vec![(0, tape.node("SpaceToDepth", &[dy], attributes))]);
    }
    let &[depth, rows, columns] = tape.sizes(x, 1)?.as_slice() else {
        return Err(call.form("a rank other than 4"));
    };
    let area = block.checked_mul(block).filter(|&area| area > 0);
    let channels = area
        .map(|area| depth / area)
        .ok_or_else(|| call.form(&format!("blocks of {block}")))?;
    let apart = tape.ints(&[-1, channels, rows, block, columns, block]);
    let blocks = tape.op("Reshape", &[dy, &apart]);
    let order = vec![ints("perm", &[0, 1, 3, 5, 2, 4])];
    let turned = tape.node("Transpose", &[&blocks], order);
    Ok(vec![(0, tape.reshape_like(&turned, x)?)])
}
