//! What does a log say about groups of its rows? Counts, rates, costs and returns with their intervals, compared.

pub mod chosen;
pub mod drift;
pub mod experiment;
pub mod export;
mod filter;
pub mod finder;
pub mod funnel;
mod grouping;
mod lattice;
pub mod measures;
pub mod misfit;
pub mod noisy;
pub mod people;
pub mod period;
pub mod rows;
pub mod subjects;
mod sums;

use super::frame::LogFrame;
use super::schema::{Column, ColumnType, Role};
use crate::base::{Failure, Result};
use crate::domain::Segment;
use crate::jobs::JobContext;
use crate::metrics::Rate;
use crate::metrics::ab_test::holm;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub use chosen::{Chosen, chosen};
pub use grouping::Derived;
use grouping::Groups;
use measures::Measures;
pub use measures::{Figure, MIN_EXPECTED, Measure};
pub use period::Period;
use sums::{Group, Keys, Plan, Sum};

/// Groups beyond this many are counted but not listed.
const MAX_GROUPS: usize = 20_000;
/// Columns that may be crossed.
pub const MAX_CROSSED: usize = 6;

/// A question about groups.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SegmentQuery {
    /// One column or several crossed; those of [`Derived`] come from time and user.
    pub by: Vec<String>,
    /// Only rows in this segment are counted.
    pub filter: Segment,
    /// Groups with fewer impressions are left out of the list, not of the total.
    pub min_impressions: f64,
    /// The group that others are compared with, by its values; empty for all other rows.
    pub against: Vec<String>,
    /// Only the last so many days of the log are counted, and each group is compared with itself in as many days before;
    /// 0 for all of its time.
    pub days: u32,
}

impl SegmentQuery {
    /// The stretches of time that are compared, where there are such.
    ///
    /// # Errors
    /// As [`Period::of`].
    pub fn period(&self, log: &LogFrame) -> Result<Option<Period>> {
        (self.days > 0).then(|| Period::of(log, self.days)).transpose()
    }

    /// The rows that are counted: those that pass the filter, in the days that are asked for.
    ///
    /// # Errors
    /// As [`Period::of`].
    pub fn rows(&self, log: &LogFrame) -> Result<Segment> {
        let days = self.period(log)?.map_or(Segment::All, |period| period.now());
        Ok(days.and(self.filter.clone()))
    }
}

/// The answer: groups by falling number of impressions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SegmentTable {
    /// The columns asked for.
    pub by: Vec<String>,
    /// What is told of each group: [`SegmentRow::figures`] stand in this order.
    pub measures: Vec<Measure>,
    /// What a column of the log makes of a measure, such as "sum of Amount spent".
    pub sources: Vec<(Measure, String)>,
    /// One row a group.
    pub rows: Vec<SegmentRow>,
    /// All rows of the filter together.
    pub total: Rate,
    /// The measures of all rows of the filter together.
    pub whole: Vec<Option<Figure>>,
    /// What the groups are compared with: the values of one of them, or nothing for all rows.
    pub against: Vec<String>,
    /// The days that are counted and those that each group is compared with; `None` for all of the log's time.
    pub period: Option<Period>,
    /// Groups that had rows in the days before and have none now.
    pub gone: Vec<String>,
    /// True when the log says what was clicked; otherwise rates are unknown everywhere.
    pub has_outcome: bool,
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
    /// Place of its value in each column's natural order.
    pub codes: Vec<u32>,
    /// The group as a segment of the log, without the question's filter.
    pub segment: Segment,
    /// Clicks, impressions and click rate with its Wilson interval. Clicks are 0 where the log has no outcome.
    pub rate: Rate,
    /// Each of [`SegmentTable::measures`]; `None` where there is nothing to divide by.
    pub figures: Vec<Option<Figure>>,
}

impl SegmentTable {
    /// A measure of a row.
    pub fn figure<'a>(&self, row: &'a SegmentRow, measure: Measure) -> Option<&'a Figure> {
        let place = self.measures.iter().position(|known| *known == measure)?;
        row.figures.get(place)?.as_ref()
    }

    /// A measure of all rows together.
    pub fn total_of(&self, measure: Measure) -> Option<&Figure> {
        let place = self.measures.iter().position(|known| *known == measure)?;
        self.whole.get(place)?.as_ref()
    }
}

/// The measures of the groups of one column or of several crossed.
///
/// # Errors
/// As [`segments_predicted`].
pub fn segments(log: &LogFrame, query: &SegmentQuery, context: &JobContext) -> Result<SegmentTable> {
    segments_predicted(log, query, None, context)
}

/// As [`segments`], with the click probability that a model predicts for each row of the log.
///
/// # Errors
/// No column or too many, an unknown one, a filter that makes no sense or that no row passes, a group to compare with
/// that is not there; a cancel.
pub fn segments_predicted(
    log: &LogFrame,
    query: &SegmentQuery,
    predicted: Option<&[f32]>,
    context: &JobContext,
) -> Result<SegmentTable> {
    if query.by.is_empty() || query.by.len() > MAX_CROSSED {
        return Err(Failure::new("cannot part the rows", format!("{} columns are given", query.by.len()))
            .hint(format!("choose one column, or up to {MAX_CROSSED} to cross them")));
    }
    if let Some(predicted) = predicted.filter(|predicted| predicted.len() != log.rows()) {
        let why = format!("{} predictions are given for {} rows", predicted.len(), log.rows());
        return Err(Failure::new("cannot count the groups", why));
    }
    if query.days > 0 && !query.against.is_empty() {
        return Err(Failure::new("cannot compare the groups", "both a group and the days before are given")
            .hint("one of them: each group is compared with one thing"));
    }
    context.stage("reading columns");
    let period = query.period(log)?;
    let filter = filter::Filter::of(log, &query.rows(log)?)?;
    context.check()?;
    let groups: Vec<Groups> = query.by.iter().map(|column| Groups::of(log, column)).collect::<Result<_>>()?;
    context.check()?;
    let measures = Measures::of(log)?;
    let told = measures.present(predicted.is_some());
    let (plan, keys) = (Plan::of(&measures, &told), Keys::of(&groups)?);
    context.stage("counting");
    let (filter, groups, measures) = (&filter, groups.as_slice(), &*measures);
    let sum = Sum { log, filter, groups, keys: &keys, measures, plan: &plan, predicted };
    let sums = sum.table(context)?;
    let whole = sums.whole();
    if whole.sum(measures::Part::Shown) <= 0.0 {
        return Err(Failure::new("cannot count the groups", "no row passes the filter")
            .hint("check the spelling of its values, or make it wider"));
    }
    context.stage("counting the days before");
    let before = match &period {
        Some(period) => {
            let filter = filter::Filter::of(log, &period.before().and(query.filter.clone()))?;
            Some(Sum { filter: &filter, ..sum }.table(context)?)
        }
        None => None,
    };
    let before = before.as_ref().map(|before| before.groups().into_iter().collect());
    let answer =
        Answer { log, query, groups, keys: &keys, measures, told: &told, whole: &whole, period, before };
    answer.table(sums.groups())
}

/// What an answer is made of.
struct Answer<'a> {
    log: &'a LogFrame,
    query: &'a SegmentQuery,
    groups: &'a [Groups],
    keys: &'a Keys,
    measures: &'a Measures,
    told: &'a [Measure],
    whole: &'a Group<'a>,
    period: Option<Period>,
    /// The groups of the days before, by their keys.
    before: Option<BTreeMap<u64, Group<'a>>>,
}

impl Answer<'_> {
    fn table(&self, mut sums: Vec<(u64, Group<'_>)>) -> Result<SegmentTable> {
        let shown = |group: &Group<'_>| group.sum(measures::Part::Shown);
        let all = sums.len();
        let sums_there: BTreeSet<u64> = sums.iter().map(|(key, _)| *key).collect();
        let reference = self.reference(&sums)?;
        sums.retain(|(_, group)| shown(group) >= self.query.min_impressions.max(f64::MIN_POSITIVE));
        // Falling impressions; equal ones in the natural order of their values.
        sums.sort_by(|a, b| shown(&b.1).total_cmp(&shown(&a.1)).then(a.0.cmp(&b.0)));
        sums.truncate(MAX_GROUPS);
        let mut rows: Vec<SegmentRow> = sums.iter().map(|(key, group)| self.row(*key, group)).collect();
        for (place, measure) in self.told.iter().enumerate() {
            self.compare(place, *measure, &sums, reference.as_ref(), &mut rows);
        }
        Ok(SegmentTable {
            by: self.query.by.clone(),
            measures: self.told.to_vec(),
            sources: self
                .told
                .iter()
                .filter_map(|measure| Some((*measure, self.measures.source(*measure)?.to_owned())))
                .collect(),
            hidden: all - rows.len(),
            rows,
            total: rate(self.whole),
            whole: self.told.iter().map(|m| self.measures.figure(*m, self.whole, self.whole)).collect(),
            against: self.query.against.clone(),
            gone: self.gone(&sums_there),
            period: self.period.clone(),
            has_outcome: self.measures.outcome.is_some(),
            revision: self.log.revision,
        })
    }

    /// The group that all are compared with; `None` for all other rows.
    fn reference<'b>(&self, sums: &[(u64, Group<'b>)]) -> Result<Option<Group<'b>>> {
        if self.query.against.is_empty() {
            return Ok(None);
        }
        let found = sums.iter().find(|(key, _)| self.values(*key) == self.query.against);
        found.map(|(_, group)| Some(group.clone())).ok_or_else(|| {
            let named = self.query.against.join(" x ");
            Failure::new("cannot compare the groups", format!("no row is in the group '{named}'"))
                .hint("one value for each column, in their order")
        })
    }

    /// Groups of the days before that have no rows now, by their names.
    fn gone(&self, now: &BTreeSet<u64>) -> Vec<String> {
        let before = self.before.iter().flatten();
        let gone = before.filter(|(key, _)| !now.contains(key));
        gone.take(MAX_GROUPS).map(|(key, _)| self.values(*key).join(" x ")).collect()
    }

    fn values(&self, key: u64) -> Vec<String> {
        let codes = self.keys.codes(key);
        self.groups.iter().zip(codes).map(|(group, code)| group.name(code)).collect()
    }

    fn row(&self, key: u64, group: &Group<'_>) -> SegmentRow {
        let codes = self.keys.codes(key);
        let parts = self.groups.iter().zip(&codes);
        SegmentRow {
            values: self.values(key),
            segment: parts.fold(Segment::All, |all, (group, code)| all.and(group.segment(*code))),
            rate: rate(group),
            figures: self.told.iter().map(|m| self.measures.figure(*m, group, self.whole)).collect(),
            codes,
        }
    }

    /// Compares one measure of all groups with the reference, or with themselves in the days before, corrected for all of
    /// them.
    fn compare(
        &self,
        place: usize,
        measure: Measure,
        sums: &[(u64, Group<'_>)],
        reference: Option<&Group<'_>>,
        rows: &mut [SegmentRow],
    ) {
        if measure.is_sum() && self.before.is_none() {
            return;
        }
        let p: Vec<Option<f64>> = sums
            .iter()
            .map(|(key, group)| match (&self.before, reference) {
                (Some(before), _) => self.measures.p_between(measure, group, before.get(key)?),
                (None, Some(reference)) => self.measures.p_between(measure, group, reference),
                (None, None) => self.measures.p_between(measure, group, &group.others(self.whole)),
            })
            .collect();
        let known: Vec<f64> = p.iter().flatten().copied().collect();
        let mut corrected = holm(&known).into_iter();
        let value = |group: &Group<'_>| Some(self.measures.figure(measure, group, self.whole)?.value);
        let one = value(reference.unwrap_or(self.whole));
        for ((row, p), (key, _)) in rows.iter_mut().zip(p).zip(sums) {
            let p = p.and_then(|_| corrected.next());
            let base = match &self.before {
                Some(before) => before.get(key).and_then(value),
                None => one,
            };
            if let Some(figure) = row.figures.get_mut(place).and_then(Option::as_mut) {
                figure.lift = base.filter(|base| *base > 0.0).map(|base| figure.value / base);
                figure.p = p;
            }
        }
    }
}

fn rate(group: &Group<'_>) -> Rate {
    Rate::wilson(group.sum(measures::Part::Clicks), group.sum(measures::Part::Shown))
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
    let groups = Groups::of(log, column)?;
    let measures = Measures::of(log)?;
    let mut shown = vec![0.0; groups.keyed.values.len()];
    for row in 0..log.rows() {
        if let Some(shown) = shown.get_mut(groups.code(row) as usize) {
            *shown += measures.of_row(row).impressions;
        }
    }
    let mut ranked: Vec<(String, f64)> = groups.keyed.values.iter().cloned().zip(shown).collect();
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
    let derived = Derived::ALL.into_iter().filter(|derived| derived.is_told(log));
    let (calendar, of_users): (Vec<Derived>, Vec<Derived>) =
        derived.partition(|derived| matches!(derived, Derived::Hour | Derived::Weekday));
    names.splice(0..0, calendar.iter().map(|derived| derived.name().to_owned()));
    names.extend(of_users.iter().map(|derived| derived.name().to_owned()));
    names
}

/// Rows parted by a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Parted {
    /// The groups in their natural order; the last is that of empty cells.
    pub names: Vec<String>,
    /// The group of each row that was asked for.
    pub codes: Vec<u32>,
}

impl Parted {
    /// The places of the rows of each group, in the order of [`names`](Self::names); none for a group without rows.
    pub fn places(&self) -> Vec<Vec<u32>> {
        let mut places = vec![Vec::new(); self.names.len()];
        for (place, code) in self.codes.iter().enumerate() {
            places[*code as usize].push(place as u32);
        }
        places
    }
}

/// Parts some rows of a log by a column: its values, buckets of its numbers, days, or one of [`Derived`].
///
/// # Errors
/// No such column, or a column of lists.
pub fn parted(log: &LogFrame, column: &str, rows: &[u32]) -> Result<Parted> {
    let groups = Groups::of(log, column)?;
    let known = groups.keyed.values.len() as u32;
    let names = (0..=known).map(|code| groups.name(code)).collect();
    let codes = rows.iter().map(|row| groups.code(*row as usize).min(known)).collect();
    Ok(Parted { names, codes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{
        ChunkAgg, ChunkCompareEq, DataFrame, DataType, IntoColumn, NamedFrom, Series, TimeUnit, df,
    };

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
        let query =
            SegmentQuery { by, filter: Segment::parse(filter)?, min_impressions, ..SegmentQuery::default() };
        segments(&log(), &query, &JobContext::detached())
    }

    #[test]
    fn counts_rates_and_lift_of_one_column() {
        let table = ask(&["city"], "", 0.0).unwrap();
        assert_eq!((table.total.successes, table.total.trials), (4.0, 8.0));
        let row = |name: &str| table.rows.iter().find(|row| row.values[0] == name).unwrap();
        let shanghai = row("上海");
        assert_eq!(shanghai.rate, Rate::wilson(3.0, 4.0));
        let figure = |row, measure| table.figure(row, measure).unwrap();
        let ctr = figure(shanghai, Measure::Ctr);
        assert_eq!((ctr.value, ctr.lift, ctr.n), (0.75, Some(1.5), 4.0));
        assert_eq!(ctr.interval, Some([shanghai.rate.low, shanghai.rate.high]));
        assert!(ctr.small, "two clicks are expected");
        assert_eq!(figure(shanghai, Measure::Conversions).value, 1.0);
        assert_eq!(figure(shanghai, Measure::MeanPrice).value, 2.5);
        assert!(table.sources.contains(&(Measure::MeanPrice, "mean of bid".to_owned())));
        assert_eq!(row("missing").rate.trials, 1.0);
        assert_eq!(table.figure(row("missing"), Measure::MeanPrice), None);
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
        assert!(ask(&["city"; MAX_CROSSED + 1], "", 0.0).is_err());
        assert!(ask(&["city"], "城市 = 1", 0.0).unwrap_err().why.contains("城市"));
        assert_eq!(ask(&["city", "device", "age"], "", 0.0).unwrap().rows.len(), 8);
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
        assert_eq!(first.rate.successes, 20.0, "as the log counts them");
        assert_eq!(table.figure(first, Measure::Spend).unwrap().value, 4.0);
        assert_eq!(table.figure(first, Measure::Cpc).unwrap().value, 0.2);
        assert_eq!(table.figure(first, Measure::Cpm).unwrap().value, 10.0);
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

    /// Rows with everything that measures are made of.
    fn campaign() -> (DataFrame, LogFrame) {
        let mut rng = crate::base::rng::Rng::named(3, "campaign");
        let n = 4_000;
        let city: Vec<&str> = (0..n).map(|_| ["上海", "北京", "Köln"][rng.below(3)]).collect();
        let click: Vec<i64> =
            city.iter().map(|c| i64::from(rng.chance(if *c == "上海" { 0.3 } else { 0.1 }))).collect();
        let sale: Vec<i64> = click.iter().map(|click| i64::from(*click == 1 && rng.chance(0.4))).collect();
        let spend: Vec<f64> = click.iter().map(|click| *click as f64 * (1.0 + rng.uniform())).collect();
        let revenue: Vec<f64> = sale.iter().map(|sale| *sale as f64 * (10.0 + 5.0 * rng.uniform())).collect();
        let frame =
            df!("city" => city, "click" => click, "conversions" => sale, "cost" => spend, "revenue" => revenue)
                .unwrap();
        let roles = [
            ("city", Role::Categorical),
            ("click", Role::Label),
            ("conversions", Role::Conversion),
            ("cost", Role::Price),
            ("revenue", Role::Price),
        ];
        (frame.clone(), LogFrame::from_frame(frame, &roles).unwrap())
    }

    #[test]
    fn every_measure_equals_a_plain_computation_of_the_same_rows() {
        let (frame, log) = campaign();
        let query = SegmentQuery { by: vec!["city".into()], ..SegmentQuery::default() };
        let predicted: Vec<f32> = (0..log.rows()).map(|row| (row % 10) as f32 / 32.0).collect();
        let table = segments_predicted(&log, &query, Some(&predicted), &JobContext::detached()).unwrap();
        assert_eq!(
            table.measures.len(),
            Measure::ALL.len() - 1,
            "all but the mean price: {:?}",
            table.measures
        );
        for row in &table.rows {
            let city = frame.column("city").unwrap().str().unwrap();
            let inside = city.equal(row.values[0].as_str());
            let some = frame.filter(&inside).unwrap();
            let sum = |name: &str| some.column(name).unwrap().f64().unwrap().sum().unwrap();
            let count = |name: &str| some.column(name).unwrap().i64().unwrap().sum().unwrap() as f64;
            let n = some.height() as f64;
            let scores: f64 = (inside.iter().zip(&predicted))
                .filter(|(inside, _)| *inside == Some(true))
                .map(|(_, score)| f64::from(*score))
                .sum();
            let (clicks, sales) = (count("click"), count("conversions"));
            for (measure, wanted) in [
                (Measure::Impressions, n),
                (Measure::Clicks, clicks),
                (Measure::Ctr, clicks / n),
                (Measure::Conversions, sales),
                (Measure::Cvr, sales / clicks),
                (Measure::Spend, sum("cost")),
                (Measure::Cpc, sum("cost") / clicks),
                (Measure::Cpm, 1000.0 * sum("cost") / n),
                (Measure::Cpa, sum("cost") / sales),
                (Measure::Revenue, sum("revenue")),
                (Measure::Roas, sum("revenue") / sum("cost")),
                (Measure::PredictedCtr, scores / n),
                (Measure::PredictedToActual, scores / clicks),
            ] {
                let found = table.figure(row, measure).unwrap();
                assert!(
                    (found.value - wanted).abs() < 1e-9 * wanted,
                    "{measure:?}: {} {wanted}",
                    found.value
                );
                assert_eq!(found.interval.is_none(), measure.is_sum(), "{measure:?}");
                assert!(found.interval.is_none_or(|[low, high]| low < wanted && wanted < high));
            }
            let cvr = table.figure(row, Measure::Cvr).unwrap();
            let wilson = Rate::wilson(sales, clicks);
            assert_eq!(cvr.interval, Some([wilson.low, wilson.high]), "each conversion follows a click");
        }
    }

    #[test]
    fn groups_are_compared_with_the_others_or_with_one_of_them() {
        let (_, log) = campaign();
        let mut query = SegmentQuery { by: vec!["city".into()], ..SegmentQuery::default() };
        let ask = |query: &SegmentQuery| segments(&log, query, &JobContext::detached());
        let find = |table: &SegmentTable, name: &str| {
            let row = table.rows.iter().find(|row| row.values[0] == name).unwrap();
            *table.figure(row, Measure::Ctr).unwrap()
        };
        let table = ask(&query).unwrap();
        assert!(find(&table, "上海").p.unwrap() < 1e-6 && find(&table, "上海").lift.unwrap() > 1.5);
        query.against = vec!["北京".into()];
        let table = ask(&query).unwrap();
        assert!(find(&table, "Köln").p.unwrap() > 0.05, "the same chances");
        assert!((find(&table, "上海").lift.unwrap() - 3.0).abs() < 0.6);
        assert_eq!(find(&table, "北京").lift, Some(1.0));
        query.against = vec!["Atlantis".into()];
        assert!(ask(&query).unwrap_err().why.contains("Atlantis"));
    }

    #[test]
    fn a_column_with_very_many_values_is_counted_and_the_list_is_cut() {
        let n = 1_200_000i64;
        let frame = df!("id" => (0..n).collect::<Vec<_>>(), "click" => vec![1i64; n as usize]).unwrap();
        let log = LogFrame::from_frame(frame, &[("id", Role::User), ("click", Role::Label)]).unwrap();
        let query = SegmentQuery { by: vec!["id".into()], ..SegmentQuery::default() };
        let table = segments(&log, &query, &JobContext::detached()).unwrap();
        assert_eq!((table.rows.len(), table.hidden), (MAX_GROUPS, n as usize - MAX_GROUPS));
        assert_eq!(table.total.trials, n as f64);
    }

    #[test]
    fn sums_are_the_same_however_many_cores_there_are() {
        let (_, log) = campaign();
        let query = SegmentQuery { by: vec!["city".into()], ..SegmentQuery::default() };
        let ask = || segments(&log, &query, &JobContext::detached()).unwrap();
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(ask);
        assert_eq!(alone, ask());
    }
}
