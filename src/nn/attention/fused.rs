//! How is target attention computed in one pass over the real positions, with its gradient?

use super::Weighting;
use crate::nn::Computed;
use crate::nn::linear::floats;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Shape, Tensor};
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

/// Sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    positions: usize,
    width: usize,
    units: usize,
}

/// The flat weights by part, or their gradient.
struct Parts<'a> {
    hidden: &'a [f32],
    hidden_bias: &'a [f32],
    output: &'a [f32],
    output_bias: f32,
}

/// One row's work space: what depends on its target only, and its positions' activations and weights.
struct Row {
    /// `[units, width]`: `W_h + W_p diag(t)`.
    by_history: Vec<f32>,
    /// `[units]`: `W_t t + b`.
    by_target: Vec<f32>,
    /// `[positions, units]` after relu.
    active: Vec<f32>,
    /// `[positions]`.
    weights: Vec<f32>,
}

/// Gradients of a run of rows.
struct Gradient {
    history: Vec<f32>,
    target: Vec<f32>,
    parts: Vec<f32>,
}

impl Sizes {
    fn parts(self, flat: &[f32]) -> Parts<'_> {
        let (hidden, rest) = flat.split_at(self.units * 3 * self.width);
        let (hidden_bias, rest) = rest.split_at(self.units);
        let (output, bias) = rest.split_at(self.units);
        Parts { hidden, hidden_bias, output, output_bias: bias.first().copied().unwrap_or(0.0) }
    }
}

impl Row {
    fn new(sizes: Sizes) -> Self {
        Self {
            by_history: vec![0.0; sizes.units * sizes.width],
            by_target: vec![0.0; sizes.units],
            active: vec![0.0; sizes.positions * sizes.units],
            weights: vec![0.0; sizes.positions],
        }
    }

    /// Fills the space for one row of `length` real positions.
    fn compute(&mut self, parts: &Parts<'_>, history: &[f32], target: &[f32], length: usize, how: Weighting) {
        let width = target.len();
        for (unit, weights) in parts.hidden.chunks_exact(3 * width).enumerate() {
            let (of_history, rest) = weights.split_at(width);
            let (of_target, of_product) = rest.split_at(width);
            let to = &mut self.by_history[unit * width..][..width];
            for (((to, h), p), t) in to.iter_mut().zip(of_history).zip(of_product).zip(target) {
                *to = h + p * t;
            }
            self.by_target[unit] = parts.hidden_bias[unit] + dot(of_target, target);
        }
        self.weights.fill(0.0);
        let units = self.by_target.len();
        for (position, h) in history.chunks_exact(width).take(length).enumerate() {
            let active = &mut self.active[position * units..][..units];
            for ((active, row), base) in
                active.iter_mut().zip(self.by_history.chunks_exact(width)).zip(&self.by_target)
            {
                *active = (base + dot(row, h)).max(0.0);
            }
            self.weights[position] = parts.output_bias + dot(active, parts.output);
        }
        weigh(&mut self.weights[..length], how);
    }
}

/// Scores become weights in place.
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

/// The scores' gradient from the weights and their gradient.
fn unweigh(weights: &[f32], gradient: &mut [f32], how: Weighting) {
    match how {
        Weighting::Softmax => {
            let mean = dot(weights, gradient);
            for (g, w) in gradient.iter_mut().zip(weights) {
                *g = w * (*g - mean);
            }
        }
        Weighting::Sigmoid => {
            for (g, w) in gradient.iter_mut().zip(weights) {
                *g *= w * (1.0 - w);
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

impl Fused {
    fn sizes(&self, history: &Shape) -> Computed<Sizes> {
        let (_, positions, width) = history.dims3()?;
        Ok(Sizes { positions, width, units: self.units })
    }

    /// `[rows, width + positions]`.
    fn values(&self, sizes: Sizes, history: &[f32], target: &[f32], flat: &[f32]) -> Vec<f32> {
        let parts = sizes.parts(flat);
        let stride = sizes.width + sizes.positions;
        let mut out = vec![0.0; self.lengths.len() * stride];
        out.par_chunks_mut(ROWS * stride).enumerate().for_each(|(chunk, out)| {
            let mut space = Row::new(sizes);
            for (place, out) in out.chunks_exact_mut(stride).enumerate() {
                let row = chunk * ROWS + place;
                let (history, target, length) = self.row(sizes, history, target, row);
                space.compute(&parts, history, target, length, self.weighting);
                let (pooled, weights) = out.split_at_mut(sizes.width);
                for (h, w) in history.chunks_exact(sizes.width).zip(&space.weights).take(length) {
                    add_scaled(pooled, *w, h);
                }
                weights.copy_from_slice(&space.weights);
            }
        });
        out
    }

    fn row<'a>(
        &self,
        sizes: Sizes,
        history: &'a [f32],
        target: &'a [f32],
        row: usize,
    ) -> (&'a [f32], &'a [f32], usize) {
        let stride = sizes.positions * sizes.width;
        let history = &history[row * stride..][..stride];
        (history, &target[row * sizes.width..][..sizes.width], self.lengths[row] as usize)
    }

    /// Gradients of history, target and weights from that of the output.
    fn gradient(&self, sizes: Sizes, inputs: [&[f32]; 3], out: &[f32]) -> Gradient {
        let [history, target, flat] = inputs;
        let rows: Vec<usize> = (0..self.lengths.len()).collect();
        let runs: Vec<Gradient> = rows
            .par_chunks(ROWS)
            .map(|rows| {
                let mut run = Gradient {
                    history: vec![0.0; rows.len() * sizes.positions * sizes.width],
                    target: vec![0.0; rows.len() * sizes.width],
                    parts: vec![0.0; flat.len()],
                };
                let mut space = Row::new(sizes);
                for (place, &row) in rows.iter().enumerate() {
                    let inputs = self.row(sizes, history, target, row);
                    let stride = sizes.width + sizes.positions;
                    let out = &out[row * stride..][..stride];
                    self.row_gradient(sizes, flat, inputs, out, &mut space, &mut run, place);
                }
                run
            })
            .collect();
        let mut whole = Gradient { history: Vec::new(), target: Vec::new(), parts: vec![0.0; flat.len()] };
        for run in runs {
            whole.history.extend(run.history);
            whole.target.extend(run.target);
            add_scaled(&mut whole.parts, 1.0, &run.parts);
        }
        whole
    }

    #[allow(clippy::too_many_arguments, reason = "one row of a kernel: its inputs, its space, its outputs")]
    fn row_gradient(
        &self,
        sizes: Sizes,
        flat: &[f32],
        (history, target, length): (&[f32], &[f32], usize),
        out: &[f32],
        space: &mut Row,
        run: &mut Gradient,
        place: usize,
    ) {
        let Sizes { positions, width, units } = sizes;
        let parts = sizes.parts(flat);
        space.compute(&parts, history, target, length, self.weighting);
        let (for_pooled, for_weights) = out.split_at(width);
        let for_history = &mut run.history[place * positions * width..][..positions * width];
        // By the weights: through the pooled history, and directly.
        let mut scores: Vec<f32> = history
            .chunks_exact(width)
            .zip(for_weights)
            .take(length)
            .map(|(h, direct)| direct + dot(for_pooled, h))
            .collect();
        unweigh(&space.weights[..length], &mut scores, self.weighting);
        let (hidden_part, rest) = run.parts.split_at_mut(units * 3 * width);
        let (bias_part, rest) = rest.split_at_mut(units);
        let (output_part, output_bias_part) = rest.split_at_mut(units);
        let mut by_history = vec![0.0; units * width];
        let mut by_target = vec![0.0; units];
        for (position, score) in scores.iter().enumerate() {
            let h = &history[position * width..][..width];
            let to = &mut for_history[position * width..][..width];
            add_scaled(to, space.weights[position], for_pooled);
            let active = &space.active[position * units..][..units];
            add_scaled(output_part, *score, active);
            for unit in (0..units).filter(|unit| active[*unit] > 0.0) {
                let through = score * parts.output[unit];
                by_target[unit] += through;
                add_scaled(&mut by_history[unit * width..][..width], through, h);
                add_scaled(to, through, &space.by_history[unit * width..][..width]);
            }
        }
        if let Some(bias) = output_bias_part.first_mut() {
            *bias += scores.iter().sum::<f32>();
        }
        let for_target = &mut run.target[place * width..][..width];
        for unit in 0..units {
            let weights = &parts.hidden[unit * 3 * width..][..3 * width];
            let part = &mut hidden_part[unit * 3 * width..][..3 * width];
            bias_part[unit] += by_target[unit];
            for k in 0..width {
                let through = by_history[unit * width + k];
                part[k] += through;
                part[width + k] += by_target[unit] * target[k];
                part[2 * width + k] += through * target[k];
                for_target[k] += by_target[unit] * weights[width + k] + through * weights[2 * width + k];
            }
        }
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
        let out = self.values(
            sizes,
            floats(history, history_layout)?,
            floats(target, target_layout)?,
            floats(weights, weights_layout)?,
        );
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
        let numbers = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let inputs = [numbers(history)?, numbers(target)?, numbers(weights)?];
        let [h, t, w] = &inputs;
        let whole = self.gradient(self.sizes(history.shape())?, [h, t, w], &numbers(gradient)?);
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.dims(), &Device::Cpu).map(Some);
        Ok((tensor(whole.history, history)?, tensor(whole.target, target)?, tensor(whole.parts, weights)?))
    }
}
