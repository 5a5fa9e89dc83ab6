//! Where a map is high: regions of the picture as outlines, to begin an annotation with.
//!
//! The article calls it semi-automatic labelling. What comes out is a proposal by a machine about a classifier, not a finding about a patient.

mod coco;
mod components;
mod outline;

use ndarray::{Array2, ArrayView2};

pub use coco::{Annotation, Category, Coco, Image};

use crate::image::{Region, resize_linear};
use components::Component;

/// Regions of fewer pixels of the picture are left out: no outline of so few says anything.
pub const LEAST_PIXELS: usize = 16;

/// A connected region of the picture in which a map is at least a share of its largest value. Pixels that touch at a corner alone are not connected.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Its outline in the picture's pixels, the first point not repeated: a pixel at column 3 reaches from 3 to 4. Each hole is reached by a cut of no width.
    pub outline: Vec<[f64; 2]>,
    /// Left, top, width and height of the outline.
    pub bounds: [f64; 4],
    /// Pixels whose centre lies inside.
    pub pixels: usize,
    /// The mean of the map inside, as a share of its largest value.
    pub mean: f64,
    /// The largest value inside, as a share of the map's.
    pub peak: f64,
}

/// The regions in which a raw map `[rows, columns]` over `region` of a picture is at least `share` of its largest value, the one with the highest value first. The map is
/// brought to the region's pixels as it is for the eye. None for a map without a positive value.
#[must_use]
pub fn proposals(map: &ArrayView2<'_, f32>, region: Region, share: f64) -> Vec<Proposal> {
    let heat = resize_linear(map, region.height as usize, region.width as usize);
    let most = heat.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !(most.is_finite() && most > 0.0) {
        return Vec::new();
    }
    let shares = heat.mapv(|value| match value.is_finite() {
        true => f64::from(value) / f64::from(most),
        false => f64::NEG_INFINITY,
    });
    let (labels, components) = components::of(&shares, share);
    let large = components
        .iter()
        .filter(|component| component.pixels >= LEAST_PIXELS);
    let mut found: Vec<Proposal> = large
        .filter_map(|component| proposal(&shares, &labels, component, share, region))
        .collect();
    found.sort_by(|a, b| b.peak.total_cmp(&a.peak).then(b.pixels.cmp(&a.pixels)));
    found
}

fn proposal(
    shares: &Array2<f64>,
    labels: &Array2<u32>,
    component: &Component,
    share: f64,
    region: Region,
) -> Option<Proposal> {
    let mut outline = outline::of(shares, labels, component, share)?;
    for point in &mut outline {
        point[0] += f64::from(region.x);
        point[1] += f64::from(region.y);
    }
    let side = |axis: usize| {
        let along = outline.iter().map(|point| point[axis]);
        let low = along.clone().fold(f64::INFINITY, f64::min);
        (low, along.fold(f64::NEG_INFINITY, f64::max) - low)
    };
    let ((left, width), (top, height)) = (side(0), side(1));
    Some(Proposal {
        bounds: [left, top, width, height],
        outline,
        pixels: component.pixels,
        mean: component.sum / component.pixels as f64,
        peak: component.peak,
    })
}
