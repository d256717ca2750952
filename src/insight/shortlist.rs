//! How few ads must be scored to find a user's best ones? A search among the vectors of two towers, beside all ads scored.
//!
//! In such a model the part of a score that ranks the ads for a user is the product of the user's vector and the ad's, plus a
//! number of the ad. Ads are put into [cells](crate::nn::cells) by these once; for a user only the ads of the cells that come
//! first are scored, by the model itself. Recall is the share of the best `k` of all ads that are found, over users.

use super::attention::spread;
use super::exposure::last_rows;
use crate::base::{Failure, Result};
use crate::data::Dataset;
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use crate::metrics::top_k::{TopK, highest};
use crate::models::{Look, kind};
use crate::nn::cells::Cells;
use crate::train::TrainedModel;
use serde::Serialize;
use std::time::Instant;

const WHAT: &str = "cannot search among the ads";
/// Pairs of a user and an ad that are scored together.
const BATCH_PAIRS: usize = 4096;
/// Pairs that are scored in all, about, for each way to look.
const MOST_PAIRS: usize = 2_000_000;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShortlistQuestion {
    /// Length of a list.
    pub k: usize,
    /// Users that are asked for at most.
    pub users: usize,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shortlist {
    /// Length of a list.
    pub k: usize,
    /// Ads of the log.
    pub ads: usize,
    /// Users whose lists were made, each in the last moment of the test rows.
    pub users: usize,
    /// Cells that the ads were put into.
    pub cells: usize,
    /// Seconds to put them there.
    pub index_s: f64,
    /// Milliseconds a user in which all ads are scored.
    pub all_ms: f64,
    /// How good it is to look into fewer cells, fewest first.
    pub ways: Vec<Way>,
}

/// A number of cells that are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Way {
    /// How many.
    pub probed: usize,
    /// Mean share of the ads that are in them.
    pub looked_at: f64,
    /// Share of the best `k` of all ads that are found, with its interval over users.
    pub recall: Estimate,
    /// Milliseconds a user.
    pub ms: f64,
}

/// Makes lists by all ads and by fewer.
///
/// # Errors
/// A model whose score is no product of two vectors, an ensemble, a log without users or with too few ads, a cancel.
pub fn shortlist(
    model: &TrainedModel,
    dataset: &Dataset,
    question: ShortlistQuestion,
    context: &JobContext,
) -> Result<Shortlist> {
    let ShortlistQuestion { k, users } = question;
    let ads = dataset.ads.as_ref().map_or(0, |ads| ads.names.len());
    check(model, ads, question)?;
    let moments = last_rows(dataset);
    let Some(first) = moments.first().copied() else {
        return Err(Failure::new(WHAT, "the test rows name no users").hint("give a column the role user"));
    };
    let rows = spread(&moments, users.min(MOST_PAIRS / ads).max(2));
    context.stage("vectors of ads");
    let begun = Instant::now();
    let vectors = ad_vectors(model, dataset, (first, ads), context)?;
    let width = vectors.len() / ads;
    let cells = Cells::of(&vectors, width, (ads as f64).sqrt().ceil() as usize, 1, context)?;
    let index_s = begun.elapsed().as_secs_f64();
    context.stage("scoring all ads");
    let all: Vec<u32> = (0..ads as u32).collect();
    let begun = Instant::now();
    let mut scores = Vec::with_capacity(rows.len());
    for row in &rows {
        context.check()?;
        scores.push(scored(model, dataset, *row, &all)?);
    }
    let per_user = |begun: Instant| 1e3 * begun.elapsed().as_secs_f64() / rows.len() as f64;
    let all_ms = per_user(begun);
    let best: Vec<Vec<u32>> = scores.iter().map(|scores| highest(scores, k)).collect();
    let mut ways = Vec::new();
    let mut probed = 1;
    while probed < cells.len() {
        context.stage(&format!("looking into {probed} of {} cells", cells.len()));
        let (mut lists, mut looked_at) = (TopK::new(k), 0);
        let begun = Instant::now();
        for (row, best) in rows.iter().zip(&best) {
            context.check()?;
            let candidates = cells.candidates(&user_vector(model, dataset, *row)?, probed);
            let found = highest(&scored(model, dataset, *row, &candidates)?, k);
            looked_at += candidates.len();
            let found: Vec<u32> = found.into_iter().map(|place| candidates[place as usize]).collect();
            lists.add(&found, best);
        }
        let ms = per_user(begun);
        let measures = lists.measures().ok_or_else(|| Failure::new(WHAT, "no list could be made"))?;
        let looked_at = looked_at as f64 / (ads * rows.len()) as f64;
        ways.push(Way { probed, looked_at, recall: measures.recall, ms });
        probed *= 2;
    }
    Ok(Shortlist { k, ads, users: rows.len(), cells: cells.len(), index_s, all_ms, ways })
}

fn check(model: &TrainedModel, ads: usize, question: ShortlistQuestion) -> Result<()> {
    if kind(&model.kind)?.towers().is_none() {
        let why = format!("the score of a {} model is no product of a user's and an ad's vector", model.kind);
        return Err(Failure::new(WHAT, why).hint("train two_tower"));
    }
    if question.k == 0 || question.users == 0 {
        return Err(Failure::new(WHAT, "lists of no ads, or of no users, hold nothing").hint("10 of 200"));
    }
    if ads < 4 * question.k {
        let why = format!("the log has {ads} ads, and lists of {} are best made by scoring all", question.k);
        return Err(Failure::new(WHAT, why).hint("shorter lists, or a log with more ads"));
    }
    Ok(())
}

/// The model's scores of some ads in the moment of a row.
fn scored(model: &TrainedModel, dataset: &Dataset, row: u32, ads: &[u32]) -> Result<Vec<f32>> {
    let mut scores = Vec::with_capacity(ads.len());
    for some in ads.chunks(BATCH_PAIRS) {
        scores.extend(model.predict_batch(&dataset.batch_with_ads(&vec![row; some.len()], some))?);
    }
    Ok(scores)
}

/// Log odds of some ads in the moment of a row, and what each tower makes of them, of length 1: user, ad.
fn towers(
    model: &TrainedModel,
    dataset: &Dataset,
    row: u32,
    ads: &[u32],
) -> Result<(Vec<f32>, [Vec<f32>; 2])> {
    let names = kind(&model.kind)?.towers().unwrap_or_default();
    let batch = dataset.batch_with_ads(&vec![row; ads.len()], ads);
    let looked = model.look(&batch, Look { values: true, ..Look::default() })?;
    let of = |name: &str| -> Result<Vec<f32>> {
        let layer = format!("{name}.out");
        let found = looked.values.iter().find(|values| values.layer == layer);
        let found = found.ok_or_else(|| Failure::new(WHAT, format!("the model told nothing of {layer}")))?;
        let width = (found.values.len() / ads.len().max(1)).max(1);
        let unit = |vector: &[f32]| {
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            vector.iter().map(|x| x / length).collect::<Vec<f32>>()
        };
        Ok(found.values.chunks_exact(width).flat_map(unit).collect())
    };
    Ok((looked.logits.clone(), [of(names[0])?, of(names[1])?]))
}

/// `[ads, width + 1]`: each ad's vector over the temperature, and what its own fields add to the log odds, from the middle
/// of all ads.
fn ad_vectors(
    model: &TrainedModel,
    dataset: &Dataset,
    (row, ads): (u32, usize),
    context: &JobContext,
) -> Result<Vec<f32>> {
    let temperature = model.params.real("temperature")? as f32;
    let mut vectors = Vec::new();
    let all: Vec<u32> = (0..ads as u32).collect();
    let mut width = 1;
    for some in all.chunks(BATCH_PAIRS) {
        context.check()?;
        let (logits, [users, of_ads]) = towers(model, dataset, row, some)?;
        width = of_ads.len() / some.len();
        let rows = of_ads.chunks_exact(width).zip(users.chunks_exact(width)).zip(logits);
        for ((ad, user), logit) in rows {
            let product: f32 = ad.iter().zip(user).map(|(a, u)| a * u).sum::<f32>() / temperature;
            vectors.extend(ad.iter().map(|x| x / temperature));
            vectors.push(logit - product);
        }
    }
    let own = || vectors.iter().skip(width).step_by(width + 1);
    let middle = own().sum::<f32>() / ads as f32;
    vectors.iter_mut().skip(width).step_by(width + 1).for_each(|own| *own -= middle);
    Ok(vectors)
}

/// The user's vector in the moment of a row, and 1 for what the ads' own fields add.
fn user_vector(model: &TrainedModel, dataset: &Dataset, row: u32) -> Result<Vec<f32>> {
    let (_, [mut user, _]) = towers(model, dataset, row, &[0])?;
    user.push(1.0);
    Ok(user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::dataset::prepare;
    use crate::data::importers::{self, ImportOptions};
    use crate::data::{EncodeOptions, sample};
    use crate::jobs::Latest;
    use crate::train::{TrainSpec, fit};

    fn log(rows: usize) -> Dataset {
        let (folder, context) = (tempfile::tempdir().unwrap(), JobContext::detached());
        let path = folder.path().join("log.parquet");
        sample::generate(rows, 5, &path, &context).unwrap();
        let log = importers::open(&path, &ImportOptions::default(), &context).unwrap();
        prepare(&log, &EncodeOptions::default(), &context).unwrap()
    }

    fn trained(kind: &str, data: &Dataset) -> TrainedModel {
        let mut spec = TrainSpec::new(kind).unwrap();
        for (knob, value) in [("epochs", "2"), ("device", "cpu"), ("patience", "0")] {
            spec.set(knob, value).unwrap();
        }
        fit(data, &spec, &Latest::default(), &JobContext::detached()).unwrap()
    }

    #[test]
    fn vectors_rank_the_ads_as_the_model_does() {
        let data = log(3000);
        let context = JobContext::detached();
        let model = trained("two_tower", &data);
        let ads = data.ads.as_ref().unwrap().names.len();
        let row = data.test[7];
        // The ads' own part is read off in another user's moment, so that it must be the ad's alone.
        let vectors = ad_vectors(&model, &data, (data.test[0], ads), &context).unwrap();
        let user = user_vector(&model, &data, row).unwrap();
        let products: Vec<f32> = vectors
            .chunks_exact(user.len())
            .map(|ad| ad.iter().zip(&user).map(|(a, u)| a * u).sum::<f32>())
            .collect();
        let all: Vec<u32> = (0..ads as u32).collect();
        let logits: Vec<f32> =
            scored(&model, &data, row, &all).unwrap().iter().map(|p| (p / (1.0 - p)).ln()).collect();
        let gap = |place: usize| logits[place] - products[place];
        assert!((0..ads).all(|place| (gap(place) - gap(0)).abs() < 1e-3), "the rest is the user's alone");
    }

    #[test]
    fn recall_rises_with_the_cells_that_are_looked_into() {
        let data = log(3000);
        let context = JobContext::detached();
        let model = trained("two_tower", &data);
        let question = ShortlistQuestion { k: 5, users: 40 };
        let found = shortlist(&model, &data, question, &context).unwrap();
        assert!(found.users <= 40 && found.cells > 4 && found.ways.len() >= 3, "{found:?}");
        for pair in found.ways.windows(2) {
            assert!(pair[1].recall.value >= pair[0].recall.value - 1e-9, "{found:?}");
            assert!(pair[1].looked_at > pair[0].looked_at && pair[1].looked_at < 1.0, "{found:?}");
        }
        // Cells that were drawn by chance would find as large a share as they hold.
        let first = &found.ways[1];
        assert!(first.recall.low > first.looked_at, "{found:?}");
        let refused = |question| shortlist(&model, &data, question, &context).unwrap_err();
        assert!(refused(ShortlistQuestion { k: 50, users: 40 }).why.contains("by scoring all"));
        assert!(refused(ShortlistQuestion { k: 0, users: 40 }).why.contains("no ads"));
        let other = shortlist(&trained("fm", &data), &data, question, &context).unwrap_err();
        assert!(other.why.contains("no product"), "{other}");
    }
}
