//! `adloupe evaluate`: how good is a saved model on a log?

use super::slices::split_of;
use super::source::SourceArgs;
use super::train::{before_calibration, extend, measures, of_conversions, table};
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Failure, Result, failure::Explain};
use crate::data::dataset::{EncodedLog, encode_all, take_known};
use crate::data::{Dataset, Encoder, LogFrame, Role, Split};
use crate::insight::by_column::{ByColumn, by_column};
use crate::insight::dependence::{Dependence, dependence};
use crate::insight::evaluation::{Scored, judge};
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use crate::train::{TrainedModel, measure};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Measures a saved model on a log: AUC, log loss, calibration, with intervals.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Takes a log that lacks columns of the model: they count as missing in every row.
    #[arg(long)]
    missing_columns: bool,
    /// Rows to measure on. auto: the test part of the log that the model was trained on, all rows of any other.
    #[arg(long, value_parser = ["auto", "train", "validation", "test", "all"], default_value = "auto")]
    split: String,
    /// Adds every point of the curves, the reliability groups and the table by score to the JSON object.
    #[arg(long)]
    curves: bool,
    /// Tells actual and predicted click rates of the groups of this column too.
    #[arg(long, value_name = "COLUMN")]
    by: Option<String>,
    /// Tells what the model makes of this field: mean probabilities of the same rows with each of its values.
    #[arg(long, value_name = "FIELD")]
    field: Option<String>,
}

/// Scores the rows and measures the scores.
///
/// # Errors
/// The model or the log cannot be read, they do not fit together, or the log has no outcome.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let model = Arc::new(TrainedModel::load(&args.model)?);
    let log = args.source.open(&context)?;
    let encoded = encoded(&model.encoder, &log, &args.source, args.missing_columns, &context)?;
    let dataset = &encoded.dataset;
    if dataset.label.is_empty() {
        let what = "cannot evaluate the model";
        return Err(Failure::new(what, "the log does not say what was clicked")
            .at(args.source.name())
            .hint("give the click column the role label with --role, or use predict"));
    }
    check_outcome(&log, &model.encoder.label, &args.source.roles)?;
    let (split, rows) = rows(&args.split, &model, dataset);
    let predicted = model.predict(dataset, &rows, &context)?;
    let numbers = measure(dataset, &rows, &predicted);
    let mut json = json!({
        "model": model.kind,
        "device": model.device(),
        "split": split,
        "rows": rows.len(),
    });
    extend(&mut json, measures(numbers));
    let mut text = table(numbers);
    if model.is_calibrated() {
        let before = measure(dataset, &rows, &model.predict_uncalibrated(dataset, &rows, &context)?);
        extend(&mut json, json!({ "uncalibrated": measures(before) }));
        text = format!("{text}\n{}", before_calibration(&before));
    }
    if let Some(numbers) = model.measure_conversions(dataset, &rows, &predicted, &context)? {
        extend(&mut json, json!({ "conversions": measures(numbers) }));
        text = format!("{text}\n{}", of_conversions(numbers));
    }
    if args.curves {
        let judged = judge(Scored {
            predicted: &predicted,
            labels: &take_known(&dataset.label, &rows),
            weights: &take_known(&dataset.weight, &rows),
            truth: &take_known(&dataset.truth, &rows),
            users: &take_known(&dataset.users, &rows),
        })?;
        let judged = serde_json::to_value(&judged).explain("cannot write the answer")?;
        extend(&mut json, json!({ "evaluation": judged }));
    }
    if let Some(column) = &args.by {
        let told = told_by(column, split, &model, dataset, &log, &context)?;
        text = format!("{text}\n{}", column_text(&told));
        extend(&mut json, json!({ "by_column": told }));
    }
    if let Some(field) = &args.field {
        let of = if split == "all" { Split::Test } else { split_of(split) };
        let found = dependence(&model, dataset, (of, field), &context)?;
        text = format!("{text}\n{}", field_text(&found));
        let found = serde_json::to_value(&found).explain("cannot write the answer")?;
        extend(&mut json, json!({ "field": found }));
    }
    let head = format!("{} on {}, {} rows ({split})", model.kind, model.device(), rows.len());
    Ok(Answer { text: format!("{head}\n{text}"), json })
}

/// The rates of the groups of a column, on one part of the log.
fn told_by(
    column: &str,
    split: &str,
    model: &Arc<TrainedModel>,
    dataset: &Dataset,
    log: &LogFrame,
    context: &JobContext,
) -> Result<ByColumn> {
    if split == "all" {
        return Err(Failure::new("cannot tell the rates by column", "they are told of one part of the log")
            .hint("--split test, validation or train"));
    }
    let asked = (split_of(split), None, column);
    by_column(std::slice::from_ref(model), &[dataset], log, asked, context)
}

fn field_text(found: &Dependence) -> String {
    let mut lines = vec![format!(
        "{:>28} {:>10} {:>10}  {} (the same {} rows with each value)",
        "mean probability, 95 %", "local", "rows", found.field, found.rows
    )];
    lines.extend(found.values.iter().map(|value| {
        let local = value.local.map_or_else(String::new, |local| format!("{:.3} %", 100.0 * local));
        format!("{:>28} {local:>10} {:>10}  {}", value.mean.in_percent(), value.rows_here, value.name)
    }));
    lines.join("\n")
}

fn column_text(told: &ByColumn) -> String {
    let mut lines = vec![format!(
        "{:>11} {:>28} {:>9} {:>21}  {}",
        "impressions", "CTR, 95 %", "predicted", "predicted / actual", told.column
    )];
    lines.extend(told.groups.iter().map(|group| {
        let ratio = Estimate::known_in_words(group.ratio.first().copied().flatten(), 2);
        format!(
            "{:>11} {:>28} {:>7.3} % {ratio:>21}  {}",
            grouped(group.actual.trials, ' '),
            group.actual.estimate().in_percent(),
            100.0 * group.predicted[0],
            group.name
        )
    }));
    if told.untold > 0 {
        lines.push(format!("and {} smaller groups", told.untold));
    }
    lines.join("\n")
}

/// A saved model with the log that it is asked about, as it reads it.
///
/// # Errors
/// Either cannot be read, they do not fit together, or the log has another outcome.
pub(super) fn asked(
    folder: &Path,
    source: &SourceArgs,
    context: &JobContext,
) -> Result<(TrainedModel, LogFrame, EncodedLog)> {
    let model = TrainedModel::load(folder)?;
    let log = source.open(context)?;
    check_outcome(&log, &model.encoder.label, &source.roles)?;
    let encoded = encoded(&model.encoder, &log, source, false, context)?;
    Ok((model, log, encoded))
}

/// The log as the model reads it; with `gaps` a column that it lacks counts as missing, and that is told.
pub(super) fn encoded(
    encoder: &Arc<Encoder>,
    log: &LogFrame,
    source: &SourceArgs,
    gaps: bool,
    context: &JobContext,
) -> Result<EncodedLog> {
    let encoded = encode_all(encoder, log, (&source.files, &source.options()?), gaps, context)?;
    if gaps {
        encoded.dataset.notes.iter().for_each(|note| context.warn(note.clone()));
    }
    Ok(encoded)
}

/// A model of clicks must not be measured by, say, the conversions that a log without clicks is read by, unless
/// the person named that column.
pub(super) fn check_outcome(log: &LogFrame, trained_on: &str, roles: &[(String, Role)]) -> Result<()> {
    let outcome = log.schema.with_role(Role::Label).or_else(|| log.schema.with_role(Role::Clicks));
    let Some(found) = outcome.map(|column| column.name.as_str()).filter(|name| *name != trained_on) else {
        return Ok(());
    };
    if roles.iter().any(|(_, role)| matches!(role, Role::Label | Role::Clicks)) {
        return Ok(());
    }
    let why = format!("the model predicts '{trained_on}', but this log's outcome is '{found}'");
    Err(Failure::new("cannot evaluate the model", why)
        .at(log.source.path.display())
        .hint(format!("--role {found}=label if both mean the same")))
}

/// The rows that a word asks for, and the word for what they are.
fn rows<'a>(word: &'a str, model: &TrainedModel, dataset: &Dataset) -> (&'a str, Vec<u32>) {
    let word = match word {
        "auto" if model.card.data.is_of(dataset) => "test",
        "auto" => "all",
        word => word,
    };
    let part = |split| dataset.rows_of(split).to_vec();
    let rows = match word {
        "train" => part(Split::Train),
        "validation" => part(Split::Validation),
        "test" => part(Split::Test),
        _ => [Split::Train, Split::Validation, Split::Test].map(part).concat(),
    };
    (word, rows)
}
