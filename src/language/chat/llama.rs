//! What does a model of the llama architecture compute? Touvron et al. 2023, with grouped queries (Ainslie et al. 2023).
//!
//! A weight is kept as bfloat16: its rounding (2^-9) is far below that of the 4 bits that small files store, a token
//! reads half the memory of single precision, and making it a float again is one shift.

use super::WHAT;
use crate::base::failure::Explain;
use crate::base::simd::{Kernel, exp, run_widest};
use crate::base::{Failure, Result};
use crate::language::vectors::{add_rows, inner_product};
use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use half::bf16;
use rayon::prelude::*;
use std::fs::File;
use std::io::BufReader;

/// Rows of a matrix that a thread takes at a time.
const ROWS: usize = 32;
/// Tokens of a prompt that go through at once.
const AT_ONCE: usize = 64;

/// A matrix `[rows, columns]`.
struct Matrix {
    values: Vec<bf16>,
    columns: usize,
}

struct Layer {
    attention_norm: Vec<f32>,
    queries: Matrix,
    keys: Matrix,
    values: Matrix,
    mix: Matrix,
    norm: Vec<f32>,
    gate: Matrix,
    up: Matrix,
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
}

/// Keys and values of the tokens so far, by layer.
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

impl Llama {
    /// Reads sizes and weights, whatever they are stored as.
    pub fn read(content: &Content, reader: &mut BufReader<File>) -> Result<Self> {
        let missing = |key: &str| Failure::new(WHAT, format!("it does not say {key}"));
        let known = |key: &str| content.metadata.get(&format!("llama.{key}"));
        let count = |key: &str| {
            let found = known(key).and_then(|value| value.to_u32().ok()).filter(|count| *count > 0);
            found.map(|count| count as usize).ok_or_else(|| missing(key))
        };
        let real = |key: &str| known(key).and_then(|value| value.to_f32().ok());
        let (width, heads) = (count("embedding_length")?, count("attention.head_count")?);
        let key_heads = count("attention.head_count_kv").unwrap_or(heads);
        let wide = count("feed_forward_length")?;
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
        let base = f64::from(real("rope.freq_base").unwrap_or(10_000.0));
        let mut tensor = |name: &str, shape: &[usize]| -> Result<Vec<f32>> {
            let stored = content.tensor(reader, name, &Device::Cpu).explain(WHAT)?;
            let dims = stored.shape().dims();
            let fits = dims.len() == shape.len() && dims.iter().zip(shape).all(|(d, s)| *s == 0 || d == s);
            if !fits {
                return Err(Failure::new(WHAT, format!("'{name}' is {dims:?}, and {shape:?} was expected")));
            }
            stored.dequantize(&Device::Cpu).and_then(|all| all.flatten_all()?.to_vec1::<f32>()).explain(WHAT)
        };
        let whole = |values: Vec<f32>, columns: usize| Matrix {
            values: values.into_iter().map(bf16::from_f32).collect(),
            columns,
        };
        // 0: as many as there are.
        let words = whole(tensor("token_embd.weight", &[0, width])?, width);
        let rows = words.values.len() / width;
        let out = match content.tensor_infos.contains_key("output.weight") {
            true => Some(whole(tensor("output.weight", &[rows, width])?, width)),
            false => None,
        };
        let mut layers = Vec::new();
        for at in 0..count("block_count")? {
            let mut matrix = |part: &str, to: usize, from: usize| -> Result<Matrix> {
                Ok(whole(tensor(&format!("blk.{at}.{part}.weight"), &[to, from])?, from))
            };
            let (all, few) = (heads * head, key_heads * head);
            layers.push(Layer {
                queries: matrix("attn_q", all, width)?,
                keys: matrix("attn_k", few, width)?,
                values: matrix("attn_v", few, width)?,
                mix: matrix("attn_output", width, all)?,
                gate: matrix("ffn_gate", wide, width)?,
                up: matrix("ffn_up", wide, width)?,
                down: matrix("ffn_down", width, wide)?,
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
            context: count("context_length")?,
            angles: (0..head / 2).map(|pair| base.powf(-2.0 * pair as f64 / head as f64)).collect(),
        })
    }

    /// How many words it knows.
    pub fn words(&self) -> usize {
        self.words.values.len() / self.width
    }

    /// Tokens that it can look back on.
    pub fn context_length(&self) -> usize {
        self.context
    }

    fn key_width(&self) -> usize {
        self.key_heads * self.head
    }

    /// The scores of the word after `tokens`, which follow those that `memory` has seen. Unknown tokens count as the first.
    pub fn forward(&self, tokens: &[u32], memory: &mut Memory) -> Vec<f32> {
        let mut last = vec![0.0; self.width];
        for some in tokens.chunks(AT_ONCE) {
            let mut states: Vec<f32> = Vec::with_capacity(some.len() * self.width);
            for token in some {
                let row = (*token as usize).min(self.words() - 1);
                states.extend(
                    self.words.values[row * self.width..][..self.width].iter().map(|value| value.to_f32()),
                );
            }
            for (at, layer) in self.layers.iter().enumerate() {
                self.layer(layer, &mut states, (&mut memory.keys[at], &mut memory.values[at]), memory.tokens);
            }
            memory.tokens += some.len();
            last.copy_from_slice(&states[states.len() - self.width..]);
        }
        self.normalised(&mut last, &self.norm);
        self.out.as_ref().unwrap_or(&self.words).times(&last)
    }

    fn layer(
        &self,
        layer: &Layer,
        states: &mut [f32],
        (keys, values): (&mut Vec<f32>, &mut Vec<f32>),
        before: usize,
    ) {
        let mut normal = states.to_vec();
        self.normalised(&mut normal, &layer.attention_norm);
        let mut queries = layer.queries.times(&normal);
        let mut new_keys = layer.keys.times(&normal);
        self.turn(&mut queries, self.heads, before);
        self.turn(&mut new_keys, self.key_heads, before);
        keys.extend(new_keys);
        values.extend(layer.values.times(&normal));
        let mixed = layer.mix.times(&self.attend(&queries, keys, values, before));
        states.iter_mut().zip(mixed).for_each(|(state, more)| *state += more);
        normal.copy_from_slice(states);
        self.normalised(&mut normal, &layer.norm);
        let mut gate = layer.gate.times(&normal);
        let up = layer.up.times(&normal);
        // SwiGLU (Shazeer 2020): x s(x) times the other half.
        gate.iter_mut().zip(up).for_each(|(gate, up)| *gate = *gate / (1.0 + exp(-*gate)) * up);
        states.iter_mut().zip(layer.down.times(&gate)).for_each(|(state, more)| *state += more);
    }

    /// Divides each row by its root mean square (Zhang & Sennrich 2019).
    fn normalised(&self, rows: &mut [f32], weight: &[f32]) {
        for row in rows.chunks_exact_mut(self.width) {
            let scale = 1.0 / (inner_product(row, row) / self.width as f32 + self.epsilon).sqrt();
            row.iter_mut().zip(weight).for_each(|(value, weight)| *value *= scale * weight);
        }
    }

    /// Turns neighbouring pairs of numbers by an angle that grows with the place (Su et al. 2021), as GGUF stores them.
    fn turn(&self, rows: &mut [f32], heads: usize, before: usize) {
        for (place, row) in rows.chunks_exact_mut(heads * self.head).enumerate() {
            for head in row.chunks_exact_mut(self.head) {
                for (pair, angle) in head.chunks_exact_mut(2).zip(&self.angles) {
                    let (sin, cos) = ((before + place) as f64 * angle).sin_cos();
                    let (x, y) = (f64::from(pair[0]), f64::from(pair[1]));
                    pair[0] = (x * cos - y * sin) as f32;
                    pair[1] = (x * sin + y * cos) as f32;
                }
            }
        }
    }

    /// Each token looks at itself and all before it.
    fn attend(&self, queries: &[f32], keys: &[f32], values: &[f32], before: usize) -> Vec<f32> {
        let (head, wide, narrow) = (self.head, self.heads * self.head, self.key_width());
        let each = self.heads / self.key_heads;
        let scale = 1.0 / (head as f32).sqrt();
        let mut out = vec![0.0; queries.len()];
        out.par_chunks_mut(head).enumerate().for_each(|(place, out)| {
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
        });
        out
    }
}

impl Matrix {
    /// `[n, rows]` of inputs `[n, columns]`: each row of the matrix is read once for all inputs.
    fn times(&self, inputs: &[f32]) -> Vec<f32> {
        let (columns, rows) = (self.columns, self.values.len() / self.columns);
        let n = inputs.len() / columns;
        let mut across = vec![0.0f32; rows * n];
        across.par_chunks_mut(ROWS * n).zip(self.values.par_chunks(ROWS * columns)).for_each(
            |(out, matrix)| {
                run_widest(RowsTimes { matrix, inputs, out, columns });
            },
        );
        if n == 1 {
            return across;
        }
        let mut out = vec![0.0; across.len()];
        for (row, values) in across.chunks_exact(n).enumerate() {
            values.iter().enumerate().for_each(|(at, value)| out[at * rows + row] = *value);
        }
        out
    }
}

/// Inner products of some rows with all inputs: `out[row, input]`.
struct RowsTimes<'a> {
    matrix: &'a [bf16],
    inputs: &'a [f32],
    out: &'a mut [f32],
    columns: usize,
}

impl Kernel for RowsTimes<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        const LANES: usize = 32;
        let columns = self.columns;
        let n = self.inputs.len() / columns;
        for (row, out) in self.matrix.chunks_exact(columns).zip(self.out.chunks_exact_mut(n)) {
            for (input, out) in self.inputs.chunks_exact(columns).zip(out) {
                let mut sums = [0.0f32; LANES];
                let (whole_row, whole_input) = (row.chunks_exact(LANES), input.chunks_exact(LANES));
                let rest: f32 = (whole_row.remainder().iter().zip(whole_input.remainder()))
                    .map(|(weight, x)| f32::from_bits(u32::from(weight.to_bits()) << 16) * x)
                    .sum();
                for (weights, x) in whole_row.zip(whole_input) {
                    for lane in 0..LANES {
                        let weight = f32::from_bits(u32::from(weights[lane].to_bits()) << 16);
                        sums[lane] = weight.mul_add(x[lane], sums[lane]);
                    }
                }
                *out = sums.iter().sum::<f32>() + rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn a_matrix_times_several_inputs_is_the_sum_of_products() {
        let mut rng = Rng::named(1, "matrix");
        let mut draw = |n: usize| (0..n).map(|_| rng.normal() as f32).collect::<Vec<_>>();
        let (rows, columns, n) = (70, 45, 3);
        let (weights, inputs) = (draw(rows * columns), draw(n * columns));
        let matrix = Matrix { values: weights.iter().map(|w| bf16::from_f32(*w)).collect(), columns };
        let out = matrix.times(&inputs);
        for at in 0..n {
            for row in 0..rows {
                let products = (0..columns)
                    .map(|k| matrix.values[row * columns + k].to_f32() * inputs[at * columns + k]);
                let sum: f32 = products.sum();
                assert!((out[at * rows + row] - sum).abs() < 1e-4);
            }
        }
    }
}
