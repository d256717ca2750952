//! `adloupe heads`: what does each attention head of a saved model look at, and would the model miss it?

use super::evaluate::asked;
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Failure, Result, failure::Explain};
use crate::data::{Dataset, LogFrame};
use crate::domain::Segment;
use crate::insight::heads::{Atlas, AtlasLayer, Head, atlas};
use crate::metrics::Estimate;
use crate::tasks::explain::asked_rows;
use crate::train::TrainedModel;
use std::path::PathBuf;

/// Which model and log, over which rows.
#[derive(Debug, clap::Args)]
#[command(about = "What each attention head of a saved model looks at, and what the model loses without it")]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Rows to look at, as text (`city = Berlin`); all test rows when not given.
    #[arg(long, value_name = "SEGMENT", default_value = "")]
    segment: String,
    /// Other rows to compare with.
    #[arg(long, value_name = "SEGMENT", conflicts_with = "beside")]
    against: Option<String>,
    /// Another model's folder to compare with, over the same rows.
    #[arg(long, value_name = "FOLDER")]
    beside: Option<PathBuf>,
    /// Also prints the mean map of one layer's heads, by the layer's name.
    #[arg(long, value_name = "LAYER")]
    map: Option<String>,
}

/// Looks.
///
/// # Errors
/// The model or the log cannot be read or do not fit together, the model has no attention, a segment has no rows, the
/// layer of `--map` is unknown.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let (model, log, encoded) = asked(&args.model, &args.source, &context)?;
    let look = |model: &TrainedModel, dataset: &Dataset, log: &LogFrame, segment: &str| {
        let (rows, words) = asked_rows(log, dataset, &Segment::parse(segment)?)?;
        Ok::<_, Failure>((words, atlas(model, dataset, &rows, &context)?))
    };
    let (words, seen) = look(&model, &encoded.dataset, &log, &args.segment)?;
    let against = match (&args.against, &args.beside) {
        (Some(segment), _) => Some(look(&model, &encoded.dataset, &log, segment)?),
        (None, Some(folder)) => {
            let (other, log, encoded) = asked(folder, &args.source, &context)?;
            let (words, atlas) = look(&other, &encoded.dataset, &log, &args.segment)?;
            Some((format!("{}, {words}", other.kind), atlas))
        }
        (None, None) => None,
    };
    let mut text = told(&model.kind, &words, &seen);
    if let Some((words, other)) = &against {
        text += "\n\nbeside it: ";
        text += &told("", words, other);
    }
    if let Some(layer) = &args.map {
        text += &map_of(&seen, layer)?;
    }
    let json = serde_json::json!({
        "rows": words,
        "heads": serde_json::to_value(&seen).explain("cannot write the answer")?,
        "against": serde_json::to_value(&against).explain("cannot write the answer")?,
    });
    Ok(Answer { text, json })
}

fn told(kind: &str, words: &str, atlas: &Atlas) -> String {
    let mut lines = vec![format!(
        "{kind} over {} of {} rows ({words}), evenly spread; without each head on {} rows, log loss {}",
        grouped(atlas.rows_run as f64, ' '),
        grouped(atlas.rows_asked as f64, ' '),
        grouped(atlas.rows_measured as f64, ' '),
        atlas.log_loss.map_or_else(|| "n/a".to_owned(), |loss| format!("{loss:.5}")),
    )];
    lines.push(format!(
        "{:<24} {:>4} {:>26} {:>26} {:>26} {:>10} {:>34}",
        "layer",
        "head",
        "evenness (1 = all alike)",
        "events back",
        "weight of itself",
        "pull",
        "log loss without it, more by"
    ));
    for layer in &atlas.layers {
        lines.extend(layer.heads.iter().enumerate().map(|(place, head)| line(layer, place, head)));
    }
    lines.join("\n")
}

fn line(layer: &AtlasLayer, place: usize, head: &Head) -> String {
    format!(
        "{:<24} {:>4} {:>26} {:>26} {:>26} {:>10.4} {:>34}",
        layer.name,
        place + 1,
        Estimate::known_in_words(head.evenness, 3),
        Estimate::known_in_words(head.distance, 2),
        Estimate::known_in_words(head.own, 3),
        head.pull,
        Estimate::known_in_words(head.loss_without, 5),
    )
}

fn map_of(atlas: &Atlas, name: &str) -> Result<String> {
    let layer = atlas.layers.iter().find(|layer| layer.name == name).ok_or_else(|| {
        let known: Vec<&str> = atlas.layers.iter().map(|layer| layer.name.as_str()).collect();
        Failure::new("cannot print the map", format!("the model has no attention layer '{name}'"))
            .hint(format!("one of: {}", known.join(", ")))
    })?;
    let mut lines = vec![String::new()];
    for (place, head) in layer.heads.iter().enumerate() {
        lines.push(format!(
            "\n{name}, head {}: who asks, and the mean weight of each who is asked",
            place + 1
        ));
        let columns = layer.members.len().max(1);
        for (question, weights) in layer.questions.iter().zip(head.map.chunks_exact(columns)) {
            let known = layer.members.iter().zip(weights).filter(|(_, weight)| !weight.is_nan());
            let told: Vec<String> = known.map(|(member, weight)| format!("{member} {weight:.3}")).collect();
            lines.push(format!("  {question}: {}", told.join(", ")));
        }
    }
    Ok(lines.join("\n"))
}
