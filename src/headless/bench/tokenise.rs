//! How fast does a click log become the ids that models read? Against FuxiCTR's own preprocessing.
//!
//! The file is made anew from a seed, in Criteo's layout: a label, 13 counts and 26 hashes with as many distinct values
//! as that log's columns have, rare and common ones. Ours is a process of its own, `adloupe encode` with a bound on its
//! memory that the log does not fit into, so it reads the file twice (once to settle how each column is read) and
//! writes mapped columns. FuxiCTR takes its turn on fewer rows, where all of them would take it too long, and ours is
//! measured on the same rows too. Files are warm: the disk plays no part for either.

use super::import::{Run, run_watched};
use super::{BenchRow, ours};
use crate::base::failure::Explain;
use crate::base::rng::{Rng, mix};
use crate::base::{Failure, Result};
use crate::data::dataset::open_prepared;
use crate::data::importers::{CacheChoice, ImportOptions};
use crate::data::{Dataset, EncodeOptions};
use crate::headless::Terminal;
use crate::jobs::JobContext;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Rows of about a gigabyte.
pub const ROWS: usize = 4_000_000;
/// FuxiCTR gets this part of the rows.
const FEWER: usize = 8;
/// Rows that are written at once.
const PIECE: usize = 20_000;
/// Turns of ours; the median counts.
const ROUNDS: usize = 3;
/// What the opened log may hold.
const MEMORY: &str = "600MB";
const MEMORY_BYTES: u64 = 600_000_000;
/// FuxiCTR's time over ours that is promised.
const REACH: f64 = 5.0;
/// Gigabytes that are promised.
const MOST_MEMORY: f64 = 2.0;

/// Distinct values of the 26 columns of Criteo's display advertising log (Kaggle, 2014).
const DISTINCT: [u64; 26] = [
    1_460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5_683, 8_351_593, 3_194, 27, 14_992,
    5_461_306, 10, 5_652, 2_173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572,
];
/// Counts of that log.
const COUNTS: usize = 13;

/// All figures, on a log of so many rows.
///
/// # Errors
/// A full disk, a rival that fails, Ctrl-C.
pub fn tokenise(rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let folder = std::env::temp_dir().join(format!("adloupe-bench-tokenise-{}", std::process::id()));
    std::fs::create_dir_all(&folder).explain("cannot make a temporary folder")?;
    let measured = measure(&folder, rows, context);
    // The figures are there; a leftover in the temporary folder is no failure of the measurement.
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn measure(folder: &Path, rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    Terminal::note(&format!("writing {rows} rows to {}", folder.display()));
    let path = folder.join("log.csv");
    write_log(&path, rows, context)?;
    let bytes = std::fs::metadata(&path).map_or(0, |file| file.len()) as f64;
    let words = format!("tokenise {rows} rows x 39 columns, {:.0} MB", bytes / 1e6);
    let whole = median(&path, folder, context)?;
    let again = encode(&path, &folder.join("cache"), context)?;
    let mut figures = vec![
        ours(&words, whole.seconds, "s", None),
        ours("of it a second", bytes / 1e6 / whole.seconds, "MB/s", None),
        ours("the same rows again, from the cache", again.seconds, "s", None),
    ];
    if let Some(peak) = whole.peak {
        figures.push(BenchRow {
            reach: Some(MOST_MEMORY),
            met: Some(peak <= MOST_MEMORY),
            ..ours("peak memory of it", peak, "GB", None)
        });
    }
    figures.extend(gather(&path, &folder.join("cache"), context)?);
    std::fs::remove_file(&path).explain("cannot remove the log")?;
    figures.extend(beside_rival(folder, (rows / FEWER).max(PIECE.min(rows)), context)?);
    Ok(figures)
}

/// Milliseconds to gather a training batch in random order, from the mapped files and from memory. This is
/// what gathering ahead (`train::prefetch`) saves of a step on mapped rows.
fn gather(path: &Path, cache: &Path, context: &JobContext) -> Result<Vec<BenchRow>> {
    const ROWS: usize = 4096;
    const BATCHES: usize = 100;
    let import = ImportOptions {
        memory_bytes: Some(MEMORY_BYTES),
        cache: CacheChoice::Folder(cache.to_owned()),
        ..ImportOptions::default()
    };
    let mapped = open_prepared(&[path.to_owned()], &import, &EncodeOptions::default(), context)?;
    let held = mapped.in_memory(u64::MAX);
    let mut rows = mapped.train.to_vec();
    Rng::named(1, "bench gather").shuffle(&mut rows);
    let gathered = |words: &str, dataset: &Dataset| {
        let mut millis: Vec<f64> = rows
            .chunks_exact(ROWS)
            .take(BATCHES)
            .map(|rows| {
                let begun = Instant::now();
                std::hint::black_box(dataset.batch(rows));
                1e3 * begun.elapsed().as_secs_f64()
            })
            .collect();
        millis.sort_by(f64::total_cmp);
        let median = millis.get(millis.len() / 2).copied().unwrap_or(f64::NAN);
        ours(&format!("gather a batch of {ROWS} rows, {words}"), median, "ms", None)
    };
    Ok(vec![gathered("mapped", &mapped), gathered("in memory", &held)])
}

/// Both on the same rows.
fn beside_rival(folder: &Path, rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let path = folder.join("fewer.csv");
    write_log(&path, rows, context)?;
    let words = format!("tokenise {rows} rows x 39 columns");
    let ours_took = median(&path, folder, context)?;
    let alone = ours(&words, ours_took.seconds, "s", None);
    let Some(python) = rival_python() else {
        Terminal::note("no FuxiCTR: run benches/rivals/setup.sh and set ADLOUPE_RIVALS to its bin/python");
        return Ok(vec![BenchRow { rival: Some("FuxiCTR: not there".to_owned()), ..alone }]);
    };
    let (seconds, peak) = run_rival(&python, &path, &folder.join("rival"))?;
    Ok(vec![
        BenchRow {
            rival: Some("FuxiCTR's preprocessing".to_owned()),
            rival_value: Some(seconds),
            ratio: Some(seconds / ours_took.seconds),
            reach: Some(seconds / REACH),
            met: Some(ours_took.seconds * REACH <= seconds),
            ..alone
        },
        BenchRow {
            rival: Some("FuxiCTR's preprocessing".to_owned()),
            rival_value: Some(peak),
            ratio: ours_took.peak.map(|ours| peak / ours),
            ..ours("peak memory of it", ours_took.peak.unwrap_or(f64::NAN), "GB", None)
        },
    ])
}

/// The run of median time, each into an empty cache; the last one's stays.
fn median(path: &Path, folder: &Path, context: &JobContext) -> Result<Run> {
    let cache = folder.join("cache");
    let mut runs = Vec::new();
    for _ in 0..ROUNDS {
        context.check()?;
        // The first round has none.
        let _ = std::fs::remove_dir_all(&cache);
        runs.push(encode(path, &cache, context)?);
    }
    runs.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
    Ok(runs[ROUNDS / 2])
}

/// Runs `adloupe encode` and watches its memory.
fn encode(path: &Path, cache: &Path, context: &JobContext) -> Result<Run> {
    let program = std::env::current_exe().explain("cannot run the encoding")?;
    let mut command = Command::new(program);
    command.arg("encode").arg(path).args(["--json", "--memory", MEMORY, "--cache"]).arg(cache);
    run_watched(&mut command, context)
}

/// The Python that has FuxiCTR, from `ADLOUPE_RIVALS` or the search path.
fn rival_python() -> Option<String> {
    let python = super::rivals_python();
    let found =
        Command::new(&python).args(["-c", "import fuxictr.preprocess"]).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success()).then_some(python)
}

/// Seconds and gigabytes that FuxiCTR takes.
fn run_rival(python: &str, path: &Path, folder: &Path) -> Result<(f64, f64)> {
    let what = "cannot measure FuxiCTR";
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rivals/tokenise.py");
    let mut command = Command::new(python);
    let output = command.arg(script).arg(path).arg(folder).output().explain(what)?;
    let told = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = told.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    match numbers.as_slice() {
        [seconds, peak] if output.status.success() => Ok((*seconds, *peak)),
        _ => Err(Failure::new(what, String::from_utf8_lossy(&output.stderr).trim())),
    }
}

fn write_log(path: &Path, rows: usize, context: &JobContext) -> Result<()> {
    let what = "cannot write the log";
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).explain(what)?);
    let counts = (1..=COUNTS).map(|number| format!("I{number}"));
    let categories = (1..=DISTINCT.len()).map(|number| format!("C{number}"));
    let names: Vec<_> = std::iter::once("label".to_owned()).chain(counts).chain(categories).collect();
    writeln!(out, "{}", names.join("\t")).explain(what)?;
    let mut text = String::new();
    for first in (0..rows).step_by(PIECE) {
        context.check()?;
        text.clear();
        let mut rng = Rng::named(first as u64, "bench tokenise");
        (0..PIECE.min(rows - first)).for_each(|_| add_row(&mut text, &mut rng));
        out.write_all(text.as_bytes()).explain(what)?;
    }
    out.flush().explain(what)
}

/// One row: counts with long tails, a fifth of them missing; of each category's values a few make most rows.
fn add_row(text: &mut String, rng: &mut Rng) {
    text.push(if rng.chance(0.25) { '1' } else { '0' });
    for _ in 0..COUNTS {
        text.push('\t');
        if !rng.chance(0.2) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}", (3_000.0 * rng.uniform().powi(4)) as u32);
        }
    }
    for (column, distinct) in DISTINCT.iter().enumerate() {
        let value = (*distinct as f64 * rng.uniform().powi(3)) as u64;
        let _ = write!(text, "\t{:08x}", mix(value << 5 | column as u64) as u32);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Role;
    use crate::data::importers::open;

    #[test]
    fn the_log_is_read_as_criteos() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        let context = JobContext::detached();
        write_log(&path, 2_000, &context).unwrap();
        let log = open(&path, &ImportOptions::default(), &context).unwrap();
        assert_eq!((log.rows(), log.schema.columns.len()), (2_000, 40));
        let count = |role| log.schema.columns.iter().filter(|column| column.role == role).count();
        assert_eq!((count(Role::Label), count(Role::Numeric), count(Role::Categorical)), (1, 13, 26));
    }
}
