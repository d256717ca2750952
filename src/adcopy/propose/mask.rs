//! What may a language model write? What has room, in words that are known to be harmless or stand in the product sheet.
//!
//! A word may begin only as one that the sheet, the brief or the list of plain words holds (`assets/adcopy/plain_words.json`):
//! a material or a service that nobody told is never even begun. What is complete is held against the claims at once, so a
//! price that is put together of true figures ends where it becomes wrong. A text may end where the checks pass it whole and
//! it rests on a fact.

use super::super::brief::{Brief, Language};
use super::super::checks::{Checker, Severity};
use super::super::claim::{Meaning, claims};
use super::super::originality::Originals;
use super::super::plain::{self, Plain, is_ideograph};
use super::super::sheet::KnownSheet;
use crate::language::chat::Rule;
use crate::language::words::{Kind, tokens};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Words that lead on: no text ends with one.
const LEADING: [&str; 27] = [
    "a", "an", "the", "of", "in", "on", "for", "to", "and", "or", "with", "is", "are", "your", "our", "its",
    "at", "by", "from", "as", "that", "but", "if", "your", "into", "的", "和",
];
/// Marks that any text of a language may hold, English and Chinese; others only where the sheet has them.
const MARKS: [&str; 2] = [" ,.:;'%&/!?", " ，。：；、！？（）%"];
/// Marks after which no text ends.
const OPEN_MARKS: &str = ",:;-–—&/$€£¥，：；、（";
/// Words in a row that are not said twice.
const REPEATED: usize = 2;
/// Chinese characters at the end of a text that may still become another word.
const UNSURE: usize = 4;
/// Nats that a word of a fact gains, and an end where a text is whole: times seven.
const FAVOUR: f64 = 2.0;
/// Words of a text at least, and Chinese characters.
const FEWEST: [usize; 2] = [3, 4];
/// Names that a text may begin with.
const NAMES: usize = 3;
/// Ways to an end that are offered.
const WAYS: usize = 4;
/// Groups of rules that no continuation mends.
const FINAL: [&str; 5] = ["grounding", "prohibited", "personal", "urgency", "injection"];

/// The mask of a brief.
pub struct Mask<'a> {
    brief: &'a Brief,
    /// Asked about whole texts.
    whole: Checker,
    /// Asked about beginnings: it knows names by their beginnings, and no originals.
    part: Checker,
    words: BTreeSet<String>,
    /// Of them, those of the facts that are no plain words.
    telling: BTreeSet<String>,
    /// Words as the sheet types them, where they hold capitals after a small letter's place: `TrailFox`, `USB`.
    typed: BTreeSet<String>,
    /// Letters of the longest Chinese word.
    longest: usize,
    marks: HashSet<char>,
    /// Words of the sheet that a hyphen follows.
    hyphened: BTreeSet<String>,
    /// Characters of words and marks that take more than a byte.
    letters: BTreeSet<char>,
    seen: Mutex<HashMap<String, bool>>,
    /// Wordings of facts in the language of the brief, which end a text.
    wordings: Vec<String>,
    /// Whether texts may end.
    ended: Mutex<HashMap<String, bool>>,
}

impl<'a> Mask<'a> {
    /// The mask of a brief whose texts are held against `checker`.
    pub fn new(brief: &'a Brief, checker: &'a Checker) -> Self {
        let sheet = &checker.known.sheet;
        let facts = sheet.facts.iter().enumerate();
        let told = facts.filter(|(place, _)| !checker.known.kept_back.contains(place));
        let facts: Vec<&String> =
            told.flat_map(|(_, fact)| std::iter::once(&fact.text).chain(&fact.say)).collect();
        let texts: Vec<&String> = facts
            .iter()
            .copied()
            .chain(&checker.known.names)
            .chain(&brief.must)
            .chain([&sheet.category])
            .collect();
        let plain = &checker.book.plain_words[usize::from(brief.language == Language::Zh)];
        let words_of = |texts: &[&String]| -> BTreeSet<String> {
            let of = |text: &&String| -> Vec<String> {
                runs(text).into_iter().flat_map(|run| own_words(&text[run])).collect()
            };
            texts.iter().flat_map(of).collect()
        };
        let telling = words_of(&facts).into_iter().filter(|word| !plain.contains(word)).collect();
        let typed = texts.iter().flat_map(|text| runs(text).into_iter().map(|run| text[run].to_owned()));
        let typed = typed.filter(|word| has_inner_capitals(word)).collect();
        let mut words = words_of(&texts);
        words.extend(plain.iter().cloned());
        let longest =
            words.iter().filter(|word| word.contains(is_ideograph)).map(|word| word.chars().count()).max();
        let marks = texts
            .iter()
            .flat_map(|text| text.chars())
            .chain(MARKS[usize::from(brief.language == Language::Zh)].chars());
        let letters = words.iter().flat_map(|word| word.chars()).chain(marks.clone());
        Self {
            hyphened: texts.iter().flat_map(|text| hyphened(text)).collect(),
            letters: letters.filter(|letter| !letter.is_ascii()).collect(),
            brief,
            // What a text means is asked of the finished one: it takes milliseconds.
            whole: Checker { originals: checker.originals.by_letters(), ..checker.clone() },
            part: Checker {
                known: Arc::new(with_beginnings(&checker.known)),
                originals: Arc::<Originals>::default(),
                ..checker.clone()
            },
            longest: longest.unwrap_or(1),
            marks: marks.filter(|mark| !mark.is_alphanumeric()).collect(),
            words,
            telling,
            typed,
            wordings: wordings(brief, checker),
            seen: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    /// Whole texts that a text may become: by the rest of a fact that it has begun, or by a fact behind what it says. The
    /// nearest first, `most` of them.
    fn ways_to_end(&self, text: &str, most: usize) -> Vec<String> {
        let mut ways: Vec<String> = Vec::new();
        for wording in &self.wordings {
            if let Some((_, end)) = overlap(text, wording)
                && end < wording.len()
            {
                ways.push(format!("{text}{}", &wording[end..]));
            }
        }
        for whole in self.whole_words(text) {
            let said = whole.trim_end();
            let last = said.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_lowercase();
            let leads_on = LEADING.contains(&last.as_str());
            // A word that leads on is followed by the fact itself, any other by a mark.
            let joints: &[&str] = match (self.brief.language, leads_on) {
                (Language::Zh, true) => &[""],
                (Language::Zh, false) => &["，"],
                (Language::En, true) => &[" "],
                (Language::En, false) => &[", ", ": "],
            };
            for wording in &self.wordings {
                match whole.chars().next_back() {
                    None => {
                        ways.push(wording.clone());
                        ways.extend(self.whole.known.names.iter().take(NAMES).map(|name| {
                            let joint = if self.brief.language == Language::Zh { "，" } else { ": " };
                            format!("{name}{joint}{wording}")
                        }));
                    }
                    // A space behind a word that does not lead on leads to no fact.
                    Some(' ') if !leads_on && said.ends_with(char::is_alphanumeric) => {}
                    Some(' ') => ways.push(format!("{whole}{wording}")),
                    Some(mark) if !mark.is_alphanumeric() && !"%'’".contains(mark) => {
                        let space =
                            if mark.is_ascii() && self.brief.language == Language::En { " " } else { "" };
                        ways.push(format!("{whole}{space}{wording}"));
                    }
                    Some(_) => ways.extend(joints.iter().map(|joint| format!("{whole}{joint}{wording}"))),
                }
            }
        }
        ways.retain(|way| self.whole.placement.beyond(way).is_none());
        ways.sort_by_key(String::len);
        ways.dedup();
        let mut found = Vec::new();
        for way in ways {
            if found.len() == most {
                break;
            }
            if self.has_fitting_marks(&way) && self.may_end(&way) {
                found.push(way);
            }
        }
        found
    }

    /// A text whose last word is whole: as it stands, and where it may be a beginning, made whole by the shortest word.
    fn whole_words(&self, text: &str) -> Vec<String> {
        let runs = runs(text);
        let Some(last) = runs.last().filter(|run| run.end == text.len()) else {
            return vec![text.to_owned()];
        };
        let word = text[last.clone()].to_lowercase();
        if word.contains(is_ideograph) {
            // Chinese is written without spaces: any of its last letters may have begun a word.
            let starts: Vec<usize> = word.char_indices().rev().take(UNSURE).map(|(at, _)| at).collect();
            let longer = starts.into_iter().filter_map(|at| {
                let begun = &word[at..];
                let words = self.words.range(begun.to_owned()..).take_while(|known| known.starts_with(begun));
                let word = words.filter(|known| known.len() > begun.len()).min_by_key(|known| known.len())?;
                Some(format!("{text}{}", &word[begun.len()..]))
            });
            return std::iter::once(text.to_owned()).chain(longer).collect();
        }
        let names = self.whole.known.names.iter();
        let begun = names.filter_map(|name| Some((overlap(text, name)?.1, name)));
        let mut whole: Vec<String> = begun
            .filter(|(end, name)| *end < name.len())
            .map(|(end, name)| format!("{text}{}", &name[end..]))
            .collect();
        if self.words.contains(&word) {
            whole.push(text.to_owned());
        }
        let longer = self.words.range(word.clone()..).take_while(|known| known.starts_with(&word));
        if let Some(longer) = longer.filter(|known| known.len() > word.len()).min_by_key(|known| known.len())
        {
            whole.push(format!("{text}{}", &longer[word.len()..]));
        }
        whole
    }

    /// True where each run is made of known words; the last one may be the beginning of such.
    fn is_known(&self, text: &str, runs: &[Range<usize>], is_whole: bool) -> bool {
        runs.iter().all(|run| {
            let may_go_on = !is_whole && run.end == text.len();
            let word = text[run.clone()].to_lowercase();
            let own = &text[run.clone()];
            let is_typed =
                || self.typed.range(own.to_owned()..).next().is_some_and(|one| one.starts_with(own));
            match word.contains(is_ideograph) {
                true => self.is_made_of_words(&word, may_go_on),
                false if has_inner_capitals(own) && !is_typed() => false,
                false => self.words.contains(&word) || may_go_on && self.begins_one(&word),
            }
        })
    }

    fn begins_one(&self, start: &str) -> bool {
        self.words.range(start.to_owned()..).next().is_some_and(|word| word.starts_with(start))
    }

    /// Chinese is written without spaces: a run must be words put together, the last one perhaps unfinished.
    fn is_made_of_words(&self, run: &str, may_go_on: bool) -> bool {
        let letters: Vec<char> = run.chars().collect();
        let mut reached = vec![false; letters.len() + 1];
        reached[0] = true;
        for at in 0..letters.len() {
            if !reached[at] {
                continue;
            }
            for end in at + 1..=(at + self.longest).min(letters.len()) {
                let word: String = letters[at..end].iter().collect();
                reached[end] |= self.words.contains(&word);
                if end == letters.len() && may_go_on && self.begins_one(&word) {
                    return true;
                }
            }
        }
        reached[letters.len()]
    }

    /// True where a text claims something, which its checks then found to be true, or says a fact in all its words. A name
    /// alone is not enough.
    fn says_a_fact(&self, text: &str) -> bool {
        let known = &self.whole.known;
        let claimed = claims(text, &known.names, &self.whole.book);
        let own = plain::tokens(&Plain::of(text).text);
        let says = |wording: &String| {
            let words = plain::tokens(&Plain::of(wording).text);
            !words.is_empty() && words.iter().all(|word| own.contains(word))
        };
        claimed.iter().any(|claim| !matches!(claim.meaning, Meaning::Name(_)))
            || known.sheet.facts.iter().any(|fact| says(&fact.text) || fact.say.iter().any(says))
    }

    fn has_fitting_marks(&self, text: &str) -> bool {
        let mut before = None;
        for (at, mark) in text.char_indices() {
            if mark == '-' {
                let word = text[..at].rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
                if !self.hyphened.contains(&word.to_lowercase()) {
                    return false;
                }
            } else if !mark.is_alphanumeric() {
                let doubled = |before: char| !before.is_alphanumeric() && !"%'’".contains(before);
                let opens = "$€£¥（".contains(mark);
                let wrong = match before {
                    None => !opens,
                    Some(' ') => mark == ' ' || "，。：；、！？".contains(mark) || ",.:;%!?".contains(mark),
                    Some(before) => mark != ' ' && !opens && doubled(before),
                };
                if wrong || !self.marks.contains(&mark) {
                    return false;
                }
            }
            before = Some(mark);
        }
        true
    }

    /// True where nothing that is complete is against the rules.
    fn claims_hold(&self, complete: &str) -> bool {
        if complete.is_empty() {
            return true;
        }
        let known = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(complete).copied();
        if let Some(known) = known {
            return known;
        }
        // What reaches the end may still become something else: 30 -> 30 days.
        let end = complete.trim_end_matches(|c: char| !c.is_alphanumeric()).len();
        let holds = self.part.check(complete, None).is_ok_and(|verdict| {
            verdict.blocks().all(|found| {
                let group = found.rule.split('.').next().unwrap_or_default();
                !FINAL.contains(&group) || found.rule == "grounding.no_fact" || found.span.end >= end
            })
        });
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(complete.to_owned(), holds);
        holds
    }
}

impl Rule for Mask<'_> {
    /// Words of the facts come before others: a small model would rather praise.
    fn favour(&self, text: &str) -> f64 {
        let runs = runs(text);
        let Some(last) = runs.last().filter(|run| run.end == text.len()) else { return 0.0 };
        let word = text[last.clone()].to_lowercase();
        let said = |run: &Range<usize>| run != last && text[run.clone()].to_lowercase() == word;
        let begins = self.telling.range(word.clone()..).next().is_some_and(|known| known.starts_with(&word));
        if begins && !runs.iter().any(said) { FAVOUR } else { 0.0 }
    }

    fn favour_end(&self) -> f64 {
        FAVOUR
    }

    fn goes_on(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        let runs = runs(text);
        self.whole.placement.beyond(text).is_none()
            && self.has_fitting_marks(text)
            && self.is_known(text, &runs, false)
            && !self.brief.must_not.iter().any(|word| lower.contains(&word.to_lowercase()))
            && !repeats(&lower, &runs)
            && self.claims_hold(complete(text, &runs))
    }

    fn leads_somewhere(&self, text: &str) -> bool {
        self.may_end(text.trim_end()) || !self.ways_to_end(text, 1).is_empty()
    }

    fn may_begin(&self, text: &str, bytes: &[u8]) -> bool {
        let mut letters = self.letters.iter().filter(|letter| {
            let mut own = [0; 4];
            letter.encode_utf8(&mut own).as_bytes().starts_with(bytes)
        });
        letters.any(|letter| {
            let longer = format!("{text}{letter}");
            // Of a first byte there are many: where they lead is asked of the second.
            self.goes_on(&longer) && (bytes.len() == 1 || self.leads_somewhere(&longer))
        })
    }

    fn endings(&self, text: &str) -> Vec<String> {
        self.ways_to_end(text, WAYS)
    }

    fn may_end(&self, text: &str) -> bool {
        let known = self.ended.lock().unwrap_or_else(PoisonError::into_inner).get(text).copied();
        known.unwrap_or_else(|| {
            let may = self.is_whole(text);
            self.ended.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned(), may);
            may
        })
    }
}

impl Mask<'_> {
    /// True where a text ends whole, passes every check and rests on a fact.
    fn is_whole(&self, text: &str) -> bool {
        let runs = runs(text);
        let last = runs.last().map(|run| text[run.clone()].to_lowercase()).unwrap_or_default();
        let is_short = match text.contains(is_ideograph) {
            true => text.chars().filter(|letter| is_ideograph(*letter)).count() < FEWEST[1],
            false => runs.len() < FEWEST[0],
        };
        let leads_on =
            is_short || LEADING.contains(&last.as_str()) || text.ends_with(|c: char| OPEN_MARKS.contains(c));
        !leads_on
            && self.is_known(text, &runs, true)
            && self.brief.allows(text)
            && self.whole.check(text, None).is_ok_and(|verdict| {
                verdict.passes()
                    && self.says_a_fact(text)
                    && verdict
                        .findings
                        .iter()
                        .all(|found| found.severity == Severity::Block || found.rule != "style.puffery")
            })
    }
}

/// Wordings of facts in the language of a brief; of other languages where it has none.
fn wordings(brief: &Brief, checker: &Checker) -> Vec<String> {
    let sheet = &checker.known.sheet;
    let told = sheet.facts.iter().enumerate().filter(|(place, _)| !checker.known.kept_back.contains(place));
    let all: Vec<String> =
        told.flat_map(|(_, fact)| std::iter::once(&fact.text).chain(&fact.say)).cloned().collect();
    let own: Vec<String> = all.iter().filter(|text| Language::of(text) == brief.language).cloned().collect();
    let mut wordings = if own.is_empty() { all } else { own };
    let holds =
        |text: &String| brief.must.iter().any(|word| text.to_lowercase().contains(&word.to_lowercase()));
    if !brief.must.is_empty() && !wordings.iter().any(holds) {
        let joint = if brief.language == Language::Zh { "，" } else { ", " };
        let with =
            |word: &String| wordings.iter().map(|text| format!("{text}{joint}{word}")).collect::<Vec<_>>();
        wordings = brief.must.iter().flat_map(with).collect();
    }
    wordings.sort_by_key(String::len);
    wordings.dedup();
    wordings
}

/// Words of a text that a hyphen follows, and the empty one where a number is negative.
fn hyphened(text: &str) -> Vec<String> {
    let before = text.match_indices('-').map(|(at, _)| &text[..at]);
    before
        .map(|text| text.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_lowercase())
        .collect()
}

/// How many letters of the end of a text are the beginning of another, capitals aside: the longest such run that begins a
/// word. In bytes of `text` and of `other`.
fn overlap(text: &str, other: &str) -> Option<(usize, usize)> {
    let starts = text.char_indices().filter(|(at, letter)| {
        let before = text[..*at].chars().next_back();
        letter.is_alphanumeric() && (before.is_none_or(|b| !b.is_alphanumeric()) || is_ideograph(*letter))
            || "$€£¥".contains(*letter)
    });
    starts.into_iter().find_map(|(at, _)| {
        let (mut own, mut theirs) = (text[at..].chars(), other.char_indices());
        loop {
            let Some(letter) = own.next() else {
                let end = theirs.next().map_or(other.len(), |(end, _)| end);
                return Some((at, end));
            };
            let (_, wanted) = theirs.next()?;
            if !letter.to_lowercase().eq(wanted.to_lowercase()) {
                return None;
            }
        }
    })
}

/// Runs of letters and figures, Chinese ones apart from others.
fn runs(text: &str) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut before = None;
    for (at, letter) in text.char_indices() {
        let kind = letter.is_alphanumeric().then(|| is_ideograph(letter));
        match (kind, before, runs.last_mut()) {
            (Some(_), _, Some(run)) if kind == before => run.end = at + letter.len_utf8(),
            (Some(_), ..) => runs.push(at..at + letter.len_utf8()),
            _ => {}
        }
        before = kind;
    }
    runs
}

/// True for capitals after the first letter.
fn has_inner_capitals(word: &str) -> bool {
    word.chars().skip(1).any(char::is_uppercase)
}

/// The words of a run; a Chinese one is told whole as well, and in its words.
fn own_words(run: &str) -> Vec<String> {
    let mut words = vec![run.to_lowercase()];
    if run.contains(is_ideograph) {
        words.extend(tokens(run).into_iter().filter(|one| one.kind != Kind::Mark).map(|one| one.text));
    }
    words
}

/// The part of a text that no further letter changes.
fn complete<'t>(text: &'t str, runs: &[Range<usize>]) -> &'t str {
    let Some(last) = runs.last().filter(|run| run.end == text.len()) else { return text };
    let run = &text[last.clone()];
    let sure = match run.contains(is_ideograph) {
        true => run.char_indices().rev().nth(UNSURE).map_or(0, |(at, letter)| at + letter.len_utf8()),
        false => 0,
    };
    text[..last.start + sure].trim_end()
}

/// True where the last words were said before in the same order.
fn repeats(lower: &str, runs: &[Range<usize>]) -> bool {
    if lower.contains(is_ideograph) || runs.iter().any(|run| run.end > lower.len()) {
        return false;
    }
    let words: Vec<&str> = runs.iter().filter_map(|run| lower.get(run.clone())).collect();
    let Some(from) = words.len().checked_sub(REPEATED) else { return false };
    let last = &words[from..];
    words.windows(REPEATED).take(from).any(|other| other == last)
}

/// A sheet whose names are known by their first words too: a name is not invented because it is not finished.
fn with_beginnings(known: &KnownSheet) -> KnownSheet {
    let mut names: Vec<String> = Vec::new();
    for name in &known.names {
        let ends = name.char_indices().filter(|(_, letter)| *letter == ' ').map(|(at, _)| at);
        names.extend(ends.chain([name.len()]).map(|end| name[..end].to_owned()));
    }
    names.sort_by_key(|name| std::cmp::Reverse(Plain::of(name).text.len()));
    names.dedup();
    KnownSheet { names, ..known.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::super::brief::Brief;
    use super::super::super::{Addressed, Fact, ProductSheet, Rulebook};
    use super::*;

    fn mask(language: Language, test: impl Fn(&Mask<'_>)) {
        let fact = |id: &str, text: &str| Fact { id: id.into(), text: text.into(), ..Fact::default() };
        let sheet = ProductSheet {
            product: "TrailFox 3 running shoe".into(),
            facts: vec![
                fact("weight", "weighs 240 g"),
                fact("price", "costs $89"),
                fact("returns", "30-day returns"),
                fact("zh", "防水鞋面"),
            ],
            ..ProductSheet::default()
        };
        let book = Rulebook::built_in().unwrap();
        let brief = Brief { sheet, language, must_not: vec!["cheap".into()], ..Brief::default() };
        let checker = Checker {
            placement: book.placement("google_description").unwrap().clone(),
            known: Arc::new(brief.sheet.known(&book).unwrap()),
            originals: Arc::default(),
            addressed: Addressed::default(),
            book,
        };
        test(&Mask::new(&brief, &checker));
    }

    #[test]
    fn words_begin_as_known_ones_and_figures_stay_what_they_are() {
        mask(Language::En, |mask| {
            for text in
                ["Y", "Your Tra", "Your TrailFox 3 running sh", "It costs $8", "It costs $89 and we", "240 g"]
            {
                assert!(mask.goes_on(text), "{text}");
            }
            for text in [
                "Waterproofed",
                "It costs $88",
                "It costs $8 ",
                "It weighs 89 g and y",
                "It costs $240 today, y",
                "A cheap",
                "Yes,, y",
                " . ",
                "YOUR",
                "TRAILF",
                "your day, your day",
                "😀",
            ] {
                assert!(!mask.goes_on(text), "{text}");
            }
        });
    }

    #[test]
    fn a_text_ends_whole_and_on_a_fact() {
        mask(Language::En, |mask| {
            for text in ["Your TrailFox 3 running shoe costs $89", "Try it: 30-day returns"] {
                assert!(mask.goes_on(text) && mask.may_end(text), "{text}");
            }
            for text in
                ["It is for you", "240 g", "It costs $89 and", "It costs $8", "It costs $89,", "Your run"]
            {
                assert!(!mask.may_end(text), "{text}");
            }
        });
        mask(Language::Zh, |mask| {
            assert!(mask.goes_on("防水鞋面") && mask.may_end("防水鞋面") && !mask.may_end("防水鞋"));
            assert!(mask.goes_on("防"), "a Chinese word may be unfinished");
            assert!(!mask.goes_on("纳"), "and no word that nobody told is begun");
        });
    }
}
