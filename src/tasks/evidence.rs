//! What does the log itself say of other policies and bids, and what would a plan bring? One question at a time.

use super::simulate::Simulated;
use super::{Output, unless_stopped};
use crate::base::Result;
use crate::data::LogFrame;
use crate::jobs::{Job, JobContext, Lane, Latest};
use crate::market::counterfactual::{self, Answer, Predictor, Question};
use crate::market::landscape::{self, BidColumns, FACTORS, Landscape};
use crate::market::planner::{Curve, CurveSoFar, Effect, Lever, Planner, Sensitivity, Split};
use crate::market::slates::{self, SlateAnswer, SlateQuestion};
use std::sync::Arc;

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub enum EvidenceQuestion {
    /// What these policies would bring.
    Policies(Vec<Question>),
    /// What other pages of several ads would bring.
    Slates(SlateQuestion),
    /// What other bids in the log would have won.
    LoggedBids(BidColumns),
    /// What other bids of a campaign (by its place) would have won in the last simulation.
    SimulatedBids(usize),
    /// What a lever brings in the last simulation's market.
    Plan(Lever),
    /// How the last simulation's budgets are best split.
    Split,
    /// What each part of the last simulation's what-if brings.
    Parts,
    /// What a fifth more or less of each thing brings.
    Sensitivity,
}

/// Weighs the evidence.
pub struct Weigh {
    /// The log.
    pub log: LogFrame,
    /// The model in view, with the log as it reads it; encoded again where it is not at hand.
    pub predictor: Option<Predictor>,
    /// The last simulation.
    pub simulated: Option<Arc<Simulated>>,
    /// The question.
    pub question: EvidenceQuestion,
    /// Where the points of a curve appear as they come.
    pub live: Latest<CurveSoFar>,
}

/// An answer, or why there is none.
#[derive(Debug, Clone)]
pub enum Evidence {
    /// One policy after the other.
    Policies(Vec<(Question, Result<Answer>)>),
    /// Pages of several ads.
    Slates(Result<SlateAnswer>),
    /// Bids.
    Bids(Result<Landscape>),
    /// A lever.
    Plan(Result<Curve>),
    /// A split.
    Split(Result<Split>),
    /// A what-if in parts.
    Parts(Result<Vec<Effect>>),
    /// What matters.
    Sensitivity(Result<Sensitivity>),
}

/// Points of a lever's curve.
const POINTS: usize = 20;

impl Job for Weigh {
    type Output = Output;

    fn name(&self) -> String {
        match &self.question {
            EvidenceQuestion::Policies(_) => "Weigh the log".to_owned(),
            EvidenceQuestion::LoggedBids(_) | EvidenceQuestion::SimulatedBids(_) => "Replay bids".to_owned(),
            EvidenceQuestion::Slates(_) => "Weigh the pages".to_owned(),
            EvidenceQuestion::Plan(lever) => format!("Turn the {}", lever.label()),
            EvidenceQuestion::Split => "Split the budget".to_owned(),
            EvidenceQuestion::Parts => "Take the what-if apart".to_owned(),
            EvidenceQuestion::Sensitivity => "Try what matters".to_owned(),
        }
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let evidence = match &self.question {
            EvidenceQuestion::Policies(questions) => {
                let of = |question: &Question| {
                    let answer =
                        counterfactual::answer(&self.log, self.predictor.as_ref(), question, context);
                    Ok((question.clone(), unless_stopped(answer)?))
                };
                Evidence::Policies(questions.iter().map(of).collect::<Result<_>>()?)
            }
            EvidenceQuestion::Slates(question) => {
                let answer = slates::answer(&self.log, self.predictor.as_ref(), question, context);
                Evidence::Slates(unless_stopped(answer)?)
            }
            EvidenceQuestion::LoggedBids(columns) => {
                Evidence::Bids(unless_stopped(self.logged_bids(columns, context))?)
            }
            EvidenceQuestion::SimulatedBids(campaign) => Evidence::Bids(self.simulated_bids(*campaign)),
            EvidenceQuestion::Plan(lever) => {
                let curve = self.planned(context, |planner| {
                    planner.curve_told(*lever, &planner.places(*lever, POINTS)?, &|so_far| {
                        self.live.publish(so_far.clone());
                        context.wake();
                    })
                });
                Evidence::Plan(unless_stopped(curve)?)
            }
            EvidenceQuestion::Parts => {
                let parts = self.planned(context, |planner| planner.parts());
                Evidence::Parts(unless_stopped(parts)?)
            }
            EvidenceQuestion::Sensitivity => {
                let matters = self.planned(context, |planner| planner.sensitivity());
                Evidence::Sensitivity(unless_stopped(matters)?)
            }
            EvidenceQuestion::Split => {
                Evidence::Split(unless_stopped(self.planned(context, |planner| planner.split()))?)
            }
        };
        Ok(Output::Weighed(Box::new((self.log.revision, evidence))))
    }
}

impl Weigh {
    fn simulated(&self) -> Result<&Simulated> {
        self.simulated.as_deref().ok_or_else(|| {
            crate::base::Failure::new("cannot answer", "no market was simulated yet").hint("run it in Slots")
        })
    }

    fn logged_bids(&self, columns: &BidColumns, context: &JobContext) -> Result<Landscape> {
        let bids = landscape::bids_of_log(&self.log, columns)?;
        let source = ("the log's auctions".to_owned(), 1.0);
        let mut found = landscape::survey(source, &bids, &FACTORS, None)?;
        if let Some(predictor) = &self.predictor {
            found.mark_down(&bids, predictor, context)?;
        }
        Ok(found)
    }

    fn simulated_bids(&self, campaign: usize) -> Result<Landscape> {
        let simulated = self.simulated()?;
        let recording = simulated.run.recording.as_ref().ok_or_else(|| {
            crate::base::Failure::new("cannot read the bids", "the simulation kept no pages")
        })?;
        let campaigns = &simulated.prepared.campaigns;
        let slots = simulated.spec.slots.len();
        let bids = landscape::bids_of_recording(recording, campaigns.len(), campaign, slots)?;
        let name = campaigns.get(campaign).map_or("", |campaign| campaign.name.as_str());
        let source = (format!("simulated auctions of '{name}'"), 1_000.0);
        let marked_down = landscape::marked_down(recording, campaign);
        Ok(Landscape { marked_down, ..landscape::survey(source, &bids, &FACTORS, None)? })
    }

    fn planned<A>(&self, context: &JobContext, ask: impl FnOnce(&Planner<'_>) -> Result<A>) -> Result<A> {
        let simulated = self.simulated()?;
        let pool = &simulated.prepared.pool;
        ask(&Planner::new(&simulated.spec, pool.inputs(), Some(pool), context)?)
    }
}
