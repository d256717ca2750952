//! How does a table leave the program? As Parquet, CSV or JSON lines, chosen by the ending of its name.

use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::{Failure, Result};
use crate::data::enumerated;
use crate::data::frame::LogFrame;
use crate::data::schema::ColumnType;
use polars::prelude::{
    Column, CsvWriter, DataFrame, DataType, JsonFormat, JsonWriter, NamedFrom, ParquetWriter, PolarsResult,
    SerWriter, Series,
};
use std::io::{self, Write};
use std::path::Path;

/// One column of a table to write.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportColumn {
    /// Its name in the file.
    pub name: String,
    /// Its cells, one a row.
    pub cells: ExportCells,
}

/// The cells of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportCells {
    /// Texts.
    Text(Vec<String>),
    /// Real numbers; NaN is unknown and becomes an empty cell.
    Real(Vec<f64>),
    /// Whole numbers.
    Integer(Vec<i64>),
}

/// Writes a table; the ending of `path` (`.parquet`, `.csv`, `.jsonl` or `.ndjson`) chooses the format. A file
/// that was there before is replaced only by a whole new one.
///
/// # Errors
/// An unknown ending, columns of different lengths or with the same name, or what the disk answers.
pub fn write_table(path: &Path, columns: Vec<ExportColumn>) -> Result<()> {
    write_columns(path, columns, TableFormat::of(path)?)
}

/// As [`write_table`]; a CSV file begins with a byte order mark, without which spreadsheets take Chinese for something
/// else.
///
/// # Errors
/// As [`write_table`], and an ending other than `.csv`.
pub fn write_for_spreadsheets(path: &Path, columns: Vec<ExportColumn>) -> Result<()> {
    if TableFormat::of(path)? != TableFormat::Csv {
        return Err(Failure::new("cannot write the table", "only a CSV file begins with a byte order mark")
            .at(path.display())
            .hint("a name that ends in .csv"));
    }
    write_columns(path, columns, TableFormat::CsvForSpreadsheets)
}

fn write_columns(path: &Path, columns: Vec<ExportColumn>, format: TableFormat) -> Result<()> {
    let columns = columns.into_iter().map(into_polars).collect();
    let mut frame = DataFrame::new_infer_height(columns)
        .explain("cannot make the table")
        .map_err(|failure| failure.at(path.display()))?;
    write_frame(path, &mut frame, format)
}

/// Writes a log as it was understood: typed, joined, turned and with pseudonyms. In CSV, which has no lists, their items
/// stand in one cell with `|` between them.
///
/// # Errors
/// An unknown ending, a list that CSV cannot hold, or what the disk answers.
pub fn write_log(path: &Path, log: &LogFrame) -> Result<()> {
    let format = TableFormat::of(path)?;
    let what = "cannot write the log";
    let plain = |column: &Column| enumerated::plain(column.as_materialized_series()).map(Column::from);
    let columns = log.frame.columns().iter().map(plain).collect::<PolarsResult<_>>().explain(what)?;
    let mut frame = DataFrame::new_infer_height(columns).explain(what)?;
    if format == TableFormat::Csv {
        for column in log.schema.columns.iter().filter(|column| column.kind == ColumnType::List) {
            let what = format!("cannot write the lists of '{}'", column.name);
            let lists = frame.column(&column.name).explain(&what)?.list().explain(&what)?.clone();
            let mut cells: Vec<Option<String>> = Vec::with_capacity(lists.len());
            for list in lists.amortized_iter() {
                let Some(list) = list else {
                    cells.push(None);
                    continue;
                };
                let items = list.as_ref().cast(&DataType::String).explain(&what)?;
                let items: Vec<&str> = items.str().explain(&what)?.iter().flatten().collect();
                if items.iter().any(|item| item.contains('|')) {
                    return Err(Failure::new(what, "an item holds '|', which would part it in a CSV file")
                        .at(path.display())
                        .hint("a name that ends in .parquet"));
                }
                cells.push(Some(items.join("|")));
            }
            frame.with_column(Column::new(column.name.as_str().into(), cells)).explain(&what)?;
        }
    }
    write_frame(path, &mut frame, format)
}

/// The formats in which tables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum TableFormat {
    Parquet,
    Csv,
    /// With a byte order mark.
    CsvForSpreadsheets,
    JsonLines,
}

impl TableFormat {
    /// The format that the ending of `path` stands for.
    pub(in crate::data) fn of(path: &Path) -> Result<Self> {
        let ending =
            path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        match ending.as_str() {
            "parquet" | "pq" => Ok(Self::Parquet),
            "csv" => Ok(Self::Csv),
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            _ => {
                Err(Failure::new("cannot write the table", format!("'.{ending}' stands for no known format"))
                    .at(path.display())
                    .hint("a name that ends in .parquet, .csv or .jsonl"))
            }
        }
    }
}

/// Writes a polars frame in `format`; an old file is replaced only by a whole new one.
pub(in crate::data) fn write_frame(path: &Path, frame: &mut DataFrame, format: TableFormat) -> Result<()> {
    let what = "cannot write the table";
    write_atomically(path, |out| {
        let mut disk = Watched { out, error: None };
        let written = match format {
            TableFormat::Parquet => ParquetWriter::new(&mut disk).finish(frame).map(|_bytes| ()),
            TableFormat::Csv => CsvWriter::new(&mut disk).finish(frame),
            TableFormat::CsvForSpreadsheets => CsvWriter::new(&mut disk).include_bom(true).finish(frame),
            TableFormat::JsonLines => {
                JsonWriter::new(&mut disk).with_json_format(JsonFormat::JsonLines).finish(frame)
            }
        };
        written.map_err(|error| match &disk.error {
            Some(error) => disk_failure(what, path, error),
            None => Failure::new(what, error).at(path.display()),
        })
    })
}

/// Keeps what the disk answered: the writers of polars pass on the text only, and the advice hangs on the kind.
struct Watched<'a, W: Write> {
    out: &'a mut W,
    error: Option<io::Error>,
}

impl<W: Write> Watched<'_, W> {
    fn keep<T>(&mut self, answer: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &answer {
            self.error = Some(match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => error.kind().into(),
            });
        }
        answer
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let answer = self.out.write(bytes);
        self.keep(answer)
    }

    fn flush(&mut self) -> io::Result<()> {
        let answer = self.out.flush();
        self.keep(answer)
    }
}

fn into_polars(column: ExportColumn) -> Column {
    let name = column.name.into();
    let series = match column.cells {
        ExportCells::Text(cells) => Series::new(name, cells),
        ExportCells::Real(cells) => {
            let known: Vec<Option<f64>> = cells.into_iter().map(|x| (!x.is_nan()).then_some(x)).collect();
            Series::new(name, known)
        }
        ExportCells::Integer(cells) => Series::new(name, cells),
    };
    series.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{ParquetReader, SerReader};

    fn table() -> Vec<ExportColumn> {
        vec![
            ExportColumn { name: "ad".into(), cells: ExportCells::Text(vec!["a,b".into(), "运动".into()]) },
            ExportColumn { name: "p_click".into(), cells: ExportCells::Real(vec![0.25, 0.5]) },
            ExportColumn { name: "row".into(), cells: ExportCells::Integer(vec![1, 2]) },
        ]
    }

    #[test]
    fn every_format_holds_what_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("t.csv");
        write_table(&csv, table()).unwrap();
        assert_eq!(std::fs::read_to_string(&csv).unwrap(), "ad,p_click,row\n\"a,b\",0.25,1\n运动,0.5,2\n");
        let lines = folder.path().join("t.jsonl");
        write_table(&lines, table()).unwrap();
        assert_eq!(
            std::fs::read_to_string(&lines).unwrap(),
            "{\"ad\":\"a,b\",\"p_click\":0.25,\"row\":1}\n{\"ad\":\"运动\",\"p_click\":0.5,\"row\":2}\n"
        );
        let parquet = folder.path().join("t.parquet");
        write_table(&parquet, table()).unwrap();
        let read = ParquetReader::new(std::fs::File::open(&parquet).unwrap()).finish().unwrap();
        assert_eq!(read.shape(), (2, 3));
    }

    #[test]
    fn a_log_keeps_its_lists() {
        let list = |items: &[&str]| Series::new("".into(), items);
        let frame =
            polars::prelude::df!("n" => [1i64, 2], "seen" => [list(&["a", "b"]), list(&["c"])]).unwrap();
        let log = LogFrame::from_frame(frame, &[]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("t.csv");
        write_log(&csv, &log).unwrap();
        assert_eq!(std::fs::read_to_string(&csv).unwrap(), "n,seen\n1,a|b\n2,c\n");
        let frame = polars::prelude::df!("seen" => [list(&["a|b"])]).unwrap();
        let log = LogFrame::from_frame(frame, &[]).unwrap();
        assert!(write_log(&csv, &log).unwrap_err().hint.contains(".parquet"));
    }

    #[test]
    fn unequal_columns_and_unknown_endings_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut uneven = table();
        uneven[2].cells = ExportCells::Integer(vec![1]);
        assert!(write_table(&folder.path().join("t.csv"), uneven).is_err());
        let failure = write_table(&folder.path().join("t.xlsx"), table()).unwrap_err();
        assert!(failure.hint.contains(".parquet"), "{failure}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
