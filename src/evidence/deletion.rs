//! Deletion: how soon the score falls when the map's highest places are hidden first.

use ndarray::{Array2, Array4, Axis, Zip};

use super::ranking::Ranking;
use super::{Check, Curve, Finding, Number, Silence, Subject};

/// Petsiuk et al. 2018 (RISE): pixels become the mean colour (zeros behind the normalisation) in the order of the map, in [`STEPS`] steps; the area under
/// the score against the true share of hidden pixels.
pub struct Deletion;

/// Steps of deletion and insertion.
pub(super) const STEPS: usize = 20;

impl Check for Deletion {
    fn id(&self) -> &'static str {
        "deletion"
    }

    fn name(&self) -> &'static str {
        "Deletion"
    }

    fn about(&self) -> &'static str {
        "The area under the probability while the map's highest places are hidden first, in 20 steps (Petsiuk et al. 2018). Lower is better."
    }

    fn limits(&self) -> &'static str {
        "Half-hidden pictures are unlike any that the model was trained on: the score may fall for that. Compare maps of one picture, not pictures."
    }

    fn find(&self, subject: &Subject<'_>) -> Result<Finding, Silence> {
        let ranking = Ranking::new(&subject.heat().view());
        let counts = ranking.steps(STEPS);
        let input = &subject.observation.input;
        let scores = subject.scores(counts.len(), &|step| {
            let hidden = ranking.highest(counts.get(step).copied().unwrap_or(0));
            replaced(input, &hidden, &Array4::zeros(input.dim()))
        })?;
        let total = ranking.len() as f64;
        let mut points = vec![[0.0, subject.score()]];
        let shares = counts.iter().map(|&count| count as f64 / total);
        points.extend(shares.zip(scores.iter().copied()).map(<[f64; 2]>::from));
        let curve = Curve {
            name: "probability".into(),
            against: "share of pixels hidden, the map's highest first".into(),
            points,
        };
        let fell = curve
            .points
            .iter()
            .find(|point| point[1] < subject.score() / 2.0);
        let fell = match fell {
            Some(point) => format!("half of it is lost by {:.0} % hidden", 100.0 * point[0]),
            None => "it never falls to half".into(),
        };
        Ok(Finding {
            numbers: vec![
                Number::new("auc", curve.area()),
                Number::new("score", subject.score()),
                Number::new(
                    "score_all_hidden",
                    curve.points.last().map_or(0.0, |point| point[1]),
                ),
            ],
            says: format!(
                "With the highest places hidden first, the probability of {} starts at {:.3}; {fell}. Its mean on the way is {:.3}.",
                subject.label(),
                subject.score(),
                curve.area()
            ),
            curves: vec![curve],
            passes: counts.len(),
            maps: 0,
        })
    }
}

/// The input `[1, C, H, W]` with other pixels at the `chosen` places.
pub(super) fn replaced(
    input: &Array4<f32>,
    chosen: &Array2<bool>,
    by: &Array4<f32>,
) -> Array4<f32> {
    let mut changed = input.clone();
    let mut planes = changed.index_axis_mut(Axis(0), 0);
    for (mut plane, other) in planes
        .outer_iter_mut()
        .zip(by.index_axis(Axis(0), 0).outer_iter())
    {
        Zip::from(&mut plane)
            .and(chosen)
            .and(other)
            .for_each(|value, &chosen, &other| {
                if chosen {
                    *value = other;
                }
            });
    }
    changed
}
