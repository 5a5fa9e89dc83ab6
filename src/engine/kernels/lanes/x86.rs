//! Registers of x86-64: eight floats with AVX2 and FMA, sixteen with AVX-512.
//!
//! The intrinsics are unsafe to call where the machine may lack them: whoever has one of these registers is inside a function that says it
//! does not, see [`Lanes`].

use std::arch::x86_64 as simd;

use super::Lanes;

/// Eight floats.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Eight(simd::__m256);

impl Eight {
    /// All bits of the first lanes.
    #[inline(always)]
    fn mask(count: usize) -> simd::__m256i {
        const BITS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        // Safety: eight of sixteen numbers are read, from the ninth on at most.
        unsafe { simd::_mm256_loadu_si256(BITS.as_ptr().add(8 - count.min(8)).cast()) }
    }
}

impl Lanes for Eight {
    const COUNT: usize = 8;
    const HAS_MASKS: bool = true;

    #[inline(always)]
    fn splat(value: f32) -> Eight {
        Eight(unsafe { simd::_mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Eight {
        Eight(unsafe { simd::_mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_splat(from: *const f32) -> Eight {
        Eight(unsafe { simd::_mm256_broadcast_ss(&*from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { simd::_mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Eight {
        Eight(unsafe { simd::_mm256_maskload_ps(from, Eight::mask(count)) })
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        unsafe { simd::_mm256_maskstore_ps(to, Eight::mask(count), self.0) }
    }

    #[inline(always)]
    fn prefetch(from: *const f32) {
        // Safety: nothing is read that the program would see.
        unsafe { simd::_mm_prefetch::<{ simd::_MM_HINT_T0 }>(from.cast()) }
    }

    #[inline(always)]
    fn add(self, other: Eight) -> Eight {
        Eight(unsafe { simd::_mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Eight) -> Eight {
        Eight(unsafe { simd::_mm256_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Eight) -> Eight {
        Eight(unsafe { simd::_mm256_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn add_product(self, a: Eight, b: Eight) -> Eight {
        Eight(unsafe { simd::_mm256_fmadd_ps(a.0, b.0, self.0) })
    }

    /// The instruction returns its second operand where the comparison is false.
    #[inline(always)]
    fn min(self, other: Eight) -> Eight {
        Eight(unsafe { simd::_mm256_min_ps(other.0, self.0) })
    }

    #[inline(always)]
    fn max(self, other: Eight) -> Eight {
        Eight(unsafe { simd::_mm256_max_ps(other.0, self.0) })
    }

    #[inline(always)]
    fn even(self, other: Eight) -> Eight {
        Eight(unsafe { in_order(simd::_mm256_shuffle_ps::<0b10_00_10_00>(self.0, other.0)) })
    }

    #[inline(always)]
    fn odd(self, other: Eight) -> Eight {
        Eight(unsafe { in_order(simd::_mm256_shuffle_ps::<0b11_01_11_01>(self.0, other.0)) })
    }

    #[inline(always)]
    fn even_odd(self, other: Eight) -> Eight {
        Eight(unsafe { in_order(simd::_mm256_shuffle_ps::<0b11_01_10_00>(self.0, other.0)) })
    }

    #[inline(always)]
    fn in_turns(self, other: Eight) -> [Eight; 2] {
        unsafe {
            let lower = simd::_mm256_unpacklo_ps(self.0, other.0);
            let upper = simd::_mm256_unpackhi_ps(self.0, other.0);
            [
                Eight(simd::_mm256_permute2f128_ps::<0x20>(lower, upper)),
                Eight(simd::_mm256_permute2f128_ps::<0x31>(lower, upper)),
            ]
        }
    }
}

/// Shuffles work in halves of 128 bits: brings the pairs of floats from the order first, third, second, fourth into the right one.
///
/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn in_order(pairs: simd::__m256) -> simd::__m256 {
    unsafe {
        let pairs = simd::_mm256_castps_pd(pairs);
        simd::_mm256_castpd_ps(simd::_mm256_permute4x64_pd::<0b11_01_10_00>(pairs))
    }
}

/// Sixteen floats.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Sixteen(simd::__m512);

impl Sixteen {
    /// A bit for each of the first lanes.
    #[inline(always)]
    fn mask(count: usize) -> simd::__mmask16 {
        ((1_u32 << count.min(16)) - 1) as simd::__mmask16
    }

    /// Floats by their numbers: those of `self` are 0 to 15, those of `other` 16 to 31.
    #[inline(always)]
    fn chosen(self, other: Sixteen, numbers: [i32; 16]) -> Sixteen {
        // Safety: sixteen numbers are read.
        unsafe {
            let numbers = simd::_mm512_loadu_si512(numbers.as_ptr().cast());
            Sixteen(simd::_mm512_permutex2var_ps(self.0, numbers, other.0))
        }
    }
}

const EVEN: [i32; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];
const ODD: [i32; 16] = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31];
const EVEN_ODD: [i32; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31];
const LOWER_TURNS: [i32; 16] = [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23];
const UPPER_TURNS: [i32; 16] = [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31];

impl Lanes for Sixteen {
    const COUNT: usize = 16;
    const HAS_MASKS: bool = true;

    #[inline(always)]
    fn splat(value: f32) -> Sixteen {
        Sixteen(unsafe { simd::_mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Sixteen {
        Sixteen(unsafe { simd::_mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_splat(from: *const f32) -> Sixteen {
        Sixteen(unsafe { simd::_mm512_set1_ps(*from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { simd::_mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Sixteen {
        Sixteen(unsafe { simd::_mm512_maskz_loadu_ps(Sixteen::mask(count), from) })
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        unsafe { simd::_mm512_mask_storeu_ps(to, Sixteen::mask(count), self.0) }
    }

    #[inline(always)]
    fn prefetch(from: *const f32) {
        // Safety: nothing is read that the program would see.
        unsafe { simd::_mm_prefetch::<{ simd::_MM_HINT_T0 }>(from.cast()) }
    }

    #[inline(always)]
    fn add(self, other: Sixteen) -> Sixteen {
        Sixteen(unsafe { simd::_mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Sixteen) -> Sixteen {
        Sixteen(unsafe { simd::_mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Sixteen) -> Sixteen {
        Sixteen(unsafe { simd::_mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn add_product(self, a: Sixteen, b: Sixteen) -> Sixteen {
        Sixteen(unsafe { simd::_mm512_fmadd_ps(a.0, b.0, self.0) })
    }

    /// The instruction returns its second operand where the comparison is false.
    #[inline(always)]
    fn min(self, other: Sixteen) -> Sixteen {
        Sixteen(unsafe { simd::_mm512_min_ps(other.0, self.0) })
    }

    #[inline(always)]
    fn max(self, other: Sixteen) -> Sixteen {
        Sixteen(unsafe { simd::_mm512_max_ps(other.0, self.0) })
    }

    #[inline(always)]
    fn even(self, other: Sixteen) -> Sixteen {
        self.chosen(other, EVEN)
    }

    #[inline(always)]
    fn odd(self, other: Sixteen) -> Sixteen {
        self.chosen(other, ODD)
    }

    #[inline(always)]
    fn even_odd(self, other: Sixteen) -> Sixteen {
        self.chosen(other, EVEN_ODD)
    }

    #[inline(always)]
    fn in_turns(self, other: Sixteen) -> [Sixteen; 2] {
        [
            self.chosen(other, LOWER_TURNS),
            self.chosen(other, UPPER_TURNS),
        ]
    }
}
