//! From a question about groups to their figures.

use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::LogFrame;
use crate::data::query::funnel::{self, Funnel};
use crate::data::query::{self, Chosen, SegmentQuery, SegmentTable};
use crate::domain::Segment;
use crate::insight::Subject;
use crate::jobs::{Job, JobContext, Lane};
use crate::metrics::Estimate;
use crate::train::TrainedModel;
use std::sync::Arc;

/// Counts the groups of a log.
pub struct CountSegments {
    /// The log.
    pub log: LogFrame,
    /// The question.
    pub query: SegmentQuery,
    /// What a model predicts, beside what happened; `None` for what happened only.
    pub predictions: Option<Predictions>,
    /// Also counts the steps from impressions to conversions.
    pub funnel: bool,
}

/// Where predictions come from.
pub enum Predictions {
    /// They were made before.
    Known(Scores),
    /// They are to be made.
    By(Subject),
}

/// The click probability that a model predicts for every row of a log.
#[derive(Debug, Clone)]
pub struct Scores {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// Revision of the log.
    pub revision: u64,
    /// One probability a row.
    pub rows: Arc<Vec<f32>>,
    /// One interval a row, where an ensemble says them.
    pub intervals: Option<Arc<Vec<Estimate>>>,
}

impl Scores {
    /// The interval of a row.
    pub fn interval(&self, row: u32) -> Option<Estimate> {
        self.intervals.as_ref()?.get(row as usize).copied()
    }
}

/// A question and its answer. A question that makes no sense is answered with the reason, which belongs beside
/// the question and not among the failures of the program.
#[derive(Debug, Clone)]
pub struct SegmentAnswer {
    /// What was asked.
    pub query: SegmentQuery,
    /// Revision of the log that was asked.
    pub revision: u64,
    /// What the log says.
    pub table: Result<SegmentTable>,
    /// The steps to a conversion, where they were asked for.
    pub funnel: Option<Funnel>,
    /// What the model predicted, where it was asked: kept for the next question.
    pub scores: Option<Scores>,
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
        let scores = match self.predictions {
            None => Ok(None),
            Some(Predictions::Known(scores)) => Ok(Some(scores)),
            Some(Predictions::By(subject)) => unless_stopped(score(subject, context))?.map(Some),
        };
        let (table, scores) = match scores {
            Ok(scores) => {
                let predicted = scores.as_ref().map(|scores| scores.rows.as_slice());
                let table = query::segments_predicted(&self.log, &self.query, predicted, context);
                (unless_stopped(table)?, scores)
            }
            Err(failure) => (Err(failure), None),
        };
        let funnel = if self.funnel && table.is_ok() {
            Some(funnel::funnel(&self.log, &self.query.rows(&self.log)?)?)
        } else {
            None
        };
        let revision = self.log.revision;
        let answer = SegmentAnswer { query: self.query, revision, table, funnel, scores };
        Ok(Output::Segments(Box::new(answer)))
    }
}

fn score(subject: Subject, context: &JobContext) -> Result<Scores> {
    let mut dataset = subject.fitting_dataset(context)?;
    if dataset.rows != subject.log.rows() {
        // Groups are counted among the rows that are held, which of a log larger than memory are a sample.
        dataset = Arc::new(subject.model.encoder.encode(&subject.log, context)?);
    }
    let rows: Vec<u32> = (0..dataset.rows as u32).collect();
    context.stage("scoring");
    let scored = subject.model.scored(&dataset, &rows, context)?;
    Ok(Scores {
        model: subject.model,
        revision: subject.log.revision,
        rows: Arc::new(scored.p),
        intervals: scored.intervals.map(Arc::new),
    })
}

/// Values of a column that are listed at most.
const MAX_VALUES: usize = 500;

/// Lists the values of a column.
pub struct ListValues {
    /// The log.
    pub log: LogFrame,
    /// The column, or one that is told from time or user.
    pub column: String,
}

/// The values of a column.
#[derive(Debug, Clone)]
pub struct Values {
    /// The column.
    pub column: String,
    /// Revision of the log that was asked.
    pub revision: u64,
    /// Each with its impressions, most frequent first; none where the column cannot be read as values.
    pub values: Vec<(String, f64)>,
}

impl Job for ListValues {
    type Output = Output;

    fn name(&self) -> String {
        format!("List the values of {}", self.column)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, _context: &JobContext) -> Result<Output> {
        // Lists have no values of their own to offer; a filter on them is typed.
        let values = query::values(&self.log, &self.column, MAX_VALUES).unwrap_or_default();
        Ok(Output::Values(Box::new(Values { column: self.column, revision: self.log.revision, values })))
    }
}

/// Finds the rows of the chosen group, with the users and ads that they are about.
pub struct MarkRows {
    /// The log.
    pub log: LogFrame,
    /// The group.
    pub segment: Segment,
}

/// The rows of the chosen group.
#[derive(Debug)]
pub struct Marked {
    /// The group.
    pub segment: Segment,
    /// Revision of the log.
    pub revision: u64,
    /// What the log says of them.
    pub found: Result<Chosen>,
}

impl Job for MarkRows {
    type Output = Output;

    fn name(&self) -> String {
        format!("Find the rows where {}", self.segment)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let found = unless_stopped(query::chosen(&self.log, &self.segment, context))?;
        Ok(Output::Marked(Arc::new(Marked { revision: self.log.revision, segment: self.segment, found })))
    }
}
