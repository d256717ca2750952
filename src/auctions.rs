//! Who wins an ad slot, and what does the winner pay?
//!
//! A rule sees only what each bidder's impression is worth (eCPM) and what the seller asks, so the same rules
//! serve bids per impression, per click and per conversion: the market ranks a click bid at
//! `1000 x bid x pCTR` and turns the price back into a price per click. An eCPM is the worth of an impression
//! that is looked at; a slot that is looked at half as often is worth half of it. Add a rule: one file here and
//! its entry in [`AUCTIONS`].

pub mod first_price;
pub mod gsp;
pub mod myerson;
pub mod posted_price;
pub mod ranking;
pub mod second_price;
pub mod second_price_plus;
pub mod uniform_price;
pub mod vcg;

use crate::base::{Failure, Params, Result, params::ParamSpec};

/// Every rule, in the order in which choosers list them.
pub const AUCTIONS: &[&dyn AuctionRule] = &[
    &second_price::SecondPrice,
    &first_price::FirstPrice,
    &gsp::Gsp,
    &vcg::Vcg,
    &uniform_price::UniformPrice,
    &posted_price::PostedPrice,
    &second_price_plus::SecondPricePlus,
];

/// A pricing rule as a person meets it: a name, a sentence, its knobs.
pub trait AuctionRule: Sync {
    /// Stable name in files and on the command line.
    fn id(&self) -> &'static str;

    /// The words in a chooser.
    fn label(&self) -> &'static str;

    /// One sentence: who wins and what is paid.
    fn summary(&self) -> &'static str;

    /// What can be set; nothing, for most.
    fn params(&self) -> &'static [ParamSpec] {
        &[]
    }

    /// The rule with its knobs set, ready for millions of auctions.
    ///
    /// # Errors
    /// A parameter that is missing or of the wrong type.
    fn build(&self, params: &Params) -> Result<Box<dyn Clearing>>;
}

/// A rule at work.
pub trait Clearing: Send + Sync {
    /// Sells the slots of one page, first slot first. `sales` is emptied first; a slot whose floor nobody
    /// reaches has no sale. A winner pays at least the slot's floor and at most its own eCPM; a bidder wins once.
    fn clear(&self, auction: &Auction<'_>, sales: &mut Vec<Sale>);

    /// Whether a winner pays its own bid: then it pays to bid less than one's worth.
    fn pays_own_bid(&self) -> bool {
        false
    }
}

/// One page's auction.
#[derive(Debug, Clone, Copy)]
pub struct Auction<'a> {
    /// What an impression that is looked at is worth to each bidder, in micros per thousand impressions.
    /// Zero, a negative number or NaN means that the bidder sits out.
    pub ecpm_micros: &'a [f64],
    /// pCTR of each bidder's ad, for rules that weigh it apart from the bid; empty: all ads alike.
    pub quality: &'a [f64],
    /// How often each slot is looked at, 1 for always: one entry a slot, in order of the page.
    pub looks: &'a [f64],
    /// Nobody buys for less, in micros per thousand impressions.
    pub reserve_ecpm_micros: f64,
    /// What single slots ask beyond the reserve, in micros per thousand impressions; missing entries ask nothing.
    pub floors_ecpm_micros: &'a [f64],
    /// Class of each bidder: a higher one (a deal) is served before a lower one, whatever is bid, and competes with
    /// its own class alone; empty: all are of the open market.
    pub priorities: &'a [u8],
    /// Decides between equal bidders.
    pub tie_seed: u64,
}

impl<'a> Auction<'a> {
    /// An auction of slots that are all looked at, without floors of their own.
    pub fn plain(ecpm_micros: &'a [f64], slots: usize, reserve_ecpm_micros: f64, tie_seed: u64) -> Self {
        const SEEN: [f64; MAX_SLOTS] = [1.0; MAX_SLOTS];
        let looks = &SEEN[..slots.min(MAX_SLOTS)];
        Self {
            ecpm_micros,
            quality: &[],
            looks,
            reserve_ecpm_micros,
            floors_ecpm_micros: &[],
            priorities: &[],
            tie_seed,
        }
    }

    /// How many slots the page has.
    pub fn slots(&self) -> usize {
        self.looks.len()
    }

    /// The lowest price of a slot, in micros per thousand impressions.
    pub fn floor(&self, slot: usize) -> f64 {
        let own = self.floors_ecpm_micros.get(slot).copied().unwrap_or(0.0);
        self.reserve_ecpm_micros.max(own).max(0.0)
    }

    /// The lowest price of any slot: who does not reach it is not in the auction.
    pub fn lowest_floor(&self) -> f64 {
        (0..self.slots()).map(|slot| self.floor(slot)).fold(f64::INFINITY, f64::min)
    }

    /// The class of a bidder; 0: the open market.
    pub fn priority_of(&self, bidder: usize) -> u8 {
        self.priorities.get(bidder).copied().unwrap_or(0)
    }

    /// pCTR of a bidder's ad, as far as the rule may know it.
    pub fn quality_of(&self, bidder: usize) -> f64 {
        self.quality.get(bidder).copied().unwrap_or(1.0)
    }
}

/// The most slots that a page can have.
pub const MAX_SLOTS: usize = 16;

/// One slot sold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sale {
    /// Place in the page, from 0.
    pub slot: usize,
    /// Index in [`Auction::ecpm_micros`].
    pub bidder: usize,
    /// What is paid, in micros per thousand impressions that are looked at.
    pub price_ecpm_micros: f64,
    /// The strongest competing claim: what the winner had to reach.
    pub to_win_ecpm_micros: f64,
}

/// The rule called `id`.
///
/// # Errors
/// There is none; the known ones are listed.
pub fn find(id: &str) -> Result<&'static dyn AuctionRule> {
    AUCTIONS.iter().copied().find(|rule| rule.id() == id).ok_or_else(|| {
        let known: Vec<_> = AUCTIONS.iter().map(|rule| rule.id()).collect();
        Failure::new("cannot choose the auction", format!("there is no auction '{id}'"))
            .hint(format!("one of: {}", known.join(", ")))
    })
}

/// What the losers of a one-slot auction must be told they needed (OpenRTB 2.6, `AUCTION_MIN_TO_WIN`): the
/// winner its strongest rival or the reserve, a loser the price that was paid.
pub fn minimum_to_win_ecpm_micros(sale: &Sale, bidder: usize) -> f64 {
    if bidder == sale.bidder { sale.to_win_ecpm_micros } else { sale.price_ecpm_micros }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    /// One-slot sale under the rule called `id`, bids in micros per thousand.
    pub(super) fn sell(id: &str, bids: &[f64], reserve: f64) -> Option<Sale> {
        let rule = find(id).unwrap();
        let built = rule.build(&Params::defaults(rule.params())).unwrap();
        let mut sales = Vec::new();
        let auction = Auction::plain(bids, 1, reserve, 5);
        built.clear(&auction, &mut sales);
        sales.first().copied()
    }

    #[test]
    fn every_rule_keeps_bid_reserve_and_one_win_a_bidder() {
        let mut rng = Rng::named(3, "random auctions");
        for rule in AUCTIONS {
            let built = rule.build(&Params::defaults(rule.params())).unwrap();
            let mut sales = Vec::new();
            for tie_seed in 0..20_000 {
                let bids: Vec<f64> = (0..rng.below(8)).map(|_| (rng.uniform() * 6.0).floor() - 1.0).collect();
                let reserve = (rng.uniform() * 4.0).floor();
                let auction = Auction::plain(&bids, 1 + rng.below(4), reserve, tie_seed);
                built.clear(&auction, &mut sales);
                let able = bids.iter().filter(|b| **b > 0.0 && **b >= reserve).count();
                assert_eq!(sales.len(), able.min(auction.slots()), "{} {auction:?}", rule.id());
                for (slot, sale) in sales.iter().enumerate() {
                    assert_eq!(sale.slot, slot);
                    let before = &sales[..slot];
                    assert!(
                        before.iter().all(|s| s.bidder != sale.bidder && bids[s.bidder] >= bids[sale.bidder])
                    );
                }
                keeps_bounds(&auction, &sales);
                // Slots with floors of their own and unequal looks, and bids that are no numbers.
                let floors: Vec<f64> = (0..auction.slots()).map(|_| rng.uniform() * 5.0).collect();
                let looks: Vec<f64> = floors.iter().map(|_| rng.uniform()).collect();
                let mut bids: Vec<f64> = bids.iter().map(|bid| bid * rng.uniform()).collect();
                bids.extend([f64::NAN, -3.0]);
                let auction =
                    Auction { ecpm_micros: &bids, looks: &looks, floors_ecpm_micros: &floors, ..auction };
                built.clear(&auction, &mut sales);
                keeps_bounds(&auction, &sales);
            }
        }
    }

    fn keeps_bounds(auction: &Auction<'_>, sales: &[Sale]) {
        for (index, sale) in sales.iter().enumerate() {
            let (price, worth) = (sale.price_ecpm_micros, auction.ecpm_micros[sale.bidder]);
            assert!(price <= worth && price >= auction.floor(sale.slot), "{auction:?} {sale:?}");
            assert!(sales[..index].iter().all(|s| s.bidder != sale.bidder && s.slot < sale.slot));
        }
    }

    #[test]
    fn ids_are_unique_and_an_unknown_one_lists_them() {
        let mut ids: Vec<_> = AUCTIONS.iter().map(|rule| rule.id()).collect();
        ids.dedup();
        assert_eq!(ids.len(), AUCTIONS.len());
        let failure = find("vickrey").err().unwrap();
        assert!(failure.hint.starts_with("one of: second_price, first_price, gsp, vcg"), "{failure}");
    }
}
