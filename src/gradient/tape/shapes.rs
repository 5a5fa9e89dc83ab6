//! What the tape knows of forward tensors, and how a cotangent takes the shape of one.

use super::Tape;
use crate::gradient::GradientError;
use crate::model::facts::{self, Dim};

impl Tape<'_> {
    /// The shape of a forward tensor.
    ///
    /// # Errors
    /// [`GradientError::Shape`] where not even the rank is known.
    pub fn shape(&self, tensor: &str) -> Result<Vec<Dim>, GradientError> {
        match self.facts.get(tensor).and_then(|fact| fact.shape.clone()) {
            Some(shape) => Ok(shape),
            None => Err(GradientError::Shape {
                tensor: tensor.to_owned(),
                shape: "unknown".into(),
            }),
        }
    }

    /// The sizes of a forward tensor from axis `from` on.
    ///
    /// # Errors
    /// [`GradientError::Shape`] where one of them is open.
    pub fn sizes(&self, tensor: &str, from: usize) -> Result<Vec<i64>, GradientError> {
        let shape = self.shape(tensor)?;
        let known: Option<Vec<i64>> = shape.iter().skip(from).map(Dim::known).collect();
        known.ok_or_else(|| self.open_shape(tensor))
    }

    /// The error for a shape that should be fixed and is not.
    pub fn open_shape(&self, tensor: &str) -> GradientError {
        let shape = self
            .facts
            .get(tensor)
            .map_or("unknown".into(), |fact| fact.shape_text());
        GradientError::Shape {
            tensor: tensor.to_owned(),
            shape,
        }
    }

    /// The values of a small constant, rounded to integers.
    pub fn constant_ints(&self, tensor: &str) -> Option<Vec<i64>> {
        facts::integers(self.facts, tensor)
    }

    /// The values of a small constant.
    pub fn constant_floats(&self, tensor: &str) -> Option<Vec<f32>> {
        let values = self.facts.get(tensor)?.values.as_ref()?;
        Some(values.iter().map(|&value| value as f32).collect())
    }

    /// `cotangent`, which has as many elements as the forward tensor `like`, in that tensor's shape.
    ///
    /// # Errors
    /// [`GradientError::Shape`] where the rank of `like` is unknown.
    pub fn reshape_like(&mut self, cotangent: &str, like: &str) -> Result<String, GradientError> {
        let shape = self.shape(like)?;
        let target = if shape.iter().filter(|dim| dim.known().is_none()).count() <= 1 {
            let target: Vec<i64> = shape.iter().map(|dim| dim.known().unwrap_or(-1)).collect();
            self.ints(&target)
        } else {
            self.op("Shape", &[like])
        };
        Ok(self.op("Reshape", &[cotangent, &target]))
    }

    /// Sums a cotangent of the shape of `from` down to the shape of `to`, which was broadcast to it.
    ///
    /// # Errors
    /// [`GradientError::Shape`] where it cannot be told which axes were broadcast.
    pub fn sum_to(
        &mut self,
        cotangent: &str,
        from: &str,
        to: &str,
    ) -> Result<String, GradientError> {
        let wide = self.shape(from)?;
        self.sum_from(cotangent, &wide, to)
    }

    /// Sums a cotangent of the shape `wide` down to the shape of the forward tensor `to`, which was broadcast to it.
    ///
    /// # Errors
    /// [`GradientError::Shape`] where the rank of `to` is unknown or larger, or a size may be one and may not.
    pub fn sum_from(
        &mut self,
        cotangent: &str,
        wide: &[Dim],
        to: &str,
    ) -> Result<String, GradientError> {
        let narrow = self.shape(to)?;
        let Some(leading) = wide.len().checked_sub(narrow.len()) else {
            return Err(self.open_shape(to));
        };
        let mut axes: Vec<i64> = (0..leading as i64).collect();
        for (axis, dim) in narrow.iter().enumerate() {
            let beside = &wide[leading + axis];
            match (dim, beside) {
                (Dim::Known(1), Dim::Known(1)) => {}
                (Dim::Known(1), _) => axes.push((leading + axis) as i64),
                // It may be the same size or a one.
                (Dim::Symbol(_), Dim::Known(_)) => return Err(self.open_shape(to)),
                // Expressions of the batch that are written differently mean the same size.
                _ => {}
            }
        }
        self.sum_axes(cotangent, &axes, leading, to)
    }

    /// Sums a cotangent over `axes`, of which the first `leading` are not there in the forward tensor `to`.
    ///
    /// # Errors
    /// [`GradientError::Shape`] where the rank of `to` is unknown.
    pub fn sum_axes(
        &mut self,
        cotangent: &str,
        axes: &[i64],
        leading: usize,
        to: &str,
    ) -> Result<String, GradientError> {
        if axes.is_empty() {
            return Ok(cotangent.to_owned());
        }
        let summed = self.sum(cotangent, axes);
        if leading == 0 {
            Ok(summed)
        } else {
            self.reshape_like(&summed, to)
        }
    }
}
