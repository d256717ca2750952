//! What does a smaller model cost? Quality, size and speed of both, on the same rows.

use crate::base::{Failure, Result};
use crate::data::dataset::take_known;
use crate::data::{Dataset, Split};
use crate::jobs::JobContext;
use crate::metrics::{Differences, Measures, Outcomes};
use crate::train::TrainedModel;
use serde::Serialize;
use std::time::Instant;

/// Rows that scoring is timed on at most.
const TIMED: usize = 20_000;
/// Passes of which the fastest counts: others may have run beside the slower ones.
const PASSES: usize = 5;

/// A model beside the one that it was made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compression {
    /// Test rows that both are measured on.
    pub rows: usize,
    /// The model as it was.
    pub before: Side,
    /// The smaller one.
    pub after: Side,
    /// How much higher the smaller one's numbers are on the same rows.
    pub differences: Differences,
}

/// One of the two.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// The kind.
    pub kind: String,
    /// Bytes of the weights' file.
    pub bytes: u64,
    /// Rows that it scores in a second, in batches.
    pub rows_per_second: f64,
    /// How good it is.
    pub measures: Measures,
}

/// Measures both.
///
/// # Errors
/// No test rows with outcomes, another encoder, or a cancel.
pub fn compression(
    [before, after]: [&TrainedModel; 2],
    dataset: &Dataset,
    context: &JobContext,
) -> Result<Compression> {
    let rows = dataset.rows_of(Split::Test);
    if rows.is_empty() || dataset.label.is_empty() {
        return Err(Failure::new("cannot measure the compression", "the log has no test rows with outcomes")
            .hint("a log with outcomes, split by time"));
    }
    let (labels, weights) = (take_known(&dataset.label, rows), take_known(&dataset.weight, rows));
    let users = take_known(&dataset.users, rows);
    context.stage("measuring both models");
    let then = before.predict(dataset, rows, context)?;
    let now = after.predict(dataset, rows, context)?;
    let outcomes = |predicted| Outcomes { predicted, labels: &labels, weights: &weights, users: &users };
    let differences = Differences::of(outcomes(&then), &now);
    let measures = [&then, &now].map(|predicted| Measures::of(outcomes(predicted)));
    let timed = &rows[..rows.len().min(TIMED)];
    let mut fastest = [f64::INFINITY; 2];
    // In turns, so that what runs beside slows both.
    for _ in 0..PASSES {
        for (model, fastest) in [before, after].into_iter().zip(&mut fastest) {
            let begun = Instant::now();
            model.predict(dataset, timed, context)?;
            *fastest = fastest.min(begun.elapsed().as_secs_f64());
        }
    }
    let side = |model: &TrainedModel, measures, seconds: f64| Side {
        kind: model.kind.clone(),
        bytes: model.weight_bytes(),
        rows_per_second: timed.len() as f64 / seconds.max(1e-9),
        measures,
    };
    Ok(Compression {
        rows: rows.len(),
        before: side(before, measures[0], fastest[0]),
        after: side(after, measures[1], fastest[1]),
        differences,
    })
}
