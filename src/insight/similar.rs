//! What happened with past impressions like this one?
//!
//! Likeness is the share of what the model makes of the inputs that two rows have in common: each input counts as the size
//! of its share in the row's log odds. Categories are the same or not; numbers are as like as `exp(-distance)` in standard
//! deviations; histories as like as the values that are in both, of those in either (Jaccard).

use super::prediction::EditedRow;
use crate::base::{Failure, Result};
use crate::data::{Batch, Dataset};
use crate::jobs::JobContext;
use crate::metrics::Rate;
use crate::train::TrainedModel;
use std::collections::HashSet;

/// Rows that are looked through, at most: evenly spread over the training rows.
const LOOKED_THROUGH: usize = 200_000;
/// Rows compared at once.
const AT_ONCE: usize = 4096;
/// The most similar rows whose outcomes are counted.
pub const COUNTED: usize = 200;
/// The most similar rows that are told one by one.
const TOLD: usize = 8;

/// Past impressions like a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Similar {
    /// Training rows that were looked through.
    pub looked_through: usize,
    /// Training rows of the log.
    pub known: usize,
    /// Impressions and clicks of the [`COUNTED`] most similar, with Wilson's interval.
    pub rate: Rate,
    /// Mean probability that the model gives them.
    pub predicted: f64,
    /// Least likeness among them.
    pub least: f64,
    /// The most similar, most similar first.
    pub rows: Vec<SimilarRow>,
}

/// A past impression.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarRow {
    /// Row of the log.
    pub row: u32,
    /// From 0 to 1.
    pub likeness: f64,
    /// What happened.
    pub label: f32,
    /// Names of the inputs that differ.
    pub differs: Vec<String>,
}

/// Looks for the training rows that are most like a row; `counts` says what each of its inputs counts, in their order.
///
/// # Errors
/// A log without outcomes or training rows, the device fails, a cancel.
pub fn similar(
    model: &TrainedModel,
    dataset: &Dataset,
    row: &EditedRow,
    counts: &[f64],
    context: &JobContext,
) -> Result<Similar> {
    let rows = super::attention::spread(&dataset.train, LOOKED_THROUGH);
    if rows.is_empty() || dataset.label.is_empty() {
        let why = "the log has no training rows with outcomes";
        return Err(Failure::new("cannot look for similar impressions", why));
    }
    context.stage("looking for similar impressions");
    let total: f64 = counts.iter().sum();
    // Where no input counts anything all count alike.
    let counts: Vec<f64> = if total > 0.0 {
        counts.iter().map(|count| count / total).collect()
    } else {
        vec![1.0 / counts.len().max(1) as f64; counts.len()]
    };
    let mut found: Vec<(f64, u32)> = Vec::with_capacity(rows.len());
    for part in rows.chunks(AT_ONCE) {
        context.check()?;
        let batch = dataset.batch(part);
        let likeness = likenesses(row.batch(), &batch, &counts);
        found.extend(likeness.into_iter().zip(part.iter().copied()));
    }
    let by_likeness = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    let counted = COUNTED.min(found.len());
    if counted < found.len() {
        found.select_nth_unstable_by(counted, by_likeness);
        found.truncate(counted);
    }
    found.sort_by(by_likeness);
    let nearest: Vec<u32> = found.iter().map(|(_, row)| *row).collect();
    let predicted = model.predict(dataset, &nearest, context)?;
    let weight = |row: u32| dataset.weight.get(row as usize).map_or(1.0, |weight| f64::from(*weight));
    let (mut clicks, mut shown, mut expected) = (0.0, 0.0, 0.0);
    for (row, p) in nearest.iter().zip(&predicted) {
        clicks += weight(*row) * f64::from(dataset.label[*row as usize]);
        expected += weight(*row) * f64::from(*p);
        shown += weight(*row);
    }
    let told = found.iter().take(TOLD).map(|(likeness, other)| SimilarRow {
        row: *other,
        likeness: *likeness,
        label: dataset.label[*other as usize],
        differs: differing(row, &dataset.batch(&[*other])),
    });
    Ok(Similar {
        looked_through: rows.len(),
        known: dataset.train.len(),
        rate: Rate::wilson(clicks, shown),
        predicted: expected / f64::max(shown, f64::MIN_POSITIVE),
        least: found.last().map_or(0.0, |(likeness, _)| *likeness),
        rows: told.collect(),
    })
}

/// How like each row of `others` is to the only one of `own`.
fn likenesses(own: &Batch, others: &Batch, counts: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; others.rows];
    let mut counts = counts.iter().copied();
    for (own, others) in own.categorical.iter().zip(&others.categorical) {
        let count = counts.next().unwrap_or(0.0);
        sums.iter_mut().zip(others).filter(|(_, id)| **id == own[0]).for_each(|(sum, _)| *sum += count);
    }
    for (own, others) in own.numeric.iter().zip(&others.numeric) {
        let count = counts.next().unwrap_or(0.0);
        for (sum, other) in sums.iter_mut().zip(others) {
            *sum += count * (-f64::from((other - own[0]).abs())).exp();
        }
    }
    for (own, others) in own.sequences.iter().zip(&others.sequences) {
        let count = counts.next().unwrap_or(0.0);
        let mine: HashSet<u32> = own.ids[..own.lengths[0] as usize].iter().copied().collect();
        for (row, sum) in sums.iter_mut().enumerate() {
            let from = row * others.max_len;
            let theirs: HashSet<u32> =
                others.ids[from..from + others.lengths[row] as usize].iter().copied().collect();
            let either = mine.union(&theirs).count();
            // Two empty histories are the same.
            let like =
                if either == 0 { 1.0 } else { mine.intersection(&theirs).count() as f64 / either as f64 };
            *sum += count * like;
        }
    }
    sums
}

/// Names of the inputs of a row that another one has not.
fn differing(row: &EditedRow, other: &Batch) -> Vec<String> {
    let inputs = row.inputs.len();
    let alone = |place: usize| {
        let mut counts = vec![0.0; inputs];
        counts[place] = 1.0;
        likenesses(row.batch(), other, &counts).first().is_some_and(|like| *like < 1.0)
    };
    (0..inputs).filter(|place| alone(*place)).map(|place| row.inputs[place].name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::batch::SequenceBatch;

    #[test]
    fn likeness_weighs_categories_numbers_and_histories() {
        let batch = |categories: &[u32], numbers: &[f32], ids: Vec<u32>, lengths: Vec<u32>| Batch {
            rows: categories.len(),
            categorical: vec![categories.to_vec()],
            numeric: vec![numbers.to_vec()],
            sequences: vec![SequenceBatch { max_len: 2, ids, lengths }],
            ..Batch::default()
        };
        let own = batch(&[5], &[0.5], vec![7, 8], vec![2]);
        let others = batch(&[5, 6, 5], &[0.5, 0.5, 1.5], vec![7, 8, 8, 9, 0, 0], vec![2, 2, 0]);
        let like = likenesses(&own, &others, &[0.5, 0.3, 0.2]);
        let by_hand = [1.0, 0.3 + 0.2 / 3.0, 0.5 + 0.3 * (-1.0_f64).exp()];
        assert!(like.iter().zip(by_hand).all(|(a, b)| (a - b).abs() < 1e-9), "{like:?}");
    }
}
