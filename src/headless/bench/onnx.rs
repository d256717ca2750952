//! Does another runtime score as the model does that was written as ONNX, and how fast?
//!
//! Each kind that can be written is trained on a sample log, and its test rows go through ONNX Runtime on one thread
//! (`benches/rivals/setup.sh`). The difference of log odds is the largest of all rows.

use super::{BenchRow, ours, sample_log};
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::{Batch, Dataset, EncodeOptions, Encoder, dataset};
use crate::headless::Terminal;
use crate::jobs::{JobContext, Latest};
use crate::train::{TrainSpec, fit, onnx};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const SCRIPT: &str = include_str!("../../../benches/rivals/onnx_rows.py");
/// Millionths of log odds that both may differ by: sums of f32 in another order.
const MOST: f64 = 20.0;

/// Largest differences, and rows a second.
///
/// # Errors
/// A full disk, a runtime that fails, a cancel.
pub fn onnx_rows(rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let log = sample_log(rows, context)?;
    let data = dataset::prepare(&log, &EncodeOptions::default(), context)?;
    let batch = data.batch(&data.test);
    let python = super::rivals_python();
    let has = Command::new(&python).args(["-c", "import numpy, onnxruntime"]).output();
    let has = has.is_ok_and(|run| run.status.success());
    if !has {
        Terminal::note("no ONNX Runtime: run benches/rivals/setup.sh and set ADLOUPE_RIVALS");
    }
    let folder = tempfile::tempdir().explain("cannot make a temporary folder")?;
    write(&data, &batch, folder.path())?;
    let mut figures = Vec::new();
    for kind in onnx::KINDS {
        let mut spec = TrainSpec::new(kind)?;
        spec.set("device", "cpu")?;
        let model = fit(&data, &spec, &Latest::default(), context)?;
        let begun = Instant::now();
        let log_odds = model.logits(&batch)?;
        let speed = batch.rows as f64 / begun.elapsed().as_secs_f64();
        std::fs::write(folder.path().join("model.onnx"), model.onnx()?).explain("cannot write the model")?;
        let work = format!("{kind}, {} rows scored", batch.rows);
        if !has {
            figures.push(ours(&work, speed, "rows/s", None));
            continue;
        }
        let (theirs, their_speed) = score(&python, folder.path())?;
        if theirs.len() != log_odds.len() {
            return Err(Failure::new(
                "cannot compare the scores",
                "the runtime scored another number of rows",
            ));
        }
        let apart = theirs.iter().zip(&log_odds).map(|(a, b)| 1e6 * f64::from((a - b).abs()));
        let apart = apart.fold(0.0, f64::max);
        figures.push(BenchRow {
            rival: Some("ONNX Runtime".to_owned()),
            rival_value: Some(their_speed),
            ratio: Some(speed / their_speed),
            ..ours(&work, speed, "rows/s", None)
        });
        figures.push(BenchRow {
            reach: Some(MOST),
            met: Some(apart <= MOST),
            ..ours(
                &format!("  {kind} written as ONNX: largest difference"),
                apart,
                "millionths of log odds",
                None,
            )
        });
    }
    Ok(figures)
}

/// The inputs of all graphs, each a file of little-endian numbers, and their shapes.
fn write(data: &Dataset, batch: &Batch, folder: &Path) -> Result<()> {
    let what = "cannot write the rows";
    let encoder: &Encoder = &data.encoder;
    let mut inputs = serde_json::Map::new();
    let mut put = |name: String, kind: &str, columns: Option<usize>, bytes: &[u8]| {
        let file = format!("input{}.bin", inputs.len());
        std::fs::write(folder.join(&file), bytes).explain(what)?;
        inputs.insert(name, serde_json::json!([file, kind, columns]));
        Ok::<(), Failure>(())
    };
    let wide = |ids: &[u32]| -> Vec<i64> { ids.iter().map(|id| i64::from(*id)).collect() };
    for (field, ids) in encoder.categorical.iter().zip(&batch.categorical) {
        put(onnx::id_input(&field.name), "i8", None, bytemuck::cast_slice(&wide(ids)))?;
    }
    for (sequence, of_batch) in encoder.sequences.iter().zip(&batch.sequences) {
        let [ids, weights] = onnx::past_inputs(&sequence.name);
        put(ids, "i8", Some(of_batch.max_len), bytemuck::cast_slice(&wide(&of_batch.ids)))?;
        let weight = |(place, _): (usize, &u32)| {
            let length = of_batch.lengths[place / of_batch.max_len];
            if (place % of_batch.max_len) < length as usize { 1.0 / length as f32 } else { 0.0 }
        };
        let weighed: Vec<f32> = of_batch.ids.iter().enumerate().map(weight).collect();
        put(weights, "f4", Some(of_batch.max_len), bytemuck::cast_slice(&weighed))?;
    }
    if !encoder.numeric.is_empty() {
        let row = |row: usize| batch.numeric.iter().map(move |column| column[row]);
        let numbers: Vec<f32> = (0..batch.rows).flat_map(row).collect();
        put(onnx::NUMBERS.to_owned(), "f4", Some(encoder.numeric.len()), bytemuck::cast_slice(&numbers))?;
    }
    let inputs = serde_json::to_vec(&inputs).explain(what)?;
    std::fs::write(folder.join("inputs.json"), inputs).explain(what)?;
    std::fs::write(folder.join("onnx_rows.py"), SCRIPT).explain(what)
}

/// The runtime's log odds, and rows a second.
fn score(python: &str, folder: &Path) -> Result<(Vec<f32>, f64)> {
    let what = "cannot score with ONNX Runtime";
    let run = Command::new(python).arg(folder.join("onnx_rows.py")).arg(folder).output().explain(what)?;
    let text = String::from_utf8_lossy(&run.stdout);
    let speed = text.lines().last().and_then(|line| line.parse().ok()).ok_or_else(|| {
        let said = String::from_utf8_lossy(&run.stderr);
        Failure::new(what, said.lines().last().unwrap_or("it said nothing"))
    })?;
    let bytes = std::fs::read(folder.join("log_odds.bin")).explain(what)?;
    Ok((bytes.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect(), speed))
}
