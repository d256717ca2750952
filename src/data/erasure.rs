//! Whose rows are not read: people without consent, and people who asked to be erased.
//!
//! Rows go before anything is counted, kept or trained, and how many went is a note of the log. Erased people are
//! remembered as keyed hashes, so that the next opening of a file that still holds them leaves them out as well; who has
//! that list can check a guess but read no name. The person's own files are never written.

use super::cells::{self, NO_CODE};
use super::frame::LogFrame;
use super::pseudonym::Salt;
use super::schema::{ColumnType, Role};
use crate::base::failure::Explain;
use crate::base::files::{disk_failure, state_folder, write_atomically};
use crate::base::{Failure, Result, rng};
use polars::prelude::{BooleanChunked, NewChunkedArray};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Spellings of consent, in lower case; anything else, and nothing, is none.
const YES: &[&str] = &[
    "1",
    "1.0",
    "true",
    "yes",
    "y",
    "t",
    "granted",
    "given",
    "opt-in",
    "opt_in",
    "optin",
    "ja",
    "oui",
    "si",
    "是",
    "同意",
    "已同意",
];

/// Where the program keeps what it must remember of people: the list of the erased and the book of reports; `None` where
/// the system names no folder for it. No cache, which a person may empty at any time.
pub fn usual_folder() -> Option<PathBuf> {
    Some(state_folder()?.join("privacy"))
}

/// The list of the erased and the book of reports, by their names in [`usual_folder`].
pub const ERASED_FILE: &str = "erased.json";
/// See [`ERASED_FILE`].
pub const BOOK_FILE: &str = "reports.json";

/// The people who asked to be erased.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Erased {
    /// The key of the hashes, in hexadecimal digits.
    key: String,
    people: BTreeSet<String>,
}

impl Erased {
    /// The list in a file; nobody where there is none.
    ///
    /// # Errors
    /// A list that cannot be read: it is never taken for an empty one.
    pub fn load(path: &Path) -> Result<Self> {
        let what = "cannot read the list of erased people";
        match std::fs::read(path) {
            Ok(text) => {
                serde_json::from_slice(&text).explain(what).map_err(|failure| failure.at(path.display()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(disk_failure(what, path, &error)),
        }
    }

    /// Adds somebody and writes the list.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn add(&mut self, user: &str, path: &Path) -> Result<()> {
        let what = "cannot write the list of erased people";
        if self.key.is_empty() {
            self.key = rng::secret().iter().map(|byte| format!("{byte:02x}")).collect();
        }
        let hash = self.salt()?.pseudonym(user);
        self.people.insert(hash);
        let text = serde_json::to_vec_pretty(self).explain(what)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| disk_failure(what, folder, &error))?;
        }
        write_atomically(path, |out| out.write_all(&text).explain(what))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.people.len()
    }

    fn salt(&self) -> Result<Salt> {
        Salt::of_text(&self.key)
    }

    /// The log without their rows.
    ///
    /// # Errors
    /// Cells that cannot be read.
    pub fn leave_out(&self, log: LogFrame) -> Result<LogFrame> {
        let user = log.schema.with_role(Role::User).map(|column| column.name.clone());
        let Some(user) = user.filter(|_| !self.people.is_empty()) else { return Ok(log) };
        let salt = self.salt()?;
        let coded = cells::coded(&log, &user)?;
        let stays: Vec<bool> =
            coded.values.iter().map(|value| !self.people.contains(&salt.pseudonym(value))).collect();
        if stays.iter().all(|stays| *stays) {
            return Ok(log);
        }
        let keep: Vec<bool> =
            coded.codes.iter().map(|code| stays.get(*code as usize).copied().unwrap_or(true)).collect();
        without(log, &keep, |rows| format!("{rows} rows of people who asked to be erased are left out"))
    }
}

/// The log without the rows of people who did not consent.
///
/// # Errors
/// No such column, or one in which nobody says yes.
pub fn with_consent(log: LogFrame, column: &str) -> Result<LogFrame> {
    let what = "cannot respect consent";
    let kind = log.schema.column(column).map_err(|failure| failure.at("consent"))?.kind;
    if !matches!(kind, ColumnType::Text | ColumnType::Integer | ColumnType::Boolean | ColumnType::Real) {
        return Err(Failure::new(what, format!("'{column}' holds neither words nor numbers")));
    }
    let coded = cells::coded(&log, column)?;
    let yes: Vec<bool> =
        coded.values.iter().map(|value| YES.contains(&value.trim().to_lowercase().as_str())).collect();
    let keep: Vec<bool> = coded
        .codes
        .iter()
        .map(|code| *code != NO_CODE && yes.get(*code as usize).copied().unwrap_or(false))
        .collect();
    if !keep.iter().any(|keep| *keep) {
        return Err(Failure::new(what, format!("no row of '{column}' says yes"))
            .hint("a column with 1, true, yes, granted or opt-in where a person consented"));
    }
    without(log, &keep, |rows| format!("{rows} rows without consent in '{column}' are left out"))
}

fn without(mut log: LogFrame, keep: &[bool], note: impl Fn(usize) -> String) -> Result<LogFrame> {
    let gone = keep.iter().filter(|keep| !**keep).count();
    if gone == 0 {
        return Ok(log);
    }
    let mask = BooleanChunked::from_slice("keep".into(), keep);
    log.frame = log.frame.filter(&mask).explain("cannot leave rows out")?;
    let source = Arc::make_mut(&mut log.source);
    source.notes.push(note(gone));
    // The rows are no longer those that the cache holds.
    source.kept_in = None;
    log.revision += 1;
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::df;

    fn log() -> LogFrame {
        let frame = df!(
            "user" => [Some("甲"), Some("b"), Some("甲"), None],
            "consent" => [Some("granted"), Some("denied"), Some("Yes"), None],
        )
        .unwrap();
        LogFrame::from_frame(frame, &[("user", Role::User), ("consent", Role::Categorical)]).unwrap()
    }

    #[test]
    fn only_a_clear_yes_is_consent() {
        let kept = with_consent(log(), "consent").unwrap();
        assert_eq!(kept.rows(), 2);
        assert!(kept.source.notes[0].contains("2 rows without consent"));
        assert!(with_consent(log(), "user").unwrap_err().why.contains("says yes"));
        assert!(with_consent(log(), "accord").is_err());
    }

    #[test]
    fn erased_people_stay_away_and_the_list_names_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("privacy/erased.json");
        let mut erased = Erased::load(&path).unwrap();
        assert_eq!(erased.leave_out(log()).unwrap().rows(), 4);
        erased.add("甲", &path).unwrap();
        let again = Erased::load(&path).unwrap();
        assert_eq!((again.count(), again.leave_out(log()).unwrap().rows()), (1, 2));
        assert!(!std::fs::read_to_string(&path).unwrap().contains('甲'));
        std::fs::write(&path, "[").unwrap();
        assert!(Erased::load(&path).is_err());
    }
}
