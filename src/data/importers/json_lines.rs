//! One JSON object per line; nested objects become columns with points in their names, arrays become lists.

use super::batch::Batch;
use super::container::Input;
use super::json_scan;
use super::lines::each_line_into;
use super::records::BadRows;
use super::sparse::{Cell, Row, Rows, Visit, read_batches};
use super::stream::RowSource;
use super::{Importer, Match, RawLog};
use crate::base::Result;
use crate::jobs::JobContext;
use memchr::memchr;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

/// The importer of JSON lines.
pub struct JsonLines;

impl Importer for JsonLines {
    fn id(&self) -> &'static str {
        "jsonl"
    }

    fn summary(&self) -> &'static str {
        "JSON lines: one object per line"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        first_object(input)?;
        Some(Match { confidence: 90, evidence: "the first line is a JSON object".to_owned() })
    }

    fn row_source(&self, _input: &Input) -> Option<RowSource> {
        Some(RowSource::Objects)
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        let each = |visit: &mut Visit<'_>| each_row(input, context, visit);
        let Rows { frame, bad, notes, layout } = read_batches(input, context, each)?;
        Ok(RawLog {
            frame,
            format: format!("jsonl{}", input.describe()),
            bad,
            notes,
            hints: Vec::new(),
            layout,
        })
    }
}

/// Hands over all rows in their order, some at a time, until the visitor has enough.
///
/// # Errors
/// The disk, broken compression, a cancel.
pub(super) fn each_row(input: &Input, context: &JobContext, visit: &mut Visit<'_>) -> Result<BadRows> {
    each_line_into(input, context, parse, visit)
}

/// Adds the cells of the object on a line; false for a line of spaces.
///
/// # Errors
/// As [`object`].
fn parse(line: &str, batch: &mut Batch) -> std::result::Result<bool, String> {
    if json_scan::scan(line, batch).is_some() {
        return Ok(true);
    }
    batch.drop_row();
    let Some(object) = object(line)? else {
        return Ok(false);
    };
    let mut row = Row::with_capacity(object.len());
    flatten("", object, &mut row);
    batch.push_cells(row);
    Ok(true)
}

/// A first line longer than this is not looked for.
const LINE_BYTES: u64 = 128 << 20;

/// The object on the first line that holds anything.
pub(super) fn first_object(input: &Input) -> Option<Map<String, Value>> {
    let (line, _) = first_line(input)?;
    match serde_json::from_slice(&line) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// The first line that holds anything, and whether nothing follows it. A line that is longer than the head is
/// read from the file.
pub(super) fn first_line(input: &Input) -> Option<(Cow<'_, [u8]>, bool)> {
    let head = input.head.trim_ascii_start();
    if let Some(end) = memchr(b'\n', head) {
        return Some((Cow::Borrowed(&head[..end]), head[end..].trim_ascii().is_empty() && input.head_is_all));
    }
    if input.head_is_all || !head.starts_with(b"{") {
        return (!head.is_empty()).then_some((Cow::Borrowed(head), input.head_is_all));
    }
    let mut text = BufReader::new(input.text(&Arc::default()).ok()?);
    let mut line = Vec::new();
    while line.trim_ascii().is_empty() {
        line.clear();
        if text.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
    }
    let is_last = text.fill_buf().ok()?.is_empty();
    Some((Cow::Owned(line), is_last))
}

/// The object on a line; `None` for a line of spaces.
///
/// # Errors
/// Why the line is none, in the words of a bad row.
pub(super) fn object(line: &str) -> std::result::Result<Option<Map<String, Value>>, String> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    match serde_json::from_str(line) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(_) => Err("is no JSON object".to_owned()),
        Err(error) => Err(format!("is no JSON: {error}")),
    }
}

/// Adds the cells of an object: `{"user": {"id": 7}}` has the cell `user.id`.
pub(super) fn flatten(prefix: &str, object: Map<String, Value>, row: &mut Row) {
    for (key, value) in object {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(inner) => flatten(&name, inner, row),
            other => row.push((name, cell(other))),
        }
    }
}

/// A value as a cell.
pub(super) fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::plain(""),
        Value::String(text) => Cell::string(text),
        Value::Array(items) => Cell::list(items.into_iter().map(|item| cell(item).into_text())),
        other => Cell::plain(other.to_string()),
    }
}
