//! Which of all models is the best, surely, and at what cost? All on the same rows; every difference is to the leader.

use super::comparison::{Comparison, compare_scored, has_same_rows, judged_rows};
use crate::base::{Failure, Result};
use crate::data::dataset::take_known;
use crate::data::{Dataset, Split};
use crate::jobs::JobContext;
use crate::metrics::ab_test::holm;
use crate::metrics::ranking::auc;
use crate::metrics::significance::p_of_z;
use crate::metrics::{Differences, Estimate, Measures};
use crate::train::TrainedModel;
use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Instant;

/// Models ranked by AUC on one part of a log, best first.
#[derive(Debug, Clone)]
pub struct Leaderboard {
    /// Best first.
    pub entries: Vec<Entry>,
    /// Models that cannot stand here, by their place among those asked for, and why.
    pub left_out: Vec<(usize, String)>,
    /// Rows that all were measured on.
    pub rows: usize,
}

/// One model.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place among the models asked for.
    pub place: usize,
    /// The model.
    pub model: Arc<TrainedModel>,
    /// How good it is.
    pub measures: Measures,
    /// How much higher its numbers are than the leader's.
    pub differences: Differences,
    /// Chance of such a difference in AUC to the leader, corrected for all that were compared (Holm); `None` for the
    /// leader itself.
    pub p: Option<f64>,
    /// What it costs.
    pub cost: Cost,
    /// True when no other model is at least as good, as quick to train and as small, and better in one of these.
    pub on_front: bool,
}

/// What a model costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Seconds of training.
    pub training_s: f64,
    /// Bytes of its weights.
    pub bytes: f64,
    /// Bytes that its training held beside the log; `None` for models of a time when this was not told.
    pub memory: Option<f64>,
    /// Rows that it scored in a second, here and now.
    pub scored_per_s: f64,
}

/// Scores the same rows with every model and ranks the models.
///
/// `datasets` holds the log as each model reads it, or why it cannot.
///
/// # Errors
/// Fewer than two models that can be measured on the same rows, or a cancel.
pub fn leaderboard(
    models: &[Arc<TrainedModel>],
    datasets: &[Result<&Dataset>],
    split: Split,
    context: &JobContext,
) -> Result<Leaderboard> {
    let mut left_out = Vec::new();
    let mut able: Vec<(usize, &Dataset)> = Vec::new();
    for (place, dataset) in datasets.iter().enumerate() {
        let first = able.first().map(|(_, dataset)| *dataset);
        match dataset {
            Err(failure) => left_out.push((place, failure.to_string())),
            Ok(dataset) if first.is_some_and(|first| !has_same_rows(first, dataset, split)) => {
                left_out.push((place, "it would be measured on other rows of the log".to_owned()));
            }
            Ok(dataset) => able.push((place, dataset)),
        }
    }
    if able.len() < 2 {
        return Err(Failure::new(
            "cannot rank the models",
            "fewer than two can be measured on the same rows",
        )
        .hint("train two models or more on the open log"));
    }
    let read: Vec<&Dataset> = able.iter().map(|(_, dataset)| *dataset).collect();
    let (first, rows) = judged_rows(&read, split)?;
    let (labels, weights) = (take_known(&first.label, rows), take_known(&first.weight, rows));
    let mut scored = Vec::with_capacity(able.len());
    for (rank, (place, dataset)) in able.iter().enumerate() {
        context.stage(&format!("Scoring {} of {}", rank + 1, able.len()));
        let begun = Instant::now();
        let predicted = models[*place].predict(dataset, rows, context)?;
        let per_s = rows.len() as f64 / begun.elapsed().as_secs_f64().max(1e-9);
        scored.push((auc(&predicted, &labels, &weights).unwrap_or(0.0), (*place, per_s), predicted));
    }
    // The leader first: all differences are to it. Equal ones stay in their order.
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let places: Vec<(usize, f64)> = scored.iter().map(|(_, place, _)| *place).collect();
    let ranked = scored.into_iter().map(|(_, (place, _), predicted)| (Arc::clone(&models[place]), predicted));
    context.stage("judging");
    let compared = compare_scored(ranked.collect(), first, rows);
    Ok(Leaderboard { entries: entries(&compared, &places), left_out, rows: rows.len() })
}

fn entries(compared: &Comparison, places: &[(usize, f64)]) -> Vec<Entry> {
    let others = compared.models.iter().skip(1);
    let p: Vec<f64> = others.map(|one| one.differences.auc.map_or(1.0, p_of_difference)).collect();
    let mut corrected = holm(&p).into_iter();
    let mut entries: Vec<Entry> = compared
        .models
        .iter()
        .zip(places)
        .enumerate()
        .map(|(rank, (one, (place, scored_per_s)))| {
            let training = &one.model.card.training;
            Entry {
                place: *place,
                model: Arc::clone(&one.model),
                measures: one.measures,
                differences: one.differences,
                p: if rank == 0 { None } else { corrected.next() },
                cost: Cost {
                    training_s: training.seconds,
                    bytes: training.weights as f64 * size_of::<f32>() as f64,
                    memory: Some(training.memory_bytes as f64).filter(|bytes| *bytes > 0.0),
                    scored_per_s: *scored_per_s,
                },
                on_front: false,
            }
        })
        .collect();
    let marks: Vec<[f64; 3]> = entries
        .iter()
        .map(|entry| {
            let auc = entry.measures.auc.map_or(0.0, |auc| auc.value);
            [-auc, entry.cost.training_s, entry.cost.bytes]
        })
        .collect();
    for (entry, mark) in entries.iter_mut().zip(&marks) {
        entry.on_front = !marks.iter().any(|other| dominates(other, mark));
    }
    entries
}

/// Two-sided chance of a difference whose interval is normal.
fn p_of_difference(difference: Estimate) -> f64 {
    let error = difference.standard_error();
    if error > 0.0 { p_of_z(difference.value / error) } else { 1.0 }
}

/// True when `one` is nowhere more than `other` and somewhere less.
fn dominates(one: &[f64; 3], other: &[f64; 3]) -> bool {
    let orders = || one.iter().zip(other).map(|(one, other)| one.total_cmp(other));
    orders().all(Ordering::is_le) && orders().any(Ordering::is_lt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_beaten_in_all_is_not_on_the_front() {
        let (best, cheap, worse) = ([-0.8, 9.0, 9.0], [-0.7, 1.0, 9.0], [-0.6, 2.0, 9.0]);
        assert!(!dominates(&best, &cheap) && !dominates(&cheap, &best));
        assert!(dominates(&cheap, &worse));
        assert!(!dominates(&best, &best), "equal models stand side by side");
    }

    #[test]
    fn the_chance_of_a_difference_is_that_of_its_interval() {
        // An interval that ends at 0 is a chance of 5 %.
        let p = p_of_difference(Estimate { value: -0.01, low: -0.02, high: 0.0 });
        assert!((p - 0.05).abs() < 1e-4, "{p}");
        assert!((p_of_difference(Estimate { value: 0.0, low: -0.1, high: 0.1 }) - 1.0).abs() < 1e-12);
    }
}
