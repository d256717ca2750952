//! How much would a number move on another sample of the same users? Seeded resampling of bags of rows.
//!
//! Rows of one user are no independent observations, so whole users are drawn again, or rows where there are no
//! users. With very many of them, users are put at random into [`BAGS`] bags and the bags are drawn: the variance
//! is estimated without bias all the same (the method of random groups, Wolter 2007, chapter 2), to
//! `sqrt(2 / BAGS)` of itself.

use crate::base::rng::{Rng, mix};
use rayon::prelude::*;

/// Bags at most.
pub const BAGS: usize = 20_000;
/// Samples drawn.
pub const ROUNDS: usize = 400;

/// Which rows are drawn together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bags {
    /// Bag of each row.
    pub of_row: Vec<u32>,
    /// How many there are.
    pub count: usize,
}

impl Bags {
    /// Bags of `rows` rows: by user where `users` has an entry per row, by row otherwise and for rows of nobody.
    pub fn new(rows: usize, users: &[u32]) -> Self {
        let by_user = users.len() == rows;
        let unit = |row: usize| match users.get(row) {
            Some(user) if by_user && *user != super::grouped::NO_GROUP => u64::from(*user),
            _ => 1 << 32 | row as u64,
        };
        let mut units: Vec<u64> = (0..rows).into_par_iter().map(unit).collect();
        let mut distinct = units.clone();
        distinct.par_sort_unstable();
        distinct.dedup();
        if distinct.len() > BAGS {
            let of_row = units.into_par_iter().map(|unit| (mix(unit) % BAGS as u64) as u32).collect();
            return Self { of_row, count: BAGS };
        }
        let place = |unit: &mut u64| distinct.binary_search(unit).unwrap_or_default() as u32;
        Self { of_row: units.par_iter_mut().map(place).collect(), count: distinct.len() }
    }

    /// Draws [`ROUNDS`] samples and answers for each: `answer` gets how often each bag was drawn. The same bags give
    /// the same samples, so answers about two models pair up.
    pub fn resample<T: Send>(&self, answer: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
        self.resample_times(ROUNDS, answer)
    }

    /// The same with another number of samples.
    pub fn resample_times<T: Send>(&self, rounds: usize, answer: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
        (0..rounds)
            .into_par_iter()
            .map(|round| {
                let mut rng = Rng::named(round as u64, "bootstrap");
                let mut times = vec![0; self.count];
                for _ in 0..self.count {
                    times[rng.below(self.count)] += 1;
                }
                answer(&times)
            })
            .collect()
    }
}

/// The middle 95 % of resampled values (Efron & Tibshirani 1993, chapter 13). `None` unless all are numbers.
pub fn percentiles(mut values: Vec<f64>) -> Option<[f64; 2]> {
    if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        // Linear between order statistics, as numpy's default.
        let place = share * (values.len() - 1) as f64;
        let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
        below + (above - below) * place.fract()
    };
    Some([at(0.025), at(0.975)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_stay_together_and_nobody_stands_alone() {
        let nobody = super::super::grouped::NO_GROUP;
        let bags = Bags::new(5, &[9, 4, 9, nobody, nobody]);
        assert_eq!(bags.count, 4);
        assert_eq!(bags.of_row[0], bags.of_row[2]);
        assert_ne!(bags.of_row[3], bags.of_row[4]);
        assert_eq!(Bags::new(3, &[]).count, 3);
        let many: Vec<u32> = (0..100_000).map(|row| row / 2).collect();
        let bags = Bags::new(100_000, &many);
        assert_eq!(bags.count, BAGS);
        assert!(bags.of_row.chunks(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_the_normal_law() {
        // 2,000 rows of 0 and 1 with rate 0.2: standard error sqrt(0.2 * 0.8 / 2000) = 0.00894.
        let bags = Bags::new(2_000, &[]);
        let mean = |times: &[u32]| {
            let ones: u32 = times.iter().step_by(5).sum();
            f64::from(ones) / 2_000.0
        };
        let [low, high] = percentiles(bags.resample(mean)).unwrap();
        let error = (high - low) / (2.0 * 1.959_964);
        // 400 rounds know the spread to some 6 %.
        assert!((error / 0.008_944 - 1.0).abs() < 0.2, "{error}");
        assert!((0.5 * (low + high) - 0.2).abs() < 0.003);
        assert_eq!(bags.resample(mean), bags.resample(mean), "the same samples every time");
    }

    #[test]
    fn rows_of_one_user_are_no_new_evidence() {
        // 200 users with 10 equal rows each: the interval is that of 200 observations.
        let users: Vec<u32> = (0..2_000).map(|row| row / 10).collect();
        let bags = Bags::new(2_000, &users);
        let mean = |times: &[u32]| f64::from(times.iter().step_by(5).sum::<u32>()) / 200.0;
        let [low, high] = percentiles(bags.resample(mean)).unwrap();
        let error = (high - low) / (2.0 * 1.959_964);
        assert!((error / 0.028_28 - 1.0).abs() < 0.2, "{error}");
    }

    #[test]
    fn percentiles_are_numpys() {
        // numpy.percentile(range(11), [2.5, 97.5]) = [0.25, 9.75]
        assert_eq!(percentiles((0..11).map(f64::from).collect()), Some([0.25, 9.75]));
        assert_eq!(percentiles(vec![1.0, f64::NAN]), None);
    }
}
