//! How is delimited text cut into records? A block at a time, so that a file of any size fits.
//!
//! A record that does not fit the table is counted with its physical line and left out; what an export puts after
//! its rows (totals, a second table, a footer) is told apart from them; nothing else is lost.

use super::block::Found;
use super::container::Input;
use super::cut::{Span, Stops, cut_plain_record, cut_record, is_blank, raw_text};
use super::totals;
use crate::base::{Failure, Result};
use crate::data::frame::BadRow;
use memchr::{memchr, memchr_iter};
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub use super::block::Block;
pub use super::cut::{Cut, head_records};

/// Bytes cut at once. Large enough to share a block's columns among threads, small enough for their caches.
const BLOCK_BYTES: usize = 1 << 18;
/// A record longer than this means that the file is no table.
const RECORD_BYTES: usize = 128 << 20;
/// Bad rows that are shown; the rest are only counted.
const BAD_SAMPLES: usize = 20;
/// Records after a blank line that must not fit the table for it to end there.
const AFTER_BLANK: usize = 20;

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

    /// Adds rows of the same file that were found in another way.
    pub(super) fn append(&mut self, other: Self) {
        self.count += other.count;
        self.undecodable += other.undecodable;
        self.samples.extend(other.samples);
        self.samples.sort_by_key(|row| row.line);
        self.samples.truncate(BAD_SAMPLES);
    }
}

/// What a table may have besides rows of equal width. By default nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rules {
    /// True when the writer leaves out empty cells at the end of a row.
    pub pads_short_rows: bool,
    /// True when rows of totals, a second table or a footer may follow the rows.
    pub has_ending: bool,
    /// The header as it stands in the file, which files that were put together repeat.
    pub header: Vec<String>,
    /// Columns that hold nothing but values, so that a name in all of them begins another table.
    pub values: Vec<usize>,
}

/// What was met besides rows, and bad rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Met {
    /// Rows of totals: line and cells.
    pub totals: Vec<(u64, Vec<String>)>,
    /// Rows whose last cells were not written.
    pub padded: u64,
    /// Rows with empty cells beyond the last column.
    pub trimmed: u64,
    /// Rows of empty cells only.
    pub empty: u64,
    /// Rows that repeat the header.
    pub headers: u64,
    /// Line of the first row.
    pub first: Option<u64>,
    /// Line of the last row.
    pub lines: u64,
    /// What follows the table: its first line, its text, and its number of lines.
    pub rest: Option<(u64, String, u64)>,
}

/// What a record is.
enum Judged {
    Row,
    Blank,
    LeftOut,
    /// It no longer belongs to the table.
    Beyond,
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
    /// How many of its bytes are text; the rest is room.
    filled: usize,
    /// What is found in the present block, and the cells of the present record.
    found: Found,
    record: Vec<Span>,
    /// Room of blocks that are done with.
    spare: Vec<Block>,
    line: u64,
    ended: bool,
    rules: Rules,
    rows: u64,
    is_after_blank: bool,
    /// Rows that were left out so far.
    pub bad: BadRows,
    /// What was met besides rows so far.
    pub(super) met: Met,
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
            filled: 0,
            found: Found::default(),
            record: Vec::new(),
            spare: Vec::new(),
            line: 1,
            ended: false,
            rules: Rules::default(),
            rows: 0,
            is_after_blank: false,
            bad: BadRows::default(),
            met: Met::default(),
        })
    }

    /// The same reader for a table that may have more than rows of equal width.
    #[must_use]
    pub(super) fn with_rules(mut self, rules: &Rules) -> Self {
        self.rules = rules.clone();
        self
    }

    /// The next records; `None` at the end of the file.
    ///
    /// # Errors
    /// The disk, broken compression, or a record of more than 128 MiB.
    pub fn next_block(&mut self) -> Result<Option<Block>> {
        let mut wanted = BLOCK_BYTES;
        loop {
            self.fill(wanted)?;
            if self.filled == 0 {
                return Ok(None);
            }
            let (block, used) = self.cut_block();
            if used > 0 {
                if block.rows() > 0 {
                    return Ok(Some(block));
                }
            } else {
                wanted = self.filled * 2;
                if wanted > RECORD_BYTES && self.cut.quote.is_none() {
                    self.pass_long_line()?;
                    wanted = BLOCK_BYTES;
                } else if wanted > RECORD_BYTES {
                    return Err(Failure::new(
                        "cannot read the log",
                        "one record is longer than 128 MiB, so this is no table of rows",
                    )
                    .at(format!("{}, line {}", self.input.path.display(), self.line)));
                }
            }
        }
    }

    /// Takes the room of a block that is done with, for the blocks to come.
    pub fn recycle(&mut self, block: Block) {
        self.spare.push(block);
    }

    /// Leaves out a line that is too long to be a row, without holding it; a line ends where it ends where quotes
    /// mean nothing.
    fn pass_long_line(&mut self) -> Result<()> {
        self.bad.add(self.line, || format!("is longer than {} MiB", RECORD_BYTES >> 20));
        self.line += 1;
        loop {
            if let Some(end) = memchr(b'\n', &self.buffer[..self.filled]) {
                self.buffer.copy_within(end + 1..self.filled, 0);
                self.filled -= end + 1;
                return Ok(());
            }
            self.filled = 0;
            if self.ended {
                return Ok(());
            }
            self.fill(BLOCK_BYTES)?;
        }
    }

    fn fill(&mut self, wanted: usize) -> Result<()> {
        if self.buffer.len() < wanted && !self.ended {
            self.buffer.resize(wanted, 0);
        }
        while !self.ended && self.filled < wanted {
            match self.source.read(&mut self.buffer[self.filled..wanted]) {
                Ok(read) => {
                    self.filled += read;
                    self.ended = read == 0;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.input.read_failure(&error)),
            }
        }
        Ok(())
    }

    /// Cuts the whole records of the buffer; the second value is how many bytes they took.
    fn cut_block(&mut self) -> (Block, usize) {
        let mut room = self.spare.pop().unwrap_or_default();
        let mut bytes = std::mem::replace(&mut self.buffer, room.take_room());
        bytes.truncate(self.filled);
        self.filled = 0;
        if self.met.rest.is_some() {
            self.pass_rest(&bytes);
            return (Block::default(), bytes.len());
        }
        let held = String::from_utf8(bytes);
        let (bytes, is_text) = match &held {
            Ok(text) => (text.as_bytes(), true),
            // A character that the end of the buffer parts belongs to the next block.
            Err(error) => (error.as_bytes(), error.utf8_error().error_len().is_none() && !self.ended),
        };
        let mut found = std::mem::take(&mut self.found);
        let at = self.find_records(bytes, is_text, &mut found);
        self.keep_for_next(&bytes[at..]);
        let text = match held {
            Ok(mut text) => {
                text.truncate(at);
                text
            }
            Err(error) => {
                let mut text = error.into_bytes();
                text.truncate(at);
                let text = if is_text { text } else { std::mem::take(&mut found.text) };
                String::from_utf8(text)
                    .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
            }
        };
        let block = Block::of(text, &found, self.width, room);
        self.found = found;
        (block, at)
    }

    /// Begins the next block with the bytes that this one leaves.
    fn keep_for_next(&mut self, bytes: &[u8]) {
        self.filled = bytes.len();
        if self.buffer.len() < self.filled {
            self.buffer.resize(self.filled, 0);
        }
        self.buffer[..self.filled].copy_from_slice(bytes);
    }

    /// Finds the whole records of some bytes; the answer is how many bytes they took.
    fn find_records(&mut self, bytes: &[u8], is_text: bool, found: &mut Found) -> usize {
        let has_zeros = memchr(0, bytes).is_some();
        let mut stops = Stops::of(bytes, self.cut);
        found.begin(stops.is_some() && is_text);
        let mut record = std::mem::take(&mut self.record);
        let mut at = 0;
        while at < bytes.len() {
            record.clear();
            let cut = match &mut stops {
                Some(stops) => cut_plain_record(bytes, at, stops, self.ended, &mut record),
                None => cut_record(bytes, at, self.cut, self.ended, &mut record),
            };
            let Some(next) = cut else {
                break;
            };
            let has_rows = self.rows > 0 || found.rows() > 0;
            match self.judge(bytes, at..next, &mut record, has_rows, is_text && !has_zeros) {
                Judged::Row => found.keep(bytes, at..next, &mut record, self.line, is_text),
                Judged::Blank | Judged::LeftOut => {}
                Judged::Beyond => {
                    self.pass_rest(&bytes[at..]);
                    at = bytes.len();
                    break;
                }
            }
            // A record without quotes ends with the only line break in it.
            self.line += match &stops {
                Some(_) => u64::from(bytes[at..next].ends_with(b"\n")),
                None => memchr_iter(b'\n', &bytes[at..next]).count() as u64,
            };
            at = next;
        }
        self.record = record;
        if self.rules.has_ending {
            at = self.take_totals(bytes, found, at);
        }
        self.rows += found.rows() as u64;
        self.met.first = self.met.first.or_else(|| found.first_line());
        self.met.lines = found.last_line().unwrap_or(self.met.lines);
        at
    }

    /// Rows of totals at the end of the table are no rows. Before the end of the file they wait for what follows:
    /// the answer is how many bytes are done with.
    fn take_totals(&mut self, bytes: &[u8], found: &mut Found, at: usize) -> usize {
        let is_total = |found: &Found| {
            // Where rows were left out the spans lie in the kept text.
            let text = if found.text.is_empty() { bytes } else { &found.text };
            let cells: Vec<String> =
                found.last(self.width).iter().map(|span| raw_text(text, *span)).collect();
            totals::is_total_row(&cells).then_some(cells)
        };
        let is_end = self.met.rest.is_some() || (self.ended && at == bytes.len());
        let mut at = at;
        let mut totals = Vec::new();
        while let Some(cells) = is_total(found) {
            let (Some(line), Some(range)) = (found.last_line(), found.last_range()) else {
                break;
            };
            if !is_end {
                // A block of nothing but totals would never come to an end.
                if range.end != at || found.rows() == 1 {
                    break;
                }
                at = range.start;
                self.line = line;
            }
            found.drop_last(self.width);
            totals.push((line, cells));
        }
        if is_end {
            totals.reverse();
            self.met.totals.extend(totals);
        }
        at
    }

    /// Counts the lines after the table.
    fn pass_rest(&mut self, bytes: &[u8]) {
        let begin = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len());
        let line = &bytes[begin..];
        let line = &line[..memchr(b'\n', line).unwrap_or(line.len())];
        let text = String::from_utf8_lossy(line).trim().chars().take(120).collect();
        let own = self.line;
        let (.., lines) = self.met.rest.get_or_insert((own, text, 0));
        *lines +=
            bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count() as u64;
    }

    /// What a record is; counts it where it is no row, and completes it where it is a short one.
    fn judge(
        &mut self,
        bytes: &[u8],
        place: Range<usize>,
        cells: &mut Vec<Span>,
        has_rows: bool,
        is_text: bool,
    ) -> Judged {
        let record = &bytes[place.clone()];
        if is_blank(record, self.cut) {
            self.is_after_blank = true;
            let is_line = record.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
            self.met.empty += u64::from(!is_line && self.skip == 0);
            return Judged::Blank;
        }
        let is_after_blank = std::mem::take(&mut self.is_after_blank);
        if self.skip > 0 {
            self.skip -= 1;
            return Judged::LeftOut;
        }
        if self.rules.has_ending && is_after_blank && has_rows && self.is_beyond(bytes, place.end, cells) {
            return Judged::Beyond;
        }
        let line = self.line;
        if !self.fits(bytes, cells) {
            return Judged::LeftOut;
        }
        if self.repeats_header(bytes, cells) {
            self.met.headers += 1;
            return Judged::LeftOut;
        }
        if !is_text && memchr(0, record).is_some() {
            self.bad.add(line, || "holds a zero byte".to_owned());
            return Judged::LeftOut;
        }
        if !is_text && let Err(error) = std::str::from_utf8(record) {
            let byte = error.valid_up_to() + 1;
            self.bad.undecodable += 1;
            self.bad.add(line, || format!("byte {byte} of the line is not valid UTF-8"));
            return Judged::LeftOut;
        }
        Judged::Row
    }

    /// True when a record has as many cells as the table, or can be made to; counts it otherwise.
    fn fits(&mut self, bytes: &[u8], record: &mut Vec<Span>) -> bool {
        let has = record.len();
        if has == self.width {
            return true;
        }
        let is_total = || {
            let cells: Vec<String> = record.iter().map(|span| raw_text(bytes, *span)).collect();
            totals::is_label(&cells).then_some(cells)
        };
        if self.rules.has_ending
            && let Some(cells) = is_total()
        {
            self.met.totals.push((self.line, cells));
            return false;
        }
        if has > self.width && record[self.width..].iter().all(|span| span.range().is_empty()) {
            record.truncate(self.width);
            self.met.trimmed += 1;
            return true;
        }
        if self.rules.pads_short_rows && (2..self.width).contains(&has) {
            let end = record.last().map_or(0, |span| span.range().end);
            record.resize(self.width, Span::new(end, end, false));
            self.met.padded += 1;
            return true;
        }
        let wants = self.width;
        self.bad.add(self.line, || format!("has {has} fields where the table has {wants}"));
        false
    }

    fn repeats_header(&self, bytes: &[u8], spans: &[Span]) -> bool {
        let header = &self.rules.header;
        !header.is_empty()
            && spans.len() == header.len()
            && spans.iter().zip(header).all(|(span, name)| {
                let cell = bytes.get(span.range()).unwrap_or_default();
                // Most rows differ in the first cell, before anything is copied.
                cell == name.as_bytes() || (span.is_doubled() && raw_text(bytes, *span) == *name)
            })
    }

    /// True when a record after a blank line begins something else: it names columns that hold values, or neither
    /// it nor what follows fits the table.
    fn is_beyond(&self, bytes: &[u8], next: usize, record: &[Span]) -> bool {
        let cells: Vec<String> = record.iter().map(|span| raw_text(bytes, *span)).collect();
        if record.len() == self.width {
            let names_values = |column: &usize| cells.get(*column).is_some_and(|cell| totals::is_name(cell));
            return !self.rules.values.is_empty() && self.rules.values.iter().all(names_values);
        }
        if totals::is_label(&cells) {
            return false;
        }
        let mut at = next;
        let mut spans = Vec::new();
        for _ in 0..AFTER_BLANK {
            if at >= bytes.len() {
                return self.ended;
            }
            spans.clear();
            let Some(next) = cut_record(bytes, at, self.cut, self.ended, &mut spans) else {
                return false;
            };
            if spans.len() == self.width && !is_blank(&bytes[at..next], self.cut) {
                return false;
            }
            at = next;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Cut = Cut::quoted(b',');

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
    fn a_line_without_end_is_left_out() {
        let mut text = b"1\n".to_vec();
        text.resize(RECORD_BYTES + (3 << 20), b'x');
        text.extend_from_slice(b"\n2\n");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, &text).unwrap();
        let input = Input::open(&path).unwrap();
        let cut = Cut { quote: None, ..Cut::lines() };
        let mut reader = RecordReader::new(&input, cut, 1, 0, &Arc::default()).unwrap();
        let mut cells = Vec::new();
        while let Some(block) = reader.next_block().unwrap() {
            cells.extend((0..block.rows()).map(|row| (block.line(row), block.cell(row, 0).into_owned())));
        }
        assert_eq!(cells, [(1, "1".to_owned()), (3, "2".to_owned())]);
        assert_eq!((reader.bad.count, reader.bad.samples[0].line), (1, 2));
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
