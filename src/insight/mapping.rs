//! Does what one domain knows of a user help in another? Vectors are mapped over, and users whom the other domain never
//! met are judged by them.
//!
//! EMCDR (Man et al., IJCAI 2017): one model is fitted on the rows of each domain, and the map between their user vectors
//! on the users whom both learnt. A share of these is held out: the second model trains without them, and their later rows
//! there are scored with nothing (the row of rare values), with the mean of all users, and with what the map makes of
//! their vector of the first domain.

use super::transfer::apart;
use super::ways::{Way, compare};
use crate::base::rng::keyed_uniform;
use crate::base::{Failure, Result};
use crate::data::batch::{FIRST_VALUE_ID, RARE_ID};
use crate::data::dataset::take_known;
use crate::data::{Dataset, Split};
use crate::jobs::{JobContext, Latest};
use crate::train::mapping::{Form, Mapping, means};
use crate::train::newcomers::id_fields;
use crate::train::{TrainSpec, fit};
use serde::Serialize;
use std::collections::HashSet;

const WHAT: &str = "cannot map users between the domains";
/// Purpose of the draw of users who are held out.
const HOLD_OUT: u64 = 0x656D_6364_7200_0001;
/// Parts of the users of which each is judged once by the others.
const FOLDS: usize = 5;
/// Users of both domains that it takes at least: to learn the map on, and to judge it on.
const LEAST: usize = 10;

/// What is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct MappingPlan {
    /// What is trained in each domain.
    pub spec: TrainSpec,
    /// The form of the map.
    pub form: Form,
    /// Penalty of a linear map, as a share of the vectors' mean square.
    pub ridge: f64,
    /// Share of the users of both domains who are held out.
    pub share: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mapped {
    /// The kind.
    pub kind: String,
    /// The form of the map.
    pub form: Form,
    /// Numbers in a user's vector.
    pub numbers: usize,
    /// Users of both domains that the map was learnt on, and those whose vectors of the second were kept from it.
    pub users: [usize; 2],
    /// Share of the variance of the second domain's vectors that the map explains, on users kept out of it in five folds.
    pub explained: f64,
    /// Rows of the second domain that held-out users are judged on: all of theirs, none was trained on.
    pub rows: usize,
    /// Clicks on these.
    pub clicks: f64,
    /// The ways to score them, the first with nothing.
    pub ways: Vec<Way>,
}

/// Fits both domains and the map: the rows of the second are `second`, those of the first all others.
///
/// # Errors
/// No column of users, too few of them in both domains, a kind whose rows are counted, a domain that cannot be learnt
/// from, or a cancel.
pub fn map_users(
    dataset: &Dataset,
    second: &[u32],
    plan: &MappingPlan,
    context: &JobContext,
) -> Result<Mapped> {
    let refuse = |why: String, hint: &str| Err(Failure::new(WHAT, why).hint(hint));
    if !(plan.share > 0.0 && plan.share < 1.0) {
        return refuse(format!("a share of {} of the users cannot be held out", plan.share), "0.3");
    }
    if !(plan.ridge >= 0.0 && plan.ridge.is_finite()) {
        return refuse(format!("a penalty of {} makes no sense", plan.ridge), "0 or more, such as 0.01");
    }
    let user = dataset.encoder.user_field();
    let known = id_fields(&dataset.encoder);
    let Some(place) = user.filter(|user| known.iter().any(|(place, _)| place == user)) else {
        return refuse(
            "the log has no column of users, or their ids are so many that they are hashed".into(),
            "give a column the role user",
        );
    };
    let spec = plan.spec.completed()?;
    let seed = spec.seed()?;
    let [one, other] = apart(dataset, second);
    let users_of = |rows: &[u32]| -> HashSet<u32> {
        let ids = rows.iter().map(|row| dataset.categorical[place][*row as usize]);
        ids.filter(|id| *id >= FIRST_VALUE_ID).collect()
    };
    let (in_one, in_other) = (users_of(&one.train), users_of(&other.train));
    let mut both: Vec<u32> = in_one.intersection(&in_other).copied().collect();
    both.sort_unstable();
    let is_out = |id: u32| keyed_uniform(seed, HOLD_OUT, u64::from(id)) < plan.share;
    let (out, learnt): (Vec<u32>, Vec<u32>) = both.iter().partition(|id| is_out(**id));
    if out.len() < LEAST || learnt.len() < LEAST {
        let why = format!(
            "{} users are in both domains: {} to learn on, {} to judge on",
            both.len(),
            learnt.len(),
            out.len()
        );
        return refuse(why, "domains that share more users: it takes 10 to learn on and 10 to judge on");
    }
    let held: HashSet<u32> = out.iter().copied().collect();
    let of_held = |row: &u32| held.contains(&dataset.categorical[place][*row as usize]);
    let without = |rows: &[u32]| rows.iter().copied().filter(|row| !of_held(row)).collect::<Vec<u32>>();
    let second_domain = Dataset {
        train: without(&other.train).into(),
        validation: without(&other.validation).into(),
        ..other.clone()
    };
    context.stage("Training on the first domain");
    let source = fit(&one, &spec, &Latest::default(), context)?;
    context.stage("Training on the second domain");
    let target = fit(&second_domain, &spec, &Latest::default(), context)?;
    context.stage("Learning the map");
    let vectors = |model: &crate::train::TrainedModel, ids: &[u32]| -> Result<Vec<Vec<f64>>> {
        ids.iter().map(|id| model.id_vector(place, *id)).collect()
    };
    let (from, to) = (vectors(&source, &learnt)?, vectors(&target, &learnt)?);
    let map = Mapping::fit(plan.form, (&from, &to), plan.ridge, seed, context)?;
    let mean = means(&to);
    let over: Vec<Vec<f64>> = vectors(&source, &out)?.iter().map(|x| map.of(x)).collect();
    let rows: Vec<u32> = [Split::Train, Split::Validation, Split::Test]
        .into_iter()
        .flat_map(|split| other.rows_of(split).iter().copied())
        .filter(of_held)
        .collect();
    let mut nobody = dataset.clone();
    nobody.categorical[place] = vec![RARE_ID; dataset.rows].into();
    let ids: Vec<u32> = out.clone();
    let scores = [
        ("nothing (row of rare values)", target.predict(&nobody, &rows, context)?),
        (
            "mean of all users",
            target.with_id_vectors(place, &ids, &vec![mean; ids.len()])?.predict(dataset, &rows, context)?,
        ),
        (
            "mapped from the first domain",
            target.with_id_vectors(place, &ids, &over)?.predict(dataset, &rows, context)?,
        ),
    ];
    let (labels, weights) = (take_known(&dataset.label, &rows), take_known(&dataset.weight, &rows));
    let units: Vec<u32> = rows.iter().map(|row| dataset.categorical[place][*row as usize]).collect();
    let scores = scores.map(|(way, predicted)| (way.to_owned(), predicted));
    let ways = compare(&scores, &labels, &weights, &units);
    Ok(Mapped {
        kind: spec.kind.clone(),
        form: plan.form,
        numbers: from.first().map_or(0, Vec::len),
        users: [learnt.len(), out.len()],
        explained: explained((&from, &to), plan, seed, context)?,
        rows: rows.len(),
        clicks: ways[0].measures.clicks,
        ways,
    })
}

/// Share of the variance of `to` that a map explains which was learnt on other users.
fn explained(
    (from, to): (&[Vec<f64>], &[Vec<f64>]),
    plan: &MappingPlan,
    seed: u64,
    context: &JobContext,
) -> Result<f64> {
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let (mut left, mut whole) = (0.0, 0.0);
    for fold in 0..FOLDS {
        let of = |vectors: &[Vec<f64>], judged: bool| -> Vec<Vec<f64>> {
            let places = (0..vectors.len()).filter(|place| (place % FOLDS == fold) == judged);
            places.map(|place| vectors[place].clone()).collect()
        };
        let (learnt_from, learnt_to) = (of(from, false), of(to, false));
        let map = Mapping::fit(plan.form, (&learnt_from, &learnt_to), plan.ridge, seed, context)?;
        let mean = means(&learnt_to);
        for (x, y) in of(from, true).iter().zip(&of(to, true)) {
            left += distance(&map.of(x), y);
            whole += distance(y, &mean);
        }
    }
    Ok(1.0 - left / whole.max(f64::MIN_POSITIVE))
}
