//! Who is in an audience, with which weight, and are they enough?

use super::{PoolKey, ScoredPool};
use crate::base::{Failure, Result};
use crate::data::cells::{self, NO_CODE};
use crate::data::{LogFrame, Role, query};
use crate::domain::Campaign;
use crate::domain::segment::Segment;
use crate::market::spec::Scenario;
use crate::metrics::raking;
use std::collections::BTreeSet;

pub fn segment_rows(log: &LogFrame, text: &str) -> Result<Vec<u32>> {
    if text.trim().is_empty() {
        return Ok((0..log.rows() as u32).collect());
    }
    query::matching_rows(log, &Segment::parse(text)?)
}

/// Refuses an audience of nobody, or of so few users that its figures would speak of single people.
pub fn large_enough(users: &[u32], key: &PoolKey) -> Result<()> {
    let refuse = |why: String| {
        Failure::new("cannot simulate", why)
            .at(format!("audience {}", key.audience))
            .hint("widen the segment")
    };
    if users.is_empty() {
        return Err(refuse("nobody in the log is in this audience".to_owned()));
    }
    too_few(users.iter().copied(), key.fewest_users).map_or(Ok(()), |why| Err(refuse(why)))
}

/// What to say of fewer users than allowed; counting ends where they are enough.
fn too_few(users: impl Iterator<Item = u32>, fewest: usize) -> Option<String> {
    let mut seen = BTreeSet::new();
    for user in users {
        seen.insert(user);
        if seen.len() >= fewest {
            return None;
        }
    }
    (seen.len() < fewest).then(|| {
        format!(
            "the audience has {} users; figures of fewer than {fewest} would speak of single people \
             (\"fewest_users\" sets the limit)",
            seen.len()
        )
    })
}

/// Refuses a mix that leaves so few users with any weight.
pub fn mix_large_enough(pool: &ScoredPool, weights: &[f64], whose: &str) -> Result<()> {
    if weights.iter().all(|weight| *weight > 0.0) {
        return Ok(());
    }
    let left = || weights.iter().zip(&pool.users).filter(|(weight, _)| **weight > 0.0).map(|(_, user)| *user);
    // Nobody at all is told by the draw itself.
    if left().next().is_none() {
        return Ok(());
    }
    match too_few(left(), pool.key.fewest_users) {
        None => Ok(()),
        Some(why) => Err(Failure::new("cannot simulate", why)
            .at(format!("shifts of the {whose}"))
            .hint("raise a slider from 0, or let more rows stand for the audience (\"pool_rows\")")),
    }
}

/// Who stands behind each of some rows, numbered from 0 as they come: the user column, or each row for itself. A row
/// without a user is somebody of whom no more is known.
pub fn users(log: &LogFrame, rows: &[u32]) -> Result<Vec<u32>> {
    let Some(column) = log.schema.with_role(Role::User) else {
        return Ok((0..rows.len() as u32).collect());
    };
    let cells = cells::coded(log, &column.name)?;
    let mut number_of = vec![NO_CODE; cells.values.len()];
    let mut next = 0;
    let mut new = || {
        next += 1;
        next - 1
    };
    let numbered = rows.iter().map(|&row| match cells.codes[row as usize] {
        NO_CODE => new(),
        code => {
            let number = &mut number_of[code as usize];
            if *number == NO_CODE {
                *number = new();
            }
            *number
        }
    });
    Ok(numbered.collect())
}

/// The hour (UTC) of each row.
pub fn hours(log: &LogFrame) -> Result<Vec<u8>> {
    let refuse = |why: String| {
        Failure::new("cannot tell the audience's hours", why)
            .at("days")
            .hint("give the column with the moment of an impression the role time, or set \"days\" to 0")
    };
    let mut times = log.schema.columns.iter().filter(|column| column.role == Role::Time);
    let column = times.find(|column| cells::is_calendar_time(log, &column.name).unwrap_or(false));
    let column = column.ok_or_else(|| refuse("no column of the log has points in time".to_owned()))?;
    let moments = cells::times(log, &column.name)?;
    let hours = moments.into_iter().map(|moment| moment.map(|millis| cells::hour_of(millis) as u8));
    hours
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(|| refuse(format!("some cells of '{}' have no time", column.name)))
}

/// `[row * campaigns + campaign]`.
pub fn targeted(pool: &ScoredPool, campaigns: &[Campaign]) -> Result<Vec<bool>> {
    let mut targeted = vec![true; pool.rows.len() * campaigns.len()];
    for (index, campaign) in campaigns.iter().enumerate() {
        if campaign.targeting.is_empty() {
            continue;
        }
        let place = format!("campaign '{}'", campaign.name);
        let inside = segment_rows(&pool.log, &campaign.targeting).map_err(|failure| failure.at(place))?;
        let mut column = vec![false; pool.rows.len()];
        inside.into_iter().for_each(|row| column[row as usize] = true);
        for (row, inside) in column.into_iter().enumerate() {
            targeted[row * campaigns.len() + index] = inside;
        }
    }
    Ok(targeted)
}

/// The weight of each pooled row: the product of the factors of the shifts that it falls under.
pub fn weights(pool: &ScoredPool, scenario: &Scenario) -> Result<Vec<f64>> {
    let mut weights = vec![1.0; pool.rows.len()];
    for shift in &scenario.shifts {
        let place = format!("shift '{}'", shift.segment);
        let inside = segment_rows(&pool.log, &shift.segment).map_err(|failure| failure.at(place))?;
        for row in inside {
            weights[row as usize] *= shift.factor;
        }
    }
    raked(pool, scenario, weights)
}

/// The weights with which the audience has the shares that are wanted.
fn raked(pool: &ScoredPool, scenario: &Scenario, weights: Vec<f64>) -> Result<Vec<f64>> {
    if scenario.margins.is_empty() {
        return Ok(weights);
    }
    let (mut codes, mut shares) = (Vec::new(), Vec::new());
    for margin in &scenario.margins {
        let cells = cells::coded(&pool.log, &margin.column)?;
        let named: Vec<&String> = margin.shares.keys().collect();
        let place_of = |value: &String| named.iter().position(|name| *name == value).unwrap_or(named.len());
        let places: Vec<u32> = cells.values.iter().map(|value| place_of(value) as u32).collect();
        let rest = named.len() as u32;
        codes.push(
            cells
                .codes
                .iter()
                .map(|code| places.get(*code as usize).copied().unwrap_or(rest))
                .collect::<Vec<u32>>(),
        );
        let left = (1.0 - margin.shares.values().sum::<f64>()).max(0.0);
        shares.push(margin.shares.values().copied().chain([left]).collect::<Vec<f64>>());
    }
    let margins: Vec<raking::Margin<'_>> =
        codes.iter().zip(&shares).map(|(codes, shares)| raking::Margin { codes, shares }).collect();
    match raking::rake(&weights, &margins) {
        Ok(raked) => Ok(raked.weights),
        Err((place, why)) => {
            let column = scenario.margins.get(place).map_or("", |margin| margin.column.as_str());
            Err(Failure::new("cannot give the audience these shares", why)
                .at(format!("margin '{column}'"))
                .hint("ask for shares of values that the audience has, and that can hold together"))
        }
    }
}

/// How many rows of equal weight a mix is worth.
pub fn effective_rows(weights: &[f64]) -> f64 {
    let (sum, squares) = weights.iter().fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}
