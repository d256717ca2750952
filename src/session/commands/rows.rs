//! Which rows, users and ads are looked at?

use super::data::open_log;
use crate::base::Result;
use crate::data::LogFrame;
use crate::data::query::rows::{RowPage, RowsQuery};
use crate::data::query::subjects::SubjectKind;
use crate::insight::interests::USUAL_HALF_LIFE;
use crate::session::{Purpose, Session};
use crate::tasks::rows::{OrderRows, Ordered, ReadRows};
use crate::tasks::subjects::{LookUp, LookedUp};
use std::ops::Range;
use std::sync::Arc;

/// Looking at rows.
#[derive(Debug, Clone, PartialEq)]
pub enum RowsCommand {
    /// Filters, searches and sorts; the last question supersedes the one before.
    Arrange(RowsQuery),
    /// Reads the cells of some places of the order.
    Read(Range<usize>),
    /// Lists users or ads, and tells of one where a name is given.
    LookUp(SubjectKind, String),
    /// Tells the interests of the user in view with another half-life, in days.
    FadeInterests(f64),
}

/// What the table shows.
#[derive(Debug, Default)]
pub struct RowsState {
    /// The order of the rows.
    pub ordered: Option<Arc<Ordered>>,
    /// The cells around those in sight.
    pub page: Option<Arc<RowPage>>,
}

/// Users and ads that were looked up.
pub type Subjects = Option<Arc<LookedUp>>;

pub(super) fn apply(session: &mut Session, command: RowsCommand) -> Result<()> {
    let log = open_log(session)?.frame.clone();
    match command {
        RowsCommand::Arrange(query) => session.jobs.start(Purpose::Order, OrderRows { log, query }),
        RowsCommand::Read(places) => {
            let Some(Ok(order)) = session.store.rows.ordered.as_ref().map(|ordered| &ordered.order) else {
                return Ok(());
            };
            let order = Arc::clone(order);
            session.jobs.start(Purpose::Rows, ReadRows { log, order, places })
        }
        RowsCommand::LookUp(kind, name) => look_up(session, log, kind, name),
        RowsCommand::FadeInterests(days) => {
            session.store.half_life = Some(days);
            let known = session.store.subjects.as_ref().map(|known| (known.kind, known.name.clone()));
            let (kind, name) = known.unwrap_or_default();
            look_up(session, log, kind, name)
        }
    }
}

fn look_up(session: &mut Session, log: LogFrame, kind: SubjectKind, name: String) -> Result<()> {
    let scores = session.store.scores.clone().filter(|scores| scores.revision == log.revision);
    let half_life = session.store.half_life.unwrap_or(USUAL_HALF_LIFE);
    session.jobs.start(Purpose::LookUp, LookUp { log, kind, name, scores, half_life })
}

/// Takes in an order, unless the log has changed since.
pub(super) fn ordered(session: &mut Session, ordered: Ordered) {
    if session.store.is_open(ordered.revision) {
        session.store.rows = RowsState { ordered: Some(Arc::new(ordered)), page: None };
    }
}

/// Takes in the cells in sight, unless the order is another by now.
pub(super) fn read(session: &mut Session, page: RowPage) {
    let known = session.store.rows.ordered.as_ref();
    if session.store.is_open(page.revision) && known.is_some_and(|ordered| ordered.query == page.query) {
        session.store.rows.page = Some(Arc::new(page));
    }
}

/// Takes in users and ads, unless the log has changed since.
pub(super) fn looked_up(session: &mut Session, found: LookedUp) {
    if session.store.is_open(found.revision) {
        session.store.subjects = Some(Arc::new(found));
    }
}
