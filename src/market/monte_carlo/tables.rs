//! What does a bidder bid, in whole micros, given random bits? A quantile function as a table.
//!
//! A draw is a sign and a whole number `m` of 23 bits; `x = 2 m + 1` over `2^24` is how far out in its tail the bid
//! lies. Nodes stand 64 to each octave of `x`, so that tails are as fine as the middle, and between them bids are
//! interpolated in whole numbers (error below 3e-5 of a standard deviation). Nothing here rounds: the same bits are
//! the same bid on vectors, on any number of threads and on a graphics processor.

use crate::metrics::ab_test::normal_quantile;
use std::sync::OnceLock;

/// Entries of a table: two tails of 2,048 places, of which 1,537 are used.
pub(super) const PLACES: usize = 4_096;
/// Where the lower tail begins.
const LOWER: usize = 2_048;
/// Octaves of `x`, and nodes in each.
const OCTAVES: i32 = 24;
const PER_OCTAVE: i32 = 64;
/// The exponent of 1 in an `f32`, in nodes.
const ONE: u32 = 127 * PER_OCTAVE as u32;

/// Bids in micros at the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BidTable(pub Box<[i32; PLACES]>);

impl BidTable {
    /// The table of bids `e^(mean + deviation z)` in currency units, `z` standard normal, none dearer than `dearest`.
    pub fn lognormal(mean: f32, deviation: f32, dearest: f32) -> Self {
        let micros = |z: f64| {
            let units = (f64::from(mean) + f64::from(deviation) * z).exp().min(f64::from(dearest));
            (units * 1e6).round() as i32
        };
        let mut table = Box::new([0; PLACES]);
        for (node, z) in normal_nodes().iter().enumerate() {
            table[node] = micros(*z);
            table[LOWER + node] = micros(-z);
        }
        Self(table)
    }

    /// The bid of random bits; the lowest seven are left for ties.
    #[inline(always)]
    pub fn bid(&self, bits: u32) -> i32 {
        // `x` is below 2^24: as a float it is exact, and its bits are its logarithm.
        let x = ((bits >> 7) & 0x00FF_FFFE | 1) as i32 as f32;
        let log = x.to_bits();
        let node = (log >> 17).wrapping_sub(ONE) | (bits >> 31) << 11;
        let part = ((log & 0x0001_FFFF) >> 1) as i32;
        let (from, to) = (self.0[node as usize & (PLACES - 1)], self.0[(node as usize + 1) & (PLACES - 1)]);
        let step = to.wrapping_sub(from);
        // floor(step part / 2^16) without a wider number.
        let high = (step >> 16).wrapping_mul(part);
        let low = (step as u32 & 0xFFFF).wrapping_mul(part as u32) >> 16;
        from.wrapping_add(high).wrapping_add(low as i32)
    }
}

/// How far out each node of the upper tail lies, in standard deviations.
fn normal_nodes() -> &'static [f64] {
    static NODES: OnceLock<Vec<f64>> = OnceLock::new();
    NODES.get_or_init(|| {
        let nodes = 0..=OCTAVES * PER_OCTAVE;
        let out = |node: i32| {
            let x =
                2f64.powi(node / PER_OCTAVE) * (1.0 + f64::from(node % PER_OCTAVE) / f64::from(PER_OCTAVE));
            // Of both tails together `x / 2^24` lies further out.
            normal_quantile(1.0 - 0.5 * x / 2f64.powi(OCTAVES))
        };
        nodes.map(out).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bid_is_the_quantile_of_its_bits() {
        let table = BidTable::lognormal(0.3, 0.5, 2_000.0);
        for step in 0..50_000u32 {
            let bits = step.wrapping_mul(85_899);
            let tail = f64::from((bits >> 7) & 0x00FF_FFFE | 1) / 2f64.powi(25);
            let p = if bits >> 31 == 0 { 1.0 - tail } else { tail };
            let exact = 1e6 * (0.3f32 as f64 + 0.5 * normal_quantile(p)).exp();
            let bid = f64::from(table.bid(bits));
            assert!((bid - exact).abs() < 2e-5 * exact + 1.5, "{bits:#x}: {bid} against {exact}");
        }
        // The furthest draws are 5.42 deviations out; what is dearer than can be counted is the dearest.
        assert!((f64::from(table.bid(0)) / 1e6 / (0.3 + 0.5 * 5.42f64).exp() - 1.0).abs() < 0.01);
        assert_eq!(BidTable::lognormal(50.0, 1.0, 2_000.0).bid(7), 2_000_000_000);
    }
}
