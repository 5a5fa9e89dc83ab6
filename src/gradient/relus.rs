//! What the backward pass does at ReLUs: what calculus says, or guided backpropagation.

use super::tape::{Call, Tape};

/// What the backward pass does at ReLUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Relus {
    /// The derivative: a gradient passes where the input is positive.
    #[default]
    Plain,
    /// Guided backpropagation (Springenberg et al. 2015): only where the gradient is positive, too. The result is a gradient no more.
    Guided,
}

impl Relus {
    /// Its name in a gradient graph's metadata.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Relus::Plain => "plain",
            Relus::Guided => "guided",
        }
    }
}

/// Whether a node is a ReLU: `Relu`, or a `Clip` from zero, which is how ReLU6 is written.
pub(super) fn is_relu(tape: &Tape<'_>, call: &Call<'_>) -> bool {
    match call.node.op_type.as_str() {
        "Relu" => true,
        "Clip" => lower_bound(tape, call) == Some(0.0),
        _ => false,
    }
}

/// The lower bound of a `Clip`: an input since opset 11, an attribute before.
fn lower_bound(tape: &Tape<'_>, call: &Call<'_>) -> Option<f32> {
    match call.node.input.get(1).filter(|name| !name.is_empty()) {
        Some(name) => match tape.constant_floats(name)?.as_slice() {
            [value] => Some(*value),
            _ => None,
        },
        None => call.optional_float("min"),
    }
}
