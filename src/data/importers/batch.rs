//! How do rows that name their own cells lie side by side? Column by column, so that each is looked at in one go.
//!
//! A batch belongs to one thread and is filled again and again: names and room stay, the cells go.

use super::fill::{Cells, Fill, Visited};
use super::guess::tail_of;
use super::sparse::{Cell, Row};
use std::collections::HashMap;

/// Columns that are kept. More names than these are keys of a map, not columns of a table.
pub(super) const MAX_COLUMNS: usize = 4096;
/// Names that one batch tells apart.
const MAX_NAMES: usize = 16 * MAX_COLUMNS;

/// Some rows.
#[derive(Debug, Default)]
pub(super) struct Batch {
    rows: u32,
    columns: Vec<BatchColumn>,
    places: HashMap<String, usize>,
    /// Where the next cell will probably go.
    expected: usize,
    /// Columns before the present row.
    columns_before: usize,
    /// Cells of names beyond the limit.
    left_out: u64,
}

#[derive(Debug, Default)]
struct BatchColumn {
    name: String,
    /// True when JSON writes the name with escapes.
    is_escaped: bool,
    /// Its place among all columns of the file, once that is known.
    place: Option<usize>,
    text: String,
    cells: Vec<CellAt>,
}

/// The row of a cell and where its text ends.
#[derive(Debug, Clone, Copy)]
struct CellAt {
    row: u32,
    end: u32,
    is_string: bool,
}

impl Batch {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows as usize
    }

    /// Begins a row.
    pub fn begin_row(&mut self) {
        self.expected = 0;
        self.columns_before = self.columns.len();
    }

    /// Keeps the row.
    pub fn end_row(&mut self) {
        self.rows += 1;
    }

    /// Forgets the row that was begun.
    pub fn drop_row(&mut self) {
        self.expected = 0;
        for column in self.columns.drain(self.columns_before..) {
            self.places.remove(&column.name);
        }
        self.columns.iter_mut().for_each(|column| column.drop_cell_of(self.rows));
    }

    /// The name of the column that probably comes next, where it can stand in JSON as it is.
    pub fn expected(&self) -> Option<&str> {
        self.columns.get(self.expected).filter(|column| !column.is_escaped).map(|column| column.name.as_str())
    }

    /// Adds a cell to the row. Of two with one name the last counts.
    pub fn push(&mut self, name: &str, text: &str, is_string: bool) {
        let place = match self.columns.get(self.expected) {
            Some(column) if column.name == name => self.expected,
            _ => match self.places.get(name) {
                Some(place) => *place,
                None if self.columns.len() >= MAX_NAMES => {
                    self.left_out += 1;
                    return;
                }
                None => self.add(name.to_owned()),
            },
        };
        self.push_at(place, text, is_string);
    }

    /// Adds a cell to the column that was expected.
    pub fn push_expected(&mut self, text: &str, is_string: bool) {
        self.push_at(self.expected, text, is_string);
    }

    /// Adds a whole row.
    pub fn push_row(&mut self, row: Row) {
        self.begin_row();
        self.push_cells(row);
        self.end_row();
    }

    /// Adds cells to the row that was begun.
    pub fn push_cells(&mut self, row: Row) {
        for (name, Cell { text, is_string }) in row {
            self.push(&name, &text, is_string);
        }
    }

    /// Forgets all rows, and columns that are not kept.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.left_out = 0;
        if self.columns.iter().any(|column| column.place.is_none()) {
            self.columns.retain(|column| column.place.is_some());
            let named = self.columns.iter().enumerate();
            self.places = named.map(|(place, column)| (column.name.clone(), place)).collect();
        }
        for column in &mut self.columns {
            column.text.clear();
            column.cells.clear();
        }
    }

    fn push_at(&mut self, place: usize, text: &str, is_string: bool) {
        self.expected = place + 1;
        if let Some(column) = self.columns.get_mut(place) {
            column.drop_cell_of(self.rows);
            column.text.push_str(text);
            column.cells.push(CellAt { row: self.rows, end: column.text.len() as u32, is_string });
        }
    }

    fn add(&mut self, name: String) -> usize {
        self.places.insert(name.clone(), self.columns.len());
        let is_escaped = name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | ..0x20));
        self.columns.push(BatchColumn { name, is_escaped, ..BatchColumn::default() });
        self.columns.len() - 1
    }
}

impl BatchColumn {
    fn drop_cell_of(&mut self, row: u32) {
        if self.cells.last().is_some_and(|cell| cell.row == row) {
            self.cells.pop();
            let end = self.cells.last().map_or(0, |cell| cell.end);
            self.text.truncate(end as usize);
        }
    }
}

/// The columns of a file by their names.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<String>,
    places: HashMap<String, usize>,
    /// Cells of names beyond the limit.
    pub left_out: u64,
}

impl Names {
    /// All names, in the order in which they showed up.
    pub fn all(&self) -> &[String] {
        &self.names
    }

    /// Gives each column of the batches its place; names that are new become columns to be filled.
    pub fn place(&mut self, batches: &mut [Batch], fill: &mut Fill) {
        for batch in batches {
            self.left_out += batch.left_out;
            let open = batch.columns.iter_mut().filter(|column| column.place.is_none());
            for column in open.filter(|column| !column.cells.is_empty()) {
                column.place = self.places.get(&column.name).copied();
                if column.place.is_none() && self.names.len() < MAX_COLUMNS {
                    column.place = Some(self.names.len());
                    fill.add(&column.name);
                    self.places.insert(column.name.clone(), self.names.len());
                    self.names.push(column.name.clone());
                }
                if column.place.is_none() {
                    self.left_out += column.cells.len() as u64;
                }
            }
        }
    }
}

/// Gives the columns of these names their places, which are those in the list; other columns get none.
pub(super) fn place_among(names: &[&str], batches: &mut [Batch]) {
    for batch in batches {
        for (place, name) in names.iter().enumerate() {
            if let Some(column) = batch.places.get(*name).and_then(|own| batch.columns.get_mut(*own)) {
                column.place = Some(place);
            }
        }
    }
}

/// Batches one after the other, with the column of each file's column in each.
pub(super) struct Batches<'a> {
    batches: &'a [Batch],
    /// Per batch: its column for each column of the file.
    columns: Vec<Vec<Option<usize>>>,
}

impl<'a> Batches<'a> {
    /// Batches whose columns have their places among `width`.
    pub fn of(batches: &'a [Batch], width: usize) -> Self {
        let columns = batches.iter().map(|batch| {
            let mut columns = vec![None; width];
            for (own, column) in batch.columns.iter().enumerate() {
                if let Some(slot) = column.place.and_then(|place| columns.get_mut(place)) {
                    *slot = Some(own);
                }
            }
            columns
        });
        Self { batches, columns: columns.collect() }
    }
}

impl Cells for Batches<'_> {
    fn rows(&self) -> usize {
        self.batches.iter().map(Batch::rows).sum()
    }

    fn each(&self, column: usize, mut visit: impl FnMut(usize, Visited<'_>)) {
        let mut first = 0;
        for (batch, columns) in self.batches.iter().zip(&self.columns) {
            let own = columns.get(column).copied().flatten();
            let own = own.and_then(|own| batch.columns.get(own));
            let (mut next, mut begin) = (0, 0);
            for cell in own.into_iter().flat_map(|own| &own.cells) {
                (next..cell.row as usize).for_each(|row| visit(first + row, Visited::default()));
                let end = cell.end as usize;
                let text = own.and_then(|own| own.text.get(begin..end)).unwrap_or_default();
                let tail = own.map_or(0, |own| tail_of(own.text.as_bytes(), end));
                visit(first + cell.row as usize, Visited { text, is_string: cell.is_string, tail });
                (next, begin) = (cell.row as usize + 1, cell.end as usize);
            }
            (next..batch.rows()).for_each(|row| visit(first + row, Visited::default()));
            first += batch.rows();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keep::Keep;
    use super::*;

    fn cells(batches: &[Batch], width: usize, column: usize) -> Vec<String> {
        let mut seen = Vec::new();
        let view = Batches::of(batches, width);
        view.each(column, |row, Visited { text, .. }| {
            assert_eq!(row, seen.len());
            seen.push(text.to_owned());
        });
        assert_eq!(seen.len(), view.rows());
        seen
    }

    #[test]
    fn rows_lack_cells_and_bad_ones_are_dropped() {
        let mut batches = [Batch::default(), Batch::default()];
        let mut fill = Fill::new(&[], Keep::default());
        let mut names = Names::default();
        let one = &mut batches[0];
        one.push_row(vec![("a".to_owned(), Cell::plain("1")), ("b".to_owned(), Cell::plain("x"))]);
        one.begin_row();
        one.push("a", "bad", false);
        one.push("junk", "bad", false);
        one.drop_row();
        one.push_row(vec![("a".to_owned(), Cell::plain("2")), ("a".to_owned(), Cell::plain("3"))]);
        batches[1].push_row(vec![("c".to_owned(), Cell::plain("z"))]);
        names.place(&mut batches, &mut fill);
        assert_eq!(names.all(), ["a", "b", "c"]);
        assert_eq!(cells(&batches, 3, 0), ["1", "3", ""]);
        assert_eq!(cells(&batches, 3, 1), ["x", "", ""]);
        assert_eq!(cells(&batches, 3, 2), ["", "", "z"]);
        batches.iter_mut().for_each(Batch::clear);
        batches[1].push_row(vec![("b".to_owned(), Cell::plain("y"))]);
        names.place(&mut batches, &mut fill);
        assert_eq!(cells(&batches, 3, 1), ["y"]);
    }
}
