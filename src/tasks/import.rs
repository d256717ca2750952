//! From a path to a log that has been understood.

use super::Output;
use crate::base::Result;
use crate::data::LogFrame;
use crate::data::importers::{self, ImportOptions};
use crate::data::profile::{Profile, profile_opened};
use crate::jobs::{Job, JobContext, Lane};
use std::path::PathBuf;

/// Reads a log.
pub struct Import {
    /// Its files or folders, at least one.
    pub paths: Vec<PathBuf>,
    /// What a person has decided beforehand.
    pub options: ImportOptions,
}

/// A log whose roles were changed.
pub struct Reprofile {
    /// The log with its new roles.
    pub log: LogFrame,
    /// Where it lies.
    pub paths: Vec<PathBuf>,
    /// What was decided so far, the new roles included.
    pub options: ImportOptions,
}

/// A log and its profile.
pub struct Imported {
    /// The rows.
    pub log: LogFrame,
    /// What a person wants to know first.
    pub profile: Profile,
    /// Its files or folders.
    pub paths: Vec<PathBuf>,
    /// What was decided before it was read: reading it again begins here.
    pub options: ImportOptions,
}

impl Job for Import {
    type Output = Output;

    fn name(&self) -> String {
        let first =
            self.paths.first().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
        match self.paths.len() {
            0 | 1 => format!("Open {first}"),
            more => format!("Open {first} and {} more", more - 1),
        }
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        context.stage("reading");
        let Self { paths, options } = *self;
        let log = importers::open_all(&paths, &options, context)?;
        context.stage("profiling");
        let profile = profile_opened(&log, context)?;
        Ok(Output::Imported(Box::new(Imported { log, profile, paths, options })))
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
        let Self { log, paths, options } = *self;
        let profile = profile_opened(&log, context)?;
        Ok(Output::Imported(Box::new(Imported { log, profile, paths, options })))
    }
}
