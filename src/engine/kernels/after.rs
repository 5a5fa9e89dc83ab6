//! What is done to the values of a convolution before they are stored: its activation function.

use std::hash::{Hash, Hasher};

use super::lanes::Lanes;

/// A step on each value.
#[derive(Debug, Clone, Copy)]
pub enum After {
    /// The larger of it and a number: ReLU, the lower end of a clip.
    AtLeast(f32),
    /// The smaller of it and a number.
    AtMost(f32),
    /// `x * clip(x / 6 + 1/2, 0, 1)`.
    HardSwish,
}

impl After {
    /// The step and its number, so that equal steps can be told.
    fn key(self) -> (u8, u32) {
        match self {
            After::AtLeast(low) => (0, low.to_bits()),
            After::AtMost(high) => (1, high.to_bits()),
            After::HardSwish => (2, 0),
        }
    }
}

impl PartialEq for After {
    fn eq(&self, other: &After) -> bool {
        self.key() == other.key()
    }
}

impl Eq for After {}

impl Hash for After {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl After {
    /// Does the step to all values.
    pub(super) fn finish_all(self, values: &mut [f32]) {
        match self {
            After::AtLeast(low) => {
                let bound = |value: f32| if value > low { value } else { low };
                values.iter_mut().for_each(|value| *value = bound(*value));
            }
            After::AtMost(high) => {
                let bound = |value: f32| if value < high { value } else { high };
                values.iter_mut().for_each(|value| *value = bound(*value));
            }
            After::HardSwish => {
                let gated = |value: f32| value * (value * (1.0 / 6.0) + 0.5).clamp(0.0, 1.0);
                values.iter_mut().for_each(|value| *value = gated(*value));
            }
        }
    }
}

/// Does all steps to all vectors of a tile.
#[inline(always)]
pub(super) fn finish<L: Lanes, const VECTORS: usize, const ROWS: usize>(
    tile: &mut [[L; VECTORS]; ROWS],
    after: &[After],
) {
    for step in after {
        match *step {
            After::AtLeast(low) => {
                let low = L::splat(low);
                each(tile, |value| value.max(low));
            }
            After::AtMost(high) => {
                let high = L::splat(high);
                each(tile, |value| value.min(high));
            }
            After::HardSwish => {
                let [sixth, half] = [L::splat(1.0 / 6.0), L::splat(0.5)];
                let [one, zero] = [L::splat(1.0), L::splat(0.0)];
                each(tile, |value| {
                    let gate = value.mul(sixth).add(half);
                    value.mul(gate.min(one).max(zero))
                });
            }
        }
    }
}

/// Replaces each vector of a tile. Two plain loops: they are gone when they are compiled, and the tile stays in registers.
#[inline(always)]
fn each<L: Lanes, const VECTORS: usize, const ROWS: usize>(
    tile: &mut [[L; VECTORS]; ROWS],
    make: impl Fn(L) -> L,
) {
    for row in tile {
        for value in row {
            *value = make(*value);
        }
    }
}
