//! From a log to what its test of arms says.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::LogFrame;
use crate::data::query::experiment::{self, ExperimentQuery, ExperimentReport};
use crate::jobs::{Job, JobContext, Lane};

/// Compares the arms of a test.
pub struct CompareArms {
    /// The log.
    pub log: LogFrame,
    /// Which test.
    pub query: ExperimentQuery,
}

/// A question and its answer; one that makes no sense is answered with the reason, beside the question.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentAnswer {
    /// What was asked.
    pub query: ExperimentQuery,
    /// Revision of the log that was asked.
    pub revision: u64,
    /// What the log says.
    pub report: Result<ExperimentReport>,
}

impl Job for CompareArms {
    type Output = Output;

    fn name(&self) -> String {
        "Compare the arms of a test".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let report = unless_stopped(experiment::experiment(&self.log, &self.query, context))?;
        let answer = ExperimentAnswer { revision: self.log.revision, query: self.query, report };
        Ok(Output::Tested(Box::new(answer)))
    }
}
