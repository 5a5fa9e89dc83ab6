//! Convolutions in which each map has a kernel of its own.

use super::after::{After, finish};
use super::lanes::Lanes;
use super::set::Set;
use super::sweep::{Gather, sweep};
use super::window::Window;

/// Each map's kernel, one number a map, and what comes after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernels<'a> {
    pub set: Set,
    pub window: &'a Window,
    /// `[maps, tap]`.
    pub values: &'a [f32],
    /// One number a map.
    pub bias: &'a [f32],
    pub after: &'a [After],
}

/// A weighted sum.
#[derive(Clone, Copy)]
struct Weighted<'a>(&'a [After]);

impl Gather for Weighted<'_> {
    const RIM: f32 = 0.0;
    const OFTEN: bool = true;

    #[inline(always)]
    fn add<L: Lanes>(self, sum: L, weight: L, value: L) -> L {
        sum.add_product(weight, value)
    }

    #[inline(always)]
    fn end<L: Lanes, const VECTORS: usize, const LINES: usize>(
        &self,
        sums: &mut [[L; VECTORS]; LINES],
        _: usize,
        _: usize,
    ) {
        finish(sums, self.0);
    }
}

/// Convolves `maps` into `result`, a map at a time.
pub(super) fn convolve(kernels: &Kernels, maps: &[f32], result: &mut [f32]) {
    let Kernels {
        set,
        window,
        values,
        bias,
        after,
    } = *kernels;
    let taps = window.taps();
    let kernels = |map: usize| (&values[map * taps..][..taps], bias[map]);
    sweep(set, window, Weighted(after), kernels, maps, result);
}
