//! Which rows are in a segment? One true or false per row.

use crate::base::{Failure, Result};
use crate::data::cells::{self, NO_CODE, WEEKDAYS};
use crate::data::frame::LogFrame;
use crate::data::schema::Role;
use crate::domain::segment::{Comparison, Literal, Segment, Test};
use std::collections::HashSet;

/// Name of the derived column with the hour of the day.
pub const HOUR: &str = "hour";
/// Name of the derived column with the day of the week.
pub const WEEKDAY: &str = "weekday";

/// True for each row that is in the segment.
///
/// # Errors
/// A column that the log lacks, or a comparison that makes no sense for its cells.
pub fn mask(log: &LogFrame, segment: &Segment) -> Result<Vec<bool>> {
    match segment {
        Segment::All => Ok(vec![true; log.rows()]),
        Segment::And(parts) => combine(log, parts, true, |a, b| a && b),
        Segment::Or(parts) => combine(log, parts, false, |a, b| a || b),
        Segment::Not(part) => Ok(mask(log, part)?.into_iter().map(|inside| !inside).collect()),
        Segment::Where { column, test } => where_column(log, column, test),
    }
}

fn combine(
    log: &LogFrame,
    parts: &[Segment],
    start: bool,
    join: fn(bool, bool) -> bool,
) -> Result<Vec<bool>> {
    let mut all = vec![start; log.rows()];
    for part in parts {
        let inside = mask(log, part)?;
        all.iter_mut().zip(inside).for_each(|(all, inside)| *all = join(*all, inside));
    }
    Ok(all)
}

/// The time column behind `hour` and `weekday`, when `name` is one of them and no column of its own.
pub fn calendar_column<'a>(log: &'a LogFrame, name: &str) -> Result<Option<&'a str>> {
    if !matches!(name, HOUR | WEEKDAY) || log.schema.column(name).is_ok() {
        return Ok(None);
    }
    let time = log.schema.with_role(Role::Time).map(|column| column.name.as_str());
    match time {
        Some(time) if cells::is_calendar_time(log, time)? => Ok(Some(time)),
        _ => Err(Failure::new(
            format!("cannot tell the {name}"),
            "the log has neither such a column nor a time to take it from",
        )
        .hint("give a column with points in time the role time")),
    }
}

fn where_column(log: &LogFrame, column: &str, test: &Test) -> Result<Vec<bool>> {
    if let Some(time) = calendar_column(log, column)? {
        let times = cells::times(log, time)?;
        return where_calendar(column, &times, test);
    }
    match test {
        Test::In(values) => where_in(log, column, values),
        Test::Missing if cells::is_list(log, column)? => {
            let lists = cells::coded_lists(log, column)?;
            Ok(lists.offsets.windows(2).map(|ends| ends[0] == ends[1]).collect())
        }
        Test::Missing => Ok(cells::coded(log, column)?.codes.iter().map(|code| *code == NO_CODE).collect()),
        Test::Compare(comparison, value) => where_compared(log, column, *comparison, value),
    }
}

fn where_in(log: &LogFrame, column: &str, values: &[Literal]) -> Result<Vec<bool>> {
    let wanted: HashSet<String> = values.iter().map(Literal::text).collect();
    if cells::is_list(log, column)? {
        let lists = cells::coded_lists(log, column)?;
        let found: Vec<bool> = lists.items.values.iter().map(|value| wanted.contains(value)).collect();
        let holds = |&code: &u32| found.get(code as usize).copied().unwrap_or(false);
        let rows = lists.offsets.windows(2);
        return Ok(rows
            .map(|ends| lists.items.codes[ends[0] as usize..ends[1] as usize].iter().any(holds))
            .collect());
    }
    let coded = cells::coded(log, column)?;
    let found: Vec<bool> = coded.values.iter().map(|value| wanted.contains(value)).collect();
    Ok(coded.codes.iter().map(|&code| found.get(code as usize).copied().unwrap_or(false)).collect())
}

fn where_compared(
    log: &LogFrame,
    column: &str,
    comparison: Comparison,
    value: &Literal,
) -> Result<Vec<bool>> {
    let what = || format!("cannot compare '{column}'");
    if cells::is_calendar_time(log, column)? {
        let limit = match value {
            Literal::Number(number) => *number,
            Literal::Text(text) => cells::moment(text).ok_or_else(|| {
                Failure::new(what(), format!("'{text}' is no point in time"))
                    .hint("for example '2026-09-14' or '2026-09-14 18:30'")
            })? as f64,
        };
        let times = cells::times(log, column)?;
        let holds = |time: &Option<i64>| time.is_some_and(|time| comparison.holds(time as f64, limit));
        return Ok(times.iter().map(holds).collect());
    }
    let limit = match value {
        Literal::Number(number) => *number,
        Literal::Text(text) => text.trim().parse().map_err(|_| {
            Failure::new(what(), format!("'{text}' is no number")).hint("= and in compare texts")
        })?,
    };
    let numbers = cells::numbers(log, column)?;
    if numbers.iter().all(|number| number.is_nan()) && log.rows() > 0 {
        return Err(Failure::new(what(), "it holds no numbers").hint("= and in compare texts"));
    }
    // NaN, a missing cell, is on no side of anything.
    Ok(numbers.iter().map(|number| comparison.holds(*number, limit)).collect())
}

fn where_calendar(name: &str, times: &[Option<i64>], test: &Test) -> Result<Vec<bool>> {
    let part = |millis: i64| -> (f64, &'static str) {
        if name == HOUR {
            (f64::from(cells::hour_of(millis)), "")
        } else {
            let day = cells::weekday_of(millis);
            (f64::from(day), WEEKDAYS[day as usize])
        }
    };
    let place_of = |value: &Literal| match value {
        Literal::Number(number) => Some(*number),
        Literal::Text(text) if name == WEEKDAY => {
            let short: String = text.to_lowercase().chars().take(3).collect();
            WEEKDAYS.iter().position(|day| *day == short).map(|day| day as f64)
        }
        Literal::Text(text) => text.trim().parse().ok(),
    };
    let known = |value: &Literal| {
        place_of(value).ok_or_else(|| {
            let hint =
                if name == HOUR { "an hour from 0 to 23" } else { "mon, tue, wed, thu, fri, sat or sun" };
            Failure::new(format!("cannot compare the {name}"), format!("{value} is none")).hint(hint)
        })
    };
    let holds: Box<dyn Fn(f64) -> bool> = match test {
        Test::Missing => return Ok(times.iter().map(Option::is_none).collect()),
        Test::In(values) => {
            let wanted: Vec<f64> = values.iter().map(known).collect::<Result<_>>()?;
            Box::new(move |place| wanted.contains(&place))
        }
        Test::Compare(comparison, value) => {
            let (comparison, limit) = (*comparison, known(value)?);
            Box::new(move |place| comparison.holds(place, limit))
        }
    };
    Ok(times.iter().map(|time| time.is_some_and(|millis| holds(part(millis).0))).collect())
}
