//! What is open, how do we look at it, and what happened? State and commands, without egui.
//!
//! [`Session::apply`] carries out what a person asked for; [`Session::absorb`] takes in what the workers
//! answered. Nothing else changes the state, so the window, the tour and the tests drive one machine.

pub mod commands;
pub mod jobs;
pub mod notices;
pub mod sample;
pub mod store;
pub mod workspace;

use crate::base::Result;
use crate::jobs::{JobEnd, JobEvent};
use crate::tasks::Output;
pub use commands::Command;
pub use jobs::{JobTable, Purpose};
pub use notices::{Notice, NoticeKind, Notices};
use std::time::Duration;
pub use store::Store;
pub use workspace::Workspace;

/// Everything the program knows while it runs.
pub struct Session {
    /// Logs, models and reports: what the workers answered.
    pub store: Store,
    /// How we look: persisted between runs.
    pub workspace: Workspace,
    /// What runs in the background.
    pub jobs: JobTable,
    /// Failures and warnings, newest last.
    pub notices: Notices,
}

/// Answers taken in per frame at most, so that a flood of news can't stall the window.
const EVENTS_PER_FRAME: usize = 64;

impl Session {
    /// An empty session. `wake` is called from the workers whenever there is news.
    ///
    /// # Errors
    /// The operating system refuses the worker threads.
    pub fn new(workspace: Workspace, wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        Ok(Self {
            store: Store::default(),
            workspace,
            jobs: JobTable::new(wake)?,
            notices: Notices::default(),
        })
    }

    /// Does what a person asked for. A failure becomes a notice.
    pub fn apply(&mut self, command: Command) {
        if let Err(failure) = commands::apply(self, command) {
            self.notices.failed(&failure);
        }
    }

    /// Takes in the workers' news. True when anything changed.
    pub fn absorb(&mut self) -> bool {
        let mut changed = false;
        for _ in 0..EVENTS_PER_FRAME {
            let Some(event) = self.jobs.try_event() else { break };
            self.absorb_event(event);
            changed = true;
        }
        changed
    }

    /// Takes in news until nothing runs any more or `limit` has passed: for the tour and tests.
    /// True when everything ended in time.
    pub fn settle(&mut self, limit: Duration) -> bool {
        let deadline = std::time::Instant::now() + limit;
        while self.jobs.any_running() {
            if std::time::Instant::now() > deadline {
                return false;
            }
            if let Some(event) = self.jobs.wait_event(Duration::from_millis(50)) {
                self.absorb_event(event);
            }
        }
        true
    }

    fn absorb_event(&mut self, event: JobEvent<Output>) {
        match event {
            JobEvent::Started(id) => self.jobs.started(id),
            JobEvent::Warned(id, text) => {
                let name = self.jobs.name_of(id);
                self.notices.warned(format!("{name}: {text}"));
            }
            JobEvent::Ended(id, end, took) => {
                let current = self.jobs.ended(id, took);
                match end {
                    // A superseded job's answer is stale: its successor is on the way.
                    JobEnd::Done(_) if !current => {}
                    JobEnd::Done(output) => {
                        if let Err(failure) = commands::absorb(self, output) {
                            self.notices.failed(&failure);
                        }
                    }
                    JobEnd::Failed(failure) if failure.is_cancelled() => {}
                    JobEnd::Failed(failure) => self.notices.failed(&failure),
                }
            }
        }
    }
}
