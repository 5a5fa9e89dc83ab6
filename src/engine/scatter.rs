//! Adding values up at given places of a flat tensor: what the gradient of an overlapping max pooling is made of.
//!
//! tract 0.23.9's `ScatterElements` serves every rank, type and reduction and takes 40 ns a value; for this one case a loop takes a
//! twentieth. It computes the same, in the same order.

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{ScatterElements, ScatterReduction};

/// Replaces the scatters that [`ScatterSum`] can do.
pub(super) fn quicken(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let fits = {
            let node = model.node(id);
            let sums = node
                .op_as::<ScatterElements>()
                .is_some_and(|op| op.axis == 0 && op.reduction == ScatterReduction::Add);
            let facts = model.node_input_facts(id)?;
            let kinds = [f32::datum_type(), i64::datum_type(), f32::datum_type()];
            sums && facts.len() == 3
                && facts
                    .iter()
                    .zip(kinds)
                    .all(|(fact, kind)| fact.rank() == 1 && fact.datum_type == kind)
        };
        if fits {
            model.node_mut(id).op = Box::new(ScatterSum);
        }
    }
    Ok(())
}

/// `data[indices[i]] += updates[i]` for flat f32 tensors.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct ScatterSum;

impl Op for ScatterSum {
    fn name(&self) -> StaticName {
        "ScatterSum".into()
    }

    op_as_typed_op!();
}

impl EvalOp for ScatterSum {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (data, indices, updates) = args_3!(inputs);
        let mut sums = data.into_tensor();
        {
            let indices = indices.to_plain_array_view::<i64>()?;
            let updates = updates.to_plain_array_view::<f32>()?;
            let mut view = sums.to_plain_array_view_mut::<f32>()?;
            let (Some(sums), Some(indices), Some(updates)) =
                (view.as_slice_mut(), indices.as_slice(), updates.as_slice())
            else {
                bail!("a flat tensor is not in one piece");
            };
            let length = sums.len() as i64;
            for (&index, &update) in indices.iter().zip(updates) {
                let place = if index < 0 { index + length } else { index };
                match usize::try_from(place)
                    .ok()
                    .and_then(|place| sums.get_mut(place))
                {
                    Some(sum) => *sum += update,
                    None => bail!("index {index} lies outside the {length} values"),
                }
            }
        }
        Ok(tvec!(sums.into_tvalue()))
    }
}

impl TypedOp for ScatterSum {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].datum_type.fact(inputs[0].shape.clone())))
    }
}
