//! What is the rate of a group that was hardly seen? Between its own clicks and what groups like it do.
//!
//! Rates of groups are taken as draws from a Beta distribution, whose two numbers are found by moments (Kleinman, JASA
//! 68, 1973, with groups weighted by their impressions). A group's rate is then the mean of its posterior: as if each
//! had begun with `a` clicks and `b` non-clicks.

use super::rates::Estimate;
use serde::{Deserialize, Serialize};

/// What is known of a group before it was seen: as if of `a` clicks and `b` non-clicks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BetaPrior {
    /// Clicks.
    pub a: f64,
    /// Non-clicks.
    pub b: f64,
}

/// Impressions that a prior counts at most: from here on all groups are one.
const MOST: f64 = 1e9;

impl BetaPrior {
    /// The prior that has the mean and the spread of groups of `(clicks, impressions)`; `None` without a click or
    /// without a non-click. Groups that differ no more than chance would have it get one rate.
    pub fn by_moments(groups: impl Iterator<Item = (f64, f64)> + Clone) -> Option<Self> {
        let seen = || groups.clone().filter(|(_, n)| *n > 0.0);
        let (clicks, shown) = seen().fold((0.0, 0.0), |(c, n), group| (c + group.0, n + group.1));
        let mean = clicks / shown;
        let chance = mean * (1.0 - mean);
        if chance.is_nan() || chance <= 0.0 {
            return None;
        }
        let (mut spread, mut squares, mut count) = (0.0, 0.0, 0.0);
        for (c, n) in seen() {
            spread += n * (c / n - mean).powi(2);
            squares += n * n;
            count += 1.0;
        }
        // The share of the variance that lies between groups.
        let free = count - 1.0;
        let between = (spread - chance * free) / (chance * (shown - squares / shown - free));
        let strength = (1.0 - between) / between;
        let strength = if between > 0.0 && strength < MOST { strength.max(1e-3) } else { MOST };
        Some(Self { a: mean * strength, b: (1.0 - mean) * strength })
    }

    /// The same mean, counted as no more than so many impressions: what a few groups do not show to differ may still do so,
    /// and their own rate is known no better than their impressions allow.
    #[must_use]
    pub fn at_most(self, impressions: f64) -> Self {
        let share = (impressions / (self.a + self.b)).min(1.0);
        Self { a: share * self.a, b: share * self.b }
    }

    /// The mean of the posterior of a group's rate.
    pub fn rate(self, clicks: f64, shown: f64) -> f64 {
        (clicks + self.a) / (shown + self.a + self.b)
    }

    /// The same with a normal interval of the posterior's variance.
    pub fn estimate(self, clicks: f64, shown: f64) -> Estimate {
        let (rate, strength) = (self.rate(clicks, shown), shown + self.a + self.b);
        let found = Estimate::normal(rate, (rate * (1.0 - rate) / (strength + 1.0)).sqrt());
        Estimate { low: found.low.max(0.0), high: found.high.min(1.0), ..found }
    }

    /// The click rate that a group never seen will have over so many impressions, with a normal interval of the
    /// Beta-binomial's variance.
    pub fn predictive(self, shown: f64) -> Estimate {
        let (rate, strength) = (self.rate(0.0, 0.0), self.a + self.b);
        let variance = rate * (1.0 - rate) * (strength + shown) / ((strength + 1.0) * shown);
        let found = Estimate::normal(rate, variance.sqrt());
        Estimate { low: found.low.max(0.0), high: found.high.min(1.0), ..found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn the_numbers_of_a_simulator_are_found_again() {
        let mut rng = Rng::named(1, "beta binomial");
        let groups: Vec<(f64, f64)> = (0..3000)
            .map(|_| {
                let (rate, n) = (rng.beta(2.0, 48.0), 200 + rng.below(800));
                ((0..n).filter(|_| rng.chance(rate)).count() as f64, n as f64)
            })
            .collect();
        let found = BetaPrior::by_moments(groups.iter().copied()).unwrap();
        assert!((found.a - 2.0).abs() < 0.25 && (found.b - 48.0).abs() < 6.0, "{found:?}");
    }

    #[test]
    fn the_posterior_is_that_of_the_textbook() {
        let prior = BetaPrior { a: 2.0, b: 8.0 };
        // 3 of 10 beside 2 and 8: Beta(5, 15), mean 1/4, variance 5 * 15 / (400 * 21).
        let found = prior.estimate(3.0, 10.0);
        assert!((found.value - 0.25).abs() < 1e-15);
        let deviation = (75.0f64 / 8400.0).sqrt();
        assert!((found.high - 0.25 - 1.959_964 * deviation).abs() < 1e-6);
        assert!((prior.rate(0.0, 0.0) - 0.2).abs() < 1e-15, "a group never seen");
    }

    #[test]
    fn the_rate_of_a_group_to_come_has_the_variance_of_the_textbook_and_lies_in_its_interval() {
        let prior = BetaPrior { a: 6.0, b: 54.0 };
        // Beta-binomial(20, 6, 54): variance of the count 20 p (1 - p) (60 + 20) / 61, p = 1/10.
        let found = prior.predictive(20.0);
        let deviation = (20.0f64 * 0.09 * 80.0 / 61.0).sqrt() / 20.0;
        assert!((found.high - 0.1 - 1.959_964 * deviation).abs() < 1e-6);
        let (mut rng, wide) = (Rng::named(3, "to come"), prior.predictive(400.0));
        let inside = (0..4000).filter(|_| {
            let rate = rng.beta(6.0, 54.0);
            let clicks = (0..400).filter(|_| rng.chance(rate)).count() as f64;
            (wide.low..=wide.high).contains(&(clicks / 400.0))
        });
        let share = inside.count() as f64 / 4000.0;
        assert!((share - 0.95).abs() < 0.015, "{share}");
    }

    #[test]
    fn groups_that_differ_by_chance_only_get_one_rate() {
        let mut rng = Rng::named(2, "beta binomial");
        let groups: Vec<(f64, f64)> =
            (0..50).map(|_| ((0..400).filter(|_| rng.chance(0.1)).count() as f64, 400.0)).collect();
        let prior = BetaPrior::by_moments(groups.iter().copied()).unwrap();
        let rates = groups.iter().map(|(c, n)| prior.rate(*c, *n));
        let spread = rates.clone().fold(0.0, f64::max) - rates.fold(1.0, f64::min);
        assert!(spread < 0.02, "{spread} {prior:?}");
        let bounded = prior.at_most(20_000.0);
        assert!((bounded.a + bounded.b - 20_000.0).abs() < 1e-6, "{bounded:?}");
        assert!((bounded.rate(0.0, 0.0) - prior.rate(0.0, 0.0)).abs() < 1e-12);
        assert_eq!(BetaPrior { a: 2.0, b: 8.0 }.at_most(20.0), BetaPrior { a: 2.0, b: 8.0 });
        assert_eq!(BetaPrior::by_moments([(0.0, 10.0), (0.0, 5.0)].into_iter()), None);
        assert_eq!(BetaPrior::by_moments(std::iter::empty()), None);
    }
}
