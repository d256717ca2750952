//! In which order do the dates of a column stand, and which numbers are times?

use super::super::plan::{Plan, TimeReading};
use super::super::times::{self, DateOrder, Form, Parts};

/// Counts over the dates of one column.
#[derive(Debug, Clone, Default)]
pub(super) struct Dates {
    /// Cells that are dates.
    pub count: u64,
    year_last: u64,
    two_digits: u64,
    with_points: u64,
    /// The range of the three numbers of dates whose order is open.
    ranges: Option<[(i64, i64); 3]>,
    zone: Option<&'static str>,
}

impl Dates {
    /// Looks at a date that comes so many times.
    pub fn see(&mut self, parts: Parts, times: u64) {
        self.count += times;
        self.zone = self.zone.or(parts.zone);
        match parts.form {
            Form::Certain => return,
            Form::YearLast => self.year_last += times,
            Form::TwoDigits => self.two_digits += times,
        }
        self.with_points += times * u64::from(parts.has_points);
        let numbers = parts.numbers.map(|number| (number, number));
        let mut ranges = self.ranges.unwrap_or(numbers);
        for ((low, high), number) in ranges.iter_mut().zip(parts.numbers) {
            (*low, *high) = ((*low).min(number), (*high).max(number));
        }
        self.ranges = Some(ranges);
    }

    /// The order that the cells prove.
    pub fn proven(&self) -> Option<DateOrder> {
        let mut possible = self.possible().into_iter();
        self.ranges?;
        possible.next().filter(|_| possible.next().is_none())
    }

    /// True when several orders fit all cells.
    pub fn is_open(&self) -> bool {
        self.ranges.is_some() && self.possible().len() > 1
    }

    /// Orders in which every cell is a day.
    fn possible(&self) -> Vec<DateOrder> {
        let Some([a, b, c]) = self.ranges else {
            return vec![DateOrder::Dmy];
        };
        let within = |range: (i64, i64), high: i64| range.0 >= 1 && range.1 <= high;
        let all_two_digits = self.two_digits == self.count;
        let orders = [
            (DateOrder::Dmy, within(a, 31) && within(b, 12)),
            (DateOrder::Mdy, within(a, 12) && within(b, 31)),
            (DateOrder::Ymd, all_two_digits && within(b, 12) && within(c, 31)),
        ];
        orders.into_iter().filter(|(_, fits)| *fits).map(|(order, _)| order).collect()
    }

    /// The order of the column, in a file whose other columns prove one. `None` when no order fits all cells.
    pub fn order(&self, name: &str, elsewhere: Option<DateOrder>) -> Option<(DateOrder, Option<String>)> {
        let zone = self.zone.map(|zone| format!("; clocks in {zone} are stored as UTC")).unwrap_or_default();
        let Some([a, b, c]) = self.ranges else {
            let note = self.zone.map(|zone| format!("'{name}': clocks in {zone} are stored as UTC"));
            return Some((DateOrder::Dmy, note));
        };
        let mut possible = self.possible();
        let spread = |range: (i64, i64)| range.1 - range.0;
        if possible.len() > 1 && possible.contains(&DateOrder::Ymd) {
            // Years change least, days most.
            let is_year_first = spread(a) <= 1 && spread(c) > spread(a) + 1;
            possible.retain(|order| (*order == DateOrder::Ymd) == is_year_first);
        }
        let order = match *possible.as_slice() {
            [] => return None,
            [only] => {
                let why = match only {
                    DateOrder::Dmy => format!("day/month/year: a first number is {}", a.1),
                    DateOrder::Mdy => format!("month/day/year: a second number is {}", b.1),
                    DateOrder::Ymd => {
                        format!("year/month/day: the last numbers reach from {} to {}", c.0, c.1)
                    }
                };
                return Some((only, Some(format!("'{name}' is {why}{zone}"))));
            }
            _ => elsewhere.filter(|order| possible.contains(order)),
        };
        let by_habit = if self.with_points > 0 { DateOrder::Dmy } else { DateOrder::Mdy };
        let words = match order.unwrap_or(by_habit) {
            DateOrder::Dmy => "day before month",
            DateOrder::Mdy => "month before day",
            DateOrder::Ymd => "year first",
        };
        let why = if order.is_some() { ", as other columns of the file" } else { "" };
        let note = format!("'{name}' does not tell day from month; read as {words}{why}{zone}");
        Some((order.unwrap_or(by_habit), Some(note)))
    }
}

/// Counts over the spans of time of one column.
#[derive(Debug, Clone, Default)]
pub(super) struct Durations {
    /// Cells that are spans of time or clocks.
    pub count: u64,
    three_parts: u64,
    /// Cells that no clock shows: 24 hours and more, or an hour of one digit before minutes and seconds.
    beyond_clocks: u64,
    longest_seconds: f64,
}

impl Durations {
    pub fn see(&mut self, seconds: f64, parts: usize, cell: &str) {
        self.count += 1;
        self.three_parts += u64::from(parts == 3);
        self.longest_seconds = self.longest_seconds.max(seconds);
        let one_digit = cell.find(':') == Some(1);
        self.beyond_clocks += u64::from(parts == 3 && (one_digit || !(0.0..86_400.0).contains(&seconds)));
    }

    /// A span of time where the name says so or no clock shows such cells; text otherwise.
    pub fn plan(&self, name: &str) -> (Plan, Option<String>) {
        let lower = name.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let is_span = says(&[
            "duration",
            "length",
            "time on",
            "watch",
            "dwell",
            "elapsed",
            "avg",
            "average",
            "dauer",
            "duur",
            "durata",
            "duração",
            "длительность",
            "durée",
            "duración",
            "时长",
            "停留",
        ]);
        let is_clock = says(&["time of day", "hour", "clock", "start", "end", "uhr"]);
        let all_three = self.three_parts == self.count;
        // No clock stays within the first hour of the day.
        let is_no_clock = self.beyond_clocks > 0 || (self.count > 1 && self.longest_seconds < 3600.0);
        if is_span || (all_three && is_no_clock && !is_clock) {
            let form = if all_three { "hours:minutes:seconds" } else { "minutes:seconds" };
            return (Plan::Duration, Some(format!("'{name}' read as {form}, in seconds")));
        }
        (Plan::Text, Some(format!("'{name}' holds times of day without a date: kept as text")))
    }
}

/// A number is a time only where the name says so and every value fits. `are_stamps` says that every number is
/// a date with a clock, digit by digit.
pub(super) fn epoch(
    name: &str,
    low: f64,
    high: f64,
    are_stamps: bool,
) -> Option<(TimeReading, &'static str)> {
    let lower = name.to_lowercase();
    let is_word = |words: &[&str]| {
        lower.split(|letter: char| !letter.is_alphanumeric()).any(|word| words.contains(&word))
    };
    let says = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    let names_time =
        says(&["time", "date", "hour", "day", "stamp", "clock", "datum", "fecha", "日期", "时间"])
            || is_word(&["ts", "dt", "at", "when", "jour"]);
    if !names_time {
        return None;
    }
    // 1990 to 2100.
    let within = |unit: f64| low >= 631_152_000.0 * unit && high <= 4_102_444_800.0 * unit;
    let is_whole = low.fract() == 0.0 && high.fract() == 0.0;
    let fits = |hours| {
        is_whole
            && times::compact(low as i64, hours).is_some()
            && times::compact(high as i64, hours).is_some()
    };
    // Before the seconds: such numbers would lie in 2033 and after.
    if are_stamps {
        Some((TimeReading::CompactStamp, "date and time in one number"))
    } else if within(1.0) {
        Some((TimeReading::EpochSeconds, "seconds since 1970"))
    } else if within(1e3) {
        Some((TimeReading::EpochMillis, "milliseconds since 1970"))
    } else if within(1e6) {
        Some((TimeReading::EpochMicros, "microseconds since 1970"))
    } else if fits(false) {
        Some((TimeReading::CompactDate, "year, month and day in one number"))
    } else if (10_010_100.0..=99_123_123.0).contains(&low) && says(&["time", "date", "hour"]) && fits(true) {
        Some((TimeReading::CompactHour, "year, month, day and hour in one number"))
    } else {
        None
    }
}
