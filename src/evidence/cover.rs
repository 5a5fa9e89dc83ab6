//! Covering chosen places of a network's input: what would it say if that were not there?

use ndarray::{Array2, Array4};
use serde::{Deserialize, Serialize};

use super::deletion::replaced;
use super::impute::impute;
use super::insertion::blurred;

/// What comes where something was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// The mean colour: zeros behind the normalisation, as deletion has them. Its rim shows.
    #[default]
    Mean,
    /// The same places of the input, blurred as insertion blurs it: large shapes stay.
    Blur,
    /// The weighted mean of what lies around, as ROAD has it without its noise: no rim shows.
    Surroundings,
}

impl Fill {
    /// Every fill.
    pub const ALL: [Fill; 3] = [Fill::Mean, Fill::Blur, Fill::Surroundings];

    /// The input `[1, C, H, W]` with the `chosen` places `[H, W]` covered.
    #[must_use]
    pub fn cover(self, input: &Array4<f32>, chosen: &Array2<bool>) -> Array4<f32> {
        match self {
            Fill::Mean => replaced(input, chosen, &Array4::zeros(input.dim())),
            Fill::Blur => replaced(input, chosen, &blurred(input)),
            Fill::Surroundings => {
                let mut covered = input.clone();
                impute(&mut covered, chosen);
                covered
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_chosen_changes_and_each_fill_in_its_way() {
        let input = Array4::from_shape_fn((1, 3, 30, 40), |(_, channel, y, x)| {
            (channel + 1) as f32 + ((x * 7 + y * 13) % 11) as f32
        });
        let chosen = Array2::from_shape_fn((30, 40), |(y, x)| y >= 20 && x < 10);
        let covered = Fill::ALL.map(|fill| fill.cover(&input, &chosen));
        for ((_, channel, y, x), &value) in input.indexed_iter() {
            let of = |at: usize| covered[at][(0, channel, y, x)];
            if !chosen[(y, x)] {
                assert!((0..3).all(|at| of(at) == value));
                continue;
            }
            assert_eq!(of(0), 0.0);
            // A blur and a filling stay within what the channel has.
            let (low, high) = ((channel + 1) as f32, (channel + 11) as f32);
            assert!(of(1) > low && of(1) < high && of(2) > low && of(2) < high);
        }
        assert_ne!(covered[1], covered[2]);
    }
}
