//! Where a heat map lies beside a mask.

use ndarray::ArrayView2;

use super::Mask;
use crate::image::{Region, resize_linear};
use crate::render;

/// How much of a heat map lies in a mask, and how much would by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// Share of the map's positive values inside the mask (the energy-based pointing game of Wang et al. 2020, Score-CAM).
    pub energy: f64,
    /// The same share of a uniform map: of the region's area inside the mask.
    pub uniform: f64,
    /// Whether the highest place lies inside (the pointing game of Zhang et al. 2016, without its tolerance of 15 pixels); `None`
    /// where no place is the highest.
    pub hit: Option<bool>,
}

impl Placement {
    /// How many times a uniform map's energy; `None` where the region has nothing of the mask.
    #[must_use]
    pub fn gain(&self) -> Option<f64> {
        (self.uniform > 0.0).then(|| self.energy / self.uniform)
    }
}

/// Compares a raw map `[rows, columns]` over `region` with a mask of the whole picture. The map is brought to the region's
/// pixels as it is for the eye ([`resize_linear`]). `None` where it has no positive value: there is nothing to place.
#[must_use]
pub fn placement(map: &ArrayView2<'_, f32>, region: Region, mask: &Mask) -> Option<Placement> {
    let heat = resize_linear(map, region.height as usize, region.width as usize);
    let (mut inside, mut total) = (0.0, 0.0);
    for ((y, x), &value) in heat.indexed_iter() {
        let value = f64::from(value.max(0.0));
        total += value;
        if mask.has(region.x + x as u32, region.y + y as u32) {
            inside += value;
        }
    }
    let peak = render::peak(map, region);
    (total > 0.0).then(|| Placement {
        energy: inside / total,
        uniform: mask.count(region) as f64 / (f64::from(region.width) * f64::from(region.height)),
        hit: peak.map(|peak| mask.has(peak.x, peak.y)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Picture;
    use ndarray::{Array2, array};

    /// The left half of a picture of 8 x 4 pixels.
    fn left() -> Mask {
        let samples = (0..32).map(|at| if at % 8 < 4 { 255 } else { 0 });
        Mask::of_picture(&Picture::from_grey8(8, 4, samples.collect()).unwrap())
    }

    #[test]
    fn a_uniform_map_gains_nothing_and_a_bright_side_is_found() {
        let whole = Region::whole(8, 4);
        let even = placement(&Array2::ones((2, 2)).view(), whole, &left()).unwrap();
        assert!((even.energy - 0.5).abs() < 1e-6 && (even.gain().unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(even.hit, None);
        let bright = placement(&array![[3.0, -1.0]].view(), whole, &left()).unwrap();
        assert!(
            bright.hit == Some(true) && bright.energy > 0.9 && (bright.uniform - 0.5).abs() < 1e-12
        );
        let dark = placement(&array![[-1.0, 3.0]].view(), whole, &left()).unwrap();
        assert!(dark.hit == Some(false) && dark.energy < 0.1);
    }

    #[test]
    fn only_the_region_counts() {
        let right = Region {
            x: 4,
            y: 0,
            width: 4,
            height: 4,
        };
        let found = placement(&array![[1.0]].view(), right, &left()).unwrap();
        assert_eq!(
            (found.energy, found.uniform, found.gain()),
            (0.0, 0.0, None)
        );
    }

    #[test]
    fn a_map_without_positive_values_has_no_place() {
        assert_eq!(
            placement(&array![[-1.0, 0.0]].view(), Region::whole(8, 4), &left()),
            None
        );
    }
}
