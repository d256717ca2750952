//! How do kept scenarios compare? One line a scenario and world, over all its seeds, and what it differs by from the first.
//!
//! With several seeds an interval is Student's over the seeds, which needs no assumption about a run; with one it is that
//! run's own. Two scenarios are compared on the seeds that both were run with: with two or more the differences of pairs
//! have Student's interval; with one, the two runs' own errors are added as if their luck were not common, which is wider
//! than it need be.

use super::kept::Kept;
use super::outcome::Totals;
use crate::metrics::Estimate;
use crate::metrics::ratio::student_95;
use serde::Serialize;

/// One world of one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The scenario's name.
    pub scenario: String,
    /// `baseline` or `what-if`.
    pub world: &'static str,
    /// Seeds that it was run with.
    pub seeds: Vec<u64>,
    /// Impressions of a run, on average.
    pub impressions: f64,
    /// Clicks of a run, on average.
    pub clicks: f64,
    /// Clicks per impression.
    pub ctr: Estimate,
    /// Revenue per thousand requests.
    pub revenue_per_mille: Estimate,
    /// Against the first line; absent for itself and where no seed is common.
    pub against_first: Option<Against>,
}

/// A line minus the first one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Against {
    /// Seeds that both were run with.
    pub seeds: usize,
    /// Clicks per impression.
    pub ctr: Estimate,
    /// Revenue per thousand requests.
    pub revenue_per_mille: Estimate,
}

/// The figures of one seed.
type Seen<'a> = (u64, &'a Totals);

/// All worlds of some scenarios, in order. One without runs has no lines.
pub fn compare(scenarios: &[&Kept]) -> Vec<Line> {
    let mut first: Option<Vec<Seen<'_>>> = None;
    let mut lines = Vec::new();
    for kept in scenarios {
        for world in ["baseline", "what-if"] {
            let of_world = |run| super::kept::KeptRun::worlds(run).find(|(name, _)| *name == world);
            let seen: Vec<Seen<'_>> =
                kept.runs.iter().filter_map(|run| Some((run.seed, of_world(run)?.1))).collect();
            if seen.is_empty() {
                continue;
            }
            let against_first = first.as_ref().and_then(|first| against(first, &seen));
            lines.push(Line {
                scenario: kept.name.clone(),
                world,
                seeds: seen.iter().map(|(seed, _)| *seed).collect(),
                impressions: mean(seen.iter().map(|(_, totals)| totals.impressions as f64)),
                clicks: mean(seen.iter().map(|(_, totals)| totals.clicks as f64)),
                ctr: over_seeds(&seen, ctr),
                revenue_per_mille: over_seeds(&seen, revenue),
                against_first,
            });
            first.get_or_insert(seen);
        }
    }
    lines
}

fn ctr(totals: &Totals) -> Estimate {
    totals.ctr.estimate()
}

fn revenue(totals: &Totals) -> Estimate {
    totals.revenue_per_mille
}

fn mean(numbers: impl Iterator<Item = f64> + Clone) -> f64 {
    numbers.clone().sum::<f64>() / (numbers.count() as f64).max(1.0)
}

fn over_seeds(seen: &[Seen<'_>], of: fn(&Totals) -> Estimate) -> Estimate {
    match seen {
        [(_, only)] => of(only),
        _ => student(&seen.iter().map(|(_, totals)| of(totals).value).collect::<Vec<f64>>()),
    }
}

/// The mean of two numbers or more with Student's 95 % interval.
pub fn student(numbers: &[f64]) -> Estimate {
    let n = numbers.len() as f64;
    let value = numbers.iter().sum::<f64>() / n;
    let variance = numbers.iter().map(|number| (number - value).powi(2)).sum::<f64>() / (n - 1.0);
    let half = student_95(n - 1.0) * (variance / n).sqrt();
    Estimate { value, low: value - half, high: value + half }
}

fn against(first: &[Seen<'_>], other: &[Seen<'_>]) -> Option<Against> {
    let pairs: Vec<(&Totals, &Totals)> = (other.iter())
        .filter_map(|(seed, totals)| {
            let (_, before) = first.iter().find(|(known, _)| known == seed)?;
            Some((*before, *totals))
        })
        .collect();
    let difference = |of: fn(&Totals) -> Estimate| match pairs.as_slice() {
        [(before, after)] => {
            let (before, after) = (of(before), of(after));
            let error = before.standard_error().hypot(after.standard_error());
            Estimate::normal(after.value - before.value, error)
        }
        pairs => student(
            &pairs.iter().map(|(before, after)| of(after).value - of(before).value).collect::<Vec<_>>(),
        ),
    };
    (!pairs.is_empty()).then(|| Against {
        seeds: pairs.len(),
        ctr: difference(ctr),
        revenue_per_mille: difference(revenue),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::kept::{FORMAT, KeptRun};
    use crate::market::spec::{MarketSpec, ModelSource};
    use crate::metrics::Rate;

    fn kept(name: &str, revenues: &[(u64, f64)]) -> Kept {
        let run = |(seed, revenue): &(u64, f64)| KeptRun {
            seed: *seed,
            requests: 100,
            clicks_from: String::new(),
            baseline: Totals {
                impressions: 100,
                clicks: 10,
                ctr: Rate::wilson(10.0, 100.0),
                revenue_per_mille: Estimate::normal(*revenue, 1.0),
                ..Totals::default()
            },
            what_if: None,
            difference: None,
        };
        Kept {
            format: FORMAT,
            software: String::new(),
            name: name.into(),
            spec: MarketSpec::new("log.csv".into(), ModelSource::Folder("model".into())),
            prints: Vec::new(),
            runs: revenues.iter().map(run).collect(),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn several_seeds_have_students_interval_and_pairs_their_difference() {
        // 10, 12, 14: mean 12, standard deviation 2; t for two degrees of freedom is 4.303.
        let (a, b) =
            (kept("a", &[(1, 10.0), (2, 12.0), (3, 14.0)]), kept("b", &[(2, 13.0), (3, 15.0), (9, 50.0)]));
        let lines = compare(&[&a, &b]);
        let [a, b] = lines.as_slice() else { panic!("{lines:?}") };
        assert!((a.revenue_per_mille.value - 12.0).abs() < 1e-12 && a.against_first.is_none());
        let half = 4.302_65 * 2.0 / 3f64.sqrt();
        assert!((a.revenue_per_mille.high - 12.0 - half).abs() < 5e-3, "{a:?}");
        // The common seeds are 2 and 3, and on each b earns 1 more: no luck is left.
        let against = b.against_first.unwrap();
        assert_eq!((against.seeds, against.revenue_per_mille.value), (2, 1.0));
        assert_eq!(against.revenue_per_mille.low, against.revenue_per_mille.high);
    }

    #[test]
    fn one_common_seed_adds_both_errors_and_none_says_nothing() {
        let (a, b, c) = (kept("a", &[(1, 10.0)]), kept("b", &[(1, 12.0)]), kept("c", &[(5, 12.0)]));
        let lines = compare(&[&a, &b, &c, &kept("never run", &[])]);
        assert_eq!(lines.len(), 3);
        let against = lines[1].against_first.unwrap().revenue_per_mille;
        assert!((against.standard_error() - 2f64.sqrt()).abs() < 1e-9 && against.value == 2.0);
        assert!(lines[2].against_first.is_none());
    }
}
