//! Which probability does a score deserve? Curves from scores to rates, fitted on rows that the scores were not.
//!
//! [`Platt`] bends all log odds by one line, [`Isotonic`] takes any curve that never falls. Labels may be fractions and
//! rows may have weights, as in [`calibration`](super::calibration).

use super::ranking::rows_by_score;
use serde::{Deserialize, Serialize};

/// `slope z + shift` for log odds `z` (Platt 1999, "Probabilistic outputs for support vector machines").
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Platt {
    /// What log odds are multiplied by: below 1 for scores that are too sure of themselves.
    pub slope: f64,
    /// What is added to them.
    pub shift: f64,
}

/// Newton's steps at most; a handful is usual.
const STEPS: usize = 100;

impl Platt {
    /// The line of highest likelihood. With `smoothed`, a click counts as `(n + 1) / (n + 2)` of one of `n` clicks and a
    /// non-click as `1 / (m + 2)` of one of `m`, as Platt proposes, so that rows told apart without an error have an
    /// answer too. `None` without rows, where no step can be taken, or with a NaN.
    pub fn fit(log_odds: &[f32], labels: &[f32], weights: &[f32], smoothed: bool) -> Option<Self> {
        let weight = |row: usize| weights.get(row).map_or(1.0, |&w| f64::from(w));
        let (mut clicks, mut total) = (0.0, 0.0);
        for (row, label) in labels.iter().enumerate() {
            clicks += weight(row) * f64::from(*label);
            total += weight(row);
        }
        let (of_click, of_other) = if smoothed {
            ((clicks + 1.0) / (clicks + 2.0), 1.0 / (total - clicks + 2.0))
        } else {
            (1.0, 0.0)
        };
        let rows = || {
            log_odds.iter().zip(labels).enumerate().map(|(row, (z, label))| {
                let label = f64::from(*label);
                (f64::from(*z), label * of_click + (1.0 - label) * of_other, weight(row))
            })
        };
        let loss = |line: &Self| -> f64 {
            rows().map(|(z, t, w)| w * (softplus(line.of(z)) - t * line.of(z))).sum()
        };
        let mut line = Self { slope: 1.0, shift: 0.0 };
        let mut reached = loss(&line);
        for _ in 0..STEPS {
            let step = line.newton(rows());
            if !(step.slope.is_finite() && step.shift.is_finite() && reached.is_finite()) {
                return None;
            }
            // Shortened until it gains: far from the answer the curve is flat, and a whole step leaps over it.
            let shorter = std::iter::successors(Some(1.0f64), |length| Some(length / 2.0)).take(40);
            let next = shorter
                .map(|length| Self {
                    slope: line.slope - length * step.slope,
                    shift: line.shift - length * step.shift,
                })
                .map(|next| (loss(&next), next))
                .find(|(loss, _)| *loss < reached);
            let Some((loss, next)) = next else { return (total > 0.0).then_some(line) };
            (line, reached) = (next, loss);
        }
        Some(line)
    }

    /// Newton's step from here over rows of `(log odds, target, weight)`.
    fn newton(&self, rows: impl Iterator<Item = (f64, f64, f64)>) -> Self {
        let (mut slope, mut curve) = ([0.0f64; 2], [1e-12f64, 0.0, 1e-12]);
        for (z, target, weight) in rows {
            let p = sigmoid(self.of(z));
            let (off, bend) = (weight * (p - target), weight * p * (1.0 - p));
            slope[0] += off * z;
            slope[1] += off;
            curve[0] += bend * z * z;
            curve[1] += bend * z;
            curve[2] += bend;
        }
        let determinant = curve[0] * curve[2] - curve[1] * curve[1];
        Self {
            slope: (curve[2] * slope[0] - curve[1] * slope[1]) / determinant,
            shift: (curve[0] * slope[1] - curve[1] * slope[0]) / determinant,
        }
    }

    /// The log odds for log odds `z`.
    pub fn of(&self, z: f64) -> f64 {
        self.slope * z + self.shift
    }
}

/// A curve that never falls, straight between its points and level beyond them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Isotonic {
    /// `[score, rate]`, both rising.
    pub points: Vec<[f64; 2]>,
    /// Weight of the rows at the first and the last level.
    pub ends: [f64; 2],
}

impl Isotonic {
    /// The non-falling curve nearest to the labels in squares: adjacent violators are pooled (Ayer et al. 1955). `None`
    /// without rows or with a NaN.
    pub fn fit(scores: &[f32], labels: &[f32], weights: &[f32]) -> Option<Self> {
        if scores.is_empty() || scores.iter().chain(labels).any(|value| value.is_nan()) {
            return None;
        }
        let weight = |row: u32| weights.get(row as usize).map_or(1.0, |&w| f64::from(w));
        let mut order = rows_by_score(scores);
        order.reverse();
        let mut blocks: Vec<Block> = Vec::new();
        for ties in order.chunk_by(|a, b| scores[*a as usize] == scores[*b as usize]) {
            let score = f64::from(scores[ties[0] as usize]);
            let mut block = Block { first: score, last: score, sum: 0.0, weight: 0.0 };
            for row in ties {
                block.sum += weight(*row) * f64::from(labels[*row as usize]);
                block.weight += weight(*row);
            }
            if block.weight <= 0.0 {
                continue;
            }
            while let Some(before) = blocks.pop_if(|before| before.rate() >= block.rate()) {
                block = before.with(&block);
            }
            blocks.push(block);
        }
        let ends = [blocks.first()?.weight, blocks.last()?.weight];
        let mut points = Vec::with_capacity(2 * blocks.len());
        for block in &blocks {
            points.push([block.first, block.rate()]);
            if block.last > block.first {
                points.push([block.last, block.rate()]);
            }
        }
        Some(Self { points, ends })
    }

    /// The rate for a score.
    pub fn of(&self, score: f64) -> f64 {
        let after = self.points.partition_point(|[at, _]| *at < score);
        match (after.checked_sub(1).and_then(|before| self.points.get(before)), self.points.get(after)) {
            (Some([_, rate]), None) | (None, Some([_, rate])) => *rate,
            (Some([x0, y0]), Some([x1, y1])) => y0 + (y1 - y0) * (score - x0) / (x1 - x0),
            (None, None) => f64::NAN,
        }
    }

    /// The same without a rate of 0 or 1, which no number of rows can show: a first level of `n` rows without a click is
    /// taken for half a click in `n + 1`, but less than half of the next level; the last likewise.
    #[must_use]
    pub fn never_sure(mut self) -> Self {
        let half = |rows: f64| 0.5 / (rows + 1.0);
        let next = self.points.iter().map(|[_, rate]| *rate).find(|rate| *rate > 0.0).unwrap_or(1.0);
        let before = self.points.iter().rev().map(|[_, rate]| *rate).find(|rate| *rate < 1.0).unwrap_or(0.0);
        let (low, high) = (half(self.ends[0]).min(next / 2.0), half(self.ends[1]).min((1.0 - before) / 2.0));
        for [_, rate] in &mut self.points {
            *rate = rate.clamp(low, 1.0 - high);
        }
        self
    }
}

/// Neighbouring scores with one rate.
struct Block {
    first: f64,
    last: f64,
    sum: f64,
    weight: f64,
}

impl Block {
    fn rate(&self) -> f64 {
        self.sum / self.weight
    }

    fn with(self, next: &Self) -> Self {
        Self {
            first: self.first,
            last: next.last,
            sum: self.sum + next.sum,
            weight: self.weight + next.weight,
        }
    }
}

/// How far a group's clicks lie from what was predicted for it, in standard deviations: `(O - E)^2 / V` of each of `k`
/// groups summed, minus `k`, over `sqrt(2 k)` (Hosmer & Lemeshow's sum, standardised). Groups of which fewer than 5 clicks
/// or fewer than 5 non-clicks are expected stay out. `None` where none is left.
pub fn misfit(groups: &[GroupSums]) -> Option<f64> {
    let large = |group: &&GroupSums| group.expected >= 5.0 && group.weight - group.expected >= 5.0;
    let (mut sum, mut count) = (0.0, 0.0);
    for group in groups.iter().filter(large) {
        sum += (group.clicks - group.expected).powi(2) / group.variance;
        count += 1.0;
    }
    (count > 0.0).then(|| (sum - count) / f64::sqrt(2.0 * count))
}

/// Standard deviation of the log odds by which groups are off beyond chance, by moments: `sum((O - E)^2 - V) / sum(V^2)`,
/// the root of it. 0 where chance explains all.
pub fn spread(groups: &[GroupSums]) -> f64 {
    let beyond: f64 =
        groups.iter().map(|group| (group.clicks - group.expected).powi(2) - group.variance).sum();
    let squares: f64 = groups.iter().map(|group| group.variance.powi(2)).sum();
    if squares > 0.0 { (beyond / squares).max(0.0).sqrt() } else { 0.0 }
}

/// What was predicted for a group of rows, and what happened.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GroupSums {
    /// Clicks.
    pub clicks: f64,
    /// Sum of the predicted probabilities `p`.
    pub expected: f64,
    /// Sum of `p (1 - p)`.
    pub variance: f64,
    /// Impressions.
    pub weight: f64,
}

impl GroupSums {
    /// Adds a row.
    pub fn add(&mut self, predicted: f64, label: f64, weight: f64) {
        self.clicks += weight * label;
        self.expected += weight * predicted;
        self.variance += weight * predicted * (1.0 - predicted);
        self.weight += weight;
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::super::test_data::scored;
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn pava_equals_scikit_learn_to_1e_12() {
        let (scores, labels, weights) = scored();
        // scikit-learn: IsotonicRegression(out_of_bounds="clip").fit(scores, labels, weights).predict(asked).
        for (weights, wanted) in [(&[][..], SKLEARN_ISOTONIC), (&weights, SKLEARN_ISOTONIC_WEIGHTED)] {
            let curve = Isotonic::fit(&scores, &labels, weights).unwrap();
            for (score, rate) in ASKED.iter().zip(wanted) {
                assert!((curve.of(*score) - rate).abs() < 1e-12, "{score}: {}", curve.of(*score));
            }
        }
    }

    #[test]
    fn pava_pools_what_falls_and_keeps_what_rises() {
        let curve = Isotonic::fit(&[0.1, 0.2, 0.3, 0.4], &[0.0, 1.0, 0.0, 1.0], &[]).unwrap();
        let wanted = [0.0, 0.5, 0.5, 1.0];
        let at = |score: f32| curve.of(f64::from(score));
        assert_eq!([0.1f32, 0.2, 0.3, 0.4].map(at), wanted);
        assert!((at(0.15) - 0.25).abs() < 1e-6, "straight between two levels");
        assert_eq!((at(-3.0), at(3.0)), (0.0, 1.0), "level beyond the ends");
        assert_eq!(Isotonic::fit(&[], &[], &[]), None);
        assert_eq!(Isotonic::fit(&[f32::NAN], &[1.0], &[]), None);
    }

    #[test]
    fn no_level_is_sure_and_none_falls() {
        let labels: Vec<f32> = (0..100).map(|row| f32::from(row >= 60)).collect();
        let scores: Vec<f32> = (0..100).map(|row| row as f32 / 100.0).collect();
        let curve = Isotonic::fit(&scores, &labels, &[]).unwrap().never_sure();
        assert!(
            (curve.of(0.0) - 0.5 / 61.0).abs() < 1e-12 && (curve.of(1.0) - (1.0 - 0.5 / 41.0)).abs() < 1e-12
        );
        let one = Isotonic::fit(&[0.1, 0.2, 0.3], &[0.0, 0.01, 0.5], &[1.0, 1000.0, 1000.0]).unwrap();
        let levels: Vec<f64> = one.never_sure().points.iter().map(|[_, rate]| *rate).collect();
        assert!(levels[0] > 0.0 && levels.is_sorted(), "{levels:?}");
        assert_eq!(Isotonic::fit(&[0.1], &[0.0], &[9.0]).unwrap().never_sure().of(0.5), 0.05);
    }

    #[test]
    fn platt_equals_scikit_learn() {
        let (scores, labels, weights) = scored();
        let log_odds: Vec<f32> = scores.iter().map(|p| 4.0 * p - 2.0).collect();
        // scikit-learn: sklearn.calibration._sigmoid_calibration(log_odds, labels, weights) answers (-slope, -shift).
        for (weights, slope, shift) in
            [(&[][..], SKLEARN_PLATT[0], SKLEARN_PLATT[1]), (&weights, SKLEARN_PLATT[2], SKLEARN_PLATT[3])]
        {
            let line = Platt::fit(&log_odds, &labels, weights, true).unwrap();
            assert!((line.slope - slope).abs() < 1e-4 && (line.shift - shift).abs() < 1e-4, "{line:?}");
        }
    }

    #[test]
    fn platt_finds_the_line_of_a_simulator_and_answers_rows_without_an_error() {
        let mut rng = Rng::named(8, "platt");
        let z: Vec<f32> = (0..60_000).map(|_| (2.0 * rng.normal() - 1.0) as f32).collect();
        let labels: Vec<f32> =
            z.iter().map(|z| f32::from(rng.chance(sigmoid(0.6 * f64::from(*z) - 0.4)))).collect();
        let line = Platt::fit(&z, &labels, &[], false).unwrap();
        assert!((line.slope - 0.6).abs() < 0.03 && (line.shift + 0.4).abs() < 0.04, "{line:?}");
        let apart = ([-1.0, -0.5, 0.5, 1.0], [0.0, 0.0, 1.0, 1.0]);
        let line = Platt::fit(&apart.0, &apart.1, &[], true).unwrap();
        assert!(line.slope > 0.0 && line.slope < 10.0, "{line:?}");
        assert_eq!(Platt::fit(&[], &[], &[], true), None);
        assert_eq!(Platt::fit(&[f32::NAN], &[1.0], &[], true), None);
    }

    #[test]
    fn the_misfit_of_true_probabilities_is_a_standard_normal() {
        let mut rng = Rng::named(9, "misfit");
        let mut draw = |of_truth: f64| {
            let mut groups = vec![GroupSums::default(); 50];
            for row in 0..20_000 {
                let p = 0.05 + 0.2 * rng.uniform();
                groups[row % 50].add(p, f64::from(u8::from(rng.chance(of_truth * p))), 1.0);
            }
            misfit(&groups).unwrap()
        };
        let draws: Vec<f64> = (0..100).map(|_| draw(1.0)).collect();
        let mean = draws.iter().sum::<f64>() / 100.0;
        assert!(mean.abs() < 0.4 && draws.iter().all(|draw| draw.abs() < 5.0), "{mean}");
        assert!(draw(1.5) > 5.0);
        assert_eq!(misfit(&[GroupSums::default()]), None);
    }

    #[test]
    fn the_spread_of_a_simulator_is_found_again() {
        let mut rng = Rng::named(10, "spread");
        for deviation in [0.0, 0.3] {
            let mut groups = vec![GroupSums::default(); 400];
            for group in &mut groups {
                let off = deviation * rng.normal();
                for _ in 0..500 {
                    let z = -1.5 + rng.normal();
                    let happened = rng.chance(sigmoid(z + off));
                    group.add(sigmoid(z), f64::from(u8::from(happened)), 1.0);
                }
            }
            assert!((spread(&groups) - deviation).abs() < 0.06, "{}", spread(&groups));
        }
    }

    const ASKED: &[f64] = &[0.0, 0.11, 0.2, 0.333, 0.5, 0.7, 0.811, 0.9, 0.99, 1.0];
    const SKLEARN_ISOTONIC: &[f64] = &[
        0.0,
        0.0,
        0.0,
        0.105_263_157_894_736_84,
        0.205_128_205_128_205_12,
        0.5,
        0.666_666_666_666_666_6,
        0.782_608_695_652_174,
        1.0,
        1.0,
    ];
    const SKLEARN_ISOTONIC_WEIGHTED: &[f64] = &[
        0.0,
        0.0,
        0.0,
        0.134_615_384_615_384_6,
        0.266_666_666_666_666_66,
        0.526_883_720_930_232_1,
        0.651_578_947_368_421_4,
        0.808_510_638_297_872_3,
        1.0,
        1.0,
    ];
    const SKLEARN_PLATT: [f64; 4] =
        [1.699_785_465_669_370_5, -1.332_928_297_417_575, 1.614_924_013_988_28, -1.254_009_951_143_603_1];
}
