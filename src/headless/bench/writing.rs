//! What does it change that a language model writes under a mask? Length and grounding of raw texts of 50 products, with and
//! without it (G8).

use super::{BenchRow, ours};
use crate::adcopy::propose::language_model::{Writer, seed_of};
use crate::adcopy::{Addressed, Brief, Checker, ProductSheet, Rulebook, Severity};
use crate::base::files::disk_failure;
use crate::base::{Failure, Result, failure::Explain};
use crate::jobs::JobContext;
use crate::language::chat::ChatModel;
use crate::metrics::Rate;
use crate::session::sample::{fetched_model, sample_log_path};
use std::path::Path;
use std::sync::Arc;

/// Texts of a product.
const TRIES: usize = 2;
/// What G8 asks for, in percent.
const WITHIN: f64 = 95.0;
const GROUNDED: f64 = 70.0;

/// Texts by what they keep to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Kept {
    /// Texts that were tried.
    pub tried: usize,
    /// Of them, those that came to an end that their rule allows.
    pub whole: usize,
    /// Of those, texts that the rule ended, as the model could not.
    pub closed: usize,
    /// Of all, texts without a word: nothing that the rule allows was among the model's likeliest.
    pub blank: usize,
    /// Of all, texts that have room (G1).
    pub within: usize,
    /// Of all, texts that rest on facts with every claim (G2).
    pub grounded: usize,
    /// Of all, texts that pass every check.
    pub pass: usize,
}

/// The shares with and without the mask.
///
/// # Errors
/// No model was fetched, the sample products are not beside the program, or a cancel.
pub fn writing(context: &JobContext) -> Result<Vec<BenchRow>> {
    let path = fetched_model().ok_or_else(|| {
        Failure::new("cannot measure", "there is no language model").hint("sh assets/fetch-models.sh")
    })?;
    let model = ChatModel::open(&path, context)?;
    let sheets = products(&sample_log_path()?.with_file_name("adcopy").join("products_en.json"))?;
    let masked = keeps(&model, &sheets, TRIES, true, context)?;
    let free = keeps(&model, &sheets, TRIES, false, context)?;
    let share = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
    let row = |what: &str, how: &str, part: usize, kept: Kept, reach: Option<f64>| {
        let rate = Rate::wilson(part as f64, kept.tried as f64);
        let (low, high) = (100.0 * rate.low, 100.0 * rate.high);
        ours(
            &format!("{what}, {how} ({part} of {}, 95 %: {low:.0} to {high:.0})", kept.tried),
            share(part, kept.tried),
            "%",
            reach,
        )
    };
    let mut rows = Vec::new();
    for (how, kept, asked) in [("with the mask", masked, true), ("without", free, false)] {
        let tried = format!(
            "texts that came to an end, {how} ({} of {}, {} ended by the rule)",
            kept.whole, kept.tried, kept.closed
        );
        rows.push(ours(&tried, share(kept.whole, kept.tried), "%", None));
        rows.push(row("texts within 30 units (G1)", how, kept.within, kept, asked.then_some(WITHIN)));
        rows.push(row("texts grounded (G2)", how, kept.grounded, kept, asked.then_some(GROUNDED)));
        rows.push(row("texts past every check", how, kept.pass, kept, None));
    }
    Ok(rows)
}

/// The sheets of a file.
///
/// # Errors
/// No such file, or no sheets in it.
pub fn products(path: &Path) -> Result<Vec<ProductSheet>> {
    let what = "cannot read the products";
    let text = std::fs::read_to_string(path).map_err(|error| disk_failure(what, path, &error))?;
    serde_json::from_str(&text).explain(what).map_err(|failure| failure.at(path.display()))
}

/// Has a model write headlines for products, under the mask or free, and holds them against the checks.
///
/// # Errors
/// A sheet that cannot be used, or a cancel.
pub fn keeps(
    model: &ChatModel,
    sheets: &[ProductSheet],
    tries: usize,
    masked: bool,
    context: &JobContext,
) -> Result<Kept> {
    let mut kept = Kept::default();
    let book = Rulebook::built_in()?;
    for (place, sheet) in sheets.iter().enumerate() {
        context.progress(place as u64, sheets.len() as u64);
        let brief = Brief { sheet: sheet.clone(), seed: place as u64, ..Brief::default() };
        let checker = Checker {
            placement: book.placement(&brief.placement)?.clone(),
            known: Arc::new(sheet.known(&book)?),
            originals: Arc::default(),
            addressed: Addressed::default(),
            book: Arc::clone(&book),
        };
        let writer = Writer::new(model, &brief, &checker, &[], context)?;
        for at in 0..tries {
            let seed = seed_of(&brief, at);
            let tried = match masked {
                true => writer.write(seed, context, &mut |_| {})?,
                false => writer.write_under(&|_: &str| true, seed, context, &mut |_| {})?,
            };
            kept.tried += 1;
            kept.whole += usize::from(tried.is_whole);
            kept.closed += usize::from(tried.is_closed);
            if tried.draft.text.is_empty() {
                kept.blank += 1;
                continue;
            }
            let verdict = checker.check(&tried.draft.text, None)?;
            let blocked = |group: &str| {
                let mut blocks = verdict.findings.iter().filter(|one| one.severity == Severity::Block);
                blocks.any(|one| one.rule.starts_with(group))
            };
            kept.within += usize::from(!blocked("length"));
            kept.grounded += usize::from(!blocked("grounding") && !verdict.grounded.is_empty());
            kept.pass += usize::from(verdict.passes());
        }
    }
    Ok(kept)
}
