//! From a model and a part of the log to numbers and curves.

use super::Output;
use crate::base::Result;
use crate::data::Split;
use crate::insight::{self, Evaluation, Subject};
use crate::jobs::{Job, JobContext, Lane};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Judges a model on one part of the log.
pub struct Evaluate {
    /// What is judged.
    pub subject: Subject,
    /// On which part.
    pub split: Split,
}

/// A judged model.
#[derive(Debug)]
pub struct Evaluated {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// The part of the log.
    pub split: Split,
    /// Numbers and curves.
    pub evaluation: Evaluation,
}

impl Job for Evaluate {
    type Output = Output;

    fn name(&self) -> String {
        format!("Evaluate {}", self.subject.model.kind)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let dataset = self.subject.fitting_dataset(context)?;
        let evaluation = insight::evaluate(&self.subject.model, &dataset, self.split, context)?;
        let (model, split) = (self.subject.model, self.split);
        Ok(Output::Evaluated(Box::new(Evaluated { model, split, evaluation })))
    }
}
