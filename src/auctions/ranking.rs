//! Who are the strongest bidders, best first?

use super::Auction;
use crate::base::rng::mix;

/// A bidder in rank order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Index in [`Auction::ecpm_micros`].
    pub bidder: usize,
    /// Its worth of an impression.
    pub ecpm_micros: f64,
}

/// The best `count` bidders that reach the reserve, best first. Equal bidders are ordered by a hash of the
/// tie seed, so that over many auctions none is favoured.
///
/// One pass with an insertion into a list of `count`: cheap because `count` is slots + 1.
pub fn best(auction: &Auction<'_>, count: usize, ranked: &mut Vec<Ranked>) {
    ranked.clear();
    for (bidder, &ecpm_micros) in auction.ecpm_micros.iter().enumerate() {
        let able = ecpm_micros > 0.0 && ecpm_micros >= auction.reserve_ecpm_micros;
        if !able {
            continue;
        }
        let candidate = Ranked { bidder, ecpm_micros };
        let full = ranked.len() == count;
        if full && ranked.last().is_none_or(|last| !beats(&candidate, last, auction.tie_seed)) {
            continue;
        }
        if full {
            ranked.pop();
        }
        let place = ranked
            .iter()
            .position(|other| beats(&candidate, other, auction.tie_seed))
            .unwrap_or(ranked.len());
        ranked.insert(place, candidate);
    }
}

fn beats(one: &Ranked, other: &Ranked, tie_seed: u64) -> bool {
    if one.ecpm_micros == other.ecpm_micros {
        let luck = |ranked: &Ranked| mix(tie_seed ^ mix(ranked.bidder as u64));
        luck(one) > luck(other)
    } else {
        one.ecpm_micros > other.ecpm_micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn agrees_with_a_full_sort() {
        let mut rng = Rng::named(1, "ranking");
        let mut ranked = Vec::new();
        for _ in 0..2_000 {
            let bids: Vec<f64> = (0..12).map(|_| rng.uniform() - 0.2).collect();
            let auction = Auction { ecpm_micros: &bids, slots: 1, reserve_ecpm_micros: 0.1, tie_seed: 0 };
            best(&auction, 4, &mut ranked);
            let mut sorted: Vec<f64> = bids.iter().copied().filter(|b| *b >= 0.1).collect();
            sorted.sort_by(|a, b| b.total_cmp(a));
            sorted.truncate(4);
            assert_eq!(ranked.iter().map(|r| r.ecpm_micros).collect::<Vec<_>>(), sorted);
        }
    }

    #[test]
    fn ties_favour_nobody() {
        let bids = [1.0; 4];
        let mut wins = [0u32; 4];
        let mut ranked = Vec::new();
        for tie_seed in 0..40_000 {
            let auction = Auction { ecpm_micros: &bids, slots: 1, reserve_ecpm_micros: 0.0, tie_seed };
            best(&auction, 2, &mut ranked);
            wins[ranked[0].bidder] += 1;
        }
        // Binomial(40000, 1/4): standard deviation 86.6.
        assert!(wins.iter().all(|w| w.abs_diff(10_000) < 4 * 87), "{wins:?}");
    }
}
