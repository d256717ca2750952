//! Whom or what does a text name that is not the product? Capitalised words, codes, quoted titles, organisations.
//!
//! In a headline where most words are capitalised a capital says nothing: there only codes and words with inner capitals
//! are names. A name that opens a sentence looks like any other word and is found only by the list of competitors.

use super::{Finder, Meaning, words};
use crate::adcopy::plain::is_chinese;
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// Chinese organisations and quoted titles.
static CHINESE_NAMES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        "《[^》]{1,30}》|「[^」]{1,30}」",
        "\\p{Han}{2,6}(?:大学|医院|研究院|研究所|协会|集团|公司|委员会|实验室|基金会|电视台)",
    ]
    .iter()
    .filter_map(|pattern| Regex::new(pattern).ok())
    .collect()
});

impl Finder<'_> {
    /// Takes every name.
    pub(super) fn names(&mut self) {
        let plain = self.plain;
        for pattern in &*CHINESE_NAMES {
            for found in pattern.find_iter(&plain.text) {
                if self.is_free(&found.range()) {
                    let inner = found.as_str().trim_matches(['《', '》', '「', '」']);
                    self.take(found.range(), Meaning::Name(inner.to_lowercase()));
                }
            }
        }
        let text = plain.text.as_str();
        let all: Vec<(Range<usize>, &str)> = words(text).collect();
        let chinese = is_chinese(text);
        let titled = is_titled(&all);
        let mut run: Option<Range<usize>> = None;
        for (range, word) in all {
            let is_name = self.is_free(&range)
                && !self.book.not_names.contains(word)
                && (is_code(word) || is_inner(word) || (chinese && word.len() > 1 && is_latin(word)) || {
                    !titled && is_capitalised(word) && !opens(text, range.start)
                });
            let joins = run.as_ref().is_some_and(|run| text[run.end..range.start] == *" ");
            match (&mut run, is_name) {
                (Some(open), true) if joins => open.end = range.end,
                (_, true) => self.name(run.replace(range)),
                (_, false) => self.name(run.take()),
            }
        }
        self.name(run);
    }

    fn name(&mut self, range: Option<Range<usize>>) {
        if let Some(range) = range {
            let name = self.plain.text[range.clone()].to_lowercase();
            self.take(range, Meaning::Name(name));
        }
    }
}

fn is_latin(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn is_capitalised(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase) && word.chars().count() > 1
}

/// X200, 5G: letters and figures.
fn is_code(word: &str) -> bool {
    word.contains(|c: char| c.is_ascii_digit()) && word.contains(|c: char| c.is_ascii_alphabetic())
}

/// iPhone, AirMax: a capital after a small letter.
fn is_inner(word: &str) -> bool {
    word.chars().zip(word.chars().skip(1)).any(|(one, next)| one.is_lowercase() && next.is_uppercase())
}

/// Most words of four letters or more are capitalised, so capitals name nobody.
fn is_titled(all: &[(Range<usize>, &str)]) -> bool {
    let long: Vec<&str> =
        all.iter().skip(1).map(|(_, word)| *word).filter(|word| word.chars().count() >= 3).collect();
    let capitals = long.iter().filter(|word| is_capitalised(word)).count();
    long.len() >= 2 && 10 * capitals >= 6 * long.len()
}

/// True where a word opens the text, a sentence or a quotation.
fn opens(text: &str, at: usize) -> bool {
    let head = text[..at].trim_end_matches([' ', '"', '(', '\'']);
    head.is_empty()
        || head.ends_with(['.', '!', '?', ':', ';', '\n', '-', '|', '。', '！', '？', '，', '：', '/', '*'])
}
