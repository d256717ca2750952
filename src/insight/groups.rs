//! What sets some points of a map apart from the others?
//!
//! For every value of every other field and every word of their texts: how much more often do the group's points have it? Told as a log odds ratio
//! with an interval that holds for all questions asked together (Bonferroni). The points are the units, not the rows of
//! the log: a thousand impressions of one ad say one thing about ads.

use super::sources::NOBODY;
use super::values::Values;
use crate::base::Result;
use crate::data::Dataset;
use crate::data::batch::FIRST_VALUE_ID;
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use crate::metrics::ab_test::normal_quantile;
use rayon::prelude::*;

/// A value that a group's points have more or less often than the others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Feature {
    /// The field; [`WORD`] for a word of their texts.
    pub field: String,
    /// The value.
    pub value: String,
    /// Log of the odds in the group over the odds outside, with its interval at 95 % for all questions together.
    pub log_odds: Estimate,
    /// Share of the group's points (of their impressions, where these differ).
    pub inside: f64,
    /// Share of the other points.
    pub outside: f64,
}

/// What stands for the field where a word of the texts sets points apart.
pub const WORD: &str = "word";
/// Fields with more values than this tell nothing of groups.
pub(super) const MOST_VALUES: usize = 5_000;
/// Values told of a group at most, and words.
const TOLD: usize = 12;
/// All questions together are wrong about one of them with this probability.
const LEVEL: f64 = 0.05;

/// What sets each of `groups` groups apart; `group_of` names the group of each point, anything else is in none. The
/// features of a group are those whose interval excludes 0, the surest first.
///
/// # Errors
/// A cancel.
pub fn describe(
    values: &Values,
    dataset: &Dataset,
    group_of: &[u32],
    groups: usize,
    context: &JobContext,
) -> Result<Vec<Vec<Feature>>> {
    let of_rows = &values.of_rows;
    if of_rows.len() != dataset.rows {
        return Ok(vec![Vec::new(); groups]);
    }
    context.stage("what sets the groups apart");
    // Group of each table row, `groups` for those in none and NOBODY for those not drawn.
    let mut of_id = vec![NOBODY; values.table.names.len()];
    let mut members = vec![0usize; groups + 1];
    for (point, &id) in values.ids.iter().enumerate() {
        let group = group_of.get(point).copied().map_or(groups, |group| (group as usize).min(groups));
        of_id[id as usize] = group as u32;
        members[group] += 1;
    }
    let known = || of_rows.iter().enumerate().filter(|(_, id)| **id != NOBODY);
    let mut rows = vec![0u32; of_id.len()];
    known().for_each(|(_, id)| rows[*id as usize] += 1);
    let own = values.source.column();
    let fields: Vec<usize> = (0..dataset.encoder.categorical.len())
        .filter(|field| {
            let field = &dataset.encoder.categorical[*field];
            Some(field.name.as_str()) != own && field.cardinality() <= MOST_VALUES
        })
        .collect();
    // shares[field][group][value]: sum over the group's points of their share of rows with the value.
    let shares: Vec<Vec<Vec<f64>>> = fields
        .par_iter()
        .map(|field| {
            let size = dataset.encoder.categorical[*field].cardinality();
            let mut shares = vec![vec![0.0; size]; groups + 1];
            if context.is_cancelled() {
                return shares;
            }
            if let Some(codes) = dataset.categorical.get(*field) {
                for (row, &id) in known() {
                    if let Some(shares) = shares.get_mut(of_id[id as usize] as usize) {
                        shares[codes[row] as usize] += 1.0 / f64::from(rows[id as usize]);
                    }
                }
            }
            shares
        })
        .collect();
    context.check()?;
    let words = words_of(values, group_of, groups);
    let values_asked: usize =
        fields.iter().map(|field| dataset.encoder.categorical[*field].cardinality()).sum::<usize>();
    let questions = (values_asked + values.words.words.len()) * groups;
    let z = normal_quantile(1.0 - LEVEL / (2.0 * questions.max(1) as f64));
    let judge = Judge { z, members: &members };
    Ok((0..groups)
        .map(|group| {
            let mut found: Vec<Feature> = Vec::new();
            for (field, shares) in fields.iter().zip(&shares) {
                let known = &dataset.encoder.categorical[*field];
                let told = (FIRST_VALUE_ID as usize..shares[group].len())
                    .filter_map(|code| judge.told(shares, group, code))
                    .map(|(code, feature)| Feature {
                        field: known.name.clone(),
                        value: known.name_of(code as u32),
                        ..feature
                    });
                found.extend(told);
            }
            let told = (0..values.words.words.len()).filter_map(|code| judge.told(&words, group, code)).map(
                |(code, feature)| Feature {
                    field: WORD.to_owned(),
                    value: values.words.words[code].clone(),
                    ..feature
                },
            );
            found.extend(told);
            let sure = |feature: &Feature| feature.log_odds.low.max(-feature.log_odds.high);
            found.sort_by(|a, b| sure(b).total_cmp(&sure(a)));
            // A text has many words: they must not crowd the columns out.
            let (mut words, mut others) = (0, 0);
            found.retain(|feature| {
                let count = if feature.field == WORD { &mut words } else { &mut others };
                *count += 1;
                *count <= TOLD
            });
            found
        })
        .collect())
}

/// Points of each group (the last: of none) whose texts hold each word.
fn words_of(values: &Values, group_of: &[u32], groups: usize) -> Vec<Vec<f64>> {
    let mut counts = vec![vec![0.0; values.words.words.len()]; groups + 1];
    for point in 0..values.len() {
        let group = group_of.get(point).map_or(groups, |group| (*group as usize).min(groups));
        values.words.of(point).iter().for_each(|word| counts[group][*word as usize] += 1.0);
    }
    counts
}

struct Judge<'a> {
    z: f64,
    /// Points of each group; the last: of none.
    members: &'a [usize],
}

impl Judge<'_> {
    /// A value's place and its odds, where the interval excludes 0. `shares` is `[group][value]`.
    fn told(&self, shares: &[Vec<f64>], group: usize, code: usize) -> Option<(usize, Feature)> {
        let all = self.members.iter().sum::<usize>() as f64;
        let own = self.members[group] as f64;
        let inside = shares[group][code];
        let whole: f64 = shares.iter().map(|shares| shares[code]).sum();
        let counts = (own, all - own);
        let log_odds = log_odds((inside, counts.0), (whole - inside, counts.1), self.z);
        (log_odds.low > 0.0 || log_odds.high < 0.0).then(|| {
            let shares = (inside / counts.0.max(1.0), (whole - inside) / counts.1.max(1.0));
            (code, Feature { log_odds, inside: shares.0, outside: shares.1, ..Feature::default() })
        })
    }
}

/// Log odds ratio of two shares of points with half a point added to each cell (Haldane 1956; Anscombe 1956), and
/// `z` of Woolf's standard errors (1955) to either side. Shares between 0 and 1 of single points vary less than that.
pub(super) fn log_odds(inside: (f64, f64), outside: (f64, f64), z: f64) -> Estimate {
    let cells = [inside.0, inside.1 - inside.0, outside.0, outside.1 - outside.0].map(|n| n.max(0.0) + 0.5);
    let value = (cells[0] * cells[3] / (cells[1] * cells[2])).ln();
    let half = z * cells.iter().map(|n| 1.0 / n).sum::<f64>().sqrt();
    Estimate { value, low: value - half, high: value + half }
}

#[cfg(test)]
mod tests {
    use super::super::point_words::PointWords;
    use super::super::values::tests::{dataset, table, values};
    use super::*;
    use crate::base::rng::Rng;
    use crate::maps::Metric;

    #[test]
    fn the_interval_covers_planted_odds_at_its_level() {
        // 80 points inside with probability 0.4, 300 outside with 0.15.
        let truth = (0.4f64 / 0.6).ln() - (0.15f64 / 0.85).ln();
        let mut rng = Rng::named(8, "log odds cover");
        for (level, z) in [(0.95, normal_quantile(0.975)), (0.999, normal_quantile(0.9995))] {
            let rounds = 4_000;
            let covered = (0..rounds)
                .filter(|_| {
                    let mut count = |n: usize, p: f64| (0..n).filter(|_| rng.chance(p)).count() as f64;
                    let (inside, outside) = (count(80, 0.4), count(300, 0.15));
                    !log_odds((inside, 80.0), (outside, 300.0), z).excludes(truth)
                })
                .count() as f64
                / f64::from(rounds);
            // The share of 4,000 rounds varies by 0.34 points at 95 %.
            assert!(covered > level - 0.011, "{covered} of {level}");
        }
    }

    #[test]
    fn the_odds_are_those_of_the_table_with_a_half_in_each_cell() {
        // 7 of 10 against 4 of 20: ln((7.5 x 16.5) / (3.5 x 4.5)); Woolf's variance 1/7.5 + 1/3.5 + 1/4.5 + 1/16.5.
        let found = log_odds((7.0, 10.0), (4.0, 20.0), 1.96);
        assert!((found.value - (7.5f64 * 16.5 / (3.5 * 4.5)).ln()).abs() < 1e-12);
        let half = 1.96 * (1.0 / 7.5 + 1.0 / 3.5 + 1.0 / 4.5 + 1.0 / 16.5f64).sqrt();
        assert!((found.high - found.value - half).abs() < 1e-12);
    }

    #[test]
    fn nothing_and_everything_are_set_apart_by_nothing() {
        let context = JobContext::detached();
        let values = values(table(), Metric::Cosine).unwrap();
        for group in [[0; 3], [u32::MAX; 3]] {
            let told = describe(&values, &dataset(), &group, 1, &context).unwrap();
            assert_eq!(told, [Vec::new()]);
        }
    }

    #[test]
    fn a_word_that_only_the_group_has_sets_it_apart() {
        let context = JobContext::detached();
        let mut values = values(table(), Metric::Cosine).unwrap();
        // 60 points, of which the first 20 have the word.
        values.ids = vec![2; 60];
        let starts = (0..=60u32).map(|point| point.min(20)).collect();
        values.words = PointWords { words: vec!["跑鞋".into()], starts, codes: vec![0; 20] };
        let group: Vec<u32> = (0..60).map(|point| if point < 20 { 0 } else { u32::MAX }).collect();
        let told = describe(&values, &dataset(), &group, 1, &context).unwrap();
        let word = told[0].iter().find(|feature| feature.field == WORD).unwrap();
        assert_eq!((word.value.as_str(), word.inside, word.outside), ("跑鞋", 1.0, 0.0));
        // ln((20.5 x 40.5) / (0.5 x 0.5)).
        assert!((word.log_odds.value - (20.5f64 * 40.5 / 0.25).ln()).abs() < 1e-9);
    }
}
