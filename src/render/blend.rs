//! OpenCV's weighted sum of two pictures.

use crate::image::fma;

/// OpenCV's `addWeighted` of two `u8` samples: `a * alpha + b * beta + gamma`, rounded half to even, clamped to 0..=255.
///
/// In `f32` with fused multiply-adds, as OpenCV's vector code has it: equal for all 65,536 pairs. NaN gives 0.
#[must_use]
pub fn add_weighted(a: u8, alpha: f32, b: u8, beta: f32, gamma: f32) -> u8 {
    let sum = fma(f32::from(a), alpha, fma(f32::from(b), beta, gamma));
    // The cast saturates.
    sum.round_ties_even() as u8
}

/// [`add_weighted`] for fixed weights, as a table of all pairs.
pub(super) struct Blend {
    sums: Vec<[u8; 256]>,
}

impl Blend {
    /// Fills the table.
    pub(super) fn new(alpha: f32, beta: f32, gamma: f32) -> Self {
        let row = |a| {
            let mut sums = [0; 256];
            for (sum, b) in sums.iter_mut().zip(0..=u8::MAX) {
                *sum = add_weighted(a, alpha, b, beta, gamma);
            }
            sums
        };
        Self {
            sums: (0..=u8::MAX).map(row).collect(),
        }
    }

    /// The weighted sum of `a` and `b`.
    #[inline]
    pub(super) fn of(&self, a: u8, b: u8) -> u8 {
        self.sums[usize::from(a)][usize::from(b)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even_and_ends_are_clamped() {
        assert_eq!(add_weighted(1, 0.5, 0, 1.0, 0.0), 0);
        assert_eq!(add_weighted(3, 0.5, 0, 1.0, 0.0), 2);
        assert_eq!(add_weighted(255, 0.5, 200, 1.0, 0.0), 255);
        assert_eq!(add_weighted(255, -1.0, 0, 1.0, 0.0), 0);
        assert_eq!(add_weighted(1, f32::NAN, 1, 1.0, 0.0), 0);
        assert_eq!(Blend::new(0.5, 1.0, 0.0).of(3, 7), 8);
    }
}
