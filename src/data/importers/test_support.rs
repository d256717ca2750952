//! How do the tests of importers look at what was read?

use super::{ImportOptions, Importer, Input, open};
use crate::base::Result;
use crate::data::frame::LogFrame;
use crate::jobs::JobContext;
use tempfile::TempDir;

/// A file with some bytes, gone with the folder.
pub(super) fn file(bytes: &[u8]) -> (TempDir, Input) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    std::fs::write(&path, bytes).unwrap();
    let input = Input::open(&path).unwrap();
    (folder, input)
}

/// The log in a text, opened as a user opens it.
pub(super) fn opened(text: &str) -> LogFrame {
    try_open(text.as_bytes()).unwrap()
}

/// As [`opened`], for bytes that may hold no log.
pub(super) fn try_open(bytes: &[u8]) -> Result<LogFrame> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    std::fs::write(&path, bytes).unwrap();
    open(&path, &ImportOptions::default(), &JobContext::detached())
}

/// True when an importer leaves a text to others.
pub(super) fn refused_by(importer: &dyn Importer, text: &str) -> bool {
    importer.sniff(&file(text.as_bytes()).1).is_none()
}

/// The names of the columns.
pub(super) fn names(log: &LogFrame) -> Vec<String> {
    log.schema.columns.iter().map(|column| column.name.clone()).collect()
}

/// The cells of a column as text: `-` for a missing one, the items of a list with spaces between them.
pub(super) fn cells(log: &LogFrame, column: &str) -> Vec<String> {
    use polars::prelude::{AnyValue, DataType};
    let series = log.frame.column(column).unwrap().as_materialized_series().clone();
    let series = match series.dtype() {
        DataType::Float64 => {
            let numbers = series.f64().unwrap().iter();
            return numbers.map(|cell| cell.map_or("-".into(), |cell| cell.to_string())).collect();
        }
        DataType::Datetime(..) => series.cast(&DataType::Int64).unwrap(),
        _ => series,
    };
    let cell = |value: AnyValue<'_>| match value {
        AnyValue::Null => "-".to_owned(),
        AnyValue::List(items) => {
            let items = items.str().unwrap().iter();
            items.map(|item| item.unwrap_or("-").to_owned()).collect::<Vec<_>>().join(" ")
        }
        AnyValue::String(text) => text.to_owned(),
        AnyValue::Enum(code, words) => words.cat_to_str(code).unwrap().to_owned(),
        AnyValue::StringOwned(text) => text.to_string(),
        other => other.to_string(),
    };
    series.iter().map(cell).collect()
}
