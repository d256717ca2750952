//! How is the training going? Curves so far, thinned to what a screen can show.

use serde::{Deserialize, Serialize};

/// Points of the training curve kept at most; when full, every second one is dropped.
const CURVE_POINTS: usize = 400;
/// Weight of the past in the smoothed loss after each step.
const SMOOTHING: f64 = 0.95;

/// The curves of one training.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    /// `[epochs passed, smoothed training log loss]`, by step.
    pub training: Vec<[f64; 2]>,
    /// One entry per finished epoch.
    pub epochs: Vec<EpochRecord>,
    /// Steps between two points of `training`.
    stride: u64,
    /// Running mean of the training loss and its weight so far (for an unbiased start).
    smoothed: (f64, f64),
}

/// What is known after an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: u32,
    /// Log loss on the validation rows.
    pub validation_loss: f64,
    /// AUC on the validation rows; `None` where they hold one class only.
    pub validation_auc: Option<f64>,
    /// Learning rate at its end.
    pub learning_rate: f64,
}

impl History {
    /// Takes in one step's loss at `epochs_passed` (2.5 is halfway through the third).
    pub fn record_step(&mut self, step: u64, epochs_passed: f64, loss: f64) {
        let (sum, weight) = self.smoothed;
        self.smoothed = (SMOOTHING * sum + (1.0 - SMOOTHING) * loss, SMOOTHING * weight + (1.0 - SMOOTHING));
        self.stride = self.stride.max(1);
        if step.is_multiple_of(self.stride) {
            self.training.push([epochs_passed, self.training_loss()]);
        }
        if self.training.len() >= CURVE_POINTS {
            let mut place = 0;
            self.training.retain(|_| {
                place += 1;
                place % 2 == 0
            });
            self.stride *= 2;
        }
    }

    /// The smoothed training loss; NaN before the first step.
    pub fn training_loss(&self) -> f64 {
        self.smoothed.0 / self.smoothed.1
    }
}

/// A training while it runs, for the window. A new one is published at most every 100 ms.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainSnapshot {
    /// Id of the model kind.
    pub kind: String,
    /// Where it runs.
    pub device: String,
    /// Curves so far.
    pub history: History,
    /// Epochs passed, with the fraction of the present one.
    pub epochs_passed: f64,
    /// Epochs at most.
    pub epochs: u32,
    /// Training examples per second so far.
    pub examples_per_second: f64,
    /// Time spent so far, stops left out.
    pub elapsed_secs: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smooths_without_a_biased_start_and_stays_small() {
        let mut history = History::default();
        history.record_step(1, 0.0, 0.7);
        assert!((history.training_loss() - 0.7).abs() < 1e-12);
        for step in 2..100_000 {
            history.record_step(step, step as f64 / 1000.0, 0.5);
        }
        assert!((history.training_loss() - 0.5).abs() < 1e-9);
        assert!((CURVE_POINTS / 2 - 1..CURVE_POINTS).contains(&history.training.len()));
        assert!(history.training.windows(2).all(|pair| pair[0][0] < pair[1][0]));
    }
}
