//! From several models and the open log to their differences, their ranks, and what each would show.

use super::{Output, unless_stopped};
use crate::base::{Failure, Result};
use crate::data::Split;
use crate::insight::Subject;
use crate::insight::comparison::{Comparison, compare};
use crate::insight::leaderboard::{Leaderboard, leaderboard};
use crate::insight::retrieval::{Retrieval, retrieve};
use crate::jobs::{Job, JobContext, Lane};
use std::sync::Arc;

/// Compares models on the test rows of one log.
pub struct Compare {
    /// The models with the log; all differences are to the first.
    pub subjects: Vec<Subject>,
}

impl Job for Compare {
    type Output = Output;

    fn name(&self) -> String {
        format!("Compare {} models", self.subjects.len())
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let rows = self.subjects.iter().map(|subject| subject.judged_dataset(context));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let datasets: Vec<_> = rows.iter().map(|rows| &rows.dataset).collect();
        let models: Vec<_> = self.subjects.into_iter().map(|subject| subject.model).collect();
        let compared: Comparison = compare(&models, &datasets, Split::Test, context)?;
        Ok(Output::Compared(Arc::new(compared)))
    }
}

/// Ranks models by what they do on the test rows of one log.
pub struct Rank {
    /// The models with the log.
    pub subjects: Vec<Subject>,
}

impl Job for Rank {
    type Output = Output;

    fn name(&self) -> String {
        format!("Rank {} models", self.subjects.len())
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let mut judged = Vec::with_capacity(self.subjects.len());
        for subject in &self.subjects {
            judged.push(unless_stopped(subject.judged_dataset(context))?);
        }
        let datasets: Vec<_> = judged
            .iter()
            .map(|judged| judged.as_ref().map(|rows| &rows.dataset).map_err(Clone::clone))
            .collect();
        let models: Vec<_> = self.subjects.iter().map(|subject| Arc::clone(&subject.model)).collect();
        let ranked: Leaderboard = leaderboard(&models, &datasets, Split::Test, context)?;
        Ok(Output::Ranked(Arc::new(ranked)))
    }
}

/// Asks what models would show a user.
pub struct Retrieve {
    /// The models with the log.
    pub subjects: Vec<Subject>,
    /// The user's name.
    pub user: String,
    /// How many ads each may show.
    pub k: usize,
}

/// The question and its answer; one that makes no sense is answered with the reason, beside the question.
#[derive(Debug)]
pub struct Retrieved {
    /// The user that was asked about.
    pub user: String,
    /// What each model would show.
    pub found: Result<Retrieval>,
}

impl Job for Retrieve {
    type Output = Output;

    fn name(&self) -> String {
        format!("Rank the ads for {}", self.user)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let found = unless_stopped(self.find(context))?;
        Ok(Output::Retrieved(Arc::new(Retrieved { user: self.user, found })))
    }
}

impl Retrieve {
    fn find(&self, context: &JobContext) -> Result<Retrieval> {
        let datasets = self.subjects.iter().map(|subject| subject.fitting_dataset(context));
        let datasets = datasets.collect::<Result<Vec<_>>>()?;
        let models: Vec<_> = self.subjects.iter().map(|subject| Arc::clone(&subject.model)).collect();
        let log = self.subjects.first().map(|subject| &subject.log);
        let log = log.ok_or_else(|| {
            Failure::new("cannot rank the ads", "no model is chosen").hint("tick models in the list")
        })?;
        retrieve(&models, &datasets, log, (&self.user, self.k), context)
    }
}
