//! Smoother maps of a layer, and one map of several layers, as pytorch-grad-cam makes them.

use std::fmt;
use std::str::FromStr;

use ndarray::{Array, Array2, Array4, Axis, Dimension};
use serde::{Deserialize, Serialize};

use super::case::passes;
use super::{
    ExplainError, Explainer, Method, Question, Unwatched, Watch, layer_for, positive, stretched,
};
use crate::image::resize_linear;
use crate::model::Model;

/// A way to a smoother map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Smooth {
    /// The mean over the picture and its mirror image, each as it is and with the input times 0.9 and 1.1.
    Augmented,
    /// The channels' parts of the map along their first principal axis, in place of their sum.
    Eigen,
}

impl Smooth {
    /// All of them.
    pub const ALL: [Smooth; 2] = [Smooth::Augmented, Smooth::Eigen];
}

impl fmt::Display for Smooth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Smooth::Augmented => "augmented",
            Smooth::Eigen => "eigen",
        })
    }
}

impl FromStr for Smooth {
    type Err = ExplainError;

    fn from_str(text: &str) -> Result<Self, ExplainError> {
        Smooth::ALL
            .into_iter()
            .find(|smooth| smooth.to_string() == text)
            .ok_or_else(|| {
                ExplainError::Question(format!(
                    "there is no smoothing '{text}'; there are augmented, eigen"
                ))
            })
    }
}

/// At which layers a map is made, and how it is smoothed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manner {
    /// The layers whose maps are fused; the model's own, or the input for methods that look at the pixels, where there is none.
    pub layers: Vec<String>,
    /// The ways to a smoother map, each once, in their order.
    pub smooth: Vec<Smooth>,
}

impl Manner {
    /// The layers and ways to a smoother map that a user names, each once.
    #[must_use]
    pub fn of(layers: &[String], smooth: &[Smooth]) -> Manner {
        let mut manner = Manner::default();
        for layer in layers {
            if !manner.layers.contains(layer) {
                manner.layers.push(layer.clone());
            }
        }
        manner.smooth = smooth.to_vec();
        manner.smooth.sort_unstable();
        manner.smooth.dedup();
        manner
    }

    /// Whether `method` can be asked so.
    ///
    /// # Errors
    /// [`ExplainError::Question`] for a method that has no channels of a layer to smooth or to fuse, or does not look at the layer.
    pub fn check(&self, method: &dyn Method, model: &Model) -> Result<(), ExplainError> {
        if self.layers.len() > MOST_LAYERS {
            return Err(ExplainError::Question(format!(
                "{} layers are too many to fuse; at most {MOST_LAYERS} are prepared side by side",
                self.layers.len()
            )));
        }
        for layer in &self.layers {
            layer_for(method, model, Some(layer))?;
        }
        check(method, &self.smooth, self.layers.len())
    }
}

/// Each layer keeps a prepared copy of the model.
const MOST_LAYERS: usize = 16;

/// What the input is multiplied by.
const GAINS: [f32; 3] = [0.9, 1.0, 1.1];

/// What is added to a range before it is divided by, as pytorch-grad-cam has it.
const LEAST: f32 = 1e-7;

/// The copies of the input whose maps make an augmented one: whether mirrored, and the gain.
fn copies(augmented: bool) -> Vec<(bool, f32)> {
    match augmented {
        false => vec![(false, 1.0)],
        true => [false, true]
            .into_iter()
            .flat_map(|mirrored| GAINS.map(|gain| (mirrored, gain)))
            .collect(),
    }
}

/// Whether a method has channels of a layer that can be smoothed, and maps of layers that can be fused.
///
/// # Errors
/// [`ExplainError::Question`] where it has not.
pub(super) fn check(
    method: &dyn Method,
    smooth: &[Smooth],
    layers: usize,
) -> Result<(), ExplainError> {
    if method.how().has_channels() || (smooth.is_empty() && layers < 2) {
        return Ok(());
    }
    let what = match smooth.is_empty() {
        true => "its maps cannot be fused over layers",
        false => "its maps cannot be smoothed",
    };
    Err(ExplainError::Question(format!(
        "{} does not weigh the channels of a layer: {what}",
        method.id()
    )))
}

/// The mean over the copies of the mean over the explainer's layers of their maps, each without what is negative, stretched from 0 to 1 and enlarged to the input,
/// `[H, W]`, from 0 to 1.
pub(super) fn smoothed(
    explainer: &Explainer,
    question: &Question,
    method: &dyn Method,
    input: &Array4<f32>,
    watch: &dyn Watch,
) -> Result<Array2<f32>, ExplainError> {
    let copies = copies(explainer.smooths(Smooth::Augmented));
    let layers: Vec<&Explainer> = explainer.layers().collect();
    let (_, _, height, width) = input.dim();
    let one = |index: usize, watch: &dyn Watch| -> Result<Array2<f32>, ExplainError> {
        let (mirrored, gain) = copies[index / layers.len()];
        let mut copy = input * gain;
        if mirrored {
            copy = mirror(copy, Axis(3));
        }
        let layer = layers[index % layers.len()];
        let seen = layer.observe(&copy)?;
        let (map, _) = layer.raw(&seen, question, method, watch)?;
        let map = stretched(positive(map), LEAST);
        Ok(resize_linear(&map.view(), height, width))
    };
    let count = copies.len() * layers.len();
    let maps = match method.how().makes_passes() {
        // Its own passes run side by side, and whoever waits may end them.
        true => (0..count)
            .map(|index| one(index, watch))
            .collect::<Result<Vec<_>, _>>()?,
        false => passes(watch, count, &|index| one(index, &Unwatched))?,
    };
    let start = || Array2::<f32>::zeros((height, width));
    let mut sum = start();
    for (of_copy, (mirrored, _)) in maps.chunks(layers.len()).zip(&copies) {
        let fused = of_copy.iter().fold(start(), |sum, map| sum + map);
        let fused = stretched(fused / layers.len() as f32, LEAST);
        sum += &match mirrored {
            true => mirror(fused, Axis(1)),
            false => fused,
        };
    }
    Ok(sum / copies.len() as f32)
}

/// Turned around along an axis.
fn mirror<D: Dimension>(mut values: Array<f32, D>, axis: Axis) -> Array<f32, D> {
    values.invert_axis(axis);
    values.as_standard_layout().into_owned()
}
