//! Stability: does the map stay where it is when nothing that matters changes?

use ndarray::{Array2, Array4, Axis, Slice, s};

use super::similarity::spearman;
use super::statistics::mean;
use super::{Check, Finding, Number, Silence, Subject};
use crate::random::SplitMix;

/// The map of the picture shifted by a [`SHIFT`]th of the shorter side in four directions, mirrored, and with noise of [`NOISE`] of its range, each undone and compared with
/// the picture's own by rank correlation where both have something.
pub struct Stability;

/// A shift is the shorter side over this: 7 pixels of 224.
const SHIFT: usize = 32;
/// Standard deviation of the noise as a share of the input's range.
const NOISE: f32 = 0.02;
const NOISES: usize = 3;

/// A change that should not matter.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    /// Down and to the right.
    Shifted(isize, isize),
    Mirrored,
    Noisy(usize),
}

impl Check for Stability {
    fn id(&self) -> &'static str {
        "stability"
    }

    fn name(&self) -> &'static str {
        "Stability"
    }

    fn about(&self) -> &'static str {
        "Rank correlation of the map with those of the picture shifted a little, mirrored, and with a little noise, each undone. Higher is better."
    }

    fn limits(&self) -> &'static str {
        "A map that never changes is stable, too, and a mirrored chest has its heart on the other side: the model may rightly look elsewhere."
    }

    fn find(&self, subject: &Subject<'_>) -> Result<Finding, Silence> {
        let input = &subject.observation.input;
        let (_, _, height, width) = input.dim();
        let far = (height.min(width) / SHIFT).max(1) as isize;
        let mut changes = vec![
            Change::Shifted(-far, 0),
            Change::Shifted(far, 0),
            Change::Shifted(0, -far),
            Change::Shifted(0, far),
            Change::Mirrored,
        ];
        changes.extend((0..NOISES).map(Change::Noisy));
        let heat = subject.heat();
        let found = subject.again(changes.len(), &|index, watch| {
            let change = changes.get(index).copied().unwrap_or(Change::Mirrored);
            let explainer = subject.explainer;
            let seen = explainer.observe(&change.made(input))?;
            let map = explainer.explain_watched(&seen, subject.question, subject.method, watch)?;
            let alike = match map.empty {
                None => change.compared(&heat, &subject.at_input(&map)),
                // Nothing is left of what was there.
                Some(_) => None,
            };
            Ok((alike.unwrap_or(0.0), subject.score_of(&seen)))
        })?;
        let of = |kind: fn(&Change) -> bool| {
            let pairs = changes
                .iter()
                .zip(&found)
                .filter(|(change, _)| kind(change));
            let values: Vec<f64> = pairs.map(|(_, (alike, _))| *alike).collect();
            mean(&values).unwrap_or(0.0)
        };
        let shifted = of(|change| matches!(change, Change::Shifted(..)));
        let mirrored = of(|change| matches!(change, Change::Mirrored));
        let noisy = of(|change| matches!(change, Change::Noisy(_)));
        let lowest = found.iter().map(|(alike, _)| *alike).fold(1.0, f64::min);
        let whole = subject.score();
        let moved = found
            .iter()
            .map(|(_, score)| (score - whole).abs())
            .fold(0.0, f64::max);
        Ok(Finding {
            numbers: vec![
                Number::new("lowest", lowest),
                Number::new("shifted", shifted),
                Number::new("mirrored", mirrored),
                Number::new("noisy", noisy),
                Number::new("largest_change_of_score", moved),
            ],
            says: format!(
                "The map's order of places correlates by {shifted:.2} after shifts of {far} pixels, {mirrored:.2} after mirroring, {noisy:.2} after noise; the probability of {} moves by up to {moved:.3}.",
                subject.label()
            ),
            maps: changes.len(),
            ..Finding::default()
        })
    }
}

impl Change {
    /// The input `[1, C, H, W]`, changed. What comes in at a rim repeats it.
    fn made(self, input: &Array4<f32>) -> Array4<f32> {
        let (_, channels, height, width) = input.dim();
        match self {
            Change::Shifted(down, right) => {
                let from = |at: usize, by: isize, length: usize| {
                    (at as isize - by).clamp(0, length as isize - 1) as usize
                };
                Array4::from_shape_fn((1, channels, height, width), |(_, channel, row, column)| {
                    input[(
                        0,
                        channel,
                        from(row, down, height),
                        from(column, right, width),
                    )]
                })
            }
            Change::Mirrored => mirrored(input),
            Change::Noisy(number) => {
                let low = input.iter().copied().fold(f32::INFINITY, f32::min);
                let high = input.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let mut random = SplitMix::of(0, number);
                input.mapv(|value| value + NOISE * (high - low) * random.normal() as f32)
            }
        }
    }

    /// How alike a map is to that of the changed picture, the change undone, where both cover the picture.
    fn compared(self, whole: &Array2<f32>, changed: &Array2<f32>) -> Option<f64> {
        match self {
            Change::Shifted(down, right) => {
                // Rows that stay, in the one and in the other.
                let slices = |by: isize| match by >= 0 {
                    true => (
                        Slice::new(0, Some(-by).filter(|by| *by < 0), 1),
                        Slice::from(by..),
                    ),
                    false => (Slice::from(-by..), Slice::new(0, Some(by), 1)),
                };
                let ((rows, moved_rows), (columns, moved_columns)) = (slices(down), slices(right));
                let part = |map: &Array2<f32>, rows, columns| {
                    map.slice_axis(Axis(0), rows)
                        .slice_axis(Axis(1), columns)
                        .to_owned()
                };
                let before = part(whole, rows, columns);
                let after = part(changed, moved_rows, moved_columns);
                spearman(&before.view(), &after.view())
            }
            Change::Mirrored => spearman(&whole.view(), &changed.slice(s![.., ..;-1])),
            Change::Noisy(_) => spearman(&whole.view(), &changed.view()),
        }
    }
}

/// Left and right exchanged.
fn mirrored(input: &Array4<f32>) -> Array4<f32> {
    input.slice(s![.., .., .., ..;-1]).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_with_the_picture_is_stable() {
        let mut random = SplitMix(1);
        let input = Array4::from_shape_simple_fn((1, 1, 9, 11), || random.unit() as f32);
        let map = |input: &Array4<f32>| {
            input
                .index_axis(Axis(0), 0)
                .index_axis(Axis(0), 0)
                .to_owned()
        };
        let changes = [
            Change::Shifted(2, 0),
            Change::Shifted(-2, 0),
            Change::Shifted(0, 3),
            Change::Shifted(0, -3),
            Change::Mirrored,
        ];
        for change in changes {
            let alike = change.compared(&map(&input), &map(&change.made(&input)));
            assert!((alike.unwrap() - 1.0).abs() < 1e-9, "{change:?}");
            // A map that stays where it was does not follow.
            let alike = change.compared(&map(&input), &map(&input)).unwrap();
            assert!(alike < 0.5, "{change:?} {alike}");
        }
        let noisy = Change::Noisy(0).made(&input);
        assert_ne!(noisy, input);
        assert_eq!(noisy, Change::Noisy(0).made(&input));
    }
}
