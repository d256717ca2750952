//! How many auctions a second? The market's kernels beside plain loops of the same market in the same run.

use super::arenas::arenas;
use super::{BenchRow, auctions, best_of, ours, sample_log};
use crate::base::resources::resident_bytes;
use crate::base::{Failure, Result, failure::Explain, simd};
use crate::data::{EncodeOptions, dataset};
use crate::jobs::{JobContext, Latest};
use crate::market::monte_carlo::engine::GpuAuctions;
use crate::market::monte_carlo::{self, LognormalMarket, slots};
use crate::market::scoring::{Inputs, prepare};
use crate::market::simulation::{RunOptions, simulate};
use crate::market::spec::ModelSource;
use crate::market::{MarketSpec, Outcome, Scenario};
use crate::train::{self, TrainSpec};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Every workload of the market.
///
/// # Errors
/// A cancel.
pub fn market(context: &JobContext) -> Result<Vec<BenchRow>> {
    let mut rows = vec![second_price(context)?];
    rows.push(graphics(context)?);
    rows.push(pages(context, (48, 16), (4_000_000, 200_000), Some(4e6))?);
    rows.push(pages(context, (100, 64), (1_000_000, 40_000), Some(0.6e6))?);
    rows.push(auctions(context)?);
    rows.extend(arenas(context)?);
    rows.extend(slider(context)?);
    rows.extend(memory(context)?);
    Ok(rows)
}

/// From a slider's new reserve to the first partial outcome, and to the outcome of a million pages in two worlds:
/// the sample log, its own campaigns, a trained model whose scores are known.
fn slider(context: &JobContext) -> Result<[BenchRow; 2]> {
    const PAGES: u64 = 1_000_000;
    let (mut spec, inputs) = sample_market(context)?;
    spec.requests = PAGES;
    spec.what_if = Some(Scenario::default());
    let known = prepare(&spec, &inputs, None, context)?.pool;
    let (mut first, mut whole) = (f64::INFINITY, f64::INFINITY);
    for round in 1..=5 {
        spec.what_if.get_or_insert_default().reserve_cpm_micros = round * 5_000_000;
        let begun = Instant::now();
        let live = Latest::default();
        let seen = seen_after(&live, begun)?;
        let prepared = prepare(&spec, &inputs, Some(&known), context)?;
        simulate(&prepared.market, RunOptions { requests: PAGES, record: 20_000 }, &live, context)?;
        whole = whole.min(begun.elapsed().as_secs_f64());
        let seconds = seen.join().map_err(|_| Failure::new("cannot measure", "the watching thread broke"))?;
        first = first.min(seconds);
    }
    let below = |work: &str, value: f64, unit, reach| BenchRow {
        met: Some(value <= reach),
        ..ours(work, value, unit, Some(reach))
    };
    Ok([
        below("slider to the first partial outcome", 1e3 * first, "ms", 100.0),
        below("slider to a million pages in two worlds", whole, "s", 1.0),
    ])
}

/// The sample log with a trained model, and a spec of it.
pub(super) fn sample_market(context: &JobContext) -> Result<(MarketSpec, Inputs)> {
    let log = sample_log(20_000, context)?;
    let dataset = dataset::prepare(&log, &EncodeOptions::default(), context)?;
    let mut training = TrainSpec::new("logistic")?;
    training.set("epochs", "1")?;
    training.set("device", "cpu")?;
    let model = train::fit(&dataset, &training, &Latest::default(), context)?;
    let inputs = Inputs {
        log: Arc::new(log),
        dataset: Arc::new(dataset),
        model: Arc::new(model),
        conversions: None,
        clicks: None,
    };
    Ok((MarketSpec::new("sample".into(), ModelSource::Folder("trained".into())), inputs))
}

/// A thread that waits for the first outcome and answers after how many seconds it came.
fn seen_after(live: &Latest<Outcome>, begun: Instant) -> Result<JoinHandle<f64>> {
    let live = live.clone();
    let watch = move || {
        while live.get().is_none() && begun.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(1));
        }
        begun.elapsed().as_secs_f64()
    };
    thread::Builder::new().name("adloupe-watch".to_owned()).spawn(watch).explain("cannot measure")
}

/// Plain second price: 8 lognormal bidders and a reserve.
fn second_price(context: &JobContext) -> Result<BenchRow> {
    const AUCTIONS: u64 = 100_000_000;
    const PLAIN: u64 = 2_000_000;
    let market = eight_bidders();
    let seconds = best_of(3, context, || market.hold(AUCTIONS, 1, context).map(drop))?;
    let plain = best_of(3, context, || {
        std::hint::black_box(monte_carlo::plainly(&market, PLAIN, 1));
        Ok(())
    })?;
    let work = format!("second price, 8 lognormal bidders, reserve ({})", simd::widest());
    Ok(beside_plain(&work, AUCTIONS as f64 / seconds, PLAIN as f64 / plain, Some(77e6)))
}

/// The same auctions on the graphics processor that there is, whose winners are first checked against the processor's.
fn graphics(context: &JobContext) -> Result<BenchRow> {
    let gpu = match GpuAuctions::open() {
        Ok(gpu) => gpu,
        Err(failure) => {
            let rival = Some(format!("not run: {}", failure.why));
            return Ok(BenchRow {
                rival,
                ..ours("second price on a graphics processor", 0.0, "auctions/s", None)
            });
        }
    };
    let market = eight_bidders();
    const CHECKED: u64 = 5_000_000;
    if gpu.hold(&market, CHECKED, 1, context)? != market.hold(CHECKED, 1, context)? {
        let why = format!("{} gives other winners than the processor", gpu.adapter());
        return Err(Failure::new("cannot measure the graphics processor", why).hint("try another driver"));
    }
    let speed = gpu.calibrate(&market, context)?;
    let most = if speed.prefers_graphics() { 20_000_000_000u64 } else { 100_000_000 };
    // As long a run as takes about two seconds.
    let auctions = ((2.0 * speed.graphics) as u64).clamp(CHECKED, most);
    let seconds = best_of(3, context, || gpu.hold(&market, auctions, 1, context).map(drop))?;
    let chosen = if speed.prefers_graphics() { "chosen" } else { "slower, so the processor is chosen" };
    let soft = if gpu.is_software() { "; a software adapter, no graphics hardware" } else { "" };
    let work = format!("the same on {} ({chosen}{soft})", gpu.adapter());
    let rate = auctions as f64 / seconds;
    Ok(BenchRow {
        rival: Some("the processor".to_owned()),
        rival_value: Some(speed.processor),
        ratio: Some(rate / speed.processor),
        ..ours(&work, rate, "auctions/s", None)
    })
}

fn eight_bidders() -> LognormalMarket {
    LognormalMarket { bidders: vec![(0.0, 1.0); 8], reserve: 1.353_415 }
}

/// Quality-weighted GSP with four slots, cascade clicks and budgets.
fn pages(
    context: &JobContext,
    (ads, dimensions): (usize, usize),
    (pages, plain_pages): (u64, u64),
    reach: Option<f64>,
) -> Result<BenchRow> {
    let market = slots::example(ads, dimensions);
    let seconds = best_of(3, context, || market.serve(pages, 1, context).map(drop))?;
    let plain = best_of(3, context, || {
        std::hint::black_box(slots::plainly(&market, plain_pages, 1));
        Ok(())
    })?;
    let work = format!("GSP, {ads} ads, 4 slots, {dimensions}-d pCTR, cascade, budgets");
    Ok(beside_plain(&work, pages as f64 / seconds, plain_pages as f64 / plain, reach))
}

fn beside_plain(work: &str, rate: f64, plain: f64, reach: Option<f64>) -> BenchRow {
    BenchRow {
        rival: Some("a plain loop on one thread".to_owned()),
        rival_value: Some(plain),
        ratio: Some(rate / plain),
        ..ours(work, rate, "auctions/s", reach)
    }
}

/// What a billion auctions add to the memory in use; nothing where the system does not say.
fn memory(context: &JobContext) -> Result<Option<BenchRow>> {
    let Some(before) = resident_megabytes() else { return Ok(None) };
    let tally = eight_bidders().hold(1_000_000_000, 2, context)?;
    let grown = (resident_megabytes().unwrap_or(before) - before).max(0.0);
    let work = format!("memory that {} auctions added", tally.auctions);
    Ok(Some(BenchRow { met: Some(grown <= 16.0), ..ours(&work, grown, "MB", Some(16.0)) }))
}

fn resident_megabytes() -> Option<f64> {
    Some(resident_bytes()? as f64 / (1 << 20) as f64)
}
