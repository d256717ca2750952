//! How much less than its worth should a bidder bid where it pays its own bid?
//!
//! The bid that gains most maximises `(v - b) F(b)`, with `F` the distribution of the highest rival claim. For
//! rivals who are the highest of `m` uniforms on `[0, 1]` and `v = 1` that is `m / (m + 1)`. A campaign learns
//! `F` from what exchanges report after each auction it was in (`AUCTION_MIN_TO_WIN` of OpenRTB 2.6): the
//! runner-up's offer if it won, the price if it lost.

use crate::domain::Shading;

/// The bid between 0 and `value` that maximises `(value - bid) x win(bid)`, to about `value x 1e-9`; `win` must
/// be increasing and give a gain with one peak.
pub fn best_bid(value: f64, win: impl Fn(f64) -> f64) -> f64 {
    // The peak is first found among 200 bids, then between its neighbours by golden section.
    const BIDS: usize = 200;
    let gain = |bid: f64| (value - bid) * win(bid);
    let at = |step: usize| value * step as f64 / BIDS as f64;
    let best = (1..=BIDS).max_by(|a, b| gain(at(*a)).total_cmp(&gain(at(*b)))).unwrap_or(1);
    let (mut low, mut high) = (at(best.saturating_sub(1)), at((best + 1).min(BIDS)));
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    while high - low > 1e-9 * value.abs().max(f64::MIN_POSITIVE) {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if gain(left) < gain(right) { low = left } else { high = right }
    }
    f64::midpoint(low, high)
}

/// One campaign's memory of what it took to win.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shader {
    shading: Shading,
    /// Auctions by the claim to beat, in steps of 3 % from [`LOWEST`] on.
    seen: Vec<f32>,
    total: f32,
}

/// The lowest claim told apart, in micros per thousand impressions: 0.001.
const LOWEST: f64 = 1_000.0;
const STEP: f64 = 1.03;
/// Up to `LOWEST x 1.03^640`, some 165,000 currency units per thousand impressions.
const CELLS: usize = 640;
/// Below so many auctions it bids its worth: nothing is known yet.
const FEWEST: f32 = 50.0;
/// After so many auctions all counts are halved, so that rivals who change are followed.
const MEMORY: f32 = 20_000.0;

impl Shader {
    pub fn new(shading: Shading) -> Self {
        let cells = if shading == Shading::Learnt { CELLS } else { 0 };
        Self { shading, seen: vec![0.0; cells], total: 0.0 }
    }

    /// What it bids for an impression of this worth.
    pub fn bid(&self, worth: f64) -> f64 {
        match self.shading {
            Shading::None => worth,
            Shading::Factor(factor) => worth * factor,
            Shading::Learnt if self.total < FEWEST => worth,
            Shading::Learnt => self.learnt_bid(worth),
        }
    }

    /// True when it has something to learn from each auction.
    pub fn learns(&self) -> bool {
        self.shading == Shading::Learnt
    }

    /// An auction that could have been won from this claim on.
    pub fn saw(&mut self, to_win: f64) {
        let cell = ((to_win.max(LOWEST) / LOWEST).ln() / STEP.ln()) as usize;
        if let Some(seen) = self.seen.get_mut(cell) {
            *seen += 1.0;
        }
        self.total += 1.0;
        if self.total >= MEMORY {
            self.seen.iter_mut().for_each(|seen| *seen /= 2.0);
            self.total /= 2.0;
        }
    }

    /// The upper end of each cell is a bid that wins all auctions up to it.
    fn learnt_bid(&self, worth: f64) -> f64 {
        let (mut best, mut most, mut won, mut bid) = (worth, 0.0, 0.0f64, LOWEST);
        for seen in &self.seen {
            bid *= STEP;
            won += f64::from(*seen);
            if bid >= worth {
                break;
            }
            let gain = (worth - bid) * won;
            if gain > most {
                (best, most) = (bid, gain);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_nothing_at_first_and_never_bids_above_its_worth() {
        let mut shader = Shader::new(Shading::Learnt);
        assert_eq!(shader.bid(5e6), 5e6);
        for _ in 0..100 {
            shader.saw(1e6);
        }
        let bid = shader.bid(5e6);
        // All that is needed is a claim of 1.00; a step of 3 % above it.
        assert!((1e6..1.07e6).contains(&bid), "{bid}");
        assert_eq!(shader.bid(0.5e6), 0.5e6, "hopeless auctions are entered with the worth");
        assert_eq!(Shader::new(Shading::Factor(0.8)).bid(10.0), 8.0);
    }
}
