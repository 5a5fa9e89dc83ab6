//! Small classifiers, sound and changed.

use std::fs;

use gradlens::model::{Model, ModelError, onnx};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::Dimension,
    tensor_shape_proto::dimension, type_proto,
};

use crate::common;

pub fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: operator.into(),
        name: output.into(),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

pub fn value(name: &str, kind: DataType, shape: &[i64]) -> ValueInfoProto {
    let dim = |&size: &i64| Dimension {
        // Negative: open.
        value: (size >= 0).then_some(dimension::Value::DimValue(size)),
        ..Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: kind as i32,
        shape: Some(TensorShapeProto {
            dim: shape.iter().map(dim).collect(),
        }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

pub fn floats(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>() as usize;
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        float_data: (0..count)
            .map(|index| index as f32 / count as f32 - 0.3)
            .collect(),
        ..TensorProto::default()
    }
}

/// A sound classifier: picture `x` [1, 3, 8, 8], convolution `c`, ReLU `a`, global mean, three scores `y`.
pub fn sound() -> ModelProto {
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 17,
        }],
        graph: Some(GraphProto {
            name: "sound".into(),
            input: vec![value("x", DataType::Float, &[1, 3, 8, 8])],
            output: vec![value("y", DataType::Float, &[1, 3])],
            initializer: vec![floats("w", &[4, 3, 3, 3]), floats("m", &[4, 3])],
            node: vec![
                node("Conv", &["x", "w"], "c"),
                node("Relu", &["c"], "a"),
                node("GlobalAveragePool", &["a"], "p"),
                node("Flatten", &["p"], "f"),
                node("MatMul", &["f", "m"], "y"),
            ],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

/// Opens the sound model after a change to its graph.
pub fn changed(change: impl FnOnce(&mut GraphProto)) -> Result<Model, ModelError> {
    let mut proto = sound();
    change(proto.graph.as_mut().unwrap());
    Model::open(&onnx::write(&proto), None, "changed")
}

pub fn refusal(change: impl FnOnce(&mut GraphProto)) -> String {
    changed(change).unwrap_err().to_string()
}

/// Opens a file of `tests/fixtures/formats` as the command line does, without its files beside it.
pub fn format(name: &str) -> Result<Model, ModelError> {
    let bytes = fs::read(common::fixture(&format!("formats/{name}.onnx"))).unwrap();
    Model::open(&bytes, None, name)
}
