//! Any delimited text: comma, tab, semicolon, bar and others; header or not; quoted cells with line breaks.

use super::build::ColumnBuilder;
use super::container::Input;
use super::dialect::Dialect;
use super::fill::Fill;
use super::guess::{Convention, Guess, Plan};
use super::records::{BadRows, Block, Cut, RecordReader};
use super::{Importer, Match, RawLog, RoleHint, known};
use crate::base::Result;
use crate::base::failure::Explain;
use crate::data::layout::{ColumnReading, Layout};
use crate::data::schema::Role;
use crate::jobs::JobContext;
use polars::prelude::{Column, DataFrame};
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
        "delimited text (comma, tab, semicolon, bar and others), with or without a header, plain, gz or zst"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        // A JSON document has commas too.
        let is_json = matches!(input.head.trim_ascii_start().first(), Some(b'{' | b'['));
        let is_blank = input.head.trim_ascii().is_empty();
        if input.head.contains(&0) || is_json || is_blank {
            return None;
        }
        let dialect = Dialect::find(&input.head, input.head_is_all)?;
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

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        let dialect =
            Dialect::find(&input.head, input.head_is_all).ok_or_else(|| super::not_understood(input))?;
        let typed = TypedHeader::of(&dialect.names);
        let plans = known::plans(&dialect.names);
        let mut table = Table::of(dialect.cut, dialect.skip, dialect.names.clone(), plans);
        let mut hints = Vec::new();
        let mut notes = Vec::new();
        if let Some(typed) = typed {
            notes.push("the types after the names (user_id:token) were used and left out".to_owned());
            table.names = typed.names;
            table.plans = typed.plans;
            hints = typed.hints;
        }
        if dialect.skip > 1 {
            notes.push(format!("{} lines before the header were left out", dialect.skip - 1));
        }
        let format = format!("csv, {}{}", dialect.describe(), input.describe());
        let mut raw = table.read(input, format, context)?;
        raw.notes.splice(0..0, notes);
        raw.hints = hints;
        Ok(raw)
    }
}

/// What is known of a delimited table before its rows are read.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// How lines are cut.
    pub cut: Cut,
    /// Records before the first row.
    pub skip: usize,
    /// Column names.
    pub names: Vec<String>,
    /// Types that are known without a look at the cells.
    pub plans: Vec<Option<Plan>>,
}

impl Table {
    /// A table of rows of equal width.
    pub(super) fn of(cut: Cut, skip: usize, names: Vec<String>, plans: Vec<Option<Plan>>) -> Self {
        Self { cut, skip, names, plans }
    }

    /// Reads the rows in one pass, and columns again whose cells together tell another type than the first.
    pub(super) fn read(&self, input: &Input, mut format: String, context: &JobContext) -> Result<RawLog> {
        context.stage("reading the rows");
        let (mut fill, mut bad) = self.fill(input, context)?;
        let other = if bad.undecodable > 0 { input.in_other_encoding()? } else { None };
        let input = match &other {
            Some(other) => {
                (fill, bad) = self.fill(other, context)?;
                let _ = write!(format, ", {}", other.encoding.name().to_lowercase());
                other
            }
            None => input,
        };
        let mut notes = Vec::new();
        let readings = self.settle(input, &fill.guesses(), &mut notes);
        let plans: Vec<Plan> = readings.iter().map(|(plan, _)| *plan).collect();
        if fill.settle(&plans) {
            context.stage("reading columns again that turned out otherwise");
            self.each_block(input, context, |block| fill.store(block))?;
        }
        let frame = filled(fill, &mut notes)?;
        let columns = readings.into_iter().map(|(_, reading)| reading).collect();
        let layout = Layout {
            delimiter: self.cut.delimiter_text(),
            has_quotes: self.cut.quote.is_some(),
            columns,
            ..input.layout()
        };
        if !input.encoding.is_utf8() {
            notes.insert(0, format!("read as {}: {}", input.encoding.name(), input.encoding.evidence));
        }
        Ok(RawLog { frame, format, bad, notes, hints: Vec::new(), layout })
    }

    /// Looks at all cells and stores them as the first block suggests.
    fn fill(&self, input: &Input, context: &JobContext) -> Result<(Fill, BadRows)> {
        let mut fill = Fill::new(&self.names);
        let mut is_first = true;
        let bad = self.each_block(input, context, |block| {
            if std::mem::take(&mut is_first) {
                fill.look(block);
                let suggested = self.settle(input, &fill.guesses(), &mut Vec::new());
                fill.begin(suggested.into_iter().map(|(plan, _)| plan));
                fill.store(block);
            } else {
                fill.look_and_store(block);
            }
        })?;
        Ok((fill, bad))
    }

    /// Settles how each column is read, with the facts for the layout: as was asked for, as the format tells, or as
    /// all cells of the file together tell.
    fn settle(
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
                let plan = match asked.or(self.plans.get(place).copied().flatten()) {
                    Some(plan) => plan,
                    None => {
                        notes.extend(found.notes);
                        found.plan
                    }
                };
                let words = match plan {
                    Plan::Number(numeral) => numeral.describe(&found.currency),
                    plan => plan.describe(),
                };
                let reading = ColumnReading {
                    column: name.clone(),
                    plan: plan.to_string(),
                    words,
                    currency: found.currency,
                };
                (plan, reading)
            })
            .collect()
    }

    fn each_block(
        &self,
        input: &Input,
        context: &JobContext,
        mut visit: impl FnMut(&Block) + Send,
    ) -> Result<BadRows> {
        let read_bytes = Arc::new(AtomicU64::new(0));
        let mut reader = RecordReader::new(input, self.cut, self.names.len(), self.skip, &read_bytes)?;
        let mut next = reader.next_block()?;
        while let Some(block) = next {
            context.check()?;
            // The next block is cut while this one is looked at.
            let (following, ()) = rayon::join(|| reader.next_block(), || visit(&block));
            context.progress(read_bytes.load(Ordering::Relaxed), input.bytes);
            next = following?;
        }
        Ok(reader.bad)
    }
}

/// Puts filled columns into a frame and notes cells that could not be read.
fn filled(fill: Fill, notes: &mut Vec<String>) -> Result<DataFrame> {
    let mut columns: Vec<Column> = Vec::new();
    for (series, unreadable) in fill.finish()? {
        note_unreadable(series.name(), unreadable, notes);
        columns.push(series.into());
    }
    DataFrame::new_infer_height(columns).explain("cannot store the log")
}

fn note_unreadable(name: &str, unreadable: u64, notes: &mut Vec<String>) {
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
