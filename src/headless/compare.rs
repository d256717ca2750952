//! `adloupe compare`: is another model better than the first, where are they of different minds, and who gains?

use super::evaluate::{check_outcome, encoded};
use super::slices::split_of;
use super::source::SourceArgs;
use super::train::measures;
use super::{Answer, Terminal};
use crate::base::Result;
use crate::base::numbers::grouped;
use crate::data::dataset::EncodedLog;
use crate::insight::comparison::{Compared, Comparison, compare};
use crate::insight::disagreement::Disagreement;
use crate::metrics::Estimate;
use crate::metrics::significance::p_words;
use crate::train::TrainedModel;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Which models, on which log.
#[derive(Debug, clap::Args)]
#[command(
    about = "Compares saved models on the same rows with the first of them: paired differences, who is right, who gains"
)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// The folder of a model; given again for each, the one to compare with first.
    #[arg(long = "model", value_name = "DIR", required = true)]
    models: Vec<PathBuf>,
    /// Rows to look at.
    #[arg(long, value_parser = ["train", "validation", "test"], default_value = "test")]
    split: String,
}

/// Scores the rows with every model and compares.
///
/// # Errors
/// A model or the log cannot be read, they do not fit together, fewer than two models, or models that would be measured
/// on different rows.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let log = args.source.open(&context)?;
    let models = args.models.iter().map(|folder| TrainedModel::load(folder).map(Arc::new));
    let models: Vec<Arc<TrainedModel>> = models.collect::<Result<_>>()?;
    let encode = |model: &Arc<TrainedModel>| {
        check_outcome(&log, &model.encoder.label, &args.source.roles)?;
        encoded(&model.encoder, &log, &args.source, false, &context)
    };
    let logs: Vec<EncodedLog> = models.iter().map(encode).collect::<Result<_>>()?;
    let datasets: Vec<_> = logs.iter().map(|log| &log.dataset).collect();
    let found = compare(&models, &datasets, split_of(&args.split), &context)?;
    Ok(Answer { text: text(args, &found), json: json_of(args, &found) })
}

fn text(args: &Args, found: &Comparison) -> String {
    let mut lines = Vec::new();
    for (folder, one) in args.models.iter().zip(&found.models) {
        let folder = folder.display();
        let name = format!("{} ({folder})", one.model.kind);
        lines.push(format!(
            "{name}: {} rows, AUC {}, log loss {}",
            grouped(one.measures.rows as f64, ' '),
            Estimate::known_in_words(one.measures.auc, 4),
            Estimate::known_in_words(one.measures.log_loss, 4),
        ));
        if let Some(apart) = &one.disagreement {
            lines.push(format!(
                "  less the first: AUC {} (DeLong), log loss {} (by user where there are users)",
                Estimate::known_in_words(one.differences.auc, 4),
                Estimate::known_in_words(one.differences.log_loss, 4)
            ));
            lines.extend(minds(apart));
        }
    }
    lines.join("\n")
}

fn minds(apart: &Disagreement) -> Vec<String> {
    let right = &apart.right;
    let count = |n: u64| grouped(n as f64, ' ');
    let mut lines = vec![format!(
        "  saying click from {:.3} % on: both right {}, only the first {}, only this one {}, neither {}; McNemar {}{}",
        100.0 * apart.threshold,
        count(right.both),
        count(right.only_first),
        count(right.only_second),
        count(right.neither),
        p_words(right.p),
        if right.exact { " (binomial)" } else { " (chi-square)" },
    )];
    lines.push(format!("  log odds apart by {:.4} on average", apart.apart));
    if let Some(users) = &apart.users {
        let gains = &users.gains;
        lines.push(format!(
            "  of {} users {} are predicted better, {} worse; sign test {}",
            count(gains.users as u64),
            count(gains.gain as u64),
            count(gains.lose as u64),
            p_words(gains.p)
        ));
        lines.push(format!(
            "  gain most: {}; lose most: {}",
            users.winners.join(", "),
            users.losers.join(", ")
        ));
    }
    lines
}

fn json_of(args: &Args, found: &Comparison) -> Value {
    let one = |(folder, one): (&PathBuf, &Compared)| {
        json!({
            "folder": folder,
            "model": one.model.kind,
            "measures": measures(one.measures),
            "auc_difference": one.differences.auc,
            "log_loss_difference": one.differences.log_loss,
            "disagreement": one.disagreement,
        })
    };
    json!({ "models": args.models.iter().zip(&found.models).map(one).collect::<Vec<_>>() })
}
