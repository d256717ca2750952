//! All layers of a stack put together: attention rollout, and relevance by gradients.

use super::sums::real_cells;
use super::{JoinedMaps, names, place_of};
use crate::data::Encoder;
use crate::models::Looked;
use crate::models::looked::HeadWeights;
use crate::nn::probe::Members;

/// Running sums of a stack's joined maps.
pub(super) struct JoinedSums {
    stack: Vec<usize>,
    members: Members,
    name: String,
    questions: Vec<String>,
    asked: Vec<String>,
    counts: Vec<u32>,
    rollout: Vec<f64>,
    weighted: Vec<f64>,
}

impl JoinedSums {
    pub(super) fn new(looked: &Looked, stack: &[usize], encoder: &Encoder) -> Self {
        let first = &looked.heads[stack[0]];
        let [questions, asked] = names(first.members, first.shape, encoder);
        let cells = questions.len() * asked.len();
        let sequence = |place: usize| encoder.sequences.get(place).map_or("past", |of| of.name.as_str());
        let name = match first.members {
            Members::Fields => "fields".to_owned(),
            Members::AdThenPast(place) | Members::NewestFirst(place) | Members::PastForAd(place) => {
                sequence(place).to_owned()
            }
        };
        Self {
            stack: stack.to_vec(),
            members: first.members,
            name,
            questions,
            asked,
            counts: vec![0; cells],
            rollout: vec![0.0; cells],
            weighted: vec![0.0; cells],
        }
    }

    /// Takes in a batch.
    pub(super) fn add(&mut self, looked: &Looked) {
        let layers: Vec<&HeadWeights> = self.stack.iter().map(|place| &looked.heads[*place]).collect();
        let lengths = layers.first().map_or(&[][..], |layer| &layer.lengths);
        for (row, &length) in lengths.iter().enumerate() {
            let length = length as usize;
            let [rolled, weighted] = joined(&layers, row, length);
            let asks = if matches!(self.members, Members::PastForAd(_)) { 1 } else { length };
            for (question, member) in real_cells(self.members, length, asks, length) {
                let line = if asks == 1 && question == 0 {
                    Some(0)
                } else {
                    place_of(self.members, question, length)
                };
                let column =
                    place_of(self.members, member, length).filter(|column| *column < self.asked.len());
                if let (Some(line), Some(column)) = (line, column) {
                    let cell = line * self.asked.len() + column;
                    self.counts[cell] += 1;
                    self.rollout[cell] += rolled.get(question * length + member).copied().unwrap_or(f64::NAN);
                    self.weighted[cell] += weighted[question * length + member];
                }
            }
        }
    }
}

/// Rollout and weighted relevance of one row: `[questions * length]` each, with as many questions as members, or one
/// where the asker is no member; rollout is empty then.
fn joined(layers: &[&HeadWeights], row: usize, length: usize) -> [Vec<f64>; 2] {
    if matches!(layers.first().map(|layer| layer.members), Some(Members::PastForAd(_))) {
        let pulled = layers.first().map(|layer| mean_over_heads(layer, &layer.pulls, row, (1, length), true));
        return [Vec::new(), pulled.unwrap_or_default()];
    }
    let mut rolled = identity(length);
    let mut weighted = identity(length);
    for layer in layers {
        let mut mixed = mean_over_heads(layer, &layer.weights, row, (length, length), false);
        mixed.iter_mut().for_each(|weight| *weight *= 0.5);
        (0..length).for_each(|at| mixed[at * length + at] += 0.5);
        rolled = product(&mixed, &rolled, length);
        let pulled = mean_over_heads(layer, &layer.pulls, row, (length, length), true);
        let more = product(&pulled, &weighted, length);
        weighted.iter_mut().zip(more).for_each(|(to, more)| *to += more);
    }
    // What members are to themselves without any attention would hide the rest.
    (0..length).for_each(|at| weighted[at * length + at] -= 1.0);
    [rolled, weighted]
}

/// The mean over heads of a row's cells, of those above 0 alone where `positive`.
fn mean_over_heads(
    layer: &HeadWeights,
    cells: &[f32],
    row: usize,
    (asks, length): (usize, usize),
    positive: bool,
) -> Vec<f64> {
    let [heads, questions, members] = layer.shape;
    let mut mean = vec![0.0; asks * length];
    for head in 0..heads {
        let from = (row * heads + head) * questions * members;
        for (line, to) in mean.chunks_exact_mut(length.max(1)).enumerate() {
            let Some(cells) = cells.get(from + line * members..from + line * members + length) else {
                continue;
            };
            for (to, cell) in to.iter_mut().zip(cells) {
                let cell = f64::from(*cell);
                *to += if positive { cell.max(0.0) } else { cell } / heads as f64;
            }
        }
    }
    mean
}

pub(super) fn identity(n: usize) -> Vec<f64> {
    let mut cells = vec![0.0; n * n];
    (0..n).for_each(|at| cells[at * n + at] = 1.0);
    cells
}

/// `a b`, both `[n, n]`.
pub(super) fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * n];
    for (line, a) in out.chunks_exact_mut(n.max(1)).zip(a.chunks_exact(n.max(1))) {
        for (a, b) in a.iter().zip(b.chunks_exact(n.max(1))) {
            line.iter_mut().zip(b).for_each(|(to, b)| *to += a * b);
        }
    }
    out
}

impl From<JoinedSums> for JoinedMaps {
    fn from(sums: JoinedSums) -> Self {
        let JoinedSums { members, name, questions, asked, counts, rollout, weighted, .. } = sums;
        let mean = |cells: Vec<f64>| -> Vec<f64> {
            cells.iter().zip(&counts).map(|(sum, n)| sum / f64::from(*n)).collect()
        };
        let has_rollout = !matches!(members, Members::PastForAd(_));
        Self {
            name,
            questions,
            members: asked,
            rollout: if has_rollout { mean(rollout) } else { Vec::new() },
            weighted: mean(weighted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two layers of one head over two members, rows [.5 .5 / .2 .8] and [1 0 / .6 .4].
    #[test]
    fn rollout_and_relevance_by_hand() {
        let layer = |weights: [f32; 4], pulls: [f32; 4]| HeadWeights {
            layer: "a".into(),
            members: Members::Fields,
            shape: [1, 2, 2],
            lengths: vec![2],
            weights: weights.to_vec(),
            pulls: pulls.to_vec(),
        };
        let first = layer([0.5, 0.5, 0.2, 0.8], [0.1, -0.3, 0.0, 0.2]);
        let second = layer([1.0, 0.0, 0.6, 0.4], [-1.0, 0.0, 0.5, -0.5]);
        let [rolled, weighted] = joined(&[&first, &second], 0, 2);
        // ([1 0 / .6 .4] + I) / 2 = [1 0 / .3 .7], times [.75 .25 / .1 .9].
        for (at, by_hand) in [0.75, 0.25, 0.3 * 0.75 + 0.07, 0.3 * 0.25 + 0.63].into_iter().enumerate() {
            assert!((rolled[at] - by_hand).abs() < 1e-6, "{rolled:?}");
        }
        // R1 = I + [.1 0 / 0 .2]; R2 = R1 + [0 0 / .5 0] R1; less I.
        for (at, by_hand) in [0.1, 0.0, 0.55, 0.2].into_iter().enumerate() {
            assert!((weighted[at] - by_hand).abs() < 1e-6, "{weighted:?}");
        }
    }
}
