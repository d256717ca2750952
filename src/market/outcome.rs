//! What came of it, and how sure is the difference?
//!
//! Each page adds one vector (impressions, clicks, revenue, in both worlds) to running sums and products.
//! From them every interval follows: the difference of means with its paired variance, and the difference of
//! click rates by the delta method (Deng, Knoblich & Lu 2018). Pages are independent draws as long as no
//! budget runs out; once one does they share what is left of it, and the report says so.

use super::Market;
use super::bidder::{Bidder, Fate, Ledger};
use super::feedback::Bubble;
use super::learning::Learnt;
use super::replay::Coverage;
use super::variants::{self, VariantOutcome};
use super::world::World;
use crate::domain::Pricing;
use crate::domain::money::units_from_nanos;
use crate::metrics::{Estimate, Rate};
use serde::{Deserialize, Serialize};

/// Both worlds after so many requests.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Outcome {
    /// Pages asked for.
    pub requests: u64,
    /// The world as it is.
    #[serde(flatten)]
    pub baseline: WorldOutcome,
    /// The world as it might be.
    pub what_if: Option<WorldOutcome>,
    /// What-if minus baseline.
    pub difference: Option<Difference>,
}

/// One world.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct WorldOutcome {
    /// Pages that count: all that were asked for, unless the log is replayed.
    pub pages: u64,
    /// For a replay: whether the log covers what the auction picks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// All campaigns together.
    pub totals: Totals,
    /// Each campaign.
    pub campaigns: Vec<CampaignOutcome>,
    /// How narrow it has become for its users.
    pub bubble: Bubble,
    /// What its bidders learnt; absent where they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learnt: Option<Learnt>,
    /// What came of other words for ads; empty where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<VariantOutcome>,
    /// What came in each hour of the day; empty where pages come in no order of time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<HourOutcome>,
}

/// One hour of the day in one world, over all days of the run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct HourOutcome {
    /// Pages asked for.
    pub pages: u64,
    /// Ads shown.
    pub impressions: u64,
    /// Clicks.
    pub clicks: u64,
    /// What the campaigns paid, in currency units.
    pub spend: f64,
}

impl HourOutcome {
    /// Counts a page: impressions, clicks and revenue.
    pub(super) fn add(&mut self, [impressions, clicks, revenue]: [f64; 3]) {
        self.pages += 1;
        self.impressions += impressions as u64;
        self.clicks += clicks as u64;
        self.spend += revenue;
    }
}

/// All campaigns together. Money is in currency units.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Ads shown.
    pub impressions: u64,
    /// Slots sold out of slots offered.
    pub fill: Rate,
    /// Clicks.
    pub clicks: u64,
    /// Conversions that have arrived.
    pub conversions: u64,
    /// Clicks per impression.
    pub ctr: Rate,
    /// What the model predicted for the ads that won, per impression. Above [`Totals::expected_ctr`] it is the
    /// winner's curse: the auction picks ads that the model overrates.
    pub predicted_ctr: f64,
    /// The probability that clicks were drawn with, per impression.
    pub expected_ctr: f64,
    /// What the campaigns paid; the same money is the seller's revenue.
    pub spend: f64,
    /// What the seller earned.
    pub revenue: f64,
    /// Revenue per thousand requests.
    pub revenue_per_mille: Estimate,
    /// Revenue per thousand impressions.
    pub average_price_cpm: f64,
}

/// One campaign in one world. Money is in currency units.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CampaignOutcome {
    /// Its name.
    pub name: String,
    /// What its bid is for.
    pub pricing: Pricing,
    /// Ads shown.
    pub impressions: u64,
    /// Clicks.
    pub clicks: u64,
    /// Conversions that have arrived.
    pub conversions: u64,
    /// Conversions that are on their way: clicked, not yet paid.
    pub conversions_pending: u64,
    /// Users who saw it at least once.
    pub reach: u64,
    /// Clicks per impression.
    pub ctr: Rate,
    /// Predicted clicks per impression.
    pub predicted_ctr: f64,
    /// What it paid.
    pub spend: f64,
    /// What it may pay, if limited.
    pub budget: Option<f64>,
    /// Set aside for conversions on their way.
    pub pending: f64,
    /// Paid per thousand impressions (CPM), click (CPC) or conversion (CPA); absent before the first.
    pub average_price: Option<f64>,
    /// Pages won out of auctions entered.
    pub win_rate: Rate,
    /// Why it did not get the other pages.
    pub lost: Losses,
    /// The page after which its budget could not pay another event.
    pub exhausted_at: Option<u64>,
}

/// Pages that a campaign did not get, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Losses {
    /// The request is not in its segment.
    pub not_targeted: u64,
    /// Its budget could not pay another event.
    pub no_budget: u64,
    /// The user has seen it as often, or as lately, as it allows.
    pub capped: u64,
    /// Its pacing kept it out.
    pub paced: u64,
    /// It had its share of the impressions.
    pub exposed: u64,
    /// Its offer was below the reserve.
    pub below_reserve: u64,
    /// Others offered more.
    pub outbid: u64,
    /// A deal went before it, though it offered more.
    pub lost_to_deal: u64,
    /// It offered more, but was too like what stood above.
    pub alike: u64,
}

/// What-if minus baseline, with 95 % intervals.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Difference {
    /// Paired requests that the intervals rest on.
    pub requests: u64,
    /// Impressions per thousand requests.
    pub impressions_per_mille: Estimate,
    /// Clicks per thousand requests.
    pub clicks_per_mille: Estimate,
    /// Clicks per impression; absent while one world has no impressions.
    pub ctr: Option<Estimate>,
    /// Revenue per thousand requests.
    pub revenue_per_mille: Estimate,
    /// True when a budget ran out: then requests are not independent and the intervals are approximate.
    pub approximate: bool,
}

/// Running sums and products of the six numbers of a page: impressions, clicks, revenue; baseline, what-if.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Moments {
    n: f64,
    sums: [f64; 6],
    products: [[f64; 6]; 6],
}

const IMPRESSIONS: usize = 0;
const CLICKS: usize = 1;
const REVENUE: usize = 2;
/// Where the what-if's numbers begin.
const WHAT_IF: usize = 3;
const PER_MILLE: f64 = 1_000.0;

impl Moments {
    pub fn add(&mut self, page: &[f64; 6]) {
        self.n += 1.0;
        for i in 0..6 {
            self.sums[i] += page[i];
            for j in i..6 {
                self.products[i][j] += page[i] * page[j];
            }
        }
    }

    fn mean(&self, i: usize) -> f64 {
        if self.n > 0.0 { self.sums[i] / self.n } else { 0.0 }
    }

    /// Standard error of `gradient . means`.
    fn standard_error(&self, gradient: &[f64; 6]) -> f64 {
        if self.n < 2.0 {
            return f64::INFINITY;
        }
        let mut variance = 0.0;
        for i in 0..6 {
            for j in 0..6 {
                let product = self.products[i.min(j)][i.max(j)] / self.n;
                let covariance = product - self.mean(i) * self.mean(j);
                variance += gradient[i] * gradient[j] * covariance;
            }
        }
        // Rounding may leave a zero variance slightly negative.
        (variance.max(0.0) / (self.n - 1.0)).sqrt()
    }

    /// Per thousand requests, of which a known `share` counts: the others were left out by chance alone, so what
    /// counts stands for `1 / share` as much.
    fn mean_per_mille(&self, i: usize, share: f64) -> Estimate {
        let mut gradient = [0.0; 6];
        gradient[i] = PER_MILLE / share;
        Estimate::normal(PER_MILLE / share * self.mean(i), self.standard_error(&gradient))
    }

    fn difference_per_mille(&self, i: usize, shares: [f64; 2]) -> Estimate {
        let mut gradient = [0.0; 6];
        gradient[i] = -PER_MILLE / shares[0];
        gradient[i + WHAT_IF] = PER_MILLE / shares[1];
        let value = gradient[i + WHAT_IF] * self.mean(i + WHAT_IF) + gradient[i] * self.mean(i);
        Estimate::normal(value, self.standard_error(&gradient))
    }

    /// Clicks per thousand requests, what-if less baseline, where every page counts.
    pub fn clicks_per_mille_difference(&self) -> Estimate {
        self.difference_per_mille(CLICKS, [1.0, 1.0])
    }

    /// The click rates' difference by the delta method: the gradient of `c / i` is `(1, -c / i) / i`.
    pub fn ctr_difference(&self) -> Option<Estimate> {
        let mut gradient = [0.0; 6];
        let mut value = 0.0;
        for (world, sign) in [(0, -1.0), (WHAT_IF, 1.0)] {
            let impressions = self.mean(world + IMPRESSIONS);
            if impressions <= 0.0 {
                return None;
            }
            let rate = self.mean(world + CLICKS) / impressions;
            gradient[world + CLICKS] = sign / impressions;
            gradient[world + IMPRESSIONS] = -sign * rate / impressions;
            value += sign * rate;
        }
        Some(Estimate::normal(value, self.standard_error(&gradient)))
    }
}

impl Outcome {
    /// Sums up the accounts of each world, baseline first.
    pub(super) fn new(market: &Market, requests: u64, states: &[&World], moments: &Moments) -> Self {
        let share = |world: usize| market.counted_share(world);
        let mut worlds = states.iter().enumerate().map(|(index, state)| {
            let revenue_per_mille = moments.mean_per_mille(index * WHAT_IF + REVENUE, share(index));
            let coverage = Coverage { pages: state.pages, expected: share(index) * requests as f64 };
            let coverage = market.replay.is_some().then_some(coverage);
            WorldOutcome::new(market, state, coverage, revenue_per_mille)
        });
        let baseline = worlds.next().unwrap_or_default();
        let what_if = worlds.next();
        let exhausted = |world: &WorldOutcome| world.campaigns.iter().any(|c| c.lost.no_budget > 0);
        let shares = [share(0), share(1)];
        let difference = what_if.as_ref().map(|what_if| Difference {
            requests,
            impressions_per_mille: moments.difference_per_mille(IMPRESSIONS, shares),
            clicks_per_mille: moments.difference_per_mille(CLICKS, shares),
            ctr: moments.ctr_difference(),
            revenue_per_mille: moments.difference_per_mille(REVENUE, shares),
            approximate: exhausted(&baseline) || exhausted(what_if),
        });
        Self { requests, baseline, what_if, difference }
    }
}

impl WorldOutcome {
    fn new(market: &Market, state: &World, coverage: Option<Coverage>, revenue_per_mille: Estimate) -> Self {
        let ledgers = &state.ledgers;
        let campaigns: Vec<_> = market
            .bidders
            .iter()
            .zip(ledgers)
            .enumerate()
            .map(|(index, (bidder, ledger))| CampaignOutcome::new(bidder, ledger, state.pending(index)))
            .collect();
        let sum = |of: &dyn Fn(&Ledger) -> f64| ledgers.iter().map(of).sum::<f64>();
        let impressions: u64 = ledgers.iter().map(|l| l.impressions).sum();
        let clicks: u64 = ledgers.iter().map(|l| l.clicks).sum();
        let revenue = units_from_nanos(ledgers.iter().map(|l| l.spend_nanos).sum());
        let shown = (impressions as f64).max(1.0);
        let offered = state.pages as f64 * market.slots.len() as f64;
        let totals = Totals {
            impressions,
            fill: Rate::wilson(impressions as f64, offered),
            clicks,
            conversions: ledgers.iter().map(|l| l.conversions).sum(),
            ctr: Rate::wilson(clicks as f64, impressions as f64),
            predicted_ctr: sum(&|l| l.predicted_clicks) / shown,
            expected_ctr: sum(&|l| l.expected_clicks) / shown,
            spend: revenue,
            revenue,
            revenue_per_mille,
            average_price_cpm: PER_MILLE * revenue / shown,
        };
        let bubble = state.tastes.bubble();
        let (pages, learnt) = (state.pages, state.learnt());
        let (variants, ads) = &market.variants;
        let variants = variants::outcomes(variants, ads, &state.shown_by_ad());
        Self { pages, coverage, totals, campaigns, bubble, learnt, variants, hours: Vec::new() }
    }
}

impl CampaignOutcome {
    fn new(bidder: &Bidder, ledger: &Ledger, (pending, pending_nanos): (u64, i64)) -> Self {
        let won = ledger.pages(Fate::Won);
        let lost =
            [Fate::Outbid, Fate::LostToDeal, Fate::Alike, Fate::BelowReserve].map(|fate| ledger.pages(fate));
        let entered = won + lost.iter().sum::<u64>();
        let spend = units_from_nanos(ledger.spend_nanos);
        let events = match bidder.pricing {
            Pricing::Cpm => ledger.impressions as f64 / PER_MILLE,
            Pricing::Cpc => ledger.clicks as f64,
            Pricing::Cpa => ledger.conversions as f64,
        };
        Self {
            name: bidder.name.clone(),
            pricing: bidder.pricing,
            impressions: ledger.impressions,
            clicks: ledger.clicks,
            conversions: ledger.conversions,
            conversions_pending: pending,
            reach: ledger.reach,
            ctr: Rate::wilson(ledger.clicks as f64, ledger.impressions as f64),
            predicted_ctr: ledger.predicted_clicks / (ledger.impressions as f64).max(1.0),
            spend,
            pending: units_from_nanos(pending_nanos),
            budget: bidder.budget_nanos.map(units_from_nanos),
            average_price: (events > 0.0).then(|| spend / events),
            win_rate: Rate::wilson(won as f64, entered as f64),
            lost: Losses {
                not_targeted: ledger.pages(Fate::NotTargeted),
                no_budget: ledger.pages(Fate::NoBudget),
                capped: ledger.pages(Fate::Capped),
                paced: ledger.pages(Fate::Paced),
                exposed: ledger.pages(Fate::Exposed),
                below_reserve: ledger.pages(Fate::BelowReserve),
                outbid: ledger.pages(Fate::Outbid),
                lost_to_deal: ledger.pages(Fate::LostToDeal),
                alike: ledger.pages(Fate::Alike),
            },
            exhausted_at: ledger.exhausted_at,
        }
    }
}

/// AuctionNet's score of a campaign with a target cost per conversion: its conversions, times
/// `min(1, (target / cost)^2)` (Su et al. 2024). 0 without conversions.
pub fn autobidding_score(conversions: f64, spend: f64, target_cost: f64) -> f64 {
    if conversions <= 0.0 {
        return 0.0;
    }
    let cost = spend / conversions;
    let kept = if cost > 0.0 { target_cost / cost } else { 1.0 };
    conversions * (kept * kept).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paired_difference_matches_hand_arithmetic() {
        // Clicks baseline 0,1,0,1; what-if 1,1,0,1: differences 1,0,0,0 with mean 1/4 and s = 1/2, so the
        // standard error is 1/4 (per thousand: 250).
        let mut moments = Moments::default();
        for (a, b) in [(0.0, 1.0), (1.0, 1.0), (0.0, 0.0), (1.0, 1.0)] {
            moments.add(&[1.0, a, 0.0, 1.0, b, 0.0]);
        }
        let clicks = moments.clicks_per_mille_difference();
        assert!((clicks.value - 250.0).abs() < 1e-9);
        assert!((clicks.high - clicks.value - 1.959_964 * 250.0).abs() < 1e-3, "{clicks:?}");
        // Every page has one impression, so the rate's difference is the same number.
        let ctr = moments.ctr_difference().unwrap();
        assert!((ctr.value - 0.25).abs() < 1e-12);
        assert!((ctr.high - ctr.low - (clicks.high - clicks.low) / 1_000.0).abs() < 1e-9);
    }

    #[test]
    fn no_impressions_no_rate() {
        let mut moments = Moments::default();
        moments.add(&[0.0; 6]);
        assert_eq!(moments.ctr_difference(), None);
    }
}
