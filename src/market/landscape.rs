//! What would other bids have won? Replay of logged auctions, and the win curve behind censored prices.
//!
//! A second-price log shows the price of each auction that was won; of a lost one only that its price was above
//! the bid. So a replay can tell what lower bids would have brought, exactly, but not all of what higher ones
//! would: those auctions are counted as unknown, never guessed. The win curve treats lost auctions as censored
//! at the bid (Kaplan & Meier 1958; for bid landscapes Wang et al. 2016); wins alone would make it look too
//! easy to win.

use crate::base::{Failure, Result};
use crate::metrics::Estimate;

/// One auction of a second-price log, in any unit of money.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoggedBid {
    /// What was bid.
    pub bid: f64,
    /// What was paid; `None` where the auction was lost.
    pub price: Option<f64>,
    /// Whether the impression was clicked.
    pub clicked: bool,
}

/// What other bids would have brought on the same auctions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Replayed {
    /// Auctions won for certain.
    pub wins: u64,
    /// Clicks on them.
    pub clicks: u64,
    /// What they cost.
    pub spend: f64,
    /// Auctions that were lost in the log and whose price the new bid might have reached.
    pub unknown: u64,
}

/// Bids `bid(row)` in every logged auction: it wins where it reaches the logged price, and pays that price, as
/// long as the budget lasts.
///
/// # Errors
/// A bid or a price that is no number, or a price above the bid that won.
pub fn replay(log: &[LoggedBid], budget: Option<f64>, bid: impl Fn(&LoggedBid) -> f64) -> Result<Replayed> {
    let mut replayed = Replayed::default();
    for (row, logged) in log.iter().enumerate() {
        let refuse =
            |why: String| Err(Failure::new("cannot replay the log", why).at(format!("auction {row}")));
        let offer = bid(logged);
        if offer.is_nan() || logged.bid.is_nan() {
            return refuse("a bid is no number".to_owned());
        }
        match logged.price {
            Some(price) if !(0.0..=logged.bid).contains(&price) => {
                return refuse(format!("it was won at {price} with a bid of {}", logged.bid));
            }
            Some(price) if offer >= price => {
                if budget.is_none_or(|budget| replayed.spend + price <= budget) {
                    replayed.wins += 1;
                    replayed.clicks += u64::from(logged.clicked);
                    replayed.spend += price;
                }
            }
            Some(_) => {}
            None => replayed.unknown += u64::from(offer > logged.bid),
        }
    }
    Ok(replayed)
}

/// How likely a bid is to win.
#[derive(Debug, Clone, PartialEq)]
pub struct WinCurve {
    /// Prices at which the curve steps, with the probability to lose from there on and Greenwood's sum.
    steps: Vec<(f64, f64, f64)>,
    /// Auctions that it rests on.
    pub n: usize,
}

impl WinCurve {
    /// From auctions as `(bid, price if won)`.
    ///
    /// # Errors
    /// No auctions, or a number that is none.
    pub fn from_auctions(auctions: &[(f64, Option<f64>)]) -> Result<Self> {
        let what = "cannot draw the win curve";
        if auctions.is_empty() {
            return Err(Failure::new(what, "there are no auctions"));
        }
        // A won auction shows its price; a lost one is only known to be dearer than its bid.
        let mut seen: Vec<(f64, bool)> =
            auctions.iter().map(|(bid, price)| price.map_or((*bid, false), |price| (price, true))).collect();
        if seen.iter().any(|(at, _)| at.is_nan()) {
            return Err(Failure::new(what, "a bid or a price is no number"));
        }
        // At equal amounts prices come before bids that lost: the price was reached.
        seen.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let n = seen.len();
        let (mut survival, mut greenwood) = (1.0, 0.0);
        let mut steps = Vec::new();
        for (place, (at, is_price)) in seen.into_iter().enumerate() {
            if !is_price {
                continue;
            }
            let at_risk = (n - place) as f64;
            survival *= 1.0 - 1.0 / at_risk;
            if at_risk > 1.0 {
                greenwood += 1.0 / (at_risk * (at_risk - 1.0));
            }
            steps.push((at, survival, greenwood));
        }
        Ok(Self { steps, n })
    }

    /// The probability that a bid wins, with Greenwood's 95 % interval.
    pub fn win_probability(&self, bid: f64) -> Estimate {
        let passed = self.steps.partition_point(|(at, ..)| *at <= bid);
        let Some((_, survival, greenwood)) = passed.checked_sub(1).map(|last| self.steps[last]) else {
            return Estimate::normal(0.0, 0.0);
        };
        Estimate::normal(1.0 - survival, survival * greenwood.sqrt())
    }
}
