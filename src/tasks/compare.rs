//! From several models and the open log to their differences.

use super::Output;
use crate::base::Result;
use crate::data::Split;
use crate::insight::Subject;
use crate::insight::comparison::{Comparison, compare};
use crate::jobs::{Job, JobContext, Lane};
use std::sync::Arc;

/// Compares models on the test rows of one log.
pub struct Compare {
    /// The models with the log; all differences are to the first.
    pub subjects: Vec<Subject>,
}

impl Job for Compare {
    type Output = Output;

    fn name(&self) -> String {
        format!("Compare {} models", self.subjects.len())
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let rows = self.subjects.iter().map(|subject| subject.judged_dataset(context));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let datasets: Vec<_> = rows.iter().map(|rows| &rows.dataset).collect();
        let models: Vec<_> = self.subjects.into_iter().map(|subject| subject.model).collect();
        let compared: Comparison = compare(&models, &datasets, Split::Test, context)?;
        Ok(Output::Compared(Arc::new(compared)))
    }
}
