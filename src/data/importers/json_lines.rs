//! One JSON object per line; nested objects become columns with points in their names, arrays become lists.

use super::container::Input;
use super::lines::each_line;
use super::sparse::{Cell, Row, Rows, read_rows};
use super::{Importer, Match, RawLog};
use crate::base::Result;
use crate::data::layout::Layout;
use crate::jobs::JobContext;
use serde_json::{Map, Value};

/// The importer of JSON lines.
pub struct JsonLines;

impl Importer for JsonLines {
    fn id(&self) -> &'static str {
        "jsonl"
    }

    fn summary(&self) -> &'static str {
        "JSON lines: one object per line, plain, gz or zst"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        first_object(input)?;
        Some(Match { confidence: 90, evidence: "the first line is a JSON object".to_owned() })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        let parse = |line: &str| {
            Ok(object(line)?.map(|object| {
                let mut row = Row::with_capacity(object.len());
                flatten("", object, &mut row);
                row
            }))
        };
        let each = |visit: &mut dyn FnMut(Row)| {
            each_line(input, context, parse, |row: Option<Row>| row.into_iter().for_each(&mut *visit))
        };
        let Rows { frame, bad, notes } =
            read_rows(context, each, |name| input.reading.columns.get(name).copied())?;
        Ok(RawLog {
            frame,
            format: format!("jsonl{}", input.describe()),
            bad,
            notes,
            hints: Vec::new(),
            layout: Layout::default(),
        })
    }
}

/// The object on the first line that holds anything.
pub(super) fn first_object(input: &Input) -> Option<Map<String, Value>> {
    let first = input.head.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty())?;
    match serde_json::from_slice(first) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
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
