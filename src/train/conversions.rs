//! What does training do about the second task? It starts at the conversion rate, is calibrated, and is measured.

use super::objective::Objective;
use super::trained::SCORE_ROWS;
use super::trainer::Happened;
use crate::base::{Failure, Result};
use crate::data::Dataset;
use crate::data::dataset::take_known;
use crate::jobs::JobContext;
use crate::metrics::{Measures, calibration};
use crate::models::{ModelKind, Network};

/// Refuses what a second task cannot be trained with.
///
/// # Errors
/// Clicks are weighted, left out or smoothed: clicks with conversions would be learnt on another scale. No conversion,
/// or nothing else, among the clicks of the training rows.
pub fn check(kind: &dyn ModelKind, dataset: &Dataset, objective: &Objective) -> Result<()> {
    if !kind.learns_conversions() {
        return Ok(());
    }
    let what = format!("cannot train {}", kind.id());
    let plain = objective.positive_weight == 1.0 && objective.keep_negatives >= 1.0;
    if !plain || objective.label_smoothing > 0.0 {
        let why = "it multiplies click and conversion rates, so clicks must be learnt as they are in the log";
        return Err(Failure::new(what, why).hint("positive_weight=1, keep_negatives=1 and label_smoothing=0"));
    }
    match rate(dataset) {
        Some(rate) if rate > 0.0 && rate < 1.0 => Ok(()),
        found => {
            let all = if found == Some(1.0) { "all of them" } else { "none" };
            let why =
                format!("of the clicks in the training rows {all} converted: there is nothing to tell apart");
            Err(Failure::new(what, why).hint("a longer log, another conversion column, or deep_fm"))
        }
    }
}

/// The share of clicks with a conversion in the training rows; `None` where conversions or clicks are not known.
pub fn rate(dataset: &Dataset) -> Option<f64> {
    let known = !dataset.conversion.is_empty() && !dataset.label.is_empty();
    let rows = dataset.train.iter().map(|row| *row as usize).filter(|_| known);
    let (mut clicks, mut converted) = (0.0, 0.0);
    for row in rows {
        let weight = dataset.weight.get(row).copied().map_or(1.0, f64::from);
        clicks += weight * f64::from(dataset.label[row]);
        converted += weight * f64::from(dataset.conversion[row]);
    }
    (clicks > 0.0).then(|| converted / clicks)
}

/// Probabilities of a conversion given a click for some rows; `None` for kinds that do not learn them.
///
/// # Errors
/// Cancelled, or the device fails.
pub fn predict(
    network: &Network,
    dataset: &Dataset,
    rows: &[u32],
    context: &JobContext,
) -> Result<Option<Vec<f32>>> {
    let mut predicted = Vec::with_capacity(rows.len());
    for rows in rows.chunks(SCORE_ROWS) {
        context.check()?;
        let Some(part) = network.predict_conversions(&dataset.batch(rows))? else { return Ok(None) };
        predicted.extend(part);
    }
    Ok(Some(predicted))
}

/// Moves the average conversion rate to that of the clicked rows among `rows`. Returns what was added to its log odds.
///
/// # Errors
/// As for [`predict`].
pub fn calibrate(
    network: &mut Network,
    dataset: &Dataset,
    rows: &[u32],
    prior_deviation: f64,
    context: &JobContext,
) -> Result<Option<f64>> {
    if dataset.conversion.is_empty() {
        return Ok(None);
    }
    let clicked: Vec<u32> = rows.iter().copied().filter(|row| dataset.label[*row as usize] > 0.0).collect();
    let Some(predicted) = predict(network, dataset, &clicked, context)? else { return Ok(None) };
    let log_odds: Vec<f32> = predicted.iter().map(|p| (p / (1.0 - p)).ln()).collect();
    let (converted, weights) =
        (take_known(&dataset.conversion, &clicked), take_known(&dataset.weight, &clicked));
    let shift = calibration::intercept_shift(&log_odds, &converted, &weights, prior_deviation);
    if let Some(shift) = shift {
        network.shift_conversions(shift)?;
    }
    Ok(shift)
}

/// Measures the probabilities of a click with a conversion on some rows, of which `clicks` are those of the click.
///
/// # Errors
/// As for [`predict`].
pub fn measured(
    network: &Network,
    dataset: &Dataset,
    rows: &[u32],
    clicks: &[f32],
    context: &JobContext,
) -> Result<Option<Measures>> {
    if dataset.conversion.is_empty() {
        return Ok(None);
    }
    let Some(mut predicted) = predict(network, dataset, rows, context)? else { return Ok(None) };
    predicted.iter_mut().zip(clicks).for_each(|(conversion, click)| *conversion *= click);
    let mut happened = Happened::of(dataset, rows);
    happened.labels = take_known(&dataset.conversion, rows);
    Ok(Some(Measures::of(happened.beside(&predicted))))
}
