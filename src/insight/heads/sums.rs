//! Running sums of an attention layer's maps over rows, and one row's maps with names.

use super::{AtlasLayer, Head, RowHeads, names, place_of};
use crate::data::{Batch, Encoder};
use crate::metrics::Estimate;
use crate::metrics::paired::mean_over_users;
use crate::models::looked::HeadWeights;
use crate::nn::probe::Members;

/// Sums of one layer.
pub(super) struct LayerSums {
    layer: String,
    members: Members,
    questions: Vec<String>,
    asked: Vec<String>,
    /// Rows by cell.
    counts: Vec<u32>,
    heads: Vec<HeadSums>,
    rows: usize,
    /// The user of each row, if the log has users; of the rows that can say something of a number.
    users: Vec<u32>,
}

/// Sums of one head: weights by cell, and numbers of each row (NaN for rows that say nothing).
#[derive(Default)]
struct HeadSums {
    cells: Vec<f64>,
    evenness: Vec<f64>,
    distance: Vec<f64>,
    own: Vec<f64>,
    pull: f64,
}

impl LayerSums {
    pub(super) fn new(of_layer: &HeadWeights, encoder: &Encoder) -> Self {
        let [questions, asked] = names(of_layer.members, of_layer.shape, encoder);
        let cells = questions.len() * asked.len();
        let head = || HeadSums { cells: vec![0.0; cells], ..HeadSums::default() };
        Self {
            layer: of_layer.layer.clone(),
            members: of_layer.members,
            counts: vec![0; cells],
            heads: (0..of_layer.shape[0]).map(|_| head()).collect(),
            questions,
            asked,
            rows: 0,
            users: Vec::new(),
        }
    }

    /// Takes in a batch, whose users are `users` or unknown.
    pub(super) fn add(&mut self, of_layer: &HeadWeights, users: &[u32]) {
        let [heads, questions, members] = of_layer.shape;
        self.users.extend_from_slice(users);
        for (row, &length) in of_layer.lengths.iter().enumerate() {
            let length = length as usize;
            self.rows += 1;
            self.count(length, questions, members);
            for head in 0..heads {
                let from = (row * heads + head) * questions * members;
                let weights = &of_layer.weights[from..from + questions * members];
                self.add_row(head, (weights, members), length);
                if let Some(pulls) = of_layer.pulls.get(from..from + questions * members) {
                    self.heads[head].pull += f64::from(pulls.iter().sum::<f32>()).abs();
                }
            }
        }
    }

    /// Counts the cells that a row has.
    fn count(&mut self, length: usize, questions: usize, members: usize) {
        for (question, member) in real_cells(self.members, length, questions, members) {
            if let Some(cell) = self.cell(question, member, length) {
                self.counts[cell] += 1;
            }
        }
    }

    fn cell(&self, question: usize, member: usize, length: usize) -> Option<usize> {
        let column = place_of(self.members, member, length)?;
        let line = match self.members {
            Members::PastForAd(_) => 0,
            members => place_of(members, question, length)?,
        };
        (column < self.asked.len()).then_some(line * self.asked.len() + column)
    }

    fn add_row(&mut self, head: usize, (weights, members): (&[f32], usize), length: usize) {
        let among = self.members;
        let questions = weights.len() / members.max(1);
        for (question, member) in real_cells(among, length, questions, members) {
            if let Some(cell) = self.cell(question, member, length) {
                self.heads[head].cells[cell] += f64::from(weights[question * members + member]);
            }
        }
        let asks = if matches!(among, Members::PastForAd(_)) { usize::from(length > 0) } else { length };
        let (mut evenness, mut distance, mut own, mut told) = (0.0, 0.0, 0.0, 0);
        for question in 0..asks {
            let from = if matches!(among, Members::NewestFirst(_)) { question } else { 0 };
            let weights = &weights[question * members..][from..length];
            let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
            // A question with one possible answer says nothing about a head.
            if weights.len() < 2 || total <= 0.0 {
                continue;
            }
            let shares = weights.iter().map(|w| f64::from(*w) / total);
            let entropy: f64 = shares.clone().filter(|s| *s > 0.0).map(|s| -s * s.ln()).sum();
            evenness += entropy / (weights.len() as f64).ln();
            distance += shares
                .enumerate()
                .map(|(at, share)| share * events_between(among, question, from + at, length))
                .sum::<f64>();
            own += f64::from(weights[question - from]) / total;
            told += 1;
        }
        let mean = |sum: f64| if told > 0 { sum / f64::from(told) } else { f64::NAN };
        let sums = &mut self.heads[head];
        sums.evenness.push(mean(evenness));
        sums.distance.push(mean(distance));
        sums.own.push(mean(own));
    }

    pub(super) fn finish(self) -> AtlasLayer {
        let Self { layer, members, questions, asked, counts, heads, rows, users } = self;
        let over_past = !matches!(members, Members::Fields);
        let has_own = !matches!(members, Members::PastForAd(_));
        let finish = |head: HeadSums| Head {
            map: head.cells.iter().zip(&counts).map(|(sum, n)| sum / f64::from(*n)).collect(),
            evenness: mean_of_known(&head.evenness, &users),
            distance: mean_of_known(&head.distance, &users).filter(|_| over_past),
            own: mean_of_known(&head.own, &users).filter(|_| has_own),
            pull: head.pull / rows.max(1) as f64,
            loss_without: None,
        };
        AtlasLayer {
            name: layer,
            heads: heads.into_iter().map(finish).collect(),
            questions,
            members: asked,
            counts,
        }
    }
}

/// Questions and members of a row that are real and may meet.
pub(super) fn real_cells(
    among: Members,
    length: usize,
    questions: usize,
    members: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let asks = match among {
        Members::PastForAd(_) => questions.min(1),
        _ => length.min(questions),
    };
    let looks_back = matches!(among, Members::NewestFirst(_));
    (0..asks).flat_map(move |question| {
        let from = if looks_back { question } else { 0 };
        (from..length.min(members)).map(move |member| (question, member))
    })
}

/// Events between two members of a past; the ad shown now stands one event after the newest.
fn events_between(among: Members, question: usize, member: usize, length: usize) -> f64 {
    let ago = |member: usize| match among {
        Members::Fields => 0,
        Members::AdThenPast(_) => {
            if member == 0 {
                0
            } else {
                length - member
            }
        }
        Members::NewestFirst(_) => member + 1,
        Members::PastForAd(_) => length - member,
    };
    let asks = if matches!(among, Members::PastForAd(_)) { 0 } else { ago(question) };
    ago(member).abs_diff(asks) as f64
}

/// Mean over the rows that say something, with users as the units where they are known.
fn mean_of_known(numbers: &[f64], users: &[u32]) -> Option<Estimate> {
    let known = numbers.iter().enumerate().filter(|(_, number)| !number.is_nan());
    let (rows, numbers): (Vec<usize>, Vec<f64>) = known.map(|(row, number)| (row, *number)).unzip();
    let users: Vec<u32> = rows.iter().filter_map(|row| users.get(*row).copied()).collect();
    mean_over_users(&numbers, &[], &users)
}

/// One row's maps, with the names of its own events.
pub(super) fn named(of_layer: &HeadWeights, encoder: &Encoder, batch: &Batch) -> RowHeads {
    let [heads, questions, members] = of_layer.shape;
    let length = of_layer.lengths.first().copied().unwrap_or(0) as usize;
    let of_past = |sequence: usize, back: usize| {
        let of = encoder.sequences.get(sequence);
        let field = of.and_then(|of| encoder.categorical.get(of.target));
        let ids = batch.sequences.get(sequence);
        let id = ids.and_then(|ids| ids.ids.get((*ids.lengths.first()? as usize).checked_sub(back)?));
        let name = field.zip(id).map_or_else(String::new, |(field, id)| field.name_of(*id));
        format!("{back} {name}")
    };
    let now = |sequence: usize| {
        let target = encoder.sequences.get(sequence).map_or(0, |of| of.target);
        let id = batch.categorical.get(target).and_then(|ids| ids.first());
        let field = encoder.categorical.get(target);
        field
            .zip(id)
            .map_or_else(|| "shown now".to_owned(), |(field, id)| format!("now {}", field.name_of(*id)))
    };
    let name = |member: usize| match of_layer.members {
        Members::Fields => {
            names(Members::Fields, of_layer.shape, encoder)[1].get(member).cloned().unwrap_or_default()
        }
        Members::AdThenPast(sequence) if member == 0 => now(sequence),
        Members::AdThenPast(sequence) => of_past(sequence, length - member),
        Members::NewestFirst(sequence) => of_past(sequence, member + 1),
        Members::PastForAd(sequence) => of_past(sequence, length - member),
    };
    // The newest first, as everywhere else.
    let order: Vec<usize> = match of_layer.members {
        Members::Fields | Members::NewestFirst(_) => (0..length).collect(),
        Members::AdThenPast(_) => (0..length.min(1)).chain((1..length).rev()).collect(),
        Members::PastForAd(_) => (0..length).rev().collect(),
    };
    let all: Vec<String> = order.iter().map(|member| name(*member)).collect();
    let (asks, asking) = match of_layer.members {
        Members::PastForAd(sequence) => (vec![now(sequence)], vec![0]),
        _ => (all.clone(), order.clone()),
    };
    let of_head = |head: usize| {
        let from = head * questions * members;
        let weight =
            |question: usize, member: usize| f64::from(of_layer.weights[from + question * members + member]);
        asking.iter().flat_map(|question| order.iter().map(|member| weight(*question, *member))).collect()
    };
    RowHeads {
        layer: of_layer.layer.clone(),
        heads: (0..heads).map(of_head).collect(),
        questions: asks,
        members: all,
    }
}
