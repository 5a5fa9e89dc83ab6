//! Something marked on a picture: lesions, lungs, devices.

use ndarray::Array2;

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
        let inside = |at: usize, start: u32, length: u32| {
            (at as u32).checked_sub(start).is_some_and(|at| at < length)
        };
        Mask(Array2::from_shape_fn(
            (height as usize, width as usize),
            |(row, column)| {
                inside(row, region.y, region.height) && inside(column, region.x, region.width)
            },
        ))
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
        let nothing = Mask(Array2::from_elem((4, 6), false));
        assert!((nothing.dice(&nothing) - 1.0).abs() < 1e-12);
    }
}
