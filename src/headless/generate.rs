//! `adloupe generate`: a campaign log whose click probabilities are known, for trying and for checking.

use super::{Answer, Terminal};
use crate::base::Result;
use crate::data::sample;
use serde_json::json;
use std::path::PathBuf;

/// How large, from which seed, and where to.
#[derive(Debug, clap::Args)]
#[command(about = "Write a sample campaign log whose true click probabilities are known")]
pub struct Args {
    /// Impressions.
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// The same seed and number of rows give the same files.
    #[arg(long, default_value_t = 28)]
    seed: u64,
    /// Where to; .parquet, .csv or .jsonl. Creatives, users and the seed are written beside it.
    #[arg(long)]
    out: PathBuf,
}

/// Draws the world and writes its tables.
///
/// # Errors
/// Too few or too many rows, an unknown ending, what the disk answers, Ctrl-C.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let made = sample::generate(args.rows, args.seed, &args.out, &terminal.context())?;
    let text = format!(
        "{} impressions, {} clicks, {} conversions from seed {}\nlog        {}\ncreatives  {}\nusers      {}\nseed       {}",
        made.rows,
        made.clicks,
        made.conversions,
        args.seed,
        made.log.display(),
        made.creatives.display(),
        made.users.display(),
        made.world.display(),
    );
    let json = json!({
        "rows": made.rows,
        "clicks": made.clicks,
        "conversions": made.conversions,
        "seed": args.seed,
        "out": made.log,
        "creatives": made.creatives,
        "users": made.users,
        "world": made.world,
    });
    Ok(Answer { text, json })
}
