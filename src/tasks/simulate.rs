//! What would this audience bring? A spec becomes a market and a run, with live partial outcomes.

use super::Output;
use crate::base::Result;
use crate::data::{Dataset, Encoder, LogFrame};
use crate::domain::CreativeLibrary;
use crate::jobs::{Job, JobContext, Lane, Latest};
use crate::market::looks::FittedLooks;
use crate::market::other_model::OtherModel;
use crate::market::scoring::{self, Inputs, Prepared};
use crate::market::simulation::{Run, RunOptions, simulate};
use crate::market::winners::{self, Winners};
use crate::market::{MarketSpec, Outcome, campaigns, variants};
use crate::train::TrainedModel;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The request.
pub struct Simulate {
    /// What to simulate.
    pub spec: MarketSpec,
    /// The log.
    pub log: LogFrame,
    /// The log as it is encoded at present; encoded again where the model needs another encoder.
    pub dataset: Option<Arc<Dataset>>,
    /// Who predicts.
    pub model: Arc<TrainedModel>,
    /// The model whose clicks happen, where the spec names one that is at hand.
    pub click_model: Option<Arc<TrainedModel>>,
    /// Scores and creatives of the run before, used again where they fit.
    pub known: Option<Arc<Simulated>>,
    /// Where the outcome so far appears.
    pub live: Latest<Outcome>,
}

/// The answer.
pub struct Simulated {
    /// What was simulated.
    pub spec: MarketSpec,
    /// The market, its campaigns, its ads, its notes.
    pub prepared: Prepared,
    /// What the ads look like.
    pub creatives: Arc<CreativeLibrary>,
    /// How often each slot is looked at, as the log shows it, or why it does not.
    pub looks: Arc<Result<FittedLooks>>,
    /// Revision of the log that it all comes from.
    pub log_revision: u64,
    /// The outcome and the recorded pages.
    pub run: Run,
    /// Whether the winners of each world are as good as predicted, or why that cannot be told.
    pub winners: Vec<std::result::Result<Winners, &'static str>>,
}

/// Pages kept for the player: at 100 pages a second, more than three minutes.
const RECORDED_PAGES: u64 = 20_000;

impl Job for Simulate {
    type Output = Output;

    fn name(&self) -> String {
        format!("Simulate {} requests", self.spec.requests)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        let known = self.known.as_ref();
        let inputs = self.inputs(context)?;
        let prepared =
            scoring::prepare(&self.spec, &inputs, known.map(|known| &known.prepared.pool), context)?;
        let same_pool = known.filter(|known| {
            Arc::ptr_eq(&known.prepared.pool, &prepared.pool) && known.spec.variants == self.spec.variants
        });
        let creatives = match same_pool {
            Some(known) => Arc::clone(&known.creatives),
            None => Arc::new(variants::creatives(&campaigns::creatives(&inputs.log)?, &self.spec.variants)),
        };
        let log_revision = inputs.log.revision;
        let looks = match known.filter(|known| known.is_of(&inputs.log)) {
            Some(known) => Arc::clone(&known.looks),
            None => Arc::new(FittedLooks::of_log(&inputs.log)),
        };
        context.stage("serving requests");
        let options =
            RunOptions { requests: prepared.requests, record: RECORDED_PAGES.min(prepared.requests) };
        let run = simulate(&prepared.market, options, &self.live, context)?;
        let winners = winners::of_run(&prepared.market, run.recording.as_deref());
        let simulated = Simulated { spec: self.spec, prepared, creatives, looks, log_revision, run, winners };
        Ok(Output::Simulated(Arc::new(simulated)))
    }
}

impl Simulate {
    fn inputs(&self, context: &JobContext) -> Result<Inputs> {
        let fitting = self.dataset.as_ref().filter(|dataset| dataset.encoder == self.model.encoder);
        let dataset = match fitting {
            Some(dataset) => Arc::clone(dataset),
            None => {
                context.stage("encoding the log for this model");
                Arc::new(Encoder::encode(&self.model.encoder, &self.log, context)?)
            }
        };
        let conversions = self.conversions(&dataset, context)?;
        let clicks = self.clicks(context)?;
        Ok(Inputs {
            log: Arc::new(self.log.clone()),
            dataset,
            model: Arc::clone(&self.model),
            conversions,
            clicks,
        })
    }

    /// The model whose clicks happen, if it is another one: that of the run before where it is still asked for.
    fn clicks(&self, context: &JobContext) -> Result<Option<Arc<OtherModel>>> {
        let Some(source) = &self.spec.click_model else { return Ok(None) };
        let before = self.known.as_ref().filter(|known| known.log_revision == self.log.revision);
        let before = before.and_then(|known| known.prepared.pool.clicks());
        if let Some(before) = before.filter(|before| before.source.as_ref() == Some(source)) {
            return Ok(Some(Arc::clone(before)));
        }
        context.stage("reading the log as the other model does");
        let other = match &self.click_model {
            Some(model) => OtherModel::reading(source, Arc::clone(model), &self.log, context)?,
            None => OtherModel::of_clicks(source, &self.log, Path::new(""), context)?,
        };
        Ok(Some(Arc::new(other)))
    }

    /// The model of conversions: that of the run before where it is still asked for, the click model where it learns
    /// both, or a new one.
    fn conversions(&self, dataset: &Arc<Dataset>, context: &JobContext) -> Result<Option<Arc<OtherModel>>> {
        let Some(source) = &self.spec.conversions else {
            return Ok(OtherModel::of_click_model(&self.model, dataset)?.map(Arc::new));
        };
        let before = self.known.as_ref().filter(|known| known.log_revision == self.log.revision);
        let before = before.and_then(|known| known.prepared.pool.conversions());
        if let Some(before) = before.filter(|before| before.source.as_ref() == Some(source)) {
            return Ok(Some(Arc::clone(before)));
        }
        context.stage("learning conversions");
        OtherModel::of_conversions(source, &self.log, Path::new(""), context).map(Arc::new).map(Some)
    }
}

impl Simulated {
    /// What the model that stays as it is predicts for an ad and a pooled request, in a world whose bidders learn.
    pub fn frozen(&self, world: usize, row: u32, ad: u32) -> Option<f32> {
        self.prepared.market.frozen(world, row as usize, ad)
    }

    /// True when it comes from this very reading of this log.
    fn is_of(&self, log: &LogFrame) -> bool {
        self.spec.log == log.source.path && self.log_revision == log.revision
    }
}

impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulated").field("spec", &self.spec).finish_non_exhaustive()
    }
}
