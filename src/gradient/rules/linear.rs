//! Matrix products.

use super::Rule;
use crate::gradient::tape::{Call, Cotangents, Tape, float, int, ints};
use crate::model::facts::Dim;

pub(super) const RULES: &[(&str, Rule)] = &[("Gemm", gemm), ("MatMul", matmul)];

/// `Y = alpha A' B' + beta C`, a prime meaning the transpose where the attribute asks for it.
fn gemm(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (a, b, dy) = (call.input(0)?, call.input(1)?, call.cotangent()?);
    let (turn_a, turn_b) = (call.int("transA", 0), call.int("transB", 0));
    let alpha = float("alpha", call.float("alpha", 1.0));
    let mut results = Vec::new();
    let mut product = |left: &str, right: &str, turn_left: i64, turn_right: i64| {
        let attributes = vec![
            alpha.clone(),
            int("transA", turn_left),
            int("transB", turn_right),
        ];
        tape.node("Gemm", &[left, right], attributes)
    };
    if call.wants(0) {
        let result = match turn_a {
            0 => product(dy, b, 0, 1 - turn_b),
            _ => product(b, dy, turn_b, 1),
        };
        results.push((0, result));
    }
    if call.wants(1) {
        let result = match turn_b {
            0 => product(a, dy, 1 - turn_a, 0),
            _ => product(dy, a, 1, turn_a),
        };
        results.push((1, result));
    }
    if call.wants(2) {
        let summed = tape.sum_to(dy, call.output(), call.input(2)?)?;
        results.push((2, tape.scale(&summed, call.float("beta", 1.0))));
    }
    Ok(results)
}

/// `dA = dY B^T`, `dB = A^T dY`, summed over the batch axes that were broadcast.
///
/// A vector is a matrix of one row on the left and of one column on the right, an axis that the product then lacks.
fn matmul(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let (shape_a, shape_b) = (tape.shape(a)?, tape.shape(b)?);
    let product_shape = tape.shape(call.output())?;
    let rank = product_shape.len() as i64;
    let lacking = match (shape_a.len(), shape_b.len()) {
        (0, _) | (_, 0) => return Err(call.form("an operand without axes")),
        (1, 1) => vec![0, 1],
        (1, _) => vec![rank - 1],
        (_, 1) => vec![rank],
        _ => vec![],
    };
    let batch = (product_shape.len() + lacking.len()).saturating_sub(2);
    let batch = product_shape.get(..batch).unwrap_or_default();
    let mut results = Vec::new();
    if call.wants(0) {
        let dy = tape.unsqueeze(call.cotangent()?, &lacking);
        let turned = match shape_b.len() {
            1 => tape.unsqueeze(b, &[0]),
            rank => transposed(tape, b, rank),
        };
        let product = tape.op("MatMul", &[&dy, &turned]);
        let wide = [batch, &matrix(&shape_a)].concat();
        results.push((0, tape.sum_from(&product, &wide, a)?));
    }
    if call.wants(1) {
        let product = if shape_b.len() == 1 {
            let at = if shape_a.len() == 1 {
                vec![0, 1]
            } else {
                vec![rank - 1]
            };
            let row = tape.unsqueeze(call.cotangent()?, &at);
            let rows = tape.unsqueeze(a, if shape_a.len() == 1 { &[0] } else { &[] });
            tape.op("MatMul", &[&row, &rows])
        } else {
            let dy = tape.unsqueeze(call.cotangent()?, &lacking);
            let turned = match shape_a.len() {
                1 => tape.unsqueeze(a, &[1]),
                rank => transposed(tape, a, rank),
            };
            tape.op("MatMul", &[&turned, &dy])
        };
        let wide = [batch, &matrix(&shape_b)].concat();
        results.push((1, tape.sum_from(&product, &wide, b)?));
    }
    Ok(results)
}

/// The last two sizes; a vector's as those of a row.
fn matrix(shape: &[Dim]) -> Vec<Dim> {
    match shape {
        [size] => vec![Dim::Known(1), size.clone()],
        _ => shape[shape.len().saturating_sub(2)..].to_vec(),
    }
}

/// The last two axes exchanged.
fn transposed(tape: &mut Tape<'_>, tensor: &str, rank: usize) -> String {
    let mut order: Vec<i64> = (0..rank as i64).collect();
    order.swap(rank - 1, rank - 2);
    tape.node("Transpose", &[tensor], vec![ints("perm", &order)])
}
