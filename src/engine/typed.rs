//! From a graph of ONNX to tract's typed form, the weights copied once.

use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, tensor_proto::DataType};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::bail;
use tract_onnx::tract_core::ops::konst::Const;

use crate::model::{half, weights};

/// tract's typed form of a graph with fixed inputs, whose hollow tensors have their values in `whole`.
pub(super) fn read(mut proto: ModelProto, whole: &GraphProto) -> TractResult<TypedModel> {
    half::widen_half_initializers(&mut proto);
    let hollow = proto.graph.as_mut().map(weights::declare);
    let parsed = tract_onnx::onnx().parse(&proto, None)?;
    if !parsed.unresolved_inputs.is_empty() {
        bail!("nothing makes {}", parsed.unresolved_inputs.join(", "));
    }
    // The other tensors are tract's now: the file's copy goes before the optimiser packs another.
    drop(proto);
    let mut model = parsed.model;
    let whole = weights::by_name(whole);
    for tensor in hollow.unwrap_or_default() {
        let values = weights::source(&tensor).and_then(|name| whole.get(name));
        let outlet = parsed.outlets_by_name.get(&tensor.name);
        let (Some(values), Some(outlet)) = (values, outlet) else {
            bail!("the values of tensor '{}' are missing", tensor.name);
        };
        let value = floats(values, &tensor.dims)?.into_arc_tensor();
        model.inputs.retain(|input| input != outlet);
        model.nodes[outlet.node].outputs[outlet.slot].fact =
            TypedFact::try_from(value.clone())?.into();
        model.nodes[outlet.node].op = Const::new(value)?.into();
    }
    model.into_typed()
}

/// The floats of a stored f32 or f16 tensor, in another shape of as many.
fn floats(stored: &TensorProto, dims: &[i64]) -> TractResult<Tensor> {
    let shape: Vec<usize> = dims.iter().map(|&size| size as usize).collect();
    let raw = &stored.raw_data;
    let mut tensor = Tensor::zero::<f32>(&shape)?;
    let width = match stored.data_type == DataType::Float16 as i32 {
        true => 2,
        false => 4,
    };
    if raw.len() != width * tensor.len() {
        bail!("tensor '{}' is not as long as its shape", stored.name);
    }
    let mut plain = tensor.try_as_plain_ram_mut()?;
    match width {
        2 => half::widen(raw, plain.as_slice_mut()?),
        _ => plain.as_bytes_mut().copy_from_slice(raw),
    }
    Ok(tensor)
}
