//! What does a layer of BERT compute? Devlin et al. 2019: attention, then two dense layers, each added and normalised.

use super::{WHAT, Weights};
use crate::base::product::{Finish, Pack, View, product};
use crate::base::simd::{Kernel, exp, run_widest};
use crate::base::{Failure, Result};
use crate::language::vectors::{add_rows, inner_product};
use rayon::prelude::*;
use serde::Deserialize;

/// What `config.json` says.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Config {
    pub model_type: String,
    #[serde(default)]
    pub hidden_act: String,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub layer_norm_eps: f32,
    pub max_position_embeddings: usize,
    pub num_attention_heads: usize,
    pub num_hidden_layers: usize,
    pub type_vocab_size: usize,
    pub vocab_size: usize,
}

impl Config {
    /// Refuses what this forward pass would compute wrongly.
    pub fn check(&self) -> Result<()> {
        if self.model_type != "bert" || self.hidden_act != "gelu" {
            let why = format!(
                "it is '{}' with '{}'; only bert with gelu is known",
                self.model_type, self.hidden_act
            );
            return Err(Failure::new(WHAT, why));
        }
        let sizes = [self.hidden_size, self.num_attention_heads, self.type_vocab_size, self.vocab_size];
        let heads = self.num_attention_heads.max(1);
        if sizes.contains(&0) || !self.hidden_size.is_multiple_of(heads) || self.max_position_embeddings < 2 {
            return Err(Failure::new(WHAT, "its sizes make no model"));
        }
        Ok(())
    }
}

/// Buffers that one pass after another uses.
#[derive(Default)]
pub(super) struct Pass {
    /// `[tokens, width]`.
    pub states: Vec<f32>,
    pack: Pack,
    queries: Vec<f32>,
    mixed: Vec<f32>,
    wide: Vec<f32>,
    out: Vec<f32>,
}

/// `x W + b`, `W` as `[in, out]`.
pub(super) struct Linear {
    weight: Vec<f32>,
    bias: Vec<f32>,
    shape: [usize; 2],
}

impl Linear {
    /// From PyTorch's `[out, in]`.
    pub fn of(weight: &[f32], bias: Vec<f32>, from: usize, to: usize) -> Self {
        let mut across = vec![0.0; weight.len()];
        for (row, values) in weight.chunks_exact(from).enumerate() {
            values.iter().enumerate().for_each(|(column, value)| across[column * to + row] = *value);
        }
        Self { weight: across, bias, shape: [from, to] }
    }

    /// Several layers with the same input, side by side.
    fn beside(parts: &[Self]) -> Self {
        let from = parts.first().map_or(0, |part| part.shape[0]);
        let to = parts.iter().map(|part| part.shape[1]).sum();
        let row = |at: usize| {
            parts.iter().flat_map(move |part| &part.weight[at * part.shape[1]..][..part.shape[1]])
        };
        let weight = (0..from).flat_map(row).copied().collect();
        let bias = parts.iter().flat_map(|part| &part.bias).copied().collect();
        Self { weight, bias, shape: [from, to] }
    }

    fn apply(&self, x: &[f32], out: &mut Vec<f32>, pack: &mut Pack) {
        let [from, to] = self.shape;
        let rows = x.len() / from;
        out.clear();
        out.resize(rows * to, 0.0);
        let (x, weight) = (View::rows(x, from), View::rows(&self.weight, to));
        product([rows, to, from], x, weight, out, Finish::Bias(&self.bias), pack);
    }
}

/// Layer normalisation (Ba et al. 2016).
pub(super) struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Norm {
    /// Normalises each row.
    pub fn apply(&self, rows: &mut [f32], epsilon: f32) {
        let width = self.weight.len();
        rows.par_chunks_mut(width).with_min_len(32).for_each(|row| {
            let mean = row.iter().sum::<f32>() / width as f32;
            row.iter_mut().for_each(|value| *value -= mean);
            let scale = 1.0 / (inner_product(row, row) / width as f32 + epsilon).sqrt();
            for ((value, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
                *value = *value * scale * weight + bias;
            }
        });
    }
}

/// What is looked at, and changed, in a pass over a single text.
#[derive(Default)]
pub(super) struct Look {
    /// A layer and the head of it that answers 0.
    pub silent: Option<(usize, usize)>,
    /// Attention weights `[layer, head, token, token]` as they would be in no head were silent.
    pub weights: Vec<f32>,
}

/// A layer.
pub(super) struct Layer {
    /// Queries, keys and values side by side.
    project: Linear,
    mix: Linear,
    mix_norm: Norm,
    widen: Linear,
    narrow: Linear,
    norm: Norm,
}

impl Layer {
    pub fn read(weights: &Weights<'_>, name: &str, config: &Config) -> Result<Self> {
        let (width, wide) = (config.hidden_size, config.intermediate_size);
        let part = |part: &str| weights.linear(&format!("{name}.attention.self.{part}"), width, width);
        Ok(Self {
            project: Linear::beside(&[part("query")?, part("key")?, part("value")?]),
            mix: weights.linear(&format!("{name}.attention.output.dense"), width, width)?,
            mix_norm: weights.norm(&format!("{name}.attention.output.LayerNorm"), width)?,
            widen: weights.linear(&format!("{name}.intermediate.dense"), width, wide)?,
            narrow: weights.linear(&format!("{name}.output.dense"), wide, width)?,
            norm: weights.norm(&format!("{name}.output.LayerNorm"), width)?,
        })
    }

    /// Moves the states of texts of these lengths, one after another, through the layer.
    /// With a look, which is about this layer's place, there is one text.
    pub fn forward(
        &self,
        lengths: &[usize],
        config: &Config,
        pass: &mut Pass,
        look: Option<(usize, &mut Look)>,
    ) {
        let Pass { states, pack, queries, mixed, wide, out } = pass;
        self.project.apply(states, queries, pack);
        match look {
            None => attend(queries, lengths, config, mixed),
            Some((layer, look)) => {
                mixed.clear();
                mixed.resize(states.len(), 0.0);
                attend_in(queries, mixed, config, &mut |head, weights| {
                    look.weights.extend(weights.iter().map(|(_, weight)| *weight));
                    if look.silent == Some((layer, head)) {
                        weights.iter_mut().for_each(|(_, weight)| *weight = 0.0);
                    }
                });
            }
        }
        self.mix.apply(mixed, out, pack);
        add(states, out);
        self.mix_norm.apply(states, config.layer_norm_eps);
        self.widen.apply(states, wide, pack);
        wide.par_chunks_mut(1 << 14).for_each(|values| run_widest(Gelu(values)));
        self.narrow.apply(wide, out, pack);
        add(states, out);
        self.norm.apply(states, config.layer_norm_eps);
    }
}

fn add(states: &mut [f32], more: &[f32]) {
    states.iter_mut().zip(more).for_each(|(state, more)| *state += more);
}

/// Every token of a text looks at every token of the same text.
fn attend(queries: &[f32], lengths: &[usize], config: &Config, mixed: &mut Vec<f32>) {
    let width = config.hidden_size;
    mixed.clear();
    mixed.resize(lengths.iter().sum::<usize>() * width, 0.0);
    let mut texts = Vec::with_capacity(lengths.len());
    let (mut queries, mut rest) = (queries, mixed.as_mut_slice());
    for length in lengths {
        let (own, later) = queries.split_at(length * 3 * width);
        let (out, after) = rest.split_at_mut(length * width);
        texts.push((own, out));
        (queries, rest) = (later, after);
    }
    texts.into_par_iter().for_each(|(own, out)| attend_in(own, out, config, &mut |_, _| ()));
}

/// The tokens of one text; `on` is told each head's weights of each token, and may change them.
fn attend_in(own: &[f32], out: &mut [f32], config: &Config, on: &mut impl FnMut(usize, &mut [(u32, f32)])) {
    let (width, heads) = (config.hidden_size, config.num_attention_heads);
    let head = width / heads;
    let scale = 1.0 / (head as f32).sqrt();
    let tokens = out.len() / width;
    let row =
        |token: usize, part: usize, at: usize| &own[token * 3 * width + part * width + at * head..][..head];
    let mut weights = vec![(0u32, 0.0f32); tokens];
    let mut values = vec![0.0f32; tokens * head];
    for at in 0..heads {
        for token in 0..tokens {
            values[token * head..][..head].copy_from_slice(row(token, 2, at));
        }
        for token in 0..tokens {
            let query = row(token, 0, at);
            let mut most = f32::NEG_INFINITY;
            for (other, weight) in weights.iter_mut().enumerate() {
                *weight = (other as u32, inner_product(query, row(other, 1, at)) * scale);
                most = most.max(weight.1);
            }
            let mut total = 0.0;
            for (_, weight) in &mut weights {
                *weight = exp(*weight - most);
                total += *weight;
            }
            weights.iter_mut().for_each(|(_, weight)| *weight /= total);
            on(at, &mut weights);
            add_rows(&weights, &values, &mut out[token * width + at * head..][..head]);
        }
    }
}

/// `x (1 + erf(x / sqrt 2)) / 2` by Abramowitz & Stegun 7.1.26, whose error is below 1.5e-7.
struct Gelu<'a>(&'a mut [f32]);

impl Kernel for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for value in self.0 {
            let x = value.abs() * std::f32::consts::FRAC_1_SQRT_2;
            let t = 1.0 / (1.0 + 0.327_591_1 * x);
            let mut sum = 1.061_405_4;
            for next in [-1.453_152_1, 1.421_413_8, -0.284_496_74, 0.254_829_6] {
                sum = sum * t + next;
            }
            let erf = 1.0 - sum * t * exp(-x * x);
            *value *= 0.5 * (1.0 + erf.copysign(*value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gelu_has_the_values_of_the_normal_distribution() {
        // x Phi(x): Phi(1) = 0.841344746, Phi(2) = 0.977249868, Phi(-1) = 0.158655254.
        let mut values = [0.0, 1.0, 2.0, -1.0, 30.0, -30.0];
        run_widest(Gelu(&mut values));
        let wanted = [0.0, 0.841_344_8, 1.954_499_7, -0.158_655_25, 30.0, 0.0];
        assert!(values.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 2e-6), "{values:?}");
    }

    #[test]
    fn layers_side_by_side_are_those_layers() {
        let one = Linear::of(&[1.0, 2.0, 3.0, 4.0], vec![0.5, -0.5], 2, 2);
        let other = Linear::of(&[5.0, 6.0], vec![1.0], 2, 1);
        let mut out = Vec::new();
        Linear::beside(&[one, other]).apply(&[1.0, 10.0], &mut out, &mut Pack::default());
        assert_eq!(out, [21.5, 42.5, 66.0]);
    }

    #[test]
    fn a_norm_has_mean_and_spread_of_its_weights() {
        let mut rows = [1.0, 3.0, -5.0, -1.0];
        Norm { weight: vec![2.0, 2.0], bias: vec![1.0, 1.0] }.apply(&mut rows, 0.0);
        assert_eq!(rows, [-1.0, 3.0, -1.0, 3.0]);
    }
}
