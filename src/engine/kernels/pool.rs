//! The largest value and the mean under a window.

use super::lanes::{Lanes, MOST};
use super::set::Set;
use super::sweep::{Gather, sweep};
use super::window::Window;

/// The largest value.
#[derive(Clone, Copy)]
struct Largest;

impl Gather for Largest {
    const RIM: f32 = f32::NEG_INFINITY;

    #[inline(always)]
    fn add<L: Lanes>(self, sum: L, _: L, value: L) -> L {
        sum.max(value)
    }

    #[inline(always)]
    fn end<L: Lanes, const VECTORS: usize, const LINES: usize>(
        &self,
        _: &mut [[L; VECTORS]; LINES],
        _: usize,
        _: usize,
    ) {
    }
}

/// The sum, times a factor of its row and one of its column.
#[derive(Clone, Copy)]
struct Mean<'a> {
    rows: &'a [f32],
    columns: &'a [f32],
}

impl Gather for Mean<'_> {
    const RIM: f32 = 0.0;

    #[inline(always)]
    fn add<L: Lanes>(self, sum: L, _: L, value: L) -> L {
        sum.add(value)
    }

    #[inline(always)]
    fn end<L: Lanes, const VECTORS: usize, const LINES: usize>(
        &self,
        sums: &mut [[L; VECTORS]; LINES],
        y: usize,
        x: usize,
    ) {
        let rows = &self.rows[y..][..LINES];
        let columns = &self.columns[x..][..VECTORS * L::COUNT];
        for (sums, row) in sums.iter_mut().zip(rows) {
            for (vector, sum) in sums.iter_mut().enumerate() {
                // Safety: there are as many.
                let columns = unsafe { L::load(columns.as_ptr().add(vector * L::COUNT)) };
                *sum = sum.mul(columns.mul(L::splat(*row)));
            }
        }
    }
}

/// The largest value under each position of the window; what lies outside a map is none.
pub fn largest(set: Set, window: &Window, maps: &[f32], result: &mut [f32]) {
    let weights = vec![1.0; window.taps()];
    let kernels = |_| (weights.as_slice(), f32::NEG_INFINITY);
    sweep(set, window, Largest, kernels, maps, result);
}

/// The mean under each position of the window, over the values of the map or, with `rim`, over all places of the window.
pub fn mean(set: Set, window: &Window, rim: bool, maps: &[f32], result: &mut [f32]) {
    let weights = vec![1.0; window.taps()];
    let kernels = |_| (weights.as_slice(), 0.0);
    let [rows, columns] = [0, 1].map(|axis| factors(window, rim, axis));
    let gather = Mean {
        rows: &rows,
        columns: &columns,
    };
    sweep(set, window, gather, kernels, maps, result);
}

/// One over the number of values that the window covers at each position of an axis, and as many zeros as a block needs.
fn factors(window: &Window, rim: bool, axis: usize) -> Vec<f32> {
    let covered = |position: usize| {
        let start = position * window.strides[axis];
        let inside = |tap: &usize| {
            let place = (start + tap * window.dilations[axis]).checked_sub(window.before[axis]);
            rim || place.is_some_and(|place| place < window.size[axis])
        };
        (0..window.kernel[axis]).filter(inside).count()
    };
    let counts = (0..window.output[axis]).map(covered);
    let factors = counts.map(|count| if count > 0 { 1.0 / count as f32 } else { 0.0 });
    factors.chain([0.0; 2 * MOST]).collect()
}
