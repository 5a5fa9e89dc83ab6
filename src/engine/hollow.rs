//! Weights that a typed graph names and does not hold: they are fetched by whoever puts them in another form, and held in that form only.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, TensorProto, tensor_proto::DataType};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::konst::Const;

use crate::model::{half, weights};

/// The stored tensors of a model: where hollow ones have their values.
#[derive(Default)]
pub(super) struct Store<'g>(HashMap<&'g str, &'g TensorProto>);

impl<'g> Store<'g> {
    pub(super) fn of(whole: &'g GraphProto) -> Store<'g> {
        Store(weights::by_name(whole))
    }

    /// The floats of a stored f32 or f16 tensor, in another shape of as many.
    pub(super) fn values(&self, name: &str, shape: &[usize]) -> TractResult<Tensor> {
        let mut tensor = Tensor::zero::<f32>(shape)?;
        self.copy(name, tensor.try_as_plain_ram_mut()?.as_slice_mut()?)?;
        Ok(tensor)
    }

    /// Copies the floats of a stored f32 or f16 tensor.
    pub(super) fn copy(&self, name: &str, to: &mut [f32]) -> TractResult<()> {
        let Some(stored) = self.0.get(name) else {
            bail!("the values of tensor '{name}' are missing");
        };
        let raw = &stored.raw_data;
        let is_half = stored.data_type == DataType::Float16 as i32;
        let width = if is_half { 2 } else { 4 };
        if raw.len() != width * to.len() {
            bail!("tensor '{}' is not as long as its shape", stored.name);
        }
        match is_half {
            true => half::widen(raw, to),
            false => half::floats(raw, to),
        }
        Ok(())
    }
}

/// Stands for a tensor that a [`Store`] has under a name.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) struct Hollow {
    pub name: String,
    pub shape: TVec<usize>,
}

impl Op for Hollow {
    fn name(&self) -> StaticName {
        "Hollow".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Hollow {
    not_out_of_plan!();
}

impl TypedOp for Hollow {
    as_op!();

    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(&self.shape)))
    }
}

/// Fetches what is hollow, but for what nothing reads any more.
pub(super) fn fill(model: &mut TypedModel, store: &Store) -> TractResult<()> {
    for node in &mut model.nodes {
        let read = node.outputs.iter().any(|o| !o.successors.is_empty());
        let Some(hollow) = node.op_as::<Hollow>().filter(|_| read) else {
            continue;
        };
        let value = store.values(&hollow.name, &hollow.shape)?.into_arc_tensor();
        node.outputs[0].fact = TypedFact::try_from(value.clone())?;
        node.op = Box::new(Const::new(value)?);
    }
    Ok(())
}
