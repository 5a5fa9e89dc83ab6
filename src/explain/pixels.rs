//! The methods that go back to the pixels: the gradient itself, times the input, over noise, along a path.

use ndarray::{Array2, Array3, Array4, ArrayView3, Axis};

use super::{Case, ExplainError, How, Method, Place, Sign, Target};
use crate::image::resize_linear;
use crate::random::SplitMix;

/// Simonyan et al. 2014: `L_ij = max_c |G_cij|` over the input's channels.
pub struct Gradient;

/// Shrikumar et al. 2017: `L_ij = sum_c x_cij G_cij`, with `x` the network's input; what speaks against the class is negative.
pub struct GradientXInput;

/// Smilkov et al. 2017: the gradient's mean over [`SAMPLES`] copies of the input with noise, then as [`Gradient`]. The noise is normal, its
/// deviation [`NOISE`] of the input's range, the same for the same input.
pub struct SmoothGrad;

/// Sundararajan et al. 2017: `L_ij = sum_c (x - x')_cij mean_t G_cij(x' + t (x - x'))`, with `t` in the middles of [`STEPS`] steps. The baseline `x'` is a
/// picture that is the mean of the training pictures everywhere: zeros behind the normalisation. The map sums up to the score's difference between the
/// two, but for the steps.
pub struct IntegratedGradients;

/// Copies with noise.
const SAMPLES: usize = 32;
/// The noise's deviation as a share of the input's range.
const NOISE: f32 = 0.15;
/// Steps on the path.
const STEPS: usize = 32;

impl Method for Gradient {
    fn id(&self) -> &'static str {
        "gradient"
    }

    fn name(&self) -> &'static str {
        "Gradient"
    }

    fn about(&self) -> &'static str {
        "How much each pixel would move the score, up or down (Simonyan et al. 2014). Noisy."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        How::Pixels(|_, gradients| largest(gradients))
    }

    fn sign(&self) -> Sign {
        Sign::Blind
    }
}

impl Method for GradientXInput {
    fn id(&self) -> &'static str {
        "gradient-x-input"
    }

    fn name(&self) -> &'static str {
        "Gradient x input"
    }

    fn about(&self) -> &'static str {
        "Gradient times pixel: a first-order guess at what each pixel adds to the score (Shrikumar et al. 2017)."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        How::Pixels(|values, gradients| (&values * &gradients).sum_axis(Axis(0)))
    }

    fn sign(&self) -> Sign {
        Sign::TwoSided
    }
}

impl Method for SmoothGrad {
    fn id(&self) -> &'static str {
        "smooth-grad"
    }

    fn name(&self) -> &'static str {
        "SmoothGrad"
    }

    fn about(&self) -> &'static str {
        "The gradient's mean over 32 copies of the picture with noise: less noisy than the gradient (Smilkov et al. 2017)."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        How::Passes {
            at: Place::Pixels,
            map: smooth_grad,
        }
    }

    fn sign(&self) -> Sign {
        Sign::Blind
    }
}

impl Method for IntegratedGradients {
    fn id(&self) -> &'static str {
        "integrated-gradients"
    }

    fn name(&self) -> &'static str {
        "Integrated gradients"
    }

    fn about(&self) -> &'static str {
        "Gradients on the way from a featureless picture to this one: the pixels' shares add up to the score's rise \
         (Sundararajan et al. 2017)."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        How::Passes {
            at: Place::Pixels,
            map: integrated_gradients,
        }
    }

    fn sign(&self) -> Sign {
        Sign::TwoSided
    }
}

/// A map of a layer, enlarged to the input, times the largest magnitude of gradients `[C, H, W]` over the input's channels.
pub(super) fn product(map: &Array2<f32>, gradients: ArrayView3<'_, f32>) -> Array2<f32> {
    let (_, height, width) = gradients.dim();
    resize_linear(&map.view(), height, width) * largest(gradients)
}

/// The largest magnitude over the channels, `[H, W]`.
pub(super) fn largest(gradients: ArrayView3<'_, f32>) -> Array2<f32> {
    gradients.map_axis(Axis(0), |channels| {
        channels
            .iter()
            .fold(0.0f32, |most, value| most.max(value.abs()))
    })
}

fn smooth_grad(case: &Case<'_>) -> Result<Array2<f32>, ExplainError> {
    let input = &case.observation.input;
    let noisy = |sample: usize| noisy(input, sample);
    Ok(largest(mean(case.gradients(SAMPLES, &noisy)?).view()))
}

/// The copy of an input with this number.
fn noisy(input: &Array4<f32>, sample: usize) -> Array4<f32> {
    let low = input.iter().copied().fold(f32::INFINITY, f32::min);
    let high = input.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let deviation = NOISE * (high - low);
    let mut random = SplitMix::of(0, sample);
    input.mapv(|value| value + deviation * random.normal() as f32)
}

fn integrated_gradients(case: &Case<'_>) -> Result<Array2<f32>, ExplainError> {
    let input = &case.observation.input;
    let on_the_way = |step: usize| input.mapv(|value| value * (step as f32 + 0.5) / STEPS as f32);
    let mean = mean(case.gradients(STEPS, &on_the_way)?);
    Ok((&input.index_axis(Axis(0), 0) * &mean).sum_axis(Axis(0)))
}

/// Their mean; of one shape all, and one at least.
fn mean(values: Vec<Array3<f32>>) -> Array3<f32> {
    let count = values.len() as f32;
    let sum = values.into_iter().reduce(|sum, value| sum + value);
    sum.unwrap_or_default() / count
}
