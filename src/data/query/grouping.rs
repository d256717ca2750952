//! Into which groups does a column part the rows? Values, quantile buckets of numbers, days, and what a log tells
//! without a column of its own: hour, weekday, week, how often a user was reached.

use crate::base::{Failure, Result};
use crate::data::cells::{self, Coded, NO_CODE, WEEKDAYS};
use crate::data::frame::LogFrame;
use crate::data::keyed::Keyed;
use crate::data::memo::Memo;
use crate::data::schema::{ColumnType, Role};
use crate::domain::segment::{Comparison, Literal, Segment, Test};
use std::sync::Arc;

/// Numbers with more different values than this are parted into buckets.
const MAX_NUMBER_VALUES: usize = 24;
/// Buckets of equal numbers of rows.
const BUCKETS: usize = 5;

/// A column that a log tells without having it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derived {
    /// Hour of the day, 0 to 23.
    Hour,
    /// Day of the week, Monday first.
    Weekday,
    /// The week, by the date of its Monday.
    Week,
    /// The how manieth row of its user this is, by time: 1 is the first.
    Frequency,
    /// The week in which its user was first seen.
    FirstWeek,
}

impl Derived {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Weekday, Self::Week, Self::Frequency, Self::FirstWeek];

    /// Its name where a column's stands.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Weekday => "weekday",
            Self::Week => "week",
            Self::Frequency => "frequency",
            Self::FirstWeek => "first_week",
        }
    }

    /// The one called `name`, unless the log has such a column of its own.
    pub fn named(log: &LogFrame, name: &str) -> Option<Self> {
        let derived = Self::ALL.into_iter().find(|derived| derived.name() == name)?;
        log.schema.column(name).is_err().then_some(derived)
    }

    /// True when the log has what it is told from, without reading it.
    pub fn is_told(self, log: &LogFrame) -> bool {
        let has_time = || {
            let time = log.schema.with_role(Role::Time);
            time.is_some_and(|time| cells::is_calendar_time(log, &time.name).unwrap_or(false))
        };
        let has_user = || log.schema.with_role(Role::User).is_some();
        log.schema.column(self.name()).is_err()
            && match self {
                Self::Hour | Self::Weekday | Self::Week => has_time(),
                Self::Frequency => has_user(),
                Self::FirstWeek => has_time() && has_user(),
            }
    }

    /// Its value in every row.
    ///
    /// # Errors
    /// The log has no time, or no user, to tell it from.
    pub fn keyed(self, log: &LogFrame) -> Result<Arc<Keyed>> {
        Memo::of(log, &format!("derived {}", self.name()), || Ok(self.find(log)?.into()))
    }

    fn find(self, log: &LogFrame) -> Result<Coded> {
        let refuse = |of: &str, role: &str| {
            Failure::new(
                format!("cannot tell the {}", self.name()),
                format!("the log has neither such a column nor a {of} to take it from"),
            )
            .hint(format!("give a column with {role} the role {of}"))
        };
        let time = log.schema.with_role(Role::Time).map(|column| column.name.as_str());
        let calendar = match time {
            Some(time) if cells::is_calendar_time(log, time)? => Some(time),
            _ => None,
        };
        if self == Self::Frequency {
            let user =
                log.schema.with_role(Role::User).ok_or_else(|| refuse("user", "the names of users"))?;
            return frequency(&cells::coded(log, &user.name)?, &order_in_time(log, time)?);
        }
        let times = cells::times(log, calendar.ok_or_else(|| refuse("time", "points in time"))?)?;
        if self == Self::FirstWeek {
            let user =
                log.schema.with_role(Role::User).ok_or_else(|| refuse("user", "the names of users"))?;
            return Ok(weeks(&first_seen(&cells::coded(log, &user.name)?, &times)));
        }
        Ok(match self {
            Self::Hour => Coded {
                codes: times.iter().map(|time| time.map_or(NO_CODE, cells::hour_of)).collect(),
                values: (0..24).map(|hour| format!("{hour:02}")).collect(),
            },
            Self::Weekday => Coded {
                codes: times.iter().map(|time| time.map_or(NO_CODE, cells::weekday_of)).collect(),
                values: WEEKDAYS.map(str::to_owned).to_vec(),
            },
            _ => weeks(&times),
        })
    }
}

/// Rows by rising time; those without one last, equal ones as they stand.
fn order_in_time(log: &LogFrame, time: Option<&str>) -> Result<Vec<u32>> {
    let mut order: Vec<u32> = (0..log.rows() as u32).collect();
    if let Some(time) = time {
        let times = cells::times(log, time)?;
        order.sort_by_key(|row| times[*row as usize].map_or((1, 0), |time| (0, time)));
    }
    Ok(order)
}

fn frequency(user: &Coded, order: &[u32]) -> Result<Coded> {
    let mut seen = vec![0u32; user.values.len()];
    let mut codes = vec![NO_CODE; user.codes.len()];
    for &row in order {
        if let Some(seen) = seen.get_mut(user.codes[row as usize] as usize) {
            codes[row as usize] = *seen;
            *seen += 1;
        }
    }
    let most = seen.iter().copied().max().unwrap_or(0);
    Ok(Coded { values: (1..=most).map(|n| n.to_string()).collect(), codes })
}

fn first_seen(user: &Coded, times: &[Option<i64>]) -> Vec<Option<i64>> {
    let mut first: Vec<Option<i64>> = vec![None; user.values.len()];
    for (code, time) in user.codes.iter().zip(times) {
        if let (Some(first), Some(time)) = (first.get_mut(*code as usize), time) {
            *first = Some(first.map_or(*time, |first| first.min(*time)));
        }
    }
    user.codes.iter().map(|code| first.get(*code as usize).copied().flatten()).collect()
}

/// The groups of one column.
#[derive(Debug, Clone)]
pub struct Groups {
    /// Names in a natural order where there is one, and a code per row.
    pub keyed: Arc<Keyed>,
    column: String,
    kind: GroupKind,
}

#[derive(Debug, Clone)]
enum GroupKind {
    /// One group a value.
    Values,
    /// One group a number, whose name may have more digits.
    Counts { first: u32 },
    /// One group a date.
    Days,
    /// The least number of each bucket; the last has no end.
    Buckets(Vec<f64>),
}

impl Groups {
    /// Finds the groups of a column; a [`Derived`] one comes from time and user.
    ///
    /// # Errors
    /// No such column, or a column of lists.
    pub fn of(log: &LogFrame, column: &str) -> Result<Self> {
        let found = Memo::of(log, &format!("groups {column}"), || {
            let (keyed, kind) = find(log, column)?;
            Ok(Self { keyed, column: column.to_owned(), kind })
        })?;
        Ok((*found).clone())
    }

    /// The group of a row.
    pub fn code(&self, row: usize) -> u32 {
        self.keyed.codes.get(row)
    }

    /// What a group is called.
    pub fn name(&self, code: u32) -> String {
        self.keyed.name(code).to_owned()
    }

    /// The rows of a group, so that it can be kept as an audience.
    pub fn segment(&self, code: u32) -> Segment {
        let place = code as usize;
        let whole = |test| Segment::Where { column: self.column.clone(), test };
        let from = |limit| whole(Test::Compare(Comparison::AtLeast, limit));
        let below = |limit| whole(Test::Compare(Comparison::Less, limit));
        let Some(name) = self.keyed.values.get(place) else {
            return whole(Test::Missing);
        };
        match &self.kind {
            GroupKind::Values => Segment::equals(&self.column, name),
            GroupKind::Counts { first } => whole(Test::In(vec![Literal::Number(f64::from(code + first))])),
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

/// The values of a column as codes, shared by filters and groups.
///
/// # Errors
/// No such column, or a column of lists.
pub fn values_of(log: &LogFrame, column: &str) -> Result<Arc<Keyed>> {
    Memo::of(log, &format!("values {column}"), || cells::keyed(log, column))
}

fn find(log: &LogFrame, column: &str) -> Result<(Arc<Keyed>, GroupKind)> {
    if let Some(derived) = Derived::named(log, column) {
        let kind = match derived {
            Derived::Hour => GroupKind::Counts { first: 0 },
            Derived::Frequency => GroupKind::Counts { first: 1 },
            Derived::Weekday | Derived::Week | Derived::FirstWeek => GroupKind::Values,
        };
        return Ok((derived.keyed(log)?, kind));
    }
    let described = log.schema.column(column)?;
    if described.kind == ColumnType::List || cells::is_list(log, column)? {
        return Err(Failure::new("cannot part the rows", format!("the cells of '{column}' are lists"))
            .at(format!("column {column}"))
            .hint("choose a column with one value a row; a filter may look into lists"));
    }
    if cells::is_calendar_time(log, column)? {
        return Ok((Arc::new(days(&cells::times(log, column)?).into()), GroupKind::Days));
    }
    let is_number = matches!(described.kind, ColumnType::Integer | ColumnType::Real);
    let is_measure = matches!(
        described.role,
        Role::Numeric | Role::Price | Role::Truth | Role::Ignored | Role::Conversion | Role::Weight
    );
    let keyed = values_of(log, column)?;
    if is_number && is_measure && keyed.values.len() > MAX_NUMBER_VALUES {
        let (coded, starts) = buckets(&cells::numbers(log, column)?);
        return Ok((Arc::new(coded.into()), GroupKind::Buckets(starts)));
    }
    Ok((keyed, GroupKind::Values))
}

fn days(times: &[Option<i64>]) -> Coded {
    spans(times, |millis| millis.div_euclid(DAY_MILLIS), |day| day * DAY_MILLIS)
}

/// Weeks by the date of their Monday.
fn weeks(times: &[Option<i64>]) -> Coded {
    // 1 January 1970 was a Thursday.
    let week = |millis: i64| (millis.div_euclid(DAY_MILLIS) + 3).div_euclid(7);
    spans(times, week, |week| (week * 7 - 3) * DAY_MILLIS)
}

/// The spans of time that rows lie in, in order, each called by its first date.
fn spans(times: &[Option<i64>], number: impl Fn(i64) -> i64, start: impl Fn(i64) -> i64) -> Coded {
    let mut present: Vec<i64> = times.iter().flatten().map(|millis| number(*millis)).collect();
    present.sort_unstable();
    present.dedup();
    let code = |millis: i64| present.binary_search(&number(millis)).map_or(NO_CODE, |place| place as u32);
    Coded {
        codes: times.iter().map(|time| time.map_or(NO_CODE, code)).collect(),
        values: present.iter().map(|number| cells::date_of(start(*number))).collect(),
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
pub(super) fn short(x: f64) -> String {
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
        assert_eq!(groups.keyed.values.len(), BUCKETS);
        for code in 0..BUCKETS as u32 {
            let mask = super::super::filter::mask(&log, &groups.segment(code)).unwrap();
            let counted: Vec<bool> = (0..log.rows()).map(|row| groups.code(row) == code).collect();
            assert_eq!(mask, counted, "{}", groups.segment(code));
        }
    }

    #[test]
    fn a_log_tells_how_often_and_since_when_a_user_was_reached() {
        use polars::prelude::{DataType, IntoColumn, NamedFrom, Series, TimeUnit};
        let mut frame =
            polars::prelude::df!("who" => [Some("甲"), Some("乙"), Some("甲"), None, Some("甲")]).unwrap();
        // Thursday, then two weeks back and forth: rows are not in the order of time.
        let stamps = [10 * DAY_MILLIS, DAY_MILLIS, 0, 5, 3 * DAY_MILLIS + 7];
        let time = Series::new("time".into(), stamps)
            .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
            .unwrap();
        frame.with_column(time.into_column()).unwrap();
        let log = LogFrame::from_frame(frame, &[("who", Role::User), ("time", Role::Time)]).unwrap();
        let names = |column: &str| -> Vec<String> {
            let groups = Groups::of(&log, column).unwrap();
            (0..log.rows()).map(|row| groups.name(groups.code(row))).collect()
        };
        assert_eq!(names("frequency"), ["3", "1", "1", "missing", "2"]);
        assert_eq!(names("week"), ["1970-01-05", "1969-12-29", "1969-12-29", "1969-12-29", "1969-12-29"]);
        assert_eq!(names("first_week"), ["1969-12-29", "1969-12-29", "1969-12-29", "missing", "1969-12-29"]);
        let bare = LogFrame::from_frame(polars::prelude::df!("a" => [1i64]).unwrap(), &[]).unwrap();
        assert!(Groups::of(&bare, "frequency").unwrap_err().hint.contains("role user"));
        assert!(Groups::of(&bare, "week").unwrap_err().hint.contains("role time"));
    }
}
