//! From a model and the open log to how few ads must be scored to find the best ones.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::insight::Subject;
use crate::insight::shortlist::{Shortlist, ShortlistQuestion, shortlist};
use crate::jobs::{Job, JobContext, Lane};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Searches among the ads for the users of the test rows.
pub struct SearchAds {
    /// The model with the log.
    pub subject: Subject,
    /// What is asked.
    pub question: ShortlistQuestion,
}

/// The question and its answer; one that makes no sense is answered with the reason, beside the question.
#[derive(Debug)]
pub struct Shortlisted {
    /// The model that was asked.
    pub model: Arc<TrainedModel>,
    /// What was found.
    pub found: Result<Shortlist>,
}

impl Job for SearchAds {
    type Output = Output;

    fn name(&self) -> String {
        format!("Search among the ads with {}", self.subject.model.kind)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, question } = *self;
        let find = || shortlist(&subject.model, &*subject.fitting_dataset(context)?, question, context);
        let found = unless_stopped(find())?;
        Ok(Output::Shortlisted(Arc::new(Shortlisted { model: subject.model, found })))
    }
}
