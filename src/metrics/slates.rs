//! What would other pages of several ads have earned, by the log of these? Off-policy estimates for slates.
//!
//! A page shows `L` items, the one at position `k` chosen with probability `p_k` given those above it; the policy in question
//! would have chosen it with `pi_k`. With `w_k = pi_k / p_k`, the reward `r_k` of each position, and what is assumed of people:
//!
//! | estimator | a page's part | right where |
//! |---|---|---|
//! | SIPS (Horvitz & Thompson 1952) | `w_1 ... w_L sum r_k` | always |
//! | RIPS (McInerney et al. 2020) | `sum w_1 ... w_k r_k` | a position's reward depends on no item below it (cascade) |
//! | IIPS (Li et al. 2018) | `sum w_k r_k` | a position's reward depends on its own item alone; positions chosen independently |
//! | PI (Swaminathan et al. 2017) | `(sum w_k - L + 1) sum r_k` | the page's reward is a sum of what each item adds, wherever it is earned; positions chosen independently |
//!
//! PI is the pseudo-inverse estimator in the closed form that it has where the log chose its positions independently. The
//! less is assumed, the wider the interval. Values are of a page: the sum of its positions' rewards.

use super::bootstrap::{Bags, percentiles};
use super::off_policy::{Checks, PolicyValue};
use super::rates::Estimate;
use serde::Serialize;

/// What a log knows of its pages, `[page * positions + position]`, first position first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slates<'a> {
    /// Positions of a page.
    pub positions: usize,
    /// What each position earned.
    pub rewards: &'a [f64],
    /// The probability with which the log chose each item, given those above it, in `(0, 1]`.
    pub logged: &'a [f64],
    /// The probability with which the policy would have chosen it, given those above it.
    pub target: &'a [f64],
    /// Who saw each page: pages of one user are drawn together. Empty: each stands alone.
    pub users: &'a [u32],
}

/// A way to estimate, from the fewest assumptions to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SlateEstimator {
    /// By the whole page.
    Standard,
    /// By the items down to each position.
    RewardInteraction,
    /// By each item alone.
    Independent,
    /// By the items' sum.
    PseudoInverse,
}

impl SlateEstimator {
    /// Every one, in the order of assumptions.
    pub const ALL: [Self; 4] =
        [Self::Standard, Self::RewardInteraction, Self::Independent, Self::PseudoInverse];

    /// The name in tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Standard => "SIPS (whole page)",
            Self::RewardInteraction => "RIPS (cascade)",
            Self::Independent => "IIPS (each position)",
            Self::PseudoInverse => "PI (pseudo-inverse)",
        }
    }

    /// Where it is right: what must hold of people.
    pub fn assumption(self) -> &'static str {
        match self {
            Self::Standard => "always",
            Self::RewardInteraction => "what happens at a position depends on no item below it",
            Self::Independent => "what happens at a position depends on its own item alone",
            Self::PseudoInverse => {
                "a page earns the sum of what each of its items adds, whatever stands beside it"
            }
        }
    }

    /// Whether it is for logs and policies that choose each position for itself.
    fn needs_independent_choices(self) -> bool {
        matches!(self, Self::Independent | Self::PseudoInverse)
    }

    /// A page's part: its value, and the weight that its worth is told by.
    pub fn of_page(self, rewards: &[f64], weights: &[f64]) -> (f64, f64) {
        let reward: f64 = rewards.iter().sum();
        match self {
            Self::Standard => {
                let weight: f64 = weights.iter().product();
                (weight * reward, weight)
            }
            Self::RewardInteraction => {
                let mut down_to = 1.0;
                let mut value = 0.0;
                for (reward, weight) in rewards.iter().zip(weights) {
                    down_to *= weight;
                    value += down_to * reward;
                }
                (value, down_to)
            }
            Self::Independent => {
                let value = rewards.iter().zip(weights).map(|(reward, weight)| reward * weight).sum();
                (value, weights.iter().sum::<f64>() / weights.len() as f64)
            }
            Self::PseudoInverse => {
                let weight = weights.iter().sum::<f64>() - weights.len() as f64 + 1.0;
                (weight * reward, weight)
            }
        }
    }
}

/// One estimator's answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlateValue {
    /// Which.
    pub estimator: SlateEstimator,
    /// What it assumes, in words.
    pub assumes: &'static str,
    /// What it rests on: its own weights.
    pub checks: Checks,
    /// Reward of a page, or why there is no number.
    pub value: Result<PolicyValue, String>,
}

/// Samples that the bootstrap draws.
pub const DRAWS: usize = 1_000;

/// Estimates what the policy would have earned, a page. `independent` says whether log and policy choose each position
/// whatever stands above it; else the estimators that need that have no value.
///
/// # Errors
/// Lists that do not fit, a propensity that is none, a number that is none: in words.
pub fn evaluate(slates: &Slates<'_>, independent: bool, draws: usize) -> Result<Vec<SlateValue>, String> {
    check(slates)?;
    let weights: Vec<f64> = slates.target.iter().zip(slates.logged).map(|(t, p)| t / p).collect();
    let pages = slates.rewards.len() / slates.positions;
    let bags = Bags::new(pages, slates.users);
    let smallest = slates.logged.iter().copied().fold(f64::INFINITY, f64::min);
    let told = SlateEstimator::ALL.into_iter().map(|estimator| {
        let parts = slates.rewards.chunks_exact(slates.positions).zip(weights.chunks_exact(slates.positions));
        let parts: Vec<(f64, f64)> =
            parts.map(|(rewards, weights)| estimator.of_page(rewards, weights)).collect();
        let own: Vec<f64> = parts.iter().map(|(_, weight)| *weight).collect();
        let checks = Checks::of_weights(&own, smallest);
        let value = if estimator.needs_independent_choices() && !independent {
            Err("the choice at a position depends on those above it".to_owned())
        } else {
            match checks.problem() {
                Some(why) => Err(why),
                None => Ok(value_of(&parts, &bags, draws)),
            }
        };
        SlateValue { estimator, assumes: estimator.assumption(), checks, value }
    });
    Ok(told.collect())
}

fn value_of(parts: &[(f64, f64)], bags: &Bags, draws: usize) -> PolicyValue {
    let mut sums = vec![[0.0; 2]; bags.count];
    for ((value, _), bag) in parts.iter().zip(&bags.of_row) {
        let sum = &mut sums[*bag as usize];
        *sum = [sum[0] + value, sum[1] + 1.0];
    }
    let [total, pages] = sums.iter().fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
    let mean = total / pages;
    // Bags are independent of each other, pages of one bag are not.
    let squares: f64 = sums.iter().map(|[value, pages]| (value - mean * pages).powi(2)).sum();
    let n = sums.len() as f64;
    let error = (squares * n / (n - 1.0).max(1.0)).sqrt() / pages;
    let resampled = bags.resample_times(draws, |times| {
        let mut drawn = [0.0; 2];
        for ([value, pages], times) in sums.iter().zip(times) {
            drawn = [drawn[0] + f64::from(*times) * value, drawn[1] + f64::from(*times) * pages];
        }
        drawn[0] / drawn[1]
    });
    PolicyValue { normal: Estimate::normal(mean, error), bootstrap: percentiles(resampled) }
}

fn check(slates: &Slates<'_>) -> Result<(), String> {
    let n = slates.rewards.len();
    if n == 0 || slates.positions == 0 {
        return Err("there are no pages".to_owned());
    }
    let pages = n / slates.positions;
    if !n.is_multiple_of(slates.positions)
        || slates.logged.len() != n
        || slates.target.len() != n
        || !(slates.users.is_empty() || slates.users.len() == pages)
    {
        return Err("rewards, propensities and users do not fit".to_owned());
    }
    if let Some((place, p)) = slates.logged.iter().enumerate().find(|(_, p)| !(**p > 0.0 && **p <= 1.0)) {
        let (page, position) = (place / slates.positions + 1, place % slates.positions + 1);
        return Err(format!(
            "the propensity {p} of page {page}, position {position}, is not above 0 and up to 1"
        ));
    }
    if slates.target.iter().any(|p| !(0.0..=1.0 + 1e-9).contains(p)) {
        return Err("a probability of the policy is none".to_owned());
    }
    if slates.rewards.iter().any(|reward| !reward.is_finite()) {
        return Err("a reward is no number".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    const ITEMS: usize = 3;
    const POSITIONS: usize = 2;

    /// Chances of an item at a position, given the one above it.
    type Choice = fn(position: usize, above: Option<usize>, item: usize) -> f64;
    /// Mean reward of a position on a page.
    type World = fn(position: usize, page: [usize; POSITIONS]) -> f64;

    fn even(_: usize, _: Option<usize>, _: usize) -> f64 {
        1.0 / ITEMS as f64
    }

    /// Independent choices that prefer other items.
    fn skewed(position: usize, _: Option<usize>, item: usize) -> f64 {
        [[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]][position][item]
    }

    /// Never the item above again.
    fn without_repeats(position: usize, above: Option<usize>, item: usize) -> f64 {
        match above {
            Some(above) if position > 0 => {
                if above == item {
                    0.0
                } else {
                    0.5
                }
            }
            _ => even(position, above, item),
        }
    }

    fn alone(position: usize, page: [usize; POSITIONS]) -> f64 {
        [[0.1, 0.3, 0.5], [0.4, 0.1, 0.2]][position][page[position]]
    }

    /// Who found what they want above looks no further.
    fn cascade(position: usize, page: [usize; POSITIONS]) -> f64 {
        let attractive = [0.2, 0.5, 0.7];
        let reached = if position == 0 { 1.0 } else { 1.0 - attractive[page[0]] };
        reached * attractive[page[position]]
    }

    /// The first position earns what the items of the whole page add together.
    fn added(position: usize, page: [usize; POSITIONS]) -> f64 {
        let worth = [[0.1, 0.2, 0.3], [0.05, 0.25, 0.1]];
        if position == 0 { worth[0][page[0]] + worth[1][page[1]] } else { 0.0 }
    }

    /// Two alike spoil the page, the first position too.
    fn together(position: usize, page: [usize; POSITIONS]) -> f64 {
        if page[0] == page[1] { 0.0 } else { 0.2 + 0.1 * position as f64 + 0.1 * page[0] as f64 }
    }

    /// Sums over every page: how likely it is, and what is made of it.
    fn over_pages(choice: Choice, of: impl Fn([usize; POSITIONS]) -> f64) -> f64 {
        let mut sum = 0.0;
        for first in 0..ITEMS {
            for second in 0..ITEMS {
                let chance = choice(0, None, first) * choice(1, Some(first), second);
                // What is never chosen has no weight that could be told.
                sum += if chance > 0.0 { chance * of([first, second]) } else { 0.0 };
            }
        }
        sum
    }

    /// The estimator's mean on endless logs, less the truth: both summed over all pages.
    fn bias(estimator: SlateEstimator, world: World, logged: Choice, target: Choice) -> f64 {
        let truth = over_pages(target, |page| (0..POSITIONS).map(|k| world(k, page)).sum());
        let mean = over_pages(logged, |page| {
            let above = [None, Some(page[0])];
            let weight = |k: usize| target(k, above[k], page[k]) / logged(k, above[k], page[k]);
            let (rewards, weights) = ([world(0, page), world(1, page)], [weight(0), weight(1)]);
            estimator.of_page(&rewards, &weights).0
        });
        mean - truth
    }

    #[test]
    fn each_is_right_where_its_assumption_holds_and_wrong_where_not() {
        use SlateEstimator::{Independent, PseudoInverse, RewardInteraction, Standard};
        let worlds: [(World, &[SlateEstimator]); 4] = [
            (alone, &[Standard, RewardInteraction, Independent, PseudoInverse]),
            (cascade, &[Standard, RewardInteraction]),
            (added, &[Standard, PseudoInverse]),
            (together, &[Standard]),
        ];
        for (place, (world, right)) in worlds.into_iter().enumerate() {
            for estimator in SlateEstimator::ALL {
                let bias = bias(estimator, world, even, skewed);
                if right.contains(&estimator) {
                    assert!(bias.abs() < 1e-12, "world {place}, {estimator:?}: {bias}");
                } else {
                    assert!(bias.abs() > 0.01, "world {place}, {estimator:?}: {bias}");
                }
            }
        }
        // Choices that depend on those above: by the whole page and down to each position all is well.
        for estimator in [Standard, RewardInteraction] {
            assert!(bias(estimator, cascade, even, without_repeats).abs() < 1e-12);
        }
    }

    /// Pages of a world as a log has them.
    fn log(seed: u64, pages: usize, world: World) -> [Vec<f64>; 3] {
        let mut rng = Rng::named(seed, "slates");
        let [mut rewards, mut logged, mut target] = [(); 3].map(|()| Vec::new());
        for _ in 0..pages {
            let page = [rng.below(ITEMS), rng.below(ITEMS)];
            for k in 0..POSITIONS {
                rewards.push(f64::from(u8::from(rng.chance(world(k, page)))));
                logged.push(even(k, None, page[k]));
                target.push(skewed(k, None, page[k]));
            }
        }
        [rewards, logged, target]
    }

    #[test]
    fn intervals_hold_the_truth_and_fewer_assumptions_are_wider() {
        let truth = over_pages(skewed, |page| (0..POSITIONS).map(|k| alone(k, page)).sum());
        let mut held = [0usize; 4];
        let mut wide = [0.0; 4];
        let reps = 400;
        for seed in 0..reps {
            let [rewards, logged, target] = log(seed, 400, alone);
            let slates = Slates {
                positions: POSITIONS,
                rewards: &rewards,
                logged: &logged,
                target: &target,
                users: &[],
            };
            for (place, told) in evaluate(&slates, true, 0).unwrap().iter().enumerate() {
                let value = told.value.as_ref().unwrap().normal;
                held[place] += usize::from(!value.excludes(truth));
                wide[place] += value.standard_error();
            }
        }
        // Binomial with 400: four standard deviations are .044.
        for (estimator, held) in SlateEstimator::ALL.iter().zip(held) {
            assert!((held as f64 / reps as f64 - 0.95).abs() < 0.044, "{estimator:?}: {held}");
        }
        let [standard, cascade, independent, _] = wide;
        assert!(standard > cascade && cascade > independent, "{wide:?}");
        let [rewards, logged, target] = log(1, 400, alone);
        let slates =
            Slates { positions: POSITIONS, rewards: &rewards, logged: &logged, target: &target, users: &[] };
        let told = evaluate(&slates, true, 300).unwrap();
        let value = told[2].value.as_ref().unwrap();
        let [low, high] = value.bootstrap.unwrap();
        assert!(
            (low - value.normal.low).abs() < 0.02 && (high - value.normal.high).abs() < 0.02,
            "{value:?}"
        );
    }

    #[test]
    fn what_cannot_be_told_has_a_reason() {
        let [rewards, mut logged, target] = log(2, 300, alone);
        let slates = |logged: &[f64], target: &[f64], independent: bool| {
            let slates = Slates { positions: POSITIONS, rewards: &rewards, logged, target, users: &[] };
            evaluate(&slates, independent, 0)
        };
        let told = slates(&logged, &target, false).unwrap();
        assert!(told[0].value.is_ok() && told[2].value.as_ref().unwrap_err().contains("depends"));
        let never = slates(&logged, &vec![0.0; 600], true).unwrap();
        assert!(never[0].value.as_ref().unwrap_err().contains("never did"), "{never:?}");
        // Wrong propensities show in the mean weight.
        let halved: Vec<f64> = logged.iter().map(|p| p / 2.0).collect();
        assert!(
            slates(&halved, &target, true).unwrap()[2].value.as_ref().unwrap_err().contains("on average")
        );
        logged[5] = 0.0;
        let refused = slates(&logged, &target, true).unwrap_err();
        assert!(refused.contains("page 3, position 2"), "{refused}");
        assert!(slates(&[], &target, true).unwrap_err().contains("do not fit"));
    }
}
