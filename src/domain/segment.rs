//! Which rows of a log are meant? A predicate tree with a text form that a person can write and read.
//!
//! ```text
//! age_band in ('18-24', '25-34') and city = '上海' and hour >= 18 and not device = 'ios'
//! ```
//! Comparisons: `=`, `!=`, `<`, `<=`, `>`, `>=`, `in (..)`, `not in (..)`, `is missing`, `is not missing`.
//! `not` binds tighter than `and`, `and` tighter than `or`. Texts stand in single quotes ('' is a quote);
//! a column whose name is no plain word stands in double quotes. `hour` and `weekday` come from the time.

pub mod complete;
mod parse;

use serde::{Deserialize, Serialize};
use std::fmt;

/// A set of rows. [`Segment::parse`] reads the text form and `Display` writes it; one is the other's inverse.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Segment {
    /// Every row; the empty text.
    #[default]
    All,
    /// Rows in all of these; at least two.
    And(Vec<Segment>),
    /// Rows in any of these; at least two.
    Or(Vec<Segment>),
    /// Rows that are not in this.
    Not(Box<Segment>),
    /// Rows whose cell in a column passes a test.
    Where {
        /// The column, or `hour` or `weekday` of the time.
        column: String,
        /// What its cell must be.
        test: Test,
    },
}

/// What a cell must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// One of these values; a list cell passes when it holds one of them.
    In(Vec<Literal>),
    /// On one side of a value.
    Compare(Comparison, Literal),
    /// Empty.
    Missing,
}

/// An order between a cell and a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

/// A value in a segment's text.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `'上海'`
    Text(String),
    /// `18`
    Number(f64),
}

impl Segment {
    /// Rows whose `column` holds `value`.
    pub fn equals(column: impl Into<String>, value: impl Into<String>) -> Self {
        let test = Test::In(vec![Literal::Text(value.into())]);
        Self::Where { column: column.into(), test }
    }

    /// Rows in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, other) => other,
            (this, Self::All) => this,
            (Self::And(mut all), Self::And(more)) => {
                all.extend(more);
                Self::And(all)
            }
            (Self::And(mut all), one) => {
                all.push(one);
                Self::And(all)
            }
            (one, Self::And(mut all)) => {
                all.insert(0, one);
                Self::And(all)
            }
            (this, other) => Self::And(vec![this, other]),
        }
    }

    /// Names of the columns that are looked at, each once, in order of mention.
    pub fn columns(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.collect_columns(&mut names);
        names
    }

    fn collect_columns<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::All => {}
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.collect_columns(names)),
            Self::Not(part) => part.collect_columns(names),
            Self::Where { column, .. } if names.contains(&column.as_str()) => {}
            Self::Where { column, .. } => names.push(column),
        }
    }
}

impl Comparison {
    /// True when `cell` stands so to `value`.
    pub fn holds(self, cell: f64, value: f64) -> bool {
        match self {
            Self::Less => cell < value,
            Self::AtMost => cell <= value,
            Self::More => cell > value,
            Self::AtLeast => cell >= value,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        })
    }
}

impl Literal {
    /// The value as the text that a cell of it reads as.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str, inside_and: bool| {
            for (place, part) in parts.iter().enumerate() {
                if place > 0 {
                    write!(f, " {word} ")?;
                }
                let same = matches!((part, inside_and), (Self::And(_), true) | (Self::Or(_), _));
                if same { write!(f, "({part})")? } else { write!(f, "{part}")? }
            }
            Ok(())
        };
        match self {
            Self::All => Ok(()),
            Self::And(parts) => joined(f, parts, "and", true),
            Self::Or(parts) => joined(f, parts, "or", false),
            Self::Not(part) => match **part {
                Self::And(_) | Self::Or(_) | Self::All => write!(f, "not ({part})"),
                _ => write!(f, "not {part}"),
            },
            Self::Where { column, test } => write!(f, "{}{test}", parse::quoted_column(column)),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(values) => match values.as_slice() {
                [one] => write!(f, " = {one}"),
                values => {
                    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
                    write!(f, " in ({})", texts.join(", "))
                }
            },
            Self::Compare(comparison, value) => write!(f, " {comparison} {value}"),
            Self::Missing => write!(f, " is missing"),
        }
    }
}

impl From<Segment> for String {
    fn from(segment: Segment) -> Self {
        segment.to_string()
    }
}

impl TryFrom<String> for Segment {
    type Error = crate::base::Failure;

    fn try_from(text: String) -> crate::base::Result<Self> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_tree_are_each_other_s_inverse() {
        for text in [
            "",
            "age_band in ('18-24', '25-34') and city = '上海' and hour >= 18 and not device = 'ios'",
            "(city = '北京' or city = 'New York') and not (price < -1.5 or price >= 3)",
            "\"Time on site\" > 3 and \"in\" is missing",
            "\".5\" > 2 and \"1e3\" = 'x' and v1.5 = 2",
            "name = 'it''s' or not name is missing",
            "not not a = 1",
            "a in (1, 'b', -2.5)",
        ] {
            let segment = Segment::parse(text).unwrap();
            assert_eq!(segment.to_string(), text);
            assert_eq!(Segment::parse(&segment.to_string()).unwrap(), segment);
        }
    }

    #[test]
    fn other_spellings_mean_the_same() {
        let same = |a: &str, b: &str| {
            assert_eq!(Segment::parse(a).unwrap(), Segment::parse(b).unwrap(), "{a} / {b}");
        };
        same("city != '上海'", "not city = '上海'");
        same("city NOT IN ('a','b')", "not city in ('a', 'b')");
        same("device = ios", "device = 'ios'");
        same("a=1 AND b=2 or c=3", "(a = 1 and b = 2) or c = 3");
        same("x == 5", "x = 5");
        same("((a = 1))", "a = 1");
        same("a is not missing", "not a is missing");
    }

    #[test]
    fn joining_flattens_and_serde_uses_the_text() {
        let both = Segment::equals("a", "1").and(Segment::equals("b", "2").and(Segment::equals("a", "3")));
        assert_eq!(both.to_string(), "a = '1' and b = '2' and a = '3'");
        assert_eq!(both.columns(), ["a", "b"]);
        assert_eq!(Segment::All.and(both.clone()), both);
        let json = serde_json::to_string(&both).unwrap();
        assert_eq!(json, "\"a = '1' and b = '2' and a = '3'\"");
        assert_eq!(serde_json::from_str::<Segment>(&json).unwrap(), both);
    }
}
