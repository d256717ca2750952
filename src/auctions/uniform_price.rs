//! What if all winners of a page pay the same: the highest offer that lost?
//!
//! The Vickrey auction of several equal goods. Where all slots are looked at alike it is truthful, and `k` slots
//! sold to `n` bidders on U`[0, 1]` bring `k (n-k)/(n+1)`. Where they are not, the lower slots are dear.

use super::{Auction, AuctionRule, Clearing, Sale, ranking};
use crate::base::{Params, Result};

/// The strongest win; all pay the best losing offer.
#[derive(Debug)]
pub struct UniformPrice;

impl AuctionRule for UniformPrice {
    fn id(&self) -> &'static str {
        "uniform_price"
    }

    fn label(&self) -> &'static str {
        "Uniform price"
    }

    fn summary(&self) -> &'static str {
        "The strongest win and all pay the highest losing offer, at least the slot's floor."
    }

    fn build(&self, _params: &Params) -> Result<Box<dyn Clearing>> {
        Ok(Box::new(Built))
    }
}

struct Built;

impl Clearing for Built {
    fn clear(&self, auction: &Auction<'_>, sales: &mut Vec<Sale>) {
        ranking::sell_in_order(auction, sales, |_, ecpm| ecpm, |_, _, floor| (floor, floor));
        // With floors of their own, slots may stay empty while strong bidders get none: all that did not win lost.
        let won: Vec<usize> = sales.iter().map(|sale| sale.bidder).collect();
        for sale in sales {
            let class = auction.priority_of(sale.bidder);
            let offers = auction.ecpm_micros.iter().enumerate();
            let losing = offers.filter(|(bidder, ecpm)| {
                **ecpm > 0.0 && auction.priority_of(*bidder) == class && !won.contains(bidder)
            });
            let highest = losing.map(|(_, ecpm)| *ecpm).fold(auction.floor(sale.slot), f64::max);
            sale.price_ecpm_micros = highest.min(auction.ecpm_micros[sale.bidder]);
            sale.to_win_ecpm_micros = highest;
        }
    }
}
