//! Explaining a score: from a picture and a question to a heat map.

mod article;
mod case;
mod eigen_cam;
mod elementwise;
mod explainer;
mod grad_cam;
mod grad_cam_plus_plus;
mod occlusion;
mod pixels;
mod question;
mod rise;
mod score_cam;
mod tape;
mod xgrad_cam;

use ndarray::{Array2, ArrayView3};

pub use case::{Case, Unwatched, Watch};
pub use explainer::{Explainer, Observation};
pub use question::{Question, Target};
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
}

/// The raw map `[H, W]` of values and their gradients, both `[K, H, W]`.
pub type FromGradients = fn(ArrayView3<'_, f32>, ArrayView3<'_, f32>) -> Array2<f32>;

/// How a method comes to its raw map.
#[derive(Clone, Copy)]
pub enum How {
    /// From a layer's activations and their gradients: a backward pass for each class.
    Layer(FromGradients),
    /// From the input tensor and its gradients.
    Pixels(FromGradients),
    /// From further passes over changed inputs.
    Passes {
        /// Where the [`Explainer`] has to be for it.
        at: Place,
        /// Makes the passes and the map.
        map: fn(&Case<'_>) -> Result<Array2<f32>, ExplainError>,
    },
}

/// Where a method needs gradients, or activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the layer that the user chooses.
    Layer,
    /// At the network's input.
    Pixels,
}

impl How {
    /// Where the [`Explainer`] has to be.
    #[must_use]
    pub fn place(self) -> Place {
        match self {
            How::Layer(_) => Place::Layer,
            How::Pixels(_) => Place::Pixels,
            How::Passes { at, .. } => at,
        }
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
    &pixels::Gradient,
    &pixels::GradientXInput,
    &pixels::SmoothGrad,
    &pixels::IntegratedGradients,
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

/// `sum_k weights_k activations_k`, `[H, W]`.
fn weighted_sum(activations: ArrayView3<'_, f32>, weights: &[f32]) -> Array2<f32> {
    let (_, height, width) = activations.dim();
    let mut map = Array2::zeros((height, width));
    for (activation, &weight) in activations.outer_iter().zip(weights) {
        map.scaled_add(weight, &activation);
    }
    map
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
