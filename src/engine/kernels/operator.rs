//! The convolutions of a graph, handed to our own kernels: an operator of tract's, and the pass that puts it in.

use std::sync::Arc;

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::nn::DataFormat;

use super::convolution::Convolution;
use super::filled::filled;
use super::fold;
use super::room::with_room;
use super::set::Set;
use super::window::Window;
use crate::engine::hollow::{Hollow, Store};

/// Replaces the convolutions that [`Convolve`] can do: those over two axes with fixed weights, of maps of a fixed size. Whether none was
/// left because its weights are not fixed yet.
pub(super) fn replace(model: &mut TypedModel) -> TractResult<bool> {
    let mut all = true;
    for id in 0..model.nodes().len() {
        let node = model.node(id);
        let Some(op) = node.op_as::<Conv>() else {
            continue;
        };
        let [maps, kernels, bias] = node.inputs[..] else {
            continue;
        };
        let (Some(kernels), Some(bias)) = (Kernels::at(model, kernels)?, fixed(model, bias)?)
        else {
            all = false;
            continue;
        };
        let own = Convolve::of(
            op,
            model.outlet_fact(maps)?,
            kernels,
            bias,
            &node.outputs[0].fact,
        )?;
        if let Some(op) = own {
            put(model, id, Box::new(op), &[maps])?;
        }
    }
    for id in 0..model.nodes().len() {
        while fold::within(model, id)? {}
    }
    Ok(all)
}

/// Puts another operator in a node's place, with other inputs.
pub(super) fn put(
    model: &mut TypedModel,
    id: usize,
    op: Box<dyn TypedOp>,
    inputs: &[OutletId],
) -> TractResult<()> {
    for input in std::mem::take(&mut model.node_mut(id).inputs) {
        let successors = &mut model.nodes[input.node].outputs[input.slot].successors;
        successors.retain(|reader| reader.node != id);
    }
    model.node_mut(id).op = op;
    for (slot, &input) in inputs.iter().enumerate() {
        model.add_edge(input, InletId::new(id, slot))?;
    }
    Ok(())
}

/// The value of a tensor that does not hang on the picture, or that of what it is cast from where it has that type already.
fn fixed(model: &TypedModel, outlet: OutletId) -> TractResult<Option<Arc<Tensor>>> {
    let fact = model.outlet_fact(outlet)?;
    let node = model.node(outlet.node);
    match (&fact.konst, node.op_is::<Cast>()) {
        (None, true) => {
            let from = model.outlet_fact(node.inputs[0])?;
            let value = from.konst.clone();
            Ok(value.filter(|value| value.datum_type() == fact.datum_type))
        }
        (value, _) => Ok(value.clone()),
    }
}

/// The kernels of a convolution.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) enum Kernels {
    /// As the graph has them, `[rows, maps / groups, y, x]`.
    Given(Arc<Tensor>),
    /// The same, kept elsewhere, and what is done to each of their rows.
    Hollow(Hollow, Vec<(Scale, Arc<Tensor>)>),
    /// In the form that running wants.
    Prepared(Arc<Tensor>),
}

/// What is done to a row of kernels with a number of its own.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
pub(super) enum Scale {
    Times,
    Over,
}

impl Scale {
    pub(super) fn of(self, weight: f32, number: f32) -> f32 {
        match self {
            Scale::Times => weight * number,
            Scale::Over => weight / number,
        }
    }

    fn rows(self, kernels: &mut [f32], numbers: &[f32]) {
        let length = (kernels.len() / numbers.len().max(1)).max(1);
        for (weights, &number) in kernels.chunks_exact_mut(length).zip(numbers) {
            for weight in weights {
                *weight = self.of(*weight, number);
            }
        }
    }
}

impl Kernels {
    /// What a tensor of the graph holds, or stands for.
    fn at(model: &TypedModel, outlet: OutletId) -> TractResult<Option<Kernels>> {
        let hollow = model.node(outlet.node).op_as::<Hollow>();
        match hollow {
            Some(hollow) => Ok(Some(Kernels::Hollow(hollow.clone(), Vec::new()))),
            None => Ok(fixed(model, outlet)?.map(Kernels::Given)),
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Kernels::Hollow(hollow, _) => &hollow.shape,
            Kernels::Given(tensor) | Kernels::Prepared(tensor) => tensor.shape(),
        }
    }

    /// Scales each row by a number of its own. `false` where it is too late for that.
    pub(super) fn scale(&mut self, by: Scale, numbers: &[f32]) -> TractResult<bool> {
        match self {
            Kernels::Given(tensor) => {
                let tensor = Arc::make_mut(tensor);
                by.rows(tensor.try_as_plain_ram_mut()?.as_slice_mut()?, numbers);
            }
            Kernels::Hollow(_, scales) => {
                let numbers = Tensor::from_shape(&[numbers.len()], numbers)?;
                scales.push((by, numbers.into()));
            }
            Kernels::Prepared(_) => return Ok(false),
        }
        Ok(true)
    }
}

/// A convolution of maps `[N, C, H, W]` with its weights.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) struct Convolve {
    pub convolution: Convolution,
    /// Pictures.
    batch: usize,
    pub kernels: Kernels,
    /// One number a row.
    pub bias: Arc<Tensor>,
}

impl Convolve {
    /// Reads an operator of tract's.
    fn of(
        op: &Conv,
        maps: &TypedFact,
        kernels: Kernels,
        bias: Arc<Tensor>,
        output: &TypedFact,
    ) -> TractResult<Option<Convolve>> {
        let spec = &op.pool_spec;
        let is_float = |tensor: &Tensor| tensor.datum_type() == DatumType::F32;
        let fits = spec.data_format == DataFormat::NCHW
            && op.kernel_fmt == KernelFormat::OIHW
            && op.q_params.is_none()
            && op.group > 0
            && maps.datum_type == DatumType::F32
            // What is computed before there is a picture is nobody's business here.
            && maps.konst.is_none()
            && is_float(&bias)
            && match &kernels {
                Kernels::Given(tensor) => is_float(tensor),
                Kernels::Hollow(..) | Kernels::Prepared(_) => true,
            };
        let (Some(shape), Some(result)) = (pairs(&maps.shape), pairs(&output.shape)) else {
            return Ok(None);
        };
        if !fits
            || kernels.shape().len() != 4
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
            _ => bias,
        };
        Ok(Some(Convolve {
            convolution: Convolution {
                window,
                maps: shape[0][1],
                rows,
                groups: op.group,
                after: Vec::new(),
                set: Set::best(),
            },
            batch: shape[0][0],
            kernels,
            bias,
        }))
    }

    /// Puts the kernels in the form that running wants.
    pub(super) fn prepare(&mut self, store: &Store) -> TractResult<()> {
        let prepared = match &self.kernels {
            Kernels::Prepared(_) => return Ok(()),
            Kernels::Given(tensor) => self.prepared(tensor.try_as_plain_ram()?.as_slice()?)?,
            Kernels::Hollow(hollow, scales) => {
                with_room(hollow.shape.iter().product(), |values| {
                    store.copy(&hollow.name, values)?;
                    for (scale, numbers) in scales {
                        scale.rows(values, numbers.try_as_plain_ram()?.as_slice()?);
                    }
                    self.prepared(values)
                })?
            }
        };
        self.kernels = Kernels::Prepared(prepared.into());
        Ok(())
    }

    fn prepared(&self, kernels: &[f32]) -> TractResult<Tensor> {
        let length = self.convolution.prepared_length();
        // Safety: every value is written below; floats have no invalid bits.
        let mut prepared = unsafe { Tensor::uninitialized::<f32>(&[length])? };
        let mut values = prepared.try_as_plain_ram_mut()?;
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
        let kernels = match &self.kernels {
            Kernels::Prepared(kernels) => kernels.clone(),
            Kernels::Given(kernels) => self
                .prepared(kernels.try_as_plain_ram()?.as_slice()?)?
                .into(),
            Kernels::Hollow(hollow, _) => bail!("the values of '{}' are not at hand", hollow.name),
        };
        let [kernels, bias] = [&kernels, &self.bias].map(|tensor| tensor.try_as_plain_ram());
        let (kernels, bias) = (kernels?, bias?);
        let (kernels, bias) = (kernels.as_slice::<f32>()?, bias.as_slice::<f32>()?);
        // Safety: a convolution writes every value of its result.
        unsafe {
            filled(inputs, &self.shape(), |maps, values| {
                let pictures = maps.chunks_exact((maps.len() / self.batch).max(1));
                let results = self.shape()[1..].iter().product();
                for (maps, result) in pictures.zip(values.chunks_exact_mut(results)) {
                    self.convolution.run(kernels, bias, maps, result);
                }
                Ok(())
            })
        }
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
        fold::patch(model, node)
    }
}
