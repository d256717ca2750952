//! `adloupe compress`: a smaller model of a saved one, and what that costs.

use super::evaluate::asked;
use super::source::SourceArgs;
use super::train::name_value;
use super::{Answer, Terminal};
use crate::base::numbers::{grouped, short};
use crate::base::{Failure, Result, failure::Explain, files::check_writable};
use crate::insight::compression::{Compression, Side, compression};
use crate::metrics::Estimate;
use crate::nn::packed::Packing;
use crate::train::TrainSpec;
use crate::train::compress::Recipe;
use std::path::PathBuf;

/// Which model and log, made smaller how.
#[derive(Debug, clap::Args)]
#[command(
    about = "Makes a smaller model of a saved one (pruned, in fewer bits, or distilled into another kind) and tells what it costs"
)]
pub struct Args {
    /// The model's folder.
    model: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Share of each matrix's and table's numbers that become 0, the smallest first.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    prune: f64,
    /// How weights are kept: 32 bits, 16 bits, or 8 bits with a scale for 32 of them.
    #[arg(long = "as", value_parser = ["f32", "f16", "int8"], default_value = "f32")]
    packing: String,
    /// Trains a new model of this kind on what the saved one says of the training rows, before pruning and packing.
    #[arg(long, value_name = "KIND")]
    distil: Option<String>,
    /// Share of each training row's outcome that is the saved model's probability; the rest is what happened.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, requires = "distil")]
    teacher: f64,
    /// A knob of the new model or of its training, name=value; may be given again.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_value, requires = "distil")]
    set: Vec<(String, String)>,
    /// Folder for the smaller model; nothing is saved without it.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Compresses, measures, saves.
///
/// # Errors
/// The model or the log cannot be read or do not fit together, nothing was asked for, or the folder cannot be written.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let packing = Packing::WORDS.iter().find(|(word, _)| *word == args.packing);
    let recipe =
        Recipe { prune: args.prune, packing: packing.map(|(_, packing)| *packing).unwrap_or_default() };
    if recipe == Recipe::default() && args.distil.is_none() {
        return Err(Failure::new("cannot compress the model", "nothing was asked for")
            .hint("--as int8, --prune 0.5 or --distil logistic"));
    }
    if let Some(folder) = &args.out {
        check_writable("cannot save the model", folder)?;
    }
    let (teacher, _, encoded) = asked(&args.model, &args.source, &context)?;
    let dataset = &encoded.dataset;
    let mut made = None;
    if let Some(kind) = &args.distil {
        let mut spec = TrainSpec::new(kind)?;
        spec.source = teacher.card.data.source.clone();
        spec.set_all(&args.set)?;
        made = Some(teacher.distilled(&spec, args.teacher, dataset, &context)?);
    }
    if recipe != Recipe::default() {
        made = Some(made.as_ref().unwrap_or(&teacher).compressed(recipe, dataset, &context)?);
    }
    let made = made.ok_or_else(|| Failure::new("cannot compress the model", "nothing was made of it"))?;
    let found = compression([&teacher, &made], dataset, &context)?;
    if let Some(folder) = &args.out {
        made.save(folder)?;
    }
    let json = serde_json::to_value(&found).explain("cannot write the answer")?;
    Ok(Answer { text: text(args, &found), json })
}

fn text(args: &Args, found: &Compression) -> String {
    let line = |name: &str, side: &Side| {
        format!(
            "{name:<7} {:>12} {:>14} {:>15} {:>26} {:>26}",
            side.kind,
            grouped(side.bytes as f64, ' '),
            grouped(side.rows_per_second, ' '),
            Estimate::known_in_words(side.measures.auc, 4),
            Estimate::known_in_words(side.measures.log_loss, 4)
        )
    };
    let (before, after) = (&found.before, &found.after);
    let mut lines = vec![
        format!(
            "{:<7} {:>12} {:>14} {:>15} {:>26} {:>26}",
            "", "kind", "bytes", "rows/s", "AUC, 95 %", "log loss, 95 %"
        ),
        line("before", before),
        line("after", after),
        format!(
            "{} of the bytes, {} of the speed; on the same {} test rows AUC {} higher, log loss {} higher",
            short(after.bytes as f64 / before.bytes.max(1) as f64),
            short(after.rows_per_second / before.rows_per_second),
            grouped(found.rows as f64, ' '),
            Estimate::known_in_words(found.differences.auc, 5),
            Estimate::known_in_words(found.differences.log_loss, 5)
        ),
    ];
    if let Some(folder) = &args.out {
        lines.push(format!("saved in {}", folder.display()));
    }
    lines.join("\n")
}
