//! How do the events of a behaviour sequence come to lie one after another without a graph, and their gradients back?

use super::fields::Fields;
use super::tables::RowGradients;
use crate::data::Batch;
use rayon::prelude::*;

/// The embeddings of one sequence's events, `[rows, positions, width]`, padding zeros: what
/// [`FieldRows::positions`](crate::models::features::FieldRows::positions) asks tables for. Buffers are kept.
#[derive(Debug, Default)]
pub struct Histories {
    width: usize,
    sequence: usize,
    /// Sequences before this one that share its vocabulary, and the field that has it.
    before: Vec<usize>,
    target: usize,
    /// Positions of the longest sequence in the batch, at least 1.
    pub positions: usize,
    /// The embeddings.
    pub x: Vec<f32>,
    /// Among the readers of the field, where this sequence's events begin.
    first: usize,
    /// For each event its place among rows and positions.
    slots: Vec<u32>,
}

/// Examples, or distinct rows, that a thread takes at a time.
const AT_ONCE: usize = 64;

impl Histories {
    /// For sequence `sequence` of those over the vocabularies of `targets`.
    pub fn new(width: usize, sequence: usize, targets: &[usize]) -> Self {
        let target = targets[sequence];
        let before = (0..sequence).filter(|other| targets[*other] == target).collect();
        Self { width, sequence, before, target, ..Self::default() }
    }

    /// Lays out a batch. `embeddings` are what [`Fields::gather`] wrote.
    pub fn read(&mut self, batch: &Batch, fields: &Fields, embeddings: &[f32]) {
        let of_batch = &batch.sequences[self.sequence];
        let count = |sequence: &usize| batch.sequences[*sequence].lengths.iter().sum::<u32>() as usize;
        self.first = batch.rows + self.before.iter().map(count).sum::<usize>();
        let positions = of_batch.lengths.iter().copied().max().unwrap_or(0).max(1) as usize;
        self.positions = positions;
        self.slots.clear();
        for (row, length) in of_batch.lengths.iter().enumerate() {
            self.slots.extend((0..*length).map(|position| (row * positions) as u32 + position));
        }
        let width = self.width;
        self.x.clear();
        self.x.resize(batch.rows * positions * width, 0.0);
        let places = &fields.fields[self.target].place[self.first..];
        let embeddings = &embeddings[fields.range(self.target).start * width..];
        // Where each run of examples begins among the events.
        let mut begins = Vec::with_capacity(batch.rows / AT_ONCE + 1);
        let mut begin = 0;
        for lengths in of_batch.lengths.chunks(AT_ONCE) {
            begins.push(begin);
            begin += lengths.iter().sum::<u32>() as usize;
        }
        let runs =
            self.x.par_chunks_mut(AT_ONCE * positions * width).zip(of_batch.lengths.par_chunks(AT_ONCE));
        runs.zip(begins).for_each(|((x, lengths), begin)| {
            let mut places = places[begin..].iter();
            for (x, length) in x.chunks_exact_mut(positions * width).zip(lengths) {
                for (to, place) in x.chunks_exact_mut(width).take(*length as usize).zip(&mut places) {
                    to.copy_from_slice(&embeddings[*place as usize * width..][..width]);
                }
            }
        });
    }

    /// Adds the gradient by the events, laid out like `x`, to a table's gradient, already started.
    pub fn collect(&self, fields: &Fields, of_x: &[f32], gradients: &mut RowGradients) {
        let width = self.width;
        let field = &fields.fields[self.target];
        let range = fields.range(self.target);
        let of_field = &mut gradients.values[range.start * width..range.end * width];
        of_field.par_chunks_mut(width * AT_ONCE).enumerate().for_each(|(run, sums)| {
            for (at, sum) in sums.chunks_exact_mut(width).enumerate() {
                for reader in field.readers(run * AT_ONCE + at) {
                    let event = (*reader as usize).wrapping_sub(self.first);
                    if let Some(slot) = self.slots.get(event) {
                        let from = &of_x[*slot as usize * width..][..width];
                        sum.iter_mut().zip(from).for_each(|(sum, from)| *sum += from);
                    }
                }
            }
        });
    }
}
