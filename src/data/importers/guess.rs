//! What type does a whole column have? Every cell has a say, so row 10,000 cannot overthrow the answer.

use super::times::{self, DateOrder, Parts};

/// How the cells of a column will be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// As whole numbers.
    Integer,
    /// As real numbers.
    Real,
    /// As true and false.
    Boolean,
    /// As they are.
    Text,
    /// As points in time.
    Time(TimeReading),
    /// As lists, split at a character.
    List(char),
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
    /// `20140407`.
    CompactDate,
    /// `14102100`.
    CompactHour,
}

/// The separator that stands for a list that was one already (a JSON array).
pub const LIST_MARK: char = '\u{1f}';

/// Characters that part the values of a cell; the first that fits is taken.
const LIST_SEPARATORS: [char; 3] = [LIST_MARK, '|', '^'];

/// What one cell is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CellClass {
    /// Nothing in it.
    Empty,
    /// A word for missing: `null`, `NA`, `\N`.
    MissingWord,
    /// A whole number of at most 18 digits.
    Integer(i64),
    /// A real number.
    Real(f64),
    /// Digits that are a name and no quantity: a leading zero, more than 18 digits, or `241546e0`.
    DigitName,
    /// `true` or `false`.
    Boolean(bool),
    /// Anything else.
    Other,
}

/// Takes a cell for what it looks like.
pub fn classify(cell: &str) -> CellClass {
    let trimmed = cell.trim();
    let bytes = trimmed.as_bytes();
    let Some(first) = bytes.first() else {
        return CellClass::Empty;
    };
    if first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.') {
        return number_class(trimmed);
    }
    match bytes.len() {
        4 if trimmed.eq_ignore_ascii_case("true") => CellClass::Boolean(true),
        5 if trimmed.eq_ignore_ascii_case("false") => CellClass::Boolean(false),
        2..=4 if MISSING_WORDS.iter().any(|word| trimmed.eq_ignore_ascii_case(word)) => {
            CellClass::MissingWord
        }
        _ => CellClass::Other,
    }
}

const MISSING_WORDS: [&str; 6] = ["null", "na", "n/a", "nan", "none", "\\n"];

fn number_class(cell: &str) -> CellClass {
    let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    let bytes = digits.as_bytes();
    if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit) {
        let is_name = (bytes.len() > 1 && bytes[0] == b'0') || bytes.len() > 18;
        return match cell.parse() {
            Ok(number) if !is_name => CellClass::Integer(number),
            _ => CellClass::DigitName,
        };
    }
    // Programs write exponents with a sign or after a point; a hash such as 241546e0 has neither.
    let exponent = digits.split_once(['e', 'E']);
    if let Some((mantissa, power)) = exponent
        && !mantissa.contains('.')
        && power.bytes().all(|byte| byte.is_ascii_digit())
        && mantissa.bytes().all(|byte| byte.is_ascii_digit())
        && !mantissa.is_empty()
        && !power.is_empty()
    {
        return CellClass::DigitName;
    }
    if !bytes.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return if cell == "-" { CellClass::MissingWord } else { CellClass::Other };
    }
    match cell.parse::<f64>() {
        Ok(number) if number.is_finite() => CellClass::Real(number),
        _ => CellClass::Other,
    }
}

/// Counts over the cells of one column.
#[derive(Debug, Clone, Default)]
pub struct Guess {
    /// Cells seen.
    pub cells: u64,
    /// Cells with nothing in them.
    pub empty: u64,
    missing_words: u64,
    integers: u64,
    whole_reals: u64,
    reals: u64,
    digit_names: u64,
    booleans: u64,
    numbers: Span,
    dates: Dates,
    lists: [u64; 3],
}

#[derive(Debug, Clone, Default)]
struct Span {
    low: Option<f64>,
    high: Option<f64>,
}

#[derive(Debug, Clone, Default)]
struct Dates {
    count: u64,
    year_last: u64,
    first_max: i64,
    second_max: i64,
    with_points: u64,
}

impl Guess {
    /// Looks at one more cell.
    pub fn see(&mut self, cell: &str) {
        self.cells += 1;
        match classify(cell) {
            CellClass::Empty => self.empty += 1,
            CellClass::MissingWord => self.missing_words += 1,
            CellClass::Integer(number) => {
                self.integers += 1;
                self.numbers.see(number as f64);
            }
            CellClass::Real(number) => {
                self.reals += 1;
                self.whole_reals += u64::from(number.fract() == 0.0 && number.abs() < 9e15);
                self.numbers.see(number);
            }
            CellClass::DigitName => self.digit_names += 1,
            CellClass::Boolean(_) => self.booleans += 1,
            CellClass::Other => self.see_text(cell),
        }
    }

    /// Looks at a cell that is known to be text, whatever it looks like (a string in JSON or Parquet).
    pub fn see_string(&mut self, cell: &str) {
        self.cells += 1;
        if cell.is_empty() {
            self.empty += 1;
        } else {
            self.see_text(cell);
        }
    }

    /// Looks at `count` cells that are not there.
    pub fn see_missing(&mut self, count: u64) {
        self.cells += count;
        self.empty += count;
    }

    fn see_text(&mut self, cell: &str) {
        // Once a column has cells that are no dates it stays text: don't look again.
        let others = self.cells - self.empty - self.missing_words - 1;
        if self.dates.count == others
            && let Some(parts) = times::parts(cell.trim())
        {
            self.dates.see(parts, cell);
            return;
        }
        for (count, separator) in self.lists.iter_mut().zip(LIST_SEPARATORS) {
            *count += u64::from(cell.contains(separator));
        }
    }

    /// The type that every cell agrees with, and what a person should know about it.
    pub fn plan(&self, name: &str) -> (Plan, Option<String>) {
        let present = self.cells - self.empty - self.missing_words;
        if present == 0 {
            return (Plan::Text, None);
        }
        let numbers = self.integers + self.reals;
        if numbers == present {
            return self.number_plan(name);
        }
        if self.booleans == present {
            return (Plan::Boolean, None);
        }
        if self.dates.count == present {
            let (order, note) = self.dates.order(name);
            return (Plan::Time(TimeReading::Calendar(order)), note);
        }
        if self.digit_names > 0 && self.digit_names + numbers == present {
            let note =
                format!("'{name}' has leading zeros, more than 18 digits or hashes of digits: kept as text");
            return (Plan::Text, Some(note));
        }
        for (count, separator) in self.lists.into_iter().zip(LIST_SEPARATORS) {
            // A tenth of the cells: single values are lists of one, but a rare bar is punctuation.
            if count > 0 && (separator == LIST_MARK || count * 10 >= present) {
                return (Plan::List(separator), list_note(name, separator));
            }
        }
        (Plan::Text, None)
    }

    fn number_plan(&self, name: &str) -> (Plan, Option<String>) {
        let is_whole = self.integers + self.whole_reals == self.integers + self.reals;
        if !is_whole {
            return (Plan::Real, None);
        }
        let (low, high) = (self.numbers.low.unwrap_or_default(), self.numbers.high.unwrap_or_default());
        if let Some((reading, words)) = epoch(name, low, high) {
            let note = format!("'{name}' read as {words}");
            return (Plan::Time(reading), Some(note));
        }
        let note = (self.reals > 0)
            .then(|| format!("'{name}' holds whole numbers written with a decimal point: read as whole"));
        (Plan::Integer, note)
    }
}

impl Span {
    fn see(&mut self, number: f64) {
        self.low = Some(self.low.map_or(number, |low| low.min(number)));
        self.high = Some(self.high.map_or(number, |high| high.max(number)));
    }
}

impl Dates {
    fn see(&mut self, parts: Parts, cell: &str) {
        self.count += 1;
        if !parts.year_first {
            self.year_last += 1;
            self.first_max = self.first_max.max(parts.first);
            self.second_max = self.second_max.max(parts.second);
            self.with_points +=
                u64::from(cell.trim().as_bytes().get(1..3).is_some_and(|near| near.contains(&b'.')));
        }
    }

    fn order(&self, name: &str) -> (DateOrder, Option<String>) {
        if self.year_last == 0 {
            return (DateOrder::DayFirst, None);
        }
        if self.first_max > 12 {
            let note = format!("'{name}' is day/month/year: a first number is {}", self.first_max);
            return (DateOrder::DayFirst, Some(note));
        }
        if self.second_max > 12 {
            let note = format!("'{name}' is month/day/year: a second number is {}", self.second_max);
            return (DateOrder::MonthFirst, Some(note));
        }
        let (order, words) = if self.with_points > 0 {
            (DateOrder::DayFirst, "day.month.year")
        } else {
            (DateOrder::MonthFirst, "month/day/year")
        };
        let note = format!("'{name}' does not tell day from month; read as {words}");
        (order, Some(note))
    }
}

fn list_note(name: &str, separator: char) -> Option<String> {
    (separator != LIST_MARK).then(|| format!("'{name}' holds lists parted by '{separator}'"))
}

/// A whole number is a time only where the name says so and every value fits.
fn epoch(name: &str, low: f64, high: f64) -> Option<(TimeReading, &'static str)> {
    let lower = name.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if !says(&["time", "date", "hour", "day", "ts", "_at", "clock"]) {
        return None;
    }
    // 1990 to 2100.
    let within = |unit: f64| low >= 631_152_000.0 * unit && high <= 4_102_444_800.0 * unit;
    let fits =
        |hours| times::compact(low as i64, hours).is_some() && times::compact(high as i64, hours).is_some();
    if within(1.0) {
        Some((TimeReading::EpochSeconds, "seconds since 1970"))
    } else if within(1000.0) {
        Some((TimeReading::EpochMillis, "milliseconds since 1970"))
    } else if fits(false) {
        Some((TimeReading::CompactDate, "year, month and day in one number"))
    } else if (10_010_100.0..=99_123_123.0).contains(&low) && says(&["time", "date", "hour"]) && fits(true) {
        Some((TimeReading::CompactHour, "year, month, day and hour in one number"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, cells: &[&str]) -> Plan {
        let mut guess = Guess::default();
        for cell in cells {
            guess.see(cell);
        }
        guess.plan(name).0
    }

    #[test]
    fn names_made_of_digits_stay_text() {
        assert_eq!(plan("C3", &["241546e0", "12345678", ""]), Plan::Text);
        assert_eq!(plan("zip", &["02139", "94043"]), Plan::Text);
        assert_eq!(plan("id", &["12345678901234567890"]), Plan::Text);
        assert_eq!(plan("n", &["0", "-3", " 7 ", ""]), Plan::Integer);
    }

    #[test]
    fn the_whole_column_decides() {
        let mut cells = vec!["1"; 200];
        cells.push("125.09");
        assert_eq!(plan("pages", &cells), Plan::Real);
        cells.push("Other");
        assert_eq!(plan("pages", &cells), Plan::Text);
        assert_eq!(plan("x", &["1e-06", "0.5", "NaN", "2E+3"]), Plan::Real);
        assert_eq!(plan("x", &["260.0", "", "3"]), Plan::Integer);
        assert_eq!(plan("kept", &["True", "False", ""]), Plan::Boolean);
        assert_eq!(plan("empty", &["", "", ""]), Plan::Text);
    }

    #[test]
    fn times_are_found_and_ordered() {
        let order = |cells: &[&str]| plan("when", cells);
        let calendar = |order| Plan::Time(TimeReading::Calendar(order));
        assert_eq!(order(&["04/04/2016 1:39", "27/03/2016 0:53"]), calendar(DateOrder::DayFirst));
        assert_eq!(order(&["4/14/2016", "3/2/2016"]), calendar(DateOrder::MonthFirst));
        assert_eq!(order(&["04.05.2016"]), calendar(DateOrder::DayFirst));
        assert_eq!(order(&["2016-05-04", "unknown"]), Plan::Text);
        assert_eq!(plan("timestamp", &["968035345"]), Plan::Time(TimeReading::EpochSeconds));
        assert_eq!(plan("time_ms", &["1650000000000"]), Plan::Time(TimeReading::EpochMillis));
        assert_eq!(plan("hour", &["14102100", "14103023"]), Plan::Time(TimeReading::CompactHour));
        assert_eq!(plan("date", &["20220409"]), Plan::Time(TimeReading::CompactDate));
        assert_eq!(plan("hour", &["0", "23"]), Plan::Integer);
        assert_eq!(plan("user_id", &["968035345"]), Plan::Integer);
    }

    #[test]
    fn lists_are_split_only_where_they_are_common() {
        assert_eq!(plan("genres", &["Comedy|Drama", "Thriller"]), Plan::List('|'));
        assert_eq!(plan("seen", &["12^14^3", "", "5"]), Plan::List('^'));
        let mut titles = vec!["a plain title"; 50];
        titles.push("one | bar");
        assert_eq!(plan("title", &titles), Plan::Text);
    }
}
