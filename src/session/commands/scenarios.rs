//! What can be asked of kept scenarios?

use crate::base::{Failure, Result};
use crate::market::kept::{Kept, folder_of, seeds};
use crate::session::{Purpose, Session};
use crate::tasks::scenario::{ScenarioDone, ScenarioWork};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Scenarios go by the number of their [`Entry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScenarioCommand {
    /// Keeps the last simulation under a name.
    Keep(String),
    /// Opens files, each beside those that are there.
    Open(PathBuf),
    /// Writes one to a file.
    Save(u64, PathBuf),
    /// Adds a remark: who, what.
    Remark(u64, String, String),
    /// Runs one with other seeds, such as `1,2,5-9`.
    Rerun(u64, String),
    /// Runs all its runs again: are the figures the very same?
    Check(u64),
    /// Writes the spec and a table with the commands into a folder.
    Export(u64, PathBuf),
    /// Puts one away; its file stays.
    Drop(u64),
}

/// The scenarios in sight.
#[derive(Debug, Default)]
pub struct ScenariosState {
    /// In the order in which they came.
    pub entries: Vec<Entry>,
    next: u64,
}

/// A scenario in sight.
#[derive(Debug)]
pub struct Entry {
    /// Stays the same while others come and go.
    pub number: u64,
    /// The scenario.
    pub kept: Arc<Kept>,
    /// Its file, once it has one.
    pub file: Option<PathBuf>,
    /// True when the file is not what is in sight.
    pub unsaved: bool,
    /// Whether each run came out the very same, once that was tried.
    pub checked: Option<Vec<(u64, bool)>>,
}

impl Entry {
    /// The folder that its paths are relative to.
    fn folder(&self) -> PathBuf {
        self.file.as_deref().map(folder_of).unwrap_or(Path::new("")).to_owned()
    }
}

impl ScenariosState {
    fn add(&mut self, kept: Kept, file: Option<PathBuf>) {
        self.next += 1;
        let (number, unsaved) = (self.next, file.is_none());
        self.entries.push(Entry { number, kept: Arc::new(kept), file, unsaved, checked: None });
    }

    fn get(&mut self, number: u64) -> Result<&mut Entry> {
        self.entries
            .iter_mut()
            .find(|entry| entry.number == number)
            .ok_or_else(|| Failure::new("cannot find the scenario", "it was put away"))
    }

    fn change(&mut self, number: u64, change: impl FnOnce(&mut Kept) -> Result<()>) -> Result<()> {
        let entry = self.get(number)?;
        let mut kept = Kept::clone(&entry.kept);
        change(&mut kept)?;
        entry.kept = Arc::new(kept);
        entry.unsaved = true;
        Ok(())
    }
}

pub(super) fn apply(session: &mut Session, command: ScenarioCommand) -> Result<()> {
    let state = &mut session.store.scenarios;
    match command {
        ScenarioCommand::Keep(name) => {
            let last = session.store.market.result.clone().ok_or_else(|| {
                Failure::new("cannot keep the scenario", "nothing was simulated yet")
                    .hint("run the market first")
            })?;
            session.jobs.start(Purpose::Scenario, ScenarioWork::Keep(last, name))
        }
        ScenarioCommand::Open(path) => {
            let kept = Kept::load(&path)?;
            state.add(kept, Some(path));
            Ok(())
        }
        ScenarioCommand::Save(number, path) => {
            let entry = state.get(number)?;
            entry.kept.save(&entry.folder(), &path)?;
            // Read anew: its paths are now as seen from the file.
            entry.kept = Arc::new(Kept::load(&path)?);
            entry.unsaved = false;
            let said =
                format!("Scenario '{}' saved: adloupe scenario show {}", entry.kept.name, path.display());
            entry.file = Some(path);
            session.notices.done(said);
            Ok(())
        }
        ScenarioCommand::Remark(number, by, text) => {
            state.change(number, |kept| kept.remark(&by, &text, SystemTime::now()))
        }
        ScenarioCommand::Rerun(number, text) => {
            let seeds = seeds(&text)?;
            let entry = state.get(number)?;
            let work = ScenarioWork::Rerun(number, Box::new(Kept::clone(&entry.kept)), entry.folder(), seeds);
            session.jobs.start(Purpose::Scenario, work)
        }
        ScenarioCommand::Check(number) => {
            let entry = state.get(number)?;
            let work = ScenarioWork::Check(number, Box::new(Kept::clone(&entry.kept)), entry.folder());
            session.jobs.start(Purpose::Scenario, work)
        }
        ScenarioCommand::Export(number, folder) => {
            let entry = state.get(number)?;
            let [spec, table] = entry.kept.export(&entry.folder(), &folder)?;
            session.notices.done(format!(
                "Written: {} and, with the command of each run, {}",
                spec.display(),
                table.display()
            ));
            Ok(())
        }
        ScenarioCommand::Drop(number) => {
            state.entries.retain(|entry| entry.number != number);
            Ok(())
        }
    }
}

/// Takes in what became of a scenario; one that was put away meanwhile is left alone.
pub(super) fn done(session: &mut Session, done: ScenarioDone) {
    let state = &mut session.store.scenarios;
    match done {
        ScenarioDone::Kept(kept) => state.add(*kept, None),
        ScenarioDone::Ran(number, ran) => {
            if let Ok(entry) = state.get(number) {
                // Remarks may have come while it ran.
                let remarks = entry.kept.remarks.clone();
                entry.kept = Arc::new(Kept { remarks, ..*ran });
                (entry.unsaved, entry.checked) = (true, None);
            }
        }
        ScenarioDone::Checked(number, checked) => {
            if let Ok(entry) = state.get(number) {
                entry.checked = Some(checked);
            }
        }
    }
}
