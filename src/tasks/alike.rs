//! From a segment and a model to the people who are like its people.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::query::matching_rows;
use crate::insight::Subject;
use crate::insight::look_alikes::{LookAlikeQuestion, LookAlikes, look_alikes};
use crate::jobs::{Job, JobContext, Lane};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Looks for people who are alike.
pub struct FindAlike {
    /// Which model and log.
    pub subject: Subject,
    /// Like whom, and how many.
    pub question: LookAlikeQuestion,
}

/// A question and its answer, or the reason why there is none.
#[derive(Debug)]
pub struct AlikeFound {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// What was asked.
    pub question: LookAlikeQuestion,
    /// Who is alike.
    pub found: Result<LookAlikes>,
}

impl Job for FindAlike {
    type Output = Output;

    fn name(&self) -> String {
        "Look for people who are alike".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, question } = *self;
        let find = || {
            let dataset = subject.fitting_dataset(context)?;
            let rows = matching_rows(&subject.log, &question.segment)?;
            look_alikes(&subject.model, &dataset, &subject.log, (&rows, &question), context)
        };
        let found = unless_stopped(find())?;
        Ok(Output::Alike(Arc::new(AlikeFound { model: subject.model, question, found })))
    }
}
