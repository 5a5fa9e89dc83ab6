//! Resizing: linear in the picture, an axis at a time, with weights that the sizes fix.

use super::Rule;
use super::selection::{LONGEST_AXIS, Matrix, Selection};
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape, ints};
use crate::model::facts::Dim;

pub(super) const RULES: &[(&str, Rule)] = &[("Resize", resize)];

/// Nearest neighbours hand the cotangent back to the element that they repeat; linear and cubic weights are a matrix an axis,
/// and its transpose goes back.
fn resize(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let axes = resized(tape, call)?;
    let rank = tape.shape(call.input(0)?)?.len();
    let mode = call.text("mode").unwrap_or_else(|| "nearest".into());
    let mut dx = call.cotangent()?.to_owned();
    if mode == "nearest" {
        let selections = axes.iter().map(|axis| axis.nearest(call));
        let selections: Vec<Selection> = selections.collect::<Result<_, _>>()?;
        if let Some(dx) = pooled(tape, &dx, rank, &selections) {
            return Ok(vec![(0, dx)]);
        }
        for selection in selections {
            dx = selection.put_back(tape, call, &dx, rank)?;
        }
        return Ok(vec![(0, dx)]);
    }
    for axis in axes {
        let back = axis.weights(call, &mode)?;
        if !back.is_identity() {
            dx = back.along(tape, &dx, rank, axis.axis);
        }
    }
    Ok(vec![(0, dx)])
}

/// One resized axis.
struct Axis {
    axis: usize,
    before: i64,
    after: i64,
    scale: f32,
}

/// The axes that are resized. Their sizes must be known; those of the others need not be.
fn resized(tape: &Tape<'_>, call: &Call<'_>) -> Result<Vec<Axis>, GradientError> {
    let (x, y) = (call.input(0)?, call.output());
    let (before, after) = (tape.shape(x)?, tape.shape(y)?);
    if before.len() != after.len() {
        return Err(tape.open_shape(y));
    }
    let policy = call.text("keep_aspect_ratio_policy");
    if policy.is_some_and(|policy| policy != "stretch") {
        return Err(call.form("a fixed aspect ratio"));
    }
    let named = call.ints("axes");
    let named = named.unwrap_or_else(|| (0..before.len() as i64).collect());
    let scales = call.node.input.get(2).and_then(|name| tape.facts.get(name));
    let scales = scales
        .and_then(|fact| fact.values.as_deref())
        .unwrap_or(&[]);
    let mut axes = Vec::new();
    for (index, &axis) in named.iter().enumerate() {
        let axis = call.within(axis, before.len())?;
        let given = scales.get(index).map(|&scale| scale as f32);
        if before[axis] == after[axis] && given.is_none_or(|scale| scale == 1.0) {
            continue;
        }
        let (Dim::Known(from), Dim::Known(to)) = (&before[axis], &after[axis]) else {
            return Err(tape.open_shape(y));
        };
        let possible = 1..LONGEST_AXIS;
        let scale = given.unwrap_or(*to as f32 / *from as f32);
        if !possible.contains(from) || !possible.contains(to) || scale <= 0.0 {
            return Err(call.form(&format!("{from} elements to {to}")));
        }
        axes.push(Axis {
            axis,
            before: *from,
            after: *to,
            scale,
        });
    }
    Ok(axes)
}

impl Axis {
    /// Where an element of the result lies in the source. In f32, as engines compute it: a rounding decides a neighbour.
    fn source(&self, call: &Call<'_>, place: i64) -> Result<f32, GradientError> {
        let (place, scale) = (place as f32, self.scale);
        let (before, after) = (self.before as f32, self.after as f32);
        let mode = call.text("coordinate_transformation_mode");
        let mode = mode.as_deref().unwrap_or("half_pixel");
        let half_pixel = (place + 0.5) / scale - 0.5;
        Ok(match mode {
            "half_pixel" => half_pixel,
            "pytorch_half_pixel" | "align_corners" if self.after == 1 => 0.0,
            "pytorch_half_pixel" => half_pixel,
            // Runtimes disagree on which of the two sizes counts.
            "align_corners" if (scale * before).fract() != 0.0 => {
                return Err(call.form("corners aligned at a size that is not whole"));
            }
            "align_corners" => place * (before - 1.0) / (after - 1.0),
            "asymmetric" => place / scale,
            "tf_half_pixel_for_nn" => (place + 0.5) / scale,
            "half_pixel_symmetric" => before / 2.0 * (1.0 - after / (scale * before)) + half_pixel,
            _ => return Err(call.form(&format!("coordinates of mode {mode}"))),
        })
    }

    /// The element that each place of the result repeats.
    fn nearest(&self, call: &Call<'_>) -> Result<Selection, GradientError> {
        let mode = call.text("nearest_mode");
        let mode = mode.as_deref().unwrap_or("round_prefer_floor");
        let element = |place: i64| {
            let source = self.source(call, place)?;
            let rounded = match mode {
                "round_prefer_floor" => (source - 0.5).ceil(),
                "round_prefer_ceil" => (source + 0.5).floor(),
                "floor" => source.floor(),
                "ceil" => source.ceil(),
                _ => return Err(call.form(&format!("nearest mode {mode}"))),
            };
            Ok(Some((rounded as i64).clamp(0, self.before - 1) as usize))
        };
        Ok(Selection {
            axis: self.axis,
            size: self.before as usize,
            sources: (0..self.after).map(element).collect::<Result<_, _>>()?,
        })
    }

    /// The matrix that brings a cotangent back: a column a place of the result, with the weights of its sources.
    fn weights(&self, call: &Call<'_>, mode: &str) -> Result<Matrix, GradientError> {
        if call.int("antialias", 0) != 0 && self.scale < 1.0 {
            return Err(call.form("antialiasing"));
        }
        let sharpness = call.float("cubic_coeff_a", -0.75);
        let kernel = |distance: f32| match mode {
            "linear" => (1.0 - distance).max(0.0),
            _ => cubic(distance, sharpness),
        };
        let reach = match mode {
            "linear" => 1,
            "cubic" => 2,
            _ => return Err(call.form(&format!("mode {mode}"))),
        };
        let inside = 0..self.before;
        let exclude = call.int("exclude_outside", 0) != 0;
        let columns = self.after as usize;
        let mut matrix = Matrix::zeros(self.before as usize, columns)
            .ok_or_else(|| call.form(&format!("{} elements to {columns}", self.before)))?;
        for place in 0..self.after {
            let source = self.source(call, place)?;
            let below = source.floor();
            let taps = (1 - reach..=reach).map(|step| {
                let weight = kernel((source - below - step as f32).abs());
                ((below as i64).saturating_add(step), weight)
            });
            let taps: Vec<(i64, f32)> = taps
                .filter(|(at, _)| !exclude || inside.contains(at))
                .collect();
            let total: f32 = match exclude {
                true => taps.iter().map(|(_, weight)| weight).sum(),
                false => 1.0,
            };
            for (at, weight) in taps {
                // Beyond the border the border itself goes on.
                let row = at.clamp(0, self.before - 1) as usize;
                matrix.values[row * columns + place as usize] += weight / total;
            }
        }
        Ok(matrix)
    }
}

/// Keys's cubic convolution kernel (1981), with coefficient `a`.
fn cubic(distance: f32, a: f32) -> f32 {
    let d = distance;
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    } else {
        0.0
    }
}

/// Rows and columns repeated a whole number of times: the sum over a window is its mean times its size, which engines have a
/// fast operator for.
fn pooled(
    tape: &mut Tape<'_>,
    cotangent: &str,
    rank: usize,
    selections: &[Selection],
) -> Option<String> {
    let [rows, columns] = selections else {
        return None;
    };
    if rank != 4 || (rows.axis, columns.axis) != (2, 3) {
        return None;
    }
    let window = [rows.copies()?, columns.copies()?];
    let form = vec![ints("kernel_shape", &window), ints("strides", &window)];
    let mean = tape.node("AveragePool", &[cotangent], form);
    Some(tape.scale(&mean, (window[0] * window[1]) as f32))
}
