//! XGrad-CAM.

use ndarray::{Array3, ArrayView3};

use super::{How, Joined, Method, OfLayer, Target, weighted};

/// Fu et al. 2020, equation 10: `w_k = sum_ij A_kij G_kij / sum_ij A_kij`, `L = ReLU(sum_k w_k A_k)`. With 1e-7 in the denominator, as
/// pytorch-grad-cam has it.
pub struct XGradCam;

impl Method for XGradCam {
    fn id(&self) -> &'static str {
        "xgrad-cam"
    }

    fn name(&self) -> &'static str {
        "XGrad-CAM"
    }

    fn about(&self) -> &'static str {
        "Channels weighted by the mean of their gradient where they are active (Fu et al. 2020)."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        How::Layer(OfLayer {
            parts,
            joined: Joined::PositiveSum,
        })
    }
}

fn parts(activations: ArrayView3<'_, f32>, gradients: ArrayView3<'_, f32>) -> Array3<f32> {
    let channels = activations.outer_iter().zip(gradients.outer_iter());
    let weights = channels.map(|(activation, gradient)| {
        let (mut product, mut sum) = (0.0, 1e-7);
        for (&a, &g) in activation.iter().zip(&gradient) {
            product += f64::from(a) * f64::from(g);
            sum += f64::from(a);
        }
        (product / sum) as f32
    });
    weighted(activations, &weights.collect::<Vec<_>>())
}
