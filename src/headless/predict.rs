//! `adloupe predict`: what does a saved model expect of each row?

use super::evaluate::{check_outcome, encoded};
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::Result;
use crate::data::export::{ExportCells, ExportColumn, write_table};
use crate::train::TrainedModel;
use serde_json::json;
use std::path::PathBuf;

/// Scores every row of a log with a saved model and writes the scores as a table.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Takes a log that lacks columns of the model: they count as missing in every row.
    #[arg(long)]
    missing_columns: bool,
    /// File for the scores: .parquet, .csv or .jsonl.
    #[arg(long)]
    out: PathBuf,
}

/// Scores every row, in the order of the log.
///
/// # Errors
/// The model or the log cannot be read, they do not fit together, or the file cannot be written.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let model = TrainedModel::load(&args.model)?;
    let log = args.source.open(&context)?;
    let encoded = encoded(&model.encoder, &log, &args.source, args.missing_columns, &context)?;
    let dataset = &encoded.dataset;
    let rows: Vec<u32> = (0..dataset.rows as u32).collect();
    context.stage("Scoring");
    let scored = model.scored(dataset, &rows, &context)?;
    let scores: Vec<f64> = scored.p.iter().copied().map(f64::from).collect();
    let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let column = |name: &str, cells| ExportColumn { name: name.to_owned(), cells };
    let numbers = rows.iter().map(|row| i64::from(*row) + 1).collect();
    let mut columns =
        vec![column("row", ExportCells::Integer(numbers)), column("p_click", ExportCells::Real(scores))];
    if let Some(intervals) = &scored.intervals {
        let (low, high) = intervals.iter().map(|interval| (interval.low, interval.high)).unzip();
        columns.push(column("p_click_low", ExportCells::Real(low)));
        columns.push(column("p_click_high", ExportCells::Real(high)));
    }
    if let Some(conversions) = model.predict_conversions(dataset, &rows, &context)? {
        let cells = conversions.into_iter().map(f64::from).collect();
        columns.push(column("p_conversion_given_click", ExportCells::Real(cells)));
    }
    if !dataset.label.is_empty() && check_outcome(&log, &model.encoder.label, &args.source.roles).is_ok() {
        let labels = dataset.label.iter().copied().map(f64::from).collect();
        columns.push(column("label", ExportCells::Real(labels)));
    }
    write_table(&args.out, columns)?;
    let (kind, device, out) = (&model.name(), model.device(), args.out.display().to_string());
    Ok(Answer {
        text: format!(
            "{kind} scored {} rows on {device}: mean probability {mean:.5}\nsaved in {out}",
            rows.len()
        ),
        json: json!({ "model": kind, "device": device, "rows": rows.len(), "mean": mean, "out": out }),
    })
}
