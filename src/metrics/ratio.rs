//! What is one sum over another (cost per click, return on spend), and how sure? The delta method on a log scale.
//!
//! `R = sum y / sum x` over independent rows has the variance `n / (n - 1) sum (y - R x)² / (sum x)²` (Cochran 1977,
//! section 2.11). The interval is taken for `ln R`, which is nearer to normal, with Student's quantile for as many rows
//! as carry the sums: five paid clicks are five observations, however many impressions stand around them.

use super::rates::{Estimate, Z_95};
use super::significance::p_of_z;

/// Sums over rows that a ratio and its interval need.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RatioSums {
    /// Rows.
    pub rows: f64,
    /// Sum of the upper part.
    pub y: f64,
    /// Sum of the lower part.
    pub x: f64,
    /// Sums of products.
    pub yy: f64,
    /// See `yy`.
    pub xy: f64,
    /// See `yy`.
    pub xx: f64,
    /// Rows whose upper part is not 0.
    pub with_y: f64,
    /// Rows whose lower part is not 0.
    pub with_x: f64,
}

impl RatioSums {
    /// Adds one row.
    pub fn add(&mut self, y: f64, x: f64) {
        self.rows += 1.0;
        self.y += y;
        self.x += x;
        self.yy += y * y;
        self.xy += x * y;
        self.xx += x * x;
        self.with_y += f64::from(u8::from(y != 0.0));
        self.with_x += f64::from(u8::from(x != 0.0));
    }

    /// The rows of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.combined(other, 1.0)
    }

    /// These rows less `part` of them.
    #[must_use]
    pub fn without(self, part: Self) -> Self {
        self.combined(part, -1.0)
    }

    fn combined(self, other: Self, sign: f64) -> Self {
        let with = |a: f64, b: f64| a + sign * b;
        Self {
            rows: with(self.rows, other.rows),
            y: with(self.y, other.y),
            x: with(self.x, other.x),
            yy: with(self.yy, other.yy),
            xy: with(self.xy, other.xy),
            xx: with(self.xx, other.xx),
            with_y: with(self.with_y, other.with_y),
            with_x: with(self.with_x, other.with_x),
        }
    }

    /// The ratio; `None` without a lower part.
    pub fn value(&self) -> Option<f64> {
        (self.x > 0.0).then(|| self.y / self.x)
    }

    /// Standard error of the ratio's logarithm; `None` where it cannot be told: no upper part, or one row.
    pub fn log_error(&self) -> Option<f64> {
        let ratio = self.value().filter(|ratio| *ratio > 0.0)?;
        if self.rows < 2.0 {
            return None;
        }
        let squares = (self.yy - 2.0 * ratio * self.xy + ratio * ratio * self.xx).max(0.0);
        Some((squares * self.rows / (self.rows - 1.0)).sqrt() / self.y)
    }

    /// Rows that carry the ratio.
    pub fn carriers(&self) -> f64 {
        self.with_y.min(self.with_x)
    }

    /// The ratio with its 95 % interval; `None` for the ends where they cannot be told.
    pub fn estimate(&self) -> Option<(f64, Option<Estimate>)> {
        let value = self.value()?;
        let spread = self.log_error().filter(|_| self.carriers() >= 2.0).map(|error| {
            let half = student_95(self.carriers() - 1.0) * error;
            Estimate { value, low: value * (-half).exp(), high: value * half.exp() }
        });
        Some((value, spread))
    }

    /// Chance of a ratio this far from the other's if they were equal; `None` where either cannot be told.
    pub fn p_against(&self, other: &Self) -> Option<f64> {
        let error = self.log_error()?.hypot(other.log_error()?);
        let difference = (self.value()? / other.value()?).ln();
        (error > 0.0 && self.carriers() >= 2.0 && other.carriers() >= 2.0).then(|| {
            // Student's tail as a normal one at the same place: both quantiles of 95 % meet.
            let freedom = self.carriers().min(other.carriers()) - 1.0;
            p_of_z(difference / error * Z_95 / student_95(freedom))
        })
    }
}

/// The two-sided 95 % quantile of Student's t with so many degrees of freedom, 1 at least: exact for 1 and 2, else by
/// the expansion of Abramowitz & Stegun 26.7.5, to 0.004.
pub fn student_95(freedom: f64) -> f64 {
    if freedom < 2.0 {
        return 12.706_205;
    }
    if freedom < 3.0 {
        return 4.302_653;
    }
    let z = Z_95;
    let terms = [
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
        (79.0 * z.powi(9) + 776.0 * z.powi(7) + 1482.0 * z.powi(5) - 1920.0 * z.powi(3) - 945.0 * z)
            / 92160.0,
    ];
    terms.iter().rev().fold(0.0, |sum, term| (sum + term) / freedom) + z
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn of(rows: impl IntoIterator<Item = (f64, f64)>) -> RatioSums {
        rows.into_iter().fold(RatioSums::default(), |mut sums, (y, x)| {
            sums.add(y, x);
            sums
        })
    }

    #[test]
    fn quantiles_of_student_match_the_tables() {
        // scipy.stats.t.ppf(0.975, freedom)
        for (freedom, wanted) in
            [(1.0, 12.7062), (2.0, 4.3027), (3.0, 3.1824), (4.0, 2.7764), (9.0, 2.2622), (1e9, 1.95996)]
        {
            assert!((student_95(freedom) - wanted).abs() < 4e-3, "{freedom}: {}", student_95(freedom));
        }
    }

    #[test]
    fn a_ratio_and_its_error_match_the_formula() {
        // R = 10 / 4; numpy: sqrt(sum((y - R x)**2) * n / (n - 1)) / sum(x) = 0.763763, over R = 0.305505.
        let sums = of([(1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (4.0, 1.0)]);
        assert_eq!(sums.value(), Some(2.5));
        let by_hand = (5.0_f64 * 4.0 / 3.0).sqrt() / 4.0 / 2.5;
        assert!((sums.log_error().unwrap() - by_hand).abs() < 1e-12);
        let (_, spread) = sums.estimate().unwrap();
        let spread = spread.unwrap();
        assert!((spread.low * spread.high - 6.25).abs() < 1e-9, "even on a log scale");
        assert!(of([]).estimate().is_none());
        assert_eq!(of([(1.0, 1.0)]).estimate().unwrap().1, None, "one row spreads nothing");
    }

    #[test]
    fn parts_add_up_and_come_off() {
        let (a, b) = (of([(1.0, 2.0), (0.0, 1.0)]), of([(3.0, 1.0)]));
        assert_eq!(a.plus(b), of([(1.0, 2.0), (0.0, 1.0), (3.0, 1.0)]));
        assert_eq!(a.plus(b).without(b), a);
    }

    /// Share of 8,000 draws whose interval holds the truth, for a cost per click with so many clicks expected.
    fn coverage(clicks: f64, name: &str) -> f64 {
        let held = (0..8_000).filter(|seed| {
            let mut rng = Rng::named(*seed, name);
            // Clicks as they come, each at a price whose spread is half its mean.
            let mut sums = RatioSums::default();
            let drawn = (clicks + clicks.sqrt() * rng.normal()).round().max(3.0);
            for _ in 0..drawn as usize {
                sums.add((2.0 + rng.normal() * 1.0).max(0.05), 1.0);
            }
            sums.estimate().and_then(|(_, spread)| spread).is_some_and(|spread| !spread.excludes(TRUE_COST))
        });
        held.count() as f64 / 8_000.0
    }

    /// Mean of a normal with mean 2 and spread 1, cut below at 0.05: `2 + phi(b) - b Phi(-b)` with `b = 1.95`.
    const TRUE_COST: f64 = 2.0 + 0.059_595 - 1.95 * 0.025_588;

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        for clicks in [10.0, 30.0, 300.0, 1_000.0] {
            let held = coverage(clicks, "cost per click");
            assert!((0.94..=0.96).contains(&held), "{clicks} clicks: {held}");
        }
    }

    #[test]
    fn equal_ratios_differ_by_chance_as_often_as_they_should() {
        let alarms = (0..2_000).filter(|seed| {
            let mut rng = Rng::named(*seed, "two ratios");
            let mut draw = || of((0..40).map(|_| ((1.0 + 0.4 * rng.normal()).max(0.01), 1.0)));
            draw().p_against(&draw()).is_some_and(|p| p < 0.05)
        });
        let share = alarms.count() as f64 / 2_000.0;
        assert!((0.035..=0.06).contains(&share), "{share}");
    }
}
