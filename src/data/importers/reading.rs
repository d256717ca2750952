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

impl Reading {
    /// These choices, and where nothing was chosen those of another.
    pub(super) fn or(&self, other: &Self) -> Self {
        let text = |mine: &Option<String>, other: &Option<String>| mine.clone().or_else(|| other.clone());
        let mut columns = other.columns.clone();
        columns.extend(self.columns.iter().map(|(name, plan)| (name.clone(), *plan)));
        Self {
            encoding: text(&self.encoding, &other.encoding),
            delimiter: text(&self.delimiter, &other.delimiter),
            has_quotes: self.has_quotes.or(other.has_quotes),
            has_header: self.has_header.or(other.has_header),
            preamble: self.preamble.or(other.preamble),
            part: text(&self.part, &other.part),
            columns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_choices_go_before_those_of_a_recipe() {
        let named = |name: &str, plan| (name.to_owned(), plan);
        let mine = Reading {
            has_header: Some(false),
            columns: [named("when", Plan::Text)].into(),
            ..Reading::default()
        };
        let recipe = Reading {
            encoding: Some("gb18030".to_owned()),
            has_header: Some(true),
            columns: [named("when", Plan::Integer), named("n", Plan::Real)].into(),
            ..Reading::default()
        };
        let both = mine.or(&recipe);
        assert_eq!((both.encoding.as_deref(), both.has_header), (Some("gb18030"), Some(false)));
        assert_eq!(both.columns, [named("n", Plan::Real), named("when", Plan::Text)].into());
    }
}
