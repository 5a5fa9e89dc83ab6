//! Convolutions in which each map has a kernel of its own.

use super::after::{After, finish};
use super::lanes::Lanes;
use super::sweep::{Gather, sweep};
use super::window::Window;

/// Each map's kernel, one number a map, and what comes after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernels<'a> {
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

    #[inline(always)]
    fn add(self, sum: Lanes, weight: Lanes, value: Lanes) -> Lanes {
        sum.add(weight.mul(value))
    }

    #[inline(always)]
    fn end(&self, sum: Lanes, _: usize, _: usize) -> Lanes {
        let mut values = [sum];
        finish(&mut values, self.0);
        values[0]
    }
}

/// Convolves `maps` into `result`, a map at a time.
pub(super) fn convolve(kernels: &Kernels, maps: &[f32], result: &mut [f32]) {
    let Kernels {
        window,
        values,
        bias,
        after,
    } = *kernels;
    let taps = window.taps();
    let kernels = |map: usize| (&values[map * taps..][..taps], bias[map]);
    sweep(window, Weighted(after), kernels, maps, result);
}
