//! The methods that weigh every place by its own gradient: HiResCAM, element-wise Grad-CAM, LayerCAM.

use ndarray::{Array3, ArrayView3, Zip};

use super::{How, Joined, Method, OfLayer, Target};

/// Draelos and Carin 2020: `L = ReLU(sum_k G_k A_k)`. Where the layer goes into the score through one linear map, `sum_ij L` before the ReLU is the
/// score without its bias.
pub struct HiResCam;

/// pytorch-grad-cam's `GradCAMElementWise`: `L = sum_k ReLU(G_k A_k)`.
pub struct GradCamElementwise;

/// Jiang et al. 2021, equations 3 to 5: `L = ReLU(sum_k ReLU(G_k) A_k)`.
pub struct LayerCam;

impl Method for HiResCam {
    fn id(&self) -> &'static str {
        "hires-cam"
    }

    fn name(&self) -> &'static str {
        "HiResCAM"
    }

    fn about(&self) -> &'static str {
        "Gradient times activation, summed over channels: shows the places that the score was made of, with no mean over them \
         (Draelos and Carin 2020)."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        summed(|activations, gradients| parts(activations, gradients, |a, g| a * g))
    }
}

impl Method for GradCamElementwise {
    fn id(&self) -> &'static str {
        "grad-cam-elementwise"
    }

    fn name(&self) -> &'static str {
        "Grad-CAM, element-wise"
    }

    fn about(&self) -> &'static str {
        "As HiResCAM, but each channel counts only where it speaks for the class (pytorch-grad-cam)."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        summed(|activations, gradients| parts(activations, gradients, |a, g| (a * g).max(0.0)))
    }
}

impl Method for LayerCam {
    fn id(&self) -> &'static str {
        "layer-cam"
    }

    fn name(&self) -> &'static str {
        "LayerCAM"
    }

    fn about(&self) -> &'static str {
        "Activations weighted by their positive gradients place by place: fine maps at early layers (Jiang et al. 2021)."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        summed(|activations, gradients| parts(activations, gradients, |a, g| a * g.max(0.0)))
    }
}

/// `ReLU` of the sum of the parts.
fn summed(parts: fn(ArrayView3<'_, f32>, ArrayView3<'_, f32>) -> Array3<f32>) -> How {
    How::Layer(OfLayer {
        parts,
        joined: Joined::PositiveSum,
    })
}

/// `value(A_kij, G_kij)`, `[K, H, W]`.
fn parts(
    activations: ArrayView3<'_, f32>,
    gradients: ArrayView3<'_, f32>,
    value: impl Fn(f32, f32) -> f32,
) -> Array3<f32> {
    Zip::from(&activations)
        .and(&gradients)
        .map_collect(|&a, &g| value(a, g))
}
