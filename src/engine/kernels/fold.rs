//! Folds what stands around a convolution into it: a rim of zeros before it, factors and summands of whole maps, activation functions.

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{Pad, PadMode};
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::{Add, Div, Max, Min, Mul, Sub};
use tract_onnx::tract_core::ops::nn::HardSwish;

use super::after::After;
use super::operator::{Convolve, Scale, put};

/// A convolution with one of its neighbours in it.
struct Folded {
    op: Convolve,
    /// The node whose result it makes.
    at: usize,
    maps: OutletId,
}

/// Folds a neighbour into a node, where that can be done; a node whose result nothing reads any more may stay behind.
pub(super) fn within(model: &mut TypedModel, id: usize) -> TractResult<bool> {
    let Some(Folded { op, at, maps }) = folded(model, model.node(id))? else {
        return Ok(false);
    };
    if at != id {
        put(model, id, model.create_dummy(), &[])?;
    }
    put(model, at, Box::new(op), &[maps])?;
    Ok(at == id)
}

/// What [`within`] does, as a change that tract's optimiser makes.
pub(super) fn patch(model: &TypedModel, node: &TypedNode) -> TractResult<Option<TypedModelPatch>> {
    let Some(Folded { op, at, maps }) = folded(model, node)? else {
        return Ok(None);
    };
    let mut patch = TypedModelPatch::default();
    let maps = patch.tap_model(model, maps)?;
    let wire = patch.wire_node(&model.node(at).name, op, &[maps])?[0];
    patch.shunt_outside(model, at.into(), wire)?;
    Ok(Some(patch))
}

fn folded(model: &TypedModel, node: &TypedNode) -> TractResult<Option<Folded>> {
    let Some(op) = node.op_as::<Convolve>() else {
        return Ok(None);
    };
    match predecessor(op, model, node)? {
        None => successor(op, model, node),
        folded => Ok(folded),
    }
}

/// The convolution with the rim of zeros that is put around its maps.
fn predecessor(op: &Convolve, model: &TypedModel, node: &TypedNode) -> TractResult<Option<Folded>> {
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
    Ok(Some(Folded {
        op,
        at: node.id,
        maps: before.inputs[0],
    }))
}

/// The convolution with its only reader in it, where that can be done.
fn successor(op: &Convolve, model: &TypedModel, node: &TypedNode) -> TractResult<Option<Folded>> {
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
    Ok(folded.then(|| Folded {
        op,
        at: next.id,
        maps: node.inputs[0],
    }))
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
        return scale(op, &values, Scale::Times);
    } else if step.is::<Div>() && first {
        return scale(op, &values, Scale::Over);
    } else if step.is::<Add>() {
        shift(op, &values, |bias, summand| bias + summand)?;
    } else if step.is::<Sub>() && first {
        shift(op, &values, |bias, summand| bias - summand)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Scales each row's kernels and its bias by a number of its own. Whether it could be done.
fn scale(op: &mut Convolve, numbers: &[f32], by: Scale) -> TractResult<bool> {
    let scaled = op.kernels.scale(by, numbers)?;
    if scaled {
        shift(op, numbers, |bias, number| by.of(bias, number))?;
    }
    Ok(scaled)
}

/// Changes each row's bias by a number of its own.
fn shift(op: &mut Convolve, numbers: &[f32], by: impl Fn(f32, f32) -> f32) -> TractResult<()> {
    let mut bias = op.bias.as_ref().clone();
    let mut plain = bias.try_as_plain_ram_mut()?;
    for (bias, &number) in plain.as_slice_mut::<f32>()?.iter_mut().zip(numbers) {
        *bias = by(*bias, number);
    }
    op.bias = bias.into();
    Ok(())
}
