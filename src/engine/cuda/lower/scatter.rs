//! Places of highest values, and sums at given places: what the gradient of an overlapping max pooling is made of.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::EvalContext;
use tract_onnx::tract_core::ops::array::{ScatterElements, ScatterReduction};

use super::super::program::{Numbers, Port};
use super::walk::{Walk, rows};
use super::{F32, I64, Lowering, moves, reduce, volume};

pub(super) fn lower(to: &mut Lowering<'_>, node: &TypedNode) -> Result<Option<Vec<Port>>, String> {
    if node.op.name() == "OnnxMaxPoolIndices" {
        return indices(to, node);
    }
    let adds = node
        .op_as::<ScatterElements>()
        .is_some_and(|op| op.axis == 0 && op.reduction == ScatterReduction::Add);
    let flat = (0..node.inputs.len())
        .all(|at| to.shape_in(node, at).is_some_and(|shape| shape.len() == 1));
    if !adds || !flat || to.kinds(node) != [F32, I64, F32] {
        return Ok(None);
    }
    let inputs = to.inputs(node)?;
    let [x, indices, updates] = &inputs[..] else {
        return Ok(None);
    };
    let Some(largest) = reduce::magnitude(to, updates)? else {
        return Ok(None);
    };
    let y = to.room_for(node, 0)?;
    let sums = to.room(I64, &y.shape)?;
    moves::fill(to, &sums, 0)?;
    let (size, count) = (volume(&y.shape), volume(&updates.shape));
    let reads = [x, indices, updates, &largest].map(|port| port.buffer);
    let numbers = |elements| Numbers::default().longs([elements, size, count]);
    for (kernel, elements) in [("scatter_add", count), ("scatter_end", size)] {
        to.launch(
            kernel,
            elements.div_ceil(super::THREADS).min(1 << 16),
            &reads,
            &[sums.buffer, y.buffer],
            numbers(elements),
        );
    }
    Ok(Some(vec![y]))
}

/// Indices of max pooling, in their plane, made ones in the whole tensor. The operator is tract's own and shows nothing of itself, so it is asked:
/// where it adds the same to a one as to a zero, it adds what it makes of a zero.
fn indices(to: &mut Lowering<'_>, node: &TypedNode) -> Result<Option<Vec<Port>>, String> {
    let Some(shape) = to.shape_in(node, 0).filter(|_| to.kinds(node) == [I64]) else {
        return Ok(None);
    };
    let made_of = |value: i64| {
        let given = Tensor::from_shape(&shape, &vec![value; volume(&shape)]).ok()?;
        let made = node
            .op
            .eval(&EvalContext::out_of_plan(), tvec!(given.into_tvalue()))
            .ok()?;
        Some(
            made.first()?
                .to_plain_array_view::<i64>()
                .ok()?
                .iter()
                .copied()
                .collect::<Vec<i64>>(),
        )
    };
    let (Some(zeros), Some(ones)) = (made_of(0), made_of(1)) else {
        return Ok(None);
    };
    if !zeros.iter().zip(&ones).all(|(zero, one)| zero + 1 == *one) {
        return Ok(None);
    }
    let Some(walk) = Walk::new(&shape, [rows(&shape), rows(&shape)]) else {
        return Ok(None);
    };
    let x = to.value(node.inputs[0])?;
    let added = to
        .program
        .constant(zeros.iter().flat_map(|value| value.to_ne_bytes()).collect());
    let y = to.room_for(node, 0)?;
    let count = volume(&shape);
    let numbers = Numbers::default()
        .longs([count])
        .ints([walk.axes])
        .ints(walk.shape);
    let numbers = numbers.ints(walk.steps[0]).ints(walk.steps[1]);
    to.each(
        "binary_add_i64",
        count,
        &[x.buffer, added],
        y.buffer,
        numbers,
    );
    Ok(Some(vec![y]))
}
