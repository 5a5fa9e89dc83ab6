//! Products whose vectors stand along the rows of weights: a tile is 8 rows by 4 columns, in the 8 registers that 4 rows by 8 columns
//! would take.
//!
//! With columns four at a time, and three where that makes them come out even, only results of 1, 2 and 5 columns have tiles that are
//! filled up: maps of 7 by 7 have 49. Half as many columns are read for each step, and their sums are turned before they are stored.

use super::after::finish;
use super::gather::{self, Panels};
use super::lanes::{Four, Lanes, transposed};
use super::product::{Block, Weights, put};
use super::tile::add_product;

/// Columns of a tile, and floats of a vector.
const FOUR: usize = Four::COUNT;

impl Block<'_> {
    /// The products by tiles of `VECTORS` vectors of rows and four columns.
    #[inline(always)]
    pub(super) fn stand<const VECTORS: usize>(self) {
        let all = Panels::of(self.columns);
        let length = (self.weights.depth * FOUR).max(1);
        gather::panels(self.maps, all, self.first, self.panels);
        for row in self.rows.clone().step_by(VECTORS * FOUR) {
            for (panel, values) in self.panels.chunks_exact(length).enumerate() {
                let panel = self.first + panel;
                let column = all.first(panel);
                match all.alike(panel) {
                    (FOUR, _) => self.standing::<FOUR, VECTORS>(row, column, values),
                    _ => self.standing::<{ FOUR - 1 }, VECTORS>(row, column, values),
                }
            }
        }
    }

    /// The product of a panel of rows and the first `WIDTH` columns of a panel of four.
    #[inline(always)]
    fn standing<const WIDTH: usize, const VECTORS: usize>(
        &self,
        row: usize,
        column: usize,
        columns: &[f32],
    ) {
        let Weights {
            panels,
            rows,
            depth,
            bias,
            after,
            ..
        } = *self.weights;
        let height = VECTORS * FOUR;
        let weights = &panels[row * depth..][..height * depth];
        assert!(columns.len() >= depth * FOUR);
        let missing = height.saturating_sub(rows - row);
        let start: [Four; VECTORS] = std::array::from_fn(|vector| {
            let first = row + vector * FOUR;
            match bias.get(first..first + FOUR) {
                // Safety: there are four.
                Some(bias) => unsafe { Four::load(bias.as_ptr()) },
                None => {
                    let rest = bias.get(first..).unwrap_or_default();
                    // Safety: there are fewer than four.
                    unsafe { Four::load_first(rest.as_ptr(), rest.len()) }
                }
            }
        });
        // The columns are the tile's rows here. Safety: both panels hold `depth` steps.
        let mut sums = unsafe {
            add_product::<Four, WIDTH, VECTORS, FOUR>(
                [start; WIDTH],
                depth,
                columns.as_ptr(),
                weights.as_ptr(),
            )
        };
        finish(&mut sums, after);
        let turned: [[Four; FOUR]; VECTORS] = std::array::from_fn(|vector| {
            let columns = std::array::from_fn(|column| sums[column.min(WIDTH - 1)][vector]);
            transposed(columns)
        });
        let start = row * self.columns + column;
        if WIDTH == FOUR && missing == 0 {
            let reach = (height - 1) * self.columns + FOUR;
            let mut to = self.result.place(start, reach);
            for values in turned.as_flattened() {
                // Safety: these are as many rows, and nobody else uses the values of this block.
                unsafe { values.store(to) };
                to = to.wrapping_add(self.columns);
            }
            return;
        }
        for (index, values) in turned.as_flattened().iter().enumerate() {
            if index < height - missing {
                let width = WIDTH.min(self.columns - column);
                // Safety: nobody else uses the values of this block.
                let slots = unsafe { self.result.slice(start + index * self.columns, width) };
                put(&[*values], slots);
            }
        }
    }
}
