//! What do the direct forms of kinds on vectors of fields share? Rows found and read, gradients collected.

use super::Gradients;
use super::direct::{LinearTerm, Weights};
use super::features::FieldRows;
use crate::data::Batch;
use crate::nn::fields::Fields;
use crate::nn::row_vectors::RowVectors;

/// The linear part and one or more sets of a row's vectors, with the buffers between.
#[derive(Debug)]
pub struct OnVectors {
    rows: FieldRows,
    /// The categorical field whose vocabulary each sequence shares.
    targets: Vec<usize>,
    /// Place of the vectors of numeric fields, where they have some.
    of_numbers: Option<usize>,
    linear: LinearTerm,
    /// The batch's distinct rows.
    pub fields: Fields,
    /// Their embeddings.
    pub embeddings: Vec<f32>,
    /// What the kind computes on; it writes the gradients by them into their `of_x`.
    pub sets: Vec<RowVectors>,
}

impl OnVectors {
    /// For a table of embeddings, its linear part and the sets of vectors that are read from the table.
    pub fn new(
        rows: FieldRows,
        targets: Vec<usize>,
        of_numbers: Option<usize>,
        linear: LinearTerm,
        sets: Vec<RowVectors>,
    ) -> Self {
        let (fields, embeddings) = (Fields::default(), Vec::new());
        Self { rows, targets, of_numbers, linear, fields, embeddings, sets }
    }

    /// Place of the table of embeddings.
    pub fn table(&self) -> usize {
        self.rows.table
    }

    /// Reads a batch: fills the sets, and starts `logits` with the linear part.
    pub fn read(&mut self, weights: Weights<'_>, batch: &Batch, logits: &mut [f32]) {
        let Self { rows, targets, of_numbers, linear, fields, embeddings, sets } = self;
        rows.distinct(batch, weights.tables, targets, fields);
        fields.gather(&weights.tables[rows.table], embeddings);
        let of_numbers = of_numbers.map_or(&[][..], |place| &weights.dense[place].values);
        sets.iter_mut().for_each(|set| set.read(batch, fields, embeddings, of_numbers));
        logits.fill(0.0);
        linear.forward(weights, batch, fields, logits);
    }

    /// Writes the gradients of the linear part, of the embeddings and of the numbers' vectors.
    pub fn collect(&mut self, batch: &Batch, of_logits: &[f32], out: &mut Gradients) {
        self.linear.backward(batch, &self.fields, of_logits, out);
        let of_table = &mut out.tables[self.rows.table];
        for (place, set) in self.sets.iter().enumerate() {
            if place == 0 {
                self.fields.start_gradient(set.width, of_table);
            }
            set.collect(&self.fields, of_table);
        }
        if let (Some(place), Some(set)) = (self.of_numbers, self.sets.first()) {
            set.collect_numbers(batch, &mut out.dense[place]);
        }
    }
}
