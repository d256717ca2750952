//! How do several files become one log? Columns meet by name, and their types widen until all parts fit.
//!
//! A part that cannot be read or is of another kind is told by name and never passed over in silence.

use super::RawLog;
use super::guess::{Guess, Plan, TimeReading};
use super::keep::Keep;
use super::reading::Reading;
use super::sources::{Part, Sources};
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::enumerated::{self, is_text, plain_kind};
use crate::data::frame::PartNote;
use crate::data::layout::{Layout, SampleNote};
use crate::jobs::JobContext;
use polars::prelude::{Column, DataFrame, DataType, Series};
use rayon::prelude::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator,
};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Parts of fewer bytes are read side by side: each is too small to keep all cores busy.
const SMALL: f64 = 64e6;
/// So many at once; those behind them know what they could keep.
const AT_ONCE: usize = 8;

/// Several files as one.
pub(super) struct Union {
    /// The rows of all parts, in the order of their names.
    pub raw: RawLog,
    /// What became of each part.
    pub parts: Vec<PartNote>,
    /// Size on disk of the parts that were read.
    pub bytes: u64,
}

struct Opened<'a> {
    part: &'a Part,
    raw: RawLog,
    bytes: u64,
    keep: Keep,
}

/// Reads all parts and puts them under each other.
///
/// # Errors
/// No part can be read (the first reason is told), or a cancel.
pub(super) fn read(sources: &Sources, reading: &Reading, keep: Keep, context: &JobContext) -> Result<Union> {
    let sizes: Vec<f64> = sources.parts.iter().map(|part| size(&part.path)).collect();
    let all: f64 = sizes.iter().sum::<f64>().max(1.0);
    let mut lowest = u64::MAX;
    let mut opened = Vec::new();
    let mut parts = Vec::new();
    let mut first_failure = None;
    let mut done = 0;
    while let Some(group) = sources.parts.get(done..).filter(|rest| !rest.is_empty()) {
        context.check()?;
        context.stage(&format!("reading part {} of {}", done + 1, sources.parts.len()));
        let at_once = sizes[done..].iter().take_while(|size| **size < SMALL).count();
        let group = &group[..at_once.clamp(1, AT_ONCE)];
        let own = if group.len() > 1 { context.for_part() } else { context.clone() };
        let read = group.par_iter().enumerate().map(|(place, part)| {
            let keep = keep.for_part(done + place, sizes[done + place] / all).at_most(lowest);
            (part, keep, super::read_file(&part.path, reading, keep, &own))
        });
        for (part, keep, read) in read.collect::<Vec<_>>() {
            match read {
                Ok((raw, bytes)) => {
                    lowest = lowest.min(threshold(&raw));
                    opened.push(Opened { part, raw, bytes, keep });
                }
                Err(failure) if failure.is_cancelled() => return Err(failure),
                Err(failure) => {
                    parts.push(left_out(part, failure.why.clone(), context));
                    first_failure.get_or_insert(failure);
                }
            }
        }
        done += group.len();
    }
    even_out(&mut opened, lowest, reading, context)?;
    name_headless(&mut opened);
    let Some(main) = main_names(&opened) else {
        let nothing = || Failure::new("cannot read the log", "none of its files holds rows");
        return Err(first_failure.unwrap_or_else(nothing));
    };
    let (fitting, others): (Vec<_>, Vec<_>) =
        opened.into_iter().partition(|opened| fits(&main, &names(&opened.raw.frame)));
    parts.extend(others.iter().map(|other| left_out(other.part, other_kind(&other.raw.frame), context)));
    let fitting = settle_texts(fitting, reading, context)?;
    let fitting = settle_dates(fitting, reading, context)?;
    let mut notes = sources.notes.clone();
    let raw = stack(&fitting, &mut notes)?;
    parts.extend(fitting.iter().map(|part| PartNote {
        file: part.part.path.clone(),
        rows: part.raw.frame.height() as u64,
        bad_rows: part.raw.bad.count,
        problem: None,
    }));
    parts.sort_by(|one, other| one.file.cmp(&other.file));
    let bytes = fitting.iter().map(|part| part.bytes).sum();
    Ok(Union { raw, parts, bytes })
}

fn size(path: &Path) -> f64 {
    std::fs::metadata(path).map_or(0.0, |file| file.len() as f64)
}

fn threshold(raw: &RawLog) -> u64 {
    raw.layout.sample.as_ref().map_or(u64::MAX, |sample| sample.threshold)
}

/// Reads the parts anew of which more rows were kept than of the fullest: a sample is one over all parts.
fn even_out(opened: &mut [Opened<'_>], lowest: u64, reading: &Reading, context: &JobContext) -> Result<()> {
    opened.iter_mut().for_each(|part| part.keep = part.keep.at_most(lowest));
    for part in opened.iter_mut().filter(|part| threshold(&part.raw) > lowest) {
        part.raw = super::read_file(&part.part.path, reading, part.keep, context)?.0;
    }
    Ok(())
}

fn left_out(part: &Part, problem: String, context: &JobContext) -> PartNote {
    context.warn(format!("{} is left out: {problem}", part.path.display()));
    PartNote { file: part.path.clone(), rows: 0, bad_rows: 0, problem: Some(problem) }
}

fn other_kind(frame: &DataFrame) -> String {
    let all = names(frame);
    let shown: Vec<_> = all.iter().take(6).map(String::as_str).collect();
    let more = if all.len() > shown.len() { " ..." } else { "" };
    format!(
        "its {} rows have other columns ({}{more}); a table of users, items or creatives is joined with --join",
        frame.height(),
        shown.join(", ")
    )
}

fn names(frame: &DataFrame) -> Vec<String> {
    frame.columns().iter().map(|column| column.name().to_string()).collect()
}

/// A text that was split keeps its header in the first part only: parts of the same width get its names.
fn name_headless(opened: &mut [Opened<'_>]) {
    let is_made_up =
        |names: &[String]| names.iter().enumerate().all(|(at, name)| *name == format!("column_{}", at + 1));
    let named = opened.iter().map(|part| names(&part.raw.frame)).find(|names| !is_made_up(names));
    let Some(named) = named else { return };
    for part in opened {
        let present = names(&part.raw.frame);
        if present.len() != named.len() || !is_made_up(&present) {
            continue;
        }
        let columns = std::mem::take(&mut part.raw.frame).into_columns().into_iter().zip(&named);
        let renamed = columns.map(|(mut column, name)| {
            column.rename(name.as_str().into());
            column
        });
        // The heights are those of one frame, so this cannot fail; an empty part would be told as such.
        part.raw.frame = DataFrame::new_infer_height(renamed.collect()).unwrap_or_default();
    }
}

/// The columns of the kind of file that holds most rows.
fn main_names(opened: &[Opened<'_>]) -> Option<Vec<String>> {
    let mut kinds: Vec<(HashSet<String>, Vec<String>, usize)> = Vec::new();
    for part in opened {
        let names = names(&part.raw.frame);
        let set: HashSet<String> = names.iter().cloned().collect();
        match kinds.iter_mut().find(|(known, ..)| *known == set) {
            Some((.., rows)) => *rows += part.raw.frame.height(),
            None => kinds.push((set, names, part.raw.frame.height())),
        }
    }
    let largest = kinds.into_iter().reduce(|best, next| if next.2 > best.2 { next } else { best });
    largest.map(|(_, names, _)| names)
}

/// True when at least half of the columns of both are the same: exports gain and lose columns over the years.
fn fits(main: &[String], part: &[String]) -> bool {
    let shared = part.iter().filter(|name| main.contains(name)).count();
    2 * shared >= main.len().max(part.len())
}

/// Columns that are text in one part and something else in another are read as text everywhere, from the file
/// itself: a number that was understood has lost its leading zeros.
fn settle_texts<'a>(
    parts: Vec<Opened<'a>>,
    reading: &Reading,
    context: &JobContext,
) -> Result<Vec<Opened<'a>>> {
    let mut texts = HashSet::new();
    for name in all_names(&parts) {
        let kinds: Vec<DataType> = kinds(&parts, &name).collect();
        if kinds.contains(&DataType::String) && kinds.iter().any(|kind| *kind != DataType::String) {
            texts.insert(name);
        }
    }
    let mut as_text = reading.clone();
    as_text.columns.extend(texts.iter().map(|name| (name.clone(), Plan::Text)));
    let settle = |part: Opened<'a>| {
        let is_other = |column: &Column| texts.contains(column.name().as_str()) && !is_text(column.dtype());
        if !part.raw.frame.columns().iter().any(is_other) {
            return Ok(part);
        }
        let (raw, bytes) = super::read_file(&part.part.path, &as_text, part.keep, context)?;
        Ok(Opened { raw, bytes, ..part })
    };
    parts.into_iter().map(settle).collect()
}

/// Dates of which a part does not tell day from month are read as the parts that tell it say, if these agree: a
/// report of the first days of a month proves nothing alone.
fn settle_dates<'a>(
    parts: Vec<Opened<'a>>,
    reading: &Reading,
    context: &JobContext,
) -> Result<Vec<Opened<'a>>> {
    let calendar = |plan: &str| matches!(plan.parse(), Ok(Plan::Time(TimeReading::Calendar(_))));
    let mut proven: HashMap<String, Option<Plan>> = HashMap::new();
    for column in parts.iter().flat_map(|part| &part.raw.layout.columns) {
        if !column.is_open && calendar(&column.plan) {
            let plan = column.plan.parse().ok();
            let known = proven.entry(column.column.clone()).or_insert(plan);
            *known = known.filter(|known| Some(*known) == plan);
        }
    }
    let settle = |part: Opened<'a>| {
        let open = part.raw.layout.columns.iter().filter(|column| column.is_open);
        let otherwise = open.filter_map(|column| {
            let plan = proven.get(&column.column).copied().flatten()?;
            (plan.to_string() != column.plan).then(|| (column.column.clone(), plan))
        });
        let otherwise: Vec<(String, Plan)> = otherwise.collect();
        if otherwise.is_empty() {
            return Ok(part);
        }
        let mut as_others = reading.clone();
        // What a person has decided stands.
        for (column, plan) in otherwise {
            as_others.columns.entry(column).or_insert(plan);
        }
        let (raw, bytes) = super::read_file(&part.part.path, &as_others, part.keep, context)?;
        Ok(Opened { raw, bytes, ..part })
    };
    parts.into_iter().map(settle).collect()
}

/// Every column that some part has, in the order of first appearance.
fn all_names(parts: &[Opened<'_>]) -> Vec<String> {
    let mut seen = HashSet::new();
    let names = parts.iter().flat_map(|part| names(&part.raw.frame));
    names.filter(|name| seen.insert(name.clone())).collect()
}

/// The types that a column has in the parts where it holds anything.
fn kinds<'a>(parts: &'a [Opened<'_>], name: &'a str) -> impl Iterator<Item = DataType> + 'a {
    let columns = parts.iter().filter_map(move |part| part.raw.frame.column(name).ok());
    columns.filter(|column| column.null_count() < column.len()).map(|column| plain_kind(column.dtype()))
}

/// The narrowest type that holds the values of both.
fn wider(one: &DataType, other: &DataType) -> DataType {
    match (one, other) {
        (one, other) if one == other => one.clone(),
        (one, other) if one.is_integer() && other.is_integer() => DataType::Int64,
        (one, other) if one.is_primitive_numeric() && other.is_primitive_numeric() => DataType::Float64,
        (DataType::Boolean, other) | (other, DataType::Boolean) if other.is_integer() => other.clone(),
        (DataType::List(_), DataType::String) | (DataType::String, DataType::List(_)) => {
            DataType::List(Box::new(DataType::String))
        }
        _ => DataType::String,
    }
}

const WHAT: &str = "cannot put the parts together";

/// A column of all parts, and what a person should know of it.
fn stacked(parts: &[Opened<'_>], name: &str) -> Result<(Option<Column>, Option<String>)> {
    let found = kinds(parts, name).reduce(|one, other| wider(&one, &other));
    let kind = found.unwrap_or(DataType::String);
    let lacking: Vec<_> = parts.iter().filter(|part| part.raw.frame.column(name).is_err()).collect();
    let note = lacking.first().map(|first| {
        format!(
            "'{name}' is missing in {} of {} parts, the first {}: its cells are missing there",
            lacking.len(),
            parts.len(),
            file_name(&first.part.path)
        )
    });
    if kind == DataType::String {
        let piece = |part: &Opened<'_>| match part.raw.frame.column(name) {
            Ok(column) => column.as_materialized_series().clone(),
            Err(_) => Series::full_null(name.into(), part.raw.frame.height(), &kind),
        };
        let pieces: Vec<Series> = parts.iter().map(piece).collect();
        if let Some(whole) = enumerated::stacked(name, &pieces)? {
            return Ok((Some(whole.into()), note));
        }
    }
    let mut whole: Option<Column> = None;
    for part in parts {
        let height = part.raw.frame.height();
        let cells = match part.raw.frame.column(name) {
            Ok(column) => {
                let cells = enumerated::plain(column.as_materialized_series());
                let cells = cells.and_then(|cells| cells.cast(&kind)).explain(WHAT);
                cells.map_err(|failure| failure.at(name))?.into()
            }
            Err(_) => Column::full_null(name.into(), height, &kind),
        };
        match &mut whole {
            Some(whole) => drop(whole.append_owned(cells).explain(WHAT)?),
            None => whole = Some(cells),
        }
    }
    Ok((whole, note))
}

fn stack(parts: &[Opened<'_>], notes: &mut Vec<String>) -> Result<RawLog> {
    let stacked = all_names(parts).into_par_iter().with_max_len(1).map(|name| stacked(parts, &name));
    let mut columns = Vec::new();
    for (column, note) in stacked.collect::<Result<Vec<_>>>()? {
        columns.extend(column);
        notes.extend(note);
    }
    columns.extend(partition_columns(parts, &columns)?);
    notes.extend(distinct(parts.iter().flat_map(|part| part.raw.notes.iter().cloned())));
    let first_layout = parts.first().map(|part| part.raw.layout.clone()).unwrap_or_default();
    let mut raw = RawLog {
        frame: DataFrame::new_infer_height(columns).explain(WHAT)?,
        format: describe(parts),
        bad: Default::default(),
        notes: std::mem::take(notes),
        hints: distinct(parts.iter().flat_map(|part| part.raw.hints.iter().cloned())),
        layout: Layout { sample: sample(parts), ..first_layout },
    };
    for part in parts {
        raw.bad.count += part.raw.bad.count;
        let samples = part.raw.bad.samples.iter().map(|row| {
            let mut row = row.clone();
            row.why = format!("of {} {}", file_name(&part.part.path), row.why);
            row
        });
        raw.bad.samples.extend(samples.take(20usize.saturating_sub(raw.bad.samples.len())));
    }
    Ok(raw)
}

/// The samples of all parts as one.
fn sample(parts: &[Opened<'_>]) -> Option<SampleNote> {
    let mut samples = parts.iter().filter_map(|part| part.raw.layout.sample.as_ref());
    let mut whole = samples.next()?.clone();
    samples.for_each(|sample| whole.add(sample));
    Some(whole)
}

/// What the names of the folders tell, typed as any column is; a column of the files goes first.
fn partition_columns(parts: &[Opened<'_>], present: &[Column]) -> Result<Vec<Column>> {
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in parts.iter().flat_map(|part| &part.part.partitions) {
        let is_known = names.contains(&name) || present.iter().any(|column| column.name() == name.as_str());
        if !is_known {
            names.push(name);
        }
    }
    let column = |name: &String| -> Result<Column> {
        let values = || {
            parts.iter().map(|part| {
                let value = part.part.partitions.iter().find(|(column, _)| column == name);
                value.map_or("", |(_, value)| value.as_str())
            })
        };
        let mut guess = Guess::default();
        values().for_each(|value| guess.see(value));
        let rows = parts.iter().map(|part| part.raw.frame.height()).sum();
        let mut builder = super::build::ColumnBuilder::new(name, guess.plan(name).0, rows);
        for (part, value) in parts.iter().zip(values()) {
            (0..part.raw.frame.height()).for_each(|_| builder.push(value));
        }
        Ok(builder.finish()?.into())
    };
    names.into_iter().map(column).collect()
}

fn describe(parts: &[Opened<'_>]) -> String {
    let formats = distinct(parts.iter().map(|part| part.raw.format.clone()));
    format!("{} parts: {}", parts.len(), formats.join("; "))
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut kept = Vec::new();
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
