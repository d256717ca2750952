//! `adloupe model-report`: one page about a saved model for somebody who has no adloupe.

use super::evaluate::{check_outcome, encoded};
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::{Result, failure::Explain};
use crate::insight::report::{ReportPlan, report, write};
use crate::train::TrainedModel;
use std::path::PathBuf;
use std::sync::Arc;

/// Which models and log, told how.
#[derive(Debug, clap::Args)]
#[command(
    about = "Writes a report about a saved model (HTML, PDF, JSON): figures with intervals, curves, slices, fairness, card, limits"
)]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Name of the report; it is written as .html, .pdf and, its figures, .json.
    #[arg(long, value_name = "NAME")]
    out: PathBuf,
    /// Another model on the same rows; may be given again.
    #[arg(long = "beside", value_name = "DIR")]
    beside: Vec<PathBuf>,
    /// Columns whose groups are told, actual beside predicted.
    #[arg(long, value_name = "COLUMN[,COLUMN]", value_delimiter = ',')]
    by: Vec<String>,
    /// Column whose groups are compared for fairness.
    #[arg(long, value_name = "COLUMN")]
    fairness: Option<String>,
}

/// Scores, judges and writes.
///
/// # Errors
/// A model or the log cannot be read or do not fit together, the log has no outcome, the file cannot be written.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let folders: Vec<&PathBuf> = std::iter::once(&args.model).chain(&args.beside).collect();
    let models = folders.iter().map(|folder| TrainedModel::load(folder).map(Arc::new));
    let models: Vec<Arc<TrainedModel>> = models.collect::<Result<_>>()?;
    let log = args.source.open(&context)?;
    let mut read = Vec::with_capacity(models.len());
    for model in &models {
        check_outcome(&log, &model.encoder.label, &args.source.roles)?;
        read.push(encoded(&model.encoder, &log, &args.source, false, &context)?);
    }
    let datasets: Vec<_> = read.iter().map(|read| &read.dataset).collect();
    let plan = ReportPlan {
        columns: args.by.clone(),
        fairness: args.fairness.clone(),
        folders: folders.iter().map(|folder| folder.display().to_string()).collect(),
        files: args.source.files.clone(),
    };
    let made = report(&models, &datasets, &log, &plan, &context)?;
    let [page, paper, figures] = write(&made, &args.out)?.map(|path| path.display().to_string());
    let text = format!("report written to {page} and {paper}, its figures to {figures}");
    Ok(Answer { text, json: serde_json::to_value(&made).explain("cannot write the answer")? })
}
