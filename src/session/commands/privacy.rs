//! How are people behind the rows protected? The gate of audiences, reports with noise, consent, erasure.

use super::data::{self, open_log, usual_list};
use crate::base::{Failure, Result};
use crate::data::erasure::{BOOK_FILE, usual_folder};
use crate::data::importers::{CacheChoice, Forgotten, ImportOptions};
use crate::data::query::noisy::NoisyQuery;
use crate::data::query::people::Named;
use crate::domain::Segment;
use crate::session::workspace::Audience;
use crate::session::{Purpose, Session};
use crate::tasks::privacy::{Admit, Admitted, Erase, Report, Reported};
use std::path::PathBuf;
use std::sync::Arc;

/// Protecting people.
#[derive(Debug, Clone, PartialEq)]
pub enum PrivacyCommand {
    /// Keeps a segment under a name once it passes the gate; one of that name is replaced.
    SaveAudience {
        /// The name.
        name: String,
        /// The rows that are meant.
        segment: Segment,
    },
    /// People that an audience or an exported cell must hold.
    SetK(usize),
    /// What may be spent on the people of a log in all reports together.
    SetBudget(f64),
    /// Makes a report with noise.
    Report(NoisyQuery),
    /// Reads the log again without the rows of people who did not consent; `None` with all rows.
    RespectConsent(Option<String>),
    /// Takes a person's rows out of what is kept, and leaves them out from now on.
    Erase(String),
}

pub(super) fn apply(session: &mut Session, command: PrivacyCommand) -> Result<()> {
    match command {
        PrivacyCommand::SaveAudience { name, segment } => save(session, name.trim(), segment),
        PrivacyCommand::SetK(k) => {
            session.workspace.privacy.k = k.max(1);
            Ok(())
        }
        PrivacyCommand::SetBudget(budget) => {
            session.workspace.privacy.budget = budget;
            Ok(())
        }
        PrivacyCommand::Report(query) => {
            let log = open_log(session)?.frame.clone();
            let budget = session.workspace.privacy.budget;
            let book = match &session.workspace.privacy.folder {
                Some(folder) => folder.clone(),
                None => usual_folder().ok_or_else(|| nowhere("cannot report with noise"))?,
            };
            let book = book.join(BOOK_FILE);
            session.jobs.start(Purpose::Report, Report { log, query, book, budget })
        }
        PrivacyCommand::RespectConsent(column) => {
            let open = open_log(session)?;
            let options = ImportOptions { consent: column, ..open.options.clone() };
            let paths = open.paths.clone();
            data::open(session, paths, options)
        }
        PrivacyCommand::Erase(user) => erase(session, user.trim()),
    }
}

fn nowhere(what: &str) -> Failure {
    Failure::new(what, "the system names no folder in which it could be remembered").hint("set HOME")
}

fn save(session: &mut Session, name: &str, segment: Segment) -> Result<()> {
    let what = "cannot save the audience";
    if name.is_empty() {
        return Err(Failure::new(what, "it has no name").hint("write a name first"));
    }
    if session.jobs.of(Purpose::Audience).is_some() {
        return Err(Failure::new(what, "the one before is still being checked").hint("once more in a moment"));
    }
    let log = open_log(session)?.frame.clone();
    // An audience that no longer parses was written by hand; it is none that was let through here.
    let kept = session.workspace.audiences.iter().filter(|audience| audience.name != name);
    let before = kept.filter_map(|audience| {
        let segment = Segment::parse(&audience.segment).ok()?;
        Some(Named { name: audience.name.clone(), segment })
    });
    let (before, k) = (before.collect(), session.workspace.privacy.k);
    let audience = Named { name: name.to_owned(), segment };
    session.jobs.start(Purpose::Audience, Admit { log, audience, before, k })
}

fn erase(session: &mut Session, user: &str) -> Result<()> {
    let what = "cannot erase the user";
    if user.is_empty() {
        return Err(Failure::new(what, "no user is named").hint("write the user as the log does"));
    }
    let list = usual_list().ok_or_else(|| nowhere(what))?;
    let cache: Option<PathBuf> = match CacheChoice::usual() {
        CacheChoice::Folder(cache) => Some(cache),
        CacheChoice::Off => None,
    };
    session.jobs.start(Purpose::Erase, Erase { user: user.to_owned(), list, cache })
}

/// Keeps an audience that passed the gate.
pub(super) fn admitted(session: &mut Session, admitted: Admitted) {
    let Admitted { name, segment, people } = admitted;
    let audience = Audience { name: name.clone(), segment: segment.to_string() };
    let audiences = &mut session.workspace.audiences;
    match audiences.iter_mut().find(|known| known.name == name) {
        Some(known) => *known = audience,
        None => audiences.push(audience),
    }
    session.notices.done(format!("audience '{name}' kept: {}", people.words()));
}

/// Takes in a report, unless the log has changed since.
pub(super) fn reported(session: &mut Session, reported: Reported) {
    if session.store.is_open(reported.revision) {
        session.store.report = Some(Arc::new(reported));
    }
}

/// Tells what was erased and reads the open log again, without the person.
pub(super) fn erased(session: &mut Session, gone: Forgotten) -> Result<()> {
    session.notices.done(format!(
        "{} kept copies looked through, {} removed; the person's rows are left out from now on",
        gone.looked,
        gone.removed + gone.damaged
    ));
    let Some(open) = &session.store.log else { return Ok(()) };
    let options = ImportOptions { erased: usual_list(), ..open.options.clone() };
    let paths = open.paths.clone();
    data::open(session, paths, options)
}
