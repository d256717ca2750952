//! How long does a person wait for an answer about groups of rows?

use super::{BenchRow, best_of, ours};
use crate::base::rng::Rng;
use crate::base::{Result, failure::Explain};
use crate::data::LogFrame;
use crate::data::importers::{self, ImportOptions};
use crate::data::query::finder::{self, FinderQuery};
use crate::data::query::{self, SegmentQuery};
use crate::domain::Segment;
use crate::jobs::JobContext;
use std::fmt::Write;

/// The work and how many seconds it may take at a million rows.
type Work<'a> = (&'a str, f64, &'a dyn Fn(&JobContext) -> Result<()>);

/// Seconds of each kind of question about a log of so many rows and twelve columns.
///
/// # Errors
/// A full disk (the log is written to the temporary folder), a cancel.
pub fn explore(rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let log = wide_log(rows, context)?;
    let crossed = SegmentQuery {
        by: vec!["c0".into(), "c5".into()],
        filter: Segment::parse("c1 in ('0', '1', '2') and not c2 = '3'")?,
        min_impressions: 0.0,
    };
    let found =
        FinderQuery { columns: (0..COLUMNS).map(|c| format!("c{c}")).collect(), ..Default::default() };
    let pairs_and_triples = |context: &JobContext| finder::find(&log, &found, context).map(drop);
    let two_columns = |context: &JobContext| query::segments(&log, &crossed, context).map(drop);
    let works: [Work<'_>; 2] = [
        ("rates by two columns with a filter", 0.15, &two_columns),
        ("groups of up to 3 of 12 columns that stand out", 5.0, &pairs_and_triples),
    ];
    works
        .iter()
        .map(|(work, limit, run)| {
            let seconds = best_of(3, context, || run(context))?;
            let limit = limit * (rows as f64 / 1e6).max(1.0);
            let row = ours(&format!("{work}, {rows} rows"), seconds, "s", Some(limit));
            // Fewer seconds are better.
            Ok(BenchRow { met: Some(seconds <= limit), ..row })
        })
        .collect()
}

const COLUMNS: usize = 12;

/// Twelve columns of 4 to 48 values and a click of about 5 %.
fn wide_log(rows: usize, context: &JobContext) -> Result<LogFrame> {
    let folder = std::env::temp_dir().join(format!("adloupe-explore-{}", std::process::id()));
    std::fs::create_dir_all(&folder).explain("cannot make a temporary folder")?;
    let path = folder.join("log.csv");
    let mut rng = Rng::named(1, "bench explore");
    let names: Vec<String> = (0..COLUMNS).map(|column| format!("c{column}")).collect();
    let mut text = format!("{},click\n", names.join(","));
    for _ in 0..rows {
        for column in 0..COLUMNS {
            // Writing into memory cannot fail.
            let _ = write!(text, "{},", rng.below(4 * (column + 1)));
        }
        text.push_str(if rng.chance(0.05) { "1\n" } else { "0\n" });
    }
    let log = std::fs::write(&path, text)
        .explain("cannot write the log")
        .and_then(|()| importers::open(&path, &ImportOptions::default(), context));
    // The log is in memory now; a leftover in the temporary folder is no failure of the measurement.
    let _ = std::fs::remove_dir_all(&folder);
    log
}
