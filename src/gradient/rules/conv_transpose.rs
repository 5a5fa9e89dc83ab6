//! Transposed convolution.

use super::Rule;
use super::conv::{divided, spatial};
use super::selection::LONGEST_AXIS;
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape, int, ints};

pub(super) const RULES: &[(&str, Rule)] = &[("ConvTranspose", conv_transpose)];

/// `dX = Conv(dY, W)`: a transposed convolution is by definition the gradient of that convolution.
///
/// The map's size cancels out of the padding, so that maps whose size is open go too.
fn conv_transpose(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    if call.wants(1) || call.wants(2) {
        return Err(call.form("weights that depend on the picture"));
    }
    if call.ints("output_shape").is_some() {
        // tract 0.23.9 takes it for output_padding, and its scores would be wrong.
        return Err(call.form("output_shape in place of pads"));
    }
    let weights = call.input(1)?;
    let kernel = tape.sizes(weights, 2)?;
    let axes = kernel.len();
    let mut strides = spatial(call, "strides", 1, axes)?;
    let mut dilations = spatial(call, "dilations", 1, axes)?;
    let surplus = spatial(call, "output_padding", 0, axes)?;
    if strides.iter().chain(&dilations).any(|&size| size < 1) {
        return Err(call.form("a stride or dilation below 1"));
    }
    if surplus
        .iter()
        .zip(&strides)
        .any(|(more, step)| more >= step)
    {
        return Err(call.form("an output_padding of a stride or more"));
    }
    // How far the output passes `stride` pixels for each pixel of the input.
    let excess: Vec<i64> = (0..axes)
        .map(|axis| dilations[axis] * (kernel[axis] - 1) + 1 + surplus[axis] - strides[axis])
        .collect();
    let (begin, end) = padding(call, &excess)?;

    // Less than a stride of output behind the last window makes no further window.
    let end = end.iter().zip(&surplus);
    let end: Vec<i64> = end.map(|(end, surplus)| (end - surplus).max(0)).collect();
    let pads = [begin, end].concat();
    // tract 0.23.9 takes a stride that steps over whole rows for one of its own, and cannot bring that before a `Reshape`.
    let sizes = tape.sizes(call.output(), 2).unwrap_or_default();
    let mut cotangent = call.cotangent()?.to_owned();
    for (axis, &size) in sizes.iter().enumerate().take(axes) {
        let step = strides[axis];
        let whole = step > 1 && (kernel[axis] == 1 || dilations[axis] % step == 0);
        let unpadded = pads[axis] == 0 && pads[axes + axis] == 0;
        if whole && unpadded && size <= LONGEST_AXIS {
            let rows: Vec<i64> = (0..size).step_by(step as usize).collect();
            let rows = tape.ints(&rows);
            let axis_of_rows = vec![int("axis", axis as i64 + 2)];
            cotangent = tape.node("Gather", &[&cotangent, &rows], axis_of_rows);
            strides[axis] = 1;
            dilations[axis] = (dilations[axis] / step).max(1);
        }
    }
    let attributes = vec![
        int("group", call.int("group", 1)),
        ints("kernel_shape", &kernel),
        ints("strides", &strides),
        ints("dilations", &dilations),
        ints("pads", &pads),
    ];
    let result = tape.node("Conv", &[&cotangent, weights], attributes);
    Ok(vec![(0, result)])
}

/// How much the operator cuts off its output at the beginning and at the end of each axis.
fn padding(call: &Call<'_>, excess: &[i64]) -> Result<(Vec<i64>, Vec<i64>), GradientError> {
    let axes = excess.len();
    let auto_pad = call.text("auto_pad").unwrap_or_default();
    match auto_pad.as_str() {
        "" | "NOTSET" => {
            let pads = spatial(call, "pads", 0, 2 * axes)?;
            let (begin, end) = pads.split_at(axes);
            Ok((begin.to_vec(), end.to_vec()))
        }
        "VALID" => Ok((vec![0; axes], vec![0; axes])),
        "SAME_UPPER" | "SAME_LOWER" => Ok(excess
            .iter()
            .map(|&total| divided(total.max(0), auto_pad == "SAME_UPPER"))
            .unzip()),
        other => Err(call.form(&format!("auto_pad {other}"))),
    }
}
