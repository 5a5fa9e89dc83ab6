//! The sets of vector instructions that the kernels are written for, and how work is done with one of them.

use super::lanes::{Four, Lanes};

/// A set of vector instructions. Whoever has one runs on a machine that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Set(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// AVX-512.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// Four floats, by what every machine of the kind has: in WebAssembly `v128`.
    Plain,
}

/// The registers of a set.
pub(super) trait Registers {
    /// As wide as there are.
    type Wide: Lanes;
    /// Half as wide, where rows are short and registers would stay half empty; as many floats divide [`Wide`](Registers::Wide)'s.
    type Narrow: Lanes;
    /// Whether the last columns of a product have a tile as narrow as they are.
    const NARROWS: bool;
    /// Whether a product's tile stands [upright](super::upright). [`Wide`](Registers::Wide) is [`Four`] then, and the set's tile has four
    /// rows, which become columns.
    const UPRIGHT: bool;
}

/// A piece of work that is written over registers and the [tile](super::tile) that fits them.
///
/// `run`, and what it calls with registers, must be `#[inline(always)]`: only then is it compiled with the set's instructions.
pub(super) trait Work {
    type Output;

    fn run<R: Registers, const ROWS: usize, const VECTORS: usize>(self) -> Self::Output;
}

struct Plain;

impl Registers for Plain {
    type Wide = Four;
    type Narrow = Four;
    const NARROWS: bool = false;
    const UPRIGHT: bool = true;
}

#[cfg(target_arch = "x86_64")]
struct Avx512;

#[cfg(target_arch = "x86_64")]
impl Registers for Avx512 {
    type Wide = super::lanes::Sixteen;
    type Narrow = super::lanes::Eight;
    const NARROWS: bool = true;
    const UPRIGHT: bool = false;
}

#[cfg(target_arch = "x86_64")]
struct Avx2;

#[cfg(target_arch = "x86_64")]
impl Registers for Avx2 {
    type Wide = super::lanes::Eight;
    type Narrow = super::lanes::Eight;
    const NARROWS: bool = true;
    const UPRIGHT: bool = false;
}

#[cfg(target_arch = "aarch64")]
struct Neon;

#[cfg(target_arch = "aarch64")]
impl Registers for Neon {
    type Wide = super::lanes::Neon;
    type Narrow = super::lanes::Neon;
    const NARROWS: bool = true;
    const UPRIGHT: bool = false;
}

/// Rows and columns of a tile, see [`tile`](super::tile).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub rows: usize,
    pub columns: usize,
    /// Floats of a register.
    pub lanes: usize,
    /// Floats of a narrow register.
    pub narrow: usize,
    /// Whether a panel of columns may be narrower than the tile.
    pub narrows: bool,
    /// Whether the tile of products [stands](super::upright).
    pub upright: bool,
}

impl Shape {
    /// That of a product's tile, which may stand upright.
    pub(super) fn of_products(self) -> Shape {
        match self.upright {
            true => Shape {
                rows: self.columns,
                columns: self.rows,
                ..self
            },
            false => self,
        }
    }
}

/// Tells the shape that a set has.
struct Ask;

impl Work for Ask {
    type Output = Shape;

    #[inline(always)]
    fn run<R: Registers, const ROWS: usize, const VECTORS: usize>(self) -> Shape {
        Shape {
            rows: ROWS,
            columns: VECTORS * R::Wide::COUNT,
            lanes: R::Wide::COUNT,
            narrow: R::Narrow::COUNT,
            narrows: R::NARROWS,
            upright: R::UPRIGHT,
        }
    }
}

impl Set {
    /// The sets that this machine has, the best one first.
    #[must_use]
    pub fn available() -> Vec<Set> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            // Every processor with AVX-512 has the other two.
            let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if has_avx2 && is_x86_feature_detected!("avx512f") {
                sets.push(Set(Kind::Avx512));
            }
            if has_avx2 {
                sets.push(Set(Kind::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        sets.push(Set(Kind::Neon));
        sets.push(Set(Kind::Plain));
        sets
    }

    /// The best set that this machine has.
    #[must_use]
    pub fn best() -> Set {
        Set::available()
            .first()
            .copied()
            .unwrap_or(Set(Kind::Plain))
    }

    /// Its name, as reports have it; empty where it is nothing in particular.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2-fma",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            Kind::Plain if cfg!(all(target_arch = "wasm32", target_feature = "simd128")) => {
                "wasm-simd128"
            }
            Kind::Plain if cfg!(target_arch = "x86_64") => "sse",
            Kind::Plain => "",
        }
    }

    /// The tile's size.
    pub(super) fn shape(self) -> Shape {
        self.run(Ask)
    }

    /// Does a piece of work with these instructions.
    #[inline]
    pub(super) fn run<W: Work>(self, work: W) -> W::Output {
        match self.0 {
            // Safety, of both: there is a set of this kind only where the machine has it.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { with_avx512(work) },
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { with_avx2(work) },
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => work.run::<Neon, 8, 2>(),
            Kind::Plain => work.run::<Plain, 4, 2>(),
        }
    }
}

/// 24 sums, 3 vectors of B and one number of A fit 32 registers. 8 rows rather than 12 with 2 vectors: maps come in multiples of 8.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn with_avx512<W: Work>(work: W) -> W::Output {
    work.run::<Avx512, 8, 3>()
}

/// 8 sums, 2 vectors of B and one number of A fit 16 registers; with 12 and 3, the compiler keeps one of the sums in memory.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2<W: Work>(work: W) -> W::Output {
    work.run::<Avx2, 4, 2>()
}
