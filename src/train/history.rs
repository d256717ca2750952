//! How is the training going? Curves so far, thinned to what a screen can show.

use super::schedule::Monitor;
use crate::metrics::grouped::GroupedAuc;
use crate::metrics::ranking::auc_estimate_of_cuts;
use crate::metrics::streamed::{EXACT_ROWS, cuts_within};
use crate::metrics::{Estimate, Outcomes, calibration};
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
    /// `[epochs passed, learning rate]`, at the same steps.
    pub rates: Vec<[f64; 2]>,
    /// `[epochs passed, length of the gradient]`, smoothed, before clipping, at the same steps.
    pub gradients: Vec<[f64; 2]>,
    /// One entry per finished epoch.
    pub epochs: Vec<EpochRecord>,
    /// Lengths of each layer's weights and gradient after the last finished epoch.
    pub layers: Vec<LayerNorms>,
    /// Steps between two points of `training`.
    stride: u64,
    /// Running means of training loss and gradient length, and their common weight so far (for an unbiased start).
    smoothed: [f64; 3],
}

/// How large a layer's numbers are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LayerNorms {
    /// The parameter or table.
    pub name: String,
    /// Euclidean length of its weights; of a table, root mean square of a number in it.
    pub weight: f64,
    /// Length of its gradient, root mean square over the epoch's steps, before clipping.
    pub gradient: f64,
}

/// What is known after an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: u32,
    /// Learning rate at its end.
    pub learning_rate: f64,
    /// Smoothed training log loss at its end, of the objective (class weights and smoothing included).
    pub training_loss: f64,
    /// Length of the gradient over all weights, root mean square over its steps, before clipping.
    pub gradient_norm: f64,
    /// Seconds that its steps took.
    pub step_secs: f64,
    /// Seconds that its validation took.
    pub validation_secs: f64,
    /// Numbers on the validation rows.
    pub validation: ValidationNumbers,
}

/// Numbers on the validation rows, with intervals by formula: cheap enough for every epoch. `None` where the rows
/// cannot support the number.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ValidationNumbers {
    /// Rows measured on.
    pub rows: usize,
    /// Mean log loss in nats, with the normal interval of a mean.
    pub loss: Option<Estimate>,
    /// AUC with its DeLong interval.
    pub auc: Option<Estimate>,
    /// AUC within users, with the interval of a ratio of sums over users.
    pub gauc: Option<Estimate>,
    /// Log loss over the entropy of the click rate, which is taken as known.
    pub normalized_entropy: Option<Estimate>,
    /// Predicted clicks over actual clicks.
    pub predicted_over_actual: Option<Estimate>,
}

impl ValidationNumbers {
    /// Measures predictions.
    pub fn of(outcomes: Outcomes<'_>) -> Self {
        let Outcomes { predicted, labels, weights, users } = outcomes;
        let loss = calibration::log_loss_estimate(predicted, labels, weights);
        let entropy = calibration::normalized_entropy(predicted, labels, weights);
        let scaled = |loss: Estimate| {
            let scale = entropy? / loss.value;
            Some(Estimate { value: loss.value * scale, low: loss.low * scale, high: loss.high * scale })
        };
        let ranked = cuts_within(predicted, labels, weights, EXACT_ROWS);
        Self {
            rows: predicted.len(),
            loss,
            auc: ranked.and_then(|(cuts, _)| auc_estimate_of_cuts(&cuts)),
            gauc: GroupedAuc::of(predicted, labels, weights, users).and_then(|users| users.estimate()),
            normalized_entropy: loss.and_then(scaled),
            predicted_over_actual: calibration::predicted_over_actual(predicted, labels, weights),
        }
    }

    /// The number that a training is stopped by.
    pub fn of_monitor(&self, monitor: Monitor) -> Option<f64> {
        let estimate = match monitor {
            Monitor::LogLoss => self.loss,
            Monitor::NormalizedEntropy => self.normalized_entropy,
            Monitor::Auc => self.auc,
            Monitor::Gauc => self.gauc,
        };
        estimate.map(|estimate| estimate.value)
    }
}

impl History {
    /// Takes in one step at `epochs_passed` (2.5 is halfway through the third).
    pub fn record_step(&mut self, step: u64, epochs_passed: f64, taken: StepTaken) {
        let news = [taken.loss, taken.gradient_norm, 1.0];
        for (mean, new) in self.smoothed.iter_mut().zip(news) {
            *mean = SMOOTHING * *mean + (1.0 - SMOOTHING) * new;
        }
        self.stride = self.stride.max(1);
        if step.is_multiple_of(self.stride) {
            self.training.push([epochs_passed, self.training_loss()]);
            self.rates.push([epochs_passed, taken.learning_rate]);
            self.gradients.push([epochs_passed, self.smoothed[1] / self.smoothed[2]]);
        }
        if self.training.len() >= CURVE_POINTS {
            for curve in [&mut self.training, &mut self.rates, &mut self.gradients] {
                let mut place = 0;
                curve.retain(|_| {
                    place += 1;
                    place % 2 == 0
                });
            }
            self.stride *= 2;
        }
    }

    /// The smoothed training loss; NaN before the first step.
    pub fn training_loss(&self) -> f64 {
        self.smoothed[0] / self.smoothed[2]
    }
}

/// What one step says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepTaken {
    /// Mean loss of its batch.
    pub loss: f64,
    /// Length of its gradient over all weights.
    pub gradient_norm: f64,
    /// Its learning rate.
    pub learning_rate: f64,
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
    /// Share of that time which the matrix products would take at this machine's full rate; `None` where they are not
    /// counted.
    pub floor_share: Option<f64>,
    /// Time spent so far, stops left out.
    pub elapsed_secs: f64,
    /// Time that all epochs that are left would take at the speed so far; early stopping may end sooner.
    pub left_secs: f64,
    /// Memory of the whole program in bytes; `None` where the system does not tell.
    pub resident_bytes: Option<u64>,
    /// Processor cores busy for the program since the last snapshot; `None` where the system does not tell.
    pub busy_cores: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smooths_without_a_biased_start_and_stays_small() {
        let mut history = History::default();
        let taken = |loss| StepTaken { loss, gradient_norm: 2.0, learning_rate: 0.1 };
        history.record_step(1, 0.0, taken(0.7));
        assert!((history.training_loss() - 0.7).abs() < 1e-12);
        for step in 2..100_000 {
            history.record_step(step, step as f64 / 1000.0, taken(0.5));
        }
        assert!((history.training_loss() - 0.5).abs() < 1e-9);
        assert!((CURVE_POINTS / 2 - 1..CURVE_POINTS).contains(&history.training.len()));
        assert_eq!(
            (history.rates.len(), history.gradients.len()),
            (history.training.len(), history.training.len())
        );
        assert!(history.gradients.iter().all(|point| (point[1] - 2.0).abs() < 1e-9));
        assert!(history.training.windows(2).all(|pair| pair[0][0] < pair[1][0]));
    }
}
