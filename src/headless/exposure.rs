//! `adloupe exposure`: whom does a saved model show what, and does it narrow what people see?

use super::evaluate::encoded;
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Failure, Result, failure::Explain};
use crate::insight::exposure::{Exposure, ExposureQuestion, ad_fields, exposure};
use crate::metrics::Estimate;
use crate::train::TrainedModel;
use std::path::PathBuf;

/// Which model and log, by which fields.
#[derive(Debug, clap::Args)]
#[command(
    about = "Whom a saved model shows what: exposure of ads by group and by people, and whether lists are narrower than the past"
)]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// The field of ads whose values are the groups; the first that the model reads when not given.
    #[arg(long, value_name = "FIELD")]
    by: Option<String>,
    /// A field of users whose values are told apart.
    #[arg(long, value_name = "FIELD")]
    people: Option<String>,
    /// Length of a list.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
}

/// Makes the lists.
///
/// # Errors
/// The model or the log cannot be read or do not fit together, the log has no users or ads, a field is unknown.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let model = TrainedModel::load(&args.model)?;
    let log = args.source.open(&context)?;
    let encoded = encoded(&model.encoder, &log, &args.source, false, &context)?;
    let by = args.by.clone().or_else(|| ad_fields(&model.encoder).first().cloned());
    let by = by.ok_or_else(|| {
        Failure::new(
            "cannot tell whom the model shows what",
            "the model reads no field of ads but their names",
        )
        .hint("a log with categories or campaigns of ads")
    })?;
    let question = ExposureQuestion { by, people: args.people.clone(), k: args.top };
    let found = exposure(&model, &encoded.dataset, &question, &context)?;
    let json = serde_json::to_value(&found).explain("cannot write the answer")?;
    Ok(Answer { text: text(&model.kind, &found), json })
}

fn text(kind: &str, found: &Exposure) -> String {
    let mut lines = vec![format!(
        "{kind}: the first {} of {} ads for {} of {} users of the test rows, evenly spread",
        found.question.k,
        grouped(found.ads as f64, ' '),
        grouped(found.users as f64, ' '),
        grouped(found.users_known as f64, ' ')
    )];
    lines.push(format!(
        "{} ads are shown to anybody; Gini of their places {:.3} (of the logged impressions {:.3}); two users share {:.1} % of a list",
        grouped(found.ads_shown as f64, ' '),
        found.gini,
        found.gini_logged,
        100.0 * found.alike
    ));
    lines.push(format!(
        "a list is {} groups wide; wider than the last {} impressions of the same user by {} ({} users; below 0: narrower)",
        Estimate::known_in_words(found.width, 2),
        found.question.k,
        Estimate::known_in_words(found.wider_than_past, 2),
        grouped(found.users_with_past as f64, ' ')
    ));
    lines.push(format!(
        "{:>6} {:>30} {:>30}  {}",
        "ads", "share of impressions, 95 %", "share of lists, 95 %", found.question.by
    ));
    for group in &found.groups {
        let shown = group.shown.map_or_else(|| "n/a".to_owned(), |shown| shown.in_percent());
        lines.push(format!(
            "{:>6} {:>30} {:>30}  {}",
            group.ads,
            group.logged.estimate().in_percent(),
            shown,
            group.name
        ));
    }
    for people in &found.people {
        let shares: Vec<String> = found
            .groups
            .iter()
            .zip(people.shown.iter().enumerate())
            .filter_map(|(group, (place, shown))| {
                let more = people.more.get(place).copied().flatten();
                let more = more.map_or_else(String::new, |more| {
                    format!(
                        " ({:+.1}: {:+.1} to {:+.1})",
                        100.0 * more.value,
                        100.0 * more.low,
                        100.0 * more.high
                    )
                });
                Some(format!("{} {:.1} %{more}", group.name, 100.0 * shown.as_ref()?.value))
            })
            .collect();
        lines.push(format!("{} ({} users): {}", people.name, people.users, shares.join(", ")));
    }
    if !found.people.is_empty() {
        lines.push("differences in points to the largest group of people, 95 %, users as units".to_owned());
    }
    lines.join("\n")
}
