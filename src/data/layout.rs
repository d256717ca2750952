//! How were the bytes of a table read? The choices of a reader as facts: they are shown with their evidence, can
//! be overruled, and are kept with the log.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a table was found in its file. Empty texts and lists where a format has no such thing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Layout {
    /// How characters are written, by its name in the Encoding Standard: "UTF-8", "UTF-16LE", "gb18030".
    pub encoding: String,
    /// Why that encoding.
    pub encoding_evidence: String,
    /// What stands between cells: ",", "\t", "::"; empty for one column or no delimited text.
    pub delimiter: String,
    /// True when quotes hold cells together, false when they are characters like any other.
    pub has_quotes: bool,
    /// True when the names of the columns came from the file.
    pub has_header: bool,
    /// The lines before the table, which may name the report, its period and its currency.
    pub preamble: Vec<String>,
    /// Physical lines before the table, blank ones included.
    pub lines_before: u64,
    /// The rows of totals after the table: no data, but figures to check it with.
    pub totals: Vec<TotalRow>,
    /// The sheet of a workbook or the place of the array in a document.
    pub part: String,
    /// How the cells of each column are read.
    pub columns: Vec<ColumnReading>,
    /// Which rows are held, where the log is too large for the memory; `None` when all of them are.
    pub sample: Option<SampleNote>,
}

/// A log of which only some rows are held.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SampleNote {
    /// Rows that are held.
    pub rows: u64,
    /// Rows of the log.
    pub of: u64,
    /// How they were chosen.
    pub how: String,
    /// The hash that the rows that are held do not exceed.
    pub threshold: u64,
    /// Sums of the columns of numbers over all rows.
    pub totals: Vec<ColumnTotal>,
}

/// What all rows of a column come to, those included that are not held.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ColumnTotal {
    /// The column.
    pub column: String,
    /// Cells that hold a number.
    pub n: u64,
    /// Their sum.
    pub sum: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl ColumnTotal {
    /// Counts one more cell.
    pub fn see(&mut self, number: f64) {
        self.min = if self.n == 0 { number } else { self.min.min(number) };
        self.max = if self.n == 0 { number } else { self.max.max(number) };
        self.n += 1;
        self.sum += number;
    }
}

impl SampleNote {
    /// Puts the sample of another file of the same log behind this one.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.of += other.of;
        for total in &other.totals {
            match self.totals.iter_mut().find(|known| known.column == total.column) {
                Some(known) if known.n == 0 => known.clone_from(total),
                Some(known) if total.n > 0 => {
                    known.n += total.n;
                    known.sum += total.sum;
                    known.min = known.min.min(total.min);
                    known.max = known.max.max(total.max);
                }
                Some(_) => {}
                None => self.totals.push(total.clone()),
            }
        }
    }
}

impl fmt::Display for SampleNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a sample of {} of {} rows, {}", self.rows, self.of, self.how)
    }
}

/// A row of totals that an export puts after its data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TotalRow {
    /// Physical line in the file, from 1.
    pub line: u64,
    /// "Total: Account".
    pub label: String,
    /// Column and cell as written, empty cells left out.
    pub cells: Vec<(String, String)>,
}

/// How the cells of one column are read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ColumnReading {
    /// The column.
    pub column: String,
    /// The reading as a word that [`Plan`](super::importers::Plan) parses: "money comma".
    pub plan: String,
    /// The reading for people: "money in EUR, decimal comma".
    pub words: String,
    /// The currency that stands at the cells or in the name; empty when there is none.
    pub currency: String,
    /// True when no cell tells day from month, so that habit decided.
    pub is_open: bool,
}
