//! Which groups of rows click unlike all others? Every conjunction of one to three columns, counted and judged.
//!
//! How groups are walked through, compared with all others and corrected for: `query/lattice.rs`.

use super::lattice::{Candidate, Ranked, Search, Tally, check_bounds, told_once};
pub use super::lattice::{ColumnSeen, MAX_DEPTH};
use super::measures::Measures;
use super::{Derived, filter, groupable_columns};
use crate::base::{Failure, Result};
use crate::data::frame::LogFrame;
use crate::data::schema::Role;
use crate::domain::Segment;
use crate::jobs::JobContext;
use crate::metrics::Rate;
use crate::metrics::significance::root_of_deviance;
use serde::{Deserialize, Serialize};

/// Columns looked at when none are named.
const COLUMNS: usize = 12;
/// Clicks, and non-clicks, that must be expected in a group: with fewer, nothing could be told.
const MIN_EXPECTED: f64 = 5.0;

/// What to look for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FinderQuery {
    /// Columns to join; empty takes the first twelve that rows can be parted by.
    pub columns: Vec<String>,
    /// Only rows in this segment are looked at.
    pub filter: Segment,
    /// Columns joined at most, 1 to 3.
    pub depth: usize,
    /// Smaller groups are not looked at, in impressions.
    pub min_impressions: f64,
    /// Chance of telling of any group where there is none.
    pub level: f64,
}

impl Default for FinderQuery {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            filter: Segment::All,
            depth: MAX_DEPTH,
            min_impressions: 100.0,
            level: 0.05,
        }
    }
}

/// What was found, and what was looked at.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct FinderReport {
    /// Groups unlike all others, by falling number of clicks above or below what the overall rate gives.
    pub findings: Vec<Finding>,
    /// Groups that were large enough to be judged.
    pub judged: usize,
    /// Columns looked at.
    pub columns: Vec<ColumnSeen>,
    /// All rows of the filter together.
    pub total: Rate,
    /// What [`Finding::money`] is, such as "sum of Spent"; empty when the log names no amounts that add up.
    pub money_meaning: String,
    /// Revision of the log that was asked.
    pub revision: u64,
}

/// One group that clicks unlike all others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Its rows, without the question's filter.
    pub segment: Segment,
    /// Column and value of each part.
    pub parts: Vec<(String, String)>,
    /// Its click rate.
    pub rate: Rate,
    /// The click rate of all other rows.
    pub others: Rate,
    /// `rate / others`; `None` where nobody else clicked.
    pub lift: Option<f64>,
    /// Clicks beyond those that the rate of all rows gives; negative where they are missing.
    pub excess_clicks: f64,
    /// Chance of such a difference in any of the groups looked at, were there none (Bonferroni).
    pub p: f64,
    /// Other names of exactly these rows, such as the advertiser of a campaign that has no other.
    pub also: Vec<Segment>,
    /// Money spent in the group, as [`FinderReport::money_meaning`] says.
    pub money: Option<f64>,
}

/// Looks through all groups.
///
/// # Errors
/// A log without an outcome, an unknown column, a filter that no row passes, a depth or level out of bounds; a cancel.
pub fn find(log: &LogFrame, query: &FinderQuery, context: &JobContext) -> Result<FinderReport> {
    let what = "cannot look for groups that stand out";
    check_bounds(what, query.depth, query.level)?;
    context.stage("reading columns");
    let rows = Rows::read(log, &query.filter)?;
    if rows.total.clicks <= 0.0 || rows.total.clicks >= rows.total.shown {
        return Err(
            Failure::new(what, "all rows have the same outcome").hint("a wider filter, or another log")
        );
    }
    let names = if query.columns.is_empty() { default_columns(log) } else { query.columns.clone() };
    let mut columns = Vec::new();
    for name in &names {
        context.check()?;
        columns.extend(Ranked::of::<Count>(log, name, &rows.inside, &rows.counted)?);
    }
    let floor = query.min_impressions.max(MIN_EXPECTED / rows.total.rate().min(1.0 - rows.total.rate()));
    let search = Search {
        rows: &rows.counted,
        total: rows.total,
        columns: &columns,
        depth: query.depth,
        floor,
        context,
    };
    let (judged, candidates) =
        search.beyond_chance(query.level, |count: &Count| rows.excess(*count).abs())?;
    context.check()?;
    let told = told_once(&candidates, &columns);
    Ok(FinderReport {
        findings: told.iter().map(|(found, also)| rows.finding(found, also, &columns)).collect(),
        judged,
        columns: columns.iter().map(|column| column.seen(query.depth)).collect(),
        total: rows.total.wilson(),
        money_meaning: rows.money_meaning.clone(),
        revision: log.revision,
    })
}

/// Parts of the time that are looked at beside the columns of a log.
const CALENDAR: [&str; 2] = [Derived::Hour.name(), Derived::Weekday.name()];

/// Columns that say something about who saw what where: not the outcome, and no number that only follows from it.
pub(super) fn default_columns(log: &LogFrame) -> Vec<String> {
    let tells = |name: &String| {
        let Ok(column) = log.schema.column(name) else { return CALENDAR.contains(&name.as_str()) };
        matches!(
            column.role,
            Role::Categorical | Role::Slot | Role::Campaign | Role::Ad | Role::Numeric | Role::Price
        )
    };
    groupable_columns(log).into_iter().filter(tells).take(COLUMNS).collect()
}

/// Impressions and clicks of a row, or of many.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Count {
    shown: f64,
    clicks: f64,
}

impl Count {
    fn rate(self) -> f64 {
        self.clicks / self.shown
    }

    fn wilson(self) -> Rate {
        Rate::wilson(self.clicks, self.shown)
    }
}

impl Tally for Count {
    /// Impressions and clicks, in single precision: half the memory to walk through.
    type Row = [f32; 2];

    fn shown([shown, _]: &Self::Row) -> f64 {
        f64::from(*shown)
    }

    fn add(&mut self, [shown, clicks]: &Self::Row) {
        self.shown += f64::from(*shown);
        self.clicks += f64::from(*clicks);
    }

    fn without(self, other: Self) -> Self {
        Self { shown: self.shown - other.shown, clicks: self.clicks - other.clicks }
    }

    /// Signed root of the deviance of this rate from `other`'s, standard normal under chance; `None` where nothing
    /// can be told.
    fn against(self, other: Self) -> Option<f64> {
        root_of_deviance([self.clicks, other.clicks], [self.shown, other.shown])
    }

    fn is_large(&self, floor: f64) -> bool {
        self.shown >= floor
    }
}

/// The rows of the filter.
struct Rows {
    inside: Vec<u32>,
    counted: Vec<[f32; 2]>,
    money: Option<Vec<f64>>,
    money_meaning: String,
    total: Count,
}

impl Rows {
    fn read(log: &LogFrame, filter: &Segment) -> Result<Self> {
        let what = "cannot look for groups that stand out";
        let measures = Measures::of(log)?;
        if measures.outcome.is_none() {
            return Err(Failure::new(what, "the log does not say what was clicked")
                .hint("give a column the role label, or clicks and weight"));
        }
        let adds_up = measures.money.as_ref().is_some_and(|money| money.adds_up);
        let mut rows = Self {
            inside: Vec::new(),
            counted: Vec::new(),
            money: adds_up.then(Vec::new),
            money_meaning: measures
                .money
                .as_ref()
                .filter(|money| money.adds_up)
                .map_or_else(String::new, |money| format!("sum of {}", money.column)),
            total: Count::default(),
        };
        let mask = filter::mask(log, filter)?;
        for row in (0..log.rows()).filter(|row| mask[*row]) {
            let counted = measures.of_row(row);
            if counted.impressions <= 0.0 {
                continue;
            }
            rows.inside.push(row as u32);
            rows.counted.push([counted.impressions as f32, counted.clicks as f32]);
            rows.total.shown += counted.impressions;
            rows.total.clicks += counted.clicks;
            if let Some(money) = &mut rows.money {
                money.push(counted.money);
            }
        }
        if rows.inside.is_empty() {
            return Err(Failure::new(what, "no row passes the filter")
                .hint("check the spelling of its values, or make it wider"));
        }
        Ok(rows)
    }

    /// Clicks beyond those that the rate of all rows gives.
    fn excess(&self, count: Count) -> f64 {
        count.clicks - count.shown * self.total.rate()
    }

    fn finding(&self, found: &Candidate<Count>, also: &[Segment], columns: &[Ranked]) -> Finding {
        let others = self.total.without(found.tally).wilson();
        let rate = found.tally.wilson();
        let inside = |amounts: &Vec<f64>| {
            let amounts = amounts.iter().enumerate();
            amounts.filter(|(row, _)| found.holds(*row, columns)).map(|(_, amount)| amount).sum()
        };
        Finding {
            segment: found.segment(columns).unwrap_or_default(),
            parts: found.parts(columns),
            also: also.to_vec(),
            lift: (others.rate > 0.0).then(|| rate.rate / others.rate),
            rate,
            others,
            excess_clicks: self.excess(found.tally),
            p: found.p,
            money: self.money.as_ref().map(inside),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use polars::prelude::df;

    /// Rows at 5 % clicks; `device = d1 and page = p2` at 15 %, `city = c3` at 9 %. `shuffled` takes the link away.
    fn log(rows: usize, seed: u64, shuffled: bool) -> LogFrame {
        let mut rng = Rng::named(seed, "finder");
        let mut draw = |n: usize| (0..rows).map(|_| rng.below(n)).collect::<Vec<_>>();
        let (device, page, city, hour) = (draw(4), draw(6), draw(10), draw(24));
        let mut click: Vec<i64> = (0..rows)
            .map(|row| {
                let p = match (device[row], page[row], city[row]) {
                    (1, 2, _) => 0.15,
                    (_, _, 3) => 0.09,
                    _ => 0.05,
                };
                i64::from(rng.chance(p))
            })
            .collect();
        if shuffled {
            rng.shuffle(&mut click);
        }
        let named =
            |letter: &str, codes: &[usize]| codes.iter().map(|c| format!("{letter}{c}")).collect::<Vec<_>>();
        let frame = df!(
            "device" => named("d", &device),
            "page" => named("p", &page),
            "city" => named("c", &city),
            "slot" => named("s", &hour),
            "click" => click,
        );
        let roles = [
            ("device", Role::Categorical),
            ("page", Role::Categorical),
            ("city", Role::Categorical),
            ("slot", Role::Slot),
            ("click", Role::Label),
        ];
        LogFrame::from_frame(frame.unwrap(), &roles).unwrap()
    }

    #[test]
    fn planted_groups_are_found_and_nothing_else() {
        let report = find(&log(60_000, 1, false), &FinderQuery::default(), &JobContext::detached()).unwrap();
        let names: Vec<String> = report.findings.iter().map(|f| f.segment.to_string()).collect();
        assert!(names.contains(&"device = 'd1' and page = 'p2'".to_owned()), "{names:?}");
        assert!(names.contains(&"city = 'c3'".to_owned()), "{names:?}");
        // The parts of the planted pair are above the others too, and that is all.
        for name in &names {
            assert!(
                ["device = 'd1'", "page = 'p2'", "city = 'c3'"].iter().any(|part| name.contains(part)),
                "{name}"
            );
        }
        let pair = &report.findings[names.iter().position(|n| n.contains("d1") && n.contains("p2")).unwrap()];
        assert!((pair.lift.unwrap() - 0.15 / 0.054).abs() < 0.4, "{pair:?}");
        assert!(pair.excess_clicks > 150.0 && pair.p < 1e-6);
        assert!(report.judged > 500, "{}", report.judged);
    }

    #[test]
    fn chance_alone_is_rarely_told_of() {
        // The level bounds the share of logs with any finding: 40 draws at 5 % give 2, and more than 6 once in 300.
        let told = (0..40)
            .filter(|seed| {
                let query = FinderQuery { min_impressions: 0.0, ..FinderQuery::default() };
                let report = find(&log(20_000, 100 + seed, true), &query, &JobContext::detached()).unwrap();
                !report.findings.is_empty()
            })
            .count();
        assert!(told <= 6, "{told} of 40 shuffled logs");
    }

    #[test]
    fn a_finding_counts_the_rows_that_its_segment_names() {
        let log = log(60_000, 2, false);
        let report = find(&log, &FinderQuery::default(), &JobContext::detached()).unwrap();
        for finding in &report.findings {
            let rows = super::super::matching_rows(&log, &finding.segment).unwrap();
            assert_eq!(rows.len() as f64, finding.rate.trials, "{}", finding.segment);
            assert_eq!(finding.rate.trials + finding.others.trials, report.total.trials);
        }
    }

    #[test]
    fn two_names_of_the_same_rows_are_one_finding() {
        let mut log = log(60_000, 4, false);
        let twin = log.frame.column("city").unwrap().clone().with_name("town".into());
        log.frame.with_column(twin).unwrap();
        let roles = ["device", "page", "city", "town"].map(|name| (name, Role::Categorical));
        let roles = [&roles[..], &[("slot", Role::Slot), ("click", Role::Label)]].concat();
        let log = LogFrame::from_frame(log.frame, &roles).unwrap();
        let report = find(&log, &FinderQuery::default(), &JobContext::detached()).unwrap();
        let city = report.findings.iter().find(|f| f.segment.to_string() == "city = 'c3'").unwrap();
        assert!(city.also.contains(&Segment::equals("town", "c3")), "{:?}", city.also);
        assert!(report.findings.iter().all(|f| f.segment != Segment::equals("town", "c3")));
    }

    #[test]
    fn questions_that_cannot_be_answered_are_refused() {
        let log = log(500, 3, false);
        let ask = |query: FinderQuery| find(&log, &query, &JobContext::detached()).unwrap_err();
        assert!(ask(FinderQuery { depth: 4, ..FinderQuery::default() }).why.contains("4 columns"));
        assert!(ask(FinderQuery { level: 0.0, ..FinderQuery::default() }).why.contains("level"));
        let nobody = Segment::equals("city", "c99");
        assert!(ask(FinderQuery { filter: nobody, ..FinderQuery::default() }).why.contains("no row"));
        let one_class = Segment::equals("click", "1");
        assert!(
            ask(FinderQuery { filter: one_class, ..FinderQuery::default() }).why.contains("same outcome")
        );
        let unknown = vec!["town".to_owned()];
        assert!(ask(FinderQuery { columns: unknown, ..FinderQuery::default() }).hint.contains("city"));
        let unlabelled =
            LogFrame::from_frame(df!("a" => [1i64, 2]).unwrap(), &[("a", Role::Numeric)]).unwrap();
        let failure = find(&unlabelled, &FinderQuery::default(), &JobContext::detached()).unwrap_err();
        assert!(failure.why.contains("what was clicked"), "{failure}");
    }
}
