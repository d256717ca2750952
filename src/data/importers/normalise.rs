//! How do the many column types of binary formats become the six of a log?

use super::build::ColumnBuilder;
use super::container::Input;
use super::delimited::note_unreadable;
use super::fill::COLUMNS_AT_ONCE;
use super::guess::{Guess, Plan, Unit};
use super::reading::Reading;
use super::words::Words;
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::layout::ColumnReading;
use crate::jobs::JobContext;
use memchr::memchr;
use polars::prelude::{
    Column, DataFrame, DataType, Float64Chunked, Int64Chunked, IntoSeries, Series, TimeUnit,
};
use rayon::prelude::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
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
/// with a note. Columns are turned a few at a time, so that little more than the log itself is held. With them comes how
/// the cells of those columns were read whose type the file does not tell: texts and numbers that are times or lists,
/// and what a person has decided.
///
/// # Errors
/// A column that polars cannot turn.
pub(super) fn normalise(
    frame: DataFrame,
    reading: &Reading,
    notes: &mut Vec<String>,
    context: &JobContext,
) -> Result<(DataFrame, Vec<ColumnReading>)> {
    let total = frame.width() as u64;
    let mut columns = Vec::with_capacity(frame.width());
    let mut readings = Vec::new();
    let mut waiting = frame.into_columns().into_iter();
    // Their memory is given back group by group.
    for done in (0..total).step_by(COLUMNS_AT_ONCE) {
        context.check()?;
        context.progress(done, total);
        let group: Vec<Column> = waiting.by_ref().take(COLUMNS_AT_ONCE).collect();
        let turned = group.into_par_iter().with_max_len(1).map(|column| turned(column, reading));
        for turned in turned.collect::<Result<Vec<_>>>()? {
            columns.extend(turned.column);
            readings.extend(turned.reading);
            notes.extend(turned.notes);
        }
    }
    Ok((DataFrame::new_infer_height(columns).explain("cannot store the log")?, readings))
}

/// A column as a log holds it.
struct Turned {
    /// `None` for a type that no log has.
    column: Option<Column>,
    /// How its cells were read, where its type does not tell.
    reading: Option<ColumnReading>,
    notes: Vec<String>,
}

fn turned(column: Column, reading: &Reading) -> Result<Turned> {
    let name = column.name().to_string();
    let what = format!("cannot read column '{name}'");
    let asked = reading.columns.get(&name).copied();
    let mut turn = Turn { name: &name, asked, plan: None, notes: Vec::new() };
    let series = turn.normal(column.take_materialized_series()).explain(&what)?;
    if series.is_none() {
        turn.notes.push(format!("'{name}' holds a type that no log has: left out"));
    }
    let reading = turn.plan.map(|plan| ColumnReading {
        column: name.clone(),
        plan: plan.to_string(),
        words: plan.describe(),
        ..ColumnReading::default()
    });
    Ok(Turned { column: series.map(Column::from), reading, notes: turn.notes })
}

/// Some cells of a column, as [`normalise`] turned the cells of the opened log: into the type that it has there, by
/// the plan by which it was read.
///
/// # Errors
/// Cells that the type does not hold, which the rows of the opened log did not tell.
pub(super) fn normal_as(series: &Series, kind: &DataType, plan: Option<Plan>) -> Result<Series> {
    let name = series.name().to_string();
    let explained = format!("cannot read column '{name}'");
    let refuse = |why: String| Failure::new(&explained, why);
    let is_text = |kind: &DataType| kind.is_categorical() || kind.is_enum() || kind.is_null();
    let is_rebuilt = kind.is_integer() || (plan.is_some() && !kind.is_float());
    let series = match series.dtype() {
        from if is_text(from) => series.cast(&DataType::String).explain(&explained)?,
        from if (from.is_float() || from.is_decimal()) && is_rebuilt => {
            let cells = series.cast(&DataType::Float64).explain(&explained)?;
            let cells = cells.f64().explain(&explained)?;
            if !cells.iter().flatten().all(is_whole) {
                return Err(refuse("it holds fractions, and the rows of the sample do not".to_owned()));
            }
            whole_of(cells).into_series().with_name(name.as_str().into())
        }
        _ => series.clone(),
    };
    let normal = match (series.dtype(), plan) {
        (DataType::String, Some(plan)) => {
            let mut builder = ColumnBuilder::new(&name, plan, series.len());
            push_texts(&series, &mut builder).explain(&explained)?;
            builder.finish()?
        }
        (from, Some(plan)) if from.is_integer() => {
            let mut builder = ColumnBuilder::new(&name, plan, series.len());
            push_wholes(&series, &mut builder).explain(&explained)?;
            builder.finish()?
        }
        _ => series,
    };
    let kind = normal_kind(kind);
    if matches!(kind, DataType::List(_)) != matches!(normal.dtype(), DataType::List(_)) {
        return Err(refuse("its lists were found by content".to_owned()));
    }
    let cast = normal.cast(&kind).explain(&explained)?;
    if cast.null_count() != normal.null_count() {
        let why = format!("it holds cells that are no {kind}, and the rows of the sample do not");
        return Err(refuse(why));
    }
    // A text that holds a zero byte has no key among the others.
    let has_zero = |text: &str| memchr(0, text.as_bytes()).is_some();
    if cast.dtype().is_string() && cast.str().explain(&explained)?.iter().flatten().any(has_zero) {
        return Err(refuse("it holds texts with a zero byte".to_owned()));
    }
    Ok(cast)
}

/// One of the six types of a log that holds the cells of this one.
fn normal_kind(kind: &DataType) -> DataType {
    match kind {
        kind if kind.is_integer() => DataType::Int64,
        kind if kind.is_float() => DataType::Float64,
        DataType::Date | DataType::Datetime(..) => DataType::Datetime(TimeUnit::Milliseconds, None),
        DataType::List(_) => DataType::List(Box::new(DataType::String)),
        kind => kind.clone(),
    }
}

/// A column on its way.
struct Turn<'a> {
    name: &'a str,
    /// What was decided beforehand.
    asked: Option<Plan>,
    /// What it was built by, where its own type was not enough.
    plan: Option<Plan>,
    notes: Vec<String>,
}

impl Turn<'_> {
    fn normal(&mut self, series: Series) -> polars::prelude::PolarsResult<Option<Series>> {
        let kind = series.dtype().clone();
        let series = match &kind {
            DataType::Boolean => series,
            DataType::String => self.retyped_text(series)?,
            kind @ (DataType::Date | DataType::Datetime(..) | DataType::List(_)) => {
                series.cast(&normal_kind(kind))?
            }
            DataType::Categorical(..) | DataType::Enum(..) => series.cast(&DataType::String)?,
            DataType::Null => series.cast(&DataType::String)?,
            DataType::UInt64 | DataType::Int128 => match series.strict_cast(&DataType::Int64) {
                Ok(whole) => self.retyped_whole(whole)?,
                Err(_) => {
                    self.notes.push(format!("'{}' has numbers beyond 64 bits: kept as text", self.name));
                    series.cast(&DataType::String)?
                }
            },
            DataType::Int8 | DataType::Int16 | DataType::Int32 => self.retyped_whole(series)?,
            kind if kind.is_integer() => self.retyped_whole(series.cast(&DataType::Int64)?)?,
            kind if kind.is_float() || kind.is_decimal() => {
                self.retyped_real(series.cast(&DataType::Float64)?)?
            }
            _ => return Ok(None),
        };
        Ok(Some(series))
    }

    /// Texts stay texts, except where every one is a time, a list, or a number by its name too.
    fn retyped_text(&mut self, series: Series) -> polars::prelude::PolarsResult<Series> {
        let mut guess = Guess::default();
        // Most texts come again, and are looked at once.
        let mut words = Words::default();
        for cell in series.str()?.iter() {
            match cell {
                Some(cell) => drop(words.see(cell, true, &mut guess)),
                None => guess.see_missing(1),
            }
        }
        words.count(&mut guess);
        self.rebuilt(series, guess, push_texts)
    }

    /// Whole numbers stay so, except where the name and every value say that they are times or millionths of money.
    fn retyped_whole(&mut self, series: Series) -> polars::prelude::PolarsResult<Series> {
        let mut guess = Guess::default();
        if let (Some(low), Some(high)) = (series.min::<i64>()?, series.max::<i64>()?) {
            guess.see(&low.to_string());
            guess.see(&high.to_string());
        }
        self.rebuilt(series, guess, push_wholes)
    }

    /// Real numbers that are all whole are shown as whole: pandas turns ids with gaps into floats.
    fn retyped_real(&mut self, series: Series) -> polars::prelude::PolarsResult<Series> {
        let cells: &Float64Chunked = series.f64()?;
        if !cells.iter().flatten().all(is_whole) {
            return Ok(series);
        }
        self.notes.push(format!("'{}' holds whole numbers stored as real: read as whole", self.name));
        let whole = whole_of(cells).into_series().with_name(self.name.into());
        self.retyped_whole(whole)
    }

    /// The column as it was asked for, or as the times, lists or numbers that all its cells are.
    fn rebuilt(
        &mut self,
        series: Series,
        guess: Guess,
        fill: fn(&Series, &mut ColumnBuilder) -> polars::prelude::PolarsResult<()>,
    ) -> polars::prelude::PolarsResult<Series> {
        let plan = match self.asked {
            Some(plan) => plan,
            None => {
                let (plan, note) = guess.plan(self.name);
                let is_other = match plan {
                    Plan::Time(_) | Plan::List(_) => true,
                    Plan::Number(numeral) => numeral.unit == Unit::Micros,
                    Plan::Integer | Plan::Real => series.dtype().is_string(),
                    _ => false,
                };
                if !is_other {
                    return Ok(series);
                }
                self.notes.extend(note);
                plan
            }
        };
        let mut builder = ColumnBuilder::new(self.name, plan, series.len());
        fill(&series, &mut builder)?;
        note_unreadable(self.name, builder.unreadable, &mut self.notes);
        self.plan = Some(plan);
        builder
            .finish()
            .map_err(|failure| polars::prelude::PolarsError::ComputeError(failure.to_string().into()))
    }
}

fn is_whole(cell: f64) -> bool {
    cell.is_nan() || (cell.fract() == 0.0 && cell.abs() < 9e15)
}

/// Real numbers that are all whole, as such; NaN is missing.
fn whole_of(cells: &Float64Chunked) -> Int64Chunked {
    cells.iter().map(|cell| cell.filter(|cell| !cell.is_nan()).map(|cell| cell as i64)).collect()
}

fn push_texts(series: &Series, builder: &mut ColumnBuilder) -> polars::prelude::PolarsResult<()> {
    series.str()?.iter().for_each(|cell| builder.push(cell.unwrap_or_default()));
    Ok(())
}

fn push_wholes(series: &Series, builder: &mut ColumnBuilder) -> polars::prelude::PolarsResult<()> {
    for cell in series.cast(&DataType::Int64)?.i64()?.iter() {
        builder.push(&cell.map(|cell| cell.to_string()).unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::df;

    #[test]
    fn texts_and_millionths_that_their_names_call_numbers_are_numbers() {
        let frame = df!(
            "impressions" => ["100", "250", "7"],
            "spend" => [Some("1.5"), None, Some("2")],
            "cost_micros" => [1_250_000i64, 300_000, 0],
            "campaign_id" => ["71", "72", "71"],
        )
        .unwrap();
        let mut notes = Vec::new();
        let context = JobContext::detached();
        let (turned, readings) = normalise(frame.clone(), &Reading::default(), &mut notes, &context).unwrap();
        let numbers = |series: &Series| {
            let cells = series.cast(&DataType::Float64).unwrap();
            cells.f64().unwrap().iter().collect::<Vec<_>>()
        };
        for (name, plan, expected) in [
            ("impressions", "integer", [Some(100.0), Some(250.0), Some(7.0)]),
            ("spend", "real", [Some(1.5), None, Some(2.0)]),
            ("cost_micros", "micros point", [Some(1.25), Some(0.3), Some(0.0)]),
        ] {
            let column = turned.column(name).unwrap().as_materialized_series();
            assert!(column.dtype().is_primitive_numeric(), "{name}: {}", column.dtype());
            assert_eq!(numbers(column), expected, "{name}");
            let reading = readings.iter().find(|reading| reading.column == name).unwrap();
            assert_eq!(reading.plan, plan);
            // A piece that is streamed is read in the same way.
            let piece = frame.column(name).unwrap().as_materialized_series();
            let streamed = normal_as(piece, column.dtype(), Some(plan.parse().unwrap())).unwrap();
            assert_eq!(numbers(&streamed), expected, "{name}");
        }
        assert!(turned.column("campaign_id").unwrap().dtype().is_string());
        assert_eq!((readings.len(), notes.len()), (3, 3), "{notes:?}");
    }
}
