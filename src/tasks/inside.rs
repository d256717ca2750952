//! From a model to what its layers do with some rows.

use super::Output;
use super::explain::asked_rows;
use crate::base::Result;
use crate::domain::Segment;
use crate::insight::Subject;
use crate::insight::inside::{Inside, inside};
use crate::jobs::{Job, JobContext, Lane};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Looks at the layers of a model.
pub struct LookInside {
    /// Which model and log.
    pub subject: Subject,
    /// The rows; the segment of all rows stands for the test rows.
    pub segment: Segment,
}

/// Layers that were looked at.
#[derive(Debug)]
pub struct InsideSeen {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// Which rows, in words.
    pub rows: String,
    /// The rows as they were asked for, in text form.
    pub segment: String,
    /// The layers.
    pub inside: Inside,
}

impl Job for LookInside {
    type Output = Output;

    fn name(&self) -> String {
        "Look at the layers".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, segment } = *self;
        let dataset = subject.fitting_dataset(context)?;
        let (rows, words) = asked_rows(&subject.log, &dataset, &segment)?;
        let inside = inside(&subject.model, &dataset, &rows, context)?;
        let segment = segment.to_string();
        Ok(Output::Inside(Arc::new(InsideSeen { model: subject.model, rows: words, segment, inside })))
    }
}
