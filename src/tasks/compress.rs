//! From a model to a smaller one, with what that costs.

use super::Output;
use crate::base::Result;
use crate::insight::Subject;
use crate::insight::compression::{Compression, compression};
use crate::jobs::{Job, JobContext, Lane};
use crate::train::compress::Recipe;
use crate::train::{TrainSpec, TrainedModel};
use std::sync::Arc;

/// Makes a smaller model and measures both on the test rows.
pub struct Compress {
    /// The model with the log.
    pub subject: Subject,
    /// Revision of the log.
    pub revision: u64,
    /// The kind that learns what the model says, and the model's share of each outcome; `None` where the model's own
    /// weights are made smaller.
    pub distil: Option<(TrainSpec, f64)>,
    /// What is done to the weights.
    pub recipe: Recipe,
}

/// A smaller model, and what it costs.
#[derive(Debug)]
pub struct Compressed {
    /// The smaller model.
    pub model: Arc<TrainedModel>,
    /// Revision of the log that it was made on.
    pub revision: u64,
    /// What was done to the weights.
    pub recipe: Recipe,
    /// Both, measured.
    pub found: Compression,
}

impl Job for Compress {
    type Output = Output;

    fn name(&self) -> String {
        format!("Make {} smaller", self.subject.model.kind)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { subject, revision, distil, recipe } = *self;
        let judged = subject.judged_dataset(context)?;
        let (dataset, teacher) = (&judged.dataset, &subject.model);
        let model = match distil {
            None => teacher.compressed(recipe, dataset, context)?,
            Some((spec, share)) => {
                let pupil = teacher.distilled(&spec, share, dataset, context)?;
                if recipe == Recipe::default() {
                    pupil
                } else {
                    pupil.compressed(recipe, dataset, context)?
                }
            }
        };
        let found = compression([teacher, &model], dataset, context)?;
        let model = Arc::new(model);
        Ok(Output::Compressed(Arc::new(Compressed { model, revision, recipe, found })))
    }
}
