//! Convolution.

use super::Rule;
use crate::gradient::GradientError;
use crate::gradient::tape::{Call, Cotangents, Tape, int, ints};

pub(super) const RULES: &[(&str, Rule)] = &[("Conv", conv)];

/// The geometry that convolution and pooling share, one entry a spatial axis.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub input: Vec<i64>,
    pub output: Vec<i64>,
    pub kernel: Vec<i64>,
    pub strides: Vec<i64>,
    pub dilations: Vec<i64>,
    pub pads_begin: Vec<i64>,
    pub pads_end: Vec<i64>,
}

impl Window {
    /// Reads the attributes of a node with a window of size `kernel` over its first input.
    pub fn of(tape: &Tape<'_>, call: &Call<'_>, kernel: Vec<i64>) -> Result<Window, GradientError> {
        let input = tape.sizes(call.input(0)?, 2)?;
        let output = tape.sizes(call.output(), 2)?;
        let axes = kernel.len();
        if input.len() != axes || output.len() != axes {
            return Err(call.form("a kernel whose rank is not its input's"));
        }
        let strides = spatial(call, "strides", 1, axes)?;
        let dilations = spatial(call, "dilations", 1, axes)?;
        let pads = spatial(call, "pads", 0, 2 * axes)?;
        let (mut pads_begin, mut pads_end) = (pads[..axes].to_vec(), pads[axes..].to_vec());
        if strides
            .iter()
            .chain(&dilations)
            .chain(&kernel)
            .any(|&size| size < 1)
        {
            return Err(call.form("a stride, dilation or kernel below 1"));
        }
        let auto_pad = call.text("auto_pad").unwrap_or_default();
        for axis in 0..axes {
            let reach = dilations[axis] * (kernel[axis] - 1) + 1;
            let same = ((output[axis] - 1) * strides[axis] + reach - input[axis]).max(0);
            match auto_pad.as_str() {
                "" | "NOTSET" => {}
                "VALID" => (pads_begin[axis], pads_end[axis]) = (0, 0),
                "SAME_UPPER" | "SAME_LOWER" => {
                    (pads_begin[axis], pads_end[axis]) = divided(same, auto_pad == "SAME_UPPER");
                }
                other => return Err(call.form(&format!("auto_pad {other}"))),
            }
        }
        Ok(Window {
            input,
            output,
            kernel,
            strides,
            dilations,
            pads_begin,
            pads_end,
        })
    }

    /// How far the kernel reaches along an axis, dilation included.
    pub fn reach(&self, axis: usize) -> i64 {
        self.dilations[axis] * (self.kernel[axis] - 1) + 1
    }

    /// Pads of the convolution that leads from the output's size back to the input's at stride 1; `None` at any other stride, or where
    /// it would have to cut.
    pub fn pads_at_stride_1(&self) -> Option<Vec<i64>> {
        let back = |axis: usize, pad: i64| Some(self.reach(axis) - 1 - pad).filter(|&pad| pad >= 0);
        let begin = self.pads_begin.iter().enumerate();
        let end = self.pads_end.iter().enumerate();
        let pads: Option<Vec<i64>> = begin
            .chain(end)
            .map(|(axis, &pad)| back(axis, pad))
            .collect();
        pads.filter(|_| self.strides.iter().all(|&stride| stride == 1))
    }

    /// Attributes of the transposed convolution that leads from the output's size back to the input's.
    ///
    /// The last windows of the forward pass may stop short of the input's end (a stride that does not divide) or reach
    /// past the declared padding (`ceil_mode`): the end's padding is what makes the sizes meet.
    pub fn transposed(&self) -> Vec<tract_onnx::pb::AttributeProto> {
        let surplus: Vec<i64> = (0..self.kernel.len())
            .map(|axis| {
                let covered = self.strides[axis] * (self.output[axis] - 1) + self.reach(axis);
                covered - self.pads_begin[axis] - self.input[axis]
            })
            .collect();
        let pads_end = surplus.iter().map(|&surplus| surplus.max(0));
        let pads: Vec<i64> = self.pads_begin.iter().copied().chain(pads_end).collect();
        let output_padding: Vec<i64> = surplus.iter().map(|&surplus| (-surplus).max(0)).collect();
        vec![
            ints("kernel_shape", &self.kernel),
            ints("strides", &self.strides),
            ints("dilations", &self.dilations),
            ints("pads", &pads),
            ints("output_padding", &output_padding),
        ]
    }
}

/// An attribute with one entry a spatial axis, or two.
pub(super) fn spatial(
    call: &Call<'_>,
    name: &str,
    default: i64,
    len: usize,
) -> Result<Vec<i64>, GradientError> {
    match call.ints(name) {
        Some(values) if values.len() == len => Ok(values),
        Some(_) => Err(call.form(&format!("{name} of another rank than its input's"))),
        None => Ok(vec![default; len]),
    }
}

/// Padding before and behind; of an odd number the larger part goes behind where `upper`.
pub(super) fn divided(total: i64, upper: bool) -> (i64, i64) {
    let (less, more) = (total / 2, total - total / 2);
    if upper { (less, more) } else { (more, less) }
}

/// `dX = ConvTranspose(dY, W)`; at stride 1 the same as a `Conv` with the kernel turned around, which every runtime
/// runs faster. Weights carry no gradient here: gradlens explains pictures, it does not train.
fn conv(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    if call.wants(1) || call.wants(2) {
        return Err(call.form("weights that depend on the picture"));
    }
    let weights = call.input(1)?;
    let shape = tape.sizes(weights, 0)?;
    let window = Window::of(tape, call, shape[2..].to_vec())?;
    let groups = call.int("group", 1);
    let cotangent = call.cotangent()?;
    let result = match window.pads_at_stride_1() {
        Some(pads) => {
            let turned = turned_weights(tape, weights, &shape, groups);
            same_size(tape, &window, cotangent, &turned, groups, &pads)
        }
        None => {
            let mut attributes = window.transposed();
            attributes.push(int("group", groups));
            tape.node("ConvTranspose", &[cotangent, weights], attributes)
        }
    };
    Ok(vec![(0, result)])
}

/// The convolution at stride 1 that leads from the output's size back to the input's, with weights turned around.
pub(super) fn same_size(
    tape: &mut Tape<'_>,
    window: &Window,
    cotangent: &str,
    turned: &str,
    groups: i64,
    pads: &[i64],
) -> String {
    let attributes = vec![
        int("group", groups),
        ints("kernel_shape", &window.kernel),
        ints("dilations", &window.dilations),
        ints("pads", pads),
    ];
    tape.node("Conv", &[cotangent, turned], attributes)
}

/// Weights `[M, C/g, k...]` with the kernel reversed along every spatial axis and, within each group, output and
/// input channels exchanged: `[C, M/g, k...]`. The nodes hang on constants alone, so that engines fold them on loading and
/// the file shares the forward pass's weights.
fn turned_weights(tape: &mut Tape<'_>, weights: &str, shape: &[i64], groups: i64) -> String {
    let mut turned = weights.to_owned();
    for (axis, &size) in shape
        .iter()
        .enumerate()
        .skip(2)
        .filter(|&(_, &size)| size > 1)
    {
        let reversed: Vec<i64> = (0..size).rev().collect();
        let reversed = tape.ints(&reversed);
        turned = tape.node(
            "Gather",
            &[&turned, &reversed],
            vec![int("axis", axis as i64)],
        );
    }
    let (outs, ins) = (shape[0] / groups, shape[1]);
    let kernel = &shape[2..];
    if outs == 1 && ins == 1 {
        // Depthwise: a group's only two channels exchange into the same layout.
        return turned;
    }
    if groups == 1 {
        let mut order: Vec<i64> = (0..shape.len() as i64).collect();
        order.swap(0, 1);
        return tape.node("Transpose", &[&turned], vec![ints("perm", &order)]);
    }
    let split = [&[groups, outs, ins], kernel].concat();
    let joined = [&[groups * ins, outs], kernel].concat();
    let mut order: Vec<i64> = (0..split.len() as i64).collect();
    order.swap(1, 2);
    let split = tape.ints(&split);
    let joined = tape.ints(&joined);
    turned = tape.op("Reshape", &[&turned, &split]);
    turned = tape.node("Transpose", &[&turned], vec![ints("perm", &order)]);
    tape.op("Reshape", &[&turned, &joined])
}
