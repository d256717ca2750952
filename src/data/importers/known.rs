//! Which public set is this, by the names of its columns, and what do the names not say?
//!
//! Types and roles are inferred for every log alike. A set in the list only adds what nobody can see in its cells:
//! words that mean missing, columns that give the label away, units, and hashes that must stay text even where all
//! of them happen to be digits. [`find`] compares names, so a set is known in every format.

use super::container::Input;
use super::delimited::Table;
use super::guess::Plan;
use super::known_sets::SETS;
use super::lines::nearly_all;
use super::records::{Cut, head_records};
use super::{RawLog, RoleHint};
use crate::base::Result;
use crate::base::failure::Explain;
use crate::data::enumerated;
use crate::data::schema::Role;
use crate::jobs::JobContext;
use polars::prelude::{
    Column, DataFrame, DataType, Float64Chunked, Int64Chunked, IntoSeries, ListChunked, Series, StringChunked,
};

/// A public set that is known by the names of its columns.
pub struct KnownSet {
    /// The word for it in lists.
    pub id: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Groups of names; a log with all names of one group is (a table of) this set.
    pub(super) tables: &'static [&'static [&'static str]],
    /// What is known of single columns.
    pub(super) columns: &'static [KnownColumn],
    /// What a person should know about the set.
    pub(super) notes: &'static [&'static str],
}

/// What is known of a column.
pub(super) struct KnownColumn {
    /// Its name; `#` at the end stands for a number.
    name: &'static str,
    role: Option<(Role, &'static str)>,
    plan: Option<Plan>,
    missing: &'static [&'static str],
}

/// Begins what is known of a column.
pub(super) const fn column(name: &'static str) -> KnownColumn {
    KnownColumn { name, role: None, plan: None, missing: &[] }
}

impl KnownColumn {
    /// What it is for, and why.
    pub const fn is(mut self, role: Role, why: &'static str) -> Self {
        self.role = Some((role, why));
        self
    }

    /// How its cells are read, whatever they look like.
    pub const fn read_as(mut self, plan: Plan) -> Self {
        self.plan = Some(plan);
        self
    }

    /// Cells that mean missing.
    pub const fn missing(mut self, words: &'static [&'static str]) -> Self {
        self.missing = words;
        self
    }

    fn fits(&self, name: &str) -> bool {
        match self.name.strip_suffix('#') {
            Some(start) => name
                .strip_prefix(start)
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())),
            None => self.name == name,
        }
    }
}

impl KnownSet {
    fn column(&self, name: &str) -> Option<&KnownColumn> {
        self.columns.iter().find(|column| column.fits(name))
    }
}

/// The set whose columns have these names.
pub(super) fn find<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Option<&'static KnownSet> {
    SETS.iter().find(|set| {
        set.tables.iter().any(|table| table.iter().all(|wanted| names.clone().any(|name| name == *wanted)))
    })
}

/// The types of columns that their set tells.
pub(super) fn plans(names: &[String]) -> Vec<Option<Plan>> {
    let set = find(names.iter().map(String::as_str));
    names.iter().map(|name| set?.column(name)?.plan).collect()
}

/// Cells that mean missing in a column of a log that has these columns.
pub(super) fn missing_words<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    name: &str,
) -> &'static [&'static str] {
    find(names).and_then(|set| set.column(name)).map_or(&[], |column| column.missing)
}

/// The table of a layout without a header.
pub(super) fn headless_table(cut: Cut, names: &[&str]) -> Table {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let plans = plans(&names);
    Table::of(cut, 0, names, plans)
}

/// Tabs part cells, and quotes are characters like any other: what public sets without a header look like.
pub(super) const TABS: Cut = Cut::plain(b'\t');

/// The first records of a text that is cut at tabs.
pub(super) fn tabbed_head(input: &Input) -> Vec<Vec<String>> {
    head_records(&input.head, input.head_is_all, TABS, 200)
}

/// True when nearly all records pass a test, and the first does: one that fails there is a header.
pub(super) fn is_headless(records: &[Vec<String>], test: impl Fn(&Vec<String>) -> bool) -> bool {
    records.first().is_some_and(&test) && nearly_all(records, test)
}

/// Reads a table without a header whose columns the layout names.
///
/// # Errors
/// The disk, broken compression, a cancel.
pub(super) fn read_headless(
    id: &str,
    cut: Cut,
    names: &[&str],
    input: &Input,
    context: &JobContext,
) -> Result<RawLog> {
    headless_table(cut, names).read(input, format!("{id}, no header{}", input.describe()), context)
}

/// Adds roles, missing words and notes to a log of a known set; leaves any other as it is.
///
/// # Errors
/// A column that polars cannot look at.
pub(super) fn settle(raw: &mut RawLog) -> Result<()> {
    let names: Vec<String> = raw.frame.get_column_names().iter().map(|name| name.to_string()).collect();
    let Some(set) = find(names.iter().map(String::as_str)) else {
        return Ok(());
    };
    raw.notes.push(format!("the names of the columns are those of a public set: {}", set.summary));
    raw.notes.extend(set.notes.iter().map(|note| (*note).to_owned()));
    for name in &names {
        let Some(known) = set.column(name) else {
            continue;
        };
        if !known.missing.is_empty() {
            mark_missing(&mut raw.frame, name, known.missing, &mut raw.notes)
                .explain(&format!("cannot look at column '{name}'"))?;
        }
        if raw.hints.iter().any(|hint| hint.column == *name) {
            continue;
        }
        let role = known.role.filter(|(role, _)| *role != Role::Label || is_binary(&raw.frame, name));
        raw.hints.extend(role.map(|(role, why)| RoleHint {
            column: name.clone(),
            role,
            evidence: format!("{}: {why}", set.id),
            is_final: true,
        }));
    }
    Ok(())
}

/// True when a column holds nothing but 0 and 1, or flags.
pub(super) fn is_binary(frame: &DataFrame, name: &str) -> bool {
    frame.column(name).is_ok_and(|column| {
        let numbers = column.dtype().is_integer().then(|| column.cast(&DataType::Int64).ok()).flatten();
        let numbers = numbers.as_ref().and_then(|numbers| numbers.i64().ok());
        column.dtype().is_bool()
            || numbers.is_some_and(|cells| cells.iter().flatten().all(|cell| cell == 0 || cell == 1))
    })
}

/// Turns cells that hold one of the words into missing ones and says how many there were.
fn mark_missing(
    frame: &mut DataFrame,
    name: &str,
    words: &[&str],
    notes: &mut Vec<String>,
) -> polars::prelude::PolarsResult<()> {
    let series = frame.column(name)?.as_materialized_series().clone();
    let before = series.null_count();
    let marked = without(&series, words)?;
    let count = marked.null_count() - before;
    if count > 0 {
        notes.push(format!("'{name}': {count} cells of {} mean missing", words.join(" or ")));
        frame.with_column(Column::from(marked))?;
    }
    Ok(())
}

fn without(series: &Series, words: &[&str]) -> polars::prelude::PolarsResult<Series> {
    let name = series.name().clone();
    let rest = match series.dtype() {
        kind if kind.is_integer() => {
            let words: Vec<i64> = words.iter().filter_map(|word| word.parse().ok()).collect();
            let cells = series.cast(&DataType::Int64)?;
            let cells = cells.i64()?.iter();
            cells
                .map(|cell| cell.filter(|cell| !words.contains(cell)))
                .collect::<Int64Chunked>()
                .into_series()
        }
        DataType::Float64 => {
            let words: Vec<f64> = words.iter().filter_map(|word| word.parse().ok()).collect();
            let cells = series.f64()?.iter();
            cells
                .map(|cell| cell.filter(|cell| !words.contains(cell)))
                .collect::<Float64Chunked>()
                .into_series()
        }
        DataType::String => {
            let cells = series.str()?.iter();
            cells
                .map(|cell| cell.filter(|cell| !words.contains(cell)))
                .collect::<StringChunked>()
                .into_series()
        }
        kind if enumerated::is_enumerated(kind) => {
            if !enumerated::words(series).iter().any(|cell| words.contains(cell)) {
                return Ok(series.clone());
            }
            return without(&enumerated::plain(series)?, words);
        }
        DataType::List(_) => {
            let only_word = |list: &Series| {
                list.len() == 1
                    && list.str().is_ok_and(|items| items.get(0).is_some_and(|item| words.contains(&item)))
            };
            let lists = series.list()?;
            let kept = lists.amortized_iter().map(|list| {
                let list = list.map(|list| list.as_ref().clone());
                list.filter(|list| !only_word(list))
            });
            kept.collect::<ListChunked>().into_series()
        }
        _ => return Ok(series.clone()),
    };
    Ok(rest.with_name(name))
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, opened};
    use super::*;
    use polars::prelude::NamedFrom;

    #[test]
    fn sets_have_distinct_ids_and_their_columns_are_told_apart() {
        let mut ids: Vec<_> = SETS.iter().map(|set| set.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), SETS.len());
        for set in &SETS {
            assert!(!set.summary.contains('\n') && !set.tables.is_empty(), "{}", set.id);
            // No table of one set is taken for another.
            for table in set.tables {
                assert_eq!(find(table.iter().copied()).map(|found| found.id), Some(set.id), "{table:?}");
                assert!(table.len() >= 3, "{}: too few names to be sure", set.id);
            }
            for known in set.columns {
                assert!(known.role.is_some() || known.plan.is_some() || !known.missing.is_empty());
            }
        }
    }

    #[test]
    fn a_number_at_the_end_of_a_name() {
        let known = column("C#");
        assert!(known.fits("C1") && known.fits("C26"));
        assert!(!known.fits("C") && !known.fits("Click") && !known.fits("XC1"));
    }

    #[test]
    fn words_that_mean_missing_and_columns_that_tell_the_label() {
        let log = opened(
            "timestamp,uid,campaign,conversion,conversion_timestamp,conversion_id,attribution,click,click_pos,\
             click_nb,cost,cpo,time_since_last_click,cat1\n\
             0,12,7,0,-1,-1,0,1,-1,-1,0.00001,0.25,-1,99\n\
             10,13,7,1,90,5551,1,1,1,2,0.00002,0.25,400,98\n\
             20,14,8,0,-1,-1,0,0,-1,-1,-1.5,0.5,-1,99\n",
        );
        assert_eq!(cells(&log, "conversion_id"), ["-", "5551", "-"]);
        assert_eq!(cells(&log, "time_since_last_click"), ["-", "400", "-"]);
        assert_eq!(cells(&log, "timestamp"), ["0", "10000", "20000"]);
        let role = |name: &str| log.schema.column(name).unwrap().role;
        assert_eq!(role("click"), Role::Label);
        assert_eq!(role("conversion"), Role::Conversion);
        assert_eq!(role("click_pos"), Role::Ignored);
        assert_eq!(role("cat1"), Role::Categorical);
        assert!(log.source.notes.iter().any(|note| note.contains("2 cells of -1")), "{:?}", log.source.notes);
    }

    #[test]
    fn hashes_of_digits_stay_text() {
        let names = "id,click,hour,C1,banner_pos,site_id,site_domain,app_id,device_id,device_ip,C14,C20,C21";
        let log = opened(&format!(
            "{names}\n\
             1000009418151094273,0,14102100,1005,0,10000001,20000001,30000001,40000001,50000001,15706,-1,79\n\
             10000169349117863715,1,14102101,1005,1,10000002,20000001,30000001,40000001,50000002,15704,100084,79\n",
        ));
        assert_eq!(cells(&log, "site_id"), ["10000001", "10000002"]);
        assert!(enumerated::is_text(log.frame.column("site_id").unwrap().dtype()));
        assert_eq!(cells(&log, "C20"), ["-", "100084"]);
        let role = |name: &str| log.schema.column(name).unwrap().role;
        assert_eq!((role("id"), role("hour"), role("C14")), (Role::Ignored, Role::Time, Role::Categorical));
    }

    #[test]
    fn lists_of_one_word_that_means_missing() {
        let lists: ListChunked =
            [vec!["null"], vec!["1", "null"]].iter().map(|list| Series::new("".into(), list)).collect();
        let rest = without(&lists.into_series(), &["null"]).unwrap();
        assert_eq!((rest.len(), rest.null_count()), (2, 1));
    }
}
