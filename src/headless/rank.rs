//! `adloupe rank`: which of several models is the best on a log, surely, and at what cost; or what would each show a user?

use super::evaluate::{check_outcome, encoded};
use super::source::SourceArgs;
use super::train::measures;
use super::{Answer, Terminal};
use crate::base::{Failure, Result};
use crate::data::{Dataset, LogFrame, Split};
use crate::insight::leaderboard::{Entry, Leaderboard, leaderboard};
use crate::insight::retrieval::{Retrieval, retrieve};
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use crate::metrics::significance::p_words;
use crate::train::TrainedModel;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Which models, on which log.
#[derive(Debug, clap::Args)]
#[command(
    about = "Ranks saved models on the test rows of a log; with --user, tells what each would show that user"
)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// The folder of a model; given again for each.
    #[arg(long = "model", value_name = "DIR", required = true)]
    models: Vec<PathBuf>,
    /// Tells what each model would show this user in the user's last moment, of all ads of the log.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Ads that each model may show.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "user")]
    top: usize,
}

/// Scores and ranks.
///
/// # Errors
/// A model or the log cannot be read, fewer than two models can be measured on the same rows, or the log does not know
/// the user.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let log = args.source.open(&context)?;
    let models = args.models.iter().map(|folder| TrainedModel::load(folder).map(Arc::new));
    let models: Vec<Arc<TrainedModel>> = models.collect::<Result<_>>()?;
    match &args.user {
        Some(user) => shown(args, &log, &models, user, &context),
        None => ranked(args, &log, &models, &context),
    }
}

fn ranked(args: &Args, log: &LogFrame, models: &[Arc<TrainedModel>], context: &JobContext) -> Result<Answer> {
    let mut read = Vec::with_capacity(models.len());
    for model in models {
        let fits = check_outcome(log, &model.encoder.label, &args.source.roles);
        let dataset = fits.and_then(|()| encoded(&model.encoder, log, &args.source, false, context));
        match dataset {
            Err(failure) if failure.is_cancelled() => return Err(failure),
            dataset => read.push(dataset),
        }
    }
    let datasets: Vec<Result<&Dataset>> =
        read.iter().map(|read| read.as_ref().map(|rows| &rows.dataset).map_err(Clone::clone)).collect();
    let board = leaderboard(models, &datasets, Split::Test, context)?;
    Ok(Answer { text: text(args, &board), json: json_of(args, &board) })
}

fn text(args: &Args, board: &Leaderboard) -> String {
    let mut lines = vec![format!(
        "{:>6} {:>17} {:>8} {:>26} {:>9} {:>9} {:>8} {:>9} {:>5}  model",
        "AUC",
        "95 % interval",
        "log loss",
        "difference to the leader",
        "p",
        "train s",
        "MB",
        "memory MB",
        "front"
    )];
    for entry in &board.entries {
        let known = |estimate: Option<Estimate>, words: &dyn Fn(Estimate) -> String| {
            estimate.map_or_else(|| "n/a".to_owned(), words)
        };
        let difference = match entry.p {
            None => "leader".to_owned(),
            Some(_) => known(entry.differences.auc, &|e| {
                format!("{:+.4} ({:+.4} to {:+.4})", e.value, e.low, e.high)
            }),
        };
        let p = entry.p.map_or_else(String::new, |p| p_words(p).trim_start_matches("p ").replace("= ", ""));
        lines.push(format!(
            "{:>6} {:>17} {:>8} {difference:>26} {p:>9} {:>9.1} {:>8.2} {:>9} {:>5}  {} ({})",
            known(entry.measures.auc, &|e| format!("{:.4}", e.value)),
            known(entry.measures.auc, &|e| format!("{:.4} to {:.4}", e.low, e.high)),
            known(entry.measures.log_loss, &|e| format!("{:.4}", e.value)),
            entry.cost.training_s,
            entry.cost.bytes / 1e6,
            entry.cost.memory.map_or_else(|| "n/a".to_owned(), |bytes| format!("{:.2}", bytes / 1e6)),
            if entry.on_front { "yes" } else { "no" },
            entry.model.kind,
            args.models[entry.place].display()
        ));
    }
    lines.push(format!(
        "{} test rows, the same for all; p of the difference to the leader, corrected for all models (Holm)",
        board.rows
    ));
    for (place, why) in &board.left_out {
        lines.push(format!("left out: {}: {why}", args.models[*place].display()));
    }
    lines.join("\n")
}

fn json_of(args: &Args, board: &Leaderboard) -> Value {
    let entry = |entry: &Entry| {
        json!({
            "folder": args.models[entry.place],
            "model": entry.model.kind,
            "measures": measures(entry.measures),
            "auc_difference": entry.differences.auc,
            "p_holm": entry.p,
            "training_s": entry.cost.training_s,
            "bytes": entry.cost.bytes,
            "memory_bytes": entry.cost.memory,
            "scored_per_s": entry.cost.scored_per_s,
            "on_front": entry.on_front,
        })
    };
    let left_out = |(place, why): &(usize, String)| json!({ "folder": args.models[*place], "why": why });
    json!({
        "rows": board.rows,
        "models": board.entries.iter().map(entry).collect::<Vec<_>>(),
        "left_out": board.left_out.iter().map(left_out).collect::<Vec<_>>(),
    })
}

fn shown(
    args: &Args,
    log: &LogFrame,
    models: &[Arc<TrainedModel>],
    user: &str,
    context: &JobContext,
) -> Result<Answer> {
    let encode = |model: &Arc<TrainedModel>| model.encoder.encode(log, context).map(Arc::new);
    let datasets = models.iter().map(encode).collect::<Result<Vec<_>>>()?;
    if args.top == 0 {
        return Err(Failure::new("cannot rank the ads", "--top is 0").hint("at least 1"));
    }
    let found = retrieve(models, &datasets, log, (user, args.top), context)?;
    Ok(Answer { text: shown_text(&found), json: shown_json(&found) })
}

fn shown_text(found: &Retrieval) -> String {
    let names: Vec<String> = found.models.iter().map(|model| format!("{:>30}", model.name())).collect();
    let mut lines =
        vec![format!("{:<16} {:>28} {:>5}{}", "ad", "CTR in the log, 95 %", "seen", names.concat())];
    for ad in &found.ads {
        let rate = ad.rate.as_ref().map_or_else(|| "n/a".to_owned(), |rate| rate.estimate().in_percent());
        let ranks: Vec<String> = ad
            .ranks
            .iter()
            .zip(ad.scores.iter().zip(&ad.intervals))
            .map(|(rank, (score, interval))| {
                let score = Estimate::score_in_percent(f64::from(*score), *interval, 3);
                format!("{:>30}", format!("{rank}. {score}"))
            })
            .collect();
        lines.push(format!("{:<16} {rate:>28} {:>5}{}", ad.name, ad.seen, ranks.concat()));
    }
    lines.push(format!(
        "{} ads scored for {} in the user's last moment (row {})",
        found.scored,
        found.user,
        found.row + 1
    ));
    for (place, model) in found.models.iter().enumerate().skip(1) {
        lines.push(format!(
            "{} and {}: {} of {} ads shared, ranks of all agree to {:.2} (Spearman's rho)",
            found.models[0].kind, model.kind, found.shared[0][place], found.k, found.agreement[place]
        ));
    }
    lines.join("\n")
}

fn shown_json(found: &Retrieval) -> Value {
    let ads: Vec<Value> = found
        .ads
        .iter()
        .map(|ad| json!({ "ad": ad.name, "rate": ad.rate, "seen": ad.seen, "scores": ad.scores, "intervals": ad.intervals, "ranks": ad.ranks }))
        .collect();
    json!({
        "user": found.user,
        "row": found.row,
        "models": found.models.iter().map(|model| &model.kind).collect::<Vec<_>>(),
        "ads": ads,
        "scored": found.scored,
        "shared": found.shared,
        "agreement": found.agreement,
    })
}
