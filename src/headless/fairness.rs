//! `adloupe fairness`: does a saved model treat the groups of a column alike, and what do other thresholds cost?

use super::evaluate::asked;
use super::slices::split_of;
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Result, failure::Explain};
use crate::insight::fairness::{FairGroup, Fairness, FairnessQuestion, fairness};
use crate::metrics::Estimate;
use crate::metrics::fairness::{Chosen, GroupRates};
use std::path::PathBuf;

/// Which model and log, by which column.
#[derive(Debug, clap::Args)]
#[command(
    about = "Compares how a saved model treats the groups of a column, and five ways to choose thresholds"
)]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// The column that parts the rows.
    #[arg(long, value_name = "COLUMN")]
    by: String,
    /// Scores from this probability on are selected; cost over value when not given.
    #[arg(long, value_name = "P")]
    threshold: Option<f64>,
    /// What a click brings, in costs of an impression; what the average row breaks even at when not given.
    #[arg(long, value_name = "X")]
    click_value: Option<f64>,
    /// Leaves out smaller groups.
    #[arg(long, value_name = "N", default_value_t = 100.0)]
    min_impressions: f64,
    /// Rows to look at.
    #[arg(long, value_parser = ["train", "validation", "test"], default_value = "test")]
    split: String,
}

/// Scores the rows and compares.
///
/// # Errors
/// The model or the log cannot be read or do not fit together, the log has no outcome, the column is unknown or has
/// fewer than two groups that can be judged.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let (model, log, encoded) = asked(&args.model, &args.source, &context)?;
    let question = FairnessQuestion {
        column: args.by.clone(),
        threshold: args.threshold,
        value_over_cost: args.click_value,
        min_impressions: args.min_impressions,
    };
    let rows = (split_of(&args.split), &question);
    let found = fairness(&model, &encoded.dataset, &log, rows, &context)?;
    let json = serde_json::to_value(&found).explain("cannot write the answer")?;
    Ok(Answer { text: text(&model.kind, &found), json })
}

fn text(kind: &str, found: &Fairness) -> String {
    let threshold = found.chosen.thresholds.first().copied().unwrap_or_default();
    let mut lines = vec![
        format!(
            "{kind} by {}: selected from {:.3} % on (a click brings {:.1} impressions' cost)",
            found.column,
            100.0 * threshold,
            found.economics.click_value
        ),
        format!(
            "{:>11} {:>28} {:>9} {:>21} {:>20} {:>28} {:>24}  group",
            "impressions",
            "CTR, 95 %",
            "predicted",
            "predicted / actual",
            "AUC",
            "selected (difference)",
            "true positives (diff.)"
        ),
    ];
    let groups = found.groups.iter().zip(&found.chosen.groups);
    lines.extend(groups.map(|(group, rates)| group_line(group, rates)));
    for (name, rate, why) in &found.left_out {
        lines.push(format!("left out: {name}, {} impressions: {why}", grouped(rate.trials, ' ')));
    }
    lines.push(format!(
        "{:<20} {:>10} {:>10} {:>12} {:>10} {:>10}  thresholds",
        "strategy", "profit", "selection", "opportunity", "odds", "accuracy"
    ));
    lines.push(strategy_line("this threshold", &found.chosen));
    lines.extend(found.strategies.iter().map(|chosen| strategy_line(chosen.strategy.name(), chosen)));
    lines.push(
        "profit in costs of an impression; the other numbers are the largest gap between two groups. Intervals take rows as \
         independent."
            .to_owned(),
    );
    lines.join("\n")
}

fn group_line(group: &FairGroup, rates: &GroupRates) -> String {
    let with = |rate: f64, gap: &Estimate| {
        format!(
            "{:.1} % ({:+.1}: {:+.1} to {:+.1})",
            100.0 * rate,
            100.0 * gap.value,
            100.0 * gap.low,
            100.0 * gap.high
        )
    };
    format!(
        "{:>11} {:>28} {:>7.3} % {:>21} {:>20} {:>28} {:>24}  {}",
        grouped(group.fit.actual.trials, ' '),
        group.fit.actual.estimate().in_percent(),
        100.0 * group.fit.predicted,
        Estimate::known_in_words(group.fit.predicted_over_actual, 2),
        Estimate::known_in_words(group.fit.auc, 3),
        with(rates.selected.rate, &group.selection),
        with(rates.true_positive.rate, &group.opportunity),
        group.name,
    )
}

fn strategy_line(name: &str, chosen: &Chosen) -> String {
    let gaps = chosen.gaps();
    let thresholds: Vec<String> = chosen
        .thresholds
        .iter()
        .map(|at| if at.is_finite() { format!("{:.2} %", 100.0 * at) } else { "nobody".to_owned() })
        .collect();
    format!(
        "{name:<20} {:>10.0} {:>8.1} % {:>10.1} % {:>8.1} % {:>8.1} %  {}",
        chosen.profit,
        100.0 * gaps.selection,
        100.0 * gaps.opportunity,
        100.0 * gaps.odds,
        100.0 * gaps.accuracy,
        thresholds.join(", ")
    )
}
