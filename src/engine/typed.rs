//! From a graph of ONNX to tract's typed form, large weights left where they are.

use std::collections::HashSet;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::bail;
use tract_onnx::tract_core::ops::konst::Const;

use super::hollow::{Hollow, Store};
use super::wiring;
use crate::model::onnx::parts;
use crate::model::{half, weights};

/// tract's typed form of a graph with fixed inputs, whose hollow tensors have their values in `store`. Kernels of convolutions stay hollow.
pub(super) fn read(mut proto: ModelProto, store: &Store) -> TractResult<TypedModel> {
    half::widen_half_initializers(&mut proto);
    let hollow = proto.graph.as_mut().map(weights::take_hollow);
    let hollow = hollow.unwrap_or_default();
    let kernels = proto.graph.as_ref().map(kernels).unwrap_or_default();
    let stored = hollow.iter().map(|tensor| {
        let name = weights::source(tensor).unwrap_or_default();
        let shape: TVec<usize> = tensor.dims.iter().map(|&size| size as usize).collect();
        let stored = match kernels.contains(tensor.name.as_str()) {
            true => Stored::hollow(name, shape),
            false => Stored::whole(store.values(name, &shape)?)?,
        };
        Ok((tensor.name.as_str(), stored))
    });
    let stored: Vec<(&str, Stored)> = stored.collect::<TractResult<_>>()?;
    // What the walk does not know how to do, tract's own way does, and it says best what is wrong.
    wiring::wire(&proto, &stored).or_else(|_| inferred(&proto, &hollow, store))
}

/// A tensor that a graph reads and does not hold.
pub(super) struct Stored {
    pub op: Box<dyn TypedOp>,
    pub fact: TypedFact,
}

impl Stored {
    fn hollow(name: &str, shape: TVec<usize>) -> Stored {
        Stored {
            fact: f32::fact(&shape),
            op: Box::new(Hollow {
                name: name.to_owned(),
                shape,
            }),
        }
    }

    pub(super) fn whole(value: Tensor) -> TractResult<Stored> {
        let value = value.into_arc_tensor();
        Ok(Stored {
            fact: value.clone().try_into()?,
            op: Box::new(Const::new(value)?),
        })
    }
}

/// Names of the tensors that are read as the kernels of convolutions and in no other way.
fn kernels(graph: &GraphProto) -> HashSet<&str> {
    let is_kernel = |node: &NodeProto, position| node.op_type == "Conv" && position == 1;
    let mut kernels = HashSet::new();
    let mut others: HashSet<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    for node in &graph.node {
        for (position, name) in node.input.iter().enumerate() {
            let names = match is_kernel(node, position) {
                true => &mut kernels,
                false => &mut others,
            };
            names.insert(name.as_str());
        }
    }
    kernels.retain(|name| !others.contains(name));
    kernels
}

/// Tract's own way: shapes and values inferred from all sides.
fn inferred(proto: &ModelProto, hollow: &[TensorProto], store: &Store) -> TractResult<TypedModel> {
    let mut proto = proto.clone();
    for tensor in hollow {
        let input = parts::declared(&tensor.name, tensor.data_type, &tensor.dims);
        proto
            .graph
            .iter_mut()
            .for_each(|graph| graph.input.push(input.clone()));
    }
    let parsed = tract_onnx::onnx().parse(&proto, None)?;
    if !parsed.unresolved_inputs.is_empty() {
        bail!("nothing makes {}", parsed.unresolved_inputs.join(", "));
    }
    let mut model = parsed.model;
    for tensor in hollow {
        let name = weights::source(tensor).unwrap_or_default();
        let Some(outlet) = parsed.outlets_by_name.get(&tensor.name) else {
            bail!("the values of tensor '{}' are missing", tensor.name);
        };
        let shape: TVec<usize> = tensor.dims.iter().map(|&size| size as usize).collect();
        let value = store.values(name, &shape)?.into_arc_tensor();
        model.inputs.retain(|input| input != outlet);
        model.nodes[outlet.node].outputs[outlet.slot].fact =
            TypedFact::try_from(value.clone())?.into();
        model.nodes[outlet.node].op = Const::new(value)?.into();
    }
    model.into_typed()
}
