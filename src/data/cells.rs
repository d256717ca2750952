//! How are the cells of a column read as plain Rust values? The one place that unpacks polars arrays.
//!
//! Values have one text form each, whatever the column's type, so that a vocabulary fitted on a Parquet
//! file finds the same values in a CSV file.

pub use super::calendar::{WEEKDAYS, date_of, hour_of, moment, weekday_of};
use super::enumerated;
use super::frame::LogFrame;
use super::keyed::Keyed;
use super::text_codes::TextCodes;
use crate::base::failure::Explain;
use crate::base::{Failure, Result, rng};
use polars::prelude::{
    ChunkExplode, ChunkedArray, DataType, ExplodeOptions, PolarsNumericType, Series, TimeUnit,
};
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Code of a missing cell in [`Coded`].
pub const NO_CODE: u32 = u32::MAX;

/// A column as small numbers: cell `r` holds `values[codes[r]]`, or is missing where the code is [`NO_CODE`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coded {
    /// Distinct values in the order in which they first appear.
    pub values: Vec<String>,
    /// One code per cell.
    pub codes: Vec<u32>,
}

/// A column of lists as small numbers: row `r` holds `items.codes[offsets[r]..offsets[r + 1]]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodedLists {
    /// Start of each row, and the end of the last: `rows + 1` entries.
    pub offsets: Vec<u32>,
    /// All items one after another.
    pub items: Coded,
}

impl Coded {
    /// How often each value occurs in the given rows.
    pub fn counts(&self, rows: &[u32]) -> Vec<u32> {
        counts(self.values.len(), &self.codes, rows)
    }

    fn push<K: std::hash::Hash + Eq>(
        &mut self,
        seen: &mut HashMap<K, u32, Quick>,
        key: Option<K>,
        text: impl FnOnce() -> String,
    ) {
        let Some(key) = key else {
            self.codes.push(NO_CODE);
            return;
        };
        let next = self.values.len() as u32;
        let code = *seen.entry(key).or_insert(next);
        if code == next {
            self.values.push(text());
        }
        self.codes.push(code);
    }
}

/// How often each code of `distinct` ones occurs in the given rows.
pub(in crate::data) fn counts(distinct: usize, codes: &[u32], rows: &[u32]) -> Vec<u32> {
    let mut counts = vec![0; distinct];
    for &row in rows {
        if let Some(count) = counts.get_mut(codes[row as usize] as usize) {
            *count += 1;
        }
    }
    counts
}

/// The cells as codes of distinct texts. Null, NaN and empty text are missing.
///
/// # Errors
/// No such column, or a column of lists.
pub fn coded(log: &LogFrame, column: &str) -> Result<Coded> {
    code_series(series(log, column)?)
}

/// As [`coded`], in as few bytes as the codes need.
///
/// # Errors
/// No such column, or a column of lists.
pub fn keyed(log: &LogFrame, column: &str) -> Result<Keyed> {
    let series = series(log, column)?;
    if !enumerated::is_enumerated(series.dtype()) {
        return code_series(series).map(Keyed::from);
    }
    enumerated::keyed(series).explain(&format!("cannot read the values of '{column}'"))
}

/// The cells as lists of codes, oldest first as in the log. A null list is an empty one.
///
/// # Errors
/// No such column, or a column without lists.
pub fn coded_lists(log: &LogFrame, column: &str) -> Result<CodedLists> {
    let what = format!("cannot read the lists of '{column}'");
    let lists = series(log, column)?.list().explain(&what)?;
    let mut offsets = Vec::with_capacity(lists.len() + 1);
    offsets.push(0u32);
    let mut end = 0u32;
    for item in lists.amortized_iter() {
        end += item.map_or(0, |item| item.as_ref().len()) as u32;
        offsets.push(end);
    }
    let options = ExplodeOptions { empty_as_null: false, keep_nulls: false };
    let items = code_series(&lists.explode(options).explain(&what)?)?;
    if items.codes.len() != end as usize {
        return Err(Failure::new(what, "the lengths of its lists do not add up to its items"));
    }
    Ok(CodedLists { offsets, items })
}

/// The cells as numbers; missing is NaN. Text that is no number is missing too.
///
/// # Errors
/// No such column, or a column of lists.
pub fn numbers(log: &LogFrame, column: &str) -> Result<Vec<f64>> {
    let series = series(log, column)?;
    let what = format!("cannot read '{column}' as numbers");
    if matches!(series.dtype(), DataType::List(_)) {
        return Err(Failure::new(what, "its cells are lists").hint("give it the role sequence"));
    }
    let cast = enumerated::plain(series).and_then(|cells| cells.cast(&DataType::Float64)).explain(&what)?;
    let cells = cast.f64().explain(&what)?;
    if let Ok(all_present) = cells.cont_slice() {
        return Ok(all_present.to_vec());
    }
    Ok(cells.iter().map(|cell| cell.unwrap_or(f64::NAN)).collect())
}

/// The cells of some rows as [`numbers`]; points in time are milliseconds since 1970.
///
/// # Errors
/// No such column, or a column of lists.
pub fn numbers_within<'a>(log: &'a LogFrame, column: &str, rows: Range<usize>) -> Result<Cow<'a, [f64]>> {
    let series = series(log, column)?;
    let what = format!("cannot read '{column}' as numbers");
    if let Some(numbers) = as_they_lie(series, rows.clone()) {
        return Ok(numbers);
    }
    let some = series.slice(rows.start as i64, rows.len());
    let whole = match some.dtype() {
        DataType::List(_) => {
            return Err(Failure::new(what, "its cells are lists").hint("give it the role sequence"));
        }
        DataType::Datetime(..) | DataType::Date => some
            .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
            .and_then(|times| times.cast(&DataType::Int64))
            .explain(&what)?,
        _ => enumerated::plain(&some).explain(&what)?,
    };
    let cast = whole.cast(&DataType::Float64).explain(&what)?;
    let cells = cast.f64().explain(&what)?;
    Ok(cells.iter().map(|cell| cell.unwrap_or(f64::NAN)).collect())
}

/// Some numbers of a column that lie one after another with none missing; `None` for any other column.
fn as_they_lie(series: &Series, rows: Range<usize>) -> Option<Cow<'_, [f64]>> {
    fn some<'a, T: PolarsNumericType>(
        cells: &ChunkedArray<T>,
        rows: Range<usize>,
        number: impl Fn(T::Native) -> f64,
    ) -> Option<Cow<'a, [f64]>> {
        let some = cells.cont_slice().ok()?.get(rows)?;
        Some(some.iter().map(|cell| number(*cell)).collect())
    }
    match series.dtype() {
        DataType::Float64 => series.f64().ok()?.cont_slice().ok()?.get(rows).map(Cow::Borrowed),
        DataType::Int8 => some(series.i8().ok()?, rows, f64::from),
        DataType::Int16 => some(series.i16().ok()?, rows, f64::from),
        DataType::Int32 => some(series.i32().ok()?, rows, f64::from),
        DataType::Int64 => some(series.i64().ok()?, rows, |number| number as f64),
        DataType::Datetime(TimeUnit::Milliseconds, _) => {
            some(series.datetime().ok()?.physical(), rows, |millis| millis as f64)
        }
        _ => None,
    }
}

/// Rows of a piece, which stays close to the processor.
pub(in crate::data) const PIECE: usize = 1 << 14;

/// The cells of a column as [`numbers_within`] gives them, a piece at a time from the first row on: for what looks at each
/// number once and keeps none of them.
pub fn number_pieces<'a>(
    log: &'a LogFrame,
    column: &'a str,
) -> impl Iterator<Item = Result<Cow<'a, [f64]>>> + 'a {
    let rows = log.rows();
    let pieces = (0..rows).step_by(PIECE).map(move |first| first..(first + PIECE).min(rows));
    pieces.map(move |rows| numbers_within(log, column, rows))
}

/// How often each number occurs in a column of whole numbers of one or two bytes.
pub struct SmallCounts {
    /// The number that the first count belongs to; the others follow one by one.
    pub lowest: i64,
    /// Of each number that the type holds.
    pub counts: Vec<u32>,
    /// Cells that hold none.
    pub missing: u64,
}

/// Counts the cells of a column that is stored in one or two bytes; `None` for any other.
///
/// # Errors
/// No such column.
pub fn small_counts(log: &LogFrame, column: &str) -> Result<Option<SmallCounts>> {
    let series = series(log, column)?;
    let what = format!("cannot count the numbers of '{column}'");
    let (lowest, counts) = match series.dtype() {
        DataType::Int8 => (i8::MIN.into(), counts_of::<1, _>(series.i8().explain(&what)?)),
        DataType::Int16 => (i16::MIN.into(), counts_of::<2, _>(series.i16().explain(&what)?)),
        _ => return Ok(None),
    };
    Ok(Some(SmallCounts { lowest, counts, missing: series.null_count() as u64 }))
}

/// Counts numbers of so many bytes, the lowest first.
fn counts_of<const BYTES: usize, T>(cells: &ChunkedArray<T>) -> Vec<u32>
where
    T: PolarsNumericType<Native: Into<i64>>,
{
    // Side by side, as a count waits for the one before it where a number comes twice in a row.
    const LANES: usize = 4;
    let numbers = 1usize << (8 * BYTES);
    let place = |number: T::Native| (number.into() + (numbers / 2) as i64) as usize % numbers;
    let mut lanes = vec![0u32; LANES * numbers];
    let mut count = |row: usize, number: T::Native| lanes[row % LANES * numbers + place(number)] += 1;
    match cells.cont_slice() {
        Ok(all) => all.iter().enumerate().for_each(|(row, number)| count(row, *number)),
        Err(_) => cells.iter().flatten().enumerate().for_each(|(row, number)| count(row, number)),
    }
    (0..numbers).map(|number| lanes.iter().skip(number).step_by(numbers).sum()).collect()
}

/// The cells as points in time, in milliseconds since 1970 for a time column and in the column's own unit for
/// whole numbers; `None` is missing.
///
/// # Errors
/// No such column, or one that has no order of times.
pub fn times(log: &LogFrame, column: &str) -> Result<Vec<Option<i64>>> {
    let series = series(log, column)?;
    let what = format!("cannot read '{column}' as times");
    let cast = match series.dtype() {
        DataType::Datetime(_, _) | DataType::Date => series
            .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
            .and_then(|times| times.cast(&DataType::Int64)),
        kind if kind.is_primitive_numeric() => series.cast(&DataType::Int64),
        kind => {
            let kind = enumerated::plain_kind(kind);
            return Err(Failure::new(what, format!("its cells are {kind}, not times"))
                .hint("give another column the role time, or this one the role ignored"));
        }
    };
    let cast = cast.explain(&what)?;
    Ok(cast.i64().explain(&what)?.iter().collect())
}

/// True when the column holds points in time, so that hours and weekdays can be told.
///
/// # Errors
/// No such column.
pub fn is_calendar_time(log: &LogFrame, column: &str) -> Result<bool> {
    let kind = series(log, column)?.dtype();
    Ok(matches!(kind, DataType::Datetime(_, _) | DataType::Date))
}

/// True when each cell is a list.
///
/// # Errors
/// No such column.
pub fn is_list(log: &LogFrame, column: &str) -> Result<bool> {
    Ok(matches!(series(log, column)?.dtype(), DataType::List(_)))
}

fn series<'a>(log: &'a LogFrame, column: &str) -> Result<&'a Series> {
    log.schema.column(column)?;
    let column = log.frame.column(column).explain("cannot read the column")?;
    Ok(column.as_materialized_series())
}

/// As [`coded`], for a column that is not in a log yet.
///
/// # Errors
/// A column of lists.
pub(in crate::data) fn code_series(series: &Series) -> Result<Coded> {
    let what = format!("cannot read the values of '{}'", series.name());
    let mut coded = Coded::default();
    coded.codes.reserve(series.len());
    match series.dtype() {
        DataType::List(_) => {
            return Err(Failure::new(what, "its cells are lists").hint("give it the role sequence"));
        }
        DataType::Boolean => {
            let mut seen = HashMap::default();
            for cell in series.bool().explain(&what)?.iter() {
                coded.push(&mut seen, cell, || cell.unwrap_or_default().to_string());
            }
        }
        DataType::Float32 | DataType::Float64 => {
            let cast = series.cast(&DataType::Float64).explain(&what)?;
            let mut seen = HashMap::default();
            for cell in cast.f64().explain(&what)?.iter() {
                // Adding 0.0 makes -0.0 and 0.0 one value.
                let cell = cell.filter(|cell| !cell.is_nan()).map(|cell| cell + 0.0);
                coded.push(&mut seen, cell.map(f64::to_bits), || cell.unwrap_or_default().to_string());
            }
        }
        kind if kind.is_integer() => {
            let cast = series.cast(&DataType::Int64).explain(&what)?;
            let mut seen = HashMap::default();
            for cell in cast.i64().explain(&what)?.iter() {
                coded.push(&mut seen, cell, || cell.unwrap_or_default().to_string());
            }
        }
        kind if enumerated::is_enumerated(kind) => return enumerated::coded(series).explain(&what),
        _ => {
            let cast = series.cast(&DataType::String).explain(&what)?;
            let mut seen = TextCodes::default();
            for cell in cast.str().explain(&what)?.iter() {
                let next = coded.values.len() as u32;
                let code = match cell.filter(|cell| !cell.is_empty()) {
                    Some(cell) => seen.code(cell, next, || cell),
                    None => NO_CODE,
                };
                if code == next {
                    coded.values.push(cell.unwrap_or_default().to_owned());
                }
                coded.codes.push(code);
            }
        }
    }
    Ok(coded)
}

/// Hashes cells for their codes. Logs are no attackers, and this takes a third of the time of the usual hasher.
pub(in crate::data) type Quick = BuildHasherDefault<QuickHasher>;

#[derive(Default)]
pub(in crate::data) struct QuickHasher(u64);

impl Hasher for QuickHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u8(&mut self, _end_of_text: u8) {}

    fn write_u64(&mut self, number: u64) {
        self.0 = rng::mix(self.0 ^ number);
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number.cast_unsigned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::Role;
    use polars::prelude::{NamedFrom, df};

    #[test]
    fn one_text_form_whatever_the_type() {
        let frame = df!(
            "whole" => [Some(3i64), None, Some(-1)],
            "real" => [Some(3.0f64), Some(f64::NAN), Some(-0.5)],
            "text" => [Some("3"), Some(""), None],
            "flag" => [Some(true), None, Some(false)],
        )
        .unwrap();
        let log = LogFrame::from_frame(frame, &[("text", Role::Categorical)]).unwrap();
        assert_eq!(coded(&log, "whole").unwrap().values, ["3", "-1"]);
        assert_eq!(coded(&log, "real").unwrap().values, ["3", "-0.5"]);
        assert_eq!(coded(&log, "text").unwrap().codes, [0, NO_CODE, NO_CODE]);
        assert_eq!(coded(&log, "flag").unwrap().values, ["true", "false"]);
        assert!(coded(&log, "nothing").unwrap_err().hint.contains("whole"));
    }

    #[test]
    fn some_numbers_are_those_of_all_whatever_the_type() {
        let frame = df!(
            "byte" => [1i8, -2, 3],
            "short" => [1i16, 300, -3],
            "int" => [70_000i32, 0, 1],
            "long" => [1i64 << 40, 2, 3],
            "real" => [0.5f64, -1.5, 2.0],
            "gaps" => [Some(1i64), None, Some(3)],
            "flag" => [true, false, true],
            "text" => ["1", "x", "2.5"],
        );
        let log = LogFrame::from_frame(frame.unwrap(), &[]).unwrap();
        for column in &log.schema.columns {
            let bits = |numbers: &[f64]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
            let all = numbers(&log, &column.name).unwrap();
            let some = numbers_within(&log, &column.name, 1..3).unwrap();
            assert_eq!(bits(&all[1..]), bits(&some), "{}", column.name);
            assert!(matches!((column.name.as_str(), some), ("real", Cow::Borrowed(_)) | (_, Cow::Owned(_))));
        }
    }

    #[test]
    fn lists_keep_their_rows_when_some_are_empty_or_null() {
        let list = |items: &[&str]| Series::new("".into(), items);
        let frame = df!(
            "seen" => [Some(list(&["a", "b"])), Some(list(&[])), None, Some(list(&["b"]))],
        )
        .unwrap();
        let log = LogFrame::from_frame(frame, &[("seen", Role::Sequence)]).unwrap();
        let lists = coded_lists(&log, "seen").unwrap();
        assert_eq!(lists.offsets, [0, 2, 2, 2, 3]);
        assert_eq!(lists.items.codes, [0, 1, 1]);
    }
}
