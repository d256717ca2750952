//! How good was an online learner on each row before it learnt from it, and has the log changed? Progressive validation
//! (Blum, Kalai & Langford 1999) with detectors of drift.

use crate::metrics::calibration::entropy;
use crate::metrics::detectors::{Adwin, PageHinkley};
use crate::metrics::{Estimate, Rate};
use serde::{Deserialize, Serialize};

/// Stretches of the curve at most; they are merged in pairs beyond.
const STRETCHES: usize = 256;
/// Rows of the first stretches.
const FIRST_STRETCH: u64 = 512;
/// Rows whose mean is one number for the detectors.
const BLOCK: u64 = 128;
/// Blocks in which what is learnt at first is no drift.
const WARM_UP: u64 = 150;
/// Bins of scores for the AUC, over log odds from -16 to 16.
const BINS: usize = 4096;

/// What came of the rows so far, each scored before it was learnt from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// All rows.
    pub whole: Stretch,
    /// Rows since the start in stretches of equal length, oldest first.
    pub curve: Vec<Stretch>,
    /// What the detectors found.
    pub alarms: Vec<Alarm>,
    /// Rows that are older than a row before them.
    pub back_in_time: u64,
    /// Rows whose outcome the log does not say.
    pub without_outcome: u64,
    /// The newest time seen.
    newest: Option<i64>,
    /// Rows of a stretch now.
    length: u64,
    squares: f64,
    bins: Vec<[f64; 2]>,
    block: Stretch,
    blocks: u64,
    detectors: Detectors,
}

/// Some rows.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Stretch {
    /// Rows.
    pub rows: u64,
    /// Impressions.
    pub weight: f64,
    /// Clicks.
    pub clicks: f64,
    /// Sum of the predicted probabilities.
    pub predicted: f64,
    /// Sum of the log losses.
    pub loss: f64,
}

impl Stretch {
    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.weight += other.weight;
        self.clicks += other.clicks;
        self.predicted += other.predicted;
        self.loss += other.loss;
    }

    /// Mean log loss in nats.
    pub fn log_loss(&self) -> f64 {
        self.loss / self.weight
    }

    /// Log loss over that of the stretch's own click rate; `None` for clicks only or none.
    pub fn normalized_entropy(&self) -> Option<f64> {
        Some(self.log_loss() / entropy(self.clicks / self.weight)?)
    }

    /// Predicted over actual clicks; `None` without a click.
    pub fn predicted_over_actual(&self) -> Option<f64> {
        (self.clicks > 0.0).then(|| self.predicted / self.clicks)
    }
}

/// A change that a detector found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Rows before it.
    pub row: u64,
    /// Time of the row, where the log has one.
    pub time: Option<i64>,
    /// ADWIN or Page-Hinkley.
    pub detector: String,
    /// Of what: the log loss, or predicted less actual clicks.
    pub of: String,
    /// Mean of the rows since the last alarm, and of the latest block.
    pub from_to: [f64; 2],
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Detectors {
    loss: Detector,
    gap: Detector,
}

/// Both detectors of one number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Detector {
    adwin: Adwin,
    page_hinkley: PageHinkley,
    /// Mean and variance of the blocks of the warm-up: what comes after is told in their deviations, so that blocks of any
    /// log are alike.
    mean: f64,
    variance: f64,
}

impl Detector {
    fn new() -> Self {
        Self {
            adwin: Adwin::new(0.002, 4),
            // In standard deviations of a block.
            page_hinkley: PageHinkley::new(30, 0.3, 30.0),
            mean: 0.0,
            variance: 0.0,
        }
    }

    /// Takes in the mean of a block; the detectors that found a change and what it was from.
    fn add(&mut self, value: f64, blocks: u64) -> Vec<(&'static str, f64)> {
        if blocks <= WARM_UP {
            let off = value - self.mean;
            self.mean += off / blocks as f64;
            self.variance += (off * (value - self.mean) - self.variance) / blocks as f64;
            return Vec::new();
        }
        let deviation = self.variance.sqrt().max(1e-12);
        let before = self.adwin.mean().map_or(value, |mean| mean * deviation);
        let mut found = Vec::new();
        if self.adwin.add(value / deviation) {
            found.push(("ADWIN", before));
        }
        if self.page_hinkley.add(value / deviation) {
            found.push(("Page-Hinkley", before));
        }
        found
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            whole: Stretch::default(),
            curve: Vec::new(),
            alarms: Vec::new(),
            back_in_time: 0,
            without_outcome: 0,
            newest: None,
            length: FIRST_STRETCH,
            squares: 0.0,
            bins: vec![[0.0; 2]; BINS],
            block: Stretch::default(),
            blocks: 0,
            detectors: Detectors { loss: Detector::new(), gap: Detector::new() },
        }
    }
}

impl Progress {
    /// Takes in a row that was scored and not learnt from yet.
    pub fn add(&mut self, log_odds: f64, probability: f64, (label, weight): (f64, f64), time: Option<i64>) {
        // max(z, 0) - z y + ln(1 + e^-|z|) cannot overflow.
        let loss = log_odds.max(0.0) - log_odds * label + (-log_odds.abs()).exp().ln_1p();
        let row = Stretch {
            rows: 1,
            weight,
            clicks: weight * label,
            predicted: weight * probability,
            loss: weight * loss,
        };
        self.whole.add(&row);
        self.squares += weight * loss * loss;
        let bin = ((log_odds + 16.0) * (BINS as f64 / 32.0)).clamp(0.0, (BINS - 1) as f64) as usize;
        self.bins[bin][0] += weight * label;
        self.bins[bin][1] += weight * (1.0 - label);
        match self.curve.last_mut().filter(|last| last.rows < self.length) {
            Some(last) => last.add(&row),
            None => self.begin_stretch(row),
        }
        if let Some(time) = time {
            self.back_in_time += u64::from(self.newest.is_some_and(|newest| time < newest));
            self.newest = self.newest.max(Some(time));
        }
        self.block.add(&row);
        if self.block.rows == BLOCK {
            self.end_block(time);
        }
    }

    fn begin_stretch(&mut self, row: Stretch) {
        if self.curve.len() == STRETCHES {
            let merged = self.curve.chunks(2).map(|pair| {
                let mut sum = Stretch::default();
                pair.iter().for_each(|stretch| sum.add(stretch));
                sum
            });
            self.curve = merged.collect();
            self.length *= 2;
        }
        self.curve.push(row);
    }

    fn end_block(&mut self, time: Option<i64>) {
        let block = std::mem::take(&mut self.block);
        self.blocks += 1;
        let means = [
            ("log loss", block.log_loss()),
            ("predicted less actual", (block.predicted - block.clicks) / block.weight),
        ];
        let Detectors { loss, gap } = &mut self.detectors;
        for (detector, (of, mean)) in [loss, gap].into_iter().zip(means) {
            for (name, from) in detector.add(mean, self.blocks) {
                // A loss that falls is what learning is for.
                if of == "log loss" && mean <= from {
                    continue;
                }
                self.alarms.push(Alarm {
                    row: self.whole.rows,
                    time,
                    detector: name.to_owned(),
                    of: of.to_owned(),
                    from_to: [from, mean],
                });
            }
        }
    }

    /// Mean log loss with its interval; `None` before the first row.
    pub fn log_loss(&self) -> Option<Estimate> {
        let Stretch { weight, .. } = self.whole;
        let mean = self.whole.log_loss();
        let variance = (self.squares / weight - mean * mean).max(0.0) / (weight - 1.0).max(1.0);
        (weight > 0.0).then(|| Estimate::normal(mean, variance.sqrt()))
    }

    /// Click rate with its interval.
    pub fn rate(&self) -> Rate {
        Rate::wilson(self.whole.clicks, self.whole.weight)
    }

    /// AUC of all rows, each scored when it came, in bins of log odds, and how far that can be from the exact one; `None`
    /// for clicks only or none.
    pub fn auc(&self) -> Option<(f64, f64)> {
        let (mut below, mut wins, mut ties, mut clicks) = (0.0, 0.0, 0.0, 0.0);
        for [p, n] in &self.bins {
            wins += p * (below + 0.5 * n);
            ties += p * n;
            clicks += p;
            below += n;
        }
        let pairs = clicks * below;
        (pairs > 0.0).then(|| (wins / pairs, 0.5 * ties / pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::metrics::ranking::auc;

    #[test]
    fn numbers_are_those_of_the_whole_and_the_curve_stays_short() {
        let mut progress = Progress::default();
        let mut rng = Rng::named(3, "progress");
        let (mut scores, mut labels) = (Vec::new(), Vec::new());
        for row in 0..300_000i64 {
            let z = rng.normal() - 1.5;
            let p = 1.0 / (1.0 + (-z).exp());
            let label = f64::from(u8::from(rng.chance(p)));
            progress.add(z, p, (label, 1.0), Some(row / 3));
            scores.push(z as f32);
            labels.push(label as f32);
        }
        let exact = auc(&scores, &labels, &[]).unwrap();
        let (binned, error) = progress.auc().unwrap();
        assert!((binned - exact).abs() <= error && error < 1e-3, "{binned} {exact} {error}");
        assert!(progress.curve.len() <= STRETCHES);
        assert_eq!(progress.curve.iter().map(|s| s.rows).sum::<u64>(), 300_000);
        assert!((progress.whole.predicted_over_actual().unwrap() - 1.0).abs() < 0.02);
        assert!(progress.whole.normalized_entropy().unwrap() < 1.0);
        assert_eq!(progress.back_in_time, 0);
        assert_eq!(progress.alarms, [], "nothing changed");
        let text = serde_json::to_string(&progress).unwrap();
        assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress);
    }

    #[test]
    fn a_click_rate_that_triples_is_an_alarm_and_time_that_goes_back_is_counted() {
        let mut progress = Progress::default();
        let mut rng = Rng::named(4, "step");
        for row in 0..100_000i64 {
            let truth = if row < 60_000 { 0.05 } else { 0.15 };
            let label = f64::from(u8::from(rng.chance(truth)));
            progress.add((0.05f64 / 0.95).ln(), 0.05, (label, 1.0), Some(-(row % 2)));
        }
        for of in ["log loss", "predicted less actual"] {
            for detector in ["ADWIN", "Page-Hinkley"] {
                let first = progress.alarms.iter().find(|a| a.of == of && a.detector == detector).unwrap();
                assert!((60_000..66_000).contains(&first.row), "{first:?}");
            }
        }
        assert!(progress.alarms.iter().all(|alarm| alarm.row >= 60_000));
        assert_eq!(progress.back_in_time, 50_000);
    }
}
