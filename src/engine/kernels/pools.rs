//! The pooling operators of a graph, handed to our own kernels.

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::{MaxPool, PaddingSpec, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::nn::{DataFormat, Reduce, Reducer};

use super::filled::filled;
use super::lanes::{Four, Lanes};
use super::pool::{largest, mean};
use super::set::{Registers, Set, Work};
use super::window::Window;

/// Replaces the operators that [`Pool`] and [`SumMaps`] can do.
pub(super) fn replace(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        if let Some(op) = own(model, model.node(id))? {
            model.node_mut(id).op = op;
        }
    }
    Ok(())
}

/// Our operator for a node, where there is one.
fn own(model: &TypedModel, node: &TypedNode) -> TractResult<Option<Box<dyn TypedOp>>> {
    let inputs = model.node_input_facts(node.id)?;
    let ([maps], [output]) = (inputs.as_slice(), node.outputs.as_slice()) else {
        return Ok(None);
    };
    let output = &output.fact;
    if maps.datum_type != DatumType::F32 {
        return Ok(None);
    }
    let pool = if let Some(op) = node.op_as::<MaxPool>() {
        Pool::of(&op.pool_spec, Kind::Largest, maps, output)
    } else if let Some(op) = node.op_as::<SumPool>().filter(|op| op.normalize) {
        let rim = op.count_include_pad;
        Pool::of(&op.pool_spec, Kind::Mean { rim }, maps, output)
    } else if let Some(op) = node.op_as::<Reduce>() {
        return Ok(SumMaps::of(op, maps, output).map(|op| Box::new(op) as _));
    } else {
        None
    };
    Ok(pool.map(|op| Box::new(op) as _))
}

/// What is taken from under the window.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
enum Kind {
    Largest,
    Mean { rim: bool },
}

/// Pooling of maps `[N, C, H, W]`.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct Pool {
    window: Window,
    kind: Kind,
    shape: TVec<usize>,
}

impl Pool {
    fn of(spec: &PoolSpec, kind: Kind, maps: &TypedFact, output: &TypedFact) -> Option<Pool> {
        let [_, _, height, width] = maps.shape.as_concrete()?.try_into().ok()?;
        let shape: TVec<usize> = output.shape.as_concrete()?.into();
        let padding = spec.computed_padding(&[height, width]);
        let pair = |values: &[usize]| <[usize; 2]>::try_from(values).ok();
        // With a rounding up of sizes, the last window may reach beyond the rim, and what counts there is a matter of opinion.
        let rounds_up = matches!(spec.padding, PaddingSpec::ExplicitOnnxPool(_, _, true));
        let fits = spec.data_format == DataFormat::NCHW
            && !(rounds_up && kind != Kind::Largest)
            && height * width > 0
            && !shape.contains(&0);
        let window = Window {
            size: [height, width],
            output: pair(shape.get(2..)?)?,
            kernel: pair(&spec.kernel_shape)?,
            strides: pair(&spec.strides())?,
            dilations: pair(&spec.dilations())?,
            before: [padding.first()?.pad_before, padding.get(1)?.pad_before],
        };
        (fits && window.is_modest()).then_some(Pool {
            window,
            kind,
            shape,
        })
    }
}

impl Op for Pool {
    fn name(&self) -> StaticName {
        "Pool".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Pool {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        // Safety: the window visits every value of the result.
        unsafe {
            filled(inputs, &self.shape, |maps, values| {
                match self.kind {
                    Kind::Largest => largest(Set::best(), &self.window, maps, values),
                    Kind::Mean { rim } => mean(Set::best(), &self.window, rim, maps, values),
                }
                Ok(())
            })
        }
    }
}

impl TypedOp for Pool {
    as_op!();

    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(&self.shape)))
    }
}

/// The sum of each map, `[.., H, W]` to `[.., 1, 1]`: of a global mean.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct SumMaps {
    area: usize,
    shape: TVec<usize>,
}

impl SumMaps {
    fn of(op: &Reduce, maps: &TypedFact, output: &TypedFact) -> Option<SumMaps> {
        let shape = maps.shape.as_concrete()?;
        let kept = shape.len().checked_sub(op.axes.len())?;
        let are_last = op.axes.iter().copied().eq(kept..shape.len());
        let area: usize = shape[kept..].iter().product();
        (op.reducer == Reducer::Sum && are_last && area >= Four::COUNT).then_some(SumMaps {
            area,
            shape: output.shape.as_concrete()?.into(),
        })
    }
}

impl Op for SumMaps {
    fn name(&self) -> StaticName {
        "SumMaps".into()
    }

    op_as_typed_op!();
}

impl EvalOp for SumMaps {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let maps = args_1!(inputs);
        let maps = maps.try_as_plain_ram()?;
        let set = Set::best();
        let maps = maps.as_slice::<f32>()?.chunks_exact(self.area);
        let sums: Vec<f32> = maps.map(|map| set.run(Sum(map))).collect();
        Ok(tvec!(Tensor::from_shape(&self.shape, &sums)?.into_tvalue()))
    }
}

impl TypedOp for SumMaps {
    as_op!();

    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(&self.shape)))
    }
}

/// The sum of some values.
struct Sum<'a>(&'a [f32]);

impl Work for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<R: Registers, const ROWS: usize, const VECTORS: usize>(self) -> f32 {
        let vectors = self.0.chunks_exact(R::Wide::COUNT);
        let rest = vectors.remainder();
        let mut sums = [R::Wide::splat(0.0); 4];
        for (index, vector) in vectors.enumerate() {
            // Safety: it is as long as a register.
            let vector = unsafe { R::Wide::load(vector.as_ptr()) };
            sums[index % 4] = sums[index % 4].add(vector);
        }
        let sums = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
        rest.iter().fold(sums.sum(), |sum, value| sum + value)
    }
}
