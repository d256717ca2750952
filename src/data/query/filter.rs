//! Which rows are in a segment? Settled once against a log, then answered for some rows at a time, on all cores.

use super::grouping::{Derived, values_of};
use crate::base::{Failure, Result};
use crate::data::cells::{self, WEEKDAYS};
use crate::data::frame::LogFrame;
use crate::data::keyed::Keyed;
use crate::data::schema::ColumnType;
use crate::domain::segment::{Comparison, Literal, Segment, Test};
use rayon::prelude::*;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// Rows looked at together: their cells and answers stay in the cache of the processor.
pub const ROWS_AT_ONCE: usize = 1 << 14;

/// A segment that is settled against a log: every name is known and every comparison makes sense.
pub enum Filter {
    /// Every row.
    All,
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    /// Rows whose code is true in the table.
    Codes(Arc<Keyed>, Vec<bool>),
    /// Rows whose number (milliseconds since 1970 for times) compares so.
    Numbers {
        column: String,
        comparison: Comparison,
        limit: f64,
    },
    /// Rows that were looked at beforehand.
    Rows(Vec<bool>),
}

/// True for each row that is in the segment.
///
/// # Errors
/// A column that the log lacks, or a comparison that makes no sense for its cells.
pub fn mask(log: &LogFrame, segment: &Segment) -> Result<Vec<bool>> {
    let filter = Filter::of(log, segment)?;
    let mut inside = vec![true; log.rows()];
    inside.par_chunks_mut(ROWS_AT_ONCE).enumerate().try_for_each(|(chunk, inside)| {
        let start = chunk * ROWS_AT_ONCE;
        filter.fill(log, start..start + inside.len(), inside)
    })?;
    Ok(inside)
}

impl Filter {
    /// Settles a segment.
    ///
    /// # Errors
    /// As [`mask`].
    pub fn of(log: &LogFrame, segment: &Segment) -> Result<Self> {
        let all =
            |parts: &[Segment]| parts.iter().map(|part| Self::of(log, part)).collect::<Result<Vec<_>>>();
        Ok(match segment {
            Segment::All => Self::All,
            Segment::And(parts) => Self::And(all(parts)?),
            Segment::Or(parts) => Self::Or(all(parts)?),
            Segment::Not(part) => Self::Not(Box::new(Self::of(log, part)?)),
            Segment::Where { column, test } => where_column(log, column, test)?,
        })
    }

    /// Answers for some rows; `inside` has an entry for each.
    ///
    /// # Errors
    /// Cells that cannot be read.
    pub fn fill(&self, log: &LogFrame, rows: Range<usize>, inside: &mut [bool]) -> Result<()> {
        match self {
            Self::All => inside.fill(true),
            Self::And(parts) => join(parts, true, |all, one| *all &= one, log, rows, inside)?,
            Self::Or(parts) => join(parts, false, |all, one| *all |= one, log, rows, inside)?,
            Self::Not(part) => {
                part.fill(log, rows, inside)?;
                inside.iter_mut().for_each(|inside| *inside = !*inside);
            }
            Self::Codes(keyed, table) => keyed.codes.look_up(rows, table, inside),
            Self::Numbers { column, comparison, limit } => {
                let numbers = cells::numbers_within(log, column, rows)?;
                // NaN, a missing cell, is on no side of anything.
                for (inside, number) in inside.iter_mut().zip(numbers.iter()) {
                    *inside = comparison.holds(*number, *limit);
                }
            }
            Self::Rows(known) => inside.copy_from_slice(&known[rows]),
        }
        Ok(())
    }
}

fn join(
    parts: &[Filter],
    start: bool,
    with: impl Fn(&mut bool, bool),
    log: &LogFrame,
    rows: Range<usize>,
    inside: &mut [bool],
) -> Result<()> {
    inside.fill(start);
    let mut one = vec![true; inside.len()];
    for part in parts {
        part.fill(log, rows.clone(), &mut one)?;
        inside.iter_mut().zip(&one).for_each(|(inside, one)| with(inside, *one));
    }
    Ok(())
}

fn where_column(log: &LogFrame, column: &str, test: &Test) -> Result<Filter> {
    if let Some(derived) = Derived::named(log, column) {
        let keyed = derived.keyed(log)?;
        let table = where_derived(derived, &keyed, test)?;
        return Ok(Filter::Codes(keyed, table));
    }
    let is_list = cells::is_list(log, column)?;
    match test {
        Test::In(values) if is_list => where_in_list(log, column, values),
        Test::Missing if is_list => {
            let lists = cells::coded_lists(log, column)?;
            Ok(Filter::Rows(lists.offsets.windows(2).map(|ends| ends[0] == ends[1]).collect()))
        }
        Test::In(values) => {
            let wanted: HashSet<String> = values.iter().map(Literal::text).collect();
            by_value(log, column, |value| wanted.contains(value))
        }
        Test::Missing => {
            let keyed = values_of(log, column)?;
            let mut table = vec![false; keyed.values.len()];
            table.push(true);
            Ok(Filter::Codes(keyed, table))
        }
        Test::Compare(comparison, value) => where_compared(log, column, *comparison, value),
    }
}

fn by_value(log: &LogFrame, column: &str, holds: impl Fn(&String) -> bool) -> Result<Filter> {
    let keyed = values_of(log, column)?;
    let mut table: Vec<bool> = keyed.values.iter().map(holds).collect();
    table.push(false);
    Ok(Filter::Codes(keyed, table))
}

fn where_in_list(log: &LogFrame, column: &str, values: &[Literal]) -> Result<Filter> {
    let wanted: HashSet<String> = values.iter().map(Literal::text).collect();
    let lists = cells::coded_lists(log, column)?;
    let found: Vec<bool> = lists.items.values.iter().map(|value| wanted.contains(value)).collect();
    let holds = |&code: &u32| found.get(code as usize).copied().unwrap_or(false);
    let inside = lists
        .offsets
        .windows(2)
        .map(|ends| lists.items.codes[ends[0] as usize..ends[1] as usize].iter().any(holds));
    Ok(Filter::Rows(inside.collect()))
}

fn where_compared(log: &LogFrame, column: &str, comparison: Comparison, value: &Literal) -> Result<Filter> {
    let what = || format!("cannot compare '{column}'");
    if cells::is_calendar_time(log, column)? {
        let limit = match value {
            Literal::Number(number) => *number,
            Literal::Text(text) => cells::moment(text).ok_or_else(|| {
                Failure::new(what(), format!("'{text}' is no point in time"))
                    .hint("for example '2026-09-14' or '2026-09-14 18:30'")
            })? as f64,
        };
        return Ok(Filter::Numbers { column: column.to_owned(), comparison, limit });
    }
    let limit = match value {
        Literal::Number(number) => *number,
        Literal::Text(text) => text.trim().parse().map_err(|_| {
            Failure::new(what(), format!("'{text}' is no number")).hint("= and in compare texts")
        })?,
    };
    if log.schema.column(column)?.kind != ColumnType::Text {
        return Ok(Filter::Numbers { column: column.to_owned(), comparison, limit });
    }
    // Numbers among texts: read once a value, not once a row.
    let number = |value: &String| value.trim().parse::<f64>().ok().filter(|number| !number.is_nan());
    if values_of(log, column)?.values.iter().all(|value| number(value).is_none()) {
        return Err(Failure::new(what(), "it holds no numbers").hint("= and in compare texts"));
    }
    by_value(log, column, |value| number(value).is_some_and(|number| comparison.holds(number, limit)))
}

/// Which codes of a derived column a test lets through; the last is that of missing ones.
fn where_derived(derived: Derived, keyed: &Keyed, test: &Test) -> Result<Vec<bool>> {
    let known = |value: &Literal| {
        place_of(derived, value).ok_or_else(|| {
            Failure::new(format!("cannot compare the {}", derived.name()), format!("{value} is none")).hint(
                match derived {
                    Derived::Hour => "an hour from 0 to 23",
                    Derived::Weekday => "mon, tue, wed, thu, fri, sat or sun",
                    Derived::Frequency => "a whole number from 1",
                    Derived::Week | Derived::FirstWeek => "the date of a Monday, such as '2026-09-14'",
                },
            )
        })
    };
    // Weeks are told by their text, which is a moment; all others by their number.
    let place = |code: usize| match derived {
        Derived::Hour | Derived::Weekday => code as f64,
        Derived::Frequency => code as f64 + 1.0,
        Derived::Week | Derived::FirstWeek => {
            keyed.values.get(code).and_then(|date| cells::moment(date)).map_or(f64::NAN, |at| at as f64)
        }
    };
    let codes = 0..keyed.values.len();
    let mut table: Vec<bool> = match test {
        Test::Missing => codes.map(|_| false).collect(),
        Test::In(values) => {
            let wanted: Vec<f64> = values.iter().map(known).collect::<Result<_>>()?;
            codes.map(|code| wanted.contains(&place(code))).collect()
        }
        Test::Compare(comparison, value) => {
            let limit = known(value)?;
            codes.map(|code| comparison.holds(place(code), limit)).collect()
        }
    };
    table.push(*test == Test::Missing);
    Ok(table)
}

fn place_of(derived: Derived, value: &Literal) -> Option<f64> {
    match (derived, value) {
        (Derived::Week | Derived::FirstWeek, value) => cells::moment(&value.text()).map(|at| at as f64),
        (_, Literal::Number(number)) => Some(*number),
        (Derived::Weekday, Literal::Text(text)) => {
            let short: String = text.to_lowercase().chars().take(3).collect();
            WEEKDAYS.iter().position(|day| *day == short).map(|day| day as f64)
        }
        (_, Literal::Text(text)) => text.trim().parse().ok(),
    }
}
