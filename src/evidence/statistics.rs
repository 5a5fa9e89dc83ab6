//! Numbers over many pictures, and how sure they are.

use crate::random::SplitMix;

/// Area under the ROC curve: how often a positive scores above a negative, ties half. `None` without both kinds.
///
/// `pairs` holds a score and whether it is a positive's.
#[must_use]
pub fn auc(pairs: &[(f64, bool)]) -> Option<f64> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = pairs.iter().filter(|(_, positive)| *positive).count();
    let negatives = pairs.len() - positives;
    // The Mann-Whitney statistic: negatives passed so far, those of the same score by half.
    let (mut below, mut wins) = (0.0, 0.0);
    for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
        let up = ties.iter().filter(|(_, positive)| *positive).count() as f64;
        let down = ties.len() as f64 - up;
        wins += up * (below + down / 2.0);
        below += down;
    }
    (positives > 0 && negatives > 0).then(|| wins / (positives as f64 * negatives as f64))
}

/// Expected calibration error: the mean gap between confidence and accuracy over `bins` of equal width, weighted by their
/// counts (Guo et al. 2017). `None` without pictures. `pairs` holds the confidence, 0 to 1, and whether the guess was right.
#[must_use]
pub fn calibration_error(pairs: &[(f64, bool)], bins: usize) -> Option<f64> {
    let mut gaps = vec![0.0; bins.max(1)];
    for &(confidence, right) in pairs {
        let bin = ((confidence * bins as f64) as usize).min(gaps.len() - 1);
        gaps[bin] += confidence - f64::from(u8::from(right));
    }
    let gap: f64 = gaps.iter().map(|gap: &f64| gap.abs()).sum();
    (!pairs.is_empty()).then(|| gap / pairs.len() as f64)
}

/// Mean; `None` of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// A percentile, 0 to 100, interpolated between order statistics as NumPy's method "linear" does. `None` of nothing.
#[must_use]
pub fn percentile(values: &[f64], percent: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = percent.clamp(0.0, 100.0) / 100.0 * sorted.len().checked_sub(1)? as f64;
    let below = sorted.get(rank.floor() as usize)?;
    let above = sorted.get(rank.ceil() as usize)?;
    Some(below + (above - below) * rank.fract())
}

/// 95 % intervals of the numbers that `measure` makes of pictures, when whole groups (patients) are drawn with replacement
/// (Efron's percentile bootstrap). `measure` is given indices of pictures and returns the same numbers in the same order each
/// time; `None` is left out, and a number that is never made has no interval.
pub fn bootstrap(
    groups: &[Vec<usize>],
    draws: usize,
    seed: u64,
    measure: impl Fn(&[usize]) -> Vec<Option<f64>>,
) -> Vec<Option<(f64, f64)>> {
    let mut random = SplitMix(seed);
    let mut columns: Vec<Vec<f64>> = Vec::new();
    let mut chosen = Vec::new();
    for _ in 0..if groups.is_empty() { 0 } else { draws } {
        chosen.clear();
        for _ in groups {
            let group = (random.draw() % groups.len() as u64) as usize;
            chosen.extend(groups.get(group).into_iter().flatten());
        }
        let numbers = measure(&chosen);
        columns.resize(columns.len().max(numbers.len()), Vec::new());
        for (column, number) in columns.iter_mut().zip(numbers) {
            column.extend(number);
        }
    }
    let interval = |column: &Vec<f64>| Some((percentile(column, 2.5)?, percentile(column, 97.5)?));
    columns.iter().map(interval).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_counts_ties_half() {
        // sklearn.metrics.roc_auc_score([1, 0, 1, 0, 0], [0.9, 0.5, 0.5, 0.2, 0.7]) = 0.75
        let pairs = [
            (0.9, true),
            (0.5, false),
            (0.5, true),
            (0.2, false),
            (0.7, false),
        ];
        assert!((auc(&pairs).unwrap() - 0.75).abs() < 1e-12);
        assert_eq!(auc(&[(0.5, true)]), None);
    }

    #[test]
    fn calibration_is_the_weighted_gap() {
        // Bin 0.9: two pictures of mean confidence 0.95, one right; bin 0.5: one of 0.55, right.
        let pairs = [(0.95, true), (0.95, false), (0.55, true)];
        assert!((calibration_error(&pairs, 10).unwrap() - (0.9 + 0.45) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn percentiles_interpolate_like_numpy() {
        // numpy.percentile([3, 1, 2, 10], [25, 99]) = 1.75, 9.79
        let values = [3.0, 1.0, 2.0, 10.0];
        assert!((percentile(&values, 25.0).unwrap() - 1.75).abs() < 1e-12);
        assert!((percentile(&values, 99.0).unwrap() - 9.79).abs() < 1e-12);
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn intervals_cover_a_mean_as_theory_says() {
        // 100 patients of one picture each, half of them 1: the standard error of the mean is 0.05.
        let groups: Vec<Vec<usize>> = (0..100).map(|at| vec![at]).collect();
        let intervals = bootstrap(&groups, 2000, 1, |chosen| {
            let ones = chosen.iter().filter(|at| **at < 50).count();
            vec![Some(ones as f64 / chosen.len() as f64), None]
        });
        let (low, high) = intervals[0].unwrap();
        assert!(
            (low - 0.402).abs() < 0.02 && (high - 0.598).abs() < 0.02,
            "{low} {high}"
        );
        assert_eq!(intervals[1], None);
    }

    #[test]
    fn patients_are_drawn_whole() {
        let groups = vec![vec![0, 1, 2], vec![3]];
        bootstrap(&groups, 50, 7, |chosen| {
            let count = |at| chosen.iter().filter(|x| **x == at).count();
            assert_eq!((count(0), count(0)), (count(1), count(2)));
            vec![]
        });
    }
}
