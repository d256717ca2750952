//! From a model to whom it shows what.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::insight::Subject;
use crate::insight::exposure::{Exposure, ExposureQuestion, exposure};
use crate::jobs::{Job, JobContext, Lane};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Makes lists of ads for users.
pub struct TellExposure {
    /// Which model and log.
    pub subject: Subject,
    /// What is asked.
    pub question: ExposureQuestion,
}

/// A question and its answer; one that makes no sense is answered with the reason, beside the question.
#[derive(Debug)]
pub struct ExposureAnswer {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// What was asked.
    pub question: ExposureQuestion,
    /// The answer.
    pub found: Result<Exposure>,
}

impl Job for TellExposure {
    type Output = Output;

    fn name(&self) -> String {
        format!("Whom the model shows what, by {}", self.question.by)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, question } = *self;
        let found = subject
            .fitting_dataset(context)
            .and_then(|dataset| exposure(&subject.model, &dataset, &question, context));
        let found = unless_stopped(found)?;
        Ok(Output::Exposure(Arc::new(ExposureAnswer { model: subject.model, question, found })))
    }
}
