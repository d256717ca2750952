//! `adloupe policy`: what would another way to choose ads bring? Simulation, the log's estimate, and what really came.

use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::{Params, Result, failure::Explain};
use crate::jobs::JobContext;
use crate::market::counterfactual::{self, Policy, Predictor, Propensities, Question};
use crate::market::other_model::OtherModel;
use crate::market::spec::ModelSource;
use crate::metrics::Estimate;
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Which log, which policies, whose predictions.
#[derive(Debug, clap::Args)]
#[command(
    about = "Off-policy estimates: what other ways to choose ads would bring, by the log and by a model"
)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// A policy; may be given again: as-logged, even, always:AD, best, best:0.1 (any ad in one of ten), power:2 (in
    /// proportion to the square of the predicted rate) [default: as-logged, even, and best where there is a model].
    #[arg(long = "policy", value_name = "POLICY", value_parser = parse_policy)]
    policies: Vec<Policy>,
    /// A saved model; without one there is no simulation, and only weights are used.
    #[arg(long, value_name = "FOLDER", conflicts_with = "train")]
    model: Option<PathBuf>,
    /// A kind of model to train on the log first.
    #[arg(long, value_name = "KIND")]
    train: Option<String>,
    /// The column with the probability of each logged choice [default: the one whose name says so].
    #[arg(long, value_name = "COLUMN", conflicts_with = "estimate_propensities")]
    propensity: Option<String>,
    /// Takes each ad's share of the rows for that probability: right only if who saw an ad was chance.
    #[arg(long)]
    estimate_propensities: bool,
    /// Same seed, same simulation.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Reads a policy as it is written on the command line.
///
/// # Errors
/// Words that name none.
pub fn parse_policy(text: &str) -> std::result::Result<Policy, String> {
    let (name, value) = text.split_once(':').map_or((text, None), |(name, value)| (name, Some(value)));
    let number = |default: f64| match value {
        None => Ok(default),
        Some(value) => value.parse::<f64>().map_err(|_| format!("'{value}' is no number")),
    };
    match (name, value) {
        ("as-logged", None) => Ok(Policy::AsLogged),
        ("even", None) => Ok(Policy::Even),
        ("always", Some(ad)) if !ad.is_empty() => Ok(Policy::Always(ad.to_owned())),
        ("best", _) => number(0.0).map(Policy::Best),
        ("power", _) => number(1.0).map(Policy::Power),
        _ => Err("one of: as-logged, even, always:AD, best, best:SHARE, power:NUMBER".to_owned()),
    }
}

/// Reads the log, asks about each policy.
///
/// # Errors
/// The log or the model cannot be read, the log has no clicks, ads or propensities; Ctrl-C.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let log = args.source.open(&context)?;
    let predictor = predictor_of(args.model.as_deref(), args.train.as_deref(), &log, &context)?;
    let policies = match args.policies.as_slice() {
        [] if predictor.is_some() => vec![Policy::AsLogged, Policy::Even, Policy::Best(0.0)],
        [] => vec![Policy::AsLogged, Policy::Even],
        given => given.to_vec(),
    };
    let propensities = match &args.propensity {
        Some(column) => Propensities::Column(column.clone()),
        None if args.estimate_propensities => Propensities::Estimated,
        None => Propensities::Logged,
    };
    let mut answers = Vec::new();
    for policy in policies {
        let question = Question { policy, propensities: propensities.clone(), seed: args.seed };
        answers.push(counterfactual::answer(&log, predictor.as_ref(), &question, &context)?);
    }
    let text: String = answers.iter().map(text).collect();
    let json = json!({ "policies": serde_json::to_value(&answers).explain("cannot write the answer")? });
    Ok(Answer { text, json })
}

/// The model of a folder, or of a kind to be trained; `None` where neither is named.
pub(super) fn predictor_of(
    model: Option<&Path>,
    train: Option<&str>,
    log: &crate::data::LogFrame,
    context: &JobContext,
) -> Result<Option<Predictor>> {
    let source = match (model, train) {
        (Some(folder), _) => ModelSource::Folder(folder.to_owned()),
        (None, Some(kind)) => {
            Terminal::note(&format!("training {kind}"));
            ModelSource::Train { kind: kind.to_owned(), params: Params::default() }
        }
        (None, None) => return Ok(None),
    };
    let opened = OtherModel::of_clicks(&source, log, Path::new(""), context)?;
    Ok(Some((opened.model, opened.dataset)))
}

fn text(answer: &counterfactual::Answer) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{}: {} ads, {} decisions, propensities from {}",
        answer.policy, answer.ads, answer.rows, answer.propensities
    );
    let percent = |estimate: Option<Estimate>| {
        estimate.map_or_else(|| "n/a".to_owned(), |estimate| estimate.in_percent())
    };
    let _ = writeln!(text, "  simulated on the model   {}", percent(answer.simulated));
    match answer.headline() {
        Some((estimator, estimate)) => {
            let _ = writeln!(
                text,
                "  the log's estimate       {} by {}",
                estimate.in_percent(),
                estimator.label()
            );
        }
        None => text.push_str("  the log's estimate       not identified\n"),
    }
    match &answer.actual {
        Some(actual) if actual.rate.low == actual.rate.high => {
            let _ = writeln!(
                text,
                "  actual                   {:.3} % ({})",
                100.0 * actual.rate.value,
                actual.from
            );
        }
        Some(actual) => {
            let _ =
                writeln!(text, "  actual                   {} ({})", actual.rate.in_percent(), actual.from);
        }
        None => text.push_str("  actual                   n/a: nobody has tried it\n"),
    }
    for (estimator, value) in &answer.log.values {
        let told = match value {
            Ok(value) => {
                let bootstrap = value.bootstrap.map_or_else(String::new, |[low, high]| {
                    format!("; bootstrap {:.3} to {:.3}", 100.0 * low, 100.0 * high)
                });
                format!("{}{bootstrap}", value.normal.in_percent())
            }
            Err(why) => format!("none: {why}"),
        };
        let _ = writeln!(text, "    {:<18} {told}", estimator.label());
    }
    let checks = &answer.log.checks;
    let _ = writeln!(
        text,
        "  worth {:.1} of {} decisions; largest weight {:.1} ({:.1} % of all); mean weight {:.3}; smallest propensity {:.2e}",
        checks.effective,
        checks.n,
        checks.largest_weight,
        100.0 * checks.largest_share,
        checks.mean_weight.value,
        checks.smallest_propensity
    );
    for line in answer.explanation.iter().chain(&answer.notes) {
        let _ = writeln!(text, "  note: {line}");
    }
    text.push('\n');
    text
}
