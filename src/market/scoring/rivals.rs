//! Which unknown advertisers bid beside the campaigns, and what is assumed of them?

use crate::base::{Failure, Result};
use crate::domain::money::MICROS_PER_UNIT;
use crate::domain::{BidSpread, Campaign};
use crate::market::Market;
use crate::market::spec::MarketSpec;

/// The unknown advertisers of a spec, one campaign each, and what was assumed of them. Those who are to bid as the
/// campaigns do are fitted to the offers of the baseline.
pub fn rivals_of(spec: &MarketSpec, known: &Market) -> Result<(Vec<Campaign>, Vec<String>)> {
    let mut notes = Vec::new();
    let offers = known.offers_ecpm_micros().into_iter().map(|micros| micros / MICROS_PER_UNIT as f64);
    let as_campaigns = BidSpread::of_bids(offers);
    if let (true, Some(BidSpread::Lognormal { log_mean, log_deviation })) =
        (spec.rivals.iter().any(|rivals| rivals.bids.is_none()), as_campaigns)
    {
        notes.push(format!(
            "rivals bid lognormally as the campaigns do: around {:.2} CPM, two thirds within a factor of {:.2}",
            log_mean.exp(),
            log_deviation.exp()
        ));
    }
    let as_campaigns = as_campaigns.ok_or_else(|| {
        Failure::new("cannot draw the rivals' bids", "no campaign offers anything to this audience")
            .at("rivals")
            .hint("say how the rivals bid (\"bids\")")
    })?;
    let rivals: Vec<Campaign> =
        spec.rivals.iter().flat_map(|rivals| Campaign::of_rivals(rivals, as_campaigns)).collect();
    notes.push(format!("{} bidders are rivals; how often their ads are clicked is assumed", rivals.len()));
    Ok((rivals, notes))
}
