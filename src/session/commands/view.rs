//! What changes only how we look?

use crate::base::Result;
use crate::session::{Purpose, Session};
use crate::tasks::export::WritePicture;
use std::path::PathBuf;
use std::sync::Arc;

/// Panels, theme, notices, jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewCommand {
    /// Shows the panel of that id.
    Show(&'static str),
    /// Dark or light.
    SetDark(bool),
    /// Puts a notice away.
    Dismiss(usize),
    /// Stops the job of a purpose.
    Cancel(Purpose),
    /// Lets the job of a purpose wait, or go on.
    Pause(Purpose, bool),
    /// Writes the picture of a chart to a file.
    SavePicture {
        /// The file.
        path: PathBuf,
        /// Its content, SVG or PNG.
        content: Arc<[u8]>,
    },
}

pub(super) fn apply(session: &mut Session, command: ViewCommand) -> Result<()> {
    match command {
        ViewCommand::Show(panel) => panel.clone_into(&mut session.workspace.panel),
        ViewCommand::SetDark(dark) => session.workspace.dark = dark,
        ViewCommand::Dismiss(index) => session.notices.dismiss(index),
        ViewCommand::Cancel(purpose) => session.jobs.stop(purpose),
        ViewCommand::Pause(purpose, paused) => session.jobs.pause(purpose, paused),
        ViewCommand::SavePicture { path, content } => {
            session.jobs.start(Purpose::Export, WritePicture { path, content })?;
        }
    }
    Ok(())
}
