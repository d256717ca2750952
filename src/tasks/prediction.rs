//! From a row, edited or not, to its probability and the reasons for it.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::insight::Subject;
use crate::insight::prediction::{self, Counterfactual, Edit, Prediction, Shares, Slopes};
use crate::insight::similar::{self, Similar};
use crate::jobs::{Job, JobContext, Lane};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Standard error of a share in the log odds at which no more orders are gone through.
pub const WANTED_ERROR: f64 = 0.01;

/// A row with what is changed in it.
#[derive(Debug, Clone, PartialEq)]
pub struct EditedQuestion {
    /// Row of the log.
    pub row: u32,
    /// Fields with other values.
    pub edits: Vec<Edit>,
}

/// Scores a row at once.
pub struct Predict {
    /// Which model and log.
    pub subject: Subject,
    /// Models beside it, which are asked the same.
    pub others: Vec<Arc<TrainedModel>>,
    /// The row.
    pub question: EditedQuestion,
}

/// A scored row.
#[derive(Debug)]
pub struct Predicted {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// The row.
    pub question: EditedQuestion,
    /// Its probability and what one other value would do.
    pub prediction: Result<Prediction>,
    /// The same row under other models of the list, by kind; those that read the log otherwise are left out.
    pub others: Vec<(String, f64)>,
    /// What happened, where the log says so and nothing is edited.
    pub clicked: Option<f32>,
}

impl Job for Predict {
    type Output = Output;

    fn name(&self) -> String {
        format!("Score row {}", self.question.row + 1)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, others, question } = *self;
        let dataset = subject.fitting_dataset(context)?;
        let EditedQuestion { row, edits } = &question;
        let found = prediction::predict_one(&subject.model, &dataset, *row, edits, context);
        let prediction = unless_stopped(found)?;
        let mut scores = Vec::new();
        for other in others.iter().filter(|other| other.encoder == subject.model.encoder) {
            let found = prediction::edited(&dataset, *row, edits).and_then(|row| row.score(other));
            scores.extend(found.ok().map(|p| (other.kind.clone(), p)));
        }
        let clicked = dataset.label.get(*row as usize).copied().filter(|_| edits.is_empty());
        let model = subject.model;
        Ok(Output::Predicted(Arc::new(Predicted { model, question, prediction, others: scores, clicked })))
    }
}

/// Shares out the log odds of a row, and looks for the changes that lead across a threshold.
pub struct Why {
    /// Which model and log.
    pub subject: Subject,
    /// The row.
    pub question: EditedQuestion,
    /// Probability to be crossed, and the fields that stay as they are; `None` for no such question.
    pub target: Option<(f64, Vec<String>)>,
}

/// The reasons of a row.
#[derive(Debug)]
pub struct Reasons {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// The row.
    pub question: EditedQuestion,
    /// What each input adds to the log odds.
    pub shares: Result<Shares>,
    /// The same by integrated gradients.
    pub slopes: Result<Slopes>,
    /// Past impressions like it.
    pub similar: Result<Similar>,
    /// The changes that were asked for, with the probability to be crossed.
    pub counterfactual: Option<(f64, Result<Counterfactual>)>,
}

impl Job for Why {
    type Output = Output;

    fn name(&self) -> String {
        format!("Reasons of row {}", self.question.row + 1)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, question, target } = *self;
        let dataset = subject.fitting_dataset(context)?;
        let row = prediction::edited(&dataset, question.row, &question.edits);
        let shares = row
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|row| prediction::shares(&subject.model, &dataset, row, WANTED_ERROR, context));
        let slopes = row
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|row| prediction::slopes(&subject.model, &dataset, row, context));
        let slopes = unless_stopped(slopes)?;
        let counts: Result<Vec<f64>> = shares
            .as_ref()
            .map(|known| known.shares.iter().map(|share| share.log_odds.abs()).collect())
            .map_err(Clone::clone);
        let similar = row.as_ref().map_err(Clone::clone).and_then(|row| {
            counts.and_then(|counts| similar::similar(&subject.model, &dataset, row, &counts, context))
        });
        let similar = unless_stopped(similar)?;
        let counterfactual = match target {
            None => None,
            Some((target, kept)) => {
                let found = row.and_then(|row| {
                    prediction::counterfactual(&subject.model, &dataset, &row, (target, &kept), context)
                });
                Some((target, unless_stopped(found)?))
            }
        };
        let (model, shares) = (subject.model, unless_stopped(shares)?);
        Ok(Output::Reasons(Arc::new(Reasons { model, question, shares, slopes, similar, counterfactual })))
    }
}
