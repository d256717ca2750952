//! Into which groups does a column part the rows? Values, quantile buckets of numbers, days, hours, weekdays.

use super::filter::{HOUR, calendar_column};
use crate::base::{Failure, Result};
use crate::data::cells::{self, Coded, NO_CODE, WEEKDAYS};
use crate::data::frame::LogFrame;
use crate::data::schema::{ColumnType, Role};
use crate::domain::segment::{Comparison, Literal, Segment, Test};

/// Numbers with more different values than this are parted into buckets.
const MAX_NUMBER_VALUES: usize = 24;
/// Buckets of equal numbers of rows.
const BUCKETS: usize = 5;

/// The groups of one column.
#[derive(Debug)]
pub struct Groups {
    /// Names in a natural order where there is one, and a code per row.
    pub coded: Coded,
    column: String,
    kind: GroupKind,
}

#[derive(Debug)]
enum GroupKind {
    /// One group a value.
    Values,
    /// One group an hour.
    Hours,
    /// One group a date.
    Days,
    /// The least number of each bucket; the last has no end.
    Buckets(Vec<f64>),
}

impl Groups {
    /// Finds the groups of a column; `hour` and `weekday` come from the time.
    ///
    /// # Errors
    /// No such column, or a column of lists.
    pub fn of(log: &LogFrame, column: &str) -> Result<Self> {
        let (coded, kind) = find(log, column)?;
        Ok(Self { coded, column: column.to_owned(), kind })
    }

    /// What a group is called.
    pub fn name(&self, code: u32) -> String {
        self.coded.values.get(code as usize).cloned().unwrap_or_else(|| "missing".to_owned())
    }

    /// The rows of a group, so that it can be kept as an audience.
    pub fn segment(&self, code: u32) -> Segment {
        let place = code as usize;
        let whole = |test| Segment::Where { column: self.column.clone(), test };
        let from = |limit| whole(Test::Compare(Comparison::AtLeast, limit));
        let below = |limit| whole(Test::Compare(Comparison::Less, limit));
        let Some(name) = self.coded.values.get(place) else {
            return whole(Test::Missing);
        };
        match &self.kind {
            GroupKind::Values => Segment::equals(&self.column, name),
            GroupKind::Hours => whole(Test::In(vec![Literal::Number(f64::from(code))])),
            GroupKind::Days => {
                let next = cells::moment(name).map(|millis| cells::date_of(millis + DAY_MILLIS));
                let end = next.map_or(Segment::All, |next| below(Literal::Text(next)));
                from(Literal::Text(name.clone())).and(end)
            }
            GroupKind::Buckets(starts) => {
                let start = if place == 0 {
                    Segment::All
                } else {
                    starts.get(place).map_or(Segment::All, |start| from(Literal::Number(*start)))
                };
                let end = match starts.get(place + 1) {
                    Some(next) => below(Literal::Number(*next)),
                    // With one bucket only, every number is in it; the missing ones are not.
                    None if place == 0 => Segment::Not(Box::new(whole(Test::Missing))),
                    None => Segment::All,
                };
                start.and(end)
            }
        }
    }
}

const DAY_MILLIS: i64 = 86_400_000;

fn find(log: &LogFrame, column: &str) -> Result<(Coded, GroupKind)> {
    if let Some(time) = calendar_column(log, column)? {
        let kind = if column == HOUR { GroupKind::Hours } else { GroupKind::Values };
        return Ok((calendar(&cells::times(log, time)?, column), kind));
    }
    let described = log.schema.column(column)?;
    if described.kind == ColumnType::List || cells::is_list(log, column)? {
        return Err(Failure::new("cannot part the rows", format!("the cells of '{column}' are lists"))
            .at(format!("column {column}"))
            .hint("choose a column with one value a row; a filter may look into lists"));
    }
    if cells::is_calendar_time(log, column)? {
        return Ok((days(&cells::times(log, column)?), GroupKind::Days));
    }
    let is_number = matches!(described.kind, ColumnType::Integer | ColumnType::Real);
    let is_measure = matches!(
        described.role,
        Role::Numeric | Role::Price | Role::Truth | Role::Ignored | Role::Conversion | Role::Weight
    );
    let coded = cells::coded(log, column)?;
    if is_number && is_measure && coded.values.len() > MAX_NUMBER_VALUES {
        let (coded, starts) = buckets(&cells::numbers(log, column)?);
        return Ok((coded, GroupKind::Buckets(starts)));
    }
    Ok((coded, GroupKind::Values))
}

fn calendar(times: &[Option<i64>], part: &str) -> Coded {
    if part == HOUR {
        let codes = times.iter().map(|time| time.map_or(NO_CODE, cells::hour_of)).collect();
        return Coded { values: (0..24).map(|hour| format!("{hour:02}")).collect(), codes };
    }
    let codes = times.iter().map(|time| time.map_or(NO_CODE, cells::weekday_of)).collect();
    Coded { values: WEEKDAYS.map(str::to_owned).to_vec(), codes }
}

fn days(times: &[Option<i64>]) -> Coded {
    let mut present: Vec<i64> = times.iter().flatten().map(|millis| millis.div_euclid(DAY_MILLIS)).collect();
    present.sort_unstable();
    present.dedup();
    let code =
        |millis: i64| present.binary_search(&millis.div_euclid(DAY_MILLIS)).map_or(NO_CODE, |p| p as u32);
    Coded {
        codes: times.iter().map(|time| time.map_or(NO_CODE, code)).collect(),
        values: present.iter().map(|day| cells::date_of(day * DAY_MILLIS)).collect(),
    }
}

/// Buckets of about equal size; equal numbers are never parted, so there may be fewer than [`BUCKETS`].
fn buckets(numbers: &[f64]) -> (Coded, Vec<f64>) {
    let mut sorted: Vec<f64> = numbers.iter().copied().filter(|x| !x.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    if sorted.is_empty() {
        return (Coded { values: Vec::new(), codes: vec![NO_CODE; numbers.len()] }, Vec::new());
    }
    // The first number of every bucket but the first.
    let mut starts: Vec<f64> = (1..BUCKETS).map(|k| sorted[k * sorted.len() / BUCKETS]).collect();
    starts.dedup();
    starts.retain(|start| *start > sorted[0]);
    let code = |x: f64| starts.partition_point(|start| *start <= x) as u32;
    let values = (0..=starts.len()).map(|bucket| {
        let inside = sorted.iter().copied().filter(|x| code(*x) as usize == bucket);
        let (low, high) = inside.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
        format!("{} to {}", short(low), short(high))
    });
    let coded = Coded {
        values: values.collect(),
        codes: numbers.iter().map(|x| if x.is_nan() { NO_CODE } else { code(*x) }).collect(),
    };
    starts.insert(0, sorted[0]);
    (coded, starts)
}

/// About four significant digits.
fn short(x: f64) -> String {
    if x == x.trunc() && x.abs() < 1e15 {
        return format!("{x}");
    }
    let digits = (3 - x.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{x:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_equal_shares_and_never_part_equal_numbers() {
        let numbers: Vec<f64> = (0..100).map(f64::from).chain([f64::NAN]).collect();
        let (coded, _) = buckets(&numbers);
        assert_eq!(coded.values, ["0 to 19", "20 to 39", "40 to 59", "60 to 79", "80 to 99"]);
        assert_eq!((coded.codes[19], coded.codes[20], coded.codes[100]), (0, 1, NO_CODE));
        let skewed: Vec<f64> = (0..100).map(|i| if i < 70 { 0.0 } else { 0.5 + f64::from(i) }).collect();
        let (coded, _) = buckets(&skewed);
        assert_eq!(coded.values, ["0 to 79.5", "80.5 to 99.5"]);
        assert_eq!(coded.codes[69], 0);
    }

    #[test]
    fn days_are_in_order_whatever_the_rows_are() {
        let day = 86_400_000;
        let coded = days(&[Some(3 * day), None, Some(day + 5), Some(3 * day + 9)]);
        assert_eq!(coded.values, ["1970-01-02", "1970-01-04"]);
        assert_eq!(coded.codes, [1, NO_CODE, 0, 1]);
    }

    #[test]
    fn a_bucket_s_segment_holds_what_the_bucket_counts() {
        let bids: Vec<f64> = (0..1_000).map(|i| f64::from(i * 37 % 613) / 7.0).collect();
        let frame = polars::prelude::df!("bid" => bids).unwrap();
        let log = LogFrame::from_frame(frame, &[("bid", Role::Price)]).unwrap();
        let groups = Groups::of(&log, "bid").unwrap();
        assert_eq!(groups.coded.values.len(), BUCKETS);
        for code in 0..BUCKETS as u32 {
            let mask = super::super::filter::mask(&log, &groups.segment(code)).unwrap();
            let counted: Vec<bool> = groups.coded.codes.iter().map(|c| *c == code).collect();
            assert_eq!(mask, counted, "{}", groups.segment(code));
        }
    }
}
