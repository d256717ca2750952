//! `adloupe coverage`: do the program's intervals hold the truth as often as they say, on the truth of sample data?

use super::{Answer, Terminal};
use crate::base::{Failure, Result, failure::Explain};
use crate::data::importers::{self, ImportOptions};
use crate::data::sample::{self, World};
use crate::data::{Role, cells};
use crate::market::Scores;
use crate::market::coverage::{self, Covered};
use serde_json::json;
use std::fmt::Write;

/// How often, on which sample.
#[derive(Debug, clap::Args)]
#[command(
    about = "How often the intervals of rates, policies, pages, winners and models hold the truth of sample data"
)]
pub struct Args {
    /// Draws of each interval.
    #[arg(long, default_value_t = 1_000)]
    draws: u64,
    /// Rows of the sample that is made.
    #[arg(long, default_value_t = 5_000)]
    rows: usize,
    /// Seed of the sample.
    #[arg(long, default_value_t = 5)]
    seed: u64,
}

/// Makes a sample, draws, counts.
///
/// # Errors
/// A sample too small to draw from, a full disk; Ctrl-C.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let what = "cannot tell how often intervals hold the truth";
    let context = terminal.context();
    let folder = tempfile::tempdir().explain("cannot make a temporary folder")?;
    let path = folder.path().join("log.parquet");
    sample::generate(args.rows, args.seed, &path, &context)?;
    let log = importers::open(&path, &ImportOptions::default(), &context)?;
    let world = World::for_log(&log).ok_or_else(|| Failure::new(what, "the sample has no truth"))?;
    let ads = log.schema.with_role(Role::Ad).ok_or_else(|| Failure::new(what, "the sample has no ads"))?;
    let ads = cells::coded(&log, &ads.name)?.values;
    let rows: Vec<u32> = (0..log.rows() as u32).collect();
    let truth = Scores::new(ads.len(), world.p_click(&log, &rows, &ads)?)?;
    let covered = coverage::table(&truth, args.draws, &context)?;
    let json = json!({
        "intervals": serde_json::to_value(&covered).explain("cannot write the answer")?,
        "as_they_say": covered.iter().filter(|interval| interval.is_as_it_says()).count(),
    });
    Ok(Answer { text: text(&covered), json })
}

fn text(covered: &[Covered]) -> String {
    let mut text = format!("  {:<46} {:>6} {:>14} {:>24}\n", "interval", "says", "held", "share % (95 %)");
    for Covered { interval, level, held } in covered {
        let counts = format!("{} of {}", held.successes, held.trials);
        let share = format!("{:.1} ({:.1} to {:.1})", 100.0 * held.rate, 100.0 * held.low, 100.0 * held.high);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {interval:<46} {:>4.0} % {counts:>14} {share:>24}", 100.0 * level);
    }
    let wrong: Vec<&str> = (covered.iter().filter(|interval| !interval.is_as_it_says()))
        .map(|interval| interval.interval.as_str())
        .collect();
    if wrong.is_empty() {
        text += "  none holds the truth less often than it says, beyond four standard deviations\n";
    } else {
        let _ = writeln!(text, "  LESS OFTEN THAN THEY SAY: {}", wrong.join("; "));
    }
    text
}
