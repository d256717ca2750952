//! From a model and a part of the log to the groups of rows in which it fails.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::Split;
use crate::data::query::misfit::{Misfit, MisfitQuery, MisfitReport};
use crate::insight::Subject;
use crate::insight::regions::{RegionReport, regions};
use crate::insight::slices::slices;
use crate::jobs::{Job, JobContext, Lane};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Looks through all groups.
pub struct FindSlices {
    /// Which model and log.
    pub subject: Subject,
    /// Which part of it.
    pub split: Split,
    /// What to look for.
    pub query: MisfitQuery,
}

/// A question and its answer; one that makes no sense is answered with the reason, beside the question.
#[derive(Debug)]
pub struct Sliced {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// The part of the log.
    pub split: Split,
    /// What was asked.
    pub query: MisfitQuery,
    /// Where it fails.
    pub report: Result<MisfitReport>,
}

impl Job for FindSlices {
    type Output = Output;

    fn name(&self) -> String {
        format!("Look where {} fails", self.subject.model.kind)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, split, query } = *self;
        let find = || {
            let dataset = subject.fitting_dataset(context)?;
            slices(&subject.model, &dataset, &subject.log, (split, &query), context)
        };
        let report = unless_stopped(find())?;
        Ok(Output::Sliced(Arc::new(Sliced { model: subject.model, split, query, report })))
    }
}

/// Looks for regions of what a model makes of the rows.
pub struct FindRegions {
    /// Which model and log.
    pub subject: Subject,
    /// Which part of it.
    pub split: Split,
    /// What counts as a failure.
    pub by: Misfit,
}

/// A question about regions and its answer, or the reason why there is none.
#[derive(Debug)]
pub struct RegionsFound {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// The part of the log.
    pub split: Split,
    /// What counted as a failure.
    pub by: Misfit,
    /// Where it fails.
    pub report: Result<RegionReport>,
}

impl Job for FindRegions {
    type Output = Output;

    fn name(&self) -> String {
        format!("Look for regions where {} fails", self.subject.model.kind)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, split, by } = *self;
        let find = || {
            let dataset = subject.fitting_dataset(context)?;
            regions(&subject.model, &dataset, &subject.log, (split, by), context)
        };
        let report = unless_stopped(find())?;
        Ok(Output::Regions(Arc::new(RegionsFound { model: subject.model, split, by, report })))
    }
}
