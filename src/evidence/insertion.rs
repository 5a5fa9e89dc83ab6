//! Insertion: how soon the score comes back when the map's highest places are shown first.

use ndarray::{Array1, Array4, ArrayViewMut1, Axis};

use super::deletion::{STEPS, replaced};
use super::ranking::Ranking;
use super::{Check, Curve, Finding, Number, Silence, Subject};

/// Petsiuk et al. 2018 (RISE): a blurred input becomes the picture in the order of the map, in as many steps as deletion has; the area under the score
/// against the true share of pixels shown. The blur is a Gaussian whose standard deviation is a [`BLUR`]th of the shorter side.
pub struct Insertion;

/// The blur's standard deviation is the input's shorter side over this: 11.2 pixels of 224.
const BLUR: f64 = 20.0;
/// The kernel ends at this many standard deviations, as SciPy's does.
const REACH: f64 = 4.0;

impl Check for Insertion {
    fn id(&self) -> &'static str {
        "insertion"
    }

    fn name(&self) -> &'static str {
        "Insertion"
    }

    fn about(&self) -> &'static str {
        "The area under the probability while the map's highest places come back first into a blurred picture, in 20 steps (Petsiuk et al. 2018). Higher is better."
    }

    fn limits(&self) -> &'static str {
        "A blurred picture still shows large shapes: where its score is high already, a high number says little. Compare maps of one picture, not pictures."
    }

    fn find(&self, subject: &Subject<'_>) -> Result<Finding, Silence> {
        let ranking = Ranking::new(&subject.heat().view());
        let mut counts = ranking.steps(STEPS);
        // All of them is the picture itself, whose score is known.
        counts.pop();
        counts.insert(0, 0);
        let input = &subject.observation.input;
        let blurred = blurred(input);
        let mut scores = subject.scores(counts.len(), &|step| {
            let shown = ranking.highest(counts.get(step).copied().unwrap_or(0));
            replaced(&blurred, &shown, input)
        })?;
        let passes = counts.len();
        counts.push(ranking.len());
        scores.push(subject.score());
        let total = ranking.len().max(1) as f64;
        let shares = counts.iter().map(|&count| count as f64 / total);
        let curve = Curve {
            name: "probability".into(),
            against: "share of pixels shown, the map's highest first".into(),
            points: shares
                .zip(scores.iter().copied())
                .map(<[f64; 2]>::from)
                .collect(),
        };
        let blank = scores.first().copied().unwrap_or(0.0);
        Ok(Finding {
            numbers: vec![
                Number::new("auc", curve.area()),
                Number::new("score_blurred", blank),
                Number::new("score", subject.score()),
            ],
            says: format!(
                "From a blurred picture at {blank:.3}, the highest places shown first, the probability of {} comes to {:.3}. Its mean on the way is {:.3}.",
                subject.label(),
                subject.score(),
                curve.area()
            ),
            curves: vec![curve],
            passes,
            maps: 0,
        })
    }
}

/// The input `[1, C, H, W]` blurred, rims repeated: `scipy.ndimage.gaussian_filter(plane, sigma, mode="nearest")` of each channel.
pub(super) fn blurred(input: &Array4<f32>) -> Array4<f32> {
    let (_, _, height, width) = input.dim();
    let sigma = height.min(width) as f64 / BLUR;
    let reach = (REACH * sigma + 0.5) as usize;
    let weight = |at: usize| {
        let distance = at as f64 - reach as f64;
        (-distance * distance / (2.0 * sigma * sigma)).exp()
    };
    let kernel = Array1::from_shape_fn(2 * reach + 1, weight);
    let kernel = &kernel / kernel.sum();
    let mut blurred = input.clone();
    for axis in [Axis(2), Axis(3)] {
        for lane in blurred.lanes_mut(axis) {
            blur(lane, &kernel);
        }
    }
    blurred
}

/// Blurs a row of values with a kernel of an odd number of weights.
fn blur(mut lane: ArrayViewMut1<'_, f32>, kernel: &Array1<f64>) {
    let sharp = lane.to_vec();
    let reach = kernel.len() / 2;
    let at = |place: usize| sharp[place.saturating_sub(reach).min(sharp.len() - 1)];
    for (place, value) in lane.iter_mut().enumerate() {
        let taps = kernel.iter().enumerate();
        let sum: f64 = taps
            .map(|(tap, weight)| weight * f64::from(at(place + tap)))
            .sum();
        *value = sum as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_keeps_what_is_flat_and_spreads_a_point() {
        let flat = Array4::from_elem((1, 2, 20, 30), 3.0);
        assert!(
            (blurred(&flat) - 3.0)
                .iter()
                .all(|error| error.abs() < 1e-6)
        );
        let mut point = Array4::zeros((1, 1, 40, 40));
        point[(0, 0, 20, 20)] = 1.0;
        let spread = blurred(&point);
        // Sigma is 2: exp(-4 / 8) a sigma away.
        let fall = spread[(0, 0, 20, 22)] / spread[(0, 0, 20, 20)];
        assert!((fall - (-0.5f32).exp()).abs() < 1e-5, "{fall}");
        assert!((spread.sum() - 1.0).abs() < 1e-5);
    }
}
