//! Two scores of the same rows: how much do they differ, where are both right, which users gain?

use super::ab_test::ratio_variance;
use super::rates::Estimate;
use super::significance::p_of_chi_square;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Mean of a number of each row, weighed, with the interval that rows of the same user, being no independent
/// observations, allow (Deng, Knoblich & Lu 2018, section 3.1). `users` is empty where rows stand for themselves.
/// `None` with fewer than two users.
pub fn mean_over_users(numbers: &[f64], weights: &[f32], users: &[u32]) -> Option<Estimate> {
    let sums = by_user(numbers, weights, users);
    let (sum, total) = sums.iter().fold((0.0, 0.0), |(s, t), (_, (sum, weight))| (s + sum, t + weight));
    let variance = ratio_variance(sums.iter().map(|(_, sums)| *sums))?;
    Some(Estimate::normal(sum / total, variance.sqrt()))
}

/// Sum of weighed numbers and of weights by user, in the order in which users come.
fn by_user(numbers: &[f64], weights: &[f32], users: &[u32]) -> Vec<(u32, (f64, f64))> {
    let mut places: HashMap<u32, usize> = HashMap::new();
    let mut sums: Vec<(u32, (f64, f64))> = Vec::new();
    for (row, number) in numbers.iter().enumerate() {
        let weight = weights.get(row).map_or(1.0, |weight| f64::from(*weight));
        let user = users.get(row).copied().unwrap_or(row as u32);
        let place = *places.entry(user).or_insert(sums.len());
        if place == sums.len() {
            sums.push((user, (0.0, 0.0)));
        }
        let (sum, total) = &mut sums[place].1;
        *sum += weight * number;
        *total += weight;
    }
    sums
}

/// On how many rows is one model right and the other wrong (McNemar 1947)?
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Rows on which both are right.
    pub both: u64,
    /// Rows on which only the first is right.
    pub only_first: u64,
    /// Rows on which only the second is right.
    pub only_second: u64,
    /// Rows on which both are wrong.
    pub neither: u64,
    /// Two-sided chance of a split of the rows on which they disagree as uneven as this, were both as often right.
    pub p: f64,
    /// True where `p` is that of the binomial, else that of the chi-square.
    pub exact: bool,
}

/// Up to so many disagreements the binomial is summed.
const EXACT: u64 = 10_000;

impl McNemar {
    /// Counts who is right when scores of at least its threshold say click; the first's, then the second's.
    pub fn of(scores: [&[f32]; 2], thresholds: [f64; 2], labels: &[f32]) -> Self {
        let mut counts = [0_u64; 4];
        for (row, label) in labels.iter().enumerate() {
            let right = |model: usize| {
                let says = scores[model].get(row).is_some_and(|p| f64::from(*p) >= thresholds[model]);
                says == (*label > 0.0)
            };
            counts[2 * usize::from(!right(0)) + usize::from(!right(1))] += 1;
        }
        let [both, only_first, only_second, neither] = counts;
        let p = Self::p_of(only_first, only_second);
        Self { both, only_first, only_second, neither, p, exact: only_first + only_second <= EXACT }
    }

    fn p_of(first: u64, second: u64) -> f64 {
        let n = first + second;
        if n > EXACT {
            let gap = first.abs_diff(second) as f64 - 1.0;
            return p_of_chi_square(gap.max(0.0).powi(2) / n as f64, 1);
        }
        // The sum of the smaller side's tail of the binomial with chance 1/2, its terms by their logarithms.
        let mut term = -(n as f64) * std::f64::consts::LN_2;
        let mut tail = term.exp();
        for k in 1..=first.min(second) {
            term += ((n - k + 1) as f64).ln() - (k as f64).ln();
            tail += term.exp();
        }
        (2.0 * tail).min(1.0)
    }
}

/// Which users does another score serve better?
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct UserGains {
    /// Users with rows.
    pub users: usize,
    /// Users whose rows the second model predicts better: their log loss is lower.
    pub gain: usize,
    /// Users whose rows it predicts worse.
    pub lose: usize,
    /// Two-sided p of the sign test: are there more of the one than of the other?
    pub p: f64,
    /// Those who gain most over all their rows, most first.
    pub winners: Vec<UserGain>,
    /// Those who lose most.
    pub losers: Vec<UserGain>,
}

/// What another score changes for one user.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UserGain {
    /// Place of the user in the log.
    pub user: u32,
    /// Impressions.
    pub impressions: f64,
    /// Log loss that the second model saves over all of them, in nats.
    pub saved: f64,
}

impl UserGains {
    /// From the log loss of each row that the second model saves; at most `most` winners and losers are named.
    pub fn of(saved: &[f64], weights: &[f32], users: &[u32], most: usize) -> Self {
        let mut gains: Vec<UserGain> = by_user(saved, weights, users)
            .into_iter()
            .map(|(user, (saved, impressions))| UserGain { user, impressions, saved })
            .collect();
        gains.sort_by(|a, b| b.saved.total_cmp(&a.saved).then(a.user.cmp(&b.user)));
        let gain = gains.iter().filter(|gain| gain.saved > 0.0).count();
        let lose = gains.iter().filter(|gain| gain.saved < 0.0).count();
        let winners = gains.iter().take(most.min(gain)).copied().collect();
        let losers = gains.iter().rev().take(most.min(lose)).copied().collect();
        let p = McNemar::p_of(gain as u64, lose as u64);
        Self { users: gains.len(), gain, lose, p, winners, losers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cluster-robust standard error of an intercept: statsmodels 0.15.0, `OLS(...).fit(cov_type="cluster")`.
    #[test]
    fn means_over_users_have_the_error_of_clusters() {
        let numbers = [1.0, 2.0, 3.0, 4.0, 0.0, 5.0];
        let users = [7, 7, 9, 9, 4, 4];
        let mean = mean_over_users(&numbers, &[], &users).unwrap();
        assert!((mean.value - 2.5).abs() < 1e-12);
        assert!((mean.standard_error() - 0.577_350_27).abs() < 1e-8, "{}", mean.standard_error());
        assert!(mean_over_users(&numbers, &[], &[1; 6]).is_none());
        let apart = mean_over_users(&numbers, &[], &[]).unwrap();
        let variance: f64 = numbers.iter().map(|v| (v - 2.5_f64).powi(2)).sum::<f64>() / 5.0 / 6.0;
        assert!((apart.standard_error() - variance.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn mcnemar_by_hand() {
        // Labels 1 1 0 0; the first says 1 0 0 1, the second 1 1 1 1.
        let scores: [&[f32]; 2] = [&[0.9, 0.1, 0.2, 0.8], &[0.9, 0.9, 0.9, 0.9]];
        let found = McNemar::of(scores, [0.5, 0.5], &[1.0, 1.0, 0.0, 0.0]);
        assert_eq!((found.both, found.only_first, found.only_second, found.neither), (1, 1, 1, 1));
        assert!((found.p - 1.0).abs() < 1e-12 && found.exact);
    }

    /// statsmodels 0.15.0, `mcnemar(table, exact=True)`.
    #[test]
    fn mcnemar_matches_statsmodels() {
        for (first, second, p) in [
            (150, 86, 3.715_936_139_571_386_6e-5),
            (11, 1, 0.006_347_656_25),
            (121, 59, 4.434_449_263_755_164_5e-6),
        ] {
            assert!((McNemar::p_of(first, second) / p - 1.0).abs() < 1e-9, "{first} {second}");
        }
        // By chi-square from many disagreements on, which the binomial comes near to.
        let (many, few) = (McNemar::p_of(5_200, 4_900), McNemar::p_of(5_148, 4_852));
        assert!((many / few - 1.0).abs() < 0.1 && many > 1e-3, "{many} {few}");
    }

    #[test]
    fn users_are_counted_once_each() {
        let saved = [0.5, -0.1, 0.2, -1.0, 0.0];
        let gains = UserGains::of(&saved, &[1.0, 1.0, 2.0, 1.0, 1.0], &[0, 0, 1, 2, 3], 5);
        assert_eq!((gains.users, gains.gain, gains.lose), (4, 2, 1));
        let winners: Vec<u32> = gains.winners.iter().map(|gain| gain.user).collect();
        assert_eq!((winners, gains.losers[0].user), (vec![0, 1], 2));
        assert!((gains.winners[1].saved - 0.4).abs() < 1e-7 && gains.winners[1].impressions == 2.0);
        // Two against one: 2 (1 + 3) / 8 is 1.
        assert_eq!(gains.p, 1.0);
    }
}
