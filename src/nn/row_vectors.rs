//! How do the vectors of a row's fields come to lie side by side without a graph, and their gradients back?

use super::fields::Fields;
use super::tables::RowGradients;
use crate::data::Batch;
use rayon::prelude::*;

/// For each example its fields' embeddings, the means of its sequences, its numbers times their vectors where numbers
/// have vectors, and plain numbers: what [`FieldVectors`](crate::models::features::FieldVectors) makes of tensors.
/// Buffers are kept between batches.
#[derive(Debug, Default)]
pub struct RowVectors {
    /// Numbers in a vector.
    pub width: usize,
    /// The categorical fields that take part.
    fields: Vec<usize>,
    /// The categorical field whose vocabulary each sequence shares; empty where sequences take no part.
    targets: Vec<usize>,
    /// How many numeric fields have vectors.
    with_vectors: usize,
    /// The numeric fields that stand behind the vectors as they are.
    plain: Vec<usize>,
    /// `[rows, stride]`.
    pub x: Vec<f32>,
    /// The gradient by `x`.
    pub of_x: Vec<f32>,
}

/// Examples that a thread takes at a time.
const ROWS: usize = 64;

impl RowVectors {
    /// Vectors of `width` numbers for `fields`, sequences over the vocabularies of `targets` and the first
    /// `with_vectors` numeric fields; the numeric fields `plain` as they are.
    pub fn new(
        width: usize,
        fields: Vec<usize>,
        targets: Vec<usize>,
        with_vectors: usize,
        plain: Vec<usize>,
    ) -> Self {
        Self { width, fields, targets, with_vectors, plain, x: Vec::new(), of_x: Vec::new() }
    }

    /// Vectors in a row.
    pub fn count(&self) -> usize {
        self.fields.len() + self.targets.len() + self.with_vectors
    }

    /// Numbers in a row.
    pub fn stride(&self) -> usize {
        self.count() * self.width + self.plain.len()
    }

    /// Lays out a batch. `embeddings` are what [`Fields::gather`] wrote, `of_numbers` the vectors of numeric fields.
    pub fn read(&mut self, batch: &Batch, fields: &Fields, embeddings: &[f32], of_numbers: &[f32]) {
        let (width, stride) = (self.width, self.stride());
        let means = self.fields.len() * width;
        let numbers = means + self.targets.len() * width;
        self.x.resize(batch.rows * stride, 0.0);
        self.of_x.resize(batch.rows * stride, 0.0);
        let of_fields: Vec<_> = self
            .fields
            .iter()
            .map(|field| (&fields.fields[*field].place, &embeddings[fields.range(*field).start * width..]))
            .collect();
        let plain = &self.plain;
        self.x.par_chunks_mut((ROWS * stride).max(1)).enumerate().for_each(|(chunk, x)| {
            for (row, x) in (chunk * ROWS..).zip(x.chunks_exact_mut(stride)) {
                for ((place, embeddings), to) in of_fields.iter().zip(x.chunks_exact_mut(width)) {
                    to.copy_from_slice(&embeddings[place[row] as usize * width..][..width]);
                }
                let (vectors, rest) = x[numbers..].split_at_mut(of_numbers.len());
                let columns = batch.numeric.iter().zip(of_numbers.chunks_exact(width));
                for (to, (column, vector)) in vectors.chunks_exact_mut(width).zip(columns) {
                    to.iter_mut().zip(vector).for_each(|(to, v)| *to = column[row] * v);
                }
                rest.iter_mut().zip(plain).for_each(|(to, field)| *to = batch.numeric[*field][row]);
            }
        });
        for (sequence, target) in self.targets.iter().enumerate() {
            let column = means + sequence * width;
            fields.write_means(sequence, *target, embeddings, (&mut self.x, stride, column, width));
        }
    }

    /// Adds what came back in `of_x` to a table's gradient, already started.
    pub fn collect(&self, fields: &Fields, gradients: &mut RowGradients) {
        let (width, stride) = (self.width, self.stride());
        let means = self.fields.len() * width;
        let parts = fields.by_field(&mut gradients.values, width);
        parts.into_par_iter().for_each(|(at, values)| {
            let field = &fields.fields[at];
            let column = self.fields.iter().position(|known| *known == at).map(|place| place * width);
            for (place, sum) in values.chunks_exact_mut(width).enumerate() {
                if let Some(column) = column {
                    for example in field.examples(place, fields.rows) {
                        add(sum, 1.0, &self.of_x[*example as usize * stride + column..]);
                    }
                }
                if !self.targets.is_empty() {
                    for (sequence, example, weight) in field.events(place, fields.rows) {
                        add(sum, weight, &self.of_x[example * stride + means + sequence * width..]);
                    }
                }
            }
        });
    }

    /// Writes the gradient by the vectors of numeric fields.
    pub fn collect_numbers(&self, batch: &Batch, out: &mut [f32]) {
        let (width, stride) = (self.width, self.stride());
        let start = (self.fields.len() + self.targets.len()) * width;
        out.par_chunks_exact_mut(width).enumerate().for_each(|(place, out)| {
            out.fill(0.0);
            let rows = self.of_x.chunks_exact(stride).zip(&batch.numeric[place]);
            rows.for_each(|(of_x, x)| add(out, *x, &of_x[start + place * width..]));
        });
    }
}

fn add(sum: &mut [f32], weight: f32, values: &[f32]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
}
