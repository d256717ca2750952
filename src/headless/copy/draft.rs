//! `adloupe copy draft`: which words could be shown, and how often would this audience click on them?

use super::check::told;
use super::library::read_by;
use super::{Answer, Terminal, rulebook, third_party};
use crate::adcopy::{Brief, Library};
use crate::base::{Result, failure::Explain};
use crate::data::importers::{self, ImportOptions};
use crate::data::query::people::USUAL_K;
use crate::insight::Subject;
use crate::jobs::JobContext;
use crate::tasks::write_by_model::{ByModel, Source, USUAL_TRIES, write_by_model};
use crate::tasks::write_copy::{Candidate, Round, WriteCopy, round, subject_of};
use crate::train::TrainedModel;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// What is to be written, and who is asked how it would do.
#[derive(Debug, clap::Args)]
#[command(
    about = "Writes candidates from a brief, checks them, and ranks them by your own click model for the audience"
)]
pub struct Args {
    /// The brief (JSON; sample_data/adcopy/brief_en.json shows one).
    #[arg(value_name = "BRIEF")]
    brief: PathBuf,
    /// The log that the audience is taken from.
    #[arg(long, value_name = "FILE", requires = "model")]
    log: Option<PathBuf>,
    /// Folder of the click model that ranks.
    #[arg(long, value_name = "DIR", requires = "log")]
    model: Option<PathBuf>,
    /// Another seed than the brief's.
    #[arg(long)]
    seed: Option<u64>,
    /// Keeps the candidates in the library of this folder.
    #[arg(long, value_name = "DIR", requires = "author")]
    library: Option<PathBuf>,
    /// Who asks for them: the author, who may not approve them.
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Has this language model (GGUF, llama) write too; sh assets/fetch-models.sh gets a small one.
    #[arg(long, value_name = "FILE")]
    language_model: Option<PathBuf>,
    /// Adapters that 'copy tune' learnt from a library for this language model.
    #[arg(long, value_name = "FILE", requires = "language_model")]
    adapter: Option<PathBuf>,
    /// Texts that the language model tries.
    #[arg(long, value_name = "N", requires = "language_model", default_value_t = USUAL_TRIES)]
    tries: usize,
    /// Finds copies by meaning too, by this sentence encoder: a folder with config.json, model.safetensors and tokenizer.json.
    #[arg(long, value_name = "FOLDER")]
    encoder: Option<PathBuf>,
    /// A list of texts that nothing may be a copy of, one a line; may be given again.
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
    /// A folder with rules in place of the program's own.
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// People that the audience must hold.
    #[arg(long, default_value_t = USUAL_K)]
    k: usize,
}

/// Writes a round.
///
/// # Errors
/// A brief, rules, log or model that cannot be used, an audience that is too small, or what the disk answers.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let mut brief = Brief::read(&args.brief)?;
    brief.seed = args.seed.unwrap_or(brief.seed);
    let mut library = match &args.library {
        Some(folder) => Library::open(folder)?,
        None => Library::default(),
    };
    let asked = WriteCopy {
        book: rulebook(args.rules.as_deref())?,
        library: Arc::new(library.clone()),
        others: third_party(&args.known)?,
        meanings: args.encoder.as_deref().map(|folder| read_by(&library, folder, terminal)).transpose()?,
        subject: subject(args, &context)?,
        k: args.k,
        brief,
    };
    let mut found = round(&asked, &context)?;
    if let Some(path) = &args.language_model {
        let mut by_model = ByModel::default();
        let model = Source::File(path.clone(), args.adapter.clone()).open(&context)?;
        let wrote = write_by_model(&found, &model, args.tries, &mut by_model, &|_| {}, &context);
        match wrote {
            // What the others wrote stands.
            Err(failure) if !failure.is_cancelled() => found.notes.push(failure.to_string()),
            wrote => {
                wrote?;
                found.take_in(&by_model);
                found.notes.push(by_model.told());
            }
        }
    }
    found.notes.iter().for_each(|note| context.warn(note.clone()));
    let mut kept = Vec::new();
    if let (Some(_), Some(author)) = (&args.library, &args.author) {
        kept = library.add(author, found.candidates.iter().map(|one| found.addition(one)).collect())?;
    }
    Ok(Answer { text: text_of(&found, &kept), json: json_of(&found, &kept)? })
}

fn subject(args: &Args, context: &JobContext) -> Result<Option<Subject>> {
    let (Some(log), Some(model)) = (&args.log, &args.model) else { return Ok(None) };
    let model = Arc::new(TrainedModel::load(model)?);
    let log = importers::open_all(std::slice::from_ref(log), &ImportOptions::default(), context)?;
    Ok(Some(subject_of(model, log, context)?))
}

fn text_of(found: &Round, kept: &[String]) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = match &found.basis {
        Ok(basis) => writeln!(
            text,
            "forecast for {} rows of the audience ({} scored), {} ads that ran before it; an ad's own effect has a standard \
             deviation of {:.2} log odds, {:.0} % of its variance by its words",
            basis.audience_rows,
            basis.rows,
            basis.ads,
            basis.tau,
            100.0 * basis.by_text
        ),
        Err(failure) => writeln!(text, "{failure}"),
    };
    for note in found.basis.iter().flat_map(|basis| &basis.notes) {
        let _ = writeln!(text, "note: {note}");
    }
    let _ = writeln!(text, "{:>28}  {:<14} words", "click rate, 95 % interval", "by");
    for candidate in &found.candidates {
        let _ = writeln!(
            text,
            "{:>28}  {:<14} {}",
            rate(candidate),
            candidate.draft.proposer,
            candidate.draft.text
        );
    }
    for candidate in &found.blocked {
        let _ = writeln!(text, "{}", told(&candidate.verdict));
    }
    let _ = writeln!(
        text,
        "{} written, {} chosen; nothing is shown before a person approves it",
        found.written,
        found.candidates.len()
    );
    if let (Some(first), Some(last)) = (kept.first(), kept.last()) {
        let _ = writeln!(text, "kept as {first} to {last}");
    }
    text
}

fn rate(candidate: &Candidate) -> String {
    candidate.forecast.map_or_else(|| "not forecast".to_owned(), |forecast| forecast.in_percent())
}

fn json_of(found: &Round, kept: &[String]) -> Result<serde_json::Value> {
    let one = |candidate: &Candidate| -> Result<serde_json::Value> {
        Ok(json!({
            "text": candidate.draft.text,
            "proposer": candidate.draft.proposer,
            "asked": candidate.draft.asked,
            "forecast": candidate.forecast,
            "passes": candidate.verdict.passes(),
            "verdict": serde_json::to_value(&candidate.verdict).explain("cannot write the answer")?,
        }))
    };
    let (basis, refused) = match &found.basis {
        Ok(basis) => (Some(basis), None),
        Err(failure) => (None, Some(failure.to_string())),
    };
    Ok(json!({
        "product": found.brief.sheet.product,
        "audience": found.brief.audience,
        "written": found.written,
        "candidates": found.candidates.iter().map(one).collect::<Result<Vec<_>>>()?,
        "blocked": found.blocked.iter().map(one).collect::<Result<Vec<_>>>()?,
        "basis": basis,
        "no_forecast": refused,
        "notes": found.notes,
        "kept": kept,
        "rights": found.brief.sheet.rights,
        "disclosure": crate::adcopy::library::DISCLOSURE,
        "seed": found.grounds.seed,
        "prompt": found.grounds.prompt,
    }))
}
