//! How do cells become a typed column? One builder per column, filled in a second pass over the file, so that no
//! text copy of the log is ever held.

use super::guess::{CellClass, LIST_MARK, Plan, TimeReading, classify, short_whole};
use super::numerals;
use super::plan::Numeral;
use super::times::{self, DateOrder};
use super::tokens;
use super::whole::WholeNumbers;
use crate::base::Result;
use crate::base::failure::Explain;
use crate::data::enumerated::TEXT_BYTES;
use polars::prelude::{
    BooleanChunkedBuilder, ChunkedBuilder, DataType, Float64Type, Int64Type, IntoSeries, ListBuilderTrait,
    ListStringChunkedBuilder, PolarsNumericType, PrimitiveChunkedBuilder, Series, StringChunkedBuilder,
    TimeUnit,
};

/// How long a text may be to stand in what polars takes for each.
const INLINE: usize = 12;

/// A column that is being filled.
pub struct ColumnBuilder {
    cells: Cells,
    /// Bytes of texts that do not stand in their place in the column.
    heap: u64,
    /// The last point in time, where the column holds such and the last cell told one.
    last_time: Option<i64>,
    /// Cells that held something that the plan could not read; they are missing now.
    pub unreadable: u64,
}

enum Cells {
    Integer(WholeNumbers),
    Real(PrimitiveChunkedBuilder<Float64Type>),
    MarkedInteger(WholeNumbers, Numeral),
    MarkedReal(PrimitiveChunkedBuilder<Float64Type>, Numeral),
    Duration(PrimitiveChunkedBuilder<Float64Type>),
    Boolean(BooleanChunkedBuilder),
    Text(StringChunkedBuilder),
    Time(PrimitiveChunkedBuilder<Int64Type>, TimeReading),
    List(ListStringChunkedBuilder, char),
}

impl ColumnBuilder {
    /// An empty column with room for `rows` cells.
    pub fn new(name: &str, plan: Plan, rows: usize) -> Self {
        let whole = || WholeNumbers::new(name, rows);
        let name = name.into();
        let cells = match plan {
            Plan::Integer => Cells::Integer(whole()),
            Plan::Real => Cells::Real(PrimitiveChunkedBuilder::new(name, rows)),
            Plan::Number(numeral) if numeral.is_whole => Cells::MarkedInteger(whole(), numeral),
            Plan::Number(numeral) => Cells::MarkedReal(PrimitiveChunkedBuilder::new(name, rows), numeral),
            Plan::Duration => Cells::Duration(PrimitiveChunkedBuilder::new(name, rows)),
            Plan::Boolean => Cells::Boolean(BooleanChunkedBuilder::new(name, rows)),
            Plan::Text => Cells::Text(StringChunkedBuilder::new(name, rows)),
            Plan::Time(reading) => Cells::Time(PrimitiveChunkedBuilder::new(name, rows), reading),
            Plan::List(separator) => Cells::List(ListStringChunkedBuilder::new(name, rows, rows), separator),
        };
        Self { cells, heap: 0, last_time: None, unreadable: 0 }
    }

    /// Adds a cell; an empty one is missing.
    pub fn push(&mut self, cell: &str) {
        self.push_as(cell, classify(cell));
    }

    /// As [`push`](Self::push), for a cell that was classified already.
    pub fn push_as(&mut self, cell: &str, class: CellClass) {
        let is_read = match &mut self.cells {
            Cells::Text(text) => {
                text.append_option(text_of(cell));
                self.heap += if cell.len() > INLINE { cell.len() as u64 } else { 0 };
                true
            }
            Cells::List(lists, separator) => {
                push_list(lists, cell, *separator);
                true
            }
            Cells::Integer(numbers) => append_whole(numbers, whole(class)),
            Cells::Real(numbers) => append(numbers, real(class)),
            Cells::MarkedInteger(numbers, numeral) => append_whole(numbers, marked_whole(cell, *numeral)),
            Cells::MarkedReal(numbers, numeral) => append(numbers, marked_real(cell, class, *numeral)),
            Cells::Duration(seconds) => append(seconds, times::duration(cell).map(|(seconds, _)| seconds)),
            Cells::Time(millis, reading) => {
                self.last_time = time_millis(cell, class, *reading);
                append(millis, self.last_time)
            }
            Cells::Boolean(flags) => {
                let flag = tokens::flag(cell).map(|(_, is_yes)| is_yes);
                flags.append_option(flag);
                flag.is_some()
            }
        };
        self.unreadable += u64::from(!is_read && class.holds_something());
    }

    /// Adds a whole number to a column of such.
    #[inline]
    pub fn push_whole(&mut self, number: i64) {
        match &mut self.cells {
            Cells::Integer(numbers) => numbers.push(Some(number)),
            _ => self.push(&number.to_string()),
        }
    }

    /// Adds whole numbers to a column of such.
    pub fn push_wholes(&mut self, numbers: &[i64]) {
        match &mut self.cells {
            Cells::Integer(cells) => cells.push_all(numbers),
            _ => numbers.iter().for_each(|number| self.push_whole(*number)),
        }
    }

    /// Adds numbers to a column of real numbers.
    pub fn push_reals(&mut self, numbers: &[f64]) {
        match &mut self.cells {
            Cells::Real(cells) => numbers.iter().for_each(|number| cells.append_value(*number)),
            _ => numbers.iter().for_each(|number| self.push_real(*number)),
        }
    }

    /// Adds the last point in time once more; false in a column of others, and where that cell told none.
    pub fn push_time_again(&mut self) -> bool {
        match &mut self.cells {
            Cells::Time(millis, _) => self.last_time.inspect(|last| millis.append_value(*last)).is_some(),
            _ => false,
        }
    }

    /// Adds a number to a column of real numbers.
    #[inline]
    pub fn push_real(&mut self, number: f64) {
        match &mut self.cells {
            Cells::Real(numbers) => numbers.append_value(number),
            _ => self.push(&number.to_string()),
        }
    }

    /// Bytes that so many cells take, lists left out.
    pub fn bytes(&self, rows: usize) -> u64 {
        let each = match &self.cells {
            Cells::Integer(cells) | Cells::MarkedInteger(cells, _) => cells.width(),
            Cells::Text(_) | Cells::List(..) => TEXT_BYTES,
            _ => size_of::<f64>(),
        };
        (rows * each) as u64 + self.heap
    }

    /// The finished column.
    ///
    /// # Errors
    /// Only if polars refuses its own integers as times.
    pub fn finish(self) -> Result<Series> {
        Ok(match self.cells {
            Cells::Integer(cells) | Cells::MarkedInteger(cells, _) => cells.finish(),
            Cells::Real(cells) | Cells::MarkedReal(cells, _) | Cells::Duration(cells) => {
                cells.finish().into_series()
            }
            Cells::Boolean(cells) => cells.finish().into_series(),
            Cells::Text(cells) => cells.finish().into_series(),
            Cells::Time(cells, _) => cells
                .finish()
                .into_series()
                .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
                .explain("cannot store times")?,
            Cells::List(mut cells, _) => cells.finish().into_series(),
        })
    }
}

/// What a plan reads in a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::data) enum Value<'a> {
    /// Nothing, or something that the plan cannot read.
    Missing,
    Text(&'a str),
    Whole(i64),
    Real(f64),
    Flag(bool),
    /// A point in time in milliseconds since 1970.
    Millis(i64),
    /// A list that a separator parts.
    List(&'a str, char),
    /// A list of texts.
    Items(&'a Series),
}

impl<'a> Value<'a> {
    /// Reads a cell as [`ColumnBuilder`] does, without storing it.
    #[inline]
    pub fn read(cell: &'a str, plan: Plan) -> Self {
        match plan {
            Plan::Text => text_of(cell).map_or(Self::Missing, Self::Text),
            Plan::List(_) if cell.is_empty() => Self::Missing,
            Plan::List(separator) => Self::List(cell.strip_prefix(LIST_MARK).unwrap_or(cell), separator),
            Plan::Integer => match short_whole(cell.as_bytes()) {
                Some(number) => Self::Whole(number),
                None => Self::of_whole(whole(classify(cell))),
            },
            Plan::Real => Self::of_real(real(classify(cell))),
            Plan::Number(numeral) if numeral.is_whole => Self::of_whole(marked_whole(cell, numeral)),
            Plan::Number(numeral) => Self::of_real(marked_real(cell, classify(cell), numeral)),
            Plan::Duration => Self::of_real(times::duration(cell).map(|(seconds, _)| seconds)),
            Plan::Boolean => tokens::flag(cell).map_or(Self::Missing, |(_, is_yes)| Self::Flag(is_yes)),
            Plan::Time(reading) => {
                time_millis(cell, classify(cell), reading).map_or(Self::Missing, Self::Millis)
            }
        }
    }

    fn of_whole(number: Option<i64>) -> Self {
        number.map_or(Self::Missing, Self::Whole)
    }

    fn of_real(number: Option<f64>) -> Self {
        number.map_or(Self::Missing, Self::Real)
    }
}

/// What a cell of a column of texts holds; `None` where it stands for a missing one.
#[inline]
pub(super) fn text_of(cell: &str) -> Option<&str> {
    let is_missing = cell.is_empty() || tokens::is_never_text(cell) || tokens::is_damage(cell);
    (!is_missing).then_some(cell)
}

/// The items of a list as it stands in a cell.
pub(in crate::data) fn items(list: &str, separator: char) -> impl Iterator<Item = &str> {
    list.split(separator).map(str::trim).filter(|item| !item.is_empty())
}

/// Visits the items of a cell that holds a list; there are none in any other.
pub(in crate::data) fn each_item(value: Value<'_>, mut visit: impl FnMut(Value<'_>)) {
    match value {
        Value::List(list, separator) => items(list, separator).for_each(|item| visit(Value::Text(item))),
        Value::Items(list) => {
            let all = list.str().ok();
            let items = all.iter().flat_map(|items| items.iter());
            items.for_each(|item| {
                visit(item.filter(|item| !item.is_empty()).map_or(Value::Missing, Value::Text));
            });
        }
        _ => {}
    }
}

impl CellClass {
    fn holds_something(self) -> bool {
        !matches!(self, Self::Empty | Self::MissingWord | Self::Damage)
    }
}

fn push_list(lists: &mut ListStringChunkedBuilder, cell: &str, separator: char) {
    if cell.is_empty() {
        lists.append_null();
        return;
    }
    // A JSON array begins with its mark, so that an empty one differs from a missing one.
    lists.append_values_iter(items(cell.strip_prefix(LIST_MARK).unwrap_or(cell), separator));
}

/// Appends a cell; false when it could not be read.
fn append<T: PolarsNumericType>(builder: &mut PrimitiveChunkedBuilder<T>, cell: Option<T::Native>) -> bool {
    builder.append_option(cell);
    cell.is_some()
}

fn append_whole(numbers: &mut WholeNumbers, cell: Option<i64>) -> bool {
    numbers.push(cell);
    cell.is_some()
}

fn whole(class: CellClass) -> Option<i64> {
    match class {
        CellClass::Integer(number) => Some(number),
        CellClass::Real(number) => Some(number as i64),
        _ => None,
    }
}

fn real(class: CellClass) -> Option<f64> {
    match class {
        CellClass::Integer(number) => Some(number as f64),
        CellClass::Real(number) => Some(number),
        _ => None,
    }
}

fn marked_whole(cell: &str, numeral: Numeral) -> Option<i64> {
    numerals::parse(cell)?.whole(numeral.decimal)
}

fn marked_real(cell: &str, class: CellClass, numeral: Numeral) -> Option<f64> {
    match numerals::parse(cell) {
        Some(marked) => marked.value(numeral),
        // A plain number with an exponent.
        None => real(class).map(|number| number / 10f64.powi(-numeral.unit.exponent())),
    }
}

fn time_millis(cell: &str, class: CellClass, reading: TimeReading) -> Option<i64> {
    match reading {
        TimeReading::Calendar(order) => calendar_millis(cell, order),
        // Fractions of a second count.
        TimeReading::EpochSeconds => match class {
            CellClass::Real(seconds) => Some((seconds * 1000.0).round() as i64),
            _ => whole(class)?.checked_mul(1000),
        },
        TimeReading::EpochMillis => whole(class),
        TimeReading::EpochMicros => whole(class).map(|micros| micros.div_euclid(1000)),
        TimeReading::CompactDate => times::compact(whole(class)?, false),
        TimeReading::CompactHour => times::compact(whole(class)?, true),
        TimeReading::CompactStamp => times::compact_stamp(whole(class)?),
    }
}

fn calendar_millis(cell: &str, order: DateOrder) -> Option<i64> {
    times::parts(cell.trim())?.millis(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(plan: Plan, cells: &[&str]) -> (Vec<String>, u64) {
        let mut builder = ColumnBuilder::new("c", plan, cells.len());
        for cell in cells {
            builder.push(cell);
        }
        let unreadable = builder.unreadable;
        let series = builder.finish().unwrap();
        let texts = series.iter().map(|value| format!("{value}")).collect();
        (texts, unreadable)
    }

    #[test]
    fn cells_become_values_and_missing_stays_missing() {
        assert_eq!(built(Plan::Integer, &["3", "", "4.0", "null"]).0, ["3", "null", "4", "null"]);
        assert_eq!(built(Plan::Real, &["3", "x"]), (vec!["3.0".into(), "null".into()], 1));
        assert_eq!(built(Plan::Boolean, &["True", "", "false"]).0, ["true", "null", "false"]);
        assert_eq!(built(Plan::Text, &["007", ""]).0, ["\"007\"", "null"]);
    }

    #[test]
    fn times_are_milliseconds_and_lists_are_lists() {
        let reading = TimeReading::Calendar(DateOrder::Dmy);
        let (times, unreadable) = built(Plan::Time(reading), &["01/02/2016 1:00", "31/02/2016"]);
        assert_eq!(times[0], "2016-02-01 01:00:00");
        assert_eq!((times[1].as_str(), unreadable), ("null", 1));
        let mut builder = ColumnBuilder::new("c", Plan::List('|'), 3);
        for cell in ["a|b", "", "c"] {
            builder.push(cell);
        }
        let lists = builder.finish().unwrap();
        let lengths: Vec<_> =
            lists.list().unwrap().amortized_iter().map(|list| list.map(|list| list.as_ref().len())).collect();
        assert_eq!(lengths, [Some(2), None, Some(1)]);
    }
}
