//! What would another way to learn bring? It is tried beside the window, and told with its intervals.

use super::Output;
use super::train::TrainingRows;
use crate::base::{Failure, Result};
use crate::data::query::matching_rows;
use crate::data::{Dataset, Encoder, LogFrame};
use crate::domain::Segment;
use crate::insight::augmentation::{AugmentPlan, Augmented, augmentation};
use crate::insight::cold_start::{ColdPlan, ColdStart, cold_start};
use crate::insight::mapping::{Mapped, MappingPlan, map_users};
use crate::insight::subject::check_whole;
use crate::insight::transfer::{Transfer, TransferPlan, apart, transfer};
use crate::jobs::{Job, JobContext, Lane, Latest};
use crate::train::{TrainedModel, fit};
use std::sync::Arc;

/// A way to learn.
#[derive(Debug, Clone, PartialEq)]
pub enum Trial {
    /// To be prepared for users and ads that are new.
    ColdStart(ColdPlan),
    /// To begin with what was learnt elsewhere: on all rows but those of a segment, the target; without one with the model
    /// in view, whose target is the open log.
    Transfer(TransferPlan, Option<Segment>),
    /// To make rows of a thin segment.
    Augmentation(AugmentPlan, Segment),
    /// To map what is known of users to the domain that a segment is, from that of all other rows.
    Mapping(MappingPlan, Segment),
}

/// What came of one.
#[derive(Debug)]
pub enum Tried {
    /// Of being prepared for new users and ads.
    ColdStart(ColdStart),
    /// Of beginning with what was learnt elsewhere.
    Transfer(Box<Transfer>),
    /// Of made rows.
    Augmentation(Box<Augmented>),
    /// Of mapping users.
    Mapping(Mapped),
}

/// Tries a way to learn on a log.
pub struct TryOut {
    /// What is learnt from.
    pub rows: TrainingRows,
    /// The log.
    pub log: LogFrame,
    /// The model in view.
    pub model: Option<Arc<TrainedModel>>,
    /// What is tried.
    pub trial: Trial,
}

impl Job for TryOut {
    type Output = Output;

    fn name(&self) -> String {
        match &self.trial {
            Trial::ColdStart(plan) => format!("Try {} on new users and ads", plan.spec.kind),
            Trial::Transfer(plan, _) => format!("Learning curves of {}", plan.spec.kind),
            Trial::Augmentation(plan, _) => format!("Train {} with made rows", plan.spec.kind),
            Trial::Mapping(plan, _) => format!("Map users of {}", plan.spec.kind),
        }
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { rows, log, model, trial } = *self;
        let dataset = rows.dataset(context)?;
        let tried = match trial {
            Trial::ColdStart(plan) => Tried::ColdStart(cold_start(&dataset, &plan, context)?),
            Trial::Transfer(plan, None) => {
                Tried::Transfer(Box::new(from_model(model, &dataset, &log, &plan, context)?))
            }
            Trial::Transfer(plan, Some(segment)) => {
                let [others, target] = apart(&dataset, &rows_of(&dataset, &log, &segment)?);
                context.stage("Training the base");
                let base = fit(&others, &plan.spec, &Latest::default(), context)?;
                Tried::Transfer(Box::new(transfer(&base, &target, &plan, context)?))
            }
            Trial::Augmentation(plan, segment) => {
                let rows = rows_of(&dataset, &log, &segment)?;
                Tried::Augmentation(Box::new(augmentation(&dataset, &rows, &plan, context)?))
            }
            Trial::Mapping(plan, segment) => {
                Tried::Mapping(map_users(&dataset, &rows_of(&dataset, &log, &segment)?, &plan, context)?)
            }
        };
        Ok(Output::TriedOut(Arc::new(tried)))
    }
}

/// The rows of a segment.
fn rows_of(dataset: &Dataset, log: &LogFrame, segment: &Segment) -> Result<Vec<u32>> {
    check_whole("cannot take the rows of the segment", dataset, log)?;
    matching_rows(log, segment)
}

fn from_model(
    model: Option<Arc<TrainedModel>>,
    dataset: &Arc<Dataset>,
    log: &LogFrame,
    plan: &TransferPlan,
    context: &JobContext,
) -> Result<Transfer> {
    let what = "cannot draw learning curves";
    let base = model.ok_or_else(|| {
        Failure::new(what, "there is no model to begin with")
            .hint("train or open one, or name a part of the log")
    })?;
    if base.card.data.is_of(dataset) {
        return Err(Failure::new(what, "the model in view has learnt from these very rows")
            .hint("open another log, or name a part of this one: the base is then trained without it"));
    }
    let mut dataset = Arc::clone(dataset);
    if dataset.encoder != base.encoder {
        context.stage("encoding the log for this model");
        dataset = Arc::new(Encoder::encode(&base.encoder, log, context)?);
    }
    transfer(&base, &dataset, plan, context)
}
