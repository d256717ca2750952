//! What can be said with the words that worked? A short clause of the copy with the best click rates, before a fact.

use super::super::brief::Language;
use super::{Material, Proposer, drawn, inside, opening, wordings};
use crate::base::rng::Rng;

/// Clauses of known copy with facts.
pub(super) struct Phrases;

/// Texts that are drawn from: the best ones.
const BEST: usize = 12;

impl Proposer for Phrases {
    fn id(&self) -> &'static str {
        "phrases"
    }

    fn draft(&self, material: &Material<'_>, rng: &mut Rng) -> Option<String> {
        let language = material.brief.language;
        let mut best: Vec<_> =
            material.best.iter().filter(|phrase| Language::of(&phrase.text) == language).collect();
        best.sort_by(|a, b| b.low.total_cmp(&a.low).then_with(|| a.text.cmp(&b.text)));
        best.truncate(BEST);
        // A better one is drawn more often: the first of two draws.
        let place = rng.below(best.len()).min(rng.below(best.len()));
        let source = &best.get(place)?.text;
        let clauses: Vec<&str> = source
            .split(['，', '。', '！', '？', ',', '.', '!', '?', ';', '；', '、', '|'])
            .map(str::trim)
            .filter(|clause| clause.chars().count() >= 3)
            .collect();
        let (clause, words) = (drawn(&clauses, rng)?, wordings(material));
        let (_, fact) = drawn(&words, rng)?;
        let fact = inside(fact, material.known);
        Some(match (language, rng.chance(0.5)) {
            (Language::Zh, true) => format!("{clause}，{fact}"),
            (Language::Zh, false) => format!("{fact}，{clause}"),
            (Language::En, true) => format!("{}. {}", opening(clause), opening(&fact)),
            (Language::En, false) => format!("{}, {}", opening(clause), fact),
        })
    }
}
