//! Does the log hold many small tests (each row an arm with its counts), and how many of them found a difference?

use crate::base::Result;
use crate::data::cells::{self, NO_CODE};
use crate::data::frame::LogFrame;
use crate::data::profile::ColumnProfile;
use crate::data::schema::{ColumnType, Role};
use crate::metrics::significance;
use serde::{Deserialize, Serialize};

/// Fewer tests are read one by one.
const FEWEST: u64 = 10;
/// A test has found a difference when chance alone would make one as large in fewer than 1 of 20.
const DECIDED_P: f64 = 0.05;

/// Many tests in one log of counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestSeries {
    /// The column that tells the tests apart.
    pub column: String,
    /// Tests with two arms or more.
    pub tests: u64,
    /// Arms of the median test.
    pub median_arms: u64,
    /// Tests whose arms differ with p < 0.05 (Pearson's chi-square over the arms).
    pub decided: u64,
    /// Tests that would be so by chance alone if no arm ever differed.
    pub decided_by_chance: f64,
}

/// The tests of a log of counts; `None` when no column tells tests apart.
pub(super) fn find(log: &LogFrame, columns: &[ColumnProfile]) -> Result<Option<TestSeries>> {
    let schema = &log.schema;
    let (Some(weight), Some(clicks)) = (schema.with_role(Role::Weight), schema.with_role(Role::Clicks))
    else {
        return Ok(None);
    };
    let column = columns.iter().find(|column| {
        let name = column.name.to_lowercase();
        let says_test = name.contains("test") || name.contains("experiment");
        let is_id = name.ends_with("id") || name.ends_with("key") || name.ends_with("name");
        let is_number_or_text = matches!(column.kind, ColumnType::Text | ColumnType::Integer);
        says_test && is_id && is_number_or_text && column.distinct >= FEWEST
    });
    let Some(column) = column else {
        return Ok(None);
    };
    let codes = cells::coded(log, &column.name)?;
    let shown = cells::numbers(log, &weight.name)?;
    let clicked = cells::numbers(log, &clicks.name)?;
    let mut arms: Vec<Vec<(f64, f64)>> = vec![Vec::new(); codes.values.len()];
    let counts = shown.iter().zip(&clicked);
    for (code, (shown, clicks)) in codes.codes.iter().zip(counts).filter(|(code, _)| **code != NO_CODE) {
        if let (Some(arms), true) = (arms.get_mut(*code as usize), *shown > 0.0 && *clicks >= 0.0) {
            arms.push((*clicks, *shown));
        }
    }
    let mut sizes: Vec<u64> = arms.iter().map(|arms| arms.len() as u64).filter(|size| *size > 1).collect();
    sizes.sort_unstable();
    let Some(median_arms) = sizes.get(sizes.len() / 2).copied().filter(|_| sizes.len() as u64 >= FEWEST)
    else {
        return Ok(None);
    };
    let decided = arms.iter().filter_map(|arms| p_of(arms)).filter(|p| *p < DECIDED_P).count();
    let tests = sizes.len() as u64;
    Ok(Some(TestSeries {
        column: column.name.clone(),
        tests,
        median_arms,
        decided: decided as u64,
        decided_by_chance: DECIDED_P * tests as f64,
    }))
}

/// Chance of arms as different as these; `None` where there is nothing to compare.
fn p_of(arms: &[(f64, f64)]) -> Option<f64> {
    let (clicks, shown) = arms.iter().fold((0.0, 0.0), |sum, arm| (sum.0 + arm.0, sum.1 + arm.1));
    let rate = clicks / shown;
    let variance = rate * (1.0 - rate);
    if arms.len() < 2 || variance.is_nan() || variance <= 0.0 {
        return None;
    }
    let chi_square = arms.iter().map(|arm| (arm.0 / arm.1 - rate).powi(2) * arm.1 / variance).sum();
    Some(significance::p_of_chi_square(chi_square, arms.len() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_that_differ_decide_a_test() {
        // scipy.stats.chi2_contingency([[30, 970], [60, 940]], correction=False): p = 0.001212
        let p = p_of(&[(30.0, 1000.0), (60.0, 1000.0)]).unwrap();
        assert!((p - 0.001_212).abs() < 2e-6, "{p}");
        assert!(p_of(&[(30.0, 1000.0), (31.0, 1000.0), (29.0, 1000.0)]).unwrap() > 0.9);
        assert!(p_of(&[(30.0, 1000.0)]).is_none() && p_of(&[(0.0, 10.0), (0.0, 10.0)]).is_none());
    }
}
