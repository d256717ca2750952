//! How does an answer leave the program? As a table whose cells hold enough people, or as the command that asks again.

use super::people::{cells_that_may_leave, people_of_groups};
use super::{Measure, SegmentQuery, SegmentRow, SegmentTable};
use crate::base::{Failure, Result};
use crate::data::export::{ExportCells, ExportColumn};
use crate::data::frame::LogFrame;
use crate::data::importers::ImportOptions;
use crate::data::shape::Reshape;
use crate::jobs::JobContext;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A table that may leave.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// Its columns.
    pub columns: Vec<ExportColumn>,
    /// Groups in it.
    pub groups: usize,
    /// Groups that are left out because they, or what could be told from the total without them, hold too few people.
    pub held_back: usize,
    /// True where people are users; false where the log names none and rows are counted.
    pub are_users: bool,
}

/// The answer as columns: values, people, and each measure with its interval and comparison. Groups that hold fewer than
/// `k` people stay here, and as many more as it takes that no total gives them away.
///
/// # Errors
/// No group may leave, an answer about another log, a cancel.
pub fn table(
    log: &LogFrame,
    query: &SegmentQuery,
    table: &SegmentTable,
    k: usize,
    context: &JobContext,
) -> Result<Exported> {
    let what = "cannot export the groups";
    if table.revision != log.revision {
        return Err(
            Failure::new(what, "the log has changed since they were counted").hint("count them again")
        );
    }
    let (counts, are_users) = people_of_groups(log, &query.by, &query.rows(log)?, context)?;
    let listed: Vec<usize> =
        table.rows.iter().map(|row| counts.get(&row.codes).copied().unwrap_or(0)).collect();
    // Small groups that are not listed stay here as well, and the total would tell of them.
    let is_listed: BTreeSet<&Vec<u32>> = table.rows.iter().map(|row| &row.codes).collect();
    let unlisted = counts.iter().filter(|(codes, _)| !is_listed.contains(codes)).map(|(_, people)| *people);
    let all: Vec<usize> = listed.iter().copied().chain(unlisted).collect();
    let leaves = cells_that_may_leave(&all, k);
    let rows: Vec<(&SegmentRow, usize)> = (table.rows.iter().zip(&listed))
        .zip(&leaves)
        .filter(|(_, leaves)| **leaves)
        .map(|((row, people), _)| (row, *people))
        .collect();
    if rows.is_empty() {
        let who = if are_users { "users" } else { "rows" };
        let most = listed.iter().max().copied().unwrap_or(0);
        return Err(Failure::new(
            what,
            format!("no group may leave: the largest holds {most} {who}, and {k} are needed"),
        )
        .hint("coarser groups, or a smaller k where that is allowed"));
    }
    Ok(Exported {
        columns: columns(query, table, &rows, are_users),
        groups: rows.len(),
        held_back: table.rows.len() - rows.len(),
        are_users,
    })
}

fn columns(
    query: &SegmentQuery,
    table: &SegmentTable,
    rows: &[(&SegmentRow, usize)],
    are_users: bool,
) -> Vec<ExportColumn> {
    let mut columns: Vec<ExportColumn> = query
        .by
        .iter()
        .enumerate()
        .map(|(place, name)| ExportColumn {
            name: name.clone(),
            cells: ExportCells::Text(rows.iter().map(|(row, _)| row.values[place].clone()).collect()),
        })
        .collect();
    let mut add = |name: String, cells: ExportCells| {
        // A column of the log may be called as a measure is.
        let taken = columns.iter().any(|column| column.name == name);
        columns.push(ExportColumn { name: if taken { format!("{name}_measured") } else { name }, cells });
    };
    let people = rows.iter().map(|(_, people)| *people as i64).collect();
    add(if are_users { "users" } else { "rows" }.to_owned(), ExportCells::Integer(people));
    for measure in &table.measures {
        let known = |of: &dyn Fn(&super::Figure) -> Option<f64>| {
            let cell = |(row, _): &(&SegmentRow, usize)| table.figure(row, *measure).and_then(of);
            ExportCells::Real(rows.iter().map(|row| cell(row).unwrap_or(f64::NAN)).collect())
        };
        let id = measure.id();
        add(id.to_owned(), known(&|figure| Some(figure.value)));
        if measure.is_sum() {
            if table.period.is_some() {
                add(format!("{id}_lift"), known(&|figure| figure.lift));
            }
        } else {
            add(format!("{id}_low"), known(&|figure| figure.interval.map(|[low, _]| low)));
            add(format!("{id}_high"), known(&|figure| figure.interval.map(|[_, high]| high)));
            add(format!("{id}_n"), known(&|figure| Some(figure.n)));
            add(format!("{id}_lift"), known(&|figure| figure.lift));
            add(format!("{id}_p_holm"), known(&|figure| figure.p));
        }
    }
    columns
}

/// The command line that gives the same figures; the reason where none can: choices that live in this window alone.
///
/// # Errors
/// A name with a comma among the columns, a secret salt, or predictions of a model that is not saved.
pub fn as_command(
    files: &[PathBuf],
    options: &ImportOptions,
    query: &SegmentQuery,
    measure: Measure,
    model: Option<Option<&PathBuf>>,
) -> Result<String> {
    let refuse = |why: &str| Failure::new("cannot tell the command", why);
    if query.by.iter().any(|name| name.contains(',')) {
        return Err(refuse("a column's name holds a comma, which parts names on the command line"));
    }
    if options.salt.is_some() {
        return Err(refuse("the log was opened with a secret salt, which is not repeated"));
    }
    let mut words = vec!["adloupe".to_owned(), "segment".to_owned()];
    words.extend(files.iter().map(|file| quoted(&file.display().to_string())));
    let mut flag = |name: &str, value: &str| words.extend([format!("--{name}"), quoted(value)]);
    flag("by", &query.by.join(","));
    let filter = query.filter.to_string();
    if !filter.is_empty() {
        flag("where", &filter);
    }
    if query.min_impressions > 0.0 {
        flag("min-impressions", &query.min_impressions.to_string());
    }
    for value in &query.against {
        flag("against", value);
    }
    if query.days > 0 {
        flag("last-days", &query.days.to_string());
    }
    if measure != Measure::Ctr {
        flag("measure", measure.id());
    }
    match model {
        None => {}
        Some(Some(folder)) => flag("model", &folder.display().to_string()),
        Some(None) => {
            return Err(
                refuse("the model's predictions are shown, and it is not saved").hint("save it first")
            );
        }
    }
    for (column, role) in &options.roles {
        flag("role", &format!("{column}={role}"));
    }
    for join in &options.joins {
        let key = join.key.as_ref().map(|(ours, theirs)| format!(":{ours}={theirs}")).unwrap_or_default();
        flag("join", &format!("{}{key}", join.file.display()));
    }
    if let Some(shape) = &options.shape {
        match shape {
            Reshape::Long => flag("shape", "long"),
            Reshape::Impressions(events) => {
                flag("shape", &format!("impressions:{}", f64::from(events.click_minutes) / 60.0));
            }
        }
    }
    if let Some(column) = &options.consent {
        flag("consent", column);
    }
    for column in &options.pseudonyms {
        flag("pseudonymise", column);
    }
    for (column, coarser) in &options.generalise {
        flag("generalise", &format!("{column}={coarser}"));
    }
    if options.all_rows {
        words.push("--all-rows".to_owned());
    }
    Ok(words.join(" "))
}

/// A word as a shell reads it back: in single quotes where it holds more than letters, digits and a few marks.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) && !word.starts_with('-') {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::query::segments;
    use crate::data::schema::Role;
    use crate::domain::Segment;
    use polars::prelude::df;

    #[test]
    fn only_cells_with_enough_people_leave() {
        let user: Vec<String> = (0..400).map(|row| format!("u{}", row / 2)).collect();
        let city: Vec<&str> = (0..400).map(|row| ["Bern", "Köln", "上海", "上海"][row / 100]).collect();
        let few: Vec<&str> =
            city.iter().enumerate().map(|(row, city)| if row < 10 { "Ulm" } else { city }).collect();
        let click: Vec<i64> = (0..400).map(|row| i64::from(row % 5 == 0)).collect();
        let frame = df!("user" => user, "city" => few, "click" => click).unwrap();
        let roles = [("user", Role::User), ("city", Role::Categorical), ("click", Role::Label)];
        let log = LogFrame::from_frame(frame, &roles).unwrap();
        let query = SegmentQuery { by: vec!["city".into()], ..SegmentQuery::default() };
        let context = JobContext::detached();
        let answer = segments(&log, &query, &context).unwrap();
        let found = table(&log, &query, &answer, 50, &context).unwrap();
        assert!(found.are_users);
        // Ulm has 5 users, Bern 45: both are held back, and together they hold 50.
        assert_eq!((found.groups, found.held_back), (2, 2));
        assert_eq!(found.columns[0].cells, ExportCells::Text(vec!["上海".into(), "Köln".into()]));
        assert_eq!(found.columns[1].cells, ExportCells::Integer(vec![100, 50]));
        let failure = table(&log, &query, &answer, 1_000, &context).unwrap_err();
        assert!(failure.why.contains("the largest holds 100 users"), "{failure}");
    }

    #[test]
    fn a_command_repeats_the_question_word_for_word() {
        let query = SegmentQuery {
            by: vec!["city".into(), "Time on site".into()],
            filter: Segment::parse("city = 'it''s' and hour >= 18").unwrap(),
            min_impressions: 10.0,
            against: vec!["上海".into(), "0, 1".into()],
            days: 0,
        };
        let files = [PathBuf::from("my logs/a.csv")];
        let options = ImportOptions { roles: vec![("k".into(), Role::User)], ..ImportOptions::default() };
        let text = as_command(&files, &options, &query, Measure::Cpc, None).unwrap();
        assert_eq!(
            text,
            "adloupe segment 'my logs/a.csv' --by 'city,Time on site' --where \
             'city = '\\''it'\\'''\\''s'\\'' and hour >= 18' --min-impressions 10 --against 上海 --against '0, 1' \
             --measure cpc --role k=user"
        );
        assert!(
            as_command(&files, &options, &query, Measure::Cpc, Some(None)).unwrap_err().hint.contains("save")
        );
        let comma = SegmentQuery { by: vec!["a,b".into()], ..query };
        assert!(as_command(&files, &options, &comma, Measure::Ctr, None).is_err());
    }
}
