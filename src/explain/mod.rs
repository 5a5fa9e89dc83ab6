//! Explaining a score: from a picture and a question to a heat map.

mod ablation_cam;
mod article;
mod asking;
mod case;
mod eigen_cam;
mod elementwise;
mod emptiness;
mod explainer;
mod full_grad;
mod grad_cam;
mod grad_cam_plus_plus;
mod guided;
mod how;
mod observation;
mod occlusion;
mod pixels;
mod question;
mod rise;
mod score_cam;
mod smoothing;
mod tail;
mod tape;
mod xgrad_cam;

use ndarray::{Array2, Array3, ArrayView3};

pub use case::{Case, Unwatched, Watch};
pub use explainer::Explainer;
#[cfg(feature = "web")]
pub(crate) use explainer::gradient_file;
pub use how::{FromBiases, FromGradients, How, Joined, Needs, OfLayer, Place, Term};
pub use observation::Observation;
pub use question::{Question, Target};
pub use smoothing::{Manner, Smooth};
pub use tape::Tape;

use crate::engine::EngineError;
use crate::gradient::GradientError;
use crate::model::{Model, ModelError};

/// Why a score cannot be explained. The message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// The class asked for does not exist.
    #[error("there is no class {asked}; the classes are {known}")]
    NoClass {
        /// What was asked for.
        asked: String,
        /// The classes of the model.
        known: String,
    },
    /// The method asked for does not exist.
    #[error("there is no method '{asked}'; the methods are {known}")]
    NoMethod {
        /// What was asked for.
        asked: String,
        /// The methods.
        known: String,
    },
    /// The question makes no sense.
    #[error("{0}")]
    Question(String),
    /// The model gave something else than its graph promised.
    #[error("the model's output '{output}' has the shape {shape:?}, which is not {expected}")]
    Output {
        /// Name of the output.
        output: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What it should be.
        expected: String,
    },
    /// Who waited had enough.
    #[error("it was stopped")]
    Stopped,
    /// The model overflows.
    #[error(
        "the model's score of class {class} is {logit} on this picture: it overflows or its weights are damaged"
    )]
    NotFinite {
        /// The class.
        class: usize,
        /// Infinity or NaN.
        logit: f32,
    },
    /// The model is at fault.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The gradient graph cannot be made.
    #[error(transparent)]
    Gradient(#[from] GradientError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ExplainError {
    /// A class contrasted with itself.
    pub(crate) fn itself() -> ExplainError {
        ExplainError::Question("a class cannot be contrasted with itself".into())
    }
}

/// A way to come to a heat map.
pub trait Method: Sync {
    /// The name on the command line and in reports.
    fn id(&self) -> &'static str;
    /// The name for people.
    fn name(&self) -> &'static str;
    /// One sentence: what it computes, and whose definition it follows.
    fn about(&self) -> &'static str;
    /// What its gradient is taken of where the user does not say.
    fn target(&self) -> Target;
    /// How it comes to its map.
    fn how(&self) -> How;
    /// What the signs of its map say.
    fn sign(&self) -> Sign {
        Sign::OneSided
    }
}

/// What the signs of a map's values say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Nothing: magnitudes, or what the layer sees whatever is asked. A counterfactual would be the same map.
    Blind,
    /// It is of what speaks for the class, from its least to its largest value.
    OneSided,
    /// Positive values speak for the class, negative ones against it.
    TwoSided,
}

/// Whether a method tells what speaks against a class from what speaks for it.
///
/// # Errors
/// [`ExplainError::Question`] where it does not: its counterfactual would be the same map.
pub fn has_counterfactual(method: &dyn Method) -> Result<(), ExplainError> {
    match method.sign() {
        Sign::OneSided | Sign::TwoSided => Ok(()),
        Sign::Blind => Err(ExplainError::Question(format!(
            "{} does not tell what speaks against a class from what speaks for it: its counterfactual is the same map",
            method.id()
        ))),
    }
}

/// The layer at which a method explains a model, `None` for the model's own: the input for those that look at the pixels, else the one that is
/// `asked` for.
///
/// # Errors
/// [`ExplainError::Question`]: another layer is asked for than the pixels that the method looks at.
pub fn layer_for<'l>(
    method: &dyn Method,
    model: &'l Model,
    asked: Option<&'l str>,
) -> Result<Option<&'l str>, ExplainError> {
    match (method.how().place(), asked) {
        (Place::Layer, asked) => Ok(asked),
        (Place::Pixels, None) => Ok(Some(&model.input)),
        (Place::Pixels, Some(layer)) if layer == model.input => Ok(asked),
        (Place::Pixels, Some(layer)) => Err(ExplainError::Question(format!(
            "{} looks at the pixels and not at '{layer}': leave the layer out",
            method.id()
        ))),
    }
}

/// Every method, the default first.
pub const METHODS: &[&dyn Method] = &[
    &grad_cam::GradCam,
    &article::GuidedGradCamArticle,
    &grad_cam_plus_plus::GradCamPlusPlus,
    &elementwise::HiResCam,
    &elementwise::GradCamElementwise,
    &elementwise::LayerCam,
    &xgrad_cam::XGradCam,
    &eigen_cam::EigenCam,
    &eigen_cam::EigenGradCam,
    &score_cam::ScoreCam,
    &ablation_cam::AblationCam,
    &pixels::Gradient,
    &pixels::GradientXInput,
    &pixels::SmoothGrad,
    &pixels::IntegratedGradients,
    &full_grad::FullGrad,
    &guided::GuidedBackpropagation,
    &guided::GuidedGradCam,
    &occlusion::Occlusion,
    &rise::Rise,
];

/// The method named `id`.
///
/// # Errors
/// [`ExplainError::NoMethod`] lists the methods there are.
pub fn method(id: &str) -> Result<&'static dyn Method, ExplainError> {
    METHODS
        .iter()
        .find(|method| method.id() == id)
        .copied()
        .ok_or_else(|| {
            let known: Vec<&str> = METHODS.iter().map(|method| method.id()).collect();
            ExplainError::NoMethod {
                asked: id.to_owned(),
                known: known.join(", "),
            }
        })
}

/// A raw map and what it explains.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// The map `[H, W]` at the layer's size, unnormalised.
    pub values: Array2<f32>,
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Why there is nothing to see, where there is nothing to see.
    pub empty: Option<String>,
}

/// `weights_k activations_k`, `[K, H, W]`.
fn weighted(activations: ArrayView3<'_, f32>, weights: &[f32]) -> Array3<f32> {
    let mut parts = activations.to_owned();
    for (mut part, &weight) in parts.outer_iter_mut().zip(weights) {
        part *= weight;
    }
    parts
}

/// From 0 to 1, with `least` added to the range that is divided by.
fn stretched(map: Array2<f32>, least: f32) -> Array2<f32> {
    let low = map.iter().copied().fold(f32::INFINITY, f32::min);
    let high = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    map.mapv_into(|value| (value - low) / (high - low + least))
}

/// Mean of each channel of `[K, H, W]`.
fn channel_means(tensor: ArrayView3<'_, f32>) -> Vec<f32> {
    tensor
        .outer_iter()
        .map(|channel| channel.mean().unwrap_or(0.0))
        .collect()
}

/// The map where it speaks for the class, 0 elsewhere.
fn positive(map: Array2<f32>) -> Array2<f32> {
    map.mapv_into(|value| value.max(0.0))
}
