//! Convolutions, their transposes and pooling, over maps.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv, KernelFormat, MaxPool, PaddingSpec, SumPool};

use super::super::program::{Numbers, Port};
use super::frame::{Direction, Frame};
use super::product::Tiles;
use super::{F32, I64, Lowering, volume};

pub(super) fn lower(to: &mut Lowering<'_>, node: &TypedNode) -> Result<Option<Vec<Port>>, String> {
    if to.kinds(node).iter().any(|kind| *kind != F32) {
        return Ok(None);
    }
    let (Some(input), Some(output)) = (
        to.shape_in(node, 0),
        node.outputs[0]
            .fact
            .shape
            .as_concrete()
            .map(<[usize]>::to_vec),
    ) else {
        return Ok(None);
    };
    if let Some(op) = node.op_as::<MaxPool>() {
        let kind = op.with_index_outputs;
        let Some(frame) = Frame::of(&op.pool_spec, &input, &output)
            .filter(|_| kind.is_none_or(|kind| kind == I64))
        else {
            return Ok(None);
        };
        return pool(to, node, "pool_max", &frame, [0, 0, 0]);
    }
    if let Some(op) = node.op_as::<SumPool>() {
        let Some(frame) = Frame::of(&op.pool_spec, &input, &output) else {
            return Ok(None);
        };
        let counting = match (op.normalize, op.count_include_pad) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        // Only ONNX's own rounding up looks past the padding; everywhere else a window is counted whole.
        let padded = match &op.pool_spec.padding {
            PaddingSpec::ExplicitOnnxPool(before, after, true) => frame.padded(before, after),
            _ => [i32::MAX as usize / 2; 2],
        };
        return pool(
            to,
            node,
            "pool_sum",
            &frame,
            [counting, padded[0] as i32, padded[1] as i32],
        );
    }
    if let Some(op) = node.op_as::<Conv>() {
        let frame = Frame::of(&op.pool_spec, &input, &output);
        let frame = frame.filter(|_| op.q_params.is_none() && op.kernel_fmt == KernelFormat::OIHW);
        return match frame {
            Some(frame) => convolution(to, node, &frame, op.group, Direction::Forward),
            None => Ok(None),
        };
    }
    let Some(op) = node.op_as::<Deconv>() else {
        return Ok(None);
    };
    let frame = Frame::of_transposed(op, &input, &output)
        .filter(|_| op.kernel_format == KernelFormat::OIHW);
    match frame {
        Some(frame) => convolution(to, node, &frame, op.group, Direction::Transposed),
        None => Ok(None),
    }
}

fn pool(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    kernel: &'static str,
    frame: &Frame,
    counting: [i32; 3],
) -> Result<Option<Vec<Port>>, String> {
    let x = frame.channels_first(to, node)?;
    let kinds = node.outputs.iter().map(|output| output.fact.datum_type);
    let outputs = kinds.map(|kind| to.room(kind, &frame.result()));
    let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
    let count = volume(&outputs[0].shape);
    let with_indices = outputs.len() > 1;
    let numbers = frame
        .numbers(count)
        .ints(counting)
        .ints([i32::from(with_indices)]);
    // Where no indices are asked for their place is the values': nothing is written there.
    let last = outputs.last().map_or(outputs[0].buffer, |port| port.buffer);
    let blocks = count.div_ceil(super::THREADS).min(1 << 16);
    to.launch(
        kernel,
        blocks,
        &[x.buffer],
        &[outputs[0].buffer, last],
        numbers,
    );
    frame.as_asked(to, node, outputs).map(Some)
}

fn convolution(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    frame: &Frame,
    groups: usize,
    direction: Direction,
) -> Result<Option<Vec<Port>>, String> {
    let bias_step = match to.shape_in(node, 2).map(|shape| volume(&shape)) {
        Some(1) => 0,
        Some(size) if size == frame.out_channels => 1,
        _ => return Ok(None),
    };
    let x = frame.channels_first(to, node)?;
    let [weights, bias] = [to.value(node.inputs[1])?, to.value(node.inputs[2])?];
    let y = to.room(F32, &frame.result())?;
    let reads = [x.buffer, weights.buffer, bias.buffer];
    let transposed = direction == Direction::Transposed;
    if groups == frame.channels && groups == frame.out_channels {
        let kernel = if transposed {
            "depthwise_transposed"
        } else {
            "depthwise"
        };
        let count = volume(&y.shape);
        let numbers = frame.numbers(count).ints([groups as i32, bias_step]);
        to.each(kernel, count, &reads, y.buffer, numbers);
        return frame.as_asked(to, node, vec![y]).map(Some);
    }
    let (own, own_out) = (frame.channels / groups, frame.out_channels / groups);
    let [area, out_area, window] =
        [frame.size, frame.out_size, frame.kernel].map(|[rows, columns]| rows * columns);
    let taps = to.program.constant(frame.taps(own, direction));
    let tiles = Tiles::of(own_out, frame.pictures * out_area);
    let (up, down) = match direction {
        Direction::Forward => (frame.strides, [1, 1]),
        Direction::Transposed => ([1, 1], frame.strides),
    };
    let numbers = Numbers::default()
        .longs([own_out * own * window, own * window, 1])
        .longs([own * area, frame.channels * area])
        .longs([own_out * out_area, frame.out_channels * out_area])
        .ints([
            own_out as i32,
            (frame.pictures * out_area) as i32,
            (own * window) as i32,
        ])
        .ints([tiles.down as i32, tiles.across as i32])
        .ints([bias_step])
        .ints(frame.size.map(|size| size as i32))
        .ints([frame.out_size[1] as i32, out_area as i32])
        .ints(up.map(|step| step as i32))
        .ints(down.map(|step| step as i32));
    let reads = [weights.buffer, bias.buffer, x.buffer, taps];
    to.launch(
        tiles.windows(to.precision),
        groups * tiles.down * tiles.across,
        &reads,
        &[y.buffer],
        numbers,
    );
    frame.as_asked(to, node, vec![y]).map(Some)
}
