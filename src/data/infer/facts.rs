//! What do the cells of a column look like, as far as its role depends on it?

use super::Name;
use crate::base::Result;
use crate::base::failure::Explain;
use crate::data::enumerated;
use crate::data::schema::ColumnType;
use crate::jobs::JobContext;
use polars::prelude::{Column, DataFrame, DataType, PolarsResult, Series};
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
use std::sync::atomic::{AtomicU64, Ordering};

/// Columns that are looked at side by side.
const COLUMNS_AT_ONCE: usize = 32;
/// Rows that are looked at where all of them would take long; ranges always come from all rows.
const SAMPLE: usize = 200_000;
/// Rows whose numbers are turned at once.
const PIECE: usize = 1 << 16;

/// One column, seen from afar.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    pub name: Name,
    pub kind: ColumnType,
    /// Rows of the log.
    pub rows: usize,
    /// Cells of the sample that hold something.
    pub present: usize,
    /// Distinct values in the sample.
    pub distinct: usize,
    /// Lowest and highest number, over all rows; true is 1.
    pub range: Option<(f64, f64)>,
    /// Cells with 0, over all rows; only counted for -1..1.
    has_zero: bool,
    /// Mean number of characters of a text in the sample.
    pub mean_length: f64,
    spaced: usize,
    is_sample_sorted: bool,
}

impl Facts {
    /// The facts of all columns.
    pub fn of_all(frame: &DataFrame, context: &JobContext) -> Result<Vec<Self>> {
        let (total, done) = (frame.width() as u64, AtomicU64::new(0));
        let look = |column: &Column| {
            context.check()?;
            context.progress(done.fetch_add(1, Ordering::Relaxed), total);
            Self::of(column, frame.height())
        };
        let mut facts = Vec::with_capacity(frame.width());
        // A thread that waits for polars takes the next column meanwhile, one inside the other: not too many.
        for some in frame.columns().chunks(COLUMNS_AT_ONCE) {
            facts.extend(some.par_iter().map(look).collect::<Result<Vec<_>>>()?);
        }
        Ok(facts)
    }

    /// The facts of one column.
    pub fn of(column: &Column, rows: usize) -> Result<Self> {
        let what = format!("cannot look at column '{}'", column.name());
        Self::gather(column, rows).explain(&what)
    }

    fn gather(column: &Column, rows: usize) -> PolarsResult<Self> {
        let series = column.as_materialized_series();
        let sample = series.head(Some(SAMPLE));
        let kind = ColumnType::of(series.dtype());
        let missing = sample.null_count();
        let is_list = kind == ColumnType::List;
        // A missing cell counts as one more value in polars.
        let distinct = if is_list { 0 } else { sample.n_unique()? - usize::from(missing > 0) };
        let mut facts = Self {
            name: Name::of(column.name()),
            kind,
            rows,
            present: sample.len() - missing,
            distinct,
            range: None,
            has_zero: false,
            mean_length: 0.0,
            spaced: 0,
            is_sample_sorted: false,
        };
        match kind {
            ColumnType::Integer | ColumnType::Real | ColumnType::Boolean => {
                for first in (0..series.len()).step_by(PIECE) {
                    facts.see_numbers(&series.slice(first as i64, PIECE))?;
                }
                let sample = sample.cast(&DataType::Float64)?;
                let mut sample = sample.f64()?.iter().flatten();
                let mut last = sample.next().unwrap_or_default();
                facts.is_sample_sorted = sample.all(|number| {
                    let grows = number > last;
                    last = number;
                    grows
                });
            }
            ColumnType::Text => {
                let texts = || enumerated::texts(&sample).map(Iterator::flatten);
                let lengths: usize = texts()?.map(|text| text.chars().count()).sum();
                facts.mean_length = lengths as f64 / facts.present.max(1) as f64;
                facts.spaced = texts()?.filter(|text| text.trim().contains(' ')).count();
            }
            ColumnType::Time | ColumnType::List => {}
        }
        Ok(facts)
    }

    /// Widens the range by some numbers.
    fn see_numbers(&mut self, some: &Series) -> PolarsResult<()> {
        // As they are stored: few bytes are looked at faster than eight.
        let ends = if some.dtype().is_bool() { some.cast(&DataType::Int8)? } else { some.clone() };
        if let Some((low, high)) = ends.min::<f64>()?.zip(ends.max::<f64>()?) {
            let (least, most) = self.range.unwrap_or((low, high));
            self.range = Some((low.min(least), high.max(most)));
            if !self.has_zero && low >= -1.0 && high <= 1.0 {
                let numbers = some.cast(&DataType::Float64)?;
                self.has_zero = numbers.f64()?.iter().flatten().any(|number| number == 0.0);
            }
        }
        Ok(())
    }

    /// True for columns of 0 and 1 or of flags (also where only one of them occurs).
    pub fn is_binary(&self) -> bool {
        let is_whole = matches!(self.kind, ColumnType::Integer | ColumnType::Boolean);
        is_whole && self.range.is_some_and(|(low, high)| low >= 0.0 && high <= 1.0)
    }

    /// True for columns of -1 and 1.
    pub fn is_signed(&self) -> bool {
        self.kind == ColumnType::Integer && self.range == Some((-1.0, 1.0)) && !self.has_zero
    }

    /// True when there is one value only.
    pub fn is_constant(&self) -> bool {
        self.present > 1 && self.distinct == 1 && self.range.is_none_or(|(low, high)| low == high)
    }

    /// True when the values are 0, 1, 2 … from any start.
    pub fn counts_rows(&self) -> bool {
        self.kind == ColumnType::Integer
            && self.rows > 2
            && self.present == self.rows.min(SAMPLE)
            && self.is_sample_sorted
            && self.range.is_some_and(|(low, high)| high - low + 1.0 == self.rows as f64)
    }

    /// True for whole numbers that all have the same five or more digits.
    pub fn looks_like_ids(&self) -> bool {
        let digits = |number: f64| number.abs().max(1.0).log10().floor();
        self.range.is_some_and(|(low, high)| low >= 10_000.0 && digits(low) == digits(high))
    }

    /// True when a tenth of the texts have spaces inside.
    pub fn has_spaces(&self) -> bool {
        self.spaced * 10 >= self.present.max(1)
    }

    /// "46 distinct values, 0 to 45".
    pub fn describe(&self) -> String {
        let about = if self.rows > SAMPLE { "about " } else { "" };
        let values = match self.distinct {
            1 => "1 value".to_owned(),
            distinct => format!("{about}{distinct} distinct values"),
        };
        match (self.kind, self.range) {
            (ColumnType::Boolean, _) => "true and false".to_owned(),
            (_, Some((low, high))) if self.distinct > 1 => format!("{values}, {low} to {high}"),
            (_, Some((low, _))) => format!("{values}, {low}"),
            _ => values,
        }
    }
}
