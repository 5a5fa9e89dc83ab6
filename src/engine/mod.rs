//! Running graphs: one trait, so that the same code and the same tests serve every engine.

#[cfg(not(target_arch = "wasm32"))]
mod batched;
#[cfg(feature = "cuda")]
pub mod cuda;
mod deconv;
mod hollow;
pub mod kernels;
mod scatter;
pub mod threads;
mod tract;
mod typed;
mod wiring;

use std::collections::HashSet;
use std::fmt;

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use tract_onnx::pb::{GraphProto, ModelProto};

use crate::model::weights;
#[cfg(not(target_arch = "wasm32"))]
pub use batched::Batched;

pub use tract::{Tract, TractWithoutKernels};

/// Why a graph cannot be run. The message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// There is no device of the kind asked for, or it cannot be used.
    #[error("{0}")]
    Device(String),
    /// The engine does not accept the graph.
    #[error("the engine cannot prepare the model: {0}")]
    Prepare(String),
    /// The graph failed while it ran.
    #[error("the engine failed while running the model: {0}")]
    Run(String),
    /// The values given do not match the inputs that the session was prepared for.
    #[error("the engine was given {given} for the input '{input}', it was prepared for {expected}")]
    Input {
        /// Name of the input.
        input: String,
        /// Kind and shape given.
        given: String,
        /// Kind and shape expected.
        expected: String,
    },
}

/// A tensor on its way into or out of an engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// 32-bit floats: pictures, activations, gradients.
    F32(ArrayD<f32>),
    /// 64-bit integers: indices, shapes.
    I64(ArrayD<i64>),
    /// Masks.
    Bool(ArrayD<bool>),
}

impl Value {
    /// Element type and shape.
    #[must_use]
    pub fn spec(&self) -> Spec {
        let (kind, shape) = match self {
            Value::F32(array) => (Kind::F32, array.shape()),
            Value::I64(array) => (Kind::I64, array.shape()),
            Value::Bool(array) => (Kind::Bool, array.shape()),
        };
        Spec {
            kind,
            shape: shape.to_vec(),
        }
    }

    /// The floats, where it holds floats.
    #[must_use]
    pub fn as_f32(&self) -> Option<&ArrayD<f32>> {
        match self {
            Value::F32(array) => Some(array),
            _ => None,
        }
    }

    /// The integers, where it holds integers.
    #[must_use]
    pub fn as_i64(&self) -> Option<&ArrayD<i64>> {
        match self {
            Value::I64(array) => Some(array),
            _ => None,
        }
    }

    /// The mask, where it holds one.
    #[must_use]
    pub fn as_bool(&self) -> Option<&ArrayD<bool>> {
        match self {
            Value::Bool(array) => Some(array),
            _ => None,
        }
    }

    /// The floats, where it holds floats.
    #[must_use]
    pub fn into_f32(self) -> Option<ArrayD<f32>> {
        match self {
            Value::F32(array) => Some(array),
            _ => None,
        }
    }
}

/// Element type of a [`Value`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 32-bit floats.
    F32,
    /// 64-bit integers.
    I64,
    /// Booleans.
    Bool,
}

/// Element type and shape that an input is prepared for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Element type.
    pub kind: Kind,
    /// Shape, the batch included.
    pub shape: Vec<usize>,
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.kind, self.shape)
    }
}

/// What a report says of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `cpu` or `cuda`.
    pub device: String,
    /// Threads that one run uses.
    pub threads: usize,
    /// The vector instructions that it uses; empty where that has no meaning.
    pub simd: String,
}

/// Something that runs ONNX graphs.
pub trait Engine: Send + Sync {
    /// Its name, version and device.
    fn info(&self) -> EngineInfo;

    /// Makes `graph`, which it takes over, ready to run, for inputs of fixed shapes, one [`Spec`] an input of the graph in its order.
    ///
    /// # Errors
    /// [`EngineError::Prepare`] where the engine lacks an operator or the shapes do not fit.
    fn prepare(&self, graph: ModelProto, inputs: &[Spec]) -> Result<Box<dyn Session>, EngineError>;

    /// [`prepare`](Engine::prepare) for a graph whose large weights were left out, and are initializers of `whole`.
    ///
    /// # Errors
    /// As [`prepare`](Engine::prepare).
    fn prepare_hollow(
        &self,
        mut graph: ModelProto,
        whole: &GraphProto,
        inputs: &[Spec],
    ) -> Result<Box<dyn Session>, EngineError> {
        if let Some(graph) = &mut graph.graph {
            weights::fill(graph, whole, &HashSet::new());
        }
        self.prepare(graph, inputs)
    }
}

/// A graph that is ready to run.
pub trait Session: Send + Sync {
    /// Runs the graph; values in and out are in the order of the graph's inputs and outputs.
    ///
    /// # Errors
    /// [`EngineError::Input`] or [`EngineError::Run`].
    fn run(&self, inputs: &[Value]) -> Result<Vec<Value>, EngineError>;
}
