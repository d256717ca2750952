//! What would each model show this user, and where do they disagree? Every ad of the log, scored in the user's last
//! moment, with the user's own history.

use crate::base::{Failure, Result};
use crate::data::query::{self, SegmentQuery, matching_rows};
use crate::data::schema::Role;
use crate::data::{Dataset, LogFrame, cells};
use crate::domain::Segment;
use crate::jobs::JobContext;
use crate::metrics::{Estimate, Rate};
use crate::train::{Scored, TrainedModel};
use std::collections::HashMap;
use std::sync::Arc;

/// Ads scored together.
const BATCH_ADS: usize = 4096;

/// What several models would show one user.
#[derive(Debug, Clone)]
pub struct Retrieval {
    /// The user.
    pub user: String,
    /// The row of the log whose moment and history were taken: the user's last.
    pub row: u32,
    /// The models, in the order in which they were named.
    pub models: Vec<Arc<TrainedModel>>,
    /// Every ad that some model ranks among the first `k`, by its mean rank.
    pub ads: Vec<RankedAd>,
    /// Ads that were scored.
    pub scored: usize,
    /// How many each model may show.
    pub k: usize,
    /// `[model][model]`: ads that both have among their first `k`.
    pub shared: Vec<Vec<usize>>,
    /// `[model]`: Spearman's correlation of its ranks with those of the first model, over all ads.
    pub agreement: Vec<f64>,
}

/// An ad in the ranking of each model.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedAd {
    /// Its name.
    pub name: String,
    /// Clicks and impressions over the whole log; `None` where the log does not say.
    pub rate: Option<Rate>,
    /// Times that this user has seen it.
    pub seen: u32,
    /// Click probability by each model.
    pub scores: Vec<f32>,
    /// Of each model: where one more member would put it, 95 %, of an ensemble.
    pub intervals: Vec<Option<Estimate>>,
    /// Rank by each model, from 1; equal scores stand in the order of the catalogue.
    pub ranks: Vec<usize>,
}

/// Ranks all ads for a user with every model.
///
/// `datasets` holds the log as each model reads it.
///
/// # Errors
/// No model, a log without users or ads, an unknown user, a `k` of 0, a cancel.
pub fn retrieve(
    models: &[Arc<TrainedModel>],
    datasets: &[Arc<Dataset>],
    log: &LogFrame,
    (user, k): (&str, usize),
    context: &JobContext,
) -> Result<Retrieval> {
    let what = "cannot rank the ads";
    let Some(first) = datasets.first().filter(|_| k > 0) else {
        return Err(
            Failure::new(what, "no model is chosen, or none may be shown").hint("tick models in the list")
        );
    };
    let column = |role: Role, who: &str| {
        let found = log.schema.with_role(role).map(|column| column.name.clone());
        found.ok_or_else(|| {
            Failure::new(what, format!("no column names the {who}"))
                .hint(format!("give the column that does the role {role} in the Data panel"))
        })
    };
    let (user_column, ad_column) = (column(Role::User, "users")?, column(Role::Ad, "ads")?);
    let of_user = matching_rows(log, &Segment::equals(&user_column, user))?;
    let row = last_of(log, &of_user)?;
    let row = row.ok_or_else(|| {
        Failure::new(what, format!("the log has no user '{user}'")).hint("a name as the log writes it")
    })?;
    let names = first.ads.as_ref().map(|ads| ads.names.clone()).unwrap_or_default();
    if names.is_empty() {
        return Err(Failure::new(what, "the log names no ads").hint("a log with a column of ads"));
    }
    let mut scores = Vec::with_capacity(models.len());
    for (model, dataset) in models.iter().zip(datasets) {
        let known = dataset.ads.as_ref().map_or(0, |ads| ads.names.len());
        if dataset.rows != log.rows() || known != names.len() {
            let why = format!("{} reads other rows or ads of the log", model.kind);
            return Err(Failure::new(what, why).hint("models that were trained on the open log"));
        }
        context.stage(&format!("scoring {} ads with {}", names.len(), model.kind));
        scores.push(scored(model, dataset, row, names.len(), context)?);
    }
    let ranks: Vec<Vec<usize>> = scores.iter().map(|scores| ranked(&scores.p)).collect();
    let (rates, seen) = (rates(log, &ad_column, context)?, seen(log, &ad_column, &of_user)?);
    let mut ads: Vec<RankedAd> = (0..names.len())
        .filter(|ad| ranks.iter().any(|ranks| ranks[*ad] <= k))
        .map(|ad| RankedAd {
            name: names[ad].clone(),
            rate: rates.get(&names[ad]).copied(),
            seen: seen.get(&names[ad]).copied().unwrap_or(0),
            scores: scores.iter().map(|scores| scores.p[ad]).collect(),
            intervals: scores.iter().map(|scores| scores.interval(ad)).collect(),
            ranks: ranks.iter().map(|ranks| ranks[ad]).collect(),
        })
        .collect();
    ads.sort_by_key(|ad| ad.ranks.iter().sum::<usize>());
    let both = |a: &[usize], b: &[usize]| a.iter().zip(b).filter(|(a, b)| **a <= k && **b <= k).count();
    Ok(Retrieval {
        user: user.to_owned(),
        row,
        models: models.to_vec(),
        ads,
        scored: names.len(),
        k,
        shared: ranks.iter().map(|a| ranks.iter().map(|b| both(a, b)).collect()).collect(),
        agreement: ranks.iter().map(|other| spearman(&ranks[0], other)).collect(),
    })
}

/// The latest of some rows; the last in the order of the log where it has no time.
fn last_of(log: &LogFrame, rows: &[u32]) -> Result<Option<u32>> {
    let Some(time) = log.schema.with_role(Role::Time) else { return Ok(rows.last().copied()) };
    let times = cells::times(log, &time.name)?;
    Ok(rows.iter().copied().max_by_key(|row| times[*row as usize]))
}

fn scored(
    model: &TrainedModel,
    dataset: &Dataset,
    row: u32,
    count: usize,
    context: &JobContext,
) -> Result<Scored> {
    let mut scored = Scored { p: Vec::with_capacity(count), intervals: None };
    let ads: Vec<u32> = (0..count as u32).collect();
    for some in ads.chunks(BATCH_ADS) {
        context.check()?;
        let batch = dataset.batch_with_ads(&vec![row; some.len()], some);
        let Scored { p, intervals } = model.scored_batch(&batch)?;
        scored.p.extend(p);
        if let Some(intervals) = intervals {
            scored.intervals.get_or_insert_default().extend(intervals);
        }
    }
    Ok(scored)
}

/// Rank of each, from 1 for the highest score; equal ones in their own order.
fn ranked(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let mut ranks = vec![0; scores.len()];
    for (rank, ad) in order.into_iter().enumerate() {
        ranks[ad] = rank + 1;
    }
    ranks
}

/// Spearman's rho of two rankings without ties: `1 - 6 sum d² / (n (n² - 1))`.
fn spearman(one: &[usize], other: &[usize]) -> f64 {
    let n = one.len() as f64;
    if n < 2.0 {
        return 1.0;
    }
    let squares: f64 = one.iter().zip(other).map(|(a, b)| (*a as f64 - *b as f64).powi(2)).sum();
    1.0 - 6.0 * squares / (n * (n * n - 1.0))
}

fn rates(log: &LogFrame, ad: &str, context: &JobContext) -> Result<HashMap<String, Rate>> {
    let query = SegmentQuery { by: vec![ad.to_owned()], ..SegmentQuery::default() };
    let table = query::segments(log, &query, context)?;
    if !table.has_outcome {
        return Ok(HashMap::new());
    }
    Ok(table.rows.into_iter().filter_map(|mut row| Some((row.values.pop()?, row.rate))).collect())
}

fn seen(log: &LogFrame, ad: &str, rows: &[u32]) -> Result<HashMap<String, u32>> {
    let coded = cells::coded(log, ad)?;
    let mut seen = HashMap::new();
    for row in rows {
        if let Some(name) = coded.values.get(coded.codes[*row as usize] as usize) {
            *seen.entry(name.clone()).or_default() += 1;
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_their_agreement() {
        assert_eq!(ranked(&[0.2, 0.9, 0.2, 0.5]), [3, 1, 4, 2]);
        assert!((spearman(&[1, 2, 3], &[1, 2, 3]) - 1.0).abs() < 1e-12);
        assert!((spearman(&[1, 2, 3], &[3, 2, 1]) + 1.0).abs() < 1e-12);
        // Ranks 1 to 5 against 2, 1, 4, 3, 5: sum d² = 4, rho = 1 - 24 / 120.
        assert!((spearman(&[1, 2, 3, 4, 5], &[2, 1, 4, 3, 5]) - 0.8).abs() < 1e-12);
    }
}
