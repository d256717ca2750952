//! How were the bytes of a table read? The choices of a reader as facts: they are shown with their evidence, can
//! be overruled, and are kept with the log.

use serde::{Deserialize, Serialize};

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
    /// The rows of totals after the table: no data, but figures to check it with.
    pub totals: Vec<TotalRow>,
    /// The sheet of a workbook or the place of the array in a document.
    pub part: String,
    /// How the cells of each column are read.
    pub columns: Vec<ColumnReading>,
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
}
