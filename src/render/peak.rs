//! Where a heat map is highest, in numbers and in words.

use ndarray::ArrayView2;

use crate::image::Region;

/// The highest cell of a map, as a point of the picture as displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peak {
    /// Column of the picture, in pixels.
    pub x: u32,
    /// Row of the picture, in pixels.
    pub y: u32,
}

/// Finds the middle of a raw map's highest cell; the first in reading order among equals.
///
/// `map` is `[rows, columns]` and covers `region` of the picture. `None` if the map has no finite value or all of them are
/// equal: then there is no peak.
#[must_use]
pub fn peak(map: &ArrayView2<'_, f32>, region: Region) -> Option<Peak> {
    let finite = || map.indexed_iter().filter(|(_, value)| value.is_finite());
    let ((row, column), highest) =
        finite().reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    finite().any(|(_, value)| value < highest).then(|| {
        let middle = |start: u32, length: u32, cell: usize, cells: usize| {
            start + ((cell as f64 + 0.5) / cells as f64 * f64::from(length)) as u32
        };
        let (rows, columns) = map.dim();
        Peak {
            x: middle(region.x, region.width, column, columns),
            y: middle(region.y, region.height, row, rows),
        }
    })
}

impl Peak {
    /// The third of a picture of `width` x `height` pixels that it lies in, for a text alternative: "upper left", "centre".
    ///
    /// Left and right are those of the picture as displayed; in a frontal X-ray they are the reverse of the patient's.
    #[must_use]
    pub fn words(self, width: u32, height: u32) -> &'static str {
        const WORDS: [[&str; 3]; 3] = [
            ["upper left", "upper middle", "upper right"],
            ["left", "centre", "right"],
            ["lower left", "lower middle", "lower right"],
        ];
        let third =
            |at: u32, length: u32| (u64::from(at) * 3 / u64::from(length.max(1))).min(2) as usize;
        WORDS[third(self.y, height)][third(self.x, width)]
    }
}

/// The part of a raw map's cells that reach half of its highest value, 0 to 1: how narrow the peak is. `None` where nothing is
/// above zero.
#[must_use]
pub fn half_share(map: &ArrayView2<'_, f32>) -> Option<f64> {
    let highest = map
        .iter()
        .filter(|value| value.is_finite())
        .fold(0.0, |most: f32, &value| most.max(value));
    let reaching = map.iter().filter(|&&value| value >= highest / 2.0).count();
    (highest > 0.0).then(|| reaching as f64 / map.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_peak_is_the_middle_of_its_cell() {
        let region = Region {
            x: 100,
            y: 0,
            width: 300,
            height: 300,
        };
        let map = array![
            [0.0, 1.0, f32::NAN],
            [0.0, f32::INFINITY, 9.0],
            [2.0, 9.0, -1.0]
        ];
        let found = peak(&map.view(), region).unwrap();
        assert_eq!(found, Peak { x: 350, y: 150 });
        assert_eq!(found.words(500, 300), "right");
    }

    #[test]
    fn a_flat_or_empty_map_has_none() {
        let region = Region::whole(10, 10);
        assert_eq!(peak(&array![[0.0, 0.0]].view(), region), None);
        assert_eq!(peak(&array![[f32::NAN]].view(), region), None);
        assert_eq!(peak(&ndarray::Array2::zeros((0, 0)).view(), region), None);
    }

    #[test]
    fn half_the_highest_is_reached_by_a_share() {
        let share = |map| half_share(&ArrayView2::from(&map));
        assert_eq!(share([[8.0, 4.0], [3.9, -9.0]]), Some(0.5));
        assert_eq!(share([[1.0, f32::NAN], [0.0, 0.0]]), Some(0.25));
        assert_eq!(share([[0.0, -1.0], [0.0, 0.0]]), None);
    }

    #[test]
    fn thirds_have_words() {
        let words = |x, y| Peak { x, y }.words(9, 6);
        assert_eq!(
            [words(0, 0), words(3, 2), words(8, 5), words(4, 0)],
            ["upper left", "centre", "lower right", "upper middle"]
        );
        assert_eq!(Peak { x: 5, y: 5 }.words(0, 0), "lower right");
    }
}
