//! `adloupe follow FILE`: which rows come to a growing log?

use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::Result;
use crate::data::follow::{Follower, News};
use crate::data::{LogFrame, Role, cells};
use crate::jobs::JobContext;
use crate::metrics::Rate;
use serde_json::json;
use std::time::{Duration, Instant};

/// Which log, and how often to look.
#[derive(Debug, clap::Args)]
#[command(about = "Watches a growing file or folder and tells the click rate as rows come in, until Ctrl-C")]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    every: f64,
    /// Ends after so many looks.
    #[arg(long, value_name = "N")]
    looks: Option<u64>,
}

/// Opens the log and follows it.
///
/// # Errors
/// The log cannot be read or cannot grow, or the file is gone.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let options = args.source.options()?;
    let opened = || Follower::start(args.source.open(&context)?, &options, &context);
    let (mut follower, mut log) = opened()?;
    let (mut looks, mut added) = (0, 0);
    tell(&log)?;
    while args.looks.is_none_or(|most| looks < most) && wait(args.every, &context) {
        looks += 1;
        match follower.poll(&context)? {
            News::Nothing => {}
            News::Rows(more) => {
                log.append(&more)?;
                added += more.rows();
                tell(&log)?;
            }
            News::Restarted(why) => {
                Terminal::note(&format!("opening the log again: {why}"));
                (follower, log) = opened()?;
                tell(&log)?;
            }
        }
    }
    let text = format!("{} rows, {added} of them came in {looks} looks", log.rows());
    Ok(Answer {
        text,
        json: json!({ "rows": log.rows(), "added": added, "looks": looks, "rate": rate(&log)? }),
    })
}

/// Sleeps; false after a stop was asked for.
fn wait(seconds: f64, context: &JobContext) -> bool {
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < seconds {
        if context.is_cancelled() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    !context.is_cancelled()
}

fn tell(log: &LogFrame) -> Result<()> {
    let rate = rate(log)?.map(|rate| format!(", {:.3} % clicks", 100.0 * rate)).unwrap_or_default();
    Terminal::note(&format!("{} rows{rate}", log.rows()));
    Ok(())
}

/// The mean of the label; `None` without one.
fn rate(log: &LogFrame) -> Result<Option<f64>> {
    let Some(label) = log.schema.with_role(Role::Label) else {
        return Ok(None);
    };
    let values = cells::numbers(log, &label.name)?;
    let known = values.iter().filter(|value| !value.is_nan());
    let (clicks, rows) = known.fold((0.0, 0.0), |(clicks, rows), value| (clicks + value, rows + 1.0));
    Ok(Some(Rate::wilson(clicks, rows).rate))
}
