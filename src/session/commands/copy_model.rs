//! Which language model writes in the studio, and what came of it?

use crate::base::{Failure, Result};
use crate::jobs::Latest;
use crate::language::chat::ModelFile;
use crate::session::{Purpose, Session};
use crate::tasks::write_by_model::{LookAtModel, Source, USUAL_TRIES, WriteByModel, WroteByModel};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Chooses a file, which is looked at in the background; the former model gives its memory back.
pub(super) fn choose(session: &mut Session, path: Option<PathBuf>) -> Result<()> {
    session.jobs.cancel(Purpose::WriteByModel);
    session.store.copy.writer = Default::default();
    session.workspace.language_model.clone_from(&path);
    match path {
        Some(path) => session.jobs.start(Purpose::LookAtModel, LookAtModel { path }),
        None => {
            session.jobs.cancel(Purpose::LookAtModel);
            Ok(())
        }
    }
}

/// Stores what a file is.
pub(super) fn looked_at(session: &mut Session, path: &Path, file: Result<ModelFile>) {
    if session.workspace.language_model.as_deref() == Some(path) {
        session.store.copy.writer.file = Some(file);
    }
}

/// Has the model write for the round.
pub(super) fn write(session: &mut Session) -> Result<()> {
    let what = "cannot have the language model write";
    let Some(Ok(round)) = session.store.copy.round.clone() else {
        return Err(Failure::new(what, "there is no round to write for").hint("write candidates first"));
    };
    let writer = &mut session.store.copy.writer;
    let source = match (&writer.model, &session.workspace.language_model) {
        (Some(model), _) => Source::Open(Arc::clone(model)),
        (None, Some(path)) => Source::File(path.clone()),
        (None, None) => {
            return Err(Failure::new(what, "none is chosen").hint("choose a GGUF file in the Studio"));
        }
    };
    writer.live = Latest::default();
    writer.ended = None;
    let live = writer.live.clone();
    session.jobs.start(Purpose::WriteByModel, WriteByModel { round, source, tries: USUAL_TRIES, live })
}

/// Takes what a model wrote into the round.
pub(super) fn wrote(session: &mut Session, wrote: WroteByModel) {
    let copy = &mut session.store.copy;
    if let Some(model) = wrote.model {
        copy.writer.model = Some(model);
    }
    let ended = wrote.answer.map(|by_model| {
        if let Some(Ok(round)) = &mut copy.round {
            Arc::make_mut(round).take_in(&by_model);
        }
        by_model.told()
    });
    copy.writer.ended = Some(ended);
}
