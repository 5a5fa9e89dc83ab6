//! Functions of an element, arithmetic with broadcasting, choices, changes of type.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::logic::Iff;
use tract_onnx::tract_core::ops::math::PowConst;
use tract_onnx::tract_core::ops::nn::LeakyRelu;

use super::super::program::{Numbers, Port};
use super::walk::{Walk, repeated};
use super::{BOOL, F32, I64, Lowering, volume};

pub(super) fn lower(to: &mut Lowering<'_>, node: &TypedNode) -> Result<Option<Vec<Port>>, String> {
    if let Some(op) = node.op_as::<ElementWiseOp>() {
        return unary(to, node, op);
    }
    if let Some(TypedBinOp(op, _)) = node.op_as::<TypedBinOp>() {
        return binary(to, node, op.name());
    }
    if node.op_is::<Iff>() {
        return choice(to, node);
    }
    match node.op_as::<Cast>() {
        Some(cast) => self::cast(to, node, cast.to),
        None => Ok(None),
    }
}

/// The kernel of a function of one float, by tract's name.
fn kernel_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "Abs" => "unary_abs",
        "Acos" => "unary_acos",
        "Acosh" => "unary_acosh",
        "Asin" => "unary_asin",
        "Asinh" => "unary_asinh",
        "Atan" => "unary_atan",
        "Atanh" => "unary_atanh",
        "Ceil" => "unary_ceil",
        "Cos" => "unary_cos",
        "Cosh" => "unary_cosh",
        "Erf" => "unary_erf",
        "Exp" => "unary_exp",
        "Floor" => "unary_floor",
        "GeluApproximate" => "unary_gelu_tanh",
        "GeluExact" => "unary_gelu",
        "HardSwish" => "unary_hard_swish",
        "LeakyRelu" => "unary_leaky_relu",
        "Ln" => "unary_ln",
        "Neg" => "unary_neg",
        "PowConst" => "unary_pow",
        "Recip" => "unary_recip",
        "Round" => "unary_round",
        "RoundHalfToEven" => "unary_round_even",
        "Rsqrt" => "unary_rsqrt",
        "Sigmoid" => "unary_sigmoid",
        "Sign" => "unary_sign",
        "Silu" => "unary_silu",
        "Sin" => "unary_sin",
        "Sinh" => "unary_sinh",
        "Sqrt" => "unary_sqrt",
        "Square" => "unary_square",
        "Tan" => "unary_tan",
        "Tanh" => "unary_tanh",
        _ => return None,
    })
}

fn unary(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    op: &ElementWiseOp,
) -> Result<Option<Vec<Port>>, String> {
    let name = op.0.name();
    let kernel = match to.kinds(node)[..] {
        [F32] if node.outputs[0].fact.datum_type == F32 => kernel_of(&name),
        [BOOL] if name == "Not" => Some("unary_not"),
        _ => None,
    };
    let Some(kernel) = kernel else {
        return Ok(None);
    };
    let parameter = match (
        op.0.downcast_ref::<LeakyRelu>(),
        op.0.downcast_ref::<PowConst>(),
    ) {
        (Some(op), _) => op.alpha,
        (_, Some(op)) => op.exponent,
        _ => 0.0,
    };
    one_to_one(to, node, kernel, parameter)
}

/// A kernel from each element to the one at its place.
fn one_to_one(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    kernel: &'static str,
    parameter: f32,
) -> Result<Option<Vec<Port>>, String> {
    let x = to.value(node.inputs[0])?;
    let y = to.room_for(node, 0)?;
    let count = volume(&y.shape);
    to.each(
        kernel,
        count,
        &[x.buffer],
        y.buffer,
        Numbers::default().longs([count]).float(parameter),
    );
    Ok(Some(vec![y]))
}

/// The kernel of an operator of two elements, by tract's name and the type of its inputs.
fn binary_kernel(name: &str, kind: DatumType) -> Option<&'static str> {
    Some(match (name, kind) {
        ("Add", F32) => "binary_add_f32",
        ("Sub", F32) => "binary_sub_f32",
        ("Mul", F32) => "binary_mul_f32",
        ("Div", F32) => "binary_div_f32",
        ("Pow", F32) => "binary_pow_f32",
        ("Min", F32) => "binary_min_f32",
        ("Max", F32) => "binary_max_f32",
        ("Eq", F32) => "binary_eq_f32",
        ("NE", F32) => "binary_ne_f32",
        ("LT", F32) => "binary_lt_f32",
        ("LTE", F32) => "binary_le_f32",
        ("GT", F32) => "binary_gt_f32",
        ("GTE", F32) => "binary_ge_f32",
        ("Add", I64) => "binary_add_i64",
        ("Sub", I64) => "binary_sub_i64",
        ("Mul", I64) => "binary_mul_i64",
        ("Min", I64) => "binary_min_i64",
        ("Max", I64) => "binary_max_i64",
        ("Eq", I64) => "binary_eq_i64",
        ("NE", I64) => "binary_ne_i64",
        ("LT", I64) => "binary_lt_i64",
        ("LTE", I64) => "binary_le_i64",
        ("GT", I64) => "binary_gt_i64",
        ("GTE", I64) => "binary_ge_i64",
        ("And", BOOL) => "binary_and_bool",
        ("Or", BOOL) => "binary_or_bool",
        ("Xor", BOOL) => "binary_xor_bool",
        _ => return None,
    })
}

fn binary(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    name: &str,
) -> Result<Option<Vec<Port>>, String> {
    let [kind, other] = to.kinds(node)[..] else {
        return Ok(None);
    };
    let kind_out = node.outputs[0].fact.datum_type;
    // x - y with its inputs exchanged.
    let (name, exchanged) = if name == "SubF" {
        ("Sub", true)
    } else {
        (name, false)
    };
    let kernel = binary_kernel(name, kind)
        .filter(|_| kind == other && (kind_out == kind || kind_out == BOOL));
    let (Some(kernel), Some(shape)) = (
        kernel,
        node.outputs[0]
            .fact
            .shape
            .as_concrete()
            .map(<[usize]>::to_vec),
    ) else {
        return Ok(None);
    };
    let [Some(left), Some(right)] = [0, 1].map(|at| to.shape_in(node, at)) else {
        return Ok(None);
    };
    let Some(walk) = Walk::new(&shape, [repeated(&left, &shape), repeated(&right, &shape)]) else {
        return Ok(None);
    };
    let inputs = to.inputs(node)?;
    let z = to.room_for(node, 0)?;
    let (first, second) = if exchanged { (1, 0) } else { (0, 1) };
    let count = volume(&shape);
    let numbers = Numbers::default()
        .longs([count])
        .ints([walk.axes])
        .ints(walk.shape);
    let numbers = numbers.ints(walk.steps[first]).ints(walk.steps[second]);
    to.each(
        kernel,
        count,
        &[inputs[first].buffer, inputs[second].buffer],
        z.buffer,
        numbers,
    );
    Ok(Some(vec![z]))
}

fn choice(to: &mut Lowering<'_>, node: &TypedNode) -> Result<Option<Vec<Port>>, String> {
    let kernel = match to.kinds(node)[..] {
        [BOOL, F32, F32] => "choice_f32",
        [BOOL, I64, I64] => "choice_i64",
        [BOOL, BOOL, BOOL] => "choice_bool",
        _ => return Ok(None),
    };
    let (Some(shape), [Some(condition), Some(x), Some(y)]) = (
        node.outputs[0]
            .fact
            .shape
            .as_concrete()
            .map(<[usize]>::to_vec),
        [0, 1, 2].map(|at| to.shape_in(node, at)),
    ) else {
        return Ok(None);
    };
    let steps = [condition, x, y].map(|own| repeated(&own, &shape));
    let Some(walk) = Walk::new(&shape, steps) else {
        return Ok(None);
    };
    let reads: Vec<_> = to.inputs(node)?.iter().map(|port| port.buffer).collect();
    let z = to.room_for(node, 0)?;
    let count = volume(&shape);
    let numbers = Numbers::default()
        .longs([count])
        .ints([walk.axes])
        .ints(walk.shape);
    let numbers = walk
        .steps
        .iter()
        .fold(numbers, |numbers, steps| numbers.ints(*steps));
    to.each(kernel, count, &reads, z.buffer, numbers);
    Ok(Some(vec![z]))
}

fn cast(
    to: &mut Lowering<'_>,
    node: &TypedNode,
    kind: DatumType,
) -> Result<Option<Vec<Port>>, String> {
    let from = to.kinds(node)[0];
    let kernel = match (from, kind) {
        _ if from == kind => return Ok(Some(to.inputs(node)?)),
        (F32, I64) => "cast_f32_i64",
        (I64, F32) => "cast_i64_f32",
        (BOOL, F32) => "cast_bool_f32",
        (BOOL, I64) => "cast_bool_i64",
        (F32, BOOL) => "cast_f32_bool",
        (I64, BOOL) => "cast_i64_bool",
        _ => return Ok(None),
    };
    one_to_one(to, node, kernel, 0.0)
}
