//! From models, a part of the log and a column to the rates of its groups.

use super::evaluate::inside;
use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::{LogFrame, Split};
use crate::domain::Segment;
use crate::insight::Subject;
use crate::insight::by_column::{ByColumn, by_column};
use crate::jobs::{Job, JobContext, Lane};
use std::sync::Arc;

/// Which rows, parted how.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnQuestion {
    /// The part of the log.
    pub split: Split,
    /// Which of its rows.
    pub segment: Segment,
    /// The column.
    pub column: String,
}

/// Tells the rates by column.
pub struct TellByColumn {
    /// The log.
    pub log: LogFrame,
    /// The models with the log.
    pub subjects: Vec<Subject>,
    /// Which rows, parted how.
    pub question: ColumnQuestion,
}

/// A question and its answer; one that makes no sense is answered with the reason, beside the question.
#[derive(Debug)]
pub struct ToldByColumn {
    /// What was asked.
    pub question: ColumnQuestion,
    /// The rates.
    pub found: Result<ByColumn>,
}

impl Job for TellByColumn {
    type Output = Output;

    fn name(&self) -> String {
        format!("Rates by {}", self.question.column)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let found = unless_stopped(self.find(context))?;
        Ok(Output::ByColumn(Arc::new(ToldByColumn { question: self.question, found })))
    }
}

impl TellByColumn {
    fn find(&self, context: &JobContext) -> Result<ByColumn> {
        let read = self.subjects.iter().map(|subject| subject.fitting_dataset(context));
        let read = read.collect::<Result<Vec<_>>>()?;
        let datasets: Vec<_> = read.iter().map(|dataset| &**dataset).collect();
        let models: Vec<_> = self.subjects.iter().map(|subject| Arc::clone(&subject.model)).collect();
        let inside = inside(&self.log, &self.question.segment)?;
        let asked = (self.question.split, inside.as_deref(), self.question.column.as_str());
        by_column(&models, &datasets, &self.log, asked, context)
    }
}
