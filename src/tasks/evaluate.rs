//! From a model and a part of the log to numbers and curves.

use super::{Output, unless_stopped};
use crate::base::{Failure, Result};
use crate::data::query::matching_rows;
use crate::data::{Dataset, LogFrame, Split};
use crate::domain::Segment;
use crate::insight::evaluation::{BeforeCalibration, before_calibration, evaluate, evaluate_in};
use crate::insight::{Evaluation, Subject};
use crate::jobs::{Job, JobContext, Lane};
use crate::metrics::bootstrap::Bags;
use crate::train::TrainedModel;
use std::sync::Arc;

/// Judges a model on one part of the log.
pub struct Evaluate {
    /// What is judged.
    pub subject: Subject,
    /// On which part.
    pub split: Split,
    /// On which of its rows.
    pub segment: Segment,
}

/// A judged model.
#[derive(Debug)]
pub struct Evaluated {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// The part of the log.
    pub split: Split,
    /// Which of its rows.
    pub segment: Segment,
    /// Numbers and curves.
    pub evaluation: Evaluation,
    /// What the model said before it was calibrated, if it was.
    pub before: Option<BeforeCalibration>,
}

impl Job for Evaluate {
    type Output = Output;

    fn name(&self) -> String {
        format!("Evaluate {}", self.subject.model.kind)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let judged = self.subject.judged_dataset(context)?;
        let rows = self.rows(&judged.dataset)?;
        let evaluation = evaluate(&self.subject.model, &judged.dataset, &rows, context)?;
        let before = before_calibration(&self.subject.model, &judged.dataset, &rows, context)?;
        let Self { subject, split, segment } = *self;
        Ok(Output::Evaluated(Box::new(Evaluated {
            model: subject.model,
            split,
            segment,
            evaluation,
            before,
        })))
    }
}

impl Evaluate {
    fn judge(&self, known: &mut Option<(Vec<u32>, Bags)>, context: &JobContext) -> Result<Evaluation> {
        let judged = self.subject.judged_dataset(context)?;
        let rows = self.rows(&judged.dataset)?;
        evaluate_in(&self.subject.model, &judged.dataset, &rows, known, context)
    }

    /// The rows that are judged.
    ///
    /// # Errors
    /// A group that makes no sense, or none of whose rows lies in this part of the log.
    fn rows(&self, dataset: &Dataset) -> Result<Vec<u32>> {
        let rows = dataset.rows_of(self.split);
        let what = "cannot judge the model on the group";
        if self.segment != Segment::All && dataset.rows != self.subject.log.rows() {
            return Err(Failure::new(what, "the log is larger than memory, and groups are of its sample")
                .hint("judge it on all rows"));
        }
        let Some(inside) = inside(&self.subject.log, &self.segment)? else { return Ok(rows.to_vec()) };
        let rows: Vec<u32> = rows.iter().copied().filter(|row| inside[*row as usize]).collect();
        if rows.is_empty() {
            let part = match self.split {
                Split::Train => "training",
                Split::Validation => "validation",
                Split::Test => "test",
            };
            let why = format!("none of its rows is among the {part} rows");
            return Err(Failure::new(what, why).hint("another part of the log, or another group"));
        }
        Ok(rows)
    }
}

/// Which rows of a log a group holds; `None` for all of them.
///
/// # Errors
/// A group that makes no sense.
pub(super) fn inside(log: &LogFrame, segment: &Segment) -> Result<Option<Vec<bool>>> {
    if *segment == Segment::All {
        return Ok(None);
    }
    let mut inside = vec![false; log.rows()];
    for row in matching_rows(log, segment)? {
        inside[row as usize] = true;
    }
    Ok(Some(inside))
}

/// Judges other models on the rows that one was judged on.
pub struct EvaluateBeside {
    /// The models with the log.
    pub subjects: Vec<Subject>,
    /// On which part.
    pub split: Split,
    /// On which of its rows.
    pub segment: Segment,
}

/// Other models on the same rows; one that cannot be judged on them says why.
#[derive(Debug)]
pub struct Beside {
    /// The part of the log.
    pub split: Split,
    /// Which of its rows.
    pub segment: Segment,
    /// The models in their order in the list.
    pub models: Vec<(Arc<TrainedModel>, Result<Evaluation>)>,
}

impl Job for EvaluateBeside {
    type Output = Output;

    fn name(&self) -> String {
        format!("Evaluate {} models", self.subjects.len())
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subjects, split, segment } = *self;
        let mut known = None;
        let mut models = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let model = Arc::clone(&subject.model);
            let one = Evaluate { subject, split, segment: segment.clone() };
            models.push((model, unless_stopped(one.judge(&mut known, context))?));
        }
        Ok(Output::Beside(Arc::new(Beside { split, segment, models })))
    }
}
