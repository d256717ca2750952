//! From models that were trained alike to their mean.

use super::Output;
use super::train::Trained;
use crate::base::{Failure, Result};
use crate::insight::Subject;
use crate::jobs::{Job, JobContext, Lane};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Averages models and measures the mean on the open log.
pub struct Combine {
    /// The models with the log.
    pub subjects: Vec<Subject>,
    /// Revision of the log.
    pub revision: u64,
}

impl Job for Combine {
    type Output = Output;

    fn name(&self) -> String {
        format!("Average {} models", self.subjects.len())
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let first = self.subjects.first().ok_or_else(|| {
            Failure::new("cannot make an ensemble", "no model is chosen").hint("tick models in the list")
        })?;
        let judged = first.judged_dataset(context)?;
        let models: Vec<_> = self.subjects.iter().map(|subject| Arc::clone(&subject.model)).collect();
        let model = TrainedModel::ensemble(&models, &judged.dataset, context)?;
        Ok(Output::Trained(Box::new(Trained::Model(Arc::new(model), self.revision))))
    }
}
