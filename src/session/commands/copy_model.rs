//! Which language model writes in the studio, and what came of it?

use super::copy::usual_folder;
use crate::adcopy::Library;
use crate::base::{Failure, Result};
use crate::jobs::Latest;
use crate::language::chat::ModelFile;
use crate::session::{Purpose, Session};
use crate::tasks::tune_writer::{LookAtTuning, TuneWriter, TunedWriter};
use crate::tasks::write_by_model::{LookAtModel, Source, USUAL_TRIES, WriteByModel, WroteByModel};
use crate::train::copy_tuning::TuneSpec;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Chooses a file, which is looked at in the background; the former model gives its memory back.
pub(super) fn choose(session: &mut Session, path: Option<PathBuf>) -> Result<()> {
    session.jobs.cancel(Purpose::WriteByModel);
    session.jobs.cancel(Purpose::TuneModel);
    session.store.copy.writer = Default::default();
    if session.workspace.language_model != path {
        // Adapters belong to the model that they were learnt on.
        session.workspace.language_adapters = None;
    }
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
        (None, Some(path)) => Source::File(path.clone(), session.workspace.language_adapters.clone()),
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

/// Writes under adapters from the next time on.
pub(super) fn use_adapters(session: &mut Session, path: Option<PathBuf>) -> Result<()> {
    session.jobs.cancel(Purpose::WriteByModel);
    session.workspace.language_adapters = path;
    session.store.copy.writer.model = None;
    Ok(())
}

/// Asks in the background what a tuning would take.
pub(super) fn look_at_tuning(session: &mut Session, spec: TuneSpec) -> Result<()> {
    let (Some(path), Some(library)) = (&session.workspace.language_model, &session.store.copy.library) else {
        return Ok(());
    };
    let (path, library) = (path.clone(), Arc::clone(library));
    session.jobs.start(Purpose::LookAtTuning, LookAtTuning { path, library, spec })
}

/// Tunes the model on the library that is open.
pub(super) fn tune(session: &mut Session, spec: TuneSpec) -> Result<()> {
    let what = "cannot tune the language model";
    let path = session
        .workspace
        .language_model
        .clone()
        .ok_or_else(|| Failure::new(what, "none is chosen").hint("choose a GGUF file in the Studio"))?;
    let library = match &session.store.copy.library {
        Some(library) => Arc::clone(library),
        None => Arc::new(Library::open(&usual_folder(session)?)?),
    };
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let kept = library.folder().join("adapters").join(format!("{name}.safetensors"));
    let writer = &mut session.store.copy.writer;
    writer.tuning = Latest::default();
    writer.tuned = None;
    let live = writer.tuning.clone();
    // Learnt on the model as its file is, whatever it writes under now.
    let source = Source::File(path, None);
    session.jobs.start(Purpose::TuneModel, TuneWriter { library, source, spec, path: kept, live })
}

/// Takes what was learnt: the model writes under it where held-out copy became likelier beyond chance.
pub(super) fn tuned(session: &mut Session, tuned: TunedWriter) {
    let answer = tuned.answer.map(|(tuned, path)| {
        if tuned.change.high < 0.0 {
            session.workspace.language_adapters = Some(path);
            session.store.copy.writer.model = None;
        }
        session.notices.done(tuned.told());
        Arc::new(*tuned)
    });
    session.store.copy.writer.tuned = Some(answer);
}
