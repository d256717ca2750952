//! How good is a model on users and ads that it never met, and does it help to prepare it for them?
//!
//! A share of all users and ads is held out: no training row has one, and their rows of the test part are read as those
//! of somebody new, without a history. What was prepared is compared with what was not on the same rows; intervals draw
//! whole users or ads again, since a few ads say little however often they were shown. For new ads a Beta prior, by
//! moments from the learnt ads that share their attributes, says what to expect before the first impression.

use super::ways::{Way, compare};
use crate::base::rng::keyed_uniform;
use crate::base::{Failure, Result};
use crate::data::batch::{FIRST_VALUE_ID, RARE_ID};
use crate::data::dataset::{SequenceColumn, take_known};
use crate::data::encode::Side;
use crate::data::{Dataset, Split};
use crate::jobs::{JobContext, Latest};
use crate::metrics::Estimate;
use crate::metrics::beta_binomial::BetaPrior;
use crate::models::newcomers::{Alike, LEAST};
use crate::train::newcomers::{id_fields, learnt};
use crate::train::{TrainSpec, TrainedModel, fit};
use serde::Serialize;
use std::sync::Arc;

const WHAT: &str = "cannot try new users and ads";
/// Purpose of the draw of those that are held out.
const HOLD_OUT: u64 = 0x6865_6C64_206F_7574;
/// Learnt ads that a prior comes from at least: how much ads differ cannot be seen in fewer.
const PRIOR_LEAST: usize = 5;
/// Ads listed with their prior at most.
const LISTED: usize = 200;

/// What is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct ColdPlan {
    /// What is trained, once as it is and once forgetting ids.
    pub spec: TrainSpec,
    /// Share of users, and of ads, that is held out.
    pub share: f64,
    /// Share of the rows that forget an id in the second training.
    pub mask: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColdStart {
    /// The kind.
    pub kind: String,
    /// Share of users and of ads that were held out.
    pub share: f64,
    /// Share of the rows that forgot an id.
    pub mask: f64,
    /// New users, then new ads, as far as the log has them.
    pub groups: Vec<ColdGroup>,
    /// What the priors of new ads said, and what came.
    pub priors: Option<AdPriors>,
}

/// New users, or new ads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColdGroup {
    /// The column of ids.
    pub column: String,
    /// Ids that were held out and have test rows.
    pub ids: usize,
    /// Test rows of theirs, without those that are new in both ways.
    pub rows: usize,
    /// Clicks on these.
    pub clicks: f64,
    /// The ways to read them, the first unprepared.
    pub ways: Vec<Way>,
    /// How far the mean of those who are alike had to give up attributes.
    pub given_up: Vec<GivenUp>,
}

/// Rows that were read as the mean of those who share these attributes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GivenUp {
    /// The attributes that were left; none is the mean of all.
    pub shared: Vec<String>,
    /// Rows; those that no group was large enough for have `None` for attributes.
    pub rows: usize,
    /// False where too few were learnt at all, and the row of rare values was read.
    pub is_mean: bool,
}

/// Priors of new ads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdPriors {
    /// New ads with a prior and with impressions.
    pub ads: usize,
    /// Those whose click rate came to lie in the 95 % that the prior foretold.
    pub inside: usize,
    /// The most shown ones.
    pub listed: Vec<AdPrior>,
}

/// What was known of an ad before its first impression, and what came.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdPrior {
    /// The ad.
    pub ad: String,
    /// Attributes that it shares with those that the prior comes from.
    pub shared: Vec<String>,
    /// Learnt ads that the prior comes from.
    pub from: usize,
    /// As if of so many clicks and non-clicks.
    pub prior: BetaPrior,
    /// The click rate that the prior expects of an ad.
    pub expected: Estimate,
    /// What its impressions of the test part will show, by the prior.
    pub foretold: Estimate,
    /// Impressions of the test part.
    pub shown: f64,
    /// Clicks on them.
    pub clicks: f64,
    /// What is known of it after them.
    pub posterior: Estimate,
}

/// Trains twice and compares.
///
/// # Errors
/// A share that leaves nothing, a log without users and ads or without test rows of new ones, a kind whose rows are
/// counted, or a cancel.
pub fn cold_start(dataset: &Dataset, plan: &ColdPlan, context: &JobContext) -> Result<ColdStart> {
    if !(plan.share > 0.0 && plan.share < 1.0) {
        return Err(Failure::new(WHAT, format!("a share of {} of all cannot be held out", plan.share))
            .hint("above 0 and below 1, such as 0.2"));
    }
    if !(plan.mask > 0.0 && plan.mask <= 0.9) {
        return Err(Failure::new(WHAT, format!("a share of {} of the rows cannot forget", plan.mask))
            .hint("above 0 and 0.9 at most, such as 0.2"));
    }
    if dataset.label.is_empty() {
        return Err(Failure::new(WHAT, "the log does not say what was clicked")
            .hint("give the click column the role label"));
    }
    let plan = &ColdPlan { spec: plan.spec.completed()?, ..plan.clone() };
    let held = HeldOut::of(dataset, plan)?;
    let plain = trained(&held.dataset, plan, 0.0, "Training as it is", context)?;
    let masked = trained(&held.dataset, plan, plan.mask, "Training while ids are forgotten", context)?;
    let models = [
        ("one row for all new", &plain),
        ("mean of those alike", &plain.welcoming(&held.dataset)?),
        ("forgot ids", &masked),
        ("forgot ids, mean of those alike", &masked.welcoming(&held.dataset)?),
    ];
    let newcomers = learnt(&held.dataset)?;
    let mut answer = ColdStart {
        kind: plan.spec.kind.clone(),
        share: plan.share,
        mask: plan.mask,
        groups: Vec::new(),
        priors: None,
    };
    for (at, (place, side)) in id_fields(&dataset.encoder).into_iter().enumerate() {
        context.stage("Measuring on those held out");
        let rows = held.rows_of(at);
        if rows.is_empty() {
            continue;
        }
        let alike = newcomers.fields[at].alike(LEAST);
        let units: Vec<u32> = rows.iter().map(|row| dataset.categorical[place][*row as usize]).collect();
        let mut scores: Vec<(String, Vec<f32>)> = Vec::new();
        for (way, model) in models {
            scores.push((way.to_owned(), model.predict(&held.dataset, &rows, context)?));
        }
        if side == Side::Ad {
            let many = newcomers.fields[at].alike(PRIOR_LEAST);
            let priors = Priors::of(&held.dataset, place, &many);
            let (told, predicted) = priors.foretell(dataset, &held.dataset, &rows, scores[0].1.clone());
            answer.priors = Some(told);
            scores.push(("click rate of ads alike (prior)".to_owned(), predicted));
        }
        let ids = units.iter().collect::<std::collections::HashSet<_>>().len();
        let (labels, weights) = (take_known(&dataset.label, &rows), take_known(&dataset.weight, &rows));
        let ways = compare(&scores, &labels, &weights, &units);
        let group = ColdGroup {
            column: dataset.encoder.categorical[place].name.clone(),
            ids,
            rows: rows.len(),
            clicks: ways[0].measures.clicks,
            given_up: given_up(&held.dataset, &alike, &rows),
            ways,
        };
        answer.groups.push(group);
    }
    if answer.groups.is_empty() {
        return Err(Failure::new(WHAT, "none of those held out has a test row")
            .hint("a longer log, or a larger share"));
    }
    Ok(answer)
}

fn trained(
    dataset: &Dataset,
    plan: &ColdPlan,
    mask: f64,
    stage: &str,
    context: &JobContext,
) -> Result<TrainedModel> {
    context.stage(stage);
    let mut spec = plan.spec.clone();
    spec.set("cold_mask", &mask.to_string())?;
    spec.set("newcomers", crate::train::newcomers::WAYS[0])?;
    fit(dataset, &spec, &Latest::default(), context)
}

/// A log some of whose users and ads are new in its test part.
struct HeldOut {
    dataset: Dataset,
    /// For each field of ids its place, and which ids are held out.
    fields: Vec<(usize, Vec<bool>)>,
    /// Test rows by row: for each field of ids whether its id is new.
    original: Vec<Vec<u32>>,
}

impl HeldOut {
    fn of(dataset: &Dataset, plan: &ColdPlan) -> Result<Self> {
        let encoder = &dataset.encoder;
        let sides = id_fields(encoder);
        if sides.is_empty() {
            return Err(Failure::new(WHAT, "the log has no column of users or ads whose ids are told apart")
                .hint("give a column the role user or ad"));
        }
        let seed = plan.spec.seed()?;
        let fields: Vec<(usize, Vec<bool>)> = sides
            .iter()
            .map(|(place, _)| {
                let is_out = |id: usize| {
                    let draw = keyed_uniform(seed, HOLD_OUT ^ *place as u64, id as u64);
                    id >= FIRST_VALUE_ID as usize && draw < plan.share
                };
                (*place, (0..encoder.categorical[*place].cardinality()).map(is_out).collect())
            })
            .collect();
        let mut cold = dataset.clone();
        let is_new = |row: u32| {
            fields.iter().any(|(place, out)| out[dataset.categorical[*place][row as usize] as usize])
        };
        let without = |rows: &[u32]| rows.iter().copied().filter(|row| !is_new(*row)).collect::<Vec<u32>>();
        cold.train = without(&dataset.train).into();
        cold.validation = without(&dataset.validation).into();
        if cold.train.is_empty() {
            return Err(Failure::new(WHAT, "every training row has a user or an ad that is held out")
                .hint("a smaller share"));
        }
        for (place, out) in &fields {
            let read = |id: &u32| if out[*id as usize] { RARE_ID } else { *id };
            cold.categorical[*place] = dataset.categorical[*place].iter().map(read).collect();
        }
        let user = sides.iter().position(|(_, side)| *side == Side::User);
        for (column, field) in cold.sequences.iter_mut().zip(&encoder.sequences) {
            let out = fields.iter().find(|(place, _)| *place == field.target).map(|(_, out)| out);
            let of_users = user.filter(|_| field.from_user_history_of.is_some()).map(|at| &fields[at]);
            let (mut offsets, mut ids) = (vec![0_u64], Vec::new());
            for row in 0..dataset.rows as u32 {
                let is_somebody_new = of_users
                    .is_some_and(|(place, out)| out[dataset.categorical[*place][row as usize] as usize]);
                if !is_somebody_new {
                    let read =
                        |id: &u32| if out.is_some_and(|out| out[*id as usize]) { RARE_ID } else { *id };
                    ids.extend(column.of_row(row).iter().map(read));
                }
                offsets.push(ids.len() as u64);
            }
            *column = Arc::new(SequenceColumn { offsets: offsets.into(), ids: ids.into() });
        }
        let original = fields.iter().map(|(place, _)| dataset.categorical[*place].to_vec()).collect();
        Ok(Self { dataset: cold, fields, original })
    }

    /// Test rows that are new in the field of ids at this place and in no other.
    fn rows_of(&self, at: usize) -> Vec<u32> {
        let is_new =
            |field: usize, row: u32| self.fields[field].1[self.original[field][row as usize] as usize];
        let only_here = |row: &u32| (0..self.fields.len()).all(|field| is_new(field, *row) == (field == at));
        self.dataset.rows_of(Split::Test).iter().copied().filter(only_here).collect()
    }
}

/// The ids of the attributes of a row, as a batch of one would hold them.
fn one(dataset: &Dataset, row: u32) -> Vec<Vec<u32>> {
    dataset.categorical.iter().map(|ids| vec![ids[row as usize]]).collect()
}

fn shared(dataset: &Dataset, alike: &Alike, given_up: usize) -> Vec<String> {
    let names = alike.attributes()[given_up..].iter();
    names.map(|place| dataset.encoder.categorical[*place].name.clone()).collect()
}

fn given_up(dataset: &Dataset, alike: &Alike, rows: &[u32]) -> Vec<GivenUp> {
    let levels = alike.attributes().len() + 1;
    let mut count = vec![0; levels + 1];
    for row in rows {
        count[alike.of(&one(dataset, *row), 0).map_or(levels, |(given_up, _)| given_up)] += 1;
    }
    let told = count.into_iter().enumerate().filter(|(_, rows)| *rows > 0);
    told.map(|(level, rows)| GivenUp {
        shared: if level < levels { shared(dataset, alike, level) } else { Vec::new() },
        rows,
        is_mean: level < levels,
    })
    .collect()
}

/// Clicks and impressions of the learnt ads, by who is alike.
struct Priors<'a> {
    place: usize,
    alike: &'a Alike,
    of_group: Vec<Option<BetaPrior>>,
}

impl<'a> Priors<'a> {
    fn of(dataset: &Dataset, place: usize, alike: &'a Alike) -> Self {
        let mut seen = vec![(0.0, 0.0); dataset.encoder.categorical[place].cardinality()];
        for row in dataset.train.iter() {
            let ad = &mut seen[dataset.categorical[place][*row as usize] as usize];
            let (clicks, weight) = happened(dataset, *row);
            *ad = (ad.0 + clicks, ad.1 + weight);
        }
        let prior = |ids: &Vec<u32>| {
            let groups = ids.iter().map(|id| seen[*id as usize]);
            let shown = groups.clone().map(|(_, shown)| shown).sum();
            Some(BetaPrior::by_moments(groups)?.at_most(shown))
        };
        Self { place, alike, of_group: alike.members.iter().map(prior).collect() }
    }

    /// What the priors said of the ads of some rows beside what came, and the expected click rate of each row;
    /// `otherwise` where an ad has no prior. `named` holds the ads by name.
    fn foretell(
        &self,
        named: &Dataset,
        cold: &Dataset,
        rows: &[u32],
        otherwise: Vec<f32>,
    ) -> (AdPriors, Vec<f32>) {
        let mut by_ad: std::collections::BTreeMap<u32, AdPrior> = std::collections::BTreeMap::new();
        let mut predicted = otherwise;
        for (row, predicted) in rows.iter().zip(&mut predicted) {
            let Some((given_up, group)) = self.alike.of(&one(cold, *row), 0) else { continue };
            let Some(prior) = self.of_group[group] else { continue };
            *predicted = prior.rate(0.0, 0.0) as f32;
            let id = named.categorical[self.place][*row as usize];
            let ad = by_ad.entry(id).or_insert_with(|| AdPrior {
                ad: named.encoder.categorical[self.place].name_of(id),
                shared: shared(cold, self.alike, given_up),
                from: self.alike.members[group].len(),
                prior,
                expected: prior.estimate(0.0, 0.0),
                foretold: prior.estimate(0.0, 0.0),
                shown: 0.0,
                clicks: 0.0,
                posterior: prior.estimate(0.0, 0.0),
            });
            let (clicks, weight) = happened(named, *row);
            (ad.clicks, ad.shown) = (ad.clicks + clicks, ad.shown + weight);
        }
        let mut listed: Vec<AdPrior> = by_ad.into_values().filter(|ad| ad.shown > 0.0).collect();
        for ad in &mut listed {
            ad.foretold = ad.prior.predictive(ad.shown);
            ad.posterior = ad.prior.estimate(ad.clicks, ad.shown);
        }
        let is_inside =
            |ad: &&AdPrior| (ad.foretold.low..=ad.foretold.high).contains(&(ad.clicks / ad.shown));
        let (ads, inside) = (listed.len(), listed.iter().filter(is_inside).count());
        listed.sort_by(|a, b| b.shown.total_cmp(&a.shown).then_with(|| a.ad.cmp(&b.ad)));
        listed.truncate(LISTED);
        (AdPriors { ads, inside, listed }, predicted)
    }
}

/// Clicks and impressions of a row.
fn happened(dataset: &Dataset, row: u32) -> (f64, f64) {
    let weight = dataset.weight.get(row as usize).map_or(1.0, |weight| f64::from(*weight));
    (weight * f64::from(dataset.label[row as usize]), weight)
}
