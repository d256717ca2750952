//! Parquet files. The index that pandas stores beside the columns is left out.

use super::container::{Container, Input};
use super::normalise::{self, whole};
use super::records::BadRows;
use super::stream::RowSource;
use super::{Importer, Match, RawLog};
use crate::base::failure::Explain;
use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use crate::data::layout::{Layout, SampleNote};
use crate::jobs::JobContext;
use polars::io::mmap::MmapBytesReader;
use polars::io::parquet::metadata::FileMetadataRef;
use polars::prelude::{BooleanChunked, DataFrame, ParquetReader, SerReader};
use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

    fn row_source(&self, input: &Input) -> Option<RowSource> {
        (input.container == Container::Plain).then_some(RowSource::Columns)
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        context.stage("reading the columns");
        let ((frame, index_columns), sample) = read_columns(input, context)?;
        let mut notes = Vec::new();
        let frame = frame.drop_many(&index_columns);
        let (frame, columns) = normalise::normalise(frame, &input.reading, &mut notes, context)?;
        if !index_columns.is_empty() {
            notes.push(format!("the pandas index '{}' was left out", index_columns.join("', '")));
        }
        Ok(RawLog {
            frame,
            format: format!("parquet{}", input.describe()),
            bad: BadRows::default(),
            notes,
            hints: Vec::new(),
            layout: Layout { sample, columns, ..Layout::default() },
        })
    }
}

const WHAT: &str = "cannot read the log";

fn read_columns(input: &Input, context: &JobContext) -> Result<(Columns, Option<SampleNote>)> {
    let broken =
        |failure: Failure| failure.at(input.path.display()).hint("the file may be cut off: copy it again");
    if input.container != Container::Plain {
        let whole = ParquetReader::new(Cursor::new(whole(input)?));
        return Ok((read(whole).map_err(broken)?, None));
    }
    if let Some(kept) = read_kept(input, context).map_err(broken)? {
        return Ok(kept);
    }
    Ok((read(ParquetReader::new(open(&input.path)?)).map_err(broken)?, None))
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| disk_failure(WHAT, path, &error))
}

/// Rows that are looked at, and read at once, where the whole file may not fit into the memory.
const PIECE: usize = 200_000;
/// A column takes at most so many times its size in the file, but for files that no log is like.
pub(super) const UNPACKED: u64 = 20;

/// The rows that are kept of a file that does not fit into the memory; `None` when all of it fits.
fn read_kept(input: &Input, context: &JobContext) -> Result<Option<(Columns, Option<SampleNote>)>> {
    let mut keep = input.keep;
    if keep.is_all() && input.bytes.saturating_mul(UNPACKED) < keep.memory {
        return Ok(None);
    }
    let rows = ParquetReader::new(open(&input.path)?).num_rows().explain(WHAT)?;
    let piece = |first: usize| -> Result<Columns> {
        read(ParquetReader::new(open(&input.path)?).with_slice(Some((first, PIECE.min(rows - first)))))
    };
    if keep.is_all() {
        let (head, _) = piece(0)?;
        let bytes = head.estimated_size() as f64 / head.height().max(1) as f64 * rows as f64;
        keep = keep.fitted(bytes);
        if keep.is_all() {
            return Ok(None);
        }
    }
    let mut whole: Option<DataFrame> = None;
    let mut dropped = Vec::new();
    for first in (0..rows).step_by(PIECE) {
        context.check()?;
        context.progress(first as u64, rows as u64);
        let (frame, index) = piece(first)?;
        dropped = index;
        let mask: BooleanChunked =
            (0..frame.height()).map(|row| Some(keep.keeps((first + row) as u64))).collect();
        let kept = frame.filter(&mask).explain(WHAT)?;
        match &mut whole {
            Some(whole) => drop(whole.vstack_mut(&kept).explain(WHAT)?),
            None => whole = Some(kept),
        }
    }
    let frame = whole.unwrap_or_default();
    let sample = keep.note(frame.height() as u64, rows as u64, Vec::new());
    Ok(Some(((frame, dropped), sample)))
}

/// Cells that are read at once where a file is gone through again.
const CELLS: usize = 4_000_000;

/// Some columns of a file, some rows at a time.
pub(super) struct Pieces {
    path: PathBuf,
    metadata: FileMetadataRef,
    /// Those of the columns asked for that the file has.
    columns: Vec<String>,
    /// First row and number of rows of each piece.
    bounds: Vec<(usize, usize)>,
}

impl Pieces {
    /// The columns of these names, as far as the file has them.
    ///
    /// # Errors
    /// The disk, or a file that is cut off.
    pub fn of(path: &Path, names: &[&str]) -> Result<Self> {
        let mut reader = ParquetReader::new(open(path)?);
        let schema = reader.schema().explain(WHAT)?;
        let has = |name: &&&str| schema.contains(name);
        let columns: Vec<String> = names.iter().filter(has).map(|name| (*name).to_owned()).collect();
        let metadata = reader.get_metadata().explain(WHAT)?.clone();
        let most = (CELLS / columns.len().max(1)).clamp(10_000, PIECE);
        let groups: Vec<usize> = metadata.row_groups.iter().map(|group| group.num_rows()).collect();
        Ok(Self { path: path.to_owned(), metadata, columns, bounds: bounds(&groups, most) })
    }

    /// True when the file has a column.
    pub fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column == name)
    }

    /// How many pieces.
    pub fn len(&self) -> usize {
        self.bounds.len()
    }

    /// How many rows a piece has.
    pub fn rows(&self, piece: usize) -> usize {
        self.bounds.get(piece).map_or(0, |(_, rows)| *rows)
    }

    /// Rows of all pieces.
    pub fn all_rows(&self) -> usize {
        self.bounds.iter().map(|(_, rows)| rows).sum()
    }

    /// The cells of a piece as the file holds them.
    ///
    /// # Errors
    /// The disk, or a file that is cut off.
    pub fn read(&self, piece: usize) -> Result<DataFrame> {
        let Some(bounds) = self.bounds.get(piece).filter(|_| !self.columns.is_empty()) else {
            return Ok(DataFrame::default());
        };
        let mut reader = ParquetReader::new(open(&self.path)?);
        reader.set_metadata(Arc::clone(&self.metadata));
        reader.with_slice(Some(*bounds)).with_columns(Some(self.columns.clone())).finish().explain(WHAT)
    }
}

/// Whole groups of rows as far as they are small, parts of those that are large.
fn bounds(groups: &[usize], most: usize) -> Vec<(usize, usize)> {
    let mut bounds: Vec<(usize, usize)> = Vec::new();
    let mut first = 0;
    for rows in groups {
        match bounds.last_mut() {
            Some((_, before)) if *before + rows <= most => *before += rows,
            _ => {
                let starts = (0..*rows).step_by(most);
                bounds.extend(starts.map(|start| (first + start, most.min(rows - start))));
            }
        }
        first += rows;
    }
    bounds
}

/// The columns, and the names of those that are a stored index.
type Columns = (DataFrame, Vec<String>);

fn read(mut reader: ParquetReader<impl MmapBytesReader>) -> Result<Columns> {
    let what = WHAT;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_groups_of_rows_or_parts_of_large_ones() {
        assert_eq!(bounds(&[3, 4, 5, 25, 1, 0], 10), [(0, 7), (7, 5), (12, 10), (22, 10), (32, 6)]);
        assert_eq!(bounds(&[], 10), []);
        let rows: usize = bounds(&[100_000, 1, 999_999], 12_345).iter().map(|(_, rows)| rows).sum();
        assert_eq!(rows, 1_100_000);
    }
}
