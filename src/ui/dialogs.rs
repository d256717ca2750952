//! How does a person choose a file? With the desktop's own dialog, on a thread of its own, one at a time.
//!
//! Where the desktop has no file portal (a bare server, Xvfb) no dialog opens; every panel that asks for a
//! file therefore has a path field beside the button.

use crate::base::{Result, failure::Explain};
use crate::session::Command;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialogKind {
    /// A file that exists.
    OpenFile,
    /// A folder that exists.
    OpenFolder,
    /// A file to write.
    SaveFile,
}

/// One question; `then` turns the answer into a command.
pub struct DialogRequest {
    kind: DialogKind,
    title: &'static str,
    file_name: String,
    then: Box<dyn FnOnce(PathBuf) -> Command + Send>,
}

impl DialogRequest {
    /// Asks for a file or folder that exists.
    pub fn open(
        kind: DialogKind,
        title: &'static str,
        then: impl FnOnce(PathBuf) -> Command + Send + 'static,
    ) -> Self {
        Self { kind, title, file_name: String::new(), then: Box::new(then) }
    }

    /// Asks for a file to write, and offers a name for it.
    pub fn save(
        title: &'static str,
        file_name: impl Into<String>,
        then: impl FnOnce(PathBuf) -> Command + Send + 'static,
    ) -> Self {
        Self { kind: DialogKind::SaveFile, title, file_name: file_name.into(), then: Box::new(then) }
    }
}

/// The dialog that is open, if one is.
#[derive(Default)]
pub struct Dialogs {
    open: Arc<AtomicBool>,
    answers: crate::jobs::Latest<Command>,
    seen: u64,
}

impl Dialogs {
    /// Opens a dialog unless one is open already.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn ask(&self, request: DialogRequest, context: &egui::Context) -> Result<()> {
        if self.open.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let (open, answers, context) = (Arc::clone(&self.open), self.answers.clone(), context.clone());
        thread::Builder::new()
            .name("adloupe-dialog".to_owned())
            .spawn(move || {
                let dialog = rfd::AsyncFileDialog::new().set_title(request.title);
                let chosen = pollster::block_on(async {
                    match request.kind {
                        DialogKind::OpenFile => dialog.pick_file().await,
                        DialogKind::OpenFolder => dialog.pick_folder().await,
                        DialogKind::SaveFile => dialog.set_file_name(request.file_name).save_file().await,
                    }
                });
                if let Some(file) = chosen {
                    answers.publish((request.then)(file.path().to_path_buf()));
                }
                open.store(false, Ordering::Release);
                context.request_repaint();
            })
            .map(drop)
            .explain("cannot open the file dialog")
    }

    /// The command of a dialog that was answered since the last call.
    pub fn take(&mut self) -> Option<Command> {
        let version = self.answers.version();
        if version == self.seen {
            return None;
        }
        self.seen = version;
        self.answers.get().map(|command| (*command).clone())
    }
}
