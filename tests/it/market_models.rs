//! Do the user's own models take part in the market as they should: histories that grow, conversions, looks of the log?

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use crate::support::spec as training;
use adloupe::base::Result;
use adloupe::data::importers::{self, ImportOptions};
use adloupe::data::{EncodeOptions, dataset, sample};
use adloupe::domain::Pricing;
use adloupe::jobs::{JobContext, Latest};
use adloupe::market::looks::FittedLooks;
use adloupe::market::openrtb;
use adloupe::market::other_model::OtherModel;
use adloupe::market::rescoring::{Event, Rescorer};
use adloupe::market::scoring::{Inputs, Prepared, prepare};
use adloupe::market::simulation::{Run, RunOptions, simulate};
use adloupe::market::spec::{ClickSource, MarketSpec, ModelSource};
use adloupe::train::{self, TrainedModel};
use std::path::Path;
use std::sync::{Arc, OnceLock};

const ROWS: usize = 12_000;

/// One sample log with a model that reads the history and one that does not.
fn inputs(kind: &str) -> Inputs {
    static FIXTURE: OnceLock<(Inputs, Inputs)> = OnceLock::new();
    let (reads, does_not) = FIXTURE.get_or_init(|| {
        let context = JobContext::detached();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.parquet");
        sample::generate(ROWS, 5, &path, &context).unwrap();
        let log = Arc::new(importers::open(&path, &ImportOptions::default(), &context).unwrap());
        let dataset = Arc::new(dataset::prepare(&*log, &EncodeOptions::default(), &context).unwrap());
        let of = |kind: &str| {
            let model = train::fit(&dataset, &training(kind, "1"), &Latest::default(), &context).unwrap();
            let (log, dataset) = (Arc::clone(&log), Arc::clone(&dataset));
            Inputs { log, dataset, model: Arc::new(model), conversions: None, clicks: None }
        };
        (of("din"), of("logistic"))
    });
    if kind == "din" { reads.clone() } else { does_not.clone() }
}

fn spec() -> MarketSpec {
    let mut spec = MarketSpec::new("log.parquet".into(), ModelSource::Folder("unused".into()));
    (spec.pool_rows, spec.requests, spec.seed) = (200, 3_000, 3);
    spec
}

fn run(spec: &MarketSpec, inputs: &Inputs) -> Result<(Prepared, Run)> {
    let context = JobContext::detached();
    let prepared = prepare(spec, inputs, None, &context)?;
    let options = RunOptions { requests: spec.requests, record: spec.requests };
    let run = simulate(&prepared.market, options, &Latest::default(), &context)?;
    Ok((prepared, run))
}

#[test]
fn the_model_predicts_anew_once_a_history_has_grown() {
    let inputs = inputs("din");
    let mut grows = spec();
    grows.feedback.rescores = true;
    let (prepared, run_grown) = run(&grows, &inputs).unwrap();
    assert!(prepared.notes.iter().any(|note| note.contains("predicts anew")), "{:?}", prepared.notes);
    let (_, plain) = run(&spec(), &inputs).unwrap();
    let (grown, plain) = (run_grown.recording.unwrap(), plain.recording.unwrap());
    // Pages before the first click are the same to the last number, later ones are not.
    let first_click = plain.shown[0].iter().find(|shown| shown.clicked).unwrap().page as usize;
    let before = |shown: &[adloupe::market::simulation::Shown]| {
        shown.iter().take_while(|shown| shown.page as usize <= first_click).copied().collect::<Vec<_>>()
    };
    assert_eq!(before(&grown.shown[0]), before(&plain.shown[0]));
    assert_ne!(grown.offers[0], plain.offers[0]);
    // The same again, whatever the luck of threads.
    let again = run(&grows, &inputs).unwrap().1.recording.unwrap();
    assert_eq!(grown.shown, again.shown);
}

#[test]
fn scores_of_a_grown_history_are_those_of_the_model_on_that_history() {
    let inputs = inputs("din");
    let catalogue = inputs.dataset.ads.clone().unwrap();
    let ads: Vec<u32> = (0..6).collect();
    let rescorer = Rescorer::new(inputs.clone(), vec![40, 41], ads.clone(), [vec![], vec![]]).unwrap();
    let clicked = |ad| Event { ad, clicked: true };
    let scores = rescorer.scores(0, 1, &[clicked(3), Event { ad: 2, clicked: false }, clicked(5)]).unwrap();
    let mut batch = inputs.dataset.batch_with_ads(&[41; 6], &ads);
    let field = inputs.dataset.encoder.sequences[0].target;
    let of_ads = &catalogue.categorical.iter().find(|(place, _)| *place == field).unwrap().1;
    let sequence = &mut batch.sequences[0];
    for row in 0..6 {
        let slots = &mut sequence.ids[row * sequence.max_len..(row + 1) * sequence.max_len];
        let length = sequence.lengths[row] as usize;
        let all: Vec<u32> = slots[..length].iter().copied().chain([of_ads[3], of_ads[5]]).collect();
        let last = &all[all.len().saturating_sub(slots.len())..];
        slots[..last.len()].copy_from_slice(last);
        sequence.lengths[row] = last.len() as u32;
    }
    assert_eq!(scores, inputs.model.predict_batch(&batch).unwrap());
    assert_ne!(scores, rescorer.scores(0, 1, &[]).unwrap());
}

#[test]
fn what_an_ensemble_predicts_keeps_its_interval_in_auctions_and_their_files() {
    let own = inputs("logistic");
    let context = JobContext::detached();
    let member = |seed: &str| {
        let mut spec = training("logistic", "1");
        spec.set("seed", seed).unwrap();
        spec.set("resample", "true").unwrap();
        Arc::new(train::fit(&own.dataset, &spec, &Latest::default(), &context).unwrap())
    };
    let members = ["1", "2", "3"].map(member);
    let ensemble = TrainedModel::ensemble(&members, &own.dataset, &context).unwrap();
    let ensemble = Inputs { model: Arc::new(ensemble), ..own.clone() };
    let (prepared, run_of_three) = run(&spec(), &ensemble).unwrap();
    let recording = run_of_three.recording.unwrap();
    let shown = recording.shown[0][0];
    let row = recording.rows[shown.page as usize].0;
    let known = prepared.pool.interval(0, row, shown.ad, shown.predicted).unwrap();
    let names = &own.dataset.ads.as_ref().unwrap().names;
    let ad = names.iter().position(|name| *name == prepared.ads[shown.ad as usize]).unwrap();
    let batch = own.dataset.batch_with_ads(&[prepared.pool.rows[row as usize]], &[ad as u32]);
    let scored = ensemble.model.scored_batch(&batch).unwrap();
    let members = scored.interval(0).unwrap();
    assert_eq!(scored.p[0], shown.predicted);
    assert!((known.low - members.low).abs() < 1e-6 && (known.high - members.high).abs() < 1e-6, "{known:?}");
    assert!(known.low < known.value && known.value < known.high, "{known:?}");
    let moved = prepared.pool.interval(0, row, shown.ad, shown.predicted + 0.01);
    assert_eq!(moved, None, "what was learnt since is not what the members said");
    let written = |prepared: &Prepared, recording| {
        let mut lines = Vec::new();
        openrtb::write(&mut lines, &spec(), prepared, recording).unwrap();
        String::from_utf8(lines).unwrap()
    };
    assert!(written(&prepared, &recording).contains("\"pctr_interval\":["));
    let (prepared, alone) = run(&spec(), &own).unwrap();
    let recording = alone.recording.unwrap();
    let shown = recording.shown[0][0];
    assert_eq!(
        prepared.pool.interval(0, recording.rows[shown.page as usize].0, shown.ad, shown.predicted),
        None
    );
    assert!(!written(&prepared, &recording).contains("pctr_interval"));
}

#[test]
fn a_model_that_reads_no_history_is_refused_where_histories_grow() {
    let mut grows = spec();
    grows.feedback.rescores = true;
    let refused = run(&grows, &inputs("logistic")).err().unwrap();
    assert!(refused.why.contains("logistic") && refused.hint.contains("din"), "{refused}");
    grows.feedback.follows = true;
    assert!(run(&grows, &inputs("din")).err().unwrap().why.contains("not both"));
}

#[test]
fn campaigns_that_pay_per_conversion_bid_by_a_model_of_conversions() {
    let context = JobContext::detached();
    let mut inputs = inputs("logistic");
    let source: ModelSource =
        serde_json::from_str(r#"{"train": {"kind": "logistic", "params": {"epochs": 2, "device": "cpu"}}}"#)
            .unwrap();
    let model = OtherModel::of_conversions(&source, &inputs.log, Path::new(""), &context).unwrap();
    inputs.conversions = Some(Arc::new(model));
    let mut paid = spec();
    paid.conversions = Some(source);
    paid.requests = 20_000;
    let (prepared, _) = run(&spec(), &inputs).unwrap();
    paid.campaigns = prepared.campaigns.clone();
    for campaign in &mut paid.campaigns {
        (campaign.pricing, campaign.bid_micros) = (Pricing::Cpa, 50_000_000);
        (campaign.budget_micros, campaign.conversion_rate) = (None, None);
    }
    let (prepared, done) = run(&paid, &inputs).unwrap();
    assert!(prepared.notes.iter().any(|note| note.contains("conversions per click")), "{:?}", prepared.notes);
    let totals = &done.outcome.baseline.totals;
    assert!(totals.conversions > 0 && totals.revenue > 0.0, "{totals:?}");
    // Offers are bid x pCTR x pCVR: they differ between ads of one campaign by more than the clicks do.
    let recording = done.recording.unwrap();
    let offer = recording.offers[0].iter().find(|offer| offer.ecpm_micros > 0.0).unwrap();
    let per_conversion = offer.ecpm_micros / (1_000.0 * 50_000_000.0 * f64::from(offer.predicted));
    assert!(per_conversion > 0.0 && per_conversion < 1.0, "{offer:?}");
    // Without a model a rate is needed.
    (paid.conversions, inputs.conversions) = (None, None);
    assert!(run(&paid, &inputs).err().unwrap().why.contains("conversion_rate"));
}

#[test]
fn a_model_of_the_clicks_is_no_model_of_conversions() {
    let inputs = inputs("logistic");
    let folder = tempfile::tempdir().unwrap();
    inputs.model.save(&folder.path().join("clicks")).unwrap();
    let source = ModelSource::Folder("clicks".into());
    let refused =
        OtherModel::of_conversions(&source, &inputs.log, folder.path(), &JobContext::detached()).unwrap_err();
    assert!(refused.why.contains("the clicks themselves"), "{refused}");
}

#[test]
fn clicks_of_another_model_are_those_that_happen() {
    let mut asked = spec();
    asked.clicks = ClickSource::Model;
    let own = inputs("logistic");
    let (_, plain) = run(&asked, &own).unwrap();
    let other = inputs("din");
    let source = ModelSource::Folder("other".into());
    let context = JobContext::detached();
    let beside = OtherModel::reading(&source, Arc::clone(&other.model), &own.log, &context).unwrap();
    let mixed = Inputs { clicks: Some(Arc::new(beside)), ..own };
    let (prepared, run) = run(&asked, &mixed).unwrap();
    assert!(prepared.clicks_from.contains("another model (din)"), "{}", prepared.clicks_from);
    let (plain, totals) = (&plain.outcome.baseline.totals, &run.outcome.baseline.totals);
    // Much the same ads win (budgets run out elsewhere); what happens is what the other model says.
    assert!((plain.predicted_ctr - totals.predicted_ctr).abs() < 0.005);
    assert!((plain.predicted_ctr - plain.expected_ctr).abs() < 1e-6);
    assert!((totals.predicted_ctr - totals.expected_ctr).abs() > 1e-5, "{totals:?}");
}

#[test]
fn looks_are_read_from_the_positions_of_the_log() {
    let fitted = FittedLooks::of_log(&inputs("logistic").log).unwrap();
    assert_eq!((fitted.column.as_str(), fitted.slots.len()), ("slot_position", 4));
    // The sample's log odds fall by .35 a slot; at its small rates that is a factor of some e^-.35.
    for (slot, look) in fitted.looks.iter().enumerate().skip(1) {
        let exact = (-0.35 * slot as f64).exp();
        let error = (look.high.ln() - look.low.ln()) / 3.92;
        assert!(
            (look.value.ln() - exact.ln()).abs() < 4.0 * error + 0.06,
            "{slot}: {look:?} against {exact}"
        );
    }
    let shares = fitted.shares();
    assert!(shares[0] == 1.0 && shares.iter().all(|share| (0.0..=1.0).contains(share)));
}
