//! `adloupe plan SPEC.json`: what would another reserve, more budget or another cap bring?

use super::simulate::{inputs, read_spec};
use super::{Answer, Terminal};
use crate::base::{Result, failure::Explain};
use crate::market::planner::{Curve, Lever, Planner, Point, Split};
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
    let mut spec = read_spec(&args.spec)?;
    spec.requests = args.requests.unwrap_or(spec.requests);
    let inputs = inputs(&spec, args.spec.parent().unwrap_or(Path::new("")), &context)?;
    let planner = Planner::new(&spec, &inputs, None, &context)?;
    if args.split {
        let split = planner.split()?;
        let json = serde_json::to_value(&split).explain("cannot write the answer")?;
        return Ok(Answer { text: split_text(&split), json });
    }
    let places = match args.at.as_slice() {
        [] => planner.places(args.lever, args.points)?,
        given => given.to_vec(),
    };
    let curve = planner.curve(args.lever, &places)?;
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
