//! The call that a rule answers: one forward node with the cotangents of its outputs.

use tract_onnx::pb::{AttributeProto, NodeProto};

use crate::gradient::GradientError;
use crate::model::onnx::node_name;
use crate::model::onnx::parts;

/// One node to differentiate.
pub struct Call<'a> {
    /// The forward node.
    pub node: &'a NodeProto,
    /// The model's opset.
    pub opset: i64,
    /// The cotangent of each output, where it has one.
    pub cotangents: Vec<Option<String>>,
    /// Which inputs need a cotangent.
    pub wanted: Vec<bool>,
}

/// What a rule returns: cotangents of inputs, by position.
pub type Cotangents = Result<Vec<(usize, String)>, GradientError>;

impl Call<'_> {
    /// Name of input `position`.
    ///
    /// # Errors
    /// [`GradientError::Form`] where the node has no such input.
    pub fn input(&self, position: usize) -> Result<&str, GradientError> {
        match self.node.input.get(position) {
            Some(name) if !name.is_empty() => Ok(name),
            _ => Err(self.form(&format!("a missing input {position}"))),
        }
    }

    /// Name of the first output. `onnx::read` made sure there is one.
    pub fn output(&self) -> &str {
        self.node.output.first().map_or("", String::as_str)
    }

    /// Cotangent of the first output.
    ///
    /// # Errors
    /// [`GradientError::Form`] where only another output carries one.
    pub fn cotangent(&self) -> Result<&str, GradientError> {
        match self.cotangents.first() {
            Some(Some(name)) => Ok(name),
            _ => Err(self.form("a gradient through its second output")),
        }
    }

    /// Whether input `position` needs a cotangent.
    pub fn wants(&self, position: usize) -> bool {
        self.wanted.get(position).copied().unwrap_or(false)
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        parts::attribute(self.node, name)
    }

    /// An integer attribute.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name)
            .map_or(default, |attribute| attribute.i)
    }

    /// `axis`, which counts from the end where it is negative, counted from the front.
    ///
    /// # Errors
    /// [`GradientError::Form`] where a tensor of rank `rank` has no such axis.
    pub fn within(&self, axis: i64, rank: usize) -> Result<usize, GradientError> {
        let from_front = if axis < 0 {
            axis.saturating_add(rank as i64)
        } else {
            axis
        };
        usize::try_from(from_front)
            .ok()
            .filter(|&axis| axis < rank)
            .ok_or_else(|| self.form("an axis outside its rank"))
    }

    /// The attribute `axis`, counted from the front.
    ///
    /// # Errors
    /// [`GradientError::Form`] where a tensor of rank `rank` has no such axis.
    pub fn axis(&self, default: i64, rank: usize) -> Result<usize, GradientError> {
        self.within(self.int("axis", default), rank)
    }

    /// A float attribute.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name)
            .map_or(default, |attribute| attribute.f)
    }

    /// A float attribute without a default.
    pub fn optional_float(&self, name: &str) -> Option<f32> {
        self.attribute(name).map(|attribute| attribute.f)
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.attribute(name).map(|attribute| attribute.ints.clone())
    }

    /// A string attribute.
    pub fn text(&self, name: &str) -> Option<String> {
        self.attribute(name)
            .map(|attribute| String::from_utf8_lossy(&attribute.s).into_owned())
    }

    /// The error for a form that the rule does not cover.
    pub fn form(&self, form: &str) -> GradientError {
        GradientError::Form {
            operator: self.node.op_type.clone(),
            node: node_name(self.node).to_owned(),
            form: form.to_owned(),
        }
    }
}
