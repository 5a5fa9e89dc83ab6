//! Four floats with NEON, which every 64-bit Arm processor has.

use std::arch::aarch64 as simd;

use super::Lanes;

/// Four floats.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Neon(simd::float32x4_t);

impl Lanes for Neon {
    const COUNT: usize = 4;

    #[inline(always)]
    fn splat(value: f32) -> Neon {
        Neon(unsafe { simd::vdupq_n_f32(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Neon {
        Neon(unsafe { simd::vld1q_f32(from) })
    }

    #[inline(always)]
    unsafe fn load_splat(from: *const f32) -> Neon {
        Neon(unsafe { simd::vld1q_dup_f32(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { simd::vst1q_f32(to, self.0) }
    }

    #[inline(always)]
    fn add(self, other: Neon) -> Neon {
        Neon(unsafe { simd::vaddq_f32(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Neon) -> Neon {
        Neon(unsafe { simd::vsubq_f32(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Neon) -> Neon {
        Neon(unsafe { simd::vmulq_f32(self.0, other.0) })
    }

    #[inline(always)]
    fn add_product(self, a: Neon, b: Neon) -> Neon {
        Neon(unsafe { simd::vfmaq_f32(self.0, a.0, b.0) })
    }

    /// A comparison and a choice: Arm's own minimum makes NaN of a NaN on either side.
    #[inline(always)]
    fn min(self, other: Neon) -> Neon {
        Neon(unsafe { simd::vbslq_f32(simd::vcltq_f32(other.0, self.0), other.0, self.0) })
    }

    #[inline(always)]
    fn max(self, other: Neon) -> Neon {
        Neon(unsafe { simd::vbslq_f32(simd::vcltq_f32(self.0, other.0), other.0, self.0) })
    }

    #[inline(always)]
    fn even(self, other: Neon) -> Neon {
        Neon(unsafe { simd::vuzp1q_f32(self.0, other.0) })
    }

    #[inline(always)]
    fn odd(self, other: Neon) -> Neon {
        Neon(unsafe { simd::vuzp2q_f32(self.0, other.0) })
    }

    #[inline(always)]
    fn even_odd(self, other: Neon) -> Neon {
        let halves = (self.even(self).0, other.odd(other).0);
        Neon(unsafe {
            simd::vcombine_f32(simd::vget_low_f32(halves.0), simd::vget_low_f32(halves.1))
        })
    }

    #[inline(always)]
    fn in_turns(self, other: Neon) -> [Neon; 2] {
        unsafe {
            [
                Neon(simd::vzip1q_f32(self.0, other.0)),
                Neon(simd::vzip2q_f32(self.0, other.0)),
            ]
        }
    }
}
