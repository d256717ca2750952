//! From a path to a log that has been understood.

use super::Output;
use crate::base::Result;
use crate::data::importers::{self, CacheChoice, ImportOptions};
use crate::data::profile::{Profile, profile_opened};
use crate::data::{LogFrame, Role};
use crate::jobs::{Job, JobContext, Lane};
use std::path::PathBuf;

/// Reads a log.
pub struct Import {
    /// The file.
    pub path: PathBuf,
    /// Roles that a person has set beforehand.
    pub roles: Vec<(String, Role)>,
}

/// A log whose roles were changed.
pub struct Reprofile {
    /// The log with its new roles.
    pub log: LogFrame,
}

/// A log and its profile.
pub struct Imported {
    /// The rows.
    pub log: LogFrame,
    /// What a person wants to know first.
    pub profile: Profile,
}

impl Job for Import {
    type Output = Output;

    fn name(&self) -> String {
        format!("Open {}", self.path.file_name().unwrap_or_default().to_string_lossy())
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        context.stage("reading");
        let log = importers::open(
            &self.path,
            &ImportOptions { roles: self.roles, cache: CacheChoice::usual(), ..ImportOptions::default() },
            context,
        )?;
        context.stage("profiling");
        let profile = profile_opened(&log, context)?;
        Ok(Output::Imported(Box::new(Imported { log, profile })))
    }
}

impl Job for Reprofile {
    type Output = Output;

    fn name(&self) -> String {
        "Profile the columns".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let profile = profile_opened(&self.log, context)?;
        Ok(Output::Imported(Box::new(Imported { log: self.log, profile })))
    }
}
