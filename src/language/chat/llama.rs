//! What does a model of the llama architecture compute? Touvron et al. 2023, with grouped queries (Ainslie et al. 2023).
//!
//! A weight is kept as one byte with a scale for 32 of them ([`Matrix`]): a token reads every weight once, so memory is what
//! writing waits for.

mod matrix;
mod tuning;

pub use tuning::{AnswerLoss, Example};

use super::adapters::{Adapter, Adapters};
use super::opening::WHAT;
use crate::base::failure::Explain;
use crate::base::simd::exp;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::language::vectors::{add_rows, inner_product};
use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use matrix::Matrix;
use rayon::prelude::*;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

/// Tokens of a prompt that go through at once.
pub(super) const AT_ONCE: usize = 64;
/// The rows of the words.
const WORDS: &str = "token_embd.weight";
/// Products of an attention below which waking another thread costs more than it saves.
const WORTH_SHARING: usize = 1 << 20;

struct Layer {
    attention_norm: Vec<f32>,
    /// Queries, keys and values, one under the other: fewer waits for threads.
    looks: Matrix,
    mix: Matrix,
    norm: Vec<f32>,
    /// The gate and what it lets through.
    gate_up: Matrix,
    down: Matrix,
}

/// The weights and sizes of a model.
pub(super) struct Llama {
    words: Matrix,
    /// The last matrix, where it is not the first one again.
    out: Option<Matrix>,
    norm: Vec<f32>,
    layers: Vec<Layer>,
    width: usize,
    heads: usize,
    key_heads: usize,
    head: usize,
    epsilon: f32,
    context: usize,
    /// Angle of a pair of numbers for each step of place.
    angles: Vec<f64>,
    /// What was learnt beside the weights.
    pub(super) adapters: Option<Arc<Adapters>>,
}

/// Keys and values of the tokens so far, by layer.
#[derive(Clone)]
pub(super) struct Memory {
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    tokens: usize,
}

impl Memory {
    /// Empty, with room for so many tokens.
    pub fn new(llama: &Llama, tokens: usize) -> Self {
        let room =
            || (0..llama.layers.len()).map(|_| Vec::with_capacity(tokens * llama.key_width())).collect();
        Self { keys: room(), values: room(), tokens: 0 }
    }
}

/// Sizes of a model, as the head of its file tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Numbers of a state.
    pub width: usize,
    /// Heads that ask.
    pub heads: usize,
    /// Heads that are asked.
    pub key_heads: usize,
    /// Numbers of a head.
    pub head: usize,
    /// Numbers between the two halves of a layer's end.
    pub wide: usize,
    /// Layers.
    pub layers: usize,
    /// Words with a row of numbers.
    pub words: usize,
    /// Tokens that it can look back on.
    pub context: usize,
}

/// A number of the model that the head of a file tells.
fn number_of(content: &Content, key: &str) -> Option<f32> {
    content.metadata.get(&format!("llama.{key}"))?.to_f32().ok()
}

impl Sizes {
    /// Reads them, and refuses what is not computed here.
    pub(super) fn of(content: &Content) -> Result<Self> {
        let missing = |key: &str| Failure::new(WHAT, format!("it does not say {key}"));
        let known = |key: &str| content.metadata.get(&format!("llama.{key}"));
        let count = |key: &str| {
            let found = known(key).and_then(|value| value.to_u32().ok()).filter(|count| *count > 0);
            found.map(|count| count as usize).ok_or_else(|| missing(key))
        };
        let (width, heads) = (count("embedding_length")?, count("attention.head_count")?);
        let key_heads = count("attention.head_count_kv").unwrap_or(heads);
        let head = count("attention.key_length").unwrap_or(width / heads);
        let turned = count("rope.dimension_count").unwrap_or(head);
        if !heads.is_multiple_of(key_heads) || turned != head || !head.is_multiple_of(2) {
            let why = format!(
                "{heads} heads over {key_heads}, {turned} of {head} numbers turned: not computed here"
            );
            return Err(Failure::new(WHAT, why));
        }
        if known("rope.scaling.type")
            .and_then(|value| value.to_string().ok())
            .is_some_and(|kind| kind != "none")
        {
            return Err(Failure::new(
                WHAT,
                "it stretches its places (rope scaling), which is not computed here",
            ));
        }
        let words = content.tensor_infos.get(WORDS).and_then(|info| info.shape.dims().first().copied());
        Ok(Self {
            width,
            heads,
            key_heads,
            head,
            wide: count("feed_forward_length")?,
            layers: count("block_count")?,
            words: words.ok_or_else(|| Failure::new(WHAT, format!("it holds no '{WORDS}'")))?,
            context: count("context_length")?,
        })
    }
}

impl Llama {
    /// Reads weights, whatever they are stored as.
    pub fn read(
        sizes: Sizes,
        content: &Content,
        reader: &mut BufReader<File>,
        context: &JobContext,
    ) -> Result<Self> {
        let Sizes { width, heads, key_heads, head, wide, layers: count_of, words, context: seen } = sizes;
        let real = |key: &str| number_of(content, key);
        let base = f64::from(real("rope.freq_base").unwrap_or(10_000.0));
        let mut tensor = |name: &str, shape: &[usize]| -> Result<Vec<f32>> {
            let stored = content.tensor(reader, name, &Device::Cpu).explain(WHAT)?;
            let dims = stored.shape().dims();
            let fits = dims == shape;
            if !fits {
                return Err(Failure::new(WHAT, format!("'{name}' is {dims:?}, and {shape:?} was expected")));
            }
            stored.dequantize(&Device::Cpu).and_then(|all| all.flatten_all()?.to_vec1::<f32>()).explain(WHAT)
        };
        let words = Matrix::of(&tensor(WORDS, &[words, width])?, width);
        let out = match content.tensor_infos.contains_key("output.weight") {
            true => Some(Matrix::of(&tensor("output.weight", &[words.rows(), width])?, width)),
            false => None,
        };
        let mut layers = Vec::new();
        let (all, few) = (heads * head, key_heads * head);
        for at in 0..count_of {
            context.check()?;
            context.progress(at as u64, count_of as u64);
            let mut joined = |parts: &[(&str, usize)], from: usize| -> Result<Matrix> {
                let mut values = Vec::new();
                for (part, to) in parts {
                    values.extend(tensor(&format!("blk.{at}.{part}.weight"), &[*to, from])?);
                }
                Ok(Matrix::of(&values, from))
            };
            layers.push(Layer {
                looks: joined(&[("attn_q", all), ("attn_k", few), ("attn_v", few)], width)?,
                mix: joined(&[("attn_output", width)], all)?,
                gate_up: joined(&[("ffn_gate", wide), ("ffn_up", wide)], width)?,
                down: joined(&[("ffn_down", width)], wide)?,
                attention_norm: tensor(&format!("blk.{at}.attn_norm.weight"), &[width])?,
                norm: tensor(&format!("blk.{at}.ffn_norm.weight"), &[width])?,
            });
        }
        Ok(Self {
            norm: tensor("output_norm.weight", &[width])?,
            words,
            out,
            layers,
            width,
            heads,
            key_heads,
            head,
            epsilon: real("attention.layer_norm_rms_epsilon").unwrap_or(1e-5),
            context: seen,
            angles: (0..head / 2).map(|pair| base.powf(-2.0 * pair as f64 / head as f64)).collect(),
            adapters: None,
        })
    }

    /// How many words it knows.
    pub fn words(&self) -> usize {
        self.words.rows()
    }

    /// Numbers of a state.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Tokens that it can look back on.
    pub fn context_length(&self) -> usize {
        self.context
    }

    fn key_width(&self) -> usize {
        self.key_heads * self.head
    }

    /// The states `[tokens, width]` behind some tokens that follow those that `memory` has seen. Unknown tokens count as the
    /// last one that is known.
    pub fn states(&self, tokens: &[u32], memory: &mut Memory) -> Vec<f32> {
        let mut states: Vec<f32> = Vec::with_capacity(tokens.len() * self.width);
        for token in tokens {
            states.extend(self.words.row((*token as usize).min(self.words() - 1)));
        }
        for (at, layer) in self.layers.iter().enumerate() {
            let learnt = self.adapters.as_ref().map(|adapters| &adapters.layers[at]);
            self.layer(
                (layer, learnt),
                &mut states,
                (&mut memory.keys[at], &mut memory.values[at]),
                memory.tokens,
            );
        }
        memory.tokens += tokens.len();
        self.normalised(&mut states, &self.norm);
        states
    }

    /// The scores `[states, words]` of the word after each state.
    pub fn scores(&self, states: &[f32]) -> Vec<f32> {
        self.out.as_ref().unwrap_or(&self.words).times(states)
    }

    fn layer(
        &self,
        (layer, learnt): (&Layer, Option<&[Adapter; 4]>),
        states: &mut [f32],
        (keys, values): (&mut Vec<f32>, &mut Vec<f32>),
        before: usize,
    ) {
        let mut normal = states.to_vec();
        self.normalised(&mut normal, &layer.attention_norm);
        let times = |at: usize, matrix: &Matrix, inputs: &[f32]| {
            let mut out = matrix.times(inputs);
            if let Some(learnt) = learnt {
                learnt[at].add(inputs, &mut out);
            }
            out
        };
        let looks = times(0, &layer.looks, &normal);
        let (all, few) = (self.heads * self.head, self.key_width());
        let mut queries = Vec::with_capacity(normal.len());
        for (place, row) in looks.chunks_exact(all + 2 * few).enumerate() {
            let (query, rest) = row.split_at(all);
            queries.extend(query);
            self.turn(&mut queries[place * all..], before + place);
            let seen = keys.len();
            keys.extend(&rest[..few]);
            self.turn(&mut keys[seen..], before + place);
            values.extend(&rest[few..]);
        }
        let mixed = times(1, &layer.mix, &self.attend(&queries, keys, values, before));
        states.iter_mut().zip(mixed).for_each(|(state, more)| *state += more);
        normal.copy_from_slice(states);
        self.normalised(&mut normal, &layer.norm);
        let gate_up = times(2, &layer.gate_up, &normal);
        let wide = layer.down.columns();
        // SwiGLU (Shazeer 2020): x s(x) times the other half.
        let through: Vec<f32> = gate_up
            .chunks_exact(2 * wide)
            .flat_map(|row| {
                let (gate, up) = row.split_at(wide);
                gate.iter().zip(up).map(|(gate, up)| *gate / (1.0 + exp(-*gate)) * up)
            })
            .collect();
        states.iter_mut().zip(times(3, &layer.down, &through)).for_each(|(state, more)| *state += more);
    }

    /// Divides each row by its root mean square (Zhang & Sennrich 2019).
    fn normalised(&self, rows: &mut [f32], weight: &[f32]) {
        for row in rows.chunks_exact_mut(self.width) {
            let scale = 1.0 / (inner_product(row, row) / self.width as f32 + self.epsilon).sqrt();
            row.iter_mut().zip(weight).for_each(|(value, weight)| *value *= scale * weight);
        }
    }

    /// Turns neighbouring pairs of numbers by an angle that grows with the place (Su et al. 2021), as GGUF stores them.
    fn turn(&self, heads: &mut [f32], place: usize) {
        let turns: Vec<(f64, f64)> =
            self.angles.iter().map(|angle| (place as f64 * angle).sin_cos()).collect();
        for head in heads.chunks_exact_mut(self.head) {
            for (pair, (sin, cos)) in head.chunks_exact_mut(2).zip(&turns) {
                let (x, y) = (f64::from(pair[0]), f64::from(pair[1]));
                pair[0] = (x * cos - y * sin) as f32;
                pair[1] = (x * sin + y * cos) as f32;
            }
        }
    }

    /// Each token looks at itself and all before it.
    fn attend(&self, queries: &[f32], keys: &[f32], values: &[f32], before: usize) -> Vec<f32> {
        let (head, wide, narrow) = (self.head, self.heads * self.head, self.key_width());
        let each = self.heads / self.key_heads;
        let scale = 1.0 / (head as f32).sqrt();
        let mut out = vec![0.0; queries.len()];
        let one = |(place, out): (usize, &mut [f32])| {
            let (token, own) = (place / self.heads, place % self.heads);
            let query = &queries[token * wide + own * head..][..head];
            let from = own / each * head;
            let mut weights: Vec<(u32, f32)> = (0..=before + token)
                .map(|other| {
                    (other as u32, inner_product(query, &keys[other * narrow + from..][..head]) * scale)
                })
                .collect();
            let most = weights.iter().map(|(_, weight)| *weight).fold(f32::NEG_INFINITY, f32::max);
            weights.iter_mut().for_each(|(_, weight)| *weight = exp(*weight - most));
            let total: f32 = weights.iter().map(|(_, weight)| weight).sum();
            for (other, weight) in weights {
                add_rows(&[(0, weight / total)], &values[other as usize * narrow + from..][..head], out);
            }
        };
        if queries.len() * (keys.len() / narrow) < WORTH_SHARING {
            out.chunks_mut(head).enumerate().for_each(one);
        } else {
            out.par_chunks_mut(head).enumerate().for_each(one);
        }
        out
    }
}
