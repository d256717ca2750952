//! What has a person, or a recipe of the last file of the kind, decided about the reading of a file?

use super::plan::Plan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Choices that overrule what the content says. What is `None` is found by content.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// The name of an encoding: "gb18030", "windows-1252" (any label of the Encoding Standard).
    pub encoding: Option<String>,
    /// What stands between cells: ",", "\t", "::"; an empty text for one column.
    pub delimiter: Option<String>,
    /// Whether quotes hold cells together.
    pub has_quotes: Option<bool>,
    /// Whether the first record of the table names the columns.
    pub has_header: Option<bool>,
    /// Records before the table (before its header, where it has one).
    pub preamble: Option<usize>,
    /// The sheet of a workbook.
    pub part: Option<String>,
    /// How the cells of a column are read, by its name, whatever they look like.
    pub columns: BTreeMap<String, Plan>,
}
