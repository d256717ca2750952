//! How are groups of rows asked for, and which of them are kept as audiences?

use super::data::open_log;
use super::inspect::subject;
use crate::base::{Failure, Result};
use crate::data::query::SegmentQuery;
use crate::data::query::experiment::ExperimentQuery;
use crate::data::query::finder::FinderQuery;
use crate::domain::Segment;
use crate::insight::look_alikes::LookAlikeQuestion;
use crate::session::{Purpose, Session};
use crate::tasks::alike::FindAlike;
use crate::tasks::drift::{DriftAnswer, DriftQuestion, FindDrift};
use crate::tasks::experiment::{CompareArms, ExperimentAnswer};
use crate::tasks::export::ExportSegments;
use crate::tasks::find::{FindSegments, FinderAnswer};
use crate::tasks::segment::{
    CountSegments, ListValues, MarkRows, Marked, Predictions, SegmentAnswer, Values,
};
use std::path::PathBuf;
use std::sync::Arc;

/// Counting groups and forgetting audiences.
#[derive(Debug, Clone, PartialEq)]
pub enum SegmentCommand {
    /// Counts groups of the open log; the last question supersedes the one before.
    Count {
        /// The question.
        query: SegmentQuery,
        /// Beside what happened also tells what the model in view predicts.
        predicted: bool,
        /// Also counts the steps from impressions to conversions.
        funnel: bool,
    },
    /// Chooses a group, for all panels, or none.
    Choose(Option<Segment>),
    /// Lists the values of a column, to write filters with.
    ListValues(String),
    /// Writes the answer to the last question to a file.
    Export {
        /// The file; its ending (.csv, .parquet, .jsonl) chooses the format.
        path: PathBuf,
        /// A CSV file begins with a byte order mark.
        for_spreadsheets: bool,
    },
    /// Looks through all groups of the open log for those that stand out.
    Find(FinderQuery),
    /// Stops looking.
    StopFinding,
    /// Looks for columns of the open log that changed.
    Drift(DriftQuestion),
    /// Compares the arms of a test in the open log.
    Compare(ExperimentQuery),
    /// Forgets the audience of that name.
    DropAudience(String),
    /// Looks for so many people who are like those of a segment, by the model in view.
    FindAlike(Segment, usize),
}

pub(super) fn apply(session: &mut Session, command: SegmentCommand) -> Result<()> {
    match command {
        SegmentCommand::Count { query, predicted, funnel } => {
            let log = open_log(session)?.frame.clone();
            let predictions = if predicted { Some(predictions(session)?) } else { None };
            session.jobs.start(Purpose::Segment, CountSegments { log, query, predictions, funnel })
        }
        SegmentCommand::Choose(group) => choose(session, group),
        SegmentCommand::ListValues(column) => {
            let log = open_log(session)?.frame.clone();
            session.jobs.start(Purpose::Values, ListValues { log, column })
        }
        SegmentCommand::Export { path, for_spreadsheets } => export(session, path, for_spreadsheets),
        SegmentCommand::Find(query) => {
            let log = open_log(session)?.frame.clone();
            session.store.findings = None;
            session.jobs.start(Purpose::Find, FindSegments { log, query })
        }
        SegmentCommand::StopFinding => {
            session.jobs.cancel(Purpose::Find);
            Ok(())
        }
        SegmentCommand::Drift(question) => {
            let open = open_log(session)?;
            let (log, options) = (open.frame.clone(), open.options.clone());
            session.jobs.start(Purpose::Drift, FindDrift { log, question, options })
        }
        SegmentCommand::Compare(query) => {
            let log = open_log(session)?.frame.clone();
            session.jobs.start(Purpose::Experiment, CompareArms { log, query })
        }
        SegmentCommand::DropAudience(name) => {
            session.workspace.audiences.retain(|audience| audience.name != name);
            Ok(())
        }
        SegmentCommand::FindAlike(segment, most) => {
            let question = LookAlikeQuestion { segment, most, k: session.workspace.privacy.k };
            let subject = subject(session)?;
            session.jobs.start(Purpose::Alike, FindAlike { subject, question })
        }
    }
}

/// Chooses a group and looks for its rows.
fn choose(session: &mut Session, group: Option<Segment>) -> Result<()> {
    session.store.marked = None;
    session.store.chosen.clone_from(&group);
    let Some(segment) = group else {
        session.jobs.cancel(Purpose::Mark);
        return Ok(());
    };
    let log = open_log(session)?.frame.clone();
    session.jobs.start(Purpose::Mark, MarkRows { log, segment })
}

fn export(session: &mut Session, path: PathBuf, for_spreadsheets: bool) -> Result<()> {
    let log = open_log(session)?.frame.clone();
    let answer = session.store.segments.as_ref().ok_or_else(|| {
        Failure::new("cannot export the groups", "none have been counted")
            .hint("count them in the Segments panel")
    })?;
    let (query, scores) = (answer.query.clone(), answer.scores.clone());
    let k = session.workspace.privacy.k;
    session.jobs.start(Purpose::Export, ExportSegments { log, query, scores, k, path, for_spreadsheets })
}

/// What the model in view predicts for the open log: kept from the question before, or still to be made.
fn predictions(session: &Session) -> Result<Predictions> {
    let subject = subject(session)?;
    let kept = session.store.scores.as_ref().filter(|scores| {
        Arc::ptr_eq(&scores.model, &subject.model) && scores.revision == subject.log.revision
    });
    Ok(kept.map_or_else(|| Predictions::By(subject), |scores| Predictions::Known(scores.clone())))
}

/// Takes in the answer of a count, unless the log has changed since.
pub(super) fn counted(session: &mut Session, answer: SegmentAnswer) {
    if session.store.is_open(answer.revision) {
        if let Some(scores) = &answer.scores {
            session.store.scores = Some(scores.clone());
        }
        session.store.segments = Some(Arc::new(answer));
    }
}

/// Takes in the values of a column, unless the log has changed since.
pub(super) fn listed(session: &mut Session, values: Values) {
    if session.store.is_open(values.revision) {
        session.store.values.insert(values.column, values.values);
    }
}

/// Takes in the rows of the chosen group, unless the log or the choice has changed since.
pub(super) fn marked(session: &mut Session, marked: Arc<Marked>) {
    if session.store.is_open(marked.revision) && session.store.chosen.as_ref() == Some(&marked.segment) {
        session.store.marked = Some(marked);
    }
}

/// Takes in which columns changed, unless the log has changed since.
pub(super) fn drifted(session: &mut Session, answer: DriftAnswer) {
    if session.store.is_open(answer.revision) {
        session.store.drift = Some(Arc::new(answer));
    }
}

/// Takes in what stands out, unless the log has changed since.
pub(super) fn found(session: &mut Session, answer: FinderAnswer) {
    if session.store.is_open(answer.revision) {
        session.store.findings = Some(Arc::new(answer));
    }
}

/// Takes in what a test says, unless the log has changed since.
pub(super) fn compared(session: &mut Session, answer: ExperimentAnswer) {
    if session.store.is_open(answer.revision) {
        session.store.experiment = Some(Arc::new(answer));
    }
}
