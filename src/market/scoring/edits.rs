//! What does a scenario set, and for whom? Edits of everyone in the audience, and of single users.

use crate::base::{Failure, Result};
use crate::data::encode::Side;
use crate::data::{Dataset, LogFrame, Role, cells, edit};
use crate::market::spec::{Edit, Scenario};

/// An edit as a model reads it: a field of the encoder, the id of the new value, and the pooled rows that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Field of the encoder.
    pub field: usize,
    /// Id of the value.
    pub id: u32,
    /// True for each pooled row that it is for; `None`: all.
    pub only: Option<Vec<bool>>,
}

impl Set {
    /// Whether it is for a pooled row.
    pub fn is_for(&self, row: usize) -> bool {
        self.only.as_ref().is_none_or(|only| only.get(row).copied().unwrap_or(false))
    }
}

/// The edits as a model reads them.
///
/// # Errors
/// A column that the model does not read of users and moments, or a user who is not among the rows.
pub(super) fn encoded(dataset: &Dataset, log: &LogFrame, rows: &[u32], edits: &[Edit]) -> Result<Vec<Set>> {
    let encoder = &dataset.encoder;
    let editable = || encoder.categorical.iter().filter(|field| field.side != Side::Ad);
    edits
        .iter()
        .map(|edit| {
            let place = encoder.position(&edit.column);
            let place = place.filter(|place| encoder.categorical[*place].side != Side::Ad);
            let field = place.ok_or_else(|| {
                let known: Vec<_> = editable().map(|field| field.name.as_str()).collect();
                Failure::new(
                    "cannot edit the user",
                    format!("the model reads no user or context column '{}'", edit.column),
                )
                .at("edits")
                .hint(format!("one of: {}", known.join(", ")))
            })?;
            let id = encoder.categorical[field].id_of(&edit.value);
            Ok(Set { field, id, only: rows_of(log, rows, edit)? })
        })
        .collect()
}

/// The rows of a log, in their order, as the edits make them.
///
/// # Errors
/// As [`encoded`], or a value that is not of its column's type.
pub(super) fn edited(log: &LogFrame, rows: &[u32], edits: &[Edit]) -> Result<LogFrame> {
    let mut edited = edit::edited_rows(log, rows, &[])?;
    for edit in edits {
        let only = rows_of(log, rows, edit)?;
        edited = edit::set(&edited, &edit.column, &edit.value, only.as_deref())?;
    }
    Ok(edited)
}

/// Whom a scenario changes alone, in words.
pub(super) fn notes(scenario: &Scenario, whose: &str) -> Option<String> {
    let single = scenario
        .edits
        .iter()
        .filter_map(|edit| Some(format!("{} ({} = {})", edit.user.as_ref()?, edit.column, edit.value)));
    let single: Vec<String> = single.collect();
    (!single.is_empty()).then(|| format!("in the {whose} single users are changed: {}", single.join(", ")))
}

/// Which of the rows an edit is for; `None`: all.
fn rows_of(log: &LogFrame, rows: &[u32], edit: &Edit) -> Result<Option<Vec<bool>>> {
    let Some(user) = &edit.user else { return Ok(None) };
    let refuse = |why: String, hint: String| {
        Err(Failure::new("cannot edit the user", why).at(format!("edits, user '{user}'")).hint(hint))
    };
    let Some(column) = log.schema.with_role(Role::User) else {
        return refuse(
            "the log does not tell its users apart".to_owned(),
            "give the column with user ids the role user, or edit everyone".to_owned(),
        );
    };
    let users = cells::coded(log, &column.name)?;
    let Some(code) = users.values.iter().position(|known| known == user) else {
        return refuse(
            format!("'{}' names no such user", column.name),
            "use an id of that column".to_owned(),
        );
    };
    let only: Vec<bool> = rows.iter().map(|row| users.codes[*row as usize] as usize == code).collect();
    if only.contains(&true) {
        return Ok(Some(only));
    }
    let in_log = users.codes.iter().filter(|other| **other as usize == code).count();
    refuse(
        format!("none of its {in_log} rows is among the {} that stand for the audience", rows.len()),
        "raise \"pool_rows\" so that all rows stand for the audience, or widen the audience".to_owned(),
    )
}
