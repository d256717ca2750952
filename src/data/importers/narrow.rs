//! In how few bytes do the whole numbers of a column fit?

use crate::base::Result;
use crate::base::failure::Explain;
use polars::prelude::{ChunkedArray, Column, DataFrame, DataType, PolarsNumericType, PolarsResult, Series};
use rayon::prelude::{IntoParallelIterator, ParallelIterator};

/// Bytes of a number of this type, 8 for any other type.
pub(super) fn bytes_of(kind: &DataType) -> u8 {
    match kind {
        DataType::Int8 => 1,
        DataType::Int16 => 2,
        DataType::Int32 => 4,
        _ => 8,
    }
}

/// A frame whose whole numbers take the fewest bytes.
///
/// # Errors
/// A column that polars cannot turn.
pub(super) fn narrowed_frame(frame: DataFrame) -> Result<DataFrame> {
    let what = "cannot store the log";
    let narrow = |column: Column| narrowed(column.take_materialized_series()).map(Column::from).explain(what);
    let columns: Vec<Column> = frame.into_columns().into_par_iter().map(narrow).collect::<Result<_>>()?;
    DataFrame::new_infer_height(columns).explain(what)
}

/// Whole numbers in the fewest bytes that hold all of them.
fn narrowed(series: Series) -> PolarsResult<Series> {
    if is_narrow(&series)? {
        return Ok(series);
    }
    let low = series.min::<i64>()?.unwrap_or_default();
    let high = series.max::<i64>()?.unwrap_or_default();
    let fits = |least: i64, most: i64| low >= least && high <= most;
    let kind = if fits(i8::MIN.into(), i8::MAX.into()) {
        DataType::Int8
    } else if fits(i16::MIN.into(), i16::MAX.into()) {
        DataType::Int16
    } else {
        DataType::Int32
    };
    series.cast(&kind)
}

/// True when some number needs all the bytes that they have, which most columns show soon.
fn is_narrow(series: &Series) -> PolarsResult<bool> {
    fn any<T: PolarsNumericType>(cells: &ChunkedArray<T>, needs_all: impl Fn(T::Native) -> bool) -> bool {
        cells.iter().flatten().any(needs_all)
    }
    Ok(match series.dtype() {
        DataType::Int16 => any(series.i16()?, |number| i8::try_from(number).is_err()),
        DataType::Int32 => any(series.i32()?, |number| i16::try_from(number).is_err()),
        DataType::Int64 => any(series.i64()?, |number| i32::try_from(number).is_err()),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::NamedFrom;

    #[test]
    fn numbers_take_the_fewest_bytes() {
        let kind = |cells: &[i64]| narrowed(Series::new("n".into(), cells)).unwrap().dtype().clone();
        assert_eq!(kind(&[-128, 127]), DataType::Int8);
        assert_eq!(kind(&[0, 128]), DataType::Int16);
        assert_eq!(kind(&[0, 70_000]), DataType::Int32);
        assert_eq!(kind(&[0, 3_000_000_000]), DataType::Int64);
        let short = Series::new("n".into(), [None, Some(300i16)]);
        assert_eq!(narrowed(short.clone()).unwrap().dtype(), &DataType::Int16);
        assert_eq!(narrowed(short.head(Some(1))).unwrap().dtype(), &DataType::Int8);
    }
}
