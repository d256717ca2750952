//! Are the probabilities true? Log loss, normalised entropy, reliability bins, predicted against actual.
//!
//! Labels may be fractions and rows may have weights, as in [`ranking`](super::ranking).

use super::ranking::rows_by_score;
use super::rates::{Estimate, Rate};
use serde::{Deserialize, Serialize};

/// A group of rows with similar predictions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoreBin {
    /// Lowest prediction in the group.
    pub lowest: f64,
    /// Highest prediction in the group.
    pub highest: f64,
    /// Weighted mean of the predictions.
    pub predicted: f64,
    /// What happened, with its Wilson interval.
    pub actual: Rate,
}

/// Mean negative log likelihood in nats. `None` without rows or with a NaN.
///
/// A prediction is kept `f32::EPSILON` away from 0 and 1, as scikit-learn does for single precision, so one
/// sure mistake costs 15.9 nats and not infinity.
pub fn log_loss(predicted: &[f32], labels: &[f32], weights: &[f32]) -> Option<f64> {
    log_loss_estimate(predicted, labels, weights).map(|estimate| estimate.value)
}

/// Log loss of each row in nats from its log odds: `max(z, 0) - z y + ln(1 + e^-|z|)`.
pub fn losses(log_odds: &[f32], labels: &[f32]) -> Vec<f64> {
    let pairs = log_odds.iter().zip(labels).map(|(z, y)| (f64::from(*z), f64::from(*y)));
    pairs.map(|(z, y)| z.max(0.0) - z * y + (-z.abs()).exp().ln_1p()).collect()
}

/// [`log_loss`] with the normal 95 % interval of a mean; weights count as repeated rows.
pub fn log_loss_estimate(predicted: &[f32], labels: &[f32], weights: &[f32]) -> Option<Estimate> {
    let (mut total, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for row in Rows::new(predicted, labels, weights) {
        // The two outcomes of a fractional label are observations of their own.
        for (mass, loss) in [(row.clicks(), -row.bounded().ln()), (row.others(), -(-row.bounded()).ln_1p())] {
            total += mass;
            sum += mass * loss;
            squares += mass * loss * loss;
        }
    }
    let value = sum / total;
    let variance = (squares / total - value * value).max(0.0) / (total - 1.0).max(1.0);
    (total > 0.0 && value.is_finite()).then(|| Estimate::normal(value, variance.sqrt()))
}

/// Log loss over the entropy of the average click rate (He et al., ADKDD 2014): below 1 beats a constant.
///
/// `None` when all labels are equal (no entropy to compare with).
pub fn normalized_entropy(predicted: &[f32], labels: &[f32], weights: &[f32]) -> Option<f64> {
    let loss = log_loss(predicted, labels, weights)?;
    let (mut clicks, mut total) = (0.0, 0.0);
    for row in Rows::new(predicted, labels, weights) {
        clicks += row.clicks();
        total += row.weight;
    }
    Some(loss / entropy(clicks / total)?)
}

/// `-(r ln r + (1 - r) ln(1 - r))` in nats: the log loss of always saying `r` where `r` is the rate. `None` for 0, 1 and
/// what is no rate.
pub fn entropy(rate: f64) -> Option<f64> {
    (rate > 0.0 && rate < 1.0).then(|| -(rate * rate.ln() + (1.0 - rate) * (-rate).ln_1p()))
}

/// A probability kept `f32::EPSILON` away from 0 and 1.
pub fn bounded(predicted: f64) -> f64 {
    let edge = f64::from(f32::EPSILON);
    predicted.clamp(edge, 1.0 - edge)
}

/// Expected calibration error over `bins` groups of equal weight: `Σ share · |predicted - actual|`.
///
/// `None` without rows or with a NaN.
pub fn ece(predicted: &[f32], labels: &[f32], weights: &[f32], bins: usize) -> Option<f64> {
    let groups = reliability(predicted, labels, weights, bins)?;
    let total: f64 = groups.iter().map(|bin| bin.actual.trials).sum();
    let gap: f64 = groups.iter().map(|bin| bin.actual.trials * (bin.predicted - bin.actual.rate).abs()).sum();
    Some(gap / total)
}

/// Rows in at most `bins` groups of about equal weight by rising prediction.
///
/// Equal predictions stay together, so the groups do not depend on the order of the rows; many ties give
/// fewer groups. `None` without rows or with a NaN.
pub fn reliability(predicted: &[f32], labels: &[f32], weights: &[f32], bins: usize) -> Option<Vec<ScoreBin>> {
    if predicted.iter().any(|p| p.is_nan()) {
        return None;
    }
    reliability_of_ranked(&rows_by_score(predicted), predicted, labels, weights, bins)
}

/// [`reliability`] where the [order](rows_by_score) of the rows is known already.
pub fn reliability_of_ranked(
    order: &[u32],
    predicted: &[f32],
    labels: &[f32],
    weights: &[f32],
    bins: usize,
) -> Option<Vec<ScoreBin>> {
    let places = bins_of_ranked(order, predicted, weights, bins)?;
    let mut groups = vec![Gathered::default(); bins.max(1)];
    for (row, place) in Rows::new(predicted, labels, weights).zip(places) {
        groups[place as usize].add(row);
    }
    let filled: Vec<ScoreBin> = groups.iter().filter(|group| group.weight > 0.0).map(Gathered::bin).collect();
    (!filled.is_empty()).then_some(filled)
}

/// The bin of each row in at most `bins` groups of about equal weight by rising prediction; ties stay together. `order` is
/// that of [`rows_by_score`].
///
/// `None` without rows.
pub(super) fn bins_of_ranked(
    order: &[u32],
    predicted: &[f32],
    weights: &[f32],
    bins: usize,
) -> Option<Vec<u32>> {
    let weight = |row: u32| weights.get(row as usize).map_or(1.0, |&w| f64::from(w));
    let total: f64 = (0..predicted.len() as u32).map(weight).sum();
    if total.is_nan() || total <= 0.0 {
        return None;
    }
    let mut places = vec![0; predicted.len()];
    let mut before = 0.0;
    for ties in order.chunk_by(|a, b| predicted[*a as usize] == predicted[*b as usize]).rev() {
        let place = ((before * bins as f64 / total) as usize).min(bins.saturating_sub(1));
        for row in ties {
            places[*row as usize] = place as u32;
            before += weight(*row);
        }
    }
    Some(places)
}

/// Predicted clicks over actual clicks. The predictions are taken as given; the interval is that of the
/// actual rate (Wilson), turned over. `None` without a click or without rows.
pub fn predicted_over_actual(predicted: &[f32], labels: &[f32], weights: &[f32]) -> Option<Estimate> {
    let (mut expected, mut clicks, mut total) = (0.0, 0.0, 0.0);
    for row in Rows::new(predicted, labels, weights) {
        expected += row.weight * row.predicted;
        clicks += row.clicks();
        total += row.weight;
    }
    let actual = Rate::wilson(clicks, total);
    (clicks > 0.0 && expected.is_finite()).then(|| Estimate {
        value: expected / clicks,
        low: expected / (total * actual.high),
        high: expected / (total * actual.low),
    })
}

/// The number that, added to all log odds, brings predicted clicks as near to actual clicks as the rows can tell.
///
/// The maximum a posteriori intercept of a logistic regression with the log odds as offset and a normal prior
/// of mean 0 and standard deviation `prior`: many clicks move it all the way, a handful hardly at all.
/// `None` without rows or with a NaN.
pub fn intercept_shift(log_odds: &[f32], labels: &[f32], weights: &[f32], prior: f64) -> Option<f64> {
    let precision = 1.0 / (prior * prior);
    let mut shift = 0.0;
    // Newton on a convex function: a handful of steps from zero; the bound ends what a NaN would keep going.
    for _ in 0..50 {
        let (mut slope, mut curvature, mut total) = (shift * precision, precision, 0.0);
        for row in Rows::new(log_odds, labels, weights) {
            let p = 1.0 / (1.0 + (-(row.predicted + shift)).exp());
            slope += row.weight * (p - row.label);
            curvature += row.weight * p * (1.0 - p);
            total += row.weight;
        }
        if total <= 0.0 || !slope.is_finite() {
            return None;
        }
        let step = slope / curvature;
        // A prediction far from the truth makes the curve flat: no leap beyond what log odds can mean.
        shift -= step.clamp(-4.0, 4.0);
        if step.abs() < 1e-9 {
            return Some(shift);
        }
    }
    None
}

#[derive(Debug, Clone, Copy)]
struct Row {
    predicted: f64,
    label: f64,
    weight: f64,
}

impl Row {
    fn clicks(&self) -> f64 {
        self.weight * self.label
    }

    fn others(&self) -> f64 {
        self.weight * (1.0 - self.label)
    }

    fn bounded(&self) -> f64 {
        bounded(self.predicted)
    }
}

/// The three slices row by row.
struct Rows<'a> {
    pairs: std::iter::Enumerate<std::iter::Zip<std::slice::Iter<'a, f32>, std::slice::Iter<'a, f32>>>,
    weights: &'a [f32],
}

impl<'a> Rows<'a> {
    fn new(predicted: &'a [f32], labels: &'a [f32], weights: &'a [f32]) -> Self {
        Self { pairs: predicted.iter().zip(labels).enumerate(), weights }
    }
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let (place, (&predicted, &label)) = self.pairs.next()?;
        Some(Row {
            predicted: f64::from(predicted),
            label: f64::from(label).clamp(0.0, 1.0),
            weight: self.weights.get(place).map_or(1.0, |&w| f64::from(w)),
        })
    }
}

#[derive(Debug, Clone, Default)]
struct Gathered {
    range: Option<(f64, f64)>,
    predicted: f64,
    clicks: f64,
    weight: f64,
}

impl Gathered {
    fn add(&mut self, row: Row) {
        let p = row.predicted;
        self.range = Some(self.range.map_or((p, p), |(low, high)| (low.min(p), high.max(p))));
        self.predicted += row.weight * p;
        self.clicks += row.clicks();
        self.weight += row.weight;
    }

    fn bin(&self) -> ScoreBin {
        let (lowest, highest) = self.range.unwrap_or_default();
        ScoreBin {
            lowest,
            highest,
            predicted: self.predicted / self.weight,
            actual: Rate::wilson(self.clicks, self.weight),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_data::{close, distinct, scored};
    use super::*;

    /// 300 logs of 2,000 rows whose true chances are known and spread inside each band: the band's mean chance lies in its
    /// interval as often as 95 % say, over all bands and also in the lowest, where clicks are few.
    #[test]
    fn reliability_bands_cover_the_truth_at_their_level() {
        let mut rng = crate::base::rng::Rng::named(5, "reliability bands");
        let (mut covered, mut told) = ([0; 2], [0; 2]);
        for _ in 0..300 {
            let truth: Vec<f32> = (0..2_000).map(|_| (0.01 + 0.2 * rng.uniform().powi(2)) as f32).collect();
            let labels: Vec<f32> = truth.iter().map(|p| f32::from(rng.chance(f64::from(*p)))).collect();
            // The model is wrong everywhere but keeps the order, so the truth of a band is the mean over its rows.
            let predicted: Vec<f32> = truth.iter().map(|p| 2.0 * p).collect();
            for (place, bin) in reliability(&predicted, &labels, &[], 10).unwrap().iter().enumerate() {
                let chance = 0.5 * bin.predicted;
                let inside = chance >= bin.actual.low && chance <= bin.actual.high;
                let of = usize::from(place == 0);
                covered[of] += usize::from(inside);
                told[of] += 1;
            }
        }
        let share = |of: usize| covered[of] as f64 / told[of] as f64;
        assert!((0.94..0.965).contains(&share(0)), "{}", share(0));
        // Wilson's interval of a handful of clicks covers between 92 and 99 % (Brown, Cai & DasGupta 2001).
        assert!((0.92..0.99).contains(&share(1)), "{}", share(1));
    }

    #[test]
    fn log_loss_matches_scikit_learn() {
        let (scores, labels, weights) = scored();
        // scikit-learn 1.9.1: log_loss on the rows of `test_data`; it takes the logarithms in single precision.
        close(log_loss(&scores, &labels, &[]), SKLEARN_LOSS, 1e-7);
        close(log_loss(&scores, &labels, &weights), SKLEARN_LOSS_WEIGHTED, 1e-7);
    }

    #[test]
    fn log_loss_stays_finite_for_a_sure_mistake() {
        close(log_loss(&[0.0], &[1.0], &[]), 15.942_385_152, 1e-6);
        assert_eq!(log_loss(&[], &[], &[]), None);
        assert_eq!(log_loss(&[f32::NAN], &[1.0], &[]), None);
    }

    #[test]
    fn a_constant_at_the_base_rate_has_entropy_one() {
        let labels = [1.0, 0.0, 0.0, 0.0];
        close(normalized_entropy(&[0.25; 4], &labels, &[]), 1.0, 1e-7);
        assert_eq!(normalized_entropy(&[0.5; 2], &[1.0, 1.0], &[]), None);
    }

    #[test]
    fn ece_matches_numpy_on_distinct_scores() {
        let (scores, labels) = distinct();
        // numpy: argsort, array_split into 10, sum of |mean p - mean y| * n_bin / n.
        close(ece(&scores, &labels, &[], 10), NUMPY_ECE, 1e-7);
        let bins = reliability(&scores, &labels, &[], 10).unwrap();
        assert!(bins.iter().all(|bin| bin.actual.trials == 50.0), "{bins:?}");
    }

    #[test]
    fn ties_stay_in_one_bin_whatever_the_order() {
        let bins = reliability(&[0.3; 7], &[1.0; 7], &[], 5).unwrap();
        assert_eq!((bins.len(), bins[0].actual.trials), (1, 7.0));
    }

    #[test]
    fn predicted_over_actual_turns_wilson_over() {
        let mut labels = vec![0.0; 100];
        labels[..10].fill(1.0);
        let ratio = predicted_over_actual(&[0.12; 100], &labels, &[]).unwrap();
        assert!((ratio.value - 1.2).abs() < 1e-6);
        // Wilson for 10 of 100 is (0.0552, 0.1744) (statsmodels).
        assert!((ratio.low - 12.0 / 17.436_602).abs() < 1e-5, "{ratio:?}");
        assert!((ratio.high - 12.0 / 5.522_913).abs() < 1e-5, "{ratio:?}");
        assert_eq!(predicted_over_actual(&[0.1], &[0.0], &[]), None);
    }

    #[test]
    fn the_shift_is_the_difference_of_log_odds_where_rows_are_many() {
        // 200 rows at odds 1:1 of which 50 are clicks: without a prior the answer is ln(1/3).
        let labels: Vec<f32> = (0..200).map(|row| f32::from(u8::from(row < 50))).collect();
        let free = intercept_shift(&[0.0; 200], &labels, &[], 1e6).unwrap();
        assert!((free + 3.0_f64.ln()).abs() < 1e-8, "{free}");
        // Weights count as repeated rows.
        let weighted = intercept_shift(&[0.0, 0.0], &[1.0, 0.0], &[50.0, 150.0], 1e6).unwrap();
        assert!((weighted - free).abs() < 1e-8);
        // With a prior the slope at the answer is zero: sum(p - y) = -shift / prior^2.
        let held = intercept_shift(&[0.0; 200], &labels, &[], 0.1).unwrap();
        let p = 1.0 / (1.0 + (-held).exp());
        assert!((200.0 * p - 50.0 + held / 0.01).abs() < 1e-6 && held > free && held < 0.0, "{held}");
        assert_eq!(intercept_shift(&[], &[], &[], 0.1), None);
        assert_eq!(intercept_shift(&[f32::NAN], &[1.0], &[], 0.1), None);
    }

    #[test]
    fn a_shift_is_found_from_far_away() {
        let far = intercept_shift(&[30.0; 100], &[0.0; 100], &[], 10.0).unwrap();
        assert!(far < -30.0, "{far}");
    }

    const SKLEARN_LOSS: f64 = 0.499_897_956_848_144_5;
    const SKLEARN_LOSS_WEIGHTED: f64 = 0.510_564_536_840_708_1;
    const NUMPY_ECE: f64 = 0.175_25;
}
