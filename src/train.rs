//! How are weights fitted? One loop for all kinds of models; the only place that updates weights.
//!
//! A [`TrainSpec`] says what to train and how. [`fit`] runs a [`Trainer`] over a dataset: seeded batches, early
//! stopping by a measure on the validation rows, the best weights kept, a live [`TrainSnapshot`] for the window. A stopped
//! trainer keeps everything it needs to go on as if it had not been stopped, in a [`checkpoint`] beyond the end of the
//! program. What goes wrong is named by [`guard`]. The answer is a [`TrainedModel`],
//! which scores, shows its tables and attention, and lives in a folder of `weights.safetensors` and `card.json`.

pub mod adapters;
pub mod calibrating;
pub mod card;
pub mod checkpoint;
pub mod compress;
pub mod conversions;
pub mod copy_tuning;
mod counting;
pub mod ensemble;
pub mod epochs;
pub mod federated;
pub mod gan;
pub mod gradient;
pub mod guard;
pub mod history;
pub mod mapping;
pub mod newcomers;
pub mod objective;
pub mod online;
pub mod onnx;
pub mod order;
pub mod prefetch;
pub mod schedule;
pub mod search;
pub mod spec;
pub mod trained;
pub mod trainer;
pub mod tuning;

pub use calibrating::{Calibration, log_odds};
pub use card::{ModelCard, measure};
pub use ensemble::Scored;
pub use history::{History, TrainSnapshot};
pub use spec::{TRAIN_PARAMS, TrainSpec, specs_of};
pub use trained::{AttentionMap, EmbeddingTable, TableInfo, TrainedModel};
pub use trainer::Trainer;

use crate::base::Result;
use crate::data::Dataset;
use crate::jobs::{JobContext, Latest};

/// Trains a model from nothing to its end.
///
/// # Errors
/// The data cannot support the model (no label, one class only, a field that the kind needs is missing), the
/// loss is no longer a number, or the job was cancelled. Use a [`Trainer`] to go on after a stop.
pub fn fit(
    dataset: &Dataset,
    spec: &TrainSpec,
    live: &Latest<TrainSnapshot>,
    context: &JobContext,
) -> Result<TrainedModel> {
    let mut trainer = Trainer::new(dataset, spec)?;
    trainer.run(live, context)?;
    trainer.finish(context)
}
