//! Parts of graphs: nodes, attributes and stored tensors, made and looked up.

use tract_onnx::pb::{
    AttributeProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto::Dimension,
    tensor_shape_proto::dimension, type_proto,
};

/// A node with one output, named after it.
#[must_use]
pub fn node(
    operator: &str,
    inputs: &[&str],
    output: &str,
    attributes: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        name: output.to_owned(),
        op_type: operator.to_owned(),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute: attributes,
        ..NodeProto::default()
    }
}

/// The attribute `name` of a node.
#[must_use]
pub fn attribute<'n>(node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
    node.attribute
        .iter()
        .find(|attribute| attribute.name == name)
}

/// An integer attribute.
#[must_use]
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i: value,
        ..AttributeProto::default()
    }
}

/// A float attribute.
#[must_use]
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f: value,
        ..AttributeProto::default()
    }
}

/// A list-of-integers attribute.
#[must_use]
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

/// A string attribute.
#[must_use]
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: value.as_bytes().to_vec(),
        ..AttributeProto::default()
    }
}

/// The declaration of a tensor of fixed shape.
#[must_use]
pub fn declared(name: &str, data_type: i32, dims: &[i64]) -> ValueInfoProto {
    let known = |&size: &i64| Dimension {
        denotation: String::new(),
        value: Some(dimension::Value::DimValue(size)),
    };
    let tensor = type_proto::Tensor {
        elem_type: data_type,
        shape: Some(TensorShapeProto {
            dim: dims.iter().map(known).collect(),
        }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        doc_string: String::new(),
        r#type: Some(TypeProto {
            denotation: String::new(),
            value: Some(type_proto::Value::TensorType(tensor)),
        }),
    }
}

/// A stored tensor of 64-bit integers.
#[must_use]
pub fn integers(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    let raw = values.iter().flat_map(|value| value.to_le_bytes());
    stored(name, DataType::Int64, dims, raw.collect())
}

/// A stored tensor of 32-bit floats.
#[must_use]
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    // Weights by the million pass here: as arrays, they are copied many at a time.
    let raw: Vec<[u8; 4]> = values.iter().map(|value| value.to_le_bytes()).collect();
    stored(name, DataType::Float, dims, raw.into_flattened())
}

fn stored(name: &str, kind: DataType, dims: &[i64], raw: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: kind as i32,
        raw_data: raw,
        ..TensorProto::default()
    }
}
