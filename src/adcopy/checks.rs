//! May a text be shown? Every rule, what it found, and the smallest repair.
//!
//! Nothing is cut and nothing is changed: a text passes or is blocked, each block names its rule, and a repair is offered
//! as the whole text that would stand instead.

use super::editorial;
use super::grounding::{Grounded, ground};
use super::originality::{Likeness, Originals};
use super::placement::Placement;
use super::plain::{self, Plain};
use super::readability::Readability;
use super::rulebook::{Rule, Rulebook, Unless};
use super::sheet::KnownSheet;
use crate::adcopy::claim::{Meaning, claims};
use crate::base::{Failure, Result};
use crate::domain::segment::{Literal, Segment, Test};
use serde::Serialize;
use std::ops::Range;
use std::sync::Arc;

/// Letters of a text at most: more is no advertisement.
const LONGEST: usize = 10_000;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The text may be shown; somebody should look.
    Warn,
    /// The text may not be shown.
    Block,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule: `length`, `grounding.price`, `prohibited.guarantee`.
    pub rule: String,
    /// How much it matters.
    pub severity: Severity,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is wrong, in a sentence.
    pub why: String,
    /// The smallest change; `None` where a person must think.
    pub repair: Option<Repair>,
    /// Where the text was copied from; empty for other rules.
    pub source: String,
}

/// A change that is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// What would be done: "leave out 'top-of-the-line'".
    pub words: String,
    /// The whole text after it.
    pub text: String,
}

/// All that is known of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The text.
    pub text: String,
    /// Units of room that it takes.
    pub units: usize,
    /// Units that there are.
    pub room: usize,
    /// What was found, what blocks first.
    pub findings: Vec<Finding>,
    /// Places with the facts that they rest on.
    pub grounded: Vec<Grounded>,
    /// The known text that it is most like.
    pub nearest: Option<Likeness>,
    /// How it reads.
    pub readability: Readability,
}

impl Verdict {
    /// True where nothing blocks it.
    pub fn passes(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Block)
    }

    /// What blocks it.
    pub fn blocks(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Block)
    }

    /// The facts that it rests on, each once.
    pub fn facts(&self) -> Vec<&str> {
        let mut facts: Vec<&str> = self.grounded.iter().map(|one| one.fact.as_str()).collect();
        facts.sort_unstable();
        facts.dedup();
        facts
    }

    /// The groups of rules that found nothing to block: for the audit.
    pub fn passed(&self) -> Vec<&'static str> {
        const GROUPS: [&str; 8] = [
            "length",
            "grounding",
            "prohibited",
            "personal",
            "urgency",
            "editorial",
            "injection",
            "originality",
        ];
        let blocked = |group: &&str| self.blocks().any(|found| found.rule.split('.').next() == Some(group));
        GROUPS.into_iter().filter(|group| !blocked(group)).collect()
    }
}

/// Whom a text is meant for, where that matters to the rules.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Addressed {
    /// Column and value of each sensitive attribute that the audience was chosen by.
    attributes: Vec<(String, String)>,
}

impl Addressed {
    /// The sensitive attributes of an audience.
    pub fn of(audience: &Segment, book: &Rulebook) -> Self {
        let is_sensitive =
            |column: &str| book.sensitive_columns.iter().any(|known| known.eq_ignore_ascii_case(column));
        let mut attributes = Vec::new();
        equalities(audience, &mut attributes);
        attributes.retain(|(column, _)| is_sensitive(column));
        Self { attributes }
    }
}

/// Columns with the values that a segment asks for.
pub(super) fn equalities(segment: &Segment, found: &mut Vec<(String, String)>) {
    match segment {
        Segment::And(parts) | Segment::Or(parts) => parts.iter().for_each(|part| equalities(part, found)),
        Segment::Where { column, test: Test::In(values) } => {
            found.extend(values.iter().map(|value| match value {
                Literal::Text(text) => (column.clone(), text.clone()),
                Literal::Number(number) => (column.clone(), number.to_string()),
            }))
        }
        _ => {}
    }
}

/// Holds texts against the rules, a sheet and the known texts.
#[derive(Debug, Clone)]
pub struct Checker {
    /// The rules.
    pub book: Arc<Rulebook>,
    /// The sheet.
    pub known: Arc<KnownSheet>,
    /// Where texts are shown.
    pub placement: Placement,
    /// The known texts.
    pub originals: Arc<Originals>,
    /// Whom texts are meant for.
    pub addressed: Addressed,
}

impl Checker {
    /// Holds a text against everything. `own` is the source of a known text that it may be like: itself.
    ///
    /// # Errors
    /// No text, or one beyond all reason.
    pub fn check(&self, text: &str, own: Option<&str>) -> Result<Verdict> {
        let what = "cannot check the text";
        if text.trim().is_empty() {
            return Err(Failure::new(what, "it is empty").hint("write something"));
        }
        if text.chars().count() > LONGEST {
            return Err(
                Failure::new(what, "it has more than 10,000 letters").hint("one advertisement a text")
            );
        }
        let mut findings = Vec::new();
        self.length(text, &mut findings);
        let grounded = ground(text, &self.known, &self.book, &mut findings);
        self.rules(text, &grounded, &mut findings);
        self.competitors(text, &mut findings);
        self.audience(text, &grounded, &mut findings);
        editorial::check(text, &self.placement, &self.known, &mut findings);
        let nearest = self.originals.nearest(text, |known| Some(known.source.as_str()) == own);
        findings.extend(nearest.as_ref().filter(|one| one.copied).map(|one| copied(text, one)));
        let readability = Readability::of(text);
        findings.extend(readability.hard().map(|why| Finding {
            rule: "readability".to_owned(),
            severity: Severity::Warn,
            span: 0..text.len(),
            why,
            repair: None,
            source: String::new(),
        }));
        findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.span.start.cmp(&b.span.start)));
        let (units, room) = (self.placement.units_of(text), self.placement.units);
        Ok(Verdict { text: text.to_owned(), units, room, findings, grounded, nearest, readability })
    }

    fn length(&self, text: &str, findings: &mut Vec<Finding>) {
        let Some(span) = self.placement.beyond(text) else { return };
        let (units, room) = (self.placement.units_of(text), self.placement.units);
        findings.push(Finding {
            rule: "length".to_owned(),
            severity: Severity::Block,
            why: format!(
                "takes {units} of {room} units of '{}', {} too many",
                self.placement.label,
                units - room
            ),
            repair: self.shorter(text).map(|text| Repair { words: format!("say '{text}'"), text }),
            span,
            source: String::new(),
        });
    }

    /// The longest text that fits made of whole clauses from the start, else of whole clauses from the end.
    fn shorter(&self, text: &str) -> Option<String> {
        let mut ends = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let step = text[at..].chars().next().map_or(1, char::len_utf8);
            let clause = plain::clause_around(text, &(at..at + step));
            at = clause.end.max(at + step);
            ends.push(at);
        }
        let fits = |part: &str| {
            let tidy = plain::without(part, &(part.len()..part.len()));
            let has_words = plain::tokens(&tidy).len() > 1;
            (has_words && self.placement.beyond(&tidy).is_none()).then_some(tidy)
        };
        let heads = ends.iter().rev().skip(1).filter_map(|end| fits(&text[..*end]));
        let tails = ends.iter().filter_map(|start| fits(&text[*start..]));
        heads.chain(tails).max_by_key(|part| part.chars().count())
    }

    fn rules(&self, text: &str, grounded: &[Grounded], findings: &mut Vec<Finding>) {
        let plain = Plain::of(text);
        for rule in &self.book.rules {
            for found in rule.pattern.find_iter(&plain.text).filter(|found| !found.is_empty()) {
                let span = plain.as_typed(&found.range());
                if self.excused(rule, &text[span.clone()], text, grounded) {
                    continue;
                }
                let clause = plain::clause_around(text, &span);
                let gone = if clause.len() == text.len() { span.clone() } else { clause };
                let shorter = plain::replaced(text, &gone, &rule.instead);
                let words = match rule.instead.as_str() {
                    "" => format!("leave out '{}'", text[gone].trim()),
                    instead => format!("write '{instead}'"),
                };
                findings.push(Finding {
                    rule: rule.name.clone(),
                    severity: Severity::Block,
                    why: format!("'{}' {}", &text[span.clone()], rule.why),
                    repair: Some(Repair { words, text: shorter }).filter(|repair| !repair.text.is_empty()),
                    span,
                    source: String::new(),
                });
            }
        }
        for pattern in &self.book.puffery {
            findings.extend(pattern.find_iter(text).map(|found| {
                Finding {
                    rule: "style.puffery".to_owned(),
                    severity: Severity::Warn,
                    span: found.range(),
                    why: format!("'{}' praises and says nothing", found.as_str()),
                    repair: Some(Repair {
                        words: format!("leave out '{}'", found.as_str()),
                        text: plain::without(text, &found.range()),
                    })
                    .filter(|repair| !repair.text.is_empty()),
                    source: String::new(),
                }
            }));
        }
    }

    fn excused(&self, rule: &Rule, words: &str, text: &str, grounded: &[Grounded]) -> bool {
        match rule.unless {
            None => false,
            Some(Unless::Fact) => {
                let words = words.to_lowercase();
                let says = |text: &String| text.to_lowercase().contains(&words);
                self.known.sheet.facts.iter().any(|fact| says(&fact.text) || fact.say.iter().any(says))
            }
            Some(Unless::EndDate) => {
                let dated = |claim: &crate::adcopy::claim::Claim| {
                    let is_end = matches!(claim.meaning, Meaning::Date { .. } | Meaning::Weekday(_));
                    is_end && grounded.iter().any(|known| known.span == claim.span)
                };
                claims(text, &self.known.names, &self.book).iter().any(dated)
            }
        }
    }

    fn competitors(&self, text: &str, findings: &mut Vec<Finding>) {
        for name in self.known.sheet.competitors.iter().filter(|name| !name.trim().is_empty()) {
            if let Some(span) = word_in(text, name) {
                let clause = plain::clause_around(text, &span);
                let gone = if clause.len() == text.len() { span.clone() } else { clause };
                findings.push(Finding {
                    rule: "prohibited.competitor".to_owned(),
                    severity: Severity::Block,
                    why: format!("'{}' is a competitor", &text[span.clone()]),
                    repair: Some(Repair {
                        words: format!("leave out '{}'", text[gone.clone()].trim()),
                        text: plain::without(text, &gone),
                    })
                    .filter(|repair| !repair.text.is_empty()),
                    span,
                    source: String::new(),
                });
            }
        }
    }

    /// Nobody is told what was known of them, and an offer for some is told to a person.
    fn audience(&self, text: &str, grounded: &[Grounded], findings: &mut Vec<Finding>) {
        for (column, value) in &self.addressed.attributes {
            let given_away = self.book.audience_words.get(&value.to_lowercase());
            let words = std::iter::once(value).chain(given_away.into_iter().flatten());
            for span in words.filter_map(|word| word_in(text, word)) {
                findings.push(Finding {
                    rule: "personal.audience".to_owned(),
                    severity: Severity::Block,
                    why: format!("'{}' tells the reader what is known of {column}", &text[span.clone()]),
                    repair: Some(Repair {
                        words: format!("leave out '{}'", &text[span.clone()]),
                        text: plain::without(text, &span),
                    })
                    .filter(|repair| !repair.text.is_empty()),
                    span,
                    source: String::new(),
                });
            }
        }
        let offer =
            |one: &&Grounded| self.known.sheet.facts.iter().any(|fact| fact.offer && fact.id == one.fact);
        if let Some(one) = grounded.iter().find(offer).filter(|_| !self.addressed.attributes.is_empty()) {
            let who: Vec<String> = self
                .addressed
                .attributes
                .iter()
                .map(|(column, value)| format!("{column} = {value}"))
                .collect();
            findings.push(Finding {
                rule: "fairness.offer".to_owned(),
                severity: Severity::Warn,
                span: one.span.clone(),
                why: format!("the offer '{}' would only be seen where {}", one.says, who.join(" or ")),
                repair: None,
                source: String::new(),
            });
        }
    }
}

fn copied(text: &str, one: &Likeness) -> Finding {
    Finding {
        rule: "originality".to_owned(),
        severity: Severity::Block,
        span: 0..text.len(),
        why: format!(
            "is like '{}' ({}): {} words in a row, {:.0} % of the 5-grams, cosine {:.2}{}",
            one.text,
            one.source,
            one.run,
            100.0 * one.jaccard,
            one.cosine,
            one.meaning
                .as_ref()
                .map_or_else(String::new, |(name, cosine)| format!(", by {name} {cosine:.2}"))
        ),
        repair: None,
        source: one.source.clone(),
    }
}

/// Where a word or name stands in a text by itself, whatever its case.
fn word_in(text: &str, word: &str) -> Option<Range<usize>> {
    let word = word.trim().to_lowercase();
    let lower = text.to_lowercase();
    // A text whose lower case has other bytes is searched as it is.
    let lower = if lower.len() == text.len() { lower } else { text.to_owned() };
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let latin = word.is_ascii();
    lower.match_indices(&word).map(|(at, _)| at..at + word.len()).find(|range| {
        !latin || !(joins(text[..range.start].chars().next_back()) || joins(text[range.end..].chars().next()))
    })
}
