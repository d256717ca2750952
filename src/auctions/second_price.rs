//! What if the winner pays what the next bidder offered?
//!
//! Vickrey's auction with a reserve. Several slots are sold from the top, each at the worth of the next
//! bidder below (the generalised second price). With one slot, bidding the true worth is the best a bidder
//! can do whatever the others do.

use super::ranking::{self, Ranked};
use super::{Auction, AuctionRule, Clearing, Sale};
use crate::base::{Params, Result, params::ParamSpec};

/// Highest eCPM wins and pays the next one, at least the reserve.
#[derive(Debug)]
pub struct SecondPrice;

const PARAMS: &[ParamSpec] = &[ParamSpec::integer(
    "increment_micros",
    "Increment (micros CPM)",
    (0, 0, 1_000_000),
    "Added to the runner-up's offer, never beyond the winner's own: \"second price plus\".",
)];

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

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn build(&self, params: &Params) -> Result<Box<dyn Clearing>> {
        let increment_micros = params.integer("increment_micros")? as f64;
        Ok(Box::new(Built { increment_micros }))
    }
}

struct Built {
    increment_micros: f64,
}

impl Clearing for Built {
    fn clear(&self, auction: &Auction<'_>, sales: &mut Vec<Sale>) {
        sales.clear();
        let mut ranked: Vec<Ranked> = Vec::with_capacity(auction.slots + 1);
        ranking::best(auction, auction.slots + 1, &mut ranked);
        for (slot, winner) in ranked.iter().take(auction.slots).enumerate() {
            let (to_win, asked) = match ranked.get(slot + 1) {
                Some(next) => (next.ecpm_micros, next.ecpm_micros + self.increment_micros),
                None => (auction.reserve_ecpm_micros, auction.reserve_ecpm_micros),
            };
            sales.push(Sale {
                slot,
                bidder: winner.bidder,
                price_ecpm_micros: asked.max(0.0).min(winner.ecpm_micros),
                to_win_ecpm_micros: to_win.max(0.0),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{market, sell, uniform_market};
    use crate::base::rng::Rng;

    const AUCTIONS: usize = 400_000;

    #[test]
    fn a_lone_bidder_pays_the_reserve() {
        // 5.00 against a reserve of 0.01: it wins and pays 0.01.
        let sale = sell("second_price", &[5_000_000.0], 10_000.0).unwrap();
        assert_eq!((sale.bidder, sale.price_ecpm_micros), (0, 10_000.0));
        assert!(sell("second_price", &[9_999.0], 10_000.0).is_none());
    }

    #[test]
    fn revenue_of_uniform_bidders_is_the_closed_form() {
        // Vickrey 1961: (n-1)/(n+1), with standard deviation sqrt(2(n-1)/((n+1)^2 (n+2))) an auction.
        for n in [2usize, 3, 5, 10] {
            let m = n as f64;
            let exact = (m - 1.0) / (m + 1.0);
            let deviation = (2.0 * (m - 1.0) / ((m + 1.0).powi(2) * (m + 2.0))).sqrt();
            let (revenue, _) = uniform_market("second_price", n, 0.0, AUCTIONS, |v| v);
            let error = (revenue - exact).abs();
            assert!(
                error <= 4.0 * deviation / (AUCTIONS as f64).sqrt(),
                "n = {n}: {revenue} against {exact}"
            );
        }
    }

    #[test]
    fn revenue_with_a_reserve_is_the_closed_form() {
        // Myerson 1981 for U[0,1]: (n-1)/(n+1) + r^n - 2n/(n+1) r^(n+1); fill 1 - r^n.
        for (n, exact) in [(1, 0.25), (2, 0.416_667), (3, 0.531_25), (5, 0.671_875), (10, 0.818_271)] {
            let (revenue, fill) = uniform_market("second_price", n, 0.5, AUCTIONS, |v| v);
            // No auction's revenue deviates by more than 1/4 from its mean on average: sd <= 0.25.
            let tolerance = 4.0 * 0.25 / (AUCTIONS as f64).sqrt();
            assert!((revenue - exact).abs() < tolerance, "n = {n}: {revenue} against {exact}");
            let exact_fill = 1.0 - 0.5f64.powi(n as i32);
            assert!((fill - exact_fill).abs() < 4.0 * 0.5 / (AUCTIONS as f64).sqrt());
        }
    }

    #[test]
    fn the_best_reserve_for_uniform_bidders_is_one_half() {
        for n in [1usize, 3] {
            let revenue = |r: f64| uniform_market("second_price", n, r, AUCTIONS, |v| v).0;
            let (best, _) = (40..=60)
                .map(|percent| f64::from(percent) / 100.0)
                .map(|reserve| (reserve, revenue(reserve)))
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .unwrap();
            // The same draws serve every reserve, so the maximum is sharp: 0.50 +- 0.02.
            assert!((best - 0.5).abs() < 0.021, "n = {n}: best reserve {best}");
        }
    }

    #[test]
    fn the_winner_is_the_one_who_values_it_most() {
        // Mean value of the winner n/(n+1), so each of n bidders gains 1/(n(n+1)); deviations below 0.24.
        for n in [2usize, 5] {
            let m = n as f64;
            let means = market("second_price", (n, 0.0, AUCTIONS), Rng::uniform, |v| v);
            let tolerance = 4.0 * 0.24 / (AUCTIONS as f64).sqrt();
            assert!((means.value - m / (m + 1.0)).abs() < tolerance, "{means:?}");
            let surplus = (means.value - means.revenue) / m;
            assert!((surplus - 1.0 / (m * (m + 1.0))).abs() < 2.0 * tolerance, "{means:?}");
        }
    }

    #[test]
    fn one_more_bidder_is_worth_more_than_the_best_reserve() {
        // Bulow & Klemperer 1996 for U[0,1]: 1/3 > 1/4, 1/2 > 5/12, 3/5 > 17/32.
        for n in [1usize, 2, 3] {
            let with_reserve = uniform_market("second_price", n, 0.5, AUCTIONS, |v| v).0;
            let one_more = uniform_market("second_price", n + 1, 0.0, AUCTIONS, |v| v).0;
            assert!(one_more > with_reserve + 0.05, "n = {n}: {one_more} against {with_reserve}");
        }
    }

    #[test]
    fn exponential_bidders_pay_the_harmonic_sum() {
        // Without reserve sum_{k=2..n} 1/k; with the best reserve, 1, the numbers below (Myerson 1981).
        let exponential = |rng: &mut Rng| -(1.0 - rng.uniform()).ln();
        let revenue = |n, reserve| market("second_price", (n, reserve, AUCTIONS), exponential, |v| v).revenue;
        // The second highest of five exponentials has a deviation below 1.
        let tolerance = 4.0 / (AUCTIONS as f64).sqrt();
        for (n, exact) in [(2, 0.5), (3, 0.833_333), (5, 1.283_333)] {
            assert!((revenue(n, 0.0) - exact).abs() < tolerance, "n = {n}");
        }
        for (n, exact) in [(1, 0.367_879), (2, 0.668_091), (3, 0.917_231), (5, 1.307_131)] {
            assert!((revenue(n, 1.0) - exact).abs() < tolerance, "n = {n} with reserve");
        }
    }

    #[test]
    fn lognormal_bidders_pay_more_with_the_right_reserve() {
        // Lognormal(0, 1), best reserve 1.353415: revenue by numerical integration.
        let lognormal = |rng: &mut Rng| rng.normal().exp();
        let revenue = |n, reserve| market("second_price", (n, reserve, AUCTIONS), lognormal, |v| v).revenue;
        // Deviation of the second highest of five: below 1.3.
        let tolerance = 4.0 * 1.3 / (AUCTIONS as f64).sqrt();
        let reserve = 1.353_415;
        for (n, reserve, exact) in [
            (1, reserve, 0.515_767),
            (2, reserve, 0.951_262),
            (2, 0.0, 0.790_562),
            (5, reserve, 1.942_855),
            (5, 0.0, 1.923_483),
        ] {
            let found = revenue(n, reserve);
            assert!((found - exact).abs() < tolerance, "n = {n}, reserve {reserve}: {found}");
        }
    }

    #[test]
    fn no_deviation_from_the_truth_ever_gains() {
        let mut rng = Rng::named(9, "deviations");
        let gain = |value: f64, bid: f64, rivals: &[f64], reserve: f64| {
            let mut bids = vec![bid];
            bids.extend_from_slice(rivals);
            match sell("second_price", &bids, reserve) {
                Some(sale) if sale.bidder == 0 => value - sale.price_ecpm_micros,
                _ => 0.0,
            }
        };
        for _ in 0..5_000 {
            let value = rng.uniform();
            let reserve = rng.uniform() * 0.5;
            let rivals: Vec<f64> = (0..3).map(|_| rng.uniform()).collect();
            let honest = gain(value, value, &rivals, reserve);
            for step in 0..=20 {
                let bid = value * f64::from(step) / 10.0;
                assert!(gain(value, bid, &rivals, reserve) <= honest);
            }
        }
    }

    #[test]
    fn several_slots_are_sold_at_the_next_offer() {
        use super::super::{Auction, Params, find};
        let rule = find("second_price").unwrap();
        let built = rule.build(&Params::defaults(rule.params())).unwrap();
        let mut sales = Vec::new();
        // Edelman, Ostrovsky & Schwarz 2007: values 10, 4, 2 for two slots pay 4 and 2 per click.
        let auction =
            Auction { ecpm_micros: &[4.0, 10.0, 2.0], slots: 2, reserve_ecpm_micros: 0.0, tie_seed: 0 };
        built.clear(&auction, &mut sales);
        let paid: Vec<_> = sales.iter().map(|s| (s.bidder, s.price_ecpm_micros)).collect();
        assert_eq!(paid, [(1, 4.0), (0, 2.0)]);
    }
}
