//! What can be asked of the log's own evidence?

use crate::base::Result;
use crate::jobs::Latest;
use crate::market::counterfactual::{Answer, Question};
use crate::market::landscape::Landscape;
use crate::market::planner::{Curve, CurveSoFar, Effect, Sensitivity, Split};
use crate::market::slates::SlateAnswer;
use crate::session::commands::data::open_log;
use crate::session::{Purpose, Session};
use crate::tasks::evidence::{Evidence, EvidenceQuestion, Weigh};
use std::sync::Arc;

/// What the log and the market have answered, each with the last answer.
#[derive(Debug, Default)]
pub struct EvidenceState {
    /// Policies in the order in which they were first asked about.
    pub policies: Vec<(Question, Result<Answer>)>,
    /// Pages of several ads.
    pub slates: Option<Result<SlateAnswer>>,
    /// Bids.
    pub bids: Option<Result<Landscape>>,
    /// A lever of the market.
    pub plan: Option<Result<Curve>>,
    /// The points of a curve that is being drawn.
    pub live: Latest<CurveSoFar>,
    /// A split of the budgets.
    pub split: Option<Result<Split>>,
    /// The last what-if in parts.
    pub parts: Option<Result<Vec<Effect>>>,
    /// What matters.
    pub sensitivity: Option<Result<Sensitivity>>,
}

pub(super) fn apply(session: &mut Session, question: EvidenceQuestion) -> Result<()> {
    let log = open_log(session)?.frame.clone();
    let model = session.store.training.model().cloned();
    let dataset = session.store.dataset.clone();
    // A model of another reading of the log is not asked: its rows would not be those that it has not seen.
    let fits = model.zip(dataset).filter(|(model, dataset)| dataset.encoder == model.encoder);
    // A fresh slot, so that a superseded question cannot publish into its successor's.
    session.store.evidence.live = Latest::default();
    let live = session.store.evidence.live.clone();
    let job = Weigh { live, log, predictor: fits, simulated: session.store.market.result.clone(), question };
    session.jobs.start(Purpose::Evidence, job)
}

/// Stores an answer, unless the log has changed since.
pub(super) fn weighed(session: &mut Session, (revision, evidence): (u64, Evidence)) {
    if !session.store.is_open(revision) {
        return;
    }
    let state = &mut session.store.evidence;
    match evidence {
        Evidence::Policies(answers) => {
            for (question, answer) in answers {
                match state.policies.iter_mut().find(|(known, _)| known.policy == question.policy) {
                    Some(known) => *known = (question, answer),
                    None => state.policies.push((question, answer)),
                }
            }
        }
        Evidence::Slates(answer) => state.slates = Some(answer),
        Evidence::Bids(bids) => state.bids = Some(bids),
        Evidence::Plan(plan) => state.plan = Some(plan),
        Evidence::Split(split) => state.split = Some(split),
        Evidence::Parts(parts) => state.parts = Some(parts),
        Evidence::Sensitivity(matters) => state.sensitivity = Some(matters),
    }
}

/// The model in view, where the log is encoded as it reads it.
pub fn has_model(session: &Session) -> bool {
    let model = session.store.training.model();
    let dataset = session.store.dataset.as_ref();
    model.zip(dataset).is_some_and(|(model, dataset)| {
        Arc::ptr_eq(&dataset.encoder, &model.encoder) || dataset.encoder == model.encoder
    })
}
