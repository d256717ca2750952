//! How good is the model, what did it learn, and why this prediction?

use crate::base::{Failure, Result};
use crate::data::Split;
use crate::data::query::misfit::{Misfit, MisfitQuery};
use crate::domain::Segment;
use crate::insight::comparison::Comparison;
use crate::insight::exposure::ExposureQuestion;
use crate::insight::fairness::FairnessQuestion;
use crate::insight::report::ReportPlan;
use crate::insight::robustness::AttackQuestion;
use crate::insight::shortlist::ShortlistQuestion;
use crate::insight::{Leaderboard, MapQuestion, Subject, Values};
use crate::jobs::Latest;
use crate::session::commands::train::ModelRun;
use crate::session::{Purpose, Session};
use crate::tasks::alike::AlikeFound;
use crate::tasks::by_column::{ColumnQuestion, TellByColumn, ToldByColumn};
use crate::tasks::compare::{Compare, Rank, Retrieve, Retrieved};
use crate::tasks::compress::{Compress, Compressed};
use crate::tasks::dependence::{FieldTried, TryField};
use crate::tasks::evaluate::{Beside, Evaluate, EvaluateBeside, Evaluated};
use crate::tasks::explain::{Average, Averaged, Explain, Explained};
use crate::tasks::exposure::{ExposureAnswer, TellExposure};
use crate::tasks::fairness::{CompareGroups, FairnessAnswer};
use crate::tasks::heads::{Against, HeadsSeen, LookAtHeads};
use crate::tasks::inside::{InsideSeen, LookInside};
use crate::tasks::outline::Drawn;
use crate::tasks::prediction::{EditedQuestion, Predict, Predicted, Reasons, Why};
use crate::tasks::project::{DescribeGroup, Described, DrawEpochs, EpochsDrawn, Project, Projected};
use crate::tasks::report::WriteReport;
use crate::tasks::robustness::{AttackModels, Attacked};
use crate::tasks::shortlist::{SearchAds, Shortlisted};
use crate::tasks::slices::{FindRegions, FindSlices, RegionsFound, Sliced};
use crate::train::compress::Recipe;
use crate::train::{TrainSpec, TrainedModel};
use std::path::PathBuf;
use std::sync::Arc;

/// Looking into the model in view.
#[derive(Debug, Clone, PartialEq)]
pub enum InspectCommand {
    /// Numbers and curves on one part of the log, or on those of its rows that a group (its text form) holds.
    Evaluate(Split, String),
    /// The same of all other models of the list.
    EvaluateBeside(Split, String),
    /// Actual and predicted rates by column, of the model in view or (`true`) of all of the list.
    ByColumn(ColumnQuestion, bool),
    /// Models of the list side by side, by place; differences are to the first.
    Compare(Vec<usize>),
    /// All models of the list by rank.
    Rank,
    /// A smaller model of the one in view: a kind that learns what it says, with its share of each outcome, and what is done
    /// to the weights.
    Compress(Option<(String, f64)>, Recipe),
    /// Models of the list, by place, under attack.
    Attack(Vec<usize>, AttackQuestion),
    /// What models of the list, by place, would show a user: so many ads each.
    Retrieve(Vec<usize>, String, usize),
    /// How few ads the model in view must score to find a user's best ones.
    Shortlist(ShortlistQuestion),
    /// The score of a row, edited or not.
    Predict(EditedQuestion),
    /// The reasons of a row, and the changes that lead across a probability without touching some fields.
    Why(EditedQuestion, Option<(f64, Vec<String>)>),
    /// The groups of one part of the log in which the model fails.
    Slices(Split, MisfitQuery),
    /// The regions of what the model makes of the rows of one part of the log, in which it fails.
    Regions(Split, Misfit),
    /// Whom the model shows what.
    Exposure(ExposureQuestion),
    /// How the model treats the groups of a column in one part of the log.
    Fairness(Split, FairnessQuestion),
    /// What the model makes of a field, asked with the rows of one part of the log.
    TryField(Split, String),
    /// A page about the model in view, with all models of the list beside it where `beside`.
    Report {
        /// The page.
        path: PathBuf,
        /// With the other models.
        beside: bool,
        /// Columns whose groups are told.
        columns: Vec<String>,
        /// Column whose groups are compared for fairness.
        fairness: Option<String>,
    },
    /// A map of the embeddings of a field. One that was drawn of this model before is shown again.
    Project(MapQuestion),
    /// Stops the map that moves and keeps it as it is.
    StopMap,
    /// The map in view after each epoch of the model's training.
    DrawEpochs,
    /// What sets some points of the map in view apart from the others.
    DescribeGroup(Arc<Vec<u32>>),
    /// Attention for one row, with its own ad or another one by name.
    Explain(u32, Option<String>),
    /// Attention averaged over a segment (its text form); over all test rows when empty.
    Average(String),
    /// What the layers do over a segment (its text form).
    Inside(String),
    /// The attention heads over a segment, beside other rows or another model.
    Heads(String, HeadsBeside),
}

/// What attention heads are compared with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HeadsBeside {
    /// Nothing.
    #[default]
    Nothing,
    /// The same model over another segment (its text form).
    Rows(String),
    /// A model of the list, by place, over the same rows.
    Model(usize),
}

/// What was found out about models. Each answer names the model that it is about.
#[derive(Debug, Default)]
pub struct InspectState {
    /// The last evaluation.
    pub evaluated: Option<Arc<Evaluated>>,
    /// Other models on the same rows.
    pub beside: Option<Arc<Beside>>,
    /// The last rates by column.
    pub by_column: Option<Arc<ToldByColumn>>,
    /// The last comparison.
    pub compared: Option<Arc<Comparison>>,
    /// The last ranking of the models.
    pub ranked: Option<Arc<Leaderboard>>,
    /// What a smaller model costs, of the last that was made.
    pub compressed: Option<Arc<Compressed>>,
    /// What attacks did last.
    pub attacked: Option<Arc<Attacked>>,
    /// What models would show the user that was asked about last.
    pub retrieved: Option<Arc<Retrieved>>,
    /// How few ads a search must score.
    pub shortlisted: Option<Arc<Shortlisted>>,
    /// The row that was scored last.
    pub predicted: Option<Arc<Predicted>>,
    /// The reasons that were asked for last.
    pub reasons: Option<Arc<Reasons>>,
    /// The kind of model that was drawn last.
    pub drawn: Option<Arc<Drawn>>,
    /// The groups in which the model fails.
    pub sliced: Option<Arc<Sliced>>,
    /// The regions in which the model fails.
    pub regions: Option<Arc<RegionsFound>>,
    /// People who are like those of a segment.
    pub alike: Option<Arc<AlikeFound>>,
    /// Whom the model shows what.
    pub exposure: Option<Arc<ExposureAnswer>>,
    /// How groups are treated.
    pub fairness: Option<Arc<FairnessAnswer>>,
    /// What the model makes of a field.
    pub field_tried: Option<Arc<FieldTried>>,
    /// The map in view, once it is done or stopped.
    pub projected: Option<Arc<Projected>>,
    /// Maps that were drawn before, the one in view last.
    pub maps: Vec<Arc<Projected>>,
    /// A map while it moves.
    pub moving: Latest<Projected>,
    /// Maps by epoch, as far as they are drawn.
    pub epochs: Latest<EpochsDrawn>,
    /// What sets the points that were asked about last apart.
    pub described: Option<Arc<Described>>,
    /// The last explained prediction.
    pub explained: Option<Arc<Explained>>,
    /// The layers that were looked at last.
    pub inside: Option<Arc<InsideSeen>>,
    /// The attention heads that were looked at last.
    pub heads: Option<Arc<HeadsSeen>>,
    /// The last averaged attention.
    pub averaged: Option<Arc<Averaged>>,
}

pub(super) fn apply(session: &mut Session, command: InspectCommand) -> Result<()> {
    let subject = subject(session)?;
    match command {
        InspectCommand::Compare(places) => {
            let subjects = subjects(session, &subject, &places);
            session.jobs.start(Purpose::Compare, Compare { subjects })
        }
        InspectCommand::Rank => {
            let all: Vec<usize> = (0..session.store.training.models.len()).collect();
            let subjects = subjects(session, &subject, &all);
            session.jobs.start(Purpose::Rank, Rank { subjects })
        }
        InspectCommand::Compress(kind, recipe) => compress(session, subject, kind, recipe),
        InspectCommand::Attack(places, question) => {
            let subjects = subjects(session, &subject, &places);
            session.jobs.start(Purpose::Attack, AttackModels { subjects, question })
        }
        InspectCommand::Retrieve(places, user, k) => {
            let subjects = subjects(session, &subject, &places);
            session.jobs.start(Purpose::Retrieve, Retrieve { subjects, user, k })
        }
        InspectCommand::Shortlist(question) => {
            session.jobs.start(Purpose::Shortlist, SearchAds { subject, question })
        }
        InspectCommand::Evaluate(split, text) => {
            let segment = Segment::parse(&text)?;
            session.jobs.start(Purpose::Evaluate, Evaluate { subject, split, segment })
        }
        InspectCommand::EvaluateBeside(split, text) => {
            let segment = Segment::parse(&text)?;
            let subjects = others(session, &subject);
            session.jobs.start(Purpose::Beside, EvaluateBeside { subjects, split, segment })
        }
        InspectCommand::ByColumn(question, all) => {
            let log = subject.log.clone();
            let beside = if all { others(session, &subject) } else { Vec::new() };
            let subjects = std::iter::once(subject).chain(beside).collect();
            session.jobs.start(Purpose::ByColumn, TellByColumn { log, subjects, question })
        }
        InspectCommand::Predict(question) => {
            let others = session.store.training.models.iter().map(|run| Arc::clone(&run.model));
            let others = others.filter(|model| !Arc::ptr_eq(model, &subject.model)).collect();
            session.jobs.start(Purpose::Predict, Predict { subject, others, question })
        }
        InspectCommand::Why(question, target) => {
            session.jobs.start(Purpose::Why, Why { subject, question, target })
        }
        InspectCommand::Slices(split, query) => {
            session.jobs.start(Purpose::Slices, FindSlices { subject, split, query })
        }
        InspectCommand::Regions(split, by) => {
            session.jobs.start(Purpose::Regions, FindRegions { subject, split, by })
        }
        InspectCommand::Exposure(question) => {
            session.jobs.start(Purpose::Exposure, TellExposure { subject, question })
        }
        InspectCommand::Fairness(split, question) => {
            session.jobs.start(Purpose::Fairness, CompareGroups { subject, split, question })
        }
        InspectCommand::TryField(split, field) => {
            session.jobs.start(Purpose::TryField, TryField { subject, split, field })
        }
        InspectCommand::Report { path, beside, columns, fairness } => {
            let plan = ReportPlan { columns, fairness, ..ReportPlan::default() };
            write_report(session, subject, (plan, beside), path)
        }
        InspectCommand::Project(question) => draw_map(session, subject, question),
        InspectCommand::StopMap => {
            stop_map(session);
            Ok(())
        }
        InspectCommand::DrawEpochs => draw_epochs(session),
        InspectCommand::DescribeGroup(points) => {
            let Some(shown) = &session.store.inspect.projected else { return Ok(()) };
            let projection = Arc::clone(&shown.projection);
            session.jobs.start(Purpose::Describe, DescribeGroup { subject, projection, points })
        }
        InspectCommand::Explain(row, ad) => {
            session.jobs.start(Purpose::Explain, Explain { subject, row, ad })
        }
        InspectCommand::Inside(text) => {
            let segment = Segment::parse(&text)?;
            session.jobs.start(Purpose::Inside, LookInside { subject, segment })
        }
        InspectCommand::Heads(text, beside) => {
            let segment = Segment::parse(&text)?;
            let against = match beside {
                HeadsBeside::Nothing => None,
                HeadsBeside::Rows(text) => Some(Against::Rows(Segment::parse(&text)?)),
                HeadsBeside::Model(place) => {
                    subjects(session, &subject, &[place]).pop().map(|other| Against::Model(Box::new(other)))
                }
            };
            session.jobs.start(Purpose::Heads, LookAtHeads { subject, segment, against })
        }
        InspectCommand::Average(text) => {
            let segment = Segment::parse(&text)?;
            session.jobs.start(Purpose::Average, Average { subject, segment })
        }
    }
}

fn compress(
    session: &mut Session,
    subject: Subject,
    kind: Option<(String, f64)>,
    recipe: Recipe,
) -> Result<()> {
    let of_kind = |(kind, share): (String, f64)| {
        let spec = TrainSpec { source: subject.model.card.data.source.clone(), ..TrainSpec::new(&kind)? };
        Ok::<_, Failure>((spec, share))
    };
    let distil = kind.map(of_kind).transpose()?;
    let revision = subject.log.revision;
    session.jobs.start(Purpose::Compress, Compress { subject, revision, distil, recipe })
}

/// Takes in a smaller model, which joins the list.
pub(super) fn compressed(session: &mut Session, compressed: Arc<Compressed>) {
    session.notices.done(format!("{} is made smaller", compressed.found.before.kind));
    let (model, revision) = (Arc::clone(&compressed.model), Some(compressed.revision));
    session.store.training.add(ModelRun { model, revision, folder: None });
    session.store.inspect.compressed = Some(compressed);
}

/// Models of the list on the open log.
pub(super) fn subjects(session: &Session, subject: &Subject, places: &[usize]) -> Vec<Subject> {
    let models = &session.store.training.models;
    let chosen = places.iter().filter_map(|place| models.get(*place));
    chosen.map(|run| Subject { model: Arc::clone(&run.model), ..subject.clone() }).collect()
}

fn write_report(
    session: &mut Session,
    subject: Subject,
    (plan, beside): (ReportPlan, bool),
    path: PathBuf,
) -> Result<()> {
    let log = subject.log.clone();
    let beside = if beside { others(session, &subject) } else { Vec::new() };
    let subjects: Vec<Subject> = std::iter::once(subject).chain(beside).collect();
    let folder = |subject: &Subject| {
        let runs = &session.store.training.models;
        let run = runs.iter().find(|run| Arc::ptr_eq(&run.model, &subject.model));
        let saved = run.and_then(|run| run.folder.as_ref()).map(|folder| folder.display().to_string());
        saved.unwrap_or_else(|| format!("FOLDER_OF_{}", subject.model.kind.to_uppercase()))
    };
    let plan = ReportPlan {
        folders: subjects.iter().map(folder).collect(),
        files: session.store.log.as_ref().map(|open| open.paths.clone()).unwrap_or_default(),
        ..plan
    };
    session.jobs.start(Purpose::Save, WriteReport { log, subjects, plan, path })
}

/// All other models of the list on the open log.
fn others(session: &Session, subject: &Subject) -> Vec<Subject> {
    let models = session.store.training.models.iter().map(|run| &run.model);
    let others = models.filter(|model| !Arc::ptr_eq(model, &subject.model));
    others.map(|model| Subject { model: Arc::clone(model), ..subject.clone() }).collect()
}

/// Takes in a comparison.
pub(super) fn compared(session: &mut Session, compared: Arc<Comparison>) {
    session.store.inspect.compared = Some(compared);
}

/// Takes in an evaluation.
pub(super) fn evaluated(session: &mut Session, evaluated: Evaluated) {
    session.store.inspect.evaluated = Some(Arc::new(evaluated));
}

/// Maps kept at most; the one that was not looked at for longest goes first.
const MAPS_KEPT: usize = 8;

fn draw_map(session: &mut Session, subject: Subject, question: MapQuestion) -> Result<()> {
    let state = &mut session.store.inspect;
    let of_model = |map: &&Arc<Projected>| Arc::ptr_eq(&map.model, &subject.model);
    let known = state.maps.iter().filter(of_model).find(|map| map.projection.question == question);
    if let Some(known) = known.cloned() {
        session.jobs.cancel(Purpose::Project);
        show_map(session, known);
        return Ok(());
    }
    let same =
        |values: &&Arc<Values>| values.source == question.source && values.points.metric == question.metric;
    let known = state.maps.iter().filter(of_model).map(|map| &map.projection.values).find(same).cloned();
    state.moving = Latest::default();
    let live = state.moving.clone();
    session.jobs.start(Purpose::Project, Project { subject, question, known, live })
}

fn draw_epochs(session: &mut Session) -> Result<()> {
    let Some(shown) = &session.store.inspect.projected else { return Ok(()) };
    let shown = Projected::clone(shown);
    session.store.inspect.epochs = Latest::default();
    let live = session.store.inspect.epochs.clone();
    session.jobs.start(Purpose::Epochs, DrawEpochs { shown, live })
}

/// What the map has come to is the answer.
fn stop_map(session: &mut Session) {
    session.jobs.cancel(Purpose::Project);
    if let Some(seen) = session.store.inspect.moving.get() {
        session.store.inspect.moving = Latest::default();
        session.store.inspect.projected = Some(seen);
    }
}

fn show_map(session: &mut Session, map: Arc<Projected>) {
    let state = &mut session.store.inspect;
    state.maps.retain(|known| !Arc::ptr_eq(known, &map));
    if state.maps.len() >= MAPS_KEPT {
        state.maps.remove(0);
    }
    state.maps.push(Arc::clone(&map));
    state.projected = Some(map);
    state.moving = Latest::default();
}

/// Takes in a map.
pub(super) fn projected(session: &mut Session, projected: Projected) {
    show_map(session, Arc::new(projected));
}

/// Takes in an explained prediction.
pub(super) fn explained(session: &mut Session, explained: Explained) {
    session.store.inspect.explained = Some(Arc::new(explained));
}

/// Takes in averaged attention.
pub(super) fn averaged(session: &mut Session, averaged: Averaged) {
    session.store.inspect.averaged = Some(Arc::new(averaged));
}

/// The model that the inspection panels are about.
pub fn model_in_view(session: &Session) -> Option<&Arc<TrainedModel>> {
    session.store.training.model()
}

/// The model in view and the open log.
///
/// # Errors
/// No log, no arrays of it, or no model.
pub(super) fn subject(session: &Session) -> Result<Subject> {
    let what = "cannot look into the model";
    let store = &session.store;
    let open = store.log.as_ref();
    let open = open.ok_or_else(|| Failure::new(what, "no log is open").hint("open a log, or the sample"))?;
    let dataset = store.dataset.as_ref().ok_or_else(|| {
        Failure::new(what, "the log is not encoded for models").hint("give it a label in the Data panel")
    })?;
    let model = model_in_view(session).ok_or_else(|| {
        Failure::new(what, "no model is trained yet").hint("train one in the Training panel")
    })?;
    let whole = store.whole.clone();
    Ok(Subject { model: Arc::clone(model), log: open.frame.clone(), dataset: Arc::clone(dataset), whole })
}
