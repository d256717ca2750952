//! How does a log get in, and how are its columns understood?

use super::follow;
use crate::base::{Failure, Result};
use crate::data::Role;
use crate::data::dataset::WholeLog;
use crate::data::erasure;
use crate::data::importers::{CacheChoice, ImportOptions};
use crate::data::recipe::Recipe;
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
    /// Reads a log from its files or folders with choices that overrule what their content says.
    OpenAs(Vec<PathBuf>, Box<ImportOptions>),
    /// Reads the log that ships with the program.
    OpenSample,
    /// Gives a column another role.
    SetRole(String, Role),
    /// Watches the open log's files for rows that come.
    Follow,
    /// Watches no more.
    StopFollowing,
    /// Encodes the open log for models again.
    Encode,
    /// Writes every choice beside the data, for the next file of the kind.
    SaveRecipe,
}

pub(super) fn apply(session: &mut Session, command: DataCommand) -> Result<()> {
    match command {
        DataCommand::Open(path) => open(session, vec![path], usual_options()),
        DataCommand::OpenAs(paths, options) => open(session, paths, *options),
        DataCommand::OpenSample => open(session, vec![sample_log_path()?], usual_options()),
        DataCommand::SetRole(column, role) => set_role(session, &column, role),
        DataCommand::Follow => follow::start(session),
        DataCommand::StopFollowing => {
            follow::stop(session);
            Ok(())
        }
        DataCommand::Encode => encode(session),
        DataCommand::SaveRecipe => save_recipe(session),
    }
}

/// The list of people who asked to be erased.
pub fn usual_list() -> Option<PathBuf> {
    Some(erasure::usual_folder()?.join(erasure::ERASED_FILE))
}

/// Nothing is decided, and large logs are kept for the next opening.
pub fn usual_options() -> ImportOptions {
    ImportOptions { cache: CacheChoice::usual(), erased: usual_list(), ..ImportOptions::default() }
}

pub(super) fn open(session: &mut Session, paths: Vec<PathBuf>, options: ImportOptions) -> Result<()> {
    // A log that is read again is followed from its new end.
    session.jobs.cancel(Purpose::Follow);
    // An unfinished training that waits for its log does not wait for another one.
    session.store.training.next = None;
    session.jobs.start(Purpose::Import, Import { paths, options })
}

fn set_role(session: &mut Session, column: &str, role: Role) -> Result<()> {
    let OpenLog { frame: mut log, paths, mut options, .. } = open_log(session)?.clone();
    log.assign(column, role)?;
    // What was decided for this column before no longer holds.
    options.roles.retain(|(decided, _)| decided != column);
    options.roles.push((column.to_owned(), role));
    session.jobs.start(Purpose::Import, Reprofile { log, paths, options })
}

fn encode(session: &mut Session) -> Result<()> {
    let log = open_log(session)?.frame.clone();
    let options = session.store.training.encoding();
    session.jobs.start(Purpose::Encode, Encode { log, options })
}

/// Encodes the open log after the way of reading it was changed; nothing happens where none can be.
pub(super) fn encode_anew(session: &mut Session) -> Result<()> {
    let Some(open) = &session.store.log else { return Ok(()) };
    if open.profile.label.is_none() {
        return Ok(());
    }
    // What all rows were encoded as is as old.
    if let Some(whole) = &session.store.whole {
        let fresh =
            WholeLog { paths: whole.paths.clone(), import: whole.import.clone(), ..WholeLog::default() };
        session.store.whole = Some(Arc::new(fresh));
    }
    session.store.dataset = None;
    session.store.untrainable = None;
    encode(session)
}

fn save_recipe(session: &mut Session) -> Result<()> {
    let OpenLog { frame, options, .. } = open_log(session)?;
    let place = Recipe::place_of(&frame.source.path);
    // A page of text: no work for the background.
    Recipe::of(frame, options).save(&place)?;
    session.notices.done(format!("recipe saved in {}", place.display()));
    Ok(())
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
    let Imported { log, profile, paths, options } = imported;
    let known = session.store.log.as_ref();
    let same_file = known.is_some_and(|open| open.frame.source.path == log.source.path);
    let same_rows = known.is_some_and(|open| same_file && open.frame.revision == log.revision);
    if session.store.following.is_some() && same_file {
        // What was counted since the rows came holds.
        if !same_rows {
            session.store.forget_counts();
        }
    } else {
        session.store.forget_results();
    }
    if !same_file {
        session.workspace.remember(log.source.path.clone());
        if session.workspace.panel == "welcome" {
            "data".clone_into(&mut session.workspace.panel);
        }
    }
    let has_label = profile.label.is_some();
    let whole = || WholeLog { paths: paths.clone(), import: options.clone(), ..WholeLog::default() };
    session.store.whole = log.source.layout.sample.as_ref().map(|_| Arc::new(whole()));
    session.store.log = Some(OpenLog { frame: log, profile: Arc::new(profile), paths, options });
    follow::after_import(session, same_file)?;
    // Models need arrays: make them while the person looks at the profile.
    if has_label { encode(session) } else { Ok(()) }
}

/// Takes in the arrays of the open log.
pub(super) fn encoded(session: &mut Session, encoded: Encoded) -> Result<()> {
    let current = session.store.is_open(encoded.revision);
    if current {
        match encoded.dataset {
            Ok(dataset) => session.store.dataset = Some(Arc::new(dataset)),
            Err(failure) => session.store.untrainable = Some(failure),
        }
        super::train::go_on_next(session)?;
    }
    Ok(())
}
