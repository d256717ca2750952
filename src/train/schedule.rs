//! How fast should training go now, and when should it stop?

use crate::base::{Failure, Result};
use serde::{Deserialize, Serialize};

/// How the learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Along half a cosine from the full rate to none at the last step (Loshchilov & Hutter 2017).
    Cosine,
    /// Never.
    Constant,
    /// To a tenth after each epoch whose validation loss was no better.
    Plateau,
}

impl Schedule {
    /// The schedule of a word.
    ///
    /// # Errors
    /// An unknown word.
    pub fn named(word: &str) -> Result<Self> {
        match word {
            "cosine" => Ok(Self::Cosine),
            "constant" => Ok(Self::Constant),
            "plateau" => Ok(Self::Plateau),
            other => Err(Failure::new("cannot choose a schedule", format!("there is no '{other}'"))),
        }
    }

    /// Share of the full rate at step `done` of `total`, after `stalls` epochs without a better loss in all.
    pub fn factor(self, done: u64, total: u64, stalls: u32) -> f64 {
        match self {
            Self::Cosine => {
                let share = done as f64 / total.max(1) as f64;
                0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos())
            }
            Self::Constant => 1.0,
            Self::Plateau => 0.1_f64.powi(stalls.min(30) as i32),
        }
    }
}

/// Watches the validation loss.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// Lowest loss so far and the epoch (from 1) that reached it.
    pub best: Option<(f64, u32)>,
    /// Epochs since then.
    pub since_best: u32,
    /// Epochs in all that brought no better loss.
    pub stalls: u32,
}

impl EarlyStopping {
    /// Takes in an epoch's loss; true when it is the best so far.
    pub fn record(&mut self, epoch: u32, loss: f64) -> bool {
        let better = self.best.is_none_or(|(best, _)| loss < best);
        if better {
            self.best = Some((loss, epoch));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_starts_full_halves_in_the_middle_and_ends_at_zero() {
        let at = |done| Schedule::Cosine.factor(done, 100, 0);
        assert_eq!(at(0), 1.0);
        assert!((at(50) - 0.5).abs() < 1e-12);
        assert!(at(100).abs() < 1e-12);
    }

    #[test]
    fn plateau_falls_by_ten_per_stall() {
        assert!((Schedule::Plateau.factor(5, 10, 2) - 0.01).abs() < 1e-15);
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
}
