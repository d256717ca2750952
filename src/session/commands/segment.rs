//! How are groups of rows asked for, and which of them are kept as audiences?

use super::data::open_log;
use crate::base::{Failure, Result};
use crate::data::query::SegmentQuery;
use crate::data::query::experiment::ExperimentQuery;
use crate::data::query::finder::FinderQuery;
use crate::domain::Segment;
use crate::session::workspace::Audience;
use crate::session::{Purpose, Session};
use crate::tasks::experiment::{CompareArms, ExperimentAnswer};
use crate::tasks::find::{FindSegments, FinderAnswer};
use crate::tasks::segment::{CountSegments, SegmentAnswer};
use std::sync::Arc;

/// Counting groups and naming audiences.
#[derive(Debug, Clone, PartialEq)]
pub enum SegmentCommand {
    /// Counts groups of the open log; the last question supersedes the one before.
    Count(SegmentQuery),
    /// Looks through all groups of the open log for those that stand out.
    Find(FinderQuery),
    /// Stops looking.
    StopFinding,
    /// Compares the arms of a test in the open log.
    Compare(ExperimentQuery),
    /// Keeps a segment under a name; one of that name is replaced.
    SaveAudience {
        /// The name.
        name: String,
        /// The rows that are meant.
        segment: Segment,
    },
    /// Forgets the audience of that name.
    DropAudience(String),
}

pub(super) fn apply(session: &mut Session, command: SegmentCommand) -> Result<()> {
    match command {
        SegmentCommand::Count(query) => {
            let log = open_log(session)?.frame.clone();
            session.jobs.start(Purpose::Segment, CountSegments { log, query })
        }
        SegmentCommand::Find(query) => {
            let log = open_log(session)?.frame.clone();
            session.store.findings = None;
            session.jobs.start(Purpose::Find, FindSegments { log, query })
        }
        SegmentCommand::StopFinding => {
            session.jobs.cancel(Purpose::Find);
            Ok(())
        }
        SegmentCommand::Compare(query) => {
            let log = open_log(session)?.frame.clone();
            session.jobs.start(Purpose::Experiment, CompareArms { log, query })
        }
        SegmentCommand::SaveAudience { name, segment } => save(session, name.trim(), &segment),
        SegmentCommand::DropAudience(name) => {
            session.workspace.audiences.retain(|audience| audience.name != name);
            Ok(())
        }
    }
}

fn save(session: &mut Session, name: &str, segment: &Segment) -> Result<()> {
    if name.is_empty() {
        return Err(Failure::new("cannot save the audience", "it has no name").hint("write a name first"));
    }
    let audience = Audience { name: name.to_owned(), segment: segment.to_string() };
    let audiences = &mut session.workspace.audiences;
    match audiences.iter_mut().find(|known| known.name == name) {
        Some(known) => *known = audience,
        None => audiences.push(audience),
    }
    Ok(())
}

/// False when the log has changed since a question was asked.
fn is_of_open_log(session: &Session, revision: u64) -> bool {
    session.store.log.as_ref().is_some_and(|open| open.frame.revision == revision)
}

/// Takes in the answer of a count, unless the log has changed since.
pub(super) fn counted(session: &mut Session, answer: SegmentAnswer) {
    if is_of_open_log(session, answer.revision) {
        session.store.segments = Some(Arc::new(answer));
    }
}

/// Takes in what stands out, unless the log has changed since.
pub(super) fn found(session: &mut Session, answer: FinderAnswer) {
    if is_of_open_log(session, answer.revision) {
        session.store.findings = Some(Arc::new(answer));
    }
}

/// Takes in what a test says, unless the log has changed since.
pub(super) fn compared(session: &mut Session, answer: ExperimentAnswer) {
    if is_of_open_log(session, answer.revision) {
        session.store.experiment = Some(Arc::new(answer));
    }
}
