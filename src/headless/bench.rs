//! `adloupe bench NAME`: how fast is it on this machine?
//!
//! The workloads live here once; `benches/` runs the same ones through `cargo bench`. Every figure is the best
//! of several rounds, so that other load on the machine disturbs it least.

pub mod arenas;
pub mod din;
pub mod explain;
pub mod explore;
pub mod import;
pub mod kinds;
pub mod language;
mod language_trained;
pub mod learn;
pub mod market;
pub mod onnx;
pub mod planner;
pub mod studio;
pub mod tokenise;
pub mod training;
pub mod trees;
pub mod view;
pub mod writing;

use super::{Answer, Terminal};
use crate::auctions;
use crate::base::rng::{Rng, keyed_uniform};
use crate::base::{Failure, Params, Result, failure::Explain};
use crate::data::importers::{self, ImportOptions};
use crate::data::{Dataset, EncodeOptions, LogFrame, dataset, sample};
use crate::domain::Pricing;
use crate::gpu::density::{DensityGrid, View};
use crate::gpu::{Camera, Cloud};
use crate::jobs::{JobContext, Latest};
use crate::market::bidder::Bidder;
use crate::market::simulation::RunOptions;
use crate::market::{Arm, Market, Scores, Simulation};
use crate::models::MODELS;
use crate::train::{TrainSpec, Trainer, measure};
use crate::ui::frame_cost;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The group that draws: it wants the threads of a window.
pub(super) const WINDOW: &str = "window";

/// What [`view`] asks a program with the threads of a window.
pub(super) const FRAMES: &str = "frames";

/// The groups, and what each measures.
const GROUPS: [(&str, &str); 19] = [
    ("spine", "the steps of the main job"),
    ("explain", "curves, slices, reasons of a prediction"),
    ("explore", "questions about groups of rows"),
    ("import", "logs against polars and pandas"),
    ("kinds", "the AUC of every kind of model over five seeds, beside the truth's"),
    ("language", "texts into vectors, sentence encoder and language model"),
    ("learn", "one pass over a log against Vowpal Wabbit"),
    ("trees", "boosted trees against LightGBM and CatBoost"),
    ("market", "auctions a second"),
    ("onnx", "scores of models written as ONNX against ONNX Runtime"),
    ("planner", "off-policy estimates, raking, a budget curve"),
    ("studio", "originality, a round of candidates, a large library of words"),
    ("train", "steps against PyTorch's"),
    ("din", "of those only the deep interest network's"),
    ("tokenise", "a log into ids against FuxiCTR's way"),
    ("view", "maps of embeddings against umap-learn and openTSNE"),
    ("writing", "length and grounding of a language model's texts, with and without the mask"),
    (FRAMES, "of those only whole frames of a million points"),
    (WINDOW, "what a frame costs at rest and while a model trains"),
];

/// Measures a named group of workloads.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The group; a word that is none lists them all.
    pub name: String,
    /// Rows of the log that is measured on [default: 20,000 for the spine, 1,000,000 for import and learn, 4,000,000 for
    /// tokenise].
    #[arg(long)]
    pub rows: Option<usize>,
    /// Rows of the train group's tables, 0 to compare only what is learnt [default: 100,000, 1,000,000, 10,000,000 and
    /// what is learnt].
    #[arg(long)]
    pub ids: Option<usize>,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchRow {
    /// What was done.
    pub work: String,
    /// How fast we did it.
    pub ours: f64,
    /// The unit of both figures.
    pub unit: &'static str,
    /// Who else does it; absent where nobody was measured.
    pub rival: Option<String>,
    /// How fast the rival did it.
    pub rival_value: Option<f64>,
    /// Ours over the rival's.
    pub ratio: Option<f64>,
    /// What we want to reach, in the same unit; absent where nothing was promised.
    pub reach: Option<f64>,
    /// Whether we do.
    pub met: Option<bool>,
}

/// Measures and tells.
///
/// # Errors
/// An unknown name, a full disk (the sample log is written to the temporary folder), Ctrl-C.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let rows = match args.name.as_str() {
        "spine" => spine(args.rows.unwrap_or(20_000), &terminal.context())?,
        "explain" => explain::explain(args.rows.unwrap_or(1_000_000), &terminal.context())?,
        "explore" => explore::explore(args.rows.unwrap_or(1_000_000), &terminal.context())?,
        "import" => import::import(args.rows.unwrap_or(1_000_000), &terminal.context())?,
        "kinds" => kinds::kinds(args.rows.unwrap_or(100_000), &terminal.context())?,
        "learn" => learn::learn(args.rows.unwrap_or(1_000_000), &terminal.context())?,
        "trees" => trees::trees(args.rows.unwrap_or(1_000_000), &terminal.context())?,
        "market" => market::market(&terminal.context())?,
        "language" => language::language(&terminal.context())?,
        "onnx" => onnx::onnx_rows(args.rows.unwrap_or(20_000), &terminal.context())?,
        "planner" => planner::planner(&terminal.context())?,
        "studio" => studio::studio(&terminal.context())?,
        "train" => {
            let mut rows = training::training(args.ids, &terminal.context())?;
            if args.ids.is_none() {
                rows.extend(din::din(&terminal.context())?);
            }
            rows
        }
        "din" => din::din(&terminal.context())?,
        "tokenise" => tokenise::tokenise(args.rows.unwrap_or(tokenise::ROWS), &terminal.context())?,
        "view" => view::view(args.rows.unwrap_or(view::ROWS), &terminal.context())?,
        "writing" => writing::writing(&terminal.context())?,
        FRAMES => view::frames(&terminal.context())?,
        WINDOW => window(&terminal.context())?,
        other => {
            let known: Vec<String> = GROUPS.iter().map(|(name, what)| format!("{name} ({what})")).collect();
            let known = known.join(", ");
            return Err(Failure::new("cannot measure", format!("there is no group '{other}'")).hint(known));
        }
    };
    let text = rows.iter().map(line).collect();
    let json = serde_json::json!({ "rows": serde_json::to_value(&rows).explain("cannot write the answer")? });
    Ok(Answer { text, json })
}

/// One figure as a line of text.
pub fn line(row: &BenchRow) -> String {
    if row.ours.is_nan() {
        let why = row.rival.as_deref().unwrap_or("not measured");
        return format!("{:<46} {why}\n", row.work);
    }
    // Seconds and gigabytes are small numbers, rows per second large ones.
    let digits = match row.ours {
        share if ["AUC", "of 1"].contains(&row.unit) && share <= 1.0 => 4,
        small if small < 100.0 => 2,
        _ => 0,
    };
    let rival = match (&row.rival, row.rival_value) {
        (Some(rival), Some(value)) => {
            let ratio = row.ratio.unwrap_or(f64::NAN);
            format!("  {ratio:.2} x {rival} ({value:.digits$})")
        }
        (Some(rival), None) => format!("  {rival}"),
        (None, _) => String::new(),
    };
    let reach = match (row.reach, row.met) {
        (Some(reach), Some(true)) => format!("  reaches {reach:.digits$}"),
        (Some(reach), _) => format!("  MISSES {reach:.digits$}"),
        (None, _) => String::new(),
    };
    format!("{:<46} {:>14.digits$} {}{rival}{reach}\n", row.work, row.ours, row.unit)
}

/// Every workload of the spine.
///
/// # Errors
/// As [`run`].
pub fn spine(rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let log = sample_log(rows, context)?;
    let mut figures = vec![encode(&log, context)?];
    let prepared = dataset::prepare(&log, &EncodeOptions::default(), context)?;
    for kind in MODELS {
        let (trained, evaluated) = train_and_evaluate(kind.id(), &prepared, context)?;
        figures.extend([trained, evaluated]);
    }
    figures.push(auctions(context)?);
    figures.push(points(context)?);
    Ok(figures)
}

/// Frames of the window at rest and beside a training, drawn off screen at 1280 x 800.
///
/// # Errors
/// No graphics adapter or no sample log; a cancel.
pub fn window(context: &JobContext) -> Result<Vec<BenchRow>> {
    let cost = frame_cost::measure(context)?;
    let per_second = |frames: &[Duration]| 1.0 / frame_cost::median(frames).as_secs_f64().max(1e-9);
    let (at_rest, training) = (per_second(&cost.at_rest), per_second(&cost.training));
    let with_runs = per_second(&cost.with_runs);
    let ratio = training / at_rest;
    Ok(vec![
        ours(&format!("frames at rest, {}", cost.adapter), at_rest, "frames/s", None),
        BenchRow {
            rival: Some("the same window at rest".to_owned()),
            rival_value: Some(at_rest),
            ratio: Some(with_runs / at_rest),
            ..ours(&format!("frames with {} runs in the list", frame_cost::RUNS), with_runs, "frames/s", None)
        },
        BenchRow {
            rival: Some("the same window at rest".to_owned()),
            rival_value: Some(at_rest),
            ratio: Some(ratio),
            ..ours("frames while deep_fm trains", training, "frames/s", Some(0.8 * at_rest))
        },
        ours("deep_fm behind those frames", cost.examples_per_second, "examples/s", None),
    ])
}

/// A sample log of so many rows, made anew.
///
/// # Errors
/// What the disk answers; a cancel.
pub fn sample_log(rows: usize, context: &JobContext) -> Result<LogFrame> {
    let folder = std::env::temp_dir().join(format!("adloupe-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).explain("cannot make a temporary folder")?;
    let path = folder.join("log.parquet");
    let read = sample::generate(rows, 1, &path, context)
        .and_then(|_| importers::open(&path, &ImportOptions::default(), context));
    // The log is in memory now; a leftover in the temporary folder is no failure of the measurement.
    let _ = std::fs::remove_dir_all(&folder);
    read
}

/// Rows per second from a log in memory to the arrays of a data set, vocabularies included.
///
/// # Errors
/// A cancel.
pub fn encode(log: &LogFrame, context: &JobContext) -> Result<BenchRow> {
    let seconds = best_of(3, context, || {
        dataset::prepare(log, &EncodeOptions::default(), &JobContext::detached()).map(drop)
    })?;
    Ok(ours("encode the sample log", log.rows() as f64 / seconds, "rows/s", None))
}

/// Training examples per second of one model, steps only.
///
/// # Errors
/// A cancel, or a model that cannot be trained.
pub fn train(kind: &str, dataset: &Dataset, context: &JobContext) -> Result<BenchRow> {
    let mut spec = TrainSpec::new(kind)?;
    spec.set("epochs", "1")?;
    spec.set("device", "cpu")?;
    let mut fastest = 0.0f64;
    for _ in 0..2 {
        context.check()?;
        let live = Latest::default();
        let mut trainer = Trainer::new(dataset, &spec)?;
        trainer.run(&live, context)?;
        fastest = fastest.max(live.get().map_or(0.0, |snapshot| snapshot.examples_per_second));
    }
    Ok(ours(&format!("train {kind} on the processor"), fastest, "examples/s", None))
}

/// Training examples per second of one model, and the rows per second that it scores and judges with every measure and
/// interval: evaluation must not be slower than training.
///
/// # Errors
/// A cancel, or a model that cannot be trained.
pub fn train_and_evaluate(
    kind: &str,
    dataset: &Dataset,
    context: &JobContext,
) -> Result<(BenchRow, BenchRow)> {
    let trained = train(kind, dataset, context)?;
    let mut spec = TrainSpec::new(kind)?;
    for (name, value) in [("epochs", "1"), ("device", "cpu")] {
        spec.set(name, value)?;
    }
    let model = crate::train::fit(dataset, &spec, &Latest::default(), context)?;
    let rows: Vec<u32> = (0..dataset.rows as u32).collect();
    let seconds = best_of(2, context, || {
        let predicted = model.predict(dataset, &rows, context)?;
        std::hint::black_box(measure(dataset, &rows, &predicted));
        Ok(())
    })?;
    let speed = dataset.rows as f64 / seconds;
    let evaluated = BenchRow {
        rival: Some("its own training".to_owned()),
        rival_value: Some(trained.ours),
        ratio: Some(speed / trained.ours),
        ..ours(&format!("score and judge with {kind}, all intervals"), speed, "rows/s", Some(trained.ours))
    };
    Ok((trained, evaluated))
}

/// Auctions per second on one thread: 12 campaigns with 60 ads, budgets, two worlds side by side.
///
/// # Errors
/// A cancel.
pub fn auctions(context: &JobContext) -> Result<BenchRow> {
    const REQUESTS: u64 = 200_000;
    let market = Arc::new(market_of_sixty_ads()?);
    let seconds = best_of(5, context, || {
        let options = RunOptions { requests: REQUESTS, record: 0 };
        let mut simulation = Simulation::new(Arc::clone(&market), options);
        simulation.step(REQUESTS);
        Ok(())
    })?;
    let auctions = REQUESTS as f64 * market.worlds() as f64;
    Ok(ours("second-price auctions, 60 ads, 2 worlds", auctions / seconds, "auctions/s", Some(1e6)))
}

/// 2,000 pooled requests, 12 campaigns of 5 ads, half of them paying per click; a what-if that shifts the mix.
fn market_of_sixty_ads() -> Result<Market> {
    const ROWS: usize = 2_000;
    const CAMPAIGNS: usize = 12;
    const ADS: usize = 60;
    let p_click = (0..ROWS * ADS).map(|pair| 0.08 * keyed_uniform(1, 1, pair as u64) as f32);
    let scores = Arc::new(Scores::new(ADS, p_click.collect())?);
    let rule = auctions::find("second_price")?;
    let arm = |weight_of: &dyn Fn(usize) -> f64| -> Result<Arm> {
        let built = rule.build(&Params::defaults(rule.params()))?;
        let weights = (0..ROWS).map(weight_of).collect();
        Ok(Arm { reserve_ecpm_micros: 500_000.0, ..Arm::new(Arc::clone(&scores), weights, built) })
    };
    let bidder = |place: usize| Bidder {
        name: format!("campaign {place}"),
        ads: (0..5).map(|ad| (place * 5 + ad) as u32).collect(),
        pricing: if place.is_multiple_of(2) { Pricing::Cpm } else { Pricing::Cpc },
        bid_micros: if place.is_multiple_of(2) { 3_000_000 + 100_000 * place as i64 } else { 80_000 },
        budget_nanos: Some(900_000_000_000),
        ..Bidder::default()
    };
    let bidders = (0..CAMPAIGNS).map(bidder).collect();
    let shifted = |row: usize| if row.is_multiple_of(3) { 2.0 } else { 1.0 };
    Market::new(bidders, vec![true; ROWS * CAMPAIGNS], vec![1.0], 7, arm(&|_| 1.0)?, Some(arm(&shifted)?))
}

/// Points per second counted into the density picture of a full view.
///
/// # Errors
/// A cancel.
pub fn points(context: &JobContext) -> Result<BenchRow> {
    const POINTS: usize = 1_000_000;
    let mut rng = Rng::named(1, "bench points");
    let xy: Vec<[f32; 2]> = (0..POINTS).map(|_| [rng.normal() as f32, rng.normal() as f32]).collect();
    let cloud = Cloud { xy, codes: (0..POINTS).map(|point| (point % 8) as u8).collect() };
    let view = View {
        camera: Camera::fit([-4.0, -4.0, 4.0, 4.0], [1_280.0, 800.0]),
        size: [1_280, 800],
        palette: &[[200, 80, 40]; 8],
        selected: None,
    };
    let seconds = best_of(5, context, || {
        std::hint::black_box(DensityGrid::count(&cloud, view));
        Ok(())
    })?;
    Ok(ours("count points into a 1280 x 800 picture", POINTS as f64 / seconds, "points/s", None))
}

/// The Python that has the rivals (`benches/rivals/setup.sh`).
fn rivals_python() -> String {
    std::env::var("ADLOUPE_RIVALS").unwrap_or_else(|_| "python3".to_owned())
}

fn ours(work: &str, ours: f64, unit: &'static str, reach: Option<f64>) -> BenchRow {
    BenchRow {
        work: work.to_owned(),
        ours,
        unit,
        rival: None,
        rival_value: None,
        ratio: None,
        reach,
        met: reach.map(|reach| ours >= reach),
    }
}

/// A figure that should stay below its reach.
fn below(work: &str, taken: f64, unit: &'static str, reach: f64) -> BenchRow {
    BenchRow { met: Some(taken <= reach), ..ours(work, taken, unit, Some(reach)) }
}

/// Seconds of the fastest of `rounds`.
fn best_of(rounds: u32, context: &JobContext, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        context.check()?;
        let begun = Instant::now();
        work()?;
        best = best.min(begun.elapsed());
    }
    Ok(best.as_secs_f64().max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auctions_are_counted_and_the_aim_is_told() {
        let row = auctions(&JobContext::detached()).unwrap();
        assert!(row.ours > 0.0);
        assert_eq!(row.met, Some(row.ours >= 1e6));
        assert!(line(&row).contains("auctions/s"));
    }

    #[test]
    fn an_unknown_group_is_refused() {
        let args = Args { name: "speed".into(), rows: Some(100), ids: None };
        let hint = run(&args, &Terminal::default()).unwrap_err().hint;
        assert!(GROUPS.iter().all(|(name, _)| hint.contains(name)), "{hint}");
    }
}
