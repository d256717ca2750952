//! Which of its ads does a campaign try when it does not know yet how good they are?
//!
//! Two settings share the ideas. A [`Bandit`] knows nothing but the outcome of its arms (Beta-Bernoulli Thompson
//! sampling, Thompson 1933; UCB1, Auer, Cesa-Bianchi & Fischer 2002). In the market a model predicts each ad's
//! click rate for each request; what is learnt there is each ad's lift, its clicks over those predicted,
//! with a Gamma posterior around 1.

use crate::base::rng::Rng;
use serde::{Deserialize, Serialize};

/// How ads are tried in a market.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exploration {
    /// The ad with the highest prediction.
    #[default]
    None,
    /// A random ad with this probability.
    Epsilon(f64),
    /// The highest plausible lift: this many standard deviations above the mean.
    Ucb(f64),
    /// A lift drawn from what is known; the number is the weight of the prediction, in clicks.
    Thompson(f64),
}

impl Exploration {
    /// What is wrong with its number, if anything.
    pub fn problem(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Epsilon(share) if (0.0..=1.0).contains(&share) => None,
            Self::Ucb(width) if width.is_finite() && width >= 0.0 => None,
            Self::Thompson(weight) if weight.is_finite() && weight > 0.0 => None,
            wrong => {
                Some(format!("{wrong:?} is no way to explore: epsilon is a share, ucb and thompson positive"))
            }
        }
    }
}

/// What is known of one ad in the market.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct AdRecord {
    pub predicted_clicks: f64,
    pub clicks: f64,
}

/// Weight of the prediction for UCB, in clicks.
const PRIOR_CLICKS: f64 = 5.0;

impl AdRecord {
    /// The factor on the ad's prediction, given a standard normal.
    pub fn lift(self, exploration: Exploration, normal: f64) -> f64 {
        match exploration {
            Exploration::None | Exploration::Epsilon(_) => 1.0,
            Exploration::Ucb(width) => {
                let (shape, rate) = (PRIOR_CLICKS + self.clicks, PRIOR_CLICKS + self.predicted_clicks);
                (shape + width * shape.sqrt()) / rate
            }
            Exploration::Thompson(weight) => {
                let (shape, rate) = (weight + self.clicks, weight + self.predicted_clicks);
                gamma(shape, normal) / rate
            }
        }
    }
}

/// A Gamma variate of this shape from a standard normal (Wilson & Hilferty 1931), good to a per cent for shapes
/// above 2 and never negative.
fn gamma(shape: f64, normal: f64) -> f64 {
    let ninth = 1.0 / (9.0 * shape);
    let root = 1.0 - ninth + normal * ninth.sqrt();
    shape * root.max(0.0).powi(3)
}

/// A rule for arms that pay 1 or 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Policy {
    /// Beta-Bernoulli Thompson sampling from a uniform prior.
    Thompson,
    /// Mean plus `sqrt(2 ln t / n)`.
    Ucb1,
    /// A random arm with this probability, else the best so far.
    Epsilon(f64),
    /// Any arm.
    Uniform,
}

/// What was learnt of each arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Bandit {
    policy: Policy,
    /// `(pulls, successes)` per arm.
    arms: Vec<(f64, f64)>,
    pulls: f64,
}

impl Bandit {
    /// A bandit that knows nothing of its arms.
    pub fn new(policy: Policy, arms: usize) -> Self {
        Self { policy, arms: vec![(0.0, 0.0); arms], pulls: 0.0 }
    }

    /// The arm to pull next; 0 without arms.
    pub fn choose(&self, rng: &mut Rng) -> usize {
        let untried = self.arms.iter().position(|(pulls, _)| *pulls == 0.0);
        match (self.policy, untried) {
            (Policy::Uniform, _) => rng.below(self.arms.len()),
            (Policy::Epsilon(share), _) if rng.chance(share) => rng.below(self.arms.len()),
            (Policy::Ucb1 | Policy::Epsilon(_), Some(arm)) => arm,
            (Policy::Thompson, _) => self.best(|(pulls, wins)| rng.beta(1.0 + wins, 1.0 + pulls - wins)),
            (Policy::Ucb1, None) => {
                self.best(|(pulls, wins)| wins / pulls + (2.0 * self.pulls.ln() / pulls).sqrt())
            }
            (Policy::Epsilon(_), None) => self.best(|(pulls, wins)| wins / pulls),
        }
    }

    /// What came of a pull.
    pub fn learn(&mut self, arm: usize, success: bool) {
        if let Some((pulls, wins)) = self.arms.get_mut(arm) {
            *pulls += 1.0;
            *wins += f64::from(u8::from(success));
            self.pulls += 1.0;
        }
    }

    fn best(&self, mut index: impl FnMut((f64, f64)) -> f64) -> usize {
        let mut best = (0, f64::NEG_INFINITY);
        for (arm, known) in self.arms.iter().enumerate() {
            let value = index(*known);
            if value > best.1 {
                best = (arm, value);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifts_are_around_one_before_and_around_the_truth_after() {
        let mut rng = Rng::named(1, "lifts");
        let mut mean_and_deviation = |record: AdRecord| {
            let lifts: Vec<f64> =
                (0..40_000).map(|_| record.lift(Exploration::Thompson(10.0), rng.normal())).collect();
            let mean = lifts.iter().sum::<f64>() / 40_000.0;
            (mean, (lifts.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 40_000.0).sqrt())
        };
        // Gamma(10, 10): mean 1, deviation 1 / sqrt(10).
        let (mean, deviation) = mean_and_deviation(AdRecord::default());
        assert!((mean - 1.0).abs() < 0.01 && (deviation - 0.316).abs() < 0.01, "{mean} {deviation}");
        // 290 clicks where 190 were predicted: 300 / 200.
        let (mean, _) = mean_and_deviation(AdRecord { predicted_clicks: 190.0, clicks: 290.0 });
        assert!((mean - 1.5).abs() < 0.01, "{mean}");
    }

    #[test]
    fn numbers_without_sense_are_told() {
        assert_eq!(Exploration::None.problem(), None);
        for wrong in [Exploration::Epsilon(1.5), Exploration::Ucb(f64::NAN), Exploration::Thompson(0.0)] {
            assert!(wrong.problem().is_some(), "{wrong:?}");
        }
    }
}
