//! Which of several ways to score the same rows is better than the first?

use crate::metrics::gains::Gains;
use crate::metrics::{Estimate, Measures, Outcomes};
use serde::Serialize;

/// One way to score some rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Way {
    /// In words.
    pub way: String,
    /// How good it is.
    pub measures: Measures,
    /// How much higher its AUC is than the first way's; `None` for the first, and where the rows cannot tell.
    pub auc_gain: Option<Estimate>,
    /// How much higher its log loss is.
    pub loss_gain: Option<Estimate>,
}

/// Compares scores of the same rows with the first of them; `units` names whose rows are drawn together.
pub fn compare(scores: &[(String, Vec<f32>)], labels: &[f32], weights: &[f32], units: &[u32]) -> Vec<Way> {
    let Some((_, first)) = scores.first() else { return Vec::new() };
    let way = |(at, (way, predicted)): (usize, &(String, Vec<f32>))| {
        let runs = [[first.clone(), predicted.clone()]];
        let gains = (at > 0).then(|| Gains::of(&runs, labels, weights, units));
        Way {
            way: way.clone(),
            measures: Measures::of(Outcomes { predicted, labels, weights, users: units }),
            auc_gain: gains.and_then(|gains| gains.auc_gain),
            loss_gain: gains.and_then(|gains| gains.loss_gain),
        }
    };
    scores.iter().enumerate().map(way).collect()
}
