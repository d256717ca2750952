//! What if each winner pays the harm that it does to the others?
//!
//! Vickrey, Clarke & Groves for slots: the allocation with the highest total worth; a winner pays what the
//! others together could have gained without it. The seller counts as a bidder who values each slot at its
//! floor, so reserves keep the rule truthful. A slot's worth is its looks times the eCPM. Deals have no place here.

use super::ranking::{self, Ranked};
use super::{Auction, AuctionRule, Clearing, MAX_SLOTS, Sale};
use crate::base::{Params, Result};

/// Highest total worth; pays the harm done.
#[derive(Debug)]
pub struct Vcg;

impl AuctionRule for Vcg {
    fn id(&self) -> &'static str {
        "vcg"
    }

    fn label(&self) -> &'static str {
        "VCG"
    }

    fn summary(&self) -> &'static str {
        "Slots go where they are worth most; each winner pays what the others lose by it; the truth is the best bid."
    }

    fn build(&self, _params: &Params) -> Result<Box<dyn Clearing>> {
        Ok(Box::new(Built))
    }
}

struct Built;

impl Clearing for Built {
    fn clear(&self, auction: &Auction<'_>, sales: &mut Vec<Sale>) {
        sales.clear();
        // Harm is measured in worth; classes have none.
        let auction = &Auction { priorities: &[], ..*auction };
        let ranking = ranking::best(auction, |_, ecpm| ecpm);
        let bidders = ranking.as_slice();
        let order = slots_by_looks(auction);
        let order = &order[..auction.slots()];
        let whole = Gains::new(auction, order, bidders, None);
        let mut place = 0;
        for (rank, &slot) in order.iter().enumerate() {
            let Some(winner) = bidders.get(place) else { break };
            if !whole.sold[rank][place] {
                continue;
            }
            let own = worth_over_floor(auction, slot, winner);
            let without = Gains::new(auction, order, bidders, Some(place)).total();
            let floor = auction.floor(slot);
            let harm = without - (whole.total() - own);
            let looks = auction.looks[slot];
            let price = if looks > 0.0 { floor + harm / looks } else { floor };
            let next = bidders.get(place + 1).map_or(0.0, |next| next.ecpm_micros);
            sales.push(Sale {
                slot,
                bidder: winner.bidder,
                // Rounding may put the sum a hair outside.
                price_ecpm_micros: price.max(floor).min(winner.ecpm_micros),
                to_win_ecpm_micros: next.max(floor),
            });
            place += 1;
        }
        sales.sort_unstable_by_key(|sale| sale.slot);
    }
}

/// Places of the page, most looked at first: the best bidder takes the best slot in any best allocation.
fn slots_by_looks(auction: &Auction<'_>) -> [usize; MAX_SLOTS] {
    let mut order = std::array::from_fn(|slot| slot);
    let slots = auction.slots();
    if !auction.looks.is_sorted_by(|a, b| a >= b) {
        order[..slots].sort_by(|a: &usize, b| auction.looks[*b].total_cmp(&auction.looks[*a]));
    }
    order
}

/// What selling the slot to the bidder adds over keeping it.
fn worth_over_floor(auction: &Auction<'_>, slot: usize, bidder: &Ranked) -> f64 {
    auction.looks[slot] * (bidder.ecpm_micros - auction.floor(slot))
}

/// `table[rank][place]`: the most that slots from `rank` on can add when the bidders from `place` on are left.
struct Gains {
    table: [[f64; MAX_SLOTS + 2]; MAX_SLOTS + 1],
    /// Whether the slot of `rank` is sold to the bidder at `place`: it is unless keeping it is better, so a slot
    /// is sold at exactly its floor.
    sold: [[bool; MAX_SLOTS + 2]; MAX_SLOTS + 1],
}

impl Gains {
    fn new(auction: &Auction<'_>, order: &[usize], bidders: &[Ranked], without: Option<usize>) -> Self {
        let mut gains = Self {
            table: [[0.0; MAX_SLOTS + 2]; MAX_SLOTS + 1],
            sold: [[false; MAX_SLOTS + 2]; MAX_SLOTS + 1],
        };
        for (rank, &slot) in order.iter().enumerate().rev() {
            for (place, bidder) in bidders.iter().enumerate().rev() {
                if without == Some(place) {
                    gains.table[rank][place] = gains.table[rank][place + 1];
                    continue;
                }
                let sold = worth_over_floor(auction, slot, bidder) + gains.table[rank + 1][place + 1];
                let kept = gains.table[rank + 1][place];
                gains.table[rank][place] = sold.max(kept);
                gains.sold[rank][place] = sold >= kept;
            }
        }
        gains
    }

    fn total(&self) -> f64 {
        self.table[0][0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    /// The best total worth over all ways to give slots to bidders, by trying each.
    fn by_trying(auction: &Auction<'_>, slot: usize, taken: &mut Vec<usize>) -> f64 {
        if slot == auction.slots() {
            return 0.0;
        }
        let mut best = by_trying(auction, slot + 1, taken);
        for bidder in 0..auction.ecpm_micros.len() {
            if !taken.contains(&bidder) {
                taken.push(bidder);
                let own = auction.looks[slot] * (auction.ecpm_micros[bidder] - auction.floor(slot));
                best = best.max(own + by_trying(auction, slot + 1, taken));
                taken.pop();
            }
        }
        best
    }

    #[test]
    fn the_allocation_and_the_harm_are_those_of_trying_every_way() {
        let mut rng = Rng::named(6, "vcg");
        let mut sales = Vec::new();
        for tie_seed in 0..2_000 {
            let bids: Vec<f64> = (0..1 + rng.below(5)).map(|_| rng.uniform()).collect();
            let looks: Vec<f64> = (0..1 + rng.below(3)).map(|_| rng.uniform()).collect();
            let floors: Vec<f64> = looks.iter().map(|_| rng.uniform() * 0.5).collect();
            let auction = Auction {
                looks: &looks,
                floors_ecpm_micros: &floors,
                ..Auction::plain(&bids, 0, 0.1, tie_seed)
            };
            Built.clear(&auction, &mut sales);
            let whole = by_trying(&auction, 0, &mut Vec::new());
            let over_floor = |sale: &Sale| looks[sale.slot] * (bids[sale.bidder] - auction.floor(sale.slot));
            let found: f64 = sales.iter().map(over_floor).sum();
            assert!((found - whole).abs() < 1e-12, "{auction:?} {sales:?}");
            for sale in &sales {
                let without = by_trying(&auction, 0, &mut vec![sale.bidder]);
                let harm = without - (whole - over_floor(sale));
                let paid = looks[sale.slot] * (sale.price_ecpm_micros - auction.floor(sale.slot));
                assert!((paid - harm).abs() < 1e-9, "{auction:?} {sale:?}");
            }
        }
    }
}
