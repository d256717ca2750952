//! `adloupe federated`: a model trained on clients whose rows nobody gathers.

use super::source::SourceArgs;
use super::train::name_value;
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Result, failure::Explain, files::check_writable};
use crate::data::dataset::open_prepared;
use crate::data::options::EncodeOptions;
use crate::metrics::Estimate;
use crate::train::TrainedModel;
use crate::train::federated::{Federated, Federation, Noise, federate};
use serde_json::json;
use std::path::PathBuf;

/// Which log, split among whom, and how they train.
#[derive(Debug, clap::Args)]
#[command(
    about = "Trains a model on clients, the rows of each value of a column: FedAvg, masked sums, noise with epsilon"
)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Kind of model that steps: logistic, fm, deep_fm, ...
    #[arg(long, default_value = "logistic")]
    model: String,
    /// The column whose values are the clients.
    #[arg(long, value_name = "COLUMN")]
    by: String,
    /// Rounds at most.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Probability of each client to take part in a round.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    share: f64,
    /// Passes of a client over its rows in a round.
    #[arg(long, value_name = "N", default_value_t = 1)]
    local_epochs: usize,
    /// Rows of a client's step; 0 for all of them.
    #[arg(long, value_name = "ROWS", default_value_t = 64)]
    batch: usize,
    /// Learning rate of a client's plain gradient steps.
    #[arg(long, default_value_t = 0.1)]
    rate: f64,
    /// Deviation of the noise in the sum of a round, in clipping lengths; none without it.
    #[arg(long, value_name = "DEVIATION")]
    noise: Option<f64>,
    /// Length that a client's change is clipped to.
    #[arg(long, value_name = "LENGTH", default_value_t = 1.0, requires = "noise")]
    clip: f64,
    /// Probability with which more may be told than epsilon says.
    #[arg(long, default_value_t = 1e-5, requires = "noise")]
    delta: f64,
    /// Epsilon at most: rounds end before it is spent.
    #[arg(long, value_name = "EPSILON", default_value_t = 8.0, requires = "noise")]
    budget: f64,
    /// A knob of the model, name=value; may be given again.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_value)]
    set: Vec<(String, String)>,
    /// Start of every random draw.
    #[arg(long)]
    seed: Option<u64>,
    /// Folder for the model; nothing is saved without it.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Trains, measures, saves.
///
/// # Errors
/// The log cannot be read, the question makes no sense, the budget is spent by one round, or the folder cannot be written.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    if let Some(folder) = &args.out {
        check_writable("cannot save the model", folder)?;
    }
    let mut spec = args.source.spec(&args.model, &args.set)?;
    if let Some(seed) = args.seed {
        spec.set("seed", &seed.to_string())?;
    }
    let noise = |multiplier| Noise { clip: args.clip, multiplier, delta: args.delta, budget: args.budget };
    let federation = Federation {
        column: args.by.clone(),
        rounds: args.rounds,
        share: args.share,
        local_epochs: args.local_epochs,
        batch: args.batch,
        rate: args.rate,
        noise: args.noise.map(noise),
    };
    let options = EncodeOptions::default();
    let dataset = open_prepared(&args.source.files, &args.source.options()?, &options, &context)?;
    let (model, found) = federate(&dataset, &spec, &federation, &context)?;
    if let Some(folder) = &args.out {
        model.save(folder)?;
    }
    let found_json = serde_json::to_value(&found).explain("cannot write the answer")?;
    let test = serde_json::to_value(model.card.test).explain("cannot write the answer")?;
    Ok(Answer { text: text(args, &model, &found), json: json!({ "federated": found_json, "test": test }) })
}

fn text(args: &Args, model: &TrainedModel, found: &Federated) -> String {
    let [least, most] = found.rows.map(|rows| grouped(rows as f64, ' '));
    let mut lines = vec![format!(
        "{} clients by {}, {least} to {most} rows each; {} without a click take part as any other",
        grouped(found.clients as f64, ' '),
        found.column,
        grouped(found.without_clicks as f64, ' ')
    )];
    lines.push(format!(
        "{:>5} {:>8} {:>8} {:>8} {:>28} {:>28}",
        "round", "clients", "clipped", "epsilon", "validation AUC, 95 %", "log loss, 95 %"
    ));
    lines.extend(found.rounds.iter().enumerate().map(|(place, round)| {
        format!(
            "{:>5} {:>8} {:>8} {:>8} {:>28} {:>28}",
            place + 1,
            round.clients,
            round.clipped,
            round.epsilon.map_or("-".to_owned(), |epsilon| format!("{epsilon:.2}")),
            Estimate::known_in_words(round.validation.and_then(|known| known.auc), 4),
            Estimate::known_in_words(round.validation.and_then(|known| known.log_loss), 4)
        )
    }));
    if let (Some(epsilon), Some(delta)) = (found.rounds.last().and_then(|round| round.epsilon), found.delta) {
        lines.push(format!("spent: epsilon {epsilon:.2} with delta {delta}, of each client"));
    }
    if found.spent {
        lines.push(format!("ended: one more round would spend more than epsilon {}", args.budget));
    }
    let test = model.card.test;
    lines.push(format!(
        "test rows: AUC {}, log loss {}",
        Estimate::known_in_words(test.and_then(|known| known.auc), 4),
        Estimate::known_in_words(test.and_then(|known| known.log_loss), 4)
    ));
    if let Some(folder) = &args.out {
        lines.push(format!("saved in {}", folder.display()));
    }
    lines.join("\n")
}
