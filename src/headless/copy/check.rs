//! `adloupe copy check`: may these words be shown, and if not, by which rule and what would do?

use super::{Answer, Terminal, lines_of, originals, rulebook};
use crate::adcopy::{Addressed, Checker, ProductSheet, Severity, Verdict};
use crate::base::{Failure, Result, failure::Explain};
use crate::domain::segment::Segment;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Which words, against which sheet.
#[derive(Debug, clap::Args)]
#[command(
    about = "Holds words against a product sheet and the rules; each block names its rule and the smallest repair"
)]
pub struct Args {
    /// The product sheet: what is true (JSON; sample_data/adcopy/sheet_en.json shows one).
    #[arg(long, value_name = "JSON")]
    sheet: PathBuf,
    /// Where the words are shown.
    #[arg(long, value_name = "NAME", default_value = "google_headline")]
    placement: String,
    /// Words to check; may be given again.
    #[arg(long, value_name = "TEXT")]
    text: Vec<String>,
    /// A file of words to check, one text a line.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Finds copies by meaning too, by this sentence encoder: a folder with config.json, model.safetensors and tokenizer.json.
    #[arg(long, value_name = "FOLDER", requires = "known")]
    encoder: Option<PathBuf>,
    /// A list of texts that nothing may be a copy of, one a line; may be given again.
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
    /// Whom the words are meant for, as a segment: what is known of them may not be told to them.
    #[arg(long, value_name = "SEGMENT", default_value = "")]
    audience: String,
    /// A folder with rules in place of the program's own.
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

/// Checks every text.
///
/// # Errors
/// A sheet, rules or texts that cannot be read, no text, an unknown placement.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let book = rulebook(args.rules.as_deref())?;
    let known = ProductSheet::read(&args.sheet)?.known(&book)?;
    known.warnings.iter().for_each(|warning| terminal.context().warn(warning.clone()));
    let mut texts = args.text.clone();
    if let Some(file) = &args.file {
        texts.extend(lines_of(file)?.into_iter().map(|(_, line)| line));
    }
    if texts.is_empty() {
        return Err(
            Failure::new("cannot check the words", "there are none").hint("--text 'WORDS', or a file")
        );
    }
    let checker = Checker {
        placement: book.placement(&args.placement)?.clone(),
        addressed: Addressed::of(&Segment::parse(&args.audience)?, &book),
        known: Arc::new(known),
        originals: originals(&args.known, args.encoder.as_deref(), terminal)?,
        book,
    };
    let verdicts = texts.iter().map(|text| checker.check(text, None)).collect::<Result<Vec<_>>>()?;
    let text = verdicts.iter().map(told).collect::<Vec<_>>().join("\n");
    let passed = verdicts.iter().filter(|verdict| verdict.passes()).count();
    let all = verdicts.iter().map(|verdict| {
        let value = serde_json::to_value(verdict).explain("cannot write the answer")?;
        Ok(json!({ "passes": verdict.passes(), "verdict": value }))
    });
    let json = json!({
        "placement": checker.placement.id,
        "texts": verdicts.len(),
        "passed": passed,
        "verdicts": all.collect::<Result<Vec<_>>>()?,
    });
    Ok(Answer { text: format!("{text}\n{passed} of {} may be shown", verdicts.len()), json })
}

/// A verdict in lines.
pub(super) fn told(verdict: &Verdict) -> String {
    let mut text = String::new();
    let word = if verdict.passes() { "passes" } else { "BLOCKED" };
    // Writing into a String cannot fail.
    let _ = writeln!(text, "{word}  {}  ({} of {} units)", verdict.text, verdict.units, verdict.room);
    for finding in &verdict.findings {
        let mark = if finding.severity == Severity::Block { "x" } else { "-" };
        let _ = writeln!(text, "  {mark} {}: {}", finding.rule, finding.why);
        if let Some(repair) = &finding.repair {
            let _ = writeln!(text, "    repair: {} -> {}", repair.words, repair.text);
        }
    }
    for one in &verdict.grounded {
        let words = verdict.text.get(one.span.clone()).unwrap_or_default();
        let _ = writeln!(text, "  = '{words}' rests on fact '{}': {}", one.fact, one.says);
    }
    text.trim_end().to_owned()
}
