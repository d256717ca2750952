//! How is a text read, whatever way it was typed? Full-width signs, curly quotes and long dashes as their plain forms.
//!
//! The patterns of the rulebook are written once, for plain forms; every place that they find leads back to the text
//! as it was typed.

use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// A text with its plain form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// The plain form: `１００％` is `100%`, `“` is `"`.
    pub text: String,
    /// Byte of the plain form -> byte of the text as typed; one entry more than bytes.
    typed: Vec<u32>,
}

impl Plain {
    /// Reads a text.
    pub fn of(text: &str) -> Self {
        let mut plain = Self { text: String::with_capacity(text.len()), typed: Vec::new() };
        for (at, typed) in text.char_indices() {
            let form = plain_form(typed);
            plain.typed.extend(std::iter::repeat_n(at as u32, form.len_utf8()));
            plain.text.push(form);
        }
        plain.typed.push(text.len() as u32);
        plain
    }

    /// Bytes of the text as typed that a range of the plain form came from.
    pub fn as_typed(&self, range: &Range<usize>) -> Range<usize> {
        let place = |at: usize| self.typed.get(at).or(self.typed.last()).map_or(0, |at| *at as usize);
        place(range.start)..place(range.end)
    }
}

fn plain_form(typed: char) -> char {
    match typed {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(typed as u32 - 0xFEE0).unwrap_or(typed),
        '\u{3000}' | '\u{A0}' | '\u{2002}'..='\u{200A}' | '\u{202F}' => ' ',
        '\u{2018}' | '\u{2019}' | '\u{02BC}' => '\'',
        '\u{201C}' | '\u{201D}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{FFE5}' => '\u{A5}',
        other => other,
    }
}

/// True for Chinese characters and Japanese syllables.
pub fn is_ideograph(letter: char) -> bool {
    matches!(letter, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}')
}

/// True where a text is mostly Chinese.
pub fn is_chinese(text: &str) -> bool {
    let (mut ideographs, mut letters) = (0usize, 0usize);
    for letter in text.chars() {
        ideographs += usize::from(is_ideograph(letter));
        letters += usize::from(letter.is_alphabetic() && !is_ideograph(letter));
    }
    // A Chinese character says about as much as three letters.
    3 * ideographs > letters
}

/// Words and single Chinese characters in lower case, without marks: what copying is measured in.
pub fn tokens(plain: &str) -> Vec<String> {
    let words = plain.split_word_bounds().filter(|word| word.chars().any(char::is_alphanumeric));
    words
        .flat_map(|word| match word.chars().any(is_ideograph) {
            true => word.chars().filter(|c| c.is_alphanumeric()).map(String::from).collect(),
            false => vec![word.to_lowercase()],
        })
        .collect()
}

/// The text without some bytes of it, tidied: no doubled spaces, no mark left hanging.
pub fn without(text: &str, gone: &Range<usize>) -> String {
    let joined = format!("{} {}", &text[..gone.start], &text[gone.end..]);
    tidied(&joined)
}

/// The text with some bytes of it replaced.
pub fn replaced(text: &str, span: &Range<usize>, by: &str) -> String {
    if by.is_empty() {
        return without(text, span);
    }
    format!("{}{by}{}", &text[..span.start], &text[span.end..])
}

fn tidied(text: &str) -> String {
    const CLOSING: [char; 14] = [',', '.', ';', ':', '!', '?', '，', '。', '；', '：', '！', '？', '、', '%'];
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let last = out.chars().next_back();
        match letter {
            ' ' if last
                .is_none_or(|last| last == ' ' || is_ideograph(last) || "，。；：！？、".contains(last)) =>
                {}
            _ if CLOSING.contains(&letter) || is_ideograph(letter) => {
                if last == Some(' ') && (CLOSING.contains(&letter) || after_wide(&out)) {
                    out.pop();
                }
                let before = out.chars().next_back();
                let doubled = CLOSING.contains(&letter)
                    && letter != '%'
                    && before.is_none_or(|last| CLOSING.contains(&last) && last != '%');
                if !doubled {
                    out.push(letter);
                }
            }
            _ => out.push(letter),
        }
    }
    let mut tidy = out.trim().trim_end_matches([',', ';', ':', '，', '；', '：', '、', '-']).trim_end();
    tidy = tidy.trim_start_matches([',', ';', ':', '，', '；', '：', '、', ' ', '-']);
    tidy.to_owned()
}

fn after_wide(out: &str) -> bool {
    out.trim_end()
        .chars()
        .next_back()
        .is_none_or(|last| is_ideograph(last) || "，。；：！？、".contains(last))
}

/// The clause around a place: from mark to mark, with the mark that ends it. The whole text where there is one clause.
pub fn clause_around(text: &str, span: &Range<usize>) -> Range<usize> {
    let is_mark = |at: usize, c: char| match c {
        ',' | '.' | ':' => {
            let next = text[at + 1..].chars().next();
            // 1,000 and 4.5 and 20:00 are no ends of clauses.
            next.is_none_or(char::is_whitespace)
        }
        ';' | '!' | '?' | '，' | '。' | '；' | '！' | '？' | '、' | '—' | '\n' | '|' => true,
        _ => false,
    };
    let start = text[..span.start].char_indices().rev().find(|(at, c)| is_mark(*at, *c));
    let end = text[span.end..].char_indices().find(|(at, c)| is_mark(span.end + at, *c));
    start.map_or(0, |(at, c)| at + c.len_utf8())
        ..end.map_or(text.len(), |(at, c)| span.end + at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_width_text_is_read_and_found_again() {
        let typed = "只要９９元，“好”";
        let plain = Plain::of(typed);
        assert_eq!(plain.text, "只要99元,\"好\"");
        let at = plain.text.find("99").unwrap();
        assert_eq!(&typed[plain.as_typed(&(at..at + 2))], "９９");
    }

    #[test]
    fn taking_words_out_leaves_a_tidy_text() {
        let text = "A top-of-the-line product, at $89.";
        let at = text.find("top").unwrap();
        assert_eq!(without(text, &(at..at + 15)), "A product, at $89.");
        let zh = "轻便，全网最低，三十天退货";
        let at = zh.find("全网").unwrap();
        assert_eq!(without(zh, &(at..at + "全网最低".len())), "轻便，三十天退货");
        assert_eq!(without("Hurry! Only $89", &(0..6)), "Only $89");
    }

    #[test]
    fn a_clause_reaches_from_mark_to_mark() {
        let text = "240 g, $1,089.50, returned in 30 days";
        let at = text.find('$').unwrap();
        assert_eq!(&text[clause_around(text, &(at..at + 9))], " $1,089.50,");
    }

    #[test]
    fn tokens_are_words_and_characters() {
        assert_eq!(tokens("下雨也走, Don't stop 240g"), ["下", "雨", "也", "走", "don't", "stop", "240g"]);
        assert!(is_chinese("新款 iPhone 手机壳") && !is_chinese("Dry feet, 干"));
    }
}
