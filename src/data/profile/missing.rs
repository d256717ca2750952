//! Does a column stop (or begin) to be filled on some day? A tracker that was switched off looks like a value of its own.

use super::{Issue, IssueKind, issues};
use crate::base::Result;
use crate::base::calendar;
use crate::base::failure::Explain;
use crate::data::cells;
use crate::data::frame::LogFrame;
use crate::data::schema::{Column, ColumnType, Role};
use crate::jobs::JobContext;

const DAY_MILLIS: i64 = 86_400_000;
/// The place of a row without a time.
const NO_DAY: u32 = u32::MAX;
/// Fewer rows on either side prove nothing.
const ENOUGH_ROWS: u64 = 20;
/// On the empty side this share of the cells is missing.
const EMPTY: f64 = 0.98;
/// On the filled side at most this.
const FILLED: f64 = 0.5;

/// Columns that are filled in one part of the time only.
pub(super) fn over_time(log: &LogFrame, context: &JobContext) -> Result<Vec<Issue>> {
    let time = log.schema.with_role(Role::Time).filter(|column| column.kind == ColumnType::Time);
    let Some(time) = time else {
        return Ok(Vec::new());
    };
    let has_some = |column: &&Column| {
        let series = log.frame.column(&column.name);
        series.is_ok_and(|series| series.null_count() > 0 && series.null_count() < log.rows())
    };
    let columns: Vec<&Column> =
        log.schema.columns.iter().filter(|column| column.name != time.name).filter(has_some).collect();
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let times = cells::times(log, &time.name)?;
    let (Some(first), Some(last)) = (times.iter().flatten().min(), times.iter().flatten().max()) else {
        return Ok(Vec::new());
    };
    let (first, last) = (first.div_euclid(DAY_MILLIS), last.div_euclid(DAY_MILLIS));
    // A span of more than a century is a slip in the times, and told as such.
    let span = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
    if !(2..=40_000).contains(&span) {
        return Ok(Vec::new());
    }
    let place = |time: &Option<i64>| time.map_or(NO_DAY, |time| (time.div_euclid(DAY_MILLIS) - first) as u32);
    let places: Vec<u32> = times.iter().map(place).collect();
    drop(times);
    let mut found = Vec::new();
    for column in columns {
        context.check()?;
        let series = log.frame.column(&column.name).explain("cannot look for missing cells")?;
        let mut counts = vec![Day::default(); span];
        for (missing, place) in series.is_null().iter().zip(&places) {
            if let Some(count) = counts.get_mut(*place as usize) {
                count.rows += 1;
                count.missing += u64::from(missing == Some(true));
            }
        }
        found.extend(turn(&counts).map(|turn| turn.issue(column, first)));
    }
    Ok(found)
}

#[derive(Debug, Clone, Copy, Default)]
struct Day {
    rows: u64,
    missing: u64,
}

/// The day from which on a column is empty (or filled).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Turn {
    /// Days after the first.
    day: usize,
    /// True when the column is empty from that day on, false when it is empty until then.
    ends: bool,
    before: f64,
    after: f64,
    /// Missing cells on the empty side.
    missing: u64,
}

/// The turn between days that parts filled from empty best.
fn turn(days: &[Day]) -> Option<Turn> {
    let sum = |days: &[Day]| {
        days.iter().fold((0u64, 0u64), |(rows, missing), day| (rows + day.rows, missing + day.missing))
    };
    let all = sum(days);
    let (mut rows, mut missing) = (0u64, 0u64);
    let mut best: Option<Turn> = None;
    for (place, day) in days.iter().enumerate().take(days.len() - 1) {
        rows += day.rows;
        missing += day.missing;
        let (rows_after, missing_after) = (all.0 - rows, all.1 - missing);
        if rows < ENOUGH_ROWS || rows_after < ENOUGH_ROWS {
            continue;
        }
        let before = missing as f64 / rows as f64;
        let after = missing_after as f64 / rows_after as f64;
        let fits = (before <= FILLED && after >= EMPTY) || (after <= FILLED && before >= EMPTY);
        let is_better = best.is_none_or(|best| (after - before).abs() > (best.after - best.before).abs());
        if fits && is_better {
            let ends = after > before;
            let missing = if ends { missing_after } else { missing };
            best = Some(Turn { day: place + 1, ends, before, after, missing });
        }
    }
    best
}

impl Turn {
    fn issue(self, column: &Column, first: i64) -> Issue {
        let (year, month, day) = calendar::date_of(first + self.day as i64);
        let what = if self.ends { "stops to be filled" } else { "begins to be filled" };
        let detail = format!(
            "{what} on {year:04}-{month:02}-{day:02}: {:.1} % missing before, {:.1} % from then on",
            100.0 * self.before,
            100.0 * self.after
        );
        issues::issue(IssueKind::MissingOverTime, Some(&column.name), self.missing, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(missing: &[u64]) -> Vec<Day> {
        missing.iter().map(|missing| Day { rows: 100, missing: *missing }).collect()
    }

    #[test]
    fn the_day_of_the_turn_is_found() {
        let found = turn(&days(&[3, 5, 2, 100, 100, 99])).unwrap();
        assert_eq!((found.day, found.ends, found.missing), (3, true, 299));
        let found = turn(&days(&[100, 100, 4])).unwrap();
        assert_eq!((found.day, found.ends, found.missing), (2, false, 200));
    }

    #[test]
    fn steady_gaps_are_no_turn() {
        assert!(turn(&days(&[30, 35, 28, 31])).is_none());
        assert!(turn(&days(&[3, 5, 90, 2])).is_none());
        assert!(turn(&[Day { rows: 5, missing: 0 }, Day { rows: 5, missing: 5 }]).is_none());
    }
}
