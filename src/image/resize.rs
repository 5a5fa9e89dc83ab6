//! Bringing a plane to another size, as OpenCV and as Pillow do.

use ndarray::{Array2, ArrayView2};

/// Bilinear interpolation without antialiasing: OpenCV's `resize` of `float32` with `INTER_LINEAR`.
///
/// `plane` is `[rows, columns]`; the result is `[height, width]`. Pixel centres lie at half-integers, edges are repeated.
/// Equal to OpenCV 5.0 on x86 bit for bit if `width` is 8 or more, and within 3e-7 of the range below that and to 4.x:
/// columns first, then rows, each a fused `(b - a) * weight + a`. A plane or a size without pixels gives zeros. NaN and infinities spread to their neighbours;
/// a plane that has the size already stays as it is.
#[must_use]
pub fn resize_linear(plane: &ArrayView2<'_, f32>, height: usize, width: usize) -> Array2<f32> {
    let (rows, columns) = plane.dim();
    if (rows, columns) == (height, width) {
        return plane.to_owned();
    }
    let mut resized = Array2::zeros((height, width));
    if resized.is_empty() || plane.is_empty() {
        return resized;
    }
    let taps = linear_taps(columns, width);
    let mut wide = Array2::zeros((rows, width));
    for (source, mut target) in plane.rows().into_iter().zip(wide.rows_mut()) {
        for (value, tap) in target.iter_mut().zip(&taps) {
            *value = between(source[tap.first], source[tap.second], tap.weight);
        }
    }
    for (mut target, tap) in resized
        .rows_mut()
        .into_iter()
        .zip(linear_taps(rows, height))
    {
        let pair = wide.row(tap.first).into_iter().zip(wide.row(tap.second));
        for (value, (&a, &b)) in target.iter_mut().zip(pair) {
            *value = between(a, b, tap.weight);
        }
    }
    resized
}

/// Two neighbouring pixels of one axis, and the second one's weight.
#[derive(Clone, Copy)]
struct LinearTap {
    first: usize,
    second: usize,
    weight: f32,
}

/// The taps of each target pixel along one axis.
fn linear_taps(source: usize, target: usize) -> Vec<LinearTap> {
    let scale = source as f64 / target as f64;
    let last = source - 1;
    (0..target)
        .map(|i| {
            let at = (i as f64 + 0.5) * scale - 0.5;
            if at < 0.0 {
                return LinearTap {
                    first: 0,
                    second: last.min(1),
                    weight: 0.0,
                };
            }
            let first = at.floor();
            if first >= last as f64 {
                return LinearTap {
                    first: last,
                    second: last,
                    weight: 0.0,
                };
            }
            LinearTap {
                first: first as usize,
                second: first as usize + 1,
                weight: (at - first) as f32,
            }
        })
        .collect()
}

/// Between two values, rounded once: OpenCV's vector code uses fused multiply-add.
#[inline]
fn between(a: f32, b: f32, weight: f32) -> f32 {
    fma(b - a, weight, a)
}

/// `a * b + c`, rounded once: `f32::mul_add`, faster where the processor or WebAssembly has no such instruction.
///
/// The product of two `f32` is exact in `f64`, so the sum differs from the fused result only if it is rounded twice, which
/// takes a tie of the second rounding; that case, and results too small for the argument, go the slow way. A zero is exact.
#[inline]
pub(crate) fn fma(a: f32, b: f32, c: f32) -> f32 {
    let sum = f64::from(a) * f64::from(b) + f64::from(c);
    let tie = sum.to_bits() & 0x1fff_ffff == 0x1000_0000;
    let subnormal = sum != 0.0 && sum.abs() < f64::from(f32::MIN_POSITIVE);
    if tie || subnormal {
        a.mul_add(b, c)
    } else {
        sum as f32
    }
}

/// Bilinear interpolation with antialiasing: Pillow's `resize` of mode "F" with `BILINEAR`.
///
/// `plane` is `[rows, columns]`; the result is `[height, width]`. When shrinking, the triangle widens with the scale, so that
/// every source pixel counts. Sums in `f64`, columns first, stored as `f32` between the two passes, and no pass along an axis that has its size already, as
/// Pillow does. A plane or a size without pixels gives zeros.
#[must_use]
pub fn resize_triangle(plane: &ArrayView2<'_, f32>, height: usize, width: usize) -> Array2<f32> {
    let (rows, columns) = plane.dim();
    if plane.is_empty() || height == 0 || width == 0 {
        return Array2::zeros((height, width));
    }
    let wide = if columns == width {
        plane.to_owned()
    } else {
        widened(plane, width)
    };
    if rows == height {
        return wide;
    }
    let mut resized = Array2::zeros((height, width));
    let mut sums = vec![0.0_f64; width];
    for (mut target, taps) in resized
        .rows_mut()
        .into_iter()
        .zip(triangle_taps(rows, height))
    {
        sums.fill(0.0);
        for (offset, weight) in taps.weights.iter().enumerate() {
            for (sum, &value) in sums.iter_mut().zip(wide.row(taps.first + offset)) {
                *sum += weight * f64::from(value);
            }
        }
        for (value, &sum) in target.iter_mut().zip(&sums) {
            *value = sum as f32;
        }
    }
    resized
}

/// The first pass of [`resize_triangle`]: every row to another width.
fn widened(plane: &ArrayView2<'_, f32>, width: usize) -> Array2<f32> {
    let (rows, columns) = plane.dim();
    let taps = triangle_taps(columns, width);
    let mut wide = Array2::zeros((rows, width));
    let mut row = vec![0.0; columns];
    for (source, mut target) in plane.rows().into_iter().zip(wide.rows_mut()) {
        for (copy, &value) in row.iter_mut().zip(source) {
            *copy = value;
        }
        for (value, taps) in target.iter_mut().zip(&taps) {
            let sources = row.iter().skip(taps.first);
            *value = taps
                .weights
                .iter()
                .zip(sources)
                .map(|(w, &v)| w * f64::from(v))
                .sum::<f64>() as f32;
        }
    }
    wide
}

/// A run of pixels of one axis with their weights, which add up to 1.
struct TriangleTaps {
    first: usize,
    weights: Vec<f64>,
}

/// The taps of each target pixel along one axis.
fn triangle_taps(source: usize, target: usize) -> Vec<TriangleTaps> {
    let scale = source as f64 / target as f64;
    let reach = scale.max(1.0);
    (0..target)
        .map(|i| {
            let center = (i as f64 + 0.5) * scale;
            // Rounded as Pillow does; the casts saturate at 0.
            let first = ((center - reach + 0.5) as usize).min(source - 1);
            let end = ((center + reach + 0.5) as usize).clamp(first + 1, source);
            let triangle = |x: usize| (1.0 - ((x as f64 - center + 0.5) / reach).abs()).max(0.0);
            let mut weights: Vec<f64> = (first..end).map(triangle).collect();
            let total: f64 = weights.iter().sum();
            if total > 0.0 {
                weights.iter_mut().for_each(|weight| *weight /= total);
            }
            TriangleTaps { first, weights }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn doubling_interpolates_at_quarters_and_repeats_edges() {
        let resized = resize_linear(&array![[0.0, 4.0]].view(), 2, 4);
        assert_eq!(resized, array![[0.0, 1.0, 3.0, 4.0], [0.0, 1.0, 3.0, 4.0]]);
    }

    #[test]
    fn halving_averages_only_with_antialiasing() {
        let plane = array![[0.0, 0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0]];
        assert_eq!(resize_linear(&plane.view(), 1, 2), array![[0.0, 0.0]]);
        let smooth = resize_triangle(&plane.view(), 1, 2);
        assert!(smooth[[0, 1]] > 0.5 && smooth[[0, 0]] > 0.0);
    }

    #[test]
    fn nothing_gives_zeros() {
        let empty = Array2::zeros((0, 3));
        assert_eq!(
            resize_linear(&empty.view(), 2, 2),
            Array2::<f32>::zeros((2, 2))
        );
        assert_eq!(
            resize_triangle(&empty.view(), 2, 2),
            Array2::<f32>::zeros((2, 2))
        );
        assert_eq!(resize_triangle(&array![[1.0]].view(), 0, 5).dim(), (0, 5));
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fma_rounds_once(a in any::<f32>(), b in any::<f32>(), c in any::<f32>()) {
            prop_assert_eq!(fma(a, b, c).to_bits(), a.mul_add(b, c).to_bits());
        }

        #[test]
        fn fma_rounds_once_at_ties(a in 1_u32..1 << 24, shift in 0_i32..60, c in 1_u32..1 << 24) {
            let (a, b, c) = (a as f32, (2.0_f32).powi(-shift), c as f32);
            for b in [b, b * 1.5, -b, b * (1.0 + f32::EPSILON)] {
                prop_assert_eq!(fma(a, b, c), a.mul_add(b, c));
            }
        }

        #[test]
        fn results_stay_in_the_range_of_the_source(
            rows in 1_usize..9, columns in 1_usize..9, height in 1_usize..20, width in 1_usize..20, seed in any::<u32>(),
        ) {
            let plane = Array2::from_shape_fn((rows, columns), |(y, x)| {
                (seed.wrapping_mul(2_654_435_761).wrapping_add((y * 31 + x * 7) as u32 * 40_503) % 1000) as f32
            });
            let most = plane.iter().copied().fold(f32::MIN, f32::max);
            let least = plane.iter().copied().fold(f32::MAX, f32::min);
            for resized in [resize_linear(&plane.view(), height, width), resize_triangle(&plane.view(), height, width)] {
                prop_assert_eq!(resized.dim(), (height, width));
                prop_assert!(resized.iter().all(|v| (least - 1e-3..=most + 1e-3).contains(v)));
            }
        }
    }
}
