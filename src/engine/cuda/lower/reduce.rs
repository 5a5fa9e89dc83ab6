//! Sums, products and extremes along axes, and the softmax that is made of them.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer, RmsNorm, Softmax, SoftmaxKind};

use super::super::program::{BufferId, Numbers, Port, THREADS};
use super::walk::{Walk, repeated, rows};
use super::{F32, Lowering, volume};

/// Elements of a sum from which on a block of threads makes it together.
const LONG: usize = 2 * THREADS;

pub(super) fn lower(to: &mut Lowering<'_>, node: &TypedNode) -> Result<Option<Vec<Port>>, String> {
    if to.kinds(node).first() != Some(&F32) {
        return Ok(None);
    }
    let Some(shape) = to.shape_in(node, 0) else {
        return Ok(None);
    };
    if let Some(op) = node.op_as::<Softmax>() {
        return softmax(to, node, op, &shape);
    }
    if let Some(op) = node.op_as::<RmsNorm>() {
        return root_mean_square(to, node, op, &shape);
    }
    let Some(op) = node.op_as::<Reduce>() else {
        return Ok(None);
    };
    let kernels = match op.reducer {
        Reducer::Sum => SUM,
        Reducer::Prod => ["reduce_product", "reduce_rows_product"],
        Reducer::Max => MAX,
        Reducer::Min => ["reduce_min", "reduce_rows_min"],
        Reducer::MeanOfSquares => MEAN_SQUARE,
        _ => return Ok(None),
    };
    let Some(plan) = Plan::new(&shape, &op.axes) else {
        return Ok(None);
    };
    let x = to.value(node.inputs[0])?;
    let y = to.room_for(node, 0)?;
    plan.add(to, kernels, x.buffer, y.buffer);
    Ok(Some(vec![y]))
}

/// A thread a result, and a block a result.
type Kernels = [&'static str; 2];

const SUM: Kernels = ["reduce_sum", "reduce_rows_sum"];
const MEAN_SQUARE: Kernels = ["reduce_mean_square", "reduce_rows_mean_square"];
const MAX: Kernels = ["reduce_max", "reduce_rows_max"];

/// Which elements go into which result.
struct Plan {
    results: usize,
    each: usize,
    numbers: Numbers,
}

impl Plan {
    fn new(shape: &[usize], axes: &[usize]) -> Option<Plan> {
        let steps = rows(shape);
        let split = |inside: bool| {
            let chosen: Vec<usize> = (0..shape.len())
                .filter(|axis| axes.contains(axis) == inside)
                .collect();
            let sizes: Vec<usize> = chosen.iter().map(|&axis| shape[axis]).collect();
            let walk = Walk::new(&sizes, [chosen.iter().map(|&axis| steps[axis]).collect()])?;
            Some((volume(&sizes), walk))
        };
        let ((results, kept), (each, reduced)) = (split(false)?, split(true)?);
        let numbers = Numbers::default()
            .longs([results, each])
            .ints([kept.axes])
            .ints(kept.shape);
        let numbers = numbers
            .ints(kept.steps[0])
            .ints([reduced.axes])
            .ints(reduced.shape);
        Some(Plan {
            results,
            each,
            numbers: numbers.ints(reduced.steps[0]),
        })
    }

    fn add(self, to: &mut Lowering<'_>, [short, long]: Kernels, x: BufferId, y: BufferId) {
        if self.each < LONG {
            to.each(short, self.results, &[x], y, self.numbers);
        } else {
            to.launch(long, self.results, &[x], &[y], self.numbers);
        }
    }
}

/// The largest magnitude of a tensor, into one element.
pub(super) fn magnitude(to: &mut Lowering<'_>, x: &Port) -> Result<Option<Port>, String> {
    let Some(plan) = Plan::new(&[volume(&x.shape)], &[0]) else {
        return Ok(None);
    };
    let y = to.room(F32, &[1])?;
    plan.add(
        to,
        ["reduce_magnitude", "reduce_rows_magnitude"],
        x.buffer,
        y.buffer,
    );
    Ok(Some(y))
}

/// `e = exp(x - max x)`, then `e / sum e`, or `x - max x - ln sum e` for its logarithm.
fn softmax(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    op: &Softmax,
    shape: &[usize],
) -> Result<Option<Vec<Port>>, String> {
    let mut one = shape.to_vec();
    op.axes.iter().for_each(|&axis| one[axis] = 1);
    let (Some(largest_plan), Some(sum_plan), Some(walk)) = (
        Plan::new(shape, &op.axes),
        Plan::new(shape, &op.axes),
        Walk::new(shape, [rows(shape), repeated(&one, shape)]),
    ) else {
        return Ok(None);
    };
    if op.quant_output_dt.is_some() {
        return Ok(None);
    }
    let x = to.value(node.inputs[0])?;
    let [largest, sum] = [to.room(F32, &one)?, to.room(F32, &one)?];
    let [shifted, exponential] = [to.room(F32, shape)?, to.room(F32, shape)?];
    let result = to.room_for(node, 0)?;
    let count = volume(shape);
    let two = Numbers::default()
        .longs([count])
        .ints([walk.axes])
        .ints(walk.shape);
    let two = two.ints(walk.steps[0]).ints(walk.steps[1]);
    let single = |count| Numbers::default().longs([count]).float(0.0);
    largest_plan.add(to, MAX, x.buffer, largest.buffer);
    to.each(
        "binary_sub_f32",
        count,
        &[x.buffer, largest.buffer],
        shifted.buffer,
        two.clone(),
    );
    to.each(
        "unary_exp",
        count,
        &[shifted.buffer],
        exponential.buffer,
        single(count),
    );
    sum_plan.add(to, SUM, exponential.buffer, sum.buffer);
    match op.kind {
        SoftmaxKind::Softmax => {
            to.each(
                "binary_div_f32",
                count,
                &[exponential.buffer, sum.buffer],
                result.buffer,
                two,
            );
        }
        SoftmaxKind::LogSoftmax => {
            let rows = volume(&one);
            let logarithm = to.room(F32, &one)?;
            to.each(
                "unary_ln",
                rows,
                &[sum.buffer],
                logarithm.buffer,
                single(rows),
            );
            to.each(
                "binary_sub_f32",
                count,
                &[shifted.buffer, logarithm.buffer],
                result.buffer,
                two,
            );
        }
    }
    Ok(Some(vec![result]))
}

/// `x / sqrt(mean x^2 + eps)` along an axis.
fn root_mean_square(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    op: &RmsNorm,
    shape: &[usize],
) -> Result<Option<Vec<Port>>, String> {
    let mut one = shape.to_vec();
    one[op.axis] = 1;
    let (Some(mean_plan), Some(walk), Some(with_scalar), Ok(eps)) = (
        Plan::new(shape, &[op.axis]),
        Walk::new(shape, [rows(shape), repeated(&one, shape)]),
        Walk::new(&one, [rows(&one), repeated(&[], &one)]),
        op.eps.cast_to_scalar::<f32>(),
    ) else {
        return Ok(None);
    };
    let x = to.value(node.inputs[0])?;
    let [mean, shifted, scale] = [
        to.room(F32, &one)?,
        to.room(F32, &one)?,
        to.room(F32, &one)?,
    ];
    let eps = to.program.constant(eps.to_ne_bytes().to_vec());
    let result = to.room_for(node, 0)?;
    let two = |count, walk: &Walk<2>| {
        let numbers = Numbers::default()
            .longs([count])
            .ints([walk.axes])
            .ints(walk.shape);
        numbers.ints(walk.steps[0]).ints(walk.steps[1])
    };
    let (count, lines) = (volume(shape), volume(&one));
    mean_plan.add(to, MEAN_SQUARE, x.buffer, mean.buffer);
    to.each(
        "binary_add_f32",
        lines,
        &[mean.buffer, eps],
        shifted.buffer,
        two(lines, &with_scalar),
    );
    to.each(
        "unary_rsqrt",
        lines,
        &[shifted.buffer],
        scale.buffer,
        Numbers::default().longs([lines]).float(0.0),
    );
    to.each(
        "binary_mul_f32",
        count,
        &[x.buffer, scale.buffer],
        result.buffer,
        two(count, &walk),
    );
    Ok(Some(vec![result]))
}
