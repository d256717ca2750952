//! Does it help to begin with what was learnt elsewhere? Learning curves over more and more rows of the target, beside
//! those of models that begin with nothing.
//!
//! For each share of the target's training and validation rows (a smaller share is part of a larger one) and each seed, one
//! model goes on from the base and one begins anew, and all are asked about the same test rows of the target.

use crate::base::rng::keyed_uniform;
use crate::base::{Failure, Result};
use crate::data::dataset::take_known;
use crate::data::{Dataset, Split};
use crate::jobs::{JobContext, Latest};
use crate::metrics::gains::Gains;
use crate::metrics::{Measures, Outcomes};
use crate::train::tuning::Tuning;
use crate::train::{TrainSpec, TrainedModel, Trainer, fit};
use serde::Serialize;

const WHAT: &str = "cannot draw learning curves";
/// Purpose of the draw of rows.
const DRAW: u64 = 0x7472_616E_7366_6572;
/// Shares of the target's rows that are usually tried.
pub const SHARES: [f64; 5] = [0.05, 0.1, 0.25, 0.5, 1.0];
/// Seeds at most.
pub const MOST_SEEDS: usize = 20;

/// What is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct TransferPlan {
    /// What is trained.
    pub spec: TrainSpec,
    /// Parts of the base that stay as they are.
    pub frozen: Vec<String>,
    /// Shares of the target's rows.
    pub shares: Vec<f64>,
    /// Seeds, each with rows of its own.
    pub seeds: usize,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transfer {
    /// The kind.
    pub kind: String,
    /// Parts of the base that stayed.
    pub frozen: Vec<String>,
    /// Training rows of the base.
    pub base_rows: usize,
    /// Training rows of the target.
    pub target_rows: usize,
    /// Test rows of the target, on which all are measured.
    pub test_rows: usize,
    /// The base as it is, on these.
    pub base: Measures,
    /// One a share.
    pub points: Vec<SharePoint>,
}

/// A share of the target's rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SharePoint {
    /// The share.
    pub share: f64,
    /// Training rows, the mean over seeds.
    pub rows: usize,
    /// From nothing, then from the base.
    pub gains: Gains,
    /// Why a seed is missing.
    pub missing: Option<String>,
}

/// The rows of a log without some, and those alone: what a base learns from, and its target.
pub fn apart(dataset: &Dataset, target: &[u32]) -> [Dataset; 2] {
    let mut is_target = vec![false; dataset.rows];
    target.iter().for_each(|row| is_target[*row as usize] = true);
    [false, true].map(|wanted| part(dataset, |row| is_target[row as usize] == wanted))
}

/// The same rows, of which only some take part.
fn part(dataset: &Dataset, keep: impl Fn(u32) -> bool) -> Dataset {
    let kept = |rows: &[u32]| rows.iter().copied().filter(|row| keep(*row)).collect::<Vec<u32>>().into();
    Dataset {
        train: kept(&dataset.train),
        validation: kept(&dataset.validation),
        test: kept(&dataset.test),
        ..dataset.clone()
    }
}

/// Draws the curves of a target that is encoded as the base reads it.
///
/// # Errors
/// Shares or seeds that make no sense, a target without test rows of both outcomes, a base that cannot go on, or a cancel.
/// A share whose rows cannot be learnt from is told in its place.
pub fn transfer(
    base: &TrainedModel,
    target: &Dataset,
    plan: &TransferPlan,
    context: &JobContext,
) -> Result<Transfer> {
    let spec = plan.spec.completed()?;
    check(target, plan)?;
    let rows = target.rows_of(Split::Test).clone();
    let (labels, weights) = (take_known(&target.label, &rows), take_known(&target.weight, &rows));
    let users = take_known(&target.users, &rows);
    let known = base.predict(target, &rows, context)?;
    let outcomes = Outcomes { predicted: &known, labels: &labels, weights: &weights, users: &users };
    let tuning = Tuning { frozen: plan.frozen.clone(), rank: None };
    let mut answer = Transfer {
        kind: spec.kind.clone(),
        frozen: plan.frozen.clone(),
        base_rows: base.card.data.train,
        target_rows: target.train.len(),
        test_rows: rows.len(),
        base: Measures::of(outcomes),
        points: Vec::new(),
    };
    let first_seed = spec.seed()?;
    let (mut done, all) = (0, (plan.shares.len() * plan.seeds) as u64);
    for share in &plan.shares {
        let (mut runs, mut trained_on, mut missing) = (Vec::new(), 0, None);
        for place in 0..plan.seeds as u64 {
            context.stage(&format!("{:.0} % of the target's rows, seed {}", 100.0 * share, place + 1));
            context.progress(done, all);
            done += 1;
            let seed = first_seed.wrapping_add(place) & i64::MAX as u64;
            let few = part(target, |row| keyed_uniform(seed, DRAW, u64::from(row)) < *share);
            // Asked about all test rows, however few are trained on.
            let few = Dataset { test: target.test.clone(), ..few };
            let mut spec = spec.clone();
            spec.set("seed", &seed.to_string())?;
            let both = anew_and_from(base, &few, &spec, &tuning, context);
            match both {
                Ok(models) => {
                    let mut scores = models.iter().map(|model| model.predict(target, &rows, context));
                    if let (Some(anew), Some(from)) = (scores.next(), scores.next()) {
                        runs.push([anew?, from?]);
                        trained_on += few.train.len();
                    }
                }
                Err(failure) if failure.is_cancelled() => return Err(failure),
                Err(failure) => missing = Some(failure.to_string()),
            }
        }
        answer.points.push(SharePoint {
            share: *share,
            rows: trained_on / runs.len().max(1),
            gains: if runs.is_empty() {
                Gains::default()
            } else {
                Gains::of(&runs, &labels, &weights, &users)
            },
            missing,
        });
    }
    match answer.points.iter().find_map(|point| point.missing.clone()) {
        Some(why) if answer.points.iter().all(|point| point.gains.runs == 0) => Err(Failure::new(WHAT, why)),
        _ => Ok(answer),
    }
}

fn anew_and_from(
    base: &TrainedModel,
    few: &Dataset,
    spec: &TrainSpec,
    tuning: &Tuning,
    context: &JobContext,
) -> Result<[TrainedModel; 2]> {
    let mut trainer = Trainer::tuning(crate::data::importers::usual_memory(), few, spec, (base, tuning))?;
    trainer.run(&Latest::default(), context)?;
    let from = trainer.finish(context)?;
    Ok([fit(few, spec, &Latest::default(), context)?, from])
}

fn check(target: &Dataset, plan: &TransferPlan) -> Result<()> {
    let refuse = |why: String, hint: &str| Err(Failure::new(WHAT, why).hint(hint));
    if plan.shares.is_empty() {
        return refuse("no share of the rows is to be tried".into(), "0.05, 0.1, 0.25, 0.5 and 1");
    }
    if let Some(wrong) = plan.shares.iter().find(|share| !(**share > 0.0 && **share <= 1.0)) {
        return refuse(format!("{wrong} is no share of the target's rows"), "above 0, and 1 at most");
    }
    if !(1..=MOST_SEEDS).contains(&plan.seeds) {
        return refuse(
            format!("{} seeds cannot be tried", plan.seeds),
            "1 to 20; 3 tell how much luck there is",
        );
    }
    if target.label.is_empty() {
        return refuse(
            "the log does not say what was clicked".into(),
            "give the click column the role label",
        );
    }
    let rows = target.rows_of(Split::Test);
    let clicks = rows.iter().filter(|row| target.label[**row as usize] > 0.0).count();
    if clicks == 0 || clicks == rows.len() || target.train.is_empty() {
        let why = format!(
            "the target has {} training rows, and {clicks} of its {} test rows are clicks",
            target.train.len(),
            rows.len()
        );
        return refuse(why, "a larger target: its own rows are learnt from and judged on");
    }
    Ok(())
}
