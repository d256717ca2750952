//! Is one model better than another, or only luckier? All on the same rows, differences paired.

use super::disagreement::{Disagreement, disagreement};
use crate::base::{Failure, Result};
use crate::data::dataset::take_known;
use crate::data::{Dataset, Split};
use crate::jobs::JobContext;
use crate::metrics::{Differences, Measures, Outcomes};
use crate::train::TrainedModel;
use std::sync::Arc;

const WHAT: &str = "cannot compare the models";

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
    /// Where it and the first model are of different minds; `None` for the first, and where nobody asked.
    pub disagreement: Option<Disagreement>,
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
    if models.len() < 2 {
        return Err(Failure::new(WHAT, "a comparison takes two models or more").hint("choose more runs"));
    }
    let (dataset, rows) = judged_rows(datasets, split)?;
    let mut scored = Vec::with_capacity(models.len());
    for (place, (model, dataset)) in models.iter().zip(datasets).enumerate() {
        context.stage(&format!("Comparing {} of {}", place + 1, models.len()));
        scored.push(model.scored(dataset, rows, context)?);
    }
    context.stage("Who is right where");
    let apart: Vec<Disagreement> =
        scored.iter().skip(1).map(|second| disagreement([&scored[0], second], dataset, rows)).collect();
    let models = models.iter().cloned().zip(scored.into_iter().map(|scored| scored.p)).collect();
    let mut comparison = compare_scored(models, dataset, rows);
    for (model, apart) in comparison.models.iter_mut().skip(1).zip(apart) {
        model.disagreement = Some(apart);
    }
    Ok(comparison)
}

/// The rows that all models are measured on, with the first one's reading of the log.
///
/// # Errors
/// No such rows, no outcomes, or rows or outcomes that are not the same for all.
pub(super) fn judged_rows<'a>(datasets: &[&'a Dataset], split: Split) -> Result<(&'a Dataset, &'a [u32])> {
    let known = datasets.first().map(|first| (*first, first.rows_of(split)));
    let Some((first, rows)) = known.filter(|(first, rows)| !rows.is_empty() && !first.label.is_empty())
    else {
        return Err(Failure::new(WHAT, "the open log has no rows with outcomes in this part"));
    };
    if datasets.iter().any(|other| !has_same_rows(first, other, split)) {
        let why = "they would be measured on different rows of the log";
        return Err(Failure::new(WHAT, why).hint("compare models that were trained on the open log"));
    }
    Ok((first, rows))
}

/// True where both are measured on the same rows with the same outcomes.
pub(super) fn has_same_rows(one: &Dataset, other: &Dataset, split: Split) -> bool {
    one.rows_of(split) == other.rows_of(split) && one.label == other.label
}

/// Compares the first model's scores of some rows with those of each.
pub(super) fn compare_scored(
    scored: Vec<(Arc<TrainedModel>, Vec<f32>)>,
    dataset: &Dataset,
    rows: &[u32],
) -> Comparison {
    let (labels, weights) = (take_known(&dataset.label, rows), take_known(&dataset.weight, rows));
    let users = take_known(&dataset.users, rows);
    let outcomes = |predicted| Outcomes { predicted, labels: &labels, weights: &weights, users: &users };
    let first = scored.first().map_or(&[] as &[f32], |(_, predicted)| predicted);
    let compared = scored.iter().map(|(model, predicted)| Compared {
        model: Arc::clone(model),
        measures: Measures::of(outcomes(predicted)),
        differences: Differences::of(outcomes(first), predicted),
        disagreement: None,
    });
    let models: Vec<Arc<TrainedModel>> = scored.iter().map(|(model, _)| Arc::clone(model)).collect();
    Comparison { models: compared.collect(), knobs: differing_knobs(&models) }
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
