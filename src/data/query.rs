//! What does a log say about groups of its rows? Clicks, rates with intervals, lift, for one or two columns.

pub mod drift;
pub mod experiment;
mod filter;
pub mod finder;
mod grouping;

use super::cells;
use super::frame::LogFrame;
use super::infer::{self, Quantity};
use super::outcome::Outcome;
use super::schema::{Column, ColumnType, Role};
use crate::base::{Failure, Result};
use crate::domain::Segment;
use crate::jobs::JobContext;
use crate::metrics::Rate;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

pub use filter::{HOUR, WEEKDAY};
use grouping::Groups;

/// Groups beyond this many are counted but not listed.
const MAX_GROUPS: usize = 20_000;
const ROWS_PER_CHECK: usize = 1 << 16;

/// A question about groups.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SegmentQuery {
    /// One or two columns; `hour` and `weekday` come from the time.
    pub by: Vec<String>,
    /// Only rows in this segment are counted.
    pub filter: Segment,
    /// Groups with fewer impressions are left out of the list, not of the total.
    pub min_impressions: f64,
}

/// The answer: groups by falling number of impressions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SegmentTable {
    /// The columns asked for.
    pub by: Vec<String>,
    /// One row a group.
    pub rows: Vec<SegmentRow>,
    /// All rows of the filter together.
    pub total: Rate,
    /// True when the log says what was clicked; otherwise rates are unknown everywhere.
    pub has_outcome: bool,
    /// What [`SegmentRow::money`] holds, such as "mean of bid_cpm_cny"; empty when the log names no money.
    pub money_meaning: String,
    /// What [`SegmentRow::conversions`] counts; empty when the log has no conversions.
    pub conversions_column: String,
    /// Groups that are not listed.
    pub hidden: usize,
    /// Revision of the log that was asked.
    pub revision: u64,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SegmentRow {
    /// Its value in each column asked for; "missing" where cells are empty.
    pub values: Vec<String>,
    /// The group as a segment of the log, without the question's filter.
    pub segment: Segment,
    /// Clicks, impressions and click rate with its Wilson interval. Clicks are 0 where the log has no outcome.
    pub rate: Rate,
    /// Click rate over that of all rows together; `None` when either is unknown.
    pub lift: Option<f64>,
    /// Clicks to be expected at the overall rate: below 5 the group says little.
    pub expected_clicks: f64,
    /// Conversions, where the log counts them.
    pub conversions: Option<f64>,
    /// Money, as [`SegmentTable::money_meaning`] says.
    pub money: Option<f64>,
}

/// Groups with fewer expected clicks than this are too small to judge.
pub const MIN_EXPECTED_CLICKS: f64 = 5.0;

impl SegmentRow {
    /// True when too few clicks are to be expected to judge the rate.
    pub fn is_small(&self) -> bool {
        self.expected_clicks < MIN_EXPECTED_CLICKS
    }
}

/// Impressions, clicks and rates of the groups of one or two columns.
///
/// # Errors
/// No or more than two columns, an unknown column, a filter that makes no sense or that no row passes; a cancel.
pub fn segments(log: &LogFrame, query: &SegmentQuery, context: &JobContext) -> Result<SegmentTable> {
    if query.by.is_empty() || query.by.len() > 2 {
        return Err(Failure::new("cannot part the rows", format!("{} columns are given", query.by.len()))
            .hint("choose one column, or two to cross them"));
    }
    context.stage("reading columns");
    let inside = filter::mask(log, &query.filter)?;
    context.check()?;
    let groups: Vec<Groups> = query.by.iter().map(|column| Groups::of(log, column)).collect::<Result<_>>()?;
    context.check()?;
    let measures = Measures::read(log)?;
    context.stage("counting");
    let mut sums: HashMap<[u32; 2], Sums> = HashMap::new();
    let mut total = Sums::default();
    for (row, &inside) in inside.iter().enumerate() {
        if row % ROWS_PER_CHECK == 0 {
            context.check()?;
            context.progress(row as u64, log.rows() as u64);
        }
        if !inside {
            continue;
        }
        let key = [groups[0].coded.codes[row], groups.get(1).map_or(0, |group| group.coded.codes[row])];
        let measured = measures.of(row);
        sums.entry(key).or_default().add(&measured);
        total.add(&measured);
    }
    if total.impressions <= 0.0 {
        return Err(Failure::new("cannot count the groups", "no row passes the filter")
            .hint("check the spelling of its values, or make it wider"));
    }
    Ok(table(query, &groups, &sums, &total, &measures, log.revision))
}

/// Row numbers of a segment, in the order of the log.
///
/// # Errors
/// A column that the log lacks, or a comparison that makes no sense for its cells.
pub fn matching_rows(log: &LogFrame, segment: &Segment) -> Result<Vec<u32>> {
    let inside = filter::mask(log, segment)?;
    Ok((0u32..).zip(inside).filter(|(_, inside)| *inside).map(|(row, _)| row).collect())
}

/// The most frequent values of a column with their impressions, most frequent first; `hour` and `weekday` come
/// from the time.
///
/// # Errors
/// A column that the log lacks, or one of lists.
pub fn values(log: &LogFrame, column: &str, limit: usize) -> Result<Vec<(String, f64)>> {
    let coded = Groups::of(log, column)?.coded;
    let measures = Measures::read(log)?;
    let mut shown = vec![0.0; coded.values.len()];
    for (row, &code) in coded.codes.iter().enumerate() {
        if let Some(shown) = shown.get_mut(code as usize) {
            *shown += measures.of(row).impressions;
        }
    }
    let mut ranked: Vec<(String, f64)> = coded.values.into_iter().zip(shown).collect();
    ranked.retain(|(_, shown)| *shown > 0.0);
    // Stable: values with equal counts keep their natural order.
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(limit);
    Ok(ranked)
}

/// Columns that rows can be parted by, the useful ones first: what a menu offers.
pub fn groupable_columns(log: &LogFrame) -> Vec<String> {
    let rank = |column: &Column| match column.role {
        Role::Categorical | Role::Slot => 0,
        Role::Campaign | Role::Ad => 1,
        Role::Numeric | Role::Price => 2,
        Role::Time | Role::User | Role::Text => 3,
        Role::Label | Role::Clicks | Role::Weight | Role::Conversion | Role::Truth | Role::Ignored => 4,
        Role::Sequence => 5,
    };
    let mut columns: Vec<&Column> =
        log.schema.columns.iter().filter(|c| rank(c) < 5 && c.kind != ColumnType::List).collect();
    columns.sort_by_key(|column| rank(column));
    let mut names: Vec<String> = columns.into_iter().map(|column| column.name.clone()).collect();
    for derived in [WEEKDAY, HOUR] {
        if matches!(filter::calendar_column(log, derived), Ok(Some(_))) {
            names.insert(0, derived.to_owned());
        }
    }
    names
}

/// What each row counts for.
struct Measures {
    outcome: Option<Outcome>,
    conversions: Option<(String, Vec<f64>)>,
    money: Option<Money>,
    weight: Vec<f32>,
}

struct Money {
    column: String,
    cells: Vec<f64>,
    /// True for amounts that add up (spend), false for prices of which the mean is told (bids).
    adds_up: bool,
}

#[derive(Default)]
struct Sums {
    clicks: f64,
    impressions: f64,
    conversions: f64,
    money: f64,
    /// Impressions of rows whose money is known.
    priced: f64,
}

impl Measures {
    fn read(log: &LogFrame) -> Result<Self> {
        let outcome = Outcome::read(log)?;
        let counts = |column: &&Column| {
            column.role == Role::Conversion
                && matches!(column.kind, ColumnType::Integer | ColumnType::Boolean)
        };
        let named = infer::column_of(&log.schema, Quantity::Conversions).filter(counts);
        let conversions = match named.or_else(|| log.schema.columns.iter().find(counts)) {
            Some(column) => Some((column.name.clone(), cells::numbers(log, &column.name)?)),
            None => None,
        };
        // What was spent tells more than a budget or a bid.
        let spend =
            infer::column_of(&log.schema, Quantity::Spend).filter(|column| column.role == Role::Price);
        let money = match spend.or_else(|| log.schema.with_role(Role::Price)) {
            Some(column) if matches!(column.kind, ColumnType::Integer | ColumnType::Real) => Some(Money {
                cells: cells::numbers(log, &column.name)?,
                adds_up: spend.is_some(),
                column: column.name.clone(),
            }),
            _ => None,
        };
        let weight = match (&outcome, log.schema.with_role(Role::Weight)) {
            (None, Some(column)) => {
                let shown = cells::numbers(log, &column.name)?;
                shown.iter().map(|n| if n.is_nan() { 0.0 } else { *n as f32 }).collect()
            }
            _ => Vec::new(),
        };
        Ok(Self { outcome, conversions, money, weight })
    }

    /// What one row adds. A row whose outcome is unknown counts for nothing where others' are known.
    fn of(&self, row: usize) -> Sums {
        let (clicks, impressions) = match &self.outcome {
            Some(outcome) => {
                let label = outcome.label[row];
                let weight = outcome.weight.get(row).map_or(1.0, |w| f64::from(*w));
                if label.is_nan() { (0.0, 0.0) } else { (f64::from(label) * weight, weight) }
            }
            None => (0.0, self.weight.get(row).map_or(1.0, |w| f64::from(*w))),
        };
        let conversions = self.conversions.as_ref().map_or(0.0, |(_, cells)| cells[row]);
        let money = self.money.as_ref().map_or(f64::NAN, |money| money.cells[row]);
        let adds_up = self.money.as_ref().is_some_and(|money| money.adds_up);
        let (money, priced) = match (money.is_nan(), adds_up) {
            (true, _) => (0.0, 0.0),
            (false, true) => (money, impressions),
            (false, false) => (money * impressions, impressions),
        };
        let conversions = if conversions.is_nan() { 0.0 } else { conversions };
        Sums { clicks, impressions, conversions, money, priced }
    }
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.clicks += other.clicks;
        self.impressions += other.impressions;
        self.conversions += other.conversions;
        self.money += other.money;
        self.priced += other.priced;
    }
}

fn table(
    query: &SegmentQuery,
    groups: &[Groups],
    sums: &HashMap<[u32; 2], Sums>,
    total: &Sums,
    measures: &Measures,
    revision: u64,
) -> SegmentTable {
    let overall = Rate::wilson(total.clicks, total.impressions);
    let mut keys: Vec<&[u32; 2]> = sums.keys().collect();
    // Falling impressions; equal ones in the natural order of their values.
    keys.sort_by(|a, b| sums[*b].impressions.total_cmp(&sums[*a].impressions).then_with(|| a.cmp(b)));
    let all = keys.len();
    keys.retain(|key| sums[*key].impressions >= query.min_impressions.max(f64::MIN_POSITIVE));
    keys.truncate(MAX_GROUPS);
    let rows: Vec<SegmentRow> =
        keys.iter().map(|key| row(**key, &sums[*key], groups, &overall, measures)).collect();
    SegmentTable {
        by: query.by.clone(),
        hidden: all - rows.len(),
        rows,
        total: overall,
        has_outcome: measures.outcome.is_some(),
        money_meaning: measures.money.as_ref().map_or_else(String::new, |money| {
            format!("{} of {}", if money.adds_up { "sum" } else { "mean" }, money.column)
        }),
        conversions_column: measures.conversions.as_ref().map_or_else(String::new, |(name, _)| name.clone()),
        revision,
    }
}

fn row(key: [u32; 2], sums: &Sums, groups: &[Groups], overall: &Rate, measures: &Measures) -> SegmentRow {
    let rate = Rate::wilson(sums.clicks, sums.impressions);
    let known = measures.outcome.is_some() && rate.is_known() && overall.rate > 0.0;
    let money = measures.money.as_ref().filter(|_| sums.priced > 0.0);
    SegmentRow {
        values: groups.iter().zip(key).map(|(group, code)| group.name(code)).collect(),
        segment: groups.iter().zip(key).fold(Segment::All, |all, (group, code)| all.and(group.segment(code))),
        rate,
        lift: known.then(|| rate.rate / overall.rate),
        expected_clicks: sums.impressions * overall.rate,
        conversions: measures.conversions.as_ref().map(|_| sums.conversions),
        money: money.map(|money| if money.adds_up { sums.money } else { sums.money / sums.priced }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{DataType, IntoColumn, NamedFrom, Series, TimeUnit, df};

    /// Eight impressions on two days: 上海 has 3 clicks of 4, Berlin 1 of 4.
    fn log() -> LogFrame {
        let list = |items: &[&str]| Series::new("".into(), items);
        let mut frame = df!(
            "city" => [Some("上海"), Some("上海"), Some("上海"), Some("上海"), Some("Berlin"), Some("Berlin"), Some("Berlin"), None],
            "device" => ["ios", "ios", "web", "web", "ios", "ios", "web", "web"],
            "age" => [20i64, 30, 40, 50, 20, 30, 40, 50],
            "click" => [1i64, 1, 1, 0, 1, 0, 0, 0],
            "bought" => [1i64, 0, 0, 0, 1, 0, 0, 0],
            "bid" => [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, f64::NAN],
            "seen" => [list(&["a"]), list(&["b", "a"]), list(&[]), list(&[]), list(&["c"]), list(&[]), list(&[]), list(&[])],
        )
        .unwrap();
        // Monday 24 August 2026, 00:00 UTC, then every four hours.
        let stamps: Vec<i64> = (0..8).map(|i| 1_787_529_600_000 + i * 4 * 3_600_000).collect();
        let time = Series::new("time".into(), stamps)
            .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
            .unwrap();
        frame.with_column(time.into_column()).unwrap();
        let roles = [
            ("city", Role::Categorical),
            ("device", Role::Categorical),
            ("age", Role::Numeric),
            ("click", Role::Label),
            ("bought", Role::Conversion),
            ("bid", Role::Price),
            ("seen", Role::Sequence),
            ("time", Role::Time),
        ];
        LogFrame::from_frame(frame, &roles).unwrap()
    }

    fn ask(by: &[&str], filter: &str, min_impressions: f64) -> Result<SegmentTable> {
        let by = by.iter().map(ToString::to_string).collect();
        let query = SegmentQuery { by, filter: Segment::parse(filter)?, min_impressions };
        segments(&log(), &query, &JobContext::detached())
    }

    #[test]
    fn counts_rates_and_lift_of_one_column() {
        let table = ask(&["city"], "", 0.0).unwrap();
        assert_eq!((table.total.successes, table.total.trials), (4.0, 8.0));
        let row = |name: &str| table.rows.iter().find(|row| row.values[0] == name).unwrap();
        let shanghai = row("上海");
        assert_eq!(shanghai.rate, Rate::wilson(3.0, 4.0));
        assert_eq!(shanghai.lift, Some(1.5));
        assert_eq!(shanghai.conversions, Some(1.0));
        assert_eq!((shanghai.money, table.money_meaning.as_str()), (Some(2.5), "mean of bid"));
        assert!(shanghai.is_small(), "two clicks are expected");
        assert_eq!(row("missing").rate.trials, 1.0);
        assert_eq!(row("missing").money, None);
    }

    #[test]
    fn crossing_and_hiding() {
        let table = ask(&["city", "device"], "city is not missing", 2.0).unwrap();
        let cells: Vec<(String, f64, f64)> = table
            .rows
            .iter()
            .map(|row| (row.values.join("/"), row.rate.successes, row.rate.trials))
            .collect();
        assert_eq!(
            cells,
            [("上海/ios".into(), 2.0, 2.0), ("上海/web".into(), 1.0, 2.0), ("Berlin/ios".into(), 1.0, 2.0)]
        );
        assert_eq!(table.hidden, 1, "Berlin/web has one impression");
        assert_eq!(table.total.trials, 7.0, "hidden groups stay in the total");
    }

    #[test]
    fn filters_pick_the_rows_that_they_name() {
        let rows = |text: &str| matching_rows(&log(), &Segment::parse(text).unwrap()).unwrap();
        assert_eq!(rows(""), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(rows("city = '上海' and not device = 'ios'"), [2, 3]);
        assert_eq!(rows("age >= 40 or click = 1 and device = ios"), [0, 1, 2, 3, 4, 6, 7]);
        assert_eq!(rows("age in (20, '50')"), [0, 3, 4, 7]);
        assert_eq!(rows("city is missing"), [7]);
        assert_eq!(rows("seen = 'a'"), [0, 1]);
        assert_eq!(rows("seen is missing"), [2, 3, 5, 6, 7]);
        assert_eq!(rows("bid > 5"), [5, 6]);
        assert_eq!(rows("hour >= 16"), [4, 5]);
        assert_eq!(rows("weekday = 'Tue'"), [6, 7]);
        assert_eq!(rows("time >= '2026-08-24 20:00' and time < '2026-08-25'"), [5]);
    }

    #[test]
    fn every_group_s_segment_names_exactly_its_rows() {
        for by in [vec!["city"], vec!["time"], vec!["hour"], vec!["weekday"], vec!["age", "device"]] {
            let table = ask(&by, "", 0.0).unwrap();
            let mut seen = 0;
            for row in &table.rows {
                let rows = matching_rows(&log(), &row.segment).unwrap();
                assert_eq!(rows.len() as f64, row.rate.trials, "{by:?} {}", row.segment);
                seen += rows.len();
            }
            assert_eq!(seen, 8, "{by:?}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_advice() {
        assert!(ask(&["town"], "", 0.0).unwrap_err().hint.contains("city"));
        assert!(ask(&["city"], "city = 'Atlantis'", 0.0).unwrap_err().why.contains("no row"));
        assert!(ask(&["city"], "city > 3", 0.0).unwrap_err().why.contains("no numbers"));
        assert!(ask(&["city"], "time > 'noon'", 0.0).unwrap_err().why.contains("no point in time"));
        assert!(ask(&["seen"], "", 0.0).unwrap_err().why.contains("lists"));
        assert!(ask(&[], "", 0.0).is_err());
        assert!(ask(&["city", "device", "age"], "", 0.0).is_err());
    }

    #[test]
    fn aggregated_rows_are_weighted() {
        let frame = df!(
            "group" => ["a", "a", "b"],
            "shown" => [100i64, 300, 50],
            "clicked" => [10i64, 10, 5],
            "Spent" => [1.5, 2.5, 1.0],
        )
        .unwrap();
        let roles = [
            ("group", Role::Categorical),
            ("shown", Role::Weight),
            ("clicked", Role::Clicks),
            ("Spent", Role::Price),
        ];
        let log = LogFrame::from_frame(frame, &roles).unwrap();
        let query = SegmentQuery { by: vec!["group".into()], ..SegmentQuery::default() };
        let table = segments(&log, &query, &JobContext::detached()).unwrap();
        let first = &table.rows[0];
        assert_eq!((first.values[0].as_str(), first.rate.trials), ("a", 400.0));
        assert!((first.rate.successes - 20.0).abs() < 1e-4, "{first:?}");
        assert_eq!((first.money, table.money_meaning.as_str()), (Some(4.0), "sum of Spent"));
        assert_eq!(values(&log, "group", 1).unwrap(), [("a".to_owned(), 400.0)]);
    }

    #[test]
    fn hours_and_days_are_groups_of_the_time() {
        let table = ask(&["time"], "", 0.0).unwrap();
        let names: Vec<&str> = table.rows.iter().map(|row| row.values[0].as_str()).collect();
        assert_eq!(names, ["2026-08-24", "2026-08-25"]);
        let hours = ask(&["hour"], "", 0.0).unwrap();
        assert_eq!(hours.rows[0].values[0], "00");
        assert_eq!(hours.rows[0].rate.trials, 2.0);
        assert_eq!(groupable_columns(&log())[..3], ["hour", "weekday", "city"]);
    }
}
