//! ROAD: what the score does when pixels are removed so that it hardly shows where.

use ndarray::{Array4, Axis};

use super::impute::impute;
use super::ranking::Ranking;
use super::{Check, Curve, Finding, Number, Silence, Subject};
use crate::random::SplitMix;

/// Rong et al. 2022, as pytorch-grad-cam has it: at each of [`PERCENTILES`] the pixels above (most relevant first) or below (least relevant first) are removed, filled from
/// their neighbours ([`impute`]), and given noise of [`NOISE`]. The number is half the difference between the mean changes of the score: (LeRF - MoRF) / 2.
pub struct Road;

const PERCENTILES: [usize; 9] = [10, 20, 30, 40, 50, 60, 70, 80, 90];
/// Standard deviation of the noise, in units of the network's input.
const NOISE: f64 = 0.01;

impl Check for Road {
    fn id(&self) -> &'static str {
        "road"
    }

    fn name(&self) -> &'static str {
        "ROAD"
    }

    fn about(&self) -> &'static str {
        "Half of what the probability loses more when the map's highest places are removed than when its lowest are, each filled from around (Rong et al. 2022). Higher is better."
    }

    fn limits(&self) -> &'static str {
        "Above 0 only says that the order of the places is better than its reverse. Large filled parts are smooth as no picture is."
    }

    fn find(&self, subject: &Subject<'_>) -> Result<Finding, Silence> {
        let ranking = Ranking::new(&subject.heat().view());
        let input = &subject.observation.input;
        let each = PERCENTILES.len();
        let scores = subject.scores(2 * each, &|index| {
            let percentile = PERCENTILES.get(index % each).copied().unwrap_or(0);
            let kept = kept(ranking.len(), percentile);
            let removed = match index < each {
                true => ranking.highest(ranking.len() - kept),
                false => ranking.highest(kept).mapv(|highest| !highest),
            };
            let mut changed = input.clone();
            impute(&mut changed, &removed);
            add_noise(&mut changed, &removed, index);
            changed
        })?;
        let whole = subject.score();
        let curve = |name: &str, scores: &[f64]| Curve {
            name: name.into(),
            against: "share of pixels removed".into(),
            points: PERCENTILES
                .iter()
                .zip(scores)
                .rev()
                .map(|(&percentile, score)| [1.0 - percentile as f64 / 100.0, score - whole])
                .collect(),
        };
        let (most, least) = scores.split_at(each);
        let most = curve("change of the probability, most relevant first", most);
        let least = curve("change of the probability, least relevant first", least);
        let combined = (least.mean() - most.mean()) / 2.0;
        Ok(Finding {
            numbers: vec![
                Number::new("combined", combined),
                Number::new("most_relevant_first", most.mean()),
                Number::new("least_relevant_first", least.mean()),
            ],
            says: format!(
                "Removing the highest places changes the probability of {} by {:+.3} on average, the lowest by {:+.3}: {}.",
                subject.label(),
                most.mean(),
                least.mean(),
                match combined {
                    c if c > 0.02 => "the model needs what the map shows more than the rest",
                    c if c < -0.02 =>
                        "the model needs what the map leaves dark more than what it shows",
                    _ => "it makes next to no difference which",
                }
            ),
            curves: vec![most, least],
            passes: 2 * each,
            maps: 0,
        })
    }
}

/// How many of so many values lie below their percentile, all values being different.
fn kept(count: usize, percentile: usize) -> usize {
    (count.saturating_sub(1) * percentile).div_ceil(100)
}

/// Noise on the removed pixels, channel by channel; its own for each number of a removal.
fn add_noise(input: &mut Array4<f32>, removed: &ndarray::Array2<bool>, index: usize) {
    let mut random = SplitMix::of(0, index);
    for mut plane in input.index_axis_mut(Axis(0), 0).outer_iter_mut() {
        for (value, _) in plane
            .iter_mut()
            .zip(removed)
            .filter(|(_, removed)| **removed)
        {
            *value += (NOISE * random.normal()) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::statistics::percentile;

    #[test]
    fn as_many_are_kept_as_lie_below_the_percentile() {
        for count in [1, 2, 11, 49, 101, 1920] {
            let values: Vec<f64> = (0..count).map(|value| value as f64).collect();
            for percent in PERCENTILES {
                let bound = percentile(&values, percent as f64).unwrap();
                let below = values.iter().filter(|value| **value < bound).count();
                assert_eq!(kept(count, percent), below, "{count} {percent}");
            }
        }
    }
}
