//! How much better does one way to learn do than another, over several seeds and the users of the test rows?
//!
//! Both are asked about the same rows, seed by seed. An interval draws whole groups of rows again (users, ads) and seeds
//! with them: few of either say little, however many rows there are.

use super::bootstrap::{Bags, percentiles};
use super::calibration::bounded;
use super::ranking::{auc_estimate_of_cuts, cuts_of_ranked, rows_by_score};
use super::rates::Estimate;
use crate::base::rng::{Rng, mix};
use serde::Serialize;

/// Samples that intervals come from.
const ROUNDS: usize = 200;

/// AUC and log loss of two ways, the mean over seeds, and how much higher those of the second are. `None` where the rows
/// cannot tell.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Gains {
    /// Seeds.
    pub runs: usize,
    /// AUC of either.
    pub auc: [Option<Estimate>; 2],
    /// Log loss of either, in nats.
    pub log_loss: [Option<Estimate>; 2],
    /// How much higher the AUC of the second is.
    pub auc_gain: Option<Estimate>,
    /// How much higher its log loss is.
    pub loss_gain: Option<Estimate>,
}

/// What one run's scores say, ready to be weighed anew.
struct Side<'a> {
    scores: &'a [f32],
    order: Vec<u32>,
    losses: Vec<f64>,
}

impl<'a> Side<'a> {
    fn of(scores: &'a [f32], labels: &[f32]) -> Self {
        let loss = |(p, y): (&f32, &f32)| {
            let (p, y) = (bounded(f64::from(*p)), f64::from(*y));
            -y * p.ln() - (1.0 - y) * (1.0 - p).ln()
        };
        Self { scores, order: rows_by_score(scores), losses: scores.iter().zip(labels).map(loss).collect() }
    }

    /// AUC and mean log loss; NaN where the rows cannot tell.
    fn numbers(&self, labels: &[f32], weights: &[f32]) -> [f64; 2] {
        let cuts = cuts_of_ranked(&self.order, self.scores, labels, weights);
        let auc = cuts.and_then(|cuts| auc_estimate_of_cuts(&cuts)).map_or(f64::NAN, |auc| auc.value);
        let weight = |row: usize| weights.get(row).map_or(1.0, |weight| f64::from(*weight));
        let total: f64 = (0..self.losses.len()).map(weight).sum();
        let loss = self.losses.iter().enumerate().map(|(row, loss)| weight(row) * loss).sum::<f64>();
        [auc, loss / total]
    }
}

impl Gains {
    /// Weighs `runs` of `[first, second]` scores of the same rows; `weights` may be empty, `groups` names who is drawn
    /// together.
    pub fn of(runs: &[[Vec<f32>; 2]], labels: &[f32], weights: &[f32], groups: &[u32]) -> Self {
        let sides: Vec<[Side<'_>; 2]> =
            runs.iter().map(|run| run.each_ref().map(|scores| Side::of(scores, labels))).collect();
        // AUC and loss of the first, then of the second.
        let numbers = |weights: &[f32], picked: &[usize]| {
            let mut sum = [0.0; 4];
            for run in picked {
                let [first, second] = sides[*run].each_ref().map(|side| side.numbers(labels, weights));
                sum.iter_mut().zip(first.into_iter().chain(second)).for_each(|(sum, number)| *sum += number);
            }
            sum.map(|sum| sum / picked.len() as f64)
        };
        let all: Vec<usize> = (0..sides.len()).collect();
        let whole = numbers(weights, &all);
        let bags = Bags::new(labels.len(), groups);
        let rounds = bags.resample_times(ROUNDS, |times| {
            let key = times.iter().fold(0, |key, times| mix(key ^ u64::from(*times)));
            let mut rng = Rng::named(key, "seeds");
            let picked: Vec<usize> = all.iter().map(|_| rng.below(all.len())).collect();
            let weight = |row: usize| {
                weights.get(row).copied().unwrap_or(1.0) * times[bags.of_row[row] as usize] as f32
            };
            numbers(&(0..labels.len()).map(weight).collect::<Vec<f32>>(), &picked)
        });
        let known = |of: &dyn Fn(&[f64; 4]) -> f64| {
            let value = Some(of(&whole)).filter(|value| value.is_finite())?;
            let drawn = rounds.iter().map(of).filter(|value| value.is_finite()).collect();
            let [low, high] = percentiles(drawn)?;
            Some(Estimate { value, low, high })
        };
        Self {
            runs: runs.len(),
            auc: [known(&|numbers| numbers[0]), known(&|numbers| numbers[2])],
            log_loss: [known(&|numbers| numbers[1]), known(&|numbers| numbers[3])],
            auc_gain: known(&|numbers| numbers[2] - numbers[0]),
            loss_gain: known(&|numbers| numbers[3] - numbers[1]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ranking::auc;

    #[test]
    fn means_over_seeds_are_those_of_each_and_intervals_widen_with_fewer_groups() {
        let mut rng = Rng::named(1, "gains");
        let labels: Vec<f32> = (0..2000).map(|_| f32::from(rng.chance(0.3))).collect();
        let mut noisy = |noise: f64| -> Vec<f32> {
            let mut score = |label: &f32| 0.3 + 0.2 * f64::from(*label) + noise * rng.normal();
            labels.iter().map(|label| score(label).clamp(0.01, 0.99) as f32).collect()
        };
        let runs = [[noisy(0.2), noisy(0.1)], [noisy(0.2), noisy(0.1)]];
        let rows: Vec<u32> = (0..2000).collect();
        let found = Gains::of(&runs, &labels, &[], &rows);
        for side in 0..2 {
            let mean: f64 = runs.iter().map(|run| auc(&run[side], &labels, &[]).unwrap()).sum::<f64>() / 2.0;
            assert!((found.auc[side].unwrap().value - mean).abs() < 1e-12);
        }
        let gain = found.auc_gain.unwrap();
        assert!(gain.low > 0.0 && found.loss_gain.unwrap().high < 0.0, "{found:?}");
        let few: Vec<u32> = rows.iter().map(|row| row / 400).collect();
        let wide = Gains::of(&runs, &labels, &[], &few).auc_gain.unwrap();
        assert!((wide.value - gain.value).abs() < 1e-12);
        // One run against itself gains nothing, whatever is drawn.
        let same = [[runs[0][0].clone(), runs[0][0].clone()]];
        let none = Gains::of(&same, &labels, &[], &rows).auc_gain.unwrap();
        assert_eq!((none.value, none.low, none.high), (0.0, 0.0, 0.0));
        assert_eq!(Gains::of(&same, &[1.0; 2000], &[], &rows).auc_gain, None, "one class tells nothing");
    }
}
