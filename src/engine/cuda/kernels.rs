//! The text of the kernels, and what NVIDIA's compiler made of it.

use crate::model::sha256_hex;

/// Kernels that a [`Gpu`](super::Gpu) loads together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// All but the products on tensor cores; for Volta and newer.
    Plain,
    /// The products on tensor cores; for Ampere and newer.
    TensorCores,
}

impl Set {
    /// Both.
    pub const ALL: [Set; 2] = [Set::Plain, Set::TensorCores];

    /// The kernels as PTX, which every driver since CUDA 12.2 turns into its card's instructions. `examples/ptx.rs` makes it from
    /// [`source`](Set::source); its first line is [`stamp`](Set::stamp).
    #[must_use]
    pub fn ptx(self) -> &'static str {
        match self {
            Set::Plain => include_str!("kernels/plain.ptx"),
            Set::TensorCores => include_str!("kernels/tensor_cores.ptx"),
        }
    }

    /// Where the PTX lies below `src/engine/cuda/kernels/`.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Set::Plain => "plain.ptx",
            Set::TensorCores => "tensor_cores.ptx",
        }
    }

    /// The oldest cards that it is for, as NVRTC names them.
    #[must_use]
    pub fn architecture(self) -> &'static str {
        match self {
            Set::Plain => "compute_70",
            Set::TensorCores => "compute_80",
        }
    }

    /// The text of the kernels: CUDA C, and plain C where `__CUDACC__` is not defined.
    #[must_use]
    pub fn source(self) -> String {
        let mut text = String::new();
        text.push_str(include_str!("kernels/prelude.cu"));
        if self == Set::Plain {
            text.push_str(include_str!("kernels/elementwise.cu"));
            text.push_str(include_str!("kernels/moves.cu"));
            text.push_str(include_str!("kernels/reduce.cu"));
            text.push_str(include_str!("kernels/windows.cu"));
        } else {
            text.push_str(include_str!("kernels/tensor_cores.cu"));
        }
        text.push_str(include_str!("kernels/product_inputs.cu"));
        for (inputs, own) in [("Dense", "dense"), ("Windows", "windows")] {
            for tile in Tile::ALL {
                text.push_str(&self.product(inputs, own, tile));
            }
        }
        text
    }

    /// What the PTX of this text begins with.
    #[must_use]
    pub fn stamp(self) -> String {
        format!(
            "// Made by examples/ptx.rs from kernels with the sha256 {}",
            sha256_hex(self.source().as_bytes())
        )
    }

    /// The text of one product, behind the names that it is written in.
    fn product(self, inputs: &str, own: &str, tile: Tile) -> String {
        let (rows, columns) = tile.size();
        let is_fast = self == Set::TensorCores;
        let names = [
            (
                "KERNEL",
                format!(
                    "{own}_{rows}_{columns}{}",
                    if is_fast { "_fast" } else { "" }
                ),
            ),
            ("TILE_ROWS", rows.to_string()),
            ("TILE_COLUMNS", columns.to_string()),
            ("INPUTS", inputs.to_owned()),
            ("LEFT", format!("{own}_left")),
            ("COLUMN", format!("{own}_column")),
            ("RIGHT", format!("{own}_right")),
            ("STORE", format!("{own}_store")),
            ("FAST", u8::from(is_fast).to_string()),
        ];
        let mut text = String::new();
        for (name, value) in &names {
            text.push_str(&format!("#define {name} {value}\n"));
        }
        text.push_str(include_str!("kernels/product.cu"));
        for (name, _) in &names {
            text.push_str(&format!("#undef {name}\n"));
        }
        text
    }
}

/// The part of a product that a block makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tile {
    Large,
    Small,
    /// For few rows.
    Low,
}

impl Tile {
    const ALL: [Tile; 3] = [Tile::Large, Tile::Small, Tile::Low];

    /// Rows and columns.
    pub(super) fn size(self) -> (usize, usize) {
        match self {
            Tile::Large => (128, 128),
            Tile::Small => (64, 64),
            Tile::Low => (32, 128),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ptx_is_of_this_text() {
        for set in Set::ALL {
            let first = set.ptx().lines().next();
            assert_eq!(
                first,
                Some(set.stamp().as_str()),
                "run examples/ptx.rs: docs/cuda.md says how"
            );
            assert!(set.ptx().contains(&format!(
                ".target {}",
                set.architecture().replace("compute", "sm")
            )));
        }
    }
}
