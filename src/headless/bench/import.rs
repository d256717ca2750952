//! How fast is a log opened and described? Against polars, which reads only, and pandas, which reads and describes.
//!
//! The file is made anew from a seed: 20 columns of the kinds that logs have. Ours and the rivals take turns, and
//! the best of each counts. Ours is a process of its own, so that its peak memory is its own; reading the peak
//! needs `/proc`.

use super::{BenchRow, ours};
use crate::base::failure::Explain;
use crate::base::rng::{Rng, keyed_uniform};
use crate::base::{Failure, Result};
use crate::data::export::{ExportCells, ExportColumn, write_table};
use crate::data::rival;
use crate::headless::Terminal;
use crate::jobs::JobContext;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Rows that are made and written at once.
const PIECE: usize = 20_000;
/// Parts of the folder of Parquet files.
const PARTS: usize = 100;
/// Turns of ours and each rival.
const ROUNDS: usize = 3;

/// All figures about opening logs, on a log of so many rows.
///
/// # Errors
/// A full disk, a rival that fails, Ctrl-C.
pub fn import(rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let folder = std::env::temp_dir().join(format!("adloupe-bench-import-{}", std::process::id()));
    std::fs::create_dir_all(&folder).explain("cannot make a temporary folder")?;
    let measured = measure(&folder, rows, context);
    // The figures are there; a leftover in the temporary folder is no failure of the measurement.
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn measure(folder: &Path, rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    Terminal::note(&format!("writing {rows} rows to {}", folder.display()));
    let mut figures = csv(folder, rows, context)?;
    let fewer = (rows / 4).max(PIECE.min(rows));
    figures.push(parquet(folder, fewer, context)?);
    figures.push(json_lines(folder, fewer, context)?);
    Ok(figures)
}

fn csv(folder: &Path, rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let path = folder.join("log.csv");
    write_text(&path, rows, context, csv_lines)?;
    let work = format!("open and profile a CSV of {rows} rows x 20 columns, {}", size(&path));
    let python = has_pandas();
    let (mut ours, mut polars, mut pandas) = (Run::NONE, f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        ours = ours.better(profile(&path, None, context)?);
        polars = polars.min(seconds(|| rival::read_csv(&path))?);
        if python {
            pandas = pandas.min(run_pandas(&path)?);
        }
        context.check()?;
    }
    let mut figures = vec![
        against(&work, ours.seconds, "polars, which reads only", Some(polars), Some(1.5)),
        against(&work, ours.seconds, "pandas read_csv + describe", python.then_some(pandas), Some(0.2)),
    ];
    if let Some(peak) = ours.peak {
        figures.push(alone(&format!("peak memory of it ({rows} rows)"), peak, "GB", 3.0));
    }
    let cache = folder.join("cache");
    let first = profile(&path, Some(&cache), context)?;
    if !cache.exists() {
        Terminal::note("a log of so few rows opens at once: no copy is kept, and nothing is measured of it");
        return Ok(figures);
    }
    let again = profile(&path, Some(&cache), context)?;
    let again = again.better(profile(&path, Some(&cache), context)?);
    figures.push(against(
        "the first opening, with a copy kept for the next",
        first.seconds,
        "the same without a copy",
        Some(ours.seconds),
        None,
    ));
    figures.push(alone("the second opening, from the copy", again.seconds, "s", 1.0));
    std::fs::remove_file(&path).explain("cannot remove the log")?;
    std::fs::remove_dir_all(&cache).explain("cannot remove the copy")?;
    Ok(figures)
}

fn parquet(folder: &Path, rows: usize, context: &JobContext) -> Result<BenchRow> {
    let parts = folder.join("parts");
    std::fs::create_dir_all(&parts).explain("cannot make a folder")?;
    let share = rows.div_ceil(PARTS);
    let mut paths = Vec::new();
    for part in 0..PARTS {
        context.check()?;
        let path = parts.join(format!("part-{part:04}.parquet"));
        write_table(&path, columns(part * share, share))?;
        paths.push(path);
    }
    let (mut ours, mut polars) = (Run::NONE, f64::INFINITY);
    for _ in 0..ROUNDS {
        ours = ours.better(profile(&parts, None, context)?);
        polars = polars.min(seconds(|| rival::read_parquet(&paths))?);
    }
    std::fs::remove_dir_all(&parts).explain("cannot remove the parts")?;
    let work = format!("open and profile {PARTS} Parquet parts, {} rows", share * PARTS);
    Ok(against(&work, ours.seconds, "polars, which reads only", Some(polars), None))
}

fn json_lines(folder: &Path, rows: usize, context: &JobContext) -> Result<BenchRow> {
    let path = folder.join("log.jsonl");
    write_text(&path, rows, context, json_rows)?;
    let (mut ours, mut polars) = (Run::NONE, f64::INFINITY);
    for _ in 0..ROUNDS {
        ours = ours.better(profile(&path, None, context)?);
        polars = polars.min(seconds(|| rival::read_json_lines(&path))?);
    }
    let work = format!("open and profile JSON lines of {rows} rows, {}", size(&path));
    std::fs::remove_file(&path).explain("cannot remove the log")?;
    Ok(against(&work, ours.seconds, "polars, which reads only", Some(polars), None))
}

/// `share` is the part of the rival's time that we may take; `None` where nothing was promised.
fn against(work: &str, ours: f64, rival: &str, theirs: Option<f64>, share: Option<f64>) -> BenchRow {
    let reach = theirs.zip(share).map(|(theirs, share)| theirs * share);
    let name = if theirs.is_some() { rival.to_owned() } else { format!("{rival}: not there") };
    BenchRow {
        work: work.to_owned(),
        ours,
        unit: "s",
        rival: Some(name),
        rival_value: theirs,
        ratio: theirs.map(|theirs| ours / theirs),
        reach,
        met: reach.map(|reach| ours <= reach),
    }
}

fn alone(work: &str, value: f64, unit: &'static str, most: f64) -> BenchRow {
    BenchRow { reach: Some(most), met: Some(value <= most), ..ours(work, value, unit, None) }
}

/// What a process of ours took.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub seconds: f64,
    /// Gigabytes; `None` where the system does not tell.
    pub peak: Option<f64>,
}

impl Run {
    const NONE: Self = Self { seconds: f64::INFINITY, peak: None };

    fn better(self, other: Self) -> Self {
        if other.seconds < self.seconds { other } else { self }
    }
}

/// Runs `adloupe profile` and watches its memory.
fn profile(path: &Path, cache: Option<&Path>, context: &JobContext) -> Result<Run> {
    let program = std::env::current_exe().explain("cannot run the profile")?;
    let mut command = Command::new(program);
    command.arg("profile").arg(path).args(["--json", "--cache"]).arg(cache.unwrap_or(Path::new("off")));
    run_watched(&mut command, context)
}

/// Runs a command to its end and watches its memory.
///
/// # Errors
/// It cannot be started or fails, Ctrl-C.
pub(super) fn run_watched(command: &mut Command, context: &JobContext) -> Result<Run> {
    let what = "cannot run the measured process";
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().explain(what)?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = None;
    let code = loop {
        peak = peak_memory(&status).or(peak);
        if let Some(code) = child.try_wait().explain(what)? {
            break code;
        }
        if context.is_cancelled() {
            let _ = child.kill();
            return Err(Failure::cancelled());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let seconds = begun.elapsed().as_secs_f64();
    if !code.success() {
        let output = child.wait_with_output().explain(what)?;
        return Err(Failure::new(what, String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(Run { seconds, peak })
}

/// The peak of the resident memory in gigabytes.
fn peak_memory(status: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0 / 1e9)
}

fn seconds<T>(work: impl FnOnce() -> Result<T>) -> Result<f64> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed().as_secs_f64())
}

fn has_pandas() -> bool {
    let found =
        Command::new(super::rivals_python()).args(["-c", "import pandas"]).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Seconds that pandas takes, without its start.
fn run_pandas(path: &Path) -> Result<f64> {
    let what = "cannot measure pandas";
    let script = "import sys, time, pandas\n\
        begun = time.perf_counter()\n\
        frame = pandas.read_csv(sys.argv[1])\n\
        frame.describe(include='all')\n\
        print(time.perf_counter() - begun)";
    let output =
        Command::new(super::rivals_python()).args(["-c", script]).arg(path).output().explain(what)?;
    if !output.status.success() {
        return Err(Failure::new(what, String::from_utf8_lossy(&output.stderr).trim()));
    }
    String::from_utf8_lossy(&output.stdout).trim().parse().explain(what)
}

fn size(path: &Path) -> String {
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    format!("{:.0} MB", bytes as f64 / 1e6)
}

const CITIES: [&str; 12] = [
    "Berlin", "Paris", "London", "Madrid", "上海", "東京", "Lagos", "Lima", "Oslo", "Delhi", "Cairo", "Quito",
];
const DEVICES: [&str; 4] = ["phone", "tablet", "desktop", "tv"];
const SYSTEMS: [&str; 5] = ["android", "ios", "windows", "macos", "linux"];

/// 20 columns of some rows: times, ids, codes, texts, hashes, money, counts, outcomes.
fn columns(first: usize, rows: usize) -> Vec<ExportColumn> {
    let mut rng = Rng::named(first as u64, "bench import");
    let mut columns = Vec::new();
    let mut add = |name: &str, cells| columns.push(ExportColumn { name: name.to_owned(), cells });
    let time = |row: usize| {
        let second = (first + row) / 20;
        let (day, clock) = (second / 86_400 % 28 + 1, second % 86_400);
        format!("2026-03-{day:02} {:02}:{:02}:{:02}", clock / 3600, clock / 60 % 60, clock % 60)
    };
    add("time", ExportCells::Text((0..rows).map(time).collect()));
    for (name, below) in [("user_id", 1_000_000), ("ad_id", 3000), ("campaign_id", 120), ("slot", 8)] {
        add(name, ExportCells::Integer((0..rows).map(|_| rng.below(below) as i64 + 1).collect()));
    }
    for (name, words) in [("city", &CITIES[..]), ("device", &DEVICES[..]), ("system", &SYSTEMS[..])] {
        add(name, ExportCells::Text((0..rows).map(|_| words[rng.below(words.len())].to_owned()).collect()));
    }
    let mut hash = |below: usize| {
        let code = rng.below(below) as u64;
        format!("{:08x}", (keyed_uniform(7, 7, code) * 4e9) as u32)
    };
    add("site", ExportCells::Text((0..rows).map(|_| hash(5000)).collect()));
    add("creative", ExportCells::Text((0..rows).map(|_| hash(400)).collect()));
    for (name, below) in
        [("age", 60), ("hour", 24), ("depth", 12), ("visits", 400), ("age_of_ad", 9000), ("width", 1200)]
    {
        add(name, ExportCells::Integer((0..rows).map(|_| rng.below(below) as i64).collect()));
    }
    for (name, scale) in [("bid", 4.0), ("price", 2.5), ("quality", 1.0)] {
        let money = |_| (rng.uniform() * scale * 1000.0).round() / 1000.0;
        add(name, ExportCells::Real((0..rows).map(money).collect()));
    }
    add("click", ExportCells::Integer((0..rows).map(|_| i64::from(rng.chance(0.03))).collect()));
    columns
}

type Lines = fn(&mut String, &[ExportColumn], bool);

fn write_text(path: &Path, rows: usize, context: &JobContext, lines: Lines) -> Result<()> {
    let what = "cannot write the log";
    let mut out = BufWriter::new(File::create(path).explain(what)?);
    let mut text = String::new();
    for first in (0..rows).step_by(PIECE) {
        context.check()?;
        text.clear();
        lines(&mut text, &columns(first, PIECE.min(rows - first)), first == 0);
        out.write_all(text.as_bytes()).explain(what)?;
    }
    out.flush().explain(what)
}

fn csv_lines(text: &mut String, columns: &[ExportColumn], is_first: bool) {
    if is_first {
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        let _ = writeln!(text, "{}", names.join(","));
    }
    for row in 0..height(columns) {
        for (place, column) in columns.iter().enumerate() {
            text.push_str(if place == 0 { "" } else { "," });
            let _ = match &column.cells {
                ExportCells::Text(cells) => write!(text, "{}", cells[row]),
                ExportCells::Integer(cells) => write!(text, "{}", cells[row]),
                ExportCells::Real(cells) => write!(text, "{}", cells[row]),
            };
        }
        text.push('\n');
    }
}

fn json_rows(text: &mut String, columns: &[ExportColumn], _is_first: bool) {
    for row in 0..height(columns) {
        for (place, column) in columns.iter().enumerate() {
            text.push(if place == 0 { '{' } else { ',' });
            let _ = match &column.cells {
                ExportCells::Text(cells) => write!(text, "\"{}\":\"{}\"", column.name, cells[row]),
                ExportCells::Integer(cells) => write!(text, "\"{}\":{}", column.name, cells[row]),
                ExportCells::Real(cells) => write!(text, "\"{}\":{}", column.name, cells[row]),
            };
        }
        text.push_str("}\n");
    }
}

fn height(columns: &[ExportColumn]) -> usize {
    columns.first().map_or(0, |column| match &column.cells {
        ExportCells::Text(cells) => cells.len(),
        ExportCells::Integer(cells) => cells.len(),
        ExportCells::Real(cells) => cells.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::importers::{ImportOptions, open};

    #[test]
    fn the_same_rows_in_every_format() {
        let folder = tempfile::tempdir().unwrap();
        let context = JobContext::detached();
        let at = |name: &str| folder.path().join(name);
        write_text(&at("log.csv"), 500, &context, csv_lines).unwrap();
        write_text(&at("log.jsonl"), 500, &context, json_rows).unwrap();
        write_table(&at("log.parquet"), columns(0, 500)).unwrap();
        for name in ["log.csv", "log.jsonl", "log.parquet"] {
            let log = open(&at(name), &ImportOptions::default(), &context).unwrap();
            assert_eq!((log.rows(), log.schema.columns.len()), (500, 20), "{name}");
        }
        assert_eq!(rival::read_csv(&at("log.csv")).unwrap(), 500);
        assert_eq!(rival::read_json_lines(&at("log.jsonl")).unwrap(), 500);
        assert_eq!(rival::read_parquet(&[at("log.parquet"), at("log.parquet")]).unwrap(), 1000);
    }

    #[test]
    fn a_missing_rival_is_told() {
        let row = against("read", 2.0, "pandas", None, Some(0.2));
        assert_eq!((row.rival.as_deref(), row.met), (Some("pandas: not there"), None));
        let row = against("read", 2.0, "polars", Some(1.0), Some(1.5));
        assert_eq!((row.ratio, row.reach, row.met), (Some(2.0), Some(1.5), Some(false)));
    }
}
