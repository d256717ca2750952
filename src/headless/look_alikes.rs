//! `adloupe look-alikes`: who else is like the people of a segment?

use super::evaluate::asked;
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Result, failure::Explain};
use crate::data::query::matching_rows;
use crate::domain::Segment;
use crate::insight::look_alikes::{BY_OUTCOME, LookAlikeQuestion, LookAlikes, look_alikes};
use std::path::PathBuf;

/// Like whom, by which model.
#[derive(Debug, clap::Args)]
#[command(about = "People who are like those of a segment by a model's vectors, checked on people kept out")]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// The people that others should be like, as text (`category = 'games' and click = 1`).
    #[arg(long, value_name = "SEGMENT")]
    segment: String,
    /// People to add.
    #[arg(long, value_name = "N", default_value_t = 200)]
    add: usize,
    /// Fewer people than this make no audience.
    #[arg(long, value_name = "K", default_value_t = 50)]
    k: usize,
}

/// Looks.
///
/// # Errors
/// The model or the log cannot be read or do not fit together, or what [`look_alikes`] refuses.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let (model, log, encoded) = asked(&args.model, &args.source, &context)?;
    let segment = Segment::parse(&args.segment)?;
    let rows = matching_rows(&log, &segment)?;
    let question = LookAlikeQuestion { segment, most: args.add, k: args.k };
    let found = look_alikes(&model, &encoded.dataset, &log, (&rows, &question), &context)?;
    let json = serde_json::to_value(&found).explain("cannot write the answer")?;
    Ok(Answer { text: text(&model.kind, &found), json })
}

fn text(kind: &str, found: &LookAlikes) -> String {
    let [seeds, unknown, others] = found.users.map(|users| grouped(users as f64, ' '));
    let mut lines = vec![
        format!(
            "by {kind}: {seeds} people of the segment, {others} others ({unknown} of the segment unknown to it)"
        ),
        format!(
            "half of them, by what the other half shows: AUC {} (0.5 tells nothing); of the most alike {} are of the segment, of all {:.1} %",
            found.auc.in_words(3),
            found.share_of_most_alike.estimate().in_percent(),
            100.0 * found.share_of_all
        ),
        format!("{} people added; click rates on rows that the model was not fitted on:", found.added.len()),
    ];
    for (name, rate) in ["segment", "added", "others"].iter().zip(&found.click_rates) {
        let shown = if rate.is_known() { rate.estimate().in_percent() } else { "n/a".to_owned() };
        lines.push(format!("  {name:<8} {shown:>28} of {:>9} impressions", grouped(rate.trials, ' ')));
    }
    if found.by_outcome {
        lines.push(format!("  {BY_OUTCOME}"));
    }
    lines.push(format!("the audience: {}", found.audience));
    lines.join("\n")
}
