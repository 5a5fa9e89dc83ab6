//! Score-CAM: channels weighted by what the score is when only they are seen.

use ndarray::{Array2, ArrayView2, Axis};

use super::{Case, ExplainError, How, Method, Target, stretched};

/// Wang et al. 2020, as pytorch-grad-cam has it: each channel's activation, enlarged to the input and stretched from 0 to 1, is laid over the input; the
/// scores of these inputs, by a softmax over the channels, are the weights of `L = ReLU(sum_k w_k A_k)`.
pub struct ScoreCam;

/// What is added to a range before it is divided by, as pytorch-grad-cam has it.
const LEAST: f32 = 1e-8;

impl Method for ScoreCam {
    fn id(&self) -> &'static str {
        "score-cam"
    }

    fn name(&self) -> &'static str {
        "Score-CAM"
    }

    fn about(&self) -> &'static str {
        "Channels weighted by the score that is left when only their part of the picture is seen (Wang et al. 2020). Needs no gradient; a pass \
         for each channel."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        How::Channels(weights)
    }
}

fn weights(case: &Case<'_>) -> Result<Vec<f32>, ExplainError> {
    let (input, activations) = (&case.observation.input, &case.observation.activations);
    let (_, _, height, width) = input.dim();
    let masked = |channel: usize| {
        let mask = enlarged(activations.index_axis(Axis(0), channel), height, width);
        input * &stretched(mask, LEAST)
    };
    let scores = case.scores(activations.len_of(Axis(0)), &masked)?;
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = scores
        .iter()
        .map(|score| f64::from(score - highest).exp())
        .collect();
    let sum: f64 = powers.iter().sum();
    Ok(powers.iter().map(|power| (power / sum) as f32).collect())
}

/// Bilinear, the corners on the corners (PyTorch's `align_corners=True`).
fn enlarged(map: ArrayView2<'_, f32>, height: usize, width: usize) -> Array2<f32> {
    let places = |from: usize, to: usize| -> Vec<(usize, usize, f32)> {
        let step = if to > 1 {
            (from - 1) as f64 / (to - 1) as f64
        } else {
            0.0
        };
        let place = |at: usize| {
            let source = at as f64 * step;
            let below = (source.floor() as usize).min(from - 1);
            (
                below,
                (below + 1).min(from - 1),
                (source - below as f64) as f32,
            )
        };
        (0..to).map(place).collect()
    };
    let (rows, columns) = (places(map.nrows(), height), places(map.ncols(), width));
    Array2::from_shape_fn((height, width), |(row, column)| {
        let ((top, bottom, down), (left, right, across)) = (rows[row], columns[column]);
        let along = |row: usize| map[[row, left]] * (1.0 - across) + map[[row, right]] * across;
        along(top) * (1.0 - down) + along(bottom) * down
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_stay_on_corners() {
        let map = ndarray::arr2(&[[0.0, 1.0], [2.0, 3.0]]);
        let found = enlarged(map.view(), 3, 5);
        assert_eq!(found.row(0).to_vec(), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(found.column(4).to_vec(), [1.0, 2.0, 3.0]);
        assert_eq!(
            enlarged(map.slice(ndarray::s![..1, ..1]), 2, 2),
            Array2::<f32>::zeros((2, 2))
        );
        assert_eq!(stretched(found, LEAST)[[2, 4]], 1.0);
    }
}
