//! How fast are trees boosted, and how well, beside LightGBM and CatBoost?
//!
//! 39 categorical columns as of Criteo; all see the same rows with the same numbers of trees, leaves, bins and rows of a
//! leaf, the same shrinkage and L2, on two threads, and are judged on the same tenth of the rows. Our time has everything in
//! it from ids to trees and the pass after them; the rivals' is that of their data set and their trees. LightGBM is asked
//! twice, as it takes categories itself and with click rates made for it beforehand. Without the rivals (`benches/rivals/setup.sh`) only our own figures are
//! told.

use super::training::{draw_batch, sizes};
use super::{BenchRow, ours};
use crate::base::failure::Explain;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::data::encode::{CategoricalField, Side};
use crate::data::{Dataset, Encoder};
use crate::headless::Terminal;
use crate::jobs::{JobContext, Latest};
use crate::train::{TrainSpec, Trainer};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

/// Distinct values of all columns together.
const VALUES: usize = 1_000_000;
const TREES: usize = 100;
const LEAVES: usize = 31;
const SCRIPT: &str = include_str!("../../../benches/rivals/trees.py");

/// Seconds of a training and the AUC of rows that it has not seen.
///
/// # Errors
/// A full disk, a rival that fails, Ctrl-C.
pub fn trees(rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let dataset = draw(rows, context)?;
    let (seconds, auc) = measure(&dataset, context)?;
    let python = super::rivals_python();
    let folder = tempfile::tempdir().explain("cannot make a temporary folder")?;
    let mut figures = Vec::new();
    let ways = [
        ("lightgbm", "lightgbm", "LightGBM"),
        ("lightgbm_rates", "lightgbm", "LightGBM on ready click rates"),
        ("catboost", "catboost", "CatBoost"),
    ];
    for (way, package, name) in ways {
        if !has(&python, package) {
            Terminal::note(&format!("no {package}: run benches/rivals/setup.sh and set ADLOUPE_RIVALS"));
            continue;
        }
        if !folder.path().join("trees.py").exists() {
            write(&dataset, folder.path())?;
        }
        context.check()?;
        let (theirs, their_auc) = rival(&python, folder.path(), way)?;
        // Less is better: reached from half as long again down.
        let time = BenchRow {
            rival: Some(name.to_owned()),
            rival_value: Some(theirs),
            ratio: Some(seconds / theirs),
            reach: Some(1.5 * theirs),
            met: Some(seconds <= 1.5 * theirs),
            ..ours(&work(rows), seconds, "s", None)
        };
        let quality = BenchRow {
            rival: Some(name.to_owned()),
            rival_value: Some(their_auc),
            ratio: Some(auc / their_auc),
            ..ours("  its AUC on rows not seen", auc, "AUC", Some(their_auc - 0.002))
        };
        figures.extend([time, quality]);
    }
    if figures.is_empty() {
        figures.extend([ours(&work(rows), seconds, "s", None), ours("  its AUC", auc, "AUC", None)]);
    }
    Ok(figures)
}

fn work(rows: usize) -> String {
    format!("gbdt, {TREES} trees of {LEAVES} leaves, {rows} x 39")
}

fn draw(rows: usize, context: &JobContext) -> Result<Dataset> {
    let (sizes, mut rng) = (sizes(VALUES), Rng::named(1, "bench trees"));
    let mut columns = vec![Vec::with_capacity(rows); sizes.len()];
    let mut label = Vec::with_capacity(rows);
    while label.len() < rows {
        context.check()?;
        let batch = draw_batch(&sizes, (rows - label.len()).min(1 << 16), &mut rng);
        columns.iter_mut().zip(&batch.categorical).for_each(|(all, ids)| all.extend(ids));
        label.extend(batch.label);
    }
    let field = |(place, size): (usize, &usize)| CategoricalField {
        name: format!("c{place}"),
        side: Side::Context,
        values: (0..*size).map(|value| value.to_string()).collect(),
        hash_buckets: 0,
    };
    let encoder = Encoder {
        label: "click".to_owned(),
        categorical: sizes.iter().enumerate().map(field).collect(),
        ..Encoder::default()
    };
    let trained = rows * 9 / 10;
    Ok(Dataset {
        encoder: Arc::new(encoder),
        rows,
        categorical: columns.into_iter().map(Into::into).collect(),
        label: label.into(),
        train: (0..trained as u32).collect::<Vec<_>>().into(),
        test: (trained as u32..rows as u32).collect::<Vec<_>>().into(),
        ..Dataset::default()
    })
}

fn measure(dataset: &Dataset, context: &JobContext) -> Result<(f64, f64)> {
    let mut spec = TrainSpec::new("gbdt")?;
    // No step after the trees: there are no validation rows that would ask for one.
    for (name, value) in [("device", "cpu"), ("epochs", "1"), ("batch_size", "65536")] {
        spec.set(name, value)?;
    }
    spec.set("trees", &TREES.to_string())?;
    spec.set("leaves", &LEAVES.to_string())?;
    let mut trainer = Trainer::new(dataset, &spec)?;
    let begun = Instant::now();
    trainer.run(&Latest::default(), context)?;
    let seconds = begun.elapsed().as_secs_f64();
    let test = trainer.finish(context)?.card.test.and_then(|test| test.auc);
    let auc = test.ok_or_else(|| Failure::new("cannot measure", "the rows have one class"))?;
    Ok((seconds, auc.value))
}

pub(super) fn has(python: &str, way: &str) -> bool {
    let import = format!("import numpy, {way}");
    Command::new(python).args(["-c", &import]).output().is_ok_and(|run| run.status.success())
}

fn write(dataset: &Dataset, folder: &Path) -> Result<()> {
    let what = "cannot write the rival's data";
    let mut ids: Vec<u32> = Vec::with_capacity(dataset.rows * dataset.categorical.len());
    for row in 0..dataset.rows {
        ids.extend(dataset.categorical.iter().map(|column| column[row]));
    }
    std::fs::write(folder.join("ids.bin"), bytemuck::cast_slice(&ids)).explain(what)?;
    std::fs::write(folder.join("labels.bin"), bytemuck::cast_slice(&dataset.label)).explain(what)?;
    let shape = format!("{} {} {}", dataset.rows, dataset.categorical.len(), dataset.train.len());
    std::fs::write(folder.join("shape.txt"), shape).explain(what)?;
    std::fs::write(folder.join("trees.py"), SCRIPT).explain(what)
}

/// Seconds and AUC of a rival.
fn rival(python: &str, folder: &Path, way: &str) -> Result<(f64, f64)> {
    let what = "cannot measure the rival";
    let sizes = [TREES.to_string(), LEAVES.to_string()];
    let run = Command::new(python).arg(folder.join("trees.py")).arg(folder).arg(way).args(sizes).output();
    let run = run.explain(what)?;
    let text = String::from_utf8_lossy(&run.stdout);
    let answer: serde_json::Value =
        serde_json::from_str(text.lines().last().unwrap_or_default()).map_err(|_| {
            let said = String::from_utf8_lossy(&run.stderr);
            Failure::new(what, said.lines().last().unwrap_or("it said nothing"))
        })?;
    let number = |name: &str| answer[name].as_f64().unwrap_or(f64::NAN);
    Ok((number("seconds"), number("auc")))
}
