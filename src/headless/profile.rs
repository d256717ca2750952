//! `adloupe profile FILE`: what is in this log?

use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::failure::Explain;
use crate::base::{Result, numbers};
use crate::data::importers::with_recipe;
use crate::data::profile::{self, ColumnProfile, Profile};
use crate::data::recipe::Recipe;
use crate::metrics::significance;
use std::fmt::Write;
use std::path::PathBuf;

/// Describes a log: columns, roles, click rate, quality.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Writes down how the log was read, for the next one of its kind; beside the log where no FILE is given.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    save_recipe: Option<Option<PathBuf>>,
}

/// Opens the log and describes it.
///
/// # Errors
/// What opening or describing answers.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let log = args.source.open(&context)?;
    if let Some(wanted) = &args.save_recipe {
        let path = wanted.clone().unwrap_or_else(|| Recipe::place_of(&log.source.path));
        let options = with_recipe(&log.source.path, &args.source.options()?)?;
        Recipe::of(&log, &options).save(&path)?;
        Terminal::note(&format!("the recipe is in {}", path.display()));
    }
    let profile = profile::profile_opened(&log, &context)?;
    let json = serde_json::to_value(&profile).explain("cannot write the profile as JSON")?;
    let mut text = String::new();
    write_text(&mut text, &profile).explain("cannot print the profile")?;
    Ok(Answer { text, json })
}

fn write_text(out: &mut String, profile: &Profile) -> std::fmt::Result {
    writeln!(out, "{}", profile.reading)?;
    writeln!(out, "{}; {} rows, {} bad", profile.format, profile.rows, profile.bad_rows)?;
    if let Some(label) = &profile.label {
        writeln!(
            out,
            "{}: {} of {} = {:.4} % (95 %: {:.4} % to {:.4} %)",
            label.column,
            label.positives,
            label.impressions,
            100.0 * label.rate,
            100.0 * label.low,
            100.0 * label.high
        )?;
    }
    if let Some(label) = profile.label.as_ref().filter(|label| !label.alternatives.is_empty()) {
        writeln!(out, "others that could be the label: {}", label.alternatives.join(", "))?;
    }
    for total in &profile.totals {
        let sum = numbers::grouped_sum(total.sum, ',');
        writeln!(out, "{}: {sum} ('{}', {} cells)", total.quantity, total.column, total.n)?;
    }
    write_experiment(out, profile)?;
    let width = profile.columns.iter().map(|column| column.name.chars().count()).max().unwrap_or_default();
    writeln!(out)?;
    for column in &profile.columns {
        let kind = format!("{:?}", column.kind).to_lowercase();
        writeln!(
            out,
            "{:width$}  {kind:8} {:12} {:>9} missing {:>9} distinct  {}",
            column.name,
            column.role.id(),
            column.missing,
            column.distinct,
            values(column)
        )?;
    }
    if !profile.issues.is_empty() {
        writeln!(out)?;
    }
    for issue in &profile.issues {
        let place = issue.column.as_ref().map(|column| format!(" '{column}'")).unwrap_or_default();
        let kind = format!("{:?}", issue.kind);
        writeln!(out, "! {kind}{place} ({}): {}", issue.count, issue.detail)?;
    }
    profile.notes.iter().try_for_each(|note| writeln!(out, "- {note}"))
}

fn write_experiment(out: &mut String, profile: &Profile) -> std::fmt::Result {
    let Some(test) = &profile.experiment else {
        return Ok(());
    };
    let arms: Vec<String> = test.arms.iter().map(|arm| format!("{} {}", arm.name, arm.rows)).collect();
    write!(out, "test '{}': {}", test.column, arms.join(", "))?;
    if let (Some(z), Some(p)) = (test.ratio_z, test.ratio_p) {
        write!(out, "; sample ratio z = {z:.2}, {}", significance::p_words(p))?;
    }
    writeln!(out)?;
    for outcome in &test.outcomes {
        let rates: Vec<String> = outcome
            .rates
            .iter()
            .map(|rate| {
                format!("{:.2} % ({:.2} to {:.2})", 100.0 * rate.rate, 100.0 * rate.low, 100.0 * rate.high)
            })
            .collect();
        write!(out, "  {}: {}", outcome.column, rates.join(" against "))?;
        let z = outcome.z.map(|z| format!("; z = {z:.2}")).unwrap_or_default();
        let p = outcome.p.map(|p| format!(", {}", significance::p_words(p))).unwrap_or_default();
        writeln!(out, "{z}{p}")?;
    }
    Ok(())
}

fn values(column: &ColumnProfile) -> String {
    let is_time = column.kind == crate::data::ColumnType::Time;
    match column.quantiles.filter(|_| column.top.is_empty() && !is_time) {
        Some(numbers) => format!("{} .. {} .. {}", numbers.min, numbers.median, numbers.max),
        None => {
            let top = column.top.iter().take(3);
            let shown = top.map(|top| top.value.chars().take(20).collect::<String>());
            shown.collect::<Vec<_>>().join(", ")
        }
    }
}
