//! What happens to a library of words? Its files are read and written here, off the window's thread.

use super::copy_sources::{Audiences, of_log};
use super::{Output, unless_stopped};
use crate::adcopy::library::Addition;
use crate::adcopy::library::Performance;
use crate::adcopy::review::{Action, Status};
use crate::adcopy::{Library, Verdict, picture};
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
    /// Gives a creative the picture of a file, or none.
    Illustrate(String, Option<PathBuf>),
    /// Takes in the ads of a log, or how they did before some audiences.
    ImportLog(LogFrame, String, Audiences),
    /// Adds a tag to creatives: each with its tag.
    Tag(Vec<(String, String)>),
    /// Notes how creatives did: where that is from, and each with its clicks.
    Learn(String, Vec<(String, Vec<Performance>)>),
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
            Work::Illustrate(id, _) => format!("Look at the picture of {id}"),
            Work::ImportLog(_, name, _) => format!("Take the ads of {name} into the library"),
            Work::Tag(tags) => format!("Tag {} creatives", tags.len()),
            Work::Learn(from, _) => format!("Note the results of {from}"),
        }
    }

    fn lane(&self) -> Lane {
        Lane::Io
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { library, who, work } = *self;
        let mut said = String::new();
        let done = work.done(library, &who, &mut said, context);
        Ok(Output::Library(Box::new(Worked { library: unless_stopped(done)?, said })))
    }
}

impl Work {
    fn done(
        self,
        mut library: Library,
        who: &str,
        said: &mut String,
        context: &JobContext,
    ) -> Result<Library> {
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
            Self::Illustrate(id, path) => {
                let picture = path.map(|path| picture::open(&path)).transpose()?;
                let picture = picture.map(|(picture, _)| Box::new(picture));
                let status = library.act(&id, &Action::Illustrate(picture), who, None)?;
                *said = format!("{id} is {}: another picture is looked at again", status.name());
            }
            Self::ImportLog(log, name, audiences) => {
                let found = of_log(&log, &audiences, context)?;
                found.notes.into_iter().for_each(|note| context.warn(note));
                let known = found.items.len();
                let came = library.import(who, &name, found.items)?;
                *said = format!("{came} ads of {name} came into the library; how {known} did is noted");
            }
            Self::Tag(tags) => {
                let count = tags.len();
                library.tag(who, tags)?;
                *said = format!("{count} creatives have a learnt tag");
            }
            Self::Learn(from, results) => {
                let count = results.len();
                library.learn(who, &from, results)?;
                *said = format!("how {count} creatives did is noted: {from}");
            }
        }
        Ok(library)
    }
}
