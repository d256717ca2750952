//! Who writes? Proposers, each with a seeded draw: templates around facts, and phrases of the best copy that is known.
//!
//! A new proposer is one file and one line in [`PROPOSERS`]; a [`language_model`] writes beside them where there is one. Nothing
//! that a proposer writes is believed: every draft goes through the checks.

pub mod language_model;
mod mask;
mod phrases;
mod templates;

pub use mask::Mask;

use super::brief::Brief;
use super::placement::Placement;
use super::sheet::KnownSheet;
use crate::base::rng::Rng;
use serde::{Deserialize, Serialize};

/// A draft and who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The words.
    pub text: String,
    /// Id of the proposer.
    pub proposer: String,
    /// How a language model came to it; `None` for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Box<Asked>>,
}

/// What a language model was asked: the three together give the same words again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// File and BLAKE3 of the model.
    pub model: String,
    /// Seed of the draw.
    pub seed: u64,
    /// The request, word for word.
    pub prompt: String,
}

/// A phrase of copy that ran, and how well.
#[derive(Debug, Clone, PartialEq)]
pub struct Phrase {
    /// The text that it is from.
    pub text: String,
    /// Lower end of the 95 % interval of its click rate for the audience.
    pub low: f64,
}

/// What proposers write from.
pub struct Material<'a> {
    /// The brief.
    pub brief: &'a Brief,
    /// Its sheet, read.
    pub known: &'a KnownSheet,
    /// Where texts are shown.
    pub placement: &'a Placement,
    /// Copy of the same category and language that ran, in no order.
    pub best: &'a [Phrase],
}

/// One way to write.
pub trait Proposer: Sync {
    /// Stable name, in audits.
    fn id(&self) -> &'static str;

    /// One draft, or nothing where this draw leads to none.
    fn draft(&self, material: &Material<'_>, rng: &mut Rng) -> Option<String>;
}

/// All proposers that need no model.
pub const PROPOSERS: &[&dyn Proposer] = &[&templates::Templates, &phrases::Phrases];

/// Draws for each draft that is wanted: many draws lead to a text that is too long or that was there before.
const DRAWS: usize = 30;

/// Drafts of every proposer in turn, at most `most`, each text once, none longer than its place and none against the
/// words of the brief. The same material and seed give the same drafts.
pub fn drafts(material: &Material<'_>, most: usize) -> Vec<Draft> {
    let seed = material.brief.seed;
    let mut rngs: Vec<Rng> =
        PROPOSERS.iter().map(|one| Rng::named(seed, &format!("drafts of {}", one.id()))).collect();
    let mut drafts: Vec<Draft> = Vec::new();
    for _ in 0..DRAWS * most.div_ceil(PROPOSERS.len()) {
        for (proposer, rng) in PROPOSERS.iter().zip(&mut rngs) {
            let Some(text) = proposer.draft(material, rng) else { continue };
            let fits = material.placement.beyond(&text).is_none() && material.brief.allows(&text);
            if fits && !drafts.iter().any(|known| known.text == text) {
                drafts.push(Draft { text, proposer: proposer.id().to_owned(), asked: None });
            }
            if drafts.len() == most {
                return drafts;
            }
        }
    }
    drafts
}

/// Wordings of the facts in the language of the brief, each with the place of its fact.
fn wordings(material: &Material<'_>) -> Vec<(usize, String)> {
    let language = material.brief.language;
    let facts = material.known.sheet.facts.iter().enumerate();
    facts
        .flat_map(|(place, fact)| {
            let own = [fact.text.clone()];
            let said = if fact.say.is_empty() { own.to_vec() } else { fact.say.clone() };
            said.into_iter().map(move |words| (place, words))
        })
        .filter(|(_, words)| super::brief::Language::of(words) == language)
        .collect()
}

/// A word or wording drawn with equal chances.
fn drawn<'a, T>(items: &'a [T], rng: &mut Rng) -> Option<&'a T> {
    items.get(rng.below(items.len()))
}

/// Words as they stand inside a sentence: without a capital that only opened one.
fn inside(words: &str, known: &KnownSheet) -> String {
    let is_name = known.names.iter().any(|name| words.starts_with(name.as_str()));
    let mut letters = words.chars();
    match letters.next() {
        Some(first) if !is_name && letters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => words.to_owned(),
    }
}

/// Words as they open a sentence.
fn opening(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
