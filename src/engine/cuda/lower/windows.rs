//! Convolutions, their transposes and pooling, over maps `[N, C, H, W]` or `[N, C, W]`.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{
    Conv, Deconv, KernelFormat, MaxPool, PaddingSpec, PoolSpec, SumPool,
};
use tract_onnx::tract_core::ops::nn::DataFormat;

use super::super::program::{Numbers, Port};
use super::product::{Tiles, windows_kernel};
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
            PaddingSpec::ExplicitOnnxPool(before, after, true) => {
                let side = |axis: usize| input[2 + axis] + before[axis] + after[axis];
                match before.len() {
                    1 => [1, side(0)],
                    _ => [side(0), side(1)],
                }
            }
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

/// Which way a window moves values: from the map into it, or out of it into the map.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Transposed,
}

/// Sizes of an operator with windows, a pair being rows and columns.
struct Frame {
    pictures: usize,
    channels: usize,
    size: [usize; 2],
    out_channels: usize,
    out_size: [usize; 2],
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    /// Rows and columns before the map that the first window covers.
    pads: [usize; 2],
}

impl Frame {
    fn of(spec: &PoolSpec, input: &[usize], output: &[usize]) -> Option<Frame> {
        let axes = input.get(2..)?;
        let padding = spec.computed_padding(axes);
        let pads = padding
            .iter()
            .map(|side| side.pad_before)
            .collect::<Vec<_>>();
        Frame::new(spec, input, output, &pads)
    }

    /// The frame of a transposed convolution: `pads` are what is cut off its result.
    fn of_transposed(op: &Deconv, input: &[usize], output: &[usize]) -> Option<Frame> {
        let spec = &op.pool_spec;
        let sides = spec.padding.compute_for_deconv(
            input.get(2..)?,
            &spec.kernel_shape,
            &spec.dilations(),
            &spec.strides(),
            &op.adjustments,
        );
        let pads = sides
            .ok()?
            .iter()
            .map(|side| side.pad_before)
            .collect::<Vec<_>>();
        Frame::new(spec, input, output, &pads)
    }

    fn new(spec: &PoolSpec, input: &[usize], output: &[usize], pads: &[usize]) -> Option<Frame> {
        if spec.data_format != DataFormat::NCHW
            || volume(input) >= i32::MAX as usize
            || volume(output) >= i32::MAX as usize
        {
            return None;
        }
        // A line is a map of one row.
        let pair = |values: &[usize], of_line: usize| match *values {
            [columns] => Some([of_line, columns]),
            [rows, columns] => Some([rows, columns]),
            _ => None,
        };
        Some(Frame {
            pictures: input[0],
            channels: input[1],
            size: pair(&input[2..], 1)?,
            out_channels: output[1],
            out_size: pair(&output[2..], 1)?,
            kernel: pair(&spec.kernel_shape, 1)?,
            strides: pair(&spec.strides(), 1)?,
            dilations: pair(&spec.dilations(), 1)?,
            pads: pair(pads, 0)?,
        })
    }

    /// What the kernels of windows begin with.
    fn numbers(&self, count: usize) -> Numbers {
        let pairs = [
            self.size,
            self.out_size,
            self.kernel,
            self.strides,
            self.pads,
            self.dilations,
        ];
        let numbers = Numbers::default().longs([count]);
        pairs.into_iter().fold(numbers, |numbers, pair| {
            numbers.ints(pair.map(|value| value as i32))
        })
    }
}

fn pool(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    kernel: &'static str,
    frame: &Frame,
    counting: [i32; 3],
) -> Result<Option<Vec<Port>>, String> {
    let x = to.value(node.inputs[0])?;
    let outputs = (0..node.outputs.len()).map(|slot| to.room_for(node, slot));
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
    Ok(Some(outputs))
}

fn convolution(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    frame: &Frame,
    groups: usize,
    direction: Direction,
) -> Result<Option<Vec<Port>>, String> {
    let inputs = to.inputs(node)?;
    let [x, weights, bias] = &inputs[..] else {
        return Ok(None);
    };
    let bias_step = match volume(&bias.shape) {
        1 => 0,
        size if size == frame.out_channels => 1,
        _ => return Ok(None),
    };
    let y = to.room_for(node, 0)?;
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
        return Ok(Some(vec![y]));
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
        windows_kernel(&tiles),
        groups * tiles.down * tiles.across,
        &reads,
        &[y.buffer],
        numbers,
    );
    Ok(Some(vec![y]))
}

impl Frame {
    /// For each channel of a group and each tap: the channel's place, and the row and column that the tap adds to a place of the result.
    fn taps(&self, channels: usize, direction: Direction) -> Vec<u8> {
        let area = self.size[0] * self.size[1];
        let mut taps = Vec::new();
        for channel in 0..channels {
            for ky in 0..self.kernel[0] {
                for kx in 0..self.kernel[1] {
                    let reach = [ky * self.dilations[0], kx * self.dilations[1]];
                    let [y, x] = [0, 1].map(|axis| match direction {
                        Direction::Forward => reach[axis] as i32 - self.pads[axis] as i32,
                        Direction::Transposed => self.pads[axis] as i32 - reach[axis] as i32,
                    });
                    for value in [(channel * area) as i32, y, x] {
                        taps.extend(value.to_ne_bytes());
                    }
                }
            }
        }
        taps
    }
}
