//! Does a cut on the score treat groups alike? Rates by group, their gaps, and the thresholds that five strategies choose.
//!
//! A row is *selected* when its score is at or above its group's threshold. Definitions: demographic parity asks for
//! equal selection rates (Dwork et al. 2012), equal opportunity for equal true positive rates (Hardt, Price & Srebro
//! 2016), equal accuracy for equal shares of right answers; the strategies are those of the What-If Tool (Wexler et al.
//! 2020), with profit in place of its cost ratio.

use super::ranking::Cut;
use super::rates::{Estimate, Rate};
use super::threshold::{Confusion, Economics, confusion};
use serde::{Deserialize, Serialize};

/// Steps of a rate that is made equal.
const STEPS: usize = 1_000;
/// A group may lie this many steps from the common rate: with few clicks its rates have gaps.
const NEAR: usize = 5;

/// How thresholds are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// One for all, the most profitable.
    SingleThreshold,
    /// The most profitable of each group.
    GroupThresholds,
    /// Equal selection rates, the most profitable of those.
    DemographicParity,
    /// Equal true positive rates, the most profitable of those.
    EqualOpportunity,
    /// Equal accuracies, the most profitable of those.
    EqualAccuracy,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::SingleThreshold,
        Self::GroupThresholds,
        Self::DemographicParity,
        Self::EqualOpportunity,
        Self::EqualAccuracy,
    ];

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SingleThreshold => "one threshold",
            Self::GroupThresholds => "a threshold a group",
            Self::DemographicParity => "demographic parity",
            Self::EqualOpportunity => "equal opportunity",
            Self::EqualAccuracy => "equal accuracy",
        }
    }
}

/// The rates of one group at its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GroupRates {
    /// Selected of all its impressions.
    pub selected: Rate,
    /// Selected of its clicks.
    pub true_positive: Rate,
    /// Selected of its non-clicks.
    pub false_positive: Rate,
    /// Precision, recall and accuracy with the threshold.
    pub confusion: Confusion,
    /// Profit of the selected.
    pub profit: f64,
}

/// The thresholds that a strategy chooses, and what they do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chosen {
    /// Which strategy.
    pub strategy: Strategy,
    /// A threshold a group: scores at or above are selected.
    pub thresholds: Vec<f64>,
    /// The rates of each group.
    pub groups: Vec<GroupRates>,
    /// Profit of all groups.
    pub profit: f64,
}

/// The largest difference between any two groups.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Gaps {
    /// Of selection rates: the demographic parity difference.
    pub selection: f64,
    /// Of true positive rates: the equal opportunity difference.
    pub opportunity: f64,
    /// Of true or false positive rates, whichever is larger: the equalised odds difference.
    pub odds: f64,
    /// Of accuracies.
    pub accuracy: f64,
}

impl Chosen {
    /// Its largest differences.
    pub fn gaps(&self) -> Gaps {
        let widest = |rate: &dyn Fn(&GroupRates) -> Rate| {
            let known = self.groups.iter().map(rate).filter(Rate::is_known).map(|rate| rate.rate);
            let (low, high) =
                known.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
            (high - low).max(0.0)
        };
        let opportunity = widest(&|group| group.true_positive);
        Gaps {
            selection: widest(&|group| group.selected),
            opportunity,
            odds: opportunity.max(widest(&|group| group.false_positive)),
            accuracy: widest(&|group| group.confusion.accuracy),
        }
    }
}

/// The rates of a group whose cuts are these. `None` for an empty list.
pub fn rates_at(cuts: &[Cut], threshold: f64, economics: Economics) -> Option<GroupRates> {
    let last = cuts.last()?;
    let confusion = confusion(cuts, threshold)?;
    let (hits, shown) = (confusion.precision.successes, confusion.precision.trials);
    Some(GroupRates {
        selected: Rate::wilson(shown, last.positives + last.negatives),
        true_positive: confusion.recall,
        false_positive: Rate::wilson(shown - hits, last.negatives),
        confusion,
        profit: economics.profit(hits, shown),
    })
}

/// What each group's rates are at one threshold for all.
pub fn at(groups: &[&[Cut]], threshold: f64, economics: Economics) -> Option<Chosen> {
    chosen(Strategy::SingleThreshold, vec![threshold; groups.len()], groups, economics)
}

/// The thresholds of a strategy. `None` where a group has no rows.
pub fn choose(groups: &[&[Cut]], strategy: Strategy, economics: Economics) -> Option<Chosen> {
    if groups.is_empty() || groups.iter().any(|cuts| cuts.is_empty()) {
        return None;
    }
    let thresholds = match strategy {
        Strategy::SingleThreshold => {
            let all = merged(groups);
            vec![economics.best(&all)?; groups.len()]
        }
        Strategy::GroupThresholds => {
            groups.iter().map(|cuts| economics.best(cuts)).collect::<Option<Vec<f64>>>()?
        }
        Strategy::DemographicParity => equal(groups, economics, &|cut, last| {
            (cut.positives + cut.negatives) / (last.positives + last.negatives)
        })?,
        Strategy::EqualOpportunity => equal(groups, economics, &|cut, last| cut.positives / last.positives)?,
        Strategy::EqualAccuracy => equal(groups, economics, &|cut, last| {
            (cut.positives + last.negatives - cut.negatives) / (last.positives + last.negatives)
        })?,
    };
    chosen(strategy, thresholds, groups, economics)
}

fn chosen(
    strategy: Strategy,
    thresholds: Vec<f64>,
    groups: &[&[Cut]],
    economics: Economics,
) -> Option<Chosen> {
    let rates = groups.iter().zip(&thresholds).map(|(cuts, at)| rates_at(cuts, *at, economics));
    let groups = rates.collect::<Option<Vec<GroupRates>>>()?;
    let profit = groups.iter().map(|group| group.profit).sum();
    Some(Chosen { strategy, thresholds, groups, profit })
}

/// The cuts of all groups together.
pub fn merged(groups: &[&[Cut]]) -> Vec<Cut> {
    let mut steps: Vec<Cut> = Vec::new();
    for cuts in groups {
        let mut before = Cut { score: f64::INFINITY, positives: 0.0, negatives: 0.0 };
        for cut in *cuts {
            steps.push(Cut {
                score: cut.score,
                positives: cut.positives - before.positives,
                negatives: cut.negatives - before.negatives,
            });
            before = *cut;
        }
    }
    steps.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut all: Vec<Cut> = Vec::with_capacity(steps.len());
    for step in steps {
        let last = all.last().copied().unwrap_or(Cut { score: step.score, positives: 0.0, negatives: 0.0 });
        let cut = Cut {
            score: step.score,
            positives: last.positives + step.positives,
            negatives: last.negatives + step.negatives,
        };
        match all.last_mut() {
            Some(same) if same.score == step.score => *same = cut,
            _ => all.push(cut),
        }
    }
    all
}

/// Thresholds at which a rate is as equal as the scores allow, at the most profitable of [`STEPS`] values of it.
///
/// Of each group, for each value, the most profitable cut among those nearest to it (a rate need not be monotone).
fn equal(groups: &[&[Cut]], economics: Economics, rate: &dyn Fn(&Cut, &Cut) -> f64) -> Option<Vec<f64>> {
    let tables: Vec<Vec<Option<(f64, f64)>>> = groups
        .iter()
        .map(|cuts| {
            let last = cuts.last()?;
            // Nothing selected is a choice as well.
            let none = Cut { score: f64::INFINITY, positives: 0.0, negatives: 0.0 };
            let mut best: Vec<Option<(f64, f64)>> = vec![None; STEPS + 1];
            for cut in std::iter::once(&none).chain(*cuts) {
                let value = rate(cut, last);
                if !value.is_finite() {
                    continue;
                }
                let profit = economics.profit(cut.positives, cut.positives + cut.negatives);
                let place = (value * STEPS as f64).round().clamp(0.0, STEPS as f64) as usize;
                let known = &mut best[place];
                if known.is_none_or(|(_, most)| profit > most) {
                    *known = Some((cut.score, profit));
                }
            }
            Some(best)
        })
        .collect::<Option<_>>()?;
    let best_at = |step: usize| {
        let found = tables.iter().map(|table| nearest(table, step)).collect::<Option<Vec<_>>>()?;
        let distance = found.iter().map(|(distance, ..)| *distance).max().unwrap_or(0);
        Some((distance, found))
    };
    let steps: Vec<_> = (0..=STEPS).filter_map(best_at).collect();
    // Values that every group nearly reaches, where there are such; the nearest otherwise.
    let reached = steps.iter().map(|(distance, _)| *distance).min()?.max(NEAR);
    let profit = |found: &[(usize, f64, f64)]| found.iter().map(|(.., profit)| profit).sum::<f64>();
    let best = steps.iter().filter(|(distance, _)| *distance <= reached);
    let (_, best) = best.max_by(|(_, a), (_, b)| profit(a).total_cmp(&profit(b)))?;
    Some(best.iter().map(|(_, threshold, _)| *threshold).collect())
}

/// The entry at a step or the nearest one: distance, threshold, profit.
fn nearest(table: &[Option<(f64, f64)>], step: usize) -> Option<(usize, f64, f64)> {
    (0..=STEPS).find_map(|distance| {
        let below = step.checked_sub(distance).and_then(|place| table[place]);
        let above = table.get(step + distance).copied().flatten();
        let best = match (below, above) {
            (Some(a), Some(b)) => Some(if a.1 >= b.1 { a } else { b }),
            (one, other) => one.or(other),
        };
        best.map(|(threshold, profit)| (distance, threshold, profit))
    })
}

/// How much higher the first of two independent rates is, with its 95 % interval from both Wilson intervals (Newcombe
/// 1998, method 10).
pub fn difference(first: &Rate, second: &Rate) -> Estimate {
    let value = first.rate - second.rate;
    let below = (first.rate - first.low).hypot(second.high - second.rate);
    let above = (first.high - first.rate).hypot(second.rate - second.low);
    Estimate { value, low: value - below, high: value + above }
}

#[cfg(test)]
mod tests {
    use super::super::ranking::cuts;
    use super::*;
    use crate::base::rng::Rng;

    const EVEN: Economics = Economics { click_value: 2.0, impression_cost: 1.0 };

    #[test]
    fn gaps_are_fairlearns() {
        // The definitions of fairlearn.metrics (demographic_parity_difference, equal_opportunity_difference,
        // equalized_odds_difference) by hand: group a selects 2 of 4 (TPR 1/2, FPR 1/2), b selects 3 of 4 (TPR 1,
        // FPR 1/2): demographic parity difference 0.25, equal opportunity and equalised odds difference 0.5.
        let a = cuts(&[0.9, 0.2, 0.8, 0.1], &[1.0, 1.0, 0.0, 0.0], &[]).unwrap();
        let b = cuts(&[0.9, 0.8, 0.7, 0.1], &[1.0, 1.0, 0.0, 0.0], &[]).unwrap();
        let gaps = at(&[&a, &b], 0.5, EVEN).unwrap().gaps();
        assert_eq!((gaps.selection, gaps.opportunity, gaps.odds), (0.25, 0.5, 0.5));
    }

    #[test]
    fn newcombes_interval_is_the_published_one() {
        // Newcombe (1998), table II, example (a): 56/70 against 48/80 gives 0.2 (0.0524 to 0.3339).
        let found = difference(&Rate::wilson(56.0, 70.0), &Rate::wilson(48.0, 80.0));
        assert!((found.value - 0.2).abs() < 1e-12);
        assert!((found.low - 0.0524).abs() < 5e-5 && (found.high - 0.3339).abs() < 5e-5, "{found:?}");
    }

    /// Two groups of calibrated scores with different base rates.
    fn two_groups() -> [Vec<Cut>; 2] {
        [(1, 0.1), (2, 0.3)].map(|(seed, base)| {
            let mut rng = Rng::named(seed, "fairness");
            let rows: (Vec<f32>, Vec<f32>) = (0..20_000)
                .map(|_| {
                    let p = (base * 2.0 * rng.uniform()).min(1.0);
                    (p as f32, f32::from(rng.chance(p)))
                })
                .unzip();
            cuts(&rows.0, &rows.1, &[]).unwrap()
        })
    }

    #[test]
    fn each_strategy_keeps_what_it_promises() {
        let [a, b] = two_groups();
        let groups: [&[Cut]; 2] = [&a, &b];
        let economics = Economics { click_value: 1.0, impression_cost: 0.15 };
        let of = |strategy| choose(&groups, strategy, economics).unwrap();
        let [single, own, parity, opportunity, accuracy] = Strategy::ALL.map(of);
        // The scores are calibrated, so one threshold at cost over value is the best for both groups.
        assert!((single.thresholds[0] - 0.15).abs() < 0.02, "{:?}", single.thresholds);
        assert!(own.profit >= single.profit);
        for constrained in [&parity, &opportunity, &accuracy] {
            assert!(constrained.profit <= own.profit, "{constrained:?}");
        }
        assert!(parity.gaps().selection < 0.011, "{:?}", parity.gaps());
        assert!(opportunity.gaps().opportunity < 0.011, "{:?}", opportunity.gaps());
        assert!(accuracy.gaps().accuracy < 0.011, "{:?}", accuracy.gaps());
        assert!(single.gaps().selection > 0.3, "{:?}", single.gaps());
    }

    #[test]
    fn groups_of_one_class_and_no_rows() {
        let [a, _] = two_groups();
        assert_eq!(choose(&[&a, &[]], Strategy::SingleThreshold, EVEN), None);
        // Clicks only: there is no false positive rate, and that is no gap.
        let only = [Cut { score: 0.5, positives: 10.0, negatives: 0.0 }];
        let found = at(&[&a, &only], 0.2, EVEN).unwrap();
        assert!(!found.groups[1].false_positive.is_known());
        assert!(found.gaps().odds.is_finite());
    }
}
