//! How do a log, a model and a spec become a market? Pooled requests x ads -> probabilities.
//!
//! The audience's rows (at most `pool_rows`, drawn with the seed) stand for its requests. The model scores
//! every pooled row with every ad in its place; sample data also knows the true click probability of each
//! pair. Scoring is the slow part, so a [`ScoredPool`] is kept and reused until audience, ads, edits or model
//! change: a slider only reweighs it.

mod asked;
pub mod edits;
mod lessons;
mod people;
mod rivals;

use super::bidder::Bidder;
use super::campaigns;
use super::feedback::Feedback;
use super::other_model::OtherModel;
use super::replay::{self, Replay};
use super::rescoring::Rescorer;
use super::rhythm::Rhythm;
use super::spec::{ClickSource, Edit, MarketSpec, Scenario};
use super::variants::{self, Side};
use super::{Arm, Market, Scores};
use crate::auctions::myerson::{self, MyersonMark};
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::data::sample::World;
use crate::data::{Dataset, LogFrame, edit};
use crate::domain::{Campaign, Pricing};
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use crate::train::TrainedModel;
use asked::{Ask, Asked};
pub(super) use asked::{catalogue_columns, scores_of};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a market is made of.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The log that the audience is drawn from.
    pub log: Arc<LogFrame>,
    /// The log, encoded by the model's encoder.
    pub dataset: Arc<Dataset>,
    /// Who predicts.
    pub model: Arc<TrainedModel>,
    /// Who predicts conversions per click; `None`: each campaign's own rate.
    pub conversions: Option<Arc<OtherModel>>,
    /// Whose clicks happen where they come from a model; `None`: the bidders' own.
    pub clicks: Option<Arc<OtherModel>>,
}

/// A market with what a report must say about it.
#[derive(Clone)]
pub struct Prepared {
    /// Ready to run.
    pub market: Arc<Market>,
    /// Pages to ask for: the spec's, or the rows there are where the log is replayed.
    pub requests: u64,
    /// The campaigns that bid, spelled out.
    pub campaigns: Vec<Campaign>,
    /// Column of the score matrix -> ad.
    pub ads: Vec<String>,
    /// Where clicks come from, in words.
    pub clicks_from: String,
    /// What was assumed or left out, in words.
    pub notes: Vec<String>,
    /// The baseline reserve that would earn most, if enough campaigns bid.
    pub myerson: Option<MyersonMark>,
    /// To be handed in again: spares the scoring when only weights change.
    pub pool: Arc<ScoredPool>,
}

/// Scores of an audience, before and after its edits.
#[derive(Debug)]
pub struct ScoredPool {
    key: PoolKey,
    /// The very log and model that were asked.
    asked: Inputs,
    /// The pooled rows alone: segments are looked up here, not in the whole log.
    log: LogFrame,
    /// Rows of the log that stand for the audience, in order.
    pub rows: Vec<u32>,
    /// How many rows the whole audience has.
    pub audience_rows: usize,
    /// The user of each pooled row, from 0.
    users: Vec<u32>,
    /// The category of each ad, from 0.
    categories: Vec<u16>,
    baseline: ArmScores,
    what_if: ArmScores,
    /// What the log says of each pooled row, for a replay.
    replay: Option<Replay>,
}

impl ScoredPool {
    /// The very log and models that were asked.
    pub fn inputs(&self) -> &Inputs {
        &self.asked
    }

    /// The model of conversions that was asked, for another run.
    pub fn conversions(&self) -> Option<&Arc<OtherModel>> {
        self.asked.conversions.as_ref()
    }

    /// Where one more member of an ensemble would put what was `predicted` for a pooled row and an ad, 95 %; `None` for a
    /// model of its own, and for predictions that what users did or bidders learnt has moved since.
    pub fn interval(&self, world: usize, row: u32, ad: u32, predicted: f32) -> Option<Estimate> {
        let arm = if world == 0 { &self.baseline } else { &self.what_if };
        let at = |scores: &Scores| {
            let is_known = (row as usize) < scores.rows();
            is_known.then(|| scores.row(row as usize).get(ad as usize).copied()).flatten()
        };
        let [low, high] = arm.bands.as_deref()?;
        let is_as_scored = at(&arm.predicted)? == predicted;
        let (low, high) = at(low).zip(at(high)).filter(|_| is_as_scored)?;
        Some(Estimate { value: predicted.into(), low: low.into(), high: high.into() })
    }

    /// The model of clicks that was asked beside the bidders', for another run.
    pub fn clicks(&self) -> Option<&Arc<OtherModel>> {
        self.asked.clicks.as_ref()
    }
}

/// All that scores depend on.
#[derive(Debug, Clone, PartialEq)]
struct PoolKey {
    audience: String,
    pool_rows: usize,
    seed: u64,
    ads: Vec<String>,
    clicks: ClickSource,
    propensity: Option<String>,
    fewest_users: usize,
    edits: [Vec<Edit>; 2],
}

#[derive(Debug, Clone, PartialEq)]
struct ArmScores {
    predicted: Arc<Scores>,
    /// Lower and upper ends of the intervals of `predicted`, where an ensemble says them.
    bands: Option<Arc<[Scores; 2]>>,
    /// The same as `predicted` where clicks come from the model.
    clicks: Arc<Scores>,
    conversions: Option<Arc<Scores>>,
}

/// Fewer rows than this in an audience are told.
const FEW_ROWS: usize = 100;

/// Builds the market of a spec. `known` is the pool of an earlier spec; it is used again where it fits.
///
/// # Errors
/// A spec that does not fit the log or the model: each refusal says what and where. Or a cancel.
pub fn prepare(
    spec: &MarketSpec,
    inputs: &Inputs,
    known: Option<&Arc<ScoredPool>>,
    context: &JobContext,
) -> Result<Prepared> {
    spec.validate()?;
    let (mut campaigns, mut notes) = campaigns_of(spec, inputs)?;
    let ads = ads_of(&campaigns);
    let world = truth_for(spec, &inputs.log)?;
    let key = PoolKey::new(spec, &ads, world.is_some());
    let pool = match known.filter(|pool| pool.key == key && pool.asked.are(inputs)) {
        Some(pool) => Arc::clone(pool),
        None => Arc::new(score(key, inputs, world.as_ref(), context)?),
    };
    let mut market = open_market(spec, &campaigns, &ads, &pool)?;
    if !spec.rivals.is_empty() {
        let (rivals, assumed) = rivals::rivals_of(spec, &market)?;
        campaigns.extend(rivals);
        notes.extend(assumed);
        market = open_market(spec, &campaigns, &ads, &pool)?;
    }
    for (whose, scenario, arm) in
        [("baseline", Some(&spec.baseline), 0), ("what-if", spec.what_if.as_ref(), 1)]
    {
        notes.extend(scenario.and_then(|scenario| edits::notes(scenario, whose)));
        if let (Some(arm), true) = (market.arms.get(arm), scenario.is_some_and(|s| !s.margins.is_empty())) {
            notes.push(format!(
                "the {whose}'s shares are raked to one in a billion; its {} rows are worth {:.0} of equal weight",
                arm.weights.len(),
                people::effective_rows(&arm.weights)
            ));
        }
    }
    if spec.days > 0 {
        notes.push(format!(
            "pages come through {} by the audience's own hours (UTC)",
            if spec.days == 1 { "a day".to_owned() } else { format!("{} days", spec.days) }
        ));
    }
    let market =
        Arc::new(if spec.feedback.rescores { grows(market, spec, inputs, &ads, &pool)? } else { market });
    let clicks_from = match (&pool.replay, world) {
        (Some(_), _) => {
            "a replay of the log, on the pages where the auction picks the ad that was logged".to_owned()
        }
        (None, Some(_)) => "the true click probability of the sample data".to_owned(),
        (None, None) => match &inputs.clicks {
            Some(other) => {
                format!("another model ({}) than the bidders' ({})", other.model.kind, inputs.model.kind)
            }
            None => format!("the trained model ({})", inputs.model.kind),
        },
    };
    let requests = pages(spec, &pool);
    if let Some(replay) = &pool.replay {
        notes.push(replay_note(replay, requests));
    }
    if pool.rows.len() < FEW_ROWS {
        notes.push(format!(
            "only {} rows stand for the audience: the result speaks of these alone",
            pool.rows.len()
        ));
    }
    if spec.feedback.fatigue > 0.0 || spec.feedback.drift > 0.0 {
        notes.push("fatigue and drift are as set by hand, not learnt from the log".to_owned());
    }
    notes.extend(lessons::notes(spec));
    if spec.feedback.rescores {
        let kind = &inputs.model.kind;
        notes.push(format!(
            "what users do is appended to their histories, and the model ({kind}) predicts anew"
        ));
    }
    notes.extend(conversions_note(inputs, &campaigns));
    let myerson = myerson::mark(&market.offers_ecpm_micros());
    // An unknown advertiser's ad goes by its name.
    let names = campaigns.iter().filter(|campaign| campaign.drawn.is_some());
    let others = spec.variants.iter().map(|variant| variant.name.clone());
    let ads = ads.into_iter().chain(others).chain(names.map(|campaign| campaign.name.clone())).collect();
    Ok(Prepared { market, requests, campaigns, ads, clicks_from, notes, myerson, pool })
}

/// The campaigns that bid, and what was assumed of them.
///
/// # Errors
/// A bid per conversion that neither the campaign nor a model tells the conversions of; a log that names no ads.
pub(super) fn campaigns_of(spec: &MarketSpec, inputs: &Inputs) -> Result<(Vec<Campaign>, Vec<String>)> {
    if !spec.campaigns.is_empty() {
        if inputs.conversions.is_none() {
            spec.campaigns.iter().try_for_each(Campaign::validate)?;
        }
        return Ok((spec.campaigns.clone(), Vec::new()));
    }
    let read = campaigns::from_log(&inputs.log, spec.requests)?;
    Ok((read.campaigns, read.notes))
}

/// Pages of the run: each row can be replayed once.
fn pages(spec: &MarketSpec, pool: &ScoredPool) -> u64 {
    if pool.replay.is_some() { spec.requests.min(pool.rows.len() as u64) } else { spec.requests }
}

fn replay_note(replay: &Replay, requests: u64) -> String {
    let another = replay.ads.iter().filter(|ad| **ad == Replay::ANOTHER).count();
    format!(
        "{requests} rows of the log are gone through once; about {:.2} % of them count, as the rarest choice had that \
         chance; {another} show ads that nobody bids with",
        100.0 * replay.share
    )
}

impl PoolKey {
    fn new(spec: &MarketSpec, ads: &[String], truth: bool) -> Self {
        let what_if = spec.what_if.as_ref().unwrap_or(&spec.baseline);
        let replays = spec.clicks == ClickSource::Replay;
        Self {
            audience: spec.audience.clone(),
            // Each row can be replayed once: as many rows as pages.
            pool_rows: if replays { spec.requests as usize } else { spec.pool_rows },
            seed: spec.seed,
            ads: ads.to_vec(),
            clicks: match spec.clicks {
                ClickSource::Replay => ClickSource::Replay,
                _ if truth => ClickSource::Truth,
                _ => ClickSource::Model,
            },
            propensity: spec.propensity.clone(),
            fewest_users: spec.fewest_users,
            edits: [spec.baseline.edits.clone(), what_if.edits.clone()],
        }
    }
}

impl Inputs {
    /// True when these are the very same log, reading of it, and model.
    fn are(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.log.source, &other.log.source)
            && self.log.revision == other.log.revision
            && Arc::ptr_eq(&self.model, &other.model)
            && same_model(self.conversions.as_ref(), other.conversions.as_ref())
            && same_model(self.clicks.as_ref(), other.clicks.as_ref())
    }
}

fn same_model(one: Option<&Arc<OtherModel>>, other: Option<&Arc<OtherModel>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(&one.model, &other.model),
        _ => false,
    }
}

/// Every ad once, in the order of the campaigns.
pub(super) fn ads_of(campaigns: &[Campaign]) -> Vec<String> {
    let mut ads: Vec<String> = Vec::new();
    for ad in campaigns.iter().flat_map(|campaign| &campaign.ads) {
        if !ads.contains(ad) {
            ads.push(ad.clone());
        }
    }
    ads
}

fn truth_for(spec: &MarketSpec, log: &LogFrame) -> Result<Option<World>> {
    if matches!(spec.clicks, ClickSource::Model | ClickSource::Replay) {
        return Ok(None);
    }
    let world = World::for_log(log);
    if world.is_none() && spec.clicks == ClickSource::Truth {
        return Err(Failure::new(
            "cannot draw clicks from the truth",
            "only logs made by `adloupe generate` know their true click probabilities",
        )
        .at("clicks")
        .hint("\"clicks\": \"model\" draws them from the trained model"));
    }
    Ok(world)
}

fn score(key: PoolKey, inputs: &Inputs, world: Option<&World>, context: &JobContext) -> Result<ScoredPool> {
    context.stage("choosing the audience");
    let mut rows = people::segment_rows(&inputs.log, &key.audience)?;
    let audience_rows = rows.len();
    people::large_enough(&people::users(&inputs.log, &rows)?, &key)?;
    if key.clicks == ClickSource::Replay {
        rows = replay::known_rows(&inputs.log, rows)?;
    }
    if rows.len() > key.pool_rows {
        Rng::named(key.seed, "audience pool").shuffle(&mut rows);
        rows.truncate(key.pool_rows);
        rows.sort_unstable();
    }
    let columns = catalogue_columns(&inputs.dataset, &key.ads)?;
    let replay = match key.clicks {
        ClickSource::Replay => Some(Replay::of_log(&inputs.log, &rows, &key.ads, key.propensity.as_deref())?),
        _ => None,
    };
    context.stage("scoring the audience");
    let beside = |other: &OtherModel, edits: &[Edit], ask: &Ask<'_>| -> Result<Arc<Scores>> {
        let columns = catalogue_columns(&other.dataset, &key.ads)?;
        let reads = |edit: &&Edit| other.dataset.encoder.position(&edit.column).is_some();
        let edits: Vec<Edit> = edits.iter().filter(reads).cloned().collect();
        let sets = edits::encoded(&other.dataset, &inputs.log, &rows, &edits)?;
        let asked = Asked { dataset: &other.dataset, rows: &rows, columns: &columns, edits: &sets };
        Ok(Arc::new(asked.scores(ask, context)?))
    };
    let score_arm = |edits: &[Edit]| -> Result<ArmScores> {
        let sets = edits::encoded(&inputs.dataset, &inputs.log, &rows, edits)?;
        let asked = Asked { dataset: &inputs.dataset, rows: &rows, columns: &columns, edits: &sets };
        let (predicted, bands) = asked.scored(&inputs.model, context)?;
        let (predicted, bands) = (Arc::new(predicted), bands.map(Arc::new));
        let clicks = match (world, &inputs.clicks) {
            (Some(world), _) => Arc::new(truth(world, inputs, &rows, &key.ads, edits)?),
            (None, Some(other)) if key.clicks == ClickSource::Model => {
                beside(other, edits, &|batch| other.model.predict_batch(batch))?
            }
            _ => Arc::clone(&predicted),
        };
        let conversions = inputs.conversions.as_ref();
        let conversions = conversions.map(|other| beside(other, edits, &|batch| other.conversions(batch)));
        Ok(ArmScores { predicted, bands, clicks, conversions: conversions.transpose()? })
    };
    let baseline = score_arm(&key.edits[0])?;
    let what_if = if key.edits[0] == key.edits[1] { baseline.clone() } else { score_arm(&key.edits[1])? };
    let log = edit::edited_rows(&inputs.log, &rows, &[])?;
    let (users, categories) = (people::users(&inputs.log, &rows)?, categories(&inputs.log, &key.ads)?);
    Ok(ScoredPool {
        key,
        asked: inputs.clone(),
        log,
        rows,
        audience_rows,
        users,
        categories,
        baseline,
        what_if,
        replay,
    })
}

/// The market with the model itself in its loop.
fn grows(
    market: Market,
    spec: &MarketSpec,
    inputs: &Inputs,
    ads: &[String],
    pool: &ScoredPool,
) -> Result<Market> {
    let what_if = spec.what_if.as_ref().unwrap_or(&spec.baseline);
    let edits = [
        edits::encoded(&inputs.dataset, &inputs.log, &pool.rows, &spec.baseline.edits)?,
        edits::encoded(&inputs.dataset, &inputs.log, &pool.rows, &what_if.edits)?,
    ];
    let columns = catalogue_columns(&inputs.dataset, ads)?;
    Ok(market.with_rescorer(Rescorer::new(inputs.clone(), pool.rows.clone(), columns, edits)?))
}

fn conversions_note(inputs: &Inputs, campaigns: &[Campaign]) -> Option<String> {
    let model = inputs.conversions.as_ref()?;
    let per_conversion = campaigns.iter().any(|campaign| campaign.pricing == Pricing::Cpa);
    per_conversion.then(|| {
        format!("conversions per click are predicted by, and drawn from, a model ({})", model.model.kind)
    })
}

fn truth(world: &World, inputs: &Inputs, rows: &[u32], ads: &[String], edits: &[Edit]) -> Result<Scores> {
    let values = if edits.is_empty() {
        world.p_click(&inputs.log, rows, ads)?
    } else {
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        world.p_click(&edits::edited(&inputs.log, rows, edits)?, &all, ads)?
    };
    Scores::new(ads.len(), values)
}

fn open_market(
    spec: &MarketSpec,
    campaigns: &[Campaign],
    ads: &[String],
    pool: &ScoredPool,
) -> Result<Market> {
    let columns: BTreeMap<&str, u32> = ads.iter().map(String::as_str).zip(0..).collect();
    let variants = &spec.variants;
    let others = variants::columns(variants, ads, &pool.baseline.predicted, spec.seed)?;
    let drawn: Vec<f32> = campaigns.iter().filter_map(|c| c.drawn).map(|d| d.click_rate as f32).collect();
    let mut next_drawn = (ads.len() + variants.len()) as u32;
    let bidders = campaigns
        .iter()
        .map(|campaign| {
            if campaign.drawn.is_some() {
                next_drawn += 1;
                return Bidder::new(campaign, vec![next_drawn - 1]);
            }
            let places = campaign.ads.iter().filter_map(|ad| columns.get(ad.as_str()).copied());
            let own =
                variants.iter().zip(ads.len() as u32..).filter(|(one, _)| campaign.ads.contains(&one.of));
            Bidder::new(campaign, places.chain(own.map(|(_, column)| column)).collect())
        })
        .collect();
    let widened = |scores: &Arc<Scores>, side: Side| match (drawn.as_slice(), others.as_slice()) {
        ([], []) => Arc::clone(scores),
        (drawn, others) => Arc::new(variants::widened(scores, others, side).with_constants(drawn)),
    };
    let unconverted = vec![0.0; drawn.len()];
    let targeted = people::targeted(pool, campaigns)?;
    let learnt = Arc::new(lessons::learnt_clicks(&pool.asked.dataset, ads)?);
    let arm = |scenario: &Scenario, scores: &ArmScores, whose: &str| -> Result<Arm> {
        let weights = people::weights(pool, scenario)?;
        people::mix_large_enough(pool, &weights, whose)?;
        Ok(Arm {
            clicks: widened(&scores.clicks, Side::True),
            reserve_ecpm_micros: scenario.reserve_cpm_micros as f64,
            floors_ecpm_micros: scenario.floors_cpm_micros.iter().map(|floor| *floor as f64).collect(),
            exploration: scenario.exploration,
            learnt_clicks: Arc::clone(&learnt),
            diversity: scenario.diversity,
            lessons: scenario.learning.as_ref().map(|_| lessons::of(pool, scenario)).transpose()?,
            conversions: scores
                .conversions
                .as_ref()
                .map(|c| Arc::new(variants::widened(c, &others, Side::Unmoved).with_constants(&unconverted))),
            ..Arm::new(widened(&scores.predicted, Side::Believed), weights, scenario.auction.build()?)
        })
    };
    let baseline = arm(&spec.baseline, &pool.baseline, "baseline")?;
    let what_if =
        spec.what_if.as_ref().map(|scenario| arm(scenario, &pool.what_if, "what-if")).transpose()?;
    // Rivals' ads are of a category of their own.
    let foreign = pool.categories.iter().max().map_or(0, |last| last.saturating_add(1));
    let of_others = others.iter().map(|other| pool.categories[other.of()]);
    let own = pool.categories.iter().copied().chain(of_others);
    let categories = own.chain(drawn.iter().map(|_| foreign)).collect();
    let feedback = Feedback { effects: spec.feedback, categories };
    let rhythm = rhythm(spec, pool, &baseline, what_if.as_ref())?;
    let delay = spec.conversion_delay * pages(spec, pool) as f64;
    let market = Market::new(bidders, targeted, spec.slots.clone(), spec.seed, baseline, what_if)?
        .with_examination(spec.examination)
        .with_conversion_delay(delay)
        .with_users(pool.users.clone())?
        .with_feedback(feedback)?
        .with_variants(variants.clone(), ads.to_vec());
    let market = match spec.turn {
        Some(turn) => market.with_turn(turn, ads.len() + variants.len()),
        None => market,
    };
    let market = match rhythm {
        Some(rhythm) => market.with_rhythm(rhythm),
        None => market,
    };
    match &pool.replay {
        Some(replay) => market.with_replay(replay.clone()),
        None => Ok(market),
    }
}

/// When the pages come, where the run has days.
fn rhythm(
    spec: &MarketSpec,
    pool: &ScoredPool,
    baseline: &Arm,
    what_if: Option<&Arm>,
) -> Result<Option<Rhythm>> {
    if spec.days == 0 {
        return Ok(None);
    }
    let hours = people::hours(&pool.log)?;
    let weights: Vec<&[f64]> =
        std::iter::once(baseline).chain(what_if).map(|arm| arm.weights.as_slice()).collect();
    Rhythm::new(&hours, &weights, spec.days, pages(spec, pool)).map(Some)
}

/// The category of each ad, numbered from 0; the campaign where the log names no category.
fn categories(log: &LogFrame, ads: &[String]) -> Result<Vec<u16>> {
    let creatives = campaigns::creatives(log)?;
    let mut known: Vec<&str> = Vec::new();
    let numbered = ads.iter().map(|ad| {
        let creative = creatives.get(ad);
        let word = creative.map_or("", |c| if c.category.is_empty() { &c.campaign } else { &c.category });
        let place = known.iter().position(|other| *other == word).unwrap_or_else(|| {
            known.push(word);
            known.len() - 1
        });
        place.min(usize::from(u16::MAX)) as u16
    });
    Ok(numbered.collect())
}
