//! How are knobs searched beside the window?

use super::Output;
use super::train::TrainingRows;
use crate::base::Result;
use crate::jobs::{Job, JobContext, Lane, Latest};
use crate::train::TrainSnapshot;
use crate::train::search::{Ended, Search, SearchPlan, SearchState, Within};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Begins a search, or goes on with the one in its folder.
pub struct SearchKnobs {
    /// What it learns from.
    pub rows: TrainingRows,
    /// What to begin; `None` to go on.
    pub plan: Option<SearchPlan>,
    /// Its folder.
    pub folder: PathBuf,
    /// Time for this run.
    pub budget: Duration,
    /// Where its state appears.
    pub live: Latest<SearchState>,
    /// Where the curves of the trial that runs appear.
    pub curves: Latest<TrainSnapshot>,
}

/// How a run of a search ended.
#[derive(Debug)]
pub struct Searched {
    /// Its folder; the best model is in `best` below it.
    pub folder: PathBuf,
    /// Where it stands.
    pub state: SearchState,
    /// Why it came back.
    pub ended: Ended,
}

impl Job for SearchKnobs {
    type Output = Output;

    fn name(&self) -> String {
        match &self.plan {
            Some(plan) => format!("Search over knobs of {}", plan.base.kind),
            None => "Go on with a search".to_owned(),
        }
    }

    fn lane(&self) -> Lane {
        Lane::Gpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let Self { rows, plan, folder, budget, live, curves } = *self;
        let memory = rows.memory();
        let dataset = rows.dataset(context)?;
        let mut search = match &plan {
            Some(plan) => Search::begin(&dataset, plan, &folder)?,
            None => Search::go_on(&dataset, &folder)?,
        };
        let within = Within { budget, memory, live: &live, curves: &curves };
        let ended = search.run(&dataset, &within, context)?;
        Ok(Output::Searched(Arc::new(Searched { folder, state: search.state, ended })))
    }
}
