//! What would this audience, these campaigns and this auction do? The slot loop in prose.
//!
//! A [`MarketSpec`] names a log, a model, an audience and two scenarios: the baseline and a what-if.
//! [`scoring`] turns the audience into a pool of requests and asks the model for pCTR, requests x ads (and the
//! sample data's truth for the real click probability). [`audience`] draws each request for both scenarios
//! with common random numbers. [`simulation`] lets each `world` serve it: the campaigns bid, the slots are sold
//! by the chosen rule, clicks and conversions are drawn. [`outcome`] counts, and puts an interval on the
//! difference.

pub mod audience;
pub mod beside;
pub mod bidder;
pub mod bidding;
pub mod campaigns;
pub mod counterfactual;
pub mod coverage;
pub mod diversity;
pub mod equilibrium;
pub mod exploration;
pub mod feedback;
pub mod kept;
pub mod landscape;
pub mod learning;
pub mod linear_bandit;
pub mod looks;
pub mod monte_carlo;
pub mod opening;
pub mod openrtb;
pub mod other_model;
pub mod outcome;
mod pacing;
pub mod planner;
pub mod position;
pub mod replay;
pub mod rescoring;
pub mod rhythm;
pub mod scoring;
pub mod shading;
pub mod simulation;
pub mod slates;
pub mod spec;
pub mod variants;
pub mod winners;
mod world;

use crate::auctions::{Clearing, MAX_SLOTS};
use crate::base::{Failure, Result};
use audience::Coupling;
use bidder::Bidder;
use diversity::Diversity;
use exploration::Exploration;
use feedback::Feedback;
use learning::{Lessons, Turn};
use position::Examination;
use replay::Replay;
use rescoring::Rescorer;
use rhythm::Rhythm;
use std::sync::Arc;
use variants::Variant;

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

    /// The same with further ads, each as likely for every request.
    #[must_use]
    pub fn with_constants(&self, constants: &[f32]) -> Self {
        if constants.is_empty() {
            return self.clone();
        }
        let rows = self.values.chunks_exact(self.ads.max(1));
        let values = rows.flat_map(|row| row.iter().chain(constants).copied()).collect();
        Self { ads: self.ads + constants.len(), values }
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
    /// Conversions per click, believed and drawn from; `None`: each campaign's own rate.
    pub conversions: Option<Arc<Scores>>,
    /// Weight of each pooled request; only their ratios matter.
    pub weights: Vec<f64>,
    /// Lowest price, in micros per thousand impressions.
    pub reserve_ecpm_micros: f64,
    /// What single slots ask beyond it; empty: nothing.
    pub floors_ecpm_micros: Vec<f64>,
    /// Who wins and what is paid.
    pub rule: Box<dyn Clearing>,
    /// How campaigns try ads that they know little of.
    pub exploration: Exploration,
    /// Clicks on each ad that the model learnt from; ads beyond the end have none.
    pub learnt_clicks: Arc<Vec<f64>>,
    /// How unlike the ads of one page are to be.
    pub diversity: Diversity,
    /// What the bidders learn from while ads are shown; `None`: their predictions stay.
    pub lessons: Option<Arc<Lessons>>,
}

impl Arm {
    /// A world whose clicks are as predicted, without reserve.
    pub fn new(predicted: Arc<Scores>, weights: Vec<f64>, rule: Box<dyn Clearing>) -> Self {
        Self {
            clicks: Arc::clone(&predicted),
            predicted,
            weights,
            reserve_ecpm_micros: 0.0,
            floors_ecpm_micros: Vec::new(),
            rule,
            conversions: None,
            exploration: Exploration::None,
            learnt_clicks: Arc::default(),
            diversity: Diversity::None,
            lessons: None,
        }
    }

    /// Conversions per click of one request, ad by ad; empty where campaigns have their own rates.
    pub(crate) fn p_convert(&self, row: usize) -> &[f32] {
        self.conversions.as_ref().map_or(&[], |conversions| conversions.row(row))
    }
}

/// Everything a simulation needs, checked.
pub struct Market {
    pub(crate) bidders: Vec<Bidder>,
    /// `[row * bidders + bidder]`: may the campaign be shown to this request?
    pub(crate) targeted: Vec<bool>,
    /// How often each slot of a page is looked at; what that means is up to `examination`.
    pub(crate) slots: Vec<f64>,
    pub(crate) examination: Examination,
    /// What the auction knows of how often each slot is looked at.
    pub(crate) looks: Vec<f64>,
    pub(crate) seed: u64,
    /// Baseline first, then the what-if if there is one.
    pub(crate) arms: Vec<Arm>,
    pub(crate) coupling: Coupling,
    /// The user of each pooled request, from 0.
    pub(crate) users: Vec<u32>,
    pub(crate) user_count: usize,
    pub(crate) feedback: Feedback,
    /// Pages between a click and its conversion, on average; 0: at once.
    pub(crate) conversion_delay_pages: f64,
    /// What the log says, where clicks are replayed from it; requests are then its rows in order.
    pub(crate) replay: Option<Replay>,
    /// `[world][row]`: how likely a replayed row is to belong to the world's mix.
    pub(crate) replay_mix: Vec<Vec<f64>>,
    /// When pages come, where the run has days.
    pub(crate) rhythm: Option<Rhythm>,
    /// The model itself, where it predicts anew as histories grow.
    pub(crate) rescorer: Option<Rescorer>,
    /// When and how far what people like turns, and how many ads it concerns.
    pub(crate) turn: Option<(Turn, usize)>,
    /// Other words for ads, and the ads of the log, in the order of their columns.
    pub(crate) variants: (Vec<Variant>, Vec<String>),
}

impl Market {
    /// Scenarios that are simulated side by side: 1, or 2 with a what-if.
    pub fn worlds(&self) -> usize {
        self.arms.len()
    }

    /// Checks that the parts fit together. Each pooled request is a user of its own, each slot is looked at for
    /// itself and nothing feeds back, until the `with_` functions say otherwise.
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
            let all = [Some(&arm.predicted), Some(&arm.clicks), arm.conversions.as_ref()];
            all.iter().flatten().any(|scores| scores.rows() != rows || scores.ads != ads)
                || arm.weights.len() != rows
        });
        if misfit || targeted.len() != rows * bidders.len() {
            return refuse("its tables have different sizes".to_owned());
        }
        if bidders.is_empty() {
            return refuse("there are no campaigns".to_owned());
        }
        if !(1..=MAX_SLOTS).contains(&slots.len()) || slots.iter().any(|look| !(0.0..=1.0).contains(look)) {
            return refuse(format!(
                "a page needs 1 to {MAX_SLOTS} slots, each looked at with a share of 0 to 1"
            ));
        }
        if let Some(bidder) = bidders.iter().find(|b| b.ads.is_empty()) {
            return refuse(format!("campaign '{}' has no ads", bidder.name));
        }
        if bidders.iter().any(|b| b.ads.iter().any(|ad| *ad as usize >= ads)) {
            return refuse("a campaign has an ad without scores".to_owned());
        }
        let what_if_weights = arms.get(1).map(|arm| arm.weights.as_slice());
        let coupling = Coupling::new(&arms[0].weights, what_if_weights)?;
        Ok(Self {
            bidders,
            targeted,
            looks: slots.clone(),
            slots,
            examination: Examination::Each,
            seed,
            arms,
            coupling,
            users: (0..rows as u32).collect(),
            user_count: rows,
            feedback: Feedback::default(),
            conversion_delay_pages: 0.0,
            replay: None,
            replay_mix: Vec::new(),
            rhythm: None,
            rescorer: None,
            turn: None,
            variants: Default::default(),
        })
    }

    /// What an impression of each pooled request is worth to each campaign that targets it, in the baseline.
    pub fn offers_ecpm_micros(&self) -> Vec<f64> {
        let Some(arm) = self.arms.first() else { return Vec::new() };
        let known = |pair: usize| self.bidders[pair % self.bidders.len()].drawn.is_none();
        let pairs = self.targeted.iter().enumerate().filter(|(pair, targeted)| **targeted && known(*pair));
        let worth = pairs.map(|(pair, _)| {
            let (row, bidder) = (pair / self.bidders.len(), &self.bidders[pair % self.bidders.len()]);
            let (ad, p_click) = bidder.strongest_ad(arm.predicted.row(row), arm.p_convert(row));
            bidder.ecpm_micros(p_click, bidder.p_convert(arm.p_convert(row), ad))
        });
        worth.collect()
    }

    /// Other words for ads: their columns follow those of `ads`.
    #[must_use]
    pub fn with_variants(mut self, variants: Vec<Variant>, ads: Vec<String>) -> Self {
        self.variants = (variants, ads);
        self
    }

    /// How visitors go through a page.
    #[must_use]
    pub fn with_examination(mut self, examination: Examination) -> Self {
        self.looks = examination.looks(&self.slots);
        self.examination = examination;
        self
    }

    /// Who stands behind each pooled request: caps count by user.
    ///
    /// # Errors
    /// A list that is not one user a request.
    pub fn with_users(mut self, users: Vec<u32>) -> Result<Self> {
        if users.len() != self.users.len() {
            return Err(Failure::new("cannot open the market", "its users do not fit its requests"));
        }
        self.user_count = users.iter().max().map_or(0, |last| *last as usize + 1);
        self.users = users;
        Ok(self)
    }

    /// How what is shown changes who sees it.
    ///
    /// # Errors
    /// Categories that are not one an ad.
    pub fn with_feedback(mut self, feedback: Feedback) -> Result<Self> {
        let ads = self.arms.first().map_or(0, |arm| arm.predicted.ads);
        if !feedback.categories.is_empty() && feedback.categories.len() != ads {
            return Err(Failure::new("cannot open the market", "its categories do not fit its ads"));
        }
        self.feedback = feedback;
        Ok(self)
    }

    /// Clicks are those of the log, on the pages that it can speak of: request `t` is row `t`.
    ///
    /// # Errors
    /// A list that is not one row a request, several slots, or users who change while they are shown ads: no log says
    /// what would then have happened.
    pub fn with_replay(mut self, replay: Replay) -> Result<Self> {
        let refuse = |why: &str| Err(Failure::new("cannot replay the log", why.to_owned()));
        if replay.ads.len() != self.users.len() {
            return refuse("its rows do not fit the market's requests");
        }
        if self.slots.len() != 1 {
            return refuse(
                "a row of the log is one ad in one slot; a page of several slots needs a model of clicks",
            );
        }
        if !self.feedback.effects.are_off() {
            return refuse("fatigue and drift are assumptions that no logged click knows of");
        }
        let mix = |arm: &Arm| {
            let most = arm.weights.iter().copied().fold(0.0, f64::max);
            arm.weights.iter().map(|weight| weight / most.max(f64::MIN_POSITIVE)).collect()
        };
        self.replay_mix = self.arms.iter().map(mix).collect();
        self.replay = Some(replay);
        Ok(self)
    }

    /// The pages come through days.
    #[must_use]
    pub fn with_rhythm(mut self, rhythm: Rhythm) -> Self {
        self.rhythm = Some(rhythm);
        self
    }

    /// The model predicts anew as users' histories grow.
    #[must_use]
    pub fn with_rescorer(mut self, rescorer: Rescorer) -> Self {
        self.rescorer = Some(rescorer);
        self
    }

    /// What the bidders of a world believe before anything happens: every pooled request with every ad. An unknown world is
    /// answered as the last one.
    pub fn predicted(&self, world: usize) -> &Scores {
        &self.arms[world.min(self.arms.len() - 1)].predicted
    }

    /// What the model that stays as it is predicts, in a world whose bidders learn.
    pub fn frozen(&self, world: usize, row: usize, ad: u32) -> Option<f32> {
        let arm = self.arms.get(world).filter(|arm| arm.lessons.is_some())?;
        (row < arm.predicted.rows()).then(|| arm.predicted.row(row).get(ad as usize).copied())?
    }

    /// What people like of the first `ads` ads turns during the run, in both worlds.
    #[must_use]
    pub fn with_turn(mut self, turn: Turn, ads: usize) -> Self {
        self.turn = Some((turn, ads));
        self
    }

    /// How likely a click on a slot that is looked at is, on a page of a run of so many: `truth` are those of the request.
    pub(crate) fn attractiveness(&self, truth: &[f32], ad: u32, request: u64, requests: u64) -> f64 {
        let own = f64::from(truth[ad as usize]);
        match self.turn {
            Some((turn, ads)) if (ad as usize) < ads && request as f64 >= turn.at * requests as f64 => {
                let other = f64::from(truth[(ad as usize + ads.div_ceil(2)) % ads]);
                (1.0 - turn.strength) * own + turn.strength * other
            }
            _ => own,
        }
    }

    /// The pooled rows of a request: baseline and what-if.
    pub(crate) fn rows_of(&self, request: u64) -> (usize, usize) {
        if self.replay.is_some() {
            let row = (request % self.users.len() as u64) as usize;
            return (row, row);
        }
        match &self.rhythm {
            Some(rhythm) => rhythm.rows(self.seed, request),
            None => self.coupling.rows(self.seed, request),
        }
    }

    /// The share of a world's requests that a campaign targets.
    pub(crate) fn targeted_share(&self, world: usize, bidder: usize) -> f64 {
        let (mut inside, mut all) = (0.0, 0.0);
        for (row, weight) in self.arms[world].weights.iter().enumerate() {
            all += weight;
            inside += if self.targeted[row * self.bidders.len() + bidder] { *weight } else { 0.0 };
        }
        inside / all.max(f64::MIN_POSITIVE)
    }

    /// The share of requests that count in each world; 1 where nothing is replayed.
    pub(crate) fn counted_share(&self, world: usize) -> f64 {
        let (Some(replay), Some(mix)) = (&self.replay, self.replay_mix.get(world)) else { return 1.0 };
        replay.share * mix.iter().sum::<f64>() / (mix.len() as f64).max(1.0)
    }

    /// How many pages lie between a click and its conversion, on average (exponential).
    #[must_use]
    pub fn with_conversion_delay(mut self, pages: f64) -> Self {
        self.conversion_delay_pages = pages;
        self
    }
}
