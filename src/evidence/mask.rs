//! Something marked on a picture: lesions, lungs, devices.

use ndarray::{Array2, s};

use crate::image::{Picture, Region};
use crate::lungs::Fields;

/// Pixels of a picture that belong to something, `[height, width]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask(Array2<bool>);

impl Mask {
    /// The bright pixels of a mask's own picture.
    #[must_use]
    pub fn of_picture(mask: &Picture) -> Mask {
        Mask(mask.luma().mapv(|value| value > 0.5))
    }

    /// A box of a picture of this size.
    #[must_use]
    pub fn of_region(region: Region, width: u32, height: u32) -> Mask {
        Mask::of_regions(&[region], width, height)
    }

    /// Boxes of a picture of this size; what of them lies beyond it is left out.
    #[must_use]
    pub fn of_regions(regions: &[Region], width: u32, height: u32) -> Mask {
        let mut mask = Array2::from_elem((height as usize, width as usize), false);
        for region in regions {
            let within = |start: u32, length: u32, side: u32| {
                start.min(side) as usize..start.saturating_add(length).min(side) as usize
            };
            let rows = within(region.y, region.height, height);
            let columns = within(region.x, region.width, width);
            mask.slice_mut(s![rows, columns]).fill(true);
        }
        Mask(mask)
    }

    /// The lungs that a segmenter found, at the size of the picture; `None` without lungs.
    #[must_use]
    pub fn of_lungs(fields: &Fields, width: u32, height: u32) -> Option<Mask> {
        let lungs = fields.lungs()?;
        let (rows, columns) = lungs.dim();
        let Region {
            x,
            y,
            width: across,
            height: down,
        } = fields.region;
        // The cell that a pixel's centre lies in.
        let cell = |at: usize, start: u32, length: u32, cells: usize| {
            let within = (at as u32).checked_sub(start).filter(|at| *at < length)?;
            Some(((2 * u64::from(within) + 1) * cells as u64 / (2 * u64::from(length))) as usize)
        };
        Some(Mask(Array2::from_shape_fn(
            (height as usize, width as usize),
            |(row, column)| {
                let cell = cell(row, y, down, rows).zip(cell(column, x, across, columns));
                cell.is_some_and(|cell| lungs.get(cell) == Some(&true))
            },
        )))
    }

    /// The mask at the size of a network's input that sees `region`: the pixel that each centre lies in, `[height, width]`.
    #[must_use]
    pub fn at_input(&self, region: Region, height: usize, width: usize) -> Array2<bool> {
        let pixel = |start: u32, length: u32, at: usize, count: usize| {
            start + ((2 * at as u64 + 1) * u64::from(length) / (2 * count as u64)) as u32
        };
        Array2::from_shape_fn((height, width), |(row, column)| {
            self.has(
                pixel(region.x, region.width, column, width),
                pixel(region.y, region.height, row, height),
            )
        })
    }

    /// Everything that this mask leaves out.
    #[must_use]
    pub fn inverse(&self) -> Mask {
        Mask(self.0.mapv(|inside| !inside))
    }

    /// Width and height in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.0.ncols() as u32, self.0.nrows() as u32)
    }

    /// Whether a pixel belongs to it; pixels beyond the picture do not.
    #[must_use]
    pub fn has(&self, x: u32, y: u32) -> bool {
        self.0.get((y as usize, x as usize)) == Some(&true)
    }

    /// How many pixels of a region belong to it.
    #[must_use]
    pub fn count(&self, region: Region) -> usize {
        let rows = region.y..region.y + region.height;
        rows.map(|y| {
            let columns = region.x..region.x + region.width;
            columns.filter(|&x| self.has(x, y)).count()
        })
        .sum()
    }

    /// Overlap with another mask of the same picture: 2 |A and B| / (|A| + |B|), 1 where both are empty (Dice 1945).
    #[must_use]
    pub fn dice(&self, other: &Mask) -> f64 {
        let both = self
            .0
            .iter()
            .zip(&other.0)
            .filter(|(a, b)| **a && **b)
            .count();
        let sizes = [self, other].map(|mask| mask.0.iter().filter(|inside| **inside).count());
        match sizes[0] + sizes[1] {
            0 => 1.0,
            sum => 2.0 * both as f64 / sum as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_counted_and_compared() {
        let left = Mask(Array2::from_shape_fn((4, 6), |(_, x)| x < 3));
        let top = Mask(Array2::from_shape_fn((4, 6), |(y, _)| y < 2));
        assert_eq!(left.size(), (6, 4));
        assert_eq!(
            left.count(Region {
                x: 2,
                y: 1,
                width: 3,
                height: 2
            }),
            2
        );
        assert!((left.dice(&top) - 0.5).abs() < 1e-12);
        assert!((left.dice(&left.inverse())).abs() < 1e-12);
        assert!(!left.has(6, 0) && left.has(2, 3));
        let boxes = [(0, 0, 3, 9), (5, 3, 4_000_000_000, 1)].map(|(x, y, width, height)| Region {
            x,
            y,
            width,
            height,
        });
        let boxes = Mask::of_regions(&boxes, 6, 4);
        assert_eq!(boxes.count(Region::whole(6, 4)), 13);
        assert!(boxes.has(2, 3) && boxes.has(5, 3) && !boxes.has(4, 3));
        // Two pixels a cell: the right one is taken, in which the centre lies.
        let small = left.at_input(Region::whole(6, 4), 2, 3);
        assert_eq!(
            small,
            ndarray::array![[true, false, false], [true, false, false]]
        );
        let nothing = Mask(Array2::from_elem((4, 6), false));
        assert!((nothing.dice(&nothing) - 1.0).abs() < 1e-12);
    }
}
