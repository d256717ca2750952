//! Who are the strongest bidders, best first, and which slot does each of them get?

use super::{Auction, MAX_SLOTS, Sale};
use crate::base::rng::mix;

/// A bidder in rank order.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ranked {
    /// Index in [`Auction::ecpm_micros`].
    pub bidder: usize,
    /// Its worth of an impression.
    pub ecpm_micros: f64,
    /// What it is ranked by within its class.
    pub score: f64,
    /// Its class; see [`Auction::priorities`].
    pub priority: u8,
}

/// The winners and the first loser, on the stack: millions of auctions allocate nothing.
#[derive(Debug, Clone, Copy)]
pub struct Ranking {
    entries: [Ranked; MAX_SLOTS + 1],
    len: usize,
}

impl Ranking {
    /// Best first.
    pub fn as_slice(&self) -> &[Ranked] {
        &self.entries[..self.len]
    }

    fn insert(&mut self, place: usize, entry: Ranked, most: usize) {
        let last = self.len.min(most - 1);
        self.entries.copy_within(place..last, place + 1);
        self.entries[place] = entry;
        self.len = last + 1;
    }
}

impl Ranked {
    fn of(auction: &Auction<'_>, bidder: usize, score: f64) -> Self {
        let ecpm_micros = auction.ecpm_micros[bidder];
        Self { bidder, ecpm_micros, score, priority: auction.priority_of(bidder) }
    }
}

/// The best `slots + 1` bidders that reach the lowest floor, ranked by `score(bidder, ecpm)`, best first. Equal
/// bidders are ordered by a hash of the tie seed, so that over many auctions none is favoured.
///
/// One pass with an insertion into a short list: cheap because a page has few slots.
pub fn best(auction: &Auction<'_>, score: impl Fn(usize, f64) -> f64) -> Ranking {
    let most = auction.slots() + 1;
    let lowest = auction.lowest_floor();
    let mut ranking = Ranking { entries: [Ranked::default(); MAX_SLOTS + 1], len: 0 };
    for (bidder, &ecpm_micros) in auction.ecpm_micros.iter().enumerate() {
        if !is_able(ecpm_micros, lowest) {
            continue;
        }
        let candidate = Ranked::of(auction, bidder, score(bidder, ecpm_micros));
        let full = ranking.len == most;
        if full && !beats(&candidate, &ranking.entries[most - 1], auction.tie_seed) {
            continue;
        }
        let mut place = ranking.len.min(most - 1);
        while place > 0 && beats(&candidate, &ranking.entries[place - 1], auction.tie_seed) {
            place -= 1;
        }
        ranking.insert(place, candidate, most);
    }
    ranking
}

/// Sells the slots from the top, each to the best bidder left that reaches its floor. `price(winner, next,
/// floor)` says what is asked of the winner and what it had to reach, given the best bidder left after it; the
/// price is kept between the floor and the winner's own worth.
pub fn sell_in_order(
    auction: &Auction<'_>,
    sales: &mut Vec<Sale>,
    score: impl Fn(usize, f64) -> f64,
    price: impl Fn(&Ranked, Option<&Ranked>, f64) -> (f64, f64),
) {
    sales.clear();
    let sale = |slot: usize, winner: &Ranked, next: Option<&Ranked>| {
        let floor = auction.floor(slot);
        // Who is of another class is no rival.
        let rival = next.filter(|next| next.priority == winner.priority);
        let (asked, to_win) = price(winner, rival, floor);
        Sale {
            slot,
            bidder: winner.bidder,
            price_ecpm_micros: asked.max(floor).min(winner.ecpm_micros),
            to_win_ecpm_micros: to_win.max(floor),
        }
    };
    if auction.floors_ecpm_micros.is_empty() {
        let ranking = best(auction, &score);
        let ranked = ranking.as_slice();
        for (slot, winner) in ranked.iter().take(auction.slots()).enumerate() {
            sales.push(sale(slot, winner, ranked.get(slot + 1)));
        }
        return;
    }
    for slot in 0..auction.slots() {
        if let Some(winner) = strongest_left(auction, sales, None, auction.floor(slot), &score) {
            let next = strongest_left(auction, sales, Some(winner.bidder), 0.0, &score);
            sales.push(sale(slot, &winner, next.as_ref()));
        }
    }
}

/// The best bidder without a slot that reaches `floor`, `but` aside.
fn strongest_left(
    auction: &Auction<'_>,
    sales: &[Sale],
    but: Option<usize>,
    floor: f64,
    score: &impl Fn(usize, f64) -> f64,
) -> Option<Ranked> {
    let mut strongest: Option<Ranked> = None;
    for (bidder, &ecpm_micros) in auction.ecpm_micros.iter().enumerate() {
        let placed = but == Some(bidder) || sales.iter().any(|sale| sale.bidder == bidder);
        if placed || !is_able(ecpm_micros, floor) {
            continue;
        }
        let candidate = Ranked::of(auction, bidder, score(bidder, ecpm_micros));
        if strongest.as_ref().is_none_or(|best| beats(&candidate, best, auction.tie_seed)) {
            strongest = Some(candidate);
        }
    }
    strongest
}

/// NaN, zero and negative offers are none.
fn is_able(ecpm_micros: f64, floor: f64) -> bool {
    ecpm_micros > 0.0 && ecpm_micros >= floor
}

/// A number that no bidder can influence: who wins among equals.
pub fn luck(tie_seed: u64, bidder: usize) -> u64 {
    mix(tie_seed ^ mix(bidder as u64))
}

fn beats(one: &Ranked, other: &Ranked, tie_seed: u64) -> bool {
    if one.priority != other.priority {
        one.priority > other.priority
    } else if one.score == other.score {
        luck(tie_seed, one.bidder) > luck(tie_seed, other.bidder)
    } else {
        one.score > other.score
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn agrees_with_a_full_sort() {
        let mut rng = Rng::named(1, "ranking");
        for _ in 0..2_000 {
            let bids: Vec<f64> = (0..12).map(|_| rng.uniform() - 0.2).collect();
            let ranking = best(&Auction::plain(&bids, 3, 0.1, 0), |_, ecpm| ecpm);
            let mut sorted: Vec<f64> = bids.iter().copied().filter(|b| *b >= 0.1).collect();
            sorted.sort_by(|a, b| b.total_cmp(a));
            sorted.truncate(4);
            let found: Vec<f64> = ranking.as_slice().iter().map(|r| r.ecpm_micros).collect();
            assert_eq!(found, sorted);
        }
    }

    #[test]
    fn ties_favour_nobody() {
        let bids = [1.0; 4];
        let mut wins = [0u32; 4];
        for tie_seed in 0..40_000 {
            let ranking = best(&Auction::plain(&bids, 1, 0.0, tie_seed), |_, ecpm| ecpm);
            wins[ranking.as_slice()[0].bidder] += 1;
        }
        // Binomial(40000, 1/4): standard deviation 86.6.
        assert!(wins.iter().all(|w| w.abs_diff(10_000) < 4 * 87), "{wins:?}");
    }

    #[test]
    fn a_deal_goes_before_higher_bids_and_pays_its_floor() {
        let auction = Auction { priorities: &[0, 3, 0], ..Auction::plain(&[9.0, 2.0, 5.0], 2, 1.0, 1) };
        let mut sales = Vec::new();
        let next_offer = |_: &Ranked, next: Option<&Ranked>, floor: f64| {
            let offer = next.map_or(floor, |next| next.ecpm_micros);
            (offer, offer)
        };
        sell_in_order(&auction, &mut sales, |_, ecpm| ecpm, next_offer);
        let sold: Vec<_> = sales.iter().map(|s| (s.bidder, s.price_ecpm_micros)).collect();
        assert_eq!(sold, [(1, 1.0), (0, 5.0)]);
    }

    #[test]
    fn a_dear_slot_stays_empty_while_a_cheaper_one_below_is_sold() {
        let auction =
            Auction { floors_ecpm_micros: &[6.0, 1.0], ..Auction::plain(&[5.0, 3.0, 2.0], 2, 0.5, 1) };
        let mut sales = Vec::new();
        let next_offer = |_: &Ranked, next: Option<&Ranked>, floor: f64| {
            let offer = next.map_or(floor, |next| next.ecpm_micros);
            (offer, offer)
        };
        sell_in_order(&auction, &mut sales, |_, ecpm| ecpm, next_offer);
        let sold: Vec<_> = sales.iter().map(|s| (s.slot, s.bidder, s.price_ecpm_micros)).collect();
        assert_eq!(sold, [(1, 0, 3.0)]);
        // With the floors the other way round both are sold, and the second slot costs its floor at least.
        let auction = Auction { floors_ecpm_micros: &[1.0, 2.5], ..auction };
        sell_in_order(&auction, &mut sales, |_, ecpm| ecpm, next_offer);
        let sold: Vec<_> = sales.iter().map(|s| (s.slot, s.bidder, s.price_ecpm_micros)).collect();
        assert_eq!(sold, [(0, 0, 3.0), (1, 1, 2.5)]);
    }
}
