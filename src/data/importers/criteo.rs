//! The Criteo click logs: tab-separated, no header, label, 13 counts, 26 hashed categories.
//!
//! The test file of the contest has the same columns without the label. Copies with a header are read as any
//! delimited text; the names tell either way that hashes stay text.

use super::container::Input;
use super::delimited::Table;
use super::guess::{CellClass, classify};
use super::known::{TABS, headless_table, is_headless, read_headless, tabbed_head};
use super::{Importer, Match, RawLog};
use crate::base::Result;
use crate::jobs::JobContext;

/// The importer of the Criteo layout.
pub struct Criteo;

const COUNTS: usize = 13;
const CATEGORIES: usize = 26;

impl Importer for Criteo {
    fn id(&self) -> &'static str {
        "criteo"
    }

    fn summary(&self) -> &'static str {
        "Criteo click logs: tabs, no header, label, 13 counts, 26 hashed categories"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let labelled = is_labelled(input)?;
        Some(Match {
            confidence: 95,
            evidence: format!(
                "tabs, {}13 counts and 26 columns of 8 hexadecimal digits",
                if labelled { "a 0/1 label, " } else { "" }
            ),
        })
    }

    fn table(&self, input: &Input) -> Option<Table> {
        let names = names(is_labelled(input)?);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Some(headless_table(TABS, &names))
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        let labelled = is_labelled(input).ok_or_else(|| super::not_understood(input))?;
        let names = names(labelled);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        read_headless("criteo", TABS, &names, input, context)
    }
}

fn names(labelled: bool) -> Vec<String> {
    let label = labelled.then(|| "label".to_owned());
    let counts = (1..=COUNTS).map(|number| format!("I{number}"));
    let categories = (1..=CATEGORIES).map(|number| format!("C{number}"));
    label.into_iter().chain(counts).chain(categories).collect()
}

/// Whether the records carry a label; `None` when they are not of this layout.
fn is_labelled(input: &Input) -> Option<bool> {
    let records = tabbed_head(input);
    let labelled = records.first()?.len() == 1 + COUNTS + CATEGORIES;
    is_headless(&records, |record| fits(record, labelled)).then_some(labelled)
}

fn fits(record: &[String], labelled: bool) -> bool {
    let label = usize::from(labelled);
    let is_count = |cell: &String| matches!(classify(cell), CellClass::Empty | CellClass::Integer(_));
    let is_hash = |cell: &String| {
        cell.is_empty() || (cell.len() == 8 && cell.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    record.len() == label + COUNTS + CATEGORIES
        && record[..label].iter().all(|cell| cell == "0" || cell == "1")
        && record[label..label + COUNTS].iter().all(is_count)
        && record[label + COUNTS..].iter().all(is_hash)
}
