//! How is a model handed to somebody who has no adloupe? One page with its figures, their intervals and limits, and the
//! command under each that gives the same numbers; the same figures as one JSON object.

mod chart;
mod content;
mod html;
mod pdf;

use super::by_column::{ByColumn, by_column};
use super::comparison::judged_rows;
use super::evaluation::{Evaluation, evaluate};
use super::fairness::{Fairness, FairnessQuestion, fairness};
use super::slices::slices;
use crate::base::calendar::date_of;
use crate::base::files::write_atomically;
use crate::base::{Failure, Result, failure::Explain};
use crate::data::dataset::take_known;
use crate::data::query::misfit::{MisfitQuery, MisfitReport};
use crate::data::{Dataset, LogFrame, Split};
use crate::jobs::JobContext;
use crate::metrics::{Differences, Outcomes};
use crate::train::TrainedModel;
use crate::train::card::ModelCard;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Fewer clicks than this make every figure shaky.
const FEW_CLICKS: f64 = 100.0;

/// What goes into a report.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportPlan {
    /// Columns whose groups are told, actual beside predicted.
    pub columns: Vec<String>,
    /// Column whose groups are compared for fairness.
    pub fairness: Option<String>,
    /// What the models are called in commands: their folders, or a placeholder for one that was never saved.
    pub folders: Vec<String>,
    /// The files of the log.
    pub files: Vec<PathBuf>,
}

/// The figures.
#[derive(Debug, Serialize)]
pub struct ModelReport {
    /// The day it was made, UTC.
    pub made_on: String,
    /// Version of this program.
    pub version: String,
    /// The log's name.
    pub log: String,
    /// Rows of the log.
    pub log_rows: usize,
    /// Where the model comes from.
    pub card: ModelCard,
    /// The test rows under the model.
    pub evaluation: Evaluation,
    /// Other models on the same rows.
    pub others: Vec<OtherModel>,
    /// Actual and predicted rates by column.
    pub columns: Vec<ByColumn>,
    /// Where the model fails.
    pub slices: MisfitReport,
    /// How it treats groups.
    pub fairness: Option<Fairness>,
    /// What was left out, and why.
    pub left_out: Vec<String>,
    /// What the figures cannot tell.
    pub limits: Vec<String>,
    /// The command that gives the figures of each part.
    pub commands: Commands,
}

/// A model beside the first.
#[derive(Debug, Serialize)]
pub struct OtherModel {
    /// Its kind.
    pub kind: String,
    /// The same rows under it.
    pub evaluation: Evaluation,
    /// How much higher its numbers are than the first model's, paired.
    pub differences: Differences,
}

/// The command of each part.
#[derive(Debug, Default, Serialize)]
pub struct Commands {
    /// Numbers and curves.
    pub evaluate: String,
    /// Several models.
    pub rank: Option<String>,
    /// Rates by column, one a column.
    pub columns: Vec<String>,
    /// Slices.
    pub slices: String,
    /// Fairness.
    pub fairness: Option<String>,
}

/// Makes the report of the first model; `datasets` holds the log as each model reads it.
///
/// # Errors
/// The first model cannot be judged on the log's test rows; a cancel.
pub fn report(
    models: &[Arc<TrainedModel>],
    datasets: &[&Dataset],
    log: &LogFrame,
    plan: &ReportPlan,
    context: &JobContext,
) -> Result<ModelReport> {
    let (Some(model), Some(dataset)) = (models.first(), datasets.first()) else {
        return Err(Failure::new("cannot make the report", "there is no model").hint("train one"));
    };
    let rows = &dataset.test;
    let evaluation = evaluate(model, dataset, rows, context)?;
    let mut left_out = Vec::new();
    let mut others = Vec::new();
    for (other, read) in models.iter().zip(datasets).skip(1) {
        match judged_beside((model, dataset), (other, read), context) {
            Err(failure) if failure.is_cancelled() => return Err(failure),
            Err(failure) => left_out.push(format!("{}: {}", other.kind, failure.why)),
            Ok(judged) => others.push(judged),
        }
    }
    let mut columns = Vec::new();
    for column in &plan.columns {
        let asked = (Split::Test, None, column.as_str());
        match by_column(&models[..1], &datasets[..1], log, asked, context) {
            Err(failure) if failure.is_cancelled() => return Err(failure),
            Err(failure) => left_out.push(format!("rates by {column}: {}", failure.why)),
            Ok(told) => columns.push(told),
        }
    }
    let found = slices(model, dataset, log, (Split::Test, &MisfitQuery::default()), context);
    let slices = noted(found, "slices", &mut left_out)?.unwrap_or_default();
    let fairness = match &plan.fairness {
        None => None,
        Some(column) => {
            let question = FairnessQuestion {
                column: column.clone(),
                threshold: None,
                value_over_cost: None,
                min_impressions: 100.0,
            };
            let found = fairness(model, dataset, log, (Split::Test, &question), context);
            noted(found, &format!("fairness by {column}"), &mut left_out)?
        }
    };
    Ok(ModelReport {
        made_on: today(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        log: model.card.data.source.clone(),
        log_rows: dataset.rows,
        limits: limits(&evaluation, model),
        card: model.card.clone(),
        commands: commands(plan, &columns, fairness.is_some()),
        evaluation,
        others,
        columns,
        slices,
        fairness,
        left_out,
    })
}

/// An answer, or the reason why there is none among what was left out; a cancel is passed on.
fn noted<T>(found: Result<T>, what: &str, left_out: &mut Vec<String>) -> Result<Option<T>> {
    match found {
        Err(failure) if failure.is_cancelled() => Err(failure),
        Err(failure) => {
            left_out.push(format!("{what}: {}", failure.why));
            Ok(None)
        }
        Ok(found) => Ok(Some(found)),
    }
}

fn judged_beside(
    (first, of_first): (&TrainedModel, &Dataset),
    (other, of_other): (&TrainedModel, &Dataset),
    context: &JobContext,
) -> Result<OtherModel> {
    let (_, rows) = judged_rows(&[of_first, of_other], Split::Test)?;
    let predicted = first.predict(of_first, rows, context)?;
    let second = other.predict(of_other, rows, context)?;
    let (labels, weights) = (take_known(&of_first.label, rows), take_known(&of_first.weight, rows));
    let users = take_known(&of_first.users, rows);
    let outcomes = Outcomes { predicted: &predicted, labels: &labels, weights: &weights, users: &users };
    Ok(OtherModel {
        kind: other.kind.clone(),
        evaluation: evaluate(other, of_other, rows, context)?,
        differences: Differences::of(outcomes, &second),
    })
}

fn limits(evaluation: &Evaluation, model: &TrainedModel) -> Vec<String> {
    let clicks = evaluation.clicks.successes;
    let mut limits = vec![
        "The figures are of the latest rows of one log; they say nothing about other audiences or times.".to_owned(),
        "Intervals are 95 %: AUC by DeLong, rates by Wilson, other measures by resampling users. They tell of chance in \
         the test rows, not of another training with another seed."
            .to_owned(),
        "A model learns what was shown: ads and users that the log never paired are extrapolated.".to_owned(),
    ];
    if clicks < FEW_CLICKS {
        limits.push(format!("There are only {clicks:.0} clicks in the test rows: every figure is shaky."));
    }
    if evaluation.scores.auc_of_truth.is_some() {
        limits.push("The log is simulated: its true probabilities are known and shown.".to_owned());
    }
    limits.extend(model.card.data.notes.iter().cloned());
    limits
}

fn commands(plan: &ReportPlan, columns: &[ByColumn], with_fairness: bool) -> Commands {
    let quoted = |text: &str| {
        let plain = text.chars().all(|c| c.is_alphanumeric() || "._-/\\:=".contains(c));
        if plain && !text.is_empty() { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
    };
    let files: Vec<String> = plan.files.iter().map(|path| quoted(&path.to_string_lossy())).collect();
    let files = files.join(" ");
    let folders: Vec<String> = plan.folders.iter().map(|folder| quoted(folder)).collect();
    let first = folders.first().cloned().unwrap_or_default();
    Commands {
        evaluate: format!("adloupe evaluate {first} {files} --split test --curves --json"),
        rank: (folders.len() > 1).then(|| {
            let models: Vec<String> = folders.iter().map(|folder| format!("--model {folder}")).collect();
            format!("adloupe rank {files} {}", models.join(" "))
        }),
        columns: columns
            .iter()
            .map(|told| {
                format!("adloupe evaluate {first} {files} --split test --by {}", quoted(&told.column))
            })
            .collect(),
        slices: format!("adloupe slices {first} {files}"),
        fairness: plan
            .fairness
            .as_ref()
            .filter(|_| with_fairness)
            .map(|column| format!("adloupe fairness {first} {files} --by {}", quoted(column))),
    }
}

/// Today in UTC, `2026-11-27`.
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = date_of((seconds / 86_400) as i64);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Endings that a given name may have and that say nothing beside it.
const ENDINGS: [&str; 4] = ["html", "htm", "pdf", "json"];

/// Writes the report beside `path`, with its name: as a page (.html), on paper (.pdf) and its figures (.json); answers
/// with the three paths.
///
/// # Errors
/// A folder or disk that refuses.
pub fn write(report: &ModelReport, path: &Path) -> Result<[PathBuf; 3]> {
    let what = "cannot write the report";
    let named = match path.extension().and_then(|ending| ending.to_str()) {
        Some(ending) if ENDINGS.contains(&ending.to_lowercase().as_str()) => path.with_extension(""),
        _ => path.to_owned(),
    };
    let ending = |ending: &str| {
        let mut name = named.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    let paths = [ending(".html"), ending(".pdf"), ending(".json")];
    let (title, blocks) = (format!("{} on {}", report.card.kind, report.log), content::blocks(report));
    let [page, paper, figures] = &paths;
    let drawn = pdf::pdf(&title, &blocks)?;
    let numbers = serde_json::to_vec_pretty(report).explain(what)?;
    for (path, bytes) in
        [(page, html::html(&title, &blocks).as_bytes()), (paper, drawn.as_slice()), (figures, &numbers)]
    {
        write_atomically(path, |file| file.write_all(bytes).explain(what))?;
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_quote_what_a_shell_would_take_apart() {
        let plan = ReportPlan {
            columns: vec!["年龄 段".into()],
            fairness: Some("gender".into()),
            folders: vec!["models/my model".into(), "b".into()],
            files: vec!["日志 1.csv".into()],
        };
        let told = ByColumn { column: "年龄 段".into(), models: vec![], groups: vec![], untold: 0 };
        let found = commands(&plan, &[told], true);
        assert_eq!(
            found.columns,
            ["adloupe evaluate 'models/my model' '日志 1.csv' --split test --by '年龄 段'"]
        );
        assert_eq!(found.rank.unwrap(), "adloupe rank '日志 1.csv' --model 'models/my model' --model b");
        assert!(found.fairness.unwrap().ends_with("--by gender"));
    }
}
