//! Any delimited text: comma, tab, semicolon, bar and others; header or not; quoted cells with line breaks.

use super::build::ColumnBuilder;
use super::container::Input;
use super::dialect::Dialect;
use super::fill::Fill;
use super::guess::{Convention, Guess, Plan};
use super::records::{BadRows, Block, Cut, Met, RecordReader, Rules};
use super::{Importer, Match, RawLog, RoleHint, known};
use crate::base::Result;
use crate::base::failure::Explain;
use crate::data::layout::{ColumnReading, Layout, TotalRow};
use crate::data::schema::Role;
use crate::jobs::JobContext;
use polars::prelude::{ChunkAgg, Column, DataFrame, DataType, Int64Chunked};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The importer of delimited text.
pub struct Delimited;

impl Importer for Delimited {
    fn id(&self) -> &'static str {
        "csv"
    }

    fn summary(&self) -> &'static str {
        "delimited text (comma, tab, semicolon, bar and others), with or without a header"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        // A JSON document has commas too.
        let is_json = matches!(input.head.trim_ascii_start().first(), Some(b'{' | b'['));
        let is_blank = input.head.trim_ascii().is_empty();
        if input.head.contains(&0) || is_json || is_blank {
            return None;
        }
        let dialect = Dialect::find(&input.head, input.head_is_all, &input.reading)?;
        // Anything can be a text of one column: every other reader goes first.
        let sure = if dialect.cut.delimiter.is_some() { 60.0 * dialect.agreement } else { 5.0 };
        Some(Match {
            confidence: sure as u8,
            evidence: format!(
                "{}: {:.0} % of the first records have {} fields",
                dialect.describe(),
                100.0 * dialect.agreement,
                dialect.names.len()
            ),
        })
    }

    fn table(&self, input: &Input) -> Option<Table> {
        let dialect = Dialect::find(&input.head, input.head_is_all, &input.reading)?;
        Some(table_of(&dialect).0)
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        let dialect = Dialect::find(&input.head, input.head_is_all, &input.reading)
            .ok_or_else(|| super::not_understood(input))?;
        let mut notes = dialect.notes.clone();
        let (table, typed) = table_of(&dialect);
        if typed.is_some() {
            notes.push("the types after the names (user_id:token) were used and left out".to_owned());
        }
        if let Some(first) = dialect.preamble.first() {
            let (count, first) = (dialect.lines_before, first.chars().take(60).collect::<String>());
            notes.push(format!("{count} lines before the table were left out (\"{first}\")"));
        }
        let format = format!("csv, {}{}", dialect.describe(), input.describe());
        let mut raw = table.read(input, format, context)?;
        raw.notes.splice(0..0, notes);
        raw.hints = typed.unwrap_or_default();
        raw.layout.has_header = dialect.has_header;
        raw.layout.preamble = dialect.preamble;
        raw.layout.lines_before = dialect.lines_before;
        Ok(raw)
    }
}

/// The table of a dialect, and the roles that its header tells, if it tells any.
fn table_of(dialect: &Dialect) -> (Table, Option<Vec<RoleHint>>) {
    let plans = known::plans(&dialect.names);
    let table = Table::of(dialect.cut, dialect.skip, dialect.names.clone(), plans);
    let table = Table { rules: dialect.rules.clone(), ..table };
    match TypedHeader::of(&dialect.names) {
        Some(typed) => (Table { names: typed.names, plans: typed.plans, ..table }, Some(typed.hints)),
        None => (table, None),
    }
}

/// What is known of a delimited table before its rows are read.
#[derive(Debug, Clone)]
pub struct Table {
    /// How lines are cut.
    pub(super) cut: Cut,
    /// Records before the first row.
    pub(super) skip: usize,
    /// Column names.
    pub(super) names: Vec<String>,
    /// Types that are known without a look at the cells.
    pub(super) plans: Vec<Option<Plan>>,
    /// What it may have besides rows.
    pub(super) rules: Rules,
}

impl Table {
    /// A table of rows of equal width.
    pub(super) fn of(cut: Cut, skip: usize, names: Vec<String>, plans: Vec<Option<Plan>>) -> Self {
        Self { cut, skip, names, plans, rules: Rules::default() }
    }

    /// Reads the rows in one pass, and columns again whose cells together tell another type than the first.
    pub(super) fn read(&self, input: &Input, mut format: String, context: &JobContext) -> Result<RawLog> {
        context.stage("reading the rows");
        let (mut fill, mut read) = self.fill(input, context)?;
        let other = if read.bad.undecodable > 0 { input.in_other_encoding()? } else { None };
        let input = match &other {
            Some(other) => {
                (fill, read) = self.fill(other, context)?;
                let _ = write!(format, ", {}", other.encoding.name().to_lowercase());
                other
            }
            None => input,
        };
        let Read { bad, met } = read;
        let mut notes = met_notes(&met);
        let readings = self.settle(input, &fill.guesses(), &mut notes);
        let plans: Vec<Plan> = readings.iter().map(|(plan, _)| *plan).collect();
        if fill.settle(&plans) {
            context.stage("reading columns again that turned out otherwise");
            self.each_block(input, context, |block, _| {
                fill.store(block);
                true
            })?;
        }
        let (keep, sums) = (fill.keep(), fill.totals());
        let rows = fill.guesses().first().map_or(0, |guess| guess.cells);
        let mut frame = filled(fill, &mut notes)?;
        let mut totals: Vec<TotalRow> =
            met.totals.into_iter().map(|(line, cells)| self.total_row(line, cells)).collect();
        if self.rules.has_ending
            && totals.is_empty()
            && keep.is_all()
            && let Some((end, cells)) = unlabelled_total(&frame)
        {
            let (which, line, from) = match end {
                End::First => ("first", met.first.unwrap_or_default(), 1),
                End::Last => ("last", met.lines, 0),
            };
            notes.push(format!(
                "the {which} row has no name and is the sum of the others: no data, kept to check it"
            ));
            totals.push(TotalRow { line, label: String::new(), cells });
            frame = frame.slice(from, frame.height() - 1);
        }
        let sample = keep.note(frame.height() as u64, rows, sums);
        let columns = readings.into_iter().map(|(_, reading)| reading).collect();
        let layout = Layout {
            delimiter: self.cut.delimiter_text(),
            has_quotes: self.cut.quote.is_some(),
            columns,
            totals,
            sample,
            ..input.layout()
        };
        if !input.encoding.is_utf8() {
            notes.insert(0, format!("read as {}: {}", input.encoding.name(), input.encoding.evidence));
        }
        Ok(RawLog { frame, format, bad, notes, hints: Vec::new(), layout })
    }

    /// Looks at all cells and stores them as the first block suggests, as many rows as the memory holds.
    fn fill(&self, input: &Input, context: &JobContext) -> Result<(Fill, Read)> {
        let mut keep = input.keep;
        loop {
            let mut fill = Fill::new(&self.names, keep);
            let mut is_first = true;
            let mut fits = true;
            let read = self.each_block(input, context, |block, share_read| {
                if std::mem::take(&mut is_first) {
                    fill.look(block, 0);
                    let suggested = self.settle(input, &fill.guesses(), &mut Vec::new());
                    fill.begin(suggested.into_iter().map(|(plan, _)| plan));
                    fill.store(block);
                    fill.fit(block, share_read);
                } else {
                    fill.look_and_store(block, usize::MAX);
                }
                fits = !fill.is_over();
                fits
            })?;
            if fits {
                return Ok((fill, read));
            }
            keep = fill.keep().halved();
        }
    }

    /// Settles how each column is read, with the facts for the layout: as was asked for, as the format tells, or as
    /// all cells of the file together tell.
    pub(super) fn settle(
        &self,
        input: &Input,
        guesses: &[Guess],
        notes: &mut Vec<String>,
    ) -> Vec<(Plan, ColumnReading)> {
        let convention = Convention::of(guesses.iter());
        let columns = self.names.iter().zip(guesses).enumerate();
        columns
            .map(|(place, (name, guess))| {
                let found = guess.settle(name, convention);
                let asked = input.reading.columns.get(name).copied();
                let plan = asked.or(self.plans.get(place).copied().flatten()).unwrap_or(found.plan);
                let reading = found.reading(name, plan);
                if asked.is_none() && self.plans.get(place).copied().flatten().is_none() {
                    notes.extend(found.notes);
                }
                (plan, reading)
            })
            .collect()
    }

    /// Visits all rows, some at a time, with the share of the file that was read, until the visitor has enough.
    pub(super) fn each_block(
        &self,
        input: &Input,
        context: &JobContext,
        mut visit: impl FnMut(&Block, f64) -> bool + Send,
    ) -> Result<Read> {
        let read_bytes = Arc::new(AtomicU64::new(0));
        let reader = RecordReader::new(input, self.cut, self.names.len(), self.skip, &read_bytes)?;
        let mut reader = reader.with_rules(&self.rules);
        let mut next = reader.next_block()?;
        while let Some(block) = next {
            context.check()?;
            // The next block is cut while this one is looked at.
            let share = read_bytes.load(Ordering::Relaxed) as f64 / input.bytes.max(1) as f64;
            let (following, goes_on) =
                rayon::join(|| reader.next_block(), || visit(&block, share.clamp(1e-9, 1.0)));
            context.progress(read_bytes.load(Ordering::Relaxed), input.bytes);
            reader.recycle(block);
            next = following?.filter(|_| goes_on);
        }
        Ok(Read { bad: reader.bad, met: reader.met })
    }

    /// A row of totals with the columns of its cells.
    pub(super) fn total_row(&self, line: u64, cells: Vec<String>) -> TotalRow {
        let label = cells.iter().map(|cell| cell.trim()).find(|cell| !cell.is_empty()).unwrap_or_default();
        let label = label.to_owned();
        // A row of another width does not tell which column a cell belongs to.
        let fits = cells.len() == self.names.len();
        let pairs = self.names.iter().cloned().zip(cells).filter(|(_, cell)| fits && !cell.trim().is_empty());
        TotalRow { line, cells: pairs.collect(), label }
    }
}

/// What one pass over the rows met.
pub(super) struct Read {
    bad: BadRows,
    met: Met,
}

/// What a person should know of the records that are no rows.
fn met_notes(met: &Met) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some((line, cells)) = met.totals.first() {
        let label = cells.iter().map(|cell| cell.trim()).find(|cell| !cell.is_empty()).unwrap_or_default();
        let count = met.totals.len();
        notes.push(format!(
            "{count} rows of totals are no data and kept to check it (line {line}: '{label}')"
        ));
    }
    if let Some((line, text, lines)) = &met.rest {
        notes.push(format!(
            "{lines} lines from line {line} on belong to something else: left out (\"{text}\")"
        ));
    }
    let counted = [
        (met.padded, "rows are short: their writer leaves out empty cells at the end, which are missing"),
        (met.trimmed, "rows have empty cells beyond the last column: left out"),
        (met.empty, "rows hold nothing but delimiters: left out"),
        (met.headers, "rows repeat the header: left out"),
    ];
    notes.extend(
        counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")),
    );
    notes
}

/// Where a row of sums may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// The cells of a first or last row that is a sum without a word for it: its first cell is the only empty one of the
/// column, and a column of whole numbers adds up to it. `None` when these rows are rows like any other.
fn unlabelled_total(frame: &DataFrame) -> Option<(End, Vec<(String, String)>)> {
    let rows = frame.height();
    let first = frame.columns().first()?;
    if rows < 3 || first.null_count() != 1 {
        return None;
    }
    let is_empty = |row: usize| first.get(row).is_ok_and(|cell| cell.is_null());
    let (end, own, others) = if is_empty(0) {
        (End::First, 0, 1)
    } else if is_empty(rows - 1) {
        (End::Last, rows - 1, 0)
    } else {
        return None;
    };
    let adds_up = |column: &Column| {
        let whole = column.dtype().is_integer().then(|| column.cast(&DataType::Int64).ok())??;
        let whole: &Int64Chunked = whole.as_materialized_series().i64().ok()?;
        let total = whole.get(own).filter(|total| *total > 0)?;
        (whole.null_count() == 0 && whole.slice(others, rows - 1).sum() == Some(total)).then_some(())
    };
    if !frame.columns().iter().any(|column| adds_up(column).is_some()) {
        return None;
    }
    let cells = frame.columns().iter().filter_map(|column| {
        let cell = column.get(own).ok().filter(|cell| !cell.is_null())?;
        Some((column.name().to_string(), cell.str_value().into_owned()))
    });
    Some((end, cells.collect()))
}

/// Puts filled columns into a frame and notes cells that could not be read.
pub(super) fn filled(fill: Fill, notes: &mut Vec<String>) -> Result<DataFrame> {
    let mut columns: Vec<Column> = Vec::new();
    for (series, unreadable) in fill.finish()? {
        note_unreadable(series.name(), unreadable, notes);
        columns.push(series.into());
    }
    DataFrame::new_infer_height(columns).explain("cannot store the log")
}

/// Says how many cells of a column could not be read.
pub(super) fn note_unreadable(name: &str, unreadable: u64, notes: &mut Vec<String>) {
    if unreadable > 0 {
        notes.push(format!("'{name}': {unreadable} cells do not fit its type and count as missing"));
    }
}

/// Puts finished columns into a frame and notes cells that could not be read.
pub(super) fn finish(
    names: &[String],
    builders: Vec<ColumnBuilder>,
    notes: &mut Vec<String>,
) -> Result<DataFrame> {
    let mut columns: Vec<Column> = Vec::with_capacity(builders.len());
    for (name, builder) in names.iter().zip(builders) {
        note_unreadable(name, builder.unreadable, notes);
        columns.push(builder.finish()?.into());
    }
    DataFrame::new_infer_height(columns).explain("cannot store the log")
}

/// A header whose names carry types (`user_id:token`, the atomic files of RecBole).
struct TypedHeader {
    names: Vec<String>,
    plans: Vec<Option<Plan>>,
    hints: Vec<RoleHint>,
}

impl TypedHeader {
    fn of(names: &[String]) -> Option<Self> {
        let mut typed = Self { names: Vec::new(), plans: Vec::new(), hints: Vec::new() };
        for name in names {
            let (name, kind) = name.rsplit_once(':')?;
            let role = match kind {
                "token" => Some(Role::Categorical),
                "token_seq" | "float_seq" => Some(Role::Sequence),
                "float" => None,
                _ => return None,
            };
            typed.names.push(name.to_owned());
            typed.plans.push((role == Some(Role::Sequence)).then_some(Plan::List(' ')));
            typed.hints.extend(role.map(|role| RoleHint {
                column: name.to_owned(),
                role,
                evidence: format!("the header says '{kind}'"),
                is_final: false,
            }));
        }
        Some(typed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, opened};

    #[test]
    fn a_row_of_sums_without_a_word_is_no_data_where_it_stands_first_or_last() {
        let rows = "Search,2026-01-01,100,7\nDirect,2026-01-01,50,3\nSearch,2026-01-02,80,5\n";
        for (text, line, which) in [
            (format!("channel,date,sessions,clicks\n,,230,15\n{rows}"), 2, "first"),
            (format!("# a comment\n\nchannel,date,sessions,clicks\n,,230,15\n{rows}"), 4, "first"),
            (format!("channel,date,sessions,clicks\n{rows},,230,15\n"), 5, "last"),
        ] {
            let log = opened(&text);
            assert_eq!(cells(&log, "sessions"), ["100", "50", "80"], "{text}");
            assert!(log.source.notes.iter().any(|note| note.contains(which)), "{:?}", log.source.notes);
            let totals = &log.source.layout.totals;
            assert_eq!((totals.len(), totals[0].line), (1, line), "{text}");
            assert!(totals[0].cells.contains(&("sessions".to_owned(), "230".to_owned())));
        }
        // A channel without a name that is no sum is a row.
        let log = opened(&format!("channel,date,sessions,clicks\n,2026-01-01,231,16\n{rows}"));
        assert_eq!(cells(&log, "sessions"), ["231", "100", "50", "80"]);
    }
}
