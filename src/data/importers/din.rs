//! `history;categories;item;category;label`, as PaddleRec feeds its interest networks: a semicolon between cells, a
//! space between the values of a list.

use super::container::Input;
use super::delimited::Table;
use super::guess::Plan;
use super::lines::nearly_all;
use super::records::{Cut, head_records};
use super::{Importer, Match, RawLog, RoleHint};
use crate::base::Result;
use crate::data::schema::Role;
use crate::jobs::JobContext;

/// The importer of the DIN layout.
pub struct Din;

const CUT: Cut = Cut::plain(b';');

const COLUMNS: [(&str, Plan, Role, &str); 5] = [
    ("history", Plan::List(' '), Role::Sequence, "items that the user chose before, oldest first"),
    ("history_category", Plan::List(' '), Role::Sequence, "the categories of these items"),
    ("item", Plan::Integer, Role::Ad, "the item shown"),
    ("category", Plan::Integer, Role::Categorical, "its category"),
    ("label", Plan::Integer, Role::Label, "1 where the user chose it"),
];

impl Importer for Din {
    fn id(&self) -> &'static str {
        "din"
    }

    fn summary(&self) -> &'static str {
        "history;categories;item;category;label with lists of ids parted by spaces (PaddleRec DIN)"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let records = head_records(&input.head, input.head_is_all, CUT, 200);
        let has_lists = records.iter().any(|record| record.first().is_some_and(|cell| cell.contains(' ')));
        let evidence = "semicolons, no header: two lists of equal length, two ids and 0 or 1".to_owned();
        (has_lists && nearly_all(&records, |record| fits(record)))
            .then_some(Match { confidence: 94, evidence })
    }

    fn table(&self, _input: &Input) -> Option<Table> {
        let names = COLUMNS.iter().map(|(name, ..)| (*name).to_owned()).collect();
        let plans = COLUMNS.iter().map(|(_, plan, ..)| Some(*plan)).collect();
        Some(Table::of(CUT, 0, names, plans))
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        let format = format!("din, semicolon, no header{}", input.describe());
        let table = self.table(input).ok_or_else(|| super::not_understood(input))?;
        let mut raw = table.read(input, format, context)?;
        let hint = |(name, _, role, why): &(&str, Plan, Role, &str)| RoleHint {
            column: (*name).to_owned(),
            role: *role,
            evidence: (*why).to_owned(),
            is_final: true,
        };
        raw.hints = COLUMNS.iter().map(hint).collect();
        raw.notes.push("lists of ids are parted by spaces within the cells".to_owned());
        Ok(raw)
    }
}

fn fits(record: &[String]) -> bool {
    let is_id = |cell: &str| !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit());
    let length = |cell: &str| {
        let mut words = cell.split_ascii_whitespace();
        words.all(is_id).then(|| cell.split_ascii_whitespace().count())
    };
    match record {
        [history, categories, item, category, label] => {
            length(history).is_some()
                && length(history) == length(categories)
                && is_id(item)
                && is_id(category)
                && matches!(label.as_str(), "0" | "1")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, opened, refused_by};
    use super::*;

    #[test]
    fn lists_within_cells() {
        let log = opened("3 19;2 9;186;4;1\n7;2;3;2;0\n1 2 3;4 5 6;7;8;1\n");
        assert!(log.source.format.starts_with("din"), "{}", log.source.format);
        assert_eq!(cells(&log, "history"), ["3 19", "7", "1 2 3"]);
        let roles: Vec<_> = log.schema.columns.iter().map(|column| column.role).collect();
        assert_eq!(roles, [Role::Sequence, Role::Sequence, Role::Ad, Role::Categorical, Role::Label]);
    }

    #[test]
    fn plain_numbers_are_something_else() {
        assert!(refused_by(&Din, "1;2;3;4;0\n2;3;4;5;1\n"));
        assert!(refused_by(&Din, "1 2;3;4;5;0\n"));
    }
}
