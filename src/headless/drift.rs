//! `adloupe drift`: which columns have changed between two parts of a log.

use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::{Failure, Result, failure::Explain};
use crate::data::query::drift::{self, DriftReport, Split};
use crate::domain::Segment;
use crate::metrics::significance::p_words;
use std::path::PathBuf;

/// Which log, parted where.
#[derive(Debug, clap::Args)]
#[command(about = "Columns that changed between two parts of a log: stability index, distance, what moved")]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Compares the rows before this point in time with those from it on [default: two halves by time].
    #[arg(long, value_name = "TIME", conflicts_with = "before")]
    at: Option<String>,
    /// Compares these rows with those of --after, whatever their time.
    #[arg(long, value_name = "EXPRESSION", requires = "after")]
    before: Option<String>,
    /// See --before.
    #[arg(long, value_name = "EXPRESSION", requires = "before")]
    after: Option<String>,
    /// Compares the log with this later one, in the columns that both have.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["at", "before"])]
    other: Option<PathBuf>,
}

/// Reads the log and compares.
///
/// # Errors
/// The log cannot be read, has no time to part it by, or a part has no rows.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let parse = |text: &str, flag| Segment::parse(text).map_err(|failure: Failure| failure.at(flag));
    let split = match (&args.at, &args.before, &args.after) {
        (Some(at), ..) => Split::At(at.clone()),
        (None, Some(before), Some(after)) => {
            Split::Segments(parse(before, "--before")?, parse(after, "--after")?)
        }
        _ => Split::Halves,
    };
    let log = args.source.open(&context)?;
    let report = match &args.other {
        Some(other) => {
            let files = vec![other.clone()];
            let other = SourceArgs { files, ..args.source.clone() }.open(&context)?;
            drift::drift_between(&log, &other, &context)?
        }
        None => drift::drift(&log, &split, &context)?,
    };
    let json = serde_json::to_value(&report).explain("cannot write the answer")?;
    Ok(Answer { text: text(&report), json })
}

fn text(report: &DriftReport) -> String {
    let mut lines = vec![format!(
        "{} rows ({}) against {} rows ({})",
        report.rows[0], report.before, report.rows[1], report.after
    )];
    if let Some([before, after]) = &report.rates {
        lines.push(format!(
            "click rate {} against {}",
            before.estimate().in_percent(),
            after.estimate().in_percent()
        ));
    }
    lines.push(format!("{:<24} {:>7} {:>7} {:>12}  {:<16} what moved", "column", "PSI", "JS", "p", ""));
    for column in &report.columns {
        let moved: Vec<String> = column
            .movers
            .iter()
            .take(2)
            .map(|(name, before, after)| format!("{name}: {:.1} to {:.1} %", 100.0 * before, 100.0 * after))
            .collect();
        lines.push(format!(
            "{:<24} {:>7.3} {:>7.3} {:>12}  {:<16} {}",
            column.name,
            column.psi,
            column.jensen_shannon,
            column.p.map_or_else(|| "n/a".to_owned(), p_words),
            column.verdict(),
            moved.join(", ")
        ));
    }
    for (name, reason) in &report.left_out {
        lines.push(format!("{name}: left out, {reason}"));
    }
    lines.join("\n")
}
