//! How fast should training go now, and when should it stop?

use super::trainer::Happened;
use crate::base::{Failure, Result};
use crate::data::{Dataset, Split};
use crate::metrics::grouped::GroupedAuc;
use serde::{Deserialize, Serialize};

/// How the learning rate falls after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fall {
    /// Along half a cosine from the full rate to none at the last step (Loshchilov & Hutter 2017).
    Cosine,
    /// Along a line to none at the last step.
    Linear,
    /// Never.
    Constant,
    /// To a tenth after each epoch that was no better on the validation rows.
    Plateau,
}

/// The learning rate over a whole training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// What happens after the warm-up.
    pub fall: Fall,
    /// Share of all steps in which the rate rises along a line from nearly nothing to its full size.
    pub warmup: f64,
}

impl Schedule {
    /// The schedule of a word.
    ///
    /// # Errors
    /// An unknown word.
    pub fn named(word: &str, warmup: f64) -> Result<Self> {
        let fall = match word {
            "cosine" => Fall::Cosine,
            "linear" => Fall::Linear,
            "constant" => Fall::Constant,
            "plateau" => Fall::Plateau,
            other => return Err(Failure::new("cannot choose a schedule", format!("there is no '{other}'"))),
        };
        Ok(Self { fall, warmup })
    }

    /// Share of the full rate at step `done` of `total`, after `stalls` epochs that were no better in all.
    ///
    /// The first of `n` warm-up steps goes at `1 / n` of the rate, the last at all of it (Goyal et al. 2017), and
    /// the fall takes the steps that are left.
    pub fn factor(self, done: u64, total: u64, stalls: u32) -> f64 {
        let rising = (self.warmup * total as f64).ceil() as u64;
        if done < rising {
            return (done + 1) as f64 / rising as f64;
        }
        let share = (done - rising) as f64 / total.saturating_sub(rising).max(1) as f64;
        let share = share.min(1.0);
        match self.fall {
            Fall::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * share).cos()),
            Fall::Linear => 1.0 - share,
            Fall::Constant => 1.0,
            Fall::Plateau => 0.1_f64.powi(stalls.min(30) as i32),
        }
    }
}

/// The number on the validation rows by which epochs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// Mean log loss: lower is better.
    #[default]
    LogLoss,
    /// Log loss over the entropy of the click rate: lower is better.
    NormalizedEntropy,
    /// Area under the ROC curve: higher is better.
    Auc,
    /// AUC within users, weighted by impressions: higher is better.
    Gauc,
}

impl Monitor {
    /// Every word with its measure, the default first.
    pub const WORDS: &[&str] = &["log_loss", "normalized_entropy", "auc", "gauc"];

    /// The measure of a word.
    ///
    /// # Errors
    /// An unknown word.
    pub fn named(word: &str) -> Result<Self> {
        match word {
            "log_loss" => Ok(Self::LogLoss),
            "normalized_entropy" => Ok(Self::NormalizedEntropy),
            "auc" => Ok(Self::Auc),
            "gauc" => Ok(Self::Gauc),
            other => Err(Failure::new("cannot choose what to stop by", format!("there is no '{other}'"))),
        }
    }

    /// True when `value` is better than `other`.
    pub fn is_better(self, value: f64, other: f64) -> bool {
        match self {
            Self::LogLoss | Self::NormalizedEntropy => value < other,
            Self::Auc | Self::Gauc => value > other,
        }
    }
}

/// Watches a number on the validation rows.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// Which number.
    pub monitor: Monitor,
    /// The best so far and the epoch (from 1) that reached it.
    pub best: Option<(f64, u32)>,
    /// Epochs since then.
    pub since_best: u32,
    /// Epochs in all that were no better.
    pub stalls: u32,
}

impl EarlyStopping {
    /// Nothing seen yet.
    pub fn new(monitor: Monitor) -> Self {
        Self { monitor, ..Self::default() }
    }

    /// Takes in an epoch's number; true when it is the best so far.
    pub fn record(&mut self, epoch: u32, value: f64) -> bool {
        let better = self.best.is_none_or(|(best, _)| self.monitor.is_better(value, best));
        if better {
            self.best = Some((value, epoch));
            self.since_best = 0;
        } else {
            self.since_best += 1;
            self.stalls += 1;
        }
        better
    }

    /// True when `patience` epochs in a row were no better; never for patience 0.
    pub fn is_over(&self, patience: u32) -> bool {
        patience > 0 && self.since_best >= patience
    }
}

/// Refuses a measure that the validation rows cannot give: better now than after the first epoch.
pub(super) fn check_monitor(dataset: &Dataset, monitor: Monitor) -> Result<()> {
    let rows = dataset.rows_of(Split::Validation);
    if rows.is_empty() || dataset.label.is_empty() || monitor == Monitor::LogLoss {
        return Ok(());
    }
    let happened = Happened::of(dataset, rows);
    let refuse = |why: &str| {
        Err(Failure::new("cannot stop by this measure", why).hint("monitor=log_loss, or a longer log"))
    };
    let clicks = happened.labels.iter().any(|label| *label > 0.0);
    if !clicks || happened.labels.iter().all(|label| *label >= 1.0) {
        return refuse(
            "the validation rows hold one class only, so nothing but log loss can be measured on them",
        );
    }
    if monitor == Monitor::Gauc {
        let scores = vec![0.0; rows.len()];
        let ranked = GroupedAuc::of(&scores, &happened.labels, &happened.weights, &happened.users);
        if ranked.and_then(|users| users.value()).is_none() {
            return refuse(
                "gauc ranks within users, and no user of the validation rows has clicks and non-clicks",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(fall: &str, warmup: f64, done: u64) -> f64 {
        Schedule::named(fall, warmup).unwrap().factor(done, 100, 0)
    }

    #[test]
    fn cosine_and_line_start_full_halve_in_the_middle_and_end_at_zero() {
        for fall in ["cosine", "linear"] {
            assert_eq!(factor(fall, 0.0, 0), 1.0);
            assert!((factor(fall, 0.0, 50) - 0.5).abs() < 1e-12);
            assert!(factor(fall, 0.0, 100).abs() < 1e-12);
        }
        // A quarter of the way: (1 + cos(pi/4)) / 2 and 3/4.
        assert!((factor("cosine", 0.0, 25) - 0.853_553_390_593_273_8).abs() < 1e-12);
        assert!((factor("linear", 0.0, 25) - 0.75).abs() < 1e-12);
    }

    #[test]
    fn the_warm_up_rises_by_equal_steps_and_the_fall_takes_the_rest() {
        for (done, wanted) in [(0, 0.05), (9, 0.5), (19, 1.0), (20, 1.0), (60, 0.5), (100, 0.0)] {
            assert!((factor("linear", 0.2, done) - wanted).abs() < 1e-12, "{done}");
        }
        assert!((factor("constant", 0.1, 4) - 0.5).abs() < 1e-12);
        assert_eq!(factor("constant", 0.1, 99), 1.0);
        assert!(Schedule::named("falling", 0.0).is_err());
    }

    #[test]
    fn plateau_falls_by_ten_per_stall() {
        let plateau = Schedule::named("plateau", 0.0).unwrap();
        assert!((plateau.factor(5, 10, 2) - 0.01).abs() < 1e-15);
    }

    #[test]
    fn stops_after_patience_epochs_without_gain_and_remembers_the_best() {
        let mut watch = EarlyStopping::default();
        let better: Vec<bool> = [0.5, 0.4, 0.45, 0.41]
            .iter()
            .enumerate()
            .map(|(epoch, loss)| watch.record(epoch as u32 + 1, *loss))
            .collect();
        assert_eq!(better, [true, true, false, false]);
        assert_eq!(watch.best, Some((0.4, 2)));
        assert!(watch.is_over(2) && !watch.is_over(3) && !watch.is_over(0));
    }

    #[test]
    fn where_higher_is_better_the_highest_is_kept() {
        let mut watch = EarlyStopping::new(Monitor::named("gauc").unwrap());
        let better = [0.6, 0.7, 0.65].map(|auc| watch.record(1, auc));
        assert_eq!((better, watch.best), ([true, true, false], Some((0.7, 1))));
        for word in Monitor::WORDS {
            assert!(Monitor::named(word).is_ok());
        }
    }
}
