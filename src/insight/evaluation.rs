//! Are a model's probabilities any good on rows it has not seen? Numbers with intervals, and their curves.

use crate::base::{Failure, Result};
use crate::data::Dataset;
use crate::data::dataset::take_known;
use crate::jobs::JobContext;
use crate::metrics::bootstrap::Bags;
use crate::metrics::calibration::{self, ScoreBin};
use crate::metrics::ranking::{self, Cut};
use crate::metrics::threshold::{self, Confusion};
use crate::metrics::{Estimate, Measures, Outcomes, Rate};
use crate::train::TrainedModel;
use serde::{Deserialize, Serialize};

/// Points kept of each curve: more than a screen shows, less than a plot stumbles over.
const CURVE_POINTS: usize = 400;
/// Groups of the reliability diagram and of the calibration error.
const RELIABILITY_BINS: usize = 20;
/// Groups of the table by score.
const SCORE_GROUPS: usize = 10;
/// Bars of the score histogram.
const HISTOGRAM_BARS: usize = 40;

/// Predictions beside what happened, for one part of a log. All slices have one entry per row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scored<'a> {
    /// Predicted click probabilities.
    pub predicted: &'a [f32],
    /// Outcomes in `[0, 1]`.
    pub labels: &'a [f32],
    /// Impressions per row; empty means all 1.
    pub weights: &'a [f32],
    /// True click probabilities of a simulated log; empty otherwise.
    pub truth: &'a [f32],
    /// Who saw it, as codes; empty where the log names no users.
    pub users: &'a [u32],
}

/// Everything the curves panel shows about one model on one part of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Rows that were scored.
    pub rows: usize,
    /// Clicks, impressions and the click rate with its interval.
    pub clicks: Rate,
    /// The numbers.
    pub scores: Scores,
    /// The curves.
    pub curves: Curves,
    /// Predicted against actual in 20 groups of equal weight.
    pub reliability: Vec<ScoreBin>,
    /// Click rate in ten groups of equal weight, lowest score first.
    pub deciles: Vec<ScoreGroup>,
    /// How the scores are spread.
    pub histogram: Histogram,
    /// The cut with the highest F1.
    pub best_cut: Confusion,
}

/// The headline numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Every measure with its n and interval.
    pub measures: Measures,
    /// Area under the ROC curve (DeLong interval).
    pub auc: Estimate,
    /// AUC of the true probabilities on the same rows: nothing can be expected above it. Simulated logs only.
    pub auc_of_truth: Option<Estimate>,
    /// Area under the precision-recall curve.
    pub average_precision: f64,
    /// Log loss of the true probabilities on the same rows. Simulated logs only.
    pub log_loss_of_truth: Option<f64>,
}

/// Curves as `[x, y]` points, thinned to what a screen can show.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Curves {
    /// False positive rate against true positive rate.
    pub roc: Vec<[f64; 2]>,
    /// The same for the true probabilities; empty for a real log.
    pub roc_of_truth: Vec<[f64; 2]>,
    /// Recall against precision.
    pub precision_recall: Vec<[f64; 2]>,
    /// Share of impressions (best first) against share of clicks.
    pub cumulative_gain: Vec<[f64; 2]>,
    /// Clicks and non-clicks at or above scores, thinned the same way: what any threshold would select.
    #[serde(default)]
    pub cuts: Vec<Cut>,
}

/// One group of the table by score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoreGroup {
    /// Its predictions and its click rate.
    pub bin: ScoreBin,
    /// Click rate over the average click rate; the interval is that of the group's rate.
    pub lift: Estimate,
}

/// Impressions per band of predicted probability.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Histogram {
    /// Edges of the bars: one more than there are bars.
    pub edges: Vec<f64>,
    /// Impressions in each bar.
    pub counts: Vec<f64>,
}

/// Scores some rows of a log and judges the scores.
///
/// # Errors
/// The data set was encoded for another model, the job was cancelled, or what [`judge`] refuses.
pub fn evaluate(
    model: &TrainedModel,
    dataset: &Dataset,
    rows: &[u32],
    context: &JobContext,
) -> Result<Evaluation> {
    evaluate_in(model, dataset, rows, &mut None, context)
}

/// The same for one of several models on the same rows, which share what is drawn for the intervals: `known` is nothing
/// for the first of them.
///
/// # Errors
/// As for [`evaluate`].
pub fn evaluate_in(
    model: &TrainedModel,
    dataset: &Dataset,
    rows: &[u32],
    known: &mut Option<(Vec<u32>, Bags)>,
    context: &JobContext,
) -> Result<Evaluation> {
    context.stage("scoring");
    let predicted = model.predict(dataset, rows, context)?;
    context.stage("judging");
    let users = take_known(&dataset.users, rows);
    // Another model may have been trained on other rows of the log, or may not know its users.
    let (users, bags) =
        match known.take().filter(|(of, bags)| *of == users && bags.of_row.len() == rows.len()) {
            Some(known) => known,
            None => {
                let bags = Bags::new(rows.len(), &users);
                (users, bags)
            }
        };
    let scored = Scored {
        predicted: &predicted,
        labels: &take_known(&dataset.label, rows),
        weights: &take_known(&dataset.weight, rows),
        truth: &take_known(&dataset.truth, rows),
        users: &users,
    };
    let judged = judge_in(scored, &bags);
    *known = Some((users, bags));
    judged
}

/// What a model said before it was calibrated.
#[derive(Debug, Clone, PartialEq)]
pub struct BeforeCalibration {
    /// Every measure on the same rows.
    pub measures: Measures,
    /// Predicted against actual in 20 groups of equal weight.
    pub reliability: Vec<ScoreBin>,
}

/// Judges what a model said before it was calibrated; `None` for one that was not.
///
/// # Errors
/// As for [`evaluate`].
pub fn before_calibration(
    model: &TrainedModel,
    dataset: &Dataset,
    rows: &[u32],
    context: &JobContext,
) -> Result<Option<BeforeCalibration>> {
    if !model.is_calibrated() {
        return Ok(None);
    }
    context.stage("as it was before calibration");
    let predicted = model.predict_uncalibrated(dataset, rows, context)?;
    let (labels, weights) = (take_known(&dataset.label, rows), take_known(&dataset.weight, rows));
    let users = take_known(&dataset.users, rows);
    let outcomes = Outcomes { predicted: &predicted, labels: &labels, weights: &weights, users: &users };
    let reliability = calibration::reliability(&predicted, &labels, &weights, RELIABILITY_BINS);
    Ok(Some(BeforeCalibration {
        measures: Measures::of(outcomes),
        reliability: reliability.unwrap_or_default(),
    }))
}

/// Judges predictions against outcomes.
///
/// # Errors
/// No rows, lengths that differ, predictions that are no numbers, or outcomes of one kind only (no ranking
/// can be judged then).
pub fn judge(scored: Scored<'_>) -> Result<Evaluation> {
    judge_in(scored, &Bags::new(scored.predicted.len(), scored.users))
}

/// The same with the bags that are drawn for the intervals: several models on the same rows share them.
///
/// # Errors
/// As for [`judge`].
pub fn judge_in(scored: Scored<'_>, bags: &Bags) -> Result<Evaluation> {
    let Scored { predicted, labels, weights, truth, .. } = scored;
    check(scored)?;
    let order = ranking::rows_by_score(predicted);
    let cuts = ranking::cuts_of_ranked(&order, predicted, labels, weights).ok_or_else(one_class)?;
    let truth_cuts = (!truth.is_empty()).then(|| ranking::cuts(truth, labels, weights)).flatten();
    let clicks = cuts
        .last()
        .map_or_else(Rate::default, |last| Rate::wilson(last.positives, last.positives + last.negatives));
    let by_score = |bins| calibration::reliability_of_ranked(&order, predicted, labels, weights, bins);
    let deciles = by_score(SCORE_GROUPS);
    Ok(Evaluation {
        rows: predicted.len(),
        clicks,
        scores: scores(scored, (&order, &cuts), bags).ok_or_else(one_class)?,
        curves: curves(&cuts, truth_cuts.as_deref()),
        reliability: by_score(RELIABILITY_BINS).unwrap_or_default(),
        deciles: deciles
            .unwrap_or_default()
            .into_iter()
            .map(|bin| ScoreGroup { bin, lift: lift(&bin.actual, clicks.rate) })
            .collect(),
        histogram: histogram(predicted, weights),
        best_cut: threshold::best_f1(&cuts).ok_or_else(one_class)?,
    })
}

fn check(scored: Scored<'_>) -> Result<()> {
    let rows = scored.predicted.len();
    let refuse = |why: String| Err(Failure::new("cannot evaluate the model", why));
    if rows == 0 {
        return refuse("there are no rows in this part of the log".to_owned());
    }
    if scored.labels.is_empty() {
        return refuse("the log has no label to compare with".to_owned());
    }
    let fits = |values: &[f32]| values.is_empty() || values.len() == rows;
    let users = scored.users.len();
    if !(fits(scored.labels) && fits(scored.weights) && fits(scored.truth) && (users == 0 || users == rows)) {
        return refuse(format!("{rows} predictions, but other numbers of outcomes"));
    }
    let wrong = scored.predicted.iter().filter(|p| !(0.0..=1.0).contains(*p)).count();
    if wrong > 0 {
        return refuse(format!("{wrong} of {rows} predictions are no probabilities"));
    }
    Ok(())
}

fn one_class() -> Failure {
    Failure::new(
        "cannot evaluate the model",
        "this part of the log has only clicks or only non-clicks, so no ranking can be judged",
    )
    .hint("use a longer log, or another part of it")
}

fn scores(scored: Scored<'_>, (order, cuts): (&[u32], &[Cut]), bags: &Bags) -> Option<Scores> {
    let Scored { predicted, labels, weights, truth, users } = scored;
    let of_truth = (!truth.is_empty()).then_some(truth);
    let outcomes = Outcomes { predicted, labels, weights, users };
    let measures = Measures::of_ranked(outcomes, order, bags, ranking::auc_estimate_of_cuts(cuts));
    Some(Scores {
        measures,
        auc: measures.auc?,
        auc_of_truth: of_truth.and_then(|truth| ranking::auc_estimate(truth, labels, weights)),
        average_precision: ranking::average_precision_of_cuts(cuts)?,
        log_loss_of_truth: of_truth.and_then(|truth| calibration::log_loss(truth, labels, weights)),
    })
}

fn curves(cuts: &[Cut], truth: Option<&[Cut]>) -> Curves {
    Curves {
        roc: ranking::roc(cuts, CURVE_POINTS),
        roc_of_truth: truth.map_or_else(Vec::new, |cuts| ranking::roc(cuts, CURVE_POINTS)),
        precision_recall: ranking::precision_recall(cuts, CURVE_POINTS),
        cumulative_gain: ranking::cumulative_gain(cuts, CURVE_POINTS),
        cuts: ranking::thin_cuts(cuts, CURVE_POINTS),
    }
}

fn lift(actual: &Rate, average: f64) -> Estimate {
    Estimate { value: actual.rate / average, low: actual.low / average, high: actual.high / average }
}

/// Bars of equal width from 0 to the highest prediction.
fn histogram(predicted: &[f32], weights: &[f32]) -> Histogram {
    let highest = predicted.iter().copied().fold(0.0f32, f32::max);
    let width = f64::from(highest).max(f64::MIN_POSITIVE) / HISTOGRAM_BARS as f64;
    let mut counts = vec![0.0; HISTOGRAM_BARS];
    for (row, &p) in predicted.iter().enumerate() {
        let bar = ((f64::from(p) / width) as usize).min(HISTOGRAM_BARS - 1);
        counts[bar] += weights.get(row).map_or(1.0, |&w| f64::from(w));
    }
    Histogram { edges: (0..=HISTOGRAM_BARS).map(|i| width * i as f64).collect(), counts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    /// Clicks drawn from known probabilities: `p = 0.02 + 0.3 u^3`.
    fn drawn(rows: usize) -> (Vec<f32>, Vec<f32>) {
        let mut rng = Rng::named(7, "evaluation test");
        (0..rows)
            .map(|_| {
                let p = 0.02 + 0.3 * rng.uniform().powi(3);
                (p as f32, f32::from(rng.chance(p)))
            })
            .unzip()
    }

    #[test]
    fn the_truth_is_judged_calibrated() {
        let (truth, labels) = drawn(40_000);
        let judged =
            judge(Scored { predicted: &truth, labels: &labels, truth: &truth, ..Scored::default() }).unwrap();
        let scores = judged.scores;
        assert_eq!(Some(scores.auc), scores.auc_of_truth);
        let measures = scores.measures;
        assert!(!measures.predicted_over_actual.unwrap().excludes(1.0), "{scores:?}");
        assert!(measures.ece.unwrap().value < 0.01, "{scores:?}");
        assert!(measures.normalized_entropy.unwrap().high < 1.0, "{scores:?}");
        // Of 20 Wilson intervals at 95 % at most a few may miss.
        let misses = judged
            .reliability
            .iter()
            .filter(|bin| bin.predicted < bin.actual.low || bin.predicted > bin.actual.high)
            .count();
        assert!(misses <= 4, "{misses}");
        assert_eq!(judged.deciles.len(), 10);
        assert!(judged.deciles[9].lift.low > 1.5);
        assert_eq!(judged.histogram.counts.iter().sum::<f64>(), 40_000.0);
    }

    #[test]
    fn doubled_probabilities_are_caught() {
        let (truth, labels) = drawn(20_000);
        let doubled: Vec<f32> = truth.iter().map(|p| 2.0 * p).collect();
        let judged =
            judge(Scored { predicted: &doubled, labels: &labels, truth: &truth, ..Scored::default() })
                .unwrap();
        let measures = judged.scores.measures;
        assert!(measures.predicted_over_actual.unwrap().low > 1.7);
        assert_eq!(Some(judged.scores.auc), judged.scores.auc_of_truth);
        assert!(measures.log_loss.unwrap().low > judged.scores.log_loss_of_truth.unwrap());
    }

    #[test]
    fn what_cannot_be_judged_is_refused_with_its_reason() {
        let why = |predicted: &[f32], labels: &[f32]| {
            let scored = Scored { predicted, labels, ..Scored::default() };
            judge(scored).unwrap_err().why
        };
        assert!(why(&[], &[]).contains("no rows"));
        assert!(why(&[0.1], &[]).contains("no label"));
        assert!(why(&[0.1, 0.2], &[0.0, 0.0]).contains("only"));
        assert!(why(&[f32::NAN, 0.2], &[0.0, 1.0]).contains("no probabilities"));
    }
}
