//! `adloupe onnx`: a saved model as a file for other runtimes.

use super::{Answer, Terminal};
use crate::base::Result;
use crate::base::numbers::grouped;
use crate::train::TrainedModel;
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
    let model = TrainedModel::load(&args.model)?;
    let bytes = model.write_onnx(&args.out)?;
    let path = args.out.display().to_string();
    let text = format!(
        "{} -> {path}, {} bytes\ninputs: ids by field, numbers, past ids; outputs: log_odds, probability",
        model.kind,
        grouped(bytes as f64, ' ')
    );
    let json = serde_json::json!({ "out": path, "kind": model.kind, "bytes": bytes });
    Ok(Answer { text, json })
}
