//! Products of a matrix of weights with columns that are made as they are needed.

use std::ops::Range;

use super::after::{After, finish};
use super::divide::{self, Shared};
use super::gather::{self, Maps};
use super::lanes::{Four, Lanes, transposed};
use super::room::with_room;
use super::set::{Registers, Set, Shape, Work};
use super::tile::add_product;

/// Floats of columns that are made at a time: they stay in a core's second cache, beside the weights that pass by.
const BLOCK: usize = 64 << 10;

/// Rows of weights that are written at once; every tile has a multiple of them.
const FOUR: usize = Four::COUNT;

/// Floats of a matrix `[rows, depth]` in panels.
pub(super) fn panels_length(set: Set, rows: usize, depth: usize) -> usize {
    rows.next_multiple_of(set.shape().of_products().rows) * depth
}

/// Writes a matrix `[rows, depth]` as panels of as many rows as the tile has, `[depth, rows]` each, the last one filled up with zeros.
pub(super) fn write_panels(set: Set, matrix: &[f32], depth: usize, to: &mut [f32]) {
    let height = set.shape().of_products().rows;
    let zeros = vec![0.0; depth];
    let panels = to.chunks_exact_mut((height * depth).max(1));
    for (rows, panel) in matrix.chunks((height * depth).max(1)).zip(panels) {
        for first in (0..height).step_by(FOUR) {
            let row = |index: usize| rows.get(index * depth..(index + 1) * depth);
            let rows: [&[f32]; FOUR] =
                std::array::from_fn(|index| row(first + index).unwrap_or(&zeros));
            let whole = depth / FOUR * FOUR;
            for step in (0..whole).step_by(FOUR) {
                // Safety: a vector of each row is read, which are `depth` long, and the panel holds as many steps.
                unsafe {
                    let vectors = rows.map(|row| Four::load(row.as_ptr().add(step)));
                    let to = panel.as_mut_ptr().add(step * height + first);
                    for (step, vector) in transposed(vectors).into_iter().enumerate() {
                        vector.store(to.add(step * height));
                    }
                }
            }
            for step in whole..depth {
                panel[step * height + first..][..FOUR].copy_from_slice(&rows.map(|row| row[step]));
            }
        }
    }
}

/// A matrix of weights, what is added to its rows' products, and what comes after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights<'a> {
    pub set: Set,
    /// Panels of rows, as [`write_panels`] makes them.
    pub panels: &'a [f32],
    pub rows: usize,
    pub depth: usize,
    /// One number a row.
    pub bias: &'a [f32],
    pub after: &'a [After],
}

/// Multiplies `weights` with the columns of `maps`, as many as a row of `result` is long.
pub(super) fn multiply(weights: &Weights, maps: &Maps, result: &mut [f32]) {
    let shape = weights.set.shape().of_products();
    let columns = result.len() / weights.rows.max(1);
    let panels = columns.div_ceil(shape.columns);
    let length = weights.depth * shape.columns;
    let step = (BLOCK / length.max(1)).max(2);
    let parts = Parts::of(shape, weights.rows, panels, weights.depth);
    let result = Shared::new(result);
    divide::each(parts.count, |part| {
        let (rows, panels) = parts.part(part);
        with_room(step.min(panels.len()) * length, |buffer| {
            for first in panels.clone().step_by(step) {
                let count = step.min(panels.end - first);
                weights.set.run(Block {
                    weights,
                    maps,
                    rows: rows.clone(),
                    first,
                    panels: &mut buffer[..count * length],
                    result,
                    columns,
                });
            }
        });
    });
}

/// How the tiles of a product are divided among threads: by their columns, or where these are few, by their rows, for each part of
/// which the columns are made anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    pub count: usize,
    rows: usize,
    panels: usize,
    by_rows: bool,
    /// Rows of a tile.
    height: usize,
}

impl Parts {
    /// For as many rows and panels of columns, where each sum is of so many products.
    pub(super) fn of(shape: Shape, rows: usize, panels: usize, depth: usize) -> Parts {
        let lines = rows.div_ceil(shape.rows);
        let tile = depth * shape.rows * shape.columns / shape.lanes;
        let count = divide::parts(lines * panels * tile);
        let by_rows = panels < 4 * count && lines > panels;
        // With wide registers, making columns anew costs more than a part that is held up.
        let count = match by_rows && shape.narrows {
            true => count.div_ceil(divide::EACH),
            false => count,
        };
        Parts {
            count: count.min(if by_rows { lines } else { panels }.max(1)),
            rows,
            panels,
            by_rows,
            height: shape.rows,
        }
    }

    /// Rows, from a whole panel on, and panels of columns.
    pub(super) fn part(&self, index: usize) -> (Range<usize>, Range<usize>) {
        if self.by_rows {
            let lines = divide::part(self.rows.div_ceil(self.height), self.count, index);
            let end = (lines.end * self.height).min(self.rows);
            (lines.start * self.height..end, 0..self.panels)
        } else {
            let panels = divide::part(self.panels, self.count, index);
            (0..self.rows, panels)
        }
    }
}

/// The products of some rows with some panels of columns, of which nobody else uses the values.
pub(super) struct Block<'a> {
    pub weights: &'a Weights<'a>,
    pub maps: &'a Maps<'a>,
    pub rows: Range<usize>,
    /// Number of the first panel.
    pub first: usize,
    /// Room for the panels, `[depth, columns of a tile]` each.
    pub panels: &'a mut [f32],
    pub result: Shared<'a>,
    /// Columns of the result.
    pub columns: usize,
}

/// Vectors that some columns need.
#[inline(always)]
fn vectors<R: Registers>(columns: usize) -> usize {
    columns.div_ceil(R::Wide::COUNT)
}

impl Work for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<R: Registers, const ROWS: usize, const VECTORS: usize>(self) {
        let Weights {
            rows, depth, bias, ..
        } = *self.weights;
        assert!(bias.len() == rows && self.maps.depth() == depth);
        if R::UPRIGHT {
            const { assert!(!R::UPRIGHT || (ROWS == FOUR && R::Wide::COUNT == FOUR)) };
            self.stand::<VECTORS>();
        } else {
            self.lie::<R, ROWS, VECTORS>();
        }
    }
}

impl Block<'_> {
    /// With vectors along the columns.
    #[inline(always)]
    fn lie<R: Registers, const ROWS: usize, const VECTORS: usize>(self) {
        let width = VECTORS * R::Wide::COUNT;
        let depth = self.weights.depth;
        let length = (depth * width).max(1);
        for (panel, values) in self.panels.chunks_exact_mut(length).enumerate() {
            let column = (self.first + panel) * width;
            match vectors::<R>(self.columns - column) {
                1 if R::NARROWS => gather::columns::<R::Wide, 1>(self.maps, column, values),
                2 if R::NARROWS => gather::columns::<R::Wide, 2>(self.maps, column, values),
                _ => gather::columns::<R::Wide, VECTORS>(self.maps, column, values),
            }
        }
        for row in self.rows.clone().step_by(ROWS) {
            for (panel, values) in self.panels.chunks_exact(length).enumerate() {
                let column = (self.first + panel) * width;
                // Safety: a panel of rows holds `depth` steps of `ROWS` floats, one of columns as many of as many vectors as they
                // need; nobody else uses the values of this block.
                unsafe {
                    match vectors::<R>(self.columns - column) {
                        1 if R::NARROWS => self.tile::<R::Wide, ROWS, 1>(row, column, values),
                        2 if R::NARROWS => self.tile::<R::Wide, ROWS, 2>(row, column, values),
                        _ => self.tile::<R::Wide, ROWS, VECTORS>(row, column, values),
                    }
                }
            }
        }
    }

    /// The product of a panel of rows and one of columns.
    ///
    /// # Safety
    /// The panels must hold `depth` steps of `ROWS` floats and of `VECTORS` vectors; nobody else may use these values of the result.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const ROWS: usize, const VECTORS: usize>(
        &self,
        row: usize,
        column: usize,
        b: &[f32],
    ) {
        let Weights {
            panels,
            rows,
            depth,
            bias,
            after,
            ..
        } = *self.weights;
        let a = &panels[row * depth..][..ROWS * depth];
        let height = ROWS.min(rows - row);
        let sums: [[L; VECTORS]; ROWS] = std::array::from_fn(|index| {
            let bias = if index < height {
                bias[row + index]
            } else {
                0.0
            };
            [L::splat(bias); VECTORS]
        });
        // Safety: as the caller grants.
        let mut sums =
            unsafe { add_product::<L, ROWS, VECTORS, ROWS>(sums, depth, a.as_ptr(), b.as_ptr()) };
        finish(&mut sums, after);
        let width = (VECTORS * L::COUNT).min(self.columns - column);
        for (index, sums) in sums.iter().enumerate() {
            if index < height {
                // Safety: as the caller grants.
                let slots = unsafe {
                    let start = (row + index) * self.columns + column;
                    self.result.slice(start, width)
                };
                put(sums, slots);
            }
        }
    }
}

/// Stores as many values as there are slots.
#[inline(always)]
pub(super) fn put<L: Lanes, const VECTORS: usize>(values: &[L; VECTORS], slots: &mut [f32]) {
    if slots.len() == VECTORS * L::COUNT {
        for (vector, value) in values.iter().enumerate() {
            // Safety: there is room for all of them.
            unsafe { value.store(slots.as_mut_ptr().add(vector * L::COUNT)) };
        }
        return;
    }
    for (value, slots) in values.iter().zip(slots.chunks_mut(L::COUNT)) {
        // Safety: there is room for these.
        unsafe { value.store_first(slots.as_mut_ptr(), slots.len()) };
    }
}

/// The product with one column.
pub(super) fn multiply_vector(weights: &Weights, column: &[f32], result: &mut [f32]) {
    let depth = weights.depth;
    let height = weights.set.shape().of_products().rows;
    let panels = result.len().div_ceil(height);
    let length = result.len();
    let result = Shared::new(result);
    let parts = divide::parts(panels * depth * height / FOUR).min(panels.max(1));
    divide::each(parts, |part| {
        let panels = divide::part(panels, parts, part);
        let rows = panels.start * height..(panels.end * height).min(length);
        // Safety: parts have rows of their own.
        let result = unsafe { result.slice(rows.start, rows.len()) };
        let weights = Weights {
            panels: &weights.panels[rows.start * depth..],
            bias: &weights.bias[rows],
            ..*weights
        };
        multiply_rows(&weights, height, column, result);
    });
}

/// [`multiply_vector`] for the first rows, four at a time: they are the lanes.
fn multiply_rows(weights: &Weights, height: usize, column: &[f32], result: &mut [f32]) {
    let depth = weights.depth;
    for (index, (slots, bias)) in result
        .chunks_mut(FOUR)
        .zip(weights.bias.chunks(FOUR))
        .enumerate()
    {
        let row = index * FOUR;
        let panel = &weights.panels[row / height * height * depth..][..height * depth];
        let first = row % height;
        // Four sums, since each addition waits for the last.
        let mut sums = [Four::splat(0.0); 4];
        for (step, value) in column.iter().enumerate().take(depth) {
            // Safety: `step` is below `depth`, and a panel has `height` rows a step.
            let a = unsafe { Four::load(panel.as_ptr().add(step * height + first)) };
            let sum = &mut sums[step % 4];
            *sum = sum.add(a.mul(Four::splat(*value)));
        }
        let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
        let mut padded = [0.0; FOUR];
        padded[..bias.len()].copy_from_slice(bias);
        // Safety: it holds four floats.
        let mut sum = [[sum.add(unsafe { Four::load(padded.as_ptr()) })]];
        finish(&mut sum, weights.after);
        put(&sum[0], slots);
    }
}
