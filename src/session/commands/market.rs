//! What can be asked of the market?

use crate::base::files::write_atomically;
use crate::base::{Failure, Result, failure::Explain};
use crate::jobs::Latest;
use crate::market::spec::ModelSource;
use crate::market::{MarketSpec, Outcome, kept, openrtb};
use crate::session::commands::data::open_log;
use crate::session::commands::train::ModelRun;
use crate::session::{Purpose, Session};
use crate::tasks::simulate::{Simulate, Simulated};
use crate::train::TrainedModel;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs and specs.
#[derive(Debug, Clone, PartialEq)]
pub enum MarketCommand {
    /// Runs a spec on the open log and the trained model; one that runs is superseded. The spec's `log` and
    /// `model` say where an exported file finds them.
    Simulate(Box<MarketSpec>),
    /// Writes the spec of the last run, for `adloupe simulate`.
    Export(PathBuf),
    /// Writes the recorded auctions of the last run as lines of OpenRTB 2.6 JSON.
    ExportAuctions(PathBuf),
}

/// What the market has answered.
#[derive(Debug, Default)]
pub struct MarketState {
    /// The outcome so far of the run in progress.
    pub live: Latest<Outcome>,
    /// The last run that ended.
    pub result: Option<Arc<Simulated>>,
}

pub(super) fn apply(session: &mut Session, command: MarketCommand) -> Result<()> {
    match command {
        MarketCommand::Simulate(spec) => simulate(session, *spec),
        MarketCommand::Export(path) => {
            let written = export(session, &path)?;
            session.notices.done(written);
            Ok(())
        }
        MarketCommand::ExportAuctions(path) => {
            let written = export_auctions(session, &path)?;
            session.notices.done(written);
            Ok(())
        }
    }
}

/// Stores a finished run.
pub(super) fn absorb(session: &mut Session, simulated: Arc<Simulated>) {
    session.store.market.result = Some(simulated);
}

fn simulate(session: &mut Session, spec: MarketSpec) -> Result<()> {
    let log = open_log(session)?.frame.clone();
    let model = trained_model(session).ok_or_else(|| {
        Failure::new("cannot simulate", "no model is trained yet").hint("train one: it ranks the bids")
    })?;
    // A fresh slot, so that a superseded run can't publish into its successor's.
    session.store.market.live = Latest::default();
    let click_model = spec.click_model.as_ref().and_then(|source| model_of(session, source));
    let job = Simulate {
        click_model,
        spec,
        log,
        dataset: session.store.dataset.clone(),
        model,
        known: session.store.market.result.clone(),
        live: session.store.market.live.clone(),
    };
    session.jobs.start(Purpose::Simulate, job)
}

fn export(session: &Session, path: &Path) -> Result<String> {
    let what = "cannot export the spec";
    let simulated = session
        .store
        .market
        .result
        .as_ref()
        .ok_or_else(|| Failure::new(what, "nothing was simulated yet").hint("run the market first"))?;
    let spec = kept::spelled_out(&simulated.spec, &simulated.prepared);
    let text = serde_json::to_string_pretty(&spec).explain(what)?;
    write_atomically(path, |out| out.write_all(text.as_bytes()).explain(what))?;
    Ok(format!("Spec written: adloupe simulate {}", path.display()))
}

fn export_auctions(session: &Session, path: &Path) -> Result<String> {
    let nothing = || {
        Failure::new("cannot export the auctions", "nothing was simulated yet").hint("run the market first")
    };
    let simulated = session.store.market.result.as_ref().ok_or_else(nothing)?;
    let recording = simulated.run.recording.as_ref().ok_or_else(nothing)?;
    let mut lines = 0;
    write_atomically(path, |out| {
        lines = openrtb::write(out, &simulated.spec, &simulated.prepared, recording)?;
        Ok(())
    })?;
    Ok(format!("{lines} auctions written to {}", path.display()))
}

/// The model that ranks the bids: the one that all views show.
pub fn trained_model(session: &Session) -> Option<Arc<TrainedModel>> {
    session.store.training.model().cloned()
}

/// Where an exported spec finds a model of the list: its folder, or the same training once more.
pub fn source_of(run: &ModelRun) -> ModelSource {
    match &run.folder {
        Some(folder) => ModelSource::Folder(folder.clone()),
        None => ModelSource::Train { kind: run.model.kind.clone(), params: run.model.card.params.clone() },
    }
}

/// Where an exported spec finds the model in view.
pub fn source_in_view(session: &Session) -> Option<ModelSource> {
    let training = &session.store.training;
    training.models.get(training.selected).map(source_of)
}

/// The newest model of the list that a spec means by `source`.
fn model_of(session: &Session, source: &ModelSource) -> Option<Arc<TrainedModel>> {
    let runs = session.store.training.models.iter().rev();
    runs.filter(|run| source_of(run) == *source).map(|run| Arc::clone(&run.model)).next()
}
