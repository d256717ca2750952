//! What would another way to learn bring? It is tried beside the window, and told with its intervals.

use super::Output;
use super::train::TrainingRows;
use crate::base::Result;
use crate::insight::cold_start::{ColdPlan, ColdStart, cold_start};
use crate::jobs::{Job, JobContext, Lane};
use std::sync::Arc;

/// A way to learn.
#[derive(Debug, Clone, PartialEq)]
pub enum Trial {
    /// To be prepared for users and ads that are new.
    ColdStart(ColdPlan),
}

/// What came of one.
#[derive(Debug)]
pub enum Tried {
    /// Of being prepared for new users and ads.
    ColdStart(ColdStart),
}

/// Tries a way to learn on a log.
pub struct TryOut {
    /// What is learnt from.
    pub rows: TrainingRows,
    /// What is tried.
    pub trial: Trial,
}

impl Job for TryOut {
    type Output = Output;

    fn name(&self) -> String {
        match &self.trial {
            Trial::ColdStart(plan) => format!("Try {} on new users and ads", plan.spec.kind),
        }
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { rows, trial } = *self;
        let dataset = rows.dataset(context)?;
        let tried = match trial {
            Trial::ColdStart(plan) => Tried::ColdStart(cold_start(&dataset, &plan, context)?),
        };
        Ok(Output::TriedOut(Arc::new(tried)))
    }
}
