//! `adloupe copy tune`: does a language model find a library's own copy likelier once it learnt from it?

use super::{Answer, Terminal};
use crate::base::resources::{peak_bytes, resident_bytes};
use crate::base::{Failure, Result};
use crate::jobs::Latest;
use crate::language::chat::{ChatModel, look_at};
use crate::tasks::tune_writer::{memory_on, tune_on};
use crate::train::copy_tuning::TuneSpec;
use serde_json::json;
use std::path::PathBuf;

/// Which library, which model, and how.
#[derive(Debug, clap::Args)]
#[command(
    about = "Tunes a language model on a library's own copy (LoRA adapters, kept in a file of their own), with the next-token \
             loss before and after on held-out copy"
)]
pub struct Args {
    /// Folder of the library.
    #[arg(value_name = "DIR")]
    library: PathBuf,
    /// The language model (GGUF, llama); sh assets/fetch-models.sh gets a small one.
    #[arg(long, value_name = "FILE")]
    language_model: PathBuf,
    /// Where the adapters are kept, for 'copy draft --adapter'.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Columns of the thin matrices.
    #[arg(long, default_value_t = TuneSpec::default().rank)]
    rank: usize,
    /// Steps.
    #[arg(long, default_value_t = TuneSpec::default().steps)]
    steps: u32,
    /// Texts of a step.
    #[arg(long, default_value_t = TuneSpec::default().batch)]
    batch: usize,
    /// Adam's rate at its height.
    #[arg(long, default_value_t = TuneSpec::default().rate)]
    rate: f64,
    /// Start of every draw.
    #[arg(long, default_value_t = TuneSpec::default().seed)]
    seed: u64,
}

/// Tunes.
///
/// # Errors
/// A library or model that cannot be opened, too few texts, or what the disk answers.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let library = super::library::opened(&args.library, terminal)?;
    let spec =
        TuneSpec { rank: args.rank, steps: args.steps, batch: args.batch, rate: args.rate, seed: args.seed };
    let what = look_at(&args.language_model)?;
    let more = memory_on(&args.language_model, &library, spec)?;
    let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let (own, more) = (megabytes(what.bytes), megabytes(more));
    Terminal::note(&format!("loading {}, about {own} MB; learning takes about {more} MB more", what.name));
    let model = ChatModel::open(&args.language_model, &context)?;
    let loaded = resident_bytes();
    let tuned = tune_on(&model, &library, spec, &Latest::default(), &context)?;
    if tuned.adapters.layers.is_empty() {
        return Err(Failure::new("cannot keep the adapters", "nothing was learnt"));
    }
    tuned.adapters.save(&args.out)?;
    tuned.notes.iter().for_each(|note| context.warn(note.clone()));
    let grown = peak_bytes().zip(loaded).map(|(peak, loaded)| megabytes(peak.saturating_sub(loaded)));
    let took = grown.map_or_else(String::new, |grown| format!("; learning took {grown} MB at the peak"));
    let text = format!(
        "{}\n{} numbers learnt, {:.2} s a step (median){took}; kept in {}",
        tuned.told(),
        tuned.numbers,
        tuned.state.seconds,
        args.out.display()
    );
    let json = json!({
        "texts": tuned.texts,
        "before": tuned.before,
        "after": tuned.after,
        "change": tuned.change,
        "tokens": tuned.tokens,
        "best_step": tuned.best_step,
        "numbers": tuned.numbers,
        "seconds_a_step": tuned.state.seconds,
        "megabytes_told": more,
        "megabytes_taken": grown,
        "training": tuned.state.training,
        "choosing": tuned.state.choosing,
        "notes": tuned.notes,
    });
    Ok(Answer { text, json })
}
