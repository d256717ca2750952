//! Is one model better than another, or only luckier? All on the same rows, differences paired.

use crate::base::{Failure, Result};
use crate::data::{Dataset, Split};
use crate::jobs::JobContext;
use crate::metrics::{Differences, Measures, Outcomes};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Models side by side on one part of a log.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The models in the order in which they were named; all differences are to the first.
    pub models: Vec<Compared>,
    /// Knobs whose values differ, with a value per model; empty text where a kind has no such knob.
    pub knobs: Vec<(String, Vec<String>)>,
}

/// One of the models.
#[derive(Debug, Clone)]
pub struct Compared {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// How good it is.
    pub measures: Measures,
    /// How much higher its numbers are than the first model's; zeros for the first itself.
    pub differences: Differences,
}

/// Scores the same rows with every model and compares each with the first.
///
/// `datasets` holds the log as each model reads it, in the order of the models.
///
/// # Errors
/// Fewer than two models, models whose rows of this part are not the same, no labels, or a cancel.
pub fn compare(
    models: &[Arc<TrainedModel>],
    datasets: &[&Dataset],
    split: Split,
    context: &JobContext,
) -> Result<Comparison> {
    let what = "cannot compare the models";
    let (Some(dataset), true) = (datasets.first(), models.len() > 1) else {
        return Err(Failure::new(what, "a comparison takes two models or more").hint("choose more runs"));
    };
    let rows = dataset.rows_of(split);
    if rows.is_empty() || dataset.label.is_empty() {
        return Err(Failure::new(what, "the open log has no rows with outcomes in this part"));
    }
    if datasets.iter().any(|other| other.rows_of(split) != rows || other.label != dataset.label) {
        let why = "they would be measured on different rows of the log";
        return Err(Failure::new(what, why).hint("compare models that were trained on the open log"));
    }
    let pick = |column: &[f32]| -> Vec<f32> {
        if column.is_empty() { Vec::new() } else { rows.iter().map(|row| column[*row as usize]).collect() }
    };
    let (labels, weights) = (pick(&dataset.label), pick(&dataset.weight));
    let users: Vec<u32> = match dataset.users.is_empty() {
        true => Vec::new(),
        false => rows.iter().map(|row| dataset.users[*row as usize]).collect(),
    };
    let mut compared: Vec<Compared> = Vec::with_capacity(models.len());
    let mut first: Vec<f32> = Vec::new();
    for (place, (model, dataset)) in models.iter().zip(datasets).enumerate() {
        context.stage(&format!("Comparing {} of {}", place + 1, models.len()));
        let predicted = model.predict(dataset, rows, context)?;
        if place == 0 {
            first.clone_from(&predicted);
        }
        let outcomes = |predicted| Outcomes { predicted, labels: &labels, weights: &weights, users: &users };
        compared.push(Compared {
            model: Arc::clone(model),
            measures: Measures::of(outcomes(&predicted)),
            differences: Differences::of(outcomes(&first), &predicted),
        });
    }
    Ok(Comparison { models: compared, knobs: differing_knobs(models) })
}

/// The knobs whose values are not the same for all models.
pub fn differing_knobs(models: &[Arc<TrainedModel>]) -> Vec<(String, Vec<String>)> {
    let mut names: Vec<&str> =
        models.iter().flat_map(|model| model.params.iter().map(|(id, _)| id)).collect();
    names.sort_unstable();
    names.dedup();
    let mut knobs = vec![("model".to_owned(), models.iter().map(|model| model.kind.clone()).collect())];
    knobs.extend(names.into_iter().map(|name| {
        let value =
            |model: &Arc<TrainedModel>| model.params.get(name).map_or_else(String::new, |v| v.to_string());
        (name.to_owned(), models.iter().map(value).collect())
    }));
    knobs.retain(|(_, values): &(String, Vec<String>)| values.windows(2).any(|pair| pair[0] != pair[1]));
    knobs
}
