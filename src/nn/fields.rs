//! Which table rows does a batch touch, and how do they come into a model without a graph, and their gradients out?
//!
//! Ids repeat within a batch: of 4096 examples fewer than a hundred hours, sites or sizes are distinct. So each field's
//! ids are sorted once, each distinct row is read once, and its gradient is added up over its readers before the
//! optimiser sees it. Fields are worked on side by side; every sum is added in order of examples, so nothing depends
//! on the number of threads.

use super::radix::RowSort;
use super::tables::{RowGradients, Table};
use crate::data::Batch;
use rayon::prelude::*;
use std::ops::Range;

/// The distinct rows of every categorical field of a batch, with their readers; buffers are kept between batches.
///
/// All tables over the same fields have the same rows, so one serves embeddings and linear weights alike.
#[derive(Debug, Default)]
pub struct Fields {
    /// Examples of the batch.
    pub rows: usize,
    /// One per categorical field.
    pub fields: Vec<Field>,
    /// Where each field's distinct rows begin among those of all fields, then their number.
    starts: Vec<usize>,
}

/// The distinct rows of one field. Its readers are the examples in order, then the events of sequences that share its
/// vocabulary.
#[derive(Debug, Default)]
pub struct Field {
    /// Rows of the table, ascending.
    pub distinct: Vec<u32>,
    /// For each reader the place of its row in `distinct`.
    pub place: Vec<u32>,
    /// Where each distinct row's readers begin in `readers`, then their number.
    starts: Vec<u32>,
    /// Readers, by row.
    readers: Vec<u32>,
    events: Vec<Event>,
    sort: RowSort,
}

/// An element of a behaviour sequence, read as a share of its mean.
#[derive(Debug, Clone, Copy)]
struct Event {
    sequence: u32,
    example: u32,
    /// `1 / length`.
    weight: f32,
}

impl Fields {
    /// Sorts a batch's ids. `starts` are the fields' first rows in the tables, which have `table_rows` rows; `targets`
    /// names the field whose vocabulary each sequence shares, and is empty where sequences are not read.
    pub fn read(&mut self, batch: &Batch, starts: &[u32], table_rows: usize, targets: &[usize]) {
        self.rows = batch.rows;
        self.fields.resize_with(batch.categorical.len(), Field::default);
        self.fields.par_iter_mut().enumerate().for_each(|(at, field)| {
            let ids = &batch.categorical[at];
            let rows = starts.get(at + 1).map_or(table_rows, |next| *next as usize) - starts[at] as usize;
            let sequences = targets.iter().enumerate().filter(|(_, target)| **target == at);
            field.read(ids, batch, sequences.map(|(sequence, _)| sequence), rows, starts[at]);
        });
        self.starts.clear();
        self.starts.push(0);
        for field in &self.fields {
            self.starts.push(self.starts.last().map_or(0, |end| end + field.distinct.len()));
        }
    }

    /// How many distinct rows all fields have together.
    pub fn distinct(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Where the distinct rows of a field stand among those of all fields.
    pub fn range(&self, field: usize) -> Range<usize> {
        self.starts[field]..self.starts[field + 1]
    }

    /// The weights of all distinct rows, `[distinct, width]`, field by field.
    pub fn gather(&self, table: &Table, out: &mut Vec<f32>) {
        let width = table.width;
        out.resize(self.distinct() * width, 0.0);
        self.by_field(out, width).into_par_iter().for_each(|(at, out)| {
            for (row, out) in self.fields[at].distinct.iter().zip(out.chunks_exact_mut(width.max(1))) {
                out.copy_from_slice(table.row(*row));
            }
        });
    }

    /// For each example the sum over fields of a number per distinct row, added to `out`.
    pub fn add_sums(&self, values: &[f32], out: &mut [f32]) {
        for (at, field) in self.fields.iter().enumerate() {
            let values = &values[self.range(at)];
            for (out, place) in out.iter_mut().zip(&field.place) {
                *out += values[*place as usize];
            }
        }
    }

    /// Writes the mean over each example's events of a sequence, 0 where it has none: into `width` columns of `out`
    /// from `column` on, whose rows are `stride` apart. `values` are what [`gather`](Self::gather) wrote.
    pub fn write_means(
        &self,
        sequence: usize,
        field: usize,
        values: &[f32],
        (out, stride, column, width): (&mut [f32], usize, usize, usize),
    ) {
        out.chunks_exact_mut(stride.max(1)).for_each(|row| row[column..column + width].fill(0.0));
        let of_field = &self.fields[field];
        let values = &values[self.range(field).start * width..];
        for (event, place) in of_field.events.iter().zip(&of_field.place[self.rows..]) {
            if event.sequence as usize == sequence {
                let from = &values[*place as usize * width..][..width];
                let to = &mut out[event.example as usize * stride + column..][..width];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += event.weight * from);
            }
        }
    }

    /// Parts of a `[distinct, width]` matrix by field, to be filled side by side.
    pub fn by_field<'a>(&self, mut values: &'a mut [f32], width: usize) -> Vec<(usize, &'a mut [f32])> {
        let mut parts = Vec::with_capacity(self.fields.len());
        for (at, field) in self.fields.iter().enumerate() {
            let (part, rest) = values.split_at_mut(field.distinct.len() * width);
            parts.push((at, part));
            values = rest;
        }
        parts
    }

    /// Starts the gradient of a table: its rows are the distinct ones, its values 0.
    pub fn start_gradient(&self, width: usize, out: &mut RowGradients) {
        out.rows.clear();
        self.fields.iter().for_each(|field| out.rows.extend_from_slice(&field.distinct));
        out.values.clear();
        out.values.resize(self.distinct() * width, 0.0);
    }
}

impl Field {
    fn read(
        &mut self,
        ids: &[u32],
        batch: &Batch,
        sequences: impl Iterator<Item = usize>,
        rows: usize,
        start: u32,
    ) {
        let Self { distinct, place, starts, readers, events, sort } = self;
        place.clear();
        place.extend_from_slice(ids);
        events.clear();
        for sequence in sequences {
            let of_batch = &batch.sequences[sequence];
            let slots = of_batch.ids.chunks(of_batch.max_len.max(1));
            for ((example, ids), &length) in slots.enumerate().zip(&of_batch.lengths) {
                place.extend_from_slice(&ids[..length as usize]);
                let event =
                    Event { sequence: sequence as u32, example: example as u32, weight: 1.0 / length as f32 };
                events.extend((0..length).map(|_| event));
            }
        }
        let order = sort.sort(place.iter().copied(), rows);
        distinct.clear();
        starts.clear();
        readers.clear();
        let mut last = None;
        for (at, key) in order.iter().enumerate() {
            let (id, reader) = ((key >> 32) as u32, *key as u32);
            if last != Some(id) {
                distinct.push(start + id);
                starts.push(at as u32);
                last = Some(id);
            }
            readers.push(reader);
            place[reader as usize] = distinct.len() as u32 - 1;
        }
        starts.push(order.len() as u32);
    }

    /// The readers of the distinct row at `place`, ascending.
    pub fn readers(&self, place: usize) -> &[u32] {
        &self.readers[self.starts[place] as usize..self.starts[place + 1] as usize]
    }

    /// The examples that read the distinct row at `place` in their own right, not in a sequence.
    pub fn examples(&self, place: usize, rows: usize) -> &[u32] {
        let readers = self.readers(place);
        if self.events.is_empty() {
            return readers;
        }
        &readers[..readers.partition_point(|reader| (*reader as usize) < rows)]
    }

    /// The events that read the distinct row at `place`, as `(sequence, example, weight)`.
    pub fn events(&self, place: usize, rows: usize) -> impl Iterator<Item = (usize, usize, f32)> + '_ {
        let readers = self.readers(place);
        readers[self.examples(place, rows).len()..].iter().map(move |reader| {
            let event = self.events[*reader as usize - rows];
            (event.sequence as usize, event.example as usize, event.weight)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::batch::SequenceBatch;
    use crate::nn::numbers::FILE_FROM;

    #[test]
    fn finds_distinct_rows_readers_and_means() {
        let batch = Batch {
            rows: 3,
            categorical: vec![vec![1, 0, 1], vec![2, 2, 0]],
            sequences: vec![SequenceBatch {
                max_len: 2,
                ids: vec![2, 1, 2, 0, 0, 0],
                lengths: vec![2, 1, 0],
            }],
            ..Batch::default()
        };
        let mut table =
            Table::zeros("embedding", 2, &[("a".into(), 2), ("b".into(), 3)], None, FILE_FROM).unwrap();
        table.write(0, 0..2, &[0.0, 1.0, 10.0, 11.0]);
        table.write(1, 0..2, &[20.0, 21.0, 30.0, 31.0, 40.0, 41.0]);
        let mut fields = Fields::default();
        // Twice, as buffers are kept.
        for _ in 0..2 {
            fields.read(&batch, &[0, 2], 5, &[1]);
        }
        assert_eq!(fields.fields[0].distinct, [0, 1]);
        assert_eq!(fields.fields[1].distinct, [2, 3, 4]);
        assert_eq!((fields.distinct(), fields.range(1)), (5, 2..5));
        assert_eq!(fields.fields[0].readers(1), [0, 2]);
        assert_eq!(fields.fields[1].examples(2, 3), [0, 1]);
        let events: Vec<_> = fields.fields[1].events(2, 3).collect();
        assert_eq!(events, [(0, 0, 0.5), (0, 1, 1.0)]);
        let mut values = Vec::new();
        fields.gather(&table, &mut values);
        assert_eq!(values, [0.0, 1.0, 10.0, 11.0, 20.0, 21.0, 30.0, 31.0, 40.0, 41.0]);
        let mut means = vec![9.0; 9];
        fields.write_means(0, 1, &values, (&mut means, 3, 1, 2));
        assert_eq!(means, [9.0, 35.0, 36.0, 9.0, 40.0, 41.0, 9.0, 0.0, 0.0]);
        let mut sums = vec![0.5; 3];
        fields.add_sums(&[1.0, 2.0, 10.0, 20.0, 30.0], &mut sums);
        assert_eq!(sums, [32.5, 31.5, 12.5]);
    }
}
