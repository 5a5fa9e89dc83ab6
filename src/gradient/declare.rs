//! What a gradient graph says of itself: types and shapes of its inputs and outputs, metadata.

use std::collections::HashMap;

use tract_onnx::pb::{
    StringStringEntryProto, TensorShapeProto, TypeProto, ValueInfoProto, tensor_proto::DataType,
    tensor_shape_proto::Dimension, tensor_shape_proto::dimension, type_proto,
};

use super::{
    Bias, GRADIENT_INPUT, GradientError, activation_name, bias_gradient_name, gradient_name,
};
use crate::model::Model;
use crate::model::facts::Dim;

/// Declares the outputs, in their order.
pub(super) fn declarations(
    model: &Model,
    layers: &[&str],
    biases: &[Bias],
    outputs: &[(String, String)],
) -> Result<Vec<ValueInfoProto>, GradientError> {
    let mut shapes: HashMap<String, Option<Vec<Dim>>> = HashMap::new();
    let batch = shape_of(model, &model.input).and_then(|shape| shape.first().cloned());
    for &name in layers {
        let layer = model.find_layer(name)?;
        let sizes = [layer.channels, layer.height, layer.width].map(Dim::Known);
        let shape = batch
            .clone()
            .map(|batch| [vec![batch], sizes.to_vec()].concat());
        shapes.insert(activation_name(name), shape.clone());
        shapes.insert(gradient_name(name), shape);
    }
    for Bias { tensor, .. } in biases {
        shapes.insert(bias_gradient_name(tensor), shape_of(model, tensor));
    }
    shapes.insert(GRADIENT_INPUT.to_owned(), shape_of(model, &model.input));
    let scores = shape_of(model, &model.scores);
    let shape = |name: &String| shapes.get(name).cloned().unwrap_or_else(|| scores.clone());
    Ok(outputs
        .iter()
        .map(|(name, _)| value_info(name, shape(name)))
        .collect())
}

/// What is known of a tensor's shape.
pub(super) fn shape_of(model: &Model, tensor: &str) -> Option<Vec<Dim>> {
    model.facts.get(tensor)?.shape.clone()
}

/// The declaration of a float tensor.
pub(super) fn value_info(name: &str, shape: Option<Vec<Dim>>) -> ValueInfoProto {
    let shape = shape.map(|shape| TensorShapeProto {
        dim: shape
            .iter()
            .map(|dim| Dimension {
                denotation: String::new(),
                value: match dim {
                    Dim::Known(size) => Some(dimension::Value::DimValue(*size)),
                    Dim::Symbol(symbol) if symbol == "?" => None,
                    Dim::Symbol(symbol) => Some(dimension::Value::DimParam(symbol.clone())),
                },
            })
            .collect(),
    });
    ValueInfoProto {
        name: name.to_owned(),
        doc_string: String::new(),
        r#type: Some(TypeProto {
            denotation: String::new(),
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: DataType::Float as i32,
                shape,
            })),
        }),
    }
}

/// One entry of the metadata.
pub(super) fn property(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto {
        key: key.into(),
        value: value.into(),
    }
}
