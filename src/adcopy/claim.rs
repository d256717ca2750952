//! What does a text claim that can be true or false? Quantities, prices, dates, superlatives, properties, names.
//!
//! The same reading serves copy and product sheet, so that `$89` meets `89 USD`, `240g` meets `0.24 kg` and `8折` meets
//! `20 % off`. What no list names (an invented material that is not among the words) is not seen: the lists are files.

mod dates;
mod names;
mod quantities;

use super::plain::{Plain, is_ideograph};
use super::rulebook::Rulebook;
use crate::language::words::tokens;
use std::ops::Range;

/// One claim.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Bytes of the text as typed.
    pub span: Range<usize>,
    /// What is claimed.
    pub meaning: Meaning,
}

/// What is claimed, in a form that can be compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// An amount in the base unit of its dimension: grams, metres, litres, seconds, months, `money:USD`, `percent`,
    /// `discount` in percent, `count:NOUN`, or `count` alone.
    Quantity {
        /// The dimension.
        dimension: String,
        /// The amount.
        value: f64,
        /// True for an amount that is taken off a price.
        off: bool,
    },
    /// A day, as far as it is told.
    Date {
        /// The year.
        year: Option<i64>,
        /// The month, from 1.
        month: Option<i64>,
        /// The day of the month.
        day: Option<i64>,
    },
    /// A day of the week, from Monday as 1.
    Weekday(u8),
    /// A time of day in minutes.
    Clock(u32),
    /// To be the most of something, in lower case.
    Superlative(String),
    /// A property, by the group of its words.
    Attribute(String),
    /// Somebody or something by name, in lower case.
    Name(String),
}

impl Meaning {
    /// The rule that asks for its proof.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Quantity { dimension, .. } if dimension.starts_with("money") => "grounding.price",
            Self::Quantity { dimension, .. } if matches!(dimension.as_str(), "percent" | "discount") => {
                "grounding.percentage"
            }
            Self::Quantity { .. } => "grounding.number",
            Self::Date { .. } | Self::Weekday(_) | Self::Clock(_) => "grounding.date",
            Self::Superlative(_) => "grounding.superlative",
            Self::Attribute(_) => "grounding.attribute",
            Self::Name(_) => "grounding.name",
        }
    }

    /// What it is, in a word or two.
    pub fn kind(&self) -> &'static str {
        match self.rule() {
            "grounding.price" => "price",
            "grounding.percentage" => "percentage",
            "grounding.number" => "number",
            "grounding.date" => "date",
            "grounding.superlative" => "superlative",
            "grounding.attribute" => "property",
            _ => "name",
        }
    }

    /// True where `fact` says the same, or more exactly the same.
    pub fn follows_from(&self, fact: &Self) -> bool {
        match (self, fact) {
            (
                Self::Quantity { dimension, value, off },
                Self::Quantity { dimension: known, value: right, off: taken },
            ) => {
                let alike = dimension == known
                    || (dimension == "count" && known.starts_with("count:"))
                    || (known == "count" && dimension.starts_with("count:"));
                alike && off == taken && (value - right).abs() <= 1e-6 * right.abs().max(1e-9)
            }
            (Self::Date { year, month, day }, Self::Date { year: y, month: m, day: d }) => {
                // Told less exactly is told truly; told more exactly is invented.
                let within = |told: &Option<i64>, known: &Option<i64>| told.is_none() || told == known;
                within(year, y) && within(month, m) && within(day, d)
            }
            (Self::Name(told), Self::Name(known)) => known.contains(told.as_str()),
            (Self::Superlative(told), Self::Superlative(known)) => {
                told == known || known.ends_with(told.as_str()) || known.starts_with(told.as_str())
            }
            (told, known) => told == known,
        }
    }

    /// True where `fact` tells of the same kind of thing, so that it could stand instead.
    pub fn could_be(&self, fact: &Self) -> bool {
        match (self, fact) {
            (Self::Quantity { dimension, off, .. }, Self::Quantity { dimension: known, off: taken, .. }) => {
                dimension == known && off == taken
            }
            (Self::Date { .. } | Self::Weekday(_), Self::Date { .. } | Self::Weekday(_)) => true,
            (Self::Clock(_), Self::Clock(_)) => true,
            _ => false,
        }
    }
}

/// Finds the claims of a text, in order. `known` are names that the product sheet gives, longest first.
pub fn claims(text: &str, known: &[String], book: &Rulebook) -> Vec<Claim> {
    let plain = Plain::of(text);
    let taken = vec![false; plain.text.len()];
    let chinese_words = match plain.text.chars().any(is_ideograph) {
        true => tokens(&plain.text).into_iter().map(|word| word.span).filter(|word| word.len() > 3).collect(),
        false => Vec::new(),
    };
    let mut found = Finder { plain: &plain, book, taken, chinese_words, claims: Vec::new() };
    found.known_names(known);
    found.attributes_before_numbers();
    found.superlatives();
    found.dates();
    found.quantities();
    found.attributes();
    found.names();
    let mut claims = found.claims;
    claims.sort_by_key(|claim| (claim.span.start, claim.span.end));
    claims
}

/// A text that is being read: what one kind of claim has taken is not read as another.
struct Finder<'a> {
    plain: &'a Plain,
    book: &'a Rulebook,
    taken: Vec<bool>,
    /// Chinese words of two characters or more.
    chinese_words: Vec<Range<usize>>,
    claims: Vec<Claim>,
}

impl Finder<'_> {
    fn is_free(&self, range: &Range<usize>) -> bool {
        !self.taken[range.clone()].contains(&true)
    }

    fn take(&mut self, range: Range<usize>, meaning: Meaning) {
        self.hide(&range);
        self.claims.push(Claim { span: self.plain.as_typed(&range), meaning });
    }

    fn hide(&mut self, range: &Range<usize>) {
        self.taken[range.clone()].fill(true);
    }

    /// The product's own names claim nothing, whatever figures they hold.
    fn known_names(&mut self, known: &[String]) {
        let text = self.plain.text.to_ascii_lowercase();
        for name in known {
            let name = Plain::of(name).text.to_ascii_lowercase();
            for (at, _) in text.match_indices(&name).filter(|_| !name.trim().is_empty()) {
                let range = at..at + name.len();
                if stands_alone(&text, &range) && self.is_free(&range) {
                    self.hide(&range);
                }
            }
        }
    }

    /// Properties that are written with figures, such as 24/7.
    fn attributes_before_numbers(&mut self) {
        self.attributes_where(|words| words.contains(|c: char| c.is_ascii_digit()));
    }

    fn attributes(&mut self) {
        self.attributes_where(|_| true);
    }

    fn attributes_where(&mut self, wanted: impl Fn(&str) -> bool) {
        for (group, patterns) in &self.book.attributes {
            for pattern in patterns {
                for found in pattern.find_iter(&self.plain.text) {
                    if wanted(found.as_str())
                        && self.is_free(&found.range())
                        && !self.is_across(&found.range())
                    {
                        self.take(found.range(), Meaning::Attribute(group.clone()));
                    }
                }
            }
        }
    }

    /// True where a match is the end of one Chinese word and the beginning of the next: 进口 in 放进口袋.
    fn is_across(&self, range: &Range<usize>) -> bool {
        let inside = |at: usize| self.chinese_words.iter().any(|word| word.start < at && at < word.end);
        inside(range.start) && inside(range.end)
    }

    fn superlatives(&mut self) {
        let book = self.book;
        for pattern in &book.superlatives {
            for found in pattern.find_iter(&self.plain.text) {
                if self.is_free(&found.range()) && !book.superlative_exceptions.contains(found.as_str()) {
                    self.take(found.range(), superlative(found.as_str()));
                }
            }
        }
        for (range, word) in words(&self.plain.text) {
            let lower = word.to_ascii_lowercase();
            let ends = lower.len() > 4 && lower.ends_with("est") && lower.is_ascii();
            if ends && !book.est_exceptions.contains(&lower) && self.is_free(&range) {
                self.take(range, superlative(word));
            }
        }
    }
}

fn superlative(words: &str) -> Meaning {
    let lower = words.to_lowercase().replace('-', " ");
    Meaning::Superlative(lower.strip_prefix("the ").unwrap_or(&lower).to_owned())
}

/// Words of letters and figures with their places, Chinese characters apart.
fn words(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let is_inside =
        |c: char| c.is_alphanumeric() && !super::plain::is_ideograph(c) || matches!(c, '\'' | '&' | '-');
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(|c: char| c.is_alphanumeric() && !super::plain::is_ideograph(c))?;
        let end = text[start..].find(|c: char| !is_inside(c)).map_or(text.len(), |end| start + end);
        let end = start + text[start..end].trim_end_matches(['\'', '&', '-']).len();
        at = end;
        Some((start..end, &text[start..end]))
    })
}

/// True where neither neighbour continues a word of letters.
fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let own = &text[range.clone()];
    let joins_before = is_word(own.chars().next()) && is_word(text[..range.start].chars().next_back());
    let joins_after = is_word(own.chars().next_back()) && is_word(text[range.end..].chars().next());
    !joins_before && !joins_after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meanings(text: &str) -> Vec<Meaning> {
        let book = Rulebook::built_in().unwrap();
        claims(text, &[], &book).into_iter().map(|claim| claim.meaning).collect()
    }

    fn quantity(dimension: &str, value: f64, off: bool) -> Meaning {
        Meaning::Quantity { dimension: dimension.into(), value, off }
    }

    fn alike(one: &str, other: &str) {
        let (one, other) = (meanings(one), meanings(other));
        assert_eq!((one.len(), other.len()), (1, 1), "{one:?} {other:?}");
        assert!(one[0].follows_from(&other[0]), "{one:?} {other:?}");
    }

    #[test]
    fn the_same_thing_said_otherwise_is_the_same() {
        alike("$89", "89 USD");
        alike("only 89 dollars", "US$89.00");
        alike("240g", "0.24 kg");
        alike("三百克", "0.3 公斤");
        alike("8折", "20% off");
        alike("half price", "五折");
        alike("半价", "50 % off");
        alike("thirty hours", "30小时");
        alike("¥299", "299元");
        alike("立减300元", "300 yuan off");
        alike("1,299 元", "￥１２９９");
        alike("30-day", "30 days");
        alike("10月1日", "October 1st");
        alike("until Oct 1", "2026-10-01");
        alike("10万用户", "100,000 users");
        alike("十分之一", "10%");
    }

    #[test]
    fn different_things_are_different() {
        let one = |text: &str| meanings(text).remove(0);
        assert!(!one("240 g").follows_from(&one("250 g")));
        assert!(!one("$20 off").follows_from(&one("$20")));
        assert!(!one("2026-10-02").follows_from(&one("Oct 1")));
        assert!(!one("October 1, 2026").follows_from(&one("Oct 1")), "the year is invented");
        assert!(one("300 km").could_be(&one("5 m")) && !one("300 km").could_be(&one("5 kg")));
    }

    #[test]
    fn claims_of_all_kinds_are_found() {
        assert_eq!(
            meanings("Buy 2 for $9.99"),
            [quantity("count", 2.0, false), quantity("money:USD", 9.99, false)]
        );
        assert_eq!(
            meanings("20 % off until Friday"),
            [quantity("discount", 20.0, true), Meaning::Weekday(5)]
        );
        assert_eq!(meanings("the lightest shoe"), [Meaning::Superlative("lightest".into())]);
        assert_eq!(meanings("全网最低"), [Meaning::Superlative("最低".into())]);
        assert_eq!(meanings("open 24/7"), [Meaning::Attribute("always open".into())]);
        assert_eq!(meanings("waterproof, with Gore Tex lining").len(), 2);
        assert_eq!(meanings("今晚八点开船"), [Meaning::Clock(480)]);
        assert_eq!(meanings("放进口袋"), [], "and nothing is imported");
        assert_eq!(meanings("进口面料"), [Meaning::Attribute("imported".into())]);
        assert_eq!(meanings("Six shades"), [quantity("count:colours", 6.0, false)]);
        assert_eq!(meanings("The rest is at the west gate, one more time, a day out"), []);
        assert_eq!(meanings("一支精华，一起出发，万一下雨"), []);
    }

    #[test]
    fn known_names_hide_their_figures() {
        let book = Rulebook::built_in().unwrap();
        let known = vec!["TrailFox 3".to_owned()];
        assert_eq!(claims("TrailFox 3 is here", &known, &book), []);
        assert!(!claims("TrailFox 30 is here", &known, &book).is_empty());
    }
}
