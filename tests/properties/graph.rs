//! Building small graphs out of random numbers.

use gradlens::model::onnx::parts::{self, int, ints};
use gradlens::random::SplitMix;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, tensor_proto::DataType,
    tensor_shape_proto::Dimension, tensor_shape_proto::dimension::Value, type_proto,
};

/// What the random graphs are drawn with.
pub struct Numbers(pub SplitMix);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.draw() % bound as u64) as usize
    }

    /// Distinct values from `low` to `high` in random order, none near zero, so that no two are near a tie or a kink.
    pub fn distinct(&mut self, count: usize, low: f64, high: f64) -> Vec<f32> {
        let at = |index: usize| low + (high - low) * (index as f64 + 0.5) / count as f64;
        let apart = |value: f64| if value.abs() < 0.02 { 0.02 } else { value };
        let mut values: Vec<f32> = (0..count).map(|index| apart(at(index)) as f32).collect();
        for last in (1..count).rev() {
            values.swap(last, self.below(last + 1));
        }
        values
    }
}

/// A graph that reads `input`.
pub struct Graph {
    pub nodes: Vec<NodeProto>,
    pub initializers: Vec<TensorProto>,
    pub numbers: Numbers,
    pub opset: i64,
}

impl Graph {
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = format!("{}_{}", operator.to_lowercase(), self.nodes.len());
        self.nodes
            .push(parts::node(operator, inputs, &output, attributes));
        output
    }

    fn constant(&mut self, tensor: TensorProto) -> String {
        let name = format!("constant_{}", self.initializers.len());
        self.initializers.push(TensorProto {
            name: name.clone(),
            ..tensor
        });
        name
    }

    pub fn ints(&mut self, values: &[i64]) -> String {
        self.constant(parts::integers("", &[values.len() as i64], values))
    }

    /// A random constant.
    pub fn floats(&mut self, dims: &[i64], low: f64, high: f64) -> String {
        let count = dims.iter().product::<i64>() as usize;
        let values = self.numbers.distinct(count, low, high);
        self.constant(parts::floats("", dims, &values))
    }

    /// The mean over `axes`, which stay as ones.
    pub fn mean(&mut self, x: &str, axes: &[i64]) -> String {
        self.reduce("ReduceMean", x, axes, 1)
    }

    /// A reduction with its axes where the opset has them.
    pub fn reduce(&mut self, operator: &str, x: &str, axes: &[i64], keepdims: i64) -> String {
        let keep = int("keepdims", keepdims);
        if self.opset >= 18 || operator == "ReduceSum" {
            let axes = self.ints(axes);
            self.node(operator, &[x, &axes], vec![keep])
        } else {
            self.node(operator, &[x], vec![ints("axes", axes), keep])
        }
    }

    /// The whole model; the batch is open where it is `None`.
    pub fn model(&self, batch: Option<usize>, shape: [usize; 4], scores: &str) -> ModelProto {
        let size = |size: usize| Value::DimValue(size as i64);
        let first = batch.map_or(Value::DimParam("N".into()), size);
        let image = [first, size(shape[1]), size(shape[2]), size(shape[3])];
        ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: self.opset,
            }],
            graph: Some(GraphProto {
                name: "property".into(),
                node: self.nodes.clone(),
                initializer: self.initializers.clone(),
                input: vec![declared("input", Some(&image))],
                output: vec![declared(scores, None)],
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        }
    }
}

fn declared(name: &str, shape: Option<&[Value]>) -> ValueInfoProto {
    let dimension = |value: &Value| Dimension {
        value: Some(value.clone()),
        ..Dimension::default()
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: DataType::Float as i32,
                shape: shape.map(|shape| TensorShapeProto {
                    dim: shape.iter().map(dimension).collect(),
                }),
            })),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
