//! Has a column changed between two periods? Distances of distributions with the thresholds that the field uses.

use super::significance::p_of_chi_square;

/// Population stability index: `sum (q - p) ln(q / p)` over shares `p` before and `q` after (Siddiqi 2006, section 6).
/// Empty groups count as half an observation, so that the index is finite. 0.1 is a change, 0.25 a large one.
pub fn psi(before: &[f64], after: &[f64]) -> Option<f64> {
    let (p, q) = (floored(before)?, floored(after)?);
    Some(p.iter().zip(&q).map(|(p, q)| (q - p) * (q / p).ln()).sum())
}

/// Jensen-Shannon distance with logarithms to base 2, from 0 (alike) to 1 (nothing in common): the root of
/// `(KL(p | m) + KL(q | m)) / 2` with `m = (p + q) / 2` (Endres & Schindelin 2003).
pub fn jensen_shannon(before: &[f64], after: &[f64]) -> Option<f64> {
    let (p, q) = (shares(before)?, shares(after)?);
    let part = |x: f64, m: f64| if x > 0.0 { x * (x / m).log2() } else { 0.0 };
    let sum: f64 = p
        .iter()
        .zip(&q)
        .map(|(p, q)| {
            let m = 0.5 * (p + q);
            0.5 * (part(*p, m) + part(*q, m))
        })
        .sum();
    Some(sum.max(0.0).sqrt())
}

/// p-value of Pearson's chi-square of two rows of counts over the groups that occur; `None` with fewer than two.
pub fn chi_square_p(before: &[f64], after: &[f64]) -> Option<f64> {
    let (n, m) = (before.iter().sum::<f64>(), after.iter().sum::<f64>());
    if n <= 0.0 || m <= 0.0 {
        return None;
    }
    let (mut statistic, mut groups) = (0.0, 0usize);
    for (a, b) in before.iter().zip(after).filter(|(a, b)| **a + **b > 0.0) {
        let (expected_a, expected_b) = ((a + b) * n / (n + m), (a + b) * m / (n + m));
        statistic += (a - expected_a).powi(2) / expected_a + (b - expected_b).powi(2) / expected_b;
        groups += 1;
    }
    (groups > 1).then(|| p_of_chi_square(statistic, groups - 1))
}

/// Two-sample Kolmogorov-Smirnov: the largest gap of the distribution functions, and its asymptotic p-value (Smirnov
/// 1948; the correction of Stephens 1970). Both slices are sorted; `None` when one is empty.
pub fn kolmogorov_smirnov(before: &[f64], after: &[f64]) -> Option<(f64, f64)> {
    let (n, m) = (before.len() as f64, after.len() as f64);
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let (mut i, mut j, mut gap) = (0, 0, 0.0_f64);
    while i < before.len() && j < after.len() {
        let at = before[i].min(after[j]);
        while i < before.len() && before[i] <= at {
            i += 1;
        }
        while j < after.len() && after[j] <= at {
            j += 1;
        }
        gap = gap.max((i as f64 / n - j as f64 / m).abs());
    }
    let root = (n * m / (n + m)).sqrt();
    let x = (root + 0.12 + 0.11 / root) * gap;
    let series: f64 = (1..=100)
        .map(|k| {
            let k = f64::from(k);
            let sign = if k as i64 % 2 == 1 { 1.0 } else { -1.0 };
            sign * (-2.0 * k * k * x * x).exp()
        })
        .sum();
    let p = if x < 0.2 { 1.0 } else { (2.0 * series).clamp(0.0, 1.0) };
    Some((gap, p))
}

fn shares(counts: &[f64]) -> Option<Vec<f64>> {
    let total: f64 = counts.iter().sum();
    (total > 0.0).then(|| counts.iter().map(|count| count / total).collect())
}

fn floored(counts: &[f64]) -> Option<Vec<f64>> {
    let raised: Vec<f64> = counts.iter().map(|count| count.max(0.5)).collect();
    counts.iter().any(|count| *count > 0.0).then(|| shares(&raised)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn distances_match_numbers_computed_by_hand() {
        // (0.3 - 0.5) ln(0.3 / 0.5) + (0.7 - 0.5) ln(0.7 / 0.5)
        let found = psi(&[50.0, 50.0], &[30.0, 70.0]).unwrap();
        assert!((found - (-0.2 * 0.6_f64.ln() + 0.2 * 1.4_f64.ln())).abs() < 1e-12);
        assert_eq!(psi(&[1.0, 1.0], &[5.0, 5.0]), Some(0.0));
        // scipy.spatial.distance.jensenshannon([1, 0], [0.5, 0.5], base=2) = 0.5579
        let found = jensen_shannon(&[4.0, 0.0], &[3.0, 3.0]).unwrap();
        assert!((found - 0.557_923).abs() < 1e-5, "{found}");
        assert_eq!(jensen_shannon(&[1.0, 0.0], &[0.0, 1.0]), Some(1.0));
        assert_eq!((psi(&[0.0], &[1.0]), jensen_shannon(&[], &[])), (None, None));
        // scipy.stats.chi2_contingency([[50, 50], [30, 70]], correction=False).pvalue = 0.00389
        let found = chi_square_p(&[50.0, 50.0], &[30.0, 70.0]).unwrap();
        assert!((found - 0.003_892).abs() < 1e-5, "{found}");
        assert_eq!(chi_square_p(&[5.0], &[7.0]), None);
    }

    #[test]
    fn the_largest_gap_and_its_level() {
        let (gap, _) = kolmogorov_smirnov(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(gap, 0.5);
        // The 5 % point of the asymptotic distribution is 1.3581 (Smirnov 1948).
        let alarms = (0..400)
            .filter(|seed| {
                let mut rng = Rng::named(*seed, "ks");
                let mut draw = || {
                    let mut values: Vec<f64> = (0..300).map(|_| rng.normal()).collect();
                    values.sort_by(f64::total_cmp);
                    values
                };
                kolmogorov_smirnov(&draw(), &draw()).unwrap().1 < 0.05
            })
            .count();
        // 20 are expected with a standard deviation of 4.4.
        assert!((7..=34).contains(&alarms), "{alarms}");
        assert!(kolmogorov_smirnov(&[], &[1.0]).is_none());
    }
}
