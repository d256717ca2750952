//! Does a model treat the groups of a column alike? How well it fits each, whom a threshold selects, and what five ways
//! to choose thresholds cost.

use super::subject::check_whole;
use crate::base::{Failure, Result};
use crate::data::dataset::take_known;
use crate::data::query::misfit::{Fit, Judged};
use crate::data::query::parted;
use crate::data::{Dataset, LogFrame, Split};
use crate::jobs::JobContext;
use crate::metrics::fairness::{self, Chosen, Strategy};
use crate::metrics::ranking::{Cut, cuts};
use crate::metrics::threshold::Economics;
use crate::metrics::{Estimate, Rate};
use crate::train::TrainedModel;
use serde::Serialize;

const WHAT: &str = "cannot compare the groups";
/// Groups that are told apart at most: the largest.
const GROUPS: usize = 30;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct FairnessQuestion {
    /// The column that parts the rows.
    pub column: String,
    /// Scores from this on are selected; `None` takes cost over value.
    pub threshold: Option<f64>,
    /// What a click brings, over what an impression costs; `None` takes the value at which the average row breaks even.
    pub value_over_cost: Option<f64>,
    /// Smaller groups are left out, in impressions.
    pub min_impressions: f64,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FairGroup {
    /// Its name.
    pub name: String,
    /// How well the model fits its rows.
    pub fit: Fit,
    /// Its selection rate less that of the largest group.
    pub selection: Estimate,
    /// The same of its true positive rate.
    pub opportunity: Estimate,
    /// The same of its false positive rate.
    pub false_alarms: Estimate,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fairness {
    /// The column.
    pub column: String,
    /// Its groups by falling impressions; the first is what the others are compared with.
    pub groups: Vec<FairGroup>,
    /// Groups that cannot be judged, and why.
    pub left_out: Vec<(String, Rate, String)>,
    /// What clicks bring and impressions cost; the cost is 1.
    pub economics: Economics,
    /// What the threshold does.
    pub chosen: Chosen,
    /// What each strategy would do, in their own order.
    pub strategies: Vec<Chosen>,
}

/// Judges a model by group.
///
/// # Errors
/// A log of which only a sample is open, no outcomes, an unknown column, fewer than two groups that can be judged, numbers
/// that are none; a cancel.
pub fn fairness(
    model: &TrainedModel,
    dataset: &Dataset,
    log: &LogFrame,
    (split, question): (Split, &FairnessQuestion),
    context: &JobContext,
) -> Result<Fairness> {
    let rows = dataset.rows_of(split);
    check_whole(WHAT, dataset, log)?;
    if rows.is_empty() || dataset.label.is_empty() {
        return Err(Failure::new(WHAT, "there are no rows with outcomes in this part of the log"));
    }
    context.stage("scoring");
    let predicted = model.predict(dataset, rows, context)?;
    let (labels, weights) = (take_known(&dataset.label, rows), take_known(&dataset.weight, rows));
    context.stage("judging the groups");
    let judged = Judged { rows, predicted: &predicted, labels: &labels, weights: &weights, known: &[] };
    let parts = parted(log, &question.column, rows)?;
    let named = parts.names.iter().cloned().zip(parts.places()).filter(|(_, places)| !places.is_empty());
    judge(judged, named.collect(), question)
}

fn judge(
    judged: Judged<'_>,
    groups: Vec<(String, Vec<u32>)>,
    question: &FairnessQuestion,
) -> Result<Fairness> {
    let all: Vec<u32> = (0..judged.rows.len() as u32).collect();
    let economics = economics(&judged.fit(&all), question)?;
    let (mut told, mut left_out) = (Vec::new(), Vec::new());
    for (name, places) in groups {
        let fit = judged.fit(&places);
        let pick = |of: &[f32]| take_known(of, &places);
        let of_group = cuts(&pick(judged.predicted), &pick(judged.labels), &pick(judged.weights));
        match of_group {
            Some(of_group) if fit.actual.trials >= question.min_impressions => {
                told.push((name, fit, of_group));
            }
            Some(_) => left_out.push((name, fit.actual, "too few impressions".to_owned())),
            None => left_out.push((name, fit.actual, "all its rows have the same outcome".to_owned())),
        }
    }
    told.sort_by(|a, b| b.1.actual.trials.total_cmp(&a.1.actual.trials));
    for (name, fit, _) in told.drain(GROUPS.min(told.len())..) {
        left_out.push((name, fit.actual, format!("not among the {GROUPS} largest")));
    }
    if told.len() < 2 {
        let why = format!("'{}' has fewer than two groups that can be judged", question.column);
        return Err(Failure::new(WHAT, why).hint("another column, smaller groups, or a longer log"));
    }
    let cuts: Vec<&[Cut]> = told.iter().map(|(.., cuts)| cuts.as_slice()).collect();
    let threshold = question.threshold.unwrap_or_else(|| economics.break_even());
    let refuse = || Failure::new(WHAT, "a group has no scores");
    let chosen = fairness::at(&cuts, threshold, economics).ok_or_else(refuse)?;
    let strategies = Strategy::ALL.iter().map(|way| fairness::choose(&cuts, *way, economics));
    let strategies = strategies.collect::<Option<Vec<Chosen>>>().ok_or_else(refuse)?;
    let first = chosen.groups[0];
    let groups = told.iter().zip(&chosen.groups).map(|((name, fit, _), rates)| FairGroup {
        name: name.clone(),
        fit: *fit,
        selection: fairness::difference(&rates.selected, &first.selected),
        opportunity: fairness::difference(&rates.true_positive, &first.true_positive),
        false_alarms: fairness::difference(&rates.false_positive, &first.false_positive),
    });
    Ok(Fairness {
        column: question.column.clone(),
        groups: groups.collect(),
        left_out,
        economics,
        chosen,
        strategies,
    })
}

fn economics(all: &Fit, question: &FairnessQuestion) -> Result<Economics> {
    if question.threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold)) {
        return Err(Failure::new(WHAT, "the threshold is no probability").hint("a number from 0 to 1"));
    }
    let click_value = question.value_over_cost.unwrap_or(1.0 / all.actual.rate);
    if !(click_value.is_finite() && click_value > 0.0) {
        let why = "a click must bring something, and the log must have some";
        return Err(Failure::new(WHAT, why).hint("a value above 0"));
    }
    Ok(Economics { click_value, impression_cost: 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_one_class_is_left_out_with_the_reason() {
        let predicted = [0.9f32, 0.1, 0.8, 0.3, 0.5, 0.6];
        let labels = [1.0f32, 0.0, 1.0, 0.0, 0.0, 0.0];
        let rows: Vec<u32> = (0..6).collect();
        let judged = Judged { rows: &rows, predicted: &predicted, labels: &labels, weights: &[], known: &[] };
        let groups =
            vec![("a".to_owned(), vec![0, 1]), ("b".to_owned(), vec![2, 3]), ("c".to_owned(), vec![4, 5])];
        let question = FairnessQuestion {
            column: "city".into(),
            threshold: Some(0.5),
            value_over_cost: None,
            min_impressions: 0.0,
        };
        let found = judge(judged, groups.clone(), &question).unwrap();
        assert_eq!(found.left_out.len(), 1);
        assert!(found.left_out[0].2.contains("same outcome"), "{:?}", found.left_out);
        // Both judged groups are perfectly ranked, so nobody is treated otherwise at 0.5.
        assert!(found.groups.iter().all(|group| group.selection.value == 0.0));
        assert_eq!(found.strategies.len(), 5);
        // A third of the rows clicks: a click is worth three impressions.
        assert!((found.economics.click_value - 3.0).abs() < 1e-12);
        let few = judge(judged, groups[..1].to_vec(), &question).unwrap_err();
        assert!(few.why.contains("fewer than two groups"), "{few}");
        let wrong = FairnessQuestion { threshold: Some(2.0), ..question };
        assert!(judge(judged, groups, &wrong).unwrap_err().why.contains("no probability"));
    }
}
