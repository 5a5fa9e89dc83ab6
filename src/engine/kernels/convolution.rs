//! A convolution over two axes, done in the way that suits it.

use super::after::After;
use super::depthwise::{self, Kernels};
use super::gather::Maps;
use super::product::{self, Weights};
use super::set::Set;
use super::window::{Window, with_rims};
use super::winograd::{self, Squares};

/// A convolution of maps `[maps, H, W]` into `[rows, output]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Convolution {
    /// Where the kernels lie.
    pub window: Window,
    /// Maps that come in.
    pub maps: usize,
    /// Maps that go out.
    pub rows: usize,
    /// Parts that maps and rows are divided into; each part of the rows sees its part of the maps only.
    pub groups: usize,
    /// What is done to each result.
    pub after: Vec<After>,
    /// The instructions that do it.
    pub set: Set,
}

/// How a convolution is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Map by map.
    Depthwise,
    /// Square by square, see [`winograd`].
    Squares,
    /// As a product with what lies under each window.
    Columns,
}

impl Convolution {
    fn way(&self) -> Way {
        if self.groups == self.maps && self.groups == self.rows {
            Way::Depthwise
        } else if self.groups == 1 && winograd::fits(self.set, &self.window, self.rows, self.maps) {
            Way::Squares
        } else {
            Way::Columns
        }
    }

    /// Rows and depth of a group's matrix of weights.
    fn matrix(&self) -> [usize; 2] {
        [
            self.rows / self.groups,
            self.maps / self.groups * self.window.taps(),
        ]
    }

    /// How long the kernels are in the form that [`run`](Convolution::run) wants.
    #[must_use]
    pub fn prepared_length(&self) -> usize {
        let [rows, depth] = self.matrix();
        match self.way() {
            Way::Depthwise => rows * depth * self.groups,
            Way::Squares => winograd::transformed_length(self.set, self.rows, self.maps),
            Way::Columns => product::panels_length(self.set, rows, depth) * self.groups,
        }
    }

    /// Writes kernels `[rows, maps / groups, y, x]` in the form that [`run`](Convolution::run) wants, which is nobody else's business.
    ///
    /// # Panics
    /// Where there are not as many kernels as the geometry says, or `to` is not as [long](Convolution::prepared_length) as they become.
    pub fn prepare(&self, kernels: &[f32], to: &mut [f32]) {
        let [rows, depth] = self.matrix();
        assert_eq!(kernels.len(), rows * depth * self.groups);
        assert_eq!(to.len(), self.prepared_length());
        match self.way() {
            Way::Depthwise => to.copy_from_slice(kernels),
            Way::Squares => winograd::write_transformed(self.set, kernels, self.maps, to),
            Way::Columns => {
                let matrices = kernels.chunks_exact((rows * depth).max(1));
                let panels =
                    to.chunks_exact_mut(product::panels_length(self.set, rows, depth).max(1));
                for (matrix, panels) in matrices.zip(panels) {
                    product::write_panels(self.set, matrix, depth, panels);
                }
            }
        }
    }

    /// Convolves the maps of one picture. `kernels` are prepared, `bias` holds one number a row.
    ///
    /// # Panics
    /// Where a slice is not as long as the geometry says.
    pub fn run(&self, kernels: &[f32], bias: &[f32], maps: &[f32], result: &mut [f32]) {
        let window = &self.window;
        assert_eq!(
            maps.len(),
            self.maps * window.size.iter().product::<usize>()
        );
        assert_eq!(result.len(), self.rows * window.positions());
        assert_eq!(bias.len(), self.rows);
        let after = &self.after;
        match self.way() {
            Way::Depthwise => {
                let kernels = Kernels {
                    set: self.set,
                    window,
                    values: kernels,
                    bias,
                    after,
                };
                depthwise::convolve(&kernels, maps, result);
            }
            Way::Squares => {
                let squares = Squares {
                    set: self.set,
                    window,
                    kernels,
                    rows: self.rows,
                    maps: self.maps,
                    bias,
                    after,
                };
                winograd::convolve(&squares, maps, result);
            }
            Way::Columns => self.by_columns(kernels, bias, maps, result),
        }
    }

    fn by_columns(&self, kernels: &[f32], bias: &[f32], maps: &[f32], result: &mut [f32]) {
        let window = self.window.flattened();
        with_rims(maps, &window, |maps, size| {
            self.by_columns_of(&window, kernels, bias, (maps, size), result);
        });
    }

    /// [`by_columns`](Convolution::by_columns) of maps that have their rims, and their size with it.
    fn by_columns_of(
        &self,
        window: &Window,
        kernels: &[f32],
        bias: &[f32],
        (maps, size): (&[f32], [usize; 2]),
        result: &mut [f32],
    ) {
        let [rows, depth] = self.matrix();
        let taps = window.tap_offsets(size[1]);
        let count = self.maps / self.groups;
        let panels = product::panels_length(self.set, rows, depth);
        let parts = kernels.chunks_exact(panels).zip(bias.chunks_exact(rows));
        let maps = maps.chunks_exact(count * size.iter().product::<usize>());
        let results = result.chunks_exact_mut(rows * window.positions());
        for (((panels, bias), values), result) in parts.zip(maps).zip(results) {
            let weights = Weights {
                set: self.set,
                panels,
                rows,
                depth,
                bias,
                after: &self.after,
            };
            if depth == values.len() {
                // One position that sees everything, in order.
                product::multiply_vector(&weights, values, result);
                continue;
            }
            let maps = Maps {
                values,
                size,
                count,
                window,
                taps: &taps,
            };
            product::multiply(&weights, &maps, result);
        }
    }
}
