//! The heart of all products: a tile of 4 rows by 8 columns.
//!
//! 8 sums, 2 vectors of B and one number of A are alive at once, and fit the 15 vector registers that V8 has on x86. The 8 by 8 tile of
//! tract 0.23.9 needs more: V8 stores and loads its sums in every step.

use super::lanes::{LANES, Lanes};

/// Rows of the tile.
pub(super) const ROWS: usize = 4;
/// Columns of the tile.
pub(super) const COLUMNS: usize = 8;
/// Vectors in a row.
pub(super) const VECTORS: usize = COLUMNS / LANES;

/// The sums of a tile.
pub(super) type Sums = [[Lanes; VECTORS]; ROWS];

/// `sums` plus the product of a panel of A, [`ROWS`] numbers a step, and a panel of B, [`COLUMNS`] numbers a step.
///
/// One step a turn: with two, V8 runs out of registers, and reaches two thirds of the speed.
///
/// # Safety
/// Both panels must hold `depth` steps.
#[inline(always)]
pub(super) unsafe fn add_product(sums: Sums, depth: usize, a: *const f32, b: *const f32) -> Sums {
    let mut sums = sums;
    for index in 0..depth {
        // Safety: `depth` steps of both are read, as the caller grants.
        unsafe { step(&mut sums, a.add(index * ROWS), b.add(index * COLUMNS)) };
    }
    sums
}

/// One step of [`add_product`].
///
/// # Safety
/// [`ROWS`] floats must be readable at `a`, [`COLUMNS`] at `b`.
#[inline(always)]
unsafe fn step(sums: &mut Sums, a: *const f32, b: *const f32) {
    // Safety: the offsets are below what the caller grants.
    unsafe {
        let b: [Lanes; VECTORS] = [Lanes::load(b), Lanes::load(b.add(LANES))];
        for (row, sums) in sums.iter_mut().enumerate() {
            let a = Lanes::load_splat(a.add(row));
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = sum.add(a.mul(b));
            }
        }
    }
}
