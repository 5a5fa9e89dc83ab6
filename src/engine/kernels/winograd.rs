//! Convolutions with kernels of 3 by 3 that move by one place, with 16 products for 2 by 2 results instead of 36.
//!
//! Winograd's F(2x2, 3x3), after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015): a kernel `g` becomes
//! `G g Gᵀ` once, four by four values `d` of a map become `Bᵀ d B`, their products are added up over the maps, and the
//! sums `m` become results by `Aᵀ m A`. The numbers of `B` and `A` are 0, 1 and -1, those of `G` 0, 1 and one half: rounding
//! errors stay close to those of a direct sum.

use std::ops::Range;

use super::after::{After, finish};
use super::divide::{self, Shared};
use super::lanes::{Four, Lanes, transposed};
use super::product::{Parts, put};
use super::room::with_room;
use super::set::{Registers, Set, Shape, Work};
use super::tile::add_product;
use super::window::{Window, with_each_rim};

/// Products for a square of 2 by 2 results.
const PRODUCTS: usize = 16;
/// Floats of transformed maps that are made at a time: they stay in a core's second cache.
const BLOCK: usize = 96 << 10;
/// Floats left free between the columns of two products: without them, the 16 places that a group is stored at would often be at the
/// same distance from a page's start, and contend for the same few lines of the first cache.
const GAP: usize = 16;
/// The most floats that the columns of one panel have where it can be made narrower.
const LARGEST: usize = 160 << 10;

/// Kernels that are transformed at once; every tile has a multiple of as many rows.
const FOUR: usize = Four::COUNT;

/// Whether this is a convolution that [`convolve`] can do, and large enough for it to pay.
pub(super) fn fits(set: Set, window: &Window, rows: usize, maps: usize) -> bool {
    let squares: usize = window.output.iter().map(|size| size.div_ceil(2)).product();
    let pays = match set.shape().narrows {
        // Wide registers do the products so fast that transforming what goes in and out counts, and that weights, which become
        // 16 instead of 9, are waited for.
        true => rows.min(maps) >= 32 && squares >= 32,
        false => rows.min(maps) >= 8,
    };
    pays && window.kernel == [3, 3]
        && window.strides == [1, 1]
        && window.dilations == [1, 1]
        && window.output.iter().all(|&size| size >= 4)
}

/// Floats of transformed kernels.
pub(super) fn transformed_length(set: Set, rows: usize, maps: usize) -> usize {
    rows.next_multiple_of(set.shape().rows) * PRODUCTS * maps
}

/// Writes kernels `[rows, maps, 3, 3]` transformed: for each panel of rows and each product, `[maps, rows of a tile]`.
pub(super) fn write_transformed(set: Set, kernels: &[f32], maps: usize, to: &mut [f32]) {
    let height = set.shape().rows;
    let length = maps * height;
    let missing = vec![[0.0; 9]; maps];
    let (kernels, _) = kernels.as_chunks::<9>();
    let panels = to.chunks_exact_mut((PRODUCTS * length).max(1));
    for (rows, panel) in kernels.chunks(length.max(1)).zip(panels) {
        for first in (0..height).step_by(FOUR) {
            let row = |index: usize| rows.get(index * maps..(index + 1) * maps);
            let rows: [&[[f32; 9]]; FOUR] =
                std::array::from_fn(|index| row(first + index).unwrap_or(&missing));
            for map in 0..maps {
                let products = transformed(rows.map(|row| &row[map]));
                for (product, values) in products.into_iter().enumerate() {
                    panel[product * length + map * height + first..][..FOUR]
                        .copy_from_slice(&values.to_array());
                }
            }
        }
    }
}

/// `G g Gᵀ` of a kernel in each lane.
fn transformed(kernels: [&[f32; 9]; FOUR]) -> [Four; PRODUCTS] {
    // Safety: four of nine floats are read from the first and from the fifth on.
    let [upper, lower] = [0, FOUR]
        .map(|first| transposed(kernels.map(|g| unsafe { Four::load(g.as_ptr().add(first)) })));
    // Safety: an array of four.
    let last = unsafe { Four::load(kernels.map(|kernel| kernel[8]).as_ptr()) };
    let [a, b, c, d] = upper;
    let [e, f, g, h] = lower;
    let half = Four::splat(0.5);
    let stretch = |[a, b, c]: [Four; 3]| {
        let (plus, minus) = (a.add(b).add(c), a.sub(b).add(c));
        [a, plus.mul(half), minus.mul(half), c]
    };
    let columns = [[a, d, g], [b, e, h], [c, f, last]].map(stretch);
    let rows: [[Four; 4]; 4] =
        std::array::from_fn(|y| stretch([columns[0][y], columns[1][y], columns[2][y]]));
    std::array::from_fn(|product| rows[product / 4][product % 4])
}

/// A convolution whose kernels are transformed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Squares<'a> {
    pub set: Set,
    pub window: &'a Window,
    /// As [`write_transformed`] makes them.
    pub kernels: &'a [f32],
    pub rows: usize,
    pub maps: usize,
    /// One number a row.
    pub bias: &'a [f32],
    pub after: &'a [After],
}

/// Rows of squares, groups of neighbouring ones in each row, and the size of a map with its rim: whole groups, and two values behind.
struct Plan {
    lines: usize,
    groups: usize,
    size: [usize; 2],
    /// Squares of a group: one a lane of a narrow register.
    group: usize,
    /// Vectors of squares in a panel: fewer than the tile has where maps are so many that the columns of one panel would not stay in a
    /// core's second cache.
    vectors: usize,
}

impl Plan {
    fn of(shape: Shape, window: &Window, maps: usize) -> Plan {
        let lines = window.output[0].div_ceil(2);
        let groups = window.output[1].div_ceil(2 * shape.narrow);
        let vectors = shape.columns / shape.lanes;
        let fitting = LARGEST / (PRODUCTS * maps * shape.lanes);
        Plan {
            lines,
            groups,
            size: [2 * lines + 2, 2 * shape.narrow * groups + 2],
            group: shape.narrow,
            vectors: match shape.narrows {
                true => fitting.clamp(1, vectors),
                false => vectors,
            },
        }
    }

    /// The first row and column of a group's results.
    fn place(&self, group: usize) -> [usize; 2] {
        [
            group / self.groups * 2,
            group % self.groups * 2 * self.group,
        ]
    }
}

/// Convolves `maps`, `[maps, H, W]`, into `result`, `[rows, output]`.
pub(super) fn convolve(squares: &Squares, maps: &[f32], result: &mut [f32]) {
    let shape = squares.set.shape();
    let plan = Plan::of(shape, squares.window, squares.maps);
    let area = plan.size.iter().product::<usize>();
    let width = plan.vectors * shape.lanes;
    let panels = (plan.lines * plan.groups * plan.group).div_ceil(width);
    let parts = Parts::of(shape, squares.rows, panels, PRODUCTS * squares.maps);
    let result = Shared::new(result);
    let panel = PRODUCTS * squares.maps * width;
    with_room(squares.maps * area, |rimmed| {
        with_each_rim(maps, squares.window, plan.size, rimmed);
        divide::each(parts.count, |part| {
            let (rows, panels) = parts.part(part);
            let step = (BLOCK / panel).clamp(1, panels.len().max(1));
            with_room(step * panel + PRODUCTS * GAP, |columns| {
                with_room(step * PRODUCTS * shape.rows * width, |sums| {
                    squares.set.run(Part {
                        squares,
                        plan: &plan,
                        rimmed,
                        rows,
                        panels,
                        step,
                        columns,
                        sums,
                        result,
                    });
                });
            });
        });
    });
}

/// Some rows of the result, for some panels of columns; nobody else uses these values.
struct Part<'a> {
    squares: &'a Squares<'a>,
    plan: &'a Plan,
    rimmed: &'a [f32],
    rows: Range<usize>,
    panels: Range<usize>,
    /// Panels whose columns are made at a time.
    step: usize,
    /// Room for their columns, `[product, panel, maps, columns of a panel]`.
    columns: &'a mut [f32],
    /// Room for their sums, `[panel, product, rows of a tile, columns of a panel]`.
    sums: &'a mut [f32],
    result: Shared<'a>,
}

impl Work for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run<R: Registers, const ROWS: usize, const VECTORS: usize>(self) {
        let Part { squares, plan, .. } = self;
        let area = plan.size.iter().product::<usize>();
        let groups = plan.lines * plan.groups;
        let per_vector = R::Wide::COUNT / plan.group;
        let per_panel = plan.vectors * per_vector;
        for first in self.panels.clone().step_by(self.step) {
            let count = self.step.min(self.panels.end - first);
            let vectors = match R::NARROWS {
                true => (groups - first * per_panel).div_ceil(per_vector),
                false => usize::MAX,
            };
            let vectors = vectors.min(count * plan.vectors);
            let distance = vectors * R::Wide::COUNT * squares.maps + GAP;
            // Vectors of a panel, and how many values lie before its own.
            let panel_of = |panel: usize| {
                let before = panel * plan.vectors;
                let of_panel = plan.vectors.min(vectors - before);
                (of_panel, before * R::Wide::COUNT)
            };
            for group in 0..vectors * per_vector {
                let (panel, within) = (group / per_panel, group % per_panel);
                let (of_panel, before) = panel_of(panel);
                // A vector may have room for more groups than there are.
                let [y, x] = plan.place((first * per_panel + group).min(groups - 1));
                let from = Corner {
                    rimmed: self.rimmed,
                    area,
                    columns: plan.size[1],
                    offset: y * plan.size[1] + x,
                };
                let to = before * squares.maps + within * plan.group;
                let width = of_panel * R::Wide::COUNT;
                transform_group::<R::Narrow>(&from, &mut self.columns[to..], width, distance);
            }
            let columns = &self.columns[..PRODUCTS * distance];
            for row in self.rows.clone().step_by(ROWS) {
                let kernels = &squares.kernels[row * PRODUCTS * squares.maps..];
                let kernels = &kernels[..PRODUCTS * ROWS * squares.maps];
                let products = kernels
                    .chunks_exact(ROWS * squares.maps)
                    .zip(columns.chunks_exact(distance));
                for (product, (a, columns)) in products.enumerate() {
                    for panel in 0..vectors.div_ceil(plan.vectors) {
                        let (of_panel, before) = panel_of(panel);
                        let tile = ROWS * of_panel * R::Wide::COUNT;
                        let b = &columns[before * squares.maps..];
                        let to = &mut self.sums[before * PRODUCTS * ROWS + product * tile..];
                        match of_panel {
                            1 if R::NARROWS => add_up::<R::Wide, ROWS, 1>(a, b, to),
                            2 if R::NARROWS => add_up::<R::Wide, ROWS, 2>(a, b, to),
                            _ => add_up::<R::Wide, ROWS, VECTORS>(a, b, to),
                        }
                    }
                }
                for group in 0..(vectors * per_vector).min(groups - first * per_panel) {
                    let (of_panel, before) = panel_of(group / per_panel);
                    let within = group % per_panel * plan.group;
                    let sums = &self.sums[before * PRODUCTS * ROWS + within..];
                    let place = plan.place(first * per_panel + group);
                    // Safety: a group of squares of these panels, and of these rows.
                    unsafe {
                        let width = of_panel * R::Wide::COUNT;
                        put_group::<R::Narrow, ROWS>(squares, row, sums, width, place, self.result);
                    }
                }
            }
        }
    }
}

/// A group's first value in each of the maps with their rims.
struct Corner<'a> {
    rimmed: &'a [f32],
    /// Values of a map.
    area: usize,
    columns: usize,
    /// Where it lies in a map.
    offset: usize,
}

/// `Bᵀ d B` of a group of neighbouring squares in every map: 16 vectors a map, `distance` floats apart, `width` floats from those of the
/// next.
#[inline(always)]
fn transform_group<L: Lanes>(corner: &Corner, to: &mut [f32], width: usize, distance: usize) {
    let maps = corner.rimmed.len() / corner.area;
    assert!(corner.offset + 3 * corner.columns + 2 * L::COUNT + 2 <= corner.area);
    assert!((PRODUCTS - 1) * distance + (maps - 1) * width + L::COUNT <= to.len());
    for map in 0..maps {
        // Safety: the four rows are read from the corner on, two registers and two floats of each, which the first assertion is
        // about; what is written is what the second one is about.
        unsafe {
            let from = corner
                .rimmed
                .as_ptr()
                .add(map * corner.area + corner.offset);
            let to = to.as_mut_ptr().add(map * width);
            let mut across = [[L::splat(0.0); 4]; 4];
            for (row, across) in across.iter_mut().enumerate() {
                let from = from.add(row * corner.columns);
                let [a, b] = [L::load(from), L::load(from.add(L::COUNT))];
                let [c, d] = [L::load(from.add(2)), L::load(from.add(L::COUNT + 2))];
                *across = combine([a.even(b), a.odd(b), c.even(d), c.odd(d)]);
            }
            let [a, b, c, d] = across;
            for x in 0..4 {
                let down = combine([a[x], b[x], c[x], d[x]]);
                for (y, value) in down.iter().enumerate() {
                    value.store(to.add((4 * y + x) * distance));
                }
            }
        }
    }
}

/// `Bᵀ d` of one axis.
#[inline(always)]
fn combine<L: Lanes>([a, b, c, d]: [L; 4]) -> [L; 4] {
    [a.sub(c), b.add(c), c.sub(b), b.sub(d)]
}

/// The product of a panel of rows and the first panel of `b`, `[ROWS, columns]`.
#[inline(always)]
fn add_up<L: Lanes, const ROWS: usize, const VECTORS: usize>(a: &[f32], b: &[f32], to: &mut [f32]) {
    let depth = a.len() / ROWS;
    let width = VECTORS * L::COUNT;
    assert!(depth * width <= b.len() && ROWS * width <= to.len());
    // Safety: `a` holds `depth` steps of `ROWS` floats, `b` of `VECTORS` vectors; `to` has room for a tile.
    unsafe {
        let zero = [[L::splat(0.0); VECTORS]; ROWS];
        let tile = add_product::<L, ROWS, VECTORS, ROWS>(zero, depth, a.as_ptr(), b.as_ptr());
        for (row, vectors) in tile.iter().enumerate() {
            for (index, vector) in vectors.iter().enumerate() {
                vector.store(to.as_mut_ptr().add((row * VECTORS + index) * L::COUNT));
            }
        }
    }
}

/// `Aᵀ m A` of a group of neighbouring squares for a panel of rows, stored at a place of the result. Sums of a row are `width` floats
/// from those of the next.
///
/// # Safety
/// Nobody else may use these values of the result.
#[inline(always)]
unsafe fn put_group<L: Lanes, const ROWS: usize>(
    squares: &Squares,
    row: usize,
    sums: &[f32],
    columns: usize,
    [y, x]: [usize; 2],
    result: Shared,
) {
    let [height, width] = squares.window.output;
    assert!(sums.len() >= (PRODUCTS * ROWS - 1) * columns + L::COUNT);
    for (index, bias) in squares.bias[row..].iter().enumerate().take(ROWS) {
        let mut halves = [[L::splat(0.0); 2]; 4];
        for (x, halves) in halves.iter_mut().enumerate() {
            let mut values = [L::splat(0.0); 4];
            for (y, value) in values.iter_mut().enumerate() {
                let offset = ((4 * y + x) * ROWS + index) * columns;
                // Safety: the assertion is about the last of them.
                *value = unsafe { L::load(sums.as_ptr().add(offset)) };
            }
            *halves = gather(values);
        }
        let bias = L::splat(*bias);
        let map = (row + index) * height * width;
        for line in 0..2.min(height - y) {
            let [a, b, c, d] = halves;
            let [even, odd] = gather([a[line], b[line], c[line], d[line]]);
            let [left, right] = even.in_turns(odd);
            let mut values = [[left.add(bias), right.add(bias)]];
            finish(&mut values, squares.after);
            let count = (width - x).min(2 * L::COUNT);
            // Safety: as the caller grants.
            let slots = unsafe { result.slice(map + (y + line) * width + x, count) };
            put(&values[0], slots);
        }
    }
}

/// `Aᵀ m` of one axis.
#[inline(always)]
fn gather<L: Lanes>([a, b, c, d]: [L; 4]) -> [L; 2] {
    [a.add(b).add(c), b.sub(c).sub(d)]
}
