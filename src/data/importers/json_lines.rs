//! One JSON object per line; nested objects become columns with points in their names, arrays become lists.

use super::build::ColumnBuilder;
use super::container::Input;
use super::delimited::finish;
use super::guess::{Guess, LIST_MARK};
use super::records::BadRows;
use super::{Importer, Match, RawLog};
use crate::base::Result;
use crate::jobs::JobContext;
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
        let first = input.head.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty())?;
        let is_object = matches!(serde_json::from_slice(first), Ok(Value::Object(_)));
        is_object.then(|| Match { confidence: 90, evidence: "the first line is a JSON object".to_owned() })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        context.stage("looking at the columns");
        let mut columns = Columns::default();
        let mut rows = 0;
        let bad = each_object(input, context, |cells| {
            columns.see(cells, rows);
            rows += 1;
        })?;
        let mut notes = Vec::new();
        for guess in &mut columns.guesses {
            guess.see_missing(rows.saturating_sub(guess.cells));
        }
        let plans = columns.names.iter().zip(&columns.guesses);
        let mut builders: Vec<_> = plans
            .map(|(name, guess)| {
                let (plan, note) = guess.plan(name);
                notes.extend(note);
                ColumnBuilder::new(name, plan, rows as usize)
            })
            .collect();
        context.stage("reading the rows");
        let mut row = vec![String::new(); builders.len()];
        each_object(input, context, |cells| {
            row.iter_mut().for_each(String::clear);
            for (name, cell) in cells {
                if let Some(column) = columns.places.get(&name) {
                    row[*column] = cell.text;
                }
            }
            for (builder, cell) in builders.iter_mut().zip(&row) {
                builder.push(cell);
            }
        })?;
        Ok(RawLog {
            frame: finish(&columns.names, builders, &mut notes)?,
            format: format!("jsonl{}", input.describe()),
            bad,
            notes,
            hints: Vec::new(),
        })
    }
}

/// A value as the text of a cell.
struct Cell {
    text: String,
    is_string: bool,
}

#[derive(Default)]
struct Columns {
    names: Vec<String>,
    places: HashMap<String, usize>,
    guesses: Vec<Guess>,
}

impl Columns {
    fn see(&mut self, cells: Vec<(String, Cell)>, rows_before: u64) {
        for (name, cell) in cells {
            let column = match self.places.get(&name) {
                Some(column) => *column,
                None => {
                    self.names.push(name.clone());
                    self.places.insert(name, self.guesses.len());
                    self.guesses.push(Guess::default());
                    self.guesses.len() - 1
                }
            };
            let guess = &mut self.guesses[column];
            guess.see_missing(rows_before.saturating_sub(guess.cells));
            if cell.is_string {
                guess.see_string(&cell.text);
            } else {
                guess.see(&cell.text);
            }
        }
    }
}

fn each_object(
    input: &Input,
    context: &JobContext,
    mut visit: impl FnMut(Vec<(String, Cell)>),
) -> Result<BadRows> {
    let read_bytes = Arc::new(AtomicU64::new(0));
    let mut reader = BufReader::new(input.text(&read_bytes)?);
    let mut bad = BadRows::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(|error| input.read_failure(&error))?;
        if read == 0 {
            break;
        }
        if number % 1024 == 0 {
            context.check()?;
            context.progress(read_bytes.load(Ordering::Relaxed), input.bytes);
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(Value::Object(object)) => {
                let mut cells = Vec::with_capacity(object.len());
                flatten("", object, &mut cells);
                visit(cells);
            }
            Ok(_) => bad.add(number, || "is no JSON object".to_owned()),
            Err(error) => bad.add(number, || format!("is no JSON: {error}")),
        }
    }
    Ok(bad)
}

fn flatten(prefix: &str, object: serde_json::Map<String, Value>, cells: &mut Vec<(String, Cell)>) {
    for (key, value) in object {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(inner) => flatten(&name, inner, cells),
            other => cells.push((name, cell(other))),
        }
    }
}

fn cell(value: Value) -> Cell {
    let is_string = matches!(value, Value::String(_) | Value::Array(_));
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        Value::Array(items) => items
            .into_iter()
            .map(|item| format!("{LIST_MARK}{}", cell(item).text))
            .reduce(|list, item| list + &item)
            .unwrap_or_else(|| LIST_MARK.to_string()),
        other => other.to_string(),
    };
    Cell { text, is_string }
}
