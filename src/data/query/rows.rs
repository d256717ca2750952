//! What stands in the rows of a log? An order of some of them, and the cells of those in sight.

use super::filter;
use super::grouping::values_of;
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::cells;
use crate::data::frame::LogFrame;
use crate::data::schema::ColumnType;
use crate::domain::Segment;
use crate::jobs::JobContext;
use polars::prelude::{AnyValue, DataType, Series};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// Letters of a cell that are told; more are cut off.
const LETTERS: usize = 400;

/// Which rows, in which order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RowsQuery {
    /// Only rows in this segment.
    pub filter: Segment,
    /// Only rows in which this text stands in some cell, whatever its case; empty for all.
    pub search: String,
    /// A column, and true for rising; rows stand as in the log without one.
    pub sort: Option<(String, bool)>,
}

/// Rows in an order.
#[derive(Debug, Clone, PartialEq)]
pub struct RowOrder {
    /// The question.
    pub query: RowsQuery,
    /// Row numbers; `None` for all rows as they stand.
    pub rows: Option<Arc<Vec<u32>>>,
    /// How many there are.
    pub count: usize,
    /// Revision of the log.
    pub revision: u64,
}

impl RowOrder {
    /// The row of the log at a place of the order.
    pub fn row(&self, place: usize) -> Option<u32> {
        match &self.rows {
            Some(rows) => rows.get(place).copied(),
            None => (place < self.count).then_some(place as u32),
        }
    }
}

/// The cells of some rows of an order, as text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowPage {
    /// Place of the first row in the order.
    pub first: usize,
    /// Numbers of the rows in the log, from 0.
    pub rows: Vec<u32>,
    /// For each row the text of each column; empty where it is missing.
    pub cells: Vec<Vec<String>>,
    /// The question whose order it is.
    pub query: RowsQuery,
    /// Revision of the log.
    pub revision: u64,
}

/// Finds the order.
///
/// # Errors
/// An unknown column, a filter that makes no sense; a cancel.
pub fn order(log: &LogFrame, query: &RowsQuery, context: &JobContext) -> Result<RowOrder> {
    let all = |rows: Option<Vec<u32>>| {
        let count = rows.as_ref().map_or(log.rows(), Vec::len);
        RowOrder { query: query.clone(), rows: rows.map(Arc::new), count, revision: log.revision }
    };
    let is_whole = query.filter == Segment::All && query.search.is_empty();
    if is_whole && query.sort.is_none() {
        return Ok(all(None));
    }
    context.stage("looking through the rows");
    let mut inside = filter::mask(log, &query.filter)?;
    if !query.search.is_empty() {
        let found = search(log, &query.search, context)?;
        inside.iter_mut().zip(found).for_each(|(inside, found)| *inside &= found);
    }
    let mut rows: Vec<u32> = (0..log.rows() as u32).filter(|row| inside[*row as usize]).collect();
    context.check()?;
    if let Some((column, rising)) = &query.sort {
        context.stage("sorting");
        sort(log, &mut rows, column, *rising)?;
    }
    Ok(all(Some(rows)))
}

/// Rows in which a text stands somewhere.
fn search(log: &LogFrame, text: &str, context: &JobContext) -> Result<Vec<bool>> {
    let wanted = text.to_lowercase();
    let number: Option<f64> = text.trim().parse().ok();
    let mut found = vec![false; log.rows()];
    for column in &log.schema.columns {
        context.check()?;
        let mut here = vec![false; log.rows()];
        match column.kind {
            ColumnType::Text | ColumnType::Boolean => {
                let keyed = values_of(log, &column.name)?;
                let table: Vec<bool> =
                    keyed.values.par_iter().map(|value| value.to_lowercase().contains(&wanted)).collect();
                keyed.codes.look_up(0..log.rows(), &table, &mut here);
            }
            ColumnType::List => {
                let lists = cells::coded_lists(log, &column.name)?;
                let table: Vec<bool> =
                    lists.items.values.iter().map(|value| value.to_lowercase().contains(&wanted)).collect();
                for (here, ends) in here.iter_mut().zip(lists.offsets.windows(2)) {
                    let items = &lists.items.codes[ends[0] as usize..ends[1] as usize];
                    *here = items.iter().any(|code| table.get(*code as usize).copied().unwrap_or(false));
                }
            }
            // Numbers are found as numbers: 1 is not 3.14.
            ColumnType::Integer | ColumnType::Real => {
                let Some(number) = number else { continue };
                let cells = cells::numbers(log, &column.name)?;
                here.iter_mut().zip(cells).for_each(|(here, cell)| *here = cell == number);
            }
            ColumnType::Time => {
                let Some(day) = cells::moment(text.trim()) else { continue };
                let times = cells::times(log, &column.name)?;
                let is_there =
                    |time: Option<i64>| time.is_some_and(|time| cells::date_of(time) == cells::date_of(day));
                here.iter_mut().zip(times).for_each(|(here, time)| *here = is_there(time));
            }
        }
        found.iter_mut().zip(here).for_each(|(found, here)| *found |= here);
    }
    Ok(found)
}

/// Sorts by a column: numbers and times by size, texts by letters; missing cells last, equal ones as they stand.
fn sort(log: &LogFrame, rows: &mut [u32], column: &str, rising: bool) -> Result<()> {
    let kind = log.schema.column(column)?.kind;
    let keys: Vec<f64> = match kind {
        ColumnType::List => {
            return Err(Failure::new("cannot sort the rows", format!("the cells of '{column}' are lists"))
                .hint("sort by another column"));
        }
        ColumnType::Integer | ColumnType::Real => cells::numbers(log, column)?,
        ColumnType::Time => {
            let times = cells::times(log, column)?;
            times.into_iter().map(|time| time.map_or(f64::NAN, |time| time as f64)).collect()
        }
        ColumnType::Text | ColumnType::Boolean => {
            let keyed = values_of(log, column)?;
            let mut places: Vec<u32> = (0..keyed.missing()).collect();
            places.par_sort_by(|a, b| keyed.values[*a as usize].cmp(&keyed.values[*b as usize]));
            let mut rank = vec![f64::NAN; keyed.values.len() + 1];
            for (place, code) in places.into_iter().enumerate() {
                rank[code as usize] = place as f64;
            }
            (0..log.rows()).map(|row| rank[keyed.codes.get(row) as usize]).collect()
        }
    };
    let sign = if rising { 1.0 } else { -1.0 };
    rows.par_sort_by(|a, b| {
        let (a, b) = (keys[*a as usize], keys[*b as usize]);
        a.is_nan().cmp(&b.is_nan()).then((sign * a).total_cmp(&(sign * b)))
    });
    Ok(())
}

/// The cells of some places of an order.
///
/// # Errors
/// Cells that cannot be read.
pub fn page(log: &LogFrame, order: &RowOrder, places: Range<usize>) -> Result<RowPage> {
    let last = places.end.min(order.count);
    let rows: Vec<u32> = (places.start.min(last)..last).filter_map(|place| order.row(place)).collect();
    let mut cells = vec![Vec::with_capacity(log.schema.columns.len()); rows.len()];
    for column in &log.schema.columns {
        let series = log.frame.column(&column.name).explain("cannot show the rows")?.as_materialized_series();
        for (cells, row) in cells.iter_mut().zip(&rows) {
            cells.push(text_of(series, *row as usize)?);
        }
    }
    Ok(RowPage { first: places.start, rows, cells, query: order.query.clone(), revision: order.revision })
}

fn text_of(series: &Series, row: usize) -> Result<String> {
    let cell = series.get(row).explain("cannot show the rows")?;
    let text = match &cell {
        AnyValue::Null => String::new(),
        AnyValue::String(text) => (*text).to_owned(),
        AnyValue::Enum(code, words) => words.cat_to_str(*code).unwrap_or_default().to_owned(),
        AnyValue::List(items) => {
            let items = items.cast(&DataType::String).explain("cannot show the rows")?;
            let items: Vec<&str> = items.str().explain("cannot show the rows")?.iter().flatten().collect();
            items.join(", ")
        }
        AnyValue::Datetime(..) | AnyValue::DatetimeOwned(..) => {
            cell.to_string().trim_end_matches(".000").trim_end_matches(" 00:00:00").to_owned()
        }
        cell => cell.to_string(),
    };
    let cut = text.char_indices().nth(LETTERS).map(|(at, _)| at);
    Ok(cut.map_or(text.clone(), |at| format!("{}…", &text[..at])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::Role;
    use polars::prelude::{NamedFrom, df};

    fn log() -> LogFrame {
        let list = |items: &[&str]| Series::new("".into(), items);
        let frame = df!(
            "city" => [Some("Köln"), Some("上海"), None, Some("Bern")],
            "price" => [Some(2.5), Some(-1.0), Some(10.0), None],
            "seen" => [list(&["a", "体育"]), list(&[]), list(&["b"]), list(&["a"])],
        )
        .unwrap();
        LogFrame::from_frame(frame, &[("city", Role::Categorical), ("price", Role::Numeric)]).unwrap()
    }

    fn rows(query: RowsQuery) -> Vec<u32> {
        let found = order(&log(), &query, &JobContext::detached()).unwrap();
        (0..found.count).map(|place| found.row(place).unwrap()).collect()
    }

    #[test]
    fn rows_are_sorted_with_missing_cells_last_either_way() {
        let by =
            |column: &str, rising| RowsQuery { sort: Some((column.into(), rising)), ..RowsQuery::default() };
        assert_eq!(rows(RowsQuery::default()), [0, 1, 2, 3]);
        assert_eq!(rows(by("price", true)), [1, 0, 2, 3]);
        assert_eq!(rows(by("price", false)), [2, 0, 1, 3]);
        assert_eq!(rows(by("city", true)), [3, 0, 1, 2]);
        assert!(order(&log(), &by("seen", true), &JobContext::detached()).unwrap_err().why.contains("lists"));
        assert!(order(&log(), &by("town", true), &JobContext::detached()).is_err());
    }

    #[test]
    fn rows_are_found_by_text_number_and_filter() {
        let find = |text: &str| rows(RowsQuery { search: text.into(), ..RowsQuery::default() });
        assert_eq!(find("KÖ"), [0]);
        assert_eq!(find("上"), [1]);
        assert_eq!(find("体"), [0]);
        assert_eq!(find("10"), [2]);
        assert_eq!(find("nowhere"), [0u32; 0]);
        let query = RowsQuery {
            filter: Segment::parse("price > 0").unwrap(),
            search: "b".into(),
            ..RowsQuery::default()
        };
        assert_eq!(rows(query), [2]);
    }

    #[test]
    fn a_page_holds_the_cells_in_sight() {
        let log = log();
        let query = RowsQuery { sort: Some(("price".into(), true)), ..RowsQuery::default() };
        let order = order(&log, &query, &JobContext::detached()).unwrap();
        let page = page(&log, &order, 1..9).unwrap();
        assert_eq!((page.first, page.rows.as_slice()), (1, [0, 2, 3].as_slice()));
        assert_eq!(page.cells[0], ["Köln", "2.5", "a, 体育"]);
        assert_eq!(page.cells[1], ["", "10.0", "b"]);
    }
}
