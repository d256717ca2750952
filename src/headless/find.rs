//! `adloupe find`: the groups of rows that click unlike all others.

use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Result, failure::Explain};
use crate::data::query::finder::{self, FinderQuery, FinderReport};
use crate::domain::Segment;

/// Which log, looked at how.
#[derive(Debug, clap::Args)]
#[command(about = "Groups of rows that click unlike all others, corrected for all groups looked at")]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Columns to join; all useful ones, twelve at most, when none are named.
    #[arg(long, value_name = "COLUMN[,COLUMN]", value_delimiter = ',')]
    by: Vec<String>,
    /// Only rows like these: "age_band in ('18-24', '25-34') and hour >= 18".
    #[arg(long = "where", value_name = "EXPRESSION", default_value = "", hide_default_value = true)]
    filter: String,
    /// Columns joined at most, 1 to 3.
    #[arg(long, value_name = "N", default_value_t = FinderQuery::default().depth)]
    depth: usize,
    /// Does not look at smaller groups.
    #[arg(long, value_name = "N", default_value_t = FinderQuery::default().min_impressions)]
    min_impressions: f64,
    /// Chance of telling of any group where there is none.
    #[arg(long, value_name = "P", default_value_t = FinderQuery::default().level)]
    level: f64,
    /// Findings told as text; --json has them all.
    #[arg(long, value_name = "N", default_value_t = 30)]
    top: usize,
}

/// Reads the log and looks.
///
/// # Errors
/// The log cannot be read, a column is unknown, the filter makes no sense, or the log has no outcome.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let filter = Segment::parse(&args.filter).map_err(|failure| failure.at("--where"))?;
    let log = args.source.open(&context)?;
    let query = FinderQuery {
        columns: args.by.clone(),
        filter,
        depth: args.depth,
        min_impressions: args.min_impressions,
        level: args.level,
    };
    let report = finder::find(&log, &query, &context)?;
    let json = serde_json::to_value(&report).explain("cannot write the answer")?;
    Ok(Answer { text: text(&report, &query, args.top), json })
}

fn text(report: &FinderReport, query: &FinderQuery, top: usize) -> String {
    let count = |n: f64| grouped(n, ' ');
    let mut lines = vec![format!(
        "{} of {} groups stand out (columns: {}; corrected for all groups looked at, level {})",
        report.findings.len(),
        count(report.judged as f64),
        report.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", "),
        query.level,
    )];
    for column in report.columns.iter().filter(|column| column.told_apart < column.groups) {
        lines.push(format!(
            "{}: the {} most shown of {} values are told apart",
            column.name,
            column.told_apart,
            count(column.groups as f64)
        ));
    }
    if !report.findings.is_empty() {
        lines.push(format!(
            "{:>12} {:>9} {:>19} {:>9} {:>6} {:>13} {:>8}  group",
            "impressions", "rate", "95 % interval", "others", "lift", "excess clicks", "p"
        ));
    }
    for finding in report.findings.iter().take(top) {
        let also: String = finding.also.iter().map(|other| format!("  (the same rows: {other})")).collect();
        lines.push(format!(
            "{:>12} {:>7.3} % {:>8.3} to {:>5.3} % {:>7.3} % {:>6} {:>+13.0} {:>8.1e}  {}{also}",
            count(finding.rate.trials),
            100.0 * finding.rate.rate,
            100.0 * finding.rate.low,
            100.0 * finding.rate.high,
            100.0 * finding.others.rate,
            finding.lift.map_or_else(|| "n/a".to_owned(), |lift| format!("{lift:.2}")),
            finding.excess_clicks,
            finding.p,
            finding.segment,
        ));
    }
    if report.findings.len() > top {
        lines.push(format!("and {} more: --top, or --json for all", report.findings.len() - top));
    }
    lines.join("\n")
}
