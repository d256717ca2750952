//! What can a person ask for? One enum an area, each with its handler beside it.

pub mod view;

use super::Session;
use crate::base::Result;
use crate::tasks::Output;
pub use view::ViewCommand;

/// Anything a panel, a shortcut, the tour or a test can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Panels, theme, notices, jobs.
    View(ViewCommand),
}

/// Carries out a command.
pub(super) fn apply(session: &mut Session, command: Command) -> Result<()> {
    match command {
        Command::View(command) => view::apply(session, command),
    }
}

/// Stores a worker's answer.
pub(super) fn absorb(_session: &mut Session, output: Output) -> Result<()> {
    match output {}
}
