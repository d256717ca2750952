//! What does encoding ask of a log? Its columns one at a time, whether it lies in memory or is too large for that.
//!
//! Fitting and encoding know nothing else of a log, so one that is streamed from its file is encoded by the same code,
//! in the same order, as one that is held: the result is the same to the bit.

use super::array::Array;
use super::cells::{self, Coded, CodedLists, NO_CODE};
use super::frame::LogFrame;
use super::schema::Schema;
use crate::base::Result;
use crate::jobs::JobContext;
use rayon::prelude::{IntoParallelIterator, ParallelIterator};
use std::path::Path;
use std::sync::Arc;

/// Time of a row that has none. It sorts before every other, as a row without a time can only be trusted as past.
pub const NO_TIME: i64 = i64::MIN;

/// A column as small numbers, as [`Coded`], that may lie in a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Codes {
    /// Distinct values in the order in which they first appear.
    pub values: Arc<Vec<String>>,
    /// One code per cell; [`NO_CODE`] where it is missing.
    pub codes: Array<u32>,
}

impl Codes {
    /// How often each value occurs in the given rows.
    pub fn counts(&self, rows: &[u32]) -> Vec<u32> {
        cells::counts(self.values.len(), &self.codes, rows)
    }
}

impl From<Coded> for Codes {
    fn from(coded: Coded) -> Self {
        Self { values: Arc::new(coded.values), codes: coded.codes.into() }
    }
}

/// A column of lists as small numbers, as [`CodedLists`], that may lie in a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodeLists {
    /// Start of each row, and the end of the last: `rows + 1` entries.
    pub offsets: Array<u64>,
    /// All items one after another.
    pub items: Codes,
}

impl CodeLists {
    /// The items of a row, oldest first; `None` for one that is missing.
    pub fn of_row(&self, row: usize) -> impl Iterator<Item = Option<&str>> {
        let codes = &self.items.codes[self.offsets[row] as usize..self.offsets[row + 1] as usize];
        codes.iter().map(|code| match *code {
            NO_CODE => None,
            code => self.items.values.get(code as usize).map(String::as_str),
        })
    }
}

impl From<CodedLists> for CodeLists {
    fn from(lists: CodedLists) -> Self {
        let offsets = lists.offsets.into_iter().map(u64::from).collect();
        Self { offsets, items: lists.items.into() }
    }
}

/// The columns of a log, which may be asked for side by side.
pub trait Columns: Sync {
    /// What each column is for.
    fn schema(&self) -> &Schema;

    /// How many rows.
    fn rows(&self) -> usize;

    /// The file; empty for a log made in memory.
    fn path(&self) -> &Path;

    /// As [`cells::coded`].
    ///
    /// # Errors
    /// No such column, or a column of lists.
    fn coded(&self, column: &str) -> Result<Codes>;

    /// As [`cells::numbers`].
    ///
    /// # Errors
    /// No such column, or a column of lists.
    fn numbers(&self, column: &str) -> Result<Array<f64>>;

    /// As [`cells::times`], with [`NO_TIME`] where one is missing.
    ///
    /// # Errors
    /// No such column, or one that has no order of times.
    fn times(&self, column: &str) -> Result<Array<i64>>;

    /// As [`cells::is_calendar_time`].
    ///
    /// # Errors
    /// No such column.
    fn is_calendar_time(&self, column: &str) -> Result<bool>;

    /// As [`cells::coded_lists`]; `None` where the cells are no lists.
    ///
    /// # Errors
    /// No such column.
    fn lists(&self, column: &str) -> Result<Option<CodeLists>>;

    /// True when there is such a column.
    fn has(&self, column: &str) -> bool {
        self.schema().column(column).is_ok()
    }
}

/// Work on so many columns side by side, in their order; a few at a time, since each may hold all values of a column
/// and a thread that waits for polars takes the next one meanwhile.
pub(in crate::data) fn side_by_side<T: Send>(
    columns: usize,
    context: &JobContext,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    const AT_ONCE: usize = 4;
    let mut done = Vec::with_capacity(columns);
    while done.len() < columns {
        context.check()?;
        context.progress(done.len() as u64, columns as u64);
        let few = done.len()..columns.min(done.len() + AT_ONCE);
        done.extend(few.into_par_iter().map(&work).collect::<Result<Vec<T>>>()?);
    }
    Ok(done)
}

impl Columns for LogFrame {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn rows(&self) -> usize {
        Self::rows(self)
    }

    fn path(&self) -> &Path {
        &self.source.path
    }

    fn coded(&self, column: &str) -> Result<Codes> {
        cells::coded(self, column).map(Codes::from)
    }

    fn numbers(&self, column: &str) -> Result<Array<f64>> {
        cells::numbers(self, column).map(Array::from)
    }

    fn times(&self, column: &str) -> Result<Array<i64>> {
        let times = cells::times(self, column)?;
        Ok(times.into_iter().map(|time| time.unwrap_or(NO_TIME)).collect())
    }

    fn is_calendar_time(&self, column: &str) -> Result<bool> {
        cells::is_calendar_time(self, column)
    }

    fn lists(&self, column: &str) -> Result<Option<CodeLists>> {
        if !cells::is_list(self, column)? {
            return Ok(None);
        }
        cells::coded_lists(self, column).map(|lists| Some(lists.into()))
    }
}
