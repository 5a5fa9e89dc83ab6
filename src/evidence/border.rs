//! The border: how much of the map lies where letters, frames and rims are.

use ndarray::ArrayView2;

use super::pointing::no_positive;
use super::{Check, Finding, Number, Silence, Subject};
use crate::image::resize_linear;

/// The share of the map's positive values in the outer tenth of the input on each side.
pub struct Border;

/// The part of a side that is border at each of its ends.
const WIDTH: f64 = 0.1;

impl Check for Border {
    fn id(&self) -> &'static str {
        "border"
    }

    fn name(&self) -> &'static str {
        "On the border"
    }

    fn about(&self) -> &'static str {
        "The share of the map's positive values in the outer tenth of what the model sees, beside that of a uniform map. Lower is better."
    }

    fn limits(&self) -> &'static str {
        "It does not know what lies there: in a close crop the lungs do."
    }

    fn find(&self, subject: &Subject<'_>) -> Result<Finding, Silence> {
        let (_, _, height, width) = subject.observation.input.dim();
        let (border, uniform) =
            border_share(&subject.map.values.view(), height, width).ok_or_else(no_positive)?;
        Ok(Finding {
            numbers: vec![
                Number::new("border", border),
                Number::new("uniform", uniform),
            ],
            says: format!(
                "{:.0} % of the map lies in the outer tenth of what the model sees, where a uniform map would have {:.0} %.",
                100.0 * border,
                100.0 * uniform
            ),
            ..Finding::default()
        })
    }
}

/// The share of a raw map's positive values on the border of a network's input of this size, and that of a uniform map; `None` without any positive
/// value.
#[must_use]
pub fn border_share(map: &ArrayView2<'_, f32>, height: usize, width: usize) -> Option<(f64, f64)> {
    let heat = resize_linear(map, height, width);
    let is_rim = |at: usize, length: usize| {
        let rim = (WIDTH * length as f64).round() as usize;
        at < rim || at >= length - rim
    };
    let (mut border, mut total, mut area) = (0.0, 0.0, 0usize);
    for ((row, column), &value) in heat.indexed_iter() {
        let value = f64::from(value.max(0.0));
        total += value;
        if is_rim(row, height) || is_rim(column, width) {
            border += value;
            area += 1;
        }
    }
    (total > 0.0).then(|| (border / total, area as f64 / heat.len() as f64))
}
