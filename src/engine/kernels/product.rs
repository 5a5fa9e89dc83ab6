//! Products of a matrix of weights with columns that are made as they are needed.

use super::after::{After, finish};
use super::lanes::{LANES, Lanes};
use super::tile::{COLUMNS, ROWS, Sums, add_product};

/// Floats of columns that are made at a time: they stay in a core's second cache, beside the weights that pass by.
const BLOCK: usize = 64 << 10;

/// Rewrites a matrix `[rows, depth]` into panels of [`ROWS`] rows, `[depth, ROWS]` each, the last one filled up with zeros.
pub(super) fn in_panels(matrix: &[f32], depth: usize) -> Vec<f32> {
    let zeros = vec![0.0; depth];
    let panels = matrix.chunks((ROWS * depth).max(1)).map(|rows| {
        let row = |index: usize| rows.get(index * depth..(index + 1) * depth);
        let rows: [&[f32]; ROWS] = std::array::from_fn(|index| row(index).unwrap_or(&zeros));
        let steps = (0..depth).map(|step| rows.map(|row| row[step]));
        steps.collect::<Vec<[f32; ROWS]>>().into_flattened()
    });
    panels.collect::<Vec<_>>().concat()
}

/// A matrix of weights, what is added to its rows' products, and what comes after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights<'a> {
    /// Panels of [`ROWS`] rows, as [`in_panels`] makes them.
    pub panels: &'a [f32],
    pub rows: usize,
    pub depth: usize,
    /// One number a row.
    pub bias: &'a [f32],
    pub after: &'a [After],
}

/// Panels of columns in a block, for columns of `depth` values.
pub(super) fn panels_in_a_block(depth: usize) -> usize {
    (BLOCK / (depth * COLUMNS).max(1)).max(2)
}

/// Multiplies `weights` with as many columns as a row of `result` is long. `fill` makes columns: from one on, as panels
/// `[depth, COLUMNS]`, as many as its slice holds.
pub(super) fn multiply(
    weights: &Weights,
    result: &mut [f32],
    buffer: &mut Vec<f32>,
    mut fill: impl FnMut(usize, &mut [f32]),
) {
    let columns = result.len() / weights.rows.max(1);
    let panels = columns.div_ceil(COLUMNS);
    let step = panels_in_a_block(weights.depth);
    buffer.resize(step.min(panels) * weights.depth * COLUMNS, 0.0);
    for first in (0..panels).step_by(step) {
        let count = step.min(panels - first);
        let block = &mut buffer[..count * weights.depth * COLUMNS];
        fill(first * COLUMNS, block);
        multiply_block(weights, block, first * COLUMNS, result, columns);
    }
}

/// The products of all rows with a block of columns, the first of which is `first`.
fn multiply_block(
    weights: &Weights,
    block: &[f32],
    first: usize,
    result: &mut [f32],
    columns: usize,
) {
    let Weights {
        rows,
        depth,
        bias,
        after,
        ..
    } = *weights;
    assert_eq!(bias.len(), rows);
    for row in (0..rows).step_by(ROWS) {
        let a = &weights.panels[row * depth..][..ROWS * depth];
        let height = ROWS.min(rows - row);
        let start: [Lanes; ROWS] = std::array::from_fn(|index| {
            Lanes::splat(if index < height {
                bias[row + index]
            } else {
                0.0
            })
        });
        for (panel, b) in block.chunks_exact(depth * COLUMNS).enumerate() {
            let column = first + panel * COLUMNS;
            let sums = start.map(|bias| [bias; COLUMNS / LANES]);
            // Safety: `a` holds `depth` steps of `ROWS` floats, `b` as many of `COLUMNS`.
            let mut sums = unsafe { add_product(sums, depth, a.as_ptr(), b.as_ptr()) };
            for sums in &mut sums {
                finish(sums, after);
            }
            put(&sums, result, columns, row, column, height);
        }
    }
}

/// Stores the part of a tile that lies inside the result.
#[inline(always)]
fn put(sums: &Sums, result: &mut [f32], columns: usize, row: usize, column: usize, height: usize) {
    for (index, sums) in sums.iter().enumerate().take(height) {
        let line = &mut result[(row + index) * columns..][..columns];
        let slots = &mut line[column..];
        if slots.len() >= COLUMNS {
            // Safety: there is room for all the columns.
            unsafe {
                sums[0].store(slots.as_mut_ptr());
                sums[1].store(slots.as_mut_ptr().add(LANES));
            }
        } else {
            let values = sums.iter().flat_map(|sum| sum.to_array());
            for (slot, value) in slots.iter_mut().zip(values) {
                *slot = value;
            }
        }
    }
}

/// The product with one column. The rows of a panel are its lanes.
pub(super) fn multiply_vector(weights: &Weights, column: &[f32], result: &mut [f32]) {
    let depth = weights.depth;
    for (panel, (slots, bias)) in result
        .chunks_mut(ROWS)
        .zip(weights.bias.chunks(ROWS))
        .enumerate()
    {
        let a = &weights.panels[panel * ROWS * depth..][..ROWS * depth];
        // Four sums, since each addition waits for the last.
        let mut sums = [Lanes::splat(0.0); 4];
        for (step, value) in column.iter().enumerate().take(depth) {
            // Safety: `step` is below `depth`.
            let a = unsafe { Lanes::load(a.as_ptr().add(step * ROWS)) };
            let sum = &mut sums[step % 4];
            *sum = sum.add(a.mul(Lanes::splat(*value)));
        }
        let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
        let mut padded = [0.0; ROWS];
        padded[..bias.len()].copy_from_slice(bias);
        // Safety: it holds four floats.
        let mut sum = [sum.add(unsafe { Lanes::load(padded.as_ptr()) })];
        finish(&mut sum, weights.after);
        for (slot, value) in slots.iter_mut().zip(sum[0].to_array()) {
            *slot = value;
        }
    }
}
