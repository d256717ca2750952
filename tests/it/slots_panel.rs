//! Does the Slots panel show what it should: empty, without a model, ready, run, changed, failed, exported?

use crate::support::{self, LIMIT, opened, session, trained};
use adloupe::market::MarketSpec;
use adloupe::session::commands::MarketCommand;
use adloupe::session::{Command, Session};
use adloupe::ui::panels::slots::SlotsPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::time::{Duration, Instant};

type Parts = support::Parts<SlotsPanel>;

fn harness<'a>(session: Session, dark: bool) -> Harness<'a, Parts> {
    support::harness(session, dark)
}

/// Steps the window until the background is quiet.
fn settle(harness: &mut Harness<'_, Parts>) {
    let begun = Instant::now();
    harness.step();
    while harness.state().0.jobs.any_running() {
        assert!(begun.elapsed() < LIMIT, "the market takes too long");
        std::thread::sleep(Duration::from_millis(5));
        harness.state_mut().0.absorb();
        harness.step();
    }
    harness.step();
}

#[test]
fn without_a_log_or_a_model_it_says_why() {
    for dark in [true, false] {
        let harness = harness(session(), dark);
        harness.get_by_label_contains("No log is open");
        harness.get_by_label("Open a log");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut window = harness(opened(&folder, 3000), true);
    window.get_by_label_contains("No model is trained");
    window.get_by_label("Train a model").click();
    window.step();
    assert_eq!(window.state().0.workspace.panel, "training");
}

#[test]
fn one_button_runs_the_market_and_the_page_fills() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = harness(trained(&folder, "logistic"), true);
    window.get_by_label("Run the market").click();
    window.step();
    settle(&mut window);
    let result = window.state().0.store.market.result.clone().unwrap();
    assert!(result.run.outcome.baseline.totals.impressions > 0);
    window.get_by_label_contains("true click probability of the sample data");
    window.get_by_label_contains("Baseline slot 1:");
    window.get_by_label_contains("What-if slot 1:");
    window.get_by_label_contains("Spend so far");
    window.get_by_label("Pause");
    window.get_by_label("End").click();
    window.step();
    window.step();
    window.get_by_label("Play");
    window.get_by_label_contains("After 20\u{2009}000 requests");
}

#[test]
fn an_auction_opens_on_a_click_and_the_page_changes_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = harness(trained(&folder, "logistic"), true);
    window.get_by_label("Run the market").click();
    window.step();
    settle(&mut window);
    for kind in ["Search", "Feed", "Video", "TV", "News"] {
        window.get_by_label(kind).click();
        window.step();
        window.step();
        window.get_by_label_contains("Baseline slot 1:");
    }
    window.get_by_label("Baseline auction").click();
    window.step();
    window.step();
    window.get_by_label_contains("Baseline: the auction of page");
    window.get_by_label("won slot 1");
    assert!(window.query_all_by_label("outbid").count() > 0);
    window.get_by_label("Close the auction").click();
    window.step();
    window.step();
    assert!(window.query_by_label_contains("Baseline: the auction of page").is_none());
}

#[test]
fn a_what_if_runs_again_on_the_same_scores() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = harness(trained(&folder, "logistic"), false);
    window.get_by_label("Run the market").click();
    window.step();
    settle(&mut window);
    let first = window.state().0.store.market.result.clone().unwrap();
    let mut spec: MarketSpec = first.spec.clone();
    spec.what_if.get_or_insert_default().reserve_cpm_micros = 80_000_000;
    window.state_mut().0.apply(Command::Market(MarketCommand::Simulate(Box::new(spec))));
    settle(&mut window);
    let second = window.state().0.store.market.result.clone().unwrap();
    assert!(std::sync::Arc::ptr_eq(&first.prepared.pool, &second.prepared.pool));
    let difference = second.run.outcome.difference.unwrap();
    assert!(difference.impressions_per_mille.value < 0.0, "a reserve of 80 leaves slots empty");
    assert_eq!(first.run.outcome.baseline, second.run.outcome.baseline);
}

#[test]
fn a_run_that_fails_says_so_and_can_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = trained(&folder, "logistic");
    let log = session.store.log.as_ref().unwrap().frame.source.path.clone();
    let mut spec = MarketSpec::new(log, adloupe::market::spec::ModelSource::Folder("unused".into()));
    spec.audience = "device = 'fax'".to_owned();
    session.apply(Command::Market(MarketCommand::Simulate(Box::new(spec))));
    assert!(session.settle(LIMIT));
    assert!(session.notices.all().iter().any(|notice| notice.text.contains("nobody")));
    let mut narrow = MarketSpec::new(
        session.store.log.as_ref().unwrap().frame.source.path.clone(),
        adloupe::market::spec::ModelSource::Folder("unused".into()),
    );
    narrow.audience = "city = 'Berlin' and hour < 6".to_owned();
    session.apply(Command::Market(MarketCommand::Simulate(Box::new(narrow))));
    assert!(session.settle(LIMIT));
    assert!(session.notices.all().iter().any(|notice| notice.text.contains("figures of fewer than 50")));
    let window = harness(session, true);
    window.get_by_label("Run the market");
}

#[test]
fn an_exported_spec_runs_on_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = trained(&folder, "logistic");
    let path = folder.path().join("simulation.json");
    session.apply(Command::Market(MarketCommand::Export(path.clone())));
    assert!(!path.exists(), "nothing was simulated yet");
    let mut window = harness(session, true);
    window.get_by_label("Run the market").click();
    window.step();
    settle(&mut window);
    window.state_mut().0.apply(Command::Market(MarketCommand::Export(path.clone())));
    let text = std::fs::read_to_string(&path).unwrap();
    let spec: MarketSpec = serde_json::from_str(&text).unwrap();
    assert_eq!(spec.validate(), Ok(()));
    assert_eq!(spec.campaigns.len(), 12);
    let auctions = folder.path().join("auctions.ndjson");
    window.state_mut().0.apply(Command::Market(MarketCommand::ExportAuctions(auctions.clone())));
    let lines = std::fs::read_to_string(&auctions).unwrap();
    // 20,000 recorded pages in two worlds.
    assert_eq!(lines.lines().count(), 40_000);
}
