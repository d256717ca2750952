//! `adloupe why`: why does a saved model give one row its probability, and what would it take to change it?

use super::evaluate::encoded;
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::{Failure, Result};
use crate::insight::prediction::{
    Counterfactual, Prediction, Shares, Slopes, counterfactual, predict_one, shares, slopes,
};
use crate::insight::similar::{Similar, SimilarRow, similar};
use crate::metrics::Estimate;
use crate::tasks::prediction::WANTED_ERROR;
use crate::train::TrainedModel;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Which row of which log, seen by which model.
#[derive(Debug, clap::Args)]
#[command(about = "Tells what each input of a row adds to its probability, and what other values would do")]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Row of the log, from 1.
    #[arg(long, value_name = "N")]
    row: u32,
    /// Another value of a field, FIELD=VALUE; may be given again.
    #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = parse_edit)]
    edits: Vec<(String, String)>,
    /// Looks for the fewest changes that lead to this probability, in percent.
    #[arg(long, value_name = "PERCENT")]
    reach: Option<f64>,
    /// A field that those changes leave alone; may be given again.
    #[arg(long, value_name = "FIELD", requires = "reach")]
    keep: Vec<String>,
}

/// # Errors
/// Text that is no `FIELD=VALUE`.
fn parse_edit(text: &str) -> Result<(String, String)> {
    text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| {
        Failure::new("cannot edit the row", format!("'{text}' is not FIELD=VALUE")).hint("city=Berlin")
    })
}

/// Scores the row and gives the reasons.
///
/// # Errors
/// The model or the log cannot be read, they do not fit together, there is no such row or field, or a probability that is
/// none.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    if args.reach.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
        return Err(Failure::new("cannot look for changes", "--reach is no probability").hint("0 to 100"));
    }
    let row = args.row.checked_sub(1).ok_or_else(|| {
        Failure::new("cannot look at the prediction", "rows are counted from 1").hint("--row 1 for the first")
    })?;
    let model = TrainedModel::load(&args.model)?;
    let log = args.source.open(&context)?;
    let encoded = encoded(&model.encoder, &log, &args.source, false, &context)?;
    let dataset = &encoded.dataset;
    let found = predict_one(&model, dataset, row, &args.edits, &context)?;
    found.row.notes.iter().for_each(|note| context.warn(note.clone()));
    let shared = shares(&model, dataset, &found.row, WANTED_ERROR, &context)?;
    let counts: Vec<f64> = shared.shares.iter().map(|share| share.log_odds.abs()).collect();
    let alike = similar(&model, dataset, &found.row, &counts, &context)?;
    let slopes = match slopes(&model, dataset, &found.row, &context) {
        Err(failure) if failure.is_cancelled() => return Err(failure),
        slopes => slopes,
    };
    let changes = match args.reach {
        Some(percent) => {
            let target = (percent / 100.0, args.keep.as_slice());
            Some(counterfactual(&model, dataset, &found.row, target, &context)?)
        }
        None => None,
    };
    let by_slopes = slope_text(&found, &slopes);
    let text = [
        told(&found),
        shared_text(&shared),
        by_slopes,
        similar_text(&alike),
        changes.as_ref().map(changed).unwrap_or_default(),
    ];
    let mut json = json_of(&model.kind, &found, &shared, changes.as_ref());
    json["similar"] = json_of_similar(&alike);
    json["integrated_gradients"] = json_of_slopes(&found, &slopes);
    Ok(Answer { text: text.join("\n").trim_end().to_owned(), json })
}

fn told(found: &Prediction) -> String {
    let edited = found.row.inputs.iter().any(|input| input.edited);
    let was = if edited { format!(" (as it was: {:.4} %)", 100.0 * found.p_unedited) } else { String::new() };
    let among = found.interval.as_ref().map_or_else(String::new, |interval| {
        format!("; one more member: {:.4} to {:.4} %, 95 %", 100.0 * interval.low, 100.0 * interval.high)
    });
    format!("row {}: {:.4} %{was}{among}", found.row.row + 1, 100.0 * found.p_click)
}

fn shared_text(found: &Shares) -> String {
    let mut order: Vec<_> = found.shares.iter().collect();
    order.sort_by(|a, b| b.log_odds.abs().total_cmp(&a.log_odds.abs()));
    let mut lines = vec![format!("{:>10} {:>10}  input", "log odds", "std. error")];
    lines.push(format!("{:>10.4} {:>10}  mean of {} training rows", found.base, "", found.background));
    let line = |share: &&crate::insight::prediction::Share| {
        format!("{:>+10.4} {:>10.4}  {} = {}", share.log_odds, share.error, share.name, share.value)
    };
    lines.extend(order.iter().map(line));
    lines.push(format!(
        "{:>10.4} {:>10}  this row; Shapley values over {} orders, forwards and backwards",
        found.log_odds, "", found.orders
    ));
    lines.join("\n")
}

fn similar_text(found: &Similar) -> String {
    format!(
        "the {} most similar of {} training rows were clicked {}; the model says {:.3} % for them",
        found.rate.trials,
        found.looked_through,
        found.rate.estimate().in_percent(),
        100.0 * found.predicted
    )
}

fn json_of_similar(found: &Similar) -> Value {
    let row = |row: &SimilarRow| json!({ "row": row.row + 1, "likeness": row.likeness, "label": row.label, "differs": row.differs });
    json!({
        "looked_through": found.looked_through,
        "known": found.known,
        "rate": found.rate,
        "predicted": found.predicted,
        "least": found.least,
        "rows": found.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn slope_text(found: &Prediction, slopes: &Result<Slopes>) -> String {
    let slopes = match slopes {
        Ok(slopes) => slopes,
        Err(failure) => return format!("integrated gradients: {}", failure.why),
    };
    let mut order: Vec<_> = found.row.inputs.iter().zip(&slopes.parts).collect();
    order.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let parts: Vec<String> = order.iter().map(|(input, part)| format!("{} {part:+.4}", input.name)).collect();
    format!(
        "integrated gradients from the average row ({:.4}) to {:.4}, before calibration, {} pieces, complete to {:.1e}: {}",
        slopes.base,
        slopes.log_odds,
        slopes.pieces,
        slopes.gap,
        parts.join(", ")
    )
}

fn json_of_slopes(found: &Prediction, slopes: &Result<Slopes>) -> Value {
    match slopes {
        Err(failure) => json!({ "refused": failure.why }),
        Ok(slopes) => {
            let named = found.row.inputs.iter().zip(&slopes.parts);
            let named = named.map(|(input, part)| json!({ "name": input.name, "log_odds": part }));
            json!({
                "base": slopes.base,
                "log_odds": slopes.log_odds,
                "pieces": slopes.pieces,
                "gap": slopes.gap,
                "inputs": named.collect::<Vec<_>>(),
            })
        }
    }
}

fn changed(found: &Counterfactual) -> String {
    let changes: Vec<String> =
        found.changes.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let p = Estimate::score_in_percent(found.p_click, found.interval, 4);
    match (found.crossed, changes.is_empty()) {
        (true, true) => format!("it lies beyond that probability already: {p}"),
        (true, false) => format!("fewest changes found: {} -> {p}", changes.join(", ")),
        (false, true) => "no change leads nearer".to_owned(),
        (false, false) => format!("not reached; {} -> {p}", changes.join(", ")),
    }
}

fn json_of(kind: &str, found: &Prediction, shared: &Shares, changes: Option<&Counterfactual>) -> Value {
    let inputs = found.row.inputs.iter().zip(&shared.shares).map(|(input, share)| {
        json!({
            "name": input.name,
            "value": input.value,
            "edited": input.edited,
            "log_odds": share.log_odds,
            "error": share.error,
        })
    });
    let ways = found.changes.iter().map(|change| {
        let way = |(value, p): &(String, f64)| json!({ "value": value, "p_click": p });
        json!({
            "name": change.name,
            "tried": change.tried,
            "known": change.known,
            "highest": way(&change.highest),
            "lowest": way(&change.lowest),
        })
    });
    json!({
        "model": kind,
        "row": found.row.row + 1,
        "p_click": found.p_click,
        "p_click_interval": found.interval.map(|interval| [interval.low, interval.high]),
        "p_unedited": found.p_unedited,
        "base": shared.base,
        "log_odds": shared.log_odds,
        "orders": shared.orders,
        "background": shared.background,
        "inputs": inputs.collect::<Vec<_>>(),
        "changes": ways.collect::<Vec<_>>(),
        "counterfactual": changes.map(|found| {
            json!({ "changes": found.changes, "p_click": found.p_click, "crossed": found.crossed })
        }),
    })
}
