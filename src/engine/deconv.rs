//! Transposed depthwise convolution, row by row: what the gradient of a depthwise convolution with a stride is made of.
//!
//! tract 0.23.9 asks of every value whether it lies inside the map, and reads a map anew for each tap. Here a row of the result is
//! put together from as many rows as the stride has steps; each of them is a sum of whole rows.

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::{Deconv, PaddingSpec};
use tract_onnx::tract_core::ops::nn::DataFormat;

/// Replaces the transposed convolutions that [`DepthwiseRows`] can do.
pub(super) fn quicken(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let node = model.node(id);
        let Some(op) = node.op_as::<Deconv>() else {
            continue;
        };
        let output = &node.outputs[0].fact;
        let rows = DepthwiseRows::of(op, &model.node_input_facts(id)?, output);
        if let Some(rows) = rows {
            model.node_mut(id).op = Box::new(rows);
        }
    }
    Ok(())
}

/// A transposed convolution of maps `[N, C, H, W]` in which each channel has its own kernel.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct DepthwiseRows {
    output: [usize; 4],
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    /// Rows and columns that are cut off before the first.
    cut: [usize; 2],
}

impl DepthwiseRows {
    /// Reads an operator whose inputs are the maps, the kernels, and the bias.
    fn of(op: &Deconv, inputs: &[&TypedFact], output: &TypedFact) -> Option<DepthwiseRows> {
        let [maps, kernels, bias] = inputs else {
            return None;
        };
        let spec = &op.pool_spec;
        let channels = op.group;
        let is_depthwise = channels == spec.input_channels && channels == spec.output_channels;
        let kernel = <[usize; 2]>::try_from(spec.kernel_shape.as_slice()).ok()?;
        let strides = <[usize; 2]>::try_from(spec.strides().as_ref()).ok()?;
        let is_one_or_all = |size| size == 1 || size == channels;
        let fits = is_depthwise
            && spec.data_format == DataFormat::NCHW
            && maps.shape.is_concrete()
            && !kernel.contains(&0)
            && !strides.contains(&0)
            && inputs
                .iter()
                .all(|fact| fact.datum_type == f32::datum_type())
            && kernels.shape.volume().to_usize().ok()?
                == channels * kernel.iter().product::<usize>()
            && is_one_or_all(bias.shape.volume().to_usize().ok()?);
        if !fits {
            return None;
        }
        let cut = match &spec.padding {
            PaddingSpec::Valid => [0, 0],
            PaddingSpec::Explicit(begin, _) => begin.as_slice().try_into().ok()?,
            _ => return None,
        };
        Some(DepthwiseRows {
            output: output.shape.as_concrete()?.try_into().ok()?,
            kernel,
            strides,
            dilations: spec.dilations().as_ref().try_into().ok()?,
            cut,
        })
    }

    /// Adds up one map of the result. `map` has `columns` columns, `phases` is room for one row apart by the steps of the stride.
    fn add_up(
        &self,
        map: &[f32],
        columns: usize,
        kernel: &[f32],
        bias: f32,
        phases: &mut [f32],
        result: &mut [f32],
    ) {
        let [_, step] = self.strides;
        let length = phases.len() / step;
        for (y, row) in result.chunks_exact_mut(self.output[3]).enumerate() {
            phases.fill(bias);
            for (tap_y, taps) in kernel.chunks_exact(self.kernel[1]).enumerate() {
                let Some(source) = self.source(y, tap_y) else {
                    continue;
                };
                let Some(source) = map.chunks_exact(columns).nth(source) else {
                    continue;
                };
                for (tap_x, &tap) in taps.iter().enumerate() {
                    let place = tap_x * self.dilations[1];
                    let start = (place % step) * length + place / step;
                    for (sum, value) in phases[start..].iter_mut().zip(source) {
                        *sum += tap * value;
                    }
                }
            }
            for phase in 0..step {
                // The first column of this phase that is not cut off.
                let first = (phase + step - self.cut[1] % step) % step;
                let skipped = (first + self.cut[1]) / step;
                let slots = row.iter_mut().skip(first).step_by(step);
                let values = &phases[phase * length..][..length];
                for (slot, value) in slots.zip(&values[skipped..]) {
                    *slot = *value;
                }
            }
        }
    }

    /// The row of the map that tap row `tap` hands to row `y` of the result.
    fn source(&self, y: usize, tap: usize) -> Option<usize> {
        let reach = (y + self.cut[0]).checked_sub(tap * self.dilations[0])?;
        (reach % self.strides[0] == 0).then(|| reach / self.strides[0])
    }
}

impl Op for DepthwiseRows {
    fn name(&self) -> StaticName {
        "DepthwiseRows".into()
    }

    op_as_typed_op!();
}

impl EvalOp for DepthwiseRows {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (maps, kernels, bias) = args_3!(inputs);
        let [_, channels, height, width] = self.output;
        let columns = maps.shape()[3];
        let area = maps.shape()[2] * columns;
        let [maps, kernels, bias] =
            [&maps, &kernels, &bias].map(|tensor| tensor.to_plain_array_view::<f32>());
        let (maps, kernels, bias) = (maps?, kernels?, bias?);
        let (Some(maps), Some(kernels), Some(bias)) =
            (maps.as_slice(), kernels.as_slice(), bias.as_slice())
        else {
            bail!("a tensor is not in one piece");
        };
        let mut result = vec![0.0; self.output.iter().product()];
        let [_, step] = self.strides;
        let furthest = columns + (self.kernel[1] - 1) * self.dilations[1] / step;
        let length = furthest.max((width + self.cut[1]).div_ceil(step));
        let mut phases = vec![0.0; step * length];
        let taps = self.kernel.iter().product();
        if area > 0 && height * width > 0 {
            let planes = maps
                .chunks_exact(area)
                .zip(result.chunks_exact_mut(height * width));
            for (plane, (map, result)) in planes.enumerate() {
                let channel = plane % channels;
                let kernel = &kernels[channel * taps..][..taps];
                let bias = bias[channel % bias.len()];
                self.add_up(map, columns, kernel, bias, &mut phases, result);
            }
        }
        let result = tract_ndarray::ArrayD::from_shape_vec(self.output.to_vec(), result)?;
        Ok(tvec!(result.into_tvalue()))
    }
}

impl TypedOp for DepthwiseRows {
    as_op!();

    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(self.output)))
    }
}
