//! Has a stream of numbers changed its mean, and since when? Two detectors that see each number once.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Buckets of one size before two are merged.
const BUCKETS: usize = 5;
/// Numbers on either side of a cut at least.
const SHORTEST: f64 = 5.0;
/// Numbers before the first look.
const GRACE: f64 = 10.0;

/// A window that shrinks when its older part has another mean than its newer one (ADWIN2; Bifet & Gavalda, SDM 2007): its
/// memory grows with the logarithm of its length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adwin {
    /// Chance of a false alarm that is accepted.
    delta: f64,
    /// Numbers between two looks.
    clock: u64,
    seen: u64,
    /// Buckets of `2^i` numbers in row `i`, the oldest first.
    rows: Vec<VecDeque<Bucket>>,
    /// Of the whole window.
    whole: Sums,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Bucket {
    total: f64,
    variance: f64,
}

/// So many numbers, their sum, and the sum of squares about their mean.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Sums {
    n: f64,
    total: f64,
    variance: f64,
}

impl Sums {
    fn mean(&self) -> f64 {
        self.total / self.n
    }

    /// What lies between the means of two parts, for the sum of squares about the common one.
    fn between(&self, other: &Self) -> f64 {
        let apart = self.mean() - other.mean();
        self.n * other.n * apart * apart / (self.n + other.n)
    }

    fn with(&self, other: &Self) -> Self {
        let between = if self.n > 0.0 && other.n > 0.0 { self.between(other) } else { 0.0 };
        Self {
            n: self.n + other.n,
            total: self.total + other.total,
            variance: self.variance + other.variance + between,
        }
    }

    fn without(&self, other: &Self) -> Self {
        let rest = Self { n: self.n - other.n, total: self.total - other.total, variance: 0.0 };
        let between = if rest.n > 0.0 { rest.between(other) } else { 0.0 };
        Self { variance: self.variance - other.variance - between, ..rest }
    }
}

impl Adwin {
    /// An empty window; `delta` is the chance of a false alarm, `clock` the numbers between two looks.
    pub fn new(delta: f64, clock: u64) -> Self {
        Self { delta, clock: clock.max(1), seen: 0, rows: vec![VecDeque::new()], whole: Sums::default() }
    }

    /// Takes in a number; true when the window was cut since its older part differed.
    pub fn add(&mut self, value: f64) -> bool {
        let one = Sums { n: 1.0, total: value, variance: 0.0 };
        self.whole = self.whole.with(&one);
        self.rows[0].push_back(Bucket { total: value, variance: 0.0 });
        self.merge();
        self.seen += 1;
        if !self.seen.is_multiple_of(self.clock) || self.whole.n <= GRACE {
            return false;
        }
        let mut is_cut = false;
        while self.has_changed() {
            self.drop_oldest();
            is_cut = true;
        }
        is_cut
    }

    /// Mean of the window; `None` while it is empty.
    pub fn mean(&self) -> Option<f64> {
        (self.whole.n > 0.0).then(|| self.whole.mean())
    }

    /// Numbers in the window.
    pub fn width(&self) -> u64 {
        self.whole.n as u64
    }

    fn merge(&mut self) {
        for row in 0.. {
            if self.rows[row].len() <= BUCKETS {
                break;
            }
            if row + 1 == self.rows.len() {
                self.rows.push(VecDeque::new());
            }
            let size = size_of_row(row);
            let mut sums = Sums::default();
            for bucket in self.rows[row].drain(..2) {
                sums = sums.with(&bucket.sums(size));
            }
            self.rows[row + 1].push_back(Bucket { total: sums.total, variance: sums.variance });
        }
    }

    /// True when some cut parts the window into means that differ by more than chance.
    fn has_changed(&self) -> bool {
        let mut older = Sums::default();
        let mut newer = self.whole;
        // Two bounds of the paper's practical form: of the variance, and of the range of the numbers.
        let certainty = (2.0 * self.whole.n.ln() / self.delta).ln();
        let variance = self.whole.variance / self.whole.n;
        for (row, buckets) in self.rows.iter().enumerate().rev() {
            for bucket in buckets {
                let bucket = bucket.sums(size_of_row(row));
                older = older.with(&bucket);
                newer = newer.without(&bucket);
                if newer.n < SHORTEST {
                    return false;
                }
                if older.n < SHORTEST {
                    continue;
                }
                let inverse = 1.0 / (older.n - SHORTEST + 1.0) + 1.0 / (newer.n - SHORTEST + 1.0);
                let bound = (2.0 * inverse * variance * certainty).sqrt() + 2.0 / 3.0 * certainty * inverse;
                if (older.mean() - newer.mean()).abs() > bound {
                    return true;
                }
            }
        }
        false
    }

    fn drop_oldest(&mut self) {
        let Some(row) = self.rows.iter().rposition(|row| !row.is_empty()) else { return };
        if let Some(bucket) = self.rows[row].pop_front() {
            self.whole = self.whole.without(&bucket.sums(size_of_row(row)));
        }
        self.rows.truncate(row + 1);
    }
}

impl Bucket {
    fn sums(self, n: f64) -> Sums {
        Sums { n, total: self.total, variance: self.variance }
    }
}

fn size_of_row(row: usize) -> f64 {
    (row as f64).exp2()
}

/// The sum of what numbers lie above (or below) their running mean, and how far it has come from its lowest (highest)
/// point (Page 1954; Hinkley 1971), in both directions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageHinkley {
    /// Numbers before the first alarm.
    least: u64,
    /// How far a number may lie off without counting.
    tolerance: f64,
    /// The distance that is an alarm.
    threshold: f64,
    /// What a sum keeps from one number to the next.
    fading: f64,
    now: Walk,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Walk {
    n: u64,
    mean: f64,
    up: f64,
    down: f64,
    lowest: f64,
    highest: f64,
}

impl Walk {
    const START: Self = Self { n: 0, mean: 0.0, up: 0.0, down: 0.0, lowest: f64::MAX, highest: f64::MIN };
}

impl PageHinkley {
    /// No alarm before `least` numbers; one that lies off by `tolerance` does not count, and a sum that has come as far as
    /// `threshold` is an alarm.
    pub fn new(least: u64, tolerance: f64, threshold: f64) -> Self {
        Self { least, tolerance, threshold, fading: 1.0 - 1e-4, now: Walk::START }
    }

    /// Takes in a number; true for an alarm, after which all begins anew.
    pub fn add(&mut self, value: f64) -> bool {
        let walk = &mut self.now;
        walk.n += 1;
        walk.mean += (value - walk.mean) / walk.n as f64;
        let off = value - walk.mean;
        walk.up = self.fading * walk.up + off - self.tolerance;
        walk.down = self.fading * walk.down + off + self.tolerance;
        walk.lowest = walk.lowest.min(walk.up);
        walk.highest = walk.highest.max(walk.down);
        let alarm = walk.n >= self.least
            && (walk.up - walk.lowest > self.threshold || walk.highest - walk.down > self.threshold);
        if alarm {
            self.now = Walk::START;
        }
        alarm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    /// 0 or 1: a fifth ones, from 3000 on one half, from 6000 on 0.35; the same congruences in Python.
    fn steps() -> impl Iterator<Item = f64> {
        let mut state = 12_345u64;
        (0..9000).map(move |i| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let u = (state >> 33) as f64 / f64::from(1u32 << 31);
            let p = [0.2, 0.5, 0.35][i / 3000];
            f64::from(u8::from(u < p))
        })
    }

    #[test]
    fn adwin_cuts_where_river_does() {
        let mut window = Adwin::new(0.002, 32);
        let mut cuts = Vec::new();
        for (i, x) in steps().enumerate() {
            if window.add(x) {
                cuts.push((i, window.width(), window.whole.total));
            }
        }
        // river 0.26.1: AdaptiveWindowing(0.002, 32, 5, 5, 10).update, then get_width, get_total.
        let river = [
            (3103, 2080, 434.0),
            (3135, 704, 176.0),
            (3167, 544, 152.0),
            (3199, 448, 144.0),
            (3231, 416, 151.0),
            (3327, 448, 192.0),
            (6655, 1984, 891.0),
            (6815, 1888, 819.0),
            (6847, 1664, 710.0),
            (6911, 1472, 602.0),
            (6975, 1280, 493.0),
        ];
        assert_eq!(cuts, river);
        assert_eq!((window.width(), window.whole.total), (3304, 1190.0));
        assert!((window.whole.variance - 761.398_305_084_742_7).abs() < 1e-6);
    }

    #[test]
    fn page_hinkley_alarms_where_river_does() {
        let mut detector = PageHinkley::new(30, 0.005, 50.0);
        let alarms: Vec<usize> =
            steps().enumerate().filter(|(_, x)| detector.add(*x)).map(|(i, _)| i).collect();
        // river 0.26.1: PageHinkley(), which begins anew after an alarm.
        assert_eq!(alarms, [3139, 6230]);
    }

    #[test]
    fn adwin_false_alarms_stay_below_delta_and_a_step_is_found_soon() {
        let (runs, delta) = (10_000, 0.05);
        let mut rng = Rng::named(11, "adwin");
        let mut alarms = 0;
        for _ in 0..runs {
            let mut window = Adwin::new(delta, 32);
            let mut alarm = false;
            for _ in 0..500 {
                alarm |= window.add(f64::from(u8::from(rng.chance(0.3))));
            }
            alarms += usize::from(alarm);
        }
        assert!(f64::from(alarms as u32) <= delta * f64::from(runs), "{alarms} of {runs}");
        let delays: Vec<usize> = (0..100)
            .map(|_| {
                let mut window = Adwin::new(0.002, 32);
                (0..2000).for_each(|_| {
                    window.add(f64::from(u8::from(rng.chance(0.2))));
                });
                (1..2000).find(|_| window.add(f64::from(u8::from(rng.chance(0.5))))).unwrap()
            })
            .collect();
        assert!(delays.iter().all(|delay| *delay < 300), "{delays:?}");
    }
}
