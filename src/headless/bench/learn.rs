//! How fast is a log learnt in one pass, beside Vowpal Wabbit reading its own cache?
//!
//! 39 columns as of Criteo, hashed to 2^22 slots; one core each. Ours and the rival see the same rows in the same order,
//! and both tell the mean log loss of each row before it was learnt from. Without the rival (`benches/rivals/setup.sh`)
//! only our own figures are told.

use super::training::{draw_batch, sizes};
use super::{BenchRow, ours};
use crate::base::failure::Explain;
use crate::base::params::Params;
use crate::base::rng::{Rng, mix};
use crate::base::{Failure, Result};
use crate::data::hashed::{HashedColumn, HashedRows, Hashing};
use crate::headless::Terminal;
use crate::jobs::JobContext;
use crate::train::online::{ONLINE_PARAMS, Online};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Distinct values of all columns together.
const VALUES: usize = 1_000_000;
const ROUNDS: usize = 3;

const SCRIPT: &str = include_str!("../../../benches/rivals/online.py");

/// Examples a second of the linear learner and of FM.
///
/// # Errors
/// A full disk, a rival that fails, Ctrl-C.
pub fn learn(rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let data = draw(rows, context)?;
    let folder = tempfile::tempdir().explain("cannot make a temporary folder")?;
    let python = super::rivals_python();
    let python = Some(python).filter(|python| has_vowpal_wabbit(python));
    match &python {
        Some(_) => write_examples(&data, folder.path())?,
        None => Terminal::note("no vowpalwabbit: run benches/rivals/setup.sh and set ADLOUPE_RIVALS"),
    }
    let mut figures = Vec::new();
    for (kind, words, way, reach) in
        [("linear", "linear", "linear", 1e6), ("fm", "FM, 8 numbers a factor", "pairs", 2e5)]
    {
        let (speed, loss) = measure(kind, &data, context)?;
        let mut row = ours(&format!("online {words}, 39 columns in 2^22"), speed, "examples/s", Some(reach));
        let mut told = ours(&format!("  its log loss over the pass, {kind}"), 1e4 * loss, "1e-4 nats", None);
        if let Some(python) = &python {
            let (theirs, their_loss) = rival(python, folder.path(), way, data.label.len())?;
            let name = if way == "linear" { "Vowpal Wabbit" } else { "Vowpal Wabbit --lrqfa 8" };
            row = BenchRow {
                rival: Some(name.to_owned()),
                rival_value: Some(theirs),
                ratio: Some(speed / theirs),
                ..row
            };
            told = BenchRow {
                rival: Some(name.to_owned()),
                rival_value: Some(1e4 * their_loss),
                ratio: Some(loss / their_loss),
                ..told
            };
        }
        figures.extend([row, told]);
    }
    Ok(figures)
}

fn draw(rows: usize, context: &JobContext) -> Result<HashedRows> {
    let (sizes, mut rng) = (sizes(VALUES), Rng::named(1, "bench learn"));
    let mut data = HashedRows { fields: sizes.len(), ..HashedRows::default() };
    while data.label.len() < rows {
        context.check()?;
        let batch = draw_batch(&sizes, (rows - data.label.len()).min(1 << 16), &mut rng);
        for row in 0..batch.rows {
            let hash = |(field, ids): (usize, &Vec<u32>)| mix(u64::from(ids[row]) << 8 | field as u64) as u32;
            data.features.extend(batch.categorical.iter().enumerate().map(hash));
        }
        data.label.extend(batch.label);
    }
    Ok(data)
}

/// Examples a second, the best of some passes, and the mean log loss of the first.
fn measure(kind: &str, data: &HashedRows, context: &JobContext) -> Result<(f64, f64)> {
    let mut params = Params::defaults(ONLINE_PARAMS);
    for (name, value) in [("learner", kind), ("hash_bits", "22"), ("factor_width", "8")] {
        params.set(ONLINE_PARAMS, name, value)?;
    }
    let column = |field: usize| HashedColumn { name: field.to_string(), numbers: false };
    let columns = (0..data.fields).map(column).collect();
    let new = || Online::new(&params, Hashing { columns, ..Hashing::default() }, u64::MAX);
    let mut learner = new()?;
    learner.take(data, true, |_| {});
    let loss = learner.progress.log_loss().map_or(f64::NAN, |loss| loss.value);
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        context.check()?;
        let begun = Instant::now();
        learner.learn_only(data);
        best = best.min(begun.elapsed().as_secs_f64());
    }
    Ok((data.label.len() as f64 / best, loss))
}

fn has_vowpal_wabbit(python: &str) -> bool {
    Command::new(python).args(["-c", "import vowpalwabbit"]).output().is_ok_and(|run| run.status.success())
}

/// One namespace a column, so that pairs of columns can be named.
fn write_examples(data: &HashedRows, folder: &Path) -> Result<()> {
    let what = "cannot write the rival's data";
    let names: Vec<char> = ('a'..='z').chain('A'..='M').collect();
    let mut text = String::with_capacity(data.label.len() * 500);
    for (features, label) in data.features.chunks_exact(data.fields).zip(&data.label) {
        text.push_str(if *label > 0.0 { "1" } else { "-1" });
        for (name, feature) in names.iter().zip(features) {
            // Into a text nothing can fail to be written.
            let _ = write!(text, " |{name} {feature}");
        }
        text.push('\n');
    }
    std::fs::write(folder.join("examples.vw"), text).explain(what)?;
    std::fs::write(folder.join("rows.txt"), data.label.len().to_string()).explain(what)?;
    std::fs::write(folder.join("online.py"), SCRIPT).explain(what)
}

/// Examples a second of the rival, and its mean log loss.
fn rival(python: &str, folder: &Path, way: &str, rows: usize) -> Result<(f64, f64)> {
    let what = "cannot measure the rival";
    let run =
        Command::new(python).arg(folder.join("online.py")).arg(folder).arg(way).output().explain(what)?;
    let text = String::from_utf8_lossy(&run.stdout);
    let line = text.lines().last().unwrap_or_default();
    let answer: serde_json::Value = serde_json::from_str(line).map_err(|_| {
        Failure::new(what, String::from_utf8_lossy(&run.stderr).lines().last().unwrap_or("it said nothing"))
    })?;
    let number = |name: &str| answer[name].as_f64().unwrap_or(f64::NAN);
    Ok((rows as f64 / number("seconds"), number("loss")))
}
