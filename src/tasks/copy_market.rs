//! How would words of the library compete on the pages of a market? A round and its variants become a spec for the simulator.

use super::{Output, unless_stopped};
use crate::adcopy::Item;
use crate::adcopy::review::Status;
use crate::base::{Failure, Result};
use crate::data::LogFrame;
use crate::domain::Creative;
use crate::jobs::{Job, JobContext, Lane};
use crate::market::campaigns::{creatives, from_log};
use crate::market::exploration::Exploration;
use crate::market::variants::Variant;
use crate::market::{MarketSpec, Scenario};
use crate::tasks::write_copy::Round;
use std::sync::Arc;

/// Weight of a forecast against clicks when variants are tried, in clicks.
const TRIED: f64 = 20.0;

/// Puts variants into a market.
pub struct PutOnPages {
    /// Whom they are for, and what forecasts them.
    pub round: Arc<Round>,
    /// Who competes.
    pub items: Vec<Arc<Item>>,
    /// The log that campaigns come from.
    pub log: LogFrame,
    /// The market as it was asked for last, or a new one: log, model, slots and rules stay.
    pub spec: MarketSpec,
}

/// A market with variants, and what was assumed.
pub struct OnPages {
    /// The market.
    pub spec: MarketSpec,
    /// What a person should know.
    pub note: String,
}

impl Job for PutOnPages {
    type Output = Output;

    fn name(&self) -> String {
        format!("Put {} variants on the pages", self.items.len())
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, _context: &JobContext) -> Result<Output> {
        Ok(Output::OnPages(Box::new(unless_stopped(put_on_pages(*self))?)))
    }
}

/// Finds the ad whose place they take, and asks for a market in which they are tried beside one in which the best forecast
/// is always shown.
///
/// # Errors
/// Fewer than one variant, no forecast, or a log without campaigns.
pub fn put_on_pages(asked: PutOnPages) -> Result<OnPages> {
    let what = "cannot put the variants on the pages";
    let PutOnPages { round, items, log, mut spec } = asked;
    if items.is_empty() {
        return Err(Failure::new(what, "there is none").hint("approve some of the brief's product"));
    }
    let forecaster = round.forecaster.as_ref().ok_or_else(|| {
        Failure::new(what, "nothing can be forecast without a log and a model")
            .hint("train a model, and write again")
    })?;
    let campaigns = from_log(&log, spec.requests)?.campaigns;
    let known = creatives(&log)?;
    let sheet = &round.brief.sheet;
    let is_of = |creative: &Creative| {
        let (category, advertiser) =
            (creative.category == sheet.category, creative.advertiser == sheet.advertiser);
        2 * usize::from(category && !sheet.category.is_empty())
            + usize::from(advertiser && !sheet.advertiser.is_empty())
    };
    // Campaigns and their ads come most shown first; of equals the first is taken.
    let all = campaigns.iter().flat_map(|campaign| campaign.ads.iter().map(move |ad| (campaign, ad)));
    let ranked = all.map(|(campaign, ad)| (known.get(ad).map_or(0, is_of), campaign, ad));
    let best = ranked.fold(None, |best: Option<(usize, _, _)>, one| match best {
        Some(best) if best.0 >= one.0 => Some(best),
        _ => Some(one),
    });
    let (fits, campaign, of) =
        best.ok_or_else(|| Failure::new(what, "no campaign of the log shows an ad"))?;
    spec.variants = items
        .iter()
        .map(|item| {
            Ok(Variant {
                name: item.id.clone(),
                of: of.clone(),
                text: item.text.clone(),
                forecast: forecaster.forecast(&item.text)?,
                draft: item.status != Status::Approved,
            })
        })
        .collect::<Result<_>>()?;
    spec.audience = round.brief.audience.to_string();
    spec.campaigns = Vec::new();
    spec.baseline.exploration = Exploration::None;
    spec.baseline.learning = None;
    spec.feedback.rescores = false;
    let what_if = spec.what_if.get_or_insert_with(Scenario::default);
    (what_if.exploration, what_if.learning) = (Exploration::Thompson(TRIED), None);
    let why = match fits {
        2.. => format!("of the category {}", sheet.category),
        1 => format!("by {}", sheet.advertiser),
        _ => "the most shown, as the log has none of the product's category".to_owned(),
    };
    let note = format!(
        "{} variants compete with {of} of campaign {} ({why}) before the brief's audience: baseline the best forecast, what-if \
         Thompson sampling",
        spec.variants.len(),
        campaign.name
    );
    Ok(OnPages { spec, note })
}
