//! `adloupe transfer`: does it help to begin with what was learnt elsewhere?

use super::evaluate::asked;
use super::source::SourceArgs;
use super::train::name_value;
use super::{Answer, Terminal};
use crate::base::numbers::grouped;
use crate::base::{Failure, Result, failure::Explain};
use crate::data::dataset::prepare;
use crate::data::options::EncodeOptions;
use crate::data::query::matching_rows;
use crate::domain::Segment;
use crate::insight::transfer::{SHARES, Transfer, TransferPlan, apart, transfer};
use crate::jobs::Latest;
use crate::metrics::Estimate;
use crate::train::{TrainSpec, fit};
use std::path::PathBuf;

/// Which base and target, and how much of it.
#[derive(Debug, clap::Args)]
#[command(
    about = "Learning curves of a target, from a base that was trained elsewhere and from nothing: over its rows and several seeds"
)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// The target: rows of the log, as text (`category = 'games'`); the base is trained on all others.
    #[arg(long, value_name = "SEGMENT", required_unless_present = "from")]
    target: Option<String>,
    /// The base: a saved model; the whole log is its target.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["target", "model"])]
    from: Option<PathBuf>,
    /// Kind of model.
    #[arg(long, default_value = "deep_fm")]
    model: String,
    /// Parts of the base that stay as they are: embedding, linear, deep, ...
    #[arg(long, value_name = "PART[,PART]", value_delimiter = ',')]
    freeze: Vec<String>,
    /// Shares of the target's training and validation rows.
    #[arg(long, value_name = "SHARE[,SHARE]", value_delimiter = ',', default_values_t = SHARES)]
    shares: Vec<f64>,
    /// Seeds, each with rows of its own.
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: usize,
    /// A knob of the model or of training, name=value; may be given again.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_value)]
    set: Vec<(String, String)>,
}

/// Trains the base where there is none, draws the curves.
///
/// # Errors
/// The log or the base cannot be read, or what [`transfer`] refuses.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let settled = |mut spec: TrainSpec| -> Result<TrainSpec> {
        spec.source = args.source.name();
        spec.set_all(&args.set)?;
        Ok(spec)
    };
    let plan = |spec| TransferPlan {
        spec,
        frozen: args.freeze.clone(),
        shares: args.shares.clone(),
        seeds: args.seeds,
    };
    let found = match (&args.from, &args.target) {
        (Some(folder), _) => {
            let (base, _, encoded) = asked(folder, &args.source, &context)?;
            let spec = settled(TrainSpec::going_on(&base)?)?;
            transfer(&base, &encoded.dataset, &plan(spec), &context)?
        }
        (None, Some(segment)) => {
            let spec = settled(TrainSpec::new(&args.model)?)?;
            let log = args.source.open(&context)?;
            let rows = matching_rows(&log, &Segment::parse(segment)?)?;
            let dataset = prepare(&log, &EncodeOptions::default(), &context)?;
            let [others, target] = apart(&dataset, &rows);
            context.stage("Training the base");
            let base = fit(&others, &spec, &Latest::default(), &context)?;
            transfer(&base, &target, &plan(spec), &context)?
        }
        (None, None) => {
            return Err(Failure::new("cannot draw learning curves", "no target was named")
                .hint("--target \"campaign = 'c3'\", or --from DIR"));
        }
    };
    let json = serde_json::to_value(&found).explain("cannot write the answer")?;
    Ok(Answer { text: text(&found), json })
}

fn text(found: &Transfer) -> String {
    let stays = match found.frozen.is_empty() {
        true => "all of the base goes on learning".to_owned(),
        false => format!("{} of the base stay", found.frozen.join(", ")),
    };
    let mut lines = vec![
        format!(
            "{}: the base learnt from {} rows, the target has {} to learn from; {stays}",
            found.kind,
            grouped(found.base_rows as f64, ' '),
            grouped(found.target_rows as f64, ' ')
        ),
        format!(
            "the base as it is on the target's {} test rows: AUC {}, log loss {}",
            grouped(found.test_rows as f64, ' '),
            Estimate::known_in_words(found.base.auc, 4),
            Estimate::known_in_words(found.base.log_loss, 4)
        ),
        format!(
            "{:>7} {:>9} {:>5} {:>24} {:>24} {:>26} {:>26}",
            "share",
            "rows",
            "seeds",
            "AUC from nothing, 95 %",
            "AUC from the base",
            "AUC higher by",
            "log loss higher by"
        ),
    ];
    for point in &found.points {
        let words = |known| Estimate::known_in_words(known, 4);
        lines.push(format!(
            "{:>6.0} % {:>8} {:>5} {:>24} {:>24} {:>26} {:>26}",
            100.0 * point.share,
            grouped(point.rows as f64, ' '),
            point.gains.runs,
            words(point.gains.auc[0]),
            words(point.gains.auc[1]),
            words(point.gains.auc_gain),
            words(point.gains.loss_gain)
        ));
        lines.extend(point.missing.iter().map(|why| format!("        a seed is missing: {why}")));
    }
    lines.join("\n")
}
