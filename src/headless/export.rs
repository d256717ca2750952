//! `adloupe export FILE --out OUT`: the log as it was understood, for other programs.

use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::Result;
use crate::data::export;
use std::path::PathBuf;

/// Writes a log as it was understood: typed, joined, in another shape, with pseudonyms.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// The file to write; .parquet, .csv or .jsonl chooses the format.
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
}

/// Opens the log and writes it.
///
/// # Errors
/// What opening or writing answers.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let log = args.source.open(&terminal.context())?;
    export::write_log(&args.out, &log)?;
    let columns = log.schema.columns.len();
    let path = args.out.display().to_string();
    let mut text = format!("{} rows, {columns} columns -> {path}\n", log.rows());
    for note in &log.source.notes {
        text += &format!("- {note}\n");
    }
    let json = serde_json::json!({
        "out": path, "rows": log.rows(), "columns": columns, "notes": log.source.notes,
    });
    Ok(Answer { text, json })
}
