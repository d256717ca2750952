//! What would these rows be if a column said something else?

use super::enumerated::plain_kind;
use super::frame::LogFrame;
use super::memo::Memo;
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use polars::prelude::{
    BooleanChunked, DataType, IdxCa, IntoColumn, NamedFrom, NewChunkedArray, PlSmallStr, Series,
};

/// Copies some rows of a log, in the given order, with whole columns set to one value. Edits are pairs of
/// column and value; the value is read as the column's type. Source and roles stay those of the log.
///
/// # Errors
/// No such column, a column of lists or times, or a value that is not of the column's type.
pub fn edited_rows(log: &LogFrame, rows: &[u32], edits: &[(String, String)]) -> Result<LogFrame> {
    let picked = IdxCa::from_slice(PlSmallStr::EMPTY, rows);
    let frame = log.frame.take(&picked).explain("cannot pick rows of the log")?;
    let mut picked = LogFrame { frame, memo: Memo::default(), ..log.clone() };
    for (column, value) in edits {
        picked = set(&picked, column, value, None)?;
    }
    Ok(picked)
}

/// Sets a column to one value: in every row, or in those for which `only` is true.
///
/// # Errors
/// As [`edited_rows`].
pub fn set(log: &LogFrame, column: &str, value: &str, only: Option<&[bool]>) -> Result<LogFrame> {
    let mut frame = log.frame.clone();
    {
        log.schema.column(column)?;
        let kind = plain_kind(frame.column(column).explain("cannot edit the log")?.dtype());
        // Columns are stored in the fewest bytes; the new value may need more.
        let kind = if kind.is_integer() { DataType::Int64 } else { kind };
        let refuse = |why: String| Failure::new(format!("cannot set '{column}'"), why);
        if matches!(kind, DataType::List(_) | DataType::Date | DataType::Datetime(_, _)) {
            return Err(refuse("lists and times cannot be edited".to_owned())
                .hint("edit a column of words or numbers, or shift the mix instead"));
        }
        let one = Series::new(PlSmallStr::from_str(column), [value]);
        let cell =
            one.strict_cast(&kind).map_err(|_| refuse(format!("'{value}' is no value of its type")))?;
        let all = cell.new_from_index(0, log.rows());
        let what = "cannot edit the log";
        let edited = match only {
            None => all,
            Some(only) => {
                let mask = BooleanChunked::from_slice(PlSmallStr::EMPTY, only);
                let before = frame.column(column).explain(what)?.as_materialized_series();
                all.zip_with(&mask, &before.cast(&kind).explain(what)?).explain(what)?
            }
        };
        frame.with_column(edited.into_column()).explain(what)?;
    }
    Ok(LogFrame { frame, memo: Memo::default(), ..log.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::cells;
    use polars::prelude::df;

    fn log() -> LogFrame {
        let frame = df!("device" => ["ios", "android", "web"], "age" => [20i64, 30, 40]).unwrap();
        LogFrame::from_frame(frame, &[]).unwrap()
    }

    #[test]
    fn picks_rows_and_sets_columns() {
        let edits = [("device".to_owned(), "tv".to_owned()), ("age".to_owned(), "55".to_owned())];
        let edited = edited_rows(&log(), &[2, 0], &edits).unwrap();
        assert_eq!(cells::coded(&edited, "device").unwrap().values, ["tv"]);
        assert_eq!(cells::numbers(&edited, "age").unwrap(), [55.0, 55.0]);
        let plain = edited_rows(&log(), &[2, 0], &[]).unwrap();
        assert_eq!(cells::numbers(&plain, "age").unwrap(), [40.0, 20.0]);
    }

    #[test]
    fn some_rows_are_set_and_the_others_stay() {
        let edited = set(&log(), "age", "300", Some(&[false, true, false])).unwrap();
        assert_eq!(cells::numbers(&edited, "age").unwrap(), [20.0, 300.0, 40.0]);
        let edited = set(&edited, "device", "tv", Some(&[true, false, true])).unwrap();
        let cells = cells::coded(&edited, "device").unwrap();
        let words: Vec<&str> = cells.codes.iter().map(|code| cells.values[*code as usize].as_str()).collect();
        assert_eq!(words, ["tv", "android", "tv"]);
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let edits = [("age".to_owned(), "old".to_owned())];
        assert!(edited_rows(&log(), &[0], &edits).unwrap_err().why.contains("old"));
        let edits = [("agee".to_owned(), "1".to_owned())];
        assert!(edited_rows(&log(), &[0], &edits).is_err());
    }
}
