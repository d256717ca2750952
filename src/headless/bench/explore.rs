//! How long does a person wait for an answer about groups of rows?

use super::{BenchRow, best_of, ours};
use crate::base::rng::Rng;
use crate::base::{Failure, Result, failure::Explain};
use crate::data::export::{ExportCells, ExportColumn, write_table};
use crate::data::importers::{self, ImportOptions};
use crate::data::query::finder::{self, FinderQuery};
use crate::data::query::{self, SegmentQuery};
use crate::domain::Segment;
use crate::headless::Terminal;
use crate::jobs::JobContext;
use crate::ui::explore_cost;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Rows of the log that the finder looks through at most: it is promised for a million.
const FINDER_ROWS: usize = 1_000_000;
/// Seconds of the segment query at ten million rows and of the finder at a million.
const QUERY_LIMIT: f64 = 0.15;
const FINDER_LIMIT: f64 = 5.0;
/// Seconds from a filter to its figures at a million rows, and of a frame of the table at any number.
const FILTER_LIMIT: f64 = 0.1;
const FRAME_LIMIT: f64 = 0.016;

/// Seconds of each kind of question about a log of so many rows, the segment query beside DuckDB's Python package.
///
/// # Errors
/// A full disk (the log is written to the temporary folder), a rival that fails, a cancel.
pub fn explore(rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let folder = std::env::temp_dir().join(format!("adloupe-explore-{}", std::process::id()));
    std::fs::create_dir_all(&folder).explain("cannot make a temporary folder")?;
    let measured = measure(&folder, rows, context);
    // A leftover in the temporary folder is no failure of the measurement.
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn measure(folder: &Path, rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let path = folder.join("log.parquet");
    write_log(&path, rows, QUERY_COLUMNS, context)?;
    let log = importers::open(&path, &ImportOptions::default(), context)?;
    let query = SegmentQuery {
        by: vec!["c0".into(), "c5".into()],
        filter: Segment::parse("c1 in (0, 1, 2) and not c2 = 3")?,
        ..SegmentQuery::default()
    };
    let work = format!("rates and intervals by two columns with a filter, {rows} rows");
    let begun = Instant::now();
    let table = query::segments(&log, &query, context)?;
    let first = begun.elapsed().as_secs_f64();
    let seconds = best_of(7, context, || query::segments(&log, &query, context).map(drop))?;
    let limit = QUERY_LIMIT * (rows as f64 / 1e7).max(0.1);
    let mut figures = vec![
        ours(&format!("{work}: the first question"), 1e3 * first, "ms", None),
        faster(&work, seconds, limit),
    ];
    match duckdb(&path)? {
        Some([own, file, counted]) => {
            if (counted - table.total.successes).abs() > 0.5 {
                let why = format!("DuckDB counts {counted} clicks, ours {}", table.total.successes);
                return Err(Failure::new("cannot compare with DuckDB", why));
            }
            figures.push(against(&work, seconds, "DuckDB, a table in its memory", own));
            figures.push(against(&work, seconds, "DuckDB, the Parquet file", file));
        }
        None => {
            Terminal::note("no DuckDB: run benches/rivals/setup.sh and set ADLOUPE_RIVALS to its bin/python");
        }
    }
    drop((log, table));
    context.check()?;
    figures.extend(window(&path, rows, context)?);
    let rows = rows.min(FINDER_ROWS);
    let path = folder.join("wide.parquet");
    write_log(&path, rows, COLUMNS, context)?;
    let log = importers::open(&path, &ImportOptions::default(), context)?;
    let columns = (0..COLUMNS).map(|column| format!("c{column}")).collect();
    let found = FinderQuery { columns, ..Default::default() };
    let seconds = best_of(3, context, || finder::find(&log, &found, context).map(drop))?;
    let limit = FINDER_LIMIT * (rows as f64 / 1e6).max(0.1);
    figures.push(faster(
        &format!("groups of up to 3 of {COLUMNS} columns that stand out, {rows} rows"),
        seconds,
        limit,
    ));
    Ok(figures)
}

/// What a person waits for in the window: new figures after a filter, and a frame of scrolling.
fn window(path: &Path, rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let filters = ["c1 in (0, 1, 2) and not c2 = 3", "c5 >= 7", "c3 = 1 or c4 = 2"];
    let cost = explore_cost::measure(path, &filters, context)?;
    let limit = FILTER_LIMIT * (rows as f64 / 1e6).max(1.0);
    Ok(vec![
        faster(&format!("a filter changed, to its figures in the window, {rows} rows"), cost.filter, limit),
        ours(&format!("the same with its pixels drawn, {rows} rows"), 1e3 * cost.filter_drawn, "ms", None),
        faster(
            &format!("a frame of the table while pages are turned, {rows} rows"),
            cost.scroll,
            FRAME_LIMIT,
        ),
        ours(&format!("the same with its pixels drawn, {rows} rows"), 1e3 * cost.scroll_drawn, "ms", None),
    ])
}

/// Fewer seconds are better.
pub(super) fn faster(work: &str, seconds: f64, limit: f64) -> BenchRow {
    BenchRow { met: Some(seconds <= limit), ..ours(work, 1e3 * seconds, "ms", Some(1e3 * limit)) }
}

fn against(work: &str, seconds: f64, rival: &str, theirs: f64) -> BenchRow {
    BenchRow {
        rival: Some(rival.to_owned()),
        rival_value: Some(1e3 * theirs),
        ratio: Some(seconds / theirs),
        reach: Some(1e3 * theirs),
        met: Some(seconds <= theirs),
        ..ours(work, 1e3 * seconds, "ms", None)
    }
}

/// Seconds of DuckDB on its own table and on the file, and the clicks that it counts; `None` where it is not there.
fn duckdb(path: &Path) -> Result<Option<[f64; 3]>> {
    let what = "cannot measure DuckDB";
    let python = super::rivals_python();
    let there = Command::new(&python).args(["-c", "import duckdb"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from).to_string();
    let script = include_str!("../../../benches/rivals/explore.py");
    let output = Command::new(python).args(["-c", script]).arg(path).arg(threads).output().explain(what)?;
    if !output.status.success() {
        return Err(Failure::new(what, String::from_utf8_lossy(&output.stderr).trim()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let numbers =
        numbers.try_into().map_err(|_| Failure::new(what, format!("it answered '{}'", text.trim())))?;
    Ok(Some(numbers))
}

/// Columns of the log that the segment query is asked of.
const QUERY_COLUMNS: usize = 6;
/// Columns that the finder joins.
pub(super) const COLUMNS: usize = 12;

/// Columns of 4, 8, 12, ... values and a click of about 5 %.
pub(super) fn write_log(path: &Path, rows: usize, columns: usize, context: &JobContext) -> Result<()> {
    let mut rng = Rng::named(1, "bench explore");
    let mut table: Vec<ExportColumn> = Vec::new();
    for column in 0..columns {
        context.check()?;
        let cells = (0..rows).map(|_| rng.below(4 * (column + 1)) as i64).collect();
        table.push(ExportColumn { name: format!("c{column}"), cells: ExportCells::Integer(cells) });
    }
    let clicks: Vec<i64> = (0..rows).map(|_| i64::from(rng.chance(0.05))).collect();
    table.push(ExportColumn { name: "click".to_owned(), cells: ExportCells::Integer(clicks) });
    write_table(path, table)
}
