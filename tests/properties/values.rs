//! Arithmetic, functions, reductions and normalisation.

use proptest::prelude::*;
use proptest::sample::select;

use crate::{axes, check, config, settings};
use gradlens::model::onnx::parts::{float, int};

/// Operators of one input, with values that keep clear of their kinks and poles, and the opset they need.
const UNARY: &[(&str, f64, f64, i64)] = &[
    ("Abs", -2.0, 2.0, 17),
    ("Acos", -0.9, 0.9, 17),
    ("Acosh", 1.2, 3.0, 17),
    ("Asin", -0.9, 0.9, 17),
    ("Asinh", -3.0, 3.0, 17),
    ("Atan", -3.0, 3.0, 17),
    ("Atanh", -0.9, 0.9, 17),
    ("Celu", -2.0, 2.0, 17),
    ("Cos", -3.0, 3.0, 17),
    ("Cosh", -2.0, 2.0, 17),
    ("Elu", -2.0, 2.0, 17),
    ("Erf", -2.0, 2.0, 17),
    ("Exp", -2.0, 2.0, 17),
    ("Gelu", -3.0, 3.0, 20),
    ("HardSigmoid", -2.0, 2.0, 17),
    ("HardSwish", -2.0, 2.0, 17),
    ("Identity", -2.0, 2.0, 17),
    ("LeakyRelu", -2.0, 2.0, 17),
    ("Log", 0.2, 3.0, 17),
    ("LogSoftmax", -3.0, 3.0, 17),
    ("Mish", -3.0, 3.0, 18),
    ("Neg", -2.0, 2.0, 17),
    ("Reciprocal", 0.3, 2.0, 17),
    ("Relu", -2.0, 2.0, 17),
    ("Selu", -2.0, 2.0, 17),
    ("Sigmoid", -3.0, 3.0, 17),
    ("Sin", -3.0, 3.0, 17),
    ("Sinh", -2.0, 2.0, 17),
    ("Softmax", -3.0, 3.0, 17),
    ("Softplus", -3.0, 3.0, 17),
    ("Softsign", -3.0, 3.0, 17),
    ("Sqrt", 0.2, 3.0, 17),
    ("Tan", -1.2, 1.2, 17),
    ("Tanh", -2.0, 2.0, 17),
];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn functions_of_one_tensor(mut setting in settings(), unary in select(UNARY)) {
        let (operator, low, high, since) = unary;
        setting.opset = setting.opset.max(since);
        // The layer is read twice, so that cotangents add up.
        check(&setting, low, high, |g, x| {
            let y = g.node(operator, &[x], vec![]);
            g.node("Mul", &[&y, x], vec![])
        })?;
    }

    #[test]
    fn softmax_along_any_axis(setting in settings(), axis in -4i64..4, logarithm: bool) {
        let operator = if logarithm { "LogSoftmax" } else { "Softmax" };
        check(&setting, -3.0, 3.0, |g, x| g.node(operator, &[x], vec![int("axis", axis)]))?;
    }

    #[test]
    fn arithmetic_with_broadcasting(
        setting in settings(),
        operator in select(vec!["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mean", "Sum"]),
        bits in 0..16usize,
        computed: bool,
        turned: bool,
        drop in 0..=4usize,
    ) {
        check(&setting, 0.3, 2.0, |g, x| {
            let other = if computed {
                let narrow = if bits == 0 { x.to_owned() } else { g.mean(x, &axes(bits, true)) };
                let half = g.floats(&[], 0.4, 0.9);
                let scaled = g.node("Mul", &[&narrow, &half], vec![]);
                g.node("Exp", &[&scaled], vec![])
            } else {
                // A constant of any rank; its batch is one where the model's is open.
                let mut dims: Vec<i64> = setting.shape.iter().map(|&size| size as i64).collect();
                for (axis, dim) in dims.iter_mut().enumerate() {
                    if bits >> axis & 1 == 1 || axis == 0 {
                        *dim = 1;
                    }
                }
                // tract 0.23.9 cannot average tensors of different ranks.
                let drop = if operator == "Mean" { 0 } else { drop };
                g.floats(&dims[drop..], 0.35, 2.1)
            };
            let pair = if turned { [other.as_str(), x] } else { [x, other.as_str()] };
            g.node(operator, &pair, vec![])
        })?;
    }

    #[test]
    fn bounds_slopes_and_choices(setting in settings(), form in 0..5usize, bits in 1..16usize) {
        check(&setting, -2.0, 2.0, |g, x| {
            let narrow = g.mean(x, &axes(bits, false));
            match form {
                0 => g.node("PRelu", &[x, &narrow], vec![]),
                1 => {
                    let sizes = setting.shape.map(|size| size as i64);
                    let random = g.floats(&sizes[1..], -1.0, 1.0);
                    let zero = g.floats(&[], -0.01, 0.01);
                    let condition = g.node("Greater", &[&random, &zero], vec![]);
                    g.node("Where", &[&condition, x, &narrow], vec![])
                }
                2 => g.node("Shrink", &[x], vec![float("lambd", 0.313), float("bias", 0.1)]),
                3 => {
                    let whole = g.node("ReduceMean", &[x], vec![int("keepdims", 0)]);
                    g.node("Clip", &[x, &whole], vec![])
                }
                _ => {
                    let whole = g.node("ReduceMean", &[x], vec![int("keepdims", 0)]);
                    let low = g.floats(&[], -1.4, -1.3);
                    g.node("Clip", &[x, &low, &whole], vec![])
                }
            }
        })?;
    }

    #[test]
    fn reductions(
        setting in settings(),
        operator in select(vec![
            "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
            "ReduceSum", "ReduceSumSquare",
        ]),
        bits in 1..16usize,
        from_end: bool,
        keepdims: bool,
    ) {
        let low = if matches!(operator, "ReduceLogSum") { 0.2 } else { -1.5 };
        // Without its axes the result must still begin with the batch.
        let (bits, keepdims) = if keepdims { (bits, 1) } else { (bits & 0b0110 | 0b0010, 0) };
        check(&setting, low, 2.0, |g, x| {
            let y = g.reduce(operator, x, &axes(bits, from_end), keepdims);
            if keepdims == 1 { g.node("Mul", &[x, &y], vec![]) } else { y }
        })?;
    }

    #[test]
    fn normalisations(setting in settings(), form in 0..7usize, axis in 1i64..4, bits in 1..16usize) {
        let channels = setting.shape[1] as i64;
        let mut setting = setting;
        if form == 4 {
            setting.opset = 21;
        }
        check(&setting, -2.0, 2.0, |g, x| {
            let (scale, bias) = (g.floats(&[channels], 0.3, 1.5), g.floats(&[channels], -1.0, 1.0));
            match form {
                0 => {
                    let dims: Vec<i64> = setting.shape[axis as usize..].iter().map(|&size| size as i64).collect();
                    let scale = g.floats(&dims, 0.3, 1.5);
                    let axis = if bits % 2 == 0 { axis } else { axis - 4 };
                    g.node("LayerNormalization", &[x, &scale], vec![int("axis", axis), float("epsilon", 0.01)])
                }
                1 => g.node("InstanceNormalization", &[x, &scale, &bias], vec![float("epsilon", 0.01)]),
                2 => g.node("LpNormalization", &[x], vec![int("axis", axis - 4), int("p", 1 + bits as i64 % 2)]),
                3 => g.node("LRN", &[x], vec![int("size", 2 * axis - 1), float("alpha", 0.5), float("beta", 0.6)]),
                4 => {
                    let groups = if bits % 2 == 0 { 1 } else { channels };
                    g.node("GroupNormalization", &[x, &scale, &bias], vec![int("num_groups", groups), float("epsilon", 0.01)])
                }
                5 => {
                    let (mean, variance) = (g.floats(&[channels], -1.0, 1.0), g.floats(&[channels], 0.3, 2.0));
                    g.node("BatchNormalization", &[x, &scale, &bias, &mean, &variance], vec![])
                }
                _ => {
                    // Something to vary about: a single value has no deviation.
                    let every = axes(bits | 0b1000, false);
                    let squared = g.node("Mul", &[x, x], vec![]);
                    let mean = g.mean(&squared, &every);
                    let small = g.floats(&[], 0.01, 0.02);
                    let shifted = g.node("Add", &[&mean, &small], vec![]);
                    let root = g.node("Sqrt", &[&shifted], vec![]);
                    g.node("Div", &[x, &root], vec![])
                }
            }
        })?;
    }
}
