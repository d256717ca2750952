//! What does a test of arms in a log say: how much better, how sure, for whom, and was it assigned by chance?
//!
//! Where the log knows users, they are the independent units: rows of one user hang together, and an interval that
//! counts them apart is too narrow.

use super::filter;
use super::grouping::Groups;
use super::measures::Measures;
use crate::base::{Failure, Result};
use crate::data::cells::{self, NO_CODE};
use crate::data::frame::LogFrame;
use crate::data::profile::experiment::{assigns_arms, names_control};
use crate::data::schema::Role;
use crate::domain::Segment;
use crate::jobs::JobContext;
use crate::metrics::ab_test::{self, ArmTotals, Comparison, Cuped};
use crate::metrics::bootstrap::{self, Bags};
use crate::metrics::significance::{p_of_z, z_of_even_split};
use crate::metrics::uplift::{self, Qini, Ranked};
use crate::metrics::{Estimate, Rate};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// More values than this are no arms of one test.
const MOST_ARMS: usize = 20;
/// Groups of the column that a test is told by.
const MOST_PARTS: usize = 200;

/// Which test, seen how.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExperimentQuery {
    /// The column that assigns the arms; empty for the one that looks like it.
    pub arms: String,
    /// The arm that the others are compared with; empty for the one whose name says so, or the largest.
    pub control: String,
    /// Only rows in this segment count.
    pub filter: Segment,
    /// Also tells the test for each group of this column; empty for none.
    pub by: String,
    /// A number that was known of each unit before the test, to take its part out (CUPED); empty for none.
    pub covariate: String,
    /// A number that says whom to treat first, such as a predicted gain: how much that would bring; empty for none.
    pub rank: String,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ExperimentReport {
    /// The column that assigns the arms.
    pub column: String,
    /// The column of what happened or not: clicks, or whatever the label is.
    pub outcome: String,
    /// The arms, the control first.
    pub arms: Vec<ArmReport>,
    /// "users" or "impressions".
    pub unit: &'static str,
    /// Chance of arms as uneven as these if chances were even; `None` with more than two arms and in logs of counts.
    pub even_p: Option<f64>,
    /// Units that were in more than one arm: they blur the difference.
    pub in_several_arms: usize,
    /// The smallest rise of the control's rate that arms of this size find with 80 % power.
    pub detectable: Option<f64>,
    /// The groups of the column asked for, by falling impressions.
    pub parts: Vec<Part>,
    /// Groups that are not listed.
    pub hidden: usize,
    /// What treating by the rank asked for would bring.
    pub uplift: Option<Uplift>,
    /// Revision of the log that was asked.
    pub revision: u64,
}

/// Whom the treatment moves, by the rank asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Uplift {
    /// The column that ranks.
    pub column: String,
    /// The arm that is the treatment.
    pub arm: String,
    /// The curve.
    pub qini: Qini,
    /// Qini's coefficient with the middle 95 % of its values on resampled units; `None` where some of these have an empty
    /// arm.
    pub coefficient: Option<Estimate>,
}

/// One arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmReport {
    /// Its value.
    pub name: String,
    /// What it did.
    pub totals: ArmTotals,
    /// Its click rate; the interval is that of its units.
    pub rate: Estimate,
    /// Against the control; `None` for the control itself and where nothing can be told.
    pub against_control: Option<Comparison>,
    /// The same with what was known before taken out.
    pub reduced: Option<Reduced>,
}

/// A difference after CUPED.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Reduced {
    /// Rate of the arm less that of the control.
    pub difference: Estimate,
    /// Chance of such a difference if the arms did not differ.
    pub p: f64,
    /// Variance left: `1 - correlation²`.
    pub variance_ratio: f64,
}

/// The test in one group of rows: the arm with the largest difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// The group.
    pub value: String,
    /// The arm.
    pub arm: String,
    /// Rate of the control.
    pub control: Rate,
    /// Rate of the arm.
    pub treated: Rate,
    /// The arm against the control.
    pub comparison: Option<Comparison>,
    /// Its p-value corrected for all groups and arms told (Holm).
    pub corrected_p: Option<f64>,
}

/// Clicks, impressions and the covariate of one unit in one arm.
#[derive(Debug, Clone, Copy, Default)]
struct Unit {
    clicks: f64,
    shown: f64,
    covariate: f64,
    rows: f64,
}

/// Compares the arms of a test.
///
/// # Errors
/// No column assigns arms or the named one has one value or very many, no such control, no outcome, an unknown column, a
/// filter that no row passes; a cancel.
pub fn experiment(log: &LogFrame, query: &ExperimentQuery, context: &JobContext) -> Result<ExperimentReport> {
    context.stage("reading columns");
    let table = Table::read(log, query, context)?;
    context.stage("comparing");
    let mut report = table.report(log)?;
    if !query.by.is_empty() {
        context.check()?;
        (report.parts, report.hidden) = table.parts(&Groups::of(log, &query.by)?);
    }
    if !query.rank.is_empty() {
        context.check()?;
        report.uplift = table.uplift(&query.rank, &cells::numbers(log, &query.rank)?)?;
    }
    Ok(report)
}

/// The rows of a test.
struct Table {
    column: String,
    outcome: String,
    /// Names of the arms, the control first.
    names: Vec<String>,
    /// Row, arm, unit, clicks, impressions, covariate.
    rows: Vec<Row>,
    by_user: bool,
    aggregated: bool,
    has_covariate: bool,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    row: u32,
    arm: u32,
    unit: u32,
    clicks: f64,
    shown: f64,
    covariate: f64,
}

const WHAT: &str = "cannot compare the arms of a test";

impl Table {
    fn read(log: &LogFrame, query: &ExperimentQuery, context: &JobContext) -> Result<Self> {
        let column = if query.arms.is_empty() { infer_arms(log)? } else { query.arms.clone() };
        let groups = Groups::of(log, &column)?;
        let measures = Measures::of(log)?;
        let outcome = measures.outcome.as_ref().map(|outcome| outcome.column.clone()).ok_or_else(|| {
            Failure::new(WHAT, "the log does not say what was clicked")
                .hint("give a column the role label, or clicks and weight")
        })?;
        let user =
            log.schema.with_role(Role::User).map(|column| cells::coded(log, &column.name)).transpose()?;
        let covariate = match query.covariate.as_str() {
            "" => None,
            name => Some(cells::numbers(log, name)?),
        };
        let inside = filter::mask(log, &query.filter)?;
        context.check()?;
        let known = groups.keyed.missing();
        let mut rows = Vec::new();
        for row in (0..log.rows()).filter(|row| inside[*row]) {
            let (arm, counted) = (groups.code(row), measures.of_row(row));
            let covariate = covariate.as_ref().map_or(0.0, |cells| cells[row]);
            if arm >= known || counted.impressions <= 0.0 || covariate.is_nan() {
                continue;
            }
            let unit = user.as_ref().map_or(row as u32, |user| user.codes[row]);
            if unit == NO_CODE {
                continue;
            }
            let (clicks, shown) = (counted.clicks, counted.impressions);
            rows.push(Row { row: row as u32, arm, unit, clicks, shown, covariate });
        }
        let names = arrange(&groups, &mut rows, &query.control, &column)?;
        let aggregated = log.schema.with_role(Role::Clicks).is_some();
        let by_user = user.is_some();
        Ok(Self { column, outcome, names, rows, by_user, aggregated, has_covariate: covariate.is_some() })
    }

    /// Sums by unit and arm of some rows; units in order, so that sums do not depend on chance.
    fn units<'a>(&self, rows: impl Iterator<Item = &'a Row>) -> Vec<BTreeMap<u32, Unit>> {
        let mut arms = vec![BTreeMap::new(); self.names.len()];
        for row in rows {
            let unit: &mut Unit = arms[row.arm as usize].entry(row.unit).or_default();
            unit.clicks += row.clicks;
            unit.shown += row.shown;
            unit.covariate += row.covariate;
            unit.rows += 1.0;
        }
        arms
    }

    fn totals(&self, units: &BTreeMap<u32, Unit>) -> ArmTotals {
        let sum = |of: fn(&Unit) -> f64| units.values().map(of).sum::<f64>();
        let plain = ArmTotals::independent(sum(|unit| unit.clicks), sum(|unit| unit.shown));
        let repeats = units.values().any(|unit| unit.shown > 1.0);
        if !self.by_user || !repeats {
            return plain;
        }
        let variance = ab_test::ratio_variance(units.values().map(|unit| (unit.clicks, unit.shown)));
        ArmTotals { units: units.len() as f64, variance: variance.unwrap_or(f64::NAN), ..plain }
    }

    fn report(&self, log: &LogFrame) -> Result<ExperimentReport> {
        let units = self.units(self.rows.iter());
        let totals: Vec<ArmTotals> = units.iter().map(|units| self.totals(units)).collect();
        let arm = |place: usize| ArmReport {
            name: self.names[place].clone(),
            totals: totals[place],
            rate: Estimate::normal(totals[place].rate(), totals[place].variance.sqrt()),
            against_control: (place > 0).then(|| ab_test::compare(&totals[0], &totals[place])).flatten(),
            reduced: (place > 0 && self.has_covariate).then(|| reduce(&units[0], &units[place])).flatten(),
        };
        let sizes: Vec<f64> = totals.iter().map(|totals| totals.units).collect();
        let told = !self.aggregated && sizes.len() == 2;
        let mut seen = BTreeSet::new();
        let repeated: BTreeSet<u32> =
            units.iter().flat_map(BTreeMap::keys).filter(|unit| !seen.insert(**unit)).copied().collect();
        // Impressions that hang together tell less than as many independent ones.
        let control = &totals[0];
        let independent = control.rate() * (1.0 - control.rate()) / control.variance;
        Ok(ExperimentReport {
            column: self.column.clone(),
            outcome: self.outcome.clone(),
            arms: (0..self.names.len()).map(arm).collect(),
            unit: if self.by_user { "users" } else { "impressions" },
            even_p: told.then(|| p_of_z(z_of_even_split(sizes[0], sizes[1]))),
            in_several_arms: repeated.len(),
            detectable: ab_test::detectable(control.rate(), independent, 0.05, 0.8),
            parts: Vec::new(),
            hidden: 0,
            uplift: None,
            revision: log.revision,
        })
    }

    /// What treating the first arm's way by a rank would bring, from the rows whose rank is known.
    fn uplift(&self, column: &str, rank: &[f64]) -> Result<Option<Uplift>> {
        let known = |row: &&Row| row.arm < 2 && !rank[row.row as usize].is_nan();
        let rows: Vec<&Row> = self.rows.iter().filter(known).collect();
        let unit = |row: &&Row| Ranked {
            score: rank[row.row as usize],
            treated: row.arm == 1,
            outcome: row.clicks,
            trials: row.shown,
        };
        let units: Vec<Ranked> = rows.iter().map(unit).collect();
        let order = uplift::ranking(&units);
        let qini = uplift::qini(&units, &order, &[]).ok_or_else(|| {
            Failure::new(WHAT, format!("'{column}' is known in one arm only")).hint("a rank of all rows")
        })?;
        let people: Vec<u32> = rows.iter().map(|row| row.unit).collect();
        let bags = Bags::new(rows.len(), if self.by_user { &people } else { &[] });
        let drawn = bags.resample(|drawn| {
            let times: Vec<u32> = bags.of_row.iter().map(|bag| drawn[*bag as usize]).collect();
            uplift::qini(&units, &order, &times).map_or(f64::NAN, |qini| qini.coefficient)
        });
        let value = qini.coefficient;
        let coefficient = bootstrap::percentiles(drawn).map(|[low, high]| Estimate { value, low, high });
        Ok(Some(Uplift { column: column.to_owned(), arm: self.names[1].clone(), qini, coefficient }))
    }

    /// The test in each group of a column.
    fn parts(&self, groups: &Groups) -> (Vec<Part>, usize) {
        let mut by_group: BTreeMap<u32, Vec<&Row>> = BTreeMap::new();
        for row in &self.rows {
            by_group.entry(groups.code(row.row as usize)).or_default().push(row);
        }
        let mut order: Vec<(u32, Vec<&Row>)> = by_group.into_iter().collect();
        order.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.len()));
        let hidden = order.len().saturating_sub(MOST_PARTS);
        order.truncate(MOST_PARTS);
        let mut parts = Vec::new();
        for (code, rows) in order {
            let units = self.units(rows.into_iter());
            let totals: Vec<ArmTotals> = units.iter().map(|units| self.totals(units)).collect();
            for place in 1..totals.len() {
                let rate = |totals: &ArmTotals| Rate::wilson(totals.clicks, totals.shown);
                parts.push(Part {
                    value: groups.name(code),
                    arm: self.names[place].clone(),
                    control: rate(&totals[0]),
                    treated: rate(&totals[place]),
                    comparison: ab_test::compare(&totals[0], &totals[place]),
                    corrected_p: None,
                });
            }
        }
        let told: Vec<f64> = parts.iter().filter_map(|part| Some(part.comparison?.p)).collect();
        let mut corrected = ab_test::holm(&told).into_iter();
        for part in parts.iter_mut().filter(|part| part.comparison.is_some()) {
            part.corrected_p = corrected.next();
        }
        (parts, hidden)
    }
}

/// The column that looks like it assigns arms.
fn infer_arms(log: &LogFrame) -> Result<String> {
    for column in log.schema.columns.iter().filter(|column| column.role == Role::Categorical) {
        let coded = cells::coded(log, &column.name)?;
        if assigns_arms(&column.name, &coded.values) {
            return Ok(column.name.clone());
        }
    }
    Err(Failure::new(WHAT, "no column looks like it assigns arms")
        .hint("choose the one that does (--arms COLUMN)"))
}

/// Numbers the arms anew, the control first; answers their names.
fn arrange(groups: &Groups, rows: &mut [Row], control: &str, column: &str) -> Result<Vec<String>> {
    let mut shown: BTreeMap<u32, f64> = BTreeMap::new();
    for row in rows.iter() {
        *shown.entry(row.arm).or_default() += row.shown;
    }
    if shown.is_empty() {
        return Err(Failure::new(WHAT, "no row passes the filter with its arm and outcome known"));
    }
    if shown.len() < 2 || shown.len() > MOST_ARMS {
        let why = format!("'{column}' has {} values in these rows", shown.len());
        return Err(
            Failure::new(WHAT, why).hint(format!("a column with 2 to {MOST_ARMS} values, one an arm"))
        );
    }
    let mut order: Vec<u32> = shown.keys().copied().collect();
    // The largest first where no name says which arm is the control.
    order.sort_by(|a, b| shown[b].total_cmp(&shown[a]).then(a.cmp(b)));
    let chosen = order.iter().position(|code| {
        let name = groups.name(*code);
        if control.is_empty() { is_control(&name) } else { name == control }
    });
    match chosen {
        Some(place) => order[..=place].rotate_right(1),
        None if control.is_empty() => {}
        None => {
            let known: Vec<String> = order.iter().map(|code| groups.name(*code)).collect();
            return Err(Failure::new(WHAT, format!("there is no arm '{control}'"))
                .hint(format!("one of: {}", known.join(", "))));
        }
    }
    for row in rows.iter_mut() {
        row.arm = order.iter().position(|code| *code == row.arm).unwrap_or_default() as u32;
    }
    Ok(order.into_iter().map(|code| groups.name(code)).collect())
}

fn is_control(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    names_control(&name) || matches!(name.as_str(), "0" | "a" | "false" | "no")
}

/// The difference after CUPED. A ratio is made a sum by its linear form `(clicks - rate * shown) / mean shown` (Deng,
/// Knoblich & Lu 2018, section 3.1); `theta` comes from both arms together.
fn reduce(control: &BTreeMap<u32, Unit>, arm: &BTreeMap<u32, Unit>) -> Option<Reduced> {
    let all: Vec<&Unit> = control.values().chain(arm.values()).collect();
    let shown: f64 = all.iter().map(|unit| unit.shown).sum();
    let rate = all.iter().map(|unit| unit.clicks).sum::<f64>() / shown;
    let mean = shown / all.len() as f64;
    let outcome: Vec<f64> = all.iter().map(|unit| (unit.clicks - rate * unit.shown) / mean).collect();
    let covariate: Vec<f64> = all.iter().map(|unit| unit.covariate / unit.rows).collect();
    let Cuped { adjusted, variance_ratio, .. } = ab_test::cuped(&outcome, &covariate)?;
    let (first, second) = adjusted.split_at(control.len());
    let (mean_first, variance_first) = mean_and_its_variance(first)?;
    let (mean_second, variance_second) = mean_and_its_variance(second)?;
    let error = (variance_first + variance_second).sqrt();
    let difference = mean_second - mean_first;
    Some(Reduced {
        difference: Estimate::normal(difference, error),
        p: p_of_z(difference / error),
        variance_ratio,
    })
}

fn mean_and_its_variance(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1 && squares > 0.0).then(|| (mean, squares / (n - 1.0) / n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use polars::prelude::df;

    /// Users with a habit each, half of them treated, eight rows a user; `lift` is added to the log odds.
    fn log(users: usize, lift: f64, seed: u64) -> LogFrame {
        let mut rng = Rng::named(seed, "experiment");
        let (mut user, mut arm, mut habit, mut device, mut click) = (vec![], vec![], vec![], vec![], vec![]);
        for u in 0..users {
            let (taste, treated) = (rng.normal(), u % 2 == 1);
            for _ in 0..8 {
                let logit = -2.5 + taste + if treated { lift } else { 0.0 };
                user.push(format!("u{u}"));
                arm.push(if treated { "new" } else { "control" });
                habit.push(taste + 0.3 * rng.normal());
                device.push(format!("d{}", rng.below(3)));
                click.push(i64::from(rng.chance(1.0 / (1.0 + (-logit).exp()))));
            }
        }
        let frame =
            df!("user" => user, "variant" => arm, "habit" => habit, "device" => device, "click" => click)
                .unwrap();
        let roles = [
            ("user", Role::User),
            ("variant", Role::Categorical),
            ("habit", Role::Numeric),
            ("device", Role::Categorical),
            ("click", Role::Label),
        ];
        LogFrame::from_frame(frame, &roles).unwrap()
    }

    fn ask(log: &LogFrame, query: &ExperimentQuery) -> Result<ExperimentReport> {
        experiment(log, query, &JobContext::detached())
    }

    #[test]
    fn a_lift_is_found_the_control_stands_first_and_parts_are_corrected() {
        let query = ExperimentQuery { by: "device".into(), ..ExperimentQuery::default() };
        let report = ask(&log(4_000, 0.4, 1), &query).unwrap();
        assert_eq!((report.column.as_str(), report.unit), ("variant", "users"));
        assert_eq!(report.outcome, "click");
        let names: Vec<&str> = report.arms.iter().map(|arm| arm.name.as_str()).collect();
        assert_eq!(names, ["control", "new"]);
        let found = report.arms[1].against_control.unwrap();
        assert!(found.p < 1e-4 && found.difference.low > 0.0, "{found:?}");
        assert_eq!(report.in_several_arms, 0);
        assert!(report.even_p.unwrap() > 0.99);
        assert_eq!(report.parts.len(), 3);
        for part in &report.parts {
            assert!(part.corrected_p.unwrap() >= part.comparison.unwrap().p);
        }
    }

    #[test]
    fn the_users_interval_keeps_its_level_where_the_rows_does_not() {
        let (mut by_user, mut by_row) = (0, 0);
        for seed in 0..200 {
            let log = log(300, 0.0, 1_000 + seed);
            let report = ask(&log, &ExperimentQuery::default()).unwrap();
            by_user += usize::from(report.arms[1].against_control.unwrap().p < 0.05);
            let plain = |arm: &ArmReport| ArmTotals::independent(arm.totals.clicks, arm.totals.shown);
            let naive = ab_test::compare(&plain(&report.arms[0]), &plain(&report.arms[1])).unwrap();
            by_row += usize::from(naive.p < 0.05);
        }
        // 5 % of 200 is 10, with a standard deviation of 3.
        assert!((3..=19).contains(&by_user), "{by_user}");
        assert!(by_row > by_user, "{by_row} false alarms by rows, {by_user} by users");
    }

    #[test]
    fn what_was_known_before_narrows_the_interval() {
        let query = ExperimentQuery { covariate: "habit".into(), ..ExperimentQuery::default() };
        let report = ask(&log(4_000, 0.2, 3), &query).unwrap();
        let (plain, reduced) = (report.arms[1].against_control.unwrap(), report.arms[1].reduced.unwrap());
        let width = |estimate: Estimate| estimate.high - estimate.low;
        let ratio = (width(reduced.difference) / width(plain.difference)).powi(2);
        assert!(reduced.variance_ratio < 0.8);
        assert!((ratio - reduced.variance_ratio).abs() < 0.03, "{ratio} {}", reduced.variance_ratio);
        assert!((reduced.difference.value - plain.difference.value).abs() < 0.5 * width(plain.difference));
    }

    #[test]
    fn tests_that_are_none_are_refused() {
        let log = log(50, 0.0, 4);
        let named = |arms: &str| ExperimentQuery { arms: arms.into(), ..ExperimentQuery::default() };
        assert!(ask(&log, &named("user")).unwrap_err().why.contains("50 values"));
        assert!(ask(&log, &named("town")).unwrap_err().hint.contains("variant"));
        let wrong = ExperimentQuery { control: "old".into(), ..ExperimentQuery::default() };
        assert!(ask(&log, &wrong).unwrap_err().hint.contains("control, new"));
        let one = ExperimentQuery { filter: Segment::equals("variant", "new"), ..ExperimentQuery::default() };
        assert!(ask(&log, &one).unwrap_err().why.contains("1 values"));
        let none = LogFrame::from_frame(df!("a" => [1i64, 0]).unwrap(), &[("a", Role::Label)]).unwrap();
        assert!(ask(&none, &ExperimentQuery::default()).unwrap_err().why.contains("assigns arms"));
    }

    #[test]
    fn a_rank_that_knows_who_gains_beats_chance() {
        let mut rng = crate::base::rng::Rng::named(4, "uplift in a log");
        let n = 8_000;
        let gain: Vec<f64> = (0..n).map(|_| rng.uniform() - 0.5).collect();
        let luck: Vec<f64> = (0..n).map(|_| rng.uniform()).collect();
        let arm: Vec<&str> = (0..n).map(|_| if rng.chance(0.5) { "new" } else { "control" }).collect();
        let click: Vec<i64> = (0..n)
            .map(|row| i64::from(rng.chance(if arm[row] == "new" { 0.5 + gain[row] } else { 0.5 })))
            .collect();
        let frame =
            polars::prelude::df!("variant" => arm, "gain" => gain, "luck" => luck, "click" => click).unwrap();
        let log =
            LogFrame::from_frame(frame, &[("variant", Role::Categorical), ("click", Role::Label)]).unwrap();
        let ask = |rank: &str| {
            let query =
                ExperimentQuery { arms: "variant".into(), rank: rank.into(), ..ExperimentQuery::default() };
            experiment(&log, &query, &JobContext::detached()).map(|report| report.uplift.unwrap())
        };
        let oracle = ask("gain").unwrap();
        let found = oracle.coefficient.unwrap();
        assert!(found.low > 0.05 && found.low < 1.0 / 12.0 && found.high > 1.0 / 12.0, "{found:?}");
        assert!((oracle.qini.gain(0.5) - 0.125).abs() < 0.03);
        assert!(!ask("luck").unwrap().coefficient.unwrap().excludes(0.0));
        assert!(ask("height").is_err());
    }
}
