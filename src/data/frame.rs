//! What is an opened log? A polars frame whose columns have been understood, with where it came from.

use super::layout::Layout;
use super::memo::Memo;
use super::schema::{Column, ColumnType, Role, Schema};
use crate::base::Result;
use polars::prelude::{DataFrame, DataType};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a log came from and what reading it met.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Source {
    /// The file; empty for a log made in memory.
    pub path: PathBuf,
    /// What the bytes were: "csv, comma, header, utf-8", "parquet".
    pub format: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Rows that could not be read, counted.
    pub bad_rows: u64,
    /// The first of them: physical line and reason.
    pub bad_samples: Vec<BadRow>,
    /// What the reader did that a person should know: an index column dropped, a label mapped from -1/1.
    pub notes: Vec<String>,
    /// What became of each file, where the log has several; empty for one.
    #[serde(default)]
    pub parts: Vec<PartNote>,
    /// The side tables that were joined.
    #[serde(default)]
    pub joins: Vec<JoinNote>,
    /// How the bytes were read (of the first file, where there are several).
    #[serde(default)]
    pub layout: Layout,
    /// The folder of the cache that holds a copy of this log as it was opened.
    #[serde(skip)]
    pub kept_in: Option<PathBuf>,
}

/// What became of one file of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartNote {
    /// The file.
    pub file: PathBuf,
    /// Rows that were read.
    pub rows: u64,
    /// Rows that could not be read.
    pub bad_rows: u64,
    /// Why it was left out; `None` when it was read.
    pub problem: Option<String>,
}

/// How well a side table fitted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinNote {
    /// The table, by the name of its file.
    pub table: String,
    /// The log's column.
    pub key: String,
    /// The table's column.
    pub table_key: String,
    /// Distinct values of the log's column that the table has.
    pub values_matched: u64,
    /// Distinct values of the log's column.
    pub values: u64,
    /// Rows of the log that found a partner; the others have missing cells.
    pub rows_matched: u64,
    /// Rows of the log.
    pub rows: u64,
    /// Rows of the table that repeat a key: the first of each was used.
    pub duplicates: u64,
    /// The columns that came from the table, by their names in the log.
    pub columns: Vec<String>,
}

impl fmt::Display for JoinNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.rows_matched as f64 / self.rows.max(1) as f64;
        // Rounding must not hide a row that found nothing.
        let share = if self.rows_matched < self.rows { share.min(99.99) } else { share };
        write!(f, "{} on {}", self.table, self.key)?;
        if self.key != self.table_key {
            write!(f, " = {}", self.table_key)?;
        }
        let digits = if share.fract() == 0.0 { 0 } else { 2 };
        write!(
            f,
            ": {} of {} values, {share:.digits$} % of {} rows",
            self.values_matched, self.values, self.rows
        )?;
        if self.duplicates > 0 {
            write!(f, "; {} rows of the table repeat a key, the first of each is used", self.duplicates)?;
        }
        Ok(())
    }
}

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// Physical line in the file, from 1.
    pub line: u64,
    /// Why it was left out.
    pub why: String,
}

/// A campaign log in memory. Cheap to clone: the columns are shared.
#[derive(Debug, Clone)]
pub struct LogFrame {
    /// The cells, after type inference; column types are those of [`Schema`].
    pub(in crate::data) frame: DataFrame,
    /// What each column is for.
    pub schema: Schema,
    /// Where it came from.
    pub source: Arc<Source>,
    /// Grows with every change of roles, so that results know which reading they belong to.
    pub revision: u64,
    /// What was found out about the columns.
    pub(in crate::data) memo: Memo,
}

impl LogFrame {
    /// Rows that were read.
    pub fn rows(&self) -> usize {
        self.frame.height()
    }

    /// The first rows alone.
    pub(in crate::data) fn head(&self, rows: usize) -> Self {
        Self { frame: self.frame.head(Some(rows)), ..self.clone() }
    }
}

impl LogFrame {
    /// A log made in memory: column types follow the frame, roles are given; a column without one is ignored.
    ///
    /// # Errors
    /// A role for a column that the frame lacks.
    pub fn from_frame(frame: DataFrame, roles: &[(&str, Role)]) -> Result<Self> {
        let columns = frame.columns().iter();
        let mut schema = Schema {
            columns: columns
                .map(|column| Column {
                    name: column.name().to_string(),
                    kind: ColumnType::of(column.dtype()),
                    role: Role::Ignored,
                    evidence: String::new(),
                })
                .collect(),
        };
        for (name, role) in roles {
            schema.set_role(name, *role)?;
        }
        Ok(Self { frame, schema, source: Arc::default(), revision: 0, memo: Memo::default() })
    }
}

impl ColumnType {
    /// How cells of a polars type are understood.
    pub(in crate::data) fn of(kind: &DataType) -> Self {
        match kind {
            DataType::Boolean => Self::Boolean,
            DataType::List(_) => Self::List,
            DataType::Date | DataType::Datetime(_, _) => Self::Time,
            kind if kind.is_integer() => Self::Integer,
            kind if kind.is_float() => Self::Real,
            _ => Self::Text,
        }
    }
}
