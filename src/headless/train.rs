//! `adloupe train`: fits a model to a log and says how good it is on the latest part.

use super::evaluate::{check_outcome, encoded};
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::{Failure, Result, files::check_writable};
use crate::data::dataset::open_prepared;
use crate::data::encode::TopicReader;
use crate::data::options::EncodeOptions;
use crate::data::{Dataset, Split};
use crate::jobs::{JobContext, Latest};
use crate::metrics::{Estimate, Measures};
use crate::nn::device::DEVICES;
use crate::train::card::{TrainingCard, measure};
use crate::train::checkpoint::encoder_of_base;
use crate::train::ensemble::member_specs;
use crate::train::newcomers::WAYS;
use crate::train::tuning::Tuning;
use crate::train::{ModelCard, TrainSnapshot, TrainSpec, TrainedModel, Trainer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Trains a click model on a log, measures it on the latest rows and saves it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Kind of model: see 'adloupe models'.
    #[arg(long, required_unless_present_any = ["resume", "from"])]
    model: Option<String>,
    /// A knob of the model or of training, name=value; may be given again.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_value)]
    set: Vec<(String, String)>,
    /// Also reads text columns: each becomes so many numbers (16 where none is said), made by an encoder that is fitted on
    /// the training rows and kept with the model.
    #[arg(long, value_name = "NUMBERS", num_args = 0..=1, default_missing_value = "16")]
    text_vectors: Option<usize>,
    /// Who says what texts are about, which stands beside their vectors: what 'adloupe topics --out' learnt, a list of the form
    /// of assets/topics.tsv, or off; the program's own list where nothing is said.
    #[arg(long, value_name = "FILE|off", requires = "text_vectors")]
    topics: Option<String>,
    /// Also reads what each user searched, read or clicked before: their texts, each half as much after so many days (14 where
    /// none is said).
    #[arg(long, value_name = "DAYS", num_args = 0..=1, default_missing_value = "14", requires = "text_vectors")]
    interests: Option<u32>,
    /// Passes over the training rows at most.
    #[arg(long)]
    epochs: Option<u32>,
    /// Start of every random draw.
    #[arg(long)]
    seed: Option<u64>,
    /// Trains against small worst changes of the embeddings too: see 'adloupe robustness'.
    #[arg(long, value_parser = ["fgm", "pgd"])]
    adversarial: Option<String>,
    /// How far an impression's embeddings may be moved in that.
    #[arg(long, requires = "adversarial")]
    epsilon: Option<f64>,
    /// Share of the rows that a pass trains without the user, and share without the ad, for those that are new.
    #[arg(long, value_name = "SHARE")]
    cold_mask: Option<f64>,
    /// How users and ads are read that no training row had: as one row of rare values, or as those who are alike.
    #[arg(long, value_parser = WAYS.to_vec())]
    newcomers: Option<String>,
    /// Begins with the weights of the model in this folder, of its kind and on the log as it reads it.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["resume", "members", "text_vectors"])]
    from: Option<PathBuf>,
    /// Parts of that model that stay as they are: embedding, linear, deep, ...
    #[arg(long, value_name = "PART[,PART]", value_delimiter = ',', requires = "from")]
    freeze: Vec<String>,
    /// Leaves that model as it is and trains an adapter of this rank (LoRA), saved in adapters/NAME of its folder.
    #[arg(long, value_name = "RANK", requires = "from", conflicts_with_all = ["freeze", "out"])]
    adapter_rank: Option<usize>,
    /// Name of the adapter.
    #[arg(long, value_name = "NAME", default_value = "adapter", requires = "adapter_rank")]
    adapter: String,
    /// Trains so many models on rows drawn anew (resample=false: only with other seeds) and averages them, so that every
    /// prediction has an interval.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with_all = ["checkpoint", "resume"])]
    members: usize,
    /// Where to train.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(DEVICES))]
    device: Option<String>,
    /// Folder for the model; nothing is saved without it.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Folder for checkpoints: after an epoch, every so often, and when Ctrl-C stops the training.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Seconds between two checkpoints inside an epoch.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    checkpoint_every: u64,
    /// Goes on from the checkpoint in this folder, with the settings it was begun with, and keeps it there. --epochs may
    /// give it more of them.
    #[arg(long, conflicts_with_all = ["set", "seed", "device", "adversarial", "cold_mask", "newcomers"])]
    resume: Option<PathBuf>,
}

/// Trains, measures, saves.
///
/// # Errors
/// The log cannot be read or cannot support the model, a knob is refused, the training was stopped, or the
/// folder cannot be written.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    // Told now and not after an hour of training.
    if let Some(folder) = &args.out {
        check_writable("cannot save the model", folder)?;
    }
    if let Some(folder) = &args.checkpoint {
        check_writable("cannot save the checkpoint", folder)?;
    }
    if let Some(base) = &args.from {
        return tuned(args, base, &context);
    }
    let spec = if args.resume.is_none() { Some(spec(args)?) } else { None };
    let dataset = open(args, &context)?;
    if let Some(spec) = spec.as_ref().filter(|_| args.members != 1) {
        let model = ensemble(args, spec, &dataset, &context)?;
        if let Some(folder) = &args.out {
            model.save(folder)?;
        }
        return Ok(answer(&model, args.out.as_deref()));
    }
    let mut trainer = match (&args.resume, &spec) {
        (Some(folder), _) => resumed(folder, args, &dataset, &context)?,
        (None, Some(spec)) => Trainer::within(args.source.options()?.memory(), &dataset, spec)?,
        (None, None) => {
            return Err(Failure::new("cannot train", "no model was named").hint("--model deep_fm"));
        }
    };
    if let Some(folder) = args.checkpoint.as_ref().or(args.resume.as_ref()) {
        trainer.keep_in(folder.clone(), Duration::from_secs(args.checkpoint_every));
    }
    if let Err(failure) = train(&mut trainer, &context) {
        return Err(if failure.is_cancelled() {
            stopped(&trainer, args)
        } else {
            with_last_good(failure, args)
        });
    }
    let model = trainer.finish(&context)?;
    if let Some(folder) = &args.out {
        model.save(folder)?;
    }
    Ok(answer(&model, args.out.as_deref()))
}

/// A training that begins with what a saved model knows.
fn tuned(args: &Args, folder: &Path, context: &JobContext) -> Result<Answer> {
    let base = TrainedModel::load(folder)?;
    let mut spec = TrainSpec::going_on(&base)?;
    if let Some(kind) = args.model.as_ref().filter(|kind| **kind != base.kind) {
        let why = format!("it is a {}, not a {kind}", base.kind);
        return Err(Failure::new("cannot go on from the model", why).hint(format!("--model {}", base.kind)));
    }
    settle(args, &mut spec)?;
    let log = args.source.open(context)?;
    check_outcome(&log, &base.encoder.label, &args.source.roles)?;
    let read = encoded(&base.encoder, &log, &args.source, false, context)?;
    let before = base.predict(&read.dataset, read.dataset.rows_of(Split::Test), context)?;
    let before = measure(&read.dataset, read.dataset.rows_of(Split::Test), &before);
    let tuning = Tuning { frozen: args.freeze.clone(), rank: args.adapter_rank };
    let memory = args.source.options()?.memory();
    let mut trainer = Trainer::tuning(memory, &read.dataset, &spec, (&base, &tuning))?;
    if let Some(folder) = &args.checkpoint {
        trainer.keep_in(folder.clone(), Duration::from_secs(args.checkpoint_every));
    }
    if let Err(failure) = train(&mut trainer, context) {
        return Err(if failure.is_cancelled() {
            stopped(&trainer, args)
        } else {
            with_last_good(failure, args)
        });
    }
    let model = trainer.finish(context)?;
    let adapter = args.adapter_rank.map(|_| folder.join("adapters").join(&args.adapter));
    let out = adapter.as_ref().or(args.out.as_ref());
    if let Some(folder) = out {
        model.save(folder)?;
    }
    let mut answer = answer(&model, out.map(PathBuf::as_path));
    extend(&mut answer.json, json!({ "from": folder, "before": measures(before) }));
    let words = |numbers: &Measures| Estimate::known_in_words(numbers.auc, 4);
    answer.text = format!(
        "{}\nthe model that it began with, on the same test rows: AUC {}",
        answer.text,
        words(&before)
    );
    Ok(answer)
}

/// Models that differ by seed and rows, averaged.
fn ensemble(args: &Args, spec: &TrainSpec, dataset: &Dataset, context: &JobContext) -> Result<TrainedModel> {
    let memory = args.source.options()?.memory();
    let chosen = args.set.iter().any(|(name, _)| name == "resample");
    let mut models = Vec::new();
    for spec in member_specs(spec, args.members, !chosen)? {
        Terminal::note(&format!("member {} of {}", models.len() + 1, args.members));
        let mut trainer = Trainer::within(memory, dataset, &spec)?;
        train(&mut trainer, context)?;
        models.push(Arc::new(trainer.finish(context)?));
    }
    TrainedModel::ensemble(&models, dataset, context)
}

/// The training of a checkpoint, with more epochs where they are asked for.
fn resumed(folder: &Path, args: &Args, dataset: &Dataset, context: &JobContext) -> Result<Trainer> {
    let memory = args.source.options()?.memory();
    let mut trainer = Trainer::resume_within(memory, folder, dataset, context)?;
    if let Some(model) = args.model.as_ref().filter(|model| **model != trainer.spec.kind) {
        let why = format!("the checkpoint is of {}, not {model}", trainer.spec.kind);
        return Err(Failure::new("cannot resume the training", why)
            .hint(format!("--model {}, or none", trainer.spec.kind)));
    }
    if let Some(epochs) = args.epochs {
        trainer.spec.set("epochs", &epochs.to_string())?;
    }
    Ok(trainer)
}

fn open(args: &Args, context: &JobContext) -> Result<Dataset> {
    let options = EncodeOptions {
        text_vectors: args.text_vectors.unwrap_or_default(),
        interest_days: args.interests.unwrap_or_default(),
        topics: topics(args.topics.as_deref())?,
        ..EncodeOptions::default()
    };
    options.check()?;
    if let Some(folder) = &args.resume
        && let Some(encoder) = encoder_of_base(folder)?
    {
        let log = args.source.open(context)?;
        return Ok(encoded(&encoder, &log, &args.source, false, context)?.dataset);
    }
    let dataset = open_prepared(&args.source.files, &args.source.options()?, &options, context)?;
    if options.text_vectors > 0 && dataset.encoder.texts.is_empty() {
        let why = "the log has no text column with two different texts in its training rows";
        return Err(Failure::new("cannot read texts as vectors", why)
            .hint("give the column of texts the role text: --role headline=text"));
    }
    Ok(dataset)
}

/// Who says what texts are about.
fn topics(asked: Option<&str>) -> Result<Option<Arc<TopicReader>>> {
    match asked {
        None => Ok(Some(Arc::default())),
        Some("off") => Ok(None),
        Some(path) => Ok(Some(Arc::new(TopicReader::open(Path::new(path))?))),
    }
}

/// Reads `NAME=VALUE`.
///
/// # Errors
/// No `=`, or no name before it.
pub(super) fn name_value(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Failure::new("cannot read the setting", format!("'{text}' has no '='")).hint("name=value")),
    }
}

fn spec(args: &Args) -> Result<TrainSpec> {
    let mut spec = TrainSpec::new(args.model.as_deref().unwrap_or_default())?;
    settle(args, &mut spec)?;
    Ok(spec)
}

/// Sets what the flags say.
fn settle(args: &Args, spec: &mut TrainSpec) -> Result<()> {
    spec.source = args.source.name();
    spec.set_all(&args.set)?;
    let flags = [
        ("epochs", args.epochs.map(|epochs| epochs.to_string())),
        ("seed", args.seed.map(|seed| seed.to_string())),
        ("adversarial", args.adversarial.clone()),
        ("cold_mask", args.cold_mask.map(|share| share.to_string())),
        ("newcomers", args.newcomers.clone()),
        ("epsilon", args.epsilon.map(|epsilon| epsilon.to_string())),
        ("device", args.device.clone()),
    ];
    for (name, value) in flags {
        if let Some(value) = value {
            spec.set(name, &value)?;
        }
    }
    Ok(())
}

/// Trains while a line per epoch goes to standard error.
fn train(trainer: &mut Trainer, context: &JobContext) -> Result<()> {
    let live = Latest::<TrainSnapshot>::default();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut told = 0;
            while !done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
                told = tell_epochs(&live, told);
            }
            tell_epochs(&live, told);
        });
        let result = trainer.run(&live, context);
        done.store(true, Ordering::Relaxed);
        result
    })
}

/// Tells of finished epochs beyond the first `told`; returns how many have been told of now.
fn tell_epochs(live: &Latest<TrainSnapshot>, told: usize) -> usize {
    let Some(snapshot) = live.get() else {
        return told;
    };
    for record in snapshot.history.epochs.iter().skip(told) {
        let number = |estimate: Option<Estimate>, digits: usize| {
            estimate.map_or_else(|| "unknown".to_owned(), |known| format!("{:.digits$}", known.value))
        };
        let (loss, auc) = (number(record.validation.loss, 5), number(record.validation.auc, 4));
        Terminal::note(&format!(
            "epoch {} of {}: validation log loss {loss}, AUC {auc}, {:.0} examples/s on {}",
            record.epoch, snapshot.epochs, snapshot.examples_per_second, snapshot.device
        ));
    }
    snapshot.history.epochs.len()
}

/// The failure that tells of a stop.
fn stopped(trainer: &Trainer, args: &Args) -> Failure {
    let why = format!("Ctrl-C after {} whole epochs; no model was written", trainer.epochs_done());
    let failure = Failure::new("training stopped", why);
    match args.checkpoint.as_ref().or(args.resume.as_ref()) {
        Some(folder) => failure.hint(format!("--resume {} goes on from here", folder.display())),
        None => failure.hint("--checkpoint FOLDER keeps what was learnt when you stop"),
    }
}

/// A failure of training, with the word that a checkpoint of before is there.
fn with_last_good(failure: Failure, args: &Args) -> Failure {
    match args.checkpoint.as_ref().or(args.resume.as_ref()) {
        Some(folder) => {
            let hint = format!("{}; the last good checkpoint stays in {}", failure.hint, folder.display());
            failure.hint(hint)
        }
        None => failure,
    }
}

fn answer(model: &TrainedModel, out: Option<&Path>) -> Answer {
    let ModelCard { data, training, calibration, test, uncalibrated, conversions, .. } = &model.card;
    let numbers = test.unwrap_or_default();
    let mut json = json!({
        "model": model.kind,
        "members": model.members(),
        "label": model.encoder.label,
        "device": training.device,
        "seed": training.seed,
        "epochs": training.epochs,
        "best_epoch": training.best_epoch,
        "objective_shift": training.objective_shift,
        "log_odds_shift": training.log_odds_shift,
        "rows_train": data.train,
        "rows_validation": data.validation,
        "rows_test": data.test,
    });
    extend(&mut json, measures(numbers));
    if let Some(numbers) = conversions {
        extend(&mut json, json!({ "conversions": measures(*numbers) }));
    }
    if let (Some(layer), Some(before)) = (calibration, uncalibrated) {
        extend(&mut json, json!({ "calibration": layer.words(), "uncalibrated": measures(*before) }));
    }
    let rest = json!({
        "examples_per_second": training.examples_per_second,
        "floor_share": training.floor_share,
        "seconds": training.seconds,
        "out": out.map(|folder| folder.display().to_string()),
    });
    extend(&mut json, rest);
    let text = [
        format!(
            "{} of '{}' on {}, seed {}",
            model.name(),
            model.encoder.label,
            training.device,
            training.seed
        ),
        format!("kept epoch {} of {}, {} weights", training.best_epoch, training.epochs, training.weights),
        format!(
            "{:.1} s, {:.0} examples/s{}",
            training.seconds,
            training.examples_per_second,
            floor(training)
        ),
        format!("rows: {} trained on, {} to stop by, {} measured on", data.train, data.validation, data.test),
        table(numbers),
        uncalibrated.as_ref().map_or_else(String::new, before_calibration),
        calibration.as_ref().map_or_else(String::new, |layer| format!("calibrated: {}", layer.words())),
        conversions.map_or_else(String::new, of_conversions),
        out.map_or_else(|| "not saved (no --out)".to_owned(), |out| format!("saved in {}", out.display())),
    ];
    let text = text.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>();
    Answer { text: text.join("\n"), json }
}

/// What calibration is there to better, before it, as lines for people.
pub(super) fn before_calibration(before: &Measures) -> String {
    let wanted = ["log_loss", "ece", "predicted_over_actual"];
    let lines = named(before).into_iter().filter(|(name, ..)| wanted.contains(name)).map(line);
    format!("\nbefore calibration:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// What is measured of the second task, as lines for people.
pub(super) fn of_conversions(numbers: Measures) -> String {
    format!("\nclicks with a conversion ({:.0}), over all impressions:\n{}", numbers.clicks, table(numbers))
}

/// How near the steps came to what the processor can multiply, where that is counted.
fn floor(training: &TrainingCard) -> String {
    let words =
        |share| format!(", {:.0} % of the steps' time by matrix products at full rate", 100.0 * share);
    training.floor_share.map_or_else(String::new, words)
}

/// The measures as JSON: numbers, and beside each the ends of its interval.
pub(super) fn measures(numbers: Measures) -> Value {
    let mut json = serde_json::Map::new();
    for (name, _, estimate) in named(&numbers) {
        json.insert(name.to_owned(), json!(estimate.map(|estimate| estimate.value)));
        let interval = estimate.map(|estimate| [estimate.low, estimate.high]);
        json.insert(format!("{name}_interval"), json!(interval));
    }
    let counts = json!({
        "auc_error_bound": numbers.auc_error,
        "impressions": numbers.impressions,
        "clicks": numbers.clicks,
        "users_ranked": numbers.users_ranked,
        "users_one_class": numbers.users_one_class,
    });
    let mut json = Value::Object(json);
    extend(&mut json, counts);
    json
}

/// The measures as lines for people.
pub(super) fn table(numbers: Measures) -> String {
    let mut lines: Vec<String> = named(&numbers).into_iter().map(line).collect();
    lines.push(format!(
        "{:<20}{:.0} impressions, {:.0} clicks",
        "out of", numbers.impressions, numbers.clicks
    ));
    if numbers.users_ranked + numbers.users_one_class > 0 {
        let (ranked, left) = (numbers.users_ranked, numbers.users_one_class);
        lines.push(format!("{:<20}{ranked} ranked, {left} with one class left out", "users"));
    }
    if numbers.auc_error > 0.0 {
        lines.push(format!("{:<20}within {:.1e} of the exact one", "AUC in bins", numbers.auc_error));
    }
    lines.join("\n")
}

fn line((_, words, estimate): (&str, &str, Option<Estimate>)) -> String {
    let text = estimate.map_or_else(
        || "unknown: these rows cannot tell".to_owned(),
        |e| format!("{:.5}  ({:.5} to {:.5})", e.value, e.low, e.high),
    );
    format!("{words:<20}{text}")
}

/// Name in JSON, words, and number of every measure.
fn named(numbers: &Measures) -> [(&'static str, &'static str, Option<Estimate>); 7] {
    [
        ("auc", "AUC", numbers.auc),
        ("gauc", "AUC within users", numbers.gauc),
        ("log_loss", "log loss", numbers.log_loss),
        ("normalized_entropy", "normalised entropy", numbers.normalized_entropy),
        ("information_gain", "information gain", numbers.information_gain()),
        ("ece", "calibration error", numbers.ece),
        ("predicted_over_actual", "predicted/actual", numbers.predicted_over_actual),
    ]
}

/// Adds the entries of one object to another.
pub(super) fn extend(json: &mut Value, more: Value) {
    if let (Value::Object(json), Value::Object(more)) = (json, more) {
        json.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_split_at_the_first_sign() {
        assert_eq!(name_value("l2=1e-4").unwrap(), ("l2".into(), "1e-4".into()));
        assert!(name_value("l2").is_err());
    }

    fn args(folder: &Path, more: &[&str]) -> Args {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let log = folder.join("log.parquet").display().to_string();
        let line = ["train", &log, "--model", "logistic", "--epochs", "2"];
        clap::Parser::try_parse_from(line.iter().chain(more)).map(|line: Line| line.args).unwrap()
    }

    #[test]
    fn trains_saves_and_answers_with_the_keys_of_the_manual() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.parquet");
        crate::data::sample::generate(3000, 3, &log, &JobContext::detached()).unwrap();
        let out = folder.path().join("model").display().to_string();
        let answer =
            run(&args(folder.path(), &["--out", &out, "--seed", "9"]), &Terminal::default()).unwrap();
        assert_eq!(answer.json["label"], "click");
        for key in ["model", "device", "seed", "epochs", "rows_train", "rows_validation", "rows_test", "auc"]
        {
            assert!(!answer.json[key].is_null(), "{key}");
        }
        for key in ["log_loss", "normalized_entropy", "ece", "predicted_over_actual", "examples_per_second"] {
            assert!(answer.json[key].as_f64().is_some_and(f64::is_finite), "{key}");
        }
        assert_eq!(
            (answer.json["seed"].as_u64(), answer.json["out"].as_str()),
            (Some(9), Some(out.as_str()))
        );
        assert!(TrainedModel::load(Path::new(&out)).is_ok());
    }

    #[test]
    fn a_stop_keeps_a_checkpoint_and_tells_how_to_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.parquet");
        crate::data::sample::generate(3000, 3, &log, &JobContext::detached()).unwrap();
        let kept = folder.path().join("kept").display().to_string();
        let args = args(folder.path(), &["--checkpoint", &kept]);
        let dataset = open(&args, &JobContext::detached()).unwrap();
        let mut trainer = Trainer::new(&dataset, &spec(&args).unwrap()).unwrap();
        trainer.keep_in(PathBuf::from(&kept), Duration::from_secs(60));
        let terminal = Terminal::default();
        terminal.cancel.store(true, Ordering::Relaxed);
        assert!(train(&mut trainer, &terminal.context()).unwrap_err().is_cancelled());
        let failure = stopped(&trainer, &args);
        assert!(!failure.is_cancelled() && failure.hint.contains("--resume"), "{failure}");
        let mut trainer = Trainer::resume(Path::new(&kept), &dataset, &JobContext::detached()).unwrap();
        assert!(train(&mut trainer, &JobContext::detached()).is_ok());
        assert_eq!(trainer.epochs_done(), 2);
    }
}
