//! How do rows that name their own cells become columns? JSON objects, `slot:value` pairs and namespaces have no
//! common header, and a name may come first in the last row.
//!
//! Names and types are learned while the columns are filled ([`read_rows`]), or were learned beforehand
//! ([`build_rows`]): the text is never held, and a cell that a row lacks is missing.

use super::batch::{Batch, Batches, MAX_COLUMNS, Names};
use super::build::ColumnBuilder;
use super::container::Input;
use super::delimited::{filled, finish};
use super::fill::Fill;
use super::guess::{Convention, LIST_MARK, Plan};
use super::keep::Keep;
use super::records::BadRows;
use crate::base::Result;
use crate::data::layout::{ColumnReading, ColumnTotal, Layout};
use crate::jobs::JobContext;
use polars::prelude::DataFrame;

/// The text of a cell and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub text: String,
    /// True when it is text whatever it looks like.
    pub is_string: bool,
}

impl Cell {
    /// A cell whose type its text shows: a number, a flag, a date.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_string: false }
    }

    /// A cell that is text even if it holds digits.
    pub fn string(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_string: true }
    }

    /// A cell that holds a list; an empty list is not a missing one.
    pub fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Self {
        let mut text = String::new();
        for item in items {
            text.push(LIST_MARK);
            text.push_str(item.as_ref());
        }
        if text.is_empty() {
            text.push(LIST_MARK);
        }
        Self { text, is_string: true }
    }

    /// The text, with lists in the form that [`Plan::List`] reads.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// A row as names (or places of columns) with cells.
pub(super) type Row<Key = String> = Vec<(Key, Cell)>;

/// What reading rows gave.
pub(super) struct Rows {
    pub frame: DataFrame,
    pub bad: BadRows,
    pub notes: Vec<String>,
    pub layout: Layout,
}

/// Rows that are handed over at once.
const ROWS_AT_ONCE: usize = 4096;

/// Takes batches of rows, with the share of the file that is read by then where that is known; false for enough.
pub(super) type Visit<'a> = dyn FnMut(&mut [Batch], Option<f64>) -> bool + Send + 'a;

/// Reads rows from a source that can be gone through again: `each` calls its argument once for every row.
///
/// # Errors
/// What `each` answers.
pub(super) fn read_rows(
    input: &Input,
    context: &JobContext,
    each: impl Fn(&mut dyn FnMut(Row)) -> Result<BadRows>,
) -> Result<Rows> {
    read_batches(input, context, |visit: &mut Visit<'_>| {
        let mut batch = [Batch::default()];
        let bad = each(&mut |row| {
            batch[0].push_row(row);
            if batch[0].rows() >= ROWS_AT_ONCE {
                visit(&mut batch, None);
                batch[0].clear();
            }
        })?;
        visit(&mut batch, None);
        Ok(bad)
    })
}

/// As [`read_rows`], where `each` hands over many rows at once.
///
/// # Errors
/// What `each` answers.
pub(super) fn read_batches(
    input: &Input,
    context: &JobContext,
    each: impl Fn(&mut Visit<'_>) -> Result<BadRows>,
) -> Result<Rows> {
    context.stage("reading the rows");
    let mut run = Run::new(input);
    let bad = each(&mut |batches, share| {
        run.look_and_store(batches, share);
        true
    })?;
    let mut notes = run.notes();
    let (plans, columns): (Vec<_>, Vec<_>) = run.settle(0, &mut notes).into_iter().unzip();
    let rows = run.fill.passed();
    if let Some((bytes, at)) = run.full_at {
        let mut keep = run.fill.keep().fitted(bytes as f64 * rows as f64 / at.max(1) as f64);
        loop {
            context.stage("reading a sample of the rows");
            run.fill.begin_again(keep, &plans);
            each(&mut |batches, _| {
                run.store(batches);
                true
            })?;
            if !run.fill.is_over() {
                break;
            }
            keep = keep.halved();
        }
    } else if run.fill.settle(&plans) {
        context.stage("reading columns again that turned out otherwise");
        each(&mut |batches, _| {
            run.store(batches);
            true
        })?;
    }
    let (keep, totals) = (run.fill.keep(), run.fill.totals());
    let frame = filled(run.fill, &mut notes)?;
    let sample = keep.note(frame.height() as u64, rows, totals);
    Ok(Rows { frame, bad, notes, layout: Layout { sample, columns, ..input.layout() } })
}

/// Columns that are found and filled while the rows pass.
struct Run<'a> {
    input: &'a Input,
    names: Names,
    fill: Fill,
    /// Bytes that were stored when the memory was full, and rows that had passed.
    full_at: Option<(u64, u64)>,
}

impl<'a> Run<'a> {
    fn new(input: &'a Input) -> Self {
        let fill = Fill::new(&[], input.keep);
        Self { input, names: Names::default(), fill, full_at: None }
    }

    fn look_and_store(&mut self, batches: &mut [Batch], share: Option<f64>) {
        let seen = self.fill.width();
        self.names.place(batches, &mut self.fill);
        let block = Batches::of(batches, self.fill.width());
        if self.full_at.is_some() {
            self.fill.look(&block, 0);
            self.fill.pass(&block);
            return;
        }
        let is_first = self.fill.passed() == 0;
        self.fill.look(&block, seen);
        let plans = self.settle(seen, &mut Vec::new());
        self.fill.begin_late(seen, plans.into_iter().map(|(plan, _)| plan));
        self.fill.look_and_store(&block, seen);
        if let Some(share) = share.filter(|_| is_first) {
            self.fill.fit(&block, share);
        }
        if self.fill.is_over() {
            self.full_at = Some((self.fill.bytes_about(), self.fill.passed()));
            self.fill.close();
        }
    }

    fn store(&mut self, batches: &mut [Batch]) {
        // Names that were left out are counted already.
        let left_out = self.names.left_out;
        self.names.place(batches, &mut self.fill);
        self.names.left_out = left_out;
        self.fill.store(&Batches::of(batches, self.fill.width()));
    }

    /// How the columns from `first` on are read: as was asked for, or as all cells so far tell.
    fn settle(&mut self, first: usize, notes: &mut Vec<String>) -> Vec<(Plan, ColumnReading)> {
        if first >= self.names.all().len() {
            return Vec::new();
        }
        let guesses = self.fill.guesses();
        let convention = Convention::of(guesses.iter());
        let columns = self.names.all().iter().zip(&guesses).skip(first);
        columns
            .map(|(name, guess)| {
                let mut found = guess.settle(name, convention);
                let plan = self.input.reading.columns.get(name).copied().unwrap_or_else(|| {
                    notes.append(&mut found.notes);
                    found.plan
                });
                (plan, found.reading(name, plan))
            })
            .collect()
    }

    fn notes(&self) -> Vec<String> {
        let left_out = self.names.left_out;
        let too_many = (left_out > 0)
            .then(|| format!("{left_out} cells with names beyond the first {MAX_COLUMNS} were left out"));
        too_many.into_iter().collect()
    }
}

/// Fills columns of known types with `rows` rows, or with a sample of them where all do not fit into memory.
/// `place` tells the column of a key, given the one that would come next.
///
/// # Errors
/// What `each` answers.
pub(super) fn build_rows<Key>(
    input: &Input,
    context: &JobContext,
    each: impl Fn(&mut dyn FnMut(Row<Key>)) -> Result<BadRows>,
    columns: &[(String, Plan)],
    rows: usize,
    place: impl Fn(&Key, usize) -> Option<usize>,
    notes: &mut Vec<String>,
) -> Result<(DataFrame, Layout)> {
    context.stage("reading the rows");
    let mut build = Build::new(input.keep, columns, rows);
    each(&mut |row| build.add(row, &place))?;
    build.decide();
    let keep = build.keep;
    let names: Vec<_> = columns.iter().map(|(name, _)| name.clone()).collect();
    let frame = finish(&names, build.builders, notes)?;
    let totals = build.totals.into_iter().filter(|total| total.n > 0).collect();
    let reading = |(name, plan): &(String, Plan)| ColumnReading {
        column: name.clone(),
        plan: plan.to_string(),
        words: plan.describe(),
        ..ColumnReading::default()
    };
    let layout = Layout {
        sample: keep.note(frame.height() as u64, rows as u64, totals),
        columns: columns.iter().map(reading).collect(),
        ..input.layout()
    };
    Ok((frame, layout))
}

/// Rows that tell how much memory all of them would take.
const FIRST_ROWS: usize = 4096;

/// The columns while they are filled.
struct Build<'a> {
    columns: &'a [(String, Plan)],
    builders: Vec<ColumnBuilder>,
    totals: Vec<ColumnTotal>,
    rows: usize,
    passed: u64,
    keep: Keep,
    /// The first rows as texts, until it is decided which rows are kept.
    first: Option<Vec<Vec<String>>>,
    cells: Vec<String>,
}

impl<'a> Build<'a> {
    fn new(keep: Keep, columns: &'a [(String, Plan)], rows: usize) -> Self {
        let total =
            |(name, _): &(String, Plan)| ColumnTotal { column: name.clone(), ..ColumnTotal::default() };
        Self {
            columns,
            builders: Vec::new(),
            totals: columns.iter().map(total).collect(),
            rows,
            passed: 0,
            keep,
            first: Some(Vec::new()),
            cells: vec![String::new(); columns.len()],
        }
    }

    fn add<Key>(&mut self, row: Row<Key>, place: impl Fn(&Key, usize) -> Option<usize>) {
        self.cells.iter_mut().for_each(String::clear);
        let mut expected = 0;
        for (key, cell) in row {
            if let Some(column) = place(&key, expected) {
                expected = column + 1;
                if let Some(slot) = self.cells.get_mut(column) {
                    *slot = cell.text;
                }
            }
        }
        match &mut self.first {
            Some(first) => {
                first.push(self.cells.clone());
                if first.len() >= FIRST_ROWS {
                    self.decide();
                }
            }
            None => self.push(),
        }
    }

    /// Decides from the first rows which ones are kept, and stores those of them.
    fn decide(&mut self) {
        let Some(first) = self.first.take() else {
            return;
        };
        let bytes: f64 = first.iter().map(|row| self.bytes(row)).sum();
        let all = bytes / first.len().max(1) as f64 * self.rows as f64;
        if self.keep.is_all() {
            self.keep = self.keep.fitted(all);
        }
        let room = if self.keep.is_all() { self.rows } else { 0 };
        let columns = self.columns.iter();
        self.builders = columns.map(|(name, plan)| ColumnBuilder::new(name, *plan, room)).collect();
        for cells in first {
            self.cells = cells;
            self.push();
        }
    }

    /// The memory that a row takes, about.
    fn bytes(&self, row: &[String]) -> f64 {
        let cell = |((_, plan), cell): (&(String, Plan), &String)| match plan {
            Plan::Boolean => 0.25,
            // Short texts stand within their 16 bytes.
            Plan::Text => 16.0 + if cell.len() > 12 { cell.len() as f64 } else { 0.0 },
            Plan::List(separator) => {
                let items = cell.matches(*separator).count() + 1;
                8.0 + 16.0 * items as f64 + cell.len() as f64
            }
            _ => 8.0,
        };
        self.columns.iter().zip(row).map(cell).sum()
    }

    fn push(&mut self) {
        let is_kept = self.keep.keeps(self.passed);
        self.passed += 1;
        if !self.keep.is_all() {
            let columns = self.columns.iter().zip(&self.cells).zip(&mut self.totals);
            for (((_, plan), cell), total) in columns {
                if matches!(plan, Plan::Integer | Plan::Real)
                    && let Ok(number) = cell.parse()
                {
                    total.see(number);
                }
            }
        }
        if is_kept {
            self.builders.iter_mut().zip(&self.cells).for_each(|(builder, cell)| builder.push(cell));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::file;
    use super::*;

    fn read(rows: &[Row]) -> Rows {
        let each = |visit: &mut dyn FnMut(Row)| {
            rows.iter().for_each(|row| visit(row.clone()));
            Ok(BadRows::default())
        };
        let (_folder, input) = file(b"rows");
        read_rows(&input, &JobContext::detached(), each).unwrap()
    }

    #[test]
    fn late_names_leave_earlier_rows_missing() {
        let rows = [
            vec![("a".to_owned(), Cell::plain("1"))],
            vec![("b".to_owned(), Cell::list(["x", "y"])), ("a".to_owned(), Cell::plain("2.5"))],
            vec![("b".to_owned(), Cell::list::<&str>([])), ("c".to_owned(), Cell::string("7"))],
        ];
        let frame = read(&rows).frame;
        let names: Vec<_> = frame.get_column_names().iter().map(|name| name.to_string()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let missing: Vec<_> = frame.columns().iter().map(|column| column.null_count()).collect();
        assert_eq!(missing, [1, 1, 2]);
        assert!(frame.columns()[0].dtype().is_float());
        assert!(frame.columns()[1].dtype().is_list());
        assert!(crate::data::enumerated::is_text(frame.columns()[2].dtype()));
    }

    #[test]
    fn what_does_not_fit_is_sampled_and_summed_over_all_rows() {
        let each = |visit: &mut dyn FnMut(Row)| {
            (0..20_000).for_each(|row| visit(vec![("n".to_owned(), Cell::plain((row % 100).to_string()))]));
            Ok(BadRows::default())
        };
        let (_folder, mut input) = file(b"rows");
        // Half of what 20,000 rows count at least; a fifth is left as a margin.
        input.keep = Keep::within(160_000);
        let read = read_rows(&input, &JobContext::detached(), each).unwrap();
        let sample = read.layout.sample.unwrap();
        assert_eq!((sample.rows, sample.of), (read.frame.height() as u64, 20_000));
        assert!((7_600..8_400).contains(&sample.rows), "{}", sample.rows);
        assert_eq!((sample.totals[0].n, sample.totals[0].sum), (20_000, 990_000.0));
    }

    #[test]
    fn keys_of_a_map_do_not_become_columns_without_end() {
        let rows: Vec<Row> = (0..5000).map(|row| vec![(format!("key {row}"), Cell::plain("1"))]).collect();
        let read = read(&rows);
        assert_eq!((read.frame.width(), read.frame.height()), (MAX_COLUMNS, 5000));
        assert!(read.notes[0].starts_with("904 cells"), "{:?}", read.notes);
    }
}
