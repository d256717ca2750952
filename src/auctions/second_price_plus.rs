//! What if the winner pays a little more than the next bidder offered?
//!
//! OpenRTB's `at = 2`, "second price plus" (OpenRTB 2.6, section 4.4.1): the runner-up's offer and an
//! increment, never beyond the winner's own. A lone bidder pays the floor.

use super::{Auction, AuctionRule, Clearing, Sale, ranking};
use crate::base::{Params, Result, params::ParamSpec};

/// Highest eCPM wins and pays the next one plus an increment.
#[derive(Debug)]
pub struct SecondPricePlus;

const PARAMS: &[ParamSpec] = &[ParamSpec::integer(
    "increment_micros",
    "Increment (micros CPM)",
    (0, 10_000, 1_000_000),
    "Added to the runner-up's offer, never beyond the winner's own; 10,000 is 0.01.",
)];

impl AuctionRule for SecondPricePlus {
    fn id(&self) -> &'static str {
        "second_price_plus"
    }

    fn label(&self) -> &'static str {
        "Second price plus (OpenRTB)"
    }

    fn summary(&self) -> &'static str {
        "The highest eCPM wins and pays the next highest plus an increment, as OpenRTB exchanges do."
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn build(&self, params: &Params) -> Result<Box<dyn Clearing>> {
        Ok(Box::new(Built { increment_micros: params.integer("increment_micros")? as f64 }))
    }
}

struct Built {
    increment_micros: f64,
}

impl Clearing for Built {
    fn clear(&self, auction: &Auction<'_>, sales: &mut Vec<Sale>) {
        ranking::sell_in_order(
            auction,
            sales,
            |_, ecpm| ecpm,
            |_, next, floor| match next {
                Some(next) => (next.ecpm_micros + self.increment_micros, next.ecpm_micros),
                None => (floor, floor),
            },
        );
    }
}
