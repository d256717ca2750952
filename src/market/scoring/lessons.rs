//! What does a learner of one pass read of the pooled requests and of the ads?

use super::{ScoredPool, edits};
use crate::base::{Failure, Result};
use crate::data::encode::Side;
use crate::data::hashed::{HashedColumn, Hashing};
use crate::data::{Dataset, Encoder, LogFrame, Role, cells, edit};
use crate::market::exploration::Exploration;
use crate::market::learning::Lessons;
use crate::market::spec::{MarketSpec, Scenario};
use std::sync::Arc;

/// The hashed values of the pool, as a scenario edits its users, and of the ads.
///
/// # Errors
/// A log that tells ads apart by nothing; knobs out of bounds; an edit that the log cannot take.
pub(super) fn of(pool: &ScoredPool, scenario: &Scenario) -> Result<Arc<Lessons>> {
    let Some(learning) = &scenario.learning else {
        return Err(Failure::new("cannot learn while ads are shown", "the scenario learns nothing"));
    };
    let (log, encoder) = (&pool.asked.log, &pool.asked.dataset.encoder);
    let hashing = Hashing::of(log)?;
    let part = |side: Side| {
        let of_side = |column: &&HashedColumn| side_of(log, encoder, &column.name) == Some(side);
        // The moment of an impression is the request's, like its user.
        let calendar = hashing.calendar && side == Side::User;
        let columns = hashing.columns.iter().filter(of_side).cloned().collect();
        Hashing { columns, calendar, ..hashing.clone() }
    };
    let (of_users, of_ads) = (part(Side::User), part(Side::Ad));
    let all: Vec<u32> = (0..pool.rows.len() as u32).collect();
    let users = of_users.rows(&edits::edited(&pool.log, &all, &scenario.edits)?)?.features;
    let ads = of_ads.rows(&edit::edited_rows(log, &first_rows(log, &pool.key.ads)?, &[])?)?.features;
    Lessons::new((users, of_users.fields()), (ads, of_ads.fields()), learning).map(Arc::new)
}

/// Whose property a column is: the user's and the moment's together, the ad's, or neither's (the slot is not known before
/// the auction).
fn side_of(log: &LogFrame, encoder: &Encoder, name: &str) -> Option<Side> {
    let role = log.schema.column(name).ok()?.role;
    match role {
        Role::User => return Some(Side::User),
        Role::Ad | Role::Campaign => return Some(Side::Ad),
        Role::Slot => return None,
        _ => {}
    }
    let categorical = encoder.categorical.iter().map(|field| (&field.name, field.side));
    let numeric = encoder.numeric.iter().map(|field| (&field.name, field.side));
    let (_, side) = categorical.chain(numeric).find(|(known, _)| *known == name)?;
    Some(if side == Side::Ad { Side::Ad } else { Side::User })
}

/// A row of the log that shows each ad.
fn first_rows(log: &LogFrame, ads: &[String]) -> Result<Vec<u32>> {
    let what = "cannot learn while ads are shown";
    let column = log.schema.with_role(Role::Ad).ok_or_else(|| {
        Failure::new(what, "no column of the log has the role ad")
            .hint("give the column with ad ids that role")
    })?;
    let cells = cells::coded(log, &column.name)?;
    ads.iter()
        .map(|ad| {
            let code = cells.values.iter().position(|value| value == ad);
            let row = code.and_then(|code| cells.codes.iter().position(|other| *other as usize == code));
            row.map(|row| row as u32)
                .ok_or_else(|| Failure::new(what, format!("the log never shows the ad '{ad}'")))
        })
        .collect()
}

/// What is assumed where bidders learn or tastes turn, in words.
pub(super) fn notes(spec: &MarketSpec) -> Vec<String> {
    let mut notes = Vec::new();
    let scenarios = [("baseline", Some(&spec.baseline)), ("what-if", spec.what_if.as_ref())];
    for (name, scenario) in scenarios.into_iter().filter_map(|(name, of)| Some((name, of?))) {
        let Some(learning) = &scenario.learning else { continue };
        notes.push(format!(
            "the bidders of the {name} learn from every impression of this run on top of their model{}",
            if learning.guard { ", watched by a guard" } else { ", without a guard" }
        ));
        if scenario.exploration == Exploration::None {
            notes.push(format!(
                "the {name} tries nothing by chance: an ad that its bidders underrate is not shown and teaches nothing"
            ));
        }
    }
    if let Some(turn) = spec.turn {
        notes.push(format!(
            "after {:.0} % of the pages each ad is liked, to {:.0} %, as another one was: a change made by hand, not learnt from \
             the log",
            100.0 * turn.at,
            100.0 * turn.strength
        ));
    }
    notes
}

/// Clicks on each ad in the training rows: none of those that are new.
pub(super) fn learnt_clicks(dataset: &Dataset, ads: &[String]) -> Result<Vec<f64>> {
    let columns = super::catalogue_columns(dataset, ads)?;
    let catalogue = dataset.ads.as_ref();
    let mut clicks = vec![0.0; catalogue.map_or(0, |catalogue| catalogue.names.len())];
    for row in dataset.train.iter().map(|row| *row as usize) {
        let ad = catalogue.and_then(|catalogue| catalogue.of_row.get(row));
        if let (Some(sum), Some(label)) =
            (ad.and_then(|ad| clicks.get_mut(*ad as usize)), dataset.label.get(row))
        {
            *sum += f64::from(*label) * dataset.weight.get(row).map_or(1.0, |weight| f64::from(*weight));
        }
    }
    Ok(columns.iter().map(|column| clicks.get(*column as usize).copied().unwrap_or(0.0)).collect())
}
