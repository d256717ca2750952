//! How does a dense layer stand on embeddings without multiplying the same row twice?
//!
//! A layer on the embeddings of all fields side by side is a sum over fields, `h = b + sum_f W_f e_f`. Where the ids of
//! a field repeat within a batch, `W_f e` is worth computing once per distinct row and adding up; on the way back the
//! gradients by `h` are added up per distinct row first, and that sum is multiplied once for the weights and once for
//! the row. Both are the same sums in another order. Fields whose ids hardly repeat, means of sequences and numbers go
//! through an ordinary product, side by side.
//!
//! On Criteo-like batches of 4096 (39 fields, 26,000 distinct rows) this leaves a third of the first layer's work.

use super::deep::DeepInput;
use super::fields::Fields;
use super::product::{Finish, Pack, View, product, sum_of_rows};
use super::tables::RowGradients;
use crate::data::Batch;
use rayon::prelude::*;

/// Which columns the layer has: all categorical fields, the mean of each sequence, numbers; and buffers kept between
/// steps.
#[derive(Debug)]
pub struct FieldLayer {
    /// Numbers in an embedding.
    width: usize,
    /// The categorical field whose vocabulary each sequence shares.
    targets: Vec<usize>,
    /// Fields that are multiplied row by row, and those multiplied by distinct row.
    plain: Vec<usize>,
    shared: Vec<usize>,
    numbers: usize,
    /// `[rows, plain columns]`: plain fields, means of sequences, numbers.
    x: Vec<f32>,
    of_x: Vec<f32>,
    /// The weight's columns under `x`, `[units, plain columns]`, and their gradient.
    weight: Vec<f32>,
    of_weight: Vec<f32>,
    /// `W_f e` of the distinct rows of shared fields, `[.., units]`, with where each field begins.
    products: Vec<f32>,
    begins: Vec<usize>,
    /// The gradient by `W_f` of shared fields, `[shared, units, width]`.
    of_shared: Vec<f32>,
}

/// Share of a batch's examples up to which a field's distinct rows are few enough to be multiplied alone.
const SHARED_UP_TO: f64 = 0.5;
/// Distinct rows whose sums of gradients are kept in cache at a time.
const AT_ONCE: usize = 64;
/// Examples that a thread takes at a time.
const ROWS: usize = 64;

impl FieldLayer {
    /// For embeddings of `width` numbers, sequences over the vocabularies of `targets`, and `numbers` numeric columns.
    pub fn new(width: usize, targets: Vec<usize>, numbers: usize) -> Self {
        Self {
            width,
            targets,
            numbers,
            plain: Vec::new(),
            shared: Vec::new(),
            x: Vec::new(),
            of_x: Vec::new(),
            weight: Vec::new(),
            of_weight: Vec::new(),
            products: Vec::new(),
            begins: Vec::new(),
            of_shared: Vec::new(),
        }
    }

    /// Columns of `x`.
    fn plain_columns(&self) -> usize {
        (self.plain.len() + self.targets.len()) * self.width + self.numbers
    }

    /// First column of a sequence's mean in `x`.
    fn mean_column(&self, sequence: usize) -> usize {
        (self.plain.len() + sequence) * self.width
    }

    /// Takes a batch: chooses how each field is multiplied and lays out what is multiplied row by row. `embeddings` are
    /// what [`Fields::gather`] wrote.
    pub fn read(&mut self, batch: &Batch, fields: &Fields, embeddings: &[f32]) {
        let width = self.width;
        let few =
            |field: &usize| fields.fields[*field].distinct.len() as f64 <= SHARED_UP_TO * fields.rows as f64;
        (self.shared, self.plain) = (0..fields.fields.len()).partition(few);
        let stride = self.plain_columns();
        self.x.resize(fields.rows * stride, 0.0);
        let first_number = self.mean_column(self.targets.len());
        let plain: Vec<_> = self
            .plain
            .iter()
            .map(|field| (&fields.fields[*field].place, &embeddings[fields.range(*field).start * width..]))
            .collect();
        self.x.par_chunks_mut((ROWS * stride).max(1)).enumerate().for_each(|(chunk, x)| {
            for (row, x) in (chunk * ROWS..).zip(x.chunks_exact_mut(stride)) {
                for ((place, embeddings), to) in plain.iter().zip(x.chunks_exact_mut(width)) {
                    to.copy_from_slice(&embeddings[place[row] as usize * width..][..width]);
                }
                for (to, column) in x[first_number..].iter_mut().zip(&batch.numeric) {
                    *to = column[row];
                }
            }
        });
        for (sequence, target) in self.targets.iter().enumerate() {
            let column = self.mean_column(sequence);
            let to = (&mut self.x[..], stride, column, width);
            fields.write_means(sequence, *target, embeddings, to);
        }
    }

    /// The mean of a sequence for an example of the batch.
    pub fn mean(&self, example: usize, sequence: usize) -> &[f32] {
        &self.x[example * self.plain_columns() + self.mean_column(sequence)..][..self.width]
    }

    /// How many sequences stand beside the fields.
    pub fn sequences(&self) -> usize {
        self.targets.len()
    }

    /// For each part of `x` its columns in the layer's weight and in `x`, with their number.
    fn parts(&self, fields: usize) -> Vec<(usize, usize, usize)> {
        let width = self.width;
        let mut parts: Vec<_> =
            self.plain.iter().enumerate().map(|(at, field)| (field * width, at * width, width)).collect();
        let rest = self.targets.len() * width + self.numbers;
        parts.push((fields * width, self.plain.len() * width, rest));
        parts
    }

    /// Adds to a table's gradient, already started, what came back through [`FieldInput::backward`] to plain fields
    /// and sequences. `of_pairs` is added to the gradient by each example's embeddings (`[rows, width]`), and to that
    /// by its means, if there is one.
    pub fn collect(&self, fields: &Fields, of_pairs: Option<&[f32]>, gradients: &mut RowGradients) {
        let (width, stride) = (self.width, self.plain_columns());
        let parts = fields.by_field(&mut gradients.values, width);
        parts.into_par_iter().for_each(|(at, values)| {
            let (field, column) = (&fields.fields[at], self.plain.iter().position(|plain| *plain == at));
            for (place, sum) in values.chunks_exact_mut(width.max(1)).enumerate() {
                for example in field.examples(place, fields.rows) {
                    let example = *example as usize;
                    if let Some(column) = column {
                        add(sum, 1.0, &self.of_x[example * stride + column * width..]);
                    }
                    if let Some(of_pairs) = of_pairs {
                        add(sum, 1.0, &of_pairs[example * width..]);
                    }
                }
                for (sequence, example, weight) in field.events(place, fields.rows) {
                    add(sum, weight, &self.of_x[example * stride + self.mean_column(sequence)..]);
                    if let Some(of_pairs) = of_pairs {
                        add(sum, weight, &of_pairs[example * width..]);
                    }
                }
            }
        });
    }

    /// The gradient by the mean of a sequence for an example, to which others may add theirs.
    pub fn of_mean(&mut self, example: usize, sequence: usize) -> &mut [f32] {
        let at = example * self.plain_columns() + self.mean_column(sequence);
        &mut self.of_x[at..][..self.width]
    }
}

fn add(sum: &mut [f32], weight: f32, values: &[f32]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
}

/// A [`FieldLayer`] over one batch.
#[derive(Debug)]
pub struct FieldInput<'a> {
    /// Its buffers, after [`FieldLayer::read`].
    pub layer: &'a mut FieldLayer,
    /// The batch's distinct rows.
    pub fields: &'a Fields,
    /// Their embeddings.
    pub embeddings: &'a [f32],
    /// Gets the gradient by the embeddings of shared fields; the others' is asked for by [`FieldLayer::collect`].
    pub gradients: Option<&'a mut RowGradients>,
}

impl DeepInput for FieldInput<'_> {
    fn width(&self) -> usize {
        (self.fields.fields.len() + self.layer.targets.len()) * self.layer.width + self.layer.numbers
    }

    fn forward(&mut self, weight: &[f32], bias: &[f32], relu: bool, out: &mut [f32], pack: &mut Pack) {
        let (inputs, units, width) = (self.width(), bias.len(), self.layer.width);
        let (fields, embeddings) = (self.fields, self.embeddings);
        let layer = &mut *self.layer;
        // W_f e for the distinct rows of shared fields.
        layer.begins.clear();
        let mut count = 0;
        for field in &layer.shared {
            layer.begins.push(count);
            count += fields.fields[*field].distinct.len();
        }
        layer.products.resize(count * units, 0.0);
        let mut rest = layer.products.as_mut_slice();
        let mut tasks = Vec::with_capacity(layer.shared.len());
        for field in &layer.shared {
            let (part, others) = rest.split_at_mut(fields.fields[*field].distinct.len() * units);
            tasks.push((*field, part));
            rest = others;
        }
        tasks.into_par_iter().for_each(|(field, part)| {
            let range = fields.range(field);
            let e = View::rows(&embeddings[range.start * width..range.end * width], width);
            let of_field = View { values: &weight[field * width..], row: 1, column: inputs };
            product([range.len(), units, width], e, of_field, part, Finish::Set, &mut Pack::default());
        });
        // Added up for each example.
        let places: Vec<_> = layer
            .shared
            .iter()
            .zip(&layer.begins)
            .map(|(field, begin)| (*begin as u32, fields.fields[*field].place.as_slice()))
            .collect();
        let products = &layer.products;
        out.par_chunks_mut(ROWS * units).enumerate().for_each(|(chunk, out)| {
            for (row, out) in (chunk * ROWS..).zip(out.chunks_exact_mut(units)) {
                let rows = places.iter().map(|(begin, place)| begin + place[row]);
                sum_of_rows(bias, products, rows, out);
            }
        });
        // The rest, as one product.
        let columns = layer.plain_columns();
        let parts = layer.parts(fields.fields.len());
        layer.weight.resize(units * columns, 0.0);
        for (from, to) in
            weight.chunks_exact(inputs.max(1)).zip(layer.weight.chunks_exact_mut(columns.max(1)))
        {
            for (in_weight, in_x, count) in &parts {
                to[*in_x..in_x + count].copy_from_slice(&from[*in_weight..in_weight + count]);
            }
        }
        let finish = if relu { Finish::AddRelu } else { Finish::Add };
        let w = View::rows(&layer.weight, columns).transposed();
        product([fields.rows, units, columns], View::rows(&layer.x, columns), w, out, finish, pack);
    }

    fn backward(&mut self, gradient: &[f32], weight: &[f32], of_weight: &mut [f32], pack: &mut Pack) {
        let (inputs, rows) = (self.width(), self.fields.rows);
        let units = weight.len() / inputs.max(1);
        let columns = self.layer.plain_columns();
        let parts = self.layer.parts(self.fields.fields.len());
        self.shared_backward(gradient, weight, of_weight, units);
        let layer = &mut *self.layer;
        let by_row = View::rows(gradient, units);
        layer.of_weight.resize(units * columns, 0.0);
        let x = View::rows(&layer.x, columns);
        let of_plain = &mut layer.of_weight;
        product([units, columns, rows], by_row.transposed(), x, of_plain, Finish::Set, pack);
        for (to, from) in of_weight.chunks_exact_mut(inputs.max(1)).zip(of_plain.chunks_exact(columns.max(1)))
        {
            for (in_weight, in_x, count) in &parts {
                to[*in_weight..in_weight + count].copy_from_slice(&from[*in_x..in_x + count]);
            }
        }
        layer.of_x.resize(rows * columns, 0.0);
        let w = View::rows(&layer.weight, columns);
        product([rows, columns, units], by_row, w, &mut layer.of_x, Finish::Set, pack);
    }
}

impl FieldInput<'_> {
    /// Shared fields: `S_u = sum of gradients of u's examples`, then `of e_u = S_u W_f` and `of W_f = Sᵀ E`.
    fn shared_backward(&mut self, gradient: &[f32], weight: &[f32], of_weight: &mut [f32], units: usize) {
        let (inputs, width) = (self.width(), self.layer.width);
        let (fields, embeddings) = (self.fields, self.embeddings);
        let Some(gradients) = self.gradients.as_deref_mut() else {
            return;
        };
        let layer = &mut *self.layer;
        layer.of_shared.resize(layer.shared.len() * units * width, 0.0);
        let mut of_weights = layer.of_shared.chunks_exact_mut((units * width).max(1));
        let zeros = vec![0.0; units];
        let mut tasks = Vec::with_capacity(layer.shared.len());
        let shared = &layer.shared;
        for (field, values) in fields.by_field(&mut gradients.values, width) {
            if shared.contains(&field) {
                tasks.extend(of_weights.next().map(|of_weight| (field, values, of_weight)));
            }
        }
        tasks.into_par_iter().for_each(|(at, values, of_weight)| {
            let field = &fields.fields[at];
            let e = &embeddings[fields.range(at).start * width..];
            let of_field = View { values: &weight[at * width..], row: inputs, column: 1 };
            let (mut sums, mut pack) = (vec![0.0; AT_ONCE * units], Pack::default());
            of_weight.fill(0.0);
            for (block, values) in values.chunks_mut(AT_ONCE * width).enumerate() {
                let (first, count) = (block * AT_ONCE, values.len() / width);
                for (place, sum) in (first..first + count).zip(sums.chunks_exact_mut(units)) {
                    let examples = field.examples(place, fields.rows).iter().copied();
                    sum_of_rows(&zeros, gradient, examples, sum);
                }
                let s = View::rows(&sums[..count * units], units);
                product([count, width, units], s, of_field, values, Finish::Set, &mut pack);
                let e = View::rows(&e[first * width..], width);
                product([units, width, count], s.transposed(), e, of_weight, Finish::Add, &mut pack);
            }
        });
        for (field, from) in layer.shared.iter().zip(layer.of_shared.chunks_exact((units * width).max(1))) {
            for (to, from) in of_weight.chunks_exact_mut(inputs).zip(from.chunks_exact(width)) {
                to[field * width..][..width].copy_from_slice(from);
            }
        }
    }
}
