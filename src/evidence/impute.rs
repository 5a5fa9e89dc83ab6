//! Filling removed pixels from those around them, so that a removed place does not show as a hole.

use ndarray::{Array2, Array4, Axis};

/// A pixel's neighbours and their weights (Rong et al. 2022, ROAD: a sixth for those that share a side, a twelfth for those at corners).
const NEIGHBOURS: [(isize, isize, f64); 8] = [
    (-1, -1, 1.0 / 12.0),
    (-1, 0, 1.0 / 6.0),
    (-1, 1, 1.0 / 12.0),
    (0, -1, 1.0 / 6.0),
    (0, 1, 1.0 / 6.0),
    (1, -1, 1.0 / 12.0),
    (1, 0, 1.0 / 6.0),
    (1, 1, 1.0 / 12.0),
];
/// What may be left of the right hand side.
const LEFT: f64 = 1e-9;
/// Steps after which it is as good as it gets.
const MOST_STEPS: usize = 5000;

/// Gives each removed pixel of `[1, C, H, W]` the weighted mean of its neighbours, removed ones included: the solution of a sparse linear system, the same for every
/// channel. Without a pixel that is kept there is nothing to fill from, and all stays.
pub fn impute(input: &mut Array4<f32>, removed: &Array2<bool>) {
    if removed.iter().all(|removed| *removed) {
        return;
    }
    let system = System::of(removed);
    let mut planes = input.index_axis_mut(Axis(0), 0);
    let mut before: Option<(Array2<f32>, Vec<f64>)> = None;
    for mut plane in planes.outer_iter_mut() {
        // A grey picture has one channel three times.
        let solution = match before.take() {
            Some((same, solution)) if same == plane => solution,
            _ => system.solve(&system.known(&plane.view())),
        };
        let original = plane.to_owned();
        for (&at, &value) in system.places.iter().zip(&solution) {
            plane[at] = value as f32;
        }
        before = Some((original, solution));
    }
}

/// `(D - W) x = b`: a row a removed pixel. `W` holds the weights of removed neighbours, `D` the sum of the weights of all that lie in the picture, `b` the weighted
/// values of those that are kept. Symmetric, and positive definite where a pixel is kept.
struct System {
    places: Vec<(usize, usize)>,
    /// The rows of a pixel's removed neighbours, in the order of [`NEIGHBOURS`]; for others the number of rows.
    rows: Vec<[u32; 8]>,
    diagonal: Vec<f64>,
    removed: Array2<bool>,
}

impl System {
    fn of(removed: &Array2<bool>) -> System {
        let chosen = removed.indexed_iter().filter(|(_, removed)| **removed);
        let places: Vec<(usize, usize)> = chosen.map(|(at, _)| at).collect();
        let none = places.len() as u32;
        let mut row_of = Array2::from_elem(removed.dim(), none);
        for (row, &at) in places.iter().enumerate() {
            row_of[at] = row as u32;
        }
        let rows = places.iter().map(|&at| {
            NEIGHBOURS.map(|(down, right, _)| {
                let row = beside(at, down, right).and_then(|at| row_of.get(at));
                row.copied().unwrap_or(none)
            })
        });
        let rows = rows.collect();
        let diagonal = places.iter().map(|&at| {
            let inside = NEIGHBOURS.iter().filter(|(down, right, _)| {
                beside(at, *down, *right).is_some_and(|at| removed.get(at).is_some())
            });
            inside.map(|(_, _, weight)| weight).sum()
        });
        System {
            diagonal: diagonal.collect(),
            rows,
            places,
            removed: removed.clone(),
        }
    }

    /// The right hand side.
    fn known(&self, plane: &ndarray::ArrayView2<'_, f32>) -> Vec<f64> {
        let of = |&at: &(usize, usize)| {
            let kept = NEIGHBOURS.iter().filter_map(|(down, right, weight)| {
                let at = beside(at, *down, *right)?;
                (self.removed.get(at) == Some(&false)).then(|| weight * f64::from(plane[at]))
            });
            kept.sum()
        };
        self.places.iter().map(of).collect()
    }

    /// The product with the matrix. `x` has a zero behind its last row, for neighbours that have none.
    fn times(&self, x: &[f64], product: &mut [f64]) {
        let rows = self.rows.iter().zip(&self.diagonal).zip(x);
        for (result, ((rows, diagonal), value)) in product.iter_mut().zip(rows) {
            let mut sum = diagonal * value;
            for (&row, (_, _, weight)) in rows.iter().zip(&NEIGHBOURS) {
                sum -= weight * x[row as usize];
            }
            *result = sum;
        }
    }

    /// Conjugate gradients with the diagonal as preconditioner (Hestenes and Stiefel 1952).
    fn solve(&self, known: &[f64]) -> Vec<f64> {
        let count = known.len();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let scaled = |residual: &[f64]| -> Vec<f64> {
            residual
                .iter()
                .zip(&self.diagonal)
                .map(|(r, d)| r / d)
                .collect()
        };
        let mut x = vec![0.0; count];
        let mut residual = known.to_vec();
        let mut step = scaled(&residual);
        let mut heading = step.clone();
        heading.push(0.0);
        let mut size = dot(&residual, &step);
        let enough = LEFT * LEFT * size;
        let mut product = vec![0.0; count];
        for _ in 0..MOST_STEPS {
            if size <= enough {
                break;
            }
            self.times(&heading, &mut product);
            let length = size / dot(&heading, &product);
            for ((x, residual), (heading, product)) in x
                .iter_mut()
                .zip(&mut residual)
                .zip(heading.iter().zip(&product))
            {
                *x += length * heading;
                *residual -= length * product;
            }
            step = scaled(&residual);
            let next = dot(&residual, &step);
            let bend = next / size;
            for (heading, step) in heading.iter_mut().zip(&step) {
                *heading = step + bend * *heading;
            }
            size = next;
        }
        x
    }
}

fn beside((row, column): (usize, usize), down: isize, right: isize) -> Option<(usize, usize)> {
    Some((
        row.checked_add_signed(down)?,
        column.checked_add_signed(right)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_filled_as_a_slope_and_a_flat_as_flat() {
        // Away from the rim a linear function is the mean of its neighbours.
        let mut slope = Array4::from_shape_fn((1, 2, 12, 15), |(_, c, y, x)| {
            (c + 1) as f32 * (y as f32 - 0.5 * x as f32)
        });
        let whole = slope.clone();
        let hole = Array2::from_shape_fn((12, 15), |(y, x)| {
            (3..9).contains(&y) && (2..12).contains(&x)
        });
        slope.zip_mut_with(
            &hole.map(|hole| f32::from(u8::from(*hole))),
            |value, hole| {
                if *hole > 0.0 {
                    *value = 99.0;
                }
            },
        );
        impute(&mut slope, &hole);
        let worst = (&slope - &whole).fold(0.0f32, |worst, error| worst.max(error.abs()));
        assert!(worst < 1e-4, "{worst}");
        let mut flat = Array4::from_elem((1, 1, 6, 6), 2.5);
        let all_but_one = Array2::from_shape_fn((6, 6), |at| at != (0, 0));
        flat.slice_mut(ndarray::s![.., .., 1.., 1..]).fill(0.0);
        impute(&mut flat, &all_but_one);
        assert!(flat.iter().all(|value| (value - 2.5).abs() < 1e-5));
    }

    #[test]
    fn without_a_kept_pixel_all_stays() {
        let mut input = Array4::from_elem((1, 1, 2, 2), 1.0);
        impute(&mut input, &Array2::from_elem((2, 2), true));
        assert_eq!(input, Array4::from_elem((1, 1, 2, 2), 1.0));
        impute(&mut input, &Array2::from_elem((2, 2), false));
        assert_eq!(input, Array4::from_elem((1, 1, 2, 2), 1.0));
    }
}
