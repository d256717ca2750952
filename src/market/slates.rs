//! What would another way to fill whole pages bring, by a log of pages with several ads?
//!
//! Each row of the log is one ad at one position of one page, with the probability of its choice. The policy in question is a
//! column with its own probabilities of the logged choices, or chooses each position for itself as [`Policy`] says. What the
//! answers assume of people is told beside each (see [`metrics::slates`](crate::metrics::slates)).

use super::counterfactual::{Policy, Predictor};
use super::replay::outcome_of;
use super::scoring::scores_of;
use crate::base::{Failure, Result};
use crate::data::cells::{self, NO_CODE};
use crate::data::{LogFrame, Role, infer};
use crate::jobs::JobContext;
use crate::metrics::slates::{self, DRAWS, SlateValue, Slates};
use serde::Serialize;
use std::collections::BTreeMap;

/// The policy in question.
#[derive(Debug, Clone, PartialEq)]
pub enum SlateTarget {
    /// A column with the probability with which it would have chosen what was logged, given what stands above.
    Column(String),
    /// Each position for itself.
    Policy(Policy),
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct SlateQuestion {
    /// The column that says which rows are one page.
    pub page: String,
    /// The column of the position; `None`: the slot.
    pub position: Option<String>,
    /// The column of the probabilities of the logged choices; `None`: the one whose name says so.
    pub propensity: Option<String>,
    /// The policy in question.
    pub target: SlateTarget,
    /// Whether the log, and a policy of a column, chose each position whatever stood above it.
    pub independent: bool,
}

/// What the log says of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlateAnswer {
    /// The policy in words.
    pub policy: String,
    /// Positions of a page.
    pub positions: usize,
    /// Pages that were looked at.
    pub pages: usize,
    /// Clicks of a page as it was logged.
    pub logged: f64,
    /// Each estimator, from the fewest assumptions to the most; clicks of a page.
    pub values: Vec<SlateValue>,
    /// What was assumed or left out, in words.
    pub notes: Vec<String>,
}

const WHAT: &str = "cannot tell what other pages would bring";
/// Longer pages have weights that no log can bear.
const MOST_POSITIONS: usize = 20;

/// Asks the log.
///
/// # Errors
/// A log without pages, positions, clicks, ads or propensities; a policy that needs a model without one; a cancel.
pub fn answer(
    log: &LogFrame,
    predictor: Option<&Predictor>,
    question: &SlateQuestion,
    context: &JobContext,
) -> Result<SlateAnswer> {
    context.stage("reading the pages");
    let mut notes = Vec::new();
    let pages = pages_of(log, question, &mut notes)?;
    let rows: Vec<u32> = pages.iter().flatten().copied().collect();
    let positions = pages.first().map_or(0, Vec::len);
    let named = match &question.propensity {
        Some(name) => log.schema.column(name)?.name.clone(),
        None => infer::propensity_column(&log.schema).map(|column| column.name.clone()).ok_or_else(|| {
            Failure::new(WHAT, "the log does not say with which probability each ad was chosen")
                .at(log.source.path.display())
                .hint("name the column with --propensity")
        })?,
    };
    let of_rows = |all: Vec<f64>| -> Vec<f64> { rows.iter().map(|row| all[*row as usize]).collect() };
    let logged = of_rows(cells::numbers(log, &named)?);
    let outcome = outcome_of(log)?;
    let rewards: Vec<f64> = rows.iter().map(|row| f64::from(outcome.label[*row as usize])).collect();
    let (target, policy) = match &question.target {
        SlateTarget::Column(name) => {
            (of_rows(cells::numbers(log, name)?), format!("the choices of the column '{name}'"))
        }
        SlateTarget::Policy(policy) => {
            notes.push("the policy chooses each position for itself, from all ads of the log".to_owned());
            (chances(log, predictor, policy, (&rows, &logged), context)?, policy.label())
        }
    };
    if let Some(bad) = target.iter().find(|p| p.is_nan()) {
        return Err(Failure::new(WHAT, format!("a probability of the policy is {bad}")));
    }
    let users = match log.schema.with_role(Role::User) {
        Some(column) => {
            let codes = cells::coded(log, &column.name)?.codes;
            pages.iter().map(|page| page.first().map_or(NO_CODE, |row| codes[*row as usize])).collect()
        }
        None => Vec::new(),
    };
    context.stage("weighing the pages");
    let slates = Slates { positions, rewards: &rewards, logged: &logged, target: &target, users: &users };
    let values = slates::evaluate(&slates, question.independent, DRAWS)
        .map_err(|why| Failure::new(WHAT, why).hint("correct the probabilities, or leave such pages out"))?;
    let logged = rewards.iter().sum::<f64>() / pages.len() as f64;
    Ok(SlateAnswer { policy, positions, pages: pages.len(), logged, values, notes })
}

/// Rows of each page in the order of positions; pages of another length than most are left out and told.
fn pages_of(log: &LogFrame, question: &SlateQuestion, notes: &mut Vec<String>) -> Result<Vec<Vec<u32>>> {
    let refuse = |why: String, hint: &str| Failure::new(WHAT, why).hint(hint);
    let position = match &question.position {
        Some(name) => log.schema.column(name)?.name.clone(),
        None => log.schema.with_role(Role::Slot).map(|column| column.name.clone()).ok_or_else(|| {
            refuse("no column says at which position an ad stood".to_owned(), "name it with --position")
        })?,
    };
    let page = cells::coded(log, &question.page)?;
    let position_cells = cells::coded(log, &position)?;
    // Positions that are numbers stand in the order of the numbers.
    let mut order: Vec<(f64, &str, u32)> = (position_cells.values.iter().zip(0u32..))
        .map(|(value, code)| (value.parse().unwrap_or(f64::INFINITY), value.as_str(), code))
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
    let mut place_of = vec![0usize; order.len()];
    order.iter().enumerate().for_each(|(place, (.., code))| place_of[*code as usize] = place);
    if order.len() < 2 || order.len() > MOST_POSITIONS {
        let why =
            format!("'{position}' has {} values; pages have 2 to {MOST_POSITIONS} positions", order.len());
        return Err(refuse(why, "name the column of the position, or ask `adloupe policy` about single ads"));
    }
    let mut by_page: BTreeMap<u32, Vec<Option<u32>>> = BTreeMap::new();
    let mut twice = 0usize;
    for (row, (page, at)) in page.codes.iter().zip(&position_cells.codes).enumerate() {
        if *page == NO_CODE || *at == NO_CODE {
            continue;
        }
        let places = by_page.entry(*page).or_insert_with(|| vec![None; order.len()]);
        let place = &mut places[place_of[*at as usize]];
        twice += usize::from(place.is_some());
        *place = Some(row as u32);
    }
    if twice > 0 {
        let why = format!("{twice} rows stand at a position of a page that another row has");
        return Err(refuse(why, "name the column that tells pages apart"));
    }
    let all = by_page.len();
    // A column of clicks that is empty somewhere says nothing of that page.
    let label = outcome_of(log)?.label;
    let whole = |places: Vec<Option<u32>>| -> Option<Vec<u32>> {
        let rows: Vec<u32> = places.into_iter().collect::<Option<_>>()?;
        rows.iter().all(|row| label[*row as usize].is_finite()).then_some(rows)
    };
    let pages: Vec<Vec<u32>> = by_page.into_values().filter_map(whole).collect();
    if pages.is_empty() {
        let why = format!("of {all} pages none has all of its {} positions", order.len());
        return Err(refuse(why, "name the column that tells pages apart"));
    }
    if pages.len() < all {
        notes.push(format!(
            "{} of {all} pages lack a position or an outcome and are left out",
            all - pages.len()
        ));
    }
    Ok(pages)
}

/// With which probability the policy would have chosen the logged ad of each row.
fn chances(
    log: &LogFrame,
    predictor: Option<&Predictor>,
    policy: &Policy,
    (rows, logged): (&[u32], &[f64]),
    context: &JobContext,
) -> Result<Vec<f64>> {
    policy.check()?;
    if *policy == Policy::AsLogged {
        return Ok(logged.to_vec());
    }
    let column = log.schema.with_role(Role::Ad).ok_or_else(|| {
        Failure::new(WHAT, "no column of the log has the role ad")
            .hint("give the column with ad ids that role")
    })?;
    let ads = cells::coded(log, &column.name)?;
    let scores = match predictor {
        Some((model, dataset)) if policy.needs_model() => {
            Some(scores_of((model, dataset), rows, &ads.values, context)?)
        }
        None if policy.needs_model() => {
            return Err(Failure::new(WHAT, "it chooses by predicted click rates, and there is no model")
                .hint("train a model first, or ask about a policy without one"));
        }
        _ => None,
    };
    let chosen = match policy {
        Policy::Always(ad) => Some(
            ads.values
                .iter()
                .position(|known| known == ad)
                .ok_or_else(|| Failure::new(WHAT, format!("the log has no ad '{ad}'")).at("policy"))?,
        ),
        _ => None,
    };
    let mut of_row = vec![0.0; ads.values.len()];
    rows.iter()
        .enumerate()
        .map(|(place, row)| {
            policy.chances(scores.as_ref().map(|scores| scores.row(place)), chosen, &mut of_row);
            let ad = ads.codes[*row as usize];
            of_row.get(ad as usize).copied().ok_or_else(|| {
                Failure::new(WHAT, format!("row {} names no ad", row + 1)).hint("leave its page out")
            })
        })
        .collect()
}
