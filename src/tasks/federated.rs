//! How do clients train together beside the window?

use super::Output;
use super::train::TrainingRows;
use crate::base::Result;
use crate::jobs::{Job, JobContext, Lane};
use crate::train::federated::{Federated, Federation, federate};
use crate::train::{TrainSpec, TrainedModel};
use std::sync::Arc;

/// Trains a model on the clients of a log.
pub struct Federate {
    /// What they learn from.
    pub rows: TrainingRows,
    /// Revision of the log behind it.
    pub revision: u64,
    /// What is trained.
    pub spec: TrainSpec,
    /// How.
    pub federation: Federation,
}

/// A model that clients trained.
#[derive(Debug)]
pub struct TrainedByClients {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// Revision of the log.
    pub revision: u64,
    /// Round by round.
    pub found: Federated,
}

impl Job for Federate {
    type Output = Output;

    fn name(&self) -> String {
        format!("Train {} on clients by {}", self.spec.kind, self.federation.column)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { rows, revision, spec, federation } = *self;
        let dataset = rows.dataset(context)?;
        let (model, found) = federate(&dataset, &spec, &federation, context)?;
        let model = Arc::new(model);
        Ok(Output::TrainedByClients(Arc::new(TrainedByClients { model, revision, found })))
    }
}
