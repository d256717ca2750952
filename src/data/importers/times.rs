//! Is this cell a point in time, and which? Dates as people and systems write them.
//!
//! Whether `03/04/2026` is in March or April is decided by the whole column, so a cell is first taken apart
//! ([`parts`]) and put together ([`Parts::millis`]) when the order is known.

use super::scan::Scan;
use crate::base::calendar::{date_of, days_since_1970};
use std::cell::RefCell;

/// The order of day, month and year where digits leave it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// 27/03/2016.
    Dmy,
    /// 3/27/2016.
    Mdy,
    /// 16-03-27.
    Ymd,
}

/// How much of the order a date tells itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Year, month and day are certain: the year comes first in four digits, or the month is a word.
    Certain,
    /// The year comes last; day and month may be either.
    YearLast,
    /// Three numbers of two digits.
    TwoDigits,
}

/// A date and time, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The three numbers: year, month, day where the form is certain, as written elsewhere (the year of
    /// [`Form::YearLast`] comes last and in full).
    pub numbers: [i64; 3],
    /// What is known of their order.
    pub form: Form,
    /// True when points stand between them.
    pub has_points: bool,
    /// Milliseconds since midnight, less the offset from UTC.
    pub millis: i64,
    /// The name of a time zone (`PDT`), whose offset was used; none for `UTC` and numbers.
    pub zone: Option<&'static str>,
}

impl Parts {
    /// Milliseconds since 1970 in UTC. `None` when there is no such day.
    pub fn millis(&self, order: DateOrder) -> Option<i64> {
        let [a, b, c] = self.numbers;
        let (year, month, day) = match (self.form, order) {
            (Form::Certain, _) => (a, b, c),
            (_, DateOrder::Dmy) => (c, b, a),
            (_, DateOrder::Mdy) => (c, a, b),
            (Form::TwoDigits, DateOrder::Ymd) => (a, b, c),
            (Form::YearLast, DateOrder::Ymd) => return None,
        };
        let year = if self.form == Form::TwoDigits { full_year(year) } else { year };
        Some(days_since_1970(year, month, day)? * DAY_MILLIS + self.millis)
    }
}

/// Two digits of a year as POSIX reads them: 69 to 99 are in the last century.
fn full_year(two_digits: i64) -> i64 {
    two_digits + if two_digits < 69 { 2000 } else { 1900 }
}

/// Takes a cell apart: `2019-11-24 00:01:29.788335+00:00`, `27/03/2016 0:53`, `31.08.23`, `2014/4/7T10:51Z`,
/// `11/15/2019 10:22:32 AM PST`, `8 Jul 2025`, `Jul 8, 2025`, `08/Jul/2025:10:00:00 +0200`, `2025年7月8日`,
/// `20250708T101500Z`. `None` when it is no date.
pub fn parts(cell: &str) -> Option<Parts> {
    thread_local! {
        /// Every cell is taken apart to be understood and again to be stored, and logs are sorted by time.
        static LAST: RefCell<(String, Option<Parts>)> = const { RefCell::new((String::new(), None)) };
    }
    LAST.with_borrow_mut(|(last, known)| {
        if last != cell {
            *known = take_apart(cell);
            cell.clone_into(last);
        }
        *known
    })
}

fn take_apart(cell: &str) -> Option<Parts> {
    // Cheap refusal first: most text cells are no dates.
    let first = *cell.as_bytes().first()?;
    if cell.len() < 6 || cell.len() > 48 || !(first.is_ascii_digit() || first.is_ascii_alphabetic()) {
        return None;
    }
    let mut scan = Scan::of(cell);
    let date = if first.is_ascii_digit() { digits_first(&mut scan)? } else { word_first(&mut scan)? };
    let (millis, zone) = match date.millis {
        Some(known) => known,
        None => time_of_day(&mut scan)?,
    };
    let Date { numbers, form, has_points, .. } = date;
    let parts = Parts { numbers, form, has_points, millis, zone };
    let orders: &[DateOrder] = match form {
        Form::Certain | Form::YearLast => &[DateOrder::Dmy, DateOrder::Mdy],
        Form::TwoDigits => &[DateOrder::Dmy, DateOrder::Mdy, DateOrder::Ymd],
    };
    orders.iter().any(|order| parts.millis(*order).is_some()).then_some(parts)
}

struct Date {
    numbers: [i64; 3],
    form: Form,
    has_points: bool,
    /// The time of day, where the date came after it.
    millis: Option<(i64, Option<&'static str>)>,
}

impl Date {
    fn certain(year: i64, month: i64, day: i64) -> Self {
        Self { numbers: [year, month, day], form: Form::Certain, has_points: false, millis: None }
    }
}

fn digits_first(scan: &mut Scan<'_>) -> Option<Date> {
    let (a, a_digits) = scan.number(8)?;
    if a_digits == 8 && scan.peek() == Some(b'T') {
        return Some(Date::certain(a / 10_000, a / 100 % 100, a % 100));
    }
    if a_digits > 4 {
        return None;
    }
    if scan.take_text("年") || scan.take_text("년") {
        scan.spaces();
        let (month, _) = scan.number(2)?;
        (scan.take_text("月") || scan.take_text("월")).then_some(())?;
        scan.spaces();
        let (day, _) = scan.number(2)?;
        (scan.take_text("日") || scan.take_text("일")).then_some(())?;
        return (a_digits == 4).then(|| Date::certain(a, month, day));
    }
    if a_digits == 4 && (scan.take_text("-W") || scan.take_text("W")) {
        return week(scan, a);
    }
    let separator = scan.next()?;
    if separator == b' ' && !scan.peek().is_some_and(|byte| byte.is_ascii_alphabetic() || byte >= 0x80) {
        return None;
    }
    if !matches!(separator, b'-' | b'/' | b'.' | b' ') {
        return None;
    }
    scan.spaces();
    if !scan.peek()?.is_ascii_digit() {
        // 8 Jul 2025, 08-Jul-25, 8. Juli 2025.
        let month = scan.month()?;
        let _ = scan.take(b'.') | scan.take(b',');
        let _ = scan.take(b'-') | scan.take(b'/') | scan.take(b' ');
        let (year, digits) = scan.number(4)?;
        return match digits {
            4 => Some(Date::certain(year, month, a)),
            2 => Some(Date::certain(full_year(year), month, a)),
            _ => None,
        };
    }
    three_numbers(scan, separator, (a, a_digits))
}

/// `2024-W07`, `2024W07-3`: the Monday of a week, or the day of it (ISO 8601, where 4 January lies in the first week).
fn week(scan: &mut Scan<'_>, year: i64) -> Option<Date> {
    let (week, digits) = scan.number(2)?;
    let day = if scan.take(b'-') { scan.number(1)?.0 } else { 1 };
    if digits != 2 || !(1..=53).contains(&week) || !(1..=7).contains(&day) || !scan.is_at_end() {
        return None;
    }
    let first_monday = |year: i64| {
        let fourth = days_since_1970(year, 1, 4)?;
        // 1970 began on a Thursday.
        Some(fourth - (fourth + 3).rem_euclid(7))
    };
    let monday = first_monday(year)? + 7 * (week - 1);
    // Most years have no week 53.
    let is_there = monday < first_monday(year + 1)?;
    let (year, month, day) = date_of(monday + day - 1);
    is_there.then(|| Date::certain(year, month, day))
}

fn three_numbers(scan: &mut Scan<'_>, separator: u8, (a, a_digits): (i64, usize)) -> Option<Date> {
    let (b, b_digits) = scan.number(2)?;
    if a_digits == 4 && b_digits == 2 && scan.is_at_end() && (1990..2100).contains(&a) && separator != b'.' {
        return Some(Date::certain(a, b, 1));
    }
    scan.take(separator).then_some(())?;
    let has_points = separator == b'.';
    if has_points {
        scan.spaces();
    }
    let (c, c_digits) = scan.number(4)?;
    if has_points && a_digits == 4 {
        scan.take(b'.');
    }
    let (numbers, form) = match (a_digits, b_digits, c_digits) {
        (4, _, 1 | 2) => ([a, b, c], Form::Certain),
        (1 | 2, _, 4) => ([a, b, c], Form::YearLast),
        (1 | 2, _, 2) if separator == b'/' => ([a, b, c], Form::TwoDigits),
        // With points or dashes less would be a version number more often than a date.
        (2, 2, 2) => ([a, b, c], Form::TwoDigits),
        _ => return None,
    };
    Some(Date { numbers, form, has_points, millis: None })
}

/// `Jul 8, 2025`, `Tue, 08 Jul 2025`, `Tue Jul 08 10:00:00 +0000 2025`.
fn word_first(scan: &mut Scan<'_>) -> Option<Date> {
    if scan.weekday() {
        let _ = scan.take(b',');
        scan.spaces();
        if scan.peek()?.is_ascii_digit() {
            return digits_first(scan);
        }
    }
    let month = scan.month()?;
    let _ = scan.take(b'.');
    scan.spaces();
    let (day, digits) = scan.number(4)?;
    if digits == 4 {
        return (scan.is_at_end() && (1990..2100).contains(&day)).then(|| Date::certain(day, month, 1));
    }
    if digits > 2 {
        return None;
    }
    let has_comma = scan.take(b',');
    scan.spaces();
    let mark = scan.at;
    match scan.number(4) {
        Some((year, 4)) => return Some(Date::certain(year, month, day)),
        _ if has_comma => return None,
        _ => scan.at = mark,
    }
    // The year of `date` and of Twitter comes last, after the clock and the zone.
    let (rest, year) = scan.text_from_here()?.rsplit_once(' ')?;
    let year: i64 = (year.len() == 4).then(|| year.parse().ok())??;
    let mut clock = Scan::of(rest);
    let known = clock_and_zone(&mut clock)?;
    scan.skip_rest();
    Some(Date { millis: Some(known), ..Date::certain(year, month, day) })
}

/// The rest of the cell: nothing, or a separator, a clock and a zone.
fn time_of_day(scan: &mut Scan<'_>) -> Option<(i64, Option<&'static str>)> {
    if scan.is_at_end() {
        return Some((0, None));
    }
    let _ = scan.take(b',');
    let separated = scan.take(b'T') || scan.take(b' ') || scan.take(b':');
    if !separated {
        return None;
    }
    scan.spaces();
    if scan.take_text("at ") {
        scan.spaces();
    }
    clock_and_zone(scan)
}

/// `H:MM[:SS[.fraction]][ AM|PM][ zone]`, `HHMMSS`, `10时30分`; milliseconds since midnight in UTC.
fn clock_and_zone(scan: &mut Scan<'_>) -> Option<(i64, Option<&'static str>)> {
    let before_noon = scan.take_text("上午");
    let after_noon = !before_noon && scan.take_text("下午");
    let (first, digits) = scan.number(6)?;
    let (mut hour, minute, mut second) = match digits {
        6 => (first / 10_000, first / 100 % 100, first % 100),
        4 => (first / 100, first % 100, 0),
        _ => {
            (scan.take(b':') || scan.take_text("时") || scan.take_text("時")).then_some(())?;
            (first, scan.number(2)?.0, 0)
        }
    };
    let mut millis = 0;
    let _ = scan.take_text("分");
    if digits < 4 && (scan.take(b':') || scan.peek().is_some_and(|byte| byte.is_ascii_digit())) {
        second = scan.number(2)?.0;
        let _ = scan.take_text("秒");
    }
    if scan.take(b'.') || scan.take(b',') {
        millis = scan.fraction_millis()?;
    }
    let spaced = scan.spaces();
    let half = if before_noon { Some(false) } else { after_noon.then_some(true).or_else(|| scan.half_day()) };
    match half {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(is_pm) => hour = hour % 12 + if is_pm { 12 } else { 0 },
        None => {}
    }
    let spaced = scan.spaces() || spaced;
    let (offset_millis, zone) = offset(scan, spaced)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some((((hour * 60 + minute) * 60 + second) * 1000 + millis - offset_millis, zone))
}

/// `Z`, `UTC`, `+00:00`, `-0530`, `GMT+8`, `PDT`, or nothing.
fn offset(scan: &mut Scan<'_>, spaced: bool) -> Option<(i64, Option<&'static str>)> {
    if scan.is_at_end() {
        return Some((0, None));
    }
    let is_utc = scan.take_text("UTC") || scan.take_text("GMT") || scan.take_text("Z");
    if is_utc && scan.is_at_end() {
        return Some((0, None));
    }
    if !is_utc && let Some((name, minutes)) = ZONES.iter().find(|(name, _)| scan.rest() == name.as_bytes()) {
        scan.skip_rest();
        return spaced.then_some((i64::from(*minutes) * 60_000, Some(*name)));
    }
    let sign = match scan.next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, digits) = scan.number(4)?;
    let (hours, minutes) = match digits {
        4 => (hours / 100, hours % 100),
        _ if scan.take(b':') => (hours, scan.number(2)?.0),
        _ => (hours, 0),
    };
    let is_real = scan.is_at_end() && hours <= 14 && minutes < 60;
    is_real.then_some((sign * (hours * 60 + minutes) * 60_000, None))
}

/// Names of time zones in minutes east of UTC. Where a name is shared, the zone that advertising accounts use it
/// for: CST is in Chicago, IST in India, BST the summer in London.
const ZONES: [(&str, i16); 24] = [
    ("PST", -480),
    ("PDT", -420),
    ("MST", -420),
    ("MDT", -360),
    ("CST", -360),
    ("CDT", -300),
    ("EST", -300),
    ("EDT", -240),
    ("AKST", -540),
    ("AKDT", -480),
    ("HST", -600),
    ("BRT", -180),
    ("WET", 0),
    ("BST", 60),
    ("WEST", 60),
    ("CET", 60),
    ("CEST", 120),
    ("EET", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("IST", 330),
    ("SGT", 480),
    ("JST", 540),
    ("KST", 540),
];

/// `20140407`, or with `hours` `14102100` (`YYMMDDHH`), as milliseconds since 1970.
pub fn compact(number: i64, hours: bool) -> Option<i64> {
    let (date, hour) = if hours { (20_000_000 + number / 100, number % 100) } else { (number, 0) };
    if !(0..=23).contains(&hour) {
        return None;
    }
    Some(compact_day(date)? + hour * 3_600_000)
}

/// `2014040710`, `201404071051`, `20140407105109` or `20140407105109277`, as milliseconds since 1970.
pub fn compact_stamp(number: i64) -> Option<i64> {
    let (date, clock) = match number.checked_ilog10()? + 1 {
        10 => (number / 100, number % 100 * 10_000_000),
        12 => (number / 10_000, number % 10_000 * 100_000),
        14 => (number / 1_000_000, number % 1_000_000 * 1000),
        17 => (number / 1_000_000_000, number % 1_000_000_000),
        _ => return None,
    };
    let (hour, minute, second) = (clock / 10_000_000, clock / 100_000 % 100, clock / 1000 % 100);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(compact_day(date)? + ((hour * 60 + minute) * 60 + second) * 1000 + clock % 1000)
}

fn compact_day(date: i64) -> Option<i64> {
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    if !(1990..=2099).contains(&year) {
        return None;
    }
    Some(days_since_1970(year, month, day)? * DAY_MILLIS)
}

/// `0:02:35`, `26:10:00`, `02:35`, `-0:00:01.5`: a span of time in seconds, and how many parts tell it.
pub fn duration(cell: &str) -> Option<(f64, usize)> {
    let (cell, sign) = match cell.trim().strip_prefix('-') {
        Some(rest) => (rest, -1.0),
        None => (cell.trim(), 1.0),
    };
    if !cell.as_bytes().first()?.is_ascii_digit() || cell.len() > 16 {
        return None;
    }
    let parts: Vec<&str> = cell.split(':').collect();
    let (first, rest) = parts.split_first()?;
    if !(1..=2).contains(&rest.len()) || first.len() > 6 {
        return None;
    }
    let (last, middle) = rest.split_last()?;
    let (seconds, fraction) = last.split_once('.').unwrap_or((last, ""));
    let is_part = |part: &str| part.len() == 2 && part < "60";
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_written = middle.iter().all(|part| is_part(part)) && is_part(seconds);
    if !is_written || ![first, seconds, fraction].into_iter().chain(middle.iter().copied()).all(is_digits) {
        return None;
    }
    let whole = parts[..parts.len() - 1].iter().try_fold(0.0, |total, part| {
        let number: f64 = part.parse().ok()?;
        Some(total * 60.0 + number)
    })?;
    let last: f64 = last.parse().ok()?;
    Some((sign * (whole * 60.0 + last), parts.len()))
}

const DAY_MILLIS: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(cell: &str, order: DateOrder) -> Option<i64> {
        parts(cell)?.millis(order)
    }

    #[test]
    fn reads_the_dates_of_real_logs() {
        // Values from `date -u -d ... +%s`.
        let day_first = DateOrder::Dmy;
        for (cell, expected) in [
            ("2019-11-24 00:01:29.788335+00:00", 1_574_553_689_788),
            ("2017-11-08 06:30:54", 1_510_122_654_000),
            ("27/03/2016 0:53", 1_459_039_980_000),
            ("31-08-2023", 1_693_440_000_000),
            ("2014-04-07T10:51:09.277Z", 1_396_867_869_277),
            ("01.01.2019", 1_546_300_800_000),
            ("2024-02-29T23:00:00-0530", 1_709_267_400_000),
        ] {
            assert_eq!(millis(cell, day_first), Some(expected), "{cell}");
        }
        assert_eq!(millis("11/15/2019 10:22:32 PM", DateOrder::Mdy), Some(1_573_856_552_000));
    }

    #[test]
    fn weeks_begin_on_their_monday() {
        // `date -d 2020-12-28 +%G-W%V` answers 2020-W53, and 2024-12-30 lies in 2025-W01.
        for (week, day) in [
            ("2020-W53", "2020-12-28"),
            ("2025-W01", "2024-12-30"),
            ("2024-W01", "2024-01-01"),
            ("2021-W01", "2021-01-04"),
        ] {
            assert_eq!(millis(week, DateOrder::Ymd), millis(day, DateOrder::Ymd), "{week}");
        }
        for text in ["2021-W53", "2024-W00", "2024-W5", "2024-W05-8", "2024-W051"] {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    #[test]
    fn one_day_in_many_hands() {
        // `date -u -d "2025-07-08 10:15" +%s` answers 1751969700; midnight is 1751932800.
        for cell in [
            "2025-07-08",
            "08-Jul-2025",
            "8 Jul 2025",
            "08-JUL-25",
            "Jul 8, 2025",
            "July 8, 2025",
            "Tue, 08 Jul 2025",
            "2025年7月8日",
            "2025. 7. 8.",
            "8. Juli 2025",
            "8 juil. 2025",
            "8. 7. 2025",
            "08.07.25",
            "8/7/25",
            "20250708T000000Z",
            "2025-W28-2",
            "2025W28-2",
        ] {
            assert_eq!(millis(cell, DateOrder::Dmy), Some(1_751_932_800_000), "{cell}");
        }
        for cell in [
            "2025-07-08T10:15:00.000000Z",
            "Jul 8, 2025, 10:15:00 AM",
            "8 Jul 2025 10:15",
            "08/Jul/2025:12:15:00 +0200",
            "Tue Jul 08 10:15:00 +0000 2025",
            "Tue Jul 8 10:15:00 UTC 2025",
            "2025年7月8日 10:15",
            "2025年7月8日 10时15分",
            "2025年7月8日 上午10:15",
            "20250708T101500",
            "2025-07-08 3:15 AM PDT",
            "2025-07-08 03:15 PDT",
            "2025-07-08 10:15 UTC",
            "2025-07-08 18:15 GMT+8",
            "2025-07-08 10:15 a.m.",
        ] {
            assert_eq!(millis(cell, DateOrder::Dmy), Some(1_751_969_700_000), "{cell}");
        }
        assert_eq!(millis("25-07-08", DateOrder::Ymd), Some(1_751_932_800_000));
        // A month stands for its first day: 1751328000.
        for cell in ["2025-07", "2025/07", "Jul 2025", "July 2025"] {
            assert_eq!(millis(cell, DateOrder::Dmy), Some(1_751_328_000_000), "{cell}");
        }
        assert_eq!(parts("2025-07-08 3:15 AM PDT").unwrap().zone, Some("PDT"));
        assert_eq!(millis("1/2/2025 12:30 AM", DateOrder::Mdy), Some(1_735_777_800_000));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for cell in [
            "1.2.3.4.5",
            "192.168.1.10",
            "2019-13-01",
            "30-34",
            "7ceb2f5a",
            "12:30",
            "45/45/2020",
            "1-2",
            "",
            "May 2025 sale",
            "March",
            "Marching",
            "12 monkeys 2025",
            "1.2.10",
            "Mon",
            "2025-07-08 25:00",
            "2025-07-08 13:00 PM",
            "Jul 35, 2025",
            "2025年13月1日",
            "2025-07-08 10:15 XYZ",
            "12345678901",
        ] {
            assert_eq!(parts(cell), None, "{cell}");
        }
        assert_eq!(millis("2023-02-29", DateOrder::Dmy), None);
    }

    #[test]
    fn compact_forms() {
        assert_eq!(compact(20_140_407, false), Some(1_396_828_800_000));
        assert_eq!(compact(14_102_100, true), Some(1_413_849_600_000));
        assert_eq!(compact(14_102_125, true), None);
        assert_eq!(compact(20_141_307, false), None);
        // 7 April 2014, 10:51:09.277.
        assert_eq!(compact_stamp(20_140_407_105_109_277), Some(1_396_867_869_277));
        assert_eq!(compact_stamp(20_140_407_105_109), Some(1_396_867_869_000));
        assert_eq!(compact_stamp(201_404_071_051), Some(1_396_867_860_000));
        assert_eq!(compact_stamp(2_014_040_710), Some(1_396_864_800_000));
        assert_eq!(compact_stamp(2_014_040_725), None);
        assert_eq!(compact_stamp(-5), None);
    }

    #[test]
    fn spans_of_time() {
        assert_eq!(duration("0:02:35"), Some((155.0, 3)));
        assert_eq!(duration("26:10:00"), Some((94_200.0, 3)));
        assert_eq!(duration("02:35.5"), Some((155.5, 2)));
        assert_eq!(duration("-0:00:01"), Some((-1.0, 3)));
        for cell in ["1:2:3", "12", "1:60", "a:10", "1:02:03:04", "12:3", ":10", "1:+5", "00:0é"] {
            assert_eq!(duration(cell), None, "{cell}");
        }
    }
}
