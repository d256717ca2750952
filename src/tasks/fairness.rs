//! From a model and a column to how its groups are treated.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::Split;
use crate::insight::Subject;
use crate::insight::fairness::{Fairness, FairnessQuestion, fairness};
use crate::jobs::{Job, JobContext, Lane};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Judges a model by group.
pub struct CompareGroups {
    /// Which model and log.
    pub subject: Subject,
    /// Which part of it.
    pub split: Split,
    /// What is asked.
    pub question: FairnessQuestion,
}

/// A question and its answer; one that makes no sense is answered with the reason, beside the question.
#[derive(Debug)]
pub struct FairnessAnswer {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// The part of the log.
    pub split: Split,
    /// What was asked.
    pub question: FairnessQuestion,
    /// The answer.
    pub found: Result<Fairness>,
}

impl Job for CompareGroups {
    type Output = Output;

    fn name(&self) -> String {
        format!("Compare the groups of {}", self.question.column)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, split, question } = *self;
        let judge = || {
            let dataset = subject.fitting_dataset(context)?;
            fairness(&subject.model, &dataset, &subject.log, (split, &question), context)
        };
        let found = unless_stopped(judge())?;
        Ok(Output::Fairness(Arc::new(FairnessAnswer { model: subject.model, split, question, found })))
    }
}
