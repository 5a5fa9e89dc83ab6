//! Convolutions with kernels of 3 by 3 that move by one place, with 16 products for 2 by 2 results instead of 36.
//!
//! Winograd's F(2x2, 3x3), after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015): a kernel `g` becomes
//! `G g Gᵀ` once, four by four values `d` of a map become `Bᵀ d B`, their products are added up over the maps, and the
//! sums `m` become results by `Aᵀ m A`. The numbers of `B` and `A` are 0, 1 and -1, those of `G` 0, 1 and one half: rounding
//! errors stay close to those of a direct sum.

use std::ops::Range;

use super::after::{After, finish};
use super::divide::{self, Shared};
use super::lanes::{LANES, Lanes, transposed};
use super::product::Parts;
use super::room::with_room;
use super::tile::{COLUMNS, ROWS, add_product};
use super::window::{Window, with_each_rim};

/// Products for a square of 2 by 2 results.
const PRODUCTS: usize = 16;
/// Groups of neighbouring squares in a panel of columns; a group is a vector.
const GROUPS: usize = COLUMNS / LANES;
/// Floats of transformed maps that are made at a time: they stay in a core's second cache.
const BLOCK: usize = 96 << 10;

/// Whether this is a convolution that [`convolve`] can do, and large enough for it to pay.
pub(super) fn fits(window: &Window, rows: usize, maps: usize) -> bool {
    window.kernel == [3, 3]
        && window.strides == [1, 1]
        && window.dilations == [1, 1]
        && rows >= 2 * ROWS
        && maps >= 2 * ROWS
        && window.output.iter().all(|&size| size >= 4)
}

/// Floats of transformed kernels.
pub(super) fn transformed_length(rows: usize, maps: usize) -> usize {
    rows.next_multiple_of(ROWS) * PRODUCTS * maps
}

/// Writes kernels `[rows, maps, 3, 3]` transformed: for each panel of rows and each product, `[maps, ROWS]`.
pub(super) fn write_transformed(kernels: &[f32], maps: usize, to: &mut [f32]) {
    let length = maps * ROWS;
    let missing = vec![[0.0; 9]; maps];
    let (kernels, _) = kernels.as_chunks::<9>();
    let panels = to.chunks_exact_mut((PRODUCTS * length).max(1));
    for (rows, panel) in kernels.chunks(length.max(1)).zip(panels) {
        let row = |index: usize| rows.get(index * maps..(index + 1) * maps);
        let rows: [&[[f32; 9]]; ROWS] = std::array::from_fn(|index| row(index).unwrap_or(&missing));
        for map in 0..maps {
            let products = transformed(rows.map(|row| &row[map]));
            for (product, values) in products.into_iter().enumerate() {
                panel[product * length + map * ROWS..][..ROWS].copy_from_slice(&values.to_array());
            }
        }
    }
}

/// `G g Gᵀ` of a kernel in each lane.
fn transformed(kernels: [&[f32; 9]; ROWS]) -> [Lanes; PRODUCTS] {
    // Safety: four of nine floats are read from the first and from the fifth on.
    let [upper, lower] = [0, LANES]
        .map(|first| transposed(kernels.map(|g| unsafe { Lanes::load(g.as_ptr().add(first)) })));
    // Safety: an array of four.
    let last = unsafe { Lanes::load(kernels.map(|kernel| kernel[8]).as_ptr()) };
    let [a, b, c, d] = upper;
    let [e, f, g, h] = lower;
    let half = Lanes::splat(0.5);
    let stretch = |[a, b, c]: [Lanes; 3]| {
        let (plus, minus) = (a.add(b).add(c), a.sub(b).add(c));
        [a, plus.mul(half), minus.mul(half), c]
    };
    let columns = [[a, d, g], [b, e, h], [c, f, last]].map(stretch);
    let rows: [[Lanes; 4]; 4] =
        std::array::from_fn(|y| stretch([columns[0][y], columns[1][y], columns[2][y]]));
    std::array::from_fn(|product| rows[product / 4][product % 4])
}

/// A convolution whose kernels are transformed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Squares<'a> {
    pub window: &'a Window,
    /// As [`write_transformed`] makes them.
    pub kernels: &'a [f32],
    pub rows: usize,
    pub maps: usize,
    /// One number a row.
    pub bias: &'a [f32],
    pub after: &'a [After],
}

/// Rows of squares, groups in each of them, and the size of a map with its rim: whole groups, and two values behind.
struct Plan {
    lines: usize,
    groups: usize,
    size: [usize; 2],
}

impl Plan {
    fn of(window: &Window) -> Plan {
        let lines = window.output[0].div_ceil(2);
        let groups = window.output[1].div_ceil(2 * LANES);
        Plan {
            lines,
            groups,
            size: [2 * lines + 2, 2 * LANES * groups + 2],
        }
    }

    /// The first row and column of a group's results.
    fn place(&self, group: usize) -> [usize; 2] {
        [group / self.groups * 2, group % self.groups * 2 * LANES]
    }
}

/// Convolves `maps`, `[maps, H, W]`, into `result`, `[rows, output]`.
pub(super) fn convolve(squares: &Squares, maps: &[f32], result: &mut [f32]) {
    let plan = Plan::of(squares.window);
    let area = plan.size.iter().product::<usize>();
    let panels = (plan.lines * plan.groups).div_ceil(GROUPS);
    let tile = PRODUCTS * squares.maps * ROWS * COLUMNS / LANES;
    let parts = Parts::of(squares.rows, panels, tile);
    let result = Shared::new(result);
    with_room(squares.maps * area, |rimmed| {
        with_each_rim(maps, squares.window, plan.size, rimmed);
        divide::each(parts.count, |part| {
            let (rows, panels) = parts.part(part);
            // Safety: parts have squares or rows of their own.
            unsafe { convolve_part(squares, &plan, rimmed, rows, panels, result) };
        });
    });
}

/// Some rows of the result, for some panels of columns.
///
/// # Safety
/// Nobody else may use these values of the result.
unsafe fn convolve_part(
    squares: &Squares,
    plan: &Plan,
    rimmed: &[f32],
    rows: Range<usize>,
    panels: Range<usize>,
    result: Shared,
) {
    let area = plan.size.iter().product::<usize>();
    let groups = plan.lines * plan.groups;
    let panel_length = squares.maps * COLUMNS;
    let step = (BLOCK / (PRODUCTS * panel_length)).clamp(1, panels.len().max(1));
    let tile = PRODUCTS * ROWS * COLUMNS;
    with_room(PRODUCTS * step * panel_length, |columns| {
        with_room(step * tile, |sums| {
            for first in panels.clone().step_by(step) {
                let count = step.min(panels.end - first);
                for group in 0..count * GROUPS {
                    let index = (first * GROUPS + group).min(groups - 1);
                    let [y, x] = plan.place(index);
                    let to = group / GROUPS * panel_length + group % GROUPS * LANES;
                    transform_group(
                        rimmed,
                        area,
                        plan.size[1],
                        y * plan.size[1] + x,
                        &mut columns[to..],
                        count * panel_length,
                    );
                }
                let columns = &columns[..PRODUCTS * count * panel_length];
                for row in rows.clone().step_by(ROWS) {
                    add_up(squares, row, columns, count, sums);
                    for group in 0..count * GROUPS {
                        let index = first * GROUPS + group;
                        if index < groups {
                            let sums = &sums[group / GROUPS * tile..][..tile];
                            let sums = &sums[group % GROUPS * LANES..];
                            // Safety: a group of squares of these panels, and of these rows.
                            unsafe { put_group(squares, row, sums, plan.place(index), result) };
                        }
                    }
                }
            }
        });
    });
}

/// `Bᵀ d B` of four neighbouring squares in every map: 16 vectors a map, `distance` floats apart.
fn transform_group(
    rimmed: &[f32],
    area: usize,
    columns: usize,
    corner: usize,
    to: &mut [f32],
    distance: usize,
) {
    let maps = rimmed.len() / area;
    assert!(corner + 3 * columns + 2 * LANES + 2 <= area);
    assert!((PRODUCTS - 1) * distance + (maps - 1) * COLUMNS + LANES <= to.len());
    for map in 0..maps {
        // Safety: the four rows are read from `corner` on, ten floats of each, which the first assertion is about; what is written
        // is what the second one is about.
        unsafe {
            let from = rimmed.as_ptr().add(map * area + corner);
            let to = to.as_mut_ptr().add(map * COLUMNS);
            let across: [[Lanes; 4]; 4] = std::array::from_fn(|row| {
                let from = from.add(row * columns);
                let [a, b] = [Lanes::load(from), Lanes::load(from.add(4))];
                let [c, d] = [Lanes::load(from.add(2)), Lanes::load(from.add(6))];
                combine([a.even(b), a.odd(b), c.even(d), c.odd(d)])
            });
            let columns = [0, 1, 2, 3].map(|x| across.map(|row| row[x]));
            for (x, values) in columns.into_iter().enumerate() {
                let down = combine(values);
                for (y, value) in down.into_iter().enumerate() {
                    value.store(to.add((4 * y + x) * distance));
                }
            }
        }
    }
}

/// `Bᵀ d` of one axis.
#[inline(always)]
fn combine([a, b, c, d]: [Lanes; 4]) -> [Lanes; 4] {
    [a.sub(c), b.add(c), c.sub(b), b.sub(d)]
}

/// Sums of products for a panel of rows and `count` panels of columns, `[panel, product, ROWS, COLUMNS]`.
fn add_up(squares: &Squares, row: usize, columns: &[f32], count: usize, sums: &mut [f32]) {
    let depth = squares.maps;
    let kernels = &squares.kernels[row * PRODUCTS * depth..][..PRODUCTS * ROWS * depth];
    assert!(columns.len() == PRODUCTS * count * depth * COLUMNS);
    assert!(sums.len() >= count * PRODUCTS * ROWS * COLUMNS);
    let products = kernels
        .chunks_exact(ROWS * depth)
        .zip(columns.chunks_exact(count * depth * COLUMNS));
    for (product, (a, columns)) in products.enumerate() {
        for (panel, b) in columns.chunks_exact(depth * COLUMNS).enumerate() {
            let to = &mut sums[(panel * PRODUCTS + product) * ROWS * COLUMNS..][..ROWS * COLUMNS];
            // Safety: `a` holds `depth` steps of `ROWS` floats, `b` of `COLUMNS`; `to` has room for a tile.
            unsafe {
                let zero = [[Lanes::splat(0.0); COLUMNS / LANES]; ROWS];
                let tile = add_product(zero, depth, a.as_ptr(), b.as_ptr());
                for (index, vector) in tile.into_iter().flatten().enumerate() {
                    vector.store(to.as_mut_ptr().add(index * LANES));
                }
            }
        }
    }
}

/// `Aᵀ m A` of four neighbouring squares for a panel of rows, stored at a place of the result.
///
/// # Safety
/// Nobody else may use these values of the result.
unsafe fn put_group(
    squares: &Squares,
    row: usize,
    sums: &[f32],
    [y, x]: [usize; 2],
    result: Shared,
) {
    let [height, width] = squares.window.output;
    assert!(sums.len() >= ((PRODUCTS - 1) * ROWS + ROWS - 1) * COLUMNS + LANES);
    for (index, bias) in squares.bias[row..].iter().enumerate().take(ROWS) {
        // Safety: the assertion is about the last of them.
        let sum = |product: usize| unsafe {
            Lanes::load(sums.as_ptr().add((product * ROWS + index) * COLUMNS))
        };
        let down: [[Lanes; 4]; 2] = {
            let columns: [[Lanes; 2]; 4] =
                std::array::from_fn(|x| gather([sum(x), sum(4 + x), sum(8 + x), sum(12 + x)]));
            [0, 1].map(|y| [columns[0][y], columns[1][y], columns[2][y], columns[3][y]])
        };
        let bias = Lanes::splat(*bias);
        let map = (row + index) * height * width;
        for (line, values) in down.into_iter().enumerate().take(height - y) {
            let [even, odd] = gather(values);
            let mut values = even.in_turns(odd).map(|value| value.add(bias));
            finish(&mut values, squares.after);
            let count = (width - x).min(2 * LANES);
            // Safety: as the caller grants.
            let slots = unsafe { result.slice(map + (y + line) * width + x, count) };
            if count == 2 * LANES {
                // Safety: there is room for eight.
                unsafe {
                    values[0].store(slots.as_mut_ptr());
                    values[1].store(slots.as_mut_ptr().add(LANES));
                }
            } else {
                let values = values.into_iter().flat_map(Lanes::to_array);
                for (slot, value) in slots.iter_mut().zip(values) {
                    *slot = value;
                }
            }
        }
    }
}

/// `Aᵀ m` of one axis.
#[inline(always)]
fn gather([a, b, c, d]: [Lanes; 4]) -> [Lanes; 2] {
    [a.add(b).add(c), b.sub(c).sub(d)]
}
