//! What if the winner pays its own bid?
//!
//! Simple to explain, but nobody should bid the full worth: with `n` equal rivals on U`[0, 1]` the equilibrium
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
    use crate::base::rng::Rng;

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
    fn a_reserve_earns_what_it_earns_in_the_second_price_auction() {
        // Equilibrium with reserve r: b(v) = v(n-1)/n + r^n / (n v^(n-1)) for v >= r (Riley & Samuelson 1981);
        // revenue (n-1)/(n+1) + r^n - 2n/(n+1) r^(n+1), here r = 1/2.
        for (n, exact) in [(2usize, 0.416_667), (3, 0.531_25), (5, 0.671_875)] {
            let m = n as f64;
            let bid = |v: f64| {
                let shaded = v * (m - 1.0) / m + 0.5f64.powf(m) / (m * v.powf(m - 1.0));
                if v >= 0.5 { shaded } else { 0.0 }
            };
            let (revenue, _) = uniform_market("first_price", n, 0.5, AUCTIONS, bid);
            let tolerance = 4.0 * 0.3 / (AUCTIONS as f64).sqrt();
            assert!((revenue - exact).abs() < tolerance, "n = {n}: {revenue} against {exact}");
        }
    }

    #[test]
    fn no_fixed_shading_beats_the_equilibrium() {
        // Against rivals who bid v(n-1)/n, a bidder who bids k v earns most at k = (n-1)/n.
        let n = 3usize;
        let equilibrium = (n as f64 - 1.0) / n as f64;
        let surplus = |k: f64| {
            let mut rng = Rng::named(4, "shading");
            let rounds = 60_000;
            let mut sum = 0.0;
            for _ in 0..rounds {
                let value = rng.uniform();
                let mut bids = vec![k * value];
                bids.extend((1..n).map(|_| rng.uniform() * equilibrium));
                if let Some(sale) = sell("first_price", &bids, 0.0).filter(|sale| sale.bidder == 0) {
                    sum += value - sale.price_ecpm_micros;
                }
            }
            sum / f64::from(rounds)
        };
        let best = surplus(equilibrium);
        for k in [0.4, 0.5, 0.6, 0.75, 0.85, 1.0] {
            // The same draws serve every k; what is left of the noise is below 0.0005.
            assert!(surplus(k) < best + 5e-4, "k = {k}");
        }
    }

    #[test]
    fn honest_bids_would_pay_the_highest_value() {
        // The mean of the highest of n uniforms is n/(n+1); its deviation is below 0.24.
        let (revenue, _) = uniform_market("first_price", 3, 0.0, AUCTIONS, |v| v);
        assert!((revenue - 0.75).abs() < 4.0 * 0.24 / (AUCTIONS as f64).sqrt());
    }
}
