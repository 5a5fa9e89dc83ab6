//! Masks: one where a gradient passes, zero where it does not.
//!
//! A comparison and a `Where` say the same, but engines compute them several times slower than arithmetic: tract 0.23.9 runs a product, a
//! minimum and another product as one loop, a third of the time. So a mask is `min(t 2^127, 1)` of a tensor `t` that is
//! positive where the gradient passes: exactly one for every normal positive number, exactly zero for zero.

use crate::gradient::tape::Tape;

/// Larger than the inverse of every normal number's magnitude; its product with zero is zero.
const STEEP: f32 = 1.701_411_8e38;

/// `cotangent` where `tensor`, which is nowhere negative, is positive.
pub(super) fn where_positive(tape: &mut Tape<'_>, tensor: &str, cotangent: &str) -> String {
    if tape.may_be_infinite(cotangent) {
        let zero = tape.scalar(0.0);
        let active = tape.op("Greater", &[tensor, &zero]);
        return tape.masked(&active, cotangent);
    }
    let steep = tape.scale(tensor, STEEP);
    let one = tape.scalar(1.0);
    let mask = tape.op("Min", &[&steep, &one]);
    tape.mul(&mask, cotangent)
}

/// `high` where `tensor` is positive, `low` elsewhere; both from zero to one.
pub(super) fn step(tape: &mut Tape<'_>, tensor: &str, low: f32, high: f32) -> String {
    let steep = tape.scale(tensor, STEEP);
    let (low, high) = (tape.scalar(low), tape.scalar(high));
    tape.op("Clip", &[&steep, &low, &high])
}

/// `cotangent` where `tensor`, which never leaves its bounds, is not on one of them.
pub(super) fn where_between(
    tape: &mut Tape<'_>,
    tensor: &str,
    low: Option<f32>,
    high: Option<f32>,
    cotangent: &str,
) -> String {
    let below = |tape: &mut Tape<'_>, high: f32| {
        let high = tape.scalar(high);
        tape.op("Sub", &[&high, tensor])
    };
    let over = |tape: &mut Tape<'_>, low: f32| {
        let low = tape.scalar(-low);
        tape.op("Add", &[tensor, &low])
    };
    let distance = match (low, high) {
        (None, None) => return cotangent.to_owned(),
        (Some(0.0), None) => tensor.to_owned(),
        (Some(low), None) => over(tape, low),
        (None, Some(high)) => below(tape, high),
        (Some(0.0), Some(high)) => {
            let below = below(tape, high);
            tape.mul(&below, tensor)
        }
        (Some(low), Some(high)) => {
            let below = below(tape, high);
            let over = over(tape, low);
            tape.mul(&below, &over)
        }
    };
    where_positive(tape, &distance, cotangent)
}
