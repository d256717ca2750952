//! What runs in the background? One operation a file, from a request to an [`Output`].

pub mod compare;
pub mod encode;
pub mod evaluate;
pub mod experiment;
pub mod explain;
pub mod find;
pub mod follow;
pub mod import;
pub mod project;
pub mod segment;
pub mod simulate;
pub mod train;

use crate::base::Result;
use crate::train::TrainedModel;
use std::path::PathBuf;
use std::sync::Arc;

/// What a task answers with; the session stores it. Boxed, so that messages stay small.
pub enum Output {
    /// Attention over many rows.
    Averaged(Box<explain::Averaged>),
    /// Models side by side.
    Compared(Arc<crate::insight::comparison::Comparison>),
    /// The arrays of a log.
    Encoded(Box<encode::Encoded>),
    /// Numbers and curves of a model.
    Evaluated(Box<evaluate::Evaluated>),
    /// Attention behind one prediction.
    Explained(Box<explain::Explained>),
    /// The arms of a test.
    Tested(Box<experiment::ExperimentAnswer>),
    /// Groups that stand out.
    Found(Box<find::FinderAnswer>),
    /// Rows came to the log that is followed.
    Followed(Box<follow::Followed>),
    /// A log was read, or its roles were changed.
    Imported(Box<import::Imported>),
    /// Rates by group.
    Segments(Box<segment::SegmentAnswer>),
    /// Auctions for an audience.
    Simulated(std::sync::Arc<simulate::Simulated>),
    /// A model was opened from a folder.
    ModelOpened(Arc<TrainedModel>, PathBuf),
    /// A model was written into a folder.
    ModelSaved(PathBuf),
    /// A training ended or was stopped.
    Trained(Box<train::Trained>),
    /// Points of an embedding table.
    Projected(Box<project::Projected>),
}

/// A question that makes no sense is answered with the reason, which belongs beside the question and not among the
/// failures of the program; only a stop is passed on as one.
fn unless_stopped<T>(answer: Result<T>) -> Result<Result<T>> {
    match answer {
        Err(failure) if failure.is_cancelled() => Err(failure),
        answer => Ok(answer),
    }
}
