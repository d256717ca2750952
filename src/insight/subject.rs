//! Which model is looked at, on which log?

use crate::base::Result;
use crate::data::{Dataset, Encoder, LogFrame};
use crate::jobs::JobContext;
use crate::train::TrainedModel;
use std::sync::Arc;

/// A model and the log that it is asked about. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// The log.
    pub log: LogFrame,
    /// The log's arrays as they were made for training.
    pub dataset: Arc<Dataset>,
}

impl Subject {
    /// The log encoded the way the model knows it: as it is when the model was trained here, anew when the
    /// model came from a folder.
    ///
    /// # Errors
    /// The log lacks columns that the model needs, or a cancel.
    pub fn fitting_dataset(&self, context: &JobContext) -> Result<Arc<Dataset>> {
        if self.dataset.encoder == self.model.encoder {
            return Ok(Arc::clone(&self.dataset));
        }
        context.stage("encoding the log for this model");
        Ok(Arc::new(Encoder::encode(&self.model.encoder, &self.log, context)?))
    }
}
