//! The heart of all products: a tile of rows by vectors of columns, as large as the registers allow.
//!
//! With the 4 rows by 8 columns of WebAssembly, or 8 by 4 where it stands [upright](super::upright), 8 sums, 2 vectors of B and one number
//! of A are alive at once, and fit the 15 vector registers that V8 has on x86. The 8 by 8 tile of tract 0.23.9 needs more: V8 stores
//! and loads its sums in every step.

use super::lanes::Lanes;

/// How many floats of A ahead of what is being read are asked for: weights (in an [upright](super::upright) tile they are B, and nothing is
/// asked for) come from the machine's memory, once a picture, and it takes a hundred steps until they are here.
const AHEAD: usize = 2 << 10;

/// `sums` plus the product of a panel of A, of whose `STEP` numbers a step the first `ROWS` count, and a panel of B, as many vectors a
/// step as `sums` has.
///
/// One step a turn: with two, V8 runs out of registers, and reaches two thirds of the speed.
///
/// # Safety
/// Both panels must hold `depth` steps.
#[inline(always)]
pub(super) unsafe fn add_product<
    L: Lanes,
    const ROWS: usize,
    const VECTORS: usize,
    const STEP: usize,
>(
    sums: [[L; VECTORS]; ROWS],
    depth: usize,
    a: *const f32,
    b: *const f32,
) -> [[L; VECTORS]; ROWS] {
    let mut sums = sums;
    for index in 0..depth {
        // Safety: `depth` steps of both are read, as the caller grants.
        unsafe {
            let (a, b) = (a.add(index * STEP), b.add(index * VECTORS * L::COUNT));
            L::prefetch(a.wrapping_add(AHEAD));
            step(&mut sums, a, b);
        };
    }
    sums
}

/// One step of [`add_product`].
///
/// # Safety
/// `ROWS` floats must be readable at `a`, `VECTORS` vectors at `b`.
#[inline(always)]
unsafe fn step<L: Lanes, const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[L; VECTORS]; ROWS],
    a: *const f32,
    b: *const f32,
) {
    // Safety: the offsets are below what the caller grants.
    unsafe {
        let mut vectors = [L::splat(0.0); VECTORS];
        for (index, vector) in vectors.iter_mut().enumerate() {
            *vector = L::load(b.add(index * L::COUNT));
        }
        for (row, sums) in sums.iter_mut().enumerate() {
            let a = L::load_splat(a.add(row));
            for (sum, b) in sums.iter_mut().zip(vectors) {
                *sum = sum.add_product(a, b);
            }
        }
    }
}
