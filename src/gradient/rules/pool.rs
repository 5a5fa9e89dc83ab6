//! Pooling.

use super::Rule;
use super::conv::{Window, same_size};
use crate::gradient::tape::{Call, Cotangents, Tape, int, text};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("AveragePool", average_pool),
    ("GlobalAveragePool", global_average_pool),
    ("GlobalMaxPool", global_max_pool),
    ("MaxPool", max_pool),
];

/// Every position of a window gets the same share: a transposed depthwise convolution of `dY / count` with ones, at stride 1 a plain one.
fn average_pool(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let kernel = call
        .ints("kernel_shape")
        .ok_or_else(|| call.form("no kernel_shape"))?;
    let window = Window::of(tape, call, kernel)?;
    let axes = window.kernel.len();
    let channels = tape.sizes(call.input(0)?, 1)?[0];
    let counts: Vec<Vec<i64>> = (0..axes)
        .map(|axis| counts(&window, axis, call.int("count_include_pad", 0) != 0))
        .collect();
    // The number of pixels under a window is the product of those along each axis.
    let shares: Vec<f32> = counts.iter().fold(vec![1.0], |shares, counts| {
        let along = |share: &f32| {
            counts
                .iter()
                .map(move |&n| share / n as f32)
                .collect::<Vec<_>>()
        };
        shares.iter().flat_map(along).collect()
    });
    let dims = [&[1, 1], window.output.as_slice()].concat();
    let share = tape.floats(&dims, &shares);
    let cotangent = tape.mul(call.cotangent()?, &share);
    let ones = vec![1.0; (channels * window.kernel.iter().product::<i64>()) as usize];
    let ones = tape.floats(&[&[channels, 1], window.kernel.as_slice()].concat(), &ones);
    let result = match window.pads_at_stride_1() {
        // Ones are the same turned around.
        Some(pads) => same_size(tape, &window, &cotangent, &ones, channels, &pads),
        None => {
            let mut attributes = window.transposed();
            attributes.push(int("group", channels));
            tape.node("ConvTranspose", &[&cotangent, &ones], attributes)
        }
    };
    Ok(vec![(0, result)])
}

/// How many pixels each window averages over along one axis: those of the input, and those of the declared padding
/// where they count.
fn counts(window: &Window, axis: usize, include_padding: bool) -> Vec<i64> {
    let (first, end) = if include_padding {
        (
            -window.pads_begin[axis],
            window.input[axis] + window.pads_end[axis],
        )
    } else {
        (0, window.input[axis])
    };
    let inside = |position: &i64| (first..end).contains(position);
    (0..window.output[axis])
        .map(|index| {
            let start = index * window.strides[axis] - window.pads_begin[axis];
            let taps = (0..window.kernel[axis]).map(|tap| start + tap * window.dilations[axis]);
            taps.filter(inside).count().max(1) as i64
        })
        .collect()
}

/// Every position gets `dY / (H W)`.
fn global_average_pool(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let sizes = tape.sizes(call.input(0)?, 2)?;
    let count: i64 = sizes.iter().product();
    let share = tape.scale(call.cotangent()?, 1.0 / count as f32);
    Ok(vec![(
        0,
        tape.repeat(&share, &[&[1, 1], sizes.as_slice()].concat()),
    )])
}

/// The maximum gets `dY`; several equal maxima share it, as PyTorch's `amax` has it.
fn global_max_pool(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let x = call.input(0)?;
    let axes: Vec<i64> = (2..tape.shape(x)?.len() as i64).collect();
    let axes = tape.ints(&axes);
    let at_maximum = tape.op("Equal", &[x, call.output()]);
    let at_maximum = tape.node("Cast", &[&at_maximum], vec![int("to", 1)]);
    let count = tape.node("ReduceSum", &[&at_maximum, &axes], vec![int("keepdims", 1)]);
    let share = tape.op("Div", &[call.cotangent()?, &count]);
    Ok(vec![(0, tape.mul(&at_maximum, &share))])
}

/// Each window's cotangent goes to the pixel that was its maximum, the first of several: the forward node is asked for its
/// indices, flat over the whole tensor, and the cotangents are added up there.
fn max_pool(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    if call.int("storage_order", 0) != 0 {
        return Err(call.form("column-major indices"));
    }
    let x = call.input(0)?.to_owned();
    let flat = tape.ints(&[-1]);
    let indices = match call.node.output.get(1) {
        Some(name) if !name.is_empty() => name.clone(),
        _ => tape.forward_output(call.output(), 1),
    };
    let indices = tape.op("Reshape", &[&indices, &flat]);
    let cotangent = tape.op("Reshape", &[call.cotangent()?, &flat]);
    let shape = tape.op("Shape", &[&x]);
    let zeros = tape.zeros(&shape);
    let zeros = tape.op("Reshape", &[&zeros, &flat]);
    let scattered = tape.node(
        "ScatterElements",
        &[&zeros, &indices, &cotangent],
        vec![int("axis", 0), text("reduction", "add")],
    );
    Ok(vec![(0, tape.reshape_like(&scattered, &x)?)])
}
