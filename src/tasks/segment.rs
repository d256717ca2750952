//! From a question about groups to their rates.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::LogFrame;
use crate::data::query::{self, SegmentQuery, SegmentTable};
use crate::jobs::{Job, JobContext, Lane};

/// Counts the groups of a log.
pub struct CountSegments {
    /// The log.
    pub log: LogFrame,
    /// The question.
    pub query: SegmentQuery,
}

/// A question and its answer. A question that makes no sense is answered with the reason, which belongs beside
/// the question and not among the failures of the program.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentAnswer {
    /// What was asked.
    pub query: SegmentQuery,
    /// Revision of the log that was asked.
    pub revision: u64,
    /// What the log says.
    pub table: Result<SegmentTable>,
}

impl Job for CountSegments {
    type Output = Output;

    fn name(&self) -> String {
        format!("Count by {}", self.query.by.join(" x "))
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let table = unless_stopped(query::segments(&self.log, &self.query, context))?;
        let answer = SegmentAnswer { revision: self.log.revision, query: self.query, table };
        Ok(Output::Segments(Box::new(answer)))
    }
}
