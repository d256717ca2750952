//! What if the winner pays what the next bidder offered?
//!
//! Vickrey's auction with a reserve. Several slots are sold from the top, each at the worth of the next
//! bidder below. With one slot, bidding the true worth is the best a bidder can do whatever the others do.

use super::{Auction, AuctionRule, Clearing, Sale, ranking};
use crate::base::{Params, Result};

/// Highest eCPM wins and pays the next one, at least the reserve.
#[derive(Debug)]
pub struct SecondPrice;

impl AuctionRule for SecondPrice {
    fn id(&self) -> &'static str {
        "second_price"
    }

    fn label(&self) -> &'static str {
        "Second price"
    }

    fn summary(&self) -> &'static str {
        "The highest eCPM wins and pays the next highest, at least the reserve; bidding one's true worth is best."
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
            |_, next, floor| {
                let offer = next.map_or(floor, |next| next.ecpm_micros);
                (offer, offer)
            },
        );
    }
}
