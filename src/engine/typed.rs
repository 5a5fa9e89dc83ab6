//! From a graph of ONNX to tract's typed form, the weights copied once.

use std::sync::Arc;

use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, tensor_proto::DataType};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::bail;
use tract_onnx::tract_core::ops::konst::Const;

use super::wiring;
use crate::model::onnx::parts;
use crate::model::{half, weights};

/// tract's typed form of a graph with fixed inputs, whose hollow tensors have their values in `whole`.
pub(super) fn read(mut proto: ModelProto, whole: &GraphProto) -> TractResult<TypedModel> {
    half::widen_half_initializers(&mut proto);
    let hollow = proto.graph.as_mut().map(weights::take_hollow);
    let whole = weights::by_name(whole);
    let mut stored = Vec::new();
    for tensor in hollow.unwrap_or_default() {
        let values = weights::source(&tensor).and_then(|name| whole.get(name));
        let Some(values) = values else {
            bail!("the values of tensor '{}' are missing", tensor.name);
        };
        let value = floats(values, &tensor.dims)?.into_arc_tensor();
        stored.push((tensor.name, value));
    }
    // What the walk does not know how to do, tract's own way does, and it says best what is wrong.
    wiring::wire(&proto, &stored).or_else(|_| inferred(proto, stored))
}

/// Tract's own way: shapes and values inferred from all sides.
fn inferred(mut proto: ModelProto, stored: Vec<(String, Arc<Tensor>)>) -> TractResult<TypedModel> {
    if let Some(graph) = &mut proto.graph {
        for (name, value) in &stored {
            let dims: Vec<i64> = value.shape().iter().map(|&size| size as i64).collect();
            let kind = DataType::Float as i32;
            graph.input.push(parts::declared(name, kind, &dims));
        }
    }
    let parsed = tract_onnx::onnx().parse(&proto, None)?;
    if !parsed.unresolved_inputs.is_empty() {
        bail!("nothing makes {}", parsed.unresolved_inputs.join(", "));
    }
    let mut model = parsed.model;
    for (name, value) in stored {
        let Some(outlet) = parsed.outlets_by_name.get(&name) else {
            bail!("the values of tensor '{name}' are missing");
        };
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
