//! `adloupe onnx`: a saved model as a file for other runtimes.

use super::{Answer, Terminal};
use crate::base::files::{disk_failure, write_atomically};
use crate::base::numbers::grouped;
use crate::base::{Failure, Result};
use crate::train::TrainedModel;
use std::io::Write;
use std::path::PathBuf;

/// Which model, and where to.
#[derive(Debug, clap::Args)]
#[command(
    about = "Writes a saved model (logistic, fm, deep_fm) as ONNX, its encoder with it, for other runtimes"
)]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    /// The file to write.
    #[arg(long, value_name = "FILE.onnx")]
    out: PathBuf,
}

/// Writes the file.
///
/// # Errors
/// The model cannot be read or said in ONNX, or the file cannot be written.
pub fn run(args: &Args, _terminal: &Terminal) -> Result<Answer> {
    let what = "cannot write the model as ONNX";
    if args.out.extension().is_none_or(|extension| extension != "onnx") {
        return Err(Failure::new(what, "the file's name does not end in .onnx")
            .at(args.out.display())
            .hint("--out model.onnx"));
    }
    let model = TrainedModel::load(&args.model)?;
    let bytes = model.onnx()?;
    write_atomically(&args.out, |out| {
        let written = out.write_all(&bytes).and_then(|()| out.flush());
        written.map_err(|error| disk_failure(what, &args.out, &error))
    })?;
    let path = args.out.display().to_string();
    let text = format!(
        "{} -> {path}, {} bytes\ninputs: ids by field, numbers, past ids; outputs: log_odds, probability",
        model.kind,
        grouped(bytes.len() as f64, ' ')
    );
    let json = serde_json::json!({ "out": path, "kind": model.kind, "bytes": bytes.len() });
    Ok(Answer { text, json })
}
