//! `adloupe slices`: in which groups of rows does a saved model fail?

use super::evaluate::asked;
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Result, failure::Explain};
use crate::data::Split;
use crate::data::query::misfit::{Fit, Misfit, MisfitQuery, MisfitReport, Slice};
use crate::insight::regions::{RegionReport, regions};
use crate::insight::slices::slices;
use crate::metrics::Estimate;
use crate::metrics::significance::p_words;
use std::path::PathBuf;

/// Which model and log, looked at how.
#[derive(Debug, clap::Args)]
#[command(about = "Groups of rows in which a saved model fails, corrected for all groups looked at")]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// What counts as a failure: clicks that are not those predicted, or a log loss above that of all others.
    #[arg(long, value_parser = ["calibration", "loss"], default_value = "calibration")]
    fails: String,
    /// Rows to look at.
    #[arg(long, value_parser = ["train", "validation", "test"], default_value = "test")]
    split: String,
    /// Looks for regions of what leaves the model's last layers instead of groups by columns.
    #[arg(long, conflicts_with_all = ["by", "depth", "min_impressions", "level"])]
    regions: bool,
    /// Columns to join; all useful ones, and what the model knows of the rows, when none are named.
    #[arg(long, value_name = "COLUMN[,COLUMN]", value_delimiter = ',')]
    by: Vec<String>,
    /// Columns joined at most, 1 to 3.
    #[arg(long, value_name = "N", default_value_t = MisfitQuery::default().depth)]
    depth: usize,
    /// Does not look at smaller groups.
    #[arg(long, value_name = "N", default_value_t = MisfitQuery::default().min_impressions)]
    min_impressions: f64,
    /// Chance of telling of any group where there is none.
    #[arg(long, value_name = "P", default_value_t = MisfitQuery::default().level)]
    level: f64,
    /// Groups told as text; --json has them all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
}

/// Scores the rows and looks.
///
/// # Errors
/// The model or the log cannot be read or do not fit together, the log has no outcome, a column is unknown.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let (model, log, encoded) = asked(&args.model, &args.source, &context)?;
    let query = MisfitQuery {
        by: if args.fails == "loss" { Misfit::Loss } else { Misfit::Calibration },
        columns: args.by.clone(),
        depth: args.depth,
        min_impressions: args.min_impressions,
        level: args.level,
    };
    if args.regions {
        let found = regions(&model, &encoded.dataset, &log, (split_of(&args.split), query.by), &context)?;
        let json = serde_json::to_value(&found).explain("cannot write the answer")?;
        return Ok(Answer { text: told(&model.kind, &found), json });
    }
    let question = (split_of(&args.split), &query);
    let report = slices(&model, &encoded.dataset, &log, question, &context)?;
    let json = serde_json::to_value(&report).explain("cannot write the answer")?;
    Ok(Answer { text: text(args, &model.kind, &report), json })
}

/// The part of a log that a word of the command line names.
pub(super) fn split_of(word: &str) -> Split {
    match word {
        "train" => Split::Train,
        "validation" => Split::Validation,
        _ => Split::Test,
    }
}

fn text(args: &Args, kind: &str, report: &MisfitReport) -> String {
    let names: Vec<&str> = report.columns.iter().map(|column| column.name.as_str()).collect();
    let mut lines = vec![format!(
        "{kind} fails in {} of {} groups by {} (columns: {}; corrected for all groups looked at, level {})",
        report.slices.len() + report.untold,
        grouped(report.judged as f64, ' '),
        args.fails,
        names.join(", "),
        args.level,
    )];
    lines.push(heading());
    lines.push(line(&report.total, None));
    lines.extend(report.slices.iter().take(args.top).map(|slice| line(&slice.fit, Some(slice))));
    let more = report.slices.len() + report.untold;
    if more > args.top {
        lines.push(format!("and {} more: --top, or --json", more - args.top));
    }
    lines.join("\n")
}

fn told(kind: &str, found: &RegionReport) -> String {
    let [asked, looked, finding, judging] = found.rows.map(|rows| grouped(rows as f64, ' '));
    let report = &found.misfits;
    let mut lines = vec![
        format!(
            "{kind} fails in {} of {} regions of what leaves {}",
            report.slices.len(),
            found.regions,
            found.layers.join(" and ")
        ),
        format!(
            "{looked} of {asked} rows, evenly spread; the regions were found on {finding} and are judged on the {judging} \
             of other users, corrected for all regions"
        ),
        heading(),
        line(&report.total, None),
    ];
    for (slice, features) in report.slices.iter().zip(&found.features) {
        lines.push(line(&slice.fit, Some(slice)));
        let words: Vec<String> = features
            .iter()
            .map(|of| {
                let (inside, outside) = (100.0 * of.inside, 100.0 * of.outside);
                format!("{} = {} ({inside:.1} % of it, {outside:.1} % of the rest)", of.field, of.value)
            })
            .collect();
        lines.push(format!("    its rows more or less often: {}", words.join("; ")));
    }
    lines.join("\n")
}

fn heading() -> String {
    format!(
        "{:>11} {:>28} {:>9} {:>21} {:>8} {:>6} {:>9} {:>10}  group",
        "impressions", "CTR, 95 %", "predicted", "predicted / actual", "log loss", "AUC", "excess", "p"
    )
}

fn line(fit: &Fit, slice: Option<&Slice>) -> String {
    let known = |estimate: Option<Estimate>, words: &dyn Fn(Estimate) -> String| {
        estimate.map_or_else(|| "n/a".to_owned(), words)
    };
    let name = slice.map_or_else(
        || "all rows".to_owned(),
        |slice| {
            let parts: Vec<String> =
                slice.parts.iter().map(|(column, value)| format!("{column} = {value}")).collect();
            let also: String = slice.also.iter().map(|other| format!("  (the same rows: {other})")).collect();
            parts.join(" and ") + &also
        },
    );
    format!(
        "{:>11} {:>28} {:>7.3} % {:>21} {:>8} {:>6} {:>9} {:>10}  {name}",
        grouped(fit.actual.trials, ' '),
        fit.actual.estimate().in_percent(),
        100.0 * fit.predicted,
        Estimate::known_in_words(fit.predicted_over_actual, 2),
        known(fit.log_loss, &|e| format!("{:.4}", e.value)),
        known(fit.auc, &|e| format!("{:.3}", e.value)),
        slice.map_or_else(String::new, |slice| format!("{:+.1}", slice.excess)),
        slice.map_or_else(String::new, |slice| p_words(slice.p)),
    )
}
