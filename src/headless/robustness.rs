//! `adloupe robustness`: how good does a saved model stay under attack?

use super::evaluate::asked;
use super::slices::split_of;
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::numbers::{grouped, short};
use crate::base::{Result, failure::Explain};
use crate::insight::robustness::{AttackQuestion, ROWS, Robustness, robustness};
use crate::metrics::Estimate;
use std::path::PathBuf;

/// Which model and log, attacked how.
#[derive(Debug, clap::Args)]
#[command(
    about = "AUC and log loss of a saved model when every impression's embeddings are moved against it (FGM, PGD)"
)]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// The search for the worst change: one step along the gradient, or several.
    #[arg(long, value_parser = ["fgm", "pgd"], default_value = "fgm")]
    attack: String,
    /// Longest changes of an impression's embeddings together, by Euclid; 0 is no attack.
    #[arg(
        long,
        value_name = "E[,E]",
        value_delimiter = ',',
        default_value = "0,0.005,0.01,0.02,0.03,0.05,0.1,0.2"
    )]
    epsilon: Vec<f64>,
    /// Steps of pgd.
    #[arg(long, value_name = "N", default_value_t = 8)]
    steps: usize,
    /// Rows attacked at most, spread evenly.
    #[arg(long, value_name = "N", default_value_t = ROWS)]
    rows: usize,
    /// Rows to look at.
    #[arg(long, value_parser = ["train", "validation", "test"], default_value = "test")]
    split: String,
}

/// Attacks and measures.
///
/// # Errors
/// The model or the log cannot be read or do not fit together, the log has no outcome, the kind has nothing to move.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let (model, _, encoded) = asked(&args.model, &args.source, &context)?;
    let question = AttackQuestion {
        epsilons: args.epsilon.clone(),
        steps: if args.attack == "fgm" { 1 } else { args.steps },
        rows: args.rows,
    };
    let found = robustness(&model, &encoded.dataset, (split_of(&args.split), &question), &context)?;
    let json = serde_json::to_value(&found).explain("cannot write the answer")?;
    Ok(Answer { text: text(&args.attack, &found), json })
}

fn text(attack: &str, found: &Robustness) -> String {
    let of = match found.rows < found.out_of {
        true => format!("{} of {} rows", grouped(found.rows as f64, ' '), grouped(found.out_of as f64, ' ')),
        false => format!("{} rows", grouped(found.rows as f64, ' ')),
    };
    let mut lines = vec![
        format!(
            "{} under {attack} ({} step{}), {of}; an impression's embeddings are {} long on average",
            found.model,
            found.steps,
            if found.steps == 1 { "" } else { "s" },
            short(found.length)
        ),
        format!("{:>8} {:>26} {:>26} {:>20}", "epsilon", "AUC, 95 %", "log loss, 95 %", "predicted/actual"),
    ];
    lines.extend(found.points.iter().map(|point| {
        let of = &point.measures;
        format!(
            "{:>8} {:>26} {:>26} {:>20}",
            short(point.epsilon),
            Estimate::known_in_words(of.auc, 4),
            Estimate::known_in_words(of.log_loss, 4),
            Estimate::known_in_words(of.predicted_over_actual, 2)
        )
    }));
    lines.push(
        "The attack knows the outcomes: a bound on what errors of embeddings can do, no forecast.".to_owned(),
    );
    lines.join("\n")
}
