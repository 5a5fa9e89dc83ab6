//! FullGrad: the score's share in every input and in every bias.

use ndarray::{Array2, ArrayView3};

use super::{How, Method, Sign, Target, Term, stretched};
use crate::image::resize_linear;

/// Srinivas and Fleuret 2019, equation 7, as pytorch-grad-cam has it: `L = sum_c s(|x_c G_c|) + sum_l sum_k s(|b_lk G_lk|)` over the input's channels and the biases of
/// every convolution and batch normalisation, `s` stretching a channel from 0 to 1 and enlarging it to the input. A bias behind the pooling has no place and adds nothing.
pub struct FullGrad;

/// What is added to a range before it is divided by, as pytorch-grad-cam has it.
const LEAST: f32 = 1e-7;

impl Method for FullGrad {
    fn id(&self) -> &'static str {
        "full-grad"
    }

    fn name(&self) -> &'static str {
        "FullGrad"
    }

    fn about(&self) -> &'static str {
        "Gradient times input, and gradient times bias at every convolution and batch normalisation, each channel stretched to one range and summed \
         (Srinivas and Fleuret 2019). It has no sign."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        How::Biases(full_grad)
    }

    fn sign(&self) -> Sign {
        Sign::Blind
    }
}

fn full_grad(
    input: ArrayView3<'_, f32>,
    gradients: ArrayView3<'_, f32>,
    terms: &[Term<'_>],
) -> Array2<f32> {
    let (_, height, width) = input.dim();
    let products = (&input * &gradients).mapv_into(f32::abs);
    let start = Array2::zeros((height, width));
    let of_input = products.outer_iter().fold(start, |sum, channel| {
        sum + stretched(channel.to_owned(), LEAST)
    });
    terms.iter().fold(of_input, |sum, term| {
        let (_, rows, columns) = term.gradients.dim();
        // Enlarging is linear: the channels' sum is enlarged once.
        let mut layer = Array2::zeros((rows, columns));
        for (gradient, bias) in term.gradients.outer_iter().zip(term.biases) {
            layer += &stretched(gradient.mapv(|value| (value * bias).abs()), LEAST);
        }
        sum + resize_linear(&layer.view(), height, width)
    })
}
