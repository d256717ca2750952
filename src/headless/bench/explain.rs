//! How long does a person wait for the reasons: curves, slices, shares of a prediction, an edited input?

use super::explore::{COLUMNS, faster, write_log};
use super::{BenchRow, best_of, sample_log};
use crate::base::rng::Rng;
use crate::base::{Result, failure::Explain};
use crate::data::importers::{self, ImportOptions};
use crate::data::query::misfit::{Judged, Misfit, MisfitQuery, misfits};
use crate::data::{EncodeOptions, dataset, sample};
use crate::insight::evaluation::{Scored, judge_in};
use crate::insight::prediction::{edited, predict_one, shares};
use crate::jobs::{JobContext, Latest};
use crate::metrics::bootstrap::Bags;
use crate::train::{TrainSpec, Trainer};
use crate::ui::curves_cost;
use std::path::Path;

/// Models whose curves are drawn together.
const MODELS: usize = 5;
/// Seconds that were promised at a million rows, and at any number for one prediction.
const CURVES_LIMIT: f64 = 2.0;
const SLICES_LIMIT: f64 = 10.0;
const SHARES_LIMIT: f64 = 2.0;
const EDIT_LIMIT: f64 = 0.05;
/// Standard error of the shares, in log odds.
const SHARE_ERROR: f64 = 0.001;
/// Seconds that a frame of Curves may take.
const FRAME_LIMIT: f64 = 0.004;
/// Rows of the log of the model that is asked about single predictions.
const MODEL_ROWS: usize = 30_000;

/// Seconds of each kind of answer; curves and slices over so many rows.
///
/// # Errors
/// A full disk (a log is written to the temporary folder), a cancel.
pub fn explain(rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let mut figures = vec![curves(rows, context)?];
    let folder = std::env::temp_dir().join(format!("adloupe-explain-{}", std::process::id()));
    std::fs::create_dir_all(&folder).explain("cannot make a temporary folder")?;
    let found = slices(&folder, rows, context);
    let frame = curves_frame(&folder, context);
    // A leftover in the temporary folder is no failure of the measurement.
    let _ = std::fs::remove_dir_all(&folder);
    figures.extend(found?);
    figures.push(frame?);
    figures.extend(one_prediction(context)?);
    Ok(figures)
}

/// Probabilities, and clicks that were drawn from them.
fn drawn(rows: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut rng = Rng::named(seed, "bench explain");
    (0..rows)
        .map(|_| {
            let p = 0.01 + 0.2 * rng.uniform().powi(3);
            (p as f32, f32::from(rng.chance(p)))
        })
        .unzip()
}

fn curves(rows: usize, context: &JobContext) -> Result<BenchRow> {
    let (predicted, labels) = drawn(rows, 1);
    let mut rng = Rng::named(2, "bench explain");
    let users: Vec<u32> = (0..rows).map(|_| rng.below(rows / 10 + 1) as u32).collect();
    let mut noisy = |strength: f64| -> Vec<f32> {
        predicted.iter().map(|p| (f64::from(*p) * (1.0 + strength * (rng.uniform() - 0.5))) as f32).collect()
    };
    let models: Vec<Vec<f32>> = (0..MODELS).map(|model| noisy(0.2 * model as f64)).collect();
    let seconds = best_of(3, context, || {
        let bags = Bags::new(rows, &users);
        for predicted in &models {
            judge_in(Scored { predicted, labels: &labels, users: &users, ..Scored::default() }, &bags)?;
        }
        Ok(())
    })?;
    let work = format!("numbers with intervals and curves of {MODELS} models, {rows} scored rows");
    Ok(faster(&work, seconds, CURVES_LIMIT * (rows as f64 / 1e6).max(0.1)))
}

/// A frame of the panel in which the curves of several models lie over each other.
fn curves_frame(folder: &Path, context: &JobContext) -> Result<BenchRow> {
    let path = folder.join("sample.parquet");
    sample::generate(MODEL_ROWS, 5, &path, context)?;
    let seconds = curves_cost::measure(&path, context)?;
    let work = format!("a frame of Curves with {} models, without its pixels", curves_cost::KINDS.len());
    Ok(faster(&work, seconds, FRAME_LIMIT))
}

fn slices(folder: &Path, rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let path = folder.join("wide.parquet");
    write_log(&path, rows, COLUMNS, context)?;
    let log = importers::open(&path, &ImportOptions::default(), context)?;
    let (predicted, labels) = drawn(rows, 3);
    let all: Vec<u32> = (0..rows as u32).collect();
    let judged = Judged { rows: &all, predicted: &predicted, labels: &labels, weights: &[], known: &[] };
    let columns: Vec<String> = (0..COLUMNS).map(|column| format!("c{column}")).collect();
    let mut figures = Vec::new();
    for (by, words) in [(Misfit::Calibration, "calibration"), (Misfit::Loss, "log loss")] {
        let query = MisfitQuery { by, columns: columns.clone(), depth: 3, ..MisfitQuery::default() };
        let seconds = best_of(2, context, || misfits(&log, judged, &query, context).map(drop))?;
        let work = format!("slices of up to 3 of {COLUMNS} columns by {words}, {rows} rows");
        figures.push(faster(&work, seconds, SLICES_LIMIT * (rows as f64 / 1e6).max(0.1)));
    }
    Ok(figures)
}

fn one_prediction(context: &JobContext) -> Result<Vec<BenchRow>> {
    let log = sample_log(MODEL_ROWS, context)?;
    let dataset = dataset::prepare(&log, &EncodeOptions::default(), context)?;
    let mut spec = TrainSpec::new("deep_fm")?;
    spec.set("epochs", "2")?;
    let mut trainer = Trainer::new(&dataset, &spec)?;
    trainer.run(&Latest::default(), context)?;
    let model = trainer.finish(context)?;
    let row = edited(&dataset, dataset.test[0], &[])?;
    let seconds = best_of(2, context, || shares(&model, &dataset, &row, SHARE_ERROR, context).map(drop))?;
    let found = shares(&model, &dataset, &row, SHARE_ERROR, context)?;
    let error = found.shares.iter().map(|share| share.error).fold(0.0, f64::max);
    let work = format!(
        "Shapley shares of one prediction of DeepFM, errors up to {error:.5}, {} orders",
        found.orders
    );
    let reached = error <= SHARE_ERROR && seconds <= SHARES_LIMIT;
    let mut figures = vec![BenchRow { met: Some(reached), ..faster(&work, seconds, SHARES_LIMIT) }];
    let edit = vec![("city".to_owned(), "missing".to_owned())];
    let score = || edited(&dataset, dataset.test[0], &edit)?.score(&model).map(drop);
    figures.push(faster("an edited input to its new score", best_of(5, context, score)?, EDIT_LIMIT));
    let all = || predict_one(&model, &dataset, dataset.test[0], &edit, context).map(drop);
    let work = "the same with what one other value of each field would do";
    figures.push(faster(work, best_of(5, context, all)?, EDIT_LIMIT));
    Ok(figures)
}
