//! Is this cell a point in time, and which? Dates as people and systems write them.
//!
//! Whether `03/04/2026` is in March or April is decided by the whole column, so a cell is first taken apart
//! ([`parts`]) and put together ([`Parts::millis`]) when the order is known.

use crate::base::calendar::days_since_1970;

/// The order of day and month in dates that end with the year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// 27/03/2016.
    DayFirst,
    /// 3/27/2016.
    MonthFirst,
}

/// A date and time, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The year; two digits stand for 2000 and after.
    pub year: i64,
    /// The first number that is not the year (the month where the year comes first).
    pub first: i64,
    /// The second number that is not the year.
    pub second: i64,
    /// True for year-month-day, which leaves no doubt.
    pub year_first: bool,
    /// Milliseconds since midnight, less the offset from UTC.
    pub millis: i64,
}

impl Parts {
    /// Milliseconds since 1970 in UTC. `None` when there is no such day.
    pub fn millis(&self, order: DateOrder) -> Option<i64> {
        let (month, day) = if self.year_first || order == DateOrder::MonthFirst {
            (self.first, self.second)
        } else {
            (self.second, self.first)
        };
        Some(days_since_1970(self.year, month, day)? * DAY_MILLIS + self.millis)
    }
}

/// Takes a cell apart: `2019-11-24 00:01:29.788335+00:00`, `27/03/2016 0:53`, `31-08-2023`, `2014/4/7T10:51Z`,
/// `11/15/2019 10:22:32 AM`. `None` when it is no date.
pub fn parts(cell: &str) -> Option<Parts> {
    let bytes = cell.as_bytes();
    // Cheap refusal first: most text cells are no dates.
    if bytes.len() < 6 || bytes.len() > 40 || !bytes[0].is_ascii_digit() {
        return None;
    }
    let mut scan = Scan { bytes, at: 0 };
    let (a, a_digits) = scan.number()?;
    let separator = scan.next()?;
    if !matches!(separator, b'-' | b'/' | b'.') {
        return None;
    }
    let (b, _) = scan.number()?;
    scan.take(separator).then_some(())?;
    let (c, c_digits) = scan.number()?;
    let (year, first, second, year_first) = match (a_digits, c_digits) {
        (4, 1 | 2) => (a, b, c, true),
        (1 | 2, 4) => (c, a, b, false),
        // With points it would be a version number more often than a date.
        (1 | 2, 2) if separator == b'/' => (2000 + c, a, b, false),
        _ => return None,
    };
    let plausible = (1..=31).contains(&first) && (1..=31).contains(&second);
    if !plausible || (first > 12 && second > 12) || (year_first && first > 12) {
        return None;
    }
    let millis = time_of_day(&mut scan)?;
    Some(Parts { year, first, second, year_first, millis })
}

/// `20140407`, or with `hours` `14102100` (`YYMMDDHH`), as milliseconds since 1970.
pub fn compact(number: i64, hours: bool) -> Option<i64> {
    let (date, hour) = if hours { (20_000_000 + number / 100, number % 100) } else { (number, 0) };
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    if !(1990..=2099).contains(&year) || hour > 23 {
        return None;
    }
    Some(days_since_1970(year, month, day)? * DAY_MILLIS + hour * 3_600_000)
}

const DAY_MILLIS: i64 = 86_400_000;

/// The rest of the cell: nothing, or `[T ]H:MM[:SS[.fraction]][ AM|PM][ zone]`.
fn time_of_day(scan: &mut Scan<'_>) -> Option<i64> {
    if scan.is_at_end() {
        return Some(0);
    }
    if !(scan.take(b'T') || scan.take(b' ')) {
        return None;
    }
    let (mut hour, _) = scan.number()?;
    scan.take(b':').then_some(())?;
    let (minute, _) = scan.number()?;
    let mut millis = 0;
    let mut second = 0;
    if scan.take(b':') {
        second = scan.number()?.0;
        if scan.take(b'.') || scan.take(b',') {
            millis = scan.fraction_millis()?;
        }
    }
    let spaced = scan.take(b' ');
    match scan.rest() {
        b"AM" | b"am" if hour == 12 => hour = 0,
        b"PM" | b"pm" if hour < 12 => hour += 12,
        _ => {}
    }
    if matches!(scan.rest(), b"AM" | b"am" | b"PM" | b"pm") {
        scan.at = scan.bytes.len();
    }
    let offset_millis = offset(scan, spaced)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(((hour * 60 + minute) * 60 + second) * 1000 + millis - offset_millis)
}

/// `Z`, `UTC`, `+00:00`, `-0530`, or nothing.
fn offset(scan: &mut Scan<'_>, spaced: bool) -> Option<i64> {
    match scan.rest() {
        [] => return (!spaced || scan.is_at_end()).then_some(0),
        b"Z" | b"UTC" | b"GMT" => return Some(0),
        _ => {}
    }
    let sign = match scan.next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, digits) = scan.number()?;
    let (hours, minutes) = match digits {
        4 => (hours / 100, hours % 100),
        _ if scan.take(b':') => (hours, scan.number()?.0),
        _ => (hours, 0),
    };
    (scan.is_at_end() && hours <= 14).then_some(sign * (hours * 60 + minutes) * 60_000)
}

/// A cursor over the bytes of a cell.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_there);
        is_there
    }

    /// A number of one to four digits, and how many it has.
    fn number(&mut self) -> Option<(i64, usize)> {
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > 4 {
            return None;
        }
        let number =
            self.rest()[..digits].iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        self.at += digits;
        Some((number, digits))
    }

    /// The digits after the point, rounded down to milliseconds.
    fn fraction_millis(&mut self) -> Option<i64> {
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let millis = (0..3).fold(0, |millis, place| {
            let digit = if place < digits { i64::from(self.rest()[place] - b'0') } else { 0 };
            millis * 10 + digit
        });
        self.at += digits;
        Some(millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(cell: &str, order: DateOrder) -> Option<i64> {
        parts(cell)?.millis(order)
    }

    #[test]
    fn reads_the_dates_of_real_logs() {
        // Values from `date -u -d ... +%s`.
        let day_first = DateOrder::DayFirst;
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
        assert_eq!(millis("11/15/2019 10:22:32 PM", DateOrder::MonthFirst), Some(1_573_856_552_000));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for cell in
            ["1.2.3.4.5", "192.168.1.10", "2019-13-01", "30-34", "7ceb2f5a", "12:30", "45/45/2020", "1-2", ""]
        {
            assert_eq!(parts(cell), None, "{cell}");
        }
        assert_eq!(millis("2023-02-29", DateOrder::DayFirst), None);
    }

    #[test]
    fn compact_forms() {
        assert_eq!(compact(20_140_407, false), Some(1_396_828_800_000));
        assert_eq!(compact(14_102_100, true), Some(1_413_849_600_000));
        assert_eq!(compact(14_102_125, true), None);
        assert_eq!(compact(20_141_307, false), None);
    }
}
