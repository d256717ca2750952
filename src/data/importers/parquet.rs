//! Parquet files. The index that pandas stores beside the columns is left out.

use super::container::{Container, Input};
use super::normalise::{self, whole};
use super::records::BadRows;
use super::{Importer, Match, RawLog};
use crate::base::Result;
use crate::base::failure::Explain;
use crate::base::files::disk_failure;
use crate::data::layout::Layout;
use crate::jobs::JobContext;
use polars::io::mmap::MmapBytesReader;
use polars::prelude::{DataFrame, ParquetReader, SerReader};
use std::fs::File;
use std::io::Cursor;

/// The importer of Parquet files.
pub struct Parquet;

impl Importer for Parquet {
    fn id(&self) -> &'static str {
        "parquet"
    }

    fn summary(&self) -> &'static str {
        "Parquet; a stored pandas index is left out"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        input
            .head
            .starts_with(b"PAR1")
            .then(|| Match { confidence: 100, evidence: "begins with PAR1".to_owned() })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        context.stage("reading the columns");
        let (frame, index_columns) = if input.container == Container::Plain {
            let file = File::open(&input.path)
                .map_err(|error| disk_failure("cannot read the log", &input.path, &error))?;
            read(file)
        } else {
            read(Cursor::new(whole(input)?))
        }
        .map_err(|failure| failure.at(input.path.display()).hint("the file may be cut off: copy it again"))?;
        let mut notes = Vec::new();
        let frame = frame.drop_many(&index_columns);
        if !index_columns.is_empty() {
            notes.push(format!("the pandas index '{}' was left out", index_columns.join("', '")));
        }
        Ok(RawLog {
            frame: normalise::normalise(frame, &mut notes, context)?,
            format: format!("parquet{}", input.describe()),
            bad: BadRows::default(),
            notes,
            hints: Vec::new(),
            layout: Layout::default(),
        })
    }
}

fn read(source: impl MmapBytesReader) -> Result<(DataFrame, Vec<String>)> {
    let what = "cannot read the log";
    let mut reader = ParquetReader::new(source);
    let metadata = reader.get_metadata().explain(what)?;
    let pandas = metadata
        .key_value_metadata()
        .iter()
        .flatten()
        .find(|entry| entry.key == "pandas")
        .and_then(|entry| entry.value.clone());
    let stored = pandas.map(|text| index_columns(&text)).unwrap_or_default();
    let frame = reader.finish().explain(what)?;
    let present = frame.get_column_names();
    let is_index =
        |name: &&str| stored.iter().any(|index| index == name) || name.starts_with("__index_level_");
    let dropped: Vec<String> =
        present.iter().map(|name| name.as_str()).filter(is_index).map(str::to_owned).collect();
    // An index that is all there is must be data.
    let dropped = if dropped.len() == present.len() { Vec::new() } else { dropped };
    Ok((frame, dropped))
}

/// The names that pandas' own description gives to its index.
fn index_columns(description: &str) -> Vec<String> {
    let description: serde_json::Value = serde_json::from_str(description).unwrap_or_default();
    let columns = description["index_columns"].as_array();
    columns.into_iter().flatten().filter_map(|column| column.as_str().map(str::to_owned)).collect()
}
