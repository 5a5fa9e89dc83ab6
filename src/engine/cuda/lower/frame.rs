//! Sizes of an operator with windows, and its maps as the kernels want them: `[N, C, H, W]`.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{Deconv, PoolSpec};
use tract_onnx::tract_core::ops::nn::DataFormat;

use super::super::program::{Numbers, Port};
use super::walk::{Walk, rows};
use super::{Lowering, volume};

/// Which way a window moves values: from the map into it, or out of it into the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Transposed,
}

/// Sizes of an operator with windows, a pair being rows and columns.
pub(super) struct Frame {
    format: DataFormat,
    pub pictures: usize,
    pub channels: usize,
    pub size: [usize; 2],
    pub out_channels: usize,
    pub out_size: [usize; 2],
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    dilations: [usize; 2],
    /// Rows and columns before the map that the first window covers.
    pads: [usize; 2],
    /// The axis of the places, among tract's, that each of the pair is; `None` for one that tract does not have.
    axes: [Option<usize>; 2],
}

impl Frame {
    /// The frame of a pooling or a convolution.
    pub fn of(spec: &PoolSpec, input: &[usize], output: &[usize]) -> Option<Frame> {
        let padding = spec.computed_padding(&sizes(spec.data_format, input)?.2);
        let pads = padding.iter().map(|side| side.pad_before);
        Frame::new(spec, input, output, &pads.collect::<Vec<_>>())
    }

    /// The frame of a transposed convolution: what is padded is cut off its result.
    pub fn of_transposed(op: &Deconv, input: &[usize], output: &[usize]) -> Option<Frame> {
        let spec = &op.pool_spec;
        let sides = spec.padding.compute_for_deconv(
            &sizes(spec.data_format, input)?.2,
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
        if [input, output]
            .iter()
            .any(|shape| volume(shape) >= i32::MAX as usize)
        {
            return None;
        }
        let (pictures, channels, size) = sizes(spec.data_format, input)?;
        let (_, out_channels, out_size) = sizes(spec.data_format, output)?;
        // An axis of one element under a window of one is none; of a volume, at most two may be left.
        let is_real =
            |axis: &usize| [size[*axis], out_size[*axis], spec.kernel_shape[*axis]] != [1, 1, 1];
        let real: Vec<usize> = (0..size.len()).filter(is_real).collect();
        let axes = match *real {
            [] => [None, None],
            [columns] => [None, Some(columns)],
            [rows, columns] => [Some(rows), Some(columns)],
            _ => return None,
        };
        let pair = |values: &[usize], missing: usize| {
            axes.map(|axis| axis.map_or(missing, |axis| values[axis]))
        };
        Some(Frame {
            format: spec.data_format,
            pictures,
            channels,
            size: pair(&size, 1),
            out_channels,
            out_size: pair(&out_size, 1),
            kernel: pair(&spec.kernel_shape, 1),
            strides: pair(&spec.strides(), 1),
            dilations: pair(&spec.dilations(), 1),
            pads: pair(pads, 0),
            axes,
        })
    }

    /// Rows and columns with their padding.
    pub fn padded(&self, before: &[usize], after: &[usize]) -> [usize; 2] {
        std::array::from_fn(|at| {
            self.size[at] + self.axes[at].map_or(0, |axis| before[axis] + after[axis])
        })
    }

    /// The shape of the result.
    pub fn result(&self) -> [usize; 4] {
        [
            self.pictures,
            self.out_channels,
            self.out_size[0],
            self.out_size[1],
        ]
    }

    /// What the kernels of windows begin with.
    pub fn numbers(&self, count: usize) -> Numbers {
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

    /// For each channel of a group and each tap: the channel's place, and the row and column that the tap adds to a place of the result.
    pub fn taps(&self, channels: usize, direction: Direction) -> Vec<u8> {
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

    /// The maps that a node reads, channels first: copied where they are not.
    pub fn channels_first(&self, to: &mut Lowering<'_>, node: &TypedNode) -> Result<Port, String> {
        let x = to.value(node.inputs[0])?;
        if !self.format.c_is_last() {
            return Ok(x);
        }
        let [rows, columns] = self.size;
        let first = to.room(x.kind, &[self.pictures, self.channels, rows, columns])?;
        turn(
            to,
            &x,
            &first,
            [self.pictures, self.channels, rows * columns],
        )?;
        Ok(first)
    }

    /// Results as the node's readers expect them: channels last where its maps are so, and in its own shape.
    pub fn as_asked(
        &self,
        to: &mut Lowering<'_>,
        node: &TypedNode,
        results: Vec<Port>,
    ) -> Result<Vec<Port>, String> {
        let asked = results.into_iter().enumerate().map(|(slot, result)| {
            let own = to.room_for(node, slot)?;
            if !self.format.c_is_last() {
                return Ok(Port {
                    buffer: result.buffer,
                    ..own
                });
            }
            let [rows, columns] = self.out_size;
            turn(
                to,
                &result,
                &own,
                [self.pictures, rows * columns, self.out_channels],
            )?;
            Ok(own)
        });
        asked.collect()
    }
}

/// Copies maps between the two orders: `shape` is that of the result, its last two axes exchanged in the source.
fn turn(to: &mut Lowering<'_>, from: &Port, into: &Port, shape: [usize; 3]) -> Result<(), String> {
    let [pictures, outer, inner] = shape;
    let turned = rows(&[pictures, inner, outer]);
    let steps = [vec![turned[0], turned[2], turned[1]], rows(&shape)];
    let walk = Walk::new(&shape, steps).ok_or("a map is too large")?;
    let numbers = Numbers::default()
        .longs([volume(&shape), 0, 0])
        .ints([walk.axes])
        .ints(walk.shape);
    let numbers = numbers.ints(walk.steps[0]).ints(walk.steps[1]);
    let kernel = if from.kind.size_of() == 8 {
        "copy_8"
    } else {
        "copy_4"
    };
    to.each(kernel, volume(&shape), &[from.buffer], into.buffer, numbers);
    Ok(())
}

/// Pictures, channels, and the sizes of the places.
fn sizes(format: DataFormat, shape: &[usize]) -> Option<(usize, usize, Vec<usize>)> {
    let (pictures, rest) = match format.has_n() {
        true => shape.split_first()?,
        // tract leaves the axis out where there is one picture.
        false => (&1, shape),
    };
    let (channels, places) = match format.c_is_last() {
        true => rest.split_last()?,
        false => rest.split_first()?,
    };
    Some((*pictures, *channels, places.to_vec()))
}
