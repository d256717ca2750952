//! Is a text written as advertisements are? Marks, capitals, emoji, words spelled with signs, repetition, characters that
//! cannot be seen.
//!
//! The cases are those of Google's editorial policy (support pages adwordspolicy/176095 and adspolicy/14847994).

use super::checks::{Finding, Repair, Severity};
use super::placement::Placement;
use super::plain::{self, Plain};
use super::sheet::KnownSheet;
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;
use unicode_segmentation::UnicodeSegmentation;

struct Patterns {
    repeated_marks: Regex,
    spaced: Regex,
    sign_in_word: Regex,
    capitals: Regex,
}

static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    Some(Patterns {
        repeated_marks: Regex::new("[!?！？]{2,}|[,;:、，；：]{2,}|\\.{4,}|。{2,}|[~*#_=^+$]{2,}|、、")
            .ok()?,
        spaced: Regex::new("\\b\\p{L}(?:[.\\-_*] ?\\p{L}){3,}\\b\\.?|\\b[A-Za-z](?: [A-Za-z]){3,}\\b")
            .ok()?,
        sign_in_word: Regex::new(
            "\\b[A-Za-z]+[@$€£!*][A-Za-z]+\\b|\\$[a-z]{2,}\\b|\\b[A-Za-z]+[013][a-z]+\\b",
        )
        .ok()?,
        capitals: Regex::new("\\b[A-Z]{4,}\\b").ok()?,
    })
});

/// Adds what editors would not take.
pub(super) fn check(text: &str, placement: &Placement, known: &KnownSheet, findings: &mut Vec<Finding>) {
    unseen(text, findings);
    emoji(text, findings);
    exclamations(text, placement, findings);
    let Some(patterns) = &*PATTERNS else { return };
    let plain = Plain::of(text);
    let own_words = known.names.join(" ");
    let found = |pattern: &Regex, keep: &dyn Fn(&str) -> bool| -> Vec<Range<usize>> {
        let all = pattern
            .find_iter(&plain.text)
            .filter(|one| !own_words.contains(one.as_str()) && keep(one.as_str()));
        all.map(|one| plain.as_typed(&one.range())).collect()
    };
    for span in found(&patterns.repeated_marks, &|_| true) {
        let first: String = text[span.clone()].chars().take(1).collect();
        findings.push(finding("editorial.repeated_marks", text, span, "repeats a mark", Some(&first)));
    }
    for span in found(&patterns.spaced, &|_| true) {
        let word: String = text[span.clone()].chars().filter(|c| c.is_alphanumeric()).collect();
        let word = capitalised(&word);
        findings.push(finding("editorial.gimmick", text, span, "spreads a word out", Some(&word)));
    }
    for span in found(&patterns.sign_in_word, &|word| !is_code_of(word)) {
        let right = spelled(&text[span.clone()]);
        findings.push(finding(
            "editorial.sign_in_word",
            text,
            span,
            "has a sign for a letter",
            right.as_deref(),
        ));
    }
    for span in found(&patterns.capitals, &|_| true) {
        let right = capitalised(&text[span.clone()]);
        findings.push(finding("editorial.capitals", text, span, "shouts", Some(&right)));
    }
    repeated_words(text, findings);
}

fn finding(rule: &str, text: &str, span: Range<usize>, why: &str, right: Option<&str>) -> Finding {
    let repair = right.map(|right| Repair {
        words: match right {
            "" => format!("leave out '{}'", &text[span.clone()]),
            right => format!("write '{right}'"),
        },
        text: plain::replaced(text, &span, right),
    });
    Finding {
        rule: rule.to_owned(),
        severity: Severity::Block,
        why: format!("'{}' {why}", &text[span.clone()]),
        repair,
        span,
        source: String::new(),
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_string() + &letters.as_str().to_lowercase())
}

/// H2O and B2B are words of their own; a figure between letters of one word is not.
fn is_code_of(word: &str) -> bool {
    word.contains(|c: char| c.is_ascii_digit()) && (word.len() < 5 || word.starts_with(char::is_uppercase))
}

/// The word that was meant, where the sign stands for one letter only.
fn spelled(word: &str) -> Option<String> {
    let letters = word.chars().map(|c| match c {
        '$' => Some('s'),
        '€' => Some('e'),
        '!' | '1' => Some('i'),
        '0' => Some('o'),
        '3' => Some('e'),
        // An at sign stands for a or o.
        '@' | '*' | '£' => None,
        other => Some(other),
    });
    letters.collect()
}

/// True for characters that nobody sees: controls, zero-width ones, overrides of direction, tags, private use.
pub fn is_unseen(c: char) -> bool {
    matches!(c, '\u{0}'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{AD}' | '\u{200B}' | '\u{200E}' | '\u{200F}'
        | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFF}'
        | '\u{E000}'..='\u{F8FF}' | '\u{E0000}'..='\u{10FFFF}')
}

fn unseen(text: &str, findings: &mut Vec<Finding>) {
    let Some((at, first)) = text.char_indices().find(|(_, c)| is_unseen(*c)) else { return };
    let count = text.chars().filter(|c| is_unseen(*c)).count();
    let clean: String = text
        .chars()
        .map(|c| if c == '\n' || c == '\t' { ' ' } else { c })
        .filter(|c| !is_unseen(*c))
        .collect();
    findings.push(Finding {
        rule: "editorial.unseen".to_owned(),
        severity: Severity::Block,
        span: at..at + first.len_utf8(),
        why: format!("{count} characters cannot be seen, the first U+{:04X}", first as u32),
        repair: Some(Repair { words: "leave them out".to_owned(), text: clean.trim().to_owned() })
            .filter(|repair| !repair.text.is_empty()),
        source: String::new(),
    });
}

fn is_emoji(cluster: &str) -> bool {
    cluster.chars().any(|c| {
        matches!(c, '\u{1F000}'..='\u{1FAFF}' | '\u{2600}'..='\u{27BF}' | '\u{2B50}' | '\u{2B55}' | '\u{FE0F}' | '\u{2190}'..='\u{21FF}' | '\u{25A0}'..='\u{25FF}')
    })
}

fn emoji(text: &str, findings: &mut Vec<Finding>) {
    for (at, cluster) in text.grapheme_indices(true).filter(|(_, cluster)| is_emoji(cluster)) {
        let span = at..at + cluster.len();
        findings.push(finding("editorial.emoji", text, span, "is a picture, not a word", Some("")));
    }
}

fn exclamations(text: &str, placement: &Placement, findings: &mut Vec<Finding>) {
    let allowed = usize::from(!placement.headline);
    let marks: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| matches!(c, '!' | '！')).collect();
    // A mark inside a word is a sign for a letter.
    if let Some((at, mark)) = marks.get(allowed) {
        let why = if placement.headline { "may not stand in a headline" } else { "may stand once in a text" };
        let span = *at..at + mark.len_utf8();
        let right = match (*at + mark.len_utf8() == text.len(), mark) {
            (true, _) => "",
            (false, '！') => "，",
            (false, _) => ".",
        };
        findings.push(finding("editorial.exclamation", text, span, why, Some(right)));
    }
}

fn repeated_words(text: &str, findings: &mut Vec<Finding>) {
    let words: Vec<(usize, &str)> =
        text.split_word_bound_indices().filter(|(_, word)| word.chars().any(char::is_alphanumeric)).collect();
    let is_latin = |word: &str| word.is_ascii() && word.len() > 2;
    for pair in words.windows(2) {
        let ((_, one), (at, next)) = (pair[0], pair[1]);
        if is_latin(one) && one.eq_ignore_ascii_case(next) {
            let span = at..at + next.len();
            findings.push(finding("editorial.repetition", text, span, "is said twice", Some("")));
            return;
        }
    }
}
