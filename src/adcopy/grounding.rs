//! Does each claim of a text follow from a fact of the product sheet, and from which?

use super::checks::{Finding, Repair, Severity};
use super::claim::{Claim, Meaning, claims};
use super::plain::{self, Plain};
use super::rulebook::Rulebook;
use super::sheet::KnownSheet;
use serde::Serialize;
use std::ops::Range;

/// Words of a fact that a text must share to have used it, where the fact names no amounts.
const SHARED: f64 = 0.5;

/// A place of a text with the fact that it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grounded {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// Name of the fact.
    pub fact: String,
    /// The fact in words.
    pub says: String,
}

/// What rests on the sheet and what does not.
pub(super) fn ground(
    text: &str,
    known: &KnownSheet,
    book: &Rulebook,
    findings: &mut Vec<Finding>,
) -> Vec<Grounded> {
    let mut grounded: Vec<Grounded> = Vec::new();
    let mut unproven = false;
    for claim in claims(text, &known.names, book) {
        let supports = |place: &usize| supports(&claim, *place, known);
        match (0..known.claims.len()).find(supports).and_then(|place| known.fact(place)) {
            Some(fact) => {
                grounded.push(Grounded { span: claim.span, fact: fact.id.clone(), says: fact.text.clone() })
            }
            None => {
                unproven = true;
                findings.push(ungrounded(text, &claim, known));
            }
        }
    }
    for (place, words) in known.words.iter().enumerate() {
        if let Some((span, fact)) = said(text, words, known, place).zip(known.fact(place))
            && !grounded.iter().any(|known| known.fact == fact.id)
        {
            grounded.push(Grounded { span, fact: fact.id.clone(), says: fact.text.clone() });
        }
    }
    if grounded.is_empty() {
        let severity = if unproven { Severity::Block } else { Severity::Warn };
        findings.push(Finding {
            rule: "grounding.no_fact".to_owned(),
            severity,
            span: 0..text.len(),
            why: "rests on no fact of the product sheet".to_owned(),
            repair: known.sheet.facts.first().map(|fact| {
                let words = fact.say.first().unwrap_or(&fact.text);
                Repair { words: format!("say a fact: {words}"), text: words.clone() }
            }),
            source: String::new(),
        });
    }
    grounded.sort_by_key(|one| one.span.start);
    grounded
}

/// True where the fact at `place` says what is claimed; a superlative needs its proof.
fn supports(claim: &Claim, place: usize, known: &KnownSheet) -> bool {
    let says = known.claims[place].iter().any(|fact| claim.meaning.follows_from(&fact.meaning));
    let fact = known.fact(place);
    match &claim.meaning {
        Meaning::Superlative(_) => says && fact.is_some_and(|fact| !fact.proof.trim().is_empty()),
        Meaning::Name(name) => {
            let holds = |text: &str| Plain::of(text).text.to_lowercase().contains(name.as_str());
            says || fact.is_some_and(|fact| holds(&fact.text) || fact.say.iter().any(|say| holds(say)))
        }
        _ => says,
    }
}

/// Where a text says a fact that names no amounts: it shares half of its words.
fn said(text: &str, words: &[String], known: &KnownSheet, place: usize) -> Option<Range<usize>> {
    let is_amount = |claim: &Claim| !matches!(claim.meaning, Meaning::Attribute(_) | Meaning::Name(_));
    if known.claims[place].iter().any(is_amount) || words.is_empty() {
        return None;
    }
    let own = plain::tokens(&Plain::of(text).text);
    let mut telling: Vec<&String> = words.iter().filter(|word| !is_common(word)).collect();
    telling.sort_unstable();
    telling.dedup();
    let shared = telling.iter().filter(|word| own.contains(**word)).count();
    let enough = shared > 0 && shared as f64 >= SHARED * telling.len() as f64;
    // Of a fact in several wordings one is enough.
    let one = known.fact(place).is_some_and(|fact| {
        std::iter::once(&fact.text).chain(&fact.say).any(|say| {
            let words = plain::tokens(&Plain::of(say).text);
            let telling: Vec<&String> = words.iter().filter(|word| !is_common(word)).collect();
            let shared = telling.iter().filter(|word| own.contains(**word)).count();
            shared > 0 && shared as f64 >= SHARED * telling.len() as f64
        })
    });
    (enough || one).then_some(0..text.len())
}

fn is_common(word: &str) -> bool {
    const COMMON: [&str; 34] = [
        "a", "an", "the", "of", "in", "on", "for", "to", "and", "or", "with", "is", "are", "it", "its", "by",
        "at", "as", "from", "be", "的", "了", "是", "在", "和", "也", "都", "与", "有", "你", "我", "就",
        "this", "that",
    ];
    COMMON.contains(&word)
}

fn ungrounded(text: &str, claim: &Claim, known: &KnownSheet) -> Finding {
    let words = &text[claim.span.clone()];
    let near = known.sheet.facts.iter().zip(&known.claims).find_map(|(fact, claims)| {
        let one = claims.iter().find(|other| claim.meaning.could_be(&other.meaning))?;
        // The claims of a fact are read from its text first, then from its wordings.
        let source = std::iter::once(&fact.text).chain(&fact.say);
        let right = source.filter_map(|text| text.get(one.span.clone())).next()?;
        Some((right.to_owned(), fact))
    });
    let (repair, says) = match near {
        Some((right, fact)) => {
            let new = plain::replaced(text, &claim.span, &right);
            let words = format!("say '{right}', as fact '{}' does", fact.id);
            (Repair { words, text: new }, format!("; fact '{}' says '{}'", fact.id, fact.text))
        }
        None => (removal(text, claim), String::new()),
    };
    let lacks = match &claim.meaning {
        Meaning::Superlative(_) => "is a superlative without a proven fact",
        Meaning::Attribute(_) => "is a property that the product sheet does not tell",
        Meaning::Name(_) => "is a name that the product sheet does not tell",
        _ => "does not stand in the product sheet",
    };
    Finding {
        rule: claim.meaning.rule().to_owned(),
        severity: Severity::Block,
        span: claim.span.clone(),
        why: format!("'{words}' {lacks}{says}"),
        repair: Some(repair).filter(|repair| !repair.text.trim().is_empty()),
        source: String::new(),
    }
}

/// The smallest way to do without: the words themselves for what only adds praise, else their clause.
fn removal(text: &str, claim: &Claim) -> Repair {
    let clause = plain::clause_around(text, &claim.span);
    let whole = clause.len() == text.len();
    let words_alone = matches!(claim.meaning, Meaning::Superlative(_) | Meaning::Attribute(_)) || whole;
    let gone = if words_alone && !plain::is_chinese(text) || whole { claim.span.clone() } else { clause };
    Repair { words: format!("leave out '{}'", text[gone.clone()].trim()), text: plain::without(text, &gone) }
}
