//! Does a replay of the log say what the world behind it would, and does it say when it cannot?

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use crate::market_support::{arm, bidder, market_of, run, scores};
use adloupe::base::Result;
use adloupe::base::rng::Rng;
use adloupe::data::sample;
use adloupe::domain::Pricing;
use adloupe::headless::{Answer, Terminal, simulate as headless_simulate};
use adloupe::jobs::JobContext;
use adloupe::market::bidder::Bidder;
use adloupe::market::replay::Replay;
use adloupe::market::spec::ClickSource;
use adloupe::market::{Arm, Market};
use std::path::Path;

const ADS: usize = 4;

/// Four campaigns per click; each row likes one ad best. The log chose ads by unequal chances that depend on the row.
fn logged(rows: usize, what_if: bool, logs_all: bool) -> (Market, Market) {
    let mut rng = Rng::named(1, "replayed log");
    let (mut predicted, mut ads, mut clicked, mut propensities) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rows {
        let p_click: Vec<f64> = (0..ADS).map(|_| 0.1 + 0.6 * rng.uniform()).collect();
        let likes = rng.below(if logs_all { ADS } else { ADS - 1 });
        // The logging policy shows its favourite half of the time, any ad otherwise.
        let chances: Vec<f64> = (0..ADS).map(|ad| 0.125 + if ad == likes { 0.5 } else { 0.0 }).collect();
        let mut ad = if rng.chance(0.5) { likes } else { rng.below(ADS) };
        if !logs_all && ad == ADS - 1 {
            ad = likes;
        }
        ads.push(ad as u32);
        propensities.push(chances[ad]);
        clicked.push(rng.chance(p_click[ad]));
        predicted.extend(p_click.iter().map(|p| *p as f32));
    }
    let scores = scores(ADS, predicted);
    let world = |weights: &[f64], reserve: f64| arm(&scores, weights, reserve, "second_price");
    let bidders = || -> Vec<Bidder> {
        (0..ADS as u32)
            .map(|ad| Bidder {
                pricing: Pricing::Cpc,
                ..bidder("c", &[ad], 1_000_000 + 200_000 * i64::from(ad))
            })
            .collect()
    };
    let even = vec![1.0; rows];
    let tilted: Vec<f64> = (0..rows).map(|row| if row % 2 == 0 { 2.0 } else { 1.0 }).collect();
    let other = || -> Option<Arm> { what_if.then(|| world(&tilted, 500_000_000.0)) };
    let market = || market_of(bidders(), rows, vec![1.0], 5, world(&even, 300_000_000.0), other());
    let replay = Replay::new(ads, clicked, Vec::new(), propensities).unwrap();
    (market(), market().with_replay(replay).unwrap())
}

#[test]
fn a_replay_with_propensities_agrees_with_the_world_behind_the_log() {
    let rows = 80_000;
    let (drawn, replayed) = logged(rows, true, true);
    let (drawn, replayed) = (run(drawn, rows as u64, 0).outcome, run(replayed, rows as u64, 0).outcome);
    let worlds =
        |outcome: &adloupe::market::Outcome| [outcome.baseline.clone(), outcome.what_if.clone().unwrap()];
    for (truth, found) in worlds(&drawn).iter().zip(worlds(&replayed)) {
        let coverage = found.coverage.unwrap();
        assert!(!coverage.is_short(), "{coverage:?}");
        // Binomial: within four standard deviations of the share that is known.
        assert!((coverage.pages as f64 - coverage.expected).abs() < 4.0 * coverage.expected.sqrt());
        let n = found.totals.impressions as f64;
        assert!(n > 4_000.0, "{found:?}");
        assert!((found.totals.ctr.rate - truth.totals.expected_ctr).abs() < 4.0 * 0.5 / n.sqrt());
        assert!((found.totals.fill.rate - truth.totals.fill.rate).abs() < 4.0 * 0.5 / n.sqrt());
        let (one, other) = (found.totals.revenue_per_mille, truth.totals.revenue_per_mille);
        let error = ((one.high - one.low) / 3.92).hypot((other.high - other.low) / 3.92);
        assert!((one.value - other.value).abs() < 4.0 * error, "{one:?} {other:?}");
    }
    let (one, other) = (replayed.difference.unwrap(), drawn.difference.unwrap());
    let (one, other) = (one.revenue_per_mille, other.revenue_per_mille);
    let error = ((one.high - one.low) / 3.92).hypot((other.high - other.low) / 3.92);
    assert!((one.value - other.value).abs() < 4.0 * error, "{one:?} {other:?}");
}

#[test]
fn an_auction_that_picks_what_the_log_never_shows_is_told() {
    let (_, replayed) = logged(20_000, false, false);
    let outcome = run(replayed, 20_000, 0).outcome;
    assert!(outcome.baseline.coverage.unwrap().is_short(), "{:?}", outcome.baseline.coverage);
}

#[test]
fn every_campaign_still_has_a_reason_for_every_page_that_counts() {
    let (_, replayed) = logged(5_000, true, true);
    let outcome = run(replayed, 5_000, 5_000).outcome;
    for world in [Some(&outcome.baseline), outcome.what_if.as_ref()].into_iter().flatten() {
        for campaign in &world.campaigns {
            let lost = campaign.lost;
            let pages = campaign.impressions
                + lost.not_targeted
                + lost.no_budget
                + lost.capped
                + lost.paced
                + lost.exposed;
            assert_eq!(
                pages + lost.below_reserve + lost.lost_to_deal + lost.outbid,
                world.pages,
                "{campaign:?}"
            );
        }
    }
}

/// A sample log as CSV whose last column is the propensity, `text(row)`.
fn sample_csv(folder: &Path, rows: usize, column: Option<(&str, &dyn Fn(usize) -> String)>) {
    let made = folder.join("made.csv");
    sample::generate(rows, 5, &made, &JobContext::detached()).unwrap();
    let text = std::fs::read_to_string(&made).unwrap();
    let lines = text.lines().enumerate().map(|(row, line)| match column {
        None => format!("{line}\n"),
        Some((name, _)) if row == 0 => format!("{line},{name}\n"),
        Some((_, value)) => format!("{line},{}\n", value(row)),
    });
    std::fs::write(folder.join("log.csv"), lines.collect::<String>()).unwrap();
}

fn simulate(folder: &Path, more: &str) -> Result<Answer> {
    let spec = folder.join("spec.json");
    let text = format!(
        r#"{{"log": "log.csv", "model": {{"train": {{"kind": "logistic", "params": {{"epochs": 1}}}}}},
        "requests": 6000, "seed": 2{more}}}"#
    );
    std::fs::write(&spec, text).unwrap();
    let clicks = Some(ClickSource::Replay);
    let args = headless_simulate::Args { spec, clicks, ..Default::default() };
    headless_simulate::run(&args, &Terminal::default())
}

#[test]
fn the_command_line_replays_a_log_with_propensities_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let one_of_sixty = |_| "0.0166666".to_owned();
    sample_csv(folder.path(), 6_000, Some(("propensity", &one_of_sixty)));
    let answer = simulate(folder.path(), "").unwrap();
    assert!(answer.text.contains("clicks from a replay of the log"), "{}", answer.text);
    assert!(answer.text.contains("pages count"), "{}", answer.text);
    let pages = answer.json["pages"].as_u64().unwrap();
    assert!(pages > 0 && pages < 1_000, "{pages}");
    // Under another name the column is named in the spec.
    let with = |name: &str| {
        sample_csv(folder.path(), 6_000, Some((name, &one_of_sixty)));
        simulate(folder.path(), r#", "propensity": "chosen_by""#)
    };
    assert!(with("chosen_by").is_ok());
    assert!(with("other").unwrap_err().why.contains("no column 'chosen_by'"));
}

#[test]
fn a_log_without_propensities_or_with_one_of_zero_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    sample_csv(folder.path(), 2_000, None);
    let without = simulate(folder.path(), "").unwrap_err();
    assert!(without.why.contains("probability") && without.hint.contains("model"), "{without}");
    sample_csv(
        folder.path(),
        2_000,
        Some(("propensity", &|row| if row == 7 { "0" } else { "0.5" }.to_owned())),
    );
    let zero = simulate(folder.path(), "").unwrap_err();
    assert!(zero.why.contains("never is") && zero.place.contains("row"), "{zero}");
    for (more, word) in [
        (r#", "slots": [1.0, 0.5]"#, "one slot"),
        (r#", "feedback": {"fatigue": 0.1}"#, "assumptions"),
        (r#", "what_if": {"edits": [{"column": "device", "value": "ios"}]}"#, "edited"),
    ] {
        let refused = simulate(folder.path(), more).unwrap_err();
        assert!(refused.why.contains(word), "{refused}");
    }
}

#[test]
fn a_model_trained_on_other_columns_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    sample_csv(folder.path(), 2_000, None);
    let context = JobContext::detached();
    let log = adloupe::data::importers::open(
        &folder.path().join("log.csv"),
        &adloupe::data::importers::ImportOptions::default(),
        &context,
    )
    .unwrap();
    let data =
        adloupe::data::dataset::prepare(&log, &adloupe::data::EncodeOptions::default(), &context).unwrap();
    let spec = crate::support::spec("logistic", "1");
    let model = adloupe::train::fit(&data, &spec, &adloupe::jobs::Latest::default(), &context).unwrap();
    model.save(&folder.path().join("model")).unwrap();
    // The same log without its city.
    let text = std::fs::read_to_string(folder.path().join("log.csv")).unwrap();
    let without = text.replacen(",city,", ",town,", 1);
    std::fs::write(folder.path().join("other.csv"), without).unwrap();
    let spec = folder.path().join("other.json");
    std::fs::write(&spec, r#"{"log": "other.csv", "model": {"folder": "model"}, "requests": 100}"#).unwrap();
    let args = headless_simulate::Args { spec, ..Default::default() };
    let refused = headless_simulate::run(&args, &Terminal::default()).unwrap_err();
    assert!(refused.why.contains("city"), "{refused}");
}

#[test]
fn an_audience_of_fewer_users_than_k_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    sample_csv(folder.path(), 2_000, None);
    let run = |more: &str| {
        let spec = folder.path().join("spec.json");
        let model = r#"{"train": {"kind": "logistic", "params": {"epochs": 1}}}"#;
        let text = format!(r#"{{"log": "log.csv", "model": {model}, "requests": 200{more}}}"#);
        std::fs::write(&spec, text).unwrap();
        let args = headless_simulate::Args { spec, ..Default::default() };
        headless_simulate::run(&args, &Terminal::default())
    };
    let narrow = r#", "audience": "city = 'Berlin' and hour = 3""#;
    let refused = run(narrow).unwrap_err();
    assert!(refused.why.contains("users; figures of fewer than 50"), "{refused}");
    assert!(run(&format!(r#"{narrow}, "fewest_users": 1"#)).is_ok());
    let mix = r#", "what_if": {"shifts": [{"where": "not (city = 'Berlin' and hour = 3)", "factor": 0.0}]}"#;
    let refused = run(mix).unwrap_err();
    assert!(refused.place.contains("what-if") && refused.why.contains("fewer than 50"), "{refused}");
}
