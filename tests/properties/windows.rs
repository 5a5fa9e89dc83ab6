//! Products, convolution, pooling, and what moves elements.

use proptest::prelude::*;
use proptest::sample::select;

use crate::{check, config, settings};
use gradlens::model::onnx::parts::{float, int, ints, text};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn matrix_products(
        setting in settings(),
        form in 0..4usize,
        turns in 0..4i64,
        size in 1..4i64,
        equation in select(vec![
            "nchw,nchv->nchwv", "nchw,nkhw->nchk", "nchw,nkhw->nck", "nchw,nkhv->nc", "nchw,nchw->nchw", "nchw,nchw->n", "nchw,nkvw->nwck",
        ]),
    ) {
        let [_, channels, height, width] = setting.shape.map(|size| size as i64);
        check(&setting, -2.0, 2.0, |g, x| match form {
            0 => {
                // With a constant of any rank from one to four.
                let dims = [channels, width, size];
                let dims = match turns {
                    0 => vec![width],
                    1 => dims[1..].to_vec(),
                    2 => dims.to_vec(),
                    _ => vec![1, 1, width, size],
                };
                let other = g.floats(&dims, -1.0, 1.0);
                g.node("MatMul", &[x, &other], vec![])
            }
            1 => {
                let other = g.node("Transpose", &[x], vec![ints("perm", &[0, 1, 3, 2])]);
                let other = if turns % 2 == 0 { other } else { g.mean(&other, &[1]) };
                let other = g.node("Sin", &[&other], vec![]);
                let pair = if turns < 2 { [x, other.as_str()] } else { [other.as_str(), x] };
                g.node("MatMul", &pair, vec![])
            }
            2 => {
                let (turn_a, turn_b) = (turns & 1, turns >> 1);
                let features = channels * height * width;
                let shape = g.ints(&[-1, features]);
                let mut a = g.node("Reshape", &[x, &shape], vec![]);
                if turn_a == 1 {
                    a = g.node("Transpose", &[&a], vec![]);
                }
                let dims = if turn_b == 1 { [size, features] } else { [features, size] };
                let (b, c) = (g.floats(&dims, -1.0, 1.0), g.floats(&[size], -1.0, 1.0));
                let form = vec![int("transA", turn_a), int("transB", turn_b), float("alpha", 0.5)];
                g.node("Gemm", &[&a, &b, &c], form)
            }
            _ => {
                let other = g.node("Sin", &[x], vec![]);
                g.node("Einsum", &[x, &other], vec![text("equation", equation)])
            }
        })?;
    }

    #[test]
    fn convolutions(
        setting in settings(),
        kernel in (1..4usize, 1..4usize),
        strides in (1..4i64, 1..4i64),
        dilations in (1..3i64, 1..3i64),
        pads in (0..3i64, 0..3i64, 0..3i64, 0..3i64),
        maps in 1..3i64,
        grouped: bool,
    ) {
        let mut setting = setting;
        let reach = |kernel: usize, dilation: i64, before: i64, after: i64| {
            (dilation * (kernel as i64 - 1) + 1 - before - after).max(1) as usize
        };
        setting.shape[2] = setting.shape[2].max(reach(kernel.0, dilations.0, pads.0, pads.2));
        setting.shape[3] = setting.shape[3].max(reach(kernel.1, dilations.1, pads.1, pads.3));
        let channels = setting.shape[1] as i64;
        let groups = if grouped { channels } else { 1 };
        check(&setting, -2.0, 2.0, |g, x| {
            let weights = g.floats(&[groups * maps, channels / groups, kernel.0 as i64, kernel.1 as i64], -1.0, 1.0);
            g.node("Conv", &[x, &weights], vec![
                ints("kernel_shape", &[kernel.0 as i64, kernel.1 as i64]),
                ints("strides", &[strides.0, strides.1]),
                ints("dilations", &[dilations.0, dilations.1]),
                ints("pads", &[pads.0, pads.1, pads.2, pads.3]),
                int("group", groups),
            ])
        })?;
    }

    #[test]
    fn pooling(
        setting in settings(),
        kernel in (1..4i64, 1..4i64),
        strides in (1..4i64, 1..4i64),
        pads in (0..3i64, 0..3i64, 0..3i64, 0..3i64),
        ceil: bool,
        counted: bool,
        operator in select(vec!["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"]),
    ) {
        let mut setting = setting;
        setting.shape[2] = setting.shape[2].max(kernel.0 as usize);
        setting.shape[3] = setting.shape[3].max(kernel.1 as usize);
        // Padding is smaller than the kernel, as every runtime asks.
        let pads = [pads.0.min(kernel.0 - 1), pads.1.min(kernel.1 - 1), pads.2.min(kernel.0 - 1), pads.3.min(kernel.1 - 1)];
        let mut form = vec![
            ints("kernel_shape", &[kernel.0, kernel.1]),
            ints("strides", &[strides.0, strides.1]),
            ints("pads", &pads),
            int("ceil_mode", i64::from(ceil)),
        ];
        if operator == "AveragePool" {
            form.push(int("count_include_pad", i64::from(counted)));
        }
        if operator.starts_with("Global") {
            form.clear();
        }
        check(&setting, -2.0, 2.0, |g, x| g.node(operator, &[x], form))?;
    }

    #[test]
    fn movements(
        setting in settings(),
        form in 0..9usize,
        axis in 1..4usize,
        bounds in (-5i64..6, -5i64..6),
        step in select(vec![-2i64, -1, 1, 2, 3]),
        pads in (0..3i64, 0..3i64),
        order in Just([1i64, 2, 3]).prop_shuffle(),
    ) {
        let size = setting.shape[axis] as i64;
        let [_, channels, height, width] = setting.shape.map(|size| size as i64);
        let from_end = axis as i64 - if bounds.0 % 2 == 0 { 4 } else { 0 };
        // At least one element is left.
        let within = |bound: i64| (if bound < 0 { bound + size } else { bound }).clamp(0, size - 1);
        let (start, end) = match step < 0 {
            true => (within(bounds.0).max(within(bounds.1)), within(bounds.0).min(within(bounds.1)) - 1),
            false => (within(bounds.0).min(within(bounds.1)), within(bounds.0).max(within(bounds.1)) + 1),
        };
        let end = if end < 0 { i64::MIN + 1 } else { end };
        check(&setting, -2.0, 2.0, |g, x| match form {
            0 => g.node("Transpose", &[x], vec![ints("perm", &[0, order[0], order[1], order[2]])]),
            1 => {
                let shape = g.ints(&[-1, width, channels * height]);
                let flat = g.node("Reshape", &[x, &shape], vec![]);
                g.node("Softmax", &[&flat], vec![])
            }
            2 => {
                let inputs = [&[start], &[end], &[from_end], &[step]].map(|values| g.ints(values));
                let [start, end, axes, steps] = inputs.each_ref().map(String::as_str);
                g.node("Slice", &[x, start, end, axes, steps], vec![])
            }
            3 => {
                let mut both = [0; 8];
                (both[axis], both[4 + axis]) = pads;
                let both = g.ints(&both);
                g.node("Pad", &[x, &both], vec![])
            }
            4 => {
                let other = g.node("Sin", &[x], vec![]);
                g.node("Concat", &[x, &other, x], vec![int("axis", from_end)])
            }
            5 => {
                let places = [bounds.0.rem_euclid(size), bounds.1.rem_euclid(size), 0];
                let places = g.ints(&places);
                g.node("Gather", &[x, &places], vec![int("axis", from_end)])
            }
            6 => {
                let repeats = g.ints(&[1, 1 + pads.0, 1, 1 + pads.1]);
                g.node("Tile", &[x, &repeats], vec![])
            }
            7 => {
                let mean = g.mean(x, &[axis as i64]);
                let mut shape = [1; 4];
                shape[axis] = 1 + pads.0;
                let shape = g.ints(&shape);
                let wide = g.node("Expand", &[&mean, &shape], vec![]);
                g.node("Exp", &[&wide], vec![])
            }
            _ => {
                let axes = g.ints(&[1, -1]);
                let long = g.node("Unsqueeze", &[x, &axes], vec![]);
                let squared = g.node("Mul", &[&long, &long], vec![]);
                // Unsorted axes are more than tract 0.23.9 can squeeze.
                let axes = g.ints(&[1, -1]);
                g.node("Squeeze", &[&squared, &axes], vec![])
            }
        })?;
    }
}
