//! Where does a cell end, and where a record? Delimiters, quotes and line ends of delimited text.
//!
//! Quoted cells may hold delimiters, doubled quotes and line breaks (RFC 4180).

use crate::base::simd::equal_bytes;
use memchr::{memchr, memchr2};
use std::borrow::Cow;
use std::ops::Range;

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

/// Where a cell lies in the text of its block. Blocks have many, so it takes eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    /// The highest bit is set when quotes stand doubled in the cell; a block has fewer bytes than that.
    end: u32,
}

impl Span {
    const DOUBLED: u32 = 1 << 31;

    /// From one byte to before another; `is_doubled` when quotes stand doubled between them.
    #[inline]
    pub fn new(start: usize, end: usize, is_doubled: bool) -> Self {
        Self { start: start as u32, end: end as u32 | if is_doubled { Self::DOUBLED } else { 0 } }
    }

    /// The bytes of the cell.
    #[inline]
    pub fn range(self) -> Range<usize> {
        self.start as usize..(self.end & !Self::DOUBLED) as usize
    }

    /// True when quotes stand doubled in the cell, so that the text does not stand for itself.
    #[inline]
    pub fn is_doubled(self) -> bool {
        self.end & Self::DOUBLED != 0
    }

    /// As far on as the text was moved.
    pub fn moved(self, by: isize) -> Self {
        let range = self.range();
        Self::new(range.start.wrapping_add_signed(by), range.end.wrapping_add_signed(by), self.is_doubled())
    }
}

/// The text of a cell.
#[inline]
pub(super) fn cell_text(text: &str, span: Span) -> Cow<'_, str> {
    let cell = text.get(span.range()).unwrap_or_default();
    if span.is_doubled() { Cow::Owned(undoubled(cell)) } else { Cow::Borrowed(cell) }
}

#[cold]
fn undoubled(cell: &str) -> String {
    cell.replace("\"\"", "\"")
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
    let text = String::from_utf8_lossy(bytes.get(span.range()).unwrap_or_default());
    if span.is_doubled() { undoubled(&text) } else { text.into_owned() }
}

/// True when no cell holds anything: a blank line, or the delimiters that spreadsheets write for one.
pub(super) fn is_blank(record: &[u8], cut: Cut) -> bool {
    let is_empty = |byte: u8| match cut.delimiter {
        None => matches!(byte, b'\r' | b'\n'),
        Some(delimiter) => matches!(byte, b'\r' | b'\n' | b' ' | b'\t') || byte == delimiter,
    };
    record.iter().all(|byte| is_empty(*byte))
}

/// Where cells and lines end in bytes that hold no quote: the places of one byte and of line breaks, 64 bytes looked at
/// together, as most cells are shorter than it takes to begin a search.
pub(super) struct Stops<'a> {
    bytes: &'a [u8],
    delimiter: u8,
    /// Where the bytes that were looked at last begin, which of them are stops still to come, and which are line breaks.
    from: usize,
    stops: u64,
    breaks: u64,
}

impl<'a> Stops<'a> {
    /// `None` where quotes or doubled delimiters need a closer look.
    pub fn of(bytes: &'a [u8], cut: Cut) -> Option<Self> {
        let has_quotes = cut.quote.is_some_and(|quote| memchr(quote, bytes).is_some());
        let is_plain = !has_quotes && !cut.is_doubled;
        is_plain.then(|| {
            let delimiter = cut.delimiter.unwrap_or(b'\n');
            let mut stops = Stops { bytes, delimiter, from: 0, stops: 0, breaks: 0 };
            stops.look();
            stops
        })
    }

    /// Looks at the bytes from `from` on.
    fn look(&mut self) {
        let rest = self.bytes.get(self.from..).unwrap_or_default();
        let mut last = [0; 64];
        let (bytes, meant) = match rest.first_chunk::<64>() {
            Some(all) => (all, u64::MAX),
            None => {
                last[..rest.len()].copy_from_slice(rest);
                (&last, (1 << rest.len()) - 1)
            }
        };
        self.breaks = equal_bytes(bytes, b'\n') & meant;
        self.stops = (equal_bytes(bytes, self.delimiter) & meant) | self.breaks;
    }

    /// Looks at the next bytes; false when there are none.
    fn go_on(&mut self) -> bool {
        self.from += 64;
        self.look();
        self.from < self.bytes.len()
    }
}

/// As [`cut_record`], where every delimiter and line break stands for itself.
pub(super) fn cut_plain_record(
    bytes: &[u8],
    at: usize,
    stops: &mut Stops<'_>,
    is_end: bool,
    spans: &mut Vec<Span>,
) -> Option<usize> {
    let begin = spans.len();
    let mut from = at;
    let end_at = |from: usize, end: usize, spans: &mut Vec<Span>| {
        let carriage = end > from && bytes[end - 1] == b'\r';
        spans.push(Span::new(from, end - usize::from(carriage), false));
    };
    loop {
        let (first, breaks) = (stops.from, stops.breaks);
        let mut left = stops.stops;
        while left != 0 {
            let place = left.trailing_zeros();
            let stop = first + place as usize;
            left &= left - 1;
            if breaks >> place & 1 != 0 {
                stops.stops = left;
                end_at(from, stop, spans);
                return Some(stop + 1);
            }
            spans.push(Span::new(from, stop, false));
            from = stop + 1;
        }
        stops.stops = 0;
        if !stops.go_on() {
            break;
        }
    }
    if is_end {
        end_at(from, bytes.len(), spans);
        return Some(bytes.len());
    }
    spans.truncate(begin);
    None
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
                return Some((Span::new(from, stop, false), CellEnd::Delimiter(stop + 1)));
            }
            Some(stop) if bytes.get(stop + 1) == Some(&bytes[stop]) => {
                return Some((Span::new(from, stop, false), CellEnd::Delimiter(stop + 2)));
            }
            // A single one of a doubled delimiter is a character like any other.
            Some(stop) => at = stop + 1,
            None if is_end => break (bytes.len(), CellEnd::Record(bytes.len())),
            None => return None,
        }
    };
    let carriage = end > from && bytes[end - 1] == b'\r';
    Some((Span::new(from, end - usize::from(carriage), false), what))
}

fn quoted_cell(bytes: &[u8], from: usize, quote: u8, cut: Cut, is_end: bool) -> Quoted {
    let mut at = from + 1;
    let mut is_doubled = false;
    loop {
        let Some(found) = memchr(quote, &bytes[at..]) else {
            let is_runaway = is_end || bytes.len() - from > QUOTED_BYTES;
            return if is_runaway { Quoted::Literal } else { Quoted::Unknown };
        };
        let close = at + found;
        let inner = Span::new(from + 1, close, is_doubled);
        match bytes.get(close + 1..).unwrap_or_default() {
            [next, ..] if *next == quote => {
                is_doubled = true;
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
    fn text_without_quotes_is_cut_in_the_same_places() {
        for length in [0, 1, 63, 64, 65, 200] {
            let text: Vec<u8> = (0..length).map(|at| (at * 37 % 251) as u8).collect();
            for delimiter in 0..=255 {
                let cut = Cut::plain(delimiter);
                let (mut stops, mut spans, mut at) = (Stops::of(&text, cut).unwrap(), Vec::new(), 0);
                while at < length {
                    at = cut_plain_record(&text, at, &mut stops, true, &mut spans).unwrap();
                }
                let (mut wanted, mut at) = (Vec::new(), 0);
                while at < length {
                    at = cut_record(&text, at, cut, true, &mut wanted).unwrap();
                }
                assert_eq!(spans, wanted, "{delimiter} in {length}");
            }
        }
        assert!(Stops::of(b"a,\"b\"", Cut::quoted(b',')).is_none());
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
