//! What operators make of inputs whose shapes are known: the few that most of a classifier consists of.
//!
//! tract's rules serve facts of every degree and in every direction, and take ten times longer. What is not plain here is left to them.

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{DatumType, TDim, TVec};
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact};
use tract_onnx::tract_hir::internal::ToDim;

use crate::model::onnx::parts::attribute;

type Shape = TVec<TDim>;

/// The fact of a node's only output; `None` where the node is damaged, or no case for this.
pub fn output(node: &NodeProto, inputs: &[&InferenceFact]) -> Option<InferenceFact> {
    let is_float = |fact: &&InferenceFact| fact.datum_type.concretize() == Some(DatumType::F32);
    let is_value = |fact: &&InferenceFact| fact.value.concretize().is_some();
    // The value of constants is for tract to find.
    if node.output.len() != 1 || inputs.iter().all(is_value) || !inputs.iter().all(is_float) {
        return None;
    }
    let shapes = inputs.iter().map(|fact| fact.shape.concretize());
    let shapes: Vec<Shape> = shapes.collect::<Option<_>>()?;
    let shape = match (node.op_type.as_str(), shapes.as_slice()) {
        ("Identity" | "Relu" | "Sigmoid" | "Tanh" | "HardSigmoid" | "HardSwish", [maps]) => {
            maps.clone()
        }
        ("Clip", [maps, bounds @ ..])
            if bounds.len() <= 2 && bounds.iter().all(|b| b.is_empty()) =>
        {
            maps.clone()
        }
        ("Add" | "Sub" | "Mul" | "Div", [a, b]) => broadcast(a, b)?,
        ("BatchNormalization", [maps, numbers @ ..]) => normalised(maps, numbers)?,
        ("Conv", [maps, kernels, bias @ ..]) => convolved(node, maps, kernels, bias)?,
        ("MaxPool" | "AveragePool", [maps]) => pooled(node, maps)?,
        ("GlobalAveragePool", [maps]) if maps.len() > 2 => {
            let area = maps[2..].iter().map(|_| 1.to_dim());
            maps[..2].iter().cloned().chain(area).collect()
        }
        ("Concat", [_, ..]) => joined(node, &shapes)?,
        _ => return None,
    };
    Some(InferenceFact::dt_shape(DatumType::F32, &*shape))
}

/// The shape of two tensors' elements taken together.
fn broadcast(a: &Shape, b: &Shape) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let one = 1.to_dim();
    let size = |shape: &Shape, axis: usize| {
        let axis = (axis + shape.len()).checked_sub(rank);
        axis.map_or(one.clone(), |axis| shape[axis].clone())
    };
    let sizes = (0..rank).map(|axis| match (size(a, axis), size(b, axis)) {
        (a, b) if a == b || b == one => Some(a),
        (a, b) => (a == one).then_some(b),
    });
    sizes.collect()
}

fn normalised(maps: &Shape, numbers: &[Shape]) -> Option<Shape> {
    let fits = numbers.len() == 4
        && numbers
            .iter()
            .all(|shape| shape.as_slice() == maps.get(1..2).unwrap_or_default());
    fits.then(|| maps.clone())
}

fn convolved(node: &NodeProto, maps: &Shape, kernels: &Shape, bias: &[Shape]) -> Option<Shape> {
    let kernels = known(kernels)?;
    let ([rows, depth, kernel @ ..], [batch, channels, _, ..]) =
        (kernels.as_slice(), maps.as_slice())
    else {
        return None;
    };
    let groups = attribute(node, "group").map_or(1, |groups| groups.i);
    let fits_bias = match bias {
        [] => true,
        [bias] => known(bias)? == [*rows],
        _ => false,
    };
    let fits = groups > 0
        && rows % groups == 0
        && *rows > 0
        && *depth > 0
        && channels.to_i64().ok()? == depth.checked_mul(groups)?
        && numbers(node, "kernel_shape", kernel.len(), &[])?
            .iter()
            .zip(kernel)
            .all(|(a, b)| a == b);
    let sizes = slid(node, &maps[2..], kernel)?;
    (fits && fits_bias).then(|| {
        [batch.clone(), rows.to_dim()]
            .into_iter()
            .chain(sizes)
            .collect()
    })
}

fn pooled(node: &NodeProto, maps: &Shape) -> Option<Shape> {
    let kernel = &attribute(node, "kernel_shape")?.ints;
    let rounds_up = attribute(node, "ceil_mode").is_some_and(|mode| mode.i != 0);
    if maps.len() < 3 || rounds_up {
        return None;
    }
    let sizes = slid(node, &maps[2..], kernel)?;
    Some(maps[..2].iter().cloned().chain(sizes).collect())
}

/// Sizes of what a window gives that slides over maps.
fn slid(node: &NodeProto, maps: &[TDim], kernel: &[i64]) -> Option<Vec<TDim>> {
    let axes = maps.len();
    let pads_itself = attribute(node, "auto_pad").is_some_and(|how| how.s != b"NOTSET");
    if pads_itself || kernel.len() != axes {
        return None;
    }
    let strides = numbers(node, "strides", axes, &[1])?;
    let dilations = numbers(node, "dilations", axes, &[1])?;
    let pads = numbers(node, "pads", 2 * axes, &[0])?;
    let positive = |values: &[i64]| values.iter().all(|&value| (1..1 << 20).contains(&value));
    let is_sound = positive(kernel)
        && positive(&strides)
        && positive(&dilations)
        && pads.iter().all(|&pad| (0..1 << 20).contains(&pad));
    if !is_sound {
        return None;
    }
    let sizes = (0..axes).map(|axis| {
        let size = maps[axis].to_i64().ok()?;
        let reach = dilations[axis] * (kernel[axis] - 1) + 1;
        let left = size.checked_add(pads[axis] + pads[axes + axis] - reach)?;
        (left >= 0).then(|| (left / strides[axis] + 1).to_dim())
    });
    sizes.collect()
}

/// The integers of an attribute, as many as there should be; where there is no attribute, `usual` ones.
fn numbers(node: &NodeProto, name: &str, count: usize, usual: &[i64]) -> Option<Vec<i64>> {
    match attribute(node, name) {
        Some(attribute) => (attribute.ints.len() == count).then(|| attribute.ints.clone()),
        None => Some(usual.iter().copied().cycle().take(count).collect()),
    }
}

fn joined(node: &NodeProto, shapes: &[Shape]) -> Option<Shape> {
    let (first, others) = shapes.split_first()?;
    let axis = attribute(node, "axis")?.i;
    let rank = first.len() as i64;
    let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok()?;
    let mut size = first.get(axis)?.to_i64().ok()?;
    for other in others {
        let mut like = other.clone();
        size = size.checked_add(like.get(axis)?.to_i64().ok()?)?;
        like[axis] = first[axis].clone();
        if like != *first {
            return None;
        }
    }
    let mut joined = first.clone();
    joined[axis] = size.to_dim();
    Some(joined)
}

fn known(shape: &Shape) -> Option<Vec<i64>> {
    shape.iter().map(|size| size.to_i64().ok()).collect()
}
