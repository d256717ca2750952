//! How does a log get in, and how are its columns understood?

use crate::base::{Failure, Result};
use crate::data::{LogFrame, Role};
use crate::session::sample::sample_log_path;
use crate::session::store::OpenLog;
use crate::session::{Purpose, Session};
use crate::tasks::encode::{Encode, Encoded};
use crate::tasks::import::{Import, Imported, Reprofile};
use std::path::PathBuf;
use std::sync::Arc;

/// Opening logs and setting roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataCommand {
    /// Reads a log; what is open stays until the new one is there.
    Open(PathBuf),
    /// Reads the log that ships with the program.
    OpenSample,
    /// Gives a column another role.
    SetRole(String, Role),
    /// Encodes the open log for models again.
    Encode,
}

pub(super) fn apply(session: &mut Session, command: DataCommand) -> Result<()> {
    match command {
        DataCommand::Open(path) => open(session, path),
        DataCommand::OpenSample => open(session, sample_log_path()?),
        DataCommand::SetRole(column, role) => set_role(session, &column, role),
        DataCommand::Encode => encode(session),
    }
}

fn open(session: &mut Session, path: PathBuf) -> Result<()> {
    session.jobs.start(Purpose::Import, Import { path, roles: Vec::new() })
}

fn set_role(session: &mut Session, column: &str, role: Role) -> Result<()> {
    let mut log: LogFrame = open_log(session)?.frame.clone();
    log.assign(column, role)?;
    session.jobs.start(Purpose::Import, Reprofile { log })
}

fn encode(session: &mut Session) -> Result<()> {
    let log = open_log(session)?.frame.clone();
    session.jobs.start(Purpose::Encode, Encode { log })
}

/// The open log.
///
/// # Errors
/// None is open.
pub fn open_log(session: &Session) -> Result<&OpenLog> {
    let missing = || Failure::new("nothing to work on", "no log is open").hint("open a log, or the sample");
    session.store.log.as_ref().ok_or_else(missing)
}

/// Takes in a log that was read: what was computed from the former one no longer holds.
pub(super) fn imported(session: &mut Session, imported: Imported) -> Result<()> {
    let Imported { log, profile } = imported;
    let same_file = session.store.log.as_ref().is_some_and(|open| open.frame.source.path == log.source.path);
    session.store.forget_results();
    if !same_file {
        session.workspace.remember(log.source.path.clone());
        if session.workspace.panel == "welcome" {
            "data".clone_into(&mut session.workspace.panel);
        }
    }
    let has_label = profile.label.is_some();
    session.store.log = Some(OpenLog { frame: log, profile: Arc::new(profile) });
    // Models need arrays: make them while the person looks at the profile.
    if has_label { encode(session) } else { Ok(()) }
}

/// Takes in the arrays of the open log.
pub(super) fn encoded(session: &mut Session, encoded: Encoded) {
    let current = session.store.log.as_ref().is_some_and(|open| open.frame.revision == encoded.revision);
    if current {
        session.store.dataset = Some(Arc::new(encoded.dataset));
    }
}
