//! Matrix products.

use super::Rule;
use crate::gradient::tape::{Call, Cotangents, Tape, float, int, ints};

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
fn matmul(tape: &mut Tape<'_>, call: &Call<'_>) -> Cotangents {
    let (a, b, dy) = (call.input(0)?, call.input(1)?, call.cotangent()?);
    let (rank_a, rank_b) = (tape.shape(a)?.len(), tape.shape(b)?.len());
    if rank_a < 2 || rank_b < 2 {
        return Err(call.form("a vector operand"));
    }
    let mut results = Vec::new();
    if call.wants(0) {
        let turned = transposed(tape, b, rank_b);
        let product = tape.op("MatMul", &[dy, &turned]);
        results.push((0, sum_batch(tape, call, &product, a)?));
    }
    if call.wants(1) {
        let turned = transposed(tape, a, rank_a);
        let product = tape.op("MatMul", &[&turned, dy]);
        results.push((1, sum_batch(tape, call, &product, b)?));
    }
    Ok(results)
}

/// The last two axes exchanged.
fn transposed(tape: &mut Tape<'_>, tensor: &str, rank: usize) -> String {
    let mut order: Vec<i64> = (0..rank as i64).collect();
    order.swap(rank - 1, rank - 2);
    tape.node("Transpose", &[tensor], vec![ints("perm", &order)])
}

/// Sums a product's batch axes down to those of the operand `to`.
fn sum_batch(
    tape: &mut Tape<'_>,
    call: &Call<'_>,
    product: &str,
    to: &str,
) -> Result<String, crate::gradient::GradientError> {
    let wide = tape.shape(call.output())?;
    let narrow = tape.shape(to)?;
    // A product has at least its operands' ranks, and theirs are at least 2.
    let leading = wide.len().saturating_sub(narrow.len());
    let batch = narrow.len().saturating_sub(2);
    let broadcast = (0..batch).filter(|&axis| narrow[axis] != wide[leading + axis]);
    let axes: Vec<i64> = (0..leading)
        .chain(broadcast.map(|axis| leading + axis))
        .map(|axis| axis as i64)
        .collect();
    tape.sum_axes(product, &axes, leading, to)
}
