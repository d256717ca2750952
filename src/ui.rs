//! What does the window show? egui lives here and nowhere else; nothing here computes.
//!
//! A panel reads a `&Session` and answers with [`Command`]s; the app applies them after the frame.

pub mod app;
pub mod charts;
pub mod curves_cost;
pub mod dialogs;
pub mod explore_cost;
pub mod fonts;
pub mod form;
pub mod frame_cost;
pub mod gpu_view;
pub mod lost;
pub mod map_cost;
pub mod panels;
pub mod pictures;
pub mod screenshot;
pub mod shell;
pub mod story;
pub mod theme;
pub mod tour;
pub mod widgets;

use crate::session::{Command, Session};
pub use app::{AdloupeApp, run_window};
pub use dialogs::{DialogKind, DialogRequest};
pub use theme::Theme;

/// What a panel may see and say during one frame.
pub struct PanelContext<'a> {
    /// The state, read-only.
    pub session: &'a Session,
    /// The colours in use.
    pub theme: &'a Theme,
    commands: &'a mut Vec<Command>,
    questions: &'a mut Vec<DialogRequest>,
}

impl<'a> PanelContext<'a> {
    /// A context for one frame; `commands` and `questions` collect what is asked for.
    pub fn new(
        session: &'a Session,
        theme: &'a Theme,
        commands: &'a mut Vec<Command>,
        questions: &'a mut Vec<DialogRequest>,
    ) -> Self {
        Self { session, theme, commands, questions }
    }

    /// Asks for something; it is done after this frame.
    pub fn send(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Asks the person for a file; the answer arrives as a command in a later frame.
    pub fn ask(&mut self, question: DialogRequest) {
        self.questions.push(question);
    }
}
