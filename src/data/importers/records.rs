//! How is delimited text cut into records? A block at a time, so that a file of any size fits.
//!
//! Quoted cells may hold delimiters, doubled quotes and line breaks (RFC 4180). A record that does not fit the
//! table is counted with its physical line and left out; nothing else is lost.

use super::container::Input;
use crate::base::{Failure, Result};
use crate::data::frame::BadRow;
use memchr::{Memchr2, memchr, memchr_iter, memchr2, memchr2_iter};
use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Bytes cut at once. Large enough to share a block's columns among threads.
const BLOCK_BYTES: usize = 1 << 20;
/// A quote that stays open for longer is taken as a literal character.
const QUOTED_BYTES: usize = 1 << 20;
/// A record longer than this means that the file is no table.
const RECORD_BYTES: usize = 64 << 20;
/// Bad rows that are shown; the rest are only counted.
const BAD_SAMPLES: usize = 20;

/// Where a cell lies in the text of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
    /// The quote that is doubled inside the cell; 0 when the text stands for itself.
    doubled: u8,
}

/// Some whole records.
#[derive(Debug, Default)]
pub struct Block {
    text: String,
    spans: Vec<Span>,
    /// Physical line of each record, from 1.
    lines: Vec<u64>,
    width: usize,
}

impl Block {
    /// Number of records.
    pub fn rows(&self) -> usize {
        self.spans.len().checked_div(self.width).unwrap_or_default()
    }

    /// The physical line where a record begins, from 1.
    pub fn line(&self, row: usize) -> u64 {
        self.lines.get(row).copied().unwrap_or_default()
    }

    /// One cell.
    pub fn cell(&self, row: usize, column: usize) -> Cow<'_, str> {
        let span = self.spans[row * self.width + column];
        cell_text(&self.text, span)
    }
}

fn cell_text(text: &str, span: Span) -> Cow<'_, str> {
    let cell = text.get(span.start as usize..span.end as usize).unwrap_or_default();
    if span.doubled == 0 {
        Cow::Borrowed(cell)
    } else {
        let quote = char::from(span.doubled);
        Cow::Owned(cell.replace(&format!("{quote}{quote}"), &quote.to_string()))
    }
}

/// How text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The byte between cells; `None` when a line is one cell.
    pub delimiter: Option<u8>,
    /// True when the delimiter stands twice: `::`.
    pub is_doubled: bool,
    /// The quote, if quotes mean anything.
    pub quote: Option<u8>,
}

impl Cut {
    /// Cells between single delimiters; quotes are characters like any other.
    pub const fn plain(delimiter: u8) -> Self {
        Self { delimiter: Some(delimiter), is_doubled: false, quote: None }
    }

    /// Cells between single delimiters, held together by double quotes.
    pub const fn quoted(delimiter: u8) -> Self {
        Self { delimiter: Some(delimiter), is_doubled: false, quote: Some(b'"') }
    }

    /// Lines of one cell.
    pub const fn lines() -> Self {
        Self { delimiter: None, is_doubled: false, quote: Some(b'"') }
    }

    /// What stands between cells, as text; empty when a line is one cell.
    pub fn delimiter_text(self) -> String {
        let delimiter = self.delimiter.map(|byte| char::from(byte).to_string()).unwrap_or_default();
        delimiter.repeat(1 + usize::from(self.is_doubled))
    }
}

/// Rows that were left out, counted and the first of them kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BadRows {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub samples: Vec<BadRow>,
    /// How many of them are no text in the encoding of the file.
    pub undecodable: u64,
}

impl BadRows {
    /// Counts a row that could not be read.
    pub fn add(&mut self, line: u64, why: impl FnOnce() -> String) {
        self.count += 1;
        if self.samples.len() < BAD_SAMPLES {
            self.samples.push(BadRow { line, why: why() });
        }
    }
}

/// Cuts a text into blocks of records of equal width.
pub struct RecordReader<'a> {
    input: &'a Input,
    source: Box<dyn Read + Send>,
    cut: Cut,
    width: usize,
    /// Records still to be left out at the start (preamble and header).
    skip: usize,
    buffer: Vec<u8>,
    line: u64,
    ended: bool,
    /// Rows that were left out so far.
    pub bad: BadRows,
}

impl<'a> RecordReader<'a> {
    /// Starts at the first record after `skip` records.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn new(
        input: &'a Input,
        cut: Cut,
        width: usize,
        skip: usize,
        progress: &Arc<AtomicU64>,
    ) -> Result<Self> {
        Ok(Self {
            input,
            source: input.text(progress)?,
            cut,
            width,
            skip,
            buffer: Vec::new(),
            line: 1,
            ended: false,
            bad: BadRows::default(),
        })
    }

    /// The next records; `None` at the end of the file.
    ///
    /// # Errors
    /// The disk, broken compression, or a record of more than 64 MiB.
    pub fn next_block(&mut self) -> Result<Option<Block>> {
        let mut wanted = BLOCK_BYTES;
        loop {
            self.fill(wanted)?;
            if self.buffer.is_empty() {
                return Ok(None);
            }
            let (block, used) = self.cut_block();
            if used > 0 {
                if block.rows() > 0 {
                    return Ok(Some(block));
                }
            } else {
                wanted = self.buffer.len() * 2;
                if wanted > RECORD_BYTES {
                    return Err(Failure::new(
                        "cannot read the log",
                        "one record is longer than 64 MiB, so this is no table of rows",
                    )
                    .at(format!("{}, line {}", self.input.path.display(), self.line)));
                }
            }
        }
    }

    fn fill(&mut self, wanted: usize) -> Result<()> {
        if self.ended || self.buffer.len() >= wanted {
            return Ok(());
        }
        let missing = (wanted - self.buffer.len()) as u64;
        self.buffer.reserve(missing as usize);
        let read = self
            .source
            .by_ref()
            .take(missing)
            .read_to_end(&mut self.buffer)
            .map_err(|error| self.input.read_failure(&error))?;
        self.ended = (read as u64) < missing;
        Ok(())
    }

    /// Cuts the whole records of the buffer; the second value is how many bytes they took.
    fn cut_block(&mut self) -> (Block, usize) {
        let bytes = std::mem::take(&mut self.buffer);
        let whole_is_text = match std::str::from_utf8(&bytes) {
            Ok(_) => true,
            // A character that the end of the buffer parts belongs to the next block.
            Err(error) => error.error_len().is_none() && !self.ended,
        };
        let mut stops = unquoted_stops(&bytes, self.cut);
        let mut spans = Vec::new();
        let mut lines = Vec::new();
        let mut kept_text = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let before = spans.len();
            let cut = match &mut stops {
                Some(stops) => cut_plain_record(&bytes, at, stops, self.ended, &mut spans),
                None => cut_record(&bytes, at, self.cut, self.ended, &mut spans),
            };
            let Some(next) = cut else {
                break;
            };
            let record = &bytes[at..next];
            if self.keeps(record, &spans[before..], whole_is_text) {
                lines.push(self.line);
                if !whole_is_text {
                    let shift = kept_text.len() as i64 - at as i64;
                    for span in &mut spans[before..] {
                        span.start = (i64::from(span.start) + shift) as u32;
                        span.end = (i64::from(span.end) + shift) as u32;
                    }
                    kept_text.extend_from_slice(record);
                }
            } else {
                spans.truncate(before);
            }
            self.line += memchr_iter(b'\n', record).count() as u64;
            at = next;
        }
        self.buffer.extend_from_slice(&bytes[at..]);
        let mut text = bytes;
        text.truncate(at);
        let text = if whole_is_text { text } else { kept_text };
        let text = String::from_utf8(text)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        let width = self.width;
        (Block { text, spans, lines, width }, at)
    }

    /// True when a record belongs to the table; counts it as bad or skips it otherwise.
    fn keeps(&mut self, record: &[u8], spans: &[Span], is_text: bool) -> bool {
        if is_blank(record) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let line = self.line;
        if spans.len() != self.width {
            let (has, wants) = (spans.len(), self.width);
            self.bad.add(line, || format!("has {has} fields where the table has {wants}"));
            return false;
        }
        if !is_text && let Err(error) = std::str::from_utf8(record) {
            let byte = error.valid_up_to() + 1;
            self.bad.undecodable += 1;
            self.bad.add(line, || format!("byte {byte} of the line is not valid UTF-8"));
            return false;
        }
        true
    }
}

/// The records at the start of a text, as texts: for deciding how to cut the rest.
pub fn head_records(head: &[u8], is_all: bool, cut: Cut, limit: usize) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let mut at = 0;
    let mut spans = Vec::new();
    while at < head.len() && records.len() < limit {
        spans.clear();
        let Some(next) = cut_record(head, at, cut, is_all, &mut spans) else {
            break;
        };
        if !is_blank(&head[at..next]) {
            let cells = spans.iter().map(|span| {
                let cell = &head[span.start as usize..span.end as usize];
                let plain = Span { start: 0, end: u32::MAX, doubled: span.doubled };
                let text = String::from_utf8_lossy(cell);
                let whole = Span { end: text.len() as u32, ..plain };
                cell_text(&text, whole).into_owned()
            });
            records.push(cells.collect());
        }
        at = next;
    }
    records
}

fn is_blank(record: &[u8]) -> bool {
    record.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

/// Where cells and lines may end in bytes that hold no quote, found many at a time; `None` where quotes or doubled
/// delimiters need a closer look.
fn unquoted_stops(bytes: &[u8], cut: Cut) -> Option<Memchr2<'_>> {
    let has_quotes = cut.quote.is_some_and(|quote| memchr(quote, bytes).is_some());
    let is_plain = !has_quotes && !cut.is_doubled;
    is_plain.then(|| memchr2_iter(cut.delimiter.unwrap_or(b'\n'), b'\n', bytes))
}

/// As [`cut_record`], where every delimiter and line break stands for itself.
fn cut_plain_record(
    bytes: &[u8],
    at: usize,
    stops: &mut Memchr2<'_>,
    is_end: bool,
    spans: &mut Vec<Span>,
) -> Option<usize> {
    let begin = spans.len();
    let mut from = at;
    loop {
        let (end, next) = match stops.next() {
            Some(stop) if bytes[stop] != b'\n' => {
                spans.push(span(from, stop, 0));
                from = stop + 1;
                continue;
            }
            Some(stop) => (stop, stop + 1),
            None if is_end => (bytes.len(), bytes.len()),
            None => {
                spans.truncate(begin);
                return None;
            }
        };
        let carriage = end > from && bytes[end - 1] == b'\r';
        spans.push(span(from, end - usize::from(carriage), 0));
        return Some(next);
    }
}

/// Cuts the record that begins at `at` into spans; the start of the next record, or `None` when its end lies
/// beyond the bytes at hand.
fn cut_record(bytes: &[u8], at: usize, cut: Cut, is_end: bool, spans: &mut Vec<Span>) -> Option<usize> {
    let begin = spans.len();
    let mut from = at;
    loop {
        let quoted = cut.quote.filter(|quote| bytes.get(from) == Some(quote));
        let cell = match quoted.map(|quote| quoted_cell(bytes, from, quote, cut, is_end)) {
            Some(Quoted::Cell(cell)) => Some(cell),
            Some(Quoted::Unknown) => None,
            Some(Quoted::Literal) | None => plain_cell(bytes, from, cut, is_end),
        };
        let Some((span, end)) = cell else {
            spans.truncate(begin);
            return None;
        };
        spans.push(span);
        match end {
            CellEnd::Delimiter(next) => from = next,
            CellEnd::Record(next) => return Some(next),
        }
    }
}

/// What follows a cell, and where it begins.
enum CellEnd {
    Delimiter(usize),
    Record(usize),
}

enum Quoted {
    Cell((Span, CellEnd)),
    /// The quote is a character like any other.
    Literal,
    /// More bytes are needed to tell.
    Unknown,
}

fn plain_cell(bytes: &[u8], from: usize, cut: Cut, is_end: bool) -> Option<(Span, CellEnd)> {
    let rest = &bytes[from..];
    let stop = match cut.delimiter {
        Some(delimiter) => memchr2(delimiter, b'\n', rest),
        None => memchr(b'\n', rest),
    };
    let (end, what) = match stop {
        Some(stop) if rest[stop] == b'\n' => (from + stop, CellEnd::Record(from + stop + 1)),
        Some(stop) => return Some((span(from, from + stop, 0), CellEnd::Delimiter(from + stop + 1))),
        None if is_end => (bytes.len(), CellEnd::Record(bytes.len())),
        None => return None,
    };
    let carriage = end > from && bytes[end - 1] == b'\r';
    Some((span(from, end - usize::from(carriage), 0), what))
}

fn quoted_cell(bytes: &[u8], from: usize, quote: u8, cut: Cut, is_end: bool) -> Quoted {
    let mut at = from + 1;
    let mut doubled = 0;
    loop {
        let Some(found) = memchr(quote, &bytes[at..]) else {
            let is_runaway = is_end || bytes.len() - from > QUOTED_BYTES;
            return if is_runaway { Quoted::Literal } else { Quoted::Unknown };
        };
        let close = at + found;
        let inner = span(from + 1, close, doubled);
        match bytes.get(close + 1..).unwrap_or_default() {
            [next, ..] if *next == quote => {
                doubled = quote;
                at = close + 2;
            }
            [next, ..] if Some(*next) == cut.delimiter => {
                return Quoted::Cell((inner, CellEnd::Delimiter(close + 2)));
            }
            [b'\n', ..] => return Quoted::Cell((inner, CellEnd::Record(close + 2))),
            [b'\r', b'\n', ..] => return Quoted::Cell((inner, CellEnd::Record(close + 3))),
            [] | [b'\r'] if is_end => {
                return Quoted::Cell((inner, CellEnd::Record(bytes.len())));
            }
            [] | [b'\r'] => return Quoted::Unknown,
            _ => return Quoted::Literal,
        }
    }
}

fn span(start: usize, end: usize, doubled: u8) -> Span {
    Span { start: start as u32, end: end as u32, doubled }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Cut = Cut::quoted(b',');

    fn records(text: &str) -> Vec<Vec<String>> {
        head_records(text.as_bytes(), true, COMMA, usize::MAX)
    }

    #[test]
    fn quotes_hold_delimiters_quotes_and_line_breaks() {
        assert_eq!(
            records("a,\"b,\"\"c\"\"\",d\r\n\"line one\nline two\",,\"\"\r\nlast,\"x\",y"),
            [["a", "b,\"c\"", "d"], ["line one\nline two", "", ""], ["last", "x", "y"]]
        );
    }

    #[test]
    fn stray_quotes_are_characters() {
        assert_eq!(records("\"a\"b,c\n"), [["\"a\"b", "c"]]);
        assert_eq!(records("6\",\"open\nnext,row\n"), [["6\"", "\"open"], ["next", "row"]]);
    }

    fn read(bytes: &[u8], width: usize) -> (Vec<String>, BadRows) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, bytes).unwrap();
        let input = Input::open(&path).unwrap();
        let mut reader = RecordReader::new(&input, COMMA, width, 0, &Arc::default()).unwrap();
        let mut first_cells = Vec::new();
        while let Some(block) = reader.next_block().unwrap() {
            first_cells.extend((0..block.rows()).map(|row| block.cell(row, 0).into_owned()));
        }
        (first_cells, reader.bad)
    }

    #[test]
    fn bad_rows_are_counted_with_physical_lines() {
        let (cells, bad) = read(b"\"x\ny\",1\nshort\n\n\xff\xfe,2\nlast,3\n", 2);
        assert_eq!(cells, ["x\ny", "last"]);
        assert_eq!(bad.count, 2);
        assert_eq!(bad.samples[0].line, 3);
        assert!(bad.samples[0].why.contains("1 fields"), "{bad:?}");
        assert_eq!(bad.samples[1].line, 5);
        assert!(bad.samples[1].why.contains("UTF-8"), "{bad:?}");
    }

    #[test]
    fn records_across_blocks_stay_whole() {
        let long = "z".repeat(10_000);
        let text: String = (0..1500).map(|row| format!("{row},\"{long}\n\"\n")).collect();
        assert!(text.len() > 3 * BLOCK_BYTES);
        let (cells, bad) = read(text.as_bytes(), 2);
        assert_eq!(cells.len(), 1500);
        assert_eq!(cells[1499], "1499");
        assert_eq!(bad.count, 0);
    }
}
