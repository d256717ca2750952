//! What would another way to choose ads bring, and can that be believed? Three numbers about one policy, side by side.
//!
//! The simulation draws ads by the policy and clicks by the user's own model. The log's estimate reweighs what really
//! happened (see [`metrics::off_policy`](crate::metrics::off_policy)). The actual is what came of it where that is
//! known: for the policy that made the log its clicks on later rows, for sample data the true click probabilities. A
//! difference that is too large explains itself: by coverage, by calibration, or not at all.

use super::Scores;
use super::replay::outcome_of;
use super::scoring::scores_of;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::data::cells::{self, Coded, NO_CODE};
use crate::data::sample::World;
use crate::data::{Dataset, LogFrame, Role, infer};
use crate::jobs::JobContext;
use crate::metrics::off_policy::{self, Decisions, Estimator, Evaluation};
use crate::metrics::{Estimate, Rate, calibration};
use crate::train::TrainedModel;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A way to choose one ad of all that the log shows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// As the log did.
    #[default]
    AsLogged,
    /// Each ad is as likely.
    Even,
    /// Always the same ad.
    Always(String),
    /// The ad with the highest predicted click rate; with this share any ad at all.
    Best(f64),
    /// Chances in proportion to the predicted click rate to this power: 0 is even, large ones choose the best.
    Power(f64),
}

/// Where the probabilities of the logged choices come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Propensities {
    /// The column of the log whose name says so.
    #[default]
    Logged,
    /// A column of the log.
    Column(String),
    /// Each ad's share of the rows, within its slot where the log has slots. True only if who saw an ad was chance.
    Estimated,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Question {
    /// The policy in question.
    pub policy: Policy,
    /// Where propensities come from.
    pub propensities: Propensities,
    /// Seed of the simulation and of a sample of the rows.
    pub seed: u64,
}

/// A model and the log as it reads it.
pub type Predictor = (Arc<TrainedModel>, Arc<Dataset>);

/// What really came of a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Actual {
    /// Where it is known from.
    pub from: String,
    /// Clicks per decision.
    pub rate: Estimate,
}

/// The three numbers, clicks per decision, and what they rest on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The policy in words.
    pub policy: String,
    /// Ads that it chooses from.
    pub ads: usize,
    /// Decisions that were looked at, and how many the log has of that kind.
    pub rows: usize,
    /// Decisions that could have been looked at.
    pub of_rows: usize,
    /// Where propensities come from, in words.
    pub propensities: String,
    /// True when they are no more than an estimate.
    pub estimated: bool,
    /// Ads by the policy, clicks by the model; `None` without a model.
    pub simulated: Option<Estimate>,
    /// What the log says.
    pub log: Evaluation,
    /// What came of it, where that is known.
    pub actual: Option<Actual>,
    /// Predicted over real clicks on the logged choices; `None` without a model or clicks.
    pub calibration: Option<Estimate>,
    /// Why the numbers differ, where they do.
    pub explanation: Vec<String>,
    /// What was assumed or left out, in words.
    pub notes: Vec<String>,
}

/// Pairs of row and ad that are scored at most; more rows than that allows are sampled.
const MOST_PAIRS: usize = 3_000_000;
/// Draws of the simulation a row.
const DRAWS: usize = 8;
const WHAT: &str = "cannot tell what this policy would bring";

impl Policy {
    /// The policy in words.
    pub fn label(&self) -> String {
        match self {
            Self::AsLogged => "as logged".to_owned(),
            Self::Even => "each ad as often".to_owned(),
            Self::Always(ad) => format!("always {ad}"),
            Self::Best(share) if *share == 0.0 => "the model's best ad".to_owned(),
            Self::Best(share) => format!("the model's best ad, any ad in {:.0} %", 100.0 * share),
            Self::Power(power) => format!("by predicted rate to the power {power}"),
        }
    }

    /// True when it needs a model.
    pub fn needs_model(&self) -> bool {
        matches!(self, Self::Best(_) | Self::Power(_))
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = match self {
            Self::Best(share) if !(0.0..=1.0).contains(share) => {
                Some(format!("a share of {share} is not between 0 and 1"))
            }
            Self::Power(power) if !(0.0..=1_000.0).contains(power) => {
                Some(format!("a power of {power} is not between 0 and 1000"))
            }
            _ => None,
        };
        wrong.map_or(Ok(()), |why| Err(Failure::new(WHAT, why).at("policy")))
    }

    /// The chance of each ad in one row; `scores` are the model's, `chances` receives them.
    pub(super) fn chances(&self, scores: Option<&[f32]>, chosen: Option<usize>, chances: &mut [f64]) {
        let ads = chances.len();
        match self {
            Self::AsLogged => {}
            Self::Even => chances.fill(1.0 / ads as f64),
            Self::Always(_) => {
                chances.fill(0.0);
                if let Some(chance) = chosen.and_then(|ad| chances.get_mut(ad)) {
                    *chance = 1.0;
                }
            }
            Self::Best(share) => {
                chances.fill(share / ads as f64);
                let scores = scores.unwrap_or_default();
                let best = (0..scores.len()).reduce(|a, b| if scores[b] > scores[a] { b } else { a });
                if let Some(chance) = best.and_then(|ad| chances.get_mut(ad)) {
                    *chance += 1.0 - share;
                }
            }
            Self::Power(power) => {
                // Relative to the best, so that large powers do not underflow everywhere.
                let scores = scores.unwrap_or_default();
                let best = f64::from(scores.iter().copied().fold(f32::MIN_POSITIVE, f32::max));
                for (chance, score) in chances.iter_mut().zip(scores) {
                    *chance = (f64::from(*score) / best).powf(*power);
                }
                let total: f64 = chances.iter().sum();
                chances.iter_mut().for_each(|chance| *chance /= total.max(f64::MIN_POSITIVE));
            }
        }
    }
}

/// Answers about one policy.
///
/// # Errors
/// A log without clicks or ads, without propensities unless they are estimated, an ad that it does not show, a policy
/// that needs a model without one; a cancel.
pub fn answer(
    log: &LogFrame,
    predictor: Option<&Predictor>,
    question: &Question,
    context: &JobContext,
) -> Result<Answer> {
    question.policy.check()?;
    if question.policy.needs_model() && predictor.is_none() {
        return Err(Failure::new(WHAT, "it chooses by predicted click rates, and there is no model")
            .hint("train a model first, or ask about a policy without one"));
    }
    let mut facts = Facts::read(log, &question.propensities)?;
    let mut notes = facts.notes.clone();
    let rows = rows_of(&facts, predictor, question, &mut notes);
    if facts.estimated_within.is_some() {
        facts.estimate(&rows.asked);
    }
    if rows.asked.is_empty() {
        return Err(Failure::new(WHAT, "no row of the log has an ad, an outcome and a propensity"));
    }
    context.stage("scoring the decisions");
    let scores = predictor
        .map(|(model, dataset)| scores_of((model, dataset), &rows.asked, &facts.ads.values, context))
        .transpose()?;
    let truth = match World::for_log(log) {
        Some(world) => {
            let values = world.p_click(log, &rows.asked, &facts.ads.values)?;
            Some(Scores::new(facts.ads.values.len(), values)?)
        }
        None => None,
    };
    context.stage("weighing the log");
    let table = Table::of(&facts, question, &rows.asked, scores.as_ref(), truth.as_ref())?;
    let users: Vec<u32> =
        rows.asked.iter().filter_map(|row| facts.users.get(*row as usize).copied()).collect();
    let decisions = Decisions {
        rewards: &table.rewards,
        logged: &table.logged,
        target: &table.target,
        predicted: &table.predicted,
        expected: &table.expected,
        users: &users,
    };
    let evaluation = off_policy::evaluate(&decisions)
        .map_err(|why| Failure::new(WHAT, why).hint("correct the propensities, or leave such rows out"))?;
    let actual = table.actual(&question.policy, &facts, &rows);
    let calibration = (!table.predicted.is_empty())
        .then(|| {
            let predicted: Vec<f32> = table.predicted.iter().map(|p| *p as f32).collect();
            let labels: Vec<f32> = table.rewards.iter().map(|r| *r as f32).collect();
            calibration::predicted_over_actual(&predicted, &labels, &[])
        })
        .flatten();
    let mut answer = Answer {
        policy: question.policy.label(),
        ads: facts.ads.values.len(),
        rows: rows.asked.len(),
        of_rows: rows.all,
        propensities: facts.source.clone(),
        estimated: facts.estimated_within.is_some(),
        simulated: table.simulated,
        log: evaluation,
        actual,
        calibration,
        explanation: Vec::new(),
        notes,
    };
    answer.explanation = answer.explain();
    Ok(answer)
}

/// What the log says of every row.
struct Facts {
    ads: Coded,
    clicked: Vec<f32>,
    propensities: Vec<f64>,
    users: Vec<u32>,
    /// The slot of each row, where propensities are to be estimated within slots.
    estimated_within: Option<Vec<u32>>,
    /// Where propensities come from.
    source: String,
    notes: Vec<String>,
}

impl Facts {
    fn read(log: &LogFrame, wanted: &Propensities) -> Result<Self> {
        let outcome = outcome_of(log)?;
        let ads = log.schema.with_role(Role::Ad).ok_or_else(|| {
            Failure::new(WHAT, "no column of the log has the role ad")
                .hint("give the column with ad or item ids the role ad")
        })?;
        let ads = cells::coded(log, &ads.name)?;
        let mut notes = Vec::new();
        let mut estimated_within = None;
        let named = match wanted {
            Propensities::Column(name) => Some(log.schema.column(name)?.name.clone()),
            Propensities::Logged => infer::propensity_column(&log.schema).map(|column| column.name.clone()),
            Propensities::Estimated => None,
        };
        let (propensities, source) = match (named, wanted) {
            (Some(name), _) => (cells::numbers(log, &name)?, format!("the log's column '{name}'")),
            (None, Propensities::Estimated) => {
                let (slots, by) = slots(log, ads.codes.len())?;
                estimated_within = Some(slots);
                notes.push(format!(
                    "propensities are estimated as each ad's share of the rows{by}: right only if who saw an ad was \
                     chance"
                ));
                // Filled in once it is known which rows are asked.
                (vec![1.0; ads.codes.len()], format!("estimated from the log: each ad's share{by}"))
            }
            (None, _) => {
                return Err(Failure::new(
                    WHAT,
                    "the log does not say with which probability each ad was chosen",
                )
                .at(log.source.path.display())
                .hint("name the column, or let the shares of the ads stand for it, which assumes chance"));
            }
        };
        let users = match log.schema.with_role(Role::User) {
            Some(column) => cells::coded(log, &column.name)?.codes,
            None => Vec::new(),
        };
        Ok(Self {
            ads,
            clicked: outcome.label.to_vec(),
            propensities,
            users,
            estimated_within,
            source,
            notes,
        })
    }

    /// Each ad's share of the given rows, within its slot.
    fn estimate(&mut self, rows: &[u32]) {
        let Some(slots) = &self.estimated_within else { return };
        let (mut shown, mut all) = (HashMap::new(), BTreeMap::new());
        let cell = |row: &u32| (self.ads.codes[*row as usize], slots[*row as usize]);
        for (ad, slot) in rows.iter().map(cell) {
            *shown.entry((ad, slot)).or_insert(0.0) += 1.0;
            *all.entry(slot).or_insert(0.0) += 1.0;
        }
        for row in rows {
            let (ad, slot) = cell(row);
            self.propensities[*row as usize] = shown[&(ad, slot)] / all[&slot];
        }
    }

    /// Rows that say all that is needed.
    fn is_whole(&self, row: usize) -> bool {
        self.ads.codes[row] != NO_CODE && self.clicked[row].is_finite() && !self.propensities[row].is_nan()
    }
}

/// The slot of each row, and words for it; all rows are alike where the log has no slots.
fn slots(log: &LogFrame, rows: usize) -> Result<(Vec<u32>, String)> {
    let slot =
        log.schema.with_role(Role::Slot).filter(|slot| !cells::is_list(log, &slot.name).unwrap_or(true));
    Ok(match slot {
        Some(slot) => (cells::coded(log, &slot.name)?.codes, format!(" within its '{}'", slot.name)),
        None => (vec![0; rows], String::new()),
    })
}

/// The rows that are asked, and those that are held out.
struct Rows {
    asked: Vec<u32>,
    /// Rows of that kind before any sampling.
    all: usize,
    /// Later rows, whose clicks are the actual of the policy that made the log.
    later: Vec<u32>,
}

/// Rows that the model was not trained on, where there is one; for the policy that made the log the last of them are
/// held out.
fn rows_of(
    facts: &Facts,
    predictor: Option<&Predictor>,
    question: &Question,
    notes: &mut Vec<String>,
) -> Rows {
    let whole = |rows: &[u32]| -> Vec<u32> {
        rows.iter().copied().filter(|row| facts.is_whole(*row as usize)).collect()
    };
    let (mut asked, mut later) = match predictor {
        Some((_, dataset)) => {
            notes.push("asked are the rows that the model was not trained on".to_owned());
            (whole(&dataset.validation), whole(&dataset.test))
        }
        None => {
            let mut all: Vec<u32> = (0..facts.clicked.len() as u32).collect();
            let later = all.split_off(all.len() * 4 / 5);
            (whole(&all), whole(&later))
        }
    };
    if question.policy != Policy::AsLogged {
        asked.append(&mut later);
    }
    let all = asked.len();
    let most = if predictor.is_some() { (MOST_PAIRS / facts.ads.values.len().max(1)).max(1) } else { all };
    if all > most {
        Rng::named(question.seed, "counterfactual rows").shuffle(&mut asked);
        asked.truncate(most);
        asked.sort_unstable();
        notes.push(format!("a sample of {most} of {all} rows was looked at"));
    }
    Rows { asked, all, later }
}

/// What the estimators need of each row, and the two other numbers.
#[derive(Default)]
struct Table {
    rewards: Vec<f64>,
    logged: Vec<f64>,
    target: Vec<f64>,
    predicted: Vec<f64>,
    expected: Vec<f64>,
    simulated: Option<Estimate>,
    /// The true value of the policy in each row, where it is known.
    truth: Vec<f64>,
}

impl Table {
    fn of(
        facts: &Facts,
        question: &Question,
        rows: &[u32],
        scores: Option<&Scores>,
        truth: Option<&Scores>,
    ) -> Result<Self> {
        let ads = facts.ads.values.len();
        let chosen =
            match &question.policy {
                Policy::Always(ad) => {
                    Some(facts.ads.values.iter().position(|known| known == ad).ok_or_else(|| {
                        Failure::new(WHAT, format!("the log has no ad '{ad}'")).at("policy")
                    })?)
                }
                _ => None,
            };
        let mut table = Self::default();
        let mut rng = Rng::named(question.seed, "counterfactual");
        let mut chances = vec![0.0; ads];
        let mut drawn = Vec::new();
        for (place, row) in rows.iter().map(|row| *row as usize).enumerate() {
            let ad = facts.ads.codes[row] as usize;
            let of_row = scores.map(|scores| scores.row(place));
            question.policy.chances(of_row, chosen, &mut chances);
            let as_logged = question.policy == Policy::AsLogged;
            let mean = |values: &[f32]| -> f64 {
                if as_logged {
                    return f64::from(values[ad]);
                }
                values.iter().zip(&chances).map(|(value, chance)| f64::from(*value) * chance).sum()
            };
            table.rewards.push(f64::from(facts.clicked[row]));
            table.logged.push(facts.propensities[row]);
            table.target.push(if as_logged { facts.propensities[row] } else { chances[ad] });
            table.truth.extend(truth.map(|truth| mean(truth.row(place))));
            if let Some(scores) = of_row {
                table.predicted.push(f64::from(scores[ad]));
                table.expected.push(mean(scores));
                let clicks = (0..DRAWS).filter(|_| {
                    let shown = if as_logged { ad } else { pick(&chances, rng.uniform()) };
                    rng.chance(f64::from(scores[shown]))
                });
                drawn.push(clicks.count() as f64 / DRAWS as f64);
            }
        }
        table.simulated = (!drawn.is_empty()).then(|| mean_of(&drawn));
        Ok(table)
    }

    /// What came of the policy, where that is known.
    fn actual(&self, policy: &Policy, facts: &Facts, rows: &Rows) -> Option<Actual> {
        if !self.truth.is_empty() {
            let from = "the true click probabilities of the sample data".to_owned();
            let value = self.truth.iter().sum::<f64>() / self.truth.len() as f64;
            return Some(Actual { from, rate: Estimate { value, low: value, high: value } });
        }
        if *policy != Policy::AsLogged || rows.later.is_empty() {
            return None;
        }
        let clicks: f64 = rows.later.iter().map(|row| f64::from(facts.clicked[*row as usize])).sum();
        let rate = Rate::wilson(clicks, rows.later.len() as f64).estimate();
        Some(Actual { from: format!("the clicks on {} later rows", rows.later.len()), rate })
    }
}

/// The ad on which a uniform falls.
fn pick(chances: &[f64], luck: f64) -> usize {
    let mut left = luck;
    for (ad, chance) in chances.iter().enumerate() {
        left -= chance;
        if left < 0.0 {
            return ad;
        }
    }
    // Rounding: the last one that has any chance.
    chances.iter().rposition(|chance| *chance > 0.0).unwrap_or(0)
}

fn mean_of(values: &[f64]) -> Estimate {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    Estimate::normal(mean, (variance / n).sqrt())
}

impl Answer {
    /// The log's estimate that is to be believed, with the interval that is shown: the bootstrap's where there is one.
    pub fn headline(&self) -> Option<(Estimator, Estimate)> {
        let (estimator, value) = self.log.headline()?;
        let [low, high] = value.bootstrap.unwrap_or([value.normal.low, value.normal.high]);
        Some((estimator, Estimate { value: value.normal.value, low, high }))
    }

    /// Why the three numbers differ, where they do.
    fn explain(&self) -> Vec<String> {
        let mut why = Vec::new();
        if let Some(reason) = &self.log.not_identified {
            why.push(format!("the log cannot tell: {reason}"));
        }
        let apart = |a: &Estimate, b: &Estimate| a.low > b.high || b.low > a.high;
        let log = self.headline().map(|(_, estimate)| estimate);
        if let (Some(simulated), Some(log)) = (&self.simulated, &log)
            && apart(simulated, log)
        {
            why.push(match &self.calibration {
                Some(ratio) if ratio.excludes(1.0) => format!(
                    "simulation and log differ: on the log's own choices the model predicts {:.2} times the clicks that \
                     came ({:.2} to {:.2}), so calibrate or retrain it",
                    ratio.value, ratio.low, ratio.high
                ),
                _ => format!(
                    "simulation and log differ though the model is calibrated on the log's own choices: it errs on ads \
                     that the policy prefers ({} of {} decisions speak of them, worth {:.0})",
                    self.log.checks.matched, self.log.checks.n, self.log.checks.effective
                ),
            });
        }
        if let (Some(actual), Some(log)) = (&self.actual, &log)
            && apart(&actual.rate, log)
        {
            why.push(if self.estimated {
                "what came of it lies outside the log's interval: propensities were estimated, and who saw an ad was not \
                 chance"
                    .to_owned()
            } else {
                "what came of it lies outside the log's interval: later rows differ from earlier ones (see Drift), or it \
                 is the one time in twenty"
                    .to_owned()
            });
        }
        why
    }
}
