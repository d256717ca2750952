//! What is in this log, and can it be trusted? Columns, click rate, and what a careful person would object to.

mod columns;
pub(in crate::data) mod experiment;
mod issues;
mod kept;
mod leaks;
mod mirrors;
mod missing;
mod near_texts;
mod outliers;
mod personal;
mod reading;
mod repeats;
mod runs;
mod test_series;
mod totals;

pub use experiment::{Arm, Experiment, Outcome};
pub use test_series::TestSeries;
pub use totals::Total;

use super::frame::{BadRow, JoinNote, LogFrame, PartNote};
use super::layout::Layout;
use super::schema::{ColumnType, Role};
use super::shape::{self, Shape};
use crate::base::Result;
use crate::jobs::JobContext;
use crate::metrics::Rate;
use serde::{Deserialize, Serialize};

/// A log, described.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// What the log is, in the one sentence that a person wants first.
    pub reading: String,
    /// What a row stands for.
    pub shape: Shape,
    /// What the bytes were.
    pub format: String,
    /// Rows that were read.
    pub rows: u64,
    /// Rows that could not be read.
    pub bad_rows: u64,
    /// The first of them.
    pub bad_samples: Vec<BadRow>,
    /// The columns in file order.
    pub columns: Vec<ColumnProfile>,
    /// The outcome; `None` when the log has none.
    pub label: Option<LabelProfile>,
    /// First and last moment, in milliseconds since 1970; `None` without a time column.
    pub time_range: Option<(i64, i64)>,
    /// Sums to hold against figures from elsewhere.
    pub totals: Vec<Total>,
    /// The currency that money is in (ISO 4217), where the log says so and means one only.
    pub currency: Option<String>,
    /// Arms of a test with their outcomes; `None` when no column assigns arms.
    pub experiment: Option<Experiment>,
    /// Many small tests, each with its arms in rows of counts.
    pub test_series: Option<TestSeries>,
    /// What a careful person would object to.
    pub issues: Vec<Issue>,
    /// What the reader did.
    pub notes: Vec<String>,
    /// How the bytes were read.
    pub layout: Layout,
    /// What became of each file, where the log has several.
    #[serde(default)]
    pub parts: Vec<PartNote>,
    /// The side tables that were joined.
    #[serde(default)]
    pub joins: Vec<JoinNote>,
}

/// A column, described.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Its name.
    pub name: String,
    /// How it is stored.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// What it is for.
    pub role: Role,
    /// Why.
    pub evidence: String,
    /// Cells with nothing in them.
    pub missing: u64,
    /// Distinct values; for lists, distinct items.
    pub distinct: u64,
    /// The numbers from lowest to highest, for columns with an order. Times are milliseconds since 1970.
    pub quantiles: Option<Quantiles>,
    /// The most frequent values, for columns without an order. Ranges such as `18-24` stand in their own order.
    pub top: Vec<TopValue>,
    /// Sum of the numbers; `None` where there are none.
    pub sum: Option<f64>,
    /// Lengths of the lists; `None` for other cells.
    pub lengths: Option<Quantiles>,
    /// True for texts that are ranges of numbers, which have an order of their own.
    pub is_ordered: bool,
}

/// Order statistics of the cells that hold something (nearest rank).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Lowest.
    pub min: f64,
    /// A quarter lies at or below.
    pub p25: f64,
    /// Half lies at or below.
    pub median: f64,
    /// Three quarters lie at or below.
    pub p75: f64,
    /// Highest.
    pub max: f64,
    /// Arithmetic mean.
    pub mean: f64,
}

/// A frequent value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopValue {
    /// The value as text.
    pub value: String,
    /// How often it occurs.
    pub count: u64,
}

/// The outcome with its rate and 95 % interval (Wilson).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelProfile {
    /// The label, or the clicks of an aggregated log.
    pub column: String,
    /// Clicks.
    pub positives: u64,
    /// Impressions: rows, or their sum in an aggregated log.
    pub impressions: u64,
    /// `positives / impressions`.
    pub rate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Other 0/1 columns that a person may want to predict instead.
    pub alternatives: Vec<String>,
}

/// Something that a careful person would object to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// What it is about.
    pub kind: IssueKind,
    /// The column concerned; `None` when it is the whole log.
    pub column: Option<String>,
    /// How many rows, cells, days or clicks are concerned.
    pub count: u64,
    /// What was seen and what it means.
    pub detail: String,
}

/// Kinds of [`Issue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssueKind {
    /// Rows that could not be read.
    BadRows,
    /// There is nothing to predict.
    NoLabel,
    /// Only clicks or no click at all.
    OneClass,
    /// So few clicks that every rate is vague.
    FewPositives,
    /// Each row stands for many impressions.
    Aggregated,
    /// More clicks than impressions in a row.
    ClicksBeyondImpressions,
    /// Clicks where no impressions are known.
    ClicksWithoutImpressions,
    /// A click rate that no real campaign has.
    ImplausibleRate,
    /// A column that gives the answer away.
    LabelLeak,
    /// One value only.
    Constant,
    /// No value at all.
    AllMissing,
    /// Numbers and words in one column.
    MixedTypes,
    /// Rows that repeat an earlier one.
    DuplicateRows,
    /// Days without a row.
    TimeGaps,
    /// Money in more than one currency.
    MixedCurrencies,
    /// Almost every cell holds one value.
    NearConstant,
    /// A column that is filled in a part of the time only.
    MissingOverTime,
    /// Numbers far beyond all others.
    Outliers,
    /// Sums that are not those of the file's own total row.
    TotalsDiffer,
    /// Two sources that report the same events.
    DoubleCounting,
    /// Cells that name or reach a person.
    PersonalData,
    /// Texts that differ in little.
    NearDuplicateTexts,
    /// Arms of a test that are not of the size they should have.
    SampleRatioMismatch,
}

/// Describes a log.
///
/// # Errors
/// A cancel, or a label or counts that cannot be read as such.
pub fn profile(log: &LogFrame, context: &JobContext) -> Result<Profile> {
    context.stage("describing the columns");
    let described = columns::describe(log, context)?;
    context.stage("looking for problems");
    let (label, time_range) = rayon::join(|| columns::label(log), || issues::time_range(log));
    let (label, time_range) = (label?, time_range?);
    let (currency, mixed) = totals::currency(log, &described);
    let experiment = experiment::find(log, &described)?;
    let mut issues = issues::find(log, &described, label.as_ref(), context)?;
    issues.extend(mixed);
    issues.extend(totals::against_total_rows(log, &described));
    issues.extend(experiment.as_ref().and_then(Experiment::mismatch));
    let totals = totals::totals(log, &described)?;
    let test_series = test_series::find(log, &described.columns)?;
    let shape = shape::detect(log, &described.columns)?;
    let facts = reading::Facts {
        log,
        shape: &shape,
        columns: &described.columns,
        label: label.as_ref(),
        totals: &totals,
        currency: currency.as_deref(),
        tests: test_series.as_ref(),
        time_range,
    };
    Ok(Profile {
        reading: facts.sentence(),
        shape: shape.shape,
        totals,
        currency,
        experiment,
        test_series,
        format: log.source.format.clone(),
        rows: log.rows() as u64,
        bad_rows: log.source.bad_rows,
        bad_samples: log.source.bad_samples.clone(),
        columns: described.columns,
        label,
        time_range,
        issues,
        notes: log.source.notes.clone(),
        layout: log.source.layout.clone(),
        parts: log.source.parts.clone(),
        joins: log.source.joins.clone(),
    })
}

/// As [`profile`] for a log whose rows are those that were opened, whatever the roles: the answer is kept with the
/// log in the cache, and taken from there the next time.
///
/// # Errors
/// As [`profile`].
pub fn profile_opened(log: &LogFrame, context: &JobContext) -> Result<Profile> {
    if let Some(known) = kept::load(log) {
        return Ok(known);
    }
    let profile = profile(log, context)?;
    if let Err(failure) = kept::keep(log, &profile) {
        context.warn(failure.to_string());
    }
    Ok(profile)
}

impl LabelProfile {
    fn of(column: &str, positives: f64, impressions: f64) -> Self {
        let rate = Rate::wilson(positives, impressions);
        Self {
            column: column.to_owned(),
            positives: positives.round() as u64,
            impressions: impressions.round() as u64,
            rate: rate.rate,
            low: rate.low,
            high: rate.high,
            alternatives: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{DataFrame, df};

    fn profiled(frame: DataFrame, roles: &[(&str, Role)]) -> Profile {
        let log = LogFrame::from_frame(frame, roles).unwrap();
        profile(&log, &JobContext::detached()).unwrap()
    }

    fn kinds(profile: &Profile) -> Vec<IssueKind> {
        profile.issues.iter().map(|issue| issue.kind).collect()
    }

    #[test]
    fn columns_are_counted_and_summed_up() {
        let frame = df!(
            "n" => [Some(1i64), Some(2), Some(3), Some(4), None],
            "city" => [Some("a"), Some("b"), Some("a"), None, None],
        )
        .unwrap();
        let profile = profiled(frame, &[("n", Role::Numeric), ("city", Role::Categorical)]);
        let numbers = &profile.columns[0];
        assert_eq!((numbers.missing, numbers.distinct), (1, 4));
        let quantiles = numbers.quantiles.unwrap();
        assert_eq!((quantiles.min, quantiles.median, quantiles.max), (1.0, 2.0, 4.0));
        assert!((quantiles.mean - 2.5).abs() < 1e-12);
        let cities = &profile.columns[1];
        assert_eq!((cities.missing, cities.distinct), (2, 2));
        assert_eq!(cities.top[0], TopValue { value: "a".into(), count: 2 });
        assert_eq!(kinds(&profile), [IssueKind::NoLabel]);
    }

    #[test]
    fn aggregated_rows_are_weighted() {
        let frame = df!(
            "views" => [1000i64, 3000, 0, 10],
            "hits" => [10i64, 30, 2, 20],
        )
        .unwrap();
        let profile = profiled(frame, &[("views", Role::Weight), ("hits", Role::Clicks)]);
        let label = profile.label.clone().unwrap();
        // Clicks without impressions stay out of the rate.
        assert_eq!((label.positives, label.impressions), (60, 4010));
        let found = kinds(&profile);
        for kind in
            [IssueKind::Aggregated, IssueKind::ClicksBeyondImpressions, IssueKind::ClicksWithoutImpressions]
        {
            assert!(found.contains(&kind), "{kind:?} in {found:?}");
        }
    }

    #[test]
    fn a_leak_is_suspected_and_a_good_feature_is_not() {
        let rows = 400i64;
        let label: Vec<i64> = (0..rows).map(|row| i64::from(row % 4 == 0)).collect();
        let seconds: Vec<Option<i64>> = (0..rows).map(|row| (row % 4 == 0).then_some(row * 7 % 31)).collect();
        let noise: Vec<i64> = (0..rows).map(|row| row * 37 % 101).collect();
        let ids: Vec<String> = (0..rows).map(|row| format!("u{row}")).collect();
        let outcome: Vec<&str> = (0..rows).map(|row| if row % 4 == 0 { "won" } else { "lost" }).collect();
        let frame = df!(
            "y" => label, "after_click_secs" => seconds, "noise" => noise, "id" => ids, "result" => outcome,
        )
        .unwrap();
        let roles = [
            ("y", Role::Label),
            ("after_click_secs", Role::Numeric),
            ("noise", Role::Numeric),
            ("id", Role::User),
            ("result", Role::Categorical),
        ];
        let profile = profiled(frame, &roles);
        let leaks: Vec<_> = profile
            .issues
            .iter()
            .filter(|issue| issue.kind == IssueKind::LabelLeak)
            .map(|issue| issue.column.clone().unwrap())
            .collect();
        assert_eq!(leaks, ["after_click_secs", "result"]);
    }

    #[test]
    fn tests_of_uneven_size_are_told() {
        // The counts of a known experiment: z = (44700 - 45489) / sqrt(90189) = -2.63.
        let arms: Vec<&str> =
            std::iter::repeat_n("gate_30", 44_700).chain(std::iter::repeat_n("gate_40", 45_489)).collect();
        let frame = df!("test_version" => arms).unwrap();
        let profile = profiled(frame, &[("test_version", Role::Categorical)]);
        let issue = profile.issues.iter().find(|issue| issue.kind == IssueKind::SampleRatioMismatch).unwrap();
        assert!(issue.detail.contains("z = -2.63"), "{}", issue.detail);
    }

    #[test]
    fn mixed_and_empty_columns_and_gaps_are_told() {
        let day = 86_400_000i64;
        let times: Vec<i64> =
            (0..300).map(|row| if row < 150 { row * 1000 } else { 5 * day + row }).collect();
        let mixed: Vec<&str> = (0..300).map(|row| if row == 7 { "Other" } else { "1" }).collect();
        let mut frame = df!(
            "at" => times, "kind" => mixed, "same" => vec![1i64; 300], "none" => vec![None::<&str>; 300],
        )
        .unwrap();
        let at = frame
            .column("at")
            .unwrap()
            .cast(&polars::prelude::DataType::Datetime(polars::prelude::TimeUnit::Milliseconds, None))
            .unwrap();
        frame.with_column(at).unwrap();
        let profile = profiled(frame, &[("at", Role::Time), ("kind", Role::Categorical)]);
        let count = |kind| {
            let issue = profile.issues.iter().find(|issue| issue.kind == kind);
            issue.map(|issue| issue.count)
        };
        assert_eq!(count(IssueKind::MixedTypes), Some(1));
        assert_eq!(count(IssueKind::Constant), Some(300));
        assert_eq!(count(IssueKind::AllMissing), Some(300));
        assert_eq!(count(IssueKind::TimeGaps), Some(4));
    }
}
