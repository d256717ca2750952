//! Do our off-policy estimates agree with those of the Open Bandit Pipeline on its own logs?
//!
//! The logs (10,000 rows each of the campaign `all`) and the prior of the Bernoulli Thompson sampling policy come with the
//! package obp (Saito et al. 2021, arXiv 2008.07146). IPS of that policy on the random log is published in
//! `examples/quickstart/obd.ipynb`; the others follow from the logs alone.

use super::{Comparison, Row};
use crate::base::failure::Explain;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::data::importers::{self, ImportOptions};
use crate::data::outcome::Outcome;
use crate::data::{LogFrame, Role, cells};
use crate::jobs::JobContext;
use crate::metrics::off_policy::{self, Decisions, Estimator, Evaluation};
use serde_json::json;
use std::path::Path;

/// Items and positions of the campaign.
const ITEMS: usize = 80;
const POSITIONS: usize = 3;
/// Draws of the policy: as many as in the notebook.
const DRAWS: usize = 100_000;
const NOTEBOOK: &str = "obp examples/quickstart/obd.ipynb";
const LOGS: &str = "recomputed from the logs of obp 0.4.1";

/// A log of the campaign.
struct Log {
    items: Vec<usize>,
    positions: Vec<usize>,
    clicks: Vec<f64>,
    propensities: Vec<f64>,
}

/// Reads the two logs and the prior, estimates, compares.
///
/// # Errors
/// Files that are not there or not of this form; a cancel.
pub(super) fn compare(folder: &Path, context: &JobContext) -> Result<Comparison> {
    let random = Log::read(&folder.join("random/all/all.csv"), context)?;
    let thompson = Log::read(&folder.join("bts/all/all.csv"), context)?;
    let prior = prior(&folder.join("policy/prior_bts.yaml"))?;
    context.stage("drawing the policy");
    let chances = chances(&prior, context)?;
    let mut rows = Vec::new();
    // Means of 10,000 clicks are exact; the Monte Carlo policy leaves one per cent.
    let behaviour = random.rate();
    let truth = thompson.rate();
    rows.push(near("random log: click rate", 0.0038, behaviour, 1e-9, NOTEBOOK));
    rows.push(near("Thompson log: click rate, the truth", 0.0042, truth, 1e-9, NOTEBOOK));
    let named = [("first", 0.010_78), ("second", 0.009_31), ("third", 0.009_17)];
    for (position, (name, published)) in named.iter().enumerate() {
        let quantity = format!("Thompson: chance of item 0 at the {name} position");
        rows.push(near(&quantity, *published, chances[position], 0.06, LOGS));
    }
    let of_policy = |item: usize, position: usize| chances[item * POSITIONS + position];
    let answer = random.evaluate(&of_policy)?;
    let value = |answer: &Evaluation, estimator| {
        answer.value(estimator).map(|value| value.normal).ok_or_else(|| {
            let why = answer.not_identified.clone().unwrap_or_default();
            Failure::new("cannot reproduce", format!("{estimator:?} has no value: {why}"))
        })
    };
    let ips = value(&answer, Estimator::Ips)?;
    rows.push(near("random to Thompson: IPS", 0.004_553, ips.value, 0.01, NOTEBOOK));
    rows.push(near(
        "random to Thompson: IPS over the log's rate",
        1.198_126,
        ips.value / behaviour,
        0.01,
        NOTEBOOK,
    ));
    let error = (ips.value - truth).abs() / truth;
    rows.push(near("random to Thompson: relative error of IPS", 0.084_019, error, 0.13, NOTEBOOK));
    let snips = value(&answer, Estimator::Snips)?;
    rows.push(near("random to Thompson: SNIPS", 0.004_776, snips.value, 0.01, LOGS));
    let standard_error = ips.standard_error();
    rows.push(near("random to Thompson: standard error of IPS", 0.002_090, standard_error, 0.02, LOGS));
    rows.push(near("random to Thompson: effective decisions", 1_639.5, answer.checks.effective, 0.02, LOGS));
    if let Some([low, high]) = answer.value(Estimator::Ips).and_then(|value| value.bootstrap) {
        rows.push(near("random to Thompson: bootstrap of IPS, lower end", 0.001_531, low, 0.15, NOTEBOOK));
        rows.push(near("random to Thompson: bootstrap of IPS, upper end", 0.009_254, high, 0.10, NOTEBOOK));
    }
    let even = thompson.evaluate(&|_, _| 1.0 / ITEMS as f64)?;
    rows.push(near("Thompson to even: IPS", 0.002_360, value(&even, Estimator::Ips)?.value, 1e-3, LOGS));
    rows.push(near("Thompson to even: SNIPS", 0.002_334, value(&even, Estimator::Snips)?.value, 1e-3, LOGS));
    rows.push(near("Thompson to even: effective decisions", 340.0, even.checks.effective, 2e-3, LOGS));
    rows.push(near("Thompson to even: largest weight", 278.0, even.checks.largest_weight, 2e-3, LOGS));
    let always = random.evaluate(&|item, _| f64::from(u8::from(item == 49)))?;
    rows.push(near(
        "random to always item 49: IPS",
        0.024,
        value(&always, Estimator::Ips)?.value,
        1e-6,
        LOGS,
    ));
    rows.push(near(
        "random to always item 49: SNIPS",
        0.026_316,
        value(&always, Estimator::Snips)?.value,
        1e-4,
        LOGS,
    ));
    Ok(Comparison { rows, ..Comparison::default() })
}

impl Log {
    fn read(path: &Path, context: &JobContext) -> Result<Self> {
        let log = importers::open(path, &ImportOptions::default(), context)?;
        let numbers =
            |column: &str| cells::numbers(&log, column).map_err(|failure| failure.at(path.display()));
        let whole = |column: &str, from: f64| -> Result<Vec<usize>> {
            Ok(numbers(column)?.into_iter().map(|number| (number - from).max(0.0) as usize).collect())
        };
        let read = Self {
            items: whole("item_id", 0.0)?,
            positions: whole("position", 1.0)?,
            clicks: clicks(&log)?,
            propensities: numbers("propensity_score")?,
        };
        let fits =
            read.items.iter().all(|item| *item < ITEMS) && read.positions.iter().all(|p| *p < POSITIONS);
        if read.items.is_empty() || !fits {
            let why = "its items or positions are not those of the campaign 'all'";
            return Err(Failure::new("cannot read the bandit's log", why).at(path.display()));
        }
        Ok(read)
    }

    fn rate(&self) -> f64 {
        self.clicks.iter().sum::<f64>() / self.clicks.len() as f64
    }

    /// A policy on this log, by its chance of each item at each position.
    fn evaluate(&self, chance: &dyn Fn(usize, usize) -> f64) -> Result<Evaluation> {
        let target: Vec<f64> =
            self.items.iter().zip(&self.positions).map(|(item, position)| chance(*item, *position)).collect();
        let decisions = Decisions {
            rewards: &self.clicks,
            logged: &self.propensities,
            target: &target,
            ..Decisions::default()
        };
        off_policy::evaluate(&decisions).map_err(|why| Failure::new("cannot reproduce", why))
    }
}

fn clicks(log: &LogFrame) -> Result<Vec<f64>> {
    let outcome = Outcome::read(log)?.filter(|_| log.schema.with_role(Role::Label).is_some());
    let outcome = outcome.ok_or_else(|| Failure::new("cannot read the bandit's log", "it has no clicks"))?;
    Ok(outcome.label.iter().map(|label| f64::from(*label)).collect())
}

/// The Beta priors of the campaign 'all': alpha and beta by item.
fn prior(path: &Path) -> Result<Vec<[f64; 2]>> {
    let what = "cannot read the policy's prior";
    let text = std::fs::read_to_string(path).explain(what).map_err(|failure| failure.at(path.display()))?;
    let (mut campaign, mut list) = ("", None);
    let mut lists: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for line in text.lines() {
        let word = line.trim();
        if !line.starts_with(' ') {
            campaign = word.trim_end_matches(':');
        } else if word.ends_with(':') {
            list = ["alpha:", "beta:"].iter().position(|name| *name == word);
        } else if let (Some(number), Some(list)) = (word.strip_prefix("- "), list)
            && campaign == "all"
        {
            lists[list].push(number.parse().explain(what).map_err(|failure| failure.at(path.display()))?);
        }
    }
    let [alpha, beta] = lists;
    if alpha.len() != ITEMS || beta.len() != ITEMS {
        let why =
            format!("the campaign 'all' has {} and {} numbers in place of {ITEMS}", alpha.len(), beta.len());
        return Err(Failure::new(what, why).at(path.display()));
    }
    Ok(alpha.into_iter().zip(beta).map(|(a, b)| [a, b]).collect())
}

/// The chance of each item at each position, `[item * 3 + position]`: rates are drawn from their priors, the three
/// best items are shown in order.
fn chances(prior: &[[f64; 2]], context: &JobContext) -> Result<Vec<f64>> {
    let mut rng = Rng::named(12_345, "Thompson sampling");
    let mut chances = vec![0.0; ITEMS * POSITIONS];
    let mut order: Vec<(f64, usize)> = Vec::with_capacity(ITEMS);
    for draw in 0..DRAWS {
        if draw % 1_000 == 0 {
            context.check()?;
            context.progress(draw as u64, DRAWS as u64);
        }
        order.clear();
        order.extend(prior.iter().enumerate().map(|(item, [a, b])| (rng.beta(*a, *b), item)));
        order.select_nth_unstable_by(POSITIONS, |a, b| b.0.total_cmp(&a.0));
        order[..POSITIONS].sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        for (position, (_, item)) in order[..POSITIONS].iter().enumerate() {
            chances[item * POSITIONS + position] += 1.0 / DRAWS as f64;
        }
    }
    Ok(chances)
}

/// A figure that agrees within a share of the published one.
fn near(quantity: &str, published: f64, ours: f64, share: f64, source: &str) -> Row {
    // Published figures are rounded to their last digit.
    let slack = published.abs() * share + 5e-7 * published.abs().max(1.0);
    let (low, high) = (published - slack, published + slack);
    Row {
        quantity: quantity.to_owned(),
        published: json!(published),
        source: source.to_owned(),
        ours: json!((ours * 1e9).round() / 1e9),
        low: Some(low),
        high: Some(high),
        within: (low..=high).contains(&ours),
    }
}
