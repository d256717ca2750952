//! How is target attention computed in one pass over the real positions, with its gradient?
//!
//! `W_h h + W_t t + W_p (h t) + b` is, for one row, `(W_h + W_p diag(t)) h + (W_t t + b)`: a third of the products, and
//! nothing of the size `[rows, positions, units]` is ever stored. The way back computes a row's activations again,
//! which costs less than to write and read them.

use super::Weighting;
use crate::nn::Computed;
use crate::nn::linear::{floats, read};
use crate::nn::product::relu;
use crate::nn::vector::{LANES, add_product, add_scaled, add_transposed_product, dot, padded, vectorized};
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Shape, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Rows a thread takes at a time: a fixed number, so that sums do not depend on the threads.
const ROWS: usize = 64;

/// Takes history `[rows, positions, width]`, target `[rows, width]` and the flat weights (hidden `[units, 3 width]`,
/// its bias `[units]`, output `[units]` and, for sigmoid, its bias `[1]`); answers `[rows, width + positions]`: the
/// pooled history, then the weights.
pub(super) struct Fused {
    pub(super) lengths: Vec<u32>,
    pub(super) units: usize,
    pub(super) weighting: Weighting,
}

/// Sizes of one call; `wide` and `many` are width and units padded to whole vectors.
#[derive(Clone, Copy)]
struct Sizes {
    positions: usize,
    width: usize,
    units: usize,
    wide: usize,
    many: usize,
}

/// The weights by part, padded with zeros; a unit of zeros gives and gets nothing.
struct Weights {
    /// `[3 width, many]`: of history, target and product, units side by side.
    hidden: Vec<f32>,
    /// `[many, wide]` of history and of product, one behind the other.
    by_unit: Vec<f32>,
    /// `[many]`.
    hidden_bias: Vec<f32>,
    /// `[many]`.
    output: Vec<f32>,
    output_bias: f32,
}

/// One thread's work space for one row.
struct Space {
    /// `[positions, wide]`.
    history: Vec<f32>,
    /// `[width, positions]`, positions rounded up to bands of 4.
    history_columns: Vec<f32>,
    /// `[wide]`.
    target: Vec<f32>,
    /// `[wide]`.
    for_pooled: Vec<f32>,
    /// `[width, many]`: `W_h + W_p diag(t)`.
    by_history: Vec<f32>,
    /// `[many, wide]`: the same, units one after another.
    by_unit: Vec<f32>,
    /// `[positions, many]` after relu.
    active: Vec<f32>,
    /// `[positions, many]`: the gradient by the hidden units.
    flow: Vec<f32>,
    /// `[wide, many]`: the gradient of `by_history`.
    of_by_history: Vec<f32>,
    /// `[many]`: the gradient of `W_t t + b`.
    of_by_target: Vec<f32>,
    /// `[positions, wide]`: the gradient of the history.
    of_history: Vec<f32>,
    /// `[positions]`.
    weights: Vec<f32>,
    /// `[positions]`: the gradient of the scores.
    scores: Vec<f32>,
}

/// Sums over the rows of a run, laid out like [`Weights`].
#[derive(Clone)]
struct Sums {
    hidden: Vec<f32>,
    hidden_bias: Vec<f32>,
    output: Vec<f32>,
    output_bias: f32,
}

impl Sizes {
    fn weights(self, flat: &[f32]) -> Weights {
        let Self { width, units, wide, many, .. } = self;
        let (hidden, rest) = flat.split_at(units * 3 * width);
        let (hidden_bias, rest) = rest.split_at(units);
        let (output, bias) = rest.split_at(units);
        let fill = |from: &[f32]| {
            let mut to = vec![0.0; many];
            to[..units].copy_from_slice(from);
            to
        };
        let mut weights = Weights {
            hidden: vec![0.0; 3 * width * many],
            by_unit: vec![0.0; 2 * many * wide],
            hidden_bias: fill(hidden_bias),
            output: fill(output),
            output_bias: bias.first().copied().unwrap_or(0.0),
        };
        let (of_history, of_product) = weights.by_unit.split_at_mut(many * wide);
        for (unit, from) in hidden.chunks_exact((3 * width).max(1)).enumerate() {
            of_history[unit * wide..][..width].copy_from_slice(&from[..width]);
            of_product[unit * wide..][..width].copy_from_slice(&from[2 * width..]);
            for (k, value) in from.iter().enumerate() {
                weights.hidden[k * many + unit] = *value;
            }
        }
        weights
    }

    fn space(self) -> Space {
        let Self { positions, width, wide, many, .. } = self;
        let banded = positions.next_multiple_of(LANES);
        Space {
            history: vec![0.0; positions * wide],
            history_columns: vec![0.0; width * banded],
            target: vec![0.0; wide],
            for_pooled: vec![0.0; wide],
            by_history: vec![0.0; width * many],
            by_unit: vec![0.0; many * wide],
            active: vec![0.0; banded * many],
            flow: vec![0.0; positions * many],
            of_by_history: vec![0.0; wide * many],
            of_by_target: vec![0.0; many],
            of_history: vec![0.0; positions * wide],
            weights: vec![0.0; positions],
            scores: vec![0.0; positions],
        }
    }

    fn sums(self) -> Sums {
        Sums {
            hidden: vec![0.0; 3 * self.width * self.many],
            hidden_bias: vec![0.0; self.many],
            output: vec![0.0; self.many],
            output_bias: 0.0,
        }
    }
}

impl Sums {
    fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.hidden, &other.hidden),
            (&mut self.hidden_bias, &other.hidden_bias),
            (&mut self.output, &other.output),
        ];
        for (to, from) in pairs {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
        self.output_bias += other.output_bias;
    }

    /// In the order of the flat weights.
    fn flat(&self, sizes: Sizes, with_output_bias: bool) -> Vec<f32> {
        let Sizes { width, units, many, .. } = sizes;
        let hidden = (0..units * 3 * width).map(|at| self.hidden[at % (3 * width) * many + at / (3 * width)]);
        let rest = self.hidden_bias[..units].iter().chain(&self.output[..units]).copied();
        hidden.chain(rest).chain(with_output_bias.then_some(self.output_bias)).collect()
    }
}

impl Space {
    /// Fills the space for one row up to the weights of its `length` real positions.
    #[inline(always)]
    fn compute<S: Simd>(
        &mut self,
        simd: S,
        sizes: Sizes,
        weights: &Weights,
        (history, target, length): (&[f32], &[f32], usize),
        how: Weighting,
    ) {
        let Sizes { width, wide, many, .. } = sizes;
        self.target[..width].copy_from_slice(target);
        let banded = length.next_multiple_of(4);
        let columns = &mut self.history_columns[..width * banded];
        columns.fill(0.0);
        for (position, from) in history.chunks_exact(width).take(length).enumerate() {
            self.history[position * wide..][..width].copy_from_slice(from);
            for (k, value) in from.iter().enumerate() {
                columns[k * banded + position] = *value;
            }
        }
        let (of_history, rest) = weights.hidden.split_at(width * many);
        let (of_target, of_product) = rest.split_at(width * many);
        self.by_history.copy_from_slice(of_history);
        let active = &mut self.active[..banded * many];
        let (by_target, others) = active.split_at_mut(many.min(banded * many));
        if by_target.is_empty() {
            return;
        }
        by_target.copy_from_slice(&weights.hidden_bias);
        for (k, t) in target.iter().enumerate() {
            add_scaled(simd, &mut self.by_history[k * many..][..many], *t, &of_product[k * many..][..many]);
            add_scaled(simd, by_target, *t, &of_target[k * many..][..many]);
        }
        others.chunks_exact_mut(many).for_each(|to| to.copy_from_slice(by_target));
        add_transposed_product(simd, active, columns, &self.by_history, (banded, many));
        let scores = &mut self.weights[..length];
        for (score, active) in scores.iter_mut().zip(active.chunks_exact_mut(many)) {
            active.iter_mut().for_each(|unit| *unit = relu(*unit));
            *score = weights.output_bias + dot(simd, active, &weights.output);
        }
        weigh(scores, how);
    }

    /// The gradients of one row after [`compute`](Self::compute): of the weights into `sums`, of the history into the
    /// space, of the target into `for_target`.
    #[inline(always)]
    fn gradient<S: Simd>(
        &mut self,
        simd: S,
        sizes: Sizes,
        weights: &Weights,
        (for_pooled, for_weights, length): (&[f32], &[f32], usize),
        how: Weighting,
        (sums, for_target): (&mut Sums, &mut [f32]),
    ) {
        let Sizes { width, wide, many, .. } = sizes;
        self.for_pooled[..width].copy_from_slice(for_pooled);
        let history = &self.history[..length * wide];
        let of_history = &mut self.of_history[..length * wide];
        // By the weights: through the pooled history, and directly.
        let scores = &mut self.scores[..length];
        for ((score, h), direct) in scores.iter_mut().zip(history.chunks_exact(wide)).zip(for_weights) {
            *score = direct + dot(simd, &self.for_pooled, h);
        }
        unweigh(&self.weights[..length], scores, how);
        for (to, weight) in of_history.chunks_exact_mut(wide).zip(&self.weights) {
            to.iter_mut().zip(&self.for_pooled).for_each(|(to, from)| *to = weight * from);
        }
        sums.output_bias += scores.iter().sum::<f32>();
        self.flow(simd, &weights.output, length, &mut sums.output);
        let flow = &self.flow[..length * many];
        // Through the hidden units to the history.
        let (of_unit, of_product) = weights.by_unit.split_at(many * wide);
        let rows = of_unit.chunks_exact(wide).zip(of_product.chunks_exact(wide));
        for (to, (h, p)) in self.by_unit.chunks_exact_mut(wide).zip(rows) {
            for (((to, h), p), t) in to.iter_mut().zip(h).zip(p).zip(&self.target) {
                *to = h + p * t;
            }
        }
        add_product(simd, &mut self.of_history[..length * wide], flow, &self.by_unit, (many, wide));
        // And to the weights and the target.
        self.of_by_history.fill(0.0);
        let history = &self.history[..length * wide];
        add_transposed_product(simd, &mut self.of_by_history, history, flow, (wide, many));
        add_scaled(simd, &mut sums.hidden_bias, 1.0, &self.of_by_target);
        let (to_history, rest) = sums.hidden.split_at_mut(width * many);
        let (to_target, to_product) = rest.split_at_mut(width * many);
        for (k, t) in self.target[..width].iter().enumerate() {
            let row = k * many..(k + 1) * many;
            let through = &self.of_by_history[row.clone()];
            add_scaled(simd, &mut to_history[row.clone()], 1.0, through);
            add_scaled(simd, &mut to_product[row.clone()], *t, through);
            add_scaled(simd, &mut to_target[row.clone()], *t, &self.of_by_target);
            let of_target = &weights.hidden[(width + k) * many..][..many];
            let of_product = &weights.hidden[(2 * width + k) * many..][..many];
            for_target[k] = dot(simd, &self.of_by_target, of_target) + dot(simd, through, of_product);
        }
    }

    /// From the scores' gradient to that of the hidden units, and of their output weights.
    #[inline(always)]
    fn flow<S: Simd>(&mut self, simd: S, output: &[f32], length: usize, to_output: &mut [f32]) {
        let many = output.len();
        let vectors = many / S::F32_LANES;
        let (active, _) = S::as_simd_f32s(&self.active[..length * many]);
        let (flow, _) = S::as_mut_simd_f32s(&mut self.flow[..length * many]);
        let (of_by_target, _) = S::as_mut_simd_f32s(&mut self.of_by_target);
        let (output, _) = S::as_simd_f32s(output);
        let (to_output, _) = S::as_mut_simd_f32s(to_output);
        let zero = simd.splat_f32s(0.0);
        for v in 0..vectors {
            let (mut by_target, mut by_output) = (zero, to_output[v]);
            let places = (v..length * vectors).step_by(vectors.max(1));
            for (place, score) in places.zip(&self.scores[..length]) {
                let (score, active) = (simd.splat_f32s(*score), active[place]);
                let through = simd.mul_f32s(score, output[v]);
                flow[place] = simd.select_f32s(simd.greater_than_f32s(active, zero), through, zero);
                by_target = simd.add_f32s(by_target, flow[place]);
                by_output = simd.mul_add_e_f32s(score, active, by_output);
            }
            of_by_target[v] = by_target;
            to_output[v] = by_output;
        }
    }
}

/// Scores become weights in place.
#[inline(always)]
fn weigh(scores: &mut [f32], how: Weighting) {
    match how {
        Weighting::Softmax => {
            let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            scores.iter_mut().for_each(|score| *score = (*score - top).exp());
            let sum: f32 = scores.iter().sum();
            scores.iter_mut().for_each(|score| *score /= sum);
        }
        Weighting::Sigmoid => {
            scores.iter_mut().for_each(|score| *score = 0.5 * ((0.5 * *score).tanh() + 1.0));
        }
    }
}

/// The scores' gradient from the weights and their gradient, in place.
#[inline(always)]
fn unweigh(weights: &[f32], gradient: &mut [f32], how: Weighting) {
    match how {
        Weighting::Softmax => {
            let mean: f32 = weights.iter().zip(&*gradient).map(|(w, g)| w * g).sum();
            gradient.iter_mut().zip(weights).for_each(|(g, w)| *g = w * (*g - mean));
        }
        Weighting::Sigmoid => {
            gradient.iter_mut().zip(weights).for_each(|(g, w)| *g *= w * (1.0 - w));
        }
    }
}

/// What a run of rows needs on the way forward.
struct Forward<'a> {
    fused: &'a Fused,
    sizes: Sizes,
    weights: &'a Weights,
    inputs: [&'a [f32]; 2],
    first: usize,
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { fused, sizes, weights, inputs, first, out } = self;
        let mut space = sizes.space();
        for (place, out) in out.chunks_exact_mut(sizes.width + sizes.positions).enumerate() {
            let row = fused.row(sizes, inputs, first + place);
            space.compute(simd, sizes, weights, row, fused.weighting);
            let (pooled, to_weights) = out.split_at_mut(sizes.width);
            let (history, _, length) = row;
            for (h, weight) in history.chunks_exact(sizes.width).zip(&space.weights).take(length) {
                pooled.iter_mut().zip(h).for_each(|(to, from)| *to += weight * from);
            }
            to_weights[..length].copy_from_slice(&space.weights[..length]);
        }
    }
}

/// What a run of rows needs on the way back; answers the sums over its rows.
struct Backward<'a> {
    fused: &'a Fused,
    sizes: Sizes,
    weights: &'a Weights,
    inputs: [&'a [f32]; 2],
    first: usize,
    out: &'a [f32],
    for_history: &'a mut [f32],
    for_target: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = Sums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Sums {
        let Self { fused, sizes, weights, inputs, first, out, for_history, for_target } = self;
        let Sizes { positions, width, wide, .. } = sizes;
        let mut space = sizes.space();
        let mut sums = sizes.sums();
        let to = for_history.chunks_exact_mut(positions * width).zip(for_target.chunks_exact_mut(width));
        for (place, (for_history, for_target)) in to.enumerate() {
            let row = fused.row(sizes, inputs, first + place);
            let length = row.2;
            if length == 0 {
                continue;
            }
            space.compute(simd, sizes, weights, row, fused.weighting);
            let stride = width + positions;
            let (for_pooled, for_weights) = out[(first + place) * stride..][..stride].split_at(width);
            let gradient = (for_pooled, for_weights, length);
            space.gradient(simd, sizes, weights, gradient, fused.weighting, (&mut sums, for_target));
            let rows = for_history.chunks_exact_mut(width).zip(space.of_history.chunks_exact(wide));
            rows.take(length).for_each(|(to, from)| to.copy_from_slice(&from[..width]));
        }
        sums
    }
}

impl Fused {
    fn sizes(&self, history: &Shape) -> Computed<Sizes> {
        let (_, positions, width) = history.dims3()?;
        Ok(self.sized(positions, width))
    }

    fn sized(&self, positions: usize, width: usize) -> Sizes {
        let units = self.units;
        Sizes { positions, width, units, wide: padded(width), many: padded(units) }
    }

    /// The forward pass on plain numbers.
    pub(super) fn pool(&self, positions: usize, width: usize, inputs: [&[f32]; 2], flat: &[f32]) -> Vec<f32> {
        self.values(self.sized(positions, width), inputs, flat)
    }

    /// The way back on plain numbers: gradients of history, target and weights.
    pub(super) fn unpool(
        &self,
        positions: usize,
        width: usize,
        inputs: [&[f32]; 2],
        flat: &[f32],
        out: &[f32],
    ) -> [Vec<f32>; 3] {
        self.gradient(self.sized(positions, width), inputs, flat, out)
    }

    fn row<'a>(
        &self,
        sizes: Sizes,
        [history, target]: [&'a [f32]; 2],
        row: usize,
    ) -> (&'a [f32], &'a [f32], usize) {
        let stride = sizes.positions * sizes.width;
        let history = &history[row * stride..][..stride];
        (history, &target[row * sizes.width..][..sizes.width], self.lengths[row] as usize)
    }

    /// `[rows, width + positions]`.
    fn values(&self, sizes: Sizes, inputs: [&[f32]; 2], flat: &[f32]) -> Vec<f32> {
        let weights = &sizes.weights(flat);
        let stride = sizes.width + sizes.positions;
        let mut out = vec![0.0; self.lengths.len() * stride];
        out.par_chunks_mut(ROWS * stride).enumerate().for_each(|(run, out)| {
            vectorized(Forward { fused: self, sizes, weights, inputs, first: run * ROWS, out });
        });
        out
    }

    /// Gradients of history, target and weights from that of the output.
    fn gradient(&self, sizes: Sizes, inputs: [&[f32]; 2], flat: &[f32], out: &[f32]) -> [Vec<f32>; 3] {
        let weights = &sizes.weights(flat);
        let mut for_history = vec![0.0; inputs[0].len()];
        let mut for_target = vec![0.0; inputs[1].len()];
        let runs: Vec<Sums> = for_history
            .par_chunks_mut(ROWS * sizes.positions * sizes.width)
            .zip(for_target.par_chunks_mut(ROWS * sizes.width))
            .enumerate()
            .map(|(run, (for_history, for_target))| {
                let first = run * ROWS;
                vectorized(Backward {
                    fused: self,
                    sizes,
                    weights,
                    inputs,
                    first,
                    out,
                    for_history,
                    for_target,
                })
            })
            .collect();
        let mut sums = sizes.sums();
        runs.iter().for_each(|run| sums.add(run));
        let with_output_bias = flat.len() > sizes.units * (3 * sizes.width + 2);
        [for_history, for_target, sums.flat(sizes, with_output_bias)]
    }
}

impl CustomOp3 for Fused {
    fn name(&self) -> &'static str {
        "target-attention"
    }

    fn cpu_fwd(
        &self,
        history: &CpuStorage,
        history_layout: &Layout,
        target: &CpuStorage,
        target_layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
    ) -> Computed<(CpuStorage, Shape)> {
        let sizes = self.sizes(history_layout.shape())?;
        let inputs = [floats(history, history_layout)?, floats(target, target_layout)?];
        let out = self.values(sizes, inputs, floats(weights, weights_layout)?);
        Ok((CpuStorage::F32(out), (self.lengths.len(), sizes.width + sizes.positions).into()))
    }

    fn bwd(
        &self,
        history: &Tensor,
        target: &Tensor,
        weights: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> Computed<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = self.sizes(history.shape())?;
        let [of_history, of_target, of_weights] =
            read([history, target, weights, gradient], |[history, target, weights, out]| {
                self.gradient(sizes, [history, target], weights, out)
            })?;
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.dims(), &Device::Cpu).map(Some);
        Ok((tensor(of_history, history)?, tensor(of_target, target)?, tensor(of_weights, weights)?))
    }
}
