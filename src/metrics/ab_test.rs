//! Did the other arm do better, how much, how sure, and may one look before the end?

use super::rates::{Estimate, Z_95};
use super::significance::{p_of_z, z_of_two_proportions};
use serde::Serialize;

/// What one arm did. Units are users where the log knows them, else impressions.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct ArmTotals {
    /// Clicks.
    pub clicks: f64,
    /// Impressions.
    pub shown: f64,
    /// Independent units: users, or impressions.
    pub units: f64,
    /// Variance of the click rate of the arm, as [`ratio_variance`] or `p (1 - p) / n` gives it.
    pub variance: f64,
}

impl ArmTotals {
    /// An arm whose impressions are independent.
    pub fn independent(clicks: f64, shown: f64) -> Self {
        let rate = clicks / shown;
        Self { clicks, shown, units: shown, variance: rate * (1.0 - rate) / shown }
    }

    /// Clicks per impression.
    pub fn rate(&self) -> f64 {
        self.clicks / self.shown
    }
}

/// Variance of `sum clicks / sum shown` over independent users, by the delta method (Deng, Knoblich & Lu 2018, section
/// 3.1): rows of one user are no independent observations. `None` with fewer than two users.
pub fn ratio_variance(users: impl Iterator<Item = (f64, f64)> + Clone) -> Option<f64> {
    let (mut n, mut clicks, mut shown) = (0.0, 0.0, 0.0);
    for (c, s) in users.clone() {
        n += 1.0;
        clicks += c;
        shown += s;
    }
    if n < 2.0 || shown <= 0.0 {
        return None;
    }
    let ratio = clicks / shown;
    let squares: f64 = users.map(|(c, s)| (c - ratio * s).powi(2)).sum();
    Some(squares * n / (n - 1.0) / (shown * shown))
}

/// One arm against the control.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// Rate of the arm less that of the control, with its 95 % interval.
    pub difference: Estimate,
    /// Rate of the arm over that of the control, less 1; `None` without clicks in both.
    pub relative: Option<Estimate>,
    /// The difference in standard errors: pooled where impressions are the units, else from the users.
    pub z: f64,
    /// Chance of such a difference if the arms did not differ, for a test whose end was set beforehand.
    pub p: f64,
    /// The same for a test that is watched and stopped at will: see [`always_valid_p`].
    pub always_valid_p: f64,
}

/// Compares an arm with the control; `None` when an arm is empty or nothing varies.
pub fn compare(control: &ArmTotals, arm: &ArmTotals) -> Option<Comparison> {
    if control.shown <= 0.0 || arm.shown <= 0.0 {
        return None;
    }
    let difference = arm.rate() - control.rate();
    let variance = control.variance + arm.variance;
    if variance.is_nan() || variance <= 0.0 {
        return None;
    }
    let by_impression =
        control.units.total_cmp(&control.shown).is_eq() && arm.units.total_cmp(&arm.shown).is_eq();
    let pooled = z_of_two_proportions([arm.clicks, control.clicks], [arm.shown, control.shown]);
    let z = if by_impression { pooled? } else { difference / variance.sqrt() };
    let relative = (control.clicks > 0.0 && arm.clicks > 0.0).then(|| {
        // The logarithm of a ratio is nearer to normal than the ratio.
        let log = (arm.rate() / control.rate()).ln();
        let error = (arm.variance / arm.rate().powi(2) + control.variance / control.rate().powi(2)).sqrt();
        let back = |log: f64| log.exp() - 1.0;
        Estimate { value: back(log), low: back(log - Z_95 * error), high: back(log + Z_95 * error) }
    });
    // The prior's width is that of a difference worth finding: a tenth of the control's rate.
    let prior = (0.1 * control.rate()).powi(2).max(f64::MIN_POSITIVE);
    Some(Comparison {
        difference: Estimate::normal(difference, variance.sqrt()),
        relative,
        z,
        p: p_of_z(z),
        always_valid_p: always_valid_p(difference, variance, prior),
    })
}

/// p-value that stays valid however often one looks and whenever one stops (mixture sequential probability ratio test,
/// Robbins 1970; Johari, Pekelis & Walsh 2015): `1 / L` with the normal mixture of variance `prior`,
/// `L = sqrt(v / (v + prior)) exp(prior d² / (2 v (v + prior)))`.
pub fn always_valid_p(difference: f64, variance: f64, prior: f64) -> f64 {
    let both = variance + prior;
    let log = 0.5 * (variance / both).ln() + prior * difference * difference / (2.0 * variance * both);
    (-log).exp().min(1.0)
}

/// Impressions per arm to find `lifted` against `base` with a two-sided test of a level and a power. With `pooled` the
/// variance under equality is that of the average rate (Fleiss, Levin & Paik 2003, section 4.2.1, without continuity
/// correction); else each arm's own.
pub fn needed_per_arm(base: f64, lifted: f64, level: f64, power: f64, pooled: bool) -> f64 {
    let (a, b) = (normal_quantile(1.0 - level / 2.0), normal_quantile(power));
    let own = (base * (1.0 - base) + lifted * (1.0 - lifted)).sqrt();
    let mean = 0.5 * (base + lifted);
    let under_equality = if pooled { (2.0 * mean * (1.0 - mean)).sqrt() } else { own };
    ((a * under_equality + b * own) / (lifted - base)).powi(2)
}

/// The smallest rise of `base` that arms of `per_arm` impressions would find at that level and power, by bisection;
/// `None` when not even a rate of 1 would do.
pub fn detectable(base: f64, per_arm: f64, level: f64, power: f64) -> Option<f64> {
    let enough = |lifted: f64| needed_per_arm(base, lifted, level, power, false) <= per_arm;
    if !(base > 0.0 && base < 1.0 && enough(1.0 - 1e-12)) {
        return None;
    }
    let (mut low, mut high) = (base, 1.0 - 1e-12);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= base || !enough(middle) { low = middle } else { high = middle }
    }
    Some(high - base)
}

/// The `p` quantile of a standard normal, by bisection on its tail; infinite at 0 and 1.
pub fn normal_quantile(p: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        return if p <= 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let two_sided = 2.0 * p.min(1.0 - p);
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if p_of_z(middle) > two_sided { low = middle } else { high = middle }
    }
    if p < 0.5 { -low } else { low }
}

/// An outcome with the part taken out that was known before the test (CUPED; Deng, Xu, Kohavi & Walker 2013).
#[derive(Debug, Clone, PartialEq)]
pub struct Cuped {
    /// `outcome - theta (covariate - its mean)`: the same mean, less variance.
    pub adjusted: Vec<f64>,
    /// `cov(outcome, covariate) / var(covariate)`.
    pub theta: f64,
    /// Variance of the adjusted outcome over that of the outcome: `1 - correlation²`.
    pub variance_ratio: f64,
}

/// Adjusts an outcome by what was known of each unit before; `None` when either does not vary.
pub fn cuped(outcome: &[f64], covariate: &[f64]) -> Option<Cuped> {
    let n = outcome.len().min(covariate.len()) as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let (mean_y, mean_x) = (mean(outcome), mean(covariate));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (y, x) in outcome.iter().zip(covariate) {
        xx += (x - mean_x).powi(2);
        yy += (y - mean_y).powi(2);
        xy += (x - mean_x) * (y - mean_y);
    }
    if xx <= 0.0 || yy <= 0.0 {
        return None;
    }
    let theta = xy / xx;
    let adjusted = outcome.iter().zip(covariate).map(|(y, x)| y - theta * (x - mean_x)).collect();
    Some(Cuped { adjusted, theta, variance_ratio: 1.0 - xy * xy / (xx * yy) })
}

/// Chance of crossing `|z| > limits[k]` at any of equally spaced looks when the arms do not differ, by recursive
/// integration (Armitage, McPherson & Rowe 1969).
pub fn crossing_probability(limits: &[f64]) -> f64 {
    /// Points of the grid: an odd number, for Simpson's rule.
    const POINTS: usize = 401;
    let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let upper = |x: f64| {
        let tail = 0.5 * p_of_z(x);
        if x < 0.0 { 1.0 - tail } else { tail }
    };
    let weight = |place: usize, step: f64| {
        let simpson = if place == 0 || place == POINTS - 1 {
            1.0
        } else if place % 2 == 1 {
            4.0
        } else {
            2.0
        };
        simpson * step / 3.0
    };
    // Sums of unit normals: at look k the limit is z_k sqrt(k).
    let (mut crossed, mut grid) = (0.0, vec![(0.0, 1.0)]);
    for (look, limit) in limits.iter().enumerate() {
        let limit = limit * ((look + 1) as f64).sqrt();
        let outside: f64 = grid.iter().map(|(s, mass)| mass * (upper(limit - s) + upper(limit + s))).sum();
        crossed += outside;
        let step = 2.0 * limit / (POINTS - 1) as f64;
        grid = (0..POINTS)
            .map(|place| {
                let s = -limit + step * place as f64;
                let arrives: f64 = grid.iter().map(|(from, mass)| mass * density(s - from)).sum();
                (s, arrives * weight(place, step))
            })
            .collect();
    }
    crossed
}

/// Limits of `looks` equally spaced looks that together keep a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spending {
    /// The same limit at every look (Pocock 1977).
    Pocock,
    /// `c sqrt(looks / k)`: hard early, nearly the usual limit at the end (O'Brien & Fleming 1979).
    OBrienFleming,
}

/// `|z|` beyond which a watched test may stop at each look.
pub fn sequential_limits(spending: Spending, looks: usize, level: f64) -> Vec<f64> {
    let limits = |c: f64| -> Vec<f64> {
        (1..=looks)
            .map(|look| match spending {
                Spending::Pocock => c,
                Spending::OBrienFleming => c * (looks as f64 / look as f64).sqrt(),
            })
            .collect()
    };
    let (mut low, mut high) = (0.5, 8.0);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if crossing_probability(&limits(middle)) > level { low = middle } else { high = middle }
    }
    limits(high)
}

/// p-values of a family, each multiplied so that the chance of any false alarm keeps its level (Holm 1979).
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut corrected = vec![1.0; p.len()];
    let mut largest = 0.0_f64;
    for (rank, place) in order.iter().enumerate() {
        largest = largest.max(p[*place] * (p.len() - rank) as f64).min(1.0);
        corrected[*place] = largest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn t39_two_arms_and_sample_sizes_match_the_published_numbers() {
        let against = |a: f64, b: f64| {
            let n = 10_000.0;
            compare(&ArmTotals::independent(a, n), &ArmTotals::independent(b, n)).unwrap()
        };
        for (a, b, z, p) in [
            (200.0, 230.0, 1.462_536, 0.143_594),
            (46.0, 69.0, 2.150_954, 0.031_480),
            (38.0, 42.0, 0.448_111, 0.654_073),
        ] {
            let found = against(a, b);
            assert!((found.z - z).abs() < 1e-5 && (found.p - p).abs() < 1e-5, "{found:?}");
            assert!(found.always_valid_p >= found.p, "watching costs certainty");
        }
        assert_eq!(needed_per_arm(0.02, 0.023, 0.05, 0.8, false).ceil(), 36_691.0);
        assert_eq!(needed_per_arm(0.02, 0.023, 0.05, 0.8, true).ceil(), 36_693.0);
        let rise = detectable(0.02, 36_691.0, 0.05, 0.8).unwrap();
        assert!((rise - 0.003).abs() < 1e-6, "{rise}");
        assert_eq!(detectable(0.02, 0.01, 0.05, 0.8), None);
    }

    #[test]
    fn t40_peeking_and_its_cures() {
        for (looks, wanted) in [(1, 0.05), (2, 0.083), (5, 0.142), (10, 0.193)] {
            let found = crossing_probability(&vec![Z_95; looks]);
            assert!((found - wanted).abs() < 6e-4, "{looks} looks: {found}");
        }
        let pocock = sequential_limits(Spending::Pocock, 5, 0.05);
        assert!((pocock[0] - 2.413).abs() < 1e-3, "{pocock:?}");
        let fleming = sequential_limits(Spending::OBrienFleming, 5, 0.05);
        assert!((fleming[4] - 2.040).abs() < 1e-3, "{fleming:?}");
        assert!((fleming[0] - 2.040 * 5.0_f64.sqrt()).abs() < 3e-3);
    }

    #[test]
    fn t40_an_always_valid_test_keeps_its_level_at_any_stop() {
        let alarms = (0..2_000)
            .filter(|seed| {
                let mut rng = Rng::named(*seed, "always valid");
                let mut clicks = [0.0; 2];
                (1..=200).any(|hundred| {
                    for arm in &mut clicks {
                        *arm += (0..100).filter(|_| rng.chance(0.1)).count() as f64;
                    }
                    let n = f64::from(hundred) * 100.0;
                    let arm = |clicks| ArmTotals::independent(clicks, n);
                    let found = compare(&arm(clicks[0]), &arm(clicks[1]));
                    found.is_some_and(|found| found.always_valid_p < 0.05)
                })
            })
            .count();
        // 5 % of 2,000 is 100; the mixture bound is not tight, so fewer.
        assert!(alarms <= 110, "{alarms}");
    }

    #[test]
    fn t41_cuped_takes_out_what_was_known_and_leaves_the_mean() {
        let mut rng = Rng::named(1, "cuped");
        let n = 200_000;
        let x: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let y: Vec<f64> = x.iter().map(|x| 3.0 + 0.7 * x + 0.51_f64.sqrt() * rng.normal()).collect();
        let found = cuped(&y, &x).unwrap();
        assert!((found.variance_ratio - 0.51).abs() < 0.005, "{}", found.variance_ratio);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n as f64;
        assert!((mean(&found.adjusted) - mean(&y)).abs() < 1e-12);
        assert!(cuped(&[1.0, 1.0], &[1.0, 2.0]).is_none());
    }

    #[test]
    fn rows_of_one_user_are_not_counted_twice() {
        // Every user seen ten times with the same outcome: the variance is that of the users, ten times the rows'.
        let users: Vec<(f64, f64)> = (0..1_000).map(|u| (f64::from(u % 10 == 0) * 10.0, 10.0)).collect();
        let by_user = ratio_variance(users.iter().copied()).unwrap();
        let by_row = ArmTotals::independent(1_000.0, 10_000.0).variance;
        assert!((by_user / by_row - 10.0 * 1_000.0 / 999.0).abs() < 1e-9, "{}", by_user / by_row);
        assert!(ratio_variance([(1.0, 2.0)].into_iter()).is_none());
    }

    #[test]
    fn the_interval_of_a_difference_covers_at_its_level() {
        let (p, q, n) = (0.02, 0.025, 4_000.0);
        let covered = (0..2_000)
            .filter(|seed| {
                let mut rng = Rng::named(*seed, "coverage");
                let mut arm =
                    |p: f64| ArmTotals::independent((0..4_000).filter(|_| rng.chance(p)).count() as f64, n);
                let (a, b) = (arm(p), arm(q));
                let found = compare(&a, &b).unwrap().difference;
                found.low <= q - p && q - p <= found.high
            })
            .count();
        assert!((1_880..=1_930).contains(&covered), "{covered} of 2000");
    }

    #[test]
    fn holm_is_milder_than_bonferroni_and_monotone() {
        // statsmodels.stats.multitest.multipletests([.01, .04, .03, .005], method="holm")
        let found = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, wanted) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - wanted).abs() < 1e-12, "{found} for {wanted}");
        }
    }

    #[test]
    fn quantiles_match_the_tables() {
        for (p, z) in [(0.975, 1.959_964), (0.8, 0.841_621), (0.5, 0.0), (0.025, -1.959_964)] {
            assert!((normal_quantile(p) - z).abs() < 1e-5, "{p}: {}", normal_quantile(p));
        }
    }
}
