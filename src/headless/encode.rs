//! `adloupe encode`: turns a log into the rows that models read, and keeps them for the trainings to come.

use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::Result;
use crate::data::EncodeOptions;
use crate::data::dataset::open_prepared;
use serde_json::json;
use std::time::Instant;

/// Which log.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
}

/// Encodes all rows, also of a log that does not fit into memory, or finds them encoded.
///
/// # Errors
/// The log cannot be read, or no model can learn from it.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let begun = Instant::now();
    let source = &args.source;
    let options = EncodeOptions::default();
    let dataset = open_prepared(&source.files, &source.options()?, &options, &terminal.context())?;
    let encoder = &dataset.encoder;
    let (rows, bytes, seconds) = (dataset.rows, dataset.bytes(), begun.elapsed().as_secs_f64());
    let parts = [&dataset.train, &dataset.validation, &dataset.test].map(|part| part.len());
    let ids: usize = encoder.categorical.iter().map(|field| field.cardinality()).sum();
    let where_they_lie = if dataset.label.is_mapped() { "mapped from the cache" } else { "in memory" };
    let text = [
        format!("{rows} rows in {seconds:.2} s, {:.0} MB {where_they_lie}", bytes as f64 / 1e6),
        format!(
            "{} categorical fields with {ids} ids, {} numbers, {} sequences",
            encoder.categorical.len(),
            encoder.numeric.len(),
            encoder.sequences.len()
        ),
        format!("{} rows to train on, {} to stop by, {} to measure on", parts[0], parts[1], parts[2]),
        dataset.notes.join("\n"),
    ];
    let json = json!({
        "rows": rows,
        "rows_train": parts[0],
        "rows_validation": parts[1],
        "rows_test": parts[2],
        "ids": ids,
        "bytes": bytes,
        "mapped": dataset.label.is_mapped(),
        "seconds": seconds,
        "notes": dataset.notes,
    });
    Ok(Answer { text: text.join("\n"), json })
}
