//! How alike two maps are.

use ndarray::{ArrayView2, s};

/// The side of the window that [`ssim`] compares in.
const WINDOW: usize = 7;

/// Pearson's correlation. `None` where one of them is the same everywhere.
#[must_use]
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let count = a.len().min(b.len()) as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut both, mut first, mut second) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        both += a * b;
        first += a * a;
        second += b * b;
    }
    let scale = (first * second).sqrt();
    (scale > 0.0).then(|| (both / scale).clamp(-1.0, 1.0))
}

/// Spearman's rank correlation, equals sharing their mean rank: `scipy.stats.spearmanr`. `None` where one map is the same everywhere, or their sizes differ.
#[must_use]
pub fn spearman(a: &ArrayView2<'_, f32>, b: &ArrayView2<'_, f32>) -> Option<f64> {
    (a.dim() == b.dim()).then(|| pearson(&ranks(a), &ranks(b)))?
}

/// [`spearman`] of the magnitudes.
#[must_use]
pub fn spearman_absolute(a: &ArrayView2<'_, f32>, b: &ArrayView2<'_, f32>) -> Option<f64> {
    spearman(&a.mapv(f32::abs).view(), &b.mapv(f32::abs).view())
}

/// The rank of each value from the lowest up, equals sharing the mean of theirs.
fn ranks(map: &ArrayView2<'_, f32>) -> Vec<f64> {
    let values: Vec<f32> = map.iter().copied().collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    // Positive and negative zero are equals, and neighbours in the total order.
    for ties in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = below as f64 + (ties.len() - 1) as f64 / 2.0;
        for &at in ties {
            ranks[at] = rank;
        }
        below += ties.len();
    }
    ranks
}

/// Mean structural similarity (Wang et al. 2004) of two maps, each stretched to 0 to 1: `skimage.metrics.structural_similarity` with its uniform window of 7 pixels and a
/// range of 1. `None` where one map is the same everywhere, is smaller than the window, or their sizes differ.
#[must_use]
pub fn ssim(a: &ArrayView2<'_, f32>, b: &ArrayView2<'_, f32>) -> Option<f64> {
    let (height, width) = a.dim();
    if a.dim() != b.dim() || height < WINDOW || width < WINDOW {
        return None;
    }
    let (a, b) = (stretched(a)?, stretched(b)?);
    let count = (WINDOW * WINDOW) as f64;
    let (c1, c2) = (0.01f64.powi(2), 0.03f64.powi(2));
    let (rows, columns) = (height - WINDOW + 1, width - WINDOW + 1);
    let mut total = 0.0;
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        let window = s![row..row + WINDOW, column..column + WINDOW];
        let mut sums = [0.0; 5];
        for (&a, &b) in a.slice(window).iter().zip(b.slice(window)) {
            for (sum, value) in sums.iter_mut().zip([a, b, a * a, b * b, a * b]) {
                *sum += value;
            }
        }
        let [mean_a, mean_b, square_a, square_b, product] = sums.map(|sum| sum / count);
        // Sample variances, as scikit-image takes them.
        let sample = count / (count - 1.0);
        let variance_a = sample * (square_a - mean_a * mean_a);
        let variance_b = sample * (square_b - mean_b * mean_b);
        let covariance = sample * (product - mean_a * mean_b);
        total += (2.0 * mean_a * mean_b + c1) * (2.0 * covariance + c2)
            / ((mean_a * mean_a + mean_b * mean_b + c1) * (variance_a + variance_b + c2));
    }
    Some(total / (rows * columns) as f64)
}

/// The map from 0 to 1; `None` where it is flat.
fn stretched(map: &ArrayView2<'_, f32>) -> Option<ndarray::Array2<f64>> {
    let low = map.iter().copied().fold(f32::INFINITY, f32::min);
    let high = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (low, high) = (f64::from(low), f64::from(high));
    (high > low).then(|| map.mapv(|value| (f64::from(value) - low) / (high - low)))
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    #[test]
    fn equals_share_a_rank() {
        assert_eq!(
            ranks(&array![[3.0, 1.0, 1.0, -0.0, 0.0]].view()),
            [4.0, 2.5, 2.5, 0.5, 0.5]
        );
        let flat = Array2::zeros((8, 8));
        assert_eq!(spearman(&flat.view(), &flat.view()), None);
        assert_eq!(ssim(&flat.view(), &flat.view()), None);
        let small = array![[0.0, 1.0]];
        assert_eq!(
            (
                spearman(&small.view(), &small.view()),
                ssim(&small.view(), &small.view())
            ),
            (Some(1.0), None)
        );
        assert_eq!(spearman(&small.view(), &flat.view()), None);
    }

    proptest! {
        #[test]
        fn order_is_all_that_counts(values in prop::collection::vec(-1e3f32..1e3, 64)) {
            let map = Array2::from_shape_vec((8, 8), values).unwrap();
            let found = |other: &Array2<f32>| spearman(&map.view(), &other.view()).unwrap();
            prop_assert!((found(&map) - 1.0).abs() < 1e-12);
            prop_assert!((found(&map.mapv(|value| value.atan() * 3.0)) - 1.0).abs() < 1e-3);
            prop_assert!((found(&map.mapv(|value| -value)) + 1.0).abs() < 1e-12);
            // Scale and shift are stretched away.
            let moved = map.mapv(|value| 0.5 * value + 7.0);
            prop_assert!((ssim(&map.view(), &moved.view()).unwrap() - 1.0).abs() < 1e-4);
            let turned = map.t().to_owned();
            let there = ssim(&map.view(), &turned.view()).unwrap();
            prop_assert!((there - ssim(&turned.view(), &map.view()).unwrap()).abs() < 1e-12);
            prop_assert!((-1.0..=1.0).contains(&there));
        }
    }
}
