//! Who bids, with how much, for whom?

use super::money::Pricing;
use super::rivals::{BidSpread, DrawnBids, Rivals};
use crate::base::{Failure, Result};
use serde::{Deserialize, Serialize};

/// One campaign in the market. It enters each auction with its strongest ad and stops when its budget could
/// not pay another event.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// What it is called.
    pub name: String,
    /// Ids of its ads, as in the log.
    pub ads: Vec<String>,
    /// The most it pays, in micros: per thousand impressions (CPM), per click (CPC) or per conversion (CPA).
    pub bid_micros: i64,
    /// What the bid is for.
    #[serde(default)]
    pub pricing: Pricing,
    /// What it may spend in one run, in micros; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_micros: Option<i64>,
    /// The segment that it is shown to, as text; empty: everyone. Day parts are segments too: `hour >= 18`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub targeting: String,
    /// Conversions per click, 0 to 1: a bid per conversion needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversion_rate: Option<f64>,
    /// How the budget is spread over the run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pacing: Pacing,
    /// How much less than its worth it bids where winners pay their own bid.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shading: Shading,
    /// Class of a deal: a higher one is served before a lower one, whatever is bid; 0: the open market.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: u8,
    /// Impressions that one user sees at most; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_cap: Option<u32>,
    /// The largest share of all impressions that it may have, 0 to 1; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_exposure: Option<f64>,
    /// Pages of a user without this campaign between two with it; 0: none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub recency_pages: u32,
    /// For an advertiser of whom nothing is known: its bids, drawn anew for each page. It needs no ads, and no bid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<DrawnBids>,
}

/// How a campaign spreads its budget over a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pacing {
    /// Bids its worth until the budget is gone.
    #[default]
    HardStop,
    /// Enters only a share of the auctions, as large as the budget allows.
    Throttle,
    /// Bids a fraction of its worth, learnt so that the budget just lasts: dual descent (Balseiro & Gur 2019).
    Multiplicative,
    /// Bids a fraction of its worth, steered by a PID controller on the spend.
    Pid,
}

impl Pacing {
    /// Every one, in the order of choosers.
    pub const ALL: [Self; 4] = [Self::HardStop, Self::Throttle, Self::Multiplicative, Self::Pid];

    /// The words in a chooser.
    pub fn label(self) -> &'static str {
        match self {
            Self::HardStop => "until it is gone",
            Self::Throttle => "throttled",
            Self::Multiplicative => "lower bids (dual)",
            Self::Pid => "lower bids (PID)",
        }
    }
}

/// How much less than its worth a campaign bids where the winner pays its own bid.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shading {
    /// Bids its worth.
    #[default]
    None,
    /// Bids this share of its worth.
    Factor(f64),
    /// Bids what gains most against the prices it has seen so far.
    Learnt,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// No bid and no budget is larger: a million currency units a bid, a billion a budget.
pub const MAX_BID_MICROS: i64 = 1_000_000_000_000;
const MAX_BUDGET_MICROS: i64 = 1_000_000_000_000_000;

impl Campaign {
    /// Unknown advertisers as campaigns, one each; `as_campaigns` is what those bid who are to bid as the others do.
    pub fn of_rivals(rivals: &Rivals, as_campaigns: BidSpread) -> impl Iterator<Item = Self> + use<> {
        let bids = rivals.bids.unwrap_or(as_campaigns);
        let drawn = DrawnBids { bids, click_rate: rivals.click_rate };
        (1..=rivals.bidders).map(move |number| Self {
            name: format!("rival {number} ({})", bids.label()),
            drawn: Some(drawn),
            ..Self::default()
        })
    }

    /// Checks what can be checked without a log.
    ///
    /// # Errors
    /// No name, no ads, a bid that is not positive, a negative budget, or amounts beyond counting.
    pub fn validate(&self) -> Result<()> {
        if let Some(drawn) = &self.drawn {
            drawn.validate()?;
        }
        let unknown = self.drawn.is_some();
        let wrong = if self.name.is_empty() {
            Some("it has no name".to_owned())
        } else if unknown && (!self.ads.is_empty() || self.pricing != Pricing::Cpm) {
            Some("its bids are drawn per thousand impressions, for ads that the log does not know".to_owned())
        } else if self.ads.is_empty() && !unknown {
            Some("it has no ads".to_owned())
        } else if !(1..=MAX_BID_MICROS).contains(&self.bid_micros) && !unknown {
            Some(format!("its bid of {} micros is not allowed", self.bid_micros))
        } else if let Some(why) = self.wrong_manner() {
            Some(why)
        } else {
            self.budget_micros
                .filter(|budget| !(0..=MAX_BUDGET_MICROS).contains(budget))
                .map(|budget| format!("its budget of {budget} micros is not allowed"))
        };
        match wrong {
            None => Ok(()),
            Some(why) => Err(Failure::new("cannot run the campaign", why)
                .at(format!("campaign '{}'", self.name))
                .hint(
                    "give it a name, at least one ad, a bid of at least 1 micro and a budget of 0 or more",
                )),
        }
    }

    /// What is wrong with how it bids, if anything.
    fn wrong_manner(&self) -> Option<String> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        match (self.pricing, self.conversion_rate, self.shading) {
            (_, Some(rate), _) if !share(rate) => Some(format!("{rate} conversions per click is no share")),
            (Pricing::Cpa, None, _) => Some("it bids per conversion but has no conversion_rate".to_owned()),
            (_, _, Shading::Factor(factor)) if !share(factor) || factor == 0.0 => {
                Some(format!("a shading factor of {factor} is not between 0 and 1"))
            }
            _ if self.most_exposure.is_some_and(|most| !share(most) || most == 0.0) => {
                Some("a most_exposure is a share above 0, up to 1".to_owned())
            }
            _ => (self.frequency_cap == Some(0)).then(|| "a frequency cap of 0 shows nothing".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_bid() {
        let good =
            Campaign { name: "tea".into(), ads: vec!["a1".into()], bid_micros: 1, ..Campaign::default() };
        assert_eq!(good.validate(), Ok(()));
        for bad in [
            Campaign { ads: vec![], ..good.clone() },
            Campaign { bid_micros: 0, ..good.clone() },
            Campaign { budget_micros: Some(-1), ..good.clone() },
            Campaign { name: String::new(), ..good.clone() },
            Campaign { pricing: Pricing::Cpa, ..good.clone() },
            Campaign { conversion_rate: Some(f64::NAN), ..good.clone() },
            Campaign { shading: Shading::Factor(1.5), ..good.clone() },
            Campaign { shading: Shading::Factor(f64::NAN), ..good.clone() },
            Campaign { frequency_cap: Some(0), ..good.clone() },
            Campaign { most_exposure: Some(1.5), ..good.clone() },
            Campaign { most_exposure: Some(f64::NAN), ..good.clone() },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn reads_the_short_form() {
        let campaign: Campaign =
            serde_json::from_str(r#"{"name":"tea","ads":["a1"],"bid_micros":5000000}"#).unwrap();
        assert_eq!(campaign.pricing, Pricing::Cpm);
        assert_eq!(campaign.budget_micros, None);
        assert_eq!((campaign.pacing, campaign.shading), (Pacing::HardStop, Shading::None));
        assert!(serde_json::from_str::<Campaign>(r#"{"name":"x","ads":[],"bid":1}"#).is_err());
    }
}
