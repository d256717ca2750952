//! Where does a cell end, and where a record? Delimiters, quotes and line ends of delimited text.
//!
//! Quoted cells may hold delimiters, doubled quotes and line breaks (RFC 4180).

use memchr::{Memchr2, memchr, memchr2, memchr2_iter};
use std::borrow::Cow;

/// A quote that stays open for longer is taken as a literal character.
const QUOTED_BYTES: usize = 1 << 20;

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

/// Where a cell lies in the text of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
    /// The quote that is doubled inside the cell; 0 when the text stands for itself.
    pub doubled: u8,
}

/// The text of a cell.
#[inline]
pub(super) fn cell_text(text: &str, span: Span) -> Cow<'_, str> {
    let cell = text.get(span.start as usize..span.end as usize).unwrap_or_default();
    if span.doubled == 0 {
        Cow::Borrowed(cell)
    } else {
        let quote = char::from(span.doubled);
        Cow::Owned(cell.replace(&format!("{quote}{quote}"), &quote.to_string()))
    }
}

/// A record at the start of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub cells: Vec<String>,
    /// Where it lies in the text.
    pub start: usize,
    pub end: usize,
    /// True when a blank line stands before it.
    pub is_after_blank: bool,
}

/// The records at the start of a text, as texts: for deciding how to cut the rest.
pub fn head_records(head: &[u8], is_all: bool, cut: Cut, limit: usize) -> Vec<Vec<String>> {
    records_of(head, is_all, cut, limit).into_iter().map(|record| record.cells).collect()
}

/// As [`head_records`], with the place of each.
pub(super) fn records_of(head: &[u8], is_all: bool, cut: Cut, limit: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let mut at = 0;
    let mut spans = Vec::new();
    let mut is_after_blank = false;
    while at < head.len() && records.len() < limit {
        spans.clear();
        let Some(next) = cut_record(head, at, cut, is_all, &mut spans) else {
            break;
        };
        if is_blank(&head[at..next], cut) {
            is_after_blank = true;
        } else {
            let cells = spans.iter().map(|span| raw_text(head, *span)).collect();
            records.push(Record { cells, start: at, end: next, is_after_blank });
            is_after_blank = false;
        }
        at = next;
    }
    records
}

/// The text of a cell of bytes that may be no text.
pub(super) fn raw_text(bytes: &[u8], span: Span) -> String {
    let cell = bytes.get(span.start as usize..span.end as usize).unwrap_or_default();
    let text = String::from_utf8_lossy(cell);
    let whole = Span { start: 0, end: text.len() as u32, doubled: span.doubled };
    cell_text(&text, whole).into_owned()
}

/// True when no cell holds anything: a blank line, or the delimiters that spreadsheets write for one.
pub(super) fn is_blank(record: &[u8], cut: Cut) -> bool {
    let is_empty = |byte: u8| match cut.delimiter {
        None => matches!(byte, b'\r' | b'\n'),
        Some(delimiter) => matches!(byte, b'\r' | b'\n' | b' ' | b'\t') || byte == delimiter,
    };
    record.iter().all(|byte| is_empty(*byte))
}

/// Where cells and lines may end in bytes that hold no quote, found many at a time; `None` where quotes or doubled
/// delimiters need a closer look.
pub(super) fn unquoted_stops(bytes: &[u8], cut: Cut) -> Option<Memchr2<'_>> {
    let has_quotes = cut.quote.is_some_and(|quote| memchr(quote, bytes).is_some());
    let is_plain = !has_quotes && !cut.is_doubled;
    is_plain.then(|| memchr2_iter(cut.delimiter.unwrap_or(b'\n'), b'\n', bytes))
}

/// As [`cut_record`], where every delimiter and line break stands for itself.
pub(super) fn cut_plain_record(
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
pub(super) fn cut_record(
    bytes: &[u8],
    at: usize,
    cut: Cut,
    is_end: bool,
    spans: &mut Vec<Span>,
) -> Option<usize> {
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
    let mut at = from;
    let (end, what) = loop {
        let rest = &bytes[at..];
        let stop = match cut.delimiter {
            Some(delimiter) => memchr2(delimiter, b'\n', rest),
            None => memchr(b'\n', rest),
        };
        match stop.map(|stop| at + stop) {
            Some(stop) if bytes[stop] == b'\n' => break (stop, CellEnd::Record(stop + 1)),
            Some(stop) if !cut.is_doubled => {
                return Some((span(from, stop, 0), CellEnd::Delimiter(stop + 1)));
            }
            Some(stop) if bytes.get(stop + 1) == Some(&bytes[stop]) => {
                return Some((span(from, stop, 0), CellEnd::Delimiter(stop + 2)));
            }
            // A single one of a doubled delimiter is a character like any other.
            Some(stop) => at = stop + 1,
            None if is_end => break (bytes.len(), CellEnd::Record(bytes.len())),
            None => return None,
        }
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
            [next, after, ..] if cut.is_doubled && Some(*next) == cut.delimiter && next == after => {
                return Quoted::Cell((inner, CellEnd::Delimiter(close + 3)));
            }
            [next, ..] if !cut.is_doubled && Some(*next) == cut.delimiter => {
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

    fn records(text: &str) -> Vec<Vec<String>> {
        head_records(text.as_bytes(), true, Cut::quoted(b','), usize::MAX)
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

    #[test]
    fn doubled_delimiters_leave_single_ones_alone() {
        let cut = Cut { is_doubled: true, ..Cut::plain(b':') };
        let text = b"1::Alien: the film::Horror\n2::Solaris:::x\n3::a::";
        assert_eq!(
            head_records(text, true, cut, 9),
            [["1", "Alien: the film", "Horror"], ["2", "Solaris", ":x"], ["3", "a", ""]]
        );
    }

    #[test]
    fn empty_rows_are_blank_lines() {
        let found = records_of(b"a,b\n,,\n\n1,2\n", true, Cut::quoted(b','), 9);
        let blanks: Vec<_> = found.iter().map(|record| record.is_after_blank).collect();
        assert_eq!(blanks, [false, true]);
    }
}
