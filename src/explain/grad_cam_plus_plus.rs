//! Grad-CAM++.

use ndarray::{Array3, ArrayView3};

use super::{How, Joined, Method, OfLayer, Target, weighted};

/// Chattopadhay et al. 2018, equations 10, 11 and 19, in the closed form for the exponential of the score: `a_kij = G^2 / (2 G^2 + sum_ab A_kab G^3)`,
/// `w_k = sum_ij a_kij ReLU(G_kij)`, `L = ReLU(sum_k w_k A_k)`. With 1e-6 in the denominator, as pytorch-grad-cam has it: very small gradients
/// weigh less for it.
pub struct GradCamPlusPlus;

impl Method for GradCamPlusPlus {
    fn id(&self) -> &'static str {
        "grad-cam-plus-plus"
    }

    fn name(&self) -> &'static str {
        "Grad-CAM++"
    }

    fn about(&self) -> &'static str {
        "Channels weighted by their positive gradients, each place by its share: finds several objects of a class better than Grad-CAM \
         (Chattopadhay et al. 2018)."
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
        let sum: f64 = activation.iter().map(|&a| f64::from(a)).sum();
        let places = gradient.iter().filter(|&&g| g > 0.0).map(|&g| {
            let g = f64::from(g);
            let share = g * g / (2.0 * g * g + sum * g * g * g + 1e-6);
            share * g
        });
        places.sum::<f64>() as f32
    });
    weighted(activations, &weights.collect::<Vec<_>>())
}
