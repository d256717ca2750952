//! From a sample log and a trained model to auctions: the pool, its edits, its shifts, and the command line.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use adloupe::base::Result;
use adloupe::data::importers::{self, ImportOptions};
use adloupe::data::{EncodeOptions, dataset, sample};
use adloupe::headless::{Terminal, simulate as headless_simulate};
use adloupe::jobs::{JobContext, Latest};
use adloupe::market::scoring::{Inputs, Prepared, prepare};
use adloupe::market::simulation::{RunOptions, simulate};
use adloupe::market::spec::{ClickSource, Edit, MarketSpec, ModelSource, Shift};
use adloupe::market::{Outcome, Scenario};
use adloupe::train::{self, TrainSpec};
use std::path::Path;
use std::sync::{Arc, OnceLock};

const ROWS: usize = 3_000;

struct Fixture {
    inputs: Inputs,
    folder: tempfile::TempDir,
}

/// One sample log and one logistic model for all tests: training is the slow part.
fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let context = JobContext::detached();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.parquet");
        sample::generate(ROWS, 5, &path, &context).unwrap();
        let log = importers::open(&path, &ImportOptions::default(), &context).unwrap();
        let dataset = dataset::prepare(&log, &EncodeOptions::default(), &context).unwrap();
        let mut spec = TrainSpec::new("logistic").unwrap();
        spec.set("epochs", "2").unwrap();
        let model = train::fit(&dataset, &spec, &Latest::default(), &context).unwrap();
        let inputs = Inputs {
            log: Arc::new(log),
            dataset: Arc::new(dataset),
            model: Arc::new(model),
            conversions: None,
            clicks: None,
        };
        Fixture { inputs, folder }
    })
}

fn spec() -> MarketSpec {
    let log = fixture().inputs.log.source.path.clone();
    let mut spec = MarketSpec::new(log, ModelSource::Folder("unused".into()));
    spec.pool_rows = 300;
    spec.requests = 4_000;
    spec.seed = 3;
    spec
}

fn run(spec: &MarketSpec) -> (Prepared, Outcome) {
    let context = JobContext::detached();
    let prepared = prepare(spec, &fixture().inputs, None, &context).unwrap();
    let options = RunOptions { requests: spec.requests, record: 0 };
    let run = simulate(&prepared.market, options, &Latest::default(), &context).unwrap();
    (prepared, Arc::unwrap_or_clone(run.outcome))
}

fn failure(change: impl Fn(&mut MarketSpec)) -> String {
    let mut spec = spec();
    change(&mut spec);
    let refused: Result<Prepared> = prepare(&spec, &fixture().inputs, None, &JobContext::detached());
    refused.err().unwrap().to_string()
}

#[test]
fn the_logs_own_campaigns_bid_and_clicks_come_from_the_truth() {
    let (prepared, outcome) = run(&spec());
    assert_eq!(prepared.campaigns.len(), 12);
    assert_eq!(prepared.ads.len(), 60);
    assert!(prepared.clicks_from.contains("true"), "{}", prepared.clicks_from);
    assert!(prepared.notes.iter().any(|note| note.contains("price per thousand")), "{:?}", prepared.notes);
    let totals = &outcome.baseline.totals;
    assert!(totals.impressions > 0);
    // The interval of the observed rate is about the probability that clicks were drawn with: four times
    // the standard error of that many Bernoulli draws.
    let error = (totals.expected_ctr / totals.impressions as f64).sqrt();
    assert!((totals.ctr.rate - totals.expected_ctr).abs() < 4.0 * error, "{totals:?}");
}

#[test]
fn clicks_from_the_model_are_as_predicted() {
    let mut spec = spec();
    spec.clicks = ClickSource::Model;
    let (prepared, outcome) = run(&spec);
    assert!(prepared.clicks_from.contains("logistic"));
    let totals = &outcome.baseline.totals;
    assert!((totals.predicted_ctr - totals.expected_ctr).abs() < 1e-6);
}

#[test]
fn removing_a_part_of_the_audience_equals_asking_for_the_rest() {
    let mut shifted = spec();
    let without_ios = Shift { segment: "device = 'ios'".into(), factor: 0.0 };
    shifted.what_if = Some(Scenario { shifts: vec![without_ios], ..Scenario::default() });
    let (_, outcome) = run(&shifted);
    assert!(outcome.difference.is_some());
    let mut asked = spec();
    asked.audience = "not device = 'ios'".into();
    let (_, rest) = run(&asked);
    // Two samples of the same audience: expected click rates agree to a few standard errors of the pool.
    let what_if = outcome.what_if.unwrap().totals.expected_ctr;
    assert!((what_if - rest.baseline.totals.expected_ctr).abs() < 0.02, "{what_if} {rest:?}");
}

#[test]
fn an_edited_user_is_scored_as_edited_in_the_what_if_only() {
    let mut edited = spec();
    edited.audience = "device = 'android'".into();
    let to_desktop = Edit { column: "device".into(), value: "desktop".into(), user: None };
    edited.what_if = Some(Scenario { edits: vec![to_desktop], ..Scenario::default() });
    let (_, outcome) = run(&edited);
    let what_if = outcome.what_if.unwrap();
    assert_ne!(what_if.totals.expected_ctr, outcome.baseline.totals.expected_ctr);
    assert_ne!(what_if.totals.predicted_ctr, outcome.baseline.totals.predicted_ctr);
    let mut plain = spec();
    plain.audience = "device = 'android'".into();
    assert_eq!(run(&plain).1.baseline, outcome.baseline, "the baseline knows nothing of the what-if");
}

#[test]
fn a_slider_reuses_the_scores_and_another_audience_does_not() {
    let context = JobContext::detached();
    let first = prepare(&spec(), &fixture().inputs, None, &context).unwrap();
    let mut reserve = spec();
    reserve.baseline.reserve_cpm_micros = 5_000_000;
    let second = prepare(&reserve, &fixture().inputs, Some(&first.pool), &context).unwrap();
    assert!(Arc::ptr_eq(&first.pool, &second.pool));
    let mut other = spec();
    other.audience = "device = 'ios'".into();
    let third = prepare(&other, &fixture().inputs, Some(&first.pool), &context).unwrap();
    assert!(!Arc::ptr_eq(&first.pool, &third.pool));
}

#[test]
fn what_does_not_fit_the_log_is_told_with_its_place() {
    let unknown_ad = failure(|spec| {
        spec.campaigns = serde_json::from_str(r#"[{"name":"x","ads":["nope"],"bid_micros":1}]"#).unwrap();
    });
    assert!(unknown_ad.contains("'nope'"), "{unknown_ad}");
    let nobody = failure(|spec| spec.audience = "device = 'fax'".into());
    assert!(nobody.contains("audience"), "{nobody}");
    let edit = failure(|spec| {
        let edit = Edit { column: "shoe_size".into(), value: "43".into(), user: None };
        spec.what_if = Some(Scenario { edits: vec![edit], ..Scenario::default() });
    });
    assert!(edit.contains("shoe_size") && edit.contains("device"), "{edit}");
}

#[test]
fn the_command_line_runs_a_spec_file() {
    let folder = fixture().folder.path();
    let path = folder.join("spec.json");
    let text = r#"{"log": "log.parquet", "model": {"train": {"kind": "logistic", "params": {"epochs": 1}}},
        "pool_rows": 100, "requests": 500, "seed": 9, "slots": [1.0, 0.5],
        "what_if": {"auction": {"id": "first_price"}}}"#;
    std::fs::write(&path, text).unwrap();
    let answer = command_line(&path).unwrap();
    for key in ["requests", "totals", "campaigns", "what_if", "difference", "clicks_from", "seed"] {
        assert!(!answer.json[key].is_null(), "{key} in {}", answer.json);
    }
    let difference = &answer.json["difference"]["revenue_per_mille"];
    // First price charges the bids that second price only ranks by.
    assert!(difference["low"].as_f64().unwrap() > 0.0, "{difference}");
    assert!(answer.text.contains("what-if minus baseline"));
    std::fs::write(&path, "{\"log\": \"log.parquet\"}").unwrap();
    let refused = command_line(&path).unwrap_err().to_string();
    assert!(refused.contains("spec.json") && refused.contains("model"), "{refused}");
}

#[test]
fn auctions_are_written_as_openrtb_with_the_reason_of_each_loss() {
    let folder = fixture().folder.path();
    let (path, out) = (folder.join("openrtb.json"), folder.join("auctions.ndjson"));
    let text = r#"{"log": "log.parquet", "model": {"train": {"kind": "logistic", "params": {"epochs": 1}}},
        "pool_rows": 100, "requests": 300, "seed": 9, "slots": [1.0, 0.5],
        "baseline": {"auction": {"id": "second_price_plus"}, "reserve_cpm_micros": 40000000},
        "what_if": {"auction": {"id": "first_price"}}}"#;
    std::fs::write(&path, text).unwrap();
    let args = headless_simulate::Args { spec: path, openrtb: Some(out.clone()), ..Default::default() };
    let answer = headless_simulate::run(&args, &Terminal::default()).unwrap();
    let lines: Vec<serde_json::Value> = std::fs::read_to_string(&out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 600, "a line a page and world");
    assert_eq!((&lines[0]["request"]["at"], &lines[300]["request"]["at"]), (&2.into(), &1.into()));
    assert_eq!(lines[0]["request"]["imp"][0]["bidfloor"], 40.0);
    let mut wins = 0;
    for line in &lines {
        for response in line["responses"].as_array().unwrap() {
            let told = &response["ext"]["adloupe"];
            let Some(loss) = told["AUCTION_LOSS"].as_u64() else {
                assert!(response["nbr"].is_u64() && response["seatbid"].is_null(), "{response}");
                continue;
            };
            let bid = &response["seatbid"][0]["bid"][0];
            let price = bid["price"].as_f64().unwrap();
            match loss {
                0 => {
                    wins += 1;
                    assert!(told["AUCTION_PRICE"].as_f64().unwrap() <= price + 1e-9, "{response}");
                    assert!(told["AUCTION_MIN_TO_WIN"].as_f64().unwrap() <= price + 1e-9, "{response}");
                }
                100 => assert!(price < 40.0, "{response}"),
                102 => assert!(told["AUCTION_MIN_TO_WIN"].as_f64().unwrap() >= price - 1e-9, "{response}"),
                other => panic!("an unknown loss reason {other}"),
            }
        }
    }
    let shown = |world: &serde_json::Value| world["impressions"].as_u64().unwrap();
    let impressions = shown(&answer.json["totals"]) + shown(&answer.json["what_if"]["totals"]);
    assert_eq!(wins, impressions);
}

#[test]
fn overlapping_shifts_multiply_and_a_small_audience_is_told() {
    let mut overlapping = spec();
    let shift = |segment: &str, factor| Shift { segment: segment.into(), factor };
    let twice = vec![shift("hour >= 18", 2.0), shift("hour >= 20", 3.0)];
    overlapping.what_if = Some(Scenario { shifts: twice, ..Scenario::default() });
    let mut spelled_out = spec();
    let parts = vec![shift("hour >= 18 and hour < 20", 2.0), shift("hour >= 20", 6.0)];
    spelled_out.what_if = Some(Scenario { shifts: parts, ..Scenario::default() });
    assert_eq!(run(&overlapping).1, run(&spelled_out).1);
    let mut small = spec();
    small.pool_rows = 5;
    assert!(run(&small).0.notes.iter().any(|note| note.contains("only 5 rows")));
}

#[test]
fn a_market_that_cannot_sell_anything_stands_still() {
    let campaigns = |text: &str| serde_json::from_str(text).unwrap();
    let mut broke = spec();
    broke.campaigns = campaigns(r#"[{"name":"x","ads":["a01"],"bid_micros":1000000,"budget_micros":0}]"#);
    let ads = &run(&spec()).0.ads;
    broke.campaigns[0].ads = vec![ads[0].clone()];
    let (_, outcome) = run(&broke);
    assert_eq!((outcome.baseline.totals.impressions, outcome.baseline.totals.revenue), (0, 0.0));
    let mut dear = spec();
    dear.baseline.reserve_cpm_micros = 1_000_000_000_000_000;
    let (_, outcome) = run(&dear);
    assert_eq!(outcome.baseline.totals.fill.rate, 0.0);
    assert!(outcome.baseline.campaigns.iter().all(|c| c.lost.outbid == 0 && c.average_price.is_none()));
    for wrong in [r#""bid_micros":-5"#, r#""bid_micros":0"#, r#""bid_micros":1,"budget_micros":-1"#] {
        let text = format!(r#"[{{"name":"x","ads":["a"],{wrong}}}]"#);
        let refused = failure(|spec| spec.campaigns = campaigns(&text));
        assert!(refused.contains("campaign 'x'"), "{refused}");
    }
    assert!(
        serde_json::from_str::<MarketSpec>(r#"{"log":"a","model":{"folder":"m"},"slots":[NaN]}"#).is_err()
    );
}

fn command_line(spec: &Path) -> Result<adloupe::headless::Answer> {
    let args = headless_simulate::Args { spec: spec.to_owned(), ..Default::default() };
    headless_simulate::run(&args, &Terminal::default())
}

#[test]
fn pages_come_through_a_day_by_the_audiences_hours_and_rivals_bid_beside() {
    let mut daily = spec();
    (daily.days, daily.what_if) = (2, Some(Scenario::default()));
    if let Some(what_if) = &mut daily.what_if {
        what_if.shifts.push(Shift { segment: "hour >= 18".into(), factor: 3.0 });
    }
    daily.rivals = vec![adloupe::domain::Rivals { bidders: 3, ..Default::default() }];
    let (prepared, outcome) = run(&daily);
    assert!(prepared.notes.iter().any(|note| note.contains("2 days")), "{:?}", prepared.notes);
    assert!(
        prepared.notes.iter().any(|note| note.starts_with("3 bidders are rivals")),
        "{:?}",
        prepared.notes
    );
    let worlds = [Some(&outcome.baseline), outcome.what_if.as_ref()];
    let evening = worlds.map(|world| {
        let hours = &world.unwrap().hours;
        assert_eq!(hours.iter().map(|hour| hour.pages).sum::<u64>(), daily.requests);
        hours[18..].iter().map(|hour| hour.pages).sum::<u64>() as f64 / daily.requests as f64
    });
    // A share s of evening pages becomes 3 s / (1 + 2 s); each day rounds to whole pages.
    let expected = 3.0 * evening[0] / (1.0 + 2.0 * evening[0]);
    assert!(evening[0] > 0.05 && (evening[1] - expected).abs() < 0.003, "{evening:?} {expected}");
    let rivals = &outcome.baseline.campaigns[prepared.campaigns.len() - 3..];
    assert!(rivals.iter().any(|rival| rival.impressions > 0), "{rivals:?}");
    assert_eq!(prepared.ads.last(), Some(&rivals[2].name));
    // The mix stays that of the audience: the campaigns' own share of pages is no other than without an order.
    let spent: f64 = worlds[0].unwrap().hours.iter().map(|hour| hour.spend).sum();
    assert!((spent - outcome.baseline.totals.revenue).abs() < 1e-6);
}

#[test]
fn days_and_rivals_that_make_no_sense_are_refused() {
    assert!(failure(|spec| spec.days = 400).contains("366"));
    assert!(
        failure(|spec| spec.rivals = vec![adloupe::domain::Rivals { bidders: 0, ..Default::default() }])
            .contains("0 rivals")
    );
    let replayed = failure(|spec| {
        spec.clicks = ClickSource::Replay;
        spec.rivals = vec![adloupe::domain::Rivals::default()];
    });
    assert!(replayed.contains("knows nothing of a page"), "{replayed}");
    assert!(failure(|spec| (spec.clicks, spec.days) = (ClickSource::Replay, 1)).contains("their own order"));
}

#[test]
fn an_audience_is_raked_to_the_shares_that_are_wanted_or_it_is_refused() {
    let margin = |column: &str, shares: &[(&str, f64)]| adloupe::market::spec::Margin {
        column: column.into(),
        shares: shares.iter().map(|(value, share)| ((*value).to_owned(), *share)).collect(),
    };
    let mut wanted = spec();
    let margins =
        vec![margin("gender", &[("female", 0.8)]), margin("age_band", &[("18-24", 0.5), ("55+", 0.1)])];
    let what_if = Scenario { margins, ..Scenario::default() };
    wanted.what_if = Some(what_if);
    wanted.requests = 20_000;
    let (prepared, _) = run(&wanted);
    assert!(prepared.notes.iter().any(|note| note.contains("raked")), "{:?}", prepared.notes);
    // The shares hold in the pages that are asked for.
    let options = RunOptions { requests: 20_000, record: 20_000 };
    let run = simulate(&prepared.market, options, &Latest::default(), &JobContext::detached()).unwrap();
    let log = &fixture().inputs.log;
    let column = |name: &str| adloupe::data::cells::coded(log, name).unwrap();
    let (gender, age) = (column("gender"), column("age_band"));
    let share = |cells: &adloupe::data::cells::Coded, value: &str| {
        let rows = &run.recording.as_ref().unwrap().rows;
        let of = rows.iter().filter(|(_, row)| {
            let code = cells.codes[prepared.pool.rows[*row as usize] as usize];
            cells.values[code as usize] == value
        });
        of.count() as f64 / rows.len() as f64
    };
    let tolerance = 4.0 * 0.5 / 20_000f64.sqrt();
    for (cells, value, exact) in [(&gender, "female", 0.8), (&age, "18-24", 0.5), (&age, "55+", 0.1)] {
        assert!((share(cells, value) - exact).abs() < tolerance, "{value} {}", share(cells, value));
    }
    let refused =
        |margins: Vec<adloupe::market::spec::Margin>| failure(|spec| spec.baseline.margins = margins.clone());
    assert!(refused(vec![margin("gender", &[("martian", 0.5)])]).contains("nobody has"));
    assert!(refused(vec![margin("gender", &[("female", 1.5)])]).contains("1.5"));
    let contradiction = vec![margin("gender", &[("female", 0.3)]), margin("gender", &[("female", 0.6)])];
    assert!(refused(contradiction).contains("contradict"));
}

#[test]
fn one_user_is_edited_and_nobody_else() {
    let log = &fixture().inputs.log;
    let users = adloupe::data::cells::coded(log, "user_id").unwrap();
    let known: Vec<u32> = (0..log.rows() as u32).collect();
    let often = users.counts(&known).iter().enumerate().max_by_key(|(_, count)| **count).unwrap().0;
    let user = users.values[often].clone();
    let mut spec = spec();
    spec.pool_rows = ROWS;
    let edit = |user: Option<String>| Edit { column: "device".into(), value: "desktop".into(), user };
    spec.what_if = Some(Scenario { edits: vec![edit(Some(user.clone()))], ..Scenario::default() });
    let context = JobContext::detached();
    let prepared = prepare(&spec, &fixture().inputs, None, &context).unwrap();
    let everyone = Scenario { edits: vec![edit(None)], ..Scenario::default() };
    let all = MarketSpec { what_if: Some(everyone), ..spec.clone() };
    let all = prepare(&all, &fixture().inputs, None, &context).unwrap();
    let mut changed = 0;
    for (place, row) in prepared.pool.rows.iter().enumerate() {
        let [before, single, edited] = [(&prepared, 0), (&prepared, 1), (&all, 1)]
            .map(|(prepared, world)| prepared.market.predicted(world).row(place).to_vec());
        if users.codes[*row as usize] as usize == often {
            assert_eq!(single, edited, "the user's own rows are as where everyone is edited");
            changed += usize::from(single != before);
        } else {
            assert_eq!(single, before);
        }
    }
    assert!(changed > 0);
    assert!(prepared.notes.iter().any(|note| note.contains(&user)), "{:?}", prepared.notes);
    let nobody = failure(|spec| {
        spec.what_if = Some(Scenario { edits: vec![edit(Some("nobody".into()))], ..Scenario::default() });
    });
    assert!(nobody.contains("no such user") && nobody.contains("'nobody'"), "{nobody}");
    let left_out = failure(|spec| {
        spec.pool_rows = 1;
        spec.fewest_users = 1;
        spec.what_if = Some(Scenario { edits: vec![edit(Some(user.clone()))], ..Scenario::default() });
    });
    assert!(left_out.contains("none of its") && left_out.contains("pool_rows"), "{left_out}");
}
