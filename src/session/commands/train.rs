//! What can be asked of training?

use crate::base::{Failure, Result};
use crate::jobs::Latest;
use crate::session::{Purpose, Session};
use crate::tasks::train::{OpenModel, SaveModel, Start, Train, Trained};
use crate::train::{TrainSnapshot, TrainSpec, TrainedModel, Trainer};
use std::path::PathBuf;
use std::sync::Arc;

/// Trainings and models.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainCommand {
    /// Trains on the open log; a training that runs is dropped.
    Start(TrainSpec),
    /// Stops the training; it can go on.
    Stop,
    /// Goes on with the stopped training.
    Resume,
    /// Makes a model of the stopped training as it is.
    Finish,
    /// Looks at another of the models, by its place in the list.
    Select(usize),
    /// Writes the selected model into a folder.
    Save(PathBuf),
    /// Opens a model from a folder.
    Open(PathBuf),
}

/// Trainings and models of this run.
#[derive(Default)]
pub struct TrainingState {
    /// Curves of the training that runs, or ran last.
    pub live: Latest<TrainSnapshot>,
    /// A training that was stopped and can go on, with the revision of its log.
    pub stopped: Option<(Box<Trainer>, u64)>,
    /// Models trained or opened, oldest first.
    pub models: Vec<ModelRun>,
    /// The model that all views show, by its place.
    pub selected: usize,
}

/// A model in the list.
#[derive(Clone)]
pub struct ModelRun {
    /// The model.
    pub model: Arc<TrainedModel>,
    /// Revision of the log that it was trained on; `None` for one opened from a folder.
    pub revision: Option<u64>,
    /// Where it was saved or opened, if it was.
    pub folder: Option<PathBuf>,
}

impl TrainingState {
    /// The model that all views show.
    pub fn model(&self) -> Option<&Arc<TrainedModel>> {
        self.models.get(self.selected).map(|run| &run.model)
    }

    fn add(&mut self, run: ModelRun) {
        self.models.push(run);
        self.selected = self.models.len() - 1;
    }
}

pub(super) fn apply(session: &mut Session, command: TrainCommand) -> Result<()> {
    match command {
        TrainCommand::Start(spec) => start(session, spec),
        TrainCommand::Stop => {
            session.jobs.stop(Purpose::Train);
            Ok(())
        }
        TrainCommand::Resume => go_on(session, Start::Resume),
        TrainCommand::Finish => go_on(session, Start::Finish),
        TrainCommand::Select(place) => {
            session.store.training.selected =
                place.min(session.store.training.models.len().saturating_sub(1));
            Ok(())
        }
        TrainCommand::Save(folder) => {
            let what = "cannot save a model";
            let model = session.store.training.model().cloned();
            let model =
                model.ok_or_else(|| Failure::new(what, "there is none yet").hint("train one first"))?;
            session.jobs.start(Purpose::Save, SaveModel { model, folder })
        }
        TrainCommand::Open(folder) => session.jobs.start(Purpose::OpenModel, OpenModel { folder }),
    }
}

/// Takes in the end of a training.
pub(super) fn trained(session: &mut Session, trained: Trained) {
    match trained {
        Trained::Model(model, revision) => {
            session.notices.done(format!("{} is trained", model.kind));
            session.store.training.add(ModelRun { model, revision: Some(revision), folder: None });
        }
        Trained::Broken(trainer, revision, failure) => {
            session.notices.failed(&failure);
            session.store.training.stopped = Some((trainer, revision));
        }
        Trained::Stopped(trainer, revision) => session.store.training.stopped = Some((trainer, revision)),
    }
}

/// Takes in a model that was opened.
pub(super) fn opened(session: &mut Session, model: Arc<TrainedModel>, folder: PathBuf) {
    session.store.training.add(ModelRun { model, revision: None, folder: Some(folder) });
}

/// Takes in that the selected model was saved.
pub(super) fn saved(session: &mut Session, folder: PathBuf) {
    session.notices.done(format!("model saved in {}", folder.display()));
    let selected = session.store.training.selected;
    if let Some(run) = session.store.training.models.get_mut(selected) {
        run.folder = Some(folder);
    }
}

fn start(session: &mut Session, mut spec: TrainSpec) -> Result<()> {
    let missing = || {
        Failure::new("cannot train a model", "no log is encoded for models")
            .hint("open a log with a label column, or the sample")
    };
    let dataset = session.store.dataset.clone().ok_or_else(missing)?;
    let log = session.store.log.as_ref().ok_or_else(missing)?;
    spec.source = log.frame.source.path.display().to_string();
    let spec = spec.completed()?;
    let revision = log.frame.revision;
    session.store.training.stopped = None;
    // A fresh slot, so that a dropped training can't publish into its successor's.
    session.store.training.live = Latest::default();
    let live = session.store.training.live.clone();
    session.jobs.start(Purpose::Train, Train { start: Start::Fresh(dataset, spec), live, revision })
}

fn go_on(session: &mut Session, how: fn(Box<Trainer>) -> Start) -> Result<()> {
    let Some((trainer, revision)) = session.store.training.stopped.take() else {
        return Err(Failure::new("cannot go on", "no training was stopped").hint("start one"));
    };
    let live = session.store.training.live.clone();
    session.jobs.start(Purpose::Train, Train { start: how(trainer), live, revision })
}
