//! `adloupe slates`: what would other pages of several ads have brought, by a log of pages?

use super::policy::{parse_policy, predictor_of};
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::{Result, failure::Explain};
use crate::market::counterfactual::Policy;
use crate::market::slates::{self, SlateAnswer, SlateQuestion, SlateTarget};
use std::fmt::Write;
use std::path::PathBuf;

/// Which log, which columns, which policy.
#[derive(Debug, clap::Args)]
#[command(about = "Off-policy estimates for pages of several ads: SIPS, RIPS, IIPS and the pseudo-inverse")]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// The column that says which rows are one page.
    #[arg(long, value_name = "COLUMN")]
    page: String,
    /// The column of the position [default: the one with the role slot].
    #[arg(long, value_name = "COLUMN")]
    position: Option<String>,
    /// The column with the probability of each logged choice, given those above it [default: the one whose name says so].
    #[arg(long, value_name = "COLUMN")]
    propensity: Option<String>,
    /// The column with the probability with which the policy in question would have chosen the same.
    #[arg(long, value_name = "COLUMN", conflicts_with = "policy")]
    target: Option<String>,
    /// A policy that chooses each position for itself: as-logged, even, always:AD, best, best:0.1, power:2.
    #[arg(long, value_name = "POLICY", value_parser = parse_policy, default_value = "even")]
    policy: Policy,
    /// The choice at a position depended on those above it (no ad twice on a page): IIPS and the pseudo-inverse are left out.
    #[arg(long)]
    dependent: bool,
    /// A saved model, for policies that choose by predicted click rates.
    #[arg(long, value_name = "FOLDER", conflicts_with = "train")]
    model: Option<PathBuf>,
    /// A kind of model to train on the log first.
    #[arg(long, value_name = "KIND")]
    train: Option<String>,
}

/// Reads the pages, asks.
///
/// # Errors
/// The log or the model cannot be read, pages or probabilities that are none; Ctrl-C.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let log = args.source.open(&context)?;
    let predictor = predictor_of(args.model.as_deref(), args.train.as_deref(), &log, &context)?;
    let target = match &args.target {
        Some(column) => SlateTarget::Column(column.clone()),
        None => SlateTarget::Policy(args.policy.clone()),
    };
    let question = SlateQuestion {
        page: args.page.clone(),
        position: args.position.clone(),
        propensity: args.propensity.clone(),
        target,
        independent: !args.dependent,
    };
    let found = slates::answer(&log, predictor.as_ref(), &question, &context)?;
    let json = serde_json::to_value(&found).explain("cannot write the answer")?;
    Ok(Answer { text: text(&found), json })
}

fn text(found: &SlateAnswer) -> String {
    let mut text = format!(
        "{}: {} pages of {} ads, {:.4} clicks a page as logged\n  {:<22} {:>28} {:>20} {:>9}  right where\n",
        found.policy,
        found.pages,
        found.positions,
        found.logged,
        "clicks a page",
        "asymptotic 95 %",
        "bootstrap 95 %",
        "worth"
    );
    for told in &found.values {
        // Writing to a String cannot fail.
        let _ = match &told.value {
            Ok(value) => writeln!(
                text,
                "  {:<22} {:>28} {:>20} {:>9.0}  {}",
                told.estimator.label(),
                value.normal.in_words(4),
                value.bootstrap.map_or_else(String::new, |[low, high]| format!("{low:.4} to {high:.4}")),
                told.checks.effective,
                told.assumes
            ),
            Err(why) => writeln!(text, "  {:<22} none: {why}", told.estimator.label()),
        };
    }
    for note in &found.notes {
        let _ = writeln!(text, "  assumed: {note}");
    }
    text
}
