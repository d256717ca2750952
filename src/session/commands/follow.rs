//! How do rows that come to a growing log reach what is shown?
//!
//! They are put behind the open log, which gets a new revision: groups are counted again, the columns described
//! again, and the arrays for models made again. What was simulated or found out about models stays.

use super::data::open_log;
use crate::base::Result;
use crate::data::LogFrame;
use crate::data::follow::{Follower, News};
use crate::session::store::{Following, OpenLog};
use crate::session::{Purpose, Session};
use crate::tasks::follow::{Follow, Followed, Wait};
use crate::tasks::import::{Import, Reprofile};

/// Begins to follow the open log.
pub(super) fn start(session: &mut Session) -> Result<()> {
    let OpenLog { frame, options, .. } = open_log(session)?;
    let follow = Follow { log: frame.clone(), options: options.clone() };
    session.jobs.start(Purpose::Follow, follow)
}

/// Follows no more; the rows that came stay.
pub(super) fn stop(session: &mut Session) {
    session.jobs.cancel(Purpose::Follow);
    session.store.following = None;
}

/// Takes in what came.
pub(super) fn followed(session: &mut Session, followed: Followed) -> Result<()> {
    let taken = match followed {
        Followed::Begun(follower, whole) => begun(session, follower, whole),
        Followed::News(follower, News::Rows(rows)) => arrived(session, follower, rows),
        Followed::News(_, News::Restarted(why)) => restarted(session, &why),
        Followed::News(follower, News::Nothing) => wait(session, follower),
    };
    if taken.is_err() {
        stop(session);
    }
    taken
}

fn begun(session: &mut Session, follower: Follower, whole: LogFrame) -> Result<()> {
    let open = open_log(session)?.clone();
    session.store.following = Some(Following { arrived: 0 });
    // Its last line was still being written: it comes again when it is whole.
    if whole.rows() < open.frame.rows() {
        describe(session, OpenLog { frame: whole, ..open })?;
    }
    wait(session, follower)
}

fn arrived(session: &mut Session, follower: Follower, rows: LogFrame) -> Result<()> {
    let mut open = open_log(session)?.clone();
    open.frame.append(&rows)?;
    if let Some(following) = &mut session.store.following {
        following.arrived += rows.rows() as u64;
    }
    describe(session, open)?;
    wait(session, follower)
}

/// Shows a log with other rows at once, and describes it in the background.
fn describe(session: &mut Session, open: OpenLog) -> Result<()> {
    let OpenLog { frame, paths, options, .. } = open.clone();
    session.store.forget_counts();
    session.store.log = Some(open);
    session.jobs.start(Purpose::Import, Reprofile { log: frame, paths, options })
}

fn wait(session: &mut Session, follower: Follower) -> Result<()> {
    let name = open_log(session)?.name();
    session.jobs.start(Purpose::Follow, Wait { follower, name })
}

/// Opens the log again; it is followed from there once it is open.
fn restarted(session: &mut Session, why: &str) -> Result<()> {
    session.notices.warned(format!("the log that is followed was started anew: {why}"));
    let OpenLog { paths, options, .. } = open_log(session)?.clone();
    session.jobs.start(Purpose::Import, Import { paths, options })
}

/// Goes on to follow a log that was opened again; another log is not followed.
pub(super) fn after_import(session: &mut Session, is_same_log: bool) -> Result<()> {
    match (session.store.following.is_some(), is_same_log, session.jobs.of(Purpose::Follow).is_some()) {
        (true, true, false) => start(session),
        (true, false, _) => {
            stop(session);
            Ok(())
        }
        _ => Ok(()),
    }
}
