//! What may a person decide before a log is opened?

use super::join::JoinSpec;
use super::keep::usual_memory;
use super::reading::Reading;
use crate::base::{Failure, Result};
use crate::data::erasure::{self, Erased};
use crate::data::frame::LogFrame;
use crate::data::generalise::{Coarser, generalise};
use crate::data::pseudonym::{self, Salt};
use crate::data::schema::Role;
use crate::data::shape::{self, Reshape};
use crate::jobs::JobContext;
use std::convert::Infallible;
use std::env::var_os;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// What the person has decided before the log is opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportOptions {
    /// Roles by column, which override what is inferred. `rating>=4` as a column with the role label makes a new
    /// 0/1 column from a threshold.
    pub roles: Vec<(String, Role)>,
    /// Side tables that are joined onto the log, in this order.
    pub joins: Vec<JoinSpec>,
    /// How the file is taken apart and its cells are read, where its content would be understood otherwise; goes before
    /// the choices of a recipe.
    pub reading: Reading,
    /// How the log is turned into one row per impression, where it has another shape.
    pub shape: Option<Reshape>,
    /// The column that says who consented; rows of all others are left out.
    pub consent: Option<String>,
    /// The list of people who asked to be erased, whose rows are left out.
    pub erased: Option<PathBuf>,
    /// Columns whose values are replaced by pseudonyms, after everything else.
    pub pseudonyms: Vec<String>,
    /// Columns whose values are made coarser, after everything else.
    pub generalise: Vec<(String, Coarser)>,
    /// The secret of the pseudonyms; without it a new one is drawn and forgotten.
    pub salt: Option<Salt>,
    /// Bytes that the typed columns may take; a log that needs more is opened as a sample. Half of the memory of the
    /// machine where nothing is said.
    pub memory_bytes: Option<u64>,
    /// Holds all rows, whatever memory they take.
    pub all_rows: bool,
    /// Whose choices are used again.
    pub recipe: RecipeChoice,
    /// Where large logs are kept for the next opening.
    pub cache: CacheChoice,
}

impl ImportOptions {
    /// Everything that changes what is read, as text: logs that were read otherwise are others in the cache. Roles
    /// are set after reading.
    pub(super) fn words_for_cache(&self) -> String {
        let keys: Vec<_> = self.joins.iter().map(|join| (join.file.file_stem(), &join.key)).collect();
        let memory = if self.all_rows { u64::MAX } else { self.memory() };
        format!("{keys:?} {memory}")
    }

    /// The log without the rows of people who asked to be erased.
    ///
    /// # Errors
    /// A list that cannot be read.
    pub(super) fn without_erased(&self, log: LogFrame) -> Result<LogFrame> {
        self.erased_people()?.leave_out(log)
    }

    /// The people whose rows are left out; nobody where no list is given.
    ///
    /// # Errors
    /// A list that cannot be read.
    pub(in crate::data) fn erased_people(&self) -> Result<Erased> {
        self.erased.as_deref().map_or_else(|| Ok(Erased::default()), Erased::load)
    }

    /// True when the opened log may lack rows of people that its files have.
    ///
    /// # Errors
    /// As for [`erased_people`](Self::erased_people).
    pub(in crate::data) fn leaves_people_out(&self) -> Result<bool> {
        Ok(self.consent.is_some() || self.erased_people()?.count() > 0)
    }

    /// True when cells are other than the files have them: such rows are kept nowhere and made of all at once.
    pub fn rewrites_cells(&self) -> bool {
        !self.pseudonyms.is_empty() || !self.generalise.is_empty()
    }

    /// Bytes that the typed columns may take.
    pub fn memory(&self) -> u64 {
        self.memory_bytes.unwrap_or_else(usual_memory)
    }

    /// Gives the roles, and turns the log into another shape between those of its own columns and those of the new
    /// ones.
    ///
    /// # Errors
    /// A role that cannot be given, a log that cannot be turned.
    pub(super) fn apply(&self, mut log: LogFrame, context: &JobContext) -> Result<LogFrame> {
        let path = log.source.path.display().to_string();
        let at = |failure: Failure| failure.at(&path);
        let before = log.schema.clone();
        if let Some(how) = self.shape {
            for (column, role) in self.roles.iter().filter(|(column, _)| before.column(column).is_ok()) {
                log.assign(column, *role).map_err(at)?;
            }
            log = shape::reshape(&log, how, context).map_err(at)?;
            // The rows are no longer those that the cache holds.
            Arc::make_mut(&mut log.source).kept_in = None;
        }
        // A column that the new shape has no place for (the event, a wide log's ads) took its role before.
        let is_gone = |column: &str| before.column(column).is_ok() && log.schema.column(column).is_err();
        let left: Vec<_> = self.roles.iter().filter(|(column, _)| !is_gone(column)).collect();
        for (column, role) in left {
            log.assign(column, *role).map_err(at)?;
        }
        if let Some(column) = &self.consent {
            log = erasure::with_consent(log, column).map_err(at)?;
        }
        // The roles may name another column of users than was found.
        log = self.without_erased(log).map_err(at)?;
        if !self.generalise.is_empty() {
            log = generalise(&log, &self.generalise, context).map_err(at)?;
        }
        if self.pseudonyms.is_empty() {
            return Ok(log);
        }
        let salt = self.salt.clone().unwrap_or_else(Salt::drawn);
        let mut log = pseudonym::pseudonymise(&log, &self.pseudonyms, &salt, context).map_err(at)?;
        Arc::make_mut(&mut log.source).kept_in = None;
        Ok(log)
    }
}

/// Whose choices about a file are used again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RecipeChoice {
    /// Those of the recipe that stands beside the file, if there is one.
    #[default]
    Beside,
    /// Those of this recipe.
    File(PathBuf),
    /// Nobody's.
    Off,
}

/// Where the typed columns of large logs are kept, so that they open at once the next time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CacheChoice {
    /// Nowhere.
    #[default]
    Off,
    /// In this folder.
    Folder(PathBuf),
}

impl CacheChoice {
    /// The folder that the system has for such files; off where it names none.
    pub fn usual() -> Self {
        let home = |below: &str| var_os("HOME").map(|home| PathBuf::from(home).join(below));
        let base = if cfg!(target_os = "windows") {
            var_os("LOCALAPPDATA").map(PathBuf::from)
        } else if cfg!(target_os = "macos") {
            home("Library/Caches")
        } else {
            var_os("XDG_CACHE_HOME")
                .filter(|set| !set.is_empty())
                .map(PathBuf::from)
                .or_else(|| home(".cache"))
        };
        base.map_or(Self::Off, |base| Self::Folder(base.join("adloupe").join("logs")))
    }
}

impl FromStr for CacheChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "off" { Self::Off } else { Self::Folder(PathBuf::from(text)) })
    }
}
