//! What exactly is minimised? Class weights, fewer non-clicks, smoothed labels, and how scores are put right again.
//!
//! Weighting clicks by `k`, or keeping a share `w` of non-clicks, multiplies the odds that a model learns by `k / w`.
//! Both are undone exactly on the log odds; for `w` alone that is `p / (p + (1 - p) / w)` (He et al., ADKDD 2014,
//! section 6.3).

use crate::base::rng::{keyed_uniform, mix};
use crate::data::{Batch, Dataset};
use serde::{Deserialize, Serialize};

/// Which rows a training sees, and how much each of their outcomes counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// How often a click counts.
    pub positive_weight: f64,
    /// Share of non-clicked rows that an epoch trains on.
    pub keep_negatives: f64,
    /// Share of the way to one half that labels are moved.
    pub label_smoothing: f64,
    /// True where each training draws its own rows.
    #[serde(default)]
    pub resample: bool,
    /// Seed of the draws of rows.
    pub seed: u64,
}

/// Purpose of the draw of rows.
const RESAMPLE: u64 = 0x7265_7361_6D70_6C65;

impl Objective {
    /// The training rows of an epoch in the order of the log: all clicks, and a fresh draw of the non-clicks that
    /// depends on nothing but seed, epoch and row.
    pub fn rows(&self, dataset: &Dataset, epoch: u32) -> Vec<u32> {
        if self.keep_negatives >= 1.0 && !self.resample {
            return dataset.train.to_vec();
        }
        let draw = mix(u64::from(epoch).wrapping_add(0x6E65_6761_7469_7665));
        let kept = |row: &u32| {
            dataset.label[*row as usize] > 0.0
                || keyed_uniform(self.seed, draw, u64::from(*row)) < self.keep_negatives
        };
        let times = |row: &u32| if self.resample { self.times(*row) } else { 1 };
        let drawn = dataset.train.iter().filter(|row| kept(row));
        drawn.flat_map(|row| std::iter::repeat_n(*row, times(row))).collect()
    }

    /// How often a row is drawn when rows are drawn with replacement: Poisson with mean 1, which many draws of one in many
    /// come to (Oza & Russell, AISTATS 2001). The same in every epoch.
    fn times(&self, row: u32) -> usize {
        let mut left = keyed_uniform(self.seed, RESAMPLE, u64::from(row));
        let mut chance = (-1.0_f64).exp();
        let mut times = 0;
        while left >= chance && times < 16 {
            left -= chance;
            times += 1;
            chance /= times as f64;
        }
        times
    }

    /// The rows that a kind counts on. Rows that are counted twice would tell their own outcome, so half of them are drawn
    /// without replacement, which varies as much as all of them drawn with it (Buja & Stuetzle, Statistica Sinica 2006).
    pub fn counted(&self, dataset: &Dataset) -> Dataset {
        let drawn = |row: &u32| keyed_uniform(self.seed, RESAMPLE, u64::from(*row)) < 0.5;
        let rows = if self.resample {
            dataset.train.iter().copied().filter(drawn).collect::<Vec<u32>>().into()
        } else {
            dataset.train.clone()
        };
        Dataset { train: rows, ..dataset.clone() }
    }

    /// Turns a batch's outcomes into what is trained on.
    ///
    /// A row of several impressions cannot be kept in part: its non-clicks count `keep_negatives` as much instead.
    pub fn shape(&self, batch: &mut Batch) {
        let plain = self.positive_weight == 1.0 && self.keep_negatives >= 1.0;
        if !plain {
            if batch.weight.is_empty() {
                batch.weight = vec![1.0; batch.rows];
            }
            for (label, weight) in batch.label.iter_mut().zip(&mut batch.weight) {
                let (y, w) = (f64::from(*label), f64::from(*weight));
                let clicks = w * y * self.positive_weight;
                let kept = if y > 0.0 { self.keep_negatives } else { 1.0 };
                let all = clicks + w * (1.0 - y) * kept;
                *label = if all > 0.0 { (clicks / all) as f32 } else { *label };
                *weight = all as f32;
            }
        }
        if self.label_smoothing > 0.0 {
            let smooth = self.label_smoothing;
            for label in &mut batch.label {
                *label = (f64::from(*label) * (1.0 - smooth) + 0.5 * smooth) as f32;
            }
        }
    }

    /// Log odds to add to every score, so that probabilities are those of the log: `ln(w / k)`.
    pub fn log_odds_shift(&self) -> f64 {
        (self.keep_negatives / self.positive_weight).ln()
    }

    /// A probability of the log for one that was learnt under this objective.
    pub fn recalibrated(&self, learnt: f64) -> f64 {
        learnt / (learnt + (1.0 - learnt) * self.positive_weight / self.keep_negatives)
    }

    /// The click rate that the training sees where the log has `rate`.
    pub fn learnt_rate(&self, rate: f64) -> f64 {
        let clicks = rate * self.positive_weight;
        clicks / (clicks + (1.0 - rate) * self.keep_negatives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objective(positive_weight: f64, keep_negatives: f64, label_smoothing: f64) -> Objective {
        Objective { positive_weight, keep_negatives, label_smoothing, resample: false, seed: 3 }
    }

    #[test]
    fn recalibration_is_the_papers_formula_and_undoes_the_objective() {
        let plain = objective(1.0, 1.0, 0.0);
        assert_eq!((plain.log_odds_shift(), plain.recalibrated(0.3)), (0.0, 0.3));
        let fewer = objective(1.0, 0.025, 0.0);
        for p in [1e-6, 0.03, 0.5, 0.999] {
            // He et al. (2014), section 6.3, with w the sampling rate.
            let paper = p / (p + (1.0 - p) / 0.025);
            assert!((fewer.recalibrated(p) - paper).abs() < 1e-15);
            // The same on the log odds, and back.
            let odds = (p / (1.0 - p)).ln() + fewer.log_odds_shift();
            assert!((fewer.recalibrated(p) - 1.0 / (1.0 + (-odds).exp())).abs() < 1e-12);
            let both = objective(4.0, 0.1, 0.0);
            assert!((both.recalibrated(both.learnt_rate(p)) - p).abs() < 1e-12);
        }
    }

    #[test]
    fn the_weighted_best_constant_recalibrates_to_the_click_rate() {
        // 3 clicks and 97 others: the minimum of the shaped loss over a constant is its weighted mean label.
        let labels: Vec<f32> = (0..100).map(|row| f32::from(row < 3)).collect();
        let objective = objective(5.0, 1.0, 0.0);
        let mut batch = Batch { rows: 100, label: labels, ..Batch::default() };
        objective.shape(&mut batch);
        let (mut clicks, mut all) = (0.0, 0.0);
        for (label, weight) in batch.label.iter().zip(&batch.weight) {
            clicks += f64::from(label * weight);
            all += f64::from(*weight);
        }
        assert!((objective.recalibrated(clicks / all) - 0.03).abs() < 1e-9);
        assert!((objective.learnt_rate(0.03) - clicks / all).abs() < 1e-9);
    }

    #[test]
    fn all_clicks_stay_and_the_share_of_the_rest_is_as_asked_and_new_each_epoch() {
        let label: Vec<f32> = (0..40_000).map(|row| f32::from(row % 10 == 0)).collect();
        let dataset =
            Dataset { rows: 40_000, label: label.into(), train: (0..40_000).collect(), ..Dataset::default() };
        let objective = objective(1.0, 0.1, 0.0);
        let rows = objective.rows(&dataset, 0);
        let clicks = rows.iter().filter(|row| *row % 10 == 0).count();
        let others = rows.len() - clicks;
        assert_eq!(clicks, 4_000);
        // Binomial(36,000, 0.1): 3,600 with deviation 57.
        assert!((others as f64 - 3_600.0).abs() < 4.0 * 57.0, "{others}");
        assert_eq!(rows, objective.rows(&dataset, 0), "a resumed epoch sees the same rows");
        assert_ne!(rows, objective.rows(&dataset, 1));
    }

    #[test]
    fn rows_of_several_impressions_and_smoothing_by_hand() {
        // 10 impressions with 2 clicks, half of the non-clicks: 2 clicks of 6.
        let mut batch = Batch { rows: 1, label: vec![0.2], weight: vec![10.0], ..Batch::default() };
        objective(1.0, 0.5, 0.0).shape(&mut batch);
        assert!((batch.label[0] - 2.0 / 6.0).abs() < 1e-6 && (batch.weight[0] - 6.0).abs() < 1e-6);
        let mut batch = Batch { rows: 2, label: vec![1.0, 0.0], ..Batch::default() };
        objective(1.0, 1.0, 0.1).shape(&mut batch);
        assert_eq!(batch.label, [0.95, 0.05]);
        assert!(batch.weight.is_empty(), "nothing else is touched");
    }
}
