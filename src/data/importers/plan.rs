//! How will the cells of a column be read? One value with a stable word, so that a recipe can keep it.

use super::times::DateOrder;
use crate::base::Failure;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How the cells of a column will be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Plan {
    /// As whole numbers.
    Integer,
    /// As real numbers.
    Real,
    /// As numbers with marks for thousands, a decimal comma, a percent sign or a currency.
    Number(Numeral),
    /// As true and false.
    Boolean,
    /// As they are.
    Text,
    /// As points in time.
    Time(TimeReading),
    /// As spans of time in seconds: `0:02:35`.
    Duration,
    /// As lists, split at a character.
    List(char),
}

/// How numbers are written that are more than digits and a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numeral {
    /// What stands before the fraction.
    pub decimal: Decimal,
    /// What stands around the digits.
    pub unit: Unit,
    /// True when no cell has a fraction.
    pub is_whole: bool,
}

/// What stands before the fraction of a number; the other one parts thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimal {
    /// 1,234.5
    Point,
    /// 1.234,5
    Comma,
}

/// What stands around the digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nothing.
    Plain,
    /// A percent sign; the value is stored as a fraction.
    Percent,
    /// A currency, before or after.
    Money,
    /// Nothing, but the number counts millionths of a currency, as the interfaces of some platforms do to have whole
    /// numbers.
    Micros,
}

impl Unit {
    /// The power of ten that a number is stored times.
    pub(super) fn exponent(self) -> i32 {
        match self {
            Self::Plain | Self::Money => 0,
            Self::Percent => -2,
            Self::Micros => -6,
        }
    }
}

/// How a cell becomes a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeReading {
    /// A date as people write it.
    Calendar(DateOrder),
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
    /// Microseconds since 1970.
    EpochMicros,
    /// `20140407`.
    CompactDate,
    /// `14102100`.
    CompactHour,
    /// `2014040710` to `20140407105109277`: as much of the clock as there are digits.
    CompactStamp,
}

/// The separator that stands for a list that was one already (a JSON array).
pub const LIST_MARK: char = '\u{1f}';

/// Plans without parameters, by their words.
const WORDS: [(&str, Plan); 15] = [
    ("integer", Plan::Integer),
    ("real", Plan::Real),
    ("boolean", Plan::Boolean),
    ("text", Plan::Text),
    ("duration", Plan::Duration),
    ("list json", Plan::List(LIST_MARK)),
    ("time day-first", Plan::Time(TimeReading::Calendar(DateOrder::Dmy))),
    ("time month-first", Plan::Time(TimeReading::Calendar(DateOrder::Mdy))),
    ("time year-first", Plan::Time(TimeReading::Calendar(DateOrder::Ymd))),
    ("time epoch-s", Plan::Time(TimeReading::EpochSeconds)),
    ("time epoch-ms", Plan::Time(TimeReading::EpochMillis)),
    ("time epoch-us", Plan::Time(TimeReading::EpochMicros)),
    ("time yyyymmdd", Plan::Time(TimeReading::CompactDate)),
    ("time yymmddhh", Plan::Time(TimeReading::CompactHour)),
    ("time yyyymmddhhmmss", Plan::Time(TimeReading::CompactStamp)),
];
const DECIMALS: [(&str, Decimal); 2] = [("point", Decimal::Point), ("comma", Decimal::Comma)];
const UNITS: [(&str, Unit); 4] =
    [("number", Unit::Plain), ("percent", Unit::Percent), ("money", Unit::Money), ("micros", Unit::Micros)];

impl Plan {
    /// The reading for people: "percent, decimal comma".
    pub fn describe(self) -> String {
        let words = match self {
            Self::Integer => "whole number",
            Self::Real => "number",
            Self::Boolean => "true or false",
            Self::Text => "text",
            Self::Duration => "span of time, in seconds",
            Self::List(LIST_MARK) => "list",
            Self::List(separator) => return format!("list parted by '{separator}'"),
            Self::Time(reading) => reading.describe(),
            Self::Number(numeral) => return numeral.describe(""),
        };
        words.to_owned()
    }
}

impl TimeReading {
    fn describe(self) -> &'static str {
        match self {
            Self::Calendar(DateOrder::Dmy) => "date, day before month",
            Self::Calendar(DateOrder::Mdy) => "date, month before day",
            Self::Calendar(DateOrder::Ymd) => "date, year first",
            Self::EpochSeconds => "seconds since 1970",
            Self::EpochMillis => "milliseconds since 1970",
            Self::EpochMicros => "microseconds since 1970",
            Self::CompactDate => "year, month and day in one number",
            Self::CompactHour => "year, month, day and hour in one number",
            Self::CompactStamp => "date and time in one number",
        }
    }
}

impl Numeral {
    /// The reading for people, with a currency where one is known.
    pub fn describe(self, currency: &str) -> String {
        let what = match (self.unit, currency, self.is_whole) {
            (Unit::Money, "", _) => "money".to_owned(),
            (Unit::Money, currency, _) => format!("money in {currency}"),
            (Unit::Percent, ..) => "percent, stored as a fraction".to_owned(),
            (Unit::Micros, ..) => "millionths of money, stored as money".to_owned(),
            (Unit::Plain, _, true) => "whole number".to_owned(),
            (Unit::Plain, _, false) => "number".to_owned(),
        };
        match self.decimal {
            Decimal::Point => format!("{what}, decimal point"),
            Decimal::Comma => format!("{what}, decimal comma"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((word, _)) = WORDS.iter().find(|(_, plan)| plan == self) {
            return f.write_str(word);
        }
        match self {
            Self::List(separator) => write!(f, "list {separator}"),
            Self::Number(Numeral { decimal, unit, is_whole }) => {
                let unit = UNITS.iter().find(|(_, known)| known == unit).map_or("number", |(word, _)| word);
                let decimal = DECIMALS.iter().find(|(_, known)| known == decimal);
                let whole = if *is_whole { " whole" } else { "" };
                write!(f, "{unit} {}{whole}", decimal.map_or("point", |(word, _)| word))
            }
            _ => Err(fmt::Error),
        }
    }
}

impl FromStr for Plan {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        if let Some((_, plan)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(*plan);
        }
        let unknown = || {
            let known: Vec<_> = WORDS.iter().map(|(word, _)| *word).collect();
            Failure::new("cannot read how a column is read", format!("'{text}' is no reading")).hint(format!(
                "{}, list |, number comma, money point, percent comma, micros point",
                known.join(", ")
            ))
        };
        let (kind, rest) = text.split_once(' ').ok_or_else(unknown)?;
        if kind == "list" {
            let mut separator = rest.chars();
            return match (separator.next(), separator.next()) {
                (Some(separator), None) => Ok(Self::List(separator)),
                (None, None) => Ok(Self::List(' ')),
                _ => Err(unknown()),
            };
        }
        let unit = UNITS.iter().find(|(word, _)| *word == kind).ok_or_else(unknown)?.1;
        let (mark, is_whole) = match rest.strip_suffix(" whole") {
            Some(mark) => (mark, true),
            None => (rest, false),
        };
        let decimal = DECIMALS.iter().find(|(word, _)| *word == mark).ok_or_else(unknown)?.1;
        Ok(Self::Number(Numeral { decimal, unit, is_whole }))
    }
}

impl From<Plan> for String {
    fn from(plan: Plan) -> Self {
        plan.to_string()
    }
}

impl TryFrom<String> for Plan {
    type Error = Failure;

    fn try_from(text: String) -> Result<Self, Failure> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_has_a_word_that_reads_back() {
        let mut plans: Vec<Plan> = WORDS.iter().map(|(_, plan)| *plan).collect();
        plans.extend(['|', ' ', '^'].map(Plan::List));
        for (_, decimal) in DECIMALS {
            for (_, unit) in UNITS {
                plans.extend([true, false].map(|is_whole| Plan::Number(Numeral { decimal, unit, is_whole })));
            }
        }
        for plan in plans {
            assert_eq!(plan.to_string().parse::<Plan>().unwrap(), plan, "{plan}");
            let json = serde_json::to_string(&plan).unwrap();
            assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan, "{json}");
            assert!(!plan.describe().is_empty());
        }
        let failure = "money dot".parse::<Plan>().unwrap_err();
        assert!(failure.why.contains("money dot") && failure.hint.contains("money point"), "{failure}");
    }
}
