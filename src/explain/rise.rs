//! RISE: which pixels are seen whenever the score is high.

use ndarray::{Array2, s};

use super::{Case, ExplainError, How, Method, Place, Target};
use crate::image::resize_linear;
use crate::random::SplitMix;

/// Petsiuk et al. 2018, equations 5 and 6: `L = sum_i score(x * m_i) m_i / (N p)` over [`MASKS`] random masks `m_i` of [`CELLS`] by [`CELLS`] cells, each open with
/// the chance [`OPEN`], enlarged bilinearly and shifted by chance. The same masks for the same size. It asks nothing of the model but its scores.
pub struct Rise;

const MASKS: usize = 1000;
const CELLS: usize = 7;
const OPEN: f64 = 0.5;

impl Method for Rise {
    fn id(&self) -> &'static str {
        "rise"
    }

    fn name(&self) -> &'static str {
        "RISE"
    }

    fn about(&self) -> &'static str {
        "Which places are seen whenever the score is high, over 1000 random masks (Petsiuk et al. 2018). Needs no gradient; slow."
    }

    fn target(&self) -> Target {
        Target::Probability
    }

    fn how(&self) -> How {
        How::Passes {
            at: Place::Layer,
            map: rise,
        }
    }
}

fn rise(case: &Case<'_>) -> Result<Array2<f32>, ExplainError> {
    let input = &case.observation.input;
    let (_, _, height, width) = input.dim();
    let masked = |index: usize| input * &mask(index, height, width);
    let scores = case.scores(MASKS, &masked)?;
    let mut map = Array2::<f32>::zeros((height, width));
    for (index, score) in scores.iter().enumerate() {
        map.scaled_add(*score, &mask(index, height, width));
    }
    Ok(map / (MASKS as f64 * OPEN) as f32)
}

/// The mask with this number.
fn mask(index: usize, height: usize, width: usize) -> Array2<f32> {
    let mut random = SplitMix::of(0, index);
    let cells =
        Array2::from_shape_simple_fn(
            (CELLS, CELLS),
            || {
                if random.unit() < OPEN { 1.0 } else { 0.0 }
            },
        );
    // One cell more than fits, so that the shift brings nothing from beyond the rim.
    let (tall, wide) = (height.div_ceil(CELLS), width.div_ceil(CELLS));
    let large = resize_linear(&cells.view(), (CELLS + 1) * tall, (CELLS + 1) * wide);
    let (down, right) = (
        (random.unit() * tall as f64) as usize,
        (random.unit() * wide as f64) as usize,
    );
    large
        .slice(s![down..down + height, right..right + width])
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_as_open_as_they_should_be_everywhere() {
        let masks = (0..2000).map(|index| mask(index, 30, 45));
        let mean = masks.reduce(|sum, mask| sum + mask).unwrap() / 2000.0;
        let (low, high) = mean.iter().fold((1.0f32, 0.0f32), |(low, high), &value| {
            (low.min(value), high.max(value))
        });
        assert!(low > 0.45 && high < 0.55, "{low} {high}");
        assert_eq!(mean.ncols(), 45);
        assert_eq!(mask(3, 30, 45), mask(3, 30, 45));
        assert_ne!(mask(3, 30, 45), mask(4, 30, 45));
    }
}
