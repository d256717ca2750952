//! From an embedding table to points.

use super::Output;
use crate::base::Result;
use crate::insight::{self, Projection, Subject};
use crate::jobs::{Job, JobContext, Lane};
use crate::train::TrainedModel;
use std::sync::Arc;

/// Flattens the embeddings of one field.
pub struct Project {
    /// Whose embeddings, and which log colours them.
    pub subject: Subject,
    /// The field.
    pub field: String,
}

/// A flattened table.
#[derive(Debug)]
pub struct Projected {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// Its points.
    pub projection: Arc<Projection>,
}

impl Job for Project {
    type Output = Output;

    fn name(&self) -> String {
        format!("Project the embeddings of {}", self.field)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let table = Arc::new(self.subject.model.table(&self.field)?);
        let dataset = self.subject.fitting_dataset(context)?;
        let projection = Arc::new(insight::project(table, Some(&dataset), context)?);
        Ok(Output::Projected(Box::new(Projected { model: self.subject.model, projection })))
    }
}
