//! How a method comes to its raw map, and what it needs for that.

use ndarray::{Array2, Array3, ArrayView3};

use super::eigen_cam::first_component;
use super::{Case, ExplainError, positive};
use crate::gradient::Relus;

/// The raw map `[H, W]` of the input tensor and its gradients, both `[C, H, W]`.
pub type FromGradients = fn(ArrayView3<'_, f32>, ArrayView3<'_, f32>) -> Array2<f32>;

/// How a method comes to its raw map.
#[derive(Clone, Copy)]
pub enum How {
    /// From a layer's activations and their gradients: a backward pass for each class.
    Layer(OfLayer),
    /// `ReLU(sum_k w_k A_k)` with the weights of a layer's channels from further passes.
    Channels(fn(&Case<'_>) -> Result<Vec<f32>, ExplainError>),
    /// From the input tensor and its gradients.
    Pixels(FromGradients),
    /// As [`How::Pixels`], in a backward pass whose ReLUs hold back what is negative ([`Relus::Guided`]).
    Guided(FromGradients),
    /// The map of a layer, enlarged to the input, times the largest magnitude of guided gradients over the input's channels.
    Product(OfLayer),
    /// From the input tensor, its gradients, and every bias of the network with its own.
    Biases(FromBiases),
    /// From further passes over changed inputs.
    Passes {
        /// Where the [`Explainer`](super::Explainer) has to be for it.
        at: Place,
        /// Makes the passes and the map.
        map: fn(&Case<'_>) -> Result<Array2<f32>, ExplainError>,
    },
}

/// The raw map `[H, W]` of the input tensor, its gradients, both `[C, H, W]`, and the biases' terms.
pub type FromBiases = fn(ArrayView3<'_, f32>, ArrayView3<'_, f32>, &[Term<'_>]) -> Array2<f32>;

/// A layer's biases and the gradients where they were added.
#[derive(Debug, Clone)]
pub struct Term<'a> {
    /// One bias a channel.
    pub biases: &'a [f32],
    /// Their gradients `[K, H, W]`.
    pub gradients: Array3<f32>,
}

/// How a layer's method makes its map: each channel's part `[K, H, W]` of activations and gradients, both `[K, H, W]`, and how the parts become one.
#[derive(Clone, Copy)]
pub struct OfLayer {
    /// The parts.
    pub parts: fn(ArrayView3<'_, f32>, ArrayView3<'_, f32>) -> Array3<f32>,
    /// What becomes of them.
    pub joined: Joined,
}

/// How the channels' parts of a map become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// Their sum.
    Sum,
    /// Their sum where it is positive.
    PositiveSum,
    /// The places along their first principal axis, where positive.
    Component,
}

impl OfLayer {
    /// The map of activations and gradients.
    #[must_use]
    pub fn map(
        &self,
        activations: ArrayView3<'_, f32>,
        gradients: ArrayView3<'_, f32>,
    ) -> Array2<f32> {
        self.joined.map(&(self.parts)(activations, gradients))
    }
}

impl Joined {
    /// The map of the channels' parts `[K, H, W]`.
    #[must_use]
    pub fn map(self, parts: &Array3<f32>) -> Array2<f32> {
        match self {
            Joined::Sum => summed(parts),
            Joined::PositiveSum => positive(summed(parts)),
            Joined::Component => positive(first_component(&parts.mapv(f64::from))),
        }
    }
}

/// The sum over the channels, one after the other.
fn summed(parts: &Array3<f32>) -> Array2<f32> {
    let (_, height, width) = parts.dim();
    parts
        .outer_iter()
        .fold(Array2::zeros((height, width)), |sum, part| sum + part)
}

/// Where a method needs gradients, or activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// At the layer that the user chooses.
    Layer,
    /// At the network's input.
    Pixels,
}

/// The gradient graph that a method reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Needs {
    /// Where it has its gradients.
    pub place: Place,
    /// What its backward pass does at ReLUs.
    pub relus: Relus,
    /// Whether it has the gradients where biases are added.
    pub biases: bool,
}

impl How {
    /// Where the [`Explainer`](super::Explainer) has to be.
    #[must_use]
    pub fn place(self) -> Place {
        self.needs().place
    }

    /// The gradient graph that it reads.
    #[must_use]
    pub fn needs(self) -> Needs {
        let plain = |place| Needs {
            place,
            relus: Relus::Plain,
            biases: false,
        };
        match self {
            How::Layer(_) | How::Channels(_) | How::Product(_) => plain(Place::Layer),
            How::Pixels(_) => plain(Place::Pixels),
            How::Guided(_) => Needs {
                relus: Relus::Guided,
                ..plain(Place::Pixels)
            },
            How::Biases(_) => Needs {
                biases: true,
                ..plain(Place::Pixels)
            },
            How::Passes { at, .. } => plain(at),
        }
    }

    /// Whether the map is made of gradients that went all the way back to the pixels.
    #[must_use]
    pub fn reaches_pixels(self) -> bool {
        self.place() == Place::Pixels || matches!(self, How::Product(_))
    }

    /// Whether it weighs the channels of a layer: such maps can be smoothed, and fused over layers.
    #[must_use]
    pub fn has_channels(self) -> bool {
        matches!(self, How::Layer(_) | How::Channels(_))
    }

    /// Whether it makes many passes for one map.
    #[must_use]
    pub fn makes_passes(self) -> bool {
        matches!(self, How::Channels(_) | How::Passes { .. })
    }
}
