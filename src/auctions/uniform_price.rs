//! What if all winners of a page pay the same: the highest offer that lost?
//!
//! The Vickrey auction of several equal goods. Where all slots are looked at alike it is truthful, and `k` slots
//! sold to `n` bidders on U`[0, 1]` bring `k (n-k)/(n+1)`. Where they are not, the lower slots are dear.

use super::{Auction, AuctionRule, Clearing, Sale, ranking};
use crate::base::{Params, Result, params::ParamSpec};

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

    fn params(&self) -> &'static [ParamSpec] {
        &[]
    }

    fn build(&self, _params: &Params) -> Result<Box<dyn Clearing>> {
        Ok(Box::new(Built))
    }
}

struct Built;

impl Clearing for Built {
    fn clear(&self, auction: &Auction<'_>, sales: &mut Vec<Sale>) {
        ranking::sell_in_order(auction, sales, |_, ecpm| ecpm, |_, _, floor| (floor, floor));
        // With floors of their own, slots may stay empty while strong bidders get none: all that won are out.
        let lost = |bidder: usize| sales.iter().all(|sale| sale.bidder != bidder);
        let losing =
            auction.ecpm_micros.iter().enumerate().filter(|(bidder, ecpm)| **ecpm > 0.0 && lost(*bidder));
        let highest = losing.map(|(_, ecpm)| *ecpm).fold(0.0, f64::max);
        for sale in sales {
            let floor = auction.floor(sale.slot);
            sale.price_ecpm_micros = highest.max(floor).min(auction.ecpm_micros[sale.bidder]);
            sale.to_win_ecpm_micros = highest.max(floor);
        }
    }
}
