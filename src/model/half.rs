//! Other floating point types than f32: gradients flow through f32 only, so a model in f16, bf16 or f64 becomes one in f32.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto::DataType,
    type_proto,
};

use super::onnx::parts;

/// Attributes that name an element type.
const TYPE_ATTRIBUTES: &[&str] = &["to", "dtype", "output_dtype", "stash_type"];

/// Turns a model that computes in f16 or bf16 into one that computes in f32, and with a picture input in f64 the whole model
/// too.
///
/// Every value of the narrow types is an f32; what they would round away stays. An f16 initializer that is only cast stays
/// as it is stored, see [`widen_half_initializers`]. Doubles elsewhere are left alone: exporters compute sizes in them.
pub fn to_single(proto: &mut ModelProto) {
    let Some(graph) = proto.graph.as_mut() else {
        return;
    };
    let mut foreign = vec![DataType::Float16 as i32, DataType::Bfloat16 as i32];
    let double = DataType::Double as i32;
    if graph
        .input
        .iter()
        .any(|input| element_type(input) == Some(double))
    {
        foreign.push(double);
    }
    let is_foreign = |kind: i32| foreign.contains(&kind);

    let stored = only_cast(graph);
    for tensor in &mut graph.initializer {
        if is_foreign(tensor.data_type) && !stored.contains(&tensor.name) {
            *tensor = single(tensor, &tensor.name);
        }
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        if TYPE_ATTRIBUTES.contains(&attribute.name.as_str())
            && i32::try_from(attribute.i).is_ok_and(is_foreign)
        {
            attribute.i = i64::from(DataType::Float as i32);
        }
        for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
            if is_foreign(tensor.data_type) {
                *tensor = single(tensor, &tensor.name);
            }
        }
    }
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        let kind = value.r#type.as_mut().and_then(|kind| kind.value.as_mut());
        if let Some(type_proto::Value::TensorType(tensor)) = kind
            && is_foreign(tensor.elem_type)
        {
            tensor.elem_type = DataType::Float as i32;
        }
    }
}

/// Names of the f16 initializers that are read by casts to f32 and by nothing else.
fn only_cast(graph: &GraphProto) -> HashSet<String> {
    let halves = graph.initializer.iter().filter(|tensor| is_half(tensor));
    let mut names: HashSet<String> = halves.map(|tensor| tensor.name.clone()).collect();
    for node in graph.node.iter().filter(|node| !casts_to_f32(node)) {
        for name in &node.input {
            names.remove(name);
        }
    }
    for output in &graph.output {
        names.remove(&output.name);
    }
    names
}

/// Replaces every `Cast` of a half-precision initializer to f32 by an f32 initializer of the cast's name.
///
/// Files store weights as f16 to be small; engines want them as f32 once, not at every run (tract folds such casts only
/// up to a memory budget). The values are the same: every f16 is an f32.
pub fn widen_half_initializers(proto: &mut ModelProto) {
    let Some(GraphProto {
        node,
        initializer,
        output,
        ..
    }) = proto.graph.as_mut()
    else {
        return;
    };
    let halves: HashMap<String, usize> = initializer
        .iter()
        .enumerate()
        .filter(|(_, tensor)| is_half(tensor))
        .map(|(index, tensor)| (tensor.name.clone(), index))
        .collect();
    let mut wide = Vec::new();
    node.retain(|node| {
        let source = node.input.first().and_then(|name| halves.get(name));
        match (casts_to_f32(node), source, node.output.first()) {
            (true, Some(&index), Some(name)) => {
                wide.push(single(&initializer[index], name));
                false
            }
            _ => true,
        }
    });
    let inputs = node.iter().flat_map(|node| &node.input);
    let still_read: HashSet<&String> = inputs
        .chain(output.iter().map(|output| &output.name))
        .collect();
    initializer.retain(|tensor| !is_half(tensor) || still_read.contains(&tensor.name));
    initializer.extend(wide);
}

fn is_half(tensor: &TensorProto) -> bool {
    tensor.data_type == DataType::Float16 as i32
}

fn casts_to_f32(node: &NodeProto) -> bool {
    let to = parts::attribute(node, "to");
    node.op_type == "Cast" && to.is_some_and(|a| a.i == DataType::Float as i64)
}

/// The f32 copy, under another name, of an f16, bf16 or f64 tensor that `onnx::check` accepted; of any other type the copy.
pub(super) fn single(tensor: &TensorProto, name: &str) -> TensorProto {
    let raw = &tensor.raw_data;
    let values: Vec<f32> = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float16) => halves(tensor, widened),
        Ok(DataType::Bfloat16) => halves(tensor, |bits| f32::from_bits(u32::from(bits) << 16)),
        Ok(DataType::Double) if raw.is_empty() => {
            tensor.double_data.iter().copied().map(narrowed).collect()
        }
        Ok(DataType::Double) => {
            let eights = raw.as_chunks().0.iter();
            eights
                .map(|&bytes| narrowed(f64::from_le_bytes(bytes)))
                .collect()
        }
        _ => {
            return TensorProto {
                name: name.to_owned(),
                ..tensor.clone()
            };
        }
    };
    TensorProto {
        // A hollow tensor stays one.
        external_data: tensor.external_data.clone(),
        ..parts::floats(name, &tensor.dims, &values)
    }
}

/// Writes the floats of a raw f16 tensor to `to`, as many as there are of both.
pub fn widen(raw: &[u8], to: &mut [f32]) {
    for (&pair, to) in raw.as_chunks().0.iter().zip(to) {
        *to = widened(u16::from_le_bytes(pair));
    }
}

/// Writes the floats of a raw f32 tensor to `to`, as many as there are of both.
pub fn floats(raw: &[u8], to: &mut [f32]) {
    for (&four, to) in raw.as_chunks().0.iter().zip(to) {
        *to = f32::from_le_bytes(four);
    }
}

/// The floats of a tensor of 16-bit ones.
fn halves(tensor: &TensorProto, to_f32: impl Fn(u16) -> f32) -> Vec<f32> {
    if tensor.raw_data.is_empty() {
        let typed = tensor.int32_data.iter();
        return typed.map(|&bits| to_f32(bits as u16)).collect();
    }
    let pairs = tensor.raw_data.as_chunks().0.iter();
    pairs
        .map(|&pair| to_f32(u16::from_le_bytes(pair)))
        .collect()
}

/// The f32 of an f16, without a branch, so that weights are widened several at a time.
fn widened(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let rest = u32::from(bits & 0x7fff) << 13;
    // 2^112 between the two biases of the exponent; subnormal numbers come out right as well.
    let finite = (f32::from_bits(rest) * f32::from_bits(0x7780_0000)).to_bits();
    let is_finite = rest < 0x0f80_0000;
    f32::from_bits(
        sign | if is_finite {
            finite
        } else {
            rest | 0x7f80_0000
        },
    )
}

/// The nearest finite f32 of a finite f64: a mask's "most negative number" stays one.
fn narrowed(value: f64) -> f32 {
    if value.is_finite() {
        value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
    } else {
        value as f32
    }
}

fn element_type(value: &ValueInfoProto) -> Option<i32> {
    match value.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => Some(tensor.elem_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(tensor: &TensorProto) -> Vec<f32> {
        let (fours, _) = tensor.raw_data.as_chunks();
        fours
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect()
    }

    #[test]
    fn every_half_is_widened_to_its_value() {
        for bits in 0..=u16::MAX {
            let (found, expected) = (widened(bits), half::f16::from_bits(bits).to_f32());
            let same = found.to_bits() == expected.to_bits();
            assert!(same || (found.is_nan() && expected.is_nan()), "{bits:#06x}");
        }
    }

    #[test]
    fn other_types_become_floats_of_the_same_value() {
        let values = [1.5f32, -0.25, 96.0];
        let tensor = |kind: DataType, raw: Vec<u8>| TensorProto {
            name: "w".into(),
            dims: vec![3],
            data_type: kind as i32,
            raw_data: raw,
            ..TensorProto::default()
        };
        let bits16 = |to_bits: fn(f32) -> u16| {
            values
                .iter()
                .flat_map(|&v| to_bits(v).to_le_bytes())
                .collect::<Vec<u8>>()
        };
        let f16 = bits16(|v| half::f16::from_f32(v).to_bits());
        let bf16 = bits16(|v| half::bf16::from_f32(v).to_bits());
        let f64 = values
            .iter()
            .flat_map(|&v| f64::from(v).to_le_bytes())
            .collect();
        for (kind, raw) in [
            (DataType::Float16, f16),
            (DataType::Bfloat16, bf16),
            (DataType::Double, f64),
        ] {
            let wide = single(&tensor(kind, raw), "x");
            assert_eq!(floats(&wide), values, "{kind:?}");
        }
        let mask = [f64::MIN, f64::NEG_INFINITY, 0.0]
            .map(f64::to_le_bytes)
            .concat();
        let mask = single(&tensor(DataType::Double, mask), "x");
        assert_eq!(floats(&mask), [f32::MIN, f32::NEG_INFINITY, 0.0]);
    }
}
