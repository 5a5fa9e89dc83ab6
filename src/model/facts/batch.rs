//! Shapes behind operators that tract infers for a fixed batch only.

use tract_onnx::pb::{
    ModelProto, ValueInfoProto, tensor_shape_proto::Dimension,
    tensor_shape_proto::dimension::Value, type_proto,
};

use super::{Dim, ElementType, Fact, Facts};
use crate::model::ModelError;

/// Operators whose result tract 0.23.9 infers only where it knows every size of the input.
const FIXED_ONLY: &[&str] = &["ConvTranspose"];
/// Two batches that tell a size that grows with the batch from one that stays.
const BATCHES: [i64; 2] = [2, 3];

/// Fills in shapes that are open only because the batch is: two inferences with fixed batches tell them.
pub(super) fn fill(
    proto: &ModelProto,
    facts: &mut Facts,
    infer: impl Fn(ModelProto) -> Result<Facts, ModelError>,
) {
    let nodes = proto.graph.iter().flat_map(|graph| &graph.node);
    let mut operators = nodes.map(|node| node.op_type.as_str());
    let open = operators.any(|operator| FIXED_ONLY.contains(&operator));
    let Some(symbol) = open.then(|| batch(proto, facts)).flatten() else {
        return;
    };
    // What contradicts a fixed batch stays open.
    let [Ok(two), Ok(three)] = BATCHES.map(|size| infer(at(proto, size))) else {
        return;
    };
    for (name, fact) in facts.iter_mut().filter(|(_, fact)| is_open(fact)) {
        let (Some(a), Some(b)) = (two.get(name), three.get(name)) else {
            continue;
        };
        if let (Some(a), Some(b)) = (&a.shape, &b.shape)
            && a.len() == b.len()
        {
            let dims = a.iter().zip(b).map(|(a, b)| between(a, b, &symbol));
            fact.shape = Some(dims.collect());
        }
        if fact.element == ElementType::Unknown {
            fact.element = a.element;
        }
    }
}

/// The name of the batch, where the model's input leaves it open.
fn batch(proto: &ModelProto, facts: &Facts) -> Option<String> {
    let inputs = &proto.graph.as_ref()?.input;
    inputs.iter().find_map(|input| {
        let shape = facts.get(&input.name)?.shape.as_ref()?;
        match shape.first()? {
            Dim::Symbol(symbol) if symbol != "?" => Some(symbol.clone()),
            _ => None,
        }
    })
}

/// The model for a fixed batch.
fn at(proto: &ModelProto, size: i64) -> ModelProto {
    let mut fixed = proto.clone();
    let inputs = fixed.graph.iter_mut().flat_map(|graph| &mut graph.input);
    for batch in inputs.filter_map(first_dimension) {
        if !matches!(batch.value, Some(Value::DimValue(_))) {
            batch.value = Some(Value::DimValue(size));
        }
    }
    fixed
}

fn first_dimension(input: &mut ValueInfoProto) -> Option<&mut Dimension> {
    let type_proto::Value::TensorType(tensor) = input.r#type.as_mut()?.value.as_mut()?;
    tensor.shape.as_mut()?.dim.first_mut()
}

fn is_open(fact: &Fact) -> bool {
    let shape = fact.shape.as_ref();
    shape.is_none_or(|shape| shape.contains(&Dim::Symbol("?".into())))
}

/// A size that is `a` for the smaller of [`BATCHES`] and `b` for the larger.
fn between(a: &Dim, b: &Dim, symbol: &str) -> Dim {
    match (a.known(), b.known()) {
        (Some(a), Some(b)) if a == b => Dim::Known(a),
        (Some(a), Some(b)) if a % BATCHES[0] == 0 && a / BATCHES[0] * BATCHES[1] == b => {
            Dim::Symbol(match a / BATCHES[0] {
                1 => symbol.to_owned(),
                times => format!("{times}*{symbol}"),
            })
        }
        _ => Dim::Symbol("?".into()),
    }
}
