//! What runs in the background? One operation a file, from a request to an [`Output`].

pub mod alike;
pub mod by_column;
pub mod combine;
pub mod compare;
pub mod compress;
pub mod copy_library;
pub mod copy_market;
pub mod copy_picture;
pub mod copy_sources;
pub mod copy_trial;
pub mod dependence;
pub mod drift;
pub mod encode;
pub mod evaluate;
pub mod evidence;
pub mod experiment;
pub mod explain;
pub mod export;
pub mod exposure;
pub mod fairness;
pub mod federated;
pub mod find;
pub mod follow;
pub mod heads;
pub mod import;
pub mod inside;
pub mod learn_tags;
pub mod online;
pub mod outline;
pub mod prediction;
pub mod privacy;
pub mod project;
pub mod read_meanings;
pub mod report;
pub mod robustness;
pub mod rows;
pub mod scenario;
pub mod search;
pub mod search_copy;
pub mod segment;
pub mod shortlist;
pub mod simulate;
pub mod slices;
pub mod subjects;
pub mod train;
pub mod trial;
pub mod tune_writer;
pub mod write_by_model;
pub mod write_copy;

use crate::base::Result;
use crate::train::TrainedModel;
use std::path::PathBuf;
use std::sync::Arc;

/// What a task answers with; the session stores it. Boxed, so that messages stay small.
pub enum Output {
    /// An audience that passed the gate.
    Admitted(Box<privacy::Admitted>),
    /// Attention over many rows.
    Averaged(Box<explain::Averaged>),
    /// Models under attack.
    Attacked(Arc<robustness::Attacked>),
    /// Models side by side.
    Compared(Arc<crate::insight::comparison::Comparison>),
    /// A model that clients trained.
    TrainedByClients(Arc<federated::TrainedByClients>),
    /// Another way to learn was tried.
    TriedOut(Arc<trial::Tried>),
    /// A smaller model, and what it costs.
    Compressed(Arc<compress::Compressed>),
    /// Models by rank.
    Ranked(Arc<crate::insight::Leaderboard>),
    /// What models would show a user.
    Retrieved(Arc<compare::Retrieved>),
    /// How few ads a search must score.
    Shortlisted(Arc<shortlist::Shortlisted>),
    /// A scored row.
    Predicted(Arc<prediction::Predicted>),
    /// The reasons of a row.
    Reasons(Arc<prediction::Reasons>),
    /// What a model would be made of.
    Drawn(Arc<outline::Drawn>),
    /// The arrays of a log.
    Encoded(Box<encode::Encoded>),
    /// A person was taken out of what is kept.
    Erased(crate::data::importers::Forgotten),
    /// Numbers and curves of a model.
    Evaluated(Box<evaluate::Evaluated>),
    /// Other models on the rows that one was judged on.
    Beside(Arc<evaluate::Beside>),
    /// Actual and predicted rates of the groups of a column.
    ByColumn(Arc<by_column::ToldByColumn>),
    /// What the layers of a model do.
    Inside(Arc<inside::InsideSeen>),
    /// What attention heads look at.
    Heads(Arc<heads::HeadsSeen>),
    /// What the heads of a sentence encoder look at in a text.
    TextHeads(Arc<heads::TextHeadsSeen>),
    /// Attention behind one prediction.
    Explained(Box<explain::Explained>),
    /// The arms of a test.
    Tested(Box<experiment::ExperimentAnswer>),
    /// Candidates written from a brief, or why there are none.
    Copy(Box<Result<write_copy::Round>>),
    /// What a language model added to a round.
    ByModel(Box<write_by_model::WroteByModel>),
    /// A language model was tuned on a library.
    TunedWriter(Box<tune_writer::TunedWriter>),
    /// What tuning a language model would take.
    TuningLookedAt(Box<tune_writer::TuningCost>),
    /// The file of a language model was looked at.
    ModelLookedAt(PathBuf, Result<crate::language::chat::ModelFile>),
    /// A library of words after something was done.
    Library(Box<copy_library::Worked>),
    /// The picture of a creative was looked at.
    PictureSeen(Box<copy_picture::PictureSeen>),
    /// What a sentence encoder read of a library.
    MeaningsRead(Box<read_meanings::ReadByEncoder>),
    /// Creatives that mean nearly what was asked, or why none was found.
    CopyFound(Box<Result<search_copy::Found>>),
    /// Tags of a library that were learnt, or why they cannot be.
    TagsLearnt(Box<Result<learn_tags::TagsLearnt>>),
    /// Variants as a market is to show them, or why it cannot.
    OnPages(Box<Result<copy_market::OnPages>>),
    /// Variants that competed.
    Tried(Box<Result<copy_trial::Tried>>),
    /// Columns that changed.
    Drifted(Box<drift::DriftAnswer>),
    /// The values of a column.
    Values(Box<segment::Values>),
    /// The rows of the chosen group.
    Marked(Arc<segment::Marked>),
    /// Groups that stand out.
    Found(Box<find::FinderAnswer>),
    /// Rows came to the log that is followed.
    Followed(Box<follow::Followed>),
    /// A log was read, or its roles were changed.
    Imported(Box<import::Imported>),
    /// Groups told with noise.
    Reported(Box<privacy::Reported>),
    /// A run of a search ended.
    Searched(Arc<search::Searched>),
    /// Rates by group.
    Segments(Box<segment::SegmentAnswer>),
    /// What a model makes of a field.
    FieldTried(Arc<dependence::FieldTried>),
    /// Whom a model shows what.
    Exposure(Arc<exposure::ExposureAnswer>),
    /// How groups are treated.
    Fairness(Arc<fairness::FairnessAnswer>),
    /// People who are like those of a segment.
    Alike(Arc<alike::AlikeFound>),
    /// Regions of what a model makes of the rows.
    Regions(Arc<slices::RegionsFound>),
    /// Groups in which a model fails.
    Sliced(Arc<slices::Sliced>),
    /// Auctions for an audience.
    Simulated(std::sync::Arc<simulate::Simulated>),
    /// A pass over a log ended or was stopped.
    LearntOnline(Arc<online::LearntOnline>),
    /// A model was opened from a folder.
    ModelOpened(Arc<TrainedModel>, PathBuf),
    /// A model was written into a folder.
    ModelSaved(PathBuf),
    /// A training ended or was stopped.
    Trained(Box<train::Trained>),
    /// Users and ads.
    LookedUp(Box<subjects::LookedUp>),
    /// An order of rows.
    Ordered(Box<rows::Ordered>),
    /// Cells of rows.
    Page(Box<crate::data::query::rows::RowPage>),
    /// A scenario was kept or run again.
    Scenario(Box<scenario::ScenarioDone>),
    /// A file was written: what to say.
    Written(String),
    /// What the log or the market says, and the revision of the log.
    Weighed(Box<(u64, evidence::Evidence)>),
    /// Points of an embedding table.
    Projected(Box<project::Projected>),
    /// Maps by epoch: they were seen one by one.
    EpochsDrawn,
    /// What sets some points of a map apart.
    Described(Arc<project::Described>),
}

/// A question that makes no sense is answered with the reason, which belongs beside the question and not among the
/// failures of the program; only a stop is passed on as one.
fn unless_stopped<T>(answer: Result<T>) -> Result<Result<T>> {
    match answer {
        Err(failure) if failure.is_cancelled() => Err(failure),
        answer => Ok(answer),
    }
}
