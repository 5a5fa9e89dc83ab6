//! Products of a matrix of weights with columns that are made as they are needed.

use std::ops::Range;

use super::after::{After, finish};
use super::divide::{self, Shared};
use super::lanes::{LANES, Lanes, transposed};
use super::room::with_room;
use super::tile::{COLUMNS, ROWS, Sums, add_product};

/// Floats of columns that are made at a time: they stay in a core's second cache, beside the weights that pass by.
const BLOCK: usize = 64 << 10;

/// Floats of a matrix `[rows, depth]` in panels.
pub(super) fn panels_length(rows: usize, depth: usize) -> usize {
    rows.next_multiple_of(ROWS) * depth
}

/// Writes a matrix `[rows, depth]` as panels of [`ROWS`] rows, `[depth, ROWS]` each, the last one filled up with zeros.
pub(super) fn write_panels(matrix: &[f32], depth: usize, to: &mut [f32]) {
    let zeros = vec![0.0; depth];
    let panels = to.chunks_exact_mut((ROWS * depth).max(1));
    for (rows, panel) in matrix.chunks((ROWS * depth).max(1)).zip(panels) {
        let row = |index: usize| rows.get(index * depth..(index + 1) * depth);
        let rows: [&[f32]; ROWS] = std::array::from_fn(|index| row(index).unwrap_or(&zeros));
        let (squares, rest) = panel.as_chunks_mut::<{ ROWS * LANES }>();
        for (index, square) in squares.iter_mut().enumerate() {
            // Safety: a square is a vector of each row, which are `depth` long, and the panel holds as many steps.
            unsafe {
                let vectors = rows.map(|row| Lanes::load(row.as_ptr().add(index * LANES)));
                for (step, vector) in transposed(vectors).into_iter().enumerate() {
                    vector.store(square.as_mut_ptr().add(step * ROWS));
                }
            }
        }
        let done = squares.len() * LANES;
        for (step, values) in rest.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
            *values = rows.map(|row| row[done + step]);
        }
    }
}

/// A matrix of weights, what is added to its rows' products, and what comes after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights<'a> {
    /// Panels of [`ROWS`] rows, as [`write_panels`] makes them.
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
    fill: impl Fn(usize, &mut [f32]) + Sync,
) {
    let columns = result.len() / weights.rows.max(1);
    let panels = columns.div_ceil(COLUMNS);
    let step = panels_in_a_block(weights.depth);
    let parts = Parts::of(weights.rows, panels, weights.depth * STEPS);
    let result = Shared::new(result);
    divide::each(parts.count, |part| {
        let (rows, panels) = parts.part(part);
        with_room(step.min(panels.len()) * weights.depth * COLUMNS, |buffer| {
            for first in panels.clone().step_by(step) {
                let count = step.min(panels.end - first);
                let block = &mut buffer[..count * weights.depth * COLUMNS];
                fill(first * COLUMNS, block);
                // Safety: parts have tiles of their own.
                unsafe { multiply_block(weights, rows.clone(), block, first, result, columns) };
            }
        });
    });
}

/// Vectors that a step of a tile adds to.
const STEPS: usize = ROWS * COLUMNS / LANES;

/// How the tiles of a product are divided among threads: by their columns, or where these are few, by their rows, for each part of
/// which the columns are made anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    pub count: usize,
    rows: usize,
    panels: usize,
    by_rows: bool,
}

impl Parts {
    /// For as many rows and panels of columns, where a tile takes so many steps.
    pub(super) fn of(rows: usize, panels: usize, tile: usize) -> Parts {
        let lines = rows.div_ceil(ROWS);
        let count = divide::parts(lines * panels * tile);
        let by_rows = panels < 4 * count && lines > panels;
        Parts {
            count: count.min(if by_rows { lines } else { panels }.max(1)),
            rows,
            panels,
            by_rows,
        }
    }

    /// Rows, from a whole panel on, and panels of columns.
    pub(super) fn part(&self, index: usize) -> (Range<usize>, Range<usize>) {
        if self.by_rows {
            let lines = divide::part(self.rows.div_ceil(ROWS), self.count, index);
            let end = (lines.end * ROWS).min(self.rows);
            (lines.start * ROWS..end, 0..self.panels)
        } else {
            let panels = divide::part(self.panels, self.count, index);
            (0..self.rows, panels)
        }
    }
}

/// The products of some rows with a block of columns, the first panel of which is `first`.
///
/// # Safety
/// Nobody else may use these values of the result.
unsafe fn multiply_block(
    weights: &Weights,
    range: Range<usize>,
    block: &[f32],
    first: usize,
    result: Shared,
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
    for row in range.step_by(ROWS) {
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
            let column = (first + panel) * COLUMNS;
            let sums = start.map(|bias| [bias; COLUMNS / LANES]);
            // Safety: `a` holds `depth` steps of `ROWS` floats, `b` as many of `COLUMNS`.
            let mut sums = unsafe { add_product(sums, depth, a.as_ptr(), b.as_ptr()) };
            for sums in &mut sums {
                finish(sums, after);
            }
            // Safety: it is a tile of these rows and this block.
            unsafe { put(&sums, result, columns, row, column, height) };
        }
    }
}

/// Stores the part of a tile that lies inside the result.
///
/// # Safety
/// Nobody else may use these values of the result.
#[inline(always)]
unsafe fn put(
    sums: &Sums,
    result: Shared,
    columns: usize,
    row: usize,
    column: usize,
    height: usize,
) {
    let width = COLUMNS.min(columns - column);
    for (index, sums) in sums.iter().enumerate().take(height) {
        // Safety: as the caller grants.
        let slots = unsafe { result.slice((row + index) * columns + column, width) };
        if width == COLUMNS {
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
    let panels = result.len().div_ceil(ROWS);
    let length = result.len();
    let result = Shared::new(result);
    let parts = divide::parts(panels * depth).min(panels.max(1));
    divide::each(parts, |part| {
        let panels = divide::part(panels, parts, part);
        let rows = panels.start * ROWS..(panels.end * ROWS).min(length);
        // Safety: parts have rows of their own.
        let result = unsafe { result.slice(rows.start, rows.len()) };
        let weights = Weights {
            panels: &weights.panels[rows.start * depth..],
            bias: &weights.bias[rows],
            ..*weights
        };
        multiply_rows(&weights, column, result);
    });
}

/// [`multiply_vector`] for the first rows.
fn multiply_rows(weights: &Weights, column: &[f32], result: &mut [f32]) {
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
