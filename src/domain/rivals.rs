//! Who else bids? Advertisers of whom nothing is known but how their bids are spread.

use crate::base::{Failure, Result};
use serde::{Deserialize, Serialize};

/// Unknown advertisers who all bid alike, each for itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rivals {
    /// How many there are.
    pub bidders: u32,
    /// What each of them bids; absent: as the campaigns beside them, lognormal with the mean and the deviation of the
    /// logarithms of their offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bids: Option<BidSpread>,
    /// How likely their ads are clicked where they are looked at: an assumption, no log knows them.
    #[serde(default = "default_click_rate")]
    pub click_rate: f64,
}

/// Bids that are drawn anew for each page, in place of a bid that somebody set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DrawnBids {
    /// How they are spread.
    pub bids: BidSpread,
    /// How likely their ads are clicked where they are looked at.
    pub click_rate: f64,
}

/// How bids are spread, in currency units per thousand impressions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BidSpread {
    /// The logarithm of a bid is normal: what bids look like in logs.
    Lognormal {
        /// Mean of the logarithm.
        log_mean: f64,
        /// Standard deviation of the logarithm.
        log_deviation: f64,
    },
    /// Many small bids and few large ones.
    Exponential {
        /// Their mean.
        mean: f64,
    },
    /// All bids between two bounds are as likely.
    Uniform {
        /// The lowest bid.
        low: f64,
        /// The highest bid.
        high: f64,
    },
}

impl Default for Rivals {
    /// Five who bid as the campaigns do.
    fn default() -> Self {
        Self { bidders: 5, bids: None, click_rate: default_click_rate() }
    }
}

/// More rivals than this sell no slot dearer and only cost time.
pub const MOST_RIVALS: u32 = 200;
/// No draw is larger: a million currency units per thousand.
const DEAREST: f64 = 1e6;

fn default_click_rate() -> f64 {
    0.01
}

impl BidSpread {
    /// A bid from two uniforms in `[0, 1)`, in currency units per thousand impressions (Box & Muller 1958 for the normal).
    pub fn draw(&self, one: f64, other: f64) -> f64 {
        let drawn = match *self {
            Self::Lognormal { log_mean, log_deviation } => {
                let normal = (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos();
                (log_mean + log_deviation * normal).exp()
            }
            Self::Exponential { mean } => -mean * (1.0 - one).ln(),
            Self::Uniform { low, high } => low + (high - low) * one,
        };
        drawn.min(DEAREST)
    }

    /// The words in a chooser.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Lognormal { .. } => "lognormal",
            Self::Exponential { .. } => "exponential",
            Self::Uniform { .. } => "even",
        }
    }

    /// The lognormal spread of some bids above 0, in currency units per thousand; `None` without any.
    pub fn of_bids(bids: impl Iterator<Item = f64>) -> Option<Self> {
        let logs: Vec<f64> = bids.filter(|bid| *bid > 0.0 && bid.is_finite()).map(f64::ln).collect();
        let n = logs.len() as f64;
        let log_mean = logs.iter().sum::<f64>() / n;
        let variance = logs.iter().map(|log| (log - log_mean).powi(2)).sum::<f64>() / n;
        (!logs.is_empty()).then(|| Self::Lognormal { log_mean, log_deviation: variance.sqrt() })
    }

    fn problem(&self) -> Option<&'static str> {
        let amount = |value: f64| (0.0..=DEAREST).contains(&value);
        match *self {
            Self::Lognormal { log_mean, log_deviation }
                if !(-20.0..=13.0).contains(&log_mean) || !(0.0..=10.0).contains(&log_deviation) =>
            {
                Some("a log_mean is between -20 and 13, a log_deviation between 0 and 10")
            }
            Self::Exponential { mean } if !amount(mean) || mean == 0.0 => {
                Some("a mean bid is above 0, up to a million")
            }
            Self::Uniform { low, high } if !amount(low) || !amount(high) || low > high => {
                Some("bids lie between low and high, 0 to a million")
            }
            _ => None,
        }
    }
}

impl DrawnBids {
    /// Checks the spread and the click rate.
    ///
    /// # Errors
    /// Numbers that are none, or bids beyond counting.
    pub fn validate(&self) -> Result<()> {
        let share = (0.0..=1.0).contains(&self.click_rate);
        let problem = self.bids.problem().or((!share).then_some("a click_rate is between 0 and 1"));
        problem.map_or(Ok(()), |why| Err(Failure::new("cannot draw the rivals' bids", why).at("rivals")))
    }
}

impl Rivals {
    /// Checks how many there are and what they bid.
    ///
    /// # Errors
    /// Nobody or too many, and what [`DrawnBids::validate`] answers.
    pub fn validate(&self) -> Result<()> {
        if !(1..=MOST_RIVALS).contains(&self.bidders) {
            let why = format!("{} rivals; there may be 1 to {MOST_RIVALS}", self.bidders);
            return Err(Failure::new("cannot draw the rivals' bids", why).at("rivals"));
        }
        // The campaigns' own offers are a spread that is always right.
        let stand_in = BidSpread::Exponential { mean: 1.0 };
        DrawnBids { bids: self.bids.unwrap_or(stand_in), click_rate: self.click_rate }.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn draws_have_the_means_of_their_distributions() {
        let mut rng = Rng::named(1, "rivals");
        let n = 400_000;
        // Lognormal: exp(mu + s^2 / 2), variance (exp(s^2) - 1) exp(2 mu + s^2).
        let (mu, s) = (0.2f64, 0.6f64);
        let mean = (mu + s * s / 2.0).exp();
        let cases = [
            (
                BidSpread::Lognormal { log_mean: mu, log_deviation: s },
                mean,
                mean * ((s * s).exp() - 1.0).sqrt(),
            ),
            (BidSpread::Exponential { mean: 2.0 }, 2.0, 2.0),
            (BidSpread::Uniform { low: 1.0, high: 3.0 }, 2.0, 2.0 / 12f64.sqrt()),
        ];
        for (spread, mean, deviation) in cases {
            let sum: f64 = (0..n).map(|_| spread.draw(rng.uniform(), rng.uniform())).sum();
            let error = deviation / f64::from(n).sqrt();
            assert!((sum / f64::from(n) - mean).abs() < 4.0 * error, "{spread:?}");
        }
    }

    #[test]
    fn wrong_spreads_are_refused_and_the_short_form_is_read() {
        let text = r#"{"bidders": 3, "bids": {"lognormal": {"log_mean": 0.0, "log_deviation": 1.0}}}"#;
        let rivals: Rivals = serde_json::from_str(text).unwrap();
        assert_eq!((rivals.validate(), rivals.click_rate), (Ok(()), 0.01));
        assert_eq!(serde_json::from_str::<Rivals>(r#"{"bidders": 5}"#).unwrap(), Rivals::default());
        let with = |bids: BidSpread| Rivals { bidders: 1, bids: Some(bids), click_rate: 0.1 };
        for bids in [
            BidSpread::Lognormal { log_mean: f64::NAN, log_deviation: 1.0 },
            BidSpread::Lognormal { log_mean: 0.0, log_deviation: -1.0 },
            BidSpread::Exponential { mean: 0.0 },
            BidSpread::Uniform { low: 2.0, high: 1.0 },
        ] {
            assert!(with(bids).validate().is_err(), "{bids:?}");
        }
        assert!(Rivals { bidders: 0, ..rivals.clone() }.validate().is_err());
        let mut sure = rivals;
        sure.click_rate = 1.5;
        assert!(sure.validate().is_err());
        let fitted = BidSpread::of_bids([1.0, std::f64::consts::E.powi(2), 0.0].into_iter());
        assert_eq!(fitted, Some(BidSpread::Lognormal { log_mean: 1.0, log_deviation: 1.0 }));
    }
}
