//! Four floats at once: `v128` in WebAssembly, an array elsewhere, with the same results to the bit, so that what is written over
//! them is tested natively too.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use std::arch::wasm32 as simd;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
type Register = simd::v128;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
type Register = [f32; 4];

/// Four floats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lanes(Register);

/// Floats in [`Lanes`].
pub(super) const LANES: usize = 4;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
impl Lanes {
    #[inline(always)]
    pub(super) fn splat(value: f32) -> Lanes {
        Lanes(simd::f32x4_splat(value))
    }

    /// # Safety
    /// Four floats must be readable at `from`; it need not be aligned.
    #[inline(always)]
    pub(super) unsafe fn load(from: *const f32) -> Lanes {
        Lanes(unsafe { simd::v128_load(from.cast()) })
    }

    /// One float, four times. V8 does it in one instruction where it is a load, and in two where it is a splat of a load.
    ///
    /// # Safety
    /// A float must be readable at `from`.
    #[inline(always)]
    pub(super) unsafe fn load_splat(from: *const f32) -> Lanes {
        Lanes(unsafe { simd::v128_load32_splat(from.cast()) })
    }

    /// # Safety
    /// Four floats must be writable at `to`; it need not be aligned.
    #[inline(always)]
    pub(super) unsafe fn store(self, to: *mut f32) {
        unsafe { simd::v128_store(to.cast(), self.0) }
    }

    #[inline(always)]
    pub(super) fn add(self, other: Lanes) -> Lanes {
        Lanes(simd::f32x4_add(self.0, other.0))
    }

    #[inline(always)]
    pub(super) fn sub(self, other: Lanes) -> Lanes {
        Lanes(simd::f32x4_sub(self.0, other.0))
    }

    #[inline(always)]
    pub(super) fn mul(self, other: Lanes) -> Lanes {
        Lanes(simd::f32x4_mul(self.0, other.0))
    }

    /// `other` where it is smaller, else `self`, NaN included: one instruction of x86, unlike IEEE's minimum.
    #[inline(always)]
    pub(super) fn min(self, other: Lanes) -> Lanes {
        Lanes(simd::f32x4_pmin(self.0, other.0))
    }

    /// `other` where it is larger, else `self`, NaN included.
    #[inline(always)]
    pub(super) fn max(self, other: Lanes) -> Lanes {
        Lanes(simd::f32x4_pmax(self.0, other.0))
    }

    /// The floats at even places of `self` and then of `other`.
    #[inline(always)]
    pub(super) fn even(self, other: Lanes) -> Lanes {
        Lanes(simd::i32x4_shuffle::<0, 2, 4, 6>(self.0, other.0))
    }

    /// The floats at odd places of `self` and then of `other`.
    #[inline(always)]
    pub(super) fn odd(self, other: Lanes) -> Lanes {
        Lanes(simd::i32x4_shuffle::<1, 3, 5, 7>(self.0, other.0))
    }

    /// The floats at even places of `self` and then those at odd ones of `other`.
    #[inline(always)]
    pub(super) fn even_odd(self, other: Lanes) -> Lanes {
        Lanes(simd::i32x4_shuffle::<0, 2, 5, 7>(self.0, other.0))
    }

    /// The floats of both in turns: those of the lower halves, and those of the upper ones.
    #[inline(always)]
    pub(super) fn in_turns(self, other: Lanes) -> [Lanes; 2] {
        [
            Lanes(simd::i32x4_shuffle::<0, 4, 1, 5>(self.0, other.0)),
            Lanes(simd::i32x4_shuffle::<2, 6, 3, 7>(self.0, other.0)),
        ]
    }

    /// `self` where it is above zero, else `other`.
    #[inline(always)]
    pub(super) fn positive_or(self, other: Lanes) -> Lanes {
        let positive = simd::f32x4_gt(self.0, simd::f32x4_splat(0.0));
        Lanes(simd::v128_bitselect(self.0, other.0, positive))
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
impl Lanes {
    #[inline(always)]
    pub(super) fn splat(value: f32) -> Lanes {
        Lanes([value; LANES])
    }

    /// # Safety
    /// Four floats must be readable at `from`; it need not be aligned.
    #[inline(always)]
    pub(super) unsafe fn load(from: *const f32) -> Lanes {
        Lanes(unsafe { from.cast::<Register>().read_unaligned() })
    }

    /// One float, four times.
    ///
    /// # Safety
    /// A float must be readable at `from`.
    #[inline(always)]
    pub(super) unsafe fn load_splat(from: *const f32) -> Lanes {
        Lanes::splat(unsafe { *from })
    }

    /// # Safety
    /// Four floats must be writable at `to`; it need not be aligned.
    #[inline(always)]
    pub(super) unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<Register>().write_unaligned(self.0) }
    }

    #[inline(always)]
    fn zip(self, other: Lanes, combine: impl Fn(f32, f32) -> f32) -> Lanes {
        Lanes(std::array::from_fn(|lane| {
            combine(self.0[lane], other.0[lane])
        }))
    }

    #[inline(always)]
    pub(super) fn add(self, other: Lanes) -> Lanes {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    pub(super) fn sub(self, other: Lanes) -> Lanes {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    pub(super) fn mul(self, other: Lanes) -> Lanes {
        self.zip(other, |a, b| a * b)
    }

    /// `other` where it is smaller, else `self`, NaN included.
    #[inline(always)]
    pub(super) fn min(self, other: Lanes) -> Lanes {
        self.zip(other, |a, b| if b < a { b } else { a })
    }

    /// `other` where it is larger, else `self`, NaN included.
    #[inline(always)]
    pub(super) fn max(self, other: Lanes) -> Lanes {
        self.zip(other, |a, b| if a < b { b } else { a })
    }

    /// The floats at even places of `self` and then of `other`.
    #[inline(always)]
    pub(super) fn even(self, other: Lanes) -> Lanes {
        Lanes([self.0[0], self.0[2], other.0[0], other.0[2]])
    }

    /// The floats at odd places of `self` and then of `other`.
    #[inline(always)]
    pub(super) fn odd(self, other: Lanes) -> Lanes {
        Lanes([self.0[1], self.0[3], other.0[1], other.0[3]])
    }

    /// The floats at even places of `self` and then those at odd ones of `other`.
    #[inline(always)]
    pub(super) fn even_odd(self, other: Lanes) -> Lanes {
        Lanes([self.0[0], self.0[2], other.0[1], other.0[3]])
    }

    /// The floats of both in turns: those of the lower halves, and those of the upper ones.
    #[inline(always)]
    pub(super) fn in_turns(self, other: Lanes) -> [Lanes; 2] {
        let (a, b) = (self.0, other.0);
        [
            Lanes([a[0], b[0], a[1], b[1]]),
            Lanes([a[2], b[2], a[3], b[3]]),
        ]
    }

    /// `self` where it is above zero, else `other`.
    #[inline(always)]
    pub(super) fn positive_or(self, other: Lanes) -> Lanes {
        self.zip(other, |a, b| if a > 0.0 { a } else { b })
    }
}

/// Rows of floats for columns.
#[inline(always)]
pub(super) fn transposed([a, b, c, d]: [Lanes; LANES]) -> [Lanes; LANES] {
    let ([ac, ac_upper], [bd, bd_upper]) = (a.in_turns(c), b.in_turns(d));
    let ([first, second], [third, fourth]) = (ac.in_turns(bd), ac_upper.in_turns(bd_upper));
    [first, second, third, fourth]
}

impl Lanes {
    /// The floats.
    #[inline(always)]
    pub(super) fn to_array(self) -> [f32; LANES] {
        let mut values = [0.0; LANES];
        // Safety: the array holds four floats.
        unsafe { self.store(values.as_mut_ptr()) };
        values
    }
}
