//! The outline of a component: between the centres of pixels inside and outside, where the values cross the threshold.

use contour::ContourBuilder;
use ndarray::{Array2, s};

use super::components::Component;

/// How far a point that is left out may lie from the line that stays, in pixels.
const FINE: f64 = 0.05;

/// The outline of a component as one ring of points in its map's pixels, holes cut open; `None` where there is no area.
pub fn of(
    values: &Array2<f64>,
    labels: &Array2<u32>,
    component: &Component,
    least: f64,
) -> Option<Vec<[f64; 2]>> {
    let (rows, columns) = values.dim();
    // A pixel more on each side, where there is one: the outline runs between it and the component.
    let top = component.rows.0.saturating_sub(1);
    let left = component.columns.0.saturating_sub(1);
    let bottom = (component.rows.1 + 2).min(rows);
    let right = (component.columns.1 + 2).min(columns);
    let part = s![top..bottom, left..right];
    // Neither a neighbour over a corner nor a value without an end may bend the outline.
    let floor = least - 1.0;
    let near: Vec<f64> = values
        .slice(part)
        .iter()
        .zip(labels.slice(part))
        .map(|(&value, &label)| match label {
            0 => value.max(floor),
            label if label == component.label => value,
            _ => floor,
        })
        .collect();
    let contours = ContourBuilder::new(right - left, bottom - top, true)
        .x_origin(left as f64)
        .y_origin(top as f64)
        .contours(&near, &[least])
        .ok()?;
    let polygon = contours.first()?.geometry().0.first()?;
    let exterior = ring(polygon.exterior().0.iter().map(|point| [point.x, point.y]));
    let holes = polygon
        .interiors()
        .iter()
        .map(|hole| ring(hole.0.iter().map(|point| [point.x, point.y])))
        .collect();
    let outline = simple(&opened(exterior, holes));
    (outline.len() >= 3).then_some(outline)
}

/// The points of a closed ring, each once.
fn ring(points: impl Iterator<Item = [f64; 2]>) -> Vec<[f64; 2]> {
    let mut points: Vec<[f64; 2]> = points.collect();
    points.dedup();
    if points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    points
}

/// A ring with its holes as one ring: a cut of no width goes to each hole and comes back. The hole that is nearest to what there is comes next, so no cut
/// crosses another hole.
fn opened(mut outline: Vec<[f64; 2]>, mut holes: Vec<Vec<[f64; 2]>>) -> Vec<[f64; 2]> {
    while !holes.is_empty() {
        let mut nearest = (f64::INFINITY, 0, 0, 0);
        for (index, hole) in holes.iter().enumerate() {
            for (inner, a) in hole.iter().enumerate() {
                for (outer, b) in outline.iter().enumerate() {
                    let far = (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
                    if far < nearest.0 {
                        nearest = (far, index, inner, outer);
                    }
                }
            }
        }
        let (_, index, inner, outer) = nearest;
        let hole = holes.swap_remove(index);
        let Some(&from) = outline.get(outer) else {
            break;
        };
        let around = hole.iter().cycle().skip(inner).take(hole.len() + 1);
        let detour: Vec<[f64; 2]> = around.copied().chain([from]).collect();
        outline.splice(outer + 1..outer + 1, detour);
    }
    outline
}

/// Leaves points out that lie nearer than [`FINE`] to the line that stays (Douglas and Peucker 1973).
fn simple(ring: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let count = ring.len();
    if count < 4 {
        return ring.to_vec();
    }
    let mut stays = vec![false; count + 1];
    // A ring has no ends: its first point, and the one that is farthest from it.
    let far = |index: &usize| {
        let (a, b) = (ring[0], ring[*index]);
        (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
    };
    let across = (1..count)
        .max_by(|a, b| far(a).total_cmp(&far(b)))
        .unwrap_or(1);
    for end in [0, across, count] {
        stays[end] = true;
    }
    let mut parts = vec![(0, across), (across, count)];
    while let Some((start, end)) = parts.pop() {
        let (a, b) = (ring[start], ring[end % count]);
        let farthest = (start + 1..end)
            .map(|index| (distance(ring[index], a, b), index))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((by, index)) = farthest
            && by > FINE
        {
            stays[index] = true;
            parts.extend([(start, index), (index, end)]);
        }
    }
    let points = ring.iter().zip(&stays);
    points
        .filter(|(_, stays)| **stays)
        .map(|(point, _)| point.map(|side| (side * 100.0).round() / 100.0))
        .collect()
}

/// The distance of a point from a segment.
fn distance(point: [f64; 2], a: [f64; 2], b: [f64; 2]) -> f64 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let length = dx * dx + dy * dy;
    let along = match length > 0.0 {
        true => (((point[0] - a[0]) * dx + (point[1] - a[1]) * dy) / length).clamp(0.0, 1.0),
        false => 0.0,
    };
    (point[0] - a[0] - along * dx).hypot(point[1] - a[1] - along * dy)
}

#[cfg(test)]
mod tests {
    use super::super::components;
    use super::*;

    /// Whether a place lies inside a ring, by the crossings of a ray.
    fn inside(ring: &[[f64; 2]], x: f64, y: f64) -> bool {
        let pairs = ring.iter().zip(ring.iter().cycle().skip(1));
        let crossed = pairs.filter(|(a, b)| {
            (a[1] > y) != (b[1] > y) && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0]
        });
        crossed.count() % 2 == 1
    }

    #[test]
    fn what_lies_inside_is_the_component_its_holes_left_out() {
        // A ring around two holes, one of them with an island, and a block in the corner of the picture.
        let values = Array2::from_shape_fn((90, 120), |(y, x)| {
            let far = |cx: f64, cy: f64| (x as f64 - cx).hypot(y as f64 - cy);
            let disc = 0.5 + (35.0 - far(60.0, 45.0)) / 40.0;
            let bite = |cx, cy, r: f64| 0.5 + (far(cx, cy) - r) / 20.0;
            // No pixel lies at the threshold exactly: an outline runs through the middle of such a one.
            let island = 0.5 + (4.3 - far(50.0, 45.0)) / 10.0;
            let corner = if x >= 110 && y >= 80 { 0.9 } else { 0.0 };
            disc.min(bite(50.0, 45.0, 9.0))
                .min(bite(75.0, 50.0, 6.0))
                .max(island)
                .max(corner)
        });
        let (labels, found) = components::of(&values, 0.5);
        assert_eq!(found.len(), 3);
        for component in &found {
            let outline = of(&values, &labels, component, 0.5).unwrap();
            let (mut both, mut either) = (0, 0);
            for ((y, x), &label) in labels.indexed_iter() {
                let is_in = inside(&outline, x as f64 + 0.5, y as f64 + 0.5);
                both += usize::from(is_in && label == component.label);
                either += usize::from(is_in || label == component.label);
            }
            let share = f64::from(both as u32) / f64::from(either as u32);
            assert!(share > 0.99, "{component:?} {share}");
            assert!(outline.len() < 400, "{}", outline.len());
        }
    }
}
