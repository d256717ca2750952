//! `adloupe report`: groups of rows for strangers, with the noise of differential privacy.

use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::{Failure, Result, failure::Explain};
use crate::data::erasure::{BOOK_FILE, usual_folder};
use crate::data::ledger::{self, USUAL_BUDGET};
use crate::data::query::noisy::{self, NoisyQuery, NoisyReport};
use crate::domain::Segment;
use std::path::PathBuf;

/// Which log, told how exactly.
#[derive(Debug, clap::Args)]
#[command(
    about = "Counts and click rates of groups with differential-privacy noise; each report spends some of a budget"
)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Columns whose groups are told, with commas between.
    #[arg(long, value_name = "COLUMN[,COLUMN]", value_delimiter = ',', required = true)]
    by: Vec<String>,
    /// Only rows like these: "age_band in ('18-24', '25-34') and hour >= 18".
    #[arg(long = "where", value_name = "EXPRESSION", default_value = "", hide_default_value = true)]
    filter: String,
    /// What this report spends: less is more noise and a stronger promise.
    #[arg(long, value_name = "E", default_value_t = NoisyQuery::default().epsilon)]
    epsilon: f64,
    /// What may be spent on the people of this log in all reports together.
    #[arg(long, value_name = "E", default_value_t = USUAL_BUDGET)]
    budget: f64,
    /// Rows of one user that count at most.
    #[arg(long, value_name = "N", default_value_t = NoisyQuery::default().rows_per_user)]
    rows_per_user: u32,
    /// The book of reports [default: that of this program].
    #[arg(long, value_name = "FILE")]
    book: Option<PathBuf>,
}

/// Books the epsilon, then answers.
///
/// # Errors
/// The log cannot be read or names no users, the budget is spent, a column is unknown or the filter makes no sense.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let filter = Segment::parse(&args.filter).map_err(|failure| failure.at("--where"))?;
    let log = args.source.open(&context)?;
    let book = args.book.clone().or_else(|| Some(usual_folder()?.join(BOOK_FILE))).ok_or_else(|| {
        Failure::new("cannot report with noise", "the system names no folder for the book")
            .hint("--book FILE")
    })?;
    let query =
        NoisyQuery { by: args.by.clone(), filter, epsilon: args.epsilon, rows_per_user: args.rows_per_user };
    let (report, account) = ledger::report(&book, &log, &query, args.budget, &context)?;
    let mut json = serde_json::to_value(&report).explain("cannot write the answer")?;
    json["spent"] = account.total().into();
    json["budget"] = args.budget.into();
    Ok(Answer { text: text(&report, account.total(), args.budget), json })
}

fn text(report: &NoisyReport, spent: f64, budget: f64) -> String {
    let mut lines = vec![format!(
        "{:>12} {:>10}  {:<30} {}",
        "impressions",
        "clicks",
        "rate, 95 %",
        report.by.join(" x ")
    )];
    for row in &report.rows {
        let clicks = row.clicks.map_or_else(|| "n/a".to_owned(), |clicks| clicks.to_string());
        let rate = row.ctr.map_or_else(|| "n/a".to_owned(), |ctr| ctr.in_percent());
        lines.push(format!("{:>12} {clicks:>10}  {rate:<30} {}", row.impressions, row.values.join(" x ")));
    }
    lines.extend(noisy::promise(report));
    lines.push(format!(
        "epsilon {} spent now, {spent:.3} of {budget} on the people of this log",
        report.epsilon
    ));
    lines.join("\n")
}
