//! What if several slots are sold by bid and quality, each at what keeps the place?
//!
//! The generalised second price auction (Edelman, Ostrovsky & Schwarz 2007; Varian 2007). Bidders are ranked
//! by `bid x pCTR^s`; a winner pays the least that keeps its rank. `s = 1` ranks by expected revenue, `s = 0`
//! by the bid alone, in between the squashing of Lahaie & Pennock (2007). Bidding one's worth is not best.

use super::{Auction, AuctionRule, Clearing, Sale, ranking};
use crate::base::{Params, Result, params::ParamSpec};

/// Ranked by bid and quality; pays what keeps the rank.
#[derive(Debug)]
pub struct Gsp;

const PARAMS: &[ParamSpec] = &[ParamSpec::real(
    "quality_weight",
    "Weight of quality",
    (0.0, 1.0, 2.0),
    "Exponent of pCTR in the rank: 1 ranks by expected revenue, 0 by the bid alone, above 1 favours relevance.",
)];

/// A pCTR of 0 would make the rank infinite or nothing; no ad is worse than one click in a billion.
const LOWEST_QUALITY: f64 = 1e-9;

impl AuctionRule for Gsp {
    fn id(&self) -> &'static str {
        "gsp"
    }

    fn label(&self) -> &'static str {
        "Generalised second price"
    }

    fn summary(&self) -> &'static str {
        "Slots go by bid x quality; each winner pays the least that keeps its place."
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn build(&self, params: &Params) -> Result<Box<dyn Clearing>> {
        // The eCPM already holds pCTR once.
        Ok(Box::new(Built { exponent: params.real("quality_weight")? - 1.0 }))
    }
}

struct Built {
    exponent: f64,
}

impl Clearing for Built {
    fn clear(&self, auction: &Auction<'_>, sales: &mut Vec<Sale>) {
        if self.exponent == 0.0 {
            ranking::sell_in_order(
                auction,
                sales,
                |_, ecpm| ecpm,
                |_, next, floor| {
                    let offer = next.map_or(floor, |next| next.ecpm_micros);
                    (offer, offer)
                },
            );
            return;
        }
        let factor = |bidder: usize| auction.quality_of(bidder).max(LOWEST_QUALITY).powf(self.exponent);
        ranking::sell_in_order(
            auction,
            sales,
            |bidder, ecpm| ecpm * factor(bidder),
            |winner, next, floor| {
                let keeps = next.map_or(floor, |next| next.score / factor(winner.bidder));
                (keeps, keeps)
            },
        );
    }
}
