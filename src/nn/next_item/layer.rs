//! What does one layer of the authors' make of sequences, and how does a slope come back through it?
//!
//! `q = norm(x)`; each position asks itself and those before it, `o = attention(q Q, x K, x V) + q`; then
//! `y = norm(o)` and `y + outer(relu(inner y))`, both linear. Keys and answers are of `x` itself, and what is added beside a
//! part is its normalised input: so in the authors' program, though not in the paper's equation 5. One head.

use super::Sequences;
use crate::nn::Pass;
use crate::nn::dropout::in_place;
use crate::nn::product::{Finish, Pack, View, product};

/// Keeps a variance away from 0: the authors'.
const EPSILON: f32 = 1e-8;

/// Sizes of a layer's weights in their order: gain and bias of the first normalisation, weights `[inputs, outputs]` and bias
/// of questions, keys and answers, the second normalisation, the inner and the outer layer.
pub(super) fn layer_sizes(width: usize) -> [usize; 14] {
    let (w, all) = (width, width * width);
    [w, w, all, w, all, w, all, w, w, w, all, w, all, w]
}

/// Parts of a slice, of these sizes.
pub(super) fn split<const N: usize>(mut rest: &[f32], sizes: [usize; N]) -> [&[f32]; N] {
    sizes.map(|size| rest.split_off(..size).unwrap_or_default())
}

/// The same to be written.
pub(super) fn split_mut<const N: usize>(mut rest: &mut [f32], sizes: [usize; N]) -> [&mut [f32]; N] {
    sizes.map(|size| rest.split_off_mut(..size).unwrap_or_default())
}

/// Rows less their mean, over their deviation; times a gain, plus a bias.
pub(super) struct Normed {
    scaled: Vec<f32>,
    /// 1 over each row's deviation.
    inverse: Vec<f32>,
    pub(super) out: Vec<f32>,
}

impl Normed {
    pub(super) fn of(x: &[f32], gain: &[f32], bias: &[f32]) -> Self {
        let width = gain.len();
        let share = 1.0 / width as f32;
        let (mut scaled, mut out) = (x.to_vec(), vec![0.0; x.len()]);
        let rows = scaled.chunks_exact_mut(width).zip(out.chunks_exact_mut(width));
        let inverse = rows
            .map(|(row, out)| {
                let mean = share * row.iter().sum::<f32>();
                row.iter_mut().for_each(|x| *x -= mean);
                let variance = share * row.iter().map(|x| x * x).sum::<f32>();
                let inverse = 1.0 / (variance + EPSILON).sqrt();
                for (((x, out), gain), bias) in row.iter_mut().zip(out).zip(gain).zip(bias) {
                    *x *= inverse;
                    *out = gain * *x + bias;
                }
                inverse
            })
            .collect();
        Self { scaled, inverse, out }
    }

    /// The slope by what was normalised; adds those by gain and bias.
    pub(super) fn backward(
        &self,
        of_out: &[f32],
        gain: &[f32],
        of_gain: &mut [f32],
        of_bias: &mut [f32],
    ) -> Vec<f32> {
        let width = gain.len();
        let share = 1.0 / width as f32;
        let mut of_x = of_out.to_vec();
        let rows = of_x.chunks_exact_mut(width).zip(self.scaled.chunks_exact(width)).zip(&self.inverse);
        for ((of, scaled), inverse) in rows {
            let (mut sum, mut along) = (0.0, 0.0);
            for k in 0..width {
                of_gain[k] += of[k] * scaled[k];
                of_bias[k] += of[k];
                of[k] *= gain[k];
                sum += of[k];
                along += of[k] * scaled[k];
            }
            let (sum, along) = (share * sum, share * along);
            of.iter_mut().zip(scaled).for_each(|(of, scaled)| *of = inverse * (*of - sum - along * scaled));
        }
        of_x
    }
}

/// What a layer's run leaves for the way back.
pub(super) struct Trace {
    width: usize,
    x: Vec<f32>,
    asking: Normed,
    /// Questions, keys and answers, `[positions, width]` each.
    packed: [Vec<f32>; 3],
    /// Of each sequence the weights that its positions give to those before them and themselves: 1, 2, 3, ... numbers.
    weights: Vec<f32>,
    /// Factors of dropout on these.
    weights_kept: Vec<f32>,
    joined: Normed,
    /// After relu and dropout.
    inner: Vec<f32>,
    /// Factor of what dropout kept there.
    inner_factor: f32,
    outer_kept: Vec<f32>,
    pub(super) out: Vec<f32>,
}

impl Trace {
    pub(super) fn forward(
        weights: &[f32],
        x: Vec<f32>,
        sequences: &Sequences,
        (width, dropout): (usize, f64),
        pass: &mut Pass<'_>,
    ) -> Self {
        let [gain, bias, q, q_bias, k, k_bias, v, v_bias, rest @ ..] = split(weights, layer_sizes(width));
        let [next_gain, next_bias, inside, inside_bias, outside, outside_bias] = rest;
        let asking = Normed::of(&x, gain, bias);
        let packed = [
            linear(&asking.out, q, Finish::Bias(q_bias)),
            linear(&x, k, Finish::Bias(k_bias)),
            linear(&x, v, Finish::Bias(v_bias)),
        ];
        let pairs = sequences.ranges().map(|range| range.len() * (range.len() + 1) / 2).sum();
        let mut weights_kept = vec![1.0; pairs];
        in_place(&mut weights_kept, dropout, pass);
        let mut o = asking.out.clone();
        let weights = attend(&packed, &weights_kept, sequences, width, &mut o);
        let joined = Normed::of(&o, next_gain, next_bias);
        let mut inner = linear(&joined.out, inside, Finish::BiasRelu(inside_bias));
        let inner_factor = in_place(&mut inner, dropout, pass);
        let mut out = linear(&inner, outside, Finish::Bias(outside_bias));
        let mut outer_kept = vec![1.0; out.len()];
        in_place(&mut outer_kept, dropout, pass);
        for ((out, kept), beside) in out.iter_mut().zip(&outer_kept).zip(&joined.out) {
            *out = *out * kept + beside;
        }
        Self { width, x, asking, packed, weights, weights_kept, joined, inner, inner_factor, outer_kept, out }
    }

    /// The slope by the layer's input; adds those by its weights.
    pub(super) fn backward(
        &self,
        weights: &[f32],
        of_out: &[f32],
        sequences: &Sequences,
        of_weights: &mut [f32],
    ) -> Vec<f32> {
        let width = self.width;
        let sizes = layer_sizes(width);
        let [gain, _, q, _, k, _, v, _, next_gain, _, inside, _, outside, _] = split(weights, sizes);
        let [of_gain, of_bias, of_q, of_q_bias, of_k, of_k_bias, of_v, of_v_bias, rest @ ..] =
            split_mut(of_weights, sizes);
        let [of_next_gain, of_next_bias, of_inside, of_inside_bias, of_outside, of_outside_bias] = rest;
        let mut of_y = of_out.to_vec();
        let of_outer: Vec<f32> = of_out.iter().zip(&self.outer_kept).map(|(of, kept)| of * kept).collect();
        by_weights(&self.inner, &of_outer, of_outside, of_outside_bias);
        let mut of_inner = vec![0.0; self.inner.len()];
        let gate = Finish::Gate { by: &self.inner, scale: self.inner_factor };
        by_input(&of_outer, outside, &mut of_inner, gate);
        by_weights(&self.joined.out, &of_inner, of_inside, of_inside_bias);
        by_input(&of_inner, inside, &mut of_y, Finish::Add);
        let of_o = self.joined.backward(&of_y, next_gain, of_next_gain, of_next_bias);
        let [of_questions, of_keys, of_answers] = self.unattend(&of_o, sequences);
        let mut of_asking = of_o;
        by_weights(&self.asking.out, &of_questions, of_q, of_q_bias);
        by_input(&of_questions, q, &mut of_asking, Finish::Add);
        let mut of_x = self.asking.backward(&of_asking, gain, of_gain, of_bias);
        by_weights(&self.x, &of_keys, of_k, of_k_bias);
        by_input(&of_keys, k, &mut of_x, Finish::Add);
        by_weights(&self.x, &of_answers, of_v, of_v_bias);
        by_input(&of_answers, v, &mut of_x, Finish::Add);
        of_x
    }

    /// The slopes by questions, keys and answers from that by what was attended to.
    fn unattend(&self, of_o: &[f32], sequences: &Sequences) -> [Vec<f32>; 3] {
        let width = self.width;
        let scale = 1.0 / (width as f32).sqrt();
        let [questions, keys, answers] = &self.packed;
        let mut of = [(); 3].map(|()| vec![0.0; of_o.len()]);
        let [of_questions, of_keys, of_answers] = &mut of;
        let (mut at, mut of_weights) = (0, Vec::new());
        for range in sequences.ranges() {
            for now in range.clone() {
                let pasts = range.start..now + 1;
                let weights = &self.weights[at..at + pasts.len()];
                let kept = &self.weights_kept[at..at + pasts.len()];
                at += pasts.len();
                let of_now = row(of_o, now, width);
                of_weights.clear();
                for (past, (weight, kept)) in pasts.clone().zip(weights.iter().zip(kept)) {
                    of_weights.push(kept * dot(of_now, row(answers, past, width)));
                    add_scaled(row_mut(of_answers, past, width), weight * kept, of_now);
                }
                let mean = dot(&of_weights, weights);
                for (past, (weight, of_weight)) in pasts.zip(weights.iter().zip(&of_weights)) {
                    let of_score = scale * weight * (of_weight - mean);
                    add_scaled(row_mut(of_questions, now, width), of_score, row(keys, past, width));
                    add_scaled(row_mut(of_keys, past, width), of_score, row(questions, now, width));
                }
            }
        }
        of
    }
}

/// Adds to `o` what each position is answered by itself and those before it; the weights before dropout.
fn attend(
    [questions, keys, answers]: &[Vec<f32>; 3],
    kept: &[f32],
    sequences: &Sequences,
    width: usize,
    o: &mut [f32],
) -> Vec<f32> {
    let scale = 1.0 / (width as f32).sqrt();
    let mut all = Vec::with_capacity(kept.len());
    for range in sequences.ranges() {
        for now in range.clone() {
            let begin = all.len();
            let question = row(questions, now, width);
            all.extend((range.start..=now).map(|past| scale * dot(question, row(keys, past, width))));
            let weights = &mut all[begin..];
            let most = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            weights.iter_mut().for_each(|weight| *weight = (*weight - most).exp());
            let total: f32 = weights.iter().sum();
            for (past, (weight, kept)) in (range.start..).zip(weights.iter_mut().zip(&kept[begin..])) {
                *weight /= total;
                add_scaled(row_mut(o, now, width), *weight * kept, row(answers, past, width));
            }
        }
    }
    all
}

fn row(all: &[f32], at: usize, width: usize) -> &[f32] {
    &all[at * width..][..width]
}

fn row_mut(all: &mut [f32], at: usize, width: usize) -> &mut [f32] {
    &mut all[at * width..][..width]
}

/// In eight sums, so that a compiler makes vectors of it.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f32; 8];
    for (a, b) in a.iter().zip(b) {
        for k in 0..8 {
            sums[k] += a[k] * b[k];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

/// `x weight`, finished; `weight` is square.
fn linear(x: &[f32], weight: &[f32], finish: Finish<'_>) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let width = weight.len().isqrt();
    let shape = [x.len() / width, width, width];
    product(shape, View::rows(x, width), View::rows(weight, width), &mut out, finish, &mut Pack::default());
    out
}

/// Adds the slopes by a linear layer's weights and bias.
fn by_weights(x: &[f32], of_out: &[f32], of_weight: &mut [f32], of_bias: &mut [f32]) {
    let width = of_bias.len();
    let shape = [width, width, x.len() / width];
    let (x, of) = (View::rows(x, width).transposed(), View::rows(of_out, width));
    product(shape, x, of, of_weight, Finish::Add, &mut Pack::default());
    for of in of_out.chunks_exact(width) {
        of_bias.iter_mut().zip(of).for_each(|(sum, of)| *sum += of);
    }
}

/// The slope by a linear layer's input, finished.
fn by_input(of_out: &[f32], weight: &[f32], of_x: &mut [f32], finish: Finish<'_>) {
    let width = weight.len().isqrt();
    let shape = [of_out.len() / width, width, width];
    let weight = View::rows(weight, width).transposed();
    product(shape, View::rows(of_out, width), weight, of_x, finish, &mut Pack::default());
}
