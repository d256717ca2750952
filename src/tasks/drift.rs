//! From a question about change to the columns that changed.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::LogFrame;
use crate::data::importers::{self, ImportOptions};
use crate::data::query::drift::{self, DriftReport, Split};
use crate::jobs::{Job, JobContext, Lane};
use std::path::PathBuf;

/// What a log is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum DriftQuestion {
    /// Two parts of itself.
    Parts(Split),
    /// A later log, read as this one was.
    File(PathBuf),
}

/// Compares.
pub struct FindDrift {
    /// The log.
    pub log: LogFrame,
    /// With what.
    pub question: DriftQuestion,
    /// How the log was read.
    pub options: ImportOptions,
}

/// The columns that changed, or why that cannot be told.
#[derive(Debug, Clone)]
pub struct DriftAnswer {
    /// What was asked.
    pub question: DriftQuestion,
    /// Revision of the log.
    pub revision: u64,
    /// What changed.
    pub report: Result<DriftReport>,
}

impl Job for FindDrift {
    type Output = Output;

    fn name(&self) -> String {
        "Look for change".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let report = match &self.question {
            DriftQuestion::Parts(split) => drift::drift(&self.log, split, context),
            DriftQuestion::File(path) => importers::open(path, &self.options, context)
                .and_then(|other| drift::drift_between(&self.log, &other, context)),
        };
        let (report, revision) = (unless_stopped(report)?, self.log.revision);
        Ok(Output::Drifted(Box::new(DriftAnswer { question: self.question, revision, report })))
    }
}
