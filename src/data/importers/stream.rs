//! How are all rows of a log read again that is too large to be held? Block by block, as its opening found them.
//!
//! Opening looked at the cells and settled how each column is read; what it held is a sample. Here the same cells are
//! read in the same way, one block after the other: of the lines of a text, of JSON objects, or of the groups of rows of
//! a Parquet file. A column that the names of folders tell is the same in all rows of a file. What changes more than
//! single cells (side tables, other shapes, pseudonyms) cannot be streamed and is told.

use super::batch::{self, Batches};
use super::build::Value;
use super::container::Input;
use super::delimited::Table;
use super::guess::Guess;
use super::json_lines;
use super::keep::Keep;
use super::normalise::normal_as;
use super::parquet::Pieces;
use super::plan::Plan;
use super::reading::Reading;
use super::records::Block;
use super::sources::{self, Sources};
use super::{ImportOptions, fill::Cells, known};
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::enumerated::plain_kind;
use crate::data::frame::LogFrame;
use crate::data::schema::ColumnType;
use crate::jobs::JobContext;
use polars::prelude::{DataFrame, DataType, Series};
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
use std::path::{Path, PathBuf};

/// How the rows of a file can be read again without holding them.
pub enum RowSource {
    /// As the lines of a table.
    Lines(Table),
    /// As JSON objects that name their cells.
    Objects,
    /// As groups of columns.
    Columns,
}

/// A log whose rows can be read again.
pub(in crate::data) struct RowStream {
    parts: Vec<Part>,
    columns: Vec<Asked>,
    keep: Keep,
}

/// One file of it.
struct Part {
    /// Its place among all files of the log.
    number: usize,
    rows: PartRows,
    /// Where each column stands that was asked for.
    places: Vec<Place>,
}

enum PartRows {
    Lines(Input, Table),
    Objects(Input),
    Columns(Pieces),
}

enum Place {
    /// In the file: its place among the columns of the file, for lines, else among those that were asked for.
    File(usize),
    /// In the name of a folder: the same cell in all rows.
    Folder(String),
    /// Nowhere.
    Missing,
}

/// A column that was asked for.
struct Asked {
    /// The column of the file.
    name: String,
    /// How its cells are read; `None` where its file tells their type.
    plan: Option<Plan>,
    /// How they are read where a file tells their type and something else was decided.
    decided: Option<Plan>,
    /// The type that it has in the opened log.
    kind: DataType,
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
    rows: BlockRows<'a>,
    /// Rows of the file before these.
    before: u64,
}

enum BlockRows<'a> {
    Lines(&'a Block),
    Objects(Batches<'a>),
    /// The columns that were asked for, where the file has them, and how many rows.
    Columns(&'a [Option<Series>], usize),
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
        let mut sources = sources::find(paths)?;
        let (_, options, mut reading) = super::merged(&sources, options)?;
        if !options.joins.is_empty() || options.shape.is_some() || options.rewrites_cells() {
            return Err(refuse(
                "side tables, another shape, pseudonyms or coarser values need all rows at once",
            ));
        }
        if options.leaves_people_out()? {
            return Err(refuse("rows of people are left out of it, which only a log that is held can do"));
        }
        let layout = &log.source.layout;
        if !matches!(layout.encoding.as_str(), "" | "UTF-8") {
            reading.encoding.get_or_insert_with(|| layout.encoding.clone());
        }
        // A part that could not be read is none, but the hash of its rows counts it.
        let left_out =
            |path: &Path| log.source.parts.iter().any(|part| part.file == path && part.problem.is_some());
        let mut numbers: Vec<usize> = (0..sources.parts.len()).collect();
        numbers.retain(|number| !left_out(&sources.parts[*number].path));
        sources.parts.retain(|part| !left_out(&part.path));
        let mut asked = columns
            .iter()
            .map(|name| Asked::of(log, name, &reading).map_err(|why| refuse(&why)))
            .collect::<Result<Vec<_>>>()?;
        let mut parts = Vec::new();
        for (number, source) in numbers.into_iter().zip(&sources.parts) {
            let input = Input::open_as(&source.path, &reading)?;
            let rows = super::choose(&input)?
                .row_source(&input)
                .ok_or_else(|| refuse("its rows are no lines of text, JSON objects or Parquet columns"))?;
            parts.push(Part::of(number, input, rows, &asked)?);
        }
        let parts_hold = |place: usize| parts.iter().any(|part| matches!(part.places[place], Place::File(_)));
        let in_folders: Vec<usize> = (0..asked.len()).filter(|place| !parts_hold(*place)).collect();
        for place in in_folders {
            if let Some(plan) = folder_plan(&sources, &asked[place].name) {
                asked[place].plan = Some(plan);
                for (part, source) in parts.iter_mut().zip(&sources.parts) {
                    let named = source.partitions.iter().find(|(column, _)| *column == asked[place].name);
                    part.places[place] =
                        named.map_or(Place::Missing, |(_, cell)| Place::Folder(cell.clone()));
                }
            }
        }
        let is_text = |part: &Part| !matches!(part.rows, PartRows::Columns(_));
        if let Some(made) = asked.iter().find(|asked| asked.plan.is_none() && parts.iter().any(is_text)) {
            return Err(refuse(&format!("'{}' is made from other columns", made.name)));
        }
        let threshold = layout.sample.as_ref().map_or(u64::MAX, |sample| sample.threshold);
        Ok(Self { parts, columns: asked, keep: Keep::default().at_most(threshold) })
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
        for part in &self.parts {
            let keep = self.keep.for_part(part.number, 1.0);
            let mut before = 0;
            let mut answer = Ok(());
            let mut goes_on = |rows: BlockRows<'_>| {
                let block = StreamBlock { stream: self, part, keep, rows, before };
                answer = visit(&block);
                before += block.rows() as u64;
                answer.is_ok()
            };
            match &part.rows {
                PartRows::Lines(input, table) => {
                    table.each_block(input, context, |block, _| goes_on(BlockRows::Lines(block)))?;
                }
                PartRows::Objects(input) => {
                    let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
                    json_lines::each_row(input, context, &mut |batches, _| {
                        batch::place_among(&names, batches);
                        goes_on(BlockRows::Objects(Batches::of(batches, names.len())))
                    })?;
                }
                PartRows::Columns(pieces) => self.each_piece(pieces, context, goes_on)?,
            }
            answer?;
        }
        Ok(())
    }

    /// Visits the pieces of a file of columns; the next one is read while this one is looked at.
    fn each_piece(
        &self,
        pieces: &Pieces,
        context: &JobContext,
        mut goes_on: impl FnMut(BlockRows<'_>) -> bool + Send,
    ) -> Result<()> {
        let read = |piece: usize| match piece < pieces.len() {
            true => pieces.read(piece).and_then(|frame| self.normal(&frame)).map(Some),
            false => Ok(None),
        };
        let mut next = read(0)?;
        let (mut piece, mut done) = (0, 0);
        while let Some(columns) = next {
            context.check()?;
            context.progress(done, pieces.all_rows() as u64);
            let rows = pieces.rows(piece);
            let visit = || goes_on(BlockRows::Columns(&columns, rows));
            let (following, is_on) = rayon::join(|| read(piece + 1), visit);
            next = following?.filter(|_| is_on);
            done += rows as u64;
            piece += 1;
        }
        Ok(())
    }

    /// The columns that were asked for as the opening of the log turned them.
    fn normal(&self, frame: &DataFrame) -> Result<Vec<Option<Series>>> {
        let normal = |asked: &Asked| match frame.column(&asked.name) {
            Ok(column) => normal_as(column.as_materialized_series(), &asked.kind, asked.decided).map(Some),
            Err(_) => Ok(None),
        };
        self.columns.par_iter().map(normal).collect()
    }
}

/// How the cells are read that the names of the folders tell; `None` where they tell no such column.
fn folder_plan(sources: &Sources, name: &str) -> Option<Plan> {
    let named = |part: &sources::Part| {
        let found = part.partitions.iter().find(|(column, _)| column == name);
        found.map(|(_, value)| value.clone())
    };
    sources.parts.iter().any(|part| named(part).is_some()).then(|| {
        let mut guess = Guess::default();
        sources.parts.iter().for_each(|part| guess.see(&named(part).unwrap_or_default()));
        guess.plan(name).0
    })
}

impl Part {
    fn of(number: usize, input: Input, rows: RowSource, asked: &[Asked]) -> Result<Self> {
        let place = |place: Option<usize>| place.map_or(Place::Missing, Place::File);
        let each = asked.iter();
        let (rows, places) = match rows {
            RowSource::Lines(table) => {
                let of = |name: &str| table.names.iter().position(|known| known == name);
                let places = each.map(|column| place(of(&column.name))).collect();
                (PartRows::Lines(input, table), places)
            }
            // Any object may name any cell; a column that none of them names lies in the names of folders.
            RowSource::Objects => {
                let is_named = |asked: &Asked| asked.plan.is_some();
                let places =
                    each.enumerate().map(|(own, column)| place(is_named(column).then_some(own))).collect();
                (PartRows::Objects(input), places)
            }
            RowSource::Columns => {
                let names: Vec<&str> = asked.iter().map(|column| column.name.as_str()).collect();
                let pieces = Pieces::of(&input.path, &names)?;
                let places = each
                    .enumerate()
                    .map(|(own, column)| place(pieces.has(&column.name).then_some(own)))
                    .collect();
                (PartRows::Columns(pieces), places)
            }
        };
        Ok(Self { number, rows, places })
    }
}

impl Asked {
    /// How a column is read, as the opening of the log settled; why it cannot be streamed, if it can't.
    fn of(log: &LogFrame, name: &str, decided: &Reading) -> std::result::Result<Self, String> {
        let layout = &log.source.layout.columns;
        let reading = |name: &str| layout.iter().find(|reading| reading.column == name);
        let is_there = |name: &str| log.schema.column(name).is_ok();
        let (source, threshold) = match name.rsplit_once(">=") {
            Some((source, number)) if reading(name).is_none() && is_there(source) => {
                (source, number.parse().ok())
            }
            _ => (name, None),
        };
        let made = || format!("'{name}' is made from other columns");
        if threshold.is_none() && source != name {
            return Err(made());
        }
        let plan = match reading(source) {
            Some(reading) => Some(reading.plan.parse::<Plan>().map_err(|_| made())?),
            None => None,
        };
        let column = log.frame.column(source).explain(WHAT).map_err(|failure| failure.why)?;
        let kind = plain_kind(column.dtype());
        let is_list = log.schema.column(name).is_ok_and(|column| column.kind == ColumnType::List);
        if plan.is_some() && is_list != matches!(plan, Some(Plan::List(_))) {
            return Err(format!("the lists of '{name}' were found by content"));
        }
        // Texts and whole numbers that are times, lists or other numbers are so by their cells alone.
        let is_time_or_list = matches!(kind, DataType::Datetime(..) | DataType::List(_));
        let by_cells =
            |plan: &Plan| is_time_or_list || matches!(plan, Plan::Integer | Plan::Real | Plan::Number(_));
        let decided = decided.columns.get(source).copied().or(plan.filter(by_cells));
        let names = log.schema.columns.iter().map(|column| column.name.as_str());
        let texts = known::missing_words(names, source).to_vec();
        let missing = MissingWords {
            wholes: texts.iter().filter_map(|word| word.parse().ok()).collect(),
            reals: texts.iter().filter_map(|word| word.parse().ok()).collect(),
            texts,
        };
        Ok(Self { name: source.to_owned(), plan, decided, kind, threshold, missing })
    }

    /// What a cell of text holds.
    #[inline]
    fn read<'a>(&self, cell: &'a str, plan: Plan) -> Value<'a> {
        self.settled(Value::read(cell, plan))
    }

    #[inline]
    fn settled<'a>(&self, value: Value<'a>) -> Value<'a> {
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
                let mut items = super::build::items(list, separator);
                items.next().is_some_and(|item| self.texts.contains(&item)) && items.next().is_none()
            }
            Value::Items(list) => {
                let only = list.str().ok().filter(|items| items.len() == 1).and_then(|items| items.get(0));
                only.is_some_and(|item| self.texts.contains(&item))
            }
            _ => false,
        };
        if is_missing { Value::Missing } else { value }
    }
}

impl StreamBlock<'_> {
    /// How many rows.
    pub fn rows(&self) -> usize {
        match &self.rows {
            BlockRows::Lines(block) => block.rows(),
            BlockRows::Objects(batches) => batches.rows(),
            BlockRows::Columns(_, rows) => *rows,
        }
    }

    /// Which of these rows the sample holds.
    pub fn sampled(&self) -> impl Iterator<Item = usize> {
        (0..self.rows()).filter(|row| self.keep.keeps(self.before + *row as u64))
    }

    /// Visits the cells of a column that was asked for, in the order of the rows.
    ///
    /// # Errors
    /// A column of a type that no log has.
    #[inline]
    pub fn each(&self, column: usize, mut visit: impl FnMut(Value<'_>)) -> Result<()> {
        let asked = &self.stream.columns[column];
        // Where a text has no plan the stream was refused.
        let plan = asked.plan.unwrap_or(Plan::Text);
        let same = |value: Value<'_>, visit: &mut dyn FnMut(Value<'_>)| {
            (0..self.rows()).for_each(|_| visit(value));
        };
        match (&self.part.places[column], &self.rows) {
            (Place::Missing, _) => same(Value::Missing, &mut visit),
            (Place::Folder(cell), _) => same(asked.read(cell, plan), &mut visit),
            (Place::File(place), BlockRows::Lines(block)) => {
                for row in 0..block.rows() {
                    visit(asked.read(&block.cell(row, *place), plan));
                }
            }
            (Place::File(place), BlockRows::Objects(batches)) => {
                batches.each(*place, |_, cell| visit(asked.read(cell.text, plan)));
            }
            (Place::File(place), BlockRows::Columns(columns, _)) => match &columns[*place] {
                None => same(Value::Missing, &mut visit),
                Some(series) => {
                    each_value(series, |value| visit(asked.settled(value))).explain(WHAT)?;
                }
            },
        }
        Ok(())
    }
}

/// Visits the cells of a column that has one of the types of a log.
fn each_value(series: &Series, mut visit: impl FnMut(Value<'_>)) -> polars::prelude::PolarsResult<()> {
    match series.dtype() {
        DataType::Boolean => {
            series.bool()?.iter().for_each(|cell| visit(cell.map_or(Value::Missing, Value::Flag)));
        }
        DataType::Int64 => {
            series.i64()?.iter().for_each(|cell| visit(cell.map_or(Value::Missing, Value::Whole)));
        }
        DataType::Float64 => {
            series.f64()?.iter().for_each(|cell| visit(cell.map_or(Value::Missing, Value::Real)));
        }
        DataType::Datetime(..) => {
            let millis = series.cast(&DataType::Int64)?;
            millis.i64()?.iter().for_each(|cell| visit(cell.map_or(Value::Missing, Value::Millis)));
        }
        DataType::List(_) => {
            for list in series.list()?.amortized_iter() {
                match &list {
                    Some(list) => visit(Value::Items(list.as_ref())),
                    None => visit(Value::Missing),
                }
            }
        }
        _ => {
            for cell in series.str()?.iter() {
                visit(cell.filter(|cell| !cell.is_empty()).map_or(Value::Missing, Value::Text));
            }
        }
    }
    Ok(())
}
