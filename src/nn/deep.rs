//! How does a stack of dense layers run forwards and backwards without a graph?
//!
//! The same sums as [`Mlp`](super::mlp::Mlp), which is its oracle, on buffers that stay between steps. Bias and relu are
//! done while a product's sums are in registers, and so is the way back through them.

use super::Pass;
use super::dropout;
use super::mlp::MlpShape;
use super::normalise::EPSILON;
use super::product::{Finish, Pack, View, product, relu, sum_of_rows};
use super::weights::Parameter;
use rayon::prelude::*;

/// What the first layer stands on: plain numbers ([`Plain`]), or fields
/// ([`FieldInput`](super::field_input::FieldInput)).
pub trait DeepInput {
    /// Numbers a row.
    fn width(&self) -> usize;

    /// `out = x Wᵀ + b`, then relu if asked. `weight` is `[units, width]`, `out` is `[rows, units]`.
    fn forward(&mut self, weight: &[f32], bias: &[f32], relu: bool, out: &mut [f32], pack: &mut Pack);

    /// Writes the gradient by the weight, and by `x` where it wants it, from that by `x Wᵀ`.
    fn backward(&mut self, gradient: &[f32], weight: &[f32], of_weight: &mut [f32], pack: &mut Pack);
}

/// Plain numbers, `[rows, width]`.
#[derive(Debug)]
pub struct Plain<'a> {
    /// The numbers.
    pub x: &'a [f32],
    /// Numbers a row.
    pub width: usize,
    /// Where the gradient by the numbers is written, if it is wanted.
    pub of_x: Option<&'a mut [f32]>,
}

impl DeepInput for Plain<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn forward(&mut self, weight: &[f32], bias: &[f32], relu: bool, out: &mut [f32], pack: &mut Pack) {
        let shape = [out.len() / bias.len().max(1), bias.len(), self.width];
        let finish = if relu { Finish::BiasRelu(bias) } else { Finish::Bias(bias) };
        let weight = View::rows(weight, self.width).transposed();
        product(shape, View::rows(self.x, self.width), weight, out, finish, pack);
    }

    fn backward(&mut self, gradient: &[f32], weight: &[f32], of_weight: &mut [f32], pack: &mut Pack) {
        let width = self.width;
        let units = weight.len() / width.max(1);
        let rows = gradient.len() / units.max(1);
        let by_row = View::rows(gradient, units);
        let x = View::rows(self.x, width);
        product([units, width, rows], by_row.transposed(), x, of_weight, Finish::Set, pack);
        if let Some(of_x) = &mut self.of_x {
            product([rows, width, units], by_row, View::rows(weight, width), of_x, Finish::Set, pack);
        }
    }
}

/// Hidden layers with relu, then a linear output: forwards and backwards.
#[derive(Debug)]
pub struct DeepPass {
    /// Place of its first parameter among the network's.
    place: usize,
    shape: MlpShape,
    outputs: usize,
    rows: usize,
    hidden: Vec<HiddenPass>,
    /// `[rows, outputs]`.
    out: Vec<f32>,
    /// Gradients by the activations of one layer and of the layer below.
    gradient: Vec<f32>,
    below: Vec<f32>,
    pack: Pack,
}

/// What a hidden layer keeps for the way back.
#[derive(Debug, Default)]
struct HiddenPass {
    /// After relu and dropout, `[rows, units]`.
    out: Vec<f32>,
    /// Before gain and bias of the normalisation, and `1 / deviation` per row; empty without one.
    normalised: Vec<f32>,
    inverse: Vec<f32>,
    /// `1 / (1 - rate)` after dropout, else 1.
    scale: f32,
}

/// Rows of sums that a thread adds at a time: a fixed number, so that sums do not depend on the threads.
const ROWS: usize = 512;

impl DeepPass {
    /// For a stack whose parameters begin at `place`.
    pub fn new(place: usize, shape: MlpShape, outputs: usize) -> Self {
        Self {
            place,
            shape,
            outputs,
            rows: 0,
            hidden: (0..shape.layers).map(|_| HiddenPass::default()).collect(),
            out: Vec::new(),
            gradient: Vec::new(),
            below: Vec::new(),
            pack: Pack::default(),
        }
    }

    /// Parameters of a hidden layer.
    fn per_layer(&self) -> usize {
        if self.shape.normalise { 4 } else { 2 }
    }

    /// `[rows, inputs]` -> `[rows, outputs]`.
    pub fn forward(
        &mut self,
        weights: &[Parameter],
        input: &mut dyn DeepInput,
        rows: usize,
        pass: &mut Pass<'_>,
    ) -> &[f32] {
        let per_layer = self.per_layer();
        self.rows = rows;
        let mut units = 0;
        for layer in 0..self.shape.layers {
            let at = self.place + layer * per_layer;
            let (weight, bias) = (&weights[at].values, &weights[at + 1].values);
            let width = std::mem::replace(&mut units, bias.len());
            let (below, rest) = self.hidden.split_at_mut(layer);
            let HiddenPass { out, normalised, inverse, scale } = &mut rest[0];
            out.resize(rows * units, 0.0);
            let relu = !self.shape.normalise;
            match below.last() {
                None => input.forward(weight, bias, relu, out, &mut self.pack),
                Some(below) => Plain { x: &below.out, width, of_x: None }.forward(
                    weight,
                    bias,
                    relu,
                    out,
                    &mut self.pack,
                ),
            }
            if self.shape.normalise {
                let (gain, bias) = (&weights[at + 2].values, &weights[at + 3].values);
                normalise(out, normalised, inverse, gain, bias);
            }
            *scale = dropout::in_place(out, self.shape.dropout, pass);
        }
        let at = self.place + self.shape.layers * per_layer;
        let last = self.hidden.last().map_or(&[][..], |hidden| &hidden.out);
        self.out.resize(rows * self.outputs, 0.0);
        let weight = View::rows(&weights[at].values, units).transposed();
        let finish = Finish::Bias(&weights[at + 1].values);
        product(
            [rows, self.outputs, units],
            View::rows(last, units),
            weight,
            &mut self.out,
            finish,
            &mut self.pack,
        );
        &self.out
    }

    /// Writes the gradients by all weights of the stack into `dense`, in the network's order, from that by its
    /// outputs; the input takes its own. Follows the [`forward`](Self::forward) of the same batch.
    pub fn backward(
        &mut self,
        weights: &[Parameter],
        input: &mut dyn DeepInput,
        of_out: &[f32],
        dense: &mut [Vec<f32>],
    ) {
        let (rows, outputs, per_layer) = (self.rows, self.outputs, self.per_layer());
        let mut units = self.shape.units_of(self.shape.layers.saturating_sub(1));
        let Self { hidden, gradient, below, pack, .. } = self;
        let Some(last) = hidden.last() else {
            return;
        };
        gradient.resize(rows * units, 0.0);
        let at = self.place + self.shape.layers * per_layer;
        let (by_row, h) = (View::rows(of_out, outputs), View::rows(&last.out, units));
        product([outputs, units, rows], by_row.transposed(), h, &mut dense[at], Finish::Set, pack);
        column_sums(of_out, &mut dense[at + 1]);
        let gate = Finish::Gate { by: &last.out, scale: last.scale };
        let weight = View::rows(&weights[at].values, units);
        product([rows, units, outputs], by_row, weight, gradient, gate, pack);
        for layer in (0..self.shape.layers).rev() {
            let at = self.place + layer * per_layer;
            if self.shape.normalise {
                let (of_gain, of_bias) = dense[at + 2..].split_at_mut(1);
                let gain = &weights[at + 2].values;
                back_through_norm(gradient, &hidden[layer], gain, &mut of_gain[0], &mut of_bias[0]);
            }
            column_sums(gradient, &mut dense[at + 1]);
            let weight = &weights[at].values;
            if layer == 0 {
                input.backward(gradient, weight, &mut dense[at], pack);
                return;
            }
            let under = &hidden[layer - 1];
            let width = self.shape.units_of(layer - 1);
            let by_row = View::rows(gradient, units);
            let x = View::rows(&under.out, width);
            product([units, width, rows], by_row.transposed(), x, &mut dense[at], Finish::Set, pack);
            below.resize(rows * width, 0.0);
            let gate = Finish::Gate { by: &under.out, scale: under.scale };
            product([rows, width, units], by_row, View::rows(weight, width), below, gate, pack);
            std::mem::swap(gradient, below);
            units = width;
        }
    }
}

/// `out[j] = sum over rows of values[row][j]`, in an order that does not depend on the threads.
pub fn column_sums(values: &[f32], out: &mut [f32]) {
    let width = out.len();
    let zeros = vec![0.0; width];
    let sum = |part: &[f32]| {
        let mut sums = vec![0.0; width];
        sum_of_rows(&zeros, part, 0..(part.len() / width.max(1)) as u32, &mut sums);
        sums
    };
    let parts: Vec<_> = values.par_chunks((ROWS * width).max(1)).map(sum).collect();
    out.fill(0.0);
    for part in parts {
        out.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
}

/// Layer normalisation and relu in place (Ba, Kiros & Hinton 2016).
fn normalise(x: &mut [f32], normalised: &mut Vec<f32>, inverse: &mut Vec<f32>, gain: &[f32], bias: &[f32]) {
    let width = gain.len();
    normalised.resize(x.len(), 0.0);
    inverse.resize(x.len() / width, 0.0);
    let rows = x.par_chunks_mut(width).zip(normalised.par_chunks_mut(width)).zip(inverse.par_iter_mut());
    rows.with_min_len(ROWS / 8).for_each(|((x, normalised), inverse)| {
        let mean = x.iter().sum::<f32>() / width as f32;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / width as f32;
        *inverse = 1.0 / (variance + EPSILON as f32).sqrt();
        for ((x, normalised), (gain, bias)) in x.iter_mut().zip(normalised).zip(gain.iter().zip(bias)) {
            *normalised = (*x - mean) * *inverse;
            *x = relu(*normalised * gain + bias);
        }
    });
}

/// From the gradient by `gain n + bias` to that by the numbers before normalisation, in place.
fn back_through_norm(
    gradient: &mut [f32],
    hidden: &HiddenPass,
    gain: &[f32],
    of_gain: &mut [f32],
    of_bias: &mut [f32],
) {
    let width = gain.len();
    column_sums(gradient, of_bias);
    let products: Vec<f32> = gradient.iter().zip(&hidden.normalised).map(|(g, n)| g * n).collect();
    column_sums(&products, of_gain);
    let rows = gradient
        .par_chunks_mut(width)
        .zip(hidden.normalised.par_chunks(width))
        .zip(hidden.inverse.par_iter());
    rows.with_min_len(ROWS / 8).for_each(|((gradient, normalised), inverse)| {
        gradient.iter_mut().zip(gain).for_each(|(g, gain)| *g *= gain);
        let mean = gradient.iter().sum::<f32>() / width as f32;
        let along = gradient.iter().zip(normalised).map(|(g, n)| g * n).sum::<f32>() / width as f32;
        for (g, n) in gradient.iter_mut().zip(normalised) {
            *g = inverse * (*g - mean - n * along);
        }
    });
}
