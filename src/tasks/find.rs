//! From a log to the groups of its rows that stand out.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::LogFrame;
use crate::data::query::finder::{self, FinderQuery, FinderReport};
use crate::jobs::{Job, JobContext, Lane};

/// Looks through all groups of a log.
pub struct FindSegments {
    /// The log.
    pub log: LogFrame,
    /// What to look for.
    pub query: FinderQuery,
}

/// A question and its answer; one that makes no sense is answered with the reason, beside the question.
#[derive(Debug, Clone, PartialEq)]
pub struct FinderAnswer {
    /// What was asked.
    pub query: FinderQuery,
    /// Revision of the log that was asked.
    pub revision: u64,
    /// What stands out.
    pub report: Result<FinderReport>,
}

impl Job for FindSegments {
    type Output = Output;

    fn name(&self) -> String {
        "Look for groups that stand out".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let report = unless_stopped(finder::find(&self.log, &self.query, context))?;
        let answer = FinderAnswer { revision: self.log.revision, query: self.query, report };
        Ok(Output::Found(Box::new(answer)))
    }
}
