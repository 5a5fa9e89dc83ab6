//! The text of the kernels, and what NVRTC made of it.

/// What a [`Gpu`](super::Gpu) loads: the kernels as PTX, which every driver since CUDA 12.2 turns into its card's instructions (Volta and
/// newer). `examples/ptx.rs` makes it from [`source`]; its first line holds the text's checksum.
pub const PTX: &str = include_str!("kernels/kernels.ptx");

const PARTS: [&str; 6] = [
    include_str!("kernels/prelude.cu"),
    include_str!("kernels/elementwise.cu"),
    include_str!("kernels/moves.cu"),
    include_str!("kernels/reduce.cu"),
    include_str!("kernels/windows.cu"),
    include_str!("kernels/product_inputs.cu"),
];

const PRODUCT: &str = include_str!("kernels/product.cu");

/// What the tiled products multiply: the struct of their numbers, and what their functions begin with.
const PRODUCTS: [(&str, &str); 2] = [("Dense", "dense"), ("Windows", "windows")];

/// Rows and columns of their tiles.
const TILES: [(usize, usize); 3] = [(128, 128), (64, 64), (32, 128)];

/// The whole text of the kernels: CUDA C, and plain C where `__CUDACC__` is not defined.
#[must_use]
pub fn source() -> String {
    let mut text = PARTS.concat();
    for (inputs, own) in PRODUCTS {
        for (rows, columns) in TILES {
            let names = [
                ("KERNEL", format!("{own}_{rows}_{columns}")),
                ("TILE_ROWS", rows.to_string()),
                ("TILE_COLUMNS", columns.to_string()),
                ("INPUTS", inputs.to_owned()),
                ("LEFT", format!("{own}_left")),
                ("COLUMN", format!("{own}_column")),
                ("RIGHT", format!("{own}_right")),
                ("STORE", format!("{own}_store")),
            ];
            for (name, value) in &names {
                text.push_str(&format!("#define {name} {value}\n"));
            }
            text.push_str(PRODUCT);
            for (name, _) in &names {
                text.push_str(&format!("#undef {name}\n"));
            }
        }
    }
    text
}
