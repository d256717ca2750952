//! Is a text easy to read? Words a sentence and letters a word, each against a bound.

use super::plain::{self, Plain};
use serde::Serialize;

/// How a text reads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Readability {
    /// Words, or Chinese characters, a sentence.
    pub words_a_sentence: f64,
    /// Letters a word; 1 in Chinese.
    pub letters_a_word: f64,
    /// Automated readability index (Senter & Smith 1967), about the years of school that it takes; `None` in Chinese.
    pub index: Option<f64>,
}

/// Years of school from which on an advertisement is hard.
const HARD_INDEX: f64 = 14.0;
/// Chinese characters of a sentence from which on it is hard.
const HARD_SENTENCE: f64 = 45.0;

impl Readability {
    /// Measures a text.
    pub fn of(text: &str) -> Self {
        let plain = Plain::of(text);
        let tokens = plain::tokens(&plain.text);
        let ends = ['.', '!', '?', '。', '！', '？', '\n', ';', '；'];
        let sentences =
            text.split(ends).filter(|part| part.chars().any(char::is_alphanumeric)).count().max(1);
        let words = tokens.len().max(1) as f64;
        let letters = tokens.iter().map(|word| word.chars().count()).sum::<usize>() as f64;
        let (words_a_sentence, letters_a_word) = (words / sentences as f64, letters / words);
        // ARI = 4.71 letters/word + 0.5 words/sentence - 21.43
        let index =
            (!plain::is_chinese(text)).then_some(4.71 * letters_a_word + 0.5 * words_a_sentence - 21.43);
        Self { words_a_sentence, letters_a_word, index }
    }

    /// Why it is hard to read; `None` where it is not.
    pub fn hard(&self) -> Option<String> {
        match self.index {
            // A few long words make no hard text: the index asks for sentences.
            Some(index) if index > HARD_INDEX && self.words_a_sentence >= 8.0 => Some(format!(
                "takes about {index:.0} years of school: {:.0} words a sentence, {:.1} letters a word",
                self.words_a_sentence, self.letters_a_word
            )),
            None if self.words_a_sentence > HARD_SENTENCE => {
                Some(format!("has {:.0} characters a sentence", self.words_a_sentence))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_the_published_formula() {
        // 9 words of 35 letters in one sentence: 4.71 x 35/9 + 0.5 x 9 - 21.43 = 1.3867.
        let read = Readability::of("The quick brown fox jumps over the lazy dog.");
        assert!((read.index.unwrap() - (4.71 * 35.0 / 9.0 + 4.5 - 21.43)).abs() < 1e-9);
        assert!(read.hard().is_none());
        assert!(Readability::of("今天下雨，也照走。").index.is_none());
        let hard = "Comprehensive interdisciplinary organisational transformation necessitates unprecedented technological \
                    sophistication throughout multinational corporations";
        assert!(Readability::of(hard).hard().is_some());
    }
}
