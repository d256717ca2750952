//! What does a row stand for? An impression, a count of many, an event, a person, a creative, a week …
//!
//! Only the shape says what a figure means: the rows of a log of counts are weighted, those of an event stream must be
//! joined first, and a table of users is no log at all. [`detect`] tells the shape from columns and values;
//! [`reshape`] turns the two shapes that models cannot read into one row per impression.

mod events;
mod long;

pub use events::EventJoin;

use super::frame::LogFrame;
use super::infer::{Meaning, Quantity, meaning};
use super::profile::ColumnProfile;
use super::schema::{ColumnType, Role};
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// One impression (or another case) with its 0/1 outcome.
    Impressions,
    /// Many impressions, counted.
    Aggregated,
    /// One thing that a user did; what it was stands in a column.
    Events,
    /// One round, with one 0/1 column per ad.
    Wide,
    /// Cases whose outcome is not known yet.
    Scoring,
    /// A rating that somebody gave.
    Ratings,
    /// Two texts and which one was preferred.
    Pairs,
    /// A text, and nothing else.
    Texts,
    /// A path of touchpoints with what came of it.
    Paths,
    /// A week or day with what was spent in each channel.
    Series,
    /// A share of the traffic.
    Curve,
    /// A user.
    Users,
    /// An ad, creative, keyword or item.
    Items,
    /// None of these.
    Table,
}

/// A shape and the columns that show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Detected {
    /// The shape.
    pub shape: Shape,
    /// The columns concerned: events, one per ad, texts, the key.
    pub columns: Vec<String>,
    /// More for the sentence about it; empty where there is nothing more.
    pub detail: String,
}

/// How a log is turned into one row per impression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reshape {
    /// One column per ad -> one row per ad and round.
    Long,
    /// Events -> impressions with the clicks and conversions that followed.
    Impressions(EventJoin),
}

impl FromStr for Reshape {
    type Err = Failure;

    /// `long`, `impressions` or `impressions:24` (hours from a view to its click).
    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            Failure::new(
                "cannot read the shape",
                format!("'{text}' is no shape that a log can be turned into"),
            )
            .hint("long, impressions, or impressions:24 for clicks within 24 hours of their view")
        };
        match text.split_once(':') {
            None if text == "long" => Ok(Self::Long),
            None if text == "impressions" => Ok(Self::Impressions(EventJoin::default())),
            Some(("impressions", hours)) => {
                let hours: f64 = hours.trim().parse().map_err(|_| refuse())?;
                let minutes = (hours * 60.0).round();
                if !(1.0..=5.0e6).contains(&minutes) {
                    return Err(refuse());
                }
                Ok(Self::Impressions(EventJoin { click_minutes: minutes as u32, ..EventJoin::default() }))
            }
            _ => Err(refuse()),
        }
    }
}

/// Turns a log into one row per impression; roles are found anew, and the source's notes say what was joined and
/// what was left out.
///
/// # Errors
/// A log of another shape, missing columns, a cancel.
pub fn reshape(log: &LogFrame, how: Reshape, context: &JobContext) -> Result<LogFrame> {
    match how {
        Reshape::Long => long::long(log, context),
        Reshape::Impressions(join) => events::impressions(log, join, context),
    }
}

/// What a row of the log stands for.
///
/// # Errors
/// A column that cannot be read.
pub fn detect(log: &LogFrame, columns: &[ColumnProfile]) -> Result<Detected> {
    let schema = &log.schema;
    let has = |role: Role| schema.with_role(role).is_some();
    if let Some(column) = events::event_column(log)? {
        return Ok(Detected { detail: column.describe(), columns: vec![column.name], shape: Shape::Events });
    }
    let plain = |shape| Detected { shape, columns: Vec::new(), detail: String::new() };
    if has(Role::Weight) && has(Role::Clicks) {
        return Ok(plain(Shape::Aggregated));
    }
    if has(Role::Label) {
        return Ok(plain(Shape::Impressions));
    }
    if columns.iter().any(|column| column.role == Role::Ignored && column.evidence.contains("to be scored")) {
        return Ok(plain(Shape::Scoring));
    }
    if let Some(wide) = long::wide(log) {
        let detail = if wide.has_sums { " (the last row, which holds the sums, left out)" } else { "" };
        return Ok(Detected { shape: Shape::Wide, columns: wide.ads, detail: detail.to_owned() });
    }
    let found = texts(columns)
        .or_else(|| pairs(columns))
        .or_else(|| paths(columns))
        .or_else(|| ratings(columns))
        .or_else(|| series(columns, log.rows()))
        .or_else(|| curve(columns))
        .or_else(|| counts_without_clicks(columns))
        .or_else(|| keyed(columns, log.rows()));
    Ok(found.unwrap_or_else(|| plain(Shape::Table)))
}

fn detected(shape: Shape, columns: Vec<String>) -> Option<Detected> {
    Some(Detected { shape, columns, detail: String::new() })
}

fn is_text(column: &ColumnProfile) -> bool {
    column.kind == ColumnType::Text && column.distinct > 0
}

fn is_number(column: &ColumnProfile) -> bool {
    matches!(column.kind, ColumnType::Integer | ColumnType::Real)
}

/// One column of text beside nothing that says anything.
fn texts(columns: &[ColumnProfile]) -> Option<Detected> {
    let telling: Vec<&ColumnProfile> =
        columns.iter().filter(|column| !(is_number(column) && column.role == Role::Ignored)).collect();
    match telling.as_slice() {
        [only] if is_text(only) => detected(Shape::Texts, vec![only.name.clone()]),
        _ => None,
    }
}

/// Two text columns that share a name up to its number or letter, and a column that speaks of preference.
fn pairs(columns: &[ColumnProfile]) -> Option<Detected> {
    let texts: Vec<&ColumnProfile> =
        columns.iter().filter(|column| is_text(column) && column.distinct > 10).collect();
    for one in &texts {
        for ends in [["1", "2"], ["a", "b"]] {
            let Some(first) = one.name.to_lowercase().strip_suffix(ends[0]).map(str::to_owned) else {
                continue;
            };
            let is_other = |other: &&&ColumnProfile| {
                other.name.to_lowercase().strip_suffix(ends[1]).is_some_and(|second| second == first)
            };
            let judged = columns.iter().any(|column| {
                let name = column.name.to_lowercase();
                ["prefer", "winner", "better", "chosen", "judg", "vote"]
                    .iter()
                    .any(|word| name.contains(word))
            });
            if let Some(other) = texts.iter().find(is_other).filter(|_| judged) {
                return detected(Shape::Pairs, vec![one.name.clone(), other.name.clone()]);
            }
        }
    }
    None
}

/// Lists of touchpoints beside conversions.
fn paths(columns: &[ColumnProfile]) -> Option<Detected> {
    let path = columns.iter().find(|column| column.role == Role::Sequence)?;
    let counts = columns.iter().any(|column| {
        is_number(column) && matches!(meaning(&column.name), Meaning::Counts(Quantity::Conversions, _))
    });
    let says_path = ["path", "journey", "touch"].iter().any(|word| path.name.to_lowercase().contains(word));
    (counts && (says_path || columns.len() <= 6)).then(|| Detected {
        shape: Shape::Paths,
        columns: vec![path.name.clone()],
        detail: format!(
            "{} touchpoints, up to {} in one path",
            path.distinct,
            path.lengths.map_or(0.0, |lengths| lengths.max)
        ),
    })
}

fn ratings(columns: &[ColumnProfile]) -> Option<Detected> {
    let is_rating = |column: &&ColumnProfile| {
        let name = column.name.to_lowercase();
        ["rating", "stars"].iter().any(|word| name.contains(word))
            && is_number(column)
            && column.distinct <= 20
    };
    let rating = columns.iter().find(is_rating)?;
    detected(Shape::Ratings, vec![rating.name.clone()])
}

/// One row per moment, and several columns of spend, impressions or clicks by channel.
fn series(columns: &[ColumnProfile], rows: usize) -> Option<Detected> {
    let time = columns.iter().find(|column| column.role == Role::Time && column.kind == ColumnType::Time)?;
    if rows < 8 || time.distinct != rows as u64 {
        return None;
    }
    let spend =
        |column: &&ColumnProfile| is_number(column) && channel_part(&column.name) == Some(Quantity::Spend);
    let channels: Vec<String> = columns.iter().filter(spend).map(|column| column.name.clone()).collect();
    (channels.len() >= 2).then(|| Detected {
        shape: Shape::Series,
        columns: channels,
        detail: time.name.clone(),
    })
}

/// `tv_S`, `facebook_spend`: what of the channel is meant. S, I and P are the suffixes of marketing-mix models.
fn channel_part(name: &str) -> Option<Quantity> {
    let (channel, last) = name.rsplit_once(['_', ' ', '.'])?;
    match last {
        "S" => Some(Quantity::Spend),
        "I" => Some(Quantity::Impressions),
        "P" => Some(Quantity::Clicks),
        _ if channel.is_empty() => None,
        _ => match meaning(last) {
            Meaning::Counts(quantity, _) => Some(quantity),
            _ => None,
        },
    }
}

/// Shares by hour or weekday.
fn curve(columns: &[ColumnProfile]) -> Option<Detected> {
    let named = |column: &ColumnProfile, words: &[&str]| {
        let name = column.name.to_lowercase();
        words.iter().any(|word| name.split(|c: char| !c.is_alphanumeric()).any(|own| own == *word))
    };
    let hour = columns.iter().find(|column| {
        named(column, &["hour", "hod", "stunde", "heure", "hora", "uur"])
            && column.quantiles.is_some_and(|values| values.min >= 0.0 && values.max <= 24.0)
    })?;
    let share = columns.iter().find(|column| {
        named(column, &["share", "weight", "traffic", "fraction", "proportion"])
            && column.quantiles.is_some_and(|values| values.min >= 0.0 && values.max <= 1.0)
    })?;
    let groups = columns.iter().filter(|column| column.name != share.name && column.name != hour.name);
    let groups: Vec<&str> = groups.map(|column| column.name.as_str()).collect();
    Some(Detected {
        shape: Shape::Curve,
        columns: vec![share.name.clone(), hour.name.clone()],
        detail: groups.join(" and "),
    })
}

fn counts_without_clicks(columns: &[ColumnProfile]) -> Option<Detected> {
    let counts = |column: &&ColumnProfile| {
        is_number(column) && matches!(meaning(&column.name), Meaning::Counts(Quantity::Impressions, 90..))
    };
    let column = columns.iter().find(counts)?;
    detected(Shape::Aggregated, vec![column.name.clone()])
}

/// A table with one row per user or per ad.
fn keyed(columns: &[ColumnProfile], rows: usize) -> Option<Detected> {
    /// In fewer rows anything is a key.
    const ENOUGH_ROWS: usize = 10;
    let is_key = |column: &&ColumnProfile| column.distinct == rows as u64 && column.missing == 0;
    let keys = || columns.iter().filter(is_key).filter(|_| rows >= ENOUGH_ROWS);
    let of_role = |role| keys().find(move |column| column.role == role);
    // Users who all came once are a log, not a table of users.
    let is_log = columns.iter().any(|column| column.role == Role::Time)
        && columns.iter().any(|column| matches!(column.role, Role::Ad | Role::Slot | Role::Campaign));
    if let Some(key) = of_role(Role::User).filter(|_| !is_log) {
        return detected(Shape::Users, vec![key.name.clone()]);
    }
    let named_id = || {
        keys().find(|column| {
            let name = column.name.to_lowercase();
            (name == "id" || name.ends_with("_id") || name.ends_with(" id"))
                && column.kind != ColumnType::Real
        })
    };
    let key = of_role(Role::Ad).or_else(named_id)?;
    detected(Shape::Items, vec![key.name.clone()])
}
