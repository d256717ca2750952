//! `adloupe reproduce NAME`: do our figures agree with those that somebody else published?
//!
//! Every answer has the same form, whatever was reproduced: one row a figure, with the published value, where it
//! stands, ours, the interval that counts as agreement, and whether ours lies in it.

mod ease;
mod gowalla;
mod import;
mod irgan;
mod light_gcn;
mod obd;
mod ranking;
mod ratings;
mod sasrec;
mod upworthy;

use super::{Answer, Terminal};
use crate::base::{Failure, Result, failure::Explain};
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;

/// Compares our figures with published ones.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to reproduce: import (files and what is in them), ease (EASE on Gowalla: 3.5 GB of memory), gowalla (ranking
    /// all items), irgan (a generator against a judge on the split of IRGAN's authors), lightgcn (vectors smoothed over Gowalla's graph), ml100k (ratings by biases
    /// and vectors), obd (off-policy estimates on the Open Bandit logs), sasrec (attention over what people reviewed before),
    /// upworthy (which of two headlines is clicked more, by their texts).
    pub name: String,
    /// The folder with the published figures (expected.json for import) and the files they are about.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Passes over the data, for lightgcn and sasrec; fewer end sooner and further from the published.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub passes: Option<u16>,
}

/// What learns in passes that may be told.
const IN_PASSES: [&str; 2] = ["lightgcn", "sasrec"];

/// One figure, held against ours.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// File and figure.
    pub quantity: String,
    /// What was published.
    pub published: Value,
    /// Where it stands.
    pub source: String,
    /// What we find.
    pub ours: Value,
    /// Lowest value of ours that agrees; `None` for words.
    pub low: Option<f64>,
    /// Highest value of ours that agrees.
    pub high: Option<f64>,
    /// Whether ours agrees.
    pub within: bool,
}

/// A figure that we have no answer to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unanswered {
    /// File and figure.
    pub quantity: String,
    /// What was published.
    pub published: Value,
}

/// All figures.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Comparison {
    /// Figures with an answer.
    pub rows: Vec<Row>,
    /// Figures without one.
    pub not_answered: Vec<Unanswered>,
    /// What is found beside what was published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// Compares and tells.
///
/// # Errors
/// An unknown name, a folder without figures, Ctrl-C.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    if args.passes.is_some() && !IN_PASSES.contains(&args.name.as_str()) {
        let why = format!("'{}' has no passes that could be told", args.name);
        return Err(Failure::new("cannot reproduce", why).hint("leave --passes away"));
    }
    let passes = args.passes.map(usize::from);
    let comparison = match args.name.as_str() {
        "ease" => ease::compare(&args.data, &terminal.context())?,
        "gowalla" => gowalla::compare(&args.data, &terminal.context())?,
        "import" => import::compare(&args.data, &terminal.context())?,
        "irgan" => irgan::compare(&args.data, &terminal.context())?,
        "lightgcn" => light_gcn::compare(&args.data, passes, &terminal.context())?,
        "ml100k" => ratings::compare(&args.data, &terminal.context())?,
        "obd" => obd::compare(&args.data, &terminal.context())?,
        "sasrec" => sasrec::compare(&args.data, passes, &terminal.context())?,
        "upworthy" => upworthy::compare(&args.data, &terminal.context())?,
        other => {
            let why = format!("nothing is known by the name '{other}'");
            return Err(Failure::new("cannot reproduce", why)
                .hint("one of: import, ease, gowalla, irgan, lightgcn, ml100k, obd, sasrec, upworthy"));
        }
    };
    let json = serde_json::to_value(&comparison).explain("cannot write the comparison as JSON")?;
    Ok(Answer { text: comparison.to_text(), json })
}

impl Comparison {
    /// A table for people; the differences once more at the end.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let width = self.rows.iter().map(|row| row.quantity.chars().count()).max().unwrap_or_default();
        let line = |row: &Row| {
            let within = if row.within { "yes" } else { "NO" };
            let (published, ours) = (words(&row.published), words(&row.ours));
            format!("{:width$}  {published:>16}  {ours:>16}  {within}\n", row.quantity)
        };
        self.rows.iter().for_each(|row| text += &line(row));
        if !self.not_answered.is_empty() {
            text += "\nnot answered:\n";
            let mut by_figure: Vec<(&str, Vec<&str>)> = Vec::new();
            for figure in &self.not_answered {
                let (file, name) = figure.quantity.rsplit_once(": ").unwrap_or(("", &figure.quantity));
                match by_figure.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, files)) => files.push(file),
                    None => by_figure.push((name, vec![file])),
                }
            }
            for (name, files) in by_figure {
                let more =
                    if files.len() > 1 { format!(" and {} more", files.len() - 1) } else { String::new() };
                text += &format!("{name}: {}{more}\n", files.first().copied().unwrap_or_default());
            }
        }
        let outside: Vec<&Row> = self.rows.iter().filter(|row| !row.within).collect();
        if !outside.is_empty() {
            text += "\nnot within:\n";
            outside.iter().for_each(|row| text += &line(row));
        }
        text += &format!(
            "\n{} of {} figures within, {} not answered\n",
            self.rows.len() - outside.len(),
            self.rows.len(),
            self.not_answered.len()
        );
        self.remarks.iter().for_each(|remark| text += &format!("\n{remark}\n"));
        text
    }
}

fn words(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= 60 { text } else { text.chars().take(59).chain(['…']).collect() }
}
