//! Four floats at once: `v128` in WebAssembly, an array elsewhere, with the same results to the bit, so that what WebAssembly computes
//! is tested natively too.

use super::Lanes;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use std::arch::wasm32 as simd;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
type Register = simd::v128;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
type Register = [f32; 4];

/// Four floats.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Four(Register);

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
impl Lanes for Four {
    const COUNT: usize = 4;

    #[inline(always)]
    fn splat(value: f32) -> Four {
        Four(simd::f32x4_splat(value))
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Four {
        Four(unsafe { simd::v128_load(from.cast()) })
    }

    /// V8 does it in one instruction where it is a load, and in two where it is a splat of a load.
    #[inline(always)]
    unsafe fn load_splat(from: *const f32) -> Four {
        Four(unsafe { simd::v128_load32_splat(from.cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { simd::v128_store(to.cast(), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Four) -> Four {
        Four(simd::f32x4_add(self.0, other.0))
    }

    #[inline(always)]
    fn sub(self, other: Four) -> Four {
        Four(simd::f32x4_sub(self.0, other.0))
    }

    #[inline(always)]
    fn mul(self, other: Four) -> Four {
        Four(simd::f32x4_mul(self.0, other.0))
    }

    #[inline(always)]
    fn add_product(self, a: Four, b: Four) -> Four {
        self.add(a.mul(b))
    }

    #[inline(always)]
    fn min(self, other: Four) -> Four {
        Four(simd::f32x4_pmin(self.0, other.0))
    }

    #[inline(always)]
    fn max(self, other: Four) -> Four {
        Four(simd::f32x4_pmax(self.0, other.0))
    }

    #[inline(always)]
    fn even(self, other: Four) -> Four {
        Four(simd::i32x4_shuffle::<0, 2, 4, 6>(self.0, other.0))
    }

    #[inline(always)]
    fn odd(self, other: Four) -> Four {
        Four(simd::i32x4_shuffle::<1, 3, 5, 7>(self.0, other.0))
    }

    #[inline(always)]
    fn even_odd(self, other: Four) -> Four {
        Four(simd::i32x4_shuffle::<0, 2, 5, 7>(self.0, other.0))
    }

    #[inline(always)]
    fn in_turns(self, other: Four) -> [Four; 2] {
        [
            Four(simd::i32x4_shuffle::<0, 4, 1, 5>(self.0, other.0)),
            Four(simd::i32x4_shuffle::<2, 6, 3, 7>(self.0, other.0)),
        ]
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
impl Four {
    /// `self` where it is above zero, else `other`.
    #[inline(always)]
    pub(in super::super) fn positive_or(self, other: Four) -> Four {
        let positive = simd::f32x4_gt(self.0, simd::f32x4_splat(0.0));
        Four(simd::v128_bitselect(self.0, other.0, positive))
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
impl Lanes for Four {
    const COUNT: usize = 4;

    #[inline(always)]
    fn splat(value: f32) -> Four {
        Four([value; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Four {
        Four(unsafe { from.cast::<Register>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_splat(from: *const f32) -> Four {
        Four::splat(unsafe { *from })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<Register>().write_unaligned(self.0) }
    }

    #[inline(always)]
    fn add(self, other: Four) -> Four {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Four) -> Four {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Four) -> Four {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn add_product(self, a: Four, b: Four) -> Four {
        self.add(a.mul(b))
    }

    #[inline(always)]
    fn min(self, other: Four) -> Four {
        self.zip(other, |a, b| if b < a { b } else { a })
    }

    #[inline(always)]
    fn max(self, other: Four) -> Four {
        self.zip(other, |a, b| if a < b { b } else { a })
    }

    #[inline(always)]
    fn even(self, other: Four) -> Four {
        Four([self.0[0], self.0[2], other.0[0], other.0[2]])
    }

    #[inline(always)]
    fn odd(self, other: Four) -> Four {
        Four([self.0[1], self.0[3], other.0[1], other.0[3]])
    }

    #[inline(always)]
    fn even_odd(self, other: Four) -> Four {
        Four([self.0[0], self.0[2], other.0[1], other.0[3]])
    }

    #[inline(always)]
    fn in_turns(self, other: Four) -> [Four; 2] {
        let (a, b) = (self.0, other.0);
        [
            Four([a[0], b[0], a[1], b[1]]),
            Four([a[2], b[2], a[3], b[3]]),
        ]
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
impl Four {
    #[inline(always)]
    fn zip(self, other: Four, combine: impl Fn(f32, f32) -> f32) -> Four {
        Four(std::array::from_fn(|lane| {
            combine(self.0[lane], other.0[lane])
        }))
    }

    /// `self` where it is above zero, else `other`.
    #[inline(always)]
    pub(in super::super) fn positive_or(self, other: Four) -> Four {
        self.zip(other, |a, b| if a > 0.0 { a } else { b })
    }
}

impl Four {
    /// The floats.
    #[inline(always)]
    pub(in super::super) fn to_array(self) -> [f32; 4] {
        let mut values = [0.0; 4];
        // Safety: the array holds four floats.
        unsafe { self.store(values.as_mut_ptr()) };
        values
    }
}
