//! Who asks for a page? Each request is drawn for the baseline and for the what-if with the same luck.
//!
//! The pool holds rows of the log; a what-if changes their weights. Request `t` draws its baseline row `i` by
//! inverse CDF from `u_t`. The what-if keeps row `i` with probability `min(1, q_i / p_i)` and otherwise draws
//! from what is left of `q`: the maximal coupling (Lindvall 1992, ch. I.5). Each world has exactly its own
//! mix, and they differ in as few requests as two mixes can, so the difference between them is seen through
//! the least noise. Without a what-if shift both worlds get the same requests.

use crate::base::rng::keyed_uniform;
use crate::base::{Failure, Result};

/// What a uniform is drawn for: each use has its own stream.
pub(crate) mod purpose {
    /// The pooled row of a request.
    pub const ROW: u64 = 1;
    /// Whether the what-if keeps the baseline's row.
    pub const KEEP: u64 = 2;
    /// The what-if's own row where it does not.
    pub const OTHER_ROW: u64 = 3;
    /// Whether a shown ad is clicked.
    pub const CLICK: u64 = 4;
    /// Which of two equal bidders wins.
    pub const TIE: u64 = 5;
    /// Whether a slot is looked at.
    pub const LOOK: u64 = 6;
    /// Whether a throttled campaign enters.
    pub const ENTER: u64 = 7;
    /// Which ad a campaign tries.
    pub const EXPLORE: u64 = 8;
    /// Whether a click converts.
    pub const CONVERT: u64 = 9;
    /// How long that takes.
    pub const DELAY: u64 = 10;
    /// Whether a replayed page counts.
    pub const REPLAY: u64 = 11;
    /// Whether a replayed page belongs to a world's mix.
    pub const MIX: u64 = 12;
    /// What an unknown advertiser bids.
    pub const RIVAL: u64 = 13;
}

/// Draws the rows of both worlds.
#[derive(Debug, Clone, PartialEq)]
pub struct Coupling {
    baseline: Cumulative,
    /// `min(1, q_i / p_i)` per row; empty without a what-if.
    keep: Vec<f64>,
    /// `max(0, q - p)`: what keeping leaves uncovered. `None` when it covers all.
    residual: Option<Cumulative>,
}

impl Coupling {
    /// Prepares the draws for weights of the same length; only ratios within each matter.
    ///
    /// # Errors
    /// A negative or non-finite weight, or an audience whose weights are all 0.
    pub fn new(baseline: &[f64], what_if: Option<&[f64]>) -> Result<Self> {
        let p = normalised(baseline, "baseline")?;
        let cumulative = Cumulative::new(&p);
        let Some(what_if) = what_if else {
            return Ok(Self { baseline: cumulative, keep: Vec::new(), residual: None });
        };
        let q = normalised(what_if, "what-if")?;
        let keep = p.iter().zip(&q).map(|(p, q)| if *p > 0.0 { (q / p).min(1.0) } else { 0.0 }).collect();
        let excess: Vec<f64> = p.iter().zip(&q).map(|(p, q)| (q - p).max(0.0)).collect();
        // Below this, the excess is rounding of equal mixes.
        let uncovered = excess.iter().sum::<f64>() > 1e-12;
        Ok(Self { baseline: cumulative, keep, residual: uncovered.then(|| Cumulative::new(&excess)) })
    }

    /// The pooled rows of request `request`: baseline and what-if.
    pub fn rows(&self, seed: u64, request: u64) -> (usize, usize) {
        let row = self.baseline.row_at(keyed_uniform(seed, purpose::ROW, request));
        let Some(residual) = &self.residual else {
            return (row, row);
        };
        if keyed_uniform(seed, purpose::KEEP, request) < self.keep[row] {
            (row, row)
        } else {
            let other = residual.row_at(keyed_uniform(seed, purpose::OTHER_ROW, request));
            (row, other)
        }
    }
}

/// Running sums of weights, and the way back.
#[derive(Debug, Clone, PartialEq)]
struct Cumulative {
    sums: Vec<f64>,
    /// `guide[k]` is the first row whose sum exceeds `k / guide.len()` of the total: a draw starts its search
    /// there, so it takes a step or two instead of a bisection through a cold array.
    guide: Vec<u32>,
}

impl Cumulative {
    fn new(weights: &[f64]) -> Self {
        let sums: Vec<f64> = weights
            .iter()
            .scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        let total = sums.last().copied().unwrap_or(0.0);
        let cells = weights.len();
        let guide = (0..cells)
            .map(|k| {
                let target = total * k as f64 / cells as f64;
                sums.partition_point(|sum| *sum <= target) as u32
            })
            .collect();
        Self { sums, guide }
    }

    /// The row in which the share `uniform` of the total weight falls. Rows of weight 0 are never drawn.
    fn row_at(&self, uniform: f64) -> usize {
        let last = self.sums.len() - 1;
        let target = uniform * self.sums[last];
        let cell = ((uniform * self.guide.len() as f64) as usize).min(self.guide.len() - 1);
        let mut row = (self.guide[cell] as usize).min(last);
        // Rounding may have put the guide one row too far.
        while row > 0 && self.sums[row - 1] > target {
            row -= 1;
        }
        while row < last && self.sums[row] <= target {
            row += 1;
        }
        row
    }
}

fn normalised(weights: &[f64], whose: &str) -> Result<Vec<f64>> {
    let what = format!("cannot draw the {whose} audience");
    if weights.iter().any(|w| !w.is_finite() || *w < 0.0) {
        return Err(Failure::new(what, "a weight is negative or not a number"));
    }
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return Err(
            Failure::new(what, "nobody is left in it").hint("widen the segment or raise a slider from 0")
        );
    }
    Ok(weights.iter().map(|w| w / total).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(coupling: &Coupling, rows: usize, draws: u64) -> (Vec<f64>, Vec<f64>, f64) {
        let (mut base, mut what_if, mut same) = (vec![0.0; rows], vec![0.0; rows], 0.0);
        for request in 0..draws {
            let (b, w) = coupling.rows(7, request);
            base[b] += 1.0 / draws as f64;
            what_if[w] += 1.0 / draws as f64;
            same += f64::from(u8::from(b == w)) / draws as f64;
        }
        (base, what_if, same)
    }

    #[test]
    fn each_world_has_its_own_mix_and_they_share_what_they_can() {
        let p = [0.4, 0.3, 0.2, 0.1, 0.0];
        let q = [0.1, 0.3, 0.3, 0.1, 0.2];
        let draws = 400_000;
        let coupling = Coupling::new(&p, Some(&q)).unwrap();
        let (base, what_if, same) = shares(&coupling, 5, draws);
        let tolerance = 4.0 * 0.5 / (draws as f64).sqrt();
        for row in 0..5 {
            assert!((base[row] - p[row]).abs() < tolerance, "{base:?}");
            assert!((what_if[row] - q[row]).abs() < tolerance, "{what_if:?}");
        }
        // The most two mixes can share is the sum of min(p, q): 0.1 + 0.3 + 0.2 + 0.1 = 0.7.
        assert!((same - 0.7).abs() < tolerance, "{same}");
        assert_eq!(base[4], 0.0, "a row of weight 0 is never drawn");
    }

    #[test]
    fn equal_mixes_get_equal_requests() {
        let coupling = Coupling::new(&[1.0, 2.0, 3.0], Some(&[10.0, 20.0, 30.0])).unwrap();
        let (_, _, same) = shares(&coupling, 3, 10_000);
        assert!((same - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_guide_finds_what_a_bisection_finds() {
        let weights: Vec<f64> =
            (0..1000u64).map(|i| if i % 7 == 0 { 0.0 } else { keyed_uniform(1, 2, i).powi(8) }).collect();
        let cumulative = Cumulative::new(&weights);
        let total = cumulative.sums[999];
        for i in 0..50_000 {
            let u = keyed_uniform(3, 4, i);
            let exact = cumulative.sums.partition_point(|sum| *sum <= u * total);
            assert_eq!(cumulative.row_at(u), exact);
        }
    }

    #[test]
    fn an_empty_audience_is_refused() {
        let failure = Coupling::new(&[1.0, 1.0], Some(&[0.0, 0.0])).unwrap_err();
        assert!(failure.why.contains("nobody"), "{failure}");
        assert!(Coupling::new(&[], None).is_err());
        assert!(Coupling::new(&[1.0, f64::NAN], None).is_err());
    }
}
