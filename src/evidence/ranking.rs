//! The pixels of an input in the order of a map.

use ndarray::{Array2, ArrayView2};

use crate::random::SplitMix;

/// Where each pixel comes when the map's highest come first. Pixels of the same value come in a random order that is the same every
/// time: by their place in the picture, the top of an empty part would go first.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// The place in the order of each pixel.
    place: Array2<usize>,
    /// The map's values in the order.
    values: Vec<f32>,
}

impl Ranking {
    /// Ranks the pixels of a map.
    #[must_use]
    pub fn new(map: &ArrayView2<'_, f32>) -> Ranking {
        let columns = map.ncols();
        let mut order: Vec<usize> = (0..map.len()).collect();
        SplitMix::of(0, 0).shuffle(&mut order);
        let value = |at: usize| map.get((at / columns, at % columns)).copied();
        let value = |at: usize| value(at).unwrap_or(f32::NEG_INFINITY);
        order.sort_by(|&a, &b| value(b).total_cmp(&value(a)));
        let mut place = Array2::zeros(map.dim());
        for (rank, &at) in order.iter().enumerate() {
            place[(at / columns, at % columns)] = rank;
        }
        Ranking {
            place,
            values: order.into_iter().map(value).collect(),
        }
    }

    /// How many pixels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Which pixels are among the `count` highest.
    #[must_use]
    pub fn highest(&self, count: usize) -> Array2<bool> {
        self.place.mapv(|place| place < count)
    }

    /// Numbers of highest pixels in `steps` equal steps up to all of them, each enlarged so that no pixels of the same value are parted: their
    /// order says nothing. Fewer steps where values repeat.
    #[must_use]
    pub fn steps(&self, steps: usize) -> Vec<usize> {
        let counts = (1..=steps).map(|step| {
            let count = (step * self.len() + steps / 2) / steps;
            let last = count.checked_sub(1).and_then(|at| self.values.get(at));
            let same = |last: &f32| {
                let rest = self.values.iter().skip(count);
                count + rest.take_while(|value| *value == last).count()
            };
            last.map_or(count, same)
        });
        let mut counts: Vec<usize> = counts.filter(|&count| count > 0).collect();
        counts.dedup();
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_highest_come_first_and_equals_together() {
        let map = array![[0.0, 3.0, 1.0], [0.0, 2.0, 0.0]];
        let ranking = Ranking::new(&map.view());
        assert_eq!(ranking.highest(2), map.mapv(|value| value > 1.5));
        assert_eq!(ranking.steps(6), [1, 2, 3, 6]);
        assert_eq!(ranking.steps(2), [3, 6]);
        let flat = Ranking::new(&Array2::zeros((3, 3)).view());
        assert_eq!(flat.steps(20), [9]);
        // Equals are parted at random, and the same way every time.
        let few = flat.highest(4);
        assert_eq!(few.iter().filter(|chosen| **chosen).count(), 4);
        assert_eq!(few, Ranking::new(&Array2::zeros((3, 3)).view()).highest(4));
        let nothing = Ranking::new(&Array2::zeros((0, 0)).view());
        assert!(nothing.steps(3).is_empty());
    }
}
