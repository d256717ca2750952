//! What can be asked of training?

use super::DataCommand;
use super::data::{open_log, usual_options};
use crate::base::failure::Explain;
use crate::base::files::{disk_failure, state_folder, write_atomically};
use crate::base::params::Params;
use crate::base::{Failure, Result};
use crate::data::encode::TopicReader;
use crate::data::importers::{ImportOptions, RecipeChoice};
use crate::data::options::EncodeOptions;
use crate::data::recipe::Recipe;
use crate::jobs::Latest;
use crate::session::store::OpenLog;
use crate::session::{Command, Purpose, Session};
use crate::tasks::combine::Combine;
use crate::tasks::federated::{Federate, TrainedByClients};
use crate::tasks::online::{LearnOnline, LearntOnline, SaveOnline};
use crate::tasks::outline::DrawModel;
use crate::tasks::search::{SearchKnobs, Searched};
use crate::tasks::train::{OpenModel, SaveModel, Start, Train, Trained, TrainingRows, WriteOnnx};
use crate::tasks::trial::{Trial, Tried, TryOut};
use crate::train::checkpoint::{Kept, is_in_use};
use crate::train::ensemble::member_specs;
use crate::train::federated::Federation;
use crate::train::online::progress::Progress;
use crate::train::search::{Ended, SearchPlan, SearchState};
use crate::train::tuning::Tuning;
use crate::train::{TrainSnapshot, TrainSpec, TrainedModel, Trainer};
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The files of a training's log, beside its checkpoint.
const LOG: &str = "log.json";
/// How that log was read.
const RECIPE: &str = "log.recipe.json";

/// Trainings and models.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainCommand {
    /// Trains on the open log; a training that runs is dropped.
    Start(TrainSpec),
    /// Trains one after another on the open log.
    StartAll(Vec<TrainSpec>),
    /// Trains the model in view further, with these knobs of training, on the open log.
    Tune(TrainSpec, Tuning),
    /// Trains so many members of an ensemble on rows drawn anew, and averages them.
    StartEnsemble(TrainSpec, usize),
    /// Averages models of the list, by place.
    Combine(Vec<usize>),
    /// Begins the next of those that wait.
    StartNext,
    /// Forgets those that wait.
    DropWaiting,
    /// Has every kind of model read each text column as so many numbers; 0 leaves texts to people. The log is encoded anew.
    ReadTexts(usize),
    /// Reads what texts are about beside their vectors, or not.
    ReadTopics(bool),
    /// Has the topics of a file, learnt or a list, say what texts are about.
    TopicsOf(PathBuf),
    /// Reads what each user searched, read or clicked before, half as much after so many days; 0: not.
    ReadInterests(u32),
    /// Finds out what a kind would be made of, on the open log with these knobs.
    Draw(&'static str, Params),
    /// Stops the training; it can go on.
    Stop,
    /// Goes on with the stopped training.
    Resume,
    /// Keeps trainings in this folder while they run, and looks for those that a former run of the program left there.
    KeepRunsIn(PathBuf),
    /// Goes on with an unfinished training of a former run, in this folder; opens its log if need be.
    GoOnWith(PathBuf),
    /// Throws an unfinished training away.
    ThrowAway(PathBuf),
    /// Makes a model of the stopped training as it is.
    Finish,
    /// Looks at another of the models, by its place in the list.
    Select(usize),
    /// Writes the selected model into a folder.
    Save(PathBuf),
    /// Writes the selected model as ONNX into a file.
    WriteOnnx(PathBuf),
    /// Opens a model from a folder.
    Open(PathBuf),
    /// Tries values of knobs for so many minutes, kept in a folder; a new one where none is named.
    Search(Box<SearchPlan>, f64, Option<PathBuf>),
    /// Goes on with the search in a folder for so many minutes.
    SearchOn(PathBuf, f64),
    /// Stops the search; it can go on.
    StopSearch,
    /// Trains on clients, the rows of each value of a column of the open log.
    Federate(TrainSpec, Federation),
    /// Tries another way to learn on the open log.
    TryOut(Box<Trial>),
    /// Learns from the open log in one pass, with these knobs.
    LearnOnline(Params),
    /// Stops that; what was learnt stays.
    StopOnline,
    /// Writes what was learnt in one pass into a folder.
    SaveOnline(PathBuf),
}

/// Trainings and models of this run.
#[derive(Default)]
pub struct TrainingState {
    /// Curves of the training that runs, or ran last.
    pub live: Latest<TrainSnapshot>,
    /// A training that was stopped and can go on, with the revision of its log.
    pub stopped: Option<(Box<Trainer>, u64)>,
    /// Trainings that wait for the one that runs, first to last.
    pub waiting: VecDeque<TrainSpec>,
    /// The members that are being trained: the place of the first in the list, and how many.
    pub members: Option<(usize, usize)>,
    /// Numbers that each text column is read as; 0: texts are left to people.
    pub text_vectors: usize,
    /// True where what texts are about does not stand beside their vectors.
    pub without_topics: bool,
    /// Who says what texts are about, with the name of the file; `None`: the program's list.
    pub topics: Option<(String, Arc<TopicReader>)>,
    /// Days after which what a user searched, read or clicked counts half among the user's interests; 0: not read.
    pub interest_days: u32,
    /// Where trainings are kept while they run; `None` for nowhere.
    pub runs: Option<PathBuf>,
    /// What a former run of the program left unfinished, newest first.
    pub unfinished: Vec<Unfinished>,
    /// The unfinished training that goes on as soon as its log is there.
    pub next: Option<PathBuf>,
    /// The search that runs, or ran last.
    pub search_live: Latest<SearchState>,
    /// Its folder.
    pub search_folder: Option<PathBuf>,
    /// How its last run ended.
    pub searched: Option<Arc<Searched>>,
    /// Progress of the pass that runs, or ran last.
    pub online_live: Latest<Progress>,
    /// What the last pass taught.
    pub online: Option<Arc<LearntOnline>>,
    /// What came of other ways to learn: the last of each.
    pub tried: Vec<Arc<Tried>>,
    /// What clients trained last.
    pub federated: Option<Arc<TrainedByClients>>,
    /// Models trained or opened, oldest first.
    pub models: Vec<ModelRun>,
    /// The model that all views show, by its place.
    pub selected: usize,
}

/// A training that the end of the program interrupted.
#[derive(Debug, Clone, PartialEq)]
pub struct Unfinished {
    /// What is known of it.
    pub kept: Kept,
    /// The files of its log.
    pub paths: Vec<PathBuf>,
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

    /// How the open log is encoded for models.
    pub fn encoding(&self) -> EncodeOptions {
        let (text_vectors, interest_days) = (self.text_vectors, self.interest_days);
        let reader = || self.topics.as_ref().map(|(_, reader)| Arc::clone(reader)).unwrap_or_default();
        let topics = (!self.without_topics).then(reader);
        EncodeOptions { text_vectors, interest_days, topics, ..EncodeOptions::default() }
    }

    pub(super) fn keep_tried(&mut self, tried: Arc<Tried>) {
        let is_other =
            |known: &Arc<Tried>| std::mem::discriminant(&**known) != std::mem::discriminant(&*tried);
        self.tried.retain(is_other);
        self.tried.push(tried);
    }

    /// What came of a way to learn, where it was tried; `pick` knows which.
    pub fn tried<T>(&self, pick: impl Fn(&Tried) -> Option<&T>) -> Option<&T> {
        self.tried.iter().find_map(|tried| pick(tried))
    }

    pub(super) fn add(&mut self, run: ModelRun) {
        self.models.push(run);
        self.selected = self.models.len() - 1;
    }
}

/// The folder of the system in which trainings are kept while they run; `None` where there is none.
pub fn usual_runs() -> Option<PathBuf> {
    Some(state_folder()?.join("runs"))
}

/// Encodes the log anew, with so many numbers a text and interests that fade so fast.
fn read_texts(session: &mut Session, numbers: usize, days: u32) -> Result<()> {
    let training = &mut session.store.training;
    (training.text_vectors, training.interest_days) = (numbers, days);
    training.encoding().check()?;
    super::data::encode_anew(session)
}

/// Has the topics of a file say what texts are about.
fn topics_of(session: &mut Session, path: &Path) -> Result<()> {
    let reader = Arc::new(TopicReader::open(path)?);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    EncodeOptions { topics: Some(Arc::clone(&reader)), ..EncodeOptions::default() }.check()?;
    session.store.training.topics = Some((name, reader));
    session.store.training.without_topics = false;
    super::data::encode_anew(session)
}

pub(super) fn apply(session: &mut Session, command: TrainCommand) -> Result<()> {
    match command {
        TrainCommand::Start(spec) => {
            session.store.training.waiting.clear();
            session.store.training.members = None;
            start(session, spec)
        }
        TrainCommand::StartAll(specs) => {
            session.store.training.waiting = specs.into();
            start_next(session)
        }
        TrainCommand::Tune(spec, tuning) => tune(session, spec, tuning),
        TrainCommand::StartEnsemble(spec, members) => {
            session.store.training.waiting = member_specs(&spec, members, true)?.into();
            session.store.training.members = Some((session.store.training.models.len(), members));
            start_next(session)
        }
        TrainCommand::Combine(places) => combine(session, &places),
        TrainCommand::StartNext => start_next(session),
        TrainCommand::DropWaiting => {
            session.store.training.waiting.clear();
            Ok(())
        }
        TrainCommand::ReadTexts(numbers) => {
            let days = if numbers == 0 { 0 } else { session.store.training.interest_days };
            read_texts(session, numbers, days)
        }
        TrainCommand::ReadTopics(wanted) => {
            session.store.training.without_topics = !wanted;
            super::data::encode_anew(session)
        }
        TrainCommand::TopicsOf(path) => topics_of(session, &path),
        TrainCommand::ReadInterests(days) => read_texts(session, session.store.training.text_vectors, days),
        TrainCommand::Draw(kind, params) => {
            let Some(dataset) = session.store.dataset.clone() else { return Ok(()) };
            session.jobs.start(Purpose::Draw, DrawModel { dataset, kind, params })
        }
        TrainCommand::Stop => {
            session.jobs.stop(Purpose::Train);
            Ok(())
        }
        TrainCommand::Resume => go_on(session, Start::Resume),
        TrainCommand::KeepRunsIn(folder) => {
            session.store.training.unfinished = unfinished_in(&folder);
            session.store.training.runs = Some(folder);
            Ok(())
        }
        TrainCommand::GoOnWith(folder) => go_on_with(session, &folder),
        TrainCommand::ThrowAway(folder) => {
            let training = &mut session.store.training;
            let known = training.unfinished.iter().any(|one| one.kept.folder == folder);
            training.unfinished.retain(|one| one.kept.folder != folder);
            match known {
                true => fs::remove_dir_all(&folder)
                    .map_err(|error| disk_failure("cannot throw the training away", &folder, &error)),
                false => Ok(()),
            }
        }
        TrainCommand::Finish => go_on(session, Start::Finish),
        TrainCommand::Select(place) => {
            session.store.training.selected =
                place.min(session.store.training.models.len().saturating_sub(1));
            Ok(())
        }
        TrainCommand::Save(folder) => {
            let model = in_view(session, "cannot save a model")?;
            session.jobs.start(Purpose::Save, SaveModel { model, folder })
        }
        TrainCommand::WriteOnnx(file) => {
            let model = in_view(session, "cannot write a model as ONNX")?;
            session.jobs.start(Purpose::Save, WriteOnnx { model, file })
        }
        TrainCommand::Open(folder) => session.jobs.start(Purpose::OpenModel, OpenModel { folder }),
        TrainCommand::Search(plan, minutes, folder) => {
            let folder = match folder {
                Some(folder) => folder,
                None => new_search_folder(session)?,
            };
            search(session, Some(*plan), folder, minutes)
        }
        TrainCommand::SearchOn(folder, minutes) => search(session, None, folder, minutes),
        TrainCommand::StopSearch => {
            session.jobs.stop(Purpose::Search);
            Ok(())
        }
        TrainCommand::Federate(spec, federation) => federate(session, spec, federation),
        TrainCommand::TryOut(trial) => try_out(session, *trial),
        TrainCommand::LearnOnline(params) => learn_online(session, params),
        TrainCommand::StopOnline => {
            session.jobs.stop(Purpose::LearnOnline);
            Ok(())
        }
        TrainCommand::SaveOnline(folder) => {
            let what = "cannot save the online learner";
            let learnt = session.store.training.online.clone();
            let learnt = learnt.ok_or_else(|| Failure::new(what, "there is none yet").hint("learn first"))?;
            session.jobs.start(Purpose::Save, SaveOnline { learnt, folder })
        }
    }
}

/// The model in view.
fn in_view(session: &Session, what: &str) -> Result<Arc<TrainedModel>> {
    let model = session.store.training.model().cloned();
    model.ok_or_else(|| Failure::new(what, "there is none yet").hint("train one first"))
}

/// Searches on the open log in a folder: what is planned, or what the folder holds.
fn search(session: &mut Session, plan: Option<SearchPlan>, folder: PathBuf, minutes: f64) -> Result<()> {
    let missing = || {
        Failure::new("cannot search", "no log is encoded for models")
            .hint("open a log with a label column, or the sample")
    };
    let rows = training_rows(session).ok_or_else(missing)?;
    let source = session.store.log.as_ref().map(|log| log.frame.source.path.display().to_string());
    let named = |plan: SearchPlan| {
        let base = TrainSpec { source: source.unwrap_or_default(), ..plan.base };
        SearchPlan { base, ..plan }
    };
    let training = &mut session.store.training;
    training.search_live = Latest::default();
    training.live = Latest::default();
    training.searched = None;
    training.search_folder = Some(folder.clone());
    let (live, curves) = (training.search_live.clone(), training.live.clone());
    let budget = Duration::from_secs_f64(60.0 * minutes.clamp(0.0, 1e6));
    let job = SearchKnobs { rows, plan: plan.map(named), folder, budget, live, curves };
    session.jobs.start(Purpose::Search, job)
}

/// A folder of its own for a search, where the system keeps what a program must remember.
fn new_search_folder(session: &Session) -> Result<PathBuf> {
    let beside_runs = session.store.training.runs.as_deref().and_then(Path::parent).map(Path::to_owned);
    let state = beside_runs.or_else(state_folder).ok_or_else(|| {
        Failure::new("cannot search", "the system names no folder to keep a search in").hint("name one")
    })?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(state.join("searches").join(now.as_millis().to_string()))
}

/// Takes in the end of a run of a search.
pub(super) fn searched(session: &mut Session, searched: Arc<Searched>) {
    session.notices.done(match searched.ended {
        Ended::Finished => "the search is finished".to_owned(),
        Ended::OutOfTime => "the time of the search is spent; it can go on".to_owned(),
        Ended::Stopped => "the search was stopped; it can go on".to_owned(),
    });
    session.store.training.search_live.publish(searched.state.clone());
    session.store.training.searched = Some(searched);
}

fn try_out(session: &mut Session, trial: Trial) -> Result<()> {
    let rows = training_rows(session).ok_or_else(|| {
        Failure::new("cannot try another way to learn", "no log is encoded for models")
            .hint("open a log with a label column, or the sample")
    })?;
    let (log, model) = (open_log(session)?.frame.clone(), session.store.training.model().cloned());
    session.jobs.start(Purpose::TryOut, TryOut { rows, log, model, trial })
}

fn federate(session: &mut Session, spec: TrainSpec, federation: Federation) -> Result<()> {
    let frame = &open_log(session)?.frame;
    let (revision, source) = (frame.revision, frame.source.path.display().to_string());
    let rows = training_rows(session).ok_or_else(|| {
        Failure::new("cannot train on clients", "no log is encoded for models")
            .hint("open a log with a label column, or the sample")
    })?;
    let spec = TrainSpec { source, ..spec };
    session.jobs.start(Purpose::Federate, Federate { rows, revision, spec, federation })
}

/// Takes in a model that clients trained, which joins the list.
pub(super) fn trained_by_clients(session: &mut Session, trained: Arc<TrainedByClients>) {
    session.notices.done(format!("{} is trained on {} clients", trained.model.kind, trained.found.clients));
    let (model, revision) = (Arc::clone(&trained.model), Some(trained.revision));
    session.store.training.add(ModelRun { model, revision, folder: None });
    session.store.training.federated = Some(trained);
}

fn learn_online(session: &mut Session, params: Params) -> Result<()> {
    let OpenLog { frame, paths, options, .. } = open_log(session)?.clone();
    session.store.training.online = None;
    session.store.training.online_live = Latest::default();
    let live = session.store.training.online_live.clone();
    session.jobs.start(Purpose::LearnOnline, LearnOnline { log: frame, paths, options, params, live })
}

/// Takes in the end of a pass.
pub(super) fn learnt_online(session: &mut Session, learnt: Arc<LearntOnline>) {
    session.notices.done(format!("{} rows were learnt online", learnt.learner.progress.whole.rows));
    session.store.training.online = Some(learnt);
}

/// Takes in the end of a training.
///
/// # Errors
/// The next training cannot begin.
pub(super) fn trained(session: &mut Session, trained: Trained) -> Result<()> {
    match trained {
        Trained::Model(model, revision) => {
            session.notices.done(format!("{} is trained", model.kind));
            let training = &mut session.store.training;
            training.add(ModelRun { model, revision: Some(revision), folder: None });
            match training.members {
                Some((first, members)) if training.models.len() == first + members => {
                    training.members = None;
                    let places: Vec<usize> = (first..first + members).collect();
                    combine(session, &places)?;
                }
                _ => start_next(session)?,
            }
        }
        Trained::Broken(trainer, revision, failure) => {
            session.notices.failed(&failure);
            session.store.training.stopped = Some((trainer, revision));
        }
        Trained::Stopped(trainer, revision) => session.store.training.stopped = Some((trainer, revision)),
    }
    Ok(())
}

/// Averages models of the list.
fn combine(session: &mut Session, places: &[usize]) -> Result<()> {
    let subject = super::inspect::subject(session)?;
    let revision = subject.log.revision;
    let subjects = super::inspect::subjects(session, &subject, places);
    session.jobs.start(Purpose::Combine, Combine { subjects, revision })
}

/// Begins the next training of those that wait, if one does.
fn start_next(session: &mut Session) -> Result<()> {
    match session.store.training.waiting.pop_front() {
        Some(spec) => start(session, spec),
        None => Ok(()),
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
    let rows = training_rows(session).ok_or_else(missing)?;
    let log = session.store.log.as_ref().ok_or_else(missing)?;
    spec.source = log.frame.source.path.display().to_string();
    let spec = spec.completed()?;
    let revision = log.frame.revision;
    session.store.training.stopped = None;
    // A fresh slot, so that a dropped training can't publish into its successor's.
    session.store.training.live = Latest::default();
    let live = session.store.training.live.clone();
    let keep = kept_folder(session, &spec)?;
    let start = Start::Fresh(rows, spec);
    session.jobs.start(Purpose::Train, Train { start, live, revision, keep })
}

/// Trains the model in view further.
fn tune(session: &mut Session, mut spec: TrainSpec, tuning: Tuning) -> Result<()> {
    let subject = super::inspect::subject(session)?;
    let Some(rows) = training_rows(session) else { return Ok(()) };
    spec.source = subject.log.source.path.display().to_string();
    let revision = subject.log.revision;
    let training = &mut session.store.training;
    training.stopped = None;
    training.members = None;
    training.live = Latest::default();
    let live = training.live.clone();
    let kept = spec.clone();
    let start = Start::Tuned(rows, Box::new(subject.log), spec, subject.model, tuning);
    let keep = kept_folder(session, &kept)?;
    session.jobs.start(Purpose::Train, Train { start, live, revision, keep })
}

/// What a training on the open log learns from; `None` before it is encoded.
fn training_rows(session: &Session) -> Option<TrainingRows> {
    let (dataset, log) = (session.store.dataset.as_ref()?, session.store.log.as_ref()?);
    Some(match &session.store.whole {
        None => TrainingRows::Held(Arc::clone(dataset)),
        Some(whole) => {
            let options = session.store.training.encoding();
            TrainingRows::Whole(Box::new(log.frame.clone()), Arc::clone(whole), options)
        }
    })
}

/// The folder of a new training, with what its log needs to be opened again; `None` where nothing is kept.
fn kept_folder(session: &Session, spec: &TrainSpec) -> Result<Option<PathBuf>> {
    let (Some(runs), Some(log)) = (&session.store.training.runs, &session.store.log) else {
        return Ok(None);
    };
    let what = "cannot keep the training";
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let folder = runs.join(format!("{}-{}", spec.kind, now.as_millis()));
    fs::create_dir_all(&folder).map_err(|error| disk_failure(what, &folder, &error))?;
    let paths: Vec<PathBuf> =
        log.paths.iter().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())).collect();
    let text = serde_json::to_vec(&paths).explain(what)?;
    write_atomically(&folder.join(LOG), |out| {
        std::io::Write::write_all(out, &text).map_err(|error| disk_failure(what, &folder, &error))
    })?;
    Recipe::of(&log.frame, &log.options).save(&folder.join(RECIPE))?;
    Ok(Some(folder))
}

/// What stands in a folder of runs and no program trains, newest first.
fn unfinished_in(runs: &Path) -> Vec<Unfinished> {
    let folders = fs::read_dir(runs).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<Unfinished> = folders
        .filter(|folder| !is_in_use(folder))
        .filter_map(|folder| {
            let paths = serde_json::from_slice(&fs::read(folder.join(LOG)).ok()?).ok()?;
            Some(Unfinished { kept: Kept::look(&folder)?, paths })
        })
        .collect();
    found.sort_by_key(|one| std::cmp::Reverse(one.kept.saved));
    found
}

fn go_on_with(session: &mut Session, folder: &Path) -> Result<()> {
    let training = &mut session.store.training;
    let place = training.unfinished.iter().position(|one| one.kept.folder == folder);
    let Some(place) = place else {
        return Err(Failure::new("cannot go on", "the unfinished training is not there any more"));
    };
    let one = training.unfinished.remove(place);
    let is_open = session.store.log.as_ref().is_some_and(|log| log.paths == one.paths);
    if is_open && session.store.dataset.is_some() {
        session.store.training.next = Some(one.kept.folder);
        return go_on_next(session);
    }
    let recipe = RecipeChoice::File(one.kept.folder.join(RECIPE));
    let options = ImportOptions { recipe, ..usual_options() };
    session.apply(Command::Data(DataCommand::OpenAs(one.paths, Box::new(options))));
    session.store.training.next = Some(one.kept.folder);
    Ok(())
}

/// Goes on with the unfinished training whose log was just encoded, if one waits for it.
pub(super) fn go_on_next(session: &mut Session) -> Result<()> {
    let (Some(rows), Some(log)) = (training_rows(session), &session.store.log) else {
        return Ok(());
    };
    let revision = log.frame.revision;
    let Some(folder) = session.store.training.next.take() else {
        return Ok(());
    };
    session.store.training.stopped = None;
    session.store.training.live = Latest::default();
    let live = session.store.training.live.clone();
    let start = Start::Kept(rows, Box::new(log.frame.clone()), folder.clone());
    session.jobs.start(Purpose::Train, Train { start, live, revision, keep: Some(folder) })
}

fn go_on(session: &mut Session, how: fn(Box<Trainer>) -> Start) -> Result<()> {
    let Some((trainer, revision)) = session.store.training.stopped.take() else {
        return Err(Failure::new("cannot go on", "no training was stopped").hint("start one"));
    };
    let live = session.store.training.live.clone();
    session.jobs.start(Purpose::Train, Train { start: how(trainer), live, revision, keep: None })
}
