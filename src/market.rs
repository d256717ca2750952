//! What would this audience, these campaigns and this auction do? The slot loop in prose.
//!
//! A [`MarketSpec`] names a log, a model, an audience and two scenarios: the baseline and a what-if.
//! [`scoring`] turns the audience into a pool of requests and asks the model for pCTR, requests x ads (and the
//! sample data's truth for the real click probability). [`audience`] draws each request for both scenarios
//! with common random numbers. [`simulation`] lets the campaigns bid, sells the slots by the chosen rule and
//! draws the clicks. [`outcome`] counts, and puts an interval on the difference.

pub mod audience;
pub mod bidder;
pub mod campaigns;
pub mod outcome;
pub mod scoring;
pub mod simulation;
pub mod spec;

use crate::auctions::Clearing;
use crate::base::{Failure, Result};
use audience::Coupling;
use bidder::Bidder;
use std::sync::Arc;

pub use outcome::{Difference, Outcome};
pub use simulation::Simulation;
pub use spec::{ClickSource, MarketSpec, Scenario};

/// Probabilities, one row a pooled request, one column an ad.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores {
    /// Ads.
    pub ads: usize,
    /// `[row * ads + ad]`, each in `[0, 1]`.
    pub values: Vec<f32>,
}

impl Scores {
    /// Takes a row-major matrix.
    ///
    /// # Errors
    /// A length that is no multiple of `ads`, or a value that is no probability.
    pub fn new(ads: usize, values: Vec<f32>) -> Result<Self> {
        let what = "cannot use the scores";
        if ads == 0 || values.is_empty() || !values.len().is_multiple_of(ads) {
            let why = format!("{} values do not fill rows of {ads} ads", values.len());
            return Err(Failure::new(what, why));
        }
        if let Some(bad) = values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
            let why = format!("{bad} is no probability");
            return Err(Failure::new(what, why).hint("train the model again"));
        }
        Ok(Self { ads, values })
    }

    /// Pooled requests.
    pub fn rows(&self) -> usize {
        self.values.len() / self.ads.max(1)
    }

    /// The probabilities of one request, ad by ad.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.ads..(row + 1) * self.ads]
    }
}

/// One scenario, prepared.
pub struct Arm {
    /// What bidders believe: ranks and click prices come from here.
    pub predicted: Arc<Scores>,
    /// What happens: clicks are drawn from here.
    pub clicks: Arc<Scores>,
    /// Weight of each pooled request; only their ratios matter.
    pub weights: Vec<f64>,
    /// Lowest price, in micros per thousand impressions.
    pub reserve_ecpm_micros: f64,
    /// Who wins and what is paid.
    pub rule: Box<dyn Clearing>,
}

/// Everything a simulation needs, checked.
pub struct Market {
    pub(crate) bidders: Vec<Bidder>,
    /// `[row * bidders + bidder]`: may the campaign be shown to this request?
    pub(crate) targeted: Vec<bool>,
    /// How often each slot of a page is looked at, relative to the first.
    pub(crate) slots: Vec<f64>,
    pub(crate) seed: u64,
    /// Baseline first, then the what-if if there is one.
    pub(crate) arms: Vec<Arm>,
    pub(crate) coupling: Coupling,
}

impl Market {
    /// Scenarios that are simulated side by side: 1, or 2 with a what-if.
    pub fn worlds(&self) -> usize {
        self.arms.len()
    }

    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// No bidders, no slots, matrices of different shapes, an ad that the scores lack, or an audience without weight.
    pub fn new(
        bidders: Vec<Bidder>,
        targeted: Vec<bool>,
        slots: Vec<f64>,
        seed: u64,
        baseline: Arm,
        what_if: Option<Arm>,
    ) -> Result<Self> {
        let refuse = |why: String| Err(Failure::new("cannot open the market", why));
        let (rows, ads) = (baseline.predicted.rows(), baseline.predicted.ads);
        let arms: Vec<Arm> = std::iter::once(baseline).chain(what_if).collect();
        let misfit = arms.iter().any(|arm| {
            [&arm.predicted, &arm.clicks].iter().any(|scores| scores.rows() != rows || scores.ads != ads)
                || arm.weights.len() != rows
        });
        if misfit || targeted.len() != rows * bidders.len() {
            return refuse("its tables have different sizes".to_owned());
        }
        if bidders.is_empty() {
            return refuse("there are no campaigns".to_owned());
        }
        if slots.is_empty() || slots.iter().any(|look| !(0.0..=1.0).contains(look)) {
            return refuse("a page needs slots, each looked at with a share of 0 to 1".to_owned());
        }
        if let Some(bidder) = bidders.iter().find(|b| b.ads.is_empty()) {
            return refuse(format!("campaign '{}' has no ads", bidder.name));
        }
        if bidders.iter().any(|b| b.ads.iter().any(|ad| *ad as usize >= ads)) {
            return refuse("a campaign has an ad without scores".to_owned());
        }
        let what_if_weights = arms.get(1).map(|arm| arm.weights.as_slice());
        let coupling = Coupling::new(&arms[0].weights, what_if_weights)?;
        Ok(Self { bidders, targeted, slots, seed, arms, coupling })
    }
}
