//! Which model is looked at, on which log?

use crate::base::{Failure, Result};
use crate::data::dataset::{EncodedLog, WholeLog, encode_all};
use crate::data::{Dataset, Encoder, LogFrame};
use crate::jobs::JobContext;
use crate::train::TrainedModel;
use std::sync::Arc;

/// Refuses groups of rows where the arrays hold more rows than the open log.
///
/// # Errors
/// They do.
pub(crate) fn check_whole(what: &str, dataset: &Dataset, log: &LogFrame) -> Result<()> {
    if dataset.rows == log.rows() {
        return Ok(());
    }
    let why = "the log is larger than memory, and groups are of its sample";
    Err(Failure::new(what, why).hint("open it with more memory"))
}

/// A model and the log that it is asked about. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// The log.
    pub log: LogFrame,
    /// The log's arrays as they were made for training.
    pub dataset: Arc<Dataset>,
    /// Where all rows of the log are, when it holds a sample of them.
    pub whole: Option<Arc<WholeLog>>,
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

    /// The rows that the model may be judged on, as it knows them: where the log holds a sample, all rows of the file,
    /// since the parts of a sample are not those of the whole and its test rows may be rows that the model was trained
    /// on.
    ///
    /// # Errors
    /// As [`fitting_dataset`](Self::fitting_dataset).
    pub fn judged_dataset(&self, context: &JobContext) -> Result<EncodedLog> {
        let Some(whole) = &self.whole else {
            return Ok(EncodedLog::from(&*self.fitting_dataset(context)?));
        };
        let known = whole.rows.get();
        let mut known = known.iter().chain([&self.dataset]);
        if let Some(fitting) = known.find(|dataset| dataset.encoder == self.model.encoder) {
            return Ok(EncodedLog::from(&**fitting));
        }
        context.stage("encoding all rows of the log for this model");
        encode_all(&self.model.encoder, &self.log, (&whole.paths, &whole.import), false, context)
    }
}
