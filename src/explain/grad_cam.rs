//! Grad-CAM as its paper has it.

use ndarray::{Array3, ArrayView3};

use super::{How, Joined, Method, OfLayer, Target, channel_means, weighted};

/// Selvaraju et al. 2017, equations 1 and 2: `alpha_k = mean_ij dY/dA_kij`, `L = ReLU(sum_k alpha_k A_k)`, with `Y` the score
/// before the softmax.
pub struct GradCam;

impl Method for GradCam {
    fn id(&self) -> &'static str {
        "grad-cam"
    }

    fn name(&self) -> &'static str {
        "Grad-CAM"
    }

    fn about(&self) -> &'static str {
        "Channels weighted by their mean gradient; what speaks for the class (Selvaraju et al. 2017)."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        How::Layer(GRAD_CAM)
    }
}

/// Its map.
pub(super) const GRAD_CAM: OfLayer = OfLayer {
    parts,
    joined: Joined::PositiveSum,
};

fn parts(activations: ArrayView3<'_, f32>, gradients: ArrayView3<'_, f32>) -> Array3<f32> {
    weighted(activations, &channel_means(gradients))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_two_equations() {
        // Two channels of 1 x 2: the means of the gradients are 1 and -0.5.
        let activations = Array3::from_shape_vec((2, 1, 2), vec![1.0, 2.0, 4.0, 2.0]).unwrap();
        let gradients = Array3::from_shape_vec((2, 1, 2), vec![0.5, 1.5, -1.0, 0.0]).unwrap();
        let map = GRAD_CAM.map(activations.view(), gradients.view());
        // 1*1 - 0.5*4 = -1 is cut to 0; 1*2 - 0.5*2 = 1.
        assert_eq!(map.into_raw_vec_and_offset().0, [0.0, 1.0]);
    }
}
