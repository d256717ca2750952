//! Can the numbers about other policies, bids and plans be believed? Against the truth of the sample, closed forms, and
//! the panel that shows them.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use crate::support::{self, LIMIT, session, trained};
use adloupe::data::importers::{self, ImportOptions};
use adloupe::data::sample;
use adloupe::headless::{Invocation, Terminal, bids, plan, policy};
use adloupe::jobs::JobContext;
use adloupe::market::counterfactual::{Policy, Predictor, Propensities, Question, answer};
use adloupe::market::other_model::OtherModel;
use adloupe::market::planner::{Lever, Planner};
use adloupe::market::scoring::Inputs;
use adloupe::market::spec::{MarketSpec, ModelSource};
use adloupe::metrics::off_policy::Estimator;
use adloupe::session::commands::MarketCommand;
use adloupe::session::{Command, Session};
use adloupe::ui::panels::evidence::EvidencePanel;
use clap::Parser;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// One sample log and one logistic model for all tests.
fn inputs() -> &'static Inputs {
    // The folder stays: the sample's truth lies beside its log.
    static FIXTURE: OnceLock<(Inputs, tempfile::TempDir)> = OnceLock::new();
    let (inputs, _) = FIXTURE.get_or_init(|| {
        let context = JobContext::detached();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.parquet");
        sample::generate(20_000, 5, &path, &context).unwrap();
        let log = importers::open(&path, &ImportOptions::default(), &context).unwrap();
        let source: ModelSource = serde_json::from_str(
            r#"{"train": {"kind": "logistic", "params": {"epochs": 2, "device": "cpu"}}}"#,
        )
        .unwrap();
        let opened = OtherModel::of_clicks(&source, &log, Path::new(""), &context).unwrap();
        let (model, dataset) = (opened.model, opened.dataset);
        (Inputs { log: Arc::new(log), dataset, model, conversions: None, clicks: None }, folder)
    });
    inputs
}

fn predictor() -> Predictor {
    (Arc::clone(&inputs().model), Arc::clone(&inputs().dataset))
}

fn ask(policy: Policy, with_model: bool) -> adloupe::base::Result<adloupe::market::counterfactual::Answer> {
    let question = Question { policy, propensities: Propensities::Estimated, seed: 1 };
    let predictor = predictor();
    answer(&inputs().log, with_model.then_some(&predictor), &question, &JobContext::detached())
}

#[test]
fn three_numbers_about_a_policy_agree_with_the_truth_of_the_sample() {
    for policy in [Policy::AsLogged, Policy::Even, Policy::Power(1.0)] {
        let told = ask(policy.clone(), true).unwrap();
        let actual = told.actual.as_ref().unwrap().rate.value;
        let (estimator, log) = told.headline().unwrap_or_else(|| panic!("{policy:?}: {:?}", told.log));
        assert_eq!(estimator, Estimator::DoublyRobust);
        // The sample's ads seek their users, so shares are no true propensities: where that moves a number out of its
        // interval, it is said.
        let inside = (log.low..=log.high).contains(&actual);
        let said = told.explanation.iter().any(|why| why.contains("was not chance"));
        assert_eq!(inside, !said, "{policy:?}: {log:?} against {actual}, {:?}", told.explanation);
        assert!(inside || policy != Policy::AsLogged, "{log:?} against {actual}");
        let simulated = told.simulated.unwrap();
        assert!(
            simulated.low > 0.5 * actual && simulated.high < 2.0 * actual,
            "{policy:?} {simulated:?} {actual}"
        );
        assert!(told.notes.iter().any(|note| note.contains("chance")), "{:?}", told.notes);
        assert!((told.log.checks.mean_weight.value - 1.0).abs() < 0.2, "{:?}", told.log.checks);
    }
    // The same question, the same answer.
    assert_eq!(ask(Policy::Even, true).unwrap(), ask(Policy::Even, true).unwrap());
}

#[test]
fn without_a_model_only_weights_speak_and_what_cannot_be_asked_is_refused() {
    let told = ask(Policy::Even, false).unwrap();
    assert!(told.simulated.is_none() && told.log.value(Estimator::DoublyRobust).is_none());
    assert_eq!(told.headline().unwrap().0, Estimator::Snips);
    assert!(ask(Policy::Best(0.0), false).unwrap_err().why.contains("no model"));
    assert!(ask(Policy::Best(1.5), true).unwrap_err().why.contains("1.5"));
    assert!(ask(Policy::Always("no such ad".into()), true).unwrap_err().why.contains("no such ad"));
    let logged = Question::default();
    let refused = answer(&inputs().log, None, &logged, &JobContext::detached()).unwrap_err();
    assert!(refused.why.contains("which probability") && refused.hint.contains("chance"), "{refused}");
}

/// A log of second-price auctions in which the bidder saw the price of those that it won.
fn auctions(folder: &Path) -> std::path::PathBuf {
    let mut text = String::from("bid_price,pay_price,click,site\n");
    for row in 0..2_000 {
        // Bids and rivals' prices by fixed congruences, 0 to 99.
        let (bid, rival) = (row * 37 % 100, row * 61 % 97);
        let paid = if bid >= rival { rival.to_string() } else { String::new() };
        let (click, site) = (u8::from(bid >= rival && row % 13 == 0), ["news", "video", "search"][row % 3]);
        text += &format!("{bid},{paid},{click},{site}\n");
    }
    let path = folder.join("auctions.csv");
    std::fs::write(&path, text).unwrap();
    path
}

fn run(arguments: &[&str]) -> adloupe::base::Result<serde_json::Value> {
    #[derive(clap::Parser)]
    enum Line {
        Bids(bids::Args),
        Plan(plan::Args),
        Policy(policy::Args),
    }
    let terminal = Terminal::default();
    let answer = match Line::parse_from(std::iter::once(&"adloupe").chain(arguments)) {
        Line::Bids(args) => bids::run(&args, &terminal),
        Line::Plan(args) => plan::run(&args, &terminal),
        Line::Policy(args) => policy::run(&args, &terminal),
    }?;
    assert!(!answer.text.is_empty());
    Ok(answer.json)
}

#[test]
fn t27_the_logged_bids_replay_the_log_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = auctions(folder.path());
    let path = path.to_str().unwrap();
    let roles = ["--role", "bid_price=price", "--role", "pay_price=price", "--role", "click=label"];
    let found =
        run(&[&["bids", path, "--factors", "0.5,1,2", "--worth", "80"], &roles[..]].concat()).unwrap();
    let factors = found["factors"].as_array().unwrap();
    assert_eq!(factors[1][1], found["logged"]);
    let exact = (0..2_000).filter(|row| row * 37 % 100 >= row * 61 % 97).count();
    assert_eq!(found["logged"]["wins"], exact);
    // Half the bid wins what it still reaches; twice the bid cannot be told where the log lost.
    let half = (0..2_000).filter(|row| (row * 37 % 100) as f64 / 2.0 >= f64::from(row * 61 % 97)).count();
    assert_eq!(factors[0][1]["wins"], half);
    let lost_with_a_bid =
        (0..2_000).filter(|row| row * 37 % 100 < row * 61 % 97 && row * 37 % 100 > 0).count();
    assert_eq!(factors[2][1]["unknown"], lost_with_a_bid);
    // T28: prices are even on 0 to 96, so a bid of b wins with (b + 1) / 97; censoring does not move that.
    for point in found["curve"].as_array().unwrap().iter().skip(20).step_by(20) {
        let (bid, win) = (point[0].as_f64().unwrap(), point[1].as_f64().unwrap());
        let exact = ((bid.floor() + 1.0) / 97.0).min(1.0);
        // The band of Dvoretzky, Kiefer & Wolfowitz for as many auctions, doubled for the censoring.
        assert!(
            (win - exact).abs() < 2.0 * (2f64 / 0.05).ln().sqrt() / (2.0 * 2_000f64).sqrt(),
            "{bid}: {win} {exact}"
        );
    }
    // T32 for an even rival: the best bid is half of the worth.
    let best = found["best_first_price_bid"].as_f64().unwrap();
    assert!((best - 40.0).abs() < 6.0, "{best}");
    // The winner's curse of a model that tells everybody the rate of the log: the won auctions have all of the clicks, so they
    // are clicked more often than it predicts by all auctions over the won ones.
    let cursed = run(&[&["bids", path, "--train", "global_rate"], &roles[..]].concat()).unwrap();
    let factor = &cursed["marked_down"];
    let (low, high) = (factor["low"].as_f64().unwrap(), factor["high"].as_f64().unwrap());
    assert!(low < 2_000.0 / exact as f64 && 2_000.0 / (exact as f64) < high, "{factor}");
    assert!(found["marked_down"].is_null(), "without a model nothing is known of it");
    let refused =
        run(&["bids", path, "--role", "bid_price=price", "--role", "pay_price=ignored"]).unwrap_err();
    assert!(refused.why.contains("pay"), "{refused}");
    assert!(run(&[&["bids", path, "--factors=-1"], &roles[..]].concat()).is_err());
}

#[test]
fn levers_move_the_market_as_they_must() {
    let mut spec = MarketSpec::new(inputs().log.source.path.clone(), ModelSource::Folder("unused".into()));
    (spec.pool_rows, spec.requests, spec.seed) = (400, 4_000, 3);
    let context = JobContext::detached();
    let planner = Planner::new(&spec, inputs(), None, &context).unwrap();
    let reserve = planner.curve(Lever::Reserve, &planner.places(Lever::Reserve, 6).unwrap()).unwrap();
    let fills: Vec<f64> = reserve.points.iter().map(|point| point.fill.rate).collect();
    assert!(fills.windows(2).all(|pair| pair[1] <= pair[0] + 1e-9), "{fills:?}");
    assert_eq!((reserve.points[0].spend, reserve.points[0].clicks), (reserve.now.spend, reserve.now.clicks));
    // The first points come long before the last.
    let seen = std::sync::Mutex::new(Vec::new());
    let begun = std::time::Instant::now();
    let budget = planner
        .curve_told(Lever::Budget, &[0.1, 0.3, 1.0, 3.0], &|so_far| {
            seen.lock().unwrap().push((begun.elapsed(), so_far.points.clone()));
        })
        .unwrap();
    let seen = seen.into_inner().unwrap();
    let counts: Vec<usize> = seen.iter().map(|(_, points)| points.len()).collect();
    assert_eq!((counts, &seen[3].1), (vec![1, 2, 3, 4], &budget.points));
    assert!(seen[0].0 < seen[3].0);
    let spends: Vec<f64> = budget.points.iter().map(|point| point.spend).collect();
    assert!(spends.windows(2).all(|pair| pair[1] >= pair[0]), "{spends:?}");
    // T34's shape: nobody sees a campaign more often than the cap says.
    let cap = planner.curve(Lever::Cap, &[1.0, 3.0, 1_000.0]).unwrap();
    let often: Vec<f64> = cap.points.iter().map(|point| point.frequency).collect();
    assert!((often[0] - 1.0).abs() < 1e-9 && often[1] > 1.0 && often[1] <= 3.0, "{often:?}");
    assert!(planner.curve(Lever::Cap, &[0.0]).is_err() && planner.curve(Lever::Reserve, &[]).is_err());
    // A fifth more of every bid earns more; what moves revenue most stands first.
    let matters = planner.sensitivity().unwrap();
    let bids = matters.things.iter().find(|(name, ..)| *name == "bids").unwrap();
    assert!(bids.1.spend < matters.now.spend && matters.now.spend < bids.2.spend, "{matters:?}");
    assert_eq!(matters.luck.len(), 3);
    assert!(planner.parts().unwrap_err().why.contains("had none"));
    let split = planner.split().unwrap();
    let sum = |of: fn(&(String, f64, f64)) -> f64| split.budgets.iter().map(of).sum::<f64>();
    assert!((sum(|b| b.1) - sum(|b| b.2)).abs() < 1e-6 * sum(|b| b.1), "{split:?}");
    assert!(split.then.clicks as f64 > 0.9 * split.now.clicks as f64, "{split:?}");
}

#[test]
fn the_command_lines_answer_and_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let log = support::sample_log(&folder, 6_000);
    let told =
        run(&["policy", log.to_str().unwrap(), "--train", "logistic", "--estimate-propensities"]).unwrap();
    assert_eq!(told["policies"].as_array().unwrap().len(), 3);
    assert!(told["policies"][0]["log"]["checks"]["effective"].as_f64().unwrap() > 100.0);
    let spec = MarketSpec {
        pool_rows: 200,
        requests: 2_000,
        ..MarketSpec::new(
            log,
            serde_json::from_str(r#"{"train": {"kind": "logistic", "params": {"epochs": 1}}}"#).unwrap(),
        )
    };
    let path = folder.path().join("spec.json");
    std::fs::write(&path, serde_json::to_string(&spec).unwrap()).unwrap();
    let told = run(&["plan", path.to_str().unwrap(), "--lever", "budget", "--at", "0.5,1"]).unwrap();
    assert_eq!(told["points"][1]["clicks"], told["now"]["clicks"]);
    let forecast = told["check"]["forecast"].as_f64().unwrap();
    assert!(
        forecast > 0.005 && forecast < 0.5 && told["check"]["actual"]["trials"].as_f64().unwrap() > 100.0
    );
    let other = folder.path().join("other.json");
    std::fs::write(&other, serde_json::to_string(&MarketSpec { seed: 9, ..spec }).unwrap()).unwrap();
    let told = run(&["plan", path.to_str().unwrap(), "--beside", other.to_str().unwrap()]).unwrap();
    let scenarios = told["scenarios"].as_array().unwrap();
    assert_eq!((scenarios.len(), &scenarios[1]["seed"]), (2, &serde_json::json!(9)));
    assert!(policy::parse_policy("sometimes").is_err() && policy::parse_policy("best:x").is_err());
    assert_eq!(policy::parse_policy("power:2"), Ok(Policy::Power(2.0)));
    assert!(Invocation::try_parse_from(["adloupe", "policy"]).is_err());
}

fn settle(window: &mut Harness<'_, support::Parts<EvidencePanel>>) {
    for _ in 0..3 {
        window.step();
        assert!(window.state_mut().0.settle(LIMIT));
        window.step();
    }
}

#[test]
fn the_panel_fills_each_of_its_views_with_one_button() {
    for dark in [true, false] {
        let empty: Harness<'_, support::Parts<EvidencePanel>> = support::harness(session(), dark);
        empty.get_by_label_contains("No log is open");
    }
    let folder = tempfile::tempdir().unwrap();
    let session: Session = trained(&folder, "logistic");
    let mut window: Harness<'_, support::Parts<EvidencePanel>> = support::harness(session, true);
    window.get_by_label("Ask about the usual policies").click();
    settle(&mut window);
    // The sample logs no propensities: the reason stands there, and one button estimates them.
    window.get_by_label_contains("which probability each ad was chosen");
    window.get_by_label("Take each ad's share for it").click();
    settle(&mut window);
    window.get_by_label_contains("Propensities: estimated from the log");
    window.get_by_label("each ad as often").click();
    settle(&mut window);
    window.get_by_label_contains("What the log says of: each ad as often");
    window.get_by_label("Plan").click();
    settle(&mut window);
    window.get_by_label("Go to Slots");
    let mut spec = MarketSpec::new(
        window.state().0.store.log.as_ref().unwrap().frame.source.path.clone(),
        ModelSource::Folder("unused".into()),
    );
    (spec.pool_rows, spec.requests, spec.seed) = (200, 2_000, 3);
    window.state_mut().0.apply(Command::Market(MarketCommand::Simulate(Box::new(spec))));
    settle(&mut window);
    window.get_by_label("Draw the curve").click();
    settle(&mut window);
    window.get_by_label_contains("Revenue over the lever");
    window.get_by_label_contains("Forecast against actual");
    window.get_by_label("Split the budgets").click();
    settle(&mut window);
    window.get_by_label_contains("The split:");
    window.get_by_label("Take the what-if apart").click();
    settle(&mut window);
    window.get_by_label_contains("the last simulation had none");
    window.get_by_label("Try what matters").click();
    settle(&mut window);
    window.get_by_label_contains("What matters: revenue");
    window.get_by_label("Bids").click();
    settle(&mut window);
    window.get_by_label("Bids of the log").click();
    settle(&mut window);
    window.get_by_label_contains("named like 'pay'");
    window.get_by_label("Bids of a simulated campaign").click();
    (0..3).for_each(|_| window.step());
    let name = window.state().0.store.market.result.as_ref().unwrap().prepared.campaigns[0].name.clone();
    window.get_by_label(&name).click();
    settle(&mut window);
    window.get_by_label_contains("Win curve");
    window.get_by_label_contains("What other bids would have brought");
    window.get_by_label_contains("as much was clicked as predicted");
}

#[test]
fn a_what_if_in_parts_adds_up_to_the_whole() {
    let mut spec = MarketSpec::new(inputs().log.source.path.clone(), ModelSource::Folder("unused".into()));
    (spec.pool_rows, spec.requests, spec.seed) = (400, 4_000, 3);
    let mut what_if = adloupe::market::Scenario { reserve_cpm_micros: 40_000_000, ..Default::default() };
    what_if.shifts.push(adloupe::market::spec::Shift { segment: "gender = 'female'".into(), factor: 3.0 });
    spec.what_if = Some(what_if);
    let context = JobContext::detached();
    let parts = Planner::new(&spec, inputs(), None, &context).unwrap().parts().unwrap();
    let revenue: Vec<f64> = parts.iter().map(|part| part.revenue_per_mille.value).collect();
    // Each pair of worlds draws its own visitors, so the parts add up to the whole within their intervals.
    let slack: f64 =
        parts.iter().map(|part| part.revenue_per_mille.high - part.revenue_per_mille.value).sum();
    assert!((revenue[..3].iter().sum::<f64>() - revenue[3]).abs() < slack, "{revenue:?} {slack}");
    assert!(revenue[1].abs() < 1e-9, "nobody was edited: {revenue:?}");
    assert!(revenue[2] != 0.0);
}
