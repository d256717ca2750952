//! What does a campaign do in an auction, and what is left of its budget?

use crate::domain::campaign::MAX_BID_MICROS;
use crate::domain::money::NANOS_PER_MICRO;
use crate::domain::{Campaign, DrawnBids, Pacing, Pricing, Shading};

/// A campaign with its ads as columns of the score matrix.
#[derive(Debug, Clone, PartialEq, Default)]
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
    /// Conversions per click; 0: none are counted.
    pub conversion_rate: f64,
    /// How it spreads its budget.
    pub pacing: Pacing,
    /// How much less than its worth it bids where winners pay their own bid.
    pub shading: Shading,
    /// Class of its deal; 0: the open market.
    pub priority: u8,
    /// Impressions that one user sees at most.
    pub frequency_cap: Option<u32>,
    /// The largest share of all impressions that it may have.
    pub most_exposure: Option<f64>,
    /// Pages of a user without it between two with it.
    pub recency_pages: u32,
    /// The bids of an unknown advertiser, drawn anew for each page.
    pub drawn: Option<DrawnBids>,
}

impl Bidder {
    /// A campaign whose ads stand in the given columns.
    pub fn new(campaign: &Campaign, ads: Vec<u32>) -> Self {
        Self {
            name: campaign.name.clone(),
            ads,
            pricing: campaign.pricing,
            // No draw is larger than the largest bid.
            bid_micros: if campaign.drawn.is_some() { MAX_BID_MICROS } else { campaign.bid_micros },
            budget_nanos: campaign.budget_micros.map(|micros| micros.saturating_mul(NANOS_PER_MICRO)),
            conversion_rate: campaign.conversion_rate.unwrap_or(0.0),
            pacing: campaign.pacing,
            shading: campaign.shading,
            priority: campaign.priority,
            frequency_cap: campaign.frequency_cap,
            most_exposure: campaign.most_exposure,
            recency_pages: campaign.recency_pages,
            drawn: campaign.drawn,
        }
    }

    /// Its strongest ad for a request and that ad's pCTR: one offer a campaign, so that a campaign never sets its own
    /// price. The strongest is the one most likely to become what is paid for; `p_convert` has pCVR by ad, or is empty.
    pub fn strongest_ad(&self, p_click: &[f32], p_convert: &[f32]) -> (u32, f32) {
        let per_conversion = self.pricing == Pricing::Cpa && !p_convert.is_empty();
        let strength = |ad: u32| {
            let p = p_click[ad as usize];
            if per_conversion { p * p_convert[ad as usize] } else { p }
        };
        let (best, _) = self.ads.iter().fold((0, f32::NEG_INFINITY), |best, &ad| {
            let strength = strength(ad);
            if strength > best.1 { (ad, strength) } else { best }
        });
        (best, p_click[best as usize])
    }

    /// Conversions per click of one of its ads: the model's, or the campaign's own rate where there is none.
    pub fn p_convert(&self, p_convert: &[f32], ad: u32) -> f64 {
        p_convert.get(ad as usize).map_or(self.conversion_rate, |p| f64::from(*p))
    }

    /// What an impression with this pCTR and pCVR is worth to it, in micros per thousand impressions.
    pub fn ecpm_micros(&self, p_click: f32, p_convert: f64) -> f64 {
        match self.pricing {
            Pricing::Cpm => self.bid_micros as f64,
            Pricing::Cpc | Pricing::Cpa => {
                1_000.0 * self.bid_micros as f64 * self.p_event(p_click, p_convert)
            }
        }
    }

    /// The price of an event (an impression, a click, a conversion) in nanos, from the auction's price per
    /// thousand impressions. Rounded down, and never above the bid.
    pub fn event_price_nanos(&self, price_ecpm_micros: f64, p_click: f32, p_convert: f64) -> i64 {
        let p_event = self.p_event(p_click, p_convert);
        let nanos = if p_event > 0.0 { price_ecpm_micros / p_event } else { 0.0 };
        (nanos as i64).min(self.dearest_event_nanos())
    }

    /// How likely an impression is to become the event that is paid for.
    fn p_event(&self, p_click: f32, p_convert: f64) -> f64 {
        match self.pricing {
            Pricing::Cpm => 1.0,
            Pricing::Cpc => f64::from(p_click),
            Pricing::Cpa => f64::from(p_click) * p_convert,
        }
    }

    /// The most that one event can cost.
    pub fn dearest_event_nanos(&self) -> i64 {
        self.pricing.dearest_event_nanos(self.bid_micros)
    }
}

/// Why a campaign did not get a page, or that it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Fate {
    /// The request is not in its segment.
    NotTargeted,
    /// Its budget could not pay another event.
    NoBudget,
    /// The user has seen it as often, or as lately, as it allows.
    Capped,
    /// Its pacing kept it out.
    Paced,
    /// It has its share of the impressions.
    Exposed,
    /// Its offer was below the floor.
    BelowReserve,
    /// Others offered more.
    Outbid,
    /// A deal went before it, though it offered more.
    LostToDeal,
    /// It offered more, but was too like what stood above.
    Alike,
    /// It got a slot.
    Won,
    /// The log cannot speak of this page.
    NotReplayed,
}

impl Fate {
    /// How many there are.
    pub(crate) const COUNT: usize = 11;

    /// The words in a table.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotTargeted => "not its audience",
            Self::NoBudget => "budget is spent",
            Self::Capped => "user has seen it enough",
            Self::Paced => "held back by its pacing",
            Self::Exposed => "has its share of impressions",
            Self::BelowReserve => "below the reserve",
            Self::Outbid => "outbid",
            Self::LostToDeal => "a deal went first",
            Self::Alike => "too like the ads above",
            Self::Won => "won",
            Self::NotReplayed => "not in the log",
        }
    }

    /// The loss reason of OpenRTB 3.0; `None` where no bid was made.
    pub fn loss_reason(self) -> Option<u32> {
        match self {
            Self::Won => Some(0),
            Self::BelowReserve => Some(100),
            Self::Outbid | Self::Alike => Some(102),
            Self::LostToDeal => Some(103),
            Self::NotTargeted
            | Self::NoBudget
            | Self::Capped
            | Self::Paced
            | Self::Exposed
            | Self::NotReplayed => None,
        }
    }
}

/// A campaign's running account in one world.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Ledger {
    /// What is left; `i64::MAX` without a limit. A conversion is set aside when its click happens.
    pub left_nanos: i64,
    /// What was paid, and what is set aside for conversions on their way.
    pub committed_nanos: i64,
    pub spend_nanos: i64,
    pub impressions: u64,
    pub clicks: u64,
    /// Conversions that have arrived.
    pub conversions: u64,
    /// Users who saw it at least once.
    pub reach: u64,
    /// Sum of pCTR over its impressions.
    pub predicted_clicks: f64,
    /// Sum of the true click probability over its impressions.
    pub expected_clicks: f64,
    /// Pages by [`Fate`].
    pub fates: [u64; Fate::COUNT],
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bidder(pricing: Pricing, bid_micros: i64) -> Bidder {
        Bidder { name: "tea".into(), ads: vec![1, 2], pricing, bid_micros, ..Bidder::default() }
    }

    #[test]
    fn ranks_and_prices_of_clicks_are_two_sides_of_one_rule() {
        // 2.00 a click at 5 % is worth 100.00 per thousand impressions; paying 80.00 is 1.60 a click.
        let bidder = bidder(Pricing::Cpc, 2_000_000);
        assert!((bidder.ecpm_micros(0.05, 0.0) - 100_000_000.0).abs() < 10.0);
        let nanos = bidder.event_price_nanos(80_000_000.0, 0.05, 0.0);
        assert!((nanos - 1_600_000_000).abs() < 100, "{nanos}");
        // Whatever the rounding, no click costs more than the bid.
        assert_eq!(bidder.event_price_nanos(1e12, 0.05, 0.0), bidder.dearest_event_nanos());
    }

    #[test]
    fn a_conversion_is_worth_its_share_of_the_clicks() {
        // 20.00 a conversion, one in ten clicks converts: as 2.00 a click.
        let per_click = bidder(Pricing::Cpc, 2_000_000);
        let per_conversion = Bidder { conversion_rate: 0.1, ..bidder(Pricing::Cpa, 20_000_000) };
        assert!((per_click.ecpm_micros(0.05, 0.1) - per_conversion.ecpm_micros(0.05, 0.1)).abs() < 10.0);
        let nanos = per_conversion.event_price_nanos(80_000_000.0, 0.05, 0.1);
        assert!((nanos - 16_000_000_000).abs() < 1_000, "{nanos}");
        assert_eq!(bidder(Pricing::Cpa, 1).event_price_nanos(5.0, 0.1, 0.0), 0, "no conversions, no price");
    }

    #[test]
    fn enters_with_its_strongest_ad() {
        let (ad, p) = bidder(Pricing::Cpm, 1).strongest_ad(&[0.9, 0.1, 0.2], &[]);
        assert_eq!((ad, p), (2, 0.2));
    }
}
