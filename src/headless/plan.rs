//! `adloupe plan SPEC.json`: what would another reserve, more budget or another cap bring?

use super::simulate::{inputs, read_spec};
use super::{Answer, Terminal};
use crate::base::{Result, failure::Explain};
use crate::jobs::{JobContext, Latest};
use crate::market::outcome::WorldOutcome;
use crate::market::planner::{Curve, Effect, Lever, Planner, Point, Sensitivity, Split};
use crate::market::scoring;
use crate::market::simulation::{RunOptions, simulate};
use crate::metrics::Estimate;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Which market, which lever.
#[derive(Debug, clap::Args)]
#[command(
    about = "Runs a simulated market over and over: reserve, budget and cap curves, a split of the budget"
)]
pub struct Args {
    /// The spec, as `adloupe simulate` reads it; its what-if is left aside.
    spec: PathBuf,
    /// What is turned: reserve, budget or cap.
    #[arg(long, default_value = "reserve", value_parser = lever)]
    lever: Lever,
    /// Where it is put [default: --points places that show the curve].
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS")]
    at: Vec<f64>,
    /// Places of the lever.
    #[arg(long, default_value_t = 20)]
    points: usize,
    /// Splits all budgets together so that the next unit brings as many clicks wherever it goes.
    #[arg(long, conflicts_with_all = ["lever", "at", "points"])]
    split: bool,
    /// Takes the spec's what-if apart: who comes, what they are like, how slots are sold.
    #[arg(long, conflicts_with_all = ["lever", "at", "points", "split"])]
    parts: bool,
    /// Tries a fifth less and a fifth more of bids, budgets, reserve and looks.
    #[arg(long, conflicts_with_all = ["lever", "at", "points", "split", "parts"])]
    sensitivity: bool,
    /// Other specs, run and told beside this one; may be given again.
    #[arg(long = "beside", value_name = "SPEC", conflicts_with_all = ["lever", "at", "points", "split", "parts", "sensitivity"])]
    beside: Vec<PathBuf>,
    /// Pages of each run instead of the spec's number.
    #[arg(long)]
    requests: Option<u64>,
}

fn lever(text: &str) -> std::result::Result<Lever, String> {
    match text {
        "reserve" => Ok(Lever::Reserve),
        "budget" => Ok(Lever::Budget),
        "cap" => Ok(Lever::Cap),
        _ => Err("one of: reserve, budget, cap".to_owned()),
    }
}

/// Reads the spec, runs its market at every place.
///
/// # Errors
/// A spec, log or model that cannot be read or does not fit; Ctrl-C.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    if !args.beside.is_empty() {
        return beside(args, &context);
    }
    let mut spec = read_spec(&args.spec)?;
    spec.requests = args.requests.unwrap_or(spec.requests);
    let inputs = inputs(&spec, args.spec.parent().unwrap_or(Path::new("")), &context)?;
    let planner = Planner::new(&spec, &inputs, None, &context)?;
    if args.split {
        let split = planner.split()?;
        let json = serde_json::to_value(&split).explain("cannot write the answer")?;
        return Ok(Answer { text: split_text(&split), json });
    }
    if args.parts {
        let parts = planner.parts()?;
        let json =
            serde_json::json!({ "parts": serde_json::to_value(&parts).explain("cannot write the answer")? });
        return Ok(Answer { text: parts_text(&parts), json });
    }
    if args.sensitivity {
        let found = planner.sensitivity()?;
        let json = serde_json::to_value(&found).explain("cannot write the answer")?;
        return Ok(Answer { text: sensitivity_text(&found), json });
    }
    let places = match args.at.as_slice() {
        [] => planner.places(args.lever, args.points)?,
        given => given.to_vec(),
    };
    let curve = planner.curve_told(args.lever, &places, &|so_far| {
        let seen: Vec<String> =
            so_far.points.iter().map(|point| format!("{:.2}: {} clicks", point.at, point.clicks)).collect();
        Terminal::note(&format!("{} of {} points: {}", so_far.points.len(), so_far.places, seen.join(", ")));
    })?;
    let json = serde_json::to_value(&curve).explain("cannot write the answer")?;
    Ok(Answer { text: curve_text(&curve), json })
}

fn curve_text(curve: &Curve) -> String {
    let mut text = format!("{}; {} requests a point, one seed for all\n", curve.lever.unit(), curve.requests);
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "  {:>9} {:>11} {:>8} {:>8} {:>10} {:>30} {:>8} {:>9}",
        "at", "impressions", "fill %", "clicks", "spend", "revenue per 1000 (95 %)", "reach", "frequency"
    );
    for point in &curve.points {
        text.push_str(&line(&format!("{:.2}", point.at), point));
    }
    text.push_str(&line("as it is", &curve.now));
    if let Some(check) = &curve.check {
        let _ = writeln!(
            text,
            "  check: of the log's last rows, unseen in training, the model forecasts {:.3} % clicks; {} came",
            100.0 * check.forecast,
            check.actual.estimate().in_percent()
        );
    }
    text
}

fn line(name: &str, point: &Point) -> String {
    let revenue = point.revenue_per_mille;
    let told = format!("{:.2} ({:.2} to {:.2})", revenue.value, revenue.low, revenue.high);
    format!(
        "  {name:>9} {:>11} {:>8.2} {:>8} {:>10.2} {told:>30} {:>8} {:>9.2}\n",
        point.impressions,
        100.0 * point.fill.rate,
        point.clicks,
        point.spend,
        point.reach,
        point.frequency
    )
}

/// Several specs, each run as it stands, in one table.
fn beside(args: &Args, context: &JobContext) -> Result<Answer> {
    let mut text = format!(
        "  {:<28} {:<9} {:>11} {:>8} {:>26} {:>30}\n",
        "spec", "world", "impressions", "clicks", "CTR % (95 %)", "revenue per 1000 (95 %)"
    );
    let mut told = Vec::new();
    for path in std::iter::once(&args.spec).chain(&args.beside) {
        let mut spec = read_spec(path)?;
        spec.requests = args.requests.unwrap_or(spec.requests);
        let inputs = inputs(&spec, path.parent().unwrap_or(Path::new("")), context)?;
        let prepared = scoring::prepare(&spec, &inputs, None, context)?;
        let options = RunOptions { requests: prepared.requests, record: 0 };
        let outcome = simulate(&prepared.market, options, &Latest::default(), context)?.outcome;
        let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        for (world, of) in [("baseline", Some(&outcome.baseline)), ("what-if", outcome.what_if.as_ref())] {
            let Some(WorldOutcome { totals, .. }) = of else { continue };
            let (ctr, revenue) = (totals.ctr.estimate(), totals.revenue_per_mille);
            let ctr = format!("{:.3} ({:.3} to {:.3})", 100.0 * ctr.value, 100.0 * ctr.low, 100.0 * ctr.high);
            let revenue = format!("{:.2} ({:.2} to {:.2})", revenue.value, revenue.low, revenue.high);
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "  {name:<28} {world:<9} {:>11} {:>8} {ctr:>26} {revenue:>30}",
                totals.impressions, totals.clicks
            );
        }
        told.push(serde_json::json!({
            "spec": path, "seed": spec.seed, "clicks_from": prepared.clicks_from,
            "outcome": serde_json::to_value(&*outcome).explain("cannot write the answer")?,
        }));
    }
    Ok(Answer { text, json: serde_json::json!({ "scenarios": told }) })
}

fn parts_text(parts: &[Effect]) -> String {
    let told = |estimate: &Estimate, scale: f64| {
        format!(
            "{:+.3} ({:+.3} to {:+.3})",
            scale * estimate.value,
            scale * estimate.low,
            scale * estimate.high
        )
    };
    let mut text = format!(
        "  {:<40} {:>32} {:>32} {:>32}\n",
        "part of the what-if, 95 %",
        "revenue per 1000 requests",
        "clicks per 1000 requests",
        "CTR, percentage points"
    );
    for part in parts {
        let ctr = part.ctr.map_or_else(|| "n/a".to_owned(), |ctr| told(&ctr, 100.0));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {:<40} {:>32} {:>32} {ctr:>32}",
            part.part,
            told(&part.revenue_per_mille, 1.0),
            told(&part.clicks_per_mille, 1.0)
        );
    }
    text
}

fn sensitivity_text(found: &Sensitivity) -> String {
    let mut text = format!(
        "  {:<24} {:>14} {:>14}  revenue, as it is {:.2}\n",
        "", "a fifth less", "a fifth more", found.now.spend
    );
    for (name, less, more) in &found.things {
        let _ = writeln!(text, "  {name:<24} {:>14.2} {:>14.2}", less.spend, more.spend);
    }
    let luck: Vec<String> = found.luck.iter().map(|point| format!("{:.2}", point.spend)).collect();
    let _ = writeln!(text, "  with other seeds: {}", luck.join(", "));
    text
}

fn split_text(split: &Split) -> String {
    let mut text = format!("  {:<24} {:>12} {:>12}\n", "campaign", "budget", "in the split");
    for (name, now, then) in &split.budgets {
        let _ = writeln!(text, "  {name:<24} {now:>12.2} {then:>12.2}");
    }
    for (name, point) in [("as it is", &split.now), ("the split", &split.then)] {
        let _ = writeln!(
            text,
            "{name}: {} clicks on {} impressions, CTR {}, spend {:.2}",
            point.clicks,
            point.impressions,
            point.ctr.estimate().in_percent(),
            point.spend
        );
    }
    if split.left_out > 0 {
        let _ = writeln!(text, "{} campaigns have no budget and are no part of it", split.left_out);
    }
    text
}
