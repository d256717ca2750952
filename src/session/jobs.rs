//! What runs in the background, and for what purpose?
//!
//! At most one live job a [`Purpose`]: a new request supersedes the old one, whose handle is dropped,
//! which cancels it.

use crate::base::Result;
use crate::jobs::{Job, JobEvent, JobHandle, JobId, Runner};
use crate::tasks::Output;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Read a log and profile it.
    Import,
    /// Watch a growing log.
    Follow,
    /// Encode a log for models.
    Encode,
    /// Rates by segment.
    Segment,
    /// The values of a column.
    Values,
    /// The rows of the chosen group.
    Mark,
    /// Groups that stand out.
    Find,
    /// Columns that changed.
    Drift,
    /// Compare the arms of a test.
    Experiment,
    /// Arrange the rows.
    Order,
    /// Look up users and ads.
    LookUp,
    /// Read the rows in sight.
    Rows,
    /// Write an answer to a file.
    Export,
    /// Hold an audience against the gate.
    Audience,
    /// Report with noise.
    Report,
    /// Erase a person.
    Erase,
    /// Fit a model.
    Train,
    /// Try values of knobs.
    Search,
    /// Learn in one pass.
    LearnOnline,
    /// Curves of a model on a split.
    Evaluate,
    /// Curves of other models on the same rows.
    Beside,
    /// Rates by column.
    ByColumn,
    /// Differences between models.
    Compare,
    /// Average models.
    Combine,
    /// Models by rank.
    Rank,
    /// Try another way to learn.
    TryOut,
    /// Clients that train together.
    Federate,
    /// A model made smaller.
    Compress,
    /// Models under attack.
    Attack,
    /// What models would show a user.
    Retrieve,
    /// How few ads a search must score.
    Shortlist,
    /// What a model would be made of.
    Draw,
    /// The score of one row.
    Predict,
    /// The reasons of one row.
    Why,
    /// Groups in which a model fails.
    Slices,
    /// People who are like those of a segment.
    Alike,
    /// Regions in which a model fails.
    Regions,
    /// What a model makes of a field.
    TryField,
    /// Whom a model shows what.
    Exposure,
    /// How a model treats groups.
    Fairness,
    /// Points of an embedding table.
    Project,
    /// What sets some points of a map apart.
    Describe,
    /// Maps of embeddings after each epoch.
    Epochs,
    /// Attention behind one prediction.
    Explain,
    /// What the layers of a model do.
    Inside,
    /// What attention heads look at.
    Heads,
    /// What the heads of a sentence encoder look at.
    TextHeads,
    /// Attention over many rows.
    Average,
    /// Auctions for an audience.
    Simulate,
    /// Other policies, bids and plans.
    Evidence,
    /// Keep a simulation or run it again.
    Scenario,
    /// Write candidates from a brief.
    WriteCopy,
    /// Look at the file of a language model.
    LookAtModel,
    /// See what tuning a language model would take.
    LookAtTuning,
    /// Tune a language model on the library.
    TuneModel,
    /// Have a language model write.
    WriteByModel,
    /// Look at the picture of a creative.
    Picture,
    /// Learn the tags of the library.
    LearnTags,
    /// Have a sentence encoder read the library.
    ReadMeanings,
    /// Search the library by meaning.
    SearchCopy,
    /// Let variants compete.
    Trial,
    /// Put variants into a market.
    OnPages,
    /// Read or write the library of words.
    Library,
    /// Write a model or a report.
    Save,
    /// Read a model.
    OpenModel,
}

/// A job that is queued or runs.
#[derive(Debug)]
pub struct Running {
    /// What it is for.
    pub purpose: Purpose,
    /// Cancels when dropped.
    pub handle: JobHandle,
    /// When it left the queue; `None` while it waits.
    pub since: Option<Instant>,
}

/// A job that is over.
#[derive(Debug, Clone)]
pub struct Finished {
    /// What it called itself.
    pub name: String,
    /// How long it ran.
    pub took: Duration,
}

/// The jobs of a session.
pub struct JobTable {
    runner: Runner<Output>,
    running: Vec<Running>,
    finished: VecDeque<Finished>,
    names: Vec<(JobId, String)>,
}

/// Ends remembered for the Activity panel.
const FINISHED_KEPT: usize = 200;

impl Purpose {
    /// True for jobs that take so long that a person may want the machine meanwhile.
    pub fn can_pause(self) -> bool {
        matches!(self, Self::Import | Self::Train | Self::Search | Self::Find | Self::Project)
    }
}

impl JobTable {
    pub(super) fn new(wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        Ok(Self {
            runner: Runner::new(wake)?,
            running: Vec::new(),
            finished: VecDeque::new(),
            names: Vec::new(),
        })
    }

    /// Starts a job; one that runs for the same purpose is cancelled.
    ///
    /// # Errors
    /// The worker thread is gone.
    pub fn start(&mut self, purpose: Purpose, job: impl Job<Output = Output>) -> Result<()> {
        self.cancel(purpose);
        let handle = self.runner.submit(job)?;
        self.names.push((handle.id, handle.name.clone()));
        self.running.push(Running { purpose, handle, since: None });
        Ok(())
    }

    /// Cancels the job of a purpose, if one runs; its answer is dropped.
    pub fn cancel(&mut self, purpose: Purpose) {
        self.running.retain(|running| running.purpose != purpose);
    }

    /// Asks the job of a purpose to stop and still takes its answer: for jobs that hand over what they have.
    pub fn stop(&mut self, purpose: Purpose) {
        for running in self.running.iter().filter(|running| running.purpose == purpose) {
            running.handle.cancel();
        }
    }

    /// Lets the job of a purpose wait at its next batch, or go on.
    pub fn pause(&mut self, purpose: Purpose, paused: bool) {
        for running in self.running.iter().filter(|running| running.purpose == purpose) {
            running.handle.set_paused(paused);
        }
    }

    /// The live job of a purpose.
    pub fn of(&self, purpose: Purpose) -> Option<&Running> {
        self.running.iter().find(|running| running.purpose == purpose)
    }

    /// All live jobs in order of submission.
    pub fn running(&self) -> &[Running] {
        &self.running
    }

    /// True while anything is queued or runs.
    pub fn any_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// What ended lately, newest first.
    pub fn finished(&self) -> impl Iterator<Item = &Finished> {
        self.finished.iter().rev()
    }

    pub(super) fn try_event(&self) -> Option<JobEvent<Output>> {
        self.runner.try_event()
    }

    pub(super) fn wait_event(&self, limit: Duration) -> Option<JobEvent<Output>> {
        self.runner.wait_event(limit)
    }

    pub(super) fn started(&mut self, id: JobId) {
        for running in self.running.iter_mut().filter(|running| running.handle.id == id) {
            running.since = Some(Instant::now());
        }
    }

    pub(super) fn name_of(&self, id: JobId) -> String {
        let known = self.names.iter().find(|(known, _)| *known == id);
        known.map_or_else(String::new, |(_, name)| name.clone())
    }

    /// Notes an end. False when the job had been superseded or cancelled by then.
    pub(super) fn ended(&mut self, id: JobId, took: Duration) -> bool {
        let name = self.name_of(id);
        self.names.retain(|(known, _)| *known != id);
        let before = self.running.len();
        self.running.retain(|running| running.handle.id != id);
        let current = self.running.len() < before;
        self.finished.push_back(Finished { name, took });
        if self.finished.len() > FINISHED_KEPT {
            self.finished.pop_front();
        }
        current
    }
}
