//! Occlusion: what the score loses when a patch is hidden.

use std::ops::Range;

use ndarray::{Array2, s};

use super::{Case, ExplainError, How, Method, Place, Sign, Target};

/// Zeiler and Fergus 2014: a square patch of the mean colour (zeros behind the normalisation) moves over the picture; each pixel gets the mean of what the
/// score lost over the patches that covered it. It asks nothing of the model but its scores.
pub struct Occlusion;

/// Patches along a side that would lie side by side; they overlap by half.
const PATCHES: usize = 8;

impl Method for Occlusion {
    fn id(&self) -> &'static str {
        "occlusion"
    }

    fn name(&self) -> &'static str {
        "Occlusion"
    }

    fn about(&self) -> &'static str {
        "What the score loses when a patch is hidden, an eighth of the picture at a time (Zeiler and Fergus 2014). Needs no gradient."
    }

    fn target(&self) -> Target {
        Target::Probability
    }

    fn how(&self) -> How {
        How::Passes {
            at: Place::Layer,
            map: occlusion,
        }
    }

    fn sign(&self) -> Sign {
        Sign::TwoSided
    }
}

fn occlusion(case: &Case<'_>) -> Result<Array2<f32>, ExplainError> {
    let input = &case.observation.input;
    let (_, _, height, width) = input.dim();
    // Like Captum's: the last patch may reach beyond the rim.
    let spans = |length: usize| -> Vec<Range<usize>> {
        let patch = length.div_ceil(PATCHES).max(1);
        let stride = (patch / 2).max(1);
        let count = (length - patch).div_ceil(stride) + 1;
        let starts = (0..count).map(|number| number * stride);
        starts
            .map(|start| start..length.min(start + patch))
            .collect()
    };
    let (rows, columns) = (spans(height), spans(width));
    let patch = |index: usize| {
        let (row, column) = (index / columns.len(), index % columns.len());
        (rows[row].clone(), columns[column].clone())
    };
    let hidden = |index: usize| {
        let (rows, columns) = patch(index);
        let mut input = input.clone();
        input.slice_mut(s![.., .., rows, columns]).fill(0.0);
        input
    };
    let whole = case.score(case.observation);
    let scores = case.scores(rows.len() * columns.len(), &hidden)?;
    let (mut lost, mut times) = (
        Array2::<f32>::zeros((height, width)),
        Array2::<f32>::zeros((height, width)),
    );
    for (index, score) in scores.into_iter().enumerate() {
        let (rows, columns) = patch(index);
        let place = s![rows, columns];
        lost.slice_mut(place)
            .mapv_inplace(|sum| sum + whole - score);
        times.slice_mut(place).mapv_inplace(|count| count + 1.0);
    }
    Ok(lost / times)
}
