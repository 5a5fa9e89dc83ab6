//! A number of its own times each map and another added, in one go with what follows: a normalisation that stands before its convolution.

use std::sync::Arc;

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::math::{Add, Max, Min, Mul};

use super::after::After;
use super::divide;
use super::filled::filled;
use super::operator::put;

/// Values that one step handles.
const STEP: usize = 4;

/// Replaces products, sums and bounds of maps with constants that follow each other.
pub(super) fn replace(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let Some((op, nodes, maps)) = Affine::at(model, id)? else {
            continue;
        };
        let Some((&last, others)) = nodes.split_last() else {
            continue;
        };
        for &other in others {
            put(model, other, model.create_dummy(), &[])?;
        }
        put(model, last, Box::new(op), &[maps])?;
    }
    Ok(())
}

/// `summand + factor * x` of maps `[N, C, H, W]`, with a factor and a summand a map, and what is done to the result.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct Affine {
    shape: [usize; 4],
    factors: Arc<Tensor>,
    summands: Arc<Tensor>,
    after: Vec<After>,
}

impl Affine {
    /// The operator for what begins with a node, the nodes that it stands for, and its maps.
    fn at(model: &TypedModel, id: usize) -> TractResult<Option<(Affine, Vec<usize>, OutletId)>> {
        let Some((step, factors, maps)) = with_constant(model, id)? else {
            return Ok(None);
        };
        let shape = model.outlet_fact(maps)?.shape.as_concrete();
        let Some(shape) = shape.and_then(|shape| <[usize; 4]>::try_from(shape).ok()) else {
            return Ok(None);
        };
        let is_per_map = |tensor: &Tensor| *tensor.shape() == [1, shape[1], 1, 1];
        if !step.is::<Mul>() || !is_per_map(&factors) || shape.contains(&0) {
            return Ok(None);
        }
        let Some((next, (step, summands, _))) = follower(model, id)? else {
            return Ok(None);
        };
        if !step.is::<Add>() || !is_per_map(&summands) {
            return Ok(None);
        }
        let mut nodes = vec![id, next];
        let mut after = Vec::new();
        while let Some((next, (step, bound, _))) = follower(model, nodes[nodes.len() - 1])? {
            let [bound] = *bound.try_as_plain_ram()?.as_slice::<f32>()? else {
                break;
            };
            if step.is::<Max>() {
                after.push(After::AtLeast(bound));
            } else if step.is::<Min>() {
                after.push(After::AtMost(bound));
            } else {
                break;
            }
            nodes.push(next);
        }
        let op = Affine {
            shape,
            factors,
            summands,
            after,
        };
        Ok(Some((op, nodes, maps)))
    }

    /// One map.
    fn run(&self, factor: f32, summand: f32, maps: &[f32], result: &mut [f32]) {
        for (to, value) in result.iter_mut().zip(maps) {
            *to = summand + factor * value;
        }
        for step in &self.after {
            step.finish_all(result);
        }
    }
}

/// What a node does with a constant: its step, the constant, and the other tensor.
type WithConstant<'m> = (&'m dyn BinMiniOp, Arc<Tensor>, OutletId);

/// What a node does with a constant of floats, where its result has the shape of the other tensor.
fn with_constant(model: &TypedModel, id: usize) -> TractResult<Option<WithConstant<'_>>> {
    let node = model.node(id);
    let (Some(op), &[a, b]) = (node.op_as::<TypedBinOp>(), node.inputs.as_slice()) else {
        return Ok(None);
    };
    let (constant, other) = match (&model.outlet_fact(a)?.konst, &model.outlet_fact(b)?.konst) {
        (Some(constant), None) => (constant, b),
        (None, Some(constant)) => (constant, a),
        _ => return Ok(None),
    };
    let (maps, result) = (model.outlet_fact(other)?, &node.outputs[0].fact);
    let fits = op.1.is_none()
        && constant.datum_type() == DatumType::F32
        && maps.datum_type == DatumType::F32
        && maps.shape == result.shape;
    Ok(fits.then(|| (&*op.0, constant.clone(), other)))
}

/// The only node that reads a node's result, and what it does with a constant.
fn follower(model: &TypedModel, id: usize) -> TractResult<Option<(usize, WithConstant<'_>)>> {
    let [reader] = model.node(id).outputs[0].successors.as_slice() else {
        return Ok(None);
    };
    if model.output_outlets()?.contains(&id.into()) {
        return Ok(None);
    }
    Ok(with_constant(model, reader.node)?.map(|found| (reader.node, found)))
}

impl Op for Affine {
    fn name(&self) -> StaticName {
        "Affine".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Affine {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let [factors, summands] =
            [&self.factors, &self.summands].map(|tensor| tensor.try_as_plain_ram());
        let (factors, summands) = (factors?, summands?);
        let (factors, summands) = (factors.as_slice::<f32>()?, summands.as_slice::<f32>()?);
        let [batch, channels, height, width] = self.shape;
        let (things, area) = (batch * channels, height * width);
        // Safety: every value of each map is written.
        unsafe {
            filled(inputs, &self.shape, |maps, values| {
                let parts = divide::parts(maps.len() / STEP).min(things);
                divide::each_slice(values, things, parts, |first, results| {
                    for (map, result) in (first..).zip(results.chunks_exact_mut(area)) {
                        let (factor, summand) = (factors[map % channels], summands[map % channels]);
                        self.run(factor, summand, &maps[map * area..][..area], result);
                    }
                });
                Ok(())
            })
        }
    }
}

impl TypedOp for Affine {
    as_op!();

    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(self.shape)))
    }
}
