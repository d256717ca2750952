//! What does a campaign do in an auction, and what is left of its budget?

use crate::domain::money::NANOS_PER_MICRO;
use crate::domain::{Campaign, Pricing};

/// A campaign with its ads as columns of the score matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Bidder {
    /// What it is called.
    pub name: String,
    /// Columns of its ads.
    pub ads: Vec<u32>,
    /// What the bid is for.
    pub pricing: Pricing,
    /// The most it pays, in micros.
    pub bid_micros: i64,
    /// What it may spend, in nanos; `None` without a limit.
    pub budget_nanos: Option<i64>,
}

impl Bidder {
    /// A campaign whose ads stand in the given columns.
    pub fn new(campaign: &Campaign, ads: Vec<u32>) -> Self {
        Self {
            name: campaign.name.clone(),
            ads,
            pricing: campaign.pricing,
            bid_micros: campaign.bid_micros,
            budget_nanos: campaign.budget_micros.map(|micros| micros.saturating_mul(NANOS_PER_MICRO)),
        }
    }

    /// Its strongest ad for a request and that ad's pCTR: one offer a campaign, so that a campaign never sets
    /// its own price.
    pub fn strongest_ad(&self, p_click: &[f32]) -> (u32, f32) {
        self.ads.iter().fold((0, f32::NEG_INFINITY), |best, &ad| {
            let p = p_click[ad as usize];
            if p > best.1 { (ad, p) } else { best }
        })
    }

    /// What an impression with this pCTR is worth to it, in micros per thousand impressions.
    pub fn ecpm_micros(&self, p_click: f32) -> f64 {
        match self.pricing {
            Pricing::Cpm => self.bid_micros as f64,
            Pricing::Cpc => 1_000.0 * self.bid_micros as f64 * f64::from(p_click),
        }
    }

    /// The price of an event (an impression or a click) in nanos, from the auction's price per thousand
    /// impressions. Rounded down, and never above the bid.
    pub fn event_price_nanos(&self, price_ecpm_micros: f64, p_click: f32) -> i64 {
        let nanos = match self.pricing {
            Pricing::Cpm => price_ecpm_micros,
            Pricing::Cpc if p_click > 0.0 => price_ecpm_micros / f64::from(p_click),
            Pricing::Cpc => 0.0,
        };
        (nanos as i64).min(self.dearest_event_nanos())
    }

    /// The most that one event can cost.
    pub fn dearest_event_nanos(&self) -> i64 {
        self.pricing.dearest_event_nanos(self.bid_micros)
    }
}

/// Why a campaign did not get a page, or that it did. The names follow OpenRTB 3.0's loss reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    NotTargeted,
    NoBudget,
    BelowReserve,
    Outbid,
    Won,
}

/// A campaign's running account in one world.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Ledger {
    /// What is left; `i64::MAX` without a limit.
    pub left_nanos: i64,
    pub spend_nanos: i64,
    pub impressions: u64,
    pub clicks: u64,
    /// Sum of pCTR over its impressions.
    pub predicted_clicks: f64,
    /// Sum of the true click probability over its impressions.
    pub expected_clicks: f64,
    /// Pages by [`Fate`].
    pub fates: [u64; 5],
    /// The request after which the budget could not pay another event.
    pub exhausted_at: Option<u64>,
}

impl Ledger {
    pub fn new(bidder: &Bidder) -> Self {
        Self { left_nanos: bidder.budget_nanos.unwrap_or(i64::MAX), ..Self::default() }
    }

    pub fn note(&mut self, fate: Fate) {
        self.fates[fate as usize] += 1;
    }

    pub fn pages(&self, fate: Fate) -> u64 {
        self.fates[fate as usize]
    }

    pub fn pay(&mut self, nanos: i64) {
        self.left_nanos -= nanos;
        self.spend_nanos += nanos;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bidder(pricing: Pricing, bid_micros: i64) -> Bidder {
        Bidder { name: "tea".into(), ads: vec![1, 2], pricing, bid_micros, budget_nanos: None }
    }

    #[test]
    fn ranks_and_prices_of_clicks_are_two_sides_of_one_rule() {
        // 2.00 a click at 5 % is worth 100.00 per thousand impressions; paying 80.00 is 1.60 a click.
        let bidder = bidder(Pricing::Cpc, 2_000_000);
        assert!((bidder.ecpm_micros(0.05) - 100_000_000.0).abs() < 10.0);
        let nanos = bidder.event_price_nanos(80_000_000.0, 0.05);
        assert!((nanos - 1_600_000_000).abs() < 100, "{nanos}");
        // Whatever the rounding, no click costs more than the bid.
        assert_eq!(bidder.event_price_nanos(1e12, 0.05), bidder.dearest_event_nanos());
    }

    #[test]
    fn quality_weighted_prices_are_the_textbook_ones() {
        // Bids 4, 3, 2 a click with pCTR .05, .10, .04: order B, A, C at 2.00 and 1.60 a click (Varian 2007).
        let bids = [4_000_000, 3_000_000, 2_000_000].map(|bid| bidder(Pricing::Cpc, bid));
        let quality = [0.05f32, 0.10, 0.04];
        let worth: Vec<f64> = bids.iter().zip(quality).map(|(bidder, p)| bidder.ecpm_micros(p)).collect();
        assert!(worth[1] > worth[0] && worth[0] > worth[2]);
        let price = |winner: usize, next: usize| {
            bids[winner].event_price_nanos(worth[next], quality[winner]) as f64 / 1e9
        };
        assert!((price(1, 0) - 2.00).abs() < 1e-6, "{}", price(1, 0));
        assert!((price(0, 2) - 1.60).abs() < 1e-6, "{}", price(0, 2));
    }

    #[test]
    fn enters_with_its_strongest_ad() {
        let (ad, p) = bidder(Pricing::Cpm, 1).strongest_ad(&[0.9, 0.1, 0.2]);
        assert_eq!((ad, p), (2, 0.2));
    }
}
