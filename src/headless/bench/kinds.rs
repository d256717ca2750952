//! Which kind of model comes how near to the truth? Every kind with its defaults on the same sample log, over several seeds
//! of the weights, beside the true probabilities that the log was drawn from.

use super::{BenchRow, sample_log};
use crate::base::{Failure, Result};
use crate::data::{EncodeOptions, dataset};
use crate::insight::evaluation::evaluate;
use crate::jobs::{JobContext, Latest};
use crate::metrics::ratio::student_95;
use crate::models::MODELS;
use crate::train::{TrainSpec, fit};
use std::time::Instant;

/// Trainings of each kind.
pub const SEEDS: u64 = 5;

/// Mean AUC of each kind on the test rows, best first, as a share of the truth's own.
///
/// # Errors
/// A full disk, a cancel.
pub fn kinds(rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let log = sample_log(rows, context)?;
    let prepared = dataset::prepare(&log, &EncodeOptions::default(), context)?;
    let mut figures = Vec::new();
    for kind in MODELS.iter().filter(|kind| kind.check(&prepared.encoder).is_ok()) {
        let (mut aucs, mut truth, mut seconds, mut weights) = (Vec::new(), None, 0.0, 0);
        for seed in 1..=SEEDS {
            context.stage(&format!("{}, seed {seed} of {SEEDS}", kind.label()));
            let mut spec = TrainSpec::new(kind.id())?;
            spec.set("seed", &seed.to_string())?;
            spec.set("device", "cpu")?;
            let begun = Instant::now();
            let model = fit(&prepared, &spec, &Latest::default(), context)?;
            seconds += begun.elapsed().as_secs_f64() / SEEDS as f64;
            weights = model.card.training.weights;
            let judged = evaluate(&model, &prepared, &prepared.test, context)?;
            aucs.push(judged.scores.auc.value);
            truth = judged.scores.auc_of_truth;
        }
        let truth =
            truth.ok_or_else(|| Failure::new("cannot compare the kinds", "the sample has no truth"))?;
        let (mean, half) = mean_and_half(&aucs);
        let spread = format!("{} to {}", short(mean - half), short(mean + half));
        figures.push(BenchRow {
            work: format!("{}: {spread}, {seconds:.1} s, {weights} weights", kind.id()),
            ours: mean,
            unit: "AUC",
            rival: Some("the truth's AUC".to_owned()),
            rival_value: Some(truth.value),
            ratio: Some(mean / truth.value),
            reach: None,
            met: None,
        });
    }
    figures.sort_by(|a, b| b.ours.total_cmp(&a.ours));
    Ok(figures)
}

/// Mean over the seeds and half of its 95 % interval by Student's t; 0 where all are the same.
fn mean_and_half(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, student_95(n - 1.0) * (variance / n).sqrt())
}

fn short(value: f64) -> String {
    format!("{value:.4}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_five_seeds_is_student_s() {
        // Mean 3, standard deviation sqrt(2.5), t of 4 degrees of freedom 2.776: 2.776 * sqrt(0.5) = 1.963.
        let (mean, half) = mean_and_half(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!((mean - 3.0).abs() < 1e-12 && (half - 1.963).abs() < 0.004, "{half}");
    }
}
