//! How do words of the library get onto the pages of the market, and what came of them into the library?

use super::copy::{variants_of, work};
use super::market::source_in_view;
use crate::adcopy::library::Performance;
use crate::base::{Failure, Result};
use crate::market::MarketSpec;
use crate::session::commands::MarketCommand;
use crate::session::commands::ViewCommand;
use crate::session::commands::data::open_log;
use crate::session::{Command, Purpose, Session};
use crate::tasks::copy_library::Work;
use crate::tasks::copy_market::{OnPages, PutOnPages};

/// Asks for a market in which the words compete.
pub(super) fn ask(session: &mut Session, with_drafts: bool) -> Result<()> {
    let what = "cannot put the variants on the pages";
    let Some(Ok(round)) = session.store.copy.round.clone() else {
        return Err(Failure::new(what, "there is no round that says whom they are for")
            .hint("write candidates first"));
    };
    let log = open_log(session)?.frame.clone();
    let source = source_in_view(session)
        .ok_or_else(|| Failure::new(what, "no model is there that ranks the bids").hint("train a model"))?;
    let before = session.store.market.result.as_ref().map(|run| run.spec.clone());
    let mut spec = before.unwrap_or_else(|| MarketSpec::new(log.source.path.clone(), source.clone()));
    spec.log.clone_from(&log.source.path);
    (spec.model, spec.seed) = (source, round.brief.seed);
    let items = variants_of(session, &round, with_drafts);
    session.jobs.start(Purpose::OnPages, PutOnPages { round, items, log, spec })
}

/// Runs the market and shows it.
pub(super) fn put(session: &mut Session, put: Result<OnPages>) -> Result<()> {
    let OnPages { spec, note } = put?;
    session.notices.done(note);
    session.apply(Command::Market(MarketCommand::Simulate(Box::new(spec))));
    session.apply(Command::View(ViewCommand::Show("slots")));
    Ok(())
}

/// Notes in the library what the last run made of the words: of the what-if, where there is one.
pub(super) fn note(session: &mut Session, who: String) -> Result<()> {
    let what = "cannot note the results";
    let run = session.store.market.result.clone().ok_or_else(|| {
        Failure::new(what, "no market was run").hint("put approved words on the pages first")
    })?;
    let outcome = &run.run.outcome;
    let world = outcome.what_if.as_ref().unwrap_or(&outcome.baseline);
    let results: Vec<(String, Vec<Performance>)> = (world.variants.iter())
        .filter(|variant| !variant.is_own && variant.impressions > 0)
        .map(|variant| {
            let (audience, rate) = (run.spec.audience.clone(), variant.ctr);
            (variant.name.clone(), vec![Performance { audience, rate, shared: 1, simulated: true }])
        })
        .collect();
    if results.is_empty() {
        return Err(Failure::new(what, "the last run showed none of the library's words")
            .hint("put approved words on the pages first"));
    }
    let from = format!("a simulation of {} pages, seed {}", outcome.requests, run.spec.seed);
    work(session, who, Work::Learn(from, results))
}
