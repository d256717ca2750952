//! What may stand next in a segment's text? Columns, comparisons, values, or a word that goes on: what a person can click
//! instead of typing.

use super::Literal;
use super::parse::{Word, quoted_column, tokens};

/// What is expected at the end of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A column.
    Column,
    /// How it is compared.
    Comparison,
    /// `missing` or `not missing`.
    Missing,
    /// A value of the column.
    Value {
        /// The column.
        column: String,
        /// True within the brackets of `in`.
        listed: bool,
    },
    /// Another value of the list, or its end.
    ListGoesOn,
    /// `and` or `or`.
    Connective,
}

/// The end of a text: what stands there already, and what is expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Everything before the word that has been begun.
    pub head: String,
    /// The word that has been begun, without its quote; empty after a blank.
    pub begun: String,
    /// What it will be.
    pub expected: Expected,
}

/// Something to put at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What a person reads.
    pub words: String,
    /// The whole text with it.
    pub text: String,
}

/// What is expected at the end of `text`; `None` where it has a mistake before.
pub fn ending(text: &str) -> Option<Ending> {
    let (head, begun) = parted(text);
    let mut expected = Expected::Column;
    let mut column = String::new();
    // After the `in` whose list has not begun.
    let mut in_list = false;
    for word in tokens(head).ok()?.into_iter().map(|token| token.word) {
        let keyword = match &word {
            Word::Bare(word) => word.to_ascii_lowercase(),
            _ => String::new(),
        };
        expected = match (expected, word, keyword.as_str()) {
            (expected, Word::End, _) => expected,
            (Expected::Column, _, "not") | (Expected::Column, Word::Symbol("("), _) => Expected::Column,
            (Expected::Column, Word::Bare(name) | Word::Column(name), _) => {
                column = name;
                Expected::Comparison
            }
            (Expected::Comparison, _, "is") | (Expected::Missing, _, "not") => Expected::Missing,
            (Expected::Missing, _, "missing") => Expected::Connective,
            (Expected::Comparison, _, "not") => Expected::Comparison,
            (Expected::Comparison, _, "in") => {
                in_list = true;
                Expected::Comparison
            }
            (Expected::Comparison, Word::Symbol("("), _) if in_list => {
                Expected::Value { column: column.clone(), listed: true }
            }
            (Expected::Comparison, Word::Symbol(symbol), _) if !in_list && !"(),".contains(symbol) => {
                Expected::Value { column: column.clone(), listed: false }
            }
            (Expected::Value { listed, .. }, Word::Bare(_) | Word::Text(_) | Word::Number(_), _) => {
                match listed {
                    true => Expected::ListGoesOn,
                    false => Expected::Connective,
                }
            }
            (Expected::ListGoesOn, Word::Symbol(","), _) => {
                Expected::Value { column: column.clone(), listed: true }
            }
            (Expected::ListGoesOn | Expected::Connective, Word::Symbol(")"), _) => Expected::Connective,
            (Expected::Connective, _, "and" | "or") => {
                in_list = false;
                Expected::Column
            }
            _ => return None,
        };
    }
    Some(Ending { head: head.to_owned(), begun: begun.to_owned(), expected })
}

/// The text before the last word, and that word where it is still being written.
fn parted(text: &str) -> (&str, &str) {
    let mut open: Option<(char, usize)> = None;
    for (at, letter) in text.char_indices().filter(|(_, letter)| "'\"".contains(*letter)) {
        open = match open {
            None => Some((letter, at)),
            Some((quote, _)) if quote == letter => None,
            other => other,
        };
    }
    if let Some((_, at)) = open {
        return (&text[..at], &text[at + 1..]);
    }
    let word = text
        .char_indices()
        .rev()
        .take_while(|(_, letter)| letter.is_alphanumeric() || "_.:".contains(*letter));
    let from = word.last().map_or(text.len(), |(at, _)| at);
    text.split_at(from)
}

impl Ending {
    /// What may be put here, best first, at most `most`: `columns` are the log's, `values` those of the column asked for
    /// with what a person reads beside each.
    pub fn offers(&self, columns: &[String], values: &[(String, String)], most: usize) -> Vec<Offer> {
        let begun = self.begun.to_lowercase();
        let head = match self.head.trim_end() {
            "" => String::new(),
            head if head.ends_with('(') => head.to_owned(),
            head => format!("{head} "),
        };
        let offer = |words: String, text: String| Offer { words, text: format!("{head}{text}") };
        let fits = |word: &str| word.to_lowercase().contains(&begun);
        // What begins so stands before what merely holds it.
        let rank = |word: &str| !word.to_lowercase().starts_with(&begun);
        let fixed = |all: &[(&str, &str)]| -> Vec<Offer> {
            let fitting = all.iter().filter(|(words, _)| fits(words));
            fitting.map(|(words, text)| offer((*words).to_owned(), (*text).to_owned())).collect()
        };
        let mut offers = match &self.expected {
            Expected::Column => {
                let mut names: Vec<&String> = columns.iter().filter(|name| fits(name)).collect();
                names.sort_by_key(|name| rank(name));
                names
                    .into_iter()
                    .map(|name| offer(name.clone(), format!("{} ", quoted_column(name))))
                    .collect()
            }
            Expected::Comparison => fixed(&[
                ("=", "= "),
                ("in", "in ("),
                ("!=", "!= "),
                (">=", ">= "),
                ("<=", "<= "),
                (">", "> "),
                ("<", "< "),
                ("not in", "not in ("),
                ("is missing", "is missing "),
                ("is not missing", "is not missing "),
            ]),
            Expected::Missing => fixed(&[("missing", "missing "), ("not missing", "not missing ")]),
            Expected::Value { listed, .. } => {
                let mut found: Vec<&(String, String)> =
                    values.iter().filter(|(value, _)| fits(value)).collect();
                found.sort_by_key(|(value, _)| rank(value));
                let end = if *listed { "" } else { " " };
                let written = |value: &String| format!("{}{end}", Literal::Text(value.clone()));
                found.into_iter().map(|(value, words)| offer(words.clone(), written(value))).collect()
            }
            Expected::ListGoesOn => vec![
                Offer { words: "another value".to_owned(), text: format!("{}, ", self.head.trim_end()) },
                Offer { words: "end of the list".to_owned(), text: format!("{}) ", self.head.trim_end()) },
            ],
            Expected::Connective => fixed(&[("and", "and "), ("or", "or ")]),
        };
        offers.truncate(most);
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Segment;

    fn words(text: &str) -> Vec<String> {
        let columns: Vec<String> = ["city", "age band", "capacity"].map(str::to_owned).to_vec();
        let values = [("上海".to_owned(), "上海 12".to_owned()), ("it's".to_owned(), "it's 3".to_owned())];
        let Some(ending) = ending(text) else { return vec!["mistake".to_owned()] };
        ending.offers(&columns, &values, 4).into_iter().map(|offer| offer.words).collect()
    }

    /// The text after each of these is clicked in turn.
    fn clicked(clicks: &[&str]) -> String {
        let columns: Vec<String> = ["city", "age band"].map(str::to_owned).to_vec();
        let values = [("上海".to_owned(), "上海".to_owned()), ("it's".to_owned(), "it's".to_owned())];
        clicks.iter().fold(String::new(), |text, click| {
            let offers = ending(&text).unwrap().offers(&columns, &values, 99);
            offers
                .into_iter()
                .find(|offer| offer.words == *click)
                .unwrap_or_else(|| panic!("{click} after {text}"))
                .text
        })
    }

    #[test]
    fn what_fits_is_offered_where_it_fits() {
        assert_eq!(words(""), ["city", "age band", "capacity"]);
        assert_eq!(words("c"), ["city", "capacity"]);
        assert_eq!(words("ci"), ["city", "capacity"], "what begins so stands first");
        assert_eq!(words("\"age b"), ["age band"]);
        assert_eq!(words("city "), ["=", "in", "!=", ">="]);
        assert_eq!(words("city = "), ["上海 12", "it's 3"]);
        assert_eq!(words("city = '上"), ["上海 12"]);
        assert_eq!(words("city in ('上海'"), ["another value", "end of the list"]);
        assert_eq!(words("city in ('上海', "), ["上海 12", "it's 3"]);
        assert_eq!(words("city = '上海' "), ["and", "or"]);
        assert_eq!(words("city is "), ["missing", "not missing"]);
        assert_eq!(words("city is not missing "), ["and", "or"]);
        assert_eq!(words("not (city = 1 or "), ["city", "age band", "capacity"]);
        assert_eq!(words("city city "), ["mistake"]);
        assert_eq!(words("city ; "), ["mistake"]);
    }

    #[test]
    fn clicks_alone_write_a_filter() {
        let text = clicked(&[
            "city",
            "in",
            "上海",
            "another value",
            "it's",
            "end of the list",
            "and",
            "age band",
            "!=",
            "it's",
        ]);
        let segment = Segment::parse(&text).unwrap();
        assert_eq!(segment.to_string(), "city in ('上海', 'it''s') and not \"age band\" = 'it''s'");
        assert_eq!(
            Segment::parse(&clicked(&["city", "is not missing"])).unwrap().to_string(),
            "not city is missing"
        );
    }
}
