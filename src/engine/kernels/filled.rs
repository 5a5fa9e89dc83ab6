//! What operators of one input have in common: floats in, a tensor of floats out.

use tract_onnx::tract_core::internal::*;

/// Bytes of a line of the processor's cache: registers as long as that are stored twice as fast from its start.
const ALIGNMENT: usize = 64;

/// A tensor of a shape that `fill` makes of the only input's floats.
///
/// # Safety
/// `fill` must write every value of the result.
pub(super) unsafe fn filled(
    inputs: TVec<TValue>,
    shape: &[usize],
    fill: impl FnOnce(&[f32], &mut [f32]) -> TractResult<()>,
) -> TractResult<TVec<TValue>> {
    let input = args_1!(inputs);
    let input = input.try_as_plain_ram()?;
    // Safety: every value is written, as the caller grants; floats have no invalid bits.
    let mut result = unsafe { Tensor::uninitialized_aligned::<f32>(shape, ALIGNMENT)? };
    fill(
        input.as_slice()?,
        result.try_as_plain_ram_mut()?.as_slice_mut()?,
    )?;
    Ok(tvec!(result.into_tvalue()))
}
