//! What if the winner pays its own bid?
//!
//! Simple to explain, but nobody should bid the full worth: with `n` equal rivals on U`[0, 1]` the equilibrium
//! bid is `v (n-1)/n`, and the seller then earns the same mean as with the second price at less risk. Bidders
//! shade where their campaign says so.

use super::{Auction, AuctionRule, Clearing, Sale, ranking};
use crate::base::{Params, Result};

/// Highest eCPM wins and pays it.
#[derive(Debug)]
pub struct FirstPrice;

impl AuctionRule for FirstPrice {
    fn id(&self) -> &'static str {
        "first_price"
    }

    fn label(&self) -> &'static str {
        "First price"
    }

    fn summary(&self) -> &'static str {
        "The highest eCPM wins and pays its own bid; campaigns with shading bid less than they would pay."
    }

    fn build(&self, _params: &Params) -> Result<Box<dyn Clearing>> {
        Ok(Box::new(Built))
    }
}

struct Built;

impl Clearing for Built {
    fn clear(&self, auction: &Auction<'_>, sales: &mut Vec<Sale>) {
        ranking::sell_in_order(
            auction,
            sales,
            |_, ecpm| ecpm,
            |winner, next, floor| (winner.ecpm_micros, next.map_or(floor, |next| next.ecpm_micros)),
        );
    }

    fn pays_own_bid(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sell;

    #[test]
    fn the_winner_pays_its_bid() {
        let sale = sell("first_price", &[3.0, 5.0, 4.0], 1.0).unwrap();
        assert_eq!((sale.bidder, sale.price_ecpm_micros, sale.to_win_ecpm_micros), (1, 5.0, 4.0));
    }
}
