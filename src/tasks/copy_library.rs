//! What happens to a library of words? Its files are read and written here, off the window's thread.

use super::write_copy::items_of_log;
use super::{Output, unless_stopped};
use crate::adcopy::library::Addition;
use crate::adcopy::review::{Action, Status};
use crate::adcopy::{Library, Verdict};
use crate::base::Result;
use crate::data::LogFrame;
use crate::jobs::{Job, JobContext, Lane};
use std::path::PathBuf;

/// One thing that is done.
pub enum Work {
    /// Opens the library of a folder.
    Open(PathBuf),
    /// Takes in candidates with their verdicts.
    Add(Vec<Addition>),
    /// Does something to a creative; new words come with their verdict.
    Act(String, Action, Option<Box<Verdict>>),
    /// Takes in the ads of a log.
    ImportLog(LogFrame, String),
}

/// A library with what is to be done, and who does it.
pub struct LibraryWork {
    /// As it is.
    pub library: Library,
    /// Who does it.
    pub who: String,
    /// What is done.
    pub work: Work,
}

/// A library after something was done, with what to say; or why it was not done.
pub struct Worked {
    /// As it is now.
    pub library: Result<Library>,
    /// What to say.
    pub said: String,
}

impl Job for LibraryWork {
    type Output = Output;

    fn name(&self) -> String {
        match &self.work {
            Work::Open(folder) => format!("Open the library {}", folder.display()),
            Work::Add(items) => format!("Keep {} drafts", items.len()),
            Work::Act(id, action, _) => format!("{} {id}", action.name()),
            Work::ImportLog(_, name) => format!("Take the ads of {name} into the library"),
        }
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, _context: &JobContext) -> Result<Output> {
        let Self { library, who, work } = *self;
        let mut said = String::new();
        let done = work.done(library, &who, &mut said);
        Ok(Output::Library(Box::new(Worked { library: unless_stopped(done)?, said })))
    }
}

impl Work {
    fn done(self, mut library: Library, who: &str, said: &mut String) -> Result<Library> {
        match self {
            Self::Open(folder) => return Library::open(&folder),
            Self::Add(items) => {
                let names = library.add(who, items)?;
                *said = format!("{} drafts kept in the library; a second person approves them", names.len());
            }
            Self::Act(id, action, verdict) => {
                let status: Status = library.act(&id, &action, who, verdict.as_deref())?;
                *said = format!("{id} is {}", status.name());
            }
            Self::ImportLog(log, name) => {
                let came = library.import(who, &name, items_of_log(&log)?)?;
                *said = format!("{came} ads of {name} came into the library, each with how it did");
            }
        }
        Ok(library)
    }
}
