//! How does a block of records tell where its cells lie, in few bytes? One thread cuts it and others read it, and
//! what goes from one core to another costs more than to find it.

use super::cut::{Span, cell_text};
use super::guess::tail_of;
use std::borrow::Cow;
use std::ops::Range;

/// Some whole records.
#[derive(Debug, Default)]
pub struct Block {
    text: String,
    places: Places,
    lines: Lines,
    width: usize,
}

/// The physical line of each record, from 1. Most stand on the line after the one before, so only the others are
/// kept: how many records come before it, and its line.
#[derive(Debug, Default)]
struct Lines {
    rows: usize,
    jumps: Vec<(usize, u64)>,
}

impl Lines {
    fn of(&self, row: usize) -> u64 {
        let jump = self.jumps.partition_point(|(first, _)| *first <= row).checked_sub(1);
        jump.map_or(0, |jump| self.jumps[jump].1 + (row - self.jumps[jump].0) as u64)
    }

    fn push(&mut self, line: u64) {
        let next = self.jumps.last().map(|(first, line)| line + (self.rows - first) as u64);
        if next != Some(line) {
            self.jumps.push((self.rows, line));
        }
        self.rows += 1;
    }

    fn pop(&mut self) {
        self.rows = self.rows.saturating_sub(1);
        self.jumps.retain(|(first, _)| *first < self.rows);
    }

    fn copy(&mut self, other: &Self) {
        self.rows = other.rows;
        self.jumps.clone_from(&other.jumps);
    }

    fn clear(&mut self) {
        self.rows = 0;
        self.jumps.clear();
    }

    fn last(&self) -> Option<u64> {
        Some(self.of(self.rows.checked_sub(1)?))
    }
}

/// Where the cells of records of equal width lie.
#[derive(Debug)]
enum Places {
    /// One byte stands between the cells of a record: where it begins, and where each cell ends after that.
    Even {
        starts: Vec<u32>,
        ends: Vec<u16>,
    },
    Any(Vec<Span>),
}

impl Block {
    /// Takes what was found in a text, into the room of a block that is done with.
    pub(super) fn of(text: String, found: &Found, width: usize, room: Self) -> Self {
        let Self { mut places, mut lines, .. } = room;
        places.copy(&found.places);
        lines.copy(&found.lines);
        Self { text, places, lines, width }
    }

    /// The room of its text, filled with what is of no use any more.
    pub(super) fn take_room(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text).into_bytes()
    }

    /// Number of records.
    pub fn rows(&self) -> usize {
        self.lines.rows
    }

    /// The physical line where a record begins, from 1.
    pub fn line(&self, row: usize) -> u64 {
        self.lines.of(row)
    }

    /// One cell.
    #[inline]
    pub fn cell(&self, row: usize, column: usize) -> Cow<'_, str> {
        match &self.places {
            Places::Even { starts, ends } => {
                let ends = &ends[row * self.width..][..self.width];
                Cow::Borrowed(self.text.get(even_cell(starts[row], ends, column)).unwrap_or_default())
            }
            Places::Any(spans) => cell_text(&self.text, spans[row * self.width + column]),
        }
    }

    /// Visits a column's cells in the order of their rows, each with its [`tail_of`].
    #[inline]
    pub(super) fn each_of(&self, column: usize, mut visit: impl FnMut(usize, &str, u64)) {
        let bytes = self.text.as_bytes();
        let width = self.width.max(1);
        match &self.places {
            Places::Even { starts, ends } => {
                for (row, (start, ends)) in starts.iter().zip(ends.chunks_exact(width)).enumerate() {
                    let cell = even_cell(*start, ends, column);
                    let tail = tail_of(bytes, cell.end);
                    visit(row, self.text.get(cell).unwrap_or_default(), tail);
                }
            }
            Places::Any(spans) => {
                for (row, record) in spans.chunks_exact(width).enumerate() {
                    let span = record[column];
                    visit(row, &cell_text(&self.text, span), tail_of(bytes, span.range().end));
                }
            }
        }
    }
}

/// Where a cell lies whose record begins at `start` and whose cells end at `ends` after that. A cell that was not
/// written ends where the one before it does, and its range is none.
#[inline]
fn even_cell(start: u32, ends: &[u16], column: usize) -> Range<usize> {
    let start = start as usize;
    let before = column.checked_sub(1).map_or(0, |before| usize::from(ends[before]) + 1);
    start + before..start + usize::from(ends[column])
}

/// The cells of such a record.
fn even_record(start: u32, ends: &[u16]) -> impl Iterator<Item = Span> {
    (0..ends.len()).map(move |column| {
        let cell = even_cell(start, ends, column);
        Span::new(cell.start.min(cell.end), cell.end, false)
    })
}

impl Default for Places {
    fn default() -> Self {
        Self::Any(Vec::new())
    }
}

impl Places {
    /// The same as others, in the room there is.
    fn copy(&mut self, other: &Self) {
        match (self, other) {
            (Self::Even { starts, ends }, Self::Even { starts: other_starts, ends: other_ends }) => {
                starts.clone_from(other_starts);
                ends.clone_from(other_ends);
            }
            (Self::Any(spans), Self::Any(other)) => spans.clone_from(other),
            (own, Self::Even { starts, ends }) => {
                *own = Self::Even { starts: starts.clone(), ends: ends.clone() };
            }
            (own, Self::Any(spans)) => *own = Self::Any(spans.clone()),
        }
    }

    /// None yet, in the room of others.
    fn begin(&mut self, is_even: bool) {
        match self {
            Self::Even { starts, ends } if is_even => {
                starts.clear();
                ends.clear();
            }
            Self::Any(spans) if !is_even => spans.clear(),
            _ if is_even => *self = Self::Even { starts: Vec::new(), ends: Vec::new() },
            _ => *self = Self::Any(Vec::new()),
        }
    }

    /// Adds the cells of a record; one of even places begins at `start`.
    fn push(&mut self, start: usize, record: &[Span]) {
        let is_long = || record.last().is_some_and(|last| last.range().end - start > usize::from(u16::MAX));
        if matches!(self, Self::Even { .. }) && is_long() {
            self.widen(record.len());
        }
        match self {
            Self::Even { starts, ends } => {
                starts.push(start as u32);
                ends.extend(record.iter().map(|span| (span.range().end - start) as u16));
            }
            Self::Any(spans) => spans.extend_from_slice(record),
        }
    }

    /// Keeps every cell's own place from now on: a record is too long for a short way to tell.
    #[cold]
    fn widen(&mut self, width: usize) {
        if let Self::Even { starts, ends } = self {
            let records = starts.iter().zip(ends.chunks_exact(width));
            *self = Self::Any(records.flat_map(|(start, ends)| even_record(*start, ends)).collect());
        }
    }

    /// The cells of the last record; none where there is no record.
    fn last(&self, width: usize) -> Vec<Span> {
        match self {
            Self::Even { starts, ends } => match (starts.last(), ends.rchunks_exact(width.max(1)).next()) {
                (Some(start), Some(ends)) => even_record(*start, ends).collect(),
                _ => Vec::new(),
            },
            Self::Any(spans) => spans.rchunks_exact(width.max(1)).next().unwrap_or_default().to_vec(),
        }
    }

    fn drop_last(&mut self, width: usize) {
        match self {
            Self::Even { starts, ends } => {
                starts.pop();
                ends.truncate(ends.len().saturating_sub(width));
            }
            Self::Any(spans) => spans.truncate(spans.len().saturating_sub(width)),
        }
    }
}

/// The records of a block while they are found, which the thread that cuts has for itself.
#[derive(Debug, Default)]
pub(super) struct Found {
    places: Places,
    lines: Lines,
    /// Where each record lies among the bytes.
    ranges: Vec<Range<usize>>,
    /// Their text, where not all bytes are text.
    pub text: Vec<u8>,
}

impl Found {
    /// Forgets the records of another block. `is_even` where one byte stands between cells and all bytes are text.
    pub fn begin(&mut self, is_even: bool) {
        self.places.begin(is_even);
        self.lines.clear();
        self.ranges.clear();
        self.text.clear();
    }

    /// Number of records.
    pub fn rows(&self) -> usize {
        self.lines.rows
    }

    /// The line of the first record.
    pub fn first_line(&self) -> Option<u64> {
        (self.rows() > 0).then(|| self.lines.of(0))
    }

    /// The line of the last record.
    pub fn last_line(&self) -> Option<u64> {
        self.lines.last()
    }

    /// Where the last record lies among the bytes.
    pub fn last_range(&self) -> Option<Range<usize>> {
        self.ranges.last().cloned()
    }

    /// The cells of the last record, in the kept text where there is one.
    pub fn last(&self, width: usize) -> Vec<Span> {
        self.places.last(width)
    }

    /// Adds a record; one among bytes that are no text is copied out of them.
    pub fn keep(&mut self, bytes: &[u8], place: Range<usize>, record: &mut [Span], line: u64, is_text: bool) {
        self.lines.push(line);
        if !is_text {
            let shift = self.text.len() as isize - place.start as isize;
            record.iter_mut().for_each(|span| *span = span.moved(shift));
            self.text.extend_from_slice(&bytes[place.clone()]);
        }
        self.places.push(place.start, record);
        self.ranges.push(place);
    }

    /// Forgets the last record.
    pub fn drop_last(&mut self, width: usize) {
        self.places.drop_last(width);
        self.lines.pop();
        self.ranges.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::super::cut::{Cut, Stops, cut_plain_record};
    use super::*;

    /// The cells of all lines but the first; a short one is filled up.
    fn block_of(text: &str, width: usize) -> Block {
        let mut found = Found::default();
        let mut stops = Stops::of(text.as_bytes(), Cut::plain(b',')).unwrap();
        let (mut record, mut at, mut line) = (Vec::new(), 0, 1);
        found.begin(true);
        while at < text.len() {
            record.clear();
            let next = cut_plain_record(text.as_bytes(), at, &mut stops, true, &mut record).unwrap();
            let end = record.last().unwrap().range().end;
            record.resize(width, Span::new(end, end, false));
            if line != 1 {
                found.keep(text.as_bytes(), at..next, &mut record, line, true);
            }
            (at, line) = (next, line + 1);
        }
        Block::of(text.to_owned(), &found, width, Block::default())
    }

    fn cells_of(block: &Block, column: usize) -> Vec<String> {
        let mut cells = Vec::new();
        block.each_of(column, |row, cell, _| {
            assert_eq!(cell, block.cell(row, column));
            cells.push(cell.to_owned());
        });
        cells
    }

    #[test]
    fn cells_are_told_by_their_ends() {
        let block = block_of("a,b,c\n1,,3\r\n4\n,,\n7,8,9", 3);
        assert_eq!(cells_of(&block, 0), ["1", "4", "", "7"]);
        assert_eq!(cells_of(&block, 1), ["", "", "", "8"]);
        assert_eq!(cells_of(&block, 2), ["3", "", "", "9"]);
        assert!(matches!(block.places, Places::Even { .. }));
        assert_eq!((0..4).map(|row| block.line(row)).collect::<Vec<_>>(), [2, 3, 4, 5]);
    }

    #[test]
    fn a_long_record_has_all_cells_told_in_full() {
        let long = "x".repeat(70_000);
        let block = block_of(&format!("a,b\n1,2\n3\n{long},{long}\n5,6\n"), 2);
        assert_eq!(cells_of(&block, 0), ["1", "3", &long, "5"]);
        assert_eq!(cells_of(&block, 1), ["2", "", &long, "6"]);
        assert!(matches!(block.places, Places::Any(_)));
    }

    #[test]
    fn lines_that_are_left_out_are_counted() {
        let mut lines = Lines::default();
        [3, 4, 7, 8, 9, 20].into_iter().for_each(|line| lines.push(line));
        assert_eq!((lines.jumps.len(), lines.of(1), lines.of(2), lines.of(5)), (3, 4, 7, 20));
        lines.pop();
        assert_eq!((lines.last(), lines.jumps.len()), (Some(9), 2));
        lines.push(10);
        assert_eq!((lines.of(5), lines.jumps.len()), (10, 2));
    }
}
