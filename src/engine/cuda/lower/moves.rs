//! Elements put to other places: transposing, reshaping, slicing, joining, padding, repeating, gathering.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::Downsample;
use tract_onnx::tract_core::ops::array::{
    Gather, MultiBroadcastTo, Pad, PadMode, Slice, Tile, TypedConcat,
};
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::nn::NearestUpsample;

use super::super::program::{BufferId, MOST_AXES, Numbers, Port};
use super::walk::{Walk, repeated, rows};
use super::{I64, Lowering, volume};

/// The kernel for elements of a size.
type Sized = fn(usize) -> Option<&'static str>;

const COPY: Sized = |size| by_size(size, ["copy_1", "copy_4", "copy_8"]);
const FILL: Sized = |size| by_size(size, ["fill_1", "fill_4", "fill_8"]);
const PAD: Sized = |size| by_size(size, ["pad_1", "pad_4", "pad_8"]);
const GATHER: Sized = |size| by_size(size, ["gather_1", "gather_4", "gather_8"]);

fn by_size(size: usize, kernels: [&'static str; 3]) -> Option<&'static str> {
    let at = [1, 4, 8].iter().position(|known| *known == size)?;
    Some(kernels[at])
}

pub(super) fn lower(to: &mut Lowering<'_>, node: &TypedNode) -> Result<Option<Vec<Port>>, String> {
    let kinds = to.kinds(node);
    let Some(kernel) = kinds.first().and_then(|kind| COPY(kind.size_of())) else {
        return Ok(None);
    };
    let shapes = (0..node.inputs.len()).map(|at| to.shape_in(node, at));
    let (Some(shapes), Some(out)) = (
        shapes.collect::<Option<Vec<_>>>(),
        node.outputs[0]
            .fact
            .shape
            .as_concrete()
            .map(<[usize]>::to_vec),
    ) else {
        return Ok(None);
    };
    let from = &shapes[0];
    if let Some(op) = node.op_as::<AxisOp>() {
        let AxisOp::Move(begin, end) = *op else {
            // The same elements in the same order.
            let mut port = to.value(node.inputs[0])?;
            port.shape = out;
            return Ok(Some(vec![port]));
        };
        let mut steps = rows(from);
        let moved = steps.remove(begin);
        steps.insert(end, moved);
        return copy(to, node, kernel, &Part::whole(&out, steps));
    }
    if node.op_is::<MultiBroadcastTo>() {
        return copy(to, node, kernel, &Part::whole(&out, repeated(from, &out)));
    }
    if let Some(op) = node.op_as::<Slice>() {
        let Some(start) = op.start.as_i64() else {
            return Ok(None);
        };
        let mut part = Part::whole(&out, rows(from));
        part.x_start = start as usize * part.steps[0][op.axis] as usize;
        return copy(to, node, kernel, &part);
    }
    if let Some(op) = node.op_as::<Downsample>().filter(|op| op.stride > 0) {
        let mut steps = rows(from);
        let start = op.modulo * steps[op.axis] as usize;
        steps[op.axis] *= op.stride;
        let part = Part::whole(&out, steps);
        return copy(
            to,
            node,
            kernel,
            &Part {
                x_start: start,
                ..part
            },
        );
    }
    if node.op_is::<NearestUpsample>() {
        return repeat_each(to, node, kernel, from, &out);
    }
    if node.op_is::<Tile>() {
        return tile(to, node, kernel, from, &out);
    }
    if let Some(op) = node.op_as::<TypedConcat>() {
        return join(to, node, kernel, op.axis, &shapes, &out);
    }
    if let Some(op) = node.op_as::<Pad>() {
        return pad(to, node, kernel, op, from, &out);
    }
    match node.op_as::<Gather>() {
        Some(op) if op.output_type.is_none() && kinds.get(1) == Some(&I64) => {
            gather(to, node, op.axis, &shapes)
        }
        _ => Ok(None),
    }
}

/// What a copy takes from where to where: along `shape` with steps in the source and in the result, from a place in each.
struct Part {
    shape: Vec<usize>,
    steps: [Vec<isize>; 2],
    x_start: usize,
    y_start: usize,
}

impl Part {
    /// A copy that makes the whole of a result of `shape`, with these steps in its source.
    fn whole(shape: &[usize], steps: Vec<isize>) -> Part {
        Part {
            shape: shape.to_vec(),
            steps: [steps, rows(shape)],
            x_start: 0,
            y_start: 0,
        }
    }

    fn numbers(&self) -> Option<Numbers> {
        let walk = Walk::new(&self.shape, self.steps.clone())?;
        let numbers = Numbers::default().longs([volume(&self.shape), self.x_start, self.y_start]);
        let numbers = numbers.ints([walk.axes]).ints(walk.shape);
        Some(numbers.ints(walk.steps[0]).ints(walk.steps[1]))
    }
}

/// The first input, copied.
fn copy(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    kernel: &'static str,
    part: &Part,
) -> Result<Option<Vec<Port>>, String> {
    let Some(numbers) = part.numbers() else {
        return Ok(None);
    };
    let x = to.value(node.inputs[0])?;
    let y = to.room_for(node, 0)?;
    to.each(kernel, volume(&part.shape), &[x.buffer], y.buffer, numbers);
    Ok(Some(vec![y]))
}

/// The whole tensor again and again along each axis: an axis of the result is two of the walk, how often and where.
fn tile(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    kernel: &'static str,
    from: &[usize],
    out: &[usize],
) -> Result<Option<Vec<Port>>, String> {
    if volume(out) == 0 {
        return Ok(None);
    }
    let shape: Vec<usize> = from
        .iter()
        .zip(out)
        .flat_map(|(own, all)| [all / own, *own])
        .collect();
    let steps = rows(from).into_iter().flat_map(|step| [0, step]).collect();
    copy(to, node, kernel, &Part::whole(&shape, steps))
}

/// Each element again and again along each axis: an axis of the result is two of the walk, where and how often.
fn repeat_each(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    kernel: &'static str,
    from: &[usize],
    out: &[usize],
) -> Result<Option<Vec<Port>>, String> {
    if volume(out) == 0 {
        return Ok(None);
    }
    let shape: Vec<usize> = from
        .iter()
        .zip(out)
        .flat_map(|(own, all)| [*own, all / own])
        .collect();
    let steps = rows(from).into_iter().flat_map(|step| [step, 0]).collect();
    copy(to, node, kernel, &Part::whole(&shape, steps))
}

fn join(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    kernel: &'static str,
    axis: usize,
    shapes: &[Vec<usize>],
    out: &[usize],
) -> Result<Option<Vec<Port>>, String> {
    let mut begin = 0;
    let parts = shapes.iter().map(|shape| {
        let mut part = Part::whole(shape, rows(shape));
        part.steps[1] = rows(out);
        part.y_start = begin * part.steps[1][axis] as usize;
        begin += shape[axis];
        Some((volume(shape), part.numbers()?))
    });
    let Some(parts) = parts.collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let inputs = to.inputs(node)?;
    let y = to.room_for(node, 0)?;
    for (x, (count, numbers)) in inputs.iter().zip(parts) {
        to.each(kernel, count, &[x.buffer], y.buffer, numbers);
    }
    Ok(Some(vec![y]))
}

fn pad(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    kernel: &'static str,
    op: &Pad,
    from: &[usize],
    out: &[usize],
) -> Result<Option<Vec<Port>>, String> {
    let value = match &op.mode {
        PadMode::Constant(value) => value,
        PadMode::Edge => return pad_by_own(to, node, op, from, out, 0),
        PadMode::Reflect => return pad_by_own(to, node, op, from, out, 1),
    };
    let kind = node.outputs[0].fact.datum_type;
    let Ok(value) = value.cast_to_dt(kind) else {
        return Ok(None);
    };
    let mut part = Part::whole(from, rows(from));
    part.steps[1] = rows(out);
    let begins = op.pads.iter().zip(&part.steps[1]);
    part.y_start = begins
        .map(|((before, _), step)| before * *step as usize)
        .sum();
    let Some(numbers) = part.numbers() else {
        return Ok(None);
    };
    let x = to.value(node.inputs[0])?;
    let y = to.room_for(node, 0)?;
    let mut bits = [0; 8];
    bits[..value.as_bytes().len()].copy_from_slice(value.as_bytes());
    fill(to, &y, usize::from_ne_bytes(bits))?;
    to.each(kernel, volume(from), &[x.buffer], y.buffer, numbers);
    Ok(Some(vec![y]))
}

/// Padding with the tensor's own elements: its edge, or, with `reflects` as 1, what lies on the other side of the edge.
fn pad_by_own(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    op: &Pad,
    from: &[usize],
    out: &[usize],
    reflects: i32,
) -> Result<Option<Vec<Port>>, String> {
    let kernel = to.kinds(node).first().and_then(|kind| PAD(kind.size_of()));
    let (Some(kernel), true) = (
        kernel,
        out.len() <= MOST_AXES && volume(out) <= i32::MAX as usize,
    ) else {
        return Ok(None);
    };
    let x = to.value(node.inputs[0])?;
    let y = to.room_for(node, 0)?;
    let axes = |values: &mut dyn Iterator<Item = usize>| {
        let mut all = [1; MOST_AXES];
        all.iter_mut()
            .zip(values)
            .for_each(|(slot, value)| *slot = value as i32);
        all
    };
    let numbers = Numbers::default()
        .longs([volume(out)])
        .ints([out.len() as i32, reflects])
        .ints(axes(&mut out.iter().copied()))
        .ints(axes(&mut from.iter().copied()))
        .ints(axes(&mut op.pads.iter().map(|(before, _)| *before)));
    to.each(kernel, volume(out), &[x.buffer], y.buffer, numbers);
    Ok(Some(vec![y]))
}

/// The same bits everywhere.
pub(super) fn fill(to: &mut Lowering<'_>, y: &Port, bits: usize) -> Result<(), String> {
    let kernel = FILL(y.kind.size_of()).ok_or("no kernel fills elements of this size")?;
    let count = volume(&y.shape);
    to.each(
        kernel,
        count,
        &[],
        y.buffer,
        Numbers::default().longs([count, bits]),
    );
    Ok(())
}

fn gather(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    axis: usize,
    shapes: &[Vec<usize>],
) -> Result<Option<Vec<Port>>, String> {
    let inputs = to.inputs(node)?;
    let Some(kernel) = GATHER(inputs[0].kind.size_of()) else {
        return Ok(None);
    };
    let y = to.room_for(node, 0)?;
    let count = volume(&y.shape);
    let inner = volume(&shapes[0][axis + 1..]);
    let numbers = Numbers::default().longs([count, shapes[0][axis], volume(&shapes[1]), inner]);
    let reads: Vec<BufferId> = inputs.iter().map(|port| port.buffer).collect();
    to.each(kernel, count, &reads, y.buffer, numbers);
    Ok(Some(vec![y]))
}
