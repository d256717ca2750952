//! Who wins an ad slot, and what does the winner pay?
//!
//! A rule sees only what each bidder's impression is worth (eCPM) and a reserve, so the same rules serve
//! bids per impression and bids per click: the market ranks a click bid at `1000 x bid x pCTR` and turns the
//! price back into a price per click. Add a rule: one file here and its entry in [`AUCTIONS`].

pub mod first_price;
pub mod ranking;
pub mod second_price;

use crate::base::{Failure, Params, Result, params::ParamSpec};

/// Every rule, in the order in which choosers list them.
pub const AUCTIONS: &[&dyn AuctionRule] = &[&second_price::SecondPrice, &first_price::FirstPrice];

/// A pricing rule as a person meets it: a name, a sentence, its knobs.
pub trait AuctionRule: Sync {
    /// Stable name in files and on the command line.
    fn id(&self) -> &'static str;

    /// The words in a chooser.
    fn label(&self) -> &'static str;

    /// One sentence: who wins and what is paid.
    fn summary(&self) -> &'static str;

    /// What can be set.
    fn params(&self) -> &'static [ParamSpec];

    /// The rule with its knobs set, ready for millions of auctions.
    ///
    /// # Errors
    /// A parameter that is missing or of the wrong type.
    fn build(&self, params: &Params) -> Result<Box<dyn Clearing>>;
}

/// A rule at work.
pub trait Clearing: Send + Sync {
    /// Sells the slots of one page, first slot first. `sales` is emptied first; it stays empty when nobody
    /// reaches the reserve. A winner pays at least the reserve and at most its own eCPM; a bidder wins once.
    fn clear(&self, auction: &Auction<'_>, sales: &mut Vec<Sale>);
}

/// One page's auction.
#[derive(Debug, Clone, Copy)]
pub struct Auction<'a> {
    /// What an impression is worth to each bidder, in micros per thousand impressions.
    /// Zero, a negative number or NaN means that the bidder sits out.
    pub ecpm_micros: &'a [f64],
    /// How many slots the page has.
    pub slots: usize,
    /// Nobody buys for less, in micros per thousand impressions.
    pub reserve_ecpm_micros: f64,
    /// Decides between equal bidders.
    pub tie_seed: u64,
}

/// One slot sold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sale {
    /// Place in the page, from 0.
    pub slot: usize,
    /// Index in [`Auction::ecpm_micros`].
    pub bidder: usize,
    /// What is paid, in micros per thousand impressions.
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
        let auction = Auction { ecpm_micros: bids, slots: 1, reserve_ecpm_micros: reserve, tie_seed: 5 };
        built.clear(&auction, &mut sales);
        sales.first().copied()
    }

    /// What many auctions among `n` bidders came to, per auction.
    #[derive(Debug, Clone, Copy, Default)]
    pub(super) struct Means {
        pub revenue: f64,
        pub fill: f64,
        /// The winner's value.
        pub value: f64,
    }

    /// Means over auctions whose bidders draw their value by `value` and bid `bid(value)`.
    pub(super) fn market(
        id: &str,
        (n, reserve, auctions): (usize, f64, usize),
        value: impl Fn(&mut Rng) -> f64,
        bid: impl Fn(f64) -> f64,
    ) -> Means {
        let rule = find(id).unwrap();
        let built = rule.build(&Params::defaults(rule.params())).unwrap();
        let mut rng = Rng::named(12, "market");
        let (mut means, mut sales) = (Means::default(), Vec::new());
        let (mut values, mut bids) = (vec![0.0; n], vec![0.0; n]);
        for tie_seed in 0..auctions as u64 {
            for (value_of, bid_of) in values.iter_mut().zip(&mut bids) {
                *value_of = value(&mut rng);
                *bid_of = bid(*value_of);
            }
            let auction = Auction { ecpm_micros: &bids, slots: 1, reserve_ecpm_micros: reserve, tie_seed };
            built.clear(&auction, &mut sales);
            if let Some(sale) = sales.first() {
                means.revenue += sale.price_ecpm_micros / auctions as f64;
                means.fill += 1.0 / auctions as f64;
                means.value += values[sale.bidder] / auctions as f64;
            }
        }
        means
    }

    /// Mean revenue of `n` uniform bidders and its share of sold slots, bids passed through `bid`.
    pub(super) fn uniform_market(
        id: &str,
        n: usize,
        reserve: f64,
        auctions: usize,
        bid: impl Fn(f64) -> f64,
    ) -> (f64, f64) {
        let means = market(id, (n, reserve, auctions), Rng::uniform, bid);
        (means.revenue, means.fill)
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
                let slots = 1 + rng.below(4);
                let auction = Auction { ecpm_micros: &bids, slots, reserve_ecpm_micros: reserve, tie_seed };
                built.clear(&auction, &mut sales);
                let able = bids.iter().filter(|b| **b > 0.0 && **b >= reserve).count();
                assert_eq!(sales.len(), able.min(slots), "{} {auction:?}", rule.id());
                for (slot, sale) in sales.iter().enumerate() {
                    assert_eq!(sale.slot, slot);
                    assert!(sale.price_ecpm_micros <= bids[sale.bidder], "{auction:?}");
                    assert!(sale.price_ecpm_micros >= reserve, "{auction:?}");
                    assert!(
                        sales[..slot]
                            .iter()
                            .all(|s| s.bidder != sale.bidder && bids[s.bidder] >= bids[sale.bidder])
                    );
                }
            }
        }
    }

    #[test]
    fn ids_are_unique_and_an_unknown_one_lists_them() {
        let mut ids: Vec<_> = AUCTIONS.iter().map(|rule| rule.id()).collect();
        ids.dedup();
        assert_eq!(ids.len(), AUCTIONS.len());
        let failure = find("vickrey").err().unwrap();
        assert_eq!(failure.hint, "one of: second_price, first_price");
    }

    #[test]
    fn openrtb_golden_table() {
        // OpenRTB 2.6, section 4.4.1: floor 0.85, bids 1.00 / 0.90 / 0.80.
        let bids = [1_000_000.0, 900_000.0, 800_000.0];
        let table = |id: &str, increment: &str| {
            let rule = find(id).unwrap();
            let mut params = Params::defaults(rule.params());
            if !increment.is_empty() {
                params.set(rule.params(), "increment_micros", increment).unwrap();
            }
            let mut sales = Vec::new();
            let auction =
                Auction { ecpm_micros: &bids, slots: 1, reserve_ecpm_micros: 850_000.0, tie_seed: 1 };
            rule.build(&params).unwrap().clear(&auction, &mut sales);
            let to_win = [0, 1, 2].map(|b| minimum_to_win_ecpm_micros(&sales[0], b));
            (sales[0].bidder, sales[0].price_ecpm_micros, to_win)
        };
        assert_eq!(table("first_price", ""), (0, 1_000_000.0, [900_000.0, 1_000_000.0, 1_000_000.0]));
        assert_eq!(table("second_price", "10000"), (0, 910_000.0, [900_000.0, 910_000.0, 910_000.0]));
    }
}
