//! `adloupe search`: which values of a model's knobs are best on the validation rows?

use super::source::SourceArgs;
use super::train::{measures, name_value, table};
use super::{Answer, Terminal};
use crate::base::numbers::short;
use crate::base::{Failure, Result, failure::Explain};
use crate::data::dataset::open_prepared;
use crate::data::options::EncodeOptions;
use crate::jobs::Latest;
use crate::train::search::{Ended, Knob, Search, SearchPlan, SearchState, Status, Strategy, Within};
use crate::train::{ModelCard, TrainedModel, specs_of};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// What is searched, how, and for how long.
#[derive(Debug, clap::Args)]
#[command(
    about = "Tries values of a model's knobs (random, grid, successive halving) and keeps the best model; can be stopped and resumed"
)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Kind of model: see 'adloupe models'.
    #[arg(long, required_unless_present = "resume")]
    model: Option<String>,
    /// A knob that varies: NAME=LOW..HIGH, NAME=A,B,C, or NAME alone for all that it may be; may be given again.
    #[arg(long, value_name = "KNOB", required_unless_present = "resume")]
    over: Vec<String>,
    /// A knob that stays, name=value; may be given again.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_value)]
    set: Vec<(String, String)>,
    /// How trials are chosen: drawn, all combinations, or drawn and mostly given up early.
    #[arg(long, value_parser = ["random", "grid", "halving"], default_value = "random")]
    strategy: String,
    /// Trials of random and halving.
    #[arg(long, value_name = "N", default_value_t = 20)]
    trials: usize,
    /// Values of each range of a grid.
    #[arg(long, value_name = "N", default_value_t = 3)]
    points: usize,
    /// Start of the draws.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Minutes that this run may take.
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0)]
    minutes: f64,
    /// Folder for the search and its best model.
    #[arg(long, required_unless_present = "resume")]
    out: Option<PathBuf>,
    /// Goes on with the search in this folder.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["model", "over", "set", "out"])]
    resume: Option<PathBuf>,
    /// Trials told as text; --json has them all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
}

/// Searches until it is done, the time is spent, or Ctrl-C.
///
/// # Errors
/// The log cannot teach the model, a knob or its values are refused, or the folder cannot be written.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    if !(args.minutes > 0.0 && args.minutes <= 1e6) {
        let why = format!("a budget is more than 0 minutes, not {}", args.minutes);
        return Err(Failure::new("cannot search", why).hint("--minutes 10"));
    }
    let plan = if args.resume.is_none() { Some(plan(args)?) } else { None };
    let options = args.source.options()?;
    let dataset = open_prepared(&args.source.files, &options, &EncodeOptions::default(), &context)?;
    let folder = args.resume.as_ref().or(args.out.as_ref()).cloned().unwrap_or_default();
    let mut search = match &plan {
        Some(plan) => Search::begin(&dataset, plan, &folder)?,
        None => Search::go_on(&dataset, &folder)?,
    };
    let within = Within {
        budget: Duration::from_secs_f64(60.0 * args.minutes),
        memory: options.memory(),
        live: &Latest::default(),
        curves: &Latest::default(),
    };
    let ended = search.run(&dataset, &within, &context)?;
    let best = match search.state.best {
        Some(_) => Some(TrainedModel::load(&search.best_folder())?.card),
        None => None,
    };
    answer(args, &search, ended, best.as_ref())
}

fn plan(args: &Args) -> Result<SearchPlan> {
    let base = args.source.spec(args.model.as_deref().unwrap_or_default(), &args.set)?;
    let specs = specs_of(&base.kind)?;
    let over = args.over.iter().map(|text| Knob::parse(&specs, text)).collect::<Result<_>>()?;
    let strategy = Strategy::named(&args.strategy)?;
    Ok(SearchPlan { base, over, strategy, trials: args.trials, points: args.points, seed: args.seed })
}

fn answer(args: &Args, search: &Search, ended: Ended, best: Option<&ModelCard>) -> Result<Answer> {
    let state = &search.state;
    let statuses = state.statuses();
    let done = statuses.iter().filter(|status| **status != Status::Waiting && **status != Status::Open);
    let knobs: Vec<&str> = state.plan.over.iter().map(|knob| knob.id.as_str()).collect();
    let mut lines = vec![
        format!(
            "{} of {} trials done in {:.1} min: {}",
            done.count(),
            state.trials.len(),
            state.spent_secs / 60.0,
            match ended {
                Ended::Finished => "finished".to_owned(),
                Ended::OutOfTime => format!("the time is spent; {}", resume_words(args)),
                Ended::Stopped => format!("stopped; {}", resume_words(args)),
            }
        ),
        format!(
            "{:>5} {:>8} {:>6} {:>26} {:>26}  {}",
            "trial",
            "state",
            "epochs",
            "log loss, 95 %",
            "AUC, 95 %",
            knobs.join("  ")
        ),
    ];
    lines.extend(state.ranked().into_iter().take(args.top).map(|place| line(state, place, statuses[place])));
    if let Some(card) = best {
        let rows = card.data.validation;
        lines.push(format!(
            "best on {rows} validation rows, by luck too; on the test rows, which chose nothing:\n{}\nsaved in {}",
            table(card.test.unwrap_or_default()),
            search.best_folder().display()
        ));
    }
    let trials = state.trials.iter().zip(&statuses).enumerate().map(|(place, (trial, status))| {
        json!({
            "trial": place + 1,
            "status": status,
            "values": state.plan.over.iter().zip(&trial.values).map(|(knob, value)| (knob.id.clone(), json!(value)))
                .collect::<serde_json::Map<_, _>>(),
            "epochs": trial.epochs.len(),
            "validation": state.best_epoch(place),
            "seconds": trial.secs,
            "failure": trial.failure,
        })
    });
    let json = json!({
        "ended": serde_json::to_value(ended).explain("cannot write the answer")?,
        "model": state.plan.base.kind,
        "judged_by": state.monitor,
        "seconds": state.spent_secs,
        "trials": trials.collect::<Vec<_>>(),
        "best": state.best.map(|place| place + 1),
        "test": best.map(|card| measures(card.test.unwrap_or_default())),
        "out": search.best_folder().display().to_string(),
    });
    Ok(Answer { text: lines.join("\n"), json })
}

fn resume_words(args: &Args) -> String {
    let folder = args.resume.as_ref().or(args.out.as_ref()).map(|folder| folder.display().to_string());
    format!("--resume {} goes on", folder.unwrap_or_default())
}

fn line(state: &SearchState, place: usize, status: Status) -> String {
    let trial = &state.trials[place];
    let known =
        |estimate: Option<crate::metrics::Estimate>| crate::metrics::Estimate::known_in_words(estimate, 4);
    let numbers = state.best_epoch(place);
    let values: Vec<String> = trial.values.iter().map(value_words).collect();
    let why = trial.failure.as_ref().map_or_else(String::new, |why| format!("  {why}"));
    format!(
        "{:>5} {:>8} {:>6} {:>26} {:>26}  {}{why}",
        place + 1,
        status.word(),
        trial.epochs.len(),
        known(numbers.and_then(|numbers| numbers.loss)),
        known(numbers.and_then(|numbers| numbers.auc)),
        values.join("  ")
    )
}

fn value_words(value: &crate::base::params::ParamValue) -> String {
    match value {
        crate::base::params::ParamValue::Real(number) => short(*number),
        other => other.to_string(),
    }
}
