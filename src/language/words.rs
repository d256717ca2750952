//! Where does one word end and the next begin, in any script?
//!
//! Unicode's word boundaries (UAX #29) give words, numbers ("1,299.99" is one) and signs; runs of Chinese characters,
//! which have no spaces, are cut by jieba's dictionary and its hidden Markov model. Full-width letters and digits become
//! ordinary ones (NFKC), capitals small ones. Every word knows its bytes in the text, so that a finding can be shown
//! where it stands.

use jieba_rs::Jieba;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};
use unicode_segmentation::UnicodeSegmentation;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Letters, with digits in between at most.
    Word,
    /// Begins with a digit.
    Number,
    /// A Chinese word.
    Han,
    /// Punctuation, a sign or an emoji.
    Mark,
}

/// A word, number or sign of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// As it is compared: NFKC, small letters.
    pub text: String,
    /// Its bytes in the text it was found in.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// The words, numbers and signs of a text in order; white space and control characters are left out.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut han: Option<Range<usize>> = None;
    for (start, piece) in text.split_word_bound_indices() {
        let Some(first) = piece.chars().next() else { continue };
        if is_han(first) {
            let run = han.get_or_insert(start..start);
            run.end = start + piece.len();
            continue;
        }
        if let Some(run) = han.take() {
            cut_han(text, run, &mut found);
        }
        // Direction marks and other invisible characters say nothing and would part equal texts.
        if piece.chars().all(|c| c.is_whitespace() || c.is_control() || is_invisible(c)) {
            continue;
        }
        let mut text = normal(piece).into_owned();
        // Emoji are held together by joiners; words are not.
        if text.chars().any(|c| c.is_alphanumeric()) {
            text.retain(|c| !is_invisible(c));
        }
        let kind = match text.chars().next() {
            Some(first) if first.is_numeric() => Kind::Number,
            Some(first) if first.is_alphabetic() => Kind::Word,
            _ => Kind::Mark,
        };
        found.push(Token { text, span: start..start + piece.len(), kind });
    }
    if let Some(run) = han {
        cut_han(text, run, &mut found);
    }
    found
}

/// As a text is compared: NFKC and small letters.
pub fn normal(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    if is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Owned(text.to_lowercase());
    }
    Cow::Owned(text.nfkc().collect::<String>().to_lowercase())
}

/// How many characters a person sees.
pub fn seen_characters(text: &str) -> usize {
    text.graphemes(true).count()
}

/// True for Chinese characters (also used in Japanese and Korean), the extensions included.
pub fn is_han(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}' | '\u{3400}'..='\u{4DBF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{323AF}' | '々' | '〇')
}

/// Marks of direction, joiners, the byte order mark, variation selectors: no ink of their own.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{AD}')
}

/// Jieba with its own dictionary; read when the first Chinese text comes (some 0.2 s).
fn jieba() -> &'static Jieba {
    static JIEBA: OnceLock<Jieba> = OnceLock::new();
    JIEBA.get_or_init(Jieba::new)
}

fn cut_han(text: &str, run: Range<usize>, found: &mut Vec<Token>) {
    let mut start = run.start;
    for word in jieba().cut(&text[run], true) {
        let span = start..start + word.len();
        start = span.end;
        found.push(Token { text: normal(word).into_owned(), span, kind: Kind::Han });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn words_numbers_and_signs_are_told_apart() {
        assert_eq!(words("Don't pay $1,299.99!"), ["don't", "pay", "$", "1,299.99", "!"]);
        let kinds: Vec<Kind> = tokens("Buy 2 跑鞋 🙂").iter().map(|token| token.kind).collect();
        assert_eq!(kinds, [Kind::Word, Kind::Number, Kind::Han, Kind::Mark]);
    }

    #[test]
    fn chinese_is_cut_as_jieba_publishes_it() {
        // The first example of jieba's README (fxsjy/jieba), exact mode.
        assert_eq!(words("我来到北京清华大学"), ["我", "来到", "北京", "清华大学"]);
        assert_eq!(
            words("小明硕士毕业于中国科学院计算所"),
            ["小明", "硕士", "毕业", "于", "中国科学院", "计算所"]
        );
    }

    #[test]
    fn double_width_emoji_and_direction_marks_do_no_harm() {
        assert_eq!(words("ＳＡＬＥ ５０％"), ["sale", "50", "%"]);
        assert_eq!(words("👨‍👩‍👧 ok"), ["👨‍👩‍👧", "ok"], "a family is one sign");
        assert_eq!(words("\u{202E}abc\u{202C}\u{7}"), ["abc"]);
        assert_eq!(words("مرحبا بالعالم"), ["مرحبا", "بالعالم"]);
        assert_eq!((words(""), words(" \n\t")), (vec![], vec![]));
        assert_eq!(seen_characters("👨‍👩‍👧é"), 2);
    }

    #[test]
    fn spans_are_where_the_words_stand() {
        let text = "新款 跑鞋 now ５折!";
        for token in tokens(text) {
            assert_eq!(normal(&text[token.span.clone()]), token.text);
        }
    }
}
