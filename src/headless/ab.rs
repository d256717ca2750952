//! `adloupe ab`: what a test of arms in a log says.

use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Result, failure::Explain};
use crate::data::query::experiment::{ExperimentQuery, ExperimentReport, experiment};
use crate::domain::Segment;
use crate::metrics::significance::p_words;

/// Which log, which test.
#[derive(Debug, clap::Args)]
#[command(about = "Compares the arms of a test: difference, interval, whether one may look early, for whom")]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// The column that assigns the arms [default: the one that looks like it].
    #[arg(long, value_name = "COLUMN", default_value = "", hide_default_value = true)]
    arms: String,
    /// The arm that the others are compared with [default: the one whose name says so, or the largest].
    #[arg(long, value_name = "VALUE", default_value = "", hide_default_value = true)]
    control: String,
    /// Only rows like these: "city = '上海'".
    #[arg(long = "where", value_name = "EXPRESSION", default_value = "", hide_default_value = true)]
    filter: String,
    /// Also for each group of this column, corrected for their number.
    #[arg(long, value_name = "COLUMN", default_value = "", hide_default_value = true)]
    by: String,
    /// A number known of each unit before the test, whose part is taken out (CUPED).
    #[arg(long, value_name = "COLUMN", default_value = "", hide_default_value = true)]
    covariate: String,
    /// A number that says whom to treat first: tells what that would bring (Qini's curve and coefficient).
    #[arg(long, value_name = "COLUMN", default_value = "", hide_default_value = true)]
    rank: String,
}

/// Reads the log and compares.
///
/// # Errors
/// The log cannot be read, a column or arm is unknown, or the log has no outcome or no arms.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let filter = Segment::parse(&args.filter).map_err(|failure| failure.at("--where"))?;
    let log = args.source.open(&context)?;
    let query = ExperimentQuery {
        arms: args.arms.clone(),
        control: args.control.clone(),
        filter,
        by: args.by.clone(),
        covariate: args.covariate.clone(),
        rank: args.rank.clone(),
    };
    let report = experiment(&log, &query, &context)?;
    let json = serde_json::to_value(&report).explain("cannot write the answer")?;
    Ok(Answer { text: text(&report, &query), json })
}

fn text(report: &ExperimentReport, query: &ExperimentQuery) -> String {
    let mut lines = vec![format!("arms by '{}'; independent units: {}", report.column, report.unit)];
    for arm in &report.arms {
        let totals = &arm.totals;
        lines.push(format!(
            "{}: '{}' in {} of {} impressions, {} {}: {}",
            arm.name,
            report.outcome,
            grouped(totals.clicks, ' '),
            grouped(totals.shown, ' '),
            grouped(totals.units, ' '),
            report.unit,
            arm.rate.in_percent()
        ));
        let Some(found) = &arm.against_control else { continue };
        let relative = found.relative.map(|relative| format!(", relative {}", relative.in_percent()));
        lines.push(format!(
            "  against {}: {}{}; {}; watched and stopped at will: {}",
            report.arms[0].name,
            found.difference.in_percent(),
            relative.unwrap_or_default(),
            p_words(found.p),
            p_words(found.always_valid_p)
        ));
        if let Some(reduced) = &arm.reduced {
            lines.push(format!(
                "  with '{}' taken out: {}; {}; {:.0} % of the variance is left",
                query.covariate,
                reduced.difference.in_percent(),
                p_words(reduced.p),
                100.0 * reduced.variance_ratio
            ));
        }
    }
    if let Some(p) = report.even_p {
        lines.push(format!("sizes of the arms: {} if chances were even", p_words(p)));
    }
    if report.in_several_arms > 0 {
        lines.push(format!("{} {} were in more than one arm", report.in_several_arms, report.unit));
    }
    if let Some(rise) = report.detectable {
        lines.push(format!("a rise of {:.3} % points would be found with 80 % power", 100.0 * rise));
    }
    if let Some(uplift) = &report.uplift {
        let range = uplift
            .coefficient
            .map_or_else(String::new, |c| format!(" (95 %: {:.6} to {:.6})", c.low, c.high));
        lines.push(format!(
            "treating '{}' first by {}: Qini {:.6}{range}; the first half brings {:+.6} clicks per impression of all, \
             everybody {:+.6}",
            uplift.arm,
            uplift.column,
            uplift.qini.coefficient,
            uplift.qini.gain(0.5),
            uplift.qini.everybody
        ));
    }
    for part in &report.parts {
        let (Some(found), Some(p)) = (&part.comparison, part.corrected_p) else { continue };
        lines.push(format!(
            "{} {}, {}: {}; {} corrected",
            query.by,
            part.value,
            part.arm,
            found.difference.in_percent(),
            p_words(p)
        ));
    }
    lines.join("\n")
}
