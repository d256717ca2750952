//! `adloupe simulate SPEC.json`: what would this audience, these campaigns and this auction do?

use super::{Answer, Terminal};
use crate::base::{Failure, Result, failure::Explain, files::disk_failure, files::write_atomically};
use crate::data::LogFrame;
use crate::domain::Rivals;
use crate::jobs::{JobContext, Latest};
use crate::market::learning::{Learning, Learnt, Turn};
use crate::market::looks::FittedLooks;
use crate::market::outcome::{CampaignOutcome, Difference, HourOutcome, Outcome, WorldOutcome};
use crate::market::replay::Coverage;
use crate::market::scoring::{self, Inputs, Prepared};
use crate::market::simulation::{RunOptions, simulate};
use crate::market::spec::{ClickSource, MarketSpec, ModelSource};
use crate::market::variants::VariantOutcome;
use crate::market::winners::{self, Winners};
use crate::market::{opening, openrtb};
use crate::metrics::Estimate;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Runs a spec as the Slots panel exports it.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// The spec, a JSON file. Paths in it are relative to its folder.
    pub spec: PathBuf,
    /// Pages to simulate instead of the spec's number.
    #[arg(long)]
    pub requests: Option<u64>,
    /// Days that the pages stretch over, by the audience's own hours, instead of the spec's; 0: in no order of time.
    #[arg(long)]
    pub days: Option<u32>,
    /// Unknown advertisers who bid beside the campaigns, in place of the spec's: their bids are
    /// spread as the campaigns' own offers.
    #[arg(long)]
    pub rivals: Option<u32>,
    /// Seed instead of the spec's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Where clicks come from instead of the spec's choice: auto, truth, model, or replay of the log.
    #[arg(long, value_parser = click_source)]
    pub clicks: Option<ClickSource>,
    /// A saved model whose clicks happen, in place of the bidders' own or the truth.
    #[arg(long, value_name = "FOLDER")]
    pub model_clicks: Option<PathBuf>,
    /// A saved model of conversions per click, for campaigns that pay per conversion.
    #[arg(long, value_name = "FOLDER")]
    pub model_cvr: Option<PathBuf>,
    /// Takes how often this many slots are looked at from the log: the position-based model, fitted to its clicks.
    #[arg(long, value_name = "SLOTS")]
    pub slots_from_log: Option<usize>,
    /// Lets the bidders of the what-if learn from the clicks of the run itself, on top of their model; without a what-if it is
    /// the baseline that learns.
    #[arg(long)]
    pub learn: bool,
    /// Turns what people like after this share of the run, 0 to 1: each ad is then liked as another one was.
    #[arg(long, value_name = "SHARE")]
    pub turn: Option<f64>,
    /// Also writes the auctions of the first 1,000 pages as lines of OpenRTB 2.6 JSON.
    #[arg(long, value_name = "FILE")]
    pub openrtb: Option<PathBuf>,
}

fn click_source(text: &str) -> std::result::Result<ClickSource, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| "one of: auto, truth, model, replay".to_owned())
}

/// Pages whose auctions are written.
const WRITTEN_PAGES: u64 = 1_000;
/// Pages whose offers are held against the truth.
const SURVEYED_PAGES: u64 = 20_000;

/// Reads the spec, makes its market, runs it.
///
/// # Errors
/// A spec, log or model that cannot be read or does not fit; Ctrl-C.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let mut spec = read_spec(&args.spec)?;
    spec.requests = args.requests.unwrap_or(spec.requests);
    spec.seed = args.seed.unwrap_or(spec.seed);
    spec.days = args.days.unwrap_or(spec.days);
    if let Some(bidders) = args.rivals {
        spec.rivals = (bidders > 0).then(|| Rivals { bidders, ..Rivals::default() }).into_iter().collect();
    }
    spec.clicks = args.clicks.unwrap_or(spec.clicks);
    let here = std::env::current_dir().explain("cannot find the model")?;
    if let Some(model) = &args.model_cvr {
        spec.conversions = Some(ModelSource::Folder(here.join(model)));
    }
    if let Some(model) = &args.model_clicks {
        spec.click_model = Some(ModelSource::Folder(here.join(model)));
        spec.clicks = ClickSource::Model;
    }
    if let Some(at) = args.turn {
        spec.turn = Some(Turn { at, strength: 1.0 });
    }
    if args.learn {
        spec.what_if.get_or_insert_with(|| spec.baseline.clone()).learning = Some(Learning::default());
    }
    spec.validate()?;
    let folder = args.spec.parent().unwrap_or(Path::new(""));
    let inputs = inputs(&spec, folder, &context)?;
    if let Some(slots) = args.slots_from_log {
        spec.slots = fitted_slots(&inputs.log, slots)?;
        spec.validate()?;
    }
    Terminal::note("scoring the audience");
    let prepared = scoring::prepare(&spec, &inputs, None, &context)?;
    Terminal::note(&format!("simulating {} requests", prepared.requests));
    let begun = Instant::now();
    let record = if args.openrtb.is_some() { WRITTEN_PAGES } else { SURVEYED_PAGES }.min(prepared.requests);
    let options = RunOptions { requests: prepared.requests, record };
    let run = simulate(&prepared.market, options, &Latest::default(), &context)?;
    let outcome = run.outcome;
    let seconds = begun.elapsed().as_secs_f64();
    if let (Some(path), Some(recording)) = (&args.openrtb, &run.recording) {
        write_atomically(path, |out| openrtb::write(out, &spec, &prepared, recording).map(drop))?;
        Terminal::note(&format!("auctions written to {}", path.display()));
    }
    let found = winners::of_run(&prepared.market, run.recording.as_deref());
    let mut json = as_json(&spec, &inputs, &prepared, &outcome, seconds)?;
    if let Some(json) = json.as_object_mut() {
        json.insert("winners".to_owned(), serde_json::to_value(&found).explain("cannot write the answer")?);
    }
    let text = as_text(&prepared, &outcome, seconds) + &winners_text(&outcome, &found);
    Ok(Answer { text, json })
}

pub(super) fn read_spec(path: &Path) -> Result<MarketSpec> {
    let what = "cannot read the spec";
    let text = std::fs::read_to_string(path).map_err(|error| disk_failure(what, path, &error))?;
    MarketSpec::parse(&text).map_err(|failure| {
        let failure = failure.at(path.display());
        if failure.hint.is_empty() {
            return failure.hint(
                "export one from the Slots panel, or see the example at the top of src/market/spec.rs",
            );
        }
        failure
    })
}

pub(super) fn inputs(spec: &MarketSpec, folder: &Path, context: &JobContext) -> Result<Inputs> {
    opening::inputs(spec, folder, context, &Terminal::note)
}

/// How often the first slots are looked at, fitted to the log and told.
fn fitted_slots(log: &LogFrame, slots: usize) -> Result<Vec<f64>> {
    let fitted = FittedLooks::of_log(log)?;
    for (slot, look) in fitted.slots.iter().zip(&fitted.looks) {
        Terminal::note(&format!(
            "{} {slot} is looked at {:.3} times as often as the first ({:.3} to {:.3})",
            fitted.column, look.value, look.low, look.high
        ));
    }
    let mut shares = fitted.shares();
    if !(1..=shares.len()).contains(&slots) {
        let why = format!("the log has {} slots in '{}'", shares.len(), fitted.column);
        return Err(Failure::new("cannot take the slots from the log", why).at("--slots-from-log"));
    }
    shares.truncate(slots);
    Ok(shares)
}

fn as_json(
    spec: &MarketSpec,
    inputs: &Inputs,
    prepared: &Prepared,
    outcome: &Outcome,
    seconds: f64,
) -> Result<serde_json::Value> {
    let mut json = serde_json::to_value(outcome).explain("cannot write the answer")?;
    let auctions = prepared.requests as f64 * prepared.market.worlds() as f64;
    let about = serde_json::json!({
        "model": inputs.model.kind,
        "clicks_from": prepared.clicks_from,
        "seed": spec.seed,
        "audience_rows": prepared.pool.audience_rows,
        "pool_rows": prepared.pool.rows.len(),
        "myerson_reserve_cpm": prepared.myerson.map(|mark| mark.reserve / 1e6),
        "notes": prepared.notes,
        "seconds": seconds,
        "auctions_per_second": auctions / seconds.max(1e-9),
    });
    if let (Some(json), serde_json::Value::Object(about)) = (json.as_object_mut(), about) {
        json.extend(about);
    }
    Ok(json)
}

fn as_text(prepared: &Prepared, outcome: &Outcome, seconds: f64) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{} requests in {seconds:.2} s; clicks from {}",
        outcome.requests, prepared.clicks_from
    );
    let pool = &prepared.pool;
    let _ = writeln!(text, "{} of {} rows stand for the audience", pool.rows.len(), pool.audience_rows);
    for note in &prepared.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text.push_str(&world_text("baseline", &outcome.baseline));
    if let Some(what_if) = &outcome.what_if {
        text.push_str(&world_text("what-if", what_if));
    }
    if let Some(difference) = &outcome.difference {
        text.push_str(&difference_text(difference));
    }
    text
}

fn world_text(name: &str, world: &WorldOutcome) -> String {
    let totals = &world.totals;
    let mut text = coverage_text(name, world.coverage.as_ref());
    let _ = write!(
        text,
        "\n{name}: {} impressions, fill {:.2} %, {} clicks, CTR {:.3} % ({:.3} to {:.3}), revenue {:.2}, {:.2} per thousand requests\n",
        totals.impressions,
        100.0 * totals.fill.rate,
        totals.clicks,
        100.0 * totals.ctr.rate,
        100.0 * totals.ctr.low,
        100.0 * totals.ctr.high,
        totals.revenue,
        totals.revenue_per_mille.value,
    );
    let _ = writeln!(
        text,
        "  {:<24} {:>11} {:>8} {:>8} {:>10} {:>8} {:>8}",
        "campaign", "impressions", "clicks", "CTR %", "spend", "price", "win %"
    );
    for campaign in &world.campaigns {
        let _ = writeln!(text, "{}", campaign_line(campaign));
    }
    text.push_str(&world.learnt.as_ref().map_or_else(String::new, learnt_text));
    text.extend(world.variants.iter().map(variant_line));
    text.push_str(&hours_text(&world.hours));
    text
}

/// What came of other words for an ad, or of the ad itself.
fn variant_line(variant: &VariantOutcome) -> String {
    let own = if variant.is_own { " (the ad itself)" } else { "" };
    format!(
        "  variant {}{own}: {} impressions, {} of those of its place; CTR {}\n",
        variant.name,
        variant.impressions,
        variant.share.estimate().in_percent(),
        variant.ctr.estimate().in_percent()
    )
}

/// What the bidders learnt.
fn learnt_text(learnt: &Learnt) -> String {
    let mut text = format!(
        "  learnt from {} impressions: log loss {} below the frozen model's; held back at {} of them{}\n",
        learnt.updates,
        learnt.gain.in_words(5),
        learnt.held_back,
        if learnt.is_held_back { ", and now" } else { "" }
    );
    for alarm in &learnt.alarms {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  drift seen after {} impressions ({}): {} from {:.4} to {:.4}",
            alarm.row, alarm.detector, alarm.of, alarm.from_to[0], alarm.from_to[1]
        );
    }
    text
}

/// What came hour by hour, where the run has days.
fn hours_text(hours: &[HourOutcome]) -> String {
    if hours.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "  {:<9} {:>9} {:>11} {:>8} {:>10}\n",
        "hour, UTC", "pages", "impressions", "clicks", "spend"
    );
    for (hour, came) in hours.iter().enumerate() {
        let _ = writeln!(
            text,
            "  {hour:>9} {:>9} {:>11} {:>8} {:>10.2}",
            came.pages, came.impressions, came.clicks, came.spend
        );
    }
    text
}

/// What a replay must say before its figures.
fn coverage_text(name: &str, coverage: Option<&Coverage>) -> String {
    let Some(coverage) = coverage else { return String::new() };
    let mut text = format!(
        "\n{name}: {} pages count, {:.0} would if the log covered all",
        coverage.pages, coverage.expected
    );
    if coverage.is_short() {
        text.push_str("; NOT IDENTIFIED: this auction picks ads that the log does not show to this audience");
    }
    text
}

/// What winners were predicted to bring, and what they brought.
fn winners_text(outcome: &Outcome, found: &[std::result::Result<Winners, &'static str>]) -> String {
    let worlds = [("baseline", Some(&outcome.baseline)), ("what-if", outcome.what_if.as_ref())];
    let mut text =
        String::from("\nwinner's curse: what was clicked over what was predicted on the winners (95 %)\n");
    for ((name, world), found) in worlds.into_iter().zip(found) {
        let Some(totals) = world.map(|world| &world.totals) else { continue };
        let factor = Estimate::known_in_words(winners::correction(totals.predicted_ctr, &totals.ctr), 3);
        let why = match found {
            Ok(found) => found.in_words(),
            Err(why) => format!("of what lost nothing is known: {why}"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name}: {factor}. {why}");
    }
    text
}

fn campaign_line(campaign: &CampaignOutcome) -> String {
    format!(
        "  {:<24} {:>11} {:>8} {:>8.3} {:>10.2} {:>8} {:>8.2}",
        campaign.name,
        campaign.impressions,
        campaign.clicks,
        100.0 * campaign.ctr.rate,
        campaign.spend,
        campaign.average_price.map_or_else(|| "-".to_owned(), |price| format!("{price:.2}")),
        100.0 * campaign.win_rate.rate,
    )
}

fn difference_text(difference: &Difference) -> String {
    let line = |name: &str, estimate: &Estimate, scale: f64| {
        format!(
            "  {name:<32} {:+.4} ({:+.4} to {:+.4})\n",
            scale * estimate.value,
            scale * estimate.low,
            scale * estimate.high
        )
    };
    let mut text =
        format!("\nwhat-if minus baseline, 95 % intervals over {} paired requests", difference.requests);
    text.push_str(if difference.approximate { " (approximate: a budget ran out)\n" } else { "\n" });
    text.push_str(&line("revenue per thousand requests", &difference.revenue_per_mille, 1.0));
    text.push_str(&line("clicks per thousand requests", &difference.clicks_per_mille, 1.0));
    text.push_str(&line("impressions per thousand", &difference.impressions_per_mille, 1.0));
    if let Some(ctr) = &difference.ctr {
        text.push_str(&line("CTR, percentage points", ctr, 100.0));
    }
    text
}
