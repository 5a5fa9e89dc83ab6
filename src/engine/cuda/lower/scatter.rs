//! Sums at given places: what the gradient of an overlapping max pooling is made of.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::array::{ScatterElements, ScatterReduction};

use super::super::program::{Numbers, Port};
use super::{F32, I64, Lowering, moves, reduce, volume};

pub(super) fn lower(to: &mut Lowering<'_>, node: &TypedNode) -> Result<Option<Vec<Port>>, String> {
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
