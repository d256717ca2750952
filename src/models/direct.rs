//! How does a kind run without a graph, several times as fast?
//!
//! A [`Model`](super::Model) whose kind has hand-written sums answers [`direct`](super::Model::direct) with a
//! [`DirectModel`]: forward and backward on buffers of its own, kept from step to step. On the processor the network
//! takes it for training and scores; the graph stays as the oracle: same weights in, same loss and gradients (tests in
//! `tests/it/direct.rs`, over all kinds that have one). Elsewhere, and for attention weights, the graph runs.
//!
//! To give a kind its direct form, put together what is here and in `nn`:
//! [`Fields`] finds the distinct rows of a batch; [`LinearTerm`] is the linear part; [`PairTerm`] the pairwise products
//! of a factorisation machine; [`FieldLayer`] and
//! [`DeepPass`](crate::nn::deep::DeepPass) a deep network on embeddings (over plain numbers with
//! [`Plain`](crate::nn::deep::Plain)); [`product`](crate::nn::product::product) everything else. [`deep_fm`](super::deep_fm)
//! uses all of them. A model's parameters are told by place: `builder.parameters.len()` before it adds them.

use super::Gradients;
use crate::data::Batch;
use crate::nn::Pass;
use crate::nn::field_input::FieldLayer;
use crate::nn::fields::Fields;
use crate::nn::tables::{RowGradients, Table};
use crate::nn::weights::Parameter;
use rayon::prelude::*;

/// What a direct pass reads.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// Dense parameters, by place.
    pub dense: &'a [Parameter],
    /// Tables, by place.
    pub tables: &'a [Table],
}

/// A model's sums, written by hand, with the buffers of one thread of control.
pub trait DirectModel: Send {
    /// Writes the log odds of each example into `logits`, which has their number.
    fn forward(&mut self, weights: Weights<'_>, batch: &Batch, pass: &mut Pass<'_>, logits: &mut [f32]);

    /// Writes the derivative by every weight, from that by each logit; both for the batch of the last
    /// [`forward`](Self::forward). `out` has the shapes of all weights; what is left alone counts as 0.
    fn backward(&mut self, weights: Weights<'_>, batch: &Batch, of_logits: &[f32], out: &mut Gradients);
}

/// Examples that a thread takes at a time.
const ROWS: usize = 64;

/// A weight per categorical value, per number, and a bias.
#[derive(Debug)]
pub struct LinearTerm {
    /// Places of the table, of the numbers' weight and of the bias.
    table: usize,
    weight: usize,
    bias: usize,
    /// Weights of the distinct rows, and the gradient by them.
    values: Vec<f32>,
    of_values: Vec<f32>,
}

impl LinearTerm {
    /// For the parameters at these places.
    pub fn new(table: usize, weight: usize, bias: usize) -> Self {
        Self { table, weight, bias, values: Vec::new(), of_values: Vec::new() }
    }

    /// Adds the term to `logits`.
    pub fn forward(&mut self, weights: Weights<'_>, batch: &Batch, fields: &Fields, logits: &mut [f32]) {
        let bias = weights.dense[self.bias].values[0];
        logits.iter_mut().for_each(|logit| *logit += bias);
        fields.gather(&weights.tables[self.table], &mut self.values);
        fields.add_sums(&self.values, logits);
        for (weight, column) in weights.dense[self.weight].values.iter().zip(&batch.numeric) {
            logits.iter_mut().zip(column).for_each(|(logit, x)| *logit += weight * x);
        }
    }

    /// Writes its gradients. That by a value's weight is the sum of `of_logits` over the examples that have it.
    pub fn backward(&mut self, batch: &Batch, fields: &Fields, of_logits: &[f32], out: &mut Gradients) {
        out.dense[self.bias][0] = of_logits.iter().sum();
        for (of_weight, column) in out.dense[self.weight].iter_mut().zip(&batch.numeric) {
            *of_weight = column.iter().zip(of_logits).map(|(x, g)| x * g).sum();
        }
        self.of_values.resize(fields.distinct(), 0.0);
        fields.by_field(&mut self.of_values, 1).into_par_iter().for_each(|(at, values)| {
            for (place, value) in values.iter_mut().enumerate() {
                let examples = fields.fields[at].examples(place, fields.rows);
                *value = examples.iter().map(|example| of_logits[*example as usize]).sum();
            }
        });
        // Rows that only sequences read are not touched: an optimiser with a memory must not count them.
        let of_table = &mut out.tables[self.table];
        let mut values = self.of_values.iter();
        for field in &fields.fields {
            for ((place, row), value) in field.distinct.iter().enumerate().zip(&mut values) {
                if !field.examples(place, fields.rows).is_empty() {
                    of_table.rows.push(*row);
                    of_table.values.push(*value);
                }
            }
        }
    }

    /// For each of the batch's distinct rows the sum of `of_logits` over its examples, after
    /// [`backward`](Self::backward).
    pub fn of_values(&self) -> &[f32] {
        &self.of_values
    }
}

/// `sum over pairs i < j of <e_i, e_j>` over an example's embeddings and the means of its sequences.
#[derive(Debug, Default)]
pub struct PairTerm {
    /// Sums of each example's embeddings, `[rows, width]`; on the way back times the gradient by its logit.
    sums: Vec<f32>,
}

impl PairTerm {
    /// Adds the term to `logits`, as `(|sum e|² - sum |e|²) / 2` (Rendle 2010, lemma 3.1). `embeddings` are what
    /// [`Fields::gather`] wrote.
    pub fn forward(
        &mut self,
        fields: &Fields,
        layer: &FieldLayer,
        embeddings: &[f32],
        width: usize,
        logits: &mut [f32],
    ) {
        self.sums.resize(fields.rows * width, 0.0);
        let of_fields: Vec<_> = (0..fields.fields.len())
            .map(|at| (fields.fields[at].place.as_slice(), &embeddings[fields.range(at).start * width..]))
            .collect();
        let chunks = self.sums.par_chunks_mut((ROWS * width).max(1)).zip(logits.par_chunks_mut(ROWS));
        chunks.enumerate().for_each(|(chunk, (sums, logits))| {
            let mut squares = vec![0.0; width];
            let rows = sums.chunks_exact_mut(width.max(1)).zip(logits).enumerate();
            for (at, (sum, logit)) in rows {
                let example = chunk * ROWS + at;
                sum.fill(0.0);
                squares.fill(0.0);
                let mut add = |e: &[f32]| {
                    for ((sum, square), e) in sum.iter_mut().zip(&mut squares).zip(e) {
                        *sum += e;
                        *square += e * e;
                    }
                };
                for (place, embeddings) in &of_fields {
                    add(&embeddings[place[example] as usize * width..][..width]);
                }
                (0..layer.sequences()).for_each(|sequence| add(layer.mean(example, sequence)));
                let pairs = sum.iter().zip(&squares).map(|(sum, square)| sum * sum - square);
                *logit += 0.5 * pairs.sum::<f32>();
            }
        });
    }

    /// Prepares the way back, `d/de_i = g (sum e - e_i)`: adds the part of means to the layer's gradients, and answers
    /// `g sum e` for [`FieldLayer::collect`].
    pub fn backward(&mut self, layer: &mut FieldLayer, of_logits: &[f32], width: usize) -> &[f32] {
        for sequence in 0..layer.sequences() {
            for (example, g) in of_logits.iter().enumerate() {
                let mean = layer.mean(example, sequence).to_vec();
                let of_mean = layer.of_mean(example, sequence);
                of_mean.iter_mut().zip(mean).for_each(|(of_mean, mean)| *of_mean -= g * mean);
            }
        }
        for (sum, g) in self.sums.chunks_exact_mut(width.max(1)).zip(of_logits) {
            sum.iter_mut().for_each(|sum| *sum *= g);
        }
        &self.sums
    }

    /// Adds what is left of the way back to the gradient of embeddings: `-e` times the sum of `of_logits` over its
    /// examples, which is [`LinearTerm::of_values`].
    pub fn finish(of_values: &[f32], embeddings: &[f32], width: usize, gradients: &mut RowGradients) {
        let rows = gradients.values.chunks_exact_mut(width.max(1)).zip(embeddings.chunks_exact(width.max(1)));
        for ((sum, e), g) in rows.zip(of_values) {
            sum.iter_mut().zip(e).for_each(|(sum, e)| *sum -= g * e);
        }
    }
}
