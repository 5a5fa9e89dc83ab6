//! Guided backpropagation, and its product with Grad-CAM.

use super::grad_cam::GRAD_CAM;
use super::pixels::largest;
use super::{How, Method, Target};

/// Springenberg et al. 2015: the gradient in whose backward pass every ReLU (and ReLU6) holds back what is negative, `L_ij = max_c |R_cij|` over the input's channels. Nie et
/// al. 2018 show why it looks like the picture whatever the class: it restores edges, and hardly depends on the model's upper layers.
pub struct GuidedBackpropagation;

/// Selvaraju et al. 2017, section 3.2: Grad-CAM at the layer, enlarged bilinearly, times the result of [`GuidedBackpropagation`].
pub struct GuidedGradCam;

impl Method for GuidedBackpropagation {
    fn id(&self) -> &'static str {
        "guided-backpropagation"
    }

    fn name(&self) -> &'static str {
        "Guided backpropagation"
    }

    fn about(&self) -> &'static str {
        "A gradient whose negative parts every ReLU holds back (Springenberg et al. 2015): sharp edges that hardly depend on the class or on what \
         the model has learned. Only for models with ReLUs."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        How::Guided(|_, gradients| largest(gradients))
    }
}

impl Method for GuidedGradCam {
    fn id(&self) -> &'static str {
        "guided-grad-cam"
    }

    fn name(&self) -> &'static str {
        "Guided Grad-CAM"
    }

    fn about(&self) -> &'static str {
        "Guided backpropagation where Grad-CAM is (Selvaraju et al. 2017): its detail is not evidence, its place is Grad-CAM's. Only for models \
         with ReLUs."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        How::Product(GRAD_CAM)
    }
}
