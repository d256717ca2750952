//! What may be told to strangers about groups of rows? Counts with the noise of differential privacy.
//!
//! The promise: whether one user's rows are in the log or not changes the chance of any answer by a factor of at most
//! `exp(epsilon)`, but for a chance of `delta` that a group shows at all that would not be there without that user. For
//! that, at most `rows_per_user` rows of a user count (the first in the order of the log, so that nobody else's change),
//! impressions and clicks get half of epsilon each, and a group is told only where its noisy impressions exceed a limit that a single
//! user reaches with chance `delta`. Rates are made from the noisy counts and cost nothing more. The names of groups, which for
//! numbers are the ends of buckets, are taken as public.

use super::filter;
use super::grouping::{Groups, values_of};
use super::measures::{Measures, Part};
use super::sums::Keys;
use crate::base::{Failure, Result};
use crate::data::frame::LogFrame;
use crate::data::schema::Role;
use crate::domain::Segment;
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use crate::metrics::noise::Geometric;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Chance that a group shows that would not be there without one user.
const DELTA: f64 = 1e-6;

/// A question that is answered with noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoisyQuery {
    /// The columns whose groups are told.
    pub by: Vec<String>,
    /// Only rows in this segment are counted.
    pub filter: Segment,
    /// What the answer spends.
    pub epsilon: f64,
    /// Rows of a user that count at most.
    pub rows_per_user: u32,
}

impl Default for NoisyQuery {
    fn default() -> Self {
        Self { by: Vec::new(), filter: Segment::All, epsilon: 0.5, rows_per_user: 20 }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct NoisyReport {
    /// The columns asked for.
    pub by: Vec<String>,
    /// The groups that are told, by falling impressions.
    pub rows: Vec<NoisyRow>,
    /// What the answer spent.
    pub epsilon: f64,
    /// Chance that a group shows that would not be there without one user.
    pub delta: f64,
    /// Rows of a user that counted at most.
    pub rows_per_user: u32,
    /// Noise of a count that 95 of 100 stay within.
    pub noise_95: f64,
    /// Noisy impressions that a group must exceed to be told.
    pub least: f64,
}

/// One group, with noise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoisyRow {
    /// Its values.
    pub values: Vec<String>,
    /// Impressions.
    pub impressions: f64,
    /// Clicks; `None` where the log knows none.
    pub clicks: Option<f64>,
    /// Clicks per impression; the interval holds the noise as well as chance.
    pub ctr: Option<Estimate>,
}

/// Exact counts that wait for their noise; they leave this module only with it.
pub struct Counted {
    by: Vec<String>,
    cells: Vec<(Vec<String>, [f64; 2])>,
    has_clicks: bool,
    law: Geometric,
    epsilon: f64,
    rows_per_user: u32,
}

/// Counts what a report will tell.
///
/// # Errors
/// No column, an epsilon that is no positive number, no users or rows that stand for many, an unknown column, a filter
/// that makes no sense; a cancel.
pub fn count(log: &LogFrame, query: &NoisyQuery, context: &JobContext) -> Result<Counted> {
    let what = "cannot report with noise";
    let sensitivity = f64::from(query.rows_per_user);
    let law = Geometric::new(query.epsilon / 2.0, sensitivity).ok_or_else(|| {
        let why =
            format!("epsilon {} with {} rows a user promises nothing", query.epsilon, query.rows_per_user);
        Failure::new(what, why).hint("an epsilon such as 0.5, and 1 or more rows a user")
    })?;
    if query.by.is_empty() {
        return Err(Failure::new(what, "no column is given").hint("choose the columns whose groups are told"));
    }
    if log.schema.with_role(Role::Weight).is_some() {
        return Err(Failure::new(what, "rows of this log stand for many impressions, of unknown people")
            .hint("a log with one row an impression"));
    }
    let groups: Vec<Groups> = query.by.iter().map(|column| Groups::of(log, column)).collect::<Result<_>>()?;
    let keys = Keys::of(&groups)?;
    context.stage("counting");
    let rows = counted(log, query, what)?;
    context.check()?;
    let measures = Measures::of(log)?;
    let mut sums: BTreeMap<u64, [f64; 2]> = BTreeMap::new();
    for row in rows {
        let mut added = [0.0; super::measures::PARTS];
        measures.add(&[Part::Shown, Part::Clicks], row as usize, None, &mut added);
        let sum = sums.entry(keys.key(&groups, row as usize)).or_default();
        sum.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
    }
    let names = |key: u64| groups.iter().zip(keys.codes(key)).map(|(group, code)| group.name(code)).collect();
    Ok(Counted {
        by: query.by.clone(),
        cells: sums.into_iter().map(|(key, sums)| (names(key), sums)).collect(),
        has_clicks: measures.outcome.is_some(),
        law,
        epsilon: query.epsilon,
        rows_per_user: query.rows_per_user,
    })
}

impl Counted {
    /// The report, with noise that is drawn now. Who calls this has booked the epsilon.
    pub fn told(self) -> NoisyReport {
        let law = self.law;
        let least = f64::from(self.rows_per_user) + law.limit(DELTA);
        let told = self.cells.into_iter().filter_map(|(values, [shown, clicks])| {
            let impressions = shown + law.secret();
            let clicks = self.has_clicks.then(|| clicks + law.secret());
            let ctr = clicks.map(|clicks| rate(clicks, impressions, law));
            (impressions > least).then_some(NoisyRow { values, impressions, clicks, ctr })
        });
        let mut rows: Vec<NoisyRow> = told.collect();
        rows.sort_by(|a, b| b.impressions.total_cmp(&a.impressions));
        NoisyReport {
            by: self.by,
            rows,
            epsilon: self.epsilon,
            delta: DELTA,
            rows_per_user: self.rows_per_user,
            noise_95: law.limit(0.025),
            least,
        }
    }
}

/// What a report promises, in words.
pub fn promise(report: &NoisyReport) -> Vec<String> {
    vec![
        format!(
            "noise: 95 of 100 counts are off by at most {}; groups with no more than {} noisy impressions are not told",
            report.noise_95, report.least
        ),
        format!(
            "promise: whether one user's rows are in the log changes the chance of any answer by a factor of at most \
             {:.3} (epsilon {}), but for a chance of {:e} that a group shows; at most {} rows of a user count",
            report.epsilon.exp(),
            report.epsilon,
            report.delta,
            report.rows_per_user
        ),
    ]
}

/// Rows of the filter, at most so many of a user.
fn counted(log: &LogFrame, query: &NoisyQuery, what: &str) -> Result<Vec<u32>> {
    let user = log.schema.with_role(Role::User).ok_or_else(|| {
        Failure::new(what, "the log does not say which rows are of one person")
            .hint("give the column with the users the role user")
    })?;
    let users = values_of(log, &user.name)?;
    let inside = filter::mask(log, &query.filter)?;
    let mut rows: Vec<u32> = (0..log.rows() as u32).filter(|row| inside[*row as usize]).collect();
    // Rows of nobody could be anybody's.
    rows.retain(|row| users.codes.get(*row as usize) != users.missing());
    let mut taken = vec![0u32; users.values.len()];
    rows.retain(|row| {
        let taken = &mut taken[users.codes.get(*row as usize) as usize];
        *taken += 1;
        *taken <= query.rows_per_user
    });
    Ok(rows)
}

/// A rate of noisy counts: chance `p (1 - p) / n` and the noise of both counts, by the delta method.
fn rate(clicks: f64, impressions: f64, law: Geometric) -> Estimate {
    let rate = (clicks / impressions).clamp(0.0, 1.0);
    let chance = rate * (1.0 - rate) / impressions;
    let noise = law.variance() * (1.0 + rate * rate) / (impressions * impressions);
    let told = Estimate::normal(rate, (chance + noise).sqrt());
    Estimate { low: told.low.max(0.0), high: told.high.min(1.0), ..told }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::df;

    /// 2,000 users of a large city and one of a small one, who has 300 rows.
    fn log() -> LogFrame {
        let user: Vec<String> = (0..10_300)
            .map(|row| if row < 10_000 { format!("u{}", row % 2_000) } else { "loner".to_owned() })
            .collect();
        let city: Vec<&str> = (0..10_300).map(|row| if row < 10_000 { "上海" } else { "Bern" }).collect();
        let click: Vec<i64> = (0..10_300).map(|row| i64::from(row % 10 == 0)).collect();
        let frame = df!("user" => user, "city" => city, "click" => click).unwrap();
        let roles = [("user", Role::User), ("city", Role::Categorical), ("click", Role::Label)];
        LogFrame::from_frame(frame, &roles).unwrap()
    }

    fn ask(epsilon: f64, rows_per_user: u32) -> Result<NoisyReport> {
        let query = NoisyQuery { by: vec!["city".into()], epsilon, rows_per_user, ..NoisyQuery::default() };
        Ok(count(&log(), &query, &JobContext::detached())?.told())
    }

    #[test]
    fn large_groups_are_told_about_right_and_one_person_never() {
        for _ in 0..20 {
            let report = ask(1.0, 5).unwrap();
            assert_eq!(report.rows.len(), 1, "a person with 300 rows is no group: {report:?}");
            let row = &report.rows[0];
            assert_eq!(row.values, ["上海"]);
            // All 10,000 rows count; the noise has a spread of some 14.
            assert!((row.impressions - 10_000.0).abs() < 250.0, "{row:?}");
            let ctr = row.ctr.unwrap();
            assert!(ctr.low < 0.12 && ctr.high > 0.08 && (ctr.value - 0.1).abs() < 0.03, "{ctr:?}");
        }
        assert!((0..20).any(|_| ask(1.0, 5).unwrap() != ask(1.0, 5).unwrap()), "noise is drawn anew");
        // Five rows a user are four fifths more than one.
        assert!((ask(1.0, 1).unwrap().rows[0].impressions - 2_000.0).abs() < 60.0);
    }

    #[test]
    fn what_promises_nothing_is_refused() {
        assert!(ask(0.0, 5).unwrap_err().why.contains("promises nothing"));
        assert!(ask(f64::NAN, 5).is_err() && ask(1.0, 0).is_err());
        let frame = df!("city" => ["a", "b"], "click" => [0i64, 1]).unwrap();
        let log = LogFrame::from_frame(frame, &[("click", Role::Label)]).unwrap();
        let query = NoisyQuery { by: vec!["city".into()], ..NoisyQuery::default() };
        let failure = count(&log, &query, &JobContext::detached()).err().unwrap();
        assert!(failure.hint.contains("role user"), "{failure}");
    }
}
