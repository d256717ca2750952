//! From a log to the arrays that models read.

use super::Output;
use crate::base::Result;
use crate::data::dataset::prepare_kept;
use crate::data::{Dataset, EncodeOptions, LogFrame};
use crate::jobs::{Job, JobContext, Lane};

/// Encodes a log.
pub struct Encode {
    /// The log.
    pub log: LogFrame,
    /// How it is read.
    pub options: EncodeOptions,
}

/// The arrays and which reading of the log they belong to.
pub struct Encoded {
    /// The arrays, or why no model can learn from this log: an answer about the log, not a job that failed.
    pub dataset: Result<Dataset>,
    /// Revision of the log that was encoded.
    pub revision: u64,
}

impl Job for Encode {
    type Output = Output;

    fn name(&self) -> String {
        "Encode for models".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let dataset = match prepare_kept(&self.log, &self.options, context) {
            Err(failure) if failure.is_cancelled() => return Err(failure),
            answer => answer,
        };
        Ok(Output::Encoded(Box::new(Encoded { dataset, revision: self.log.revision })))
    }
}
