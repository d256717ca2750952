//! Are the probabilities right in each group of a column: over time, by position, by how often, by city? Several models on
//! the same rows.

use super::comparison::judged_rows;
use super::subject::check_whole;
use crate::base::{Failure, Result};
use crate::data::dataset::take_known;
use crate::data::query::parted;
use crate::data::{Dataset, LogFrame, Split};
use crate::jobs::JobContext;
use crate::metrics::calibration::predicted_over_actual;
use crate::metrics::{Estimate, Rate};
use crate::train::TrainedModel;
use serde::Serialize;
use std::sync::Arc;

const WHAT: &str = "cannot tell the rates by column";
/// Groups that are told: of a column without an order, the largest.
pub const GROUPS: usize = 60;

/// Actual and predicted click rates of the groups of a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByColumn {
    /// The column.
    pub column: String,
    /// The kinds of the models.
    pub models: Vec<String>,
    /// The groups in their natural order.
    pub groups: Vec<ColumnGroup>,
    /// Groups that are not told.
    pub untold: usize,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnGroup {
    /// Its name.
    pub name: String,
    /// What happened.
    pub actual: Rate,
    /// Mean prediction of each model.
    pub predicted: Vec<f64>,
    /// Predicted over actual clicks of each model.
    pub ratio: Vec<Option<Estimate>>,
}

/// Scores the rows of one part of a log with each model and tells the rates by group. `datasets` holds the log as each
/// model reads it; of the rows only those are taken that `inside` holds, or all.
///
/// # Errors
/// Models that would be measured on different rows, no rows with outcomes, a log of which only a sample is open, an unknown
/// column, a cancel.
pub fn by_column(
    models: &[Arc<TrainedModel>],
    datasets: &[&Dataset],
    log: &LogFrame,
    (split, inside, column): (Split, Option<&[bool]>, &str),
    context: &JobContext,
) -> Result<ByColumn> {
    let (first, rows) = judged_rows(datasets, split)?;
    check_whole(WHAT, first, log)?;
    let taken = |row: &u32| inside.is_none_or(|inside| inside[*row as usize]);
    let rows: Vec<u32> = rows.iter().copied().filter(taken).collect();
    if rows.is_empty() {
        return Err(Failure::new(WHAT, "none of these rows is in the group").hint("another group"));
    }
    let mut predicted = Vec::with_capacity(models.len());
    for (model, dataset) in models.iter().zip(datasets) {
        context.stage(&format!("scoring with {}", model.kind));
        predicted.push(model.predict(dataset, &rows, context)?);
    }
    context.stage("counting");
    let (labels, weights) = (take_known(&first.label, &rows), take_known(&first.weight, &rows));
    let parts = parted(log, column, &rows)?;
    let mut groups: Vec<(String, Vec<u32>)> =
        parts.names.iter().cloned().zip(parts.places()).filter(|(_, places)| !places.is_empty()).collect();
    let untold = groups.len().saturating_sub(GROUPS);
    if untold > 0 {
        let mut sizes: Vec<usize> = groups.iter().map(|(_, places)| places.len()).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let least = sizes[GROUPS - 1];
        groups.retain(|(_, places)| places.len() >= least);
        groups.truncate(GROUPS);
    }
    let of_group = |(name, places): (String, Vec<u32>)| {
        let pick = |of: &[f32]| take_known(of, &places);
        let (labels, weights) = (pick(&labels), pick(&weights));
        let weight = |place: usize| weights.get(place).map_or(1.0, |w| f64::from(*w));
        let shown: f64 = (0..labels.len()).map(weight).sum();
        let mean = |of: &[f32]| {
            of.iter().enumerate().map(|(place, x)| weight(place) * f64::from(*x)).sum::<f64>() / shown
        };
        let scores: Vec<Vec<f32>> = predicted.iter().map(|of| pick(of)).collect();
        ColumnGroup {
            name,
            actual: Rate::wilson(mean(&labels) * shown, shown),
            predicted: scores.iter().map(|of| mean(of)).collect(),
            ratio: scores.iter().map(|of| predicted_over_actual(of, &labels, &weights)).collect(),
        }
    };
    Ok(ByColumn {
        column: column.to_owned(),
        models: models.iter().map(|model| model.kind.clone()).collect(),
        groups: groups.into_iter().map(of_group).collect(),
        untold,
    })
}
