//! How do the many column types of binary formats become the six of a log?

use super::build::ColumnBuilder;
use super::container::Input;
use super::guess::{Guess, Plan};
use crate::base::Result;
use crate::base::failure::Explain;
use crate::jobs::JobContext;
use polars::prelude::{
    ChunkAgg, Column, DataFrame, DataType, Float64Chunked, Int64Chunked, IntoSeries, Series, TimeUnit,
};
use std::io::Read;
use std::sync::Arc;

/// All bytes of a compressed file.
///
/// # Errors
/// What the disk answers.
pub(super) fn whole(input: &Input) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = input.unpacked(&Arc::default())?.read_to_end(&mut bytes);
    read.map_err(|error| input.read_failure(&error))?;
    Ok(bytes)
}

/// The same columns as whole numbers, real numbers, flags, texts, times or lists of texts; others are left out
/// with a note. Columns are turned one at a time, so that little more than the log itself is held.
///
/// # Errors
/// A column that polars cannot turn.
pub(super) fn normalise(
    frame: DataFrame,
    notes: &mut Vec<String>,
    context: &JobContext,
) -> Result<DataFrame> {
    let total = frame.width() as u64;
    let mut columns = Vec::with_capacity(frame.width());
    for (done, column) in frame.into_columns().into_iter().enumerate() {
        context.check()?;
        context.progress(done as u64, total);
        let name = column.name().to_string();
        let what = format!("cannot read column '{name}'");
        match normal_series(column.take_materialized_series(), &name, notes).explain(&what)? {
            Some(series) => columns.push(Column::from(series)),
            None => notes.push(format!("'{name}' holds a type that no log has: left out")),
        }
    }
    DataFrame::new_infer_height(columns).explain("cannot store the log")
}

fn normal_series(
    series: Series,
    name: &str,
    notes: &mut Vec<String>,
) -> polars::prelude::PolarsResult<Option<Series>> {
    let millis = DataType::Datetime(TimeUnit::Milliseconds, None);
    let kind = series.dtype().clone();
    let series = match &kind {
        DataType::Boolean => series,
        DataType::String => retyped_text(series, name, notes)?,
        DataType::Date | DataType::Datetime(_, _) => series.cast(&millis)?,
        DataType::List(_) => series.cast(&DataType::List(Box::new(DataType::String)))?,
        DataType::Categorical(..) | DataType::Enum(..) => series.cast(&DataType::String)?,
        DataType::Null => series.cast(&DataType::String)?,
        DataType::UInt64 | DataType::Int128 => match series.strict_cast(&DataType::Int64) {
            Ok(whole) => retyped_whole(whole, name, notes)?,
            Err(_) => {
                notes.push(format!("'{name}' has numbers beyond 64 bits: kept as text"));
                series.cast(&DataType::String)?
            }
        },
        kind if kind.is_integer() => retyped_whole(series.cast(&DataType::Int64)?, name, notes)?,
        kind if kind.is_float() || kind.is_decimal() => {
            retyped_real(series.cast(&DataType::Float64)?, name, notes)?
        }
        _ => return Ok(None),
    };
    Ok(Some(series))
}

/// Texts stay texts, except where every one is a time or a list.
fn retyped_text(
    series: Series,
    name: &str,
    notes: &mut Vec<String>,
) -> polars::prelude::PolarsResult<Series> {
    let mut guess = Guess::default();
    for cell in series.str()?.iter() {
        match cell {
            Some(cell) => guess.see_string(cell),
            None => guess.see_missing(1),
        }
    }
    rebuilt(&series, guess, name, notes, |series, builder| {
        for cell in series.str()?.iter() {
            builder.push(cell.unwrap_or_default());
        }
        Ok(())
    })
}

/// Whole numbers stay so, except where the name and every value say that they are times.
fn retyped_whole(
    series: Series,
    name: &str,
    notes: &mut Vec<String>,
) -> polars::prelude::PolarsResult<Series> {
    let cells: &Int64Chunked = series.i64()?;
    let mut guess = Guess::default();
    if let (Some(low), Some(high)) = (cells.min(), cells.max()) {
        guess.see(&low.to_string());
        guess.see(&high.to_string());
    }
    rebuilt(&series, guess, name, notes, |series, builder| {
        for cell in series.i64()?.iter() {
            builder.push(&cell.map(|cell| cell.to_string()).unwrap_or_default());
        }
        Ok(())
    })
}

/// Real numbers that are all whole are shown as whole: pandas turns ids with gaps into floats.
fn retyped_real(
    series: Series,
    name: &str,
    notes: &mut Vec<String>,
) -> polars::prelude::PolarsResult<Series> {
    let cells: &Float64Chunked = series.f64()?;
    let is_whole = |cell: f64| cell.is_nan() || (cell.fract() == 0.0 && cell.abs() < 9e15);
    if !cells.iter().flatten().all(is_whole) {
        return Ok(series);
    }
    let whole: Int64Chunked =
        cells.iter().map(|cell| cell.filter(|cell| !cell.is_nan()).map(|cell| cell as i64)).collect();
    notes.push(format!("'{name}' holds whole numbers stored as real: read as whole"));
    let whole = whole.into_series().with_name(name.into());
    retyped_whole(whole, name, notes)
}

fn rebuilt(
    series: &Series,
    guess: Guess,
    name: &str,
    notes: &mut Vec<String>,
    fill: impl FnOnce(&Series, &mut ColumnBuilder) -> polars::prelude::PolarsResult<()>,
) -> polars::prelude::PolarsResult<Series> {
    let (plan, note) = guess.plan(name);
    if !matches!(plan, Plan::Time(_) | Plan::List(_)) {
        return Ok(series.clone());
    }
    notes.extend(note);
    let mut builder = ColumnBuilder::new(name, plan, series.len());
    fill(series, &mut builder)?;
    builder.finish().map_err(|failure| polars::prelude::PolarsError::ComputeError(failure.to_string().into()))
}
