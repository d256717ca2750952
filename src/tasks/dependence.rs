//! From a model and a field to what the model makes of it.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::Split;
use crate::insight::Subject;
use crate::insight::dependence::{Dependence, dependence};
use crate::jobs::{Job, JobContext, Lane};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Tries the values of a field.
pub struct TryField {
    /// Which model and log.
    pub subject: Subject,
    /// Which part of it.
    pub split: Split,
    /// The field.
    pub field: String,
}

/// A question and its answer; one that makes no sense is answered with the reason, beside the question.
#[derive(Debug)]
pub struct FieldTried {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// The part of the log.
    pub split: Split,
    /// The field.
    pub field: String,
    /// What the model makes of it.
    pub found: Result<Dependence>,
}

impl Job for TryField {
    type Output = Output;

    fn name(&self) -> String {
        format!("Try values of {}", self.field)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, split, field } = *self;
        let ask = || {
            let dataset = subject.fitting_dataset(context)?;
            dependence(&subject.model, &dataset, (split, &field), context)
        };
        let found = unless_stopped(ask())?;
        Ok(Output::FieldTried(Arc::new(FieldTried { model: subject.model, split, field, found })))
    }
}
