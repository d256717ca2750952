//! Does the model put clicks above non-clicks? AUC, average precision and the curves behind them.
//!
//! A row may stand for many impressions: its weight `w` and label `y` in `[0, 1]` count as `w·y` clicks and
//! `w·(1 - y)` non-clicks, each an observation of its own. Everything here derives from [`cuts`].

use super::rates::{Estimate, Z_95};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What lies at or above one score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// The score; rows with it are included.
    pub score: f64,
    /// Clicks with a score of at least `score`.
    pub positives: f64,
    /// Non-clicks with a score of at least `score`.
    pub negatives: f64,
}

/// Area under the ROC curve by rank sum, ties counted half (Mann-Whitney).
///
/// `weights` may be empty (all 1). `None` when there are only clicks, only non-clicks, or a score is NaN.
pub fn auc(scores: &[f32], labels: &[f32], weights: &[f32]) -> Option<f64> {
    auc_of_cuts(&cuts(scores, labels, weights)?)
}

/// AUC with its 95 % interval by DeLong, DeLong & Clarke-Pearson (1988); weights count as repeated rows.
///
/// The interval is all of `[0, 1]` where one class has a single observation. `None` as for [`auc`].
pub fn auc_estimate(scores: &[f32], labels: &[f32], weights: &[f32]) -> Option<Estimate> {
    auc_estimate_of_cuts(&cuts(scores, labels, weights)?)
}

/// [`auc_estimate`] where the cuts are known already. `None` for cuts of one class.
pub fn auc_estimate_of_cuts(cuts: &[Cut]) -> Option<Estimate> {
    let value = auc_of_cuts(cuts)?;
    let last = *cuts.last()?;
    let (clicks, others) = (last.positives, last.negatives);
    if clicks <= 1.0 || others <= 1.0 {
        return Some(Estimate { value, low: 0.0, high: 1.0 });
    }
    // Structural components: a click's share of non-clicks below it, a non-click's share of clicks above it.
    let (mut click_squares, mut other_squares) = (0.0, 0.0);
    for (step, before) in steps(cuts) {
        let here = (step.positives, step.negatives);
        let below = (others - before.negatives - 0.5 * here.1) / others;
        let above = (before.positives + 0.5 * here.0) / clicks;
        click_squares += here.0 * (below - value).powi(2);
        other_squares += here.1 * (above - value).powi(2);
    }
    let variance = click_squares / (clicks * (clicks - 1.0)) + other_squares / (others * (others - 1.0));
    let half = Z_95 * variance.sqrt();
    Some(Estimate { value, low: (value - half).max(0.0), high: (value + half).min(1.0) })
}

/// How much higher the AUC of `second` is than that of `first` on the same rows, with its 95 % interval by the
/// covariance of DeLong, DeLong & Clarke-Pearson (1988), equation 5. `None` as for [`auc`].
pub fn auc_difference(first: &[f32], second: &[f32], labels: &[f32], weights: &[f32]) -> Option<Estimate> {
    let (a, of_a) = placements(first, labels, weights)?;
    let (b, of_b) = placements(second, labels, weights)?;
    let (mut clicks, mut others, mut of_clicks, mut of_others) = (0.0, 0.0, 0.0, 0.0);
    for (row, (x, y)) in of_a.iter().zip(&of_b).enumerate() {
        let weight = weights.get(row).map_or(1.0, |&w| f64::from(w));
        let label = f64::from(labels[row]).clamp(0.0, 1.0);
        clicks += weight * label;
        others += weight * (1.0 - label);
        // The variance of a difference is the sum of its squares: var(b) + var(a) - 2 cov(a, b).
        of_clicks += weight * label * ((y[0] - b) - (x[0] - a)).powi(2);
        of_others += weight * (1.0 - label) * ((y[1] - b) - (x[1] - a)).powi(2);
    }
    if clicks <= 1.0 || others <= 1.0 {
        return Some(Estimate { value: b - a, low: -1.0, high: 1.0 });
    }
    let variance = of_clicks / (clicks * (clicks - 1.0)) + of_others / (others * (others - 1.0));
    Some(Estimate::normal(b - a, variance.sqrt()))
}

/// The AUC, and of each row the share of non-clicks below it and the share of clicks above it, ties half.
fn placements(scores: &[f32], labels: &[f32], weights: &[f32]) -> Option<(f64, Vec<[f64; 2]>)> {
    let cuts = cuts(scores, labels, weights)?;
    let value = auc_of_cuts(&cuts)?;
    let last = *cuts.last()?;
    let shares: Vec<[f64; 2]> = steps(&cuts)
        .map(|(step, before)| {
            let below = last.negatives - before.negatives - 0.5 * step.negatives;
            let above = before.positives + 0.5 * step.positives;
            [below / last.negatives, above / last.positives]
        })
        .collect();
    let mut of_rows = vec![[0.0; 2]; scores.len().min(labels.len())];
    let mut cut = 0;
    for row in rows_by_score(&scores[..of_rows.len()]) {
        let score = f64::from(scores[row as usize]);
        while cuts.get(cut).is_some_and(|here| here.score != score) {
            cut += 1;
        }
        of_rows[row as usize] = *shares.get(cut)?;
    }
    Some((value, of_rows))
}

/// Area under the precision-recall curve as average precision, `Σ (R_k - R_(k-1)) P_k`; no interpolation.
///
/// `None` as for [`auc`].
pub fn average_precision(scores: &[f32], labels: &[f32], weights: &[f32]) -> Option<f64> {
    average_precision_of_cuts(&cuts(scores, labels, weights)?)
}

/// [`average_precision`] where the cuts are known already. `None` for an empty list.
pub fn average_precision_of_cuts(cuts: &[Cut]) -> Option<f64> {
    let clicks = cuts.last()?.positives;
    let sum: f64 = steps(cuts)
        .zip(cuts)
        .map(|((step, _), cut)| step.positives * cut.positives / (cut.positives + cut.negatives))
        .sum();
    Some(sum / clicks)
}

/// Points `[false positive rate, true positive rate]` from `[0, 0]` to `[1, 1]`, at most `limit` of them.
pub fn roc(cuts: &[Cut], limit: usize) -> Vec<[f64; 2]> {
    let Some(last) = cuts.last() else {
        return Vec::new();
    };
    let curve = cuts.iter().map(|cut| [cut.negatives / last.negatives, cut.positives / last.positives]);
    thin(std::iter::once([0.0, 0.0]).chain(curve).collect(), limit)
}

/// Points `[recall, precision]` by falling score, at most `limit` of them.
pub fn precision_recall(cuts: &[Cut], limit: usize) -> Vec<[f64; 2]> {
    let Some(last) = cuts.last() else {
        return Vec::new();
    };
    let curve = cuts.iter().map(|cut| {
        let shown = cut.positives + cut.negatives;
        [cut.positives / last.positives, cut.positives / shown]
    });
    thin(curve.collect(), limit)
}

/// Points `[share of impressions, share of clicks]` when the highest scores come first, at most `limit`.
pub fn cumulative_gain(cuts: &[Cut], limit: usize) -> Vec<[f64; 2]> {
    let Some(last) = cuts.last() else {
        return Vec::new();
    };
    let all = last.positives + last.negatives;
    let curve =
        cuts.iter().map(|cut| [(cut.positives + cut.negatives) / all, cut.positives / last.positives]);
    thin(std::iter::once([0.0, 0.0]).chain(curve).collect(), limit)
}

/// One [`Cut`] per distinct score, highest first, counts cumulative.
///
/// `None` when there are only clicks, only non-clicks, or a score is NaN.
pub fn cuts(scores: &[f32], labels: &[f32], weights: &[f32]) -> Option<Vec<Cut>> {
    if scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    cuts_of_ranked(&rows_by_score(&scores[..scores.len().min(labels.len())]), scores, labels, weights)
}

/// [`cuts`] where the [order](rows_by_score) of the rows is known already.
pub fn cuts_of_ranked(order: &[u32], scores: &[f32], labels: &[f32], weights: &[f32]) -> Option<Vec<Cut>> {
    let mut cuts: Vec<Cut> = Vec::new();
    let (mut positives, mut negatives) = (0.0, 0.0);
    for row in order {
        let row = *row as usize;
        let weight = weights.get(row).map_or(1.0, |&w| f64::from(w));
        let label = f64::from(labels[row]).clamp(0.0, 1.0);
        positives += weight * label;
        negatives += weight * (1.0 - label);
        let score = f64::from(scores[row]);
        let cut = Cut { score, positives, negatives };
        match cuts.last_mut() {
            Some(last) if last.score == score => *last = cut,
            _ => cuts.push(cut),
        }
    }
    (positives > 0.0 && negatives > 0.0).then_some(cuts)
}

/// Rows from the highest score to the lowest; equal scores in the order of the rows.
pub fn rows_by_score(scores: &[f32]) -> Vec<u32> {
    let mut keys: Vec<u64> = (0..scores.len())
        .into_par_iter()
        .map(|row| u64::from(!ascending_bits(scores[row])) << 32 | row as u64)
        .collect();
    keys.par_sort_unstable();
    keys.into_par_iter().map(|key| key as u32).collect()
}

/// The bits of a number, changed so that they rise with it: negative numbers turned over, the rest above them.
pub(super) fn ascending_bits(number: f32) -> u32 {
    // Both zeros are one score.
    let bits = (number + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn auc_of_cuts(cuts: &[Cut]) -> Option<f64> {
    let last = cuts.last()?;
    let area: f64 =
        steps(cuts).map(|(step, before)| step.negatives * (before.positives + 0.5 * step.positives)).sum();
    (last.positives > 0.0 && last.negatives > 0.0).then(|| area / (last.positives * last.negatives))
}

/// Each cut's own counts (as a cut), with the counts above it.
fn steps(cuts: &[Cut]) -> impl Iterator<Item = (Cut, Cut)> + '_ {
    let none = Cut { score: f64::INFINITY, positives: 0.0, negatives: 0.0 };
    let before = std::iter::once(none).chain(cuts.iter().copied());
    cuts.iter().zip(before).map(|(cut, before)| {
        let step = Cut {
            score: cut.score,
            positives: cut.positives - before.positives,
            negatives: cut.negatives - before.negatives,
        };
        (step, before)
    })
}

/// At most `limit` of the cuts, evenly along the ROC curve.
pub fn thin_cuts(cuts: &[Cut], limit: usize) -> Vec<Cut> {
    let Some(last) = cuts.last() else { return Vec::new() };
    let curve = cuts.iter().map(|cut| [cut.negatives / last.negatives, cut.positives / last.positives]);
    let curve: Vec<[f64; 2]> = curve.collect();
    kept(&curve, limit).into_iter().map(|place| cuts[place]).collect()
}

/// [`kept`] points of a curve.
fn thin(curve: Vec<[f64; 2]>, limit: usize) -> Vec<[f64; 2]> {
    if curve.len() <= limit || limit < 2 {
        return curve;
    }
    kept(&curve, limit).into_iter().map(|place| curve[place]).collect()
}

/// Places of both ends and of points at least `length / limit` apart along the curve (city-block distance).
fn kept(curve: &[[f64; 2]], limit: usize) -> Vec<usize> {
    if curve.len() <= limit || limit < 2 {
        return (0..curve.len()).collect();
    }
    let distance = |a: &[f64; 2], b: &[f64; 2]| (a[0] - b[0]).abs() + (a[1] - b[1]).abs();
    let length: f64 = curve.windows(2).map(|pair| distance(&pair[0], &pair[1])).sum();
    let spacing = length / (limit - 1) as f64;
    let mut kept = vec![0];
    let mut walked = 0.0;
    for (place, pair) in curve.windows(2).enumerate() {
        walked += distance(&pair[0], &pair[1]);
        if walked >= spacing * kept.len() as f64 && kept.len() < limit - 1 {
            kept.push(place + 1);
        }
    }
    kept.push(curve.len() - 1);
    kept
}

#[cfg(test)]
mod tests {
    use super::super::test_data::scored;
    use super::*;

    #[test]
    fn auc_and_average_precision_match_scikit_learn() {
        let (scores, labels, weights) = scored();
        // scikit-learn 1.9.1: roc_auc_score, average_precision_score on the rows of `test_data`.
        assert!((auc(&scores, &labels, &[]).unwrap() - SKLEARN_AUC).abs() < 1e-12);
        assert!((auc(&scores, &labels, &weights).unwrap() - SKLEARN_AUC_WEIGHTED).abs() < 1e-12);
        assert!((average_precision(&scores, &labels, &[]).unwrap() - SKLEARN_AP).abs() < 1e-12);
        let weighted = average_precision(&scores, &labels, &weights).unwrap();
        assert!((weighted - SKLEARN_AP_WEIGHTED).abs() < 1e-12);
    }

    #[test]
    fn delong_matches_the_definition_over_all_pairs() {
        let (scores, labels, _) = scored();
        let estimate = auc_estimate(&scores, &labels, &[]).unwrap();
        // numpy: components over the full matrix of pairs, variances with ddof=1.
        let half = (estimate.high - estimate.low) / 2.0;
        assert!((half - Z_95 * NUMPY_DELONG_SE).abs() < 1e-9, "{estimate:?}");
    }

    #[test]
    fn the_paired_difference_is_that_of_the_full_matrix_of_pairs() {
        let (first, labels, _) = scored();
        let second: Vec<f32> = first
            .iter()
            .zip(0u32..)
            .map(|(s, row)| ((0.6 * s + ((row * 613) % 97) as f32 / 200.0) * 64.0).round() / 64.0)
            .collect();
        let found = auc_difference(&first, &second, &labels, &[]).unwrap();
        // The definition: psi over all pairs, structural components, sample covariances.
        let rows = |class: f32| (0..labels.len()).filter(|row| labels[*row] == class).collect::<Vec<_>>();
        let (clicks, others): (Vec<usize>, Vec<usize>) = (rows(1.0), rows(0.0));
        let psi = |s: &[f32], i: usize, j: usize| match s[i].total_cmp(&s[j]) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let components = |s: &[f32]| {
            let of_click = |i: &usize| mean(&others.iter().map(|j| psi(s, *i, *j)).collect::<Vec<_>>());
            let of_other = |j: &usize| mean(&clicks.iter().map(|i| psi(s, *i, *j)).collect::<Vec<_>>());
            (
                clicks.iter().map(of_click).collect::<Vec<f64>>(),
                others.iter().map(of_other).collect::<Vec<f64>>(),
            )
        };
        let covariance = |a: &[f64], b: &[f64]| {
            let (x, y) = (mean(a), mean(b));
            a.iter().zip(b).map(|(a, b)| (a - x) * (b - y)).sum::<f64>() / (a.len() - 1) as f64
        };
        let (a, b) = (components(&first), components(&second));
        let part = |a: &[f64], b: &[f64]| {
            (covariance(a, a) + covariance(b, b) - 2.0 * covariance(a, b)) / a.len() as f64
        };
        let error = (part(&a.0, &b.0) + part(&a.1, &b.1)).sqrt();
        assert!((found.value - (mean(&b.0) - mean(&a.0))).abs() < 1e-12, "{found:?}");
        assert!(((found.high - found.low) / 2.0 - Z_95 * error).abs() < 1e-9, "{found:?} against {error}");
        // A model against itself differs by nothing, and surely.
        let none = auc_difference(&first, &first, &labels, &[]).unwrap();
        assert_eq!((none.value, none.low, none.high), (0.0, 0.0, 0.0));
    }

    #[test]
    fn the_order_is_by_score_and_both_zeros_are_one() {
        assert_eq!(rows_by_score(&[0.1, -0.5, 0.9, -0.0, 0.0, -2.0]), [2, 0, 3, 4, 1, 5]);
    }

    #[test]
    fn a_weighted_row_equals_its_repetitions() {
        let (scores, labels, weights) = scored();
        let repeat = |values: &[f32]| -> Vec<f32> {
            let times = weights.iter().map(|&w| w as usize);
            values.iter().zip(times).flat_map(|(&v, n)| std::iter::repeat_n(v, n)).collect()
        };
        let long = auc_estimate(&repeat(&scores), &repeat(&labels), &[]).unwrap();
        let short = auc_estimate(&scores, &labels, &weights).unwrap();
        assert!((long.low - short.low).abs() < 1e-12, "{long:?} {short:?}");
        // 3 impressions with 1 click are one click and two non-clicks at the same score.
        let aggregated = auc(&[0.2, 0.7], &[1.0 / 3.0, 0.5], &[3.0, 2.0]).unwrap();
        let rows = auc(&[0.2, 0.2, 0.2, 0.7, 0.7], &[1.0, 0.0, 0.0, 1.0, 0.0], &[]).unwrap();
        assert!((aggregated - rows).abs() < 1e-7);
    }

    #[test]
    fn one_class_or_a_nan_has_no_auc() {
        assert_eq!(auc(&[0.1, 0.2], &[1.0, 1.0], &[]), None);
        assert_eq!(auc(&[], &[], &[]), None);
        assert_eq!(auc(&[f32::NAN, 0.2], &[1.0, 0.0], &[]), None);
        assert_eq!(auc(&[0.5, 0.5], &[1.0, 0.0], &[]), Some(0.5));
    }

    #[test]
    fn thinned_curves_keep_their_ends_and_area() {
        let (scores, labels, _) = scored();
        let cuts = cuts(&scores, &labels, &[]).unwrap();
        let curve = roc(&cuts, 40);
        assert!(curve.len() <= 40);
        assert_eq!((curve[0], curve[curve.len() - 1]), ([0.0, 0.0], [1.0, 1.0]));
        let area: f64 = curve.windows(2).map(|p| (p[1][0] - p[0][0]) * (p[1][1] + p[0][1]) / 2.0).sum();
        assert!((area - SKLEARN_AUC).abs() < 0.01, "{area}");
        assert_eq!(cumulative_gain(&cuts, 40).last(), Some(&[1.0, 1.0]));
    }

    const SKLEARN_AUC: f64 = 0.882_235_916_796_209_9;
    const SKLEARN_AUC_WEIGHTED: f64 = 0.871_548_167_139_929_7;
    const SKLEARN_AP: f64 = 0.770_341_807_853_241_6;
    const SKLEARN_AP_WEIGHTED: f64 = 0.754_897_941_790_081_2;
    const NUMPY_DELONG_SE: f64 = 0.014_991_865_990_614_03;
}
