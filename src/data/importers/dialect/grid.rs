//! Where among these records is the table? Its width, its first record, and whether that names the columns.

use super::super::cut::Record;
use super::super::guess::{CellClass, classify};
use super::super::reading::Reading;
use super::super::totals::{is_label, is_name, is_value};
use std::collections::HashSet;

/// Records that may stand before a header.
const PREAMBLE: usize = 40;
/// Rows that tell a table from a few lines of the same width.
const ROWS: usize = 200;

/// The table among the first records of a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grid {
    /// Cells of a row.
    pub width: usize,
    /// The first record: the header, or the first row.
    pub start: usize,
    /// Records of the usual width.
    pub rows: usize,
    /// Their share from the first of them on.
    pub agreement: f64,
    /// Share of the cells that are values, among those that hold anything.
    pub typed_share: f64,
    /// True when the first record names the columns.
    pub has_header: bool,
    /// True when the record after it names them too: units, or the columns within groups.
    pub has_second_header: bool,
    /// True when rows may lack their last cells.
    pub pads_short_rows: bool,
    /// What a person should know.
    pub notes: Vec<String>,
    /// The record after the last that may belong to it.
    end: usize,
    kinds: Vec<Vec<Kind>>,
}

/// What a cell is, as far as a table is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Missing,
    Value,
    Name,
}

/// Records of one width between blank lines.
struct Section {
    width: usize,
    first: usize,
    end: usize,
    rows: usize,
}

impl Section {
    /// Its cells, the first row aside: a single line is no table however wide it is.
    fn size(&self) -> usize {
        (self.rows - 1) * self.width + self.rows
    }
}

impl Grid {
    /// Finds the table. `None` when there are no records.
    pub fn find(records: &[Record], reading: &Reading) -> Option<Self> {
        let comments = leading_comments(records);
        let sections = sections(records, comments);
        let first = choose(records, &sections)?;
        let mut grid = Self::of(records, first);
        grid.pass_padded_lines(records);
        grid.find_header(records);
        grid.take_other_header(records);
        grid.take_commented_header(records, comments);
        grid.drop_last_delimiter(records);
        grid.take_second_header(records);
        grid.judge_short_rows(records);
        if let Some(start) = reading.preamble.filter(|start| grid.may_start(records, *start, reading)) {
            grid.start = start;
            grid.kinds = kinds(&records[..grid.end], start, grid.width);
            grid.has_header = grid.is_header(records);
            grid.has_second_header = false;
            grid.take_second_header(records);
        }
        Some(grid)
    }

    fn of(records: &[Record], section: &Section) -> Self {
        let covered = section.end - section.first;
        let kinds = kinds(&records[..section.end], section.first, section.width);
        let cells = || kinds.iter().skip(1).flatten().filter(|kind| **kind != Kind::Missing);
        let values = cells().filter(|kind| **kind == Kind::Value).count();
        Self {
            width: section.width,
            start: section.first,
            rows: section.rows,
            agreement: section.rows as f64 / covered.max(1) as f64,
            typed_share: values as f64 / cells().count().max(1) as f64,
            has_header: false,
            has_second_header: false,
            pads_short_rows: false,
            notes: Vec::new(),
            end: section.end,
            kinds,
        }
    }

    /// Titles that a spreadsheet filled up with delimiters have as many cells as the rows, but hold few.
    fn pass_padded_lines(&mut self, records: &[Record]) {
        let filled = |at: usize| {
            let record = records.get(at).filter(|record| record.cells.len() == self.width);
            record.map(|record| record.cells.iter().filter(|cell| !cell.trim().is_empty()).count())
        };
        let mut start = self.start;
        while start < self.start + PREAMBLE && self.width > 1 {
            let here = filled(start).unwrap_or_default();
            let most = (start + 1..start + 6).filter_map(filled).max().unwrap_or_default();
            let is_title = (here == 1 && most > 1 && most * 2 > self.width) || (here * 2 < most && most > 3);
            let begins = records.get(start).and_then(|record| record.cells.first());
            if !is_title || begins.is_none_or(|cell| cell.trim().is_empty()) {
                break;
            }
            start += 1;
        }
        self.start = start;
        self.kinds = kinds(&records[..self.end], start, self.width);
    }

    /// The record that best names what follows: the first above the most columns of values.
    fn find_header(&mut self, records: &[Record]) {
        let places = places(&records[..self.end], self.start, self.width);
        let last = places.len().saturating_sub(1).min(PREAMBLE);
        let mut best = (0, 0);
        for row in 0..last {
            // Only pairs of a preamble and lines before a blank one are taken for no header.
            if row > 0 && self.width > 2 && !records[places[row]].is_after_blank {
                continue;
            }
            let named = named_columns(&self.kinds[row..]);
            if named > best.0 && is_all_names(&self.kinds[row], &records[places[row]].cells) {
                best = (named, row);
            }
        }
        if let (1.., row) = best {
            self.start = places.get(row).copied().unwrap_or(self.start);
            self.kinds.drain(..row);
        }
        self.has_header = self.is_header(records);
    }

    /// True when the first record names the columns: a name stands above values, or it is nothing but distinct words
    /// that don't come again.
    fn is_header(&self, records: &[Record]) -> bool {
        let (Some(first), Some((names, rows))) = (records.get(self.start), self.kinds.split_first()) else {
            return false;
        };
        let over_values = named_columns(&self.kinds);
        let distinct: HashSet<&str> = first.cells.iter().map(|name| name.trim()).collect();
        if distinct.len() < first.cells.len() || rows.is_empty() {
            return (rows.is_empty() || over_values > 0) && !names.contains(&Kind::Value);
        }
        if over_values > 0 || count_columns(&self.kinds, Kind::Value) > 0 {
            return over_values > 0;
        }
        let later = || records.iter().skip(self.start + 1).filter(|row| row.cells.len() == self.width);
        let comes_again = |(column, name): (usize, &String)| {
            !name.is_empty() && later().any(|row| row.cells.get(column) == Some(name))
        };
        !first.cells.iter().enumerate().any(comes_again) && !names.contains(&Kind::Value)
    }

    /// A header with more or fewer cells than the rows stands right before them.
    fn take_other_header(&mut self, records: &[Record]) {
        let before = self.start.checked_sub(1).and_then(|at| records.get(at));
        let Some(cells) = before.map(|record| record.cells.as_slice()).filter(|_| !self.has_header) else {
            return;
        };
        let named = cells.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last + 1);
        let distinct: HashSet<&str> = cells[..named].iter().map(|cell| cell.trim()).collect();
        let names = cells[..named].iter().filter(|cell| is_name(cell)).count();
        if named < 2 || distinct.len() < named || names * 10 < named * 8 || is_label(cells) {
            return;
        }
        let last_is_empty = self.kinds.iter().all(|row| row.last() == Some(&Kind::Missing));
        let is_first = self.start == 1;
        match named {
            _ if named == self.width => {}
            _ if named + 1 == self.width && last_is_empty => self.width = named,
            _ if named + 1 == self.width && is_first => {
                let note = "the header has one name less than the rows: the first column has none";
                self.notes.push(note.to_owned());
            }
            _ if (self.width..self.width + 4).contains(&named) && is_first => {
                let has = self.width;
                let note =
                    format!("the header names {named} columns and the rows have {has}: the last are missing");
                self.notes.push(note);
                (self.width, self.pads_short_rows) = (named, true);
            }
            _ => return,
        }
        self.start -= 1;
        self.has_header = true;
        let width = self.width;
        self.kinds.iter_mut().for_each(|row| row.truncate(width));
        self.kinds.insert(0, vec![Kind::Name; width]);
    }

    /// A header may be written as a comment.
    fn take_commented_header(&mut self, records: &[Record], comments: usize) {
        let last = comments.checked_sub(1).and_then(|at| records.get(at));
        let is_header = last.is_some_and(|record| {
            let names = record.cells.iter().map(|cell| cell.trim_start_matches('#'));
            let distinct: HashSet<&str> = names.clone().map(str::trim).collect();
            record.cells.len() == self.width
                && self.width > 1
                && distinct.len() == self.width
                && names.into_iter().all(is_name)
        });
        if is_header && !self.has_header && self.start == comments {
            self.start -= 1;
            self.has_header = true;
            self.kinds.insert(0, vec![Kind::Name; self.width]);
        }
    }

    /// A writer that ends every line with a delimiter adds no column.
    fn drop_last_delimiter(&mut self, records: &[Record]) {
        let header = records.get(self.start).map(|record| record.cells.as_slice()).unwrap_or_default();
        let is_unnamed = self.has_header
            && header.len() == self.width
            && header.last().is_some_and(|name| name.trim().is_empty());
        if self.width > 2 && is_unnamed && self.kinds.iter().all(|row| row.last() == Some(&Kind::Missing)) {
            self.width -= 1;
            let width = self.width;
            self.kinds.iter_mut().for_each(|row| row.truncate(width));
        }
    }

    /// The record after the first may name columns too: their units, or each column within a group of them. Then all
    /// below it is values in several columns, and neither of the two holds any.
    fn take_second_header(&mut self, records: &[Record]) {
        let [first, second, rows @ ..] = self.kinds.as_slice() else { return };
        let follows = records.get(self.start + 1).is_some_and(|record| record.cells.len() == self.width);
        let hold_no_value = ![first, second].iter().any(|kinds| kinds.contains(&Kind::Value));
        let is_named = first.contains(&Kind::Name) && (self.has_header || first.contains(&Kind::Missing));
        if follows && hold_no_value && is_named && rows.len() > 2 && named_columns(&self.kinds[1..]) > 1 {
            (self.has_header, self.has_second_header) = (true, true);
            self.notes.push("the header takes two lines: their words are joined".to_owned());
            self.kinds.remove(0);
        }
    }

    /// How many records name the columns.
    pub fn header_records(&self) -> usize {
        usize::from(self.has_header) + usize::from(self.has_header && self.has_second_header)
    }

    /// Short rows are whole where they are common and no row ends with an empty cell: their writer leaves those out.
    fn judge_short_rows(&mut self, records: &[Record]) {
        let rows = || records.iter().skip(self.start + usize::from(self.has_header)).map(|row| &row.cells);
        let widest = self.width;
        let short = rows().filter(|cells| (2..widest).contains(&cells.len())).count();
        let ends_empty = rows()
            .any(|cells| cells.len() == widest && cells.last().is_some_and(|cell| cell.trim().is_empty()));
        self.pads_short_rows = short >= 2 && short * 20 >= rows().count() && !ends_empty && self.has_header;
        if self.pads_short_rows && short == rows().count() {
            self.notes.push(format!(
                "the header names {widest} columns and all rows have less: the last are missing"
            ));
        }
    }

    /// True when a person's word about the preamble fits this file: it may be from a recipe of the last one.
    fn may_start(&self, records: &[Record], start: usize, reading: &Reading) -> bool {
        let Some(record) = records.get(start).filter(|record| record.cells.len() == self.width) else {
            return false;
        };
        let known = |cell: &&String| reading.columns.contains_key(cell.trim());
        let names = record.cells.iter().filter(known).count();
        reading.columns.is_empty() || reading.has_header == Some(false) || names * 2 >= self.width
    }

    /// The names in both records of the header, one for each column. The name of a group stands above its first column.
    pub fn joined_header(&self, first: &[String], second: &[String]) -> Vec<String> {
        let (first, second) = (self.header(first), self.header(second));
        let are_groups = first.iter().any(|name| name.trim().is_empty());
        let mut group = "";
        let mut names = Vec::with_capacity(first.len());
        for (name, below) in first.iter().zip(&second) {
            if !name.trim().is_empty() || !are_groups {
                group = name.trim();
            }
            let words = [group, below.trim()].into_iter().filter(|word| !word.is_empty());
            names.push(words.collect::<Vec<_>>().join(" "));
        }
        names
    }

    /// The names in the header, one for each column.
    pub fn header(&self, cells: &[String]) -> Vec<String> {
        let mut names: Vec<String> = cells.to_vec();
        if let Some(first) = names.first_mut().filter(|first| first.starts_with('#')) {
            *first = first.trim_start_matches('#').trim().to_owned();
        }
        if names.len() + 1 == self.width {
            names.insert(0, String::new());
        }
        names.resize(self.width, String::new());
        names
    }

    /// Columns whose cells are all values.
    pub fn values(&self, has_header: bool) -> Vec<usize> {
        let rows = || self.kinds.iter().skip(usize::from(has_header));
        let is_typed = |column: &usize| {
            let mut cells = rows().filter_map(|row| row.get(*column)).filter(|kind| **kind != Kind::Missing);
            let all = cells.clone().all(|kind| *kind == Kind::Value);
            cells.next().is_some() && all
        };
        (0..self.width).filter(is_typed).collect()
    }
}

fn leading_comments(records: &[Record]) -> usize {
    records
        .iter()
        .take_while(|record| record.cells.first().is_some_and(|cell| cell.len() > 1 && cell.starts_with('#')))
        .count()
}

/// The runs of records of one width between blank lines, behind the comments. Where blank lines stand everywhere
/// they mean nothing.
fn sections(records: &[Record], comments: usize) -> Vec<Section> {
    let blanks = records.iter().filter(|record| record.is_after_blank).count();
    let starts = |at: &usize| *at == comments || (records[*at].is_after_blank && blanks * 3 <= records.len());
    let mut bounds: Vec<usize> = (comments..records.len()).filter(starts).collect();
    bounds.push(records.len());
    let mut sections = Vec::new();
    for bound in bounds.windows(2) {
        sections.extend(widest_run(records, bound[0], bound[1]));
    }
    // A row or two after a blank line continue the table before it.
    let mut joined: Vec<Section> = Vec::new();
    for section in sections {
        match joined.last_mut() {
            Some(last) if last.width == section.width && !names_columns(records, &section) => {
                last.end = section.end;
                last.rows += section.rows;
            }
            _ => joined.push(section),
        }
    }
    joined
}

fn names_columns(records: &[Record], section: &Section) -> bool {
    let kinds = kinds(&records[..section.end], section.first, section.width);
    named_columns(&kinds) > 0
}

/// The table between two places: the width that most cells have, from the first record of it on.
fn widest_run(records: &[Record], begin: usize, end: usize) -> Option<Section> {
    let mut widths: Vec<Section> = Vec::new();
    for (at, record) in records.iter().enumerate().take(end).skip(begin) {
        let width = record.cells.len();
        match widths.iter_mut().find(|known| known.width == width) {
            Some(known) => known.rows += 1,
            None => widths.push(Section { width, first: at, end, rows: 1 }),
        }
    }
    let names = |run: &Section| names_columns(records, run);
    // Behind a long preamble a short table shows by its values.
    let is_table = |run: &&Section| {
        let rows = end - run.first;
        run.width > 1 && run.first <= begin + PREAMBLE && run.rows * 10 >= rows * 8 && names(run)
    };
    let behind = widths.iter().position(|run| is_table(&run));
    let largest = (0..widths.len())
        .reduce(|best, next| if widths[next].size() > widths[best].size() { next } else { best })?;
    let place = behind.filter(|_| !names(&widths[largest])).unwrap_or(largest);
    let mut run = widths.swap_remove(place);
    if !names(&run) {
        run = with_wide_header(records, begin, run);
    }
    // Totals and other short lines at the end belong to no table.
    while run.end > run.first + 1
        && records[run.end - 1].cells.len() < run.width
        && is_label(&records[run.end - 1].cells)
    {
        run.end -= 1;
    }
    Some(run)
}

/// The same run from its header on, where the header is wider because most rows lack their last cells.
fn with_wide_header(records: &[Record], begin: usize, run: Section) -> Section {
    let header = &records[begin].cells;
    let width = header.len();
    let distinct: HashSet<&str> = header.iter().map(|cell| cell.trim()).collect();
    let rows = &records[begin + 1..run.end];
    let fitting = rows.iter().filter(|row| (2..=width).contains(&row.cells.len())).count();
    let is_header = run.first > begin
        && (run.width + 1..run.width + 4).contains(&width)
        && distinct.len() == width
        && header.iter().all(|cell| is_name(cell))
        && fitting * 10 >= rows.len() * 9;
    if is_header { Section { width, first: begin, end: run.end, rows: fitting + 1 } } else { run }
}

/// The first section that is about as large as the largest, tables with values first.
fn choose<'a>(records: &[Record], sections: &'a [Section]) -> Option<&'a Section> {
    let most = sections.iter().map(Section::size).max()?;
    let large = || sections.iter().filter(|section| section.size() * 2 >= most);
    let is_typed = |section: &&Section| names_columns(records, section);
    large().find(is_typed).or_else(|| sections.iter().find(|section| section.size() == most))
}

/// The records of one width from a place on, copies of the first aside where it may be a header: files that were
/// put together repeat it.
fn places(records: &[Record], start: usize, width: usize) -> Vec<usize> {
    let first = records.get(start).filter(|first| first.cells.iter().all(|cell| is_name(cell)));
    let is_row = |at: &usize| {
        let cells = &records[*at].cells;
        cells.len() == width && (*at == start || first.is_none_or(|first| first.cells != *cells))
    };
    (start..records.len()).filter(is_row).take(ROWS).collect()
}

fn kinds(records: &[Record], start: usize, width: usize) -> Vec<Vec<Kind>> {
    let kind = |cell: &String| match classify(cell) {
        CellClass::Empty | CellClass::MissingWord | CellClass::Damage => Kind::Missing,
        _ if is_value(cell) => Kind::Value,
        _ => Kind::Name,
    };
    let rows = places(records, start, width).into_iter().filter_map(|at| records.get(at));
    rows.map(|record| record.cells.iter().map(kind).collect()).collect()
}

/// How many columns the first of these rows names: a name stands above nothing but values.
fn named_columns(kinds: &[Vec<Kind>]) -> usize {
    count_columns(kinds, Kind::Name)
}

fn count_columns(kinds: &[Vec<Kind>], first: Kind) -> usize {
    let Some((names, rows)) = kinds.split_first() else {
        return 0;
    };
    let stands_above_values = |column: &usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(*column)).filter(|kind| **kind != Kind::Missing);
        let has_cells = cells.clone().next().is_some();
        names.get(*column) == Some(&first) && has_cells && cells.all(|kind| *kind == Kind::Value)
    };
    (0..names.len()).filter(stands_above_values).count()
}

fn is_all_names(kinds: &[Kind], cells: &[String]) -> bool {
    let mut names: Vec<&str> = cells.iter().map(|cell| cell.trim()).filter(|cell| !cell.is_empty()).collect();
    let present = names.len();
    names.sort_unstable();
    names.dedup();
    present * 2 > cells.len() && names.len() == present && kinds.contains(&Kind::Name)
}
