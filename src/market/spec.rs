//! What is to be simulated? The file that `adloupe simulate` reads and the Slots panel exports.
//!
//! ```json
//! {
//!   "log": "sample_data/log.parquet",
//!   "model": {"train": {"kind": "deep_fm", "params": {"epochs": 3}}},
//!   "audience": "city = '上海'",
//!   "slots": [1.0, 0.6],
//!   "requests": 100000,
//!   "days": 1,
//!   "seed": 7,
//!   "clicks": "auto",
//!   "campaigns": [
//!     {"name": "tea", "ads": ["a1", "a2"], "bid_micros": 5000000, "budget_micros": 20000000},
//!     {"name": "shoes", "ads": ["a7"], "bid_micros": 400000, "pricing": "cpc", "targeting": "hour >= 18",
//!      "pacing": "multiplicative", "frequency_cap": 3}
//!   ],
//!   "rivals": [{"bidders": 5, "bids": {"lognormal": {"log_mean": 0.5, "log_deviation": 0.8}}, "click_rate": 0.01}],
//!   "baseline": {"reserve_cpm_micros": 500000},
//!   "what_if": {
//!     "reserve_cpm_micros": 500000,
//!     "shifts": [{"where": "age_band = '18-24'", "factor": 2.0}],
//!     "margins": [{"column": "gender", "shares": {"female": 0.6}}],
//!     "edits": [{"column": "device", "value": "ios"}],
//!     "auction": {"id": "first_price"}
//!   }
//! }
//! ```
//! Paths are relative to the spec's own folder. Everything but `log` and `model` may be left out.

use super::diversity::Diversity;
use super::exploration::Exploration;
use super::feedback::Effects;
use super::learning::{Learning, Turn};
use super::position::Examination;
use super::variants::Variant;
use crate::auctions::{self, MAX_SLOTS};
use crate::base::{Failure, Params, Result, failure::Explain};
use crate::domain::{Campaign, Rivals};
use crate::models;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The form that this program writes. A newer one is refused, not guessed at.
pub const VERSION: u32 = 1;

/// A run stretches over so many days at most: a year.
const MOST_DAYS: u32 = 366;

/// One simulation, complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketSpec {
    /// Version of the file's form; see [`VERSION`].
    #[serde(default = "default_version")]
    pub version: u32,
    /// The log that the audience is drawn from.
    pub log: PathBuf,
    /// Who predicts pCTR.
    pub model: ModelSource,
    /// The segment that asks for pages, as text; empty: everyone in the log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub audience: String,
    /// How many rows of the audience stand for it (drawn with the seed when there are more).
    #[serde(default = "default_pool_rows")]
    pub pool_rows: usize,
    /// Who bids; empty: the campaigns of the log.
    #[serde(default)]
    pub campaigns: Vec<Campaign>,
    /// Unknown advertisers who bid beside them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rivals: Vec<Rivals>,
    /// How often each slot of a page is looked at, 0 to 1. One entry a slot.
    #[serde(default = "default_slots")]
    pub slots: Vec<f64>,
    /// How a visitor goes through the slots: `each`, `chain` or `cascade`.
    #[serde(default)]
    pub examination: Examination,
    /// How what is shown changes who sees it.
    #[serde(default, skip_serializing_if = "Effects::are_off")]
    pub feedback: Effects,
    /// Time between a click and its conversion, as a share of the run; on average.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub conversion_delay: f64,
    /// Who predicts conversions per click, for campaigns that pay per conversion; absent: the model above if it learns
    /// both, else each campaign's own rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversions: Option<ModelSource>,
    /// Other words for ads of the log, which compete with them; see [`super::variants`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// Pages asked for.
    #[serde(default = "default_requests")]
    pub requests: u64,
    /// Days that the pages stretch over, as many an hour as the audience's own hours say; 0: in no order of time.
    #[serde(default, skip_serializing_if = "is_none")]
    pub days: u32,
    /// Same seed, same luck.
    #[serde(default)]
    pub seed: u64,
    /// Where clicks come from.
    #[serde(default)]
    pub clicks: ClickSource,
    /// Another model than the bidders' whose clicks happen, where they come from a model; absent: the bidders' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click_model: Option<ModelSource>,
    /// For a replay: the column with the probability with which each logged ad was chosen; absent: the one whose
    /// name says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propensity: Option<String>,
    /// What people like turns during the run, whatever the bidders' model was taught.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
    /// Fewer users than this in an audience are not simulated: figures of so few would speak of single people.
    #[serde(default = "default_fewest_users")]
    pub fewest_users: usize,
    /// The world as it is.
    #[serde(default)]
    pub baseline: Scenario,
    /// The world as it might be; absent: the baseline alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what_if: Option<Scenario>,
}

/// Who predicts pCTR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ModelSource {
    /// A saved model.
    Folder(PathBuf),
    /// A model to train on the log first.
    Train {
        /// Id of the model kind, as `adloupe models` lists them.
        kind: String,
        /// Its knobs and those of training; what is missing takes its default.
        #[serde(default, skip_serializing_if = "is_empty")]
        params: Params,
    },
}

impl ModelSource {
    /// False where it is known that the model predicts clicks alone.
    fn may_learn_conversions(&self) -> bool {
        match self {
            Self::Folder(_) => true,
            Self::Train { kind, .. } => models::kind(kind).is_ok_and(|kind| kind.learns_conversions()),
        }
    }
}

/// Where clicks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClickSource {
    /// The true click probability where the log knows it (sample data), the model otherwise.
    #[default]
    Auto,
    /// The true click probability of sample data; refused for other logs.
    Truth,
    /// The trained model itself.
    Model,
    /// The log's own clicks, on the pages where the auction picks the ad that was logged; needs the propensities
    /// of the log's choices. See [`super::replay`].
    Replay,
}

impl ClickSource {
    /// Every one, in the order of choosers.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Truth, Self::Model, Self::Replay];

    /// The words in a chooser.
    pub fn label(self) -> &'static str {
        match self {
            Self::Auto => "truth if known, else model",
            Self::Truth => "truth of the sample",
            Self::Model => "the model",
            Self::Replay => "replay of the log",
        }
    }
}

/// A world: who comes, what they are like, and how slots are sold.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Nobody buys for less, in micros per thousand impressions.
    pub reserve_cpm_micros: i64,
    /// What single slots ask beyond the reserve, first slot first; missing entries ask nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub floors_cpm_micros: Vec<i64>,
    /// How campaigns try ads that they know little of: `"none"`, `{"epsilon": 0.1}`, `{"ucb": 1.0}`,
    /// `{"thompson": 20.0}`, `{"lin_ucb": 1.0}` or `{"lin_thompson": 1.0}`.
    pub exploration: Exploration,
    /// How unlike the ads of one page are to be: `"none"`, `{"mmr": 0.7}` or `{"dpp": 0.8}`.
    pub diversity: Diversity,
    /// The pricing rule.
    pub auction: AuctionChoice,
    /// Bidders that learn from the clicks of the run itself, on top of their model; see [`super::learning`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning: Option<Learning>,
    /// Changes of the audience's mix.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shifts: Vec<Shift>,
    /// Shares that the audience is to have after those changes, by raking; see [`crate::metrics::raking`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub margins: Vec<Margin>,
    /// Changes of every user in the audience, or of single ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
}

/// The shares that the values of a column are to have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margin {
    /// Column of the log.
    pub column: String,
    /// Share of each value, as it is written in the log; what they leave to 1 goes to all other values as they are.
    pub shares: BTreeMap<String, f64>,
}

/// A pricing rule with its knobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuctionChoice {
    /// Id in [`auctions::AUCTIONS`].
    pub id: String,
    /// Its knobs; what is missing takes its default.
    #[serde(skip_serializing_if = "is_empty")]
    pub params: Params,
}

/// Multiplies the weight of a part of the audience.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// The part, as a segment's text.
    #[serde(rename = "where")]
    pub segment: String,
    /// 2 doubles its weight, 0 removes it. Factors of overlapping parts multiply.
    pub factor: f64,
}

/// Replaces a column's value, for everyone or for one user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Column of the log.
    pub column: String,
    /// The new value, as it is written in the log.
    pub value: String,
    /// The one user whose rows are changed, by its id in the log; absent: everyone in the audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// Two thousand rows show a mix to within about one per cent.
fn default_pool_rows() -> usize {
    2_000
}

/// The usual threshold of clean rooms (Ads Data Hub, Protected Audience).
fn default_fewest_users() -> usize {
    50
}

fn default_version() -> u32 {
    VERSION
}

fn default_slots() -> Vec<f64> {
    vec![1.0]
}

fn default_requests() -> u64 {
    20_000
}

fn is_none(count: &u32) -> bool {
    *count == 0
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fn is_empty(params: &Params) -> bool {
    params.iter().next().is_none()
}

impl Default for AuctionChoice {
    fn default() -> Self {
        Self { id: "second_price".to_owned(), params: Params::default() }
    }
}

impl AuctionChoice {
    /// The rule, ready to sell.
    ///
    /// # Errors
    /// An unknown id or a knob out of bounds.
    pub fn build(&self) -> Result<Box<dyn auctions::Clearing>> {
        let rule = auctions::find(&self.id)?;
        rule.build(&self.params.completed(rule.params())?)
    }
}

impl MarketSpec {
    /// A spec with defaults for all but the log and the model.
    pub fn new(log: PathBuf, model: ModelSource) -> Self {
        Self {
            version: VERSION,
            log,
            model,
            audience: String::new(),
            pool_rows: default_pool_rows(),
            campaigns: Vec::new(),
            rivals: Vec::new(),
            variants: Vec::new(),
            slots: default_slots(),
            examination: Examination::default(),
            feedback: Effects::default(),
            conversion_delay: 0.0,
            conversions: None,
            requests: default_requests(),
            days: 0,
            seed: 0,
            clicks: ClickSource::default(),
            click_model: None,
            propensity: None,
            turn: None,
            fewest_users: default_fewest_users(),
            baseline: Scenario::default(),
            what_if: None,
        }
    }

    /// Reads a spec file's text.
    ///
    /// # Errors
    /// No JSON, a field that is missing or unknown, or a file from a newer version.
    pub fn parse(text: &str) -> Result<Self> {
        let what = "cannot read the spec";
        let value: serde_json::Value = serde_json::from_str(text).explain(what)?;
        let version = value.get("version").and_then(serde_json::Value::as_u64).unwrap_or(VERSION.into());
        if version > u64::from(VERSION) {
            return Err(Failure::new(
                what,
                format!("it has version {version}; this program reads up to {VERSION}"),
            )
            .at("version")
            .hint("open it with a newer adloupe, or export it again from this one"));
        }
        serde_json::from_value(value).explain(what)
    }

    /// Checks what can be checked without the log.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place in the spec.
    pub fn validate(&self) -> Result<()> {
        let refuse =
            |place: &str, why: String| Err(Failure::new("cannot simulate", why).at(place.to_owned()));
        if self.requests == 0 || self.requests > 1_000_000_000 {
            return refuse("requests", format!("{} is not 1 to 1,000,000,000", self.requests));
        }
        if self.pool_rows == 0 {
            return refuse("pool_rows", "the audience needs at least one row".to_owned());
        }
        if !(1..=MAX_SLOTS).contains(&self.slots.len()) {
            return refuse("slots", format!("{} slots; a page has 1 to {MAX_SLOTS}", self.slots.len()));
        }
        if let Some(problem) = self.feedback.problem() {
            return refuse("feedback", problem);
        }
        if let Some(problem) = self.turn.and_then(|turn| turn.problem()) {
            return refuse("turn", problem);
        }
        if !(0.0..=10.0).contains(&self.conversion_delay) {
            return refuse(
                "conversion_delay",
                format!("{} is not between 0 and 10 runs", self.conversion_delay),
            );
        }
        self.rivals.iter().try_for_each(Rivals::validate)?;
        super::variants::validate(self)?;
        if self.days > MOST_DAYS {
            return refuse("days", format!("{} days; a run stretches over {MOST_DAYS} at most", self.days));
        }
        for campaign in &self.campaigns {
            let mut campaign = campaign.clone();
            if self.conversions.is_some() || self.model.may_learn_conversions() {
                // The model says it, or is found not to once it is there.
                campaign.conversion_rate.get_or_insert(0.0);
            }
            campaign.validate()?;
        }
        if self.clicks == ClickSource::Replay {
            self.validate_replay()?;
        }
        let deals = self.campaigns.iter().any(|campaign| campaign.priority > 0);
        for scenario in std::iter::once(&self.baseline).chain(&self.what_if) {
            scenario.validate()?;
            if deals && scenario.auction.id == "vcg" {
                return refuse("auction", "VCG knows no deals; a campaign has a priority".to_owned());
            }
        }
        Ok(())
    }
}

impl MarketSpec {
    /// What no log can say.
    fn validate_replay(&self) -> Result<()> {
        let edited = std::iter::once(&self.baseline).chain(&self.what_if).any(|s| !s.edits.is_empty());
        let wrong = if self.slots.len() > 1 {
            Some((
                "slots",
                "a row of the log is one ad in one slot: replay one slot, or take clicks from the model",
            ))
        } else if edited {
            Some(("edits", "the log knows its users as they were, not as edited: take clicks from the model"))
        } else if !self.feedback.are_off() {
            Some(("feedback", "fatigue and drift are assumptions that no logged click knows of"))
        } else if !self.rivals.is_empty() || self.campaigns.iter().any(|c| c.drawn.is_some()) {
            Some((
                "rivals",
                "the log's pages were sold without them: it knows nothing of a page that they win",
            ))
        } else if self.turn.is_some() {
            Some(("turn", "the log's clicks are what they were: they cannot turn"))
        } else if self.days > 0 {
            Some(("days", "a replay goes through the rows of the log in their own order"))
        } else {
            None
        };
        match wrong {
            None => Ok(()),
            Some((place, why)) => Err(Failure::new("cannot replay the log", why).at(place)),
        }
    }
}

impl Scenario {
    fn validate(&self) -> Result<()> {
        if self.reserve_cpm_micros < 0 {
            let why = format!("{} is negative", self.reserve_cpm_micros);
            return Err(Failure::new("cannot simulate", why).at("reserve_cpm_micros"));
        }
        if let Some(floor) = self.floors_cpm_micros.iter().find(|floor| **floor < 0) {
            return Err(
                Failure::new("cannot simulate", format!("{floor} is negative")).at("floors_cpm_micros")
            );
        }
        if let Some(problem) = self.diversity.problem(&self.auction.id) {
            return Err(Failure::new("cannot simulate", problem).at("diversity"));
        }
        if let Some(learning) = &self.learning {
            learning.knobs().map_err(|failure| failure.at("learning"))?;
            if matches!(self.exploration, Exploration::LinUcb(_) | Exploration::LinThompson(_)) {
                let why = "a bandit with a line of its own learns already what a learner would";
                return Err(Failure::new("cannot simulate", why)
                    .at("exploration")
                    .hint("explore by epsilon, ucb or thompson"));
            }
        }
        if let Some(problem) = self.exploration.problem() {
            return Err(Failure::new("cannot simulate", problem).at("exploration"));
        }
        if let Some(shift) = self.shifts.iter().find(|shift| !shift.factor.is_finite() || shift.factor < 0.0)
        {
            let why = format!("{} is no factor of 0 or more", shift.factor);
            return Err(Failure::new("cannot simulate", why).at(format!("shift '{}'", shift.segment)));
        }
        for margin in &self.margins {
            let sum: f64 = margin.shares.values().sum();
            let shares = margin.shares.values().all(|share| (0.0..=1.0).contains(share));
            if margin.shares.is_empty() || !shares || sum > 1.0 + 1e-9 {
                let why = format!("shares are 0 to 1 and sum to 1 at most, not to {sum}");
                return Err(Failure::new("cannot simulate", why).at(format!("margin '{}'", margin.column)));
            }
        }
        self.auction.build().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example_is_read_and_written_back() {
        let documentation = include_str!("spec.rs");
        let example: String = documentation
            .lines()
            .skip_while(|line| !line.starts_with("//! ```json"))
            .skip(1)
            .take_while(|line| !line.starts_with("//! ```"))
            .map(|line| line.trim_start_matches("//!"))
            .collect();
        let spec: MarketSpec = serde_json::from_str(&example).unwrap();
        assert_eq!(spec.validate(), Ok(()));
        assert_eq!(spec.campaigns.len(), 2);
        assert_eq!(spec.what_if.as_ref().map(|w| w.auction.id.as_str()), Some("first_price"));
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<MarketSpec>(&text).unwrap(), spec);
    }

    #[test]
    fn the_short_form_has_defaults_and_a_misspelling_is_refused() {
        let short = r#"{"log": "a.csv", "model": {"folder": "runs/1"}}"#;
        let spec: MarketSpec = serde_json::from_str(short).unwrap();
        assert_eq!(spec, MarketSpec::new("a.csv".into(), ModelSource::Folder("runs/1".into())));
        let misspelt = r#"{"log": "a.csv", "model": {"folder": "runs/1"}, "request": 5}"#;
        assert!(serde_json::from_str::<MarketSpec>(misspelt).is_err());
    }

    #[test]
    fn a_newer_file_is_refused_before_its_unknown_fields_are() {
        let newer = r#"{"version": 2, "log": "a.csv", "model": {"folder": "m"}, "holograms": true}"#;
        let failure = MarketSpec::parse(newer).unwrap_err();
        assert!(failure.why.contains("version 2") && failure.place.contains("version"), "{failure}");
        assert!(MarketSpec::parse("{").is_err());
        assert!(MarketSpec::parse(r#"{"log": "a.csv"}"#).unwrap_err().why.contains("model"));
    }

    #[test]
    fn bids_per_conversion_pass_where_a_model_may_say_what_converts() {
        let campaign = Campaign {
            name: "tea".into(),
            ads: vec!["a1".into()],
            bid_micros: 1,
            pricing: crate::domain::Pricing::Cpa,
            ..Campaign::default()
        };
        let learns = |kind: &str| {
            let source = ModelSource::Train { kind: kind.into(), params: Params::default() };
            MarketSpec { campaigns: vec![campaign.clone()], ..MarketSpec::new("a.csv".into(), source) }
                .validate()
        };
        assert_eq!(learns("esmm"), Ok(()));
        assert!(learns("logistic").unwrap_err().why.contains("conversion_rate"));
    }

    #[test]
    fn wrong_values_are_told_with_their_place() {
        let good = MarketSpec::new("a.csv".into(), ModelSource::Folder("m".into()));
        let place = |change: &dyn Fn(&mut MarketSpec)| {
            let mut spec = good.clone();
            change(&mut spec);
            spec.validate().unwrap_err().place
        };
        assert_eq!(place(&|s| s.requests = 0), "requests");
        assert_eq!(place(&|s| s.slots.clear()), "slots");
        assert_eq!(place(&|s| s.baseline.reserve_cpm_micros = -1), "reserve_cpm_micros");
        assert_eq!(place(&|s| s.baseline.floors_cpm_micros = vec![0, -5]), "floors_cpm_micros");
        assert_eq!(place(&|s| s.baseline.exploration = Exploration::Epsilon(f64::NAN)), "exploration");
        assert_eq!(place(&|s| s.feedback.fatigue = 2.0), "feedback");
        assert_eq!(place(&|s| s.conversion_delay = f64::NAN), "conversion_delay");
        assert!(
            place(&|s| s.baseline.shifts.push(Shift { segment: "x = 'y'".into(), factor: -1.0 }))
                .contains("x = 'y'")
        );
        let mut spec = good.clone();
        spec.baseline.auction.id = "barter".into();
        assert!(spec.validate().unwrap_err().hint.contains("second_price"));
    }
}
