//! The variant that the article of 2020 used, under a name of its own.

use ndarray::{Array3, ArrayView3, Zip};

use super::{How, Joined, Method, OfLayer, Target, channel_means, weighted};

/// `g = [A > 0] [G > 0] G`, `w_k = mean_ij g_kij`, `cam = sum_k w_k A_k`, and no ReLU behind it.
///
/// The gradient is that of the model's output, the softmax probability: a saturated one shrinks the map, so look at
/// the raw range. tf-explain's `GradCAM` computes the same; it departs from the paper.
pub struct GuidedGradCamArticle;

impl Method for GuidedGradCamArticle {
    fn id(&self) -> &'static str {
        "guided-grad-cam-article"
    }

    fn name(&self) -> &'static str {
        "Guided Grad-CAM (article's variant)"
    }

    fn about(&self) -> &'static str {
        "Channels weighted by the mean of positive gradients at positive activations, without a final ReLU \
         (the article of 2020; also tf-explain's default)."
    }

    fn target(&self) -> Target {
        Target::Probability
    }

    fn how(&self) -> How {
        How::Layer(GUIDED)
    }
}

/// Its map.
const GUIDED: OfLayer = OfLayer {
    parts,
    joined: Joined::Sum,
};

fn parts(activations: ArrayView3<'_, f32>, gradients: ArrayView3<'_, f32>) -> Array3<f32> {
    let guided = Zip::from(&activations)
        .and(&gradients)
        .map_collect(|&a, &g| if a > 0.0 && g > 0.0 { g } else { 0.0 });
    weighted(activations, &channel_means(guided.view()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_positive_gradients_at_positive_activations() {
        let activations = Array3::from_shape_vec((2, 1, 2), vec![1.0, -2.0, 4.0, 2.0]).unwrap();
        let gradients = Array3::from_shape_vec((2, 1, 2), vec![1.0, 3.0, -1.0, 2.0]).unwrap();
        let map = GUIDED.map(activations.view(), gradients.view());
        // Guided: [1, 0], [0, 2]; weights 0.5 and 1.0; the map keeps its negative value.
        assert_eq!(map.into_raw_vec_and_offset().0, [4.5, 1.0]);
    }
}
