//! How often, out of how many, and how sure can we be?

use serde::{Deserialize, Serialize};

/// The two-sided 95 % quantile of the standard normal.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// A number with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// The point estimate.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
}

impl Estimate {
    /// `value ± 1.96 standard errors`.
    pub fn normal(value: f64, standard_error: f64) -> Self {
        let half = Z_95 * standard_error;
        Self { value, low: value - half, high: value + half }
    }

    /// The standard error of an estimate whose interval is [normal](Self::normal).
    pub fn standard_error(&self) -> f64 {
        (self.high - self.low) / (2.0 * Z_95)
    }

    /// A share with its interval, to a thousandth of a percent: `2.000 % (1.742 to 2.295)`.
    pub fn in_percent(&self) -> String {
        format!("{:.3} % ({:.3} to {:.3})", 100.0 * self.value, 100.0 * self.low, 100.0 * self.high)
    }

    /// The number with its interval to so many digits: `0.72 (0.70 to 0.74)`.
    pub fn in_words(&self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$} to {:.digits$})", self.value, self.low, self.high)
    }

    /// A probability to so many digits of a percent, with its interval where one is known: `2.00 % (1.74 to 2.30)`.
    pub fn score_in_percent(p: f64, interval: Option<Self>, digits: usize) -> String {
        let p = format!("{:.digits$} %", 100.0 * p);
        interval.map_or_else(
            || p.clone(),
            |known| format!("{p} ({:.digits$} to {:.digits$})", 100.0 * known.low, 100.0 * known.high),
        )
    }

    /// [`in_words`](Self::in_words), or that it is not known.
    pub fn known_in_words(known: Option<Self>, digits: usize) -> String {
        known.map_or_else(|| "n/a".to_owned(), |estimate| estimate.in_words(digits))
    }

    /// True when the interval does not contain `other`.
    pub fn excludes(&self, other: f64) -> bool {
        other < self.low || other > self.high
    }
}

/// A proportion with its counts and its Wilson 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rate {
    /// Successes (clicks). Real, because logs may be weighted.
    pub successes: f64,
    /// Trials (impressions).
    pub trials: f64,
    /// `successes / trials`; 0 when there are no trials (see [`Rate::is_known`]).
    pub rate: f64,
    /// Lower Wilson bound.
    pub low: f64,
    /// Upper Wilson bound.
    pub high: f64,
}

impl Rate {
    /// Wilson's score interval (Wilson 1927; Brown, Cai & DasGupta 2001), valid near 0 and for small n.
    ///
    /// With no trials the rate is unknown and the interval is all of `[0, 1]`. Successes beyond the trials
    /// (an importer flags such rows) are counted in the rate and the interval is clamped to 1.
    pub fn wilson(successes: f64, trials: f64) -> Self {
        if trials <= 0.0 {
            return Self { successes, trials, rate: 0.0, low: 0.0, high: 1.0 };
        }
        let rate = successes / trials;
        let p = rate.clamp(0.0, 1.0);
        let z2 = Z_95 * Z_95;
        let centre = (p + z2 / (2.0 * trials)) / (1.0 + z2 / trials);
        let half =
            Z_95 / (1.0 + z2 / trials) * (p * (1.0 - p) / trials + z2 / (4.0 * trials * trials)).sqrt();
        Self { successes, trials, rate, low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
    }

    /// The rate with its interval, without the counts.
    pub fn estimate(&self) -> Estimate {
        Estimate { value: self.rate, low: self.low, high: self.high }
    }

    /// False when there were no trials: show "n/a", not 0.
    pub fn is_known(&self) -> bool {
        self.trials > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_matches_statsmodels() {
        // statsmodels.stats.proportion.proportion_confint(10, 100, method="wilson") = (0.0552, 0.1744)
        let rate = Rate::wilson(10.0, 100.0);
        assert!((rate.low - 0.055_229_13).abs() < 1e-6, "{rate:?}");
        assert!((rate.high - 0.174_366_02).abs() < 1e-6, "{rate:?}");
    }

    #[test]
    fn wilson_behaves_at_the_edges() {
        let none = Rate::wilson(0.0, 0.0);
        assert!(!none.is_known());
        assert_eq!((none.low, none.high), (0.0, 1.0));
        let zero = Rate::wilson(0.0, 20.0);
        assert_eq!((zero.rate, zero.low), (0.0, 0.0));
        // z^2/(n+z^2) in closed form for zero successes.
        assert!((zero.high - Z_95 * Z_95 / (20.0 + Z_95 * Z_95)).abs() < 1e-12);
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        use crate::base::rng::Rng;
        use rand_distr::Binomial;
        // Counts of 5 to a million; the truth is drawn anew each time, as no segment has the same.
        for (place, expected) in [5.0, 50.0, 1e3, 3e4, 1e6].into_iter().enumerate() {
            let mut rng = Rng::named(place as u64, "coverage of rates");
            let held = (0..2_000).filter(|_| {
                let truth = 0.01 * (30.0_f64).powf(rng.uniform());
                let trials = (expected * (1.0 + rng.uniform()) / truth).round();
                let successes = rng.draw(&Binomial::new(trials as u64, truth).unwrap());
                !Rate::wilson(successes as f64, trials).estimate().excludes(truth)
            });
            let share = held.count() as f64 / 2_000.0;
            assert!((0.94..=0.96).contains(&share), "{expected} successes: {share}");
        }
    }
}
