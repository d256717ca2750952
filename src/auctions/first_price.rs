//! What if the winner pays its own bid?
//!
//! Simple to explain, but nobody should bid the full worth: with `n` equal rivals on U[0,1] the equilibrium
//! bid is `v (n-1)/n`, and the seller then earns the same mean as with the second price at less risk.

use super::ranking::{self, Ranked};
use super::{Auction, AuctionRule, Clearing, Sale};
use crate::base::{Params, Result, params::ParamSpec};

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
        "The highest eCPM wins and pays its own bid; bidders are taken as they are, none shades its bid."
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
        sales.clear();
        let mut ranked: Vec<Ranked> = Vec::with_capacity(auction.slots + 1);
        ranking::best(auction, auction.slots + 1, &mut ranked);
        for (slot, winner) in ranked.iter().take(auction.slots).enumerate() {
            let to_win = ranked.get(slot + 1).map_or(auction.reserve_ecpm_micros, |next| next.ecpm_micros);
            sales.push(Sale {
                slot,
                bidder: winner.bidder,
                price_ecpm_micros: winner.ecpm_micros,
                to_win_ecpm_micros: to_win.max(0.0),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{sell, uniform_market};

    const AUCTIONS: usize = 400_000;

    #[test]
    fn the_winner_pays_its_bid() {
        let sale = sell("first_price", &[3.0, 5.0, 4.0], 1.0).unwrap();
        assert_eq!((sale.bidder, sale.price_ecpm_micros), (1, 5.0));
    }

    #[test]
    fn equilibrium_bids_earn_what_the_second_price_earns_with_less_spread() {
        // Vickrey 1961: b(v) = v(n-1)/n earns (n-1)/(n+1); deviation ((n-1)/n) sqrt(n/((n+1)^2 (n+2))).
        for n in [2usize, 3, 5, 10] {
            let m = n as f64;
            let shade = (m - 1.0) / m;
            let exact = (m - 1.0) / (m + 1.0);
            let deviation = shade * (m / ((m + 1.0).powi(2) * (m + 2.0))).sqrt();
            let (revenue, _) = uniform_market("first_price", n, 0.0, AUCTIONS, |v| v * shade);
            let error = (revenue - exact).abs();
            assert!(
                error <= 4.0 * deviation / (AUCTIONS as f64).sqrt(),
                "n = {n}: {revenue} against {exact}"
            );
        }
    }

    #[test]
    fn honest_bids_would_pay_the_highest_value() {
        // The mean of the highest of n uniforms is n/(n+1); its deviation is below 0.24.
        let (revenue, _) = uniform_market("first_price", 3, 0.0, AUCTIONS, |v| v);
        assert!((revenue - 0.75).abs() < 4.0 * 0.24 / (AUCTIONS as f64).sqrt());
    }
}
