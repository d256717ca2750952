//! What if the seller names a price and nobody bids?
//!
//! The floor of a slot is its price: who values it at least so much may have it. Among those willing, the
//! strongest come first, or whoever comes first. The best price of one bidder on U`[0, 1]` is 1/2.

use super::{Auction, AuctionRule, Clearing, Sale, ranking};
use crate::base::{Params, Result, params::ParamSpec};

/// Whoever is willing to pay the floor may buy at the floor.
#[derive(Debug)]
pub struct PostedPrice;

const STRONGEST: &str = "strongest first";
const PARAMS: &[ParamSpec] = &[ParamSpec::choice(
    "order",
    "Order",
    &[STRONGEST, "by chance"],
    "Who is served first among those willing to pay: the highest worth, or anyone.",
)];

impl AuctionRule for PostedPrice {
    fn id(&self) -> &'static str {
        "posted_price"
    }

    fn label(&self) -> &'static str {
        "Posted price"
    }

    fn summary(&self) -> &'static str {
        "The floor is the price: whoever is willing to pay it may buy, nobody pays more."
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn build(&self, params: &Params) -> Result<Box<dyn Clearing>> {
        Ok(Box::new(Built { by_chance: params.choice("order")? != STRONGEST }))
    }
}

struct Built {
    by_chance: bool,
}

impl Clearing for Built {
    fn clear(&self, auction: &Auction<'_>, sales: &mut Vec<Sale>) {
        let at_the_floor = |_: &ranking::Ranked, _: Option<&ranking::Ranked>, floor: f64| (floor, floor);
        if self.by_chance {
            // 53 bits of the hash: an order that no offer influences.
            let chance = |bidder: usize, _: f64| (ranking::luck(auction.tie_seed, bidder) >> 11) as f64;
            ranking::sell_in_order(auction, sales, chance, at_the_floor);
        } else {
            ranking::sell_in_order(auction, sales, |_, ecpm| ecpm, at_the_floor);
        }
    }
}
