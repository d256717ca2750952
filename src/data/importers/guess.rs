//! What type does a whole column have? Every cell has a say, so row 10,000 cannot overthrow the answer.
//!
//! Cells are counted by what they could be ([`Guess::see`]); then the columns of a file settle what they leave
//! open together ([`Convention`]): one column with `12,5` tells how `1.234` is meant in the next.

mod class;
mod dates;
mod marks;
mod settle;
mod spaced;

use super::numerals;
use super::times;
use super::tokens;
use dates::{Dates, Durations};
use marks::Marks;
use spaced::Spaced;

pub use class::{CellClass, classify, real_of_tail, short_real, short_whole, tail_of, whole_of_tail};
pub use settle::Convention;

pub use super::plan::{LIST_MARK, Plan, TimeReading, Unit};

/// Characters that part the values of a cell; the first that fits is taken.
const LIST_SEPARATORS: [char; 3] = [LIST_MARK, '|', '^'];

/// Counts over the cells of one column.
#[derive(Debug, Clone, Default)]
pub struct Guess {
    /// Cells seen.
    pub cells: u64,
    /// Cells with nothing in them.
    pub empty: u64,
    missing_words: u64,
    never_text: u64,
    missing_word: String,
    damaged: u64,
    damage: String,
    undecodable: u64,
    integers: u64,
    whole_reals: u64,
    reals: u64,
    stamps: u64,
    digit_names: u64,
    booleans: u64,
    flags: Flags,
    numbers: Span,
    marks: Marks,
    dates: Dates,
    durations: Durations,
    lists: [u64; 3],
    spaced: Spaced,
    shape: Shape,
    quoted: Quoted,
}

/// What texts tell that the file marks as such, while each of them is a plain number: some programs write all numbers
/// as texts, and protocol buffers those of 64 bits.
#[derive(Debug, Clone, Default)]
struct Quoted {
    count: u64,
    guess: Option<Box<Guess>>,
}

#[derive(Debug, Clone)]
struct Span {
    low: f64,
    high: f64,
}

/// Cells that say yes or no in one pair of words.
#[derive(Debug, Clone, Default)]
struct Flags {
    count: u64,
    yes: u64,
    pair: usize,
}

/// Whether all cells are hexadecimal digits of one length.
#[derive(Debug, Clone, Default)]
struct Shape {
    length: usize,
    has_letters: bool,
    is_broken: bool,
}

impl Guess {
    /// Looks at one more cell.
    pub fn see(&mut self, cell: &str) {
        self.see_as(cell, classify(cell));
    }

    /// As [`see`](Self::see), for a cell that was classified already.
    pub fn see_as(&mut self, cell: &str, class: CellClass) {
        self.cells += 1;
        if !self.shape.is_broken && !matches!(class, CellClass::Empty | CellClass::MissingWord) {
            self.shape.see(cell.trim());
        }
        match class {
            CellClass::Empty => self.empty += 1,
            CellClass::MissingWord => self.see_missing_word(cell),
            CellClass::Damage => {
                self.damaged += 1;
                cell.trim().clone_into(&mut self.damage);
            }
            CellClass::Integer(number) => self.count_whole(number),
            CellClass::Real(number) => self.count_real(cell, number),
            CellClass::DigitName => self.digit_names += 1,
            CellClass::Boolean(_) => self.booleans += 1,
            CellClass::Other => self.see_text(cell, false),
        }
    }

    /// Looks at a cell of nothing but digits, perhaps with a sign: `number` in `length` bytes.
    pub fn see_whole(&mut self, number: i64, length: usize) {
        self.cells += 1;
        if !self.shape.is_broken {
            self.shape.see_digits(length, number < 0);
        }
        self.count_whole(number);
    }

    /// Looks at a cell of digits with a point among them.
    pub fn see_real(&mut self, cell: &str, number: f64) {
        self.cells += 1;
        if !self.shape.is_broken {
            self.shape.see(cell);
        }
        self.count_real(cell, number);
    }

    /// True when nothing but their numbers and lengths is asked of whole numbers of few digits.
    pub fn takes_wholes_together(&self) -> bool {
        self.shape.is_broken || self.shape.length != 0
    }

    /// As [`see_whole`](Self::see_whole) for each of some numbers of at most eight digits and no sign, the shortest and
    /// the longest of so many. Only where [they are taken together](Self::takes_wholes_together).
    pub fn see_wholes(&mut self, numbers: &[i64], (shortest, longest): (usize, usize)) {
        self.cells += numbers.len() as u64;
        self.integers += numbers.len() as u64;
        if let (Some(low), Some(high)) = (numbers.iter().min(), numbers.iter().max()) {
            self.shape.is_broken |= shortest != self.shape.length || longest != self.shape.length;
            self.numbers.see(*low as f64);
            self.numbers.see(*high as f64);
        }
    }

    /// True when nothing but its number is asked of a cell with a point among its digits.
    pub fn takes_reals_together(&self) -> bool {
        self.shape.is_broken && self.marks.comma_fails
    }

    /// As [`see_real`](Self::see_real) for each of some numbers of at most eight bytes, but `without_point` of them as
    /// [`see_whole`](Self::see_whole). Only where [they are taken together](Self::takes_reals_together).
    pub fn see_reals(&mut self, numbers: &[f64], without_point: usize) {
        let (all, without_point) = (numbers.len() as u64, without_point as u64);
        let whole = numbers.iter().filter(|number| **number as i64 as f64 == **number).count() as u64;
        self.cells += all;
        self.integers += without_point;
        self.reals += all - without_point;
        self.whole_reals += whole - without_point;
        numbers.iter().for_each(|number| self.numbers.see(*number));
    }

    fn count_real(&mut self, cell: &str, number: f64) {
        self.reals += 1;
        self.whole_reals += u64::from(number.abs() < 9e15 && number as i64 as f64 == number);
        self.numbers.see(number);
        if !self.marks.comma_fails {
            self.marks.see_plain(cell.trim());
        }
    }

    fn count_whole(&mut self, number: i64) {
        if self.stamps == self.integers && times::compact_stamp(number).is_some() {
            self.stamps += 1;
        }
        self.integers += 1;
        self.numbers.see(number as f64);
    }

    /// Looks at a cell `times` more, which was seen before.
    pub fn see_again(&mut self, cell: &str, class: CellClass, times: u64) {
        match class {
            CellClass::Empty => self.see_missing(times),
            CellClass::DigitName => {
                self.cells += times;
                self.digit_names += times;
            }
            CellClass::Other if self.is_surely_text() && !cell.contains(' ') => self.count_text(cell, times),
            CellClass::Other if self.see_date_again(cell, times) => {}
            _ => (0..times).for_each(|_| self.see_as(cell, class)),
        }
    }

    /// As [`see_again`](Self::see_again), for a cell that is text whatever it looks like.
    pub fn see_string_again(&mut self, cell: &str, times: u64) {
        let class = classify(cell);
        self.quoted.see(cell, class, times);
        match class {
            CellClass::Empty => self.see_missing(times),
            CellClass::MissingWord => (0..times).for_each(|_| self.see_unquoted(cell, class)),
            _ if self.is_surely_text() && !cell.contains(' ') => self.count_text(cell, times),
            _ if self.see_date_again(cell, times) => {}
            _ => (0..times).for_each(|_| self.see_unquoted(cell, class)),
        }
    }

    /// Counts a date once more so many times; false where it is none or others than dates were seen.
    fn see_date_again(&mut self, cell: &str, times: u64) -> bool {
        // A date could be a number with marks or a list of numbers only where it has no sign but these.
        let is_told = self.dates.count > 0 && self.dates.count == self.present() && self.shape.is_broken;
        let Some(parts) = times::parts(cell.trim()).filter(|_| is_told && cell.contains(['-', '/'])) else {
            return false;
        };
        self.cells += times;
        self.dates.see(parts, times);
        true
    }

    /// Counts a text in a column that can be of no other kind.
    fn count_text(&mut self, cell: &str, times: u64) {
        self.cells += times;
        for (count, separator) in self.lists.iter_mut().zip(LIST_SEPARATORS) {
            *count += times * u64::from(cell.contains(separator));
        }
        self.undecodable += times * u64::from(cell.contains('\u{fffd}'));
    }

    /// True when no kind but text, names of digits and lists fits all cells so far.
    fn is_surely_text(&self) -> bool {
        let present = self.present();
        let kinds = [
            self.integers + self.reals + self.marks.count,
            self.dates.count,
            self.durations.count,
            self.flags.count,
        ];
        !kinds.contains(&present)
    }

    /// Looks at a cell that is known to be text, whatever it looks like (a string in JSON or Parquet).
    pub fn see_string(&mut self, cell: &str) {
        let class = classify(cell);
        self.quoted.see(cell, class, 1);
        self.see_unquoted(cell, class);
    }

    fn see_unquoted(&mut self, cell: &str, class: CellClass) {
        self.cells += 1;
        match class {
            CellClass::Empty => self.empty += 1,
            CellClass::MissingWord => self.see_missing_word(cell),
            _ => self.see_text(cell, true),
        }
    }

    /// Looks at `count` cells that are not there.
    pub fn see_missing(&mut self, count: u64) {
        self.cells += count;
        self.empty += count;
    }

    /// Cells that hold something.
    pub fn present(&self) -> u64 {
        self.cells - self.empty - self.missing_words - self.damaged
    }

    /// True when every cell that holds something is a number, plain or marked.
    pub fn is_numeric(&self) -> bool {
        self.present() > 0 && self.integers + self.reals + self.marks.count == self.present()
    }

    fn see_missing_word(&mut self, cell: &str) {
        self.missing_words += 1;
        self.never_text += u64::from(tokens::is_never_text(cell));
        if self.missing_word.is_empty() {
            cell.trim().clone_into(&mut self.missing_word);
        }
    }

    /// What is no plain number may be a marked one, a date, a span of time, a flag or a list. Once a column has
    /// cells that are none of a kind, that kind is not tried again.
    fn see_text(&mut self, cell: &str, is_string: bool) {
        self.spaced.see(cell);
        let others = self.present() - 1;
        if self.integers + self.reals + self.marks.count == others
            && let Some(marked) = numerals::parse(cell)
            && !(is_string && marked.unit == Unit::Plain)
        {
            self.marks.see(&marked);
            return;
        }
        if self.integers + self.reals + self.marks.count == others && is_bound(cell) {
            self.marks.see_bound();
            return;
        }
        if self.dates.count == others
            && let Some(parts) = times::parts(cell.trim())
        {
            self.dates.see(parts, 1);
            return;
        }
        if self.durations.count == others
            && let Some((seconds, parts)) = times::duration(cell)
        {
            self.durations.see(seconds, parts, cell.trim());
            return;
        }
        if self.flags.count == others
            && let Some((pair, is_yes)) = tokens::flag(cell)
            && (others == 0 || pair == self.flags.pair)
        {
            self.flags.count += 1;
            self.flags.yes += u64::from(is_yes);
            self.flags.pair = pair;
        }
        if memchr::memchr3(LIST_MARK as u8, b'|', b'^', cell.as_bytes()).is_some() {
            for (count, separator) in self.lists.iter_mut().zip(LIST_SEPARATORS) {
                *count += u64::from(cell.contains(separator));
            }
        }
        self.undecodable += u64::from(!cell.is_ascii() && cell.contains('\u{fffd}'));
    }
}

impl Quoted {
    fn see(&mut self, cell: &str, class: CellClass, times: u64) {
        match class {
            // Texts before this one were none.
            CellClass::Integer(_) | CellClass::Real(_) if self.count == 0 || self.guess.is_some() => {
                self.count += times;
                self.guess.get_or_insert_default().see_again(cell, class, times);
            }
            CellClass::Empty | CellClass::MissingWord => {}
            _ => {
                self.count += times;
                self.guess = None;
            }
        }
    }
}

impl Default for Span {
    /// Nothing seen.
    fn default() -> Self {
        Self { low: f64::INFINITY, high: f64::NEG_INFINITY }
    }
}

impl Span {
    fn see(&mut self, number: f64) {
        self.low = self.low.min(number);
        self.high = self.high.max(number);
    }

    /// The lowest and the highest number; zeros where none was seen.
    fn ends(&self) -> (f64, f64) {
        if self.low <= self.high { (self.low, self.high) } else { (0.0, 0.0) }
    }
}

impl Shape {
    fn see_digits(&mut self, length: usize, is_negative: bool) {
        self.is_broken = is_negative || (self.length != 0 && self.length != length);
        self.length = if self.is_broken { self.length } else { length };
    }

    fn see(&mut self, cell: &str) {
        let is_hex = cell.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_first = self.length == 0;
        if !is_hex || (!is_first && self.length != cell.len()) {
            self.is_broken = true;
            return;
        }
        self.length = cell.len();
        self.has_letters |= cell.bytes().any(|byte| byte.is_ascii_alphabetic());
    }
}

/// A percentage of which only a bound is told, as platforms do it with small shares: `< 10%`, `> 90 %`.
fn is_bound(cell: &str) -> bool {
    let share = cell.trim().strip_prefix(['<', '>']).and_then(numerals::parse);
    share.is_some_and(|share| share.unit == Unit::Percent)
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Decimal, Numeral};
    use super::super::times::DateOrder;
    use super::*;

    #[test]
    fn cells_that_come_again_count_as_often() {
        let cells = ["a|b", "null", "007", "x y", "", "2026-01-05", "z", "3.5", "\u{fffd}", "12 13", "true"];
        for start in 0..cells.len() {
            let order: Vec<&str> = cells.iter().cycle().skip(start).take(cells.len()).copied().collect();
            let (mut one_by_one, mut at_once) = (Guess::default(), Guess::default());
            for cell in &order {
                one_by_one.see(cell);
                at_once.see(cell);
            }
            for cell in &order {
                (0..5).for_each(|_| one_by_one.see(cell));
                at_once.see_again(cell, classify(cell), 5);
            }
            assert_eq!(format!("{one_by_one:?}"), format!("{at_once:?}"));
        }
    }

    fn guess(cells: &[&str]) -> Guess {
        let mut guess = Guess::default();
        for cell in cells {
            guess.see(cell);
        }
        guess
    }

    fn plan(name: &str, cells: &[&str]) -> Plan {
        guess(cells).plan(name).0
    }

    fn number(decimal: Decimal, unit: Unit, is_whole: bool) -> Plan {
        Plan::Number(Numeral { decimal, unit, is_whole })
    }

    #[test]
    fn names_made_of_digits_stay_text() {
        assert_eq!(plan("C3", &["241546e0", "12345678", ""]), Plan::Text);
        assert_eq!(plan("zip", &["02139", "94043"]), Plan::Text);
        assert_eq!(plan("id", &["12345678901234567890"]), Plan::Text);
        assert_eq!(plan("n", &["0", "-3", " 7 ", ""]), Plan::Integer);
    }

    #[test]
    fn hashes_of_digits_are_known_by_their_neighbours() {
        let columns =
            [guess(&["68fd1e64", "05db9164"]), guess(&["12345678", "87654321"]), guess(&["5", "7"])];
        let convention = Convention::of(columns.iter());
        assert_eq!(columns[1].settle("C2", convention).plan, Plan::Text);
        assert_eq!(columns[2].settle("I1", convention).plan, Plan::Integer);
        assert_eq!(columns[1].settle("C2", Convention::default()).plan, Plan::Integer);
        let hour = guess(&["14102100", "14102101"]);
        assert_eq!(hour.settle("hour", convention).plan, Plan::Time(TimeReading::CompactHour));
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
    fn marks_are_read_by_the_whole_column() {
        let (point, comma) = (Decimal::Point, Decimal::Comma);
        assert_eq!(plan("views", &["25,881", "950"]), number(point, Unit::Plain, true));
        assert_eq!(plan("cost", &["1.234,56", "12"]), number(comma, Unit::Plain, false));
        assert_eq!(plan("cost", &["1,234", "0,5"]), number(comma, Unit::Plain, false));
        assert_eq!(plan("cost", &["1,234.5", "7"]), number(point, Unit::Plain, false));
        assert_eq!(plan("x", &["1.234", "1.5"]), Plan::Real);
        assert_eq!(plan("x", &["1.234,5", "1,234.5"]), Plan::Text);
        assert_eq!(plan("views", &["1,23,456", "12,345"]), number(point, Unit::Plain, true));
        assert_eq!(plan("views", &["1 234", "950"]), number(point, Unit::Plain, true));
        assert_eq!(plan("pair", &["1,2", "3,4,5"]), Plan::Text);
    }

    #[test]
    fn one_column_proves_the_mark_of_another() {
        let columns = [guess(&["2.546", "950", "1.200"]), guess(&["99,88%", "3,5%"])];
        let convention = Convention::of(columns.iter());
        assert_eq!(columns[0].settle("sessions", convention).plan, number(Decimal::Comma, Unit::Plain, true));
        assert_eq!(columns[0].plan("sessions").0, Plan::Real);
    }

    #[test]
    fn percent_and_money() {
        assert_eq!(plan("ctr", &["77.77%", "5%", "0"]), number(Decimal::Point, Unit::Percent, false));
        assert_eq!(plan("ctr", &["77.77%", "5"]), Plan::Text);
        assert_eq!(plan("cost", &["$58.06", "$1,200", " --"]), number(Decimal::Point, Unit::Money, false));
        assert_eq!(plan("share", &["12.5%", "< 10%", "> 90%"]), number(Decimal::Point, Unit::Percent, false));
        let two = guess(&["$58.06", "€12.50"]);
        let (kept, note) = two.plan("cost");
        assert_eq!(kept, Plan::Text);
        assert!(note.unwrap().contains("$ and EUR"));
        let rubles = guess(&["10,085.77 RUB", "7.00 RUB"]).settle("cost", Convention::default());
        assert_eq!(
            (rubles.plan, rubles.currency.as_str()),
            (number(Decimal::Point, Unit::Money, false), "RUB")
        );
        assert_eq!(guess(&["1.5"]).settle("Amount spent (EUR)", Convention::default()).currency, "EUR");
    }

    #[test]
    fn tokens_count_where_the_rest_is_of_another_kind() {
        assert_eq!(plan("n", &["5", " --", "N/A", "#N/A", "-", "unknown"]), Plan::Integer);
        assert_eq!(plan("name", &["None", "Paris"]), Plan::Text);
        assert_eq!(
            plan("end", &["2026-10-01", "Ongoing"]),
            Plan::Time(TimeReading::Calendar(DateOrder::Dmy))
        );
        let damaged = guess(&["1", "#####", "#DIV/0!"]);
        let (plan, note) = damaged.plan("n");
        assert_eq!(plan, Plan::Integer);
        assert!(note.unwrap().contains("2 cells show spreadsheet damage"));
    }

    #[test]
    fn flags_are_taken_only_as_far_as_safe() {
        assert_eq!(plan("sent", &["Yes", "no", ""]), Plan::Boolean);
        assert_eq!(plan("sent", &["Y", "N"]), Plan::Boolean);
        assert_eq!(plan("grade", &["Y", "Y"]), Plan::Text);
        assert_eq!(plan("sex", &["F", "M"]), Plan::Text);
        assert_eq!(plan("x", &["yes", "n"]), Plan::Text);
    }

    #[test]
    fn spans_of_time_are_told_from_clocks() {
        assert_eq!(plan("Avg. Session Duration", &["0:02:35", "0:00:12"]), Plan::Duration);
        assert_eq!(plan("watch", &["0:02:35", "26:00:00"]), Plan::Duration);
        assert_eq!(plan("duration", &["00:12", "01:15"]), Plan::Duration);
        assert_eq!(plan("start", &["14:30", "09:15"]), Plan::Text);
        assert_eq!(plan("time", &["14:30:00", "09:15:00"]), Plan::Text);
    }

    #[test]
    fn times_are_found_and_ordered() {
        let order = |cells: &[&str]| plan("when", cells);
        let calendar = |order| Plan::Time(TimeReading::Calendar(order));
        assert_eq!(order(&["04/04/2016 1:39", "27/03/2016 0:53"]), calendar(DateOrder::Dmy));
        assert_eq!(order(&["4/14/2016", "3/2/2016"]), calendar(DateOrder::Mdy));
        assert_eq!(order(&["04.05.2016"]), calendar(DateOrder::Dmy));
        assert_eq!(order(&["2016-05-04", "soon"]), Plan::Text);
        assert_eq!(order(&["24.12.24", "03.01.25"]), calendar(DateOrder::Dmy));
        assert_eq!(order(&["24-12-31", "25-01-13"]), calendar(DateOrder::Ymd));
        assert_eq!(order(&["25-07-01", "25-07-14", "25-07-22"]), calendar(DateOrder::Ymd));
        assert_eq!(plan("timestamp", &["968035345"]), Plan::Time(TimeReading::EpochSeconds));
        assert_eq!(plan("time_ms", &["1650000000000"]), Plan::Time(TimeReading::EpochMillis));
        assert_eq!(plan("ts", &["1650000000000000"]), Plan::Time(TimeReading::EpochMicros));
        assert_eq!(plan("ts", &["1650000000.25"]), Plan::Time(TimeReading::EpochSeconds));
        assert_eq!(plan("hour", &["14102100", "14103023"]), Plan::Time(TimeReading::CompactHour));
        assert_eq!(plan("date", &["20220409"]), Plan::Time(TimeReading::CompactDate));
        assert_eq!(plan("timestamp", &["20130606000104008"]), Plan::Time(TimeReading::CompactStamp));
        assert_eq!(plan("dateHour", &["2014102100", "2014103023"]), Plan::Time(TimeReading::CompactStamp));
        assert_eq!(plan("minute", &["201404071051"]), Plan::Integer);
        assert_eq!(plan("hour", &["0", "23"]), Plan::Integer);
        assert_eq!(plan("user_id", &["968035345"]), Plan::Integer);
    }

    #[test]
    fn one_column_proves_the_order_of_another() {
        let columns = [guess(&["27/03/2016"]), guess(&["03/04/2016"])];
        let convention = Convention::of(columns.iter());
        let day_first = Plan::Time(TimeReading::Calendar(DateOrder::Dmy));
        assert_eq!(columns[1].settle("end", convention).plan, day_first);
        let alone = columns[1].plan("end");
        assert_eq!(alone.0, Plan::Time(TimeReading::Calendar(DateOrder::Mdy)));
        assert!(alone.1.unwrap().contains("does not tell day from month"));
    }

    #[test]
    fn numbers_with_spaces_are_lists_unless_they_part_thousands() {
        assert_eq!(plan("history", &["3737 19450", "281 463 558", "7", ""]), Plan::List(' '));
        assert_ne!(plan("reach", &["1 234", "12 000 000", "7"]), Plan::List(' '));
        assert_eq!(plan("code", &["12 4711", "13 4712"]), Plan::Text);
        assert_eq!(plan("title", &["3737 19450", "two words", "7"]), Plan::Text);
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
