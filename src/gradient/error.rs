//! Why a gradient graph cannot be made.

use crate::model::ModelError;

/// Why a gradient graph cannot be made. The message is one line and leaves out the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GradientError {
    /// The operator lies between the layer and the scores and has no rule.
    #[error("operator {operator} (node {node}) has no gradient rule")]
    NoRule {
        /// The operator's name.
        operator: String,
        /// The node's name.
        node: String,
    },
    /// The operator has a rule, but not for this form of it.
    #[error("operator {operator} (node {node}) has no gradient rule for {form}")]
    Form {
        /// The operator's name.
        operator: String,
        /// The node's name.
        node: String,
        /// The attribute, shape or input that the rule does not cover.
        form: String,
    },
    /// A rule needs a size that the graph leaves open.
    #[error(
        "the shape of tensor '{tensor}' is {shape}; its gradient needs it fixed except for the batch"
    )]
    Shape {
        /// The tensor.
        tensor: String,
        /// What is known of its shape.
        shape: String,
    },
    /// The scores do not depend on the tensor by any path that carries a gradient.
    #[error("the scores do not depend on '{0}' through any operator that carries a gradient")]
    NoPath(String),
    /// Guided backpropagation has nothing to guide.
    #[error(
        "guided backpropagation changes the gradient at ReLUs, and there is none between the picture and the scores; take 'gradient' instead"
    )]
    NoRelu,
    /// No bias has a gradient with places.
    #[error(
        "it has no biases of convolutions or batch normalisations to sum over; take 'gradient-x-input' instead"
    )]
    NoBias,
    /// A name of the gradient graph is taken by the model.
    #[error(
        "a tensor of the model is named so that the gradient graph's own '{0}' cannot be; rename it"
    )]
    NameTaken(String),
    /// The layer or the model is at fault.
    #[error(transparent)]
    Model(#[from] ModelError),
}
