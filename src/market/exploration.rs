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
    /// As `Ucb`, where what the model learnt from counts as seen: the bonus is for ads that are new to it, and fades as they
    /// are shown.
    Fresh(f64),
    /// A lift drawn from what is known; the number is the weight of the prediction, in clicks.
    Thompson(f64),
    /// As `Ucb`, with a lift that is a line in the logarithm of the prediction (LinUCB; see [`super::linear_bandit`]).
    LinUcb(f64),
    /// As `LinUcb`, with a lift drawn from what is known, this many standard deviations wide.
    LinThompson(f64),
}

impl Exploration {
    /// What is wrong with its number, if anything.
    pub fn problem(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Epsilon(share) if (0.0..=1.0).contains(&share) => None,
            Self::Ucb(width) | Self::Fresh(width) | Self::LinUcb(width) | Self::LinThompson(width)
                if width.is_finite() && width >= 0.0 =>
            {
                None
            }
            Self::Thompson(weight) if weight.is_finite() && weight > 0.0 => None,
            wrong => Some(format!("{wrong:?} is no way to explore: epsilon is a share, all others positive")),
        }
    }
}

/// What is known of one ad in the market.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct AdRecord {
    pub predicted_clicks: f64,
    pub clicks: f64,
    /// Impressions.
    pub shown: u64,
    /// Clicks on it that the model learnt from before.
    learnt: f64,
    line: Line,
}

/// What is known of a lift `a + b c` over predictions whose logarithm is `c` away from the usual: the precision beyond
/// the prior's, and the weighted lifts that were seen. A click of prediction `p` has variance near `p`, so each
/// impression weighs `p`, and predicted clicks add up as they do in a record without a line.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Line {
    ones: f64,
    mixed: f64,
    squares: f64,
    lifts: f64,
    lifts_by: f64,
}

/// The click rate at which a line's two parts part, one in fifty; and how many e-folds are one step of it.
const USUAL: f64 = 0.02;
const STEP: f64 = 2.0;

impl Line {
    fn context(predicted: f64) -> f64 {
        (predicted.max(1e-6) / USUAL).ln() / STEP
    }

    fn saw(&mut self, predicted: f64, clicks: f64) {
        let c = Self::context(predicted);
        self.ones += predicted;
        self.mixed += predicted * c;
        self.squares += predicted * c * c;
        self.lifts += clicks;
        self.lifts_by += clicks * c;
    }

    /// Mean and standard deviation of the lift at a prediction; the prior is a lift of 1 that weighs
    /// [`PRIOR_CLICKS`].
    fn lift(&self, predicted: f64) -> (f64, f64) {
        let c = Self::context(predicted);
        let (ones, squares) = (self.ones + PRIOR_CLICKS, self.squares + PRIOR_CLICKS);
        let determinant = ones * squares - self.mixed * self.mixed;
        let (a11, a12, a22) = (squares / determinant, -self.mixed / determinant, ones / determinant);
        let (b1, b2) = (self.lifts + PRIOR_CLICKS, self.lifts_by);
        let mean = a11 * b1 + a12 * b2 + c * (a12 * b1 + a22 * b2);
        (mean, (a11 + 2.0 * c * a12 + c * c * a22).max(0.0).sqrt())
    }
}

/// Weight of the prediction for UCB, in clicks.
const PRIOR_CLICKS: f64 = 5.0;

impl AdRecord {
    /// An ad with so many clicks in what the model learnt from.
    pub fn learnt(clicks: f64) -> Self {
        Self { learnt: clicks, ..Self::default() }
    }

    /// An impression whose click was predicted with this probability.
    pub fn saw(&mut self, predicted: f64, clicked: bool) {
        let clicks = f64::from(u8::from(clicked));
        self.shown += 1;
        self.predicted_clicks += predicted;
        self.clicks += clicks;
        self.line.saw(predicted, clicks);
    }

    /// The factor on the ad's prediction for an impression, given a standard normal.
    pub fn lift(self, exploration: Exploration, predicted: f64, normal: f64) -> f64 {
        match exploration {
            Exploration::LinUcb(width) => {
                let (mean, deviation) = self.line.lift(predicted);
                mean + width * deviation
            }
            Exploration::LinThompson(width) => {
                let (mean, deviation) = self.line.lift(predicted);
                mean + width * deviation * normal
            }
            Exploration::None | Exploration::Epsilon(_) => 1.0,
            Exploration::Ucb(width) => {
                let (shape, rate) = (PRIOR_CLICKS + self.clicks, PRIOR_CLICKS + self.predicted_clicks);
                (shape + width * shape.sqrt()) / rate
            }
            Exploration::Fresh(width) => {
                let known = PRIOR_CLICKS + self.learnt;
                let (shape, rate) = (known + self.clicks, known + self.predicted_clicks);
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
                (0..40_000).map(|_| record.lift(Exploration::Thompson(10.0), 0.02, rng.normal())).collect();
            let mean = lifts.iter().sum::<f64>() / 40_000.0;
            (mean, (lifts.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 40_000.0).sqrt())
        };
        // Gamma(10, 10): mean 1, deviation 1 / sqrt(10).
        let (mean, deviation) = mean_and_deviation(AdRecord::default());
        assert!((mean - 1.0).abs() < 0.01 && (deviation - 0.316).abs() < 0.01, "{mean} {deviation}");
        // 290 clicks where 190 were predicted: 300 / 200.
        let (mean, _) =
            mean_and_deviation(AdRecord { predicted_clicks: 190.0, clicks: 290.0, ..AdRecord::default() });
        assert!((mean - 1.5).abs() < 0.01, "{mean}");
    }

    #[test]
    fn the_bonus_for_new_ads_is_that_of_optimism_and_small_for_those_that_were_learnt() {
        let mut new = AdRecord::default();
        let lift = |record: AdRecord| record.lift(Exploration::Fresh(1.0), 0.02, 0.0);
        assert_eq!(lift(new), new.lift(Exploration::Ucb(1.0), 0.02, 0.0));
        // Nothing but 5 clicks of the prior: 1 + 1 / sqrt(5); with 95 learnt ones 1 + 1 / sqrt(100).
        assert!((lift(new) - 1.0 - 0.2f64.sqrt()).abs() < 1e-12);
        assert!((lift(AdRecord::learnt(95.0)) - 1.1).abs() < 1e-12);
        // It fades: after 95 clicks where 95 were predicted the new ad stands as the learnt one.
        (new.clicks, new.predicted_clicks) = (95.0, 95.0);
        assert!((lift(new) - 1.1).abs() < 1e-12);
    }

    #[test]
    fn a_line_of_lifts_is_the_weighted_regression() {
        // Twice the clicks at rates of 2 %, half of them at 2 % x e^2: lifts of 2 and .5 at contexts 0 and 1.
        let mut record = AdRecord::default();
        let high = USUAL * STEP.exp();
        for place in 0..500_000 {
            record.saw(USUAL, place % 25 == 0);
            record.saw(high, place % 1_000 < (500.0 * high) as i32);
        }
        let lift = |p| record.lift(Exploration::LinUcb(0.0), p, 0.0);
        assert!((lift(USUAL) - 2.0).abs() < 0.02, "{}", lift(USUAL));
        assert!((lift(high) - 0.5).abs() < 0.02, "{}", lift(high));
        // Without any impression the prediction is believed, give or take a deviation of 1 / sqrt(5).
        let new = AdRecord::default().lift(Exploration::LinUcb(1.0), USUAL, 0.0);
        assert!((new - 1.0 - 0.2f64.sqrt()).abs() < 1e-12, "{new}");
    }

    #[test]
    fn numbers_without_sense_are_told() {
        assert_eq!(Exploration::None.problem(), None);
        for wrong in [
            Exploration::Epsilon(1.5),
            Exploration::Ucb(f64::NAN),
            Exploration::Fresh(-1.0),
            Exploration::Thompson(0.0),
        ] {
            assert!(wrong.problem().is_some(), "{wrong:?}");
        }
    }
}
