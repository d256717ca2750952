//! What type does a whole column have? Every cell has a say, so row 10,000 cannot overthrow the answer.
//!
//! Cells are counted by what they could be ([`Guess::see`]); then the columns of a file settle what they leave
//! open together ([`Convention`]): one column with `12,5` tells how `1.234` is meant in the next.

mod dates;
mod marks;
mod spaced;

use super::numerals;
use super::times;
use super::tokens;
use crate::data::layout::ColumnReading;
use dates::{Dates, Durations, epoch};
use marks::Marks;
use spaced::Spaced;

pub use super::plan::{Decimal, LIST_MARK, Plan, TimeReading, Unit};
pub use super::times::DateOrder;

/// Characters that part the values of a cell; the first that fits is taken.
const LIST_SEPARATORS: [char; 3] = [LIST_MARK, '|', '^'];

/// What one cell is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CellClass {
    /// Nothing in it.
    Empty,
    /// A word for missing: `null`, `NA`, `\N`, `--`.
    MissingWord,
    /// What a spreadsheet writes in place of a value: `#####`, `#DIV/0!`.
    Damage,
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
    let trimmed = trimmed(cell);
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
        _ if *first == b'#' && tokens::is_damage(trimmed) => CellClass::Damage,
        _ if tokens::is_missing(trimmed) => CellClass::MissingWord,
        _ => CellClass::Other,
    }
}

/// Without spaces at the ends, which few cells have.
fn trimmed(cell: &str) -> &str {
    let is_letter = |byte: Option<&u8>| byte.is_some_and(|byte| (b'!'..=b'~').contains(byte));
    let bytes = cell.as_bytes();
    if is_letter(bytes.first()) && is_letter(bytes.last()) { cell } else { cell.trim() }
}

fn number_class(cell: &str) -> CellClass {
    let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    let bytes = digits.as_bytes();
    if let Some(number) = short_whole(bytes) {
        return CellClass::Integer(if cell.as_bytes().first() == Some(&b'-') { -number } else { number });
    }
    if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit) {
        let is_name = (bytes.len() > 1 && bytes[0] == b'0') || bytes.len() > 18;
        return match cell.parse() {
            Ok(number) if !is_name => CellClass::Integer(number),
            _ => CellClass::DigitName,
        };
    }
    // After digits only a point or an exponent goes on with a number: dates and times are told here.
    let after = bytes.iter().position(|byte| !byte.is_ascii_digit());
    match after.and_then(|place| Some((place, bytes.get(place)?))) {
        Some((1.., b'.')) => {
            if let Some(number) = short_real(bytes) {
                return CellClass::Real(if cell.starts_with('-') { -number } else { number });
            }
        }
        Some((1.., byte)) if !matches!(byte, b'e' | b'E') => return CellClass::Other,
        _ => {}
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
        return if tokens::is_missing(cell) { CellClass::MissingWord } else { CellClass::Other };
    }
    match cell.parse::<f64>() {
        Ok(number) if number.is_finite() => CellClass::Real(number),
        _ => CellClass::Other,
    }
}

/// A number of at most 18 digits and nothing else, the usual case: without a leading zero, unless it is zero.
#[inline]
pub(super) fn short_whole(digits: &[u8]) -> Option<i64> {
    let is_short = matches!(digits.len(), 1..=18) && (digits[0] != b'0' || digits.len() == 1);
    let mut number = 0;
    for byte in digits.iter().filter(|_| is_short) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    is_short.then_some(number)
}

/// Digits with a point among them, at most 15: both parts are exact in 64 bits, so one division rounds once, as a
/// full parser does (Clinger 1990).
#[inline]
pub(super) fn short_real(bytes: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] =
        [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    if bytes.len() > 16 {
        return None;
    }
    let (mut number, mut point) = (0u64, None);
    for (place, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => number = number * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(place),
            _ => return None,
        }
    }
    let decimals = bytes.len() - 1 - point?;
    Some(number as f64 / POWERS.get(decimals)?)
}

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

/// What the columns of a file tell each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Convention {
    /// The decimal mark, where some columns prove one and none proves the other.
    decimal: Option<Decimal>,
    /// The order of dates, in the same way.
    order: Option<DateOrder>,
    /// The length of the hashes of the file.
    hash_length: Option<usize>,
}

/// How a column is read, and what a person should know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// How its cells are read.
    pub plan: Plan,
    /// The currency at its cells or in its name; empty when there is none.
    pub currency: String,
    /// Sentences for the person.
    pub notes: Vec<String>,
}

impl Settled {
    /// How the column is read by a plan, as a fact of the layout.
    pub(super) fn reading(&self, name: &str, plan: Plan) -> ColumnReading {
        let words = match plan {
            Plan::Number(numeral) => numeral.describe(&self.currency),
            plan => plan.describe(),
        };
        let (column, currency) = (name.to_owned(), self.currency.clone());
        ColumnReading { column, plan: plan.to_string(), words, currency }
    }
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
            _ => (0..times).for_each(|_| self.see_as(cell, class)),
        }
    }

    /// As [`see_again`](Self::see_again), for a cell that is text whatever it looks like.
    pub fn see_string_again(&mut self, cell: &str, times: u64) {
        match classify(cell) {
            CellClass::Empty => self.see_missing(times),
            CellClass::MissingWord => (0..times).for_each(|_| self.see_string(cell)),
            _ if self.is_surely_text() && !cell.contains(' ') => self.count_text(cell, times),
            _ => (0..times).for_each(|_| self.see_string(cell)),
        }
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
        self.cells += 1;
        match classify(cell) {
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
            self.dates.see(parts);
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

    /// The type that every cell agrees with, and what a person should know about it, for a column alone.
    pub fn plan(&self, name: &str) -> (Plan, Option<String>) {
        let settled = self.settle(name, Convention::default());
        (settled.plan, (!settled.notes.is_empty()).then(|| settled.notes.join("; ")))
    }

    /// The type that every cell agrees with, in a file with these conventions.
    pub fn settle(&self, name: &str, convention: Convention) -> Settled {
        let (plan, note) = self.choose(name, convention);
        let mut notes: Vec<String> = note.into_iter().collect();
        if self.damaged > 0 {
            let (count, example) = (self.damaged, &self.damage);
            notes.push(format!("'{name}': {count} cells show spreadsheet damage ({example}): missing"));
        }
        if self.undecodable > 0 {
            let count = self.undecodable;
            notes.push(format!("'{name}': {count} cells hold characters that could not be decoded"));
        }
        if plan == Plan::Text && self.never_text > 0 {
            let (count, word) = (self.never_text, &self.missing_word);
            notes.push(format!("'{name}': {count} cells such as '{word}' count as missing"));
        }
        let is_number = matches!(plan, Plan::Integer | Plan::Real | Plan::Number(_));
        let in_name = || numerals::currency_in(name).filter(|_| is_number);
        let at_cells = self.marks.currency().filter(|_| is_number);
        let currency = at_cells.or_else(in_name).unwrap_or_default().to_owned();
        Settled { plan, currency, notes }
    }

    fn choose(&self, name: &str, convention: Convention) -> (Plan, Option<String>) {
        let present = self.present();
        if present == 0 {
            return (Plan::Text, None);
        }
        let numbers = self.integers + self.reals;
        let singles = self.integers + self.digit_names;
        if self.spaced.count + singles == present && self.spaced.are_lists(singles) {
            return (Plan::List(' '), list_note(name, ' '));
        }
        if self.is_numeric() {
            if let Some(length) = convention.hash_length.filter(|_| self.is_hash_like(name)) {
                let note =
                    format!("'{name}' holds digits of the length of the file's hashes ({length}): text");
                return (Plan::Text, Some(note));
            }
            return if self.marks.count == 0 && !self.is_grouped_by_points(convention) {
                self.number_plan(name)
            } else {
                self.marks.plan(name, convention.decimal, self.only_zeros())
            };
        }
        if self.booleans == present {
            return (Plan::Boolean, None);
        }
        if self.flags.count == present {
            let is_proven = !tokens::is_letters(self.flags.pair)
                || (self.flags.yes > 0 && self.flags.yes < self.flags.count);
            let plan = if is_proven { Plan::Boolean } else { Plan::Text };
            return (plan, None);
        }
        if self.dates.count == present
            && let Some((order, note)) = self.dates.order(name, convention.order)
        {
            return (Plan::Time(TimeReading::Calendar(order)), note);
        }
        if self.durations.count == present {
            return self.durations.plan(name);
        }
        if self.digit_names > 0 && self.digit_names + numbers == present {
            let note =
                format!("'{name}' has leading zeros, more than 18 digits or hashes of digits: kept as text");
            return (Plan::Text, Some(note));
        }
        for (count, separator) in self.lists.into_iter().zip(LIST_SEPARATORS) {
            // A tenth of the cells: single values are lists of one, but a rare bar is punctuation.
            // A bar in the name of a campaign or the title of an ad is punctuation.
            let is_list = separator == LIST_MARK || (count * 10 >= present && !is_title(name));
            if count > 0 && is_list {
                return (Plan::List(separator), list_note(name, separator));
            }
        }
        (Plan::Text, None)
    }

    fn number_plan(&self, name: &str) -> (Plan, Option<String>) {
        let (low, high) = self.numbers.ends();
        let are_stamps = self.stamps == self.integers && self.reals == 0;
        if let Some((reading, words)) = epoch(name, low, high, are_stamps) {
            let note = format!("'{name}' read as {words}");
            return (Plan::Time(reading), Some(note));
        }
        let is_whole = self.integers + self.whole_reals == self.integers + self.reals;
        if !is_whole {
            return (Plan::Real, None);
        }
        let note = (self.reals > 0)
            .then(|| format!("'{name}' holds whole numbers written with a decimal point: read as whole"));
        (Plan::Integer, note)
    }

    /// True when the file writes decimal commas and every point of this column may part thousands.
    fn is_grouped_by_points(&self, convention: Convention) -> bool {
        convention.decimal == Some(Decimal::Comma) && self.reals > 0 && !self.marks.comma_fails
    }

    fn only_zeros(&self) -> bool {
        self.numbers.ends() == (0.0, 0.0)
    }

    /// True when all cells are hexadecimal digits of one length, of at least 8, and no times.
    fn is_hash_like(&self, name: &str) -> bool {
        let is_time = || matches!(self.number_plan(name).0, Plan::Time(_));
        !self.shape.is_broken && self.shape.length >= 8 && !is_time()
    }
}

impl Convention {
    /// What these columns tell each other.
    pub fn of<'a>(columns: impl Iterator<Item = &'a Guess> + Clone) -> Self {
        let proof = |wanted| {
            let numeric = columns.clone().filter(|guess| guess.is_numeric());
            numeric.clone().any(|guess| guess.marks.proves(guess.reals) == Some(wanted))
        };
        let decimal = match (proof(Decimal::Point), proof(Decimal::Comma)) {
            (true, false) => Some(Decimal::Point),
            (false, true) => Some(Decimal::Comma),
            _ => None,
        };
        let dates = columns.clone().filter(|guess| guess.dates.count > 0);
        let dates = dates.filter(|guess| guess.dates.count == guess.present());
        let mut orders = dates.filter_map(|guess| guess.dates.proven());
        let order = orders.next().filter(|first| orders.all(|next| next == *first));
        let hashes = columns
            .filter(|guess| !guess.shape.is_broken && guess.shape.has_letters && guess.shape.length >= 8);
        Self { decimal, order, hash_length: hashes.map(|guess| guess.shape.length).next() }
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

/// True for columns of names and titles, which people write with bars in them.
fn is_title(name: &str) -> bool {
    let lower = name.to_lowercase();
    let words = [
        "name", "campaign", "kampagne", "campagne", "ad set", "adset", "ad group", "headline", "title",
        "anzeige",
    ];
    let parts = ["系列", "计划", "标题", "キャンペーン", "名称"];
    words
        .iter()
        .any(|word| lower.split(|c: char| !c.is_alphanumeric() && c != ' ').any(|own| own.contains(word)))
        || parts.iter().any(|part| name.contains(part))
}

fn list_note(name: &str, separator: char) -> Option<String> {
    (separator != LIST_MARK).then(|| format!("'{name}' holds lists parted by '{separator}'"))
}

#[cfg(test)]
mod tests {
    use super::super::plan::Numeral;
    use super::*;

    #[test]
    fn short_numbers_are_those_of_the_full_parser() {
        for cell in
            ["0.1", "1.005", "123456.789", "0.000001", "99999999999999.9", "5.", "00.50", "3.14159265358979"]
        {
            assert_eq!(classify(cell), CellClass::Real(cell.parse().unwrap()), "{cell}");
            let negative = format!("-{cell}");
            assert_eq!(classify(&negative), CellClass::Real(negative.parse().unwrap()), "{negative}");
        }
        for cell in ["1.2.3", "2026-01-05", "10:20", "1.5x", "3 km"] {
            assert_eq!(classify(cell), CellClass::Other, "{cell}");
        }
    }

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
