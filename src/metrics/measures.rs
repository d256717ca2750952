//! How good are these probabilities, all in all? Every measure of click models with its n and its interval.
//!
//! AUC has DeLong's interval; the others are resampled by user, or by row where there are no users
//! ([`bootstrap`](super::bootstrap)). Two models are compared on the same rows and the same samples.

use super::bootstrap::{Bags, percentiles};
use super::calibration::{self, bounded};
use super::grouped::{GroupedAuc, NO_GROUP};
use super::ranking::{auc_difference, auc_estimate_of_cuts, rows_by_score};
use super::rates::Estimate;
use super::streamed::{EXACT_ROWS, cuts_within};
use serde::{Deserialize, Serialize};

/// Groups of equal weight of the calibration error.
pub const ECE_BINS: usize = 20;

/// Predictions beside what happened. All slices have one entry per row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcomes<'a> {
    /// Predicted click probabilities.
    pub predicted: &'a [f32],
    /// Outcomes in `[0, 1]`.
    pub labels: &'a [f32],
    /// Impressions per row; empty means all 1.
    pub weights: &'a [f32],
    /// Who saw it, as codes; [`NO_GROUP`] is nobody known; empty where the log names no users.
    pub users: &'a [u32],
}

/// How good a model is on some rows. `None` where the rows cannot support the number.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Measures {
    /// Rows measured on.
    pub rows: usize,
    /// Impressions that they stand for.
    pub impressions: f64,
    /// Clicks among them.
    pub clicks: f64,
    /// Chance that a click is scored above a non-click, with its DeLong interval.
    pub auc: Option<Estimate>,
    /// How far `auc` can be from the exact one: 0 up to [`EXACT_ROWS`] rows, proven from the rows beyond.
    pub auc_error: f64,
    /// AUC within users, weighted by impressions.
    pub gauc: Option<Estimate>,
    /// Users with clicks and non-clicks: those that `gauc` is about.
    pub users_ranked: usize,
    /// Users with one class only, who are left out of `gauc`.
    pub users_one_class: usize,
    /// Mean log loss in nats.
    pub log_loss: Option<Estimate>,
    /// Log loss over the entropy of the click rate (NE): below 1 beats a constant.
    pub normalized_entropy: Option<Estimate>,
    /// Expected calibration error over [`ECE_BINS`] groups of equal weight.
    pub ece: Option<Estimate>,
    /// Predicted clicks over actual clicks (PCOC).
    pub predicted_over_actual: Option<Estimate>,
}

/// How much higher each measure of a second model is on the same rows. `None` where the rows cannot tell.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Differences {
    /// Of AUC, by DeLong's covariance.
    pub auc: Option<Estimate>,
    /// Of AUC within users.
    pub gauc: Option<Estimate>,
    /// Of log loss, in nats.
    pub log_loss: Option<Estimate>,
    /// Of normalised entropy.
    pub normalized_entropy: Option<Estimate>,
    /// Of the calibration error.
    pub ece: Option<Estimate>,
    /// Of predicted over actual clicks.
    pub predicted_over_actual: Option<Estimate>,
}

impl Measures {
    /// Measures predictions, every number with its interval.
    pub fn of(outcomes: Outcomes<'_>) -> Self {
        let bags = Bags::new(outcomes.predicted.len(), outcomes.users);
        let ranked = cuts_within(outcomes.predicted, outcomes.labels, outcomes.weights, EXACT_ROWS);
        let auc = ranked.as_ref().and_then(|(cuts, _)| auc_estimate_of_cuts(cuts));
        let order = rows_by_score(outcomes.predicted);
        Self {
            auc_error: ranked.map_or(0.0, |(_, error)| error),
            ..Self::of_ranked(outcomes, &order, &bags, auc)
        }
    }

    /// The same where the [order](rows_by_score) of the rows, their bags and the AUC are known already.
    pub fn of_ranked(outcomes: Outcomes<'_>, order: &[u32], bags: &Bags, auc: Option<Estimate>) -> Self {
        let sample = Sample::new(outcomes, order, bags);
        let rounds = sample.rounds(bags);
        let whole = sample.numbers(&vec![1; bags.count]);
        let interval = |place: usize| {
            let [low, high] = middle(rounds.iter().map(|round| round[place]))?;
            whole[place].is_finite().then_some(Estimate { value: whole[place], low, high })
        };
        let (impressions, clicks) = outcomes.totals();
        Self {
            rows: outcomes.predicted.len(),
            impressions,
            clicks,
            auc,
            auc_error: 0.0,
            gauc: interval(GAUC),
            users_ranked: sample.users.groups.len(),
            users_one_class: sample.users.one_class,
            log_loss: interval(LOG_LOSS),
            normalized_entropy: interval(ENTROPY),
            ece: interval(ECE).map(centred),
            predicted_over_actual: interval(RATIO),
        }
    }

    /// Relative information gain, `1 - NE`; a hundred times it is Twitter's RCE.
    pub fn information_gain(&self) -> Option<Estimate> {
        let entropy = self.normalized_entropy?;
        Some(Estimate { value: 1.0 - entropy.value, low: 1.0 - entropy.high, high: 1.0 - entropy.low })
    }
}

impl Differences {
    /// Measures by how much `second` predicts otherwise than `first.predicted`, row by row and sample by sample.
    pub fn of(first: Outcomes<'_>, second: &[f32]) -> Self {
        let bags = Bags::new(first.predicted.len(), first.users);
        let samples = [first, Outcomes { predicted: second, ..first }]
            .map(|of| Sample::new(of, &rows_by_score(of.predicted), &bags));
        let [a, b] = samples.each_ref().map(|sample| sample.rounds(&bags));
        let once = vec![1; bags.count];
        let [whole_a, whole_b] = samples.each_ref().map(|sample| sample.numbers(&once));
        let paired = |place: usize| {
            let [low, high] = middle(a.iter().zip(&b).map(|(a, b)| b[place] - a[place]))?;
            let value = whole_b[place] - whole_a[place];
            value.is_finite().then_some(Estimate { value, low, high })
        };
        Self {
            auc: auc_difference(first.predicted, second, first.labels, first.weights),
            gauc: paired(GAUC),
            log_loss: paired(LOG_LOSS),
            normalized_entropy: paired(ENTROPY),
            ece: paired(ECE),
            predicted_over_actual: paired(RATIO),
        }
    }
}

impl Outcomes<'_> {
    fn totals(&self) -> (f64, f64) {
        let mut totals = (0.0, 0.0);
        for (row, label) in self.labels.iter().enumerate() {
            let weight = self.weight(row);
            totals.0 += weight;
            totals.1 += weight * f64::from(*label).clamp(0.0, 1.0);
        }
        totals
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.get(row).map_or(1.0, |&w| f64::from(w))
    }
}

/// The resampled numbers by place; NaN where a sample cannot support one.
type Numbers = [f64; 5];
const LOG_LOSS: usize = 0;
const ENTROPY: usize = 1;
const ECE: usize = 2;
const RATIO: usize = 3;
const GAUC: usize = 4;

/// The interval of what could be computed: a sample without a click has no entropy and is passed over.
fn middle(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    percentiles(values.filter(|value| value.is_finite()).collect())
}

/// A mean of absolute gaps is larger in resamples than in truth, so its interval is turned around the estimate
/// (the basic bootstrap, Davison & Hinkley 1997, section 2.4).
fn centred(percentile: Estimate) -> Estimate {
    let Estimate { value, low, high } = percentile;
    Estimate { value, low: (2.0 * value - high).max(0.0), high: (2.0 * value - low).max(value) }
}

/// Sums over rows.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    weight: f64,
    clicks: f64,
    predicted: f64,
    loss: f64,
}

impl Sums {
    fn add(&mut self, times: f64, other: &Self) {
        self.weight += times * other.weight;
        self.clicks += times * other.clicks;
        self.predicted += times * other.predicted;
        self.loss += times * other.loss;
    }
}

/// Everything that a resample needs to know of the rows.
struct Sample {
    /// Sums of each bag.
    sums: Vec<Sums>,
    /// Predicted less actual clicks of each bag's rows by bin of the calibration error.
    gaps: Vec<[f64; ECE_BINS]>,
    /// The ranked users.
    users: GroupedAuc,
    /// `sum n AUC` and `sum n` of each bag's users; empty without users.
    ranked: Vec<[f64; 2]>,
}

impl Sample {
    fn new(outcomes: Outcomes<'_>, order: &[u32], bags: &Bags) -> Self {
        let Outcomes { predicted, labels, weights, users } = outcomes;
        let rows = predicted.len().min(labels.len());
        let is_known = !predicted.iter().any(|p| p.is_nan());
        let bins = calibration::bins_of_ranked(order, predicted, weights, ECE_BINS);
        let bins = bins.filter(|_| is_known).unwrap_or_default();
        let mut sums = vec![Sums::default(); bags.count];
        let mut gaps = vec![[0.0; ECE_BINS]; bags.count];
        for (row, bin) in bins.iter().enumerate().take(rows) {
            let (weight, p) = (outcomes.weight(row), f64::from(predicted[row]));
            let clicks = weight * f64::from(labels[row]).clamp(0.0, 1.0);
            let loss = -(clicks * bounded(p).ln() + (weight - clicks) * (-bounded(p)).ln_1p());
            let bag = bags.of_row[row] as usize;
            sums[bag].add(1.0, &Sums { weight, clicks, predicted: weight * p, loss });
            gaps[bag][*bin as usize] += weight * p - clicks;
        }
        let users = if users.is_empty() {
            GroupedAuc::default()
        } else {
            GroupedAuc::of(predicted, labels, weights, users).unwrap_or_default()
        };
        Self { sums, gaps, ranked: ranked_by_bag(&users, outcomes.users, bags), users }
    }

    fn rounds(&self, bags: &Bags) -> Vec<Numbers> {
        bags.resample(|times| self.numbers(times))
    }

    /// The numbers of a sample in which each bag stands so many times.
    fn numbers(&self, times: &[u32]) -> Numbers {
        let mut all = Sums::default();
        let mut bins = [0.0; ECE_BINS];
        for ((times, sums), gaps) in
            times.iter().zip(&self.sums).zip(&self.gaps).filter(|((t, _), _)| **t > 0)
        {
            let times = f64::from(*times);
            all.add(times, sums);
            bins.iter_mut().zip(gaps).for_each(|(bin, gap)| *bin += times * gap);
        }
        let gaps: f64 = bins.iter().map(|gap| gap.abs()).sum();
        let loss = all.loss / all.weight;
        let (mut pairs, mut ranked) = (0.0, 0.0);
        for (times, [sum, weight]) in times.iter().zip(&self.ranked) {
            pairs += f64::from(*times) * sum;
            ranked += f64::from(*times) * weight;
        }
        let entropy = calibration::entropy(all.clicks / all.weight);
        let ratio = if all.clicks > 0.0 { all.predicted / all.clicks } else { f64::NAN };
        [loss, entropy.map_or(f64::NAN, |entropy| loss / entropy), gaps / all.weight, ratio, pairs / ranked]
    }
}

fn ranked_by_bag(users: &GroupedAuc, of_rows: &[u32], bags: &Bags) -> Vec<[f64; 2]> {
    if users.groups.is_empty() {
        return Vec::new();
    }
    let known = of_rows.iter().filter(|user| **user != NO_GROUP).max();
    let mut bag_of = vec![0; known.map_or(0, |user| *user as usize + 1)];
    for (user, bag) in of_rows.iter().zip(&bags.of_row) {
        if let Some(of_user) = bag_of.get_mut(*user as usize) {
            *of_user = *bag;
        }
    }
    let mut ranked = vec![[0.0; 2]; bags.count];
    for group in &users.groups {
        let bag = &mut ranked[bag_of[group.group as usize] as usize];
        bag[0] += group.weight * group.auc;
        bag[1] += group.weight;
    }
    ranked
}

#[cfg(test)]
mod tests {
    use super::super::ranking::auc;
    use super::*;
    use crate::base::rng::Rng;

    /// Rows of users with tastes of their own; clicks are drawn from the predictions themselves.
    fn drawn(rows: usize, users: usize, seed: u64) -> (Vec<f32>, Vec<f32>, Vec<u32>) {
        let mut rng = Rng::named(seed, "measures test");
        let taste: Vec<f64> = (0..users).map(|_| 0.02 + 0.3 * rng.uniform().powi(2)).collect();
        let mut out = (vec![], vec![], vec![]);
        for _ in 0..rows {
            let user = rng.below(users);
            let p = (taste[user] * (0.5 + rng.uniform())).min(0.95);
            out.0.push(p as f32);
            out.1.push(f32::from(rng.chance(p)));
            out.2.push(user as u32);
        }
        out
    }

    #[test]
    fn identities_of_the_trade_hold() {
        let (predicted, labels, users) = drawn(6_000, 150, 1);
        let rate = labels.iter().sum::<f32>() / labels.len() as f32;
        let constant = vec![rate; labels.len()];
        let of =
            |predicted, users| Measures::of(Outcomes { predicted, labels: &labels, weights: &[], users });
        let base = of(&constant, &users[..]);
        // NE of the base rate is 1, its information gain 0, its ratio 1, its AUC one half.
        assert!((base.normalized_entropy.unwrap().value - 1.0).abs() < 1e-6);
        assert!(base.information_gain().unwrap().value.abs() < 1e-6);
        assert!((base.predicted_over_actual.unwrap().value - 1.0).abs() < 1e-6);
        assert!(base.ece.unwrap().value < 1e-6);
        assert_eq!((base.auc.unwrap().value, base.gauc.unwrap().value), (0.5, 0.5));
        // One user: gAUC is AUC, and no interval can be had from a single bag's resamples but the point itself.
        let same = vec![3; labels.len()];
        let one = of(&predicted, &same);
        assert!((one.gauc.unwrap().value - auc(&predicted, &labels, &[]).unwrap()).abs() < 1e-12);
        // The truth is calibrated: the ratio is 1 within its interval.
        let truth = of(&predicted, &users[..]);
        assert!(!truth.predicted_over_actual.unwrap().excludes(1.0), "{truth:?}");
        assert!(truth.ece.unwrap().low < 0.01 && truth.auc_error == 0.0);
        assert_eq!(truth.users_ranked + truth.users_one_class, 150);
        assert_eq!((truth.rows, truth.impressions), (6_000, 6_000.0));
        // The formula for gAUC over users and the resampled interval agree.
        let formula = GroupedAuc::of(&predicted, &labels, &[], &users).unwrap().estimate().unwrap();
        let drawn = truth.gauc.unwrap();
        let width = |e: Estimate| e.high - e.low;
        assert!((width(drawn) / width(formula) - 1.0).abs() < 0.2, "{drawn:?} {formula:?}");
    }

    #[test]
    fn points_are_those_of_the_plain_functions() {
        let (predicted, labels, users) = drawn(3_000, 60, 2);
        let weights: Vec<f32> = (0..3_000).map(|row| (1 + row % 3) as f32).collect();
        let found = Measures::of(Outcomes {
            predicted: &predicted,
            labels: &labels,
            weights: &weights,
            users: &users,
        });
        let near = |found: Option<Estimate>, plain: Option<f64>| {
            let (found, plain) = (found.unwrap(), plain.unwrap());
            assert!((found.value - plain).abs() < 1e-9, "{found:?} {plain}");
            assert!(found.low <= found.value && found.value <= found.high, "{found:?}");
        };
        near(found.log_loss, calibration::log_loss(&predicted, &labels, &weights));
        near(found.normalized_entropy, calibration::normalized_entropy(&predicted, &labels, &weights));
        near(found.ece, calibration::ece(&predicted, &labels, &weights, ECE_BINS));
        let ratio = calibration::predicted_over_actual(&predicted, &labels, &weights);
        near(found.predicted_over_actual, ratio.map(|ratio| ratio.value));
        near(found.auc, auc(&predicted, &labels, &weights));
    }

    #[test]
    fn resampled_intervals_cover_the_truth_as_often_as_they_say() {
        // 60 logs without users: the expected log loss under the truth is that of the predictions' own entropy.
        let mut covered = 0;
        for seed in 0..60 {
            let (predicted, labels, _) = drawn(1_500, 40, 100 + seed);
            let found =
                Measures::of(Outcomes { predicted: &predicted, labels: &labels, ..Outcomes::default() });
            let expected = predicted.iter().filter_map(|p| calibration::entropy(f64::from(*p))).sum::<f64>()
                / predicted.len() as f64;
            covered += u32::from(!found.log_loss.unwrap().excludes(expected));
        }
        // Binomial(60, 0.95): fewer than 51 has a chance of 0.1 %.
        assert!(covered >= 51, "{covered} of 60");
    }

    #[test]
    fn differences_are_paired_and_of_a_model_to_itself_none() {
        let (predicted, labels, users) = drawn(4_000, 100, 3);
        let first = Outcomes { predicted: &predicted, labels: &labels, weights: &[], users: &users };
        let none = Differences::of(first, &predicted);
        for difference in [none.auc, none.gauc, none.log_loss, none.ece, none.predicted_over_actual] {
            assert_eq!(difference, Some(Estimate { value: 0.0, low: 0.0, high: 0.0 }));
        }
        let mut rng = Rng::named(4, "noise");
        let noisy: Vec<f32> =
            predicted.iter().map(|p| (f64::from(*p) * (0.6 * rng.normal()).exp()).min(0.99) as f32).collect();
        let worse = Differences::of(first, &noisy);
        assert!(worse.log_loss.unwrap().low > 0.0 && worse.auc.unwrap().high < 0.0, "{worse:?}");
        // Paired intervals are narrower than those of two samples apart.
        let width = |e: Option<Estimate>| e.map(|e| e.high - e.low).unwrap();
        assert!(width(worse.log_loss) < width(Measures::of(first).log_loss), "{worse:?}");
    }

    #[test]
    fn rows_that_cannot_tell_say_nothing() {
        let none = Measures::of(Outcomes::default());
        assert_eq!((none.rows, none.auc, none.log_loss), (0, None, None));
        let negatives = Outcomes { predicted: &[0.1, 0.2], labels: &[0.0, 0.0], ..Outcomes::default() };
        let found = Measures::of(negatives);
        assert_eq!((found.auc, found.normalized_entropy, found.predicted_over_actual), (None, None, None));
        assert!(found.log_loss.is_some() && found.clicks == 0.0);
    }
}
