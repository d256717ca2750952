//! What happens if everything above a score counts as a click? Confusion counts and what follows from them.

use super::ranking::Cut;
use super::rates::Rate;
use serde::{Deserialize, Serialize};

/// The four counts at one cut, and the rates of interest with their intervals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// The score from which on a row counts as a predicted click.
    pub score: f64,
    /// Clicks among the predicted clicks.
    pub precision: Rate,
    /// Predicted clicks among the clicks.
    pub recall: Rate,
    /// Right answers among all rows.
    pub accuracy: Rate,
    /// Harmonic mean of precision and recall; 0 when nothing is found.
    pub f1: f64,
}

/// What a shown impression costs and what a click brings, in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Economics {
    /// What a click brings.
    pub click_value: f64,
    /// What an impression costs.
    pub impression_cost: f64,
}

impl Economics {
    /// What clicks bring less what the impressions cost.
    pub fn profit(&self, clicks: f64, shown: f64) -> f64 {
        self.click_value * clicks - self.impression_cost * shown
    }

    /// The score from which on it pays for a calibrated model: cost over value.
    pub fn break_even(&self) -> f64 {
        self.impression_cost / self.click_value
    }

    /// The cut with the highest profit; infinity where nothing pays. `None` for an empty list.
    pub fn best(&self, cuts: &[Cut]) -> Option<f64> {
        cuts.last()?;
        let of = |cut: &Cut| self.profit(cut.positives, cut.positives + cut.negatives);
        let best = cuts.iter().fold((f64::INFINITY, 0.0), |(score, most), cut| {
            if of(cut) > most { (cut.score, of(cut)) } else { (score, most) }
        });
        Some(best.0)
    }
}

/// Confusion for "predict a click at `score` and above". `None` for an empty list of cuts.
pub fn confusion(cuts: &[Cut], score: f64) -> Option<Confusion> {
    let last = cuts.last()?;
    let above = cuts.iter().rev().find(|cut| cut.score >= score);
    let (hits, alarms) = above.map_or((0.0, 0.0), |cut| (cut.positives, cut.negatives));
    let shown = hits + alarms;
    Some(Confusion {
        score,
        precision: Rate::wilson(hits, shown),
        recall: Rate::wilson(hits, last.positives),
        accuracy: Rate::wilson(hits + last.negatives - alarms, last.positives + last.negatives),
        f1: f1(hits, alarms, last.positives),
    })
}

/// The cut with the highest F1; the higher score wins a tie. `None` for an empty list of cuts.
pub fn best_f1(cuts: &[Cut]) -> Option<Confusion> {
    let clicks = cuts.last()?.positives;
    let value = |cut: &Cut| f1(cut.positives, cut.negatives, clicks);
    let best = cuts.iter().reduce(|best, cut| if value(cut) > value(best) { cut } else { best })?;
    confusion(cuts, best.score)
}

fn f1(hits: f64, alarms: f64, clicks: f64) -> f64 {
    2.0 * hits / (hits + alarms + clicks)
}

#[cfg(test)]
mod tests {
    use super::super::ranking::cuts;
    use super::*;

    #[test]
    fn counts_by_hand() {
        let cuts = cuts(&[0.9, 0.8, 0.4, 0.2], &[1.0, 0.0, 1.0, 0.0], &[]).unwrap();
        let at = confusion(&cuts, 0.5).unwrap();
        assert_eq!((at.precision.rate, at.recall.rate, at.accuracy.rate), (0.5, 0.5, 0.5));
        assert!((at.f1 - 0.5).abs() < 1e-12);
        // Cutting at 0.4 finds both clicks with one false alarm: F1 = 2*2/(3+2) = 0.8.
        let best = best_f1(&cuts).unwrap();
        assert!((best.f1 - 0.8).abs() < 1e-12 && (best.score - 0.4).abs() < 1e-6, "{best:?}");
        let none = confusion(&cuts, 2.0).unwrap();
        assert!(!none.precision.is_known() && none.f1 == 0.0);
    }
}
