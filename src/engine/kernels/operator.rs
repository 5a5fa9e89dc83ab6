//! The convolutions of a graph, handed to our own kernels: an operator of tract's, and the pass that puts it in.

use std::sync::Arc;

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::nn::DataFormat;

use super::convolution::Convolution;
use super::fold;
use super::window::Window;

/// Replaces the convolutions that [`Convolve`] can do: those over two axes with fixed weights, of maps of a fixed size.
pub(super) fn replace(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let node = model.node(id);
        let Some(op) = node.op_as::<Conv>() else {
            continue;
        };
        let output = &node.outputs[0].fact;
        let own = Convolve::of(op, &model.node_input_facts(id)?, output)?;
        if let Some(op) = own {
            let patch = TypedModelPatch::replace_single_op(model, node, &node.inputs[..1], op)?;
            patch.apply(model)?;
        }
    }
    Ok(())
}

/// A convolution of maps `[N, C, H, W]` with its weights.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) struct Convolve {
    pub convolution: Convolution,
    /// Pictures.
    batch: usize,
    /// As the graph has them, `[rows, maps / groups, y, x]`, or prepared.
    pub kernels: Arc<Tensor>,
    /// One number a row.
    pub bias: Arc<Tensor>,
    prepared: bool,
}

impl Convolve {
    /// Reads an operator whose inputs are the maps, the kernels, and the bias.
    fn of(op: &Conv, inputs: &[&TypedFact], output: &TypedFact) -> TractResult<Option<Convolve>> {
        let [maps, kernels, bias] = inputs else {
            return Ok(None);
        };
        let spec = &op.pool_spec;
        let fits = spec.data_format == DataFormat::NCHW
            && op.kernel_fmt == KernelFormat::OIHW
            && op.q_params.is_none()
            && op.group > 0
            && inputs.iter().all(|fact| fact.datum_type == DatumType::F32);
        let (Some(kernels), Some(bias)) = (&kernels.konst, &bias.konst) else {
            return Ok(None);
        };
        let (Some(shape), Some(result)) = (pairs(&maps.shape), pairs(&output.shape)) else {
            return Ok(None);
        };
        if !fits
            || kernels.rank() != 4
            || shape.concat().contains(&0)
            || result.concat().contains(&0)
        {
            return Ok(None);
        }
        let padding = spec.computed_padding(&shape[1]);
        let [strides, dilations] = [spec.strides(), spec.dilations()];
        let window = Window {
            size: shape[1],
            output: result[1],
            kernel: [kernels.shape()[2], kernels.shape()[3]],
            strides: [strides[0], strides[1]],
            dilations: [dilations[0], dilations[1]],
            before: [padding[0].pad_before, padding[1].pad_before],
        };
        if !window.is_modest() {
            return Ok(None);
        }
        let rows = result[0][1];
        let bias = match bias.len() {
            1 => Tensor::from_shape(&[rows], &vec![bias.cast_to_scalar::<f32>()?; rows])?.into(),
            _ => bias.clone(),
        };
        Ok(Some(Convolve {
            convolution: Convolution {
                window,
                maps: shape[0][1],
                rows,
                groups: op.group,
                after: Vec::new(),
            },
            batch: shape[0][0],
            kernels: kernels.clone(),
            bias,
            prepared: false,
        }))
    }

    /// The kernels in the form that running wants.
    fn prepared(&self) -> TractResult<Tensor> {
        let kernels = self.kernels.try_as_plain_ram()?;
        let length = self.convolution.prepared_length();
        // Safety: every value is written below; floats have no invalid bits.
        let mut prepared = unsafe { Tensor::uninitialized::<f32>(&[length])? };
        let mut values = prepared.try_as_plain_ram_mut()?;
        let kernels = kernels.as_slice::<f32>()?;
        self.convolution
            .prepare(kernels, values.as_slice_mut::<f32>()?);
        Ok(prepared)
    }

    fn shape(&self) -> [usize; 4] {
        let [height, width] = self.convolution.window.output;
        [self.batch, self.convolution.rows, height, width]
    }
}

/// Batch and maps, rows and columns, where they are fixed.
fn pairs(shape: &ShapeFact) -> Option<[[usize; 2]; 2]> {
    let [batch, maps, height, width] = shape.as_concrete()?.try_into().ok()?;
    Some([[batch, maps], [height, width]])
}

impl Op for Convolve {
    fn name(&self) -> StaticName {
        "Convolve".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Convolve {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let maps = args_1!(inputs);
        let maps = maps.try_as_plain_ram()?;
        let maps = maps.as_slice::<f32>()?;
        let kernels = match self.prepared {
            true => self.kernels.clone(),
            false => self.prepared()?.into(),
        };
        let [kernels, bias] = [&kernels, &self.bias].map(|tensor| tensor.try_as_plain_ram());
        let (kernels, bias) = (kernels?, bias?);
        let (kernels, bias) = (kernels.as_slice::<f32>()?, bias.as_slice::<f32>()?);
        // Safety: every value of the result is written below; floats have no invalid bits.
        let mut result = unsafe { Tensor::uninitialized::<f32>(&self.shape())? };
        let mut values = result.try_as_plain_ram_mut()?;
        let pictures = maps.chunks_exact((maps.len() / self.batch).max(1));
        let results = self.shape()[1..].iter().product();
        let results = values.as_slice_mut::<f32>()?.chunks_exact_mut(results);
        for (maps, result) in pictures.zip(results) {
            self.convolution.run(kernels, bias, maps, result);
        }
        Ok(tvec!(result.into_tvalue()))
    }
}

impl TypedOp for Convolve {
    as_op!();

    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(self.shape())))
    }

    fn declutter(
        &self,
        model: &TypedModel,
        node: &TypedNode,
    ) -> TractResult<Option<TypedModelPatch>> {
        match fold::predecessor(self, model, node)? {
            None => fold::successor(self, model, node),
            folded => Ok(folded),
        }
    }

    fn codegen(
        &self,
        model: &TypedModel,
        node: &TypedNode,
    ) -> TractResult<Option<TypedModelPatch>> {
        if self.prepared {
            return Ok(None);
        }
        let op = Convolve {
            kernels: self.prepared()?.into(),
            prepared: true,
            ..self.clone()
        };
        TypedModelPatch::replace_single_op(model, node, &node.inputs, op).map(Some)
    }
}
