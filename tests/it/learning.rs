//! Does a learner in the loop of the market keep up with a world that turns, by the world's own truth?

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use crate::market_support::{arm, bidder, market_of, scores};
use crate::support::{self, LIMIT, trained};
use adloupe::base::params::ParamValue;
use adloupe::base::rng::Rng;
use adloupe::headless::{Terminal, simulate as headless_simulate};
use adloupe::jobs::{JobContext, Latest};
use adloupe::market::beside::student;
use adloupe::market::exploration::Exploration;
use adloupe::market::learning::{Learning, Lessons, Turn};
use adloupe::market::replay::Replay;
use adloupe::market::simulation::{RunOptions, simulate};
use adloupe::market::spec::{ClickSource, MarketSpec, ModelSource};
use adloupe::market::{Outcome, Scenario};
use adloupe::session::Command;
use adloupe::session::commands::MarketCommand;
use adloupe::ui::panels::slots::SlotsPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::sync::Arc;

const KINDS: u32 = 4;
const ADS: usize = 6;
const ROWS: usize = 400;
/// The detectors watch from 19,200 impressions on.
const PAGES: u64 = 60_000;

/// How likely people of a kind click an ad before anything turns; the frozen model knows it to the last digit.
fn taste(kind: u32, ad: usize) -> f32 {
    if kind.is_multiple_of(2) == (ad < ADS / 2) { 0.12 } else { 0.03 }
}

/// A market of one campaign with six ads whose model is right, beside one whose bidders learn too.
fn outcome(seed: u64, turn: Option<Turn>, requests: u64) -> Outcome {
    let mut rng = Rng::named(seed, "kinds");
    let kinds: Vec<u32> = (0..ROWS).map(|_| rng.below(KINDS as usize) as u32).collect();
    let truth = kinds.iter().flat_map(|kind| (0..ADS).map(|ad| taste(*kind, ad))).collect();
    let truth = scores(ADS, truth);
    // Three values of a pair: each takes as large steps as ten of a usual log together.
    let mut learning = Learning::default();
    learning.params.put("alpha", ParamValue::Real(1.0));
    let lessons = Lessons::new((kinds, 1), ((1_000..1_000 + ADS as u32).collect(), 1), &learning);
    let lessons = Arc::new(lessons.unwrap());
    let weights = vec![1.0; ROWS];
    // What is never shown teaches nothing: in both worlds one page in ten shows any ad.
    let arm = |lessons: Option<Arc<Lessons>>| {
        let exploration = Exploration::Epsilon(0.1);
        adloupe::market::Arm { lessons, exploration, ..arm(&truth, &weights, 100.0, "second_price") }
    };
    let ads: Vec<u32> = (0..ADS as u32).collect();
    let market = market_of(
        vec![bidder("all", &ads, 1_000)],
        ROWS,
        vec![1.0],
        seed,
        arm(None),
        Some(arm(Some(lessons))),
    );
    let market = match turn {
        Some(turn) => market.with_turn(turn, ADS),
        None => market,
    };
    let options = RunOptions { requests, record: 0 };
    let run = simulate(&Arc::new(market), options, &Latest::default(), &JobContext::detached()).unwrap();
    Arc::unwrap_or_clone(run.outcome)
}

/// True clicks per thousand pages that learning brings more than the frozen model, run by run.
fn gains(turn: Option<Turn>) -> (Vec<f64>, Vec<Outcome>) {
    let outcomes: Vec<Outcome> = (0..6).map(|seed| outcome(seed, turn, PAGES)).collect();
    let gain = |outcome: &Outcome| {
        let of = |totals: &adloupe::market::outcome::Totals| {
            1_000.0 * totals.expected_ctr * totals.impressions as f64 / outcome.requests as f64
        };
        of(&outcome.what_if.as_ref().unwrap().totals) - of(&outcome.baseline.totals)
    };
    (outcomes.iter().map(gain).collect(), outcomes)
}

#[test]
fn in_a_world_that_turns_the_learner_beats_the_frozen_model_by_the_truth() {
    let (gains, outcomes) = gains(Some(Turn { at: 0.5, strength: 1.0 }));
    // Both show the liked ads, .12, until the turn; after it the frozen model shows those that are liked no longer, .03.
    let told = student(&gains);
    assert!(told.low > 5.0, "{told:?} from {gains:?}");
    let learnt = outcomes[0].what_if.as_ref().unwrap().learnt.as_ref().unwrap();
    assert!(learnt.gain.low > 0.0 && learnt.updates == PAGES, "{learnt:?}");
    assert!(learnt.alarms.iter().any(|alarm| alarm.row > PAGES / 2), "{:?}", learnt.alarms);
    assert!(outcomes[0].baseline.learnt.is_none());
    // The paired interval of one run says so too.
    let difference = outcomes[0].difference.unwrap().clicks_per_mille;
    assert!(difference.low > 0.0, "{difference:?}");
}

#[test]
fn where_nothing_turns_and_the_model_is_right_the_guard_keeps_the_harm_small() {
    let (gains, outcomes) = gains(None);
    let told = student(&gains);
    // Of 120 true clicks per thousand pages.
    assert!(told.value > -3.0 && told.high < 3.0, "{told:?} from {gains:?}");
    let again = outcome(0, None, PAGES);
    assert_eq!(again, outcomes[0], "the same seed learns the same");
}

#[test]
fn the_clicks_of_a_replayed_log_teach_the_learner() {
    // A model that knows nothing of tastes, and a log that showed any ad by lot: what counts of the replay is the log's own
    // clicks on the ads that the auction picks, and from them alone the learner finds who likes what.
    let rows = 60_000;
    let mut rng = Rng::named(9, "replayed lessons");
    let (mut kinds, mut ads, mut clicked, mut predicted) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rows {
        let (kind, ad) = (rng.below(KINDS as usize) as u32, rng.below(ADS));
        clicked.push(rng.chance(3.0 * f64::from(taste(kind, ad))));
        kinds.push(kind);
        ads.push(ad as u32);
        predicted.extend((0..ADS).map(|_| 0.2 + 0.05 * rng.uniform() as f32));
    }
    let known = scores(ADS, predicted);
    let mut learning = Learning::default();
    learning.params.put("alpha", ParamValue::Real(1.0));
    let lessons = Lessons::new((kinds, 1), ((1_000..1_000 + ADS as u32).collect(), 1), &learning);
    let lessons = Arc::new(lessons.unwrap());
    let weights = vec![1.0; rows];
    let world = |lessons| adloupe::market::Arm { lessons, ..arm(&known, &weights, 100.0, "second_price") };
    let bidders = vec![bidder("all", &(0..ADS as u32).collect::<Vec<u32>>(), 1_000)];
    let market = market_of(bidders, rows, vec![1.0], 5, world(None), Some(world(Some(lessons))));
    let replay = Replay::new(ads, clicked, Vec::new(), vec![1.0 / ADS as f64; rows]).unwrap();
    let market = Arc::new(market.with_replay(replay).unwrap());
    let options = RunOptions { requests: rows as u64, record: 0 };
    let run = simulate(&market, options, &Latest::default(), &JobContext::detached()).unwrap();
    let (frozen, learner) = (&run.outcome.baseline, run.outcome.what_if.as_ref().unwrap());
    // One page in six counts, and each page that counts teaches once.
    let learnt = learner.learnt.as_ref().unwrap();
    assert_eq!(learnt.updates, learner.totals.impressions);
    assert!((8_000..12_000).contains(&learnt.updates), "{learnt:?}");
    assert!(learnt.gain.low > 0.0, "{learnt:?}");
    // Ads by lot are clicked .225 of the time, liked ones .36.
    let (before, after) = (frozen.totals.ctr, learner.totals.ctr);
    assert!(before.low < 0.225 && 0.225 < before.high, "{before:?}");
    assert!(after.low > before.high && after.high < 0.375, "{before:?} {after:?}");
}

fn spec(folder: &tempfile::TempDir) -> MarketSpec {
    let log = support::sample_log(folder, 6_000);
    let source = r#"{"train": {"kind": "logistic", "params": {"epochs": 2, "device": "cpu"}}}"#;
    let source: ModelSource = serde_json::from_str(source).unwrap();
    let mut spec = MarketSpec::new(log, source);
    (spec.pool_rows, spec.requests, spec.seed) = (400, 30_000, 3);
    spec
}

#[test]
fn the_command_line_learns_from_a_sample_that_turns() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec(&folder);
    let path = folder.path().join("spec.json");
    let write = |spec: &MarketSpec| std::fs::write(&path, serde_json::to_string(spec).unwrap()).unwrap();
    write(&spec);
    let args =
        headless_simulate::Args { spec: path.clone(), learn: true, turn: Some(0.3), ..Default::default() };
    let answer = headless_simulate::run(&args, &Terminal::default()).unwrap();
    assert!(
        answer.text.contains("below the frozen model's") && answer.text.contains("by hand"),
        "{}",
        answer.text
    );
    let learnt = &answer.json["what_if"]["learnt"];
    assert!(learnt["gain"]["low"].as_f64().unwrap() > 0.0, "{learnt}");
    assert!(answer.json["learnt"].is_null());
    let clicks = |world: &serde_json::Value| {
        world["totals"]["expected_ctr"].as_f64().unwrap() * world["totals"]["impressions"].as_f64().unwrap()
    };
    assert!(clicks(&answer.json["what_if"]) > clicks(&answer.json), "{}", answer.text);
    // What makes no sense is refused with its place.
    let refused = |change: &dyn Fn(&mut MarketSpec)| {
        let mut wrong = spec.clone();
        change(&mut wrong);
        write(&wrong);
        let args = headless_simulate::Args { spec: path.clone(), ..Default::default() };
        headless_simulate::run(&args, &Terminal::default()).unwrap_err().to_string()
    };
    let turn = refused(&|spec| spec.turn = Some(Turn { at: 1.5, strength: 1.0 }));
    assert!(turn.contains("at 1.5") && turn.contains("turn"), "{turn}");
    let replay = refused(&|spec| {
        spec.turn = Some(Turn { at: 0.5, strength: 1.0 });
        spec.clicks = ClickSource::Replay;
    });
    assert!(replay.contains("cannot turn"), "{replay}");
    let knob = refused(&|spec| {
        let mut learning = Learning::default();
        learning.params.put("alpha", ParamValue::Real(-1.0));
        spec.what_if = Some(Scenario { learning: Some(learning), ..Scenario::default() });
    });
    assert!(knob.contains("alpha") || knob.contains("Step"), "{knob}");
    spec.what_if = Some(Scenario {
        learning: Some(Learning::default()),
        exploration: Exploration::LinUcb(1.0),
        ..Scenario::default()
    });
    assert!(spec.validate().unwrap_err().why.contains("learns already"));
}

#[test]
fn the_window_shows_the_loop_page_by_page_and_the_losses() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = trained(&folder, "logistic");
    let log = session.store.log.as_ref().unwrap().frame.source.path.clone();
    let mut spec = MarketSpec::new(log, ModelSource::Folder("unused".into()));
    (spec.pool_rows, spec.requests, spec.seed) = (300, 8_000, 3);
    spec.turn = Some(Turn { at: 0.4, strength: 1.0 });
    spec.what_if = Some(Scenario { learning: Some(Learning::default()), ..Scenario::default() });
    session.apply(Command::Market(MarketCommand::Simulate(Box::new(spec))));
    assert!(session.settle(LIMIT), "{:?}", session.notices.all());
    let mut window: Harness<'_, support::Parts<SlotsPanel>> = support::harness(session, true);
    for _ in 0..4 {
        window.step();
    }
    window.get_by_label_contains("What-if: learning while ads are shown");
    window.get_by_label_contains("Log loss while learning");
    window.get_all_by_label_contains("with what was learnt").next().unwrap();
    window.get_all_by_label_contains("log odds").next().unwrap();
    window.get_by_label("The what-if's bidders learn").click_accesskit();
    for _ in 0..3 {
        window.step();
        assert!(window.state_mut().0.settle(LIMIT));
        window.step();
    }
    let result = window.state().0.store.market.result.clone().unwrap();
    assert!(result.spec.what_if.as_ref().is_none_or(|what_if| what_if.learning.is_none()));
}
