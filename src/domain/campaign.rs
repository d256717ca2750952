//! Who bids, with how much, for whom?

use super::money::Pricing;
use crate::base::{Failure, Result};
use serde::{Deserialize, Serialize};

/// One campaign in the market. It enters each auction with its strongest ad and stops when its budget could
/// not pay another event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// What it is called.
    pub name: String,
    /// Ids of its ads, as in the log.
    pub ads: Vec<String>,
    /// The most it pays, in micros: per thousand impressions (CPM) or per click (CPC).
    pub bid_micros: i64,
    /// What the bid is for.
    #[serde(default)]
    pub pricing: Pricing,
    /// What it may spend in one run, in micros; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_micros: Option<i64>,
    /// The segment that it is shown to, as text; empty: everyone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub targeting: String,
}

/// No bid and no budget is larger: a million currency units a bid, a billion a budget.
const MAX_BID_MICROS: i64 = 1_000_000_000_000;
const MAX_BUDGET_MICROS: i64 = 1_000_000_000_000_000;

impl Campaign {
    /// Checks what can be checked without a log.
    ///
    /// # Errors
    /// No name, no ads, a bid that is not positive, a negative budget, or amounts beyond counting.
    pub fn validate(&self) -> Result<()> {
        let wrong = if self.name.is_empty() {
            Some("it has no name".to_owned())
        } else if self.ads.is_empty() {
            Some("it has no ads".to_owned())
        } else if !(1..=MAX_BID_MICROS).contains(&self.bid_micros) {
            Some(format!("its bid of {} micros is not allowed", self.bid_micros))
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
        assert!(serde_json::from_str::<Campaign>(r#"{"name":"x","ads":[],"bid":1}"#).is_err());
    }
}
