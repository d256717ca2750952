//! How do tables of users, items or creatives come to the log? Joined on a key; every row of the log stays.
//!
//! Keys meet by the text of their cells, so an id that is a number in one file finds itself as text in the other.
//! Without a named key the columns of like names are tried, and the one that finds most rows is taken.

use super::keep::Keep;
use super::reading::Reading;
use super::sources;
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::cells::{self, Coded, NO_CODE};
use crate::data::enumerated::is_text;
use crate::data::frame::JoinNote;
use crate::jobs::JobContext;
use polars::prelude::{Column, DataFrame, IdxCa, IdxSize, NewChunkedArray};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A side table and where it fits on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JoinSpec {
    /// The table: a file or a folder of parts.
    pub file: PathBuf,
    /// The columns that hold the same ids, in the log and in the table; found by name and values when absent.
    pub key: Option<(String, String)>,
}

impl JoinSpec {
    /// Reads `FILE`, `FILE:KEY` or `FILE:KEY=KEY OF THE FILE`.
    ///
    /// # Errors
    /// An empty file or key.
    pub fn parse(text: &str) -> Result<Self> {
        let whole = || Self { file: PathBuf::from(text), key: None };
        let wrong = |why: String| Failure::new("cannot read the join", why).hint("items.csv:item_id=id");
        if text.is_empty() {
            return Err(wrong("it names no file".to_owned()));
        }
        // A path may hold colons (C:\logs): only what follows the last one and is no path can be a key.
        let Some((file, key)) = text.rsplit_once(':').filter(|(_, key)| !key.contains(['/', '\\'])) else {
            return Ok(whole());
        };
        if Path::new(text).exists() {
            return Ok(whole());
        }
        let (ours, theirs) = key.split_once('=').unwrap_or((key, key));
        if file.is_empty() || ours.is_empty() || theirs.is_empty() {
            return Err(wrong(format!("'{text}' is not FILE[:KEY[=KEY]]")));
        }
        Ok(Self { file: PathBuf::from(file), key: Some((ours.to_owned(), theirs.to_owned())) })
    }
}

const WHAT: &str = "cannot join the table";

/// Puts the columns of a side table beside those of the log; rows without a partner get missing cells.
///
/// # Errors
/// The table cannot be read, a key is not there or not found, or no row finds a partner.
pub(super) fn join(frame: &mut DataFrame, spec: &JoinSpec, context: &JobContext) -> Result<JoinNote> {
    context.stage("joining a table");
    let table = spec.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let side = super::read(
        &sources::find(std::slice::from_ref(&spec.file))?,
        &Reading::default(),
        Keep::default(),
        context,
    )?
    .raw
    .frame;
    let place = |failure: Failure| failure.at(spec.file.display());
    let (ours, theirs) = match &spec.key {
        Some(key) => key.clone(),
        None => find_key(frame, &side).map_err(place)?,
    };
    let log_keys = coded(frame, &ours).map_err(|failure| failure.at("the log"))?;
    let side_keys = coded(&side, &theirs).map_err(place)?;
    let partners = Partners::of(&log_keys, &side_keys);
    let mut note = partners.note(table, &ours, &theirs, &log_keys);
    if note.rows_matched == 0 {
        let why = format!("no value of '{ours}' in the log is found in '{theirs}' of the table");
        return Err(place(Failure::new(WHAT, why)).hint("name the columns that match: --join FILE:KEY=KEY"));
    }
    if note.duplicates > 0 {
        context.warn(format!(
            "{}: {} rows repeat a '{theirs}'; the first row of each is used",
            spec.file.display(),
            note.duplicates
        ));
    }
    let rows = IdxCa::from_iter_options("row".into(), partners.rows(&log_keys));
    for column in side.columns().iter().filter(|column| column.name() != theirs.as_str()) {
        let mut cells = column.take(&rows).explain(WHAT)?;
        let name = free_name(frame, column.name(), &note.table);
        cells.rename(name.as_str().into());
        note.columns.push(name);
        frame.with_column(cells).explain(WHAT)?;
    }
    Ok(note)
}

fn coded(frame: &DataFrame, column: &str) -> Result<Coded> {
    let known = || frame.columns().iter().map(|column| column.name().as_str()).collect::<Vec<_>>().join(", ");
    let column = frame.column(column).map_err(|_| {
        Failure::new(WHAT, format!("there is no column '{column}'")).hint(format!("one of: {}", known()))
    })?;
    cells::code_series(column.as_materialized_series())
}

/// A name that the log does not have: that of the table is put behind it, then a number.
fn free_name(frame: &DataFrame, name: &str, table: &str) -> String {
    let is_free = |name: &str| frame.column(name).is_err();
    let with_table = format!("{name}_{table}");
    let numbered = (2..).map(|number| format!("{with_table}_{number}"));
    let names = [name.to_owned(), with_table.clone()].into_iter().chain(numbered);
    names.into_iter().find(|name| is_free(name)).unwrap_or(with_table)
}

/// The row of the table that each distinct key of the log finds.
struct Partners {
    /// By code of the log's key.
    row_of: Vec<Option<IdxSize>>,
    duplicates: u64,
}

impl Partners {
    fn of(log: &Coded, side: &Coded) -> Self {
        let mut first_row = vec![None; side.values.len()];
        let mut duplicates = 0;
        for (row, code) in side.codes.iter().enumerate().filter(|(_, code)| **code != NO_CODE) {
            let place = &mut first_row[*code as usize];
            duplicates += u64::from(place.is_some());
            place.get_or_insert(row as IdxSize);
        }
        let by_value: HashMap<&str, Option<IdxSize>> =
            side.values.iter().map(String::as_str).zip(first_row).collect();
        let row_of = log.values.iter().map(|value| by_value.get(value.as_str()).copied().flatten());
        Self { row_of: row_of.collect(), duplicates }
    }

    fn rows(&self, log: &Coded) -> impl Iterator<Item = Option<IdxSize>> {
        log.codes.iter().map(|code| self.row_of.get(*code as usize).copied().flatten())
    }

    fn note(&self, table: String, ours: &str, theirs: &str, log: &Coded) -> JoinNote {
        JoinNote {
            table,
            key: ours.to_owned(),
            table_key: theirs.to_owned(),
            values_matched: self.row_of.iter().filter(|row| row.is_some()).count() as u64,
            values: self.row_of.len() as u64,
            rows_matched: self.rows(log).filter(Option::is_some).count() as u64,
            rows: log.codes.len() as u64,
            duplicates: self.duplicates,
            columns: Vec::new(),
        }
    }
}

/// Columns of the table with fewer distinct values than this share of its rows are no key: of other names, and of
/// the same name.
const KEY_SHARE: [f64; 2] = [0.9, 0.5];

/// The columns that hold the same ids.
fn find_key(frame: &DataFrame, side: &DataFrame) -> Result<(String, String)> {
    let mut best: Option<(u8, u64, String, String)> = None;
    for theirs in side.columns().iter().filter(|column| may_be_key(column)) {
        let side_keys = coded(side, theirs.name())?;
        let share = side_keys.values.len() as f64 / side.height().max(1) as f64;
        for ours in frame.columns().iter().filter(|column| may_be_key(column)) {
            let likeness = likeness(ours, theirs);
            if likeness == 0 || share < KEY_SHARE[usize::from(likeness > 1)] {
                continue;
            }
            let log_keys = coded(frame, ours.name())?;
            let matched =
                Partners::of(&log_keys, &side_keys).rows(&log_keys).filter(Option::is_some).count() as u64;
            // A name alone proves nothing, and neither do a few texts that happen to be the same.
            let is_enough = matched > 0 && (likeness > 1 || 2 * matched >= frame.height() as u64);
            let is_better =
                best.as_ref().is_none_or(|(known, rows, ..)| (likeness, matched) > (*known, *rows));
            if is_enough && is_better {
                best = Some((likeness, matched, ours.name().to_string(), theirs.name().to_string()));
            }
        }
    }
    best.map(|(.., ours, theirs)| (ours, theirs)).ok_or_else(|| {
        let columns: Vec<_> = side.columns().iter().map(|column| column.name().as_str()).collect();
        Failure::new(WHAT, "no column of the log holds the ids of a column of the table").hint(format!(
            "name the columns that match: --join FILE:KEY=KEY; the table has {}",
            columns.join(", ")
        ))
    })
}

fn may_be_key(column: &Column) -> bool {
    column.dtype().is_integer() || is_text(column.dtype())
}

/// 3 for one name, 2 for names that differ in signs or `id`, 1 for texts whatever their names, 0 for numbers of
/// other names: small numbers meet by chance.
fn likeness(ours: &Column, theirs: &Column) -> u8 {
    let plain = |column: &Column| {
        let name: String = column.name().chars().filter(|c| c.is_alphanumeric()).collect();
        let name = name.to_lowercase();
        name.strip_suffix("id").filter(|rest| !rest.is_empty()).map(str::to_owned).unwrap_or(name)
    };
    if ours.name() == theirs.name() {
        3
    } else if plain(ours) == plain(theirs) {
        2
    } else {
        u8::from(is_text(ours.dtype()) && is_text(theirs.dtype()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::df;

    fn table(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn log() -> DataFrame {
        df!(
            "item_id" => [3i64, 1, 3, 9],
            "size" => [10i64, 20, 30, 40],
        )
        .unwrap()
    }

    #[test]
    fn rows_stay_and_clashing_names_get_the_table() {
        let (_folder, path) =
            table("items.csv", "ItemID,size,colour\n1,S,red\n3,L,blue\n2,M,green\n3,XL,grey\n");
        let mut frame = log();
        let spec = JoinSpec { file: path, key: None };
        let note = join(&mut frame, &spec, &JobContext::detached()).unwrap();
        assert_eq!((note.key.as_str(), note.table_key.as_str()), ("item_id", "ItemID"));
        assert_eq!((note.values_matched, note.values), (2, 3));
        assert_eq!((note.rows_matched, note.rows, note.duplicates), (3, 4, 1));
        assert_eq!(note.columns, ["size_items", "colour"]);
        assert_eq!(frame.height(), 4);
        let colours = frame.column("colour").unwrap().as_materialized_series();
        let colours: Vec<_> = crate::data::enumerated::texts(colours).unwrap().collect();
        assert_eq!(colours, [Some("blue"), Some("red"), Some("blue"), None]);
        assert_eq!(
            note.to_string(),
            "items on item_id = ItemID: 2 of 3 values, 75 % of 4 rows; 1 rows of the table repeat a key, the first of each is used"
        );
    }

    #[test]
    fn a_join_that_finds_nothing_is_refused() {
        let (_folder, path) = table("users.csv", "user_id,age\nu1,20\nu2,30\n");
        let mut frame = log();
        let failure = join(&mut frame, &JoinSpec { file: path.clone(), key: None }, &JobContext::detached())
            .unwrap_err();
        assert!(failure.hint.contains("user_id, age"), "{failure}");
        let spec = JoinSpec { file: path, key: Some(("item_id".into(), "user_id".into())) };
        let failure = join(&mut frame, &spec, &JobContext::detached()).unwrap_err();
        assert!(failure.why.contains("no value of 'item_id'"), "{failure}");
    }

    #[test]
    fn joins_are_read_from_the_command_line() {
        let parsed = |text: &str| JoinSpec::parse(text).unwrap();
        assert_eq!(parsed("items.csv").key, None);
        assert_eq!(parsed("a/items.csv:item_id").key, Some(("item_id".into(), "item_id".into())));
        assert_eq!(parsed("items.csv:item=id").key, Some(("item".into(), "id".into())));
        assert_eq!(parsed("C:\\logs\\items.csv").file, PathBuf::from("C:\\logs\\items.csv"));
        assert!(JoinSpec::parse("items.csv:=id").is_err());
    }
}
