//! Folds what stands around a convolution into it: a rim of zeros before it, factors and summands of whole maps, activation functions.

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{Pad, PadMode};
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::{Add, Div, Max, Min, Mul, Sub};
use tract_onnx::tract_core::ops::nn::HardSwish;

use super::after::After;
use super::operator::Convolve;

/// The convolution with the rim of zeros that is put around its maps.
pub(super) fn predecessor(
    op: &Convolve,
    model: &TypedModel,
    node: &TypedNode,
) -> TractResult<Option<TypedModelPatch>> {
    let before = model.node(node.inputs[0].node);
    let Some(pad) = before.op_as::<Pad>() else {
        return Ok(None);
    };
    let is_zero = match &pad.mode {
        PadMode::Constant(value) => value.cast_to_scalar::<f32>()? == 0.0,
        _ => false,
    };
    let [(0, 0), (0, 0), rows, columns] = pad.pads.as_slice() else {
        return Ok(None);
    };
    let shape = &model.outlet_fact(before.inputs[0])?.shape;
    let Some([.., height, width]) = shape.as_concrete() else {
        return Ok(None);
    };
    if !is_zero {
        return Ok(None);
    }
    let mut op = op.clone();
    let window = &mut op.convolution.window;
    window.before = [window.before[0] + rows.0, window.before[1] + columns.0];
    window.size = [*height, *width];
    if !window.is_modest() {
        return Ok(None);
    }
    TypedModelPatch::replace_single_op(model, node, &before.inputs, op).map(Some)
}

/// The convolution with its only reader in it, where that can be done.
pub(super) fn successor(
    op: &Convolve,
    model: &TypedModel,
    node: &TypedNode,
) -> TractResult<Option<TypedModelPatch>> {
    let outlet = OutletId::new(node.id, 0);
    let [reader] = node.outputs[0].successors.as_slice() else {
        return Ok(None);
    };
    if model.output_outlets()?.contains(&outlet) {
        return Ok(None);
    }
    let next = model.node(reader.node);
    let mut op = op.clone();
    let folded = if let Some(binary) = next.op_as::<TypedBinOp>() {
        let other = model.outlet_fact(next.inputs[1 - reader.slot])?;
        let shape = &next.outputs[0].fact.shape;
        match &other.konst {
            Some(other) if binary.1.is_none() && *shape == node.outputs[0].fact.shape => {
                binary_step(&mut op, &*binary.0, other, reader.slot == 0)?
            }
            _ => false,
        }
    } else if let Some(unary) = next.op_as::<ElementWiseOp>() {
        let is_hard_swish = unary.1.is_none() && unary.0.is::<HardSwish>();
        if is_hard_swish {
            op.convolution.after.push(After::HardSwish);
        }
        is_hard_swish
    } else {
        false
    };
    if !folded {
        return Ok(None);
    }
    let mut patch = TypedModelPatch::default();
    let maps = patch.tap_model(model, node.inputs[0])?;
    let wire = patch.wire_node(&next.name, op, &[maps])?[0];
    patch.shunt_outside(model, next.id.into(), wire)?;
    Ok(Some(patch))
}

/// Folds `maps op other`, or `other op maps` where the maps are not `first`. Whether it could be done.
fn binary_step(
    op: &mut Convolve,
    step: &dyn BinMiniOp,
    other: &Tensor,
    first: bool,
) -> TractResult<bool> {
    if other.datum_type() != DatumType::F32 {
        return Ok(false);
    }
    let rows = op.convolution.rows;
    let other = other.try_as_plain_ram()?;
    let shape = other.shape();
    let values = match other.as_slice::<f32>()? {
        [value] => {
            if step.is::<Max>() {
                op.convolution.after.push(After::AtLeast(*value));
                return Ok(true);
            }
            if step.is::<Min>() {
                op.convolution.after.push(After::AtMost(*value));
                return Ok(true);
            }
            vec![*value; rows]
        }
        values if shape == [1, rows, 1, 1] => values.to_vec(),
        _ => return Ok(false),
    };
    if !op.convolution.after.is_empty() {
        return Ok(false);
    }
    if step.is::<Mul>() {
        scale(op, &values, |weight, factor| weight * factor)?;
    } else if step.is::<Div>() && first {
        scale(op, &values, |weight, divisor| weight / divisor)?;
    } else if step.is::<Add>() {
        shift(op, &values, |bias, summand| bias + summand)?;
    } else if step.is::<Sub>() && first {
        shift(op, &values, |bias, summand| bias - summand)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Scales each row's kernels and its bias by a number of its own.
fn scale(op: &mut Convolve, numbers: &[f32], by: fn(f32, f32) -> f32) -> TractResult<()> {
    let mut kernels = op.kernels.as_ref().clone();
    let mut plain = kernels.try_as_plain_ram_mut()?;
    let values = plain.as_slice_mut::<f32>()?;
    let length = (values.len() / numbers.len().max(1)).max(1);
    for (weights, &number) in values.chunks_exact_mut(length).zip(numbers) {
        for weight in weights {
            *weight = by(*weight, number);
        }
    }
    op.kernels = kernels.into();
    shift(op, numbers, by)
}

/// Changes each row's bias by a number of its own.
fn shift(op: &mut Convolve, numbers: &[f32], by: fn(f32, f32) -> f32) -> TractResult<()> {
    let mut bias = op.bias.as_ref().clone();
    let mut plain = bias.try_as_plain_ram_mut()?;
    for (bias, &number) in plain.as_slice_mut::<f32>()?.iter_mut().zip(numbers) {
        *bias = by(*bias, number);
    }
    op.bias = bias.into();
    Ok(())
}
