//! How long do others take? Plain readers of polars, for the benchmarks alone.

use crate::base::Result;
use crate::base::failure::Explain;
use polars::prelude::{
    CsvParseOptions, CsvReadOptions, DataFrame, JsonFormat, JsonReader, ParquetReader, SerReader,
};
use std::fs::File;
use std::path::{Path, PathBuf};

const WHAT: &str = "the plain reader of polars failed";

/// Rows of a comma-separated file with a header, all columns typed and dates read, as polars reads it.
///
/// # Errors
/// What polars answers.
pub fn read_csv(path: &Path) -> Result<usize> {
    let reader = CsvReadOptions::default()
        .with_has_header(true)
        .with_parse_options(CsvParseOptions::default().with_try_parse_dates(true))
        .try_into_reader_with_file_path(Some(path.to_owned()))
        .explain(WHAT)?;
    Ok(reader.finish().explain(WHAT)?.height())
}

/// Rows of JSON lines, as polars reads them.
///
/// # Errors
/// What polars answers.
pub fn read_json_lines(path: &Path) -> Result<usize> {
    let file = File::open(path).explain(WHAT)?;
    let reader = JsonReader::new(file).with_json_format(JsonFormat::JsonLines);
    Ok(reader.finish().explain(WHAT)?.height())
}

/// Rows of Parquet files under each other, as polars reads them.
///
/// # Errors
/// What polars answers.
pub fn read_parquet(paths: &[PathBuf]) -> Result<usize> {
    let mut whole: Option<DataFrame> = None;
    for path in paths {
        let frame = ParquetReader::new(File::open(path).explain(WHAT)?).finish().explain(WHAT)?;
        match &mut whole {
            Some(whole) => drop(whole.vstack_mut(&frame).explain(WHAT)?),
            None => whole = Some(frame),
        }
    }
    Ok(whole.map_or(0, |whole| whole.height()))
}
