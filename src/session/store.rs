//! What have the workers answered? Values by `Arc`, replaced whole, never edited.

use super::commands::copy::CopyState;
use super::commands::evidence::EvidenceState;
use super::commands::inspect::InspectState;
use super::commands::market::MarketState;
use super::commands::rows::{RowsState, Subjects};
use super::commands::scenarios::ScenariosState;
use super::commands::train::TrainingState;
use crate::base::Failure;
use crate::data::dataset::WholeLog;
use crate::data::importers::ImportOptions;
use crate::data::profile::Profile;
use crate::data::{Dataset, LogFrame};
use crate::domain::Segment;
use crate::tasks::drift::DriftAnswer;
use crate::tasks::experiment::ExperimentAnswer;
use crate::tasks::find::FinderAnswer;
use crate::tasks::privacy::Reported;
use crate::tasks::segment::{Marked, Scores, SegmentAnswer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything loaded or computed. One field an area; each is filled by the commands of that area.
#[derive(Default)]
pub struct Store {
    /// The open log.
    pub log: Option<OpenLog>,
    /// The open log, encoded for models; `None` until that job is done, or where it failed.
    pub dataset: Option<Arc<Dataset>>,
    /// Where all rows of the open log are, when it holds a sample of them.
    pub whole: Option<Arc<WholeLog>>,
    /// Rows that come to the open log; `None` while it is not followed.
    pub following: Option<Following>,
    /// Why no model can learn from the open log.
    pub untrainable: Option<Failure>,
    /// The last question about groups and its answer.
    pub segments: Option<Arc<SegmentAnswer>>,
    /// The group that is chosen, for all panels.
    pub chosen: Option<Segment>,
    /// The rows of the chosen group, once they are found.
    pub marked: Option<Arc<Marked>>,
    /// Values of columns of the open log with their impressions, most frequent first, as far as somebody asked.
    pub values: BTreeMap<String, Vec<(String, f64)>>,
    /// What a model predicts for the rows of the open log, once that was asked for.
    pub scores: Option<Scores>,
    /// What stands out in the open log.
    pub findings: Option<Arc<FinderAnswer>>,
    /// Which columns changed.
    pub drift: Option<Arc<DriftAnswer>>,
    /// The last report with noise.
    pub report: Option<Arc<Reported>>,
    /// What the test in the open log says.
    pub experiment: Option<Arc<ExperimentAnswer>>,
    /// Users and ads.
    pub subjects: Subjects,
    /// The rows in sight.
    pub rows: RowsState,
    /// Simulated slots.
    pub market: MarketState,
    /// The words of advertisements.
    pub copy: CopyState,
    /// Days after which a text counts half among a user's interests; `None`: as usual.
    pub half_life: Option<f64>,
    /// Other policies, bids and plans.
    pub evidence: EvidenceState,
    /// Simulations that were kept; they outlive the log.
    pub scenarios: ScenariosState,
    /// Trainings and models.
    pub training: TrainingState,
    /// What was found out about models.
    pub inspect: InspectState,
}

impl Store {
    /// False when the log has changed since a question was asked about this revision.
    pub fn is_open(&self, revision: u64) -> bool {
        self.log.as_ref().is_some_and(|open| open.frame.revision == revision)
    }

    /// Drops what was counted of the rows, after some came: the rest still tells of the rows that it was made from.
    pub fn forget_counts(&mut self) {
        self.dataset = None;
        self.untrainable = None;
        self.segments = None;
        self.scores = None;
        self.chosen = None;
        self.marked = None;
        self.values.clear();
        self.findings = None;
        self.experiment = None;
        self.drift = None;
        self.evidence = EvidenceState::default();
        self.report = None;
        self.rows = RowsState::default();
        self.subjects = None;
    }

    /// Drops what was computed from the former log. Models stay: they carry their own encoder.
    pub fn forget_results(&mut self) {
        self.forget_counts();
        self.market = MarketState::default();
        self.inspect = InspectState::default();
    }
}

/// A log that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Following {
    /// Rows that came since it was opened.
    pub arrived: u64,
}

/// A log and what is known of it.
#[derive(Clone)]
pub struct OpenLog {
    /// The rows.
    pub frame: LogFrame,
    /// What a person wants to know first.
    pub profile: Arc<Profile>,
    /// Its files or folders.
    pub paths: Vec<PathBuf>,
    /// What was decided before it was read, and the roles that were set since.
    pub options: ImportOptions,
}

impl OpenLog {
    /// The file's name without its folders, for titles.
    pub fn name(&self) -> String {
        let path = &self.frame.source.path;
        path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
    }
}
