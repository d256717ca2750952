//! Which past behaviours did a prediction lean on? For one impression and ad, and averaged over many.

use crate::base::{Failure, Result};
use crate::data::{Batch, Dataset};
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use crate::train::{AttentionMap, TrainedModel};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// One prediction, and how each past behaviour was weighed for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Row of the log: whose history and moment it is.
    pub row: u32,
    /// The ad that was asked about; `None` when it is the one that the row showed.
    pub ad: Option<String>,
    /// Predicted click probability.
    pub p_click: f64,
    /// Where one more member of an ensemble would put it, 95 %.
    pub interval: Option<Estimate>,
    /// One entry per behaviour sequence.
    pub histories: Vec<WeighedHistory>,
}

/// A user's history as the model weighed it for one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeighedHistory {
    /// The sequence: `history:category`.
    pub sequence: String,
    /// The value that the history was compared with.
    pub target: String,
    /// Past behaviours, most recent first; empty for a new user.
    pub items: Vec<HistoryItem>,
}

/// One past behaviour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryItem {
    /// What it was.
    pub name: String,
    /// How many events ago: 1 is the most recent.
    pub steps_back: u32,
    /// The model's weight for it.
    pub weight: f64,
}

/// Attention averaged over many rows, for one sequence.
///
/// Weights are given relative to the row: 1 is the average weight of that row's own history, so that long and
/// short histories can be put together. Rows with fewer than two behaviours say nothing and are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AverageAttention {
    /// The sequence.
    pub sequence: String,
    /// The field that it is compared with.
    pub target: String,
    /// Rows that were asked for.
    pub rows_asked: usize,
    /// Rows that were run through the model (evenly spread when there were too many).
    pub rows_run: usize,
    /// Rows with at least two behaviours: the n of what follows.
    pub rows_used: usize,
    /// By distance from the present, most recent first.
    pub by_position: Vec<PositionWeight>,
    /// By value of the past behaviour and of the target.
    pub matrix: WeightMatrix,
}

/// The mean relative weight at one distance from the present.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PositionWeight {
    /// How many events ago: 1 is the most recent.
    pub steps_back: u32,
    /// Mean relative weight with its normal 95 % interval.
    pub weight: Estimate,
    /// Rows with a history that long.
    pub rows: usize,
}

/// Mean relative weights by past value (line) and target value (column), the most frequent of each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WeightMatrix {
    /// Past values, most frequent first.
    pub past: Vec<String>,
    /// Target values, most frequent first.
    pub targets: Vec<String>,
    /// `[past * targets.len() + target]`; NaN where the two never met.
    pub weights: Vec<f64>,
    /// Behaviours behind each weight.
    pub counts: Vec<u32>,
    /// What was left out, in words; empty when nothing was.
    pub left_out: String,
}

/// Rows run through the model at most for an average.
pub const AVERAGE_ROWS: usize = 20_000;
/// Rows of one forward pass.
const BATCH_ROWS: usize = 1024;
/// Lines and columns of the matrix at most.
const MATRIX_SIDE: usize = 24;

/// Explains one row: with its own ad, or with another one in its place (`ad` of the catalogue).
///
/// # Errors
/// No such row or ad, or a model that weighs no behaviours.
pub fn explain(model: &TrainedModel, dataset: &Dataset, row: u32, ad: Option<u32>) -> Result<Explanation> {
    let what = "cannot explain the prediction";
    if row as usize >= dataset.rows {
        return Err(Failure::new(what, format!("the log has {} rows and no row {row}", dataset.rows)));
    }
    let batch = match ad {
        None => dataset.batch(&[row]),
        Some(ad) => {
            let known = dataset.ads.as_ref().map_or(0, |ads| ads.names.len());
            if ad as usize >= known {
                return Err(Failure::new(what, format!("the log has {known} ads and no ad number {ad}")));
            }
            dataset.batch_with_ads(&[row], &[ad])
        }
    };
    let maps = model.attention(&batch)?;
    let scored = model.scored_batch(&batch)?;
    let name = |ad: u32| dataset.ads.as_ref().and_then(|ads| ads.names.get(ad as usize)).cloned();
    Ok(Explanation {
        row,
        ad: ad.and_then(name),
        p_click: scored.p.first().map_or(f64::NAN, |&p| f64::from(p)),
        interval: scored.interval(0),
        histories: maps.iter().filter_map(|map| weighed(dataset, &batch, map)).collect(),
    })
}

/// Averages the attention of every sequence over `rows`.
///
/// # Errors
/// No rows, a model that weighs no behaviours, or a cancel.
pub fn average(
    model: &TrainedModel,
    dataset: &Dataset,
    rows: &[u32],
    context: &JobContext,
) -> Result<Vec<AverageAttention>> {
    if rows.is_empty() {
        return Err(Failure::new("cannot average the attention", "no row of the log is in this segment")
            .hint("choose a wider segment"));
    }
    let chosen = spread(rows, AVERAGE_ROWS);
    if chosen.len() < rows.len() {
        context.warn(format!("averaged over {} of {} rows, evenly spread", chosen.len(), rows.len()));
    }
    context.stage("attention");
    let mut sums: Vec<Sums> = Vec::new();
    for (done, part) in chosen.chunks(BATCH_ROWS).enumerate() {
        context.check()?;
        let batch = dataset.batch(part);
        let maps = model.attention(&batch)?;
        sums.resize_with(maps.len(), Sums::default);
        for (sums, map) in sums.iter_mut().zip(&maps) {
            sums.add(dataset, &batch, map);
        }
        context.progress(((done + 1) * BATCH_ROWS) as u64, chosen.len() as u64);
    }
    let finish = |(sequence, sums): (usize, &Sums)| sums.finish(dataset, sequence, rows.len(), chosen.len());
    Ok(sums.iter().enumerate().filter_map(finish).collect())
}

/// At most `limit` of the rows, evenly spread.
pub(super) fn spread(rows: &[u32], limit: usize) -> Vec<u32> {
    if rows.len() <= limit {
        return rows.to_vec();
    }
    (0..limit).map(|place| rows[place * rows.len() / limit]).collect()
}

/// Reads the only row of a batch.
fn weighed(dataset: &Dataset, batch: &Batch, map: &AttentionMap) -> Option<WeighedHistory> {
    let sequence = dataset.encoder.sequences.get(map.sequence)?;
    let field = dataset.encoder.categorical.get(sequence.target)?;
    let of_batch = batch.sequences.get(map.sequence)?;
    let length = *of_batch.lengths.first()? as usize;
    let target = *batch.categorical.get(sequence.target)?.first()?;
    let items = (0..length).rev().map(|position| HistoryItem {
        name: field.name_of(of_batch.ids[position]),
        steps_back: (length - position) as u32,
        weight: f64::from(map.weights[position]),
    });
    Some(WeighedHistory {
        sequence: sequence.name.clone(),
        target: field.name_of(target),
        items: items.collect(),
    })
}

/// Running sums of one sequence.
#[derive(Debug, Default)]
struct Sums {
    rows_used: usize,
    /// By distance: n, sum, sum of squares.
    positions: Vec<(usize, f64, f64)>,
    /// By `(past, target)`: n, sum.
    pairs: HashMap<(u32, u32), (u32, f64)>,
}

impl Sums {
    fn add(&mut self, dataset: &Dataset, batch: &Batch, map: &AttentionMap) {
        let target = dataset.encoder.sequences.get(map.sequence).map(|sequence| sequence.target);
        let (Some(of_batch), Some(targets)) =
            (batch.sequences.get(map.sequence), target.and_then(|place| batch.categorical.get(place)))
        else {
            return;
        };
        for (row, &target) in targets.iter().enumerate() {
            let length = of_batch.lengths[row] as usize;
            let start = row * map.max_len;
            let weights = &map.weights[start..start + length];
            let total: f64 = weights.iter().map(|&w| f64::from(w)).sum();
            if length < 2 || total <= 0.0 {
                continue;
            }
            self.rows_used += 1;
            if self.positions.len() < length {
                self.positions.resize(length, (0, 0.0, 0.0));
            }
            for (position, &weight) in weights.iter().enumerate() {
                let relative = f64::from(weight) * length as f64 / total;
                let (n, sum, squares) = &mut self.positions[length - 1 - position];
                *n += 1;
                *sum += relative;
                *squares += relative * relative;
                let pair = (of_batch.ids[start + position], target);
                let (n, sum) = self.pairs.entry(pair).or_default();
                *n += 1;
                *sum += relative;
            }
        }
    }

    fn finish(
        &self,
        dataset: &Dataset,
        sequence: usize,
        asked: usize,
        run: usize,
    ) -> Option<AverageAttention> {
        let of = dataset.encoder.sequences.get(sequence)?;
        let field = dataset.encoder.categorical.get(of.target)?;
        let by_position = self.positions.iter().enumerate().map(|(back, &(n, sum, squares))| {
            let mean = sum / n as f64;
            let variance = (squares / n as f64 - mean * mean).max(0.0) / (n as f64 - 1.0).max(1.0);
            PositionWeight {
                steps_back: back as u32 + 1,
                weight: Estimate::normal(mean, variance.sqrt()),
                rows: n,
            }
        });
        Some(AverageAttention {
            sequence: of.name.clone(),
            target: field.name.clone(),
            rows_asked: asked,
            rows_run: run,
            rows_used: self.rows_used,
            by_position: by_position.collect(),
            matrix: self.matrix(|id| field.name_of(id)),
        })
    }

    fn matrix(&self, name: impl Fn(u32) -> String) -> WeightMatrix {
        let (past, past_all) = self.most_frequent(|pair| pair.0);
        let (targets, targets_all) = self.most_frequent(|pair| pair.1);
        let cells = past.iter().flat_map(|&p| targets.iter().map(move |&t| (p, t)));
        let found: Vec<(u32, f64)> =
            cells.map(|pair| self.pairs.get(&pair).copied().unwrap_or_default()).collect();
        let cut = past_all > past.len() || targets_all > targets.len();
        WeightMatrix {
            // 0 / 0 is NaN: the two never met.
            weights: found.iter().map(|&(n, sum)| sum / f64::from(n)).collect(),
            counts: found.iter().map(|&(n, _)| n).collect(),
            left_out: if cut {
                format!(
                    "the {} most frequent of {past_all} past values and {} of {targets_all} targets",
                    past.len(),
                    targets.len()
                )
            } else {
                String::new()
            },
            past: past.into_iter().map(&name).collect(),
            targets: targets.into_iter().map(&name).collect(),
        }
    }

    /// The ids with most behaviours on one side of the pairs, and how many ids there are.
    fn most_frequent(&self, side: impl Fn(&(u32, u32)) -> u32) -> (Vec<u32>, usize) {
        let mut counts: HashMap<u32, u64> = HashMap::new();
        for (pair, (n, _)) in &self.pairs {
            *counts.entry(side(pair)).or_default() += u64::from(*n);
        }
        let all = counts.len();
        let mut order: Vec<(u32, u64)> = counts.into_iter().collect();
        order.sort_unstable_by_key(|&(id, n)| (std::cmp::Reverse(n), id));
        (order.into_iter().take(MATRIX_SIDE).map(|(id, _)| id).collect(), all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Encoder;
    use crate::data::batch::SequenceBatch;
    use crate::data::encode::{CategoricalField, SequenceField, Side};
    use std::sync::Arc;

    /// Two rows: histories 跑鞋, phone and phone, phone, 跑鞋; targets 跑鞋 and phone.
    fn sample() -> (Dataset, Batch, AttentionMap) {
        let encoder = Encoder {
            categorical: vec![CategoricalField {
                name: "category".into(),
                side: Side::Ad,
                values: vec!["跑鞋".into(), "phone".into()],
                hash_buckets: 0,
            }],
            sequences: vec![SequenceField {
                name: "history:category".into(),
                target: 0,
                max_len: 3,
                from_user_history_of: None,
                clicked_only: false,
            }],
            ..Encoder::default()
        };
        let batch = Batch {
            rows: 2,
            categorical: vec![vec![2, 3]],
            sequences: vec![SequenceBatch { max_len: 3, ids: vec![2, 3, 0, 3, 3, 2], lengths: vec![2, 3] }],
            ..Batch::default()
        };
        let map = AttentionMap { sequence: 0, max_len: 3, weights: vec![0.25, 0.75, 0.0, 0.5, 0.2, 0.3] };
        (Dataset { encoder: Arc::new(encoder), rows: 2, ..Dataset::default() }, batch, map)
    }

    #[test]
    fn one_row_reads_most_recent_first() {
        let (dataset, batch, map) = sample();
        let history = weighed(&dataset, &batch, &map).unwrap();
        assert_eq!(history.target, "跑鞋");
        let read: Vec<_> = history.items.iter().map(|i| (i.name.as_str(), i.steps_back, i.weight)).collect();
        assert_eq!(read, [("phone", 1, 0.75), ("跑鞋", 2, 0.25)]);
    }

    #[test]
    fn averages_are_relative_to_each_row() {
        let (dataset, batch, map) = sample();
        let mut sums = Sums::default();
        sums.add(&dataset, &batch, &map);
        let average = sums.finish(&dataset, 0, 10, 2).unwrap();
        assert_eq!((average.rows_used, average.rows_asked, average.rows_run), (2, 10, 2));
        // Most recent: 0.75 * 2 and 0.3 * 3, by hand.
        let latest = average.by_position[0];
        assert!((latest.weight.value - (1.5 + 0.9) / 2.0).abs() < 1e-6, "{latest:?}");
        assert_eq!((average.by_position[2].rows, average.by_position[2].steps_back), (1, 3));
        let matrix = &average.matrix;
        assert_eq!(matrix.past, ["phone", "跑鞋"]);
        assert_eq!(matrix.targets, ["phone", "跑鞋"]);
        // phone for phone: (0.5 + 0.2) * 3 / 2; phone for 跑鞋: 0.75 * 2.
        assert!((matrix.weights[0] - 1.05).abs() < 1e-6 && (matrix.weights[1] - 1.5).abs() < 1e-6);
        assert_eq!(matrix.counts, [2, 1, 1, 1]);
    }

    #[test]
    fn histories_of_one_say_nothing() {
        let (dataset, mut batch, map) = sample();
        batch.sequences[0].lengths = vec![1, 0];
        let mut sums = Sums::default();
        sums.add(&dataset, &batch, &map);
        assert_eq!(sums.finish(&dataset, 0, 2, 2).unwrap().rows_used, 0);
    }

    #[test]
    fn rows_are_spread_over_the_whole_range() {
        let rows: Vec<u32> = (0..100).collect();
        assert_eq!(spread(&rows, 4), [0, 25, 50, 75]);
        assert_eq!(spread(&rows[..3], 4), [0, 1, 2]);
    }
}
