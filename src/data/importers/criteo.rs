//! The Criteo click logs: tab-separated, no header, label, 13 counts, 26 hashed categories.
//!
//! The test file of the contest has the same columns without the label. Copies with a header are read as any
//! delimited text, and [`has_names`] sees to it that hashes stay text.

use super::container::Input;
use super::delimited::Table;
use super::guess::{CellClass, Plan, classify};
use super::records::{Cut, head_records};
use super::{Importer, Match, RawLog, RoleHint};
use crate::base::Result;
use crate::data::schema::Role;
use crate::jobs::JobContext;

/// The importer of the Criteo layout.
pub struct Criteo;

const COUNTS: usize = 13;
const CATEGORIES: usize = 26;
const CUT: Cut = Cut::plain(b'\t');

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

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        let labelled = is_labelled(input).ok_or_else(|| super::not_understood(input))?;
        let names = names(labelled);
        let is_hash = |name: &String| name.starts_with('C').then_some(Plan::Text);
        let plans = names.iter().map(is_hash).collect();
        let table = Table::of(CUT, 0, names, plans);
        let format = format!("criteo, tab, no header{}", input.describe());
        let mut raw = table.read(input, format, context)?;
        raw.hints = hints(&table.names);
        Ok(raw)
    }
}

/// True when a header names the columns of the Criteo logs.
pub(super) fn has_names(header: &[String]) -> bool {
    names(false).iter().all(|name| header.iter().any(|column| column == name))
}

/// The roles that are known from the layout.
pub(super) fn hints(header: &[String]) -> Vec<RoleHint> {
    let known = names(false);
    let columns = header.iter().filter(|column| known.contains(*column));
    columns
        .map(|column| {
            let (role, evidence) = if column.starts_with('C') {
                (Role::Categorical, "a hashed category of the Criteo layout")
            } else {
                (Role::Numeric, "a count of the Criteo layout")
            };
            RoleHint { column: column.clone(), role, evidence: evidence.to_owned(), is_final: true }
        })
        .collect()
}

fn names(labelled: bool) -> Vec<String> {
    let label = labelled.then(|| "label".to_owned());
    let counts = (1..=COUNTS).map(|number| format!("I{number}"));
    let categories = (1..=CATEGORIES).map(|number| format!("C{number}"));
    label.into_iter().chain(counts).chain(categories).collect()
}

/// Whether the records carry a label; `None` when they are not of this layout.
fn is_labelled(input: &Input) -> Option<bool> {
    let records = head_records(&input.head, input.head_is_all, CUT, 200);
    let labelled = records.first()?.len() == 1 + COUNTS + CATEGORIES;
    let fits = records.iter().filter(|record| fits(record, labelled)).count();
    (fits > 0 && fits * 10 >= records.len() * 9).then_some(labelled)
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
