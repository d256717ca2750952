//! Which groups of rows click unlike all others? Every conjunction of one to three columns, counted and judged.
//!
//! A group is told when its click rate differs from that of all other rows and, where it joins columns, also from
//! what is left of each wider group: `city = A and device = B` is news only where neither `city = A` nor
//! `device = B` says it already (in the manner of SliceLine, Sagadeeva & Boehm 2021, but for rates). The p-value is the
//! largest of those comparisons times the number of groups that were looked at (Bonferroni), so that under chance
//! alone a report of any group at all is as rare as the level says.

use super::grouping::Groups;
use super::measures::Measures;
use super::{Derived, filter, groupable_columns};
use crate::base::{Failure, Result};
use crate::data::frame::LogFrame;
use crate::data::schema::Role;
use crate::domain::Segment;
use crate::jobs::JobContext;
use crate::metrics::Rate;
use crate::metrics::significance::{p_of_z, root_of_deviance};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Values of one column that are told apart where at most two columns are joined: the most shown ones.
const VALUES_IN_PAIRS: usize = 250;
/// The same where three are joined: 60³ counters fit the processor's cache.
const VALUES_IN_TRIPLES: usize = 60;
/// Columns looked at when none are named.
const COLUMNS: usize = 12;
/// Clicks, and non-clicks, that must be expected in a group: with fewer, nothing could be told.
const MIN_EXPECTED: f64 = 5.0;
/// The most columns that are joined.
pub const MAX_DEPTH: usize = 3;

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

/// A column as the search saw it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ColumnSeen {
    /// Its name.
    pub name: String,
    /// Its groups: values, buckets of numbers, days.
    pub groups: usize,
    /// Groups that were told apart when three columns were joined: the most shown ones.
    pub told_apart: usize,
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
    if !(1..=MAX_DEPTH).contains(&query.depth) {
        return Err(Failure::new(what, format!("{} columns cannot be joined", query.depth)).hint("1, 2 or 3"));
    }
    if !(query.level > 0.0 && query.level < 1.0) {
        return Err(Failure::new(what, format!("{} is no level of significance", query.level))
            .hint("a number between 0 and 1, such as 0.05"));
    }
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
        columns.extend(Ranked::of(log, name, &rows)?);
    }
    let floor = query.min_impressions.max(MIN_EXPECTED / rows.total.rate().min(1.0 - rows.total.rate()));
    let search = Search { rows: &rows, columns: &columns, depth: query.depth, floor, context };
    let (judged, mut candidates) = search.run()?;
    candidates.retain_mut(|candidate| {
        candidate.p = (candidate.p * judged as f64).min(1.0);
        candidate.p < query.level
    });
    // The shorter of two names of the same rows comes first.
    candidates.sort_by(|a, b| {
        b.excess(&rows).abs().total_cmp(&a.excess(&rows).abs()).then(a.columns.len().cmp(&b.columns.len()))
    });
    context.check()?;
    Ok(FinderReport {
        findings: told_once(&candidates, &rows, &columns),
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
fn default_columns(log: &LogFrame) -> Vec<String> {
    let tells = |name: &String| {
        let Ok(column) = log.schema.column(name) else { return CALENDAR.contains(&name.as_str()) };
        matches!(
            column.role,
            Role::Categorical | Role::Slot | Role::Campaign | Role::Ad | Role::Numeric | Role::Price
        )
    };
    groupable_columns(log).into_iter().filter(tells).take(COLUMNS).collect()
}

/// Impressions and clicks.
#[derive(Debug, Clone, Copy, Default)]
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

    fn without(self, other: Self) -> Self {
        Self { shown: self.shown - other.shown, clicks: self.clicks - other.clicks }
    }

    /// Signed root of the deviance of this rate from `other`'s, standard normal under chance; `None` where nothing
    /// can be told.
    fn against(self, other: Self) -> Option<f64> {
        root_of_deviance([self.clicks, other.clicks], [self.shown, other.shown])
    }
}

/// The rows of the filter.
struct Rows {
    inside: Vec<u32>,
    shown: Vec<f32>,
    clicks: Vec<f32>,
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
            shown: Vec::new(),
            clicks: Vec::new(),
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
            rows.shown.push(counted.impressions as f32);
            rows.clicks.push(counted.clicks as f32);
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
}

/// A column whose groups are numbered by falling impressions, so that few numbers cover most rows.
struct Ranked {
    groups: Groups,
    name: String,
    /// Code in `groups` of each rank.
    codes: Vec<u32>,
    /// Rank of each row of [`Rows`]; [`Self::OTHER`] beyond the ranks.
    ranks: Vec<u8>,
    present: usize,
}

impl Ranked {
    const OTHER: u8 = u8::MAX;

    /// `None` for a column with one group: it parts nothing.
    fn of(log: &LogFrame, name: &str, rows: &Rows) -> Result<Option<Self>> {
        let groups = Groups::of(log, name)?;
        // Missing cells are a group as well, the last one.
        let missing = groups.keyed.values.len();
        let mut shown = vec![0.0; missing + 1];
        let place = |row: &u32| groups.code(*row as usize) as usize;
        for (row, weight) in rows.inside.iter().zip(&rows.shown) {
            shown[place(row)] += f64::from(*weight);
        }
        let mut codes: Vec<u32> = (0..=missing as u32).filter(|code| shown[*code as usize] > 0.0).collect();
        let present = codes.len();
        if present < 2 {
            return Ok(None);
        }
        codes.sort_by(|a, b| shown[*b as usize].total_cmp(&shown[*a as usize]));
        codes.truncate(VALUES_IN_PAIRS);
        let mut rank = vec![Self::OTHER; missing + 1];
        for (place, code) in codes.iter().enumerate() {
            rank[*code as usize] = place as u8;
        }
        let ranks = rows.inside.iter().map(|row| rank[place(row)]).collect();
        Ok(Some(Self { groups, name: name.to_owned(), codes, ranks, present }))
    }

    /// Groups told apart where `joined` columns are joined.
    fn width(&self, joined: usize) -> usize {
        self.codes.len().min(if joined < MAX_DEPTH { VALUES_IN_PAIRS } else { VALUES_IN_TRIPLES })
    }

    fn seen(&self, depth: usize) -> ColumnSeen {
        ColumnSeen { name: self.name.clone(), groups: self.present, told_apart: self.width(depth) }
    }
}

/// Counts of every group of some joined columns, with one more place a column for what is not told apart.
struct Cube {
    columns: Vec<usize>,
    widths: Vec<usize>,
    cells: Vec<Count>,
}

impl Cube {
    fn count(columns: &[usize], search: &Search<'_>) -> Self {
        let widths: Vec<usize> =
            columns.iter().map(|column| search.columns[*column].width(columns.len()) + 1).collect();
        let mut cells = vec![Count::default(); widths.iter().product()];
        let mut add = |cell: usize, row: usize| {
            cells[cell].shown += f64::from(search.rows.shown[row]);
            cells[cell].clicks += f64::from(search.rows.clicks[row]);
        };
        let ranks = |place: usize| (search.columns[columns[place]].ranks.as_slice(), widths[place] - 1);
        match columns.len() {
            1 => {
                let (a, last) = ranks(0);
                a.iter().enumerate().for_each(|(row, a)| add(usize::from(*a).min(last), row));
            }
            2 => {
                let ((a, last_a), (b, last_b)) = (ranks(0), ranks(1));
                for (row, (a, b)) in a.iter().zip(b).enumerate() {
                    add(usize::from(*a).min(last_a) * widths[1] + usize::from(*b).min(last_b), row);
                }
            }
            _ => {
                let ((a, last_a), (b, last_b), (c, last_c)) = (ranks(0), ranks(1), ranks(2));
                for (row, ((a, b), c)) in a.iter().zip(b).zip(c).enumerate() {
                    let outer = usize::from(*a).min(last_a) * widths[1] + usize::from(*b).min(last_b);
                    add(outer * widths[2] + usize::from(*c).min(last_c), row);
                }
            }
        }
        Self { columns: columns.to_vec(), widths, cells }
    }

    /// The ranks of a cell, or nothing where one of them is the place of what is not told apart.
    fn ranks_of(&self, cell: usize) -> Option<Vec<usize>> {
        let mut rest = cell;
        let mut ranks = vec![0; self.widths.len()];
        for place in (0..self.widths.len()).rev() {
            ranks[place] = rest % self.widths[place];
            rest /= self.widths[place];
        }
        ranks.iter().zip(&self.widths).all(|(rank, width)| *rank + 1 < *width).then_some(ranks)
    }

    fn at(&self, ranks: &[usize]) -> Count {
        let cell = ranks.iter().zip(&self.widths).fold(0, |cell, (rank, width)| cell * width + rank);
        self.cells.get(cell).copied().unwrap_or_default()
    }
}

/// A group that may stand out.
struct Candidate {
    columns: Vec<usize>,
    ranks: Vec<usize>,
    count: Count,
    p: f64,
}

impl Candidate {
    fn excess(&self, rows: &Rows) -> f64 {
        self.count.clicks - self.count.shown * rows.total.rate()
    }

    fn holds(&self, row: usize, columns: &[Ranked]) -> bool {
        let mut parts = self.columns.iter().zip(&self.ranks);
        parts.all(|(column, rank)| usize::from(columns[*column].ranks[row]) == *rank)
    }

    fn same_rows(&self, other: &Self, columns: &[Ranked]) -> bool {
        let (a, b) = (self.count, other.count);
        // Equal counts are rare, so the rows themselves are seldom looked at.
        a.shown.total_cmp(&b.shown).is_eq()
            && a.clicks.total_cmp(&b.clicks).is_eq()
            && (0..columns[0].ranks.len()).all(|row| self.holds(row, columns) == other.holds(row, columns))
    }

    fn parts<'a>(&self, columns: &'a [Ranked]) -> impl Iterator<Item = (&'a Ranked, u32)> {
        let named = self.columns.iter().zip(&self.ranks);
        named.map(|(column, rank)| (&columns[*column], columns[*column].codes[*rank]))
    }

    fn segment(&self, columns: &[Ranked]) -> Segment {
        self.parts(columns).fold(Segment::All, |all, (column, code)| all.and(column.groups.segment(code)))
    }

    fn finding(&self, rows: &Rows, columns: &[Ranked]) -> Finding {
        let others = rows.total.without(self.count).wilson();
        let rate = self.count.wilson();
        let money = rows.money.as_ref().map(|money| {
            money
                .iter()
                .enumerate()
                .filter(|(row, _)| self.holds(*row, columns))
                .map(|(_, amount)| amount)
                .sum()
        });
        Finding {
            segment: self.segment(columns),
            parts: self
                .parts(columns)
                .map(|(column, code)| (column.name.clone(), column.groups.name(code)))
                .collect(),
            also: Vec::new(),
            lift: (others.rate > 0.0).then(|| rate.rate / others.rate),
            rate,
            others,
            excess_clicks: self.excess(rows),
            p: self.p,
            money,
        }
    }
}

/// The findings, each set of rows once: under its shortest name, the others beside it.
fn told_once(candidates: &[Candidate], rows: &Rows, columns: &[Ranked]) -> Vec<Finding> {
    let mut told: Vec<(&Candidate, Finding)> = Vec::new();
    for candidate in candidates {
        let twin = told.iter_mut().find(|(known, _)| known.same_rows(candidate, columns));
        match twin {
            Some((_, finding)) => finding.also.push(candidate.segment(columns)),
            None => told.push((candidate, candidate.finding(rows, columns))),
        }
    }
    told.into_iter().map(|(_, finding)| finding).collect()
}

/// One walk through all groups.
struct Search<'a> {
    rows: &'a Rows,
    columns: &'a [Ranked],
    depth: usize,
    /// Groups with fewer impressions are not judged.
    floor: f64,
    context: &'a JobContext,
}

impl Search<'_> {
    /// How many groups were judged, and those with `p < 1 / 2` before the correction.
    fn run(&self) -> Result<(usize, Vec<Candidate>)> {
        let whole = Cube { columns: Vec::new(), widths: Vec::new(), cells: vec![self.rows.total] };
        let mut wider = vec![whole];
        let (mut judged, mut candidates) = (0, Vec::new());
        for joined in 1..=self.depth.min(self.columns.len()) {
            self.context.stage(&format!("groups of {joined} columns"));
            let sets = choose(self.columns.len(), joined);
            let last = joined == self.depth;
            let answers = sets
                .par_iter()
                .map(|set| {
                    self.context.check()?;
                    let cube = Cube::count(set, self);
                    let (judged, found) = self.judge(&cube, &wider);
                    Ok((judged, found, (!last).then_some(cube)))
                })
                .collect::<Result<Vec<_>>>()?;
            wider = Vec::new();
            for (some, found, cube) in answers {
                judged += some;
                candidates.extend(found);
                wider.extend(cube);
            }
        }
        Ok((judged, candidates))
    }

    fn judge(&self, cube: &Cube, wider: &[Cube]) -> (usize, Vec<Candidate>) {
        let (mut judged, mut found) = (0, Vec::new());
        for (cell, count) in cube.cells.iter().enumerate() {
            let others = self.rows.total.without(*count);
            if count.shown < self.floor || others.shown < self.floor {
                continue;
            }
            let Some(ranks) = cube.ranks_of(cell) else { continue };
            judged += 1;
            let Some(root) = count.against(others) else { continue };
            // The weakest of all comparisons counts, and all must point the same way.
            let mut weakest = root;
            for place in 0..ranks.len() {
                let parent = self.parent(cube, wider, &ranks, place);
                let against = count.against(parent.without(*count)).unwrap_or(0.0);
                if against.signum() != root.signum() || against == 0.0 {
                    weakest = 0.0;
                } else if against.abs() < weakest.abs() {
                    weakest = against;
                }
            }
            let p = p_of_z(weakest);
            if p < 0.5 {
                found.push(Candidate { columns: cube.columns.clone(), ranks, count: *count, p });
            }
        }
        (judged, found)
    }

    /// The wider group without the part at `place`.
    fn parent(&self, cube: &Cube, wider: &[Cube], ranks: &[usize], place: usize) -> Count {
        let without = |all: &[usize]| -> Vec<usize> {
            all.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, one)| *one).collect()
        };
        let columns = without(&cube.columns);
        wider.iter().find(|wider| wider.columns == columns).map_or(self.rows.total, |w| w.at(&without(ranks)))
    }
}

/// All ways to take `k` of `n`, in order.
fn choose(n: usize, k: usize) -> Vec<Vec<usize>> {
    if k == 0 {
        return vec![Vec::new()];
    }
    let longer = |set: Vec<usize>| {
        let from = set.last().map_or(0, |last| last + 1);
        (from..n).map(move |next| set.iter().copied().chain([next]).collect())
    };
    choose(n, k - 1).into_iter().flat_map(longer).collect()
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
