//! Running a graph in double precision.

use std::sync::Arc;

use tract_onnx::pb::{ModelProto, TensorProto, tensor_proto::DataType, type_proto};
use tract_onnx::prelude::*;

use gradlens::model::onnx::parts::int;

/// A graph with every f32 made f64.
fn in_double(proto: &ModelProto) -> ModelProto {
    let mut proto = proto.clone();
    let graph = proto.graph.as_mut().unwrap();
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        if let Some(type_proto::Value::TensorType(tensor)) =
            value.r#type.as_mut().and_then(|kind| kind.value.as_mut())
        {
            tensor.elem_type = DataType::Double as i32;
        }
    }
    graph.initializer.iter_mut().for_each(widen);
    for node in &mut graph.node {
        if node.op_type == "LayerNormalization" {
            let kind = DataType::Double as i64;
            node.attribute.push(int("stash_type", kind));
        }
        for attribute in &mut node.attribute {
            attribute.t.iter_mut().for_each(widen);
            if node.op_type == "Cast" && attribute.i == DataType::Float as i64 {
                attribute.i = DataType::Double as i64;
            }
        }
    }
    proto
}

fn widen(tensor: &mut TensorProto) {
    if tensor.data_type == DataType::Float as i32 {
        let values = tensor.raw_data.as_chunks().0.iter();
        tensor.raw_data = values
            .flat_map(|&bytes| f64::from(f32::from_le_bytes(bytes)).to_le_bytes())
            .collect();
        tensor.data_type = DataType::Double as i32;
    }
}

/// A prepared graph, and whether it is in double precision.
pub struct Runner {
    plan: Arc<TypedRunnableModel>,
    double: bool,
}

impl Runner {
    pub fn new(proto: &ModelProto, double: bool, shapes: &[&[usize]]) -> TractResult<Runner> {
        let mut proto = if double {
            in_double(proto)
        } else {
            proto.clone()
        };
        let graph = proto.graph.as_mut().unwrap();
        graph
            .output
            .iter_mut()
            .for_each(|output| output.r#type = None);
        let mut model = tract_onnx::onnx().model_for_proto_model(&proto)?;
        let kind = if double {
            f64::datum_type()
        } else {
            f32::datum_type()
        };
        for (index, shape) in shapes.iter().enumerate() {
            model.set_input_fact(index, InferenceFact::dt_shape(kind, shape.to_vec()))?;
        }
        let plan = model.into_typed()?.into_runnable()?;
        Ok(Runner { plan, double })
    }

    /// The last output, as f64.
    pub fn run(&self, inputs: &[(&[usize], &[f64])]) -> TractResult<(Vec<usize>, Vec<f64>)> {
        let value = |(shape, values): &(&[usize], &[f64])| -> TractResult<TValue> {
            let wide = Tensor::from_shape(shape, values)?;
            Ok(match self.double {
                true => wide.into(),
                false => wide.cast_to::<f32>()?.into_owned().into(),
            })
        };
        let inputs: TractResult<TVec<TValue>> = inputs.iter().map(value).collect();
        let outputs = self.plan.run(inputs?)?;
        let wide = outputs.last().unwrap().cast_to::<f64>()?.into_owned();
        let values = wide.to_plain_array_view::<f64>()?.iter().copied().collect();
        Ok((wide.shape().to_vec(), values))
    }
}
