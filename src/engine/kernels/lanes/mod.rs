//! Floats that one instruction works on at once: four, eight or sixteen of them, by the same names.

mod four;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use four::Four;
#[cfg(target_arch = "aarch64")]
pub(super) use neon::Neon;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Eight, Sixteen};

/// The most floats that any register holds.
pub(super) const MOST: usize = 16;

/// A register of floats.
///
/// All but [`Four`] may be used only where the machine has the instructions, that is inside [`Work`](super::set::Work).
pub(super) trait Lanes: Copy {
    /// Floats in it.
    const COUNT: usize;

    /// Whether [`load_first`](Lanes::load_first) and [`store_first`](Lanes::store_first) are an instruction each.
    const HAS_MASKS: bool = false;

    fn splat(value: f32) -> Self;

    /// # Safety
    /// [`COUNT`](Lanes::COUNT) floats must be readable at `from`; it need not be aligned.
    unsafe fn load(from: *const f32) -> Self;

    /// One float, in all lanes.
    ///
    /// # Safety
    /// A float must be readable at `from`.
    unsafe fn load_splat(from: *const f32) -> Self;

    /// # Safety
    /// [`COUNT`](Lanes::COUNT) floats must be writable at `to`; it need not be aligned.
    unsafe fn store(self, to: *mut f32);

    /// The first floats, and zeros.
    ///
    /// # Safety
    /// So many floats must be readable at `from`, [`COUNT`](Lanes::COUNT) at most.
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let mut values = [0.0; MOST];
        // Safety: as the caller grants; a register is no longer than the array.
        unsafe {
            std::ptr::copy_nonoverlapping(from, values.as_mut_ptr(), count);
            Self::load(values.as_ptr())
        }
    }

    /// Stores the first floats only.
    ///
    /// # Safety
    /// So many floats must be writable at `to`, [`COUNT`](Lanes::COUNT) at most.
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        let mut values = [0.0; MOST];
        // Safety: as the caller grants; a register is no longer than the array.
        unsafe {
            self.store(values.as_mut_ptr());
            for (index, value) in values.into_iter().enumerate().take(count) {
                *to.add(index) = value;
            }
        }
    }

    /// Asks for the memory at `from`, which need not be anybody's, before it is needed.
    #[inline(always)]
    fn prefetch(_from: *const f32) {}

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;

    /// `self + a * b`, rounded once where the machine can.
    fn add_product(self, a: Self, b: Self) -> Self;

    /// `other` where it is smaller, else `self`, NaN included: one instruction of x86, unlike IEEE's minimum.
    fn min(self, other: Self) -> Self;

    /// `other` where it is larger, else `self`, NaN included.
    fn max(self, other: Self) -> Self;

    /// The floats at even places of `self` and then of `other`.
    fn even(self, other: Self) -> Self;

    /// The floats at odd places of `self` and then of `other`.
    fn odd(self, other: Self) -> Self;

    /// The floats at even places of `self` and then those at odd ones of `other`.
    fn even_odd(self, other: Self) -> Self;

    /// The floats of both in turns: those of the lower halves, and those of the upper ones.
    fn in_turns(self, other: Self) -> [Self; 2];

    /// The floats' sum.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut values = [0.0; MOST];
        // Safety: a register is no longer than the array.
        unsafe { self.store(values.as_mut_ptr()) };
        values[..Self::COUNT].iter().sum()
    }
}

/// Rows of floats for columns.
#[inline(always)]
pub(super) fn transposed([a, b, c, d]: [Four; 4]) -> [Four; 4] {
    let ([ac, ac_upper], [bd, bd_upper]) = (a.in_turns(c), b.in_turns(d));
    let ([first, second], [third, fourth]) = (ac.in_turns(bd), ac_upper.in_turns(bd_upper));
    [first, second, third, fourth]
}
