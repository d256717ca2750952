//! How are all rows of a log read again that is too large to be held? Block by block, as its opening found them.
//!
//! Opening looked at every cell and settled how each column is read; what it held is a sample. Here the same cells are
//! read in the same way, one block after the other. What changes more than single cells (side tables, other shapes,
//! pseudonyms, columns that a folder's name tells) cannot be streamed and is told.

use super::build::Value;
use super::container::Input;
use super::delimited::Table;
use super::keep::Keep;
use super::plan::Plan;
use super::records::Block;
use super::{ImportOptions, known, sources};
use crate::base::{Failure, Result};
use crate::data::frame::LogFrame;
use crate::data::schema::ColumnType;
use crate::jobs::JobContext;
use std::path::PathBuf;

/// A log whose rows can be read again.
pub(in crate::data) struct RowStream {
    parts: Vec<Part>,
    columns: Vec<Asked>,
    keep: Keep,
}

/// One file of it.
struct Part {
    input: Input,
    table: Table,
    /// Where each column stands that was asked for; `None` where this file lacks it.
    places: Vec<Option<usize>>,
}

/// A column that was asked for.
struct Asked {
    /// The column of the file.
    name: String,
    plan: Plan,
    /// Makes 0 or 1 of a number: at least this much?
    threshold: Option<f64>,
    missing: MissingWords,
}

/// Cells that mean missing in this column.
#[derive(Default)]
struct MissingWords {
    texts: Vec<&'static str>,
    wholes: Vec<i64>,
    reals: Vec<f64>,
}

/// Some rows.
pub(in crate::data) struct StreamBlock<'a> {
    stream: &'a RowStream,
    part: &'a Part,
    keep: Keep,
    block: &'a Block,
    /// Rows of the file before these.
    before: u64,
}

const WHAT: &str = "cannot stream the log";

impl RowStream {
    /// The log that was opened from these files with these choices, with the columns that are asked for.
    ///
    /// # Errors
    /// A log that cannot be streamed, with the reason.
    pub fn of(log: &LogFrame, paths: &[PathBuf], options: &ImportOptions, columns: &[&str]) -> Result<Self> {
        let refuse = |why: &str| {
            Failure::new(WHAT, why).at(log.source.path.display()).hint("more --memory, or --all-rows")
        };
        let sources = sources::find(paths)?;
        let (_, options, mut reading) = super::merged(&sources, options)?;
        if !options.joins.is_empty() || options.shape.is_some() || !options.pseudonyms.is_empty() {
            return Err(refuse("side tables, another shape or pseudonyms need all rows at once"));
        }
        if options.leaves_people_out()? {
            return Err(refuse("rows of people are left out of it, which only a log that is held can do"));
        }
        if sources.parts.iter().any(|part| !part.partitions.is_empty()) {
            return Err(refuse("the names of its folders tell columns"));
        }
        let layout = &log.source.layout;
        if !matches!(layout.encoding.as_str(), "" | "UTF-8") {
            reading.encoding.get_or_insert_with(|| layout.encoding.clone());
        }
        let columns: Vec<Asked> = columns
            .iter()
            .map(|name| Asked::of(log, name).map_err(|why| refuse(&why)))
            .collect::<Result<_>>()?;
        let left_out = |path| log.source.parts.iter().any(|part| part.file == path && part.problem.is_some());
        let mut parts = Vec::new();
        for source in sources.parts.iter().filter(|part| !left_out(part.path.clone())) {
            let input = Input::open_as(&source.path, &reading)?;
            let table = super::choose(&input)?
                .table(&input)
                .ok_or_else(|| refuse("its rows are no lines of a table of text"))?;
            parts.push(Part::of(input, table, &columns));
        }
        let threshold = layout.sample.as_ref().map_or(u64::MAX, |sample| sample.threshold);
        Ok(Self { parts, columns, keep: Keep::default().at_most(threshold) })
    }

    /// Visits all rows in the order of the log.
    ///
    /// # Errors
    /// The disk, broken compression, a cancel, or what the visitor answers.
    pub fn each_block(
        &self,
        context: &JobContext,
        mut visit: impl FnMut(&StreamBlock) -> Result<()> + Send,
    ) -> Result<()> {
        for (number, part) in self.parts.iter().enumerate() {
            let mut answer = Ok(());
            let mut before = 0;
            part.table.each_block(&part.input, context, |block, _| {
                let keep = self.keep.for_part(number, 1.0);
                answer = visit(&StreamBlock { stream: self, part, keep, block, before });
                before += block.rows() as u64;
                answer.is_ok()
            })?;
            answer?;
        }
        Ok(())
    }
}

impl Part {
    fn of(input: Input, table: Table, columns: &[Asked]) -> Self {
        let place = |name: &str| table.names.iter().position(|known| known == name);
        let places = columns.iter().map(|column| place(&column.name)).collect();
        Self { input, table, places }
    }
}

impl Asked {
    /// How a column is read, as the opening of the log settled; why it cannot be streamed, if it can't.
    fn of(log: &LogFrame, name: &str) -> std::result::Result<Self, String> {
        let layout = &log.source.layout.columns;
        let reading = |name: &str| layout.iter().find(|reading| reading.column == name);
        let (source, threshold) = match (reading(name), name.rsplit_once(">=")) {
            (Some(_), _) => (name, None),
            (None, Some((source, number))) => (source, number.parse().ok()),
            (None, None) => (name, None),
        };
        let made = || format!("'{name}' is made from other columns");
        let plan: Plan = reading(source).ok_or_else(made)?.plan.parse().map_err(|_| made())?;
        let is_list = log.schema.column(name).is_ok_and(|column| column.kind == ColumnType::List);
        if is_list != matches!(plan, Plan::List(_)) {
            return Err(format!("the lists of '{name}' were found by content"));
        }
        if threshold.is_none() && source != name {
            return Err(made());
        }
        let names = layout.iter().map(|reading| reading.column.as_str());
        let texts = known::missing_words(names, source).to_vec();
        let missing = MissingWords {
            wholes: texts.iter().filter_map(|word| word.parse().ok()).collect(),
            reals: texts.iter().filter_map(|word| word.parse().ok()).collect(),
            texts,
        };
        Ok(Self { name: source.to_owned(), plan, threshold, missing })
    }

    #[inline]
    fn read<'a>(&self, cell: &'a str) -> Value<'a> {
        let value = Value::read(cell, self.plan);
        let value = if self.missing.texts.is_empty() { value } else { self.missing.apply(value) };
        match (self.threshold, value) {
            (None, value) => value,
            (Some(least), Value::Whole(number)) => Value::Whole(i64::from(number as f64 >= least)),
            (Some(least), Value::Real(number)) => Value::Whole(i64::from(number >= least)),
            (Some(_), _) => Value::Missing,
        }
    }
}

impl MissingWords {
    fn apply<'a>(&self, value: Value<'a>) -> Value<'a> {
        let is_missing = match value {
            Value::Text(text) => self.texts.contains(&text),
            Value::Whole(number) => self.wholes.contains(&number),
            Value::Real(number) => self.reals.contains(&number),
            Value::List(list, separator) => {
                let mut items = super::items(list, separator);
                items.next().is_some_and(|item| self.texts.contains(&item)) && items.next().is_none()
            }
            _ => false,
        };
        if is_missing { Value::Missing } else { value }
    }
}

impl StreamBlock<'_> {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.block.rows()
    }

    /// Which of these rows the sample holds.
    pub fn sampled(&self) -> impl Iterator<Item = usize> {
        (0..self.rows()).filter(|row| self.keep.keeps(self.before + *row as u64))
    }

    /// Visits the cells of a column that was asked for, in the order of the rows.
    #[inline]
    pub fn each(&self, column: usize, mut visit: impl FnMut(Value<'_>)) {
        let asked = &self.stream.columns[column];
        match self.part.places[column] {
            Some(place) => {
                for row in 0..self.block.rows() {
                    visit(asked.read(&self.block.cell(row, place)));
                }
            }
            None => (0..self.block.rows()).for_each(|_| visit(Value::Missing)),
        }
    }
}
