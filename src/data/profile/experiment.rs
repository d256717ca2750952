//! Was this a test with arms, was it assigned by chance, and which arm did better?

use super::columns::{Described, counts};
use super::{Issue, IssueKind, issues};
use crate::base::Result;
use crate::data::cells;
use crate::data::frame::LogFrame;
use crate::data::keyed::Keyed;
use crate::data::schema::{Column, ColumnType, Role};
use crate::metrics::{Rate, significance};
use serde::{Deserialize, Serialize};

/// Uneven arms are told when chance would make them so in fewer than 1 of 100 tests.
const SUSPECT_P: f64 = 0.01;
/// More values than this are no arms of one test.
const MOST_ARMS: usize = 10;

/// A test: the arms, whether they are of even size, and the outcomes of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// The column that assigns the arms.
    pub column: String,
    /// The arms by name.
    pub arms: Vec<Arm>,
    /// First arm against second in standard errors, if chances were even; `None` with more than two arms and in logs
    /// of counts, whose rows are not what was assigned.
    pub ratio_z: Option<f64>,
    /// Chance of arms as uneven as these if chances were even.
    pub ratio_p: Option<f64>,
    /// What came of it.
    pub outcomes: Vec<Outcome>,
}

/// An arm of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
}

/// One outcome by arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The column.
    pub column: String,
    /// The rate in each arm with its 95 % interval.
    pub rates: Vec<Rate>,
    /// First arm against second in standard errors; `None` with more than two arms.
    pub z: Option<f64>,
    /// Chance of rates as different as these if the arms did not differ.
    pub p: Option<f64>,
}

/// The test in the log; `None` when no column assigns arms.
pub(super) fn find(log: &LogFrame, described: &Described) -> Result<Option<Experiment>> {
    let columns = described.columns.iter().zip(&described.texts);
    let assigned = columns
        .filter(|(column, _)| column.role == Role::Categorical)
        .filter_map(|(column, text)| Some((column.name.as_str(), text.as_ref()?)))
        .find(|(name, text)| assigns_arms(name, &text.values));
    let Some((column, text)) = assigned else {
        return Ok(None);
    };
    let sizes = counts(text);
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|place| &text.values[*place]);
    let is_counted = log.schema.with_role(Role::Clicks).is_some();
    let arms: Vec<Arm> =
        order.iter().map(|&place| Arm { name: text.values[place].clone(), rows: sizes[place] }).collect();
    let outcomes = outcomes(log, text, &order)?;
    let (ratio_z, ratio_p) = if is_counted { (None, None) } else { even_split(&arms) };
    Ok(Some(Experiment { column: column.to_owned(), arms, ratio_z, ratio_p, outcomes }))
}

impl Experiment {
    /// The objection to arms of uneven size (sample-ratio mismatch).
    pub(super) fn mismatch(&self) -> Option<Issue> {
        let p = self.ratio_p.filter(|p| *p < SUSPECT_P)?;
        let sizes: Vec<String> = self.arms.iter().map(|arm| arm.rows.to_string()).collect();
        let z = self.ratio_z.map(|z| format!("z = {z:.2}, ")).unwrap_or_default();
        let detail = format!(
            "{}: {z}{} if chances were even; was the test assigned by chance?",
            sizes.join(" against "),
            significance::p_words(p)
        );
        let (most, least) =
            (self.arms.iter().map(|arm| arm.rows).max(), self.arms.iter().map(|arm| arm.rows).min());
        let apart = most.zip(least).map_or(0, |(most, least)| most - least);
        Some(issues::issue(IssueKind::SampleRatioMismatch, Some(&self.column), apart, detail))
    }
}

/// True for a column whose name or values say that it assigns the arms of a test.
pub(in crate::data) fn assigns_arms(name: &str, values: &[String]) -> bool {
    if !(2..=MOST_ARMS).contains(&values.len()) {
        return false;
    }
    let lower = name.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&["variant", "variation", "treatment"])
        || matches!(lower.as_str(), "arm" | "test_arm" | "ab" | "ab_test")
    {
        return true;
    }
    let says_group = says(&["version", "group", "bucket", "cell", "branch", "landing_page"]);
    if says_group && says(&["test", "ab_", "exp", "control"]) {
        return true;
    }
    let values: Vec<String> = values.iter().map(|value| value.trim().to_lowercase()).collect();
    let is_plain = matches!(lower.as_str(), "version" | "group" | "bucket" | "cohort" | "grp" | "page");
    values.iter().any(|value| names_control(value)) || (is_plain && are_numbered(&values))
}

/// True for a lower-case value that says outright that it is the control.
pub(in crate::data) fn names_control(value: &str) -> bool {
    matches!(value, "control" | "control_group" | "psa" | "holdout" | "baseline")
}

/// True for `a, b`, `1, 2` and `gate_30, gate_40`: names that differ in their number or letter only.
fn are_numbered(values: &[String]) -> bool {
    let stem = |value: &String| {
        let stem = value.trim_end_matches(|letter: char| letter.is_ascii_digit());
        match stem.strip_suffix(|letter: char| ('a'..='f').contains(&letter)) {
            Some(rest) if stem == value && (rest.is_empty() || rest.ends_with([' ', '_', '-'])) => {
                rest.to_owned()
            }
            _ if stem == value => format!("{value} is no number"),
            _ => stem.to_owned(),
        }
    };
    let first = values.first().map(stem);
    values.iter().all(|value| Some(stem(value)) == first)
}

/// z (two arms only) and p of arms that should be of one size.
fn even_split(arms: &[Arm]) -> (Option<f64>, Option<f64>) {
    if let [first, second] = arms {
        let z = significance::z_of_even_split(first.rows as f64, second.rows as f64);
        return (Some(z), Some(significance::p_of_z(z)));
    }
    let even = arms.iter().map(|arm| arm.rows).sum::<u64>() as f64 / arms.len().max(1) as f64;
    let chi_square = arms.iter().map(|arm| (arm.rows as f64 - even).powi(2) / even.max(1.0)).sum();
    (None, Some(significance::p_of_chi_square(chi_square, arms.len().saturating_sub(1))))
}

fn outcomes(log: &LogFrame, arms: &Keyed, order: &[usize]) -> Result<Vec<Outcome>> {
    let schema = &log.schema;
    if let (Some(weight), Some(clicks)) = (schema.with_role(Role::Weight), schema.with_role(Role::Clicks)) {
        let shown = cells::numbers(log, &weight.name)?;
        let clicked = cells::numbers(log, &clicks.name)?;
        let pairs = shown.into_iter().zip(clicked);
        let known = pairs.map(|(shown, clicks)| (shown > 0.0 && !clicks.is_nan()).then_some((clicks, shown)));
        return Ok(vec![outcome(&clicks.name, known, arms, order)]);
    }
    let is_flag = |column: &&Column| matches!(column.kind, ColumnType::Boolean | ColumnType::Integer);
    let columns = schema.columns.iter().filter(is_flag);
    let mut found = Vec::new();
    for column in columns.filter(|column| matches!(column.role, Role::Label | Role::Conversion)) {
        let values = cells::numbers(log, &column.name)?;
        if values.iter().any(|value| !value.is_nan() && *value != 0.0 && *value != 1.0) {
            continue;
        }
        let known = values.into_iter().map(|value| (!value.is_nan()).then_some((value, 1.0)));
        found.push(outcome(&column.name, known, arms, order));
    }
    Ok(found)
}

fn outcome(
    column: &str,
    known: impl Iterator<Item = Option<(f64, f64)>>,
    arms: &Keyed,
    order: &[usize],
) -> Outcome {
    let mut sums = vec![(0.0, 0.0); arms.values.len()];
    for (row, known) in known.enumerate() {
        if let (Some(sum), Some((successes, trials))) = (sums.get_mut(arms.codes.get(row) as usize), known) {
            sum.0 += successes;
            sum.1 += trials;
        }
    }
    let rates: Vec<Rate> = order.iter().map(|&place| Rate::wilson(sums[place].0, sums[place].1)).collect();
    let (z, p) = match rates.as_slice() {
        [first, second] => {
            let z = significance::z_of_two_proportions(
                [first.successes, second.successes],
                [first.trials, second.trials],
            );
            (z, z.map(significance::p_of_z))
        }
        rates => (None, homogeneity(rates)),
    };
    Outcome { column: column.to_owned(), rates, z, p }
}

/// Chance of rates as different as these under one rate for all: Pearson's chi-square.
fn homogeneity(rates: &[Rate]) -> Option<f64> {
    let (successes, trials) = rates
        .iter()
        .fold((0.0, 0.0), |(successes, trials), rate| (successes + rate.successes, trials + rate.trials));
    let pooled = successes / trials;
    let variance = pooled * (1.0 - pooled);
    if pooled.is_nan() || variance <= 0.0 || rates.iter().any(|rate| !rate.is_known()) {
        return None;
    }
    let chi_square = rates.iter().map(|rate| (rate.rate - pooled).powi(2) * rate.trials / variance).sum();
    Some(significance::p_of_chi_square(chi_square, rates.len() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_are_known_by_name_or_by_a_control() {
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        assert!(assigns_arms("test_version", &values(&["gate_30", "gate_40"])));
        assert!(assigns_arms("group", &values(&["control", "exposed"])));
        assert!(!assigns_arms("age_group", &values(&["18-24", "25-34"])));
        assert!(!assigns_arms("test_version", &values(&["only"])));
        assert!(assigns_arms("version", &values(&["gate_30", "gate_40"])));
        assert!(assigns_arms("group", &values(&["A", "B"])));
        assert!(!assigns_arms("page", &values(&["home", "news"])));
        assert!(!assigns_arms("version", &values(&["ios", "android"])));
    }

    #[test]
    fn three_even_arms_are_no_mismatch() {
        let arm = |rows: u64| Arm { name: rows.to_string(), rows };
        let (z, p) = even_split(&[arm(100), arm(104), arm(98)]);
        assert!(z.is_none() && p.unwrap() > 0.5, "{p:?}");
        assert!(even_split(&[arm(100), arm(200), arm(98)]).1.unwrap() < 1e-6);
    }
}
