//! The lung fields of one picture: mask, box, and whether the picture is a frontal chest X-ray.

use std::sync::Arc;

use ndarray::Array2;

use crate::image::Region;

/// Which segmenter it was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundBy {
    /// The id of its manifest.
    pub id: String,
    /// sha256 of its file.
    pub sha256: String,
}

/// What the segmenter found in a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Fields {
    /// The segmenter.
    pub found_by: Arc<FoundBy>,
    /// Where it sees lungs, `[rows, columns]` over [`region`](Fields::region).
    pub mask: Array2<bool>,
    /// The part of the picture that the mask covers.
    pub region: Region,
    /// Logit of an upright frontal chest X-ray.
    pub frontal: f32,
    /// The least such logit that passes.
    pub gate: f32,
    pub(super) smallest_part: f64,
    pub(super) smallest_lungs: f64,
}

impl Fields {
    /// Whether the picture looks like an upright frontal chest X-ray.
    #[must_use]
    pub fn is_frontal(&self) -> bool {
        self.frontal >= self.gate
    }

    /// The mask without its specks: parts that hang together by their sides and are large beside the largest one. `None` where
    /// what is left is too little for lungs.
    #[must_use]
    pub fn lungs(&self) -> Option<Array2<bool>> {
        let (parts, areas) = parts(&self.mask);
        let largest = areas.iter().copied().max()? as f64;
        let is_kept = |&area: &usize| area as f64 >= self.smallest_part * largest;
        let total: usize = areas.iter().filter(|area| is_kept(area)).sum();
        if (total as f64) < self.smallest_lungs * self.mask.len() as f64 {
            return None;
        }
        Some(parts.mapv(|part| part.is_some_and(|part| areas.get(part).is_some_and(is_kept))))
    }

    /// The smallest box of the picture around the lungs, `None` without lungs. Cells of the mask are scaled to pixels and rounded
    /// outwards.
    #[must_use]
    pub fn bounds(&self) -> Option<Region> {
        let lungs = self.lungs()?;
        let (rows, columns) = lungs.dim();
        let filled = |axis| {
            let mut lanes = lungs.axis_iter(ndarray::Axis(axis));
            let first = lanes
                .clone()
                .position(|lane| lane.iter().any(|&lung| lung))?;
            let last = lanes.rposition(|lane| lane.iter().any(|&lung| lung))?;
            Some((first as u64, last as u64))
        };
        let ((top, bottom), (left, right)) = (filled(0)?, filled(1)?);
        let (x, width) = scaled(left, right, columns, self.region.width);
        let (y, height) = scaled(top, bottom, rows, self.region.height);
        Some(Region {
            x: self.region.x + x,
            y: self.region.y + y,
            width,
            height,
        })
    }
}

/// The pixels that the cells `first..=last` of `cells` cover in `pixels`, as start and length.
fn scaled(first: u64, last: u64, cells: usize, pixels: u32) -> (u32, u32) {
    let start = first * u64::from(pixels) / cells as u64;
    let end = ((last + 1) * u64::from(pixels)).div_ceil(cells as u64);
    // Both lie within the picture.
    (start as u32, (end - start) as u32)
}

/// `bounds` with `margin` of its own width or height on each side, rounded half up, within a picture of this size.
#[must_use]
pub fn grown(bounds: Region, margin: f64, width: u32, height: u32) -> Region {
    let stretch = |start: u32, length: u32, limit: u32| {
        let more = (f64::from(length) * margin + 0.5) as u32;
        let end = start.saturating_add(length).saturating_add(more).min(limit);
        let start = start.saturating_sub(more);
        (start, end - start)
    };
    let (x, across) = stretch(bounds.x, bounds.width, width);
    let (y, down) = stretch(bounds.y, bounds.height, height);
    Region {
        x,
        y,
        width: across,
        height: down,
    }
}

/// The part that each cell of a mask belongs to, and the parts' areas. Cells belong together that share a side.
fn parts(mask: &Array2<bool>) -> (Array2<Option<usize>>, Vec<usize>) {
    let mut parts = Array2::from_elem(mask.dim(), None);
    let mut areas = Vec::new();
    let mut border = Vec::new();
    for (start, _) in mask.indexed_iter().filter(|(_, lung)| **lung) {
        if parts[start].is_some() {
            continue;
        }
        let part = areas.len();
        let mut area = 0;
        parts[start] = Some(part);
        border.push(start);
        while let Some((y, x)) = border.pop() {
            area += 1;
            let sides = [
                (y.wrapping_sub(1), x),
                (y + 1, x),
                (y, x.wrapping_sub(1)),
                (y, x + 1),
            ];
            for side in sides {
                if mask.get(side) == Some(&true) && parts[side].is_none() {
                    parts[side] = Some(part);
                    border.push(side);
                }
            }
        }
        areas.push(area);
    }
    (parts, areas)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields of a picture of 40 x 20 pixels from a drawing of its mask.
    fn drawn(rows: &[&str]) -> Fields {
        let columns = rows[0].len();
        let cells = rows.iter().flat_map(|row| row.chars().map(|c| c == '#'));
        Fields {
            found_by: Arc::default(),
            mask: Array2::from_shape_vec((rows.len(), columns), cells.collect()).unwrap(),
            region: Region::whole(40, 20),
            frontal: 0.0,
            gate: 0.0,
            smallest_part: 0.1,
            smallest_lungs: 0.02,
        }
    }

    fn region(x: u32, y: u32, width: u32, height: u32) -> Region {
        Region {
            x,
            y,
            width,
            height,
        }
    }

    #[test]
    fn the_box_is_that_of_the_large_parts() {
        let two = drawn(&[
            "............", //
            "..##..####..",
            "..##..####..",
            "..##..####..",
            "............",
            "...........#",
        ]);
        // Columns 2 to 9 of 12 over 40 pixels, rows 1 to 3 of 6 over 20: 6.7 to 33.3 and 3.3 to 13.3, rounded outwards.
        assert_eq!(two.bounds(), Some(region(6, 3, 28, 11)));
        // The lone cell has one twelfth of the largest part.
        assert_eq!(
            two.lungs().unwrap().iter().filter(|lung| **lung).count(),
            18
        );
    }

    #[test]
    fn corners_do_not_hold_together() {
        let (parts, areas) = parts(&drawn(&["#.", ".#"]).mask);
        assert_eq!((parts[[0, 0]], parts[[1, 1]]), (Some(0), Some(1)));
        assert_eq!(areas, [1, 1]);
    }

    #[test]
    fn specks_are_no_lungs() {
        assert_eq!(drawn(&["....", "...."]).bounds(), None);
        let mut speck = drawn(&[
            "#.........",
            "..........",
            "..........",
            "..........",
            "..........",
        ]);
        assert_eq!(speck.bounds(), Some(region(0, 0, 4, 4)));
        speck.smallest_lungs = 0.03;
        assert_eq!(speck.bounds(), None);
    }

    #[test]
    fn a_margin_stays_in_the_picture() {
        let grown = |bounds| super::grown(bounds, 0.1, 40, 20);
        assert_eq!(grown(region(10, 5, 10, 10)), region(9, 4, 12, 12));
        assert_eq!(grown(region(0, 0, 40, 20)), region(0, 0, 40, 20));
        // 0.4 of a pixel rounds to none, 0.5 to one.
        assert_eq!(grown(region(10, 5, 4, 5)), region(10, 4, 4, 7));
    }
}
