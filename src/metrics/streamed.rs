//! How is a ranking judged that is too long to sort? In bins of close scores, with a bound on what that costs.
//!
//! Rows of one bin count as ties. A click and a non-click of one bin add between 0 and 1 to the exact rank sum and
//! 1/2 here, so the AUC of bins with `p` clicks and `n` non-clicks each, `P` and `N` in all, is off by at most
//! `sum(p n) / (2 P N)`. The bound is computed from the rows themselves and shown beside the number.

use super::ranking::{Cut, ascending_bits, cuts};

/// Rows up to which a ranking is judged exactly.
pub const EXACT_ROWS: usize = 10_000_000;

/// Low bits of a score that its bin leaves out: 2^14 bins for each factor of two in the score, 2^23 in all.
const BIN_SHIFT: u32 = 9;

/// Clicks and non-clicks by bins of rising scores. Taking in a row costs the same however many there were.
#[derive(Debug, Clone)]
pub struct ScoreBins {
    /// Clicks and non-clicks of each bin.
    bins: Vec<[f64; 2]>,
    /// True once a score was no number.
    broken: bool,
}

impl Default for ScoreBins {
    fn default() -> Self {
        Self { bins: vec![[0.0; 2]; 1 << (32 - BIN_SHIFT)], broken: false }
    }
}

impl ScoreBins {
    /// Takes in rows; `weights` may be empty (all 1).
    pub fn add(&mut self, scores: &[f32], labels: &[f32], weights: &[f32]) {
        for (row, (&score, &label)) in scores.iter().zip(labels).enumerate() {
            let weight = weights.get(row).map_or(1.0, |&w| f64::from(w));
            let label = f64::from(label).clamp(0.0, 1.0);
            self.broken |= score.is_nan();
            let bin = &mut self.bins[(ascending_bits(score) >> BIN_SHIFT) as usize];
            bin[0] += weight * label;
            bin[1] += weight * (1.0 - label);
        }
    }

    /// One [`Cut`] per filled bin, highest first; its score is the lowest that the bin can hold. `None` when there
    /// are only clicks, only non-clicks, or a score was NaN.
    pub fn cuts(&self) -> Option<Vec<Cut>> {
        let (mut positives, mut negatives) = (0.0, 0.0);
        let mut cuts = Vec::new();
        for (bin, [clicks, others]) in self.bins.iter().enumerate().rev() {
            if clicks + others > 0.0 {
                positives += clicks;
                negatives += others;
                cuts.push(Cut { score: lowest_of((bin as u32) << BIN_SHIFT), positives, negatives });
            }
        }
        (!self.broken && positives > 0.0 && negatives > 0.0).then_some(cuts)
    }

    /// How far the AUC of [`cuts`](Self::cuts) can be from the exact one.
    pub fn auc_error(&self) -> f64 {
        let (mut ties, mut clicks, mut others) = (0.0, 0.0, 0.0);
        for [p, n] in &self.bins {
            ties += p * n;
            clicks += p;
            others += n;
        }
        if clicks * others > 0.0 { 0.5 * ties / (clicks * others) } else { 0.0 }
    }
}

/// The cuts of a ranking, exact up to `exact_rows`, and how far an AUC made from them can be off.
///
/// `None` as for [`cuts`].
pub fn cuts_within(
    scores: &[f32],
    labels: &[f32],
    weights: &[f32],
    exact_rows: usize,
) -> Option<(Vec<Cut>, f64)> {
    if scores.len() <= exact_rows {
        return Some((cuts(scores, labels, weights)?, 0.0));
    }
    let mut bins = ScoreBins::default();
    bins.add(scores, labels, weights);
    Some((bins.cuts()?, bins.auc_error()))
}

/// The number whose ascending bits are these.
fn lowest_of(bits: u32) -> f64 {
    let bits = if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits };
    f64::from(f32::from_bits(bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::metrics::ranking::{auc, auc_estimate, auc_estimate_of_cuts};

    #[test]
    fn bins_keep_their_promise() {
        let mut rng = Rng::named(1, "bins");
        // Scores so close together that many share a bin, and a spread of usual ones.
        for (low, width) in [(0.01, 1e-6), (0.001, 0.2), (0.5, 1e-9)] {
            let scores: Vec<f32> = (0..20_000).map(|_| (low + width * rng.uniform()) as f32).collect();
            let labels: Vec<f32> = scores
                .iter()
                .map(|s| f32::from(rng.chance(0.1 + 0.5 * (f64::from(*s) - low) / width.max(1e-9))))
                .collect();
            let exact = auc_estimate(&scores, &labels, &[]).unwrap();
            let (cuts, error) = cuts_within(&scores, &labels, &[], 1_000).unwrap();
            let binned = auc_estimate_of_cuts(&cuts).unwrap();
            assert!((binned.value - exact.value).abs() <= error + 1e-12, "{binned:?} {exact:?} {error}");
            if width > 0.1 {
                assert!(error < 1e-3 && (binned.low - exact.low).abs() < 1e-3, "{error}");
            }
        }
    }

    #[test]
    fn a_stream_in_parts_is_the_whole_and_short_ones_are_exact() {
        let (scores, labels, weights) = super::super::test_data::scored();
        let mut bins = ScoreBins::default();
        for part in 0..5 {
            let at = part * 100..(part + 1) * 100;
            bins.add(&scores[at.clone()], &labels[at.clone()], &weights[at]);
        }
        // Scores k/128 have bins of their own, so nothing is lost.
        let cuts = bins.cuts().unwrap();
        let exact = auc(&scores, &labels, &weights).unwrap();
        let off = (auc_estimate_of_cuts(&cuts).unwrap().value - exact).abs();
        assert!(off < 1e-12 && off <= bins.auc_error(), "{off}");
        assert_eq!(cuts.len(), super::super::ranking::cuts(&scores, &labels, &weights).unwrap().len());
        assert_eq!(cuts_within(&scores, &labels, &[], EXACT_ROWS).unwrap().1, 0.0);
        bins.add(&[f32::NAN], &[1.0], &[]);
        assert_eq!(bins.cuts(), None);
    }
}
