//! How good does a model stay when every impression's embeddings are moved against it, a little or more?
//!
//! Ranking and loss under attack, epsilon by epsilon, on the same test rows. The attack knows the outcomes, which nobody does
//! who shows ads: the curve is a bound on what errors of the embeddings can do, not a forecast.

use crate::base::{Failure, Result};
use crate::data::{Dataset, Split};
use crate::jobs::JobContext;
use crate::metrics::Measures;
use crate::models::Attack;
use crate::train::{TrainedModel, measure};
use serde::Serialize;

const WHAT: &str = "cannot attack the model";
/// Rows that are attacked at most, spread evenly over the part: each takes several passes back and forth.
pub const ROWS: usize = 10_000;
/// Epsilons in one answer at most.
pub const EPSILONS: usize = 40;

/// Which attacks.
#[derive(Debug, Clone, PartialEq)]
pub struct AttackQuestion {
    /// Longest changes; 0 is no attack.
    pub epsilons: Vec<f64>,
    /// Steps of each search: 1 is FGM.
    pub steps: usize,
    /// Rows at most.
    pub rows: usize,
}

impl Default for AttackQuestion {
    fn default() -> Self {
        Self { epsilons: vec![0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2], steps: 1, rows: ROWS }
    }
}

/// What attacks do to a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Robustness {
    /// The kind.
    pub model: String,
    /// Steps of each search.
    pub steps: usize,
    /// Rows attacked.
    pub rows: usize,
    /// Rows of the part that they were taken from.
    pub out_of: usize,
    /// Mean length of what may be moved of an impression.
    pub length: f64,
    /// By epsilon, ascending.
    pub points: Vec<RobustPoint>,
}

/// One attack.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RobustPoint {
    /// Longest change.
    pub epsilon: f64,
    /// How good the model is under it.
    pub measures: Measures,
}

impl AttackQuestion {
    /// The epsilons in order, once each.
    ///
    /// # Errors
    /// None or too many, a number that is no length, or no steps or rows.
    fn epsilons(&self) -> Result<Vec<f64>> {
        let mut epsilons = self.epsilons.clone();
        epsilons.sort_by(f64::total_cmp);
        epsilons.dedup();
        let refuse = |why: String| Err(Failure::new(WHAT, why).hint("epsilons such as 0,0.02,0.5"));
        if epsilons.is_empty() || epsilons.len() > EPSILONS {
            return refuse(format!("{} epsilons were given; 1 to {EPSILONS} can be told", epsilons.len()));
        }
        if let Some(wrong) = epsilons.iter().find(|epsilon| !(0.0..=1e6).contains(*epsilon)) {
            return refuse(format!("an epsilon is a length of 0 or more, not {wrong}"));
        }
        if !(1..=1000).contains(&self.steps) || self.rows == 0 {
            return refuse("an attack takes 1 to 1000 steps on at least one row".to_owned());
        }
        Ok(epsilons)
    }
}

/// Attacks a model on one part of a log.
///
/// # Errors
/// A question that makes no sense, a kind that has nothing to move, rows without outcomes, or a cancel.
pub fn robustness(
    model: &TrainedModel,
    dataset: &Dataset,
    (split, question): (Split, &AttackQuestion),
    context: &JobContext,
) -> Result<Robustness> {
    let epsilons = question.epsilons()?;
    let all = dataset.rows_of(split);
    if all.is_empty() || dataset.label.is_empty() {
        return Err(Failure::new(WHAT, "there are no rows with outcomes in this part of the log"));
    }
    let taken = question.rows.min(all.len());
    let rows: Vec<u32> = (0..taken).map(|place| all[place * all.len() / taken]).collect();
    let mut points = Vec::with_capacity(epsilons.len());
    for (place, epsilon) in epsilons.iter().enumerate() {
        context.stage(&format!("Attacking {} with epsilon {epsilon}", model.kind));
        context.progress(place as u64, epsilons.len() as u64);
        let predicted = match *epsilon > 0.0 {
            true => {
                let attack = Attack { epsilon: *epsilon, steps: question.steps };
                model.predict_attacked(dataset, &rows, attack, context)?
            }
            false => model.predict(dataset, &rows, context)?,
        };
        points.push(RobustPoint { epsilon: *epsilon, measures: measure(dataset, &rows, &predicted) });
    }
    let mut length = 0.0;
    for rows in rows.chunks(1024) {
        context.check()?;
        length += model.gathered_lengths(&dataset.batch(rows)).iter().sum::<f64>();
    }
    Ok(Robustness {
        model: model.kind.clone(),
        steps: question.steps,
        rows: rows.len(),
        out_of: all.len(),
        length: length / rows.len() as f64,
        points,
    })
}
