//! How would a small change of each matrix change what a language model makes of a text? The loss and its derivative by the
//! adapters.
//!
//! The weights of the file stay: what goes back passes through them (`dx = dy W`), and derivatives are made for the thin
//! matrices alone. Several texts go through at once, each with its own attention. Only the states between layers are kept;
//! what a layer made of them is computed once more on the way back, so that memory does not grow with the depth.

use super::matrix::Matrix;
use super::{Llama, Sizes};
use crate::base::Result;
use crate::base::product::{Finish, Pack, View, product};
use crate::base::simd::exp;
use crate::jobs::JobContext;
use crate::language::chat::adapters::{Adapter, Adapters};
use crate::language::vectors::{add_rows, inner_product};
use rayon::prelude::*;
use std::ops::Range;

/// Places whose next words are scored at once.
const SCORED: usize = 64;

/// A text of which the model is to find some tokens likely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Request and answer.
    pub tokens: Vec<u32>,
    /// Where the answer begins: tokens from here on count. At least 1.
    pub from: usize,
}

/// The loss of a text's answer: the sum over its tokens in nats, and how many they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerLoss {
    /// Sum of `-ln p`.
    pub nats: f64,
    /// Tokens.
    pub tokens: usize,
}

/// What a layer made of its input, kept for the way back.
struct Kept {
    normal: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    attended: Vec<f32>,
    between: Vec<f32>,
    second: Vec<f32>,
    gate_up: Vec<f32>,
    through: Vec<f32>,
}

struct Pass<'a> {
    llama: &'a Llama,
    adapters: &'a Adapters,
    spans: Vec<Range<usize>>,
    /// Tokens of all texts together.
    rows: usize,
    pack: Pack,
    /// A matrix as numbers.
    weights: Vec<f32>,
}

impl Sizes {
    /// Numbers of adapters of a rank.
    pub fn numbers_of_adapters(&self, rank: usize) -> usize {
        let (all, few) = (self.heads * self.head, self.key_heads * self.head);
        let sides = [
            all + 2 * few + self.width,
            self.width + all,
            2 * self.wide + self.width,
            self.width + self.wide,
        ];
        self.layers * rank * sides.iter().sum::<usize>()
    }

    /// Bytes that `losses` takes for so many tokens at once, beside weights and adapters: the widest matrix as
    /// numbers and once more as the product wants it, the scores, and by token the states between layers with what one
    /// layer keeps and sends back; where nothing `is_learnt`, what one layer makes of them alone.
    pub fn bytes_of_losses(&self, tokens: usize, is_learnt: bool) -> u64 {
        let (all, few, width, wide) =
            (self.heads * self.head, self.key_heads * self.head, self.width, self.wide);
        let widest = self.words.max(2 * wide) * width;
        let of_token = match is_learnt {
            true => self.layers * width + 7 * width + 4 * all + 4 * few + 6 * wide,
            false => 6 * width + 3 * all + 4 * few + 3 * wide,
        };
        4 * (2 * widest + SCORED * (self.words + 2 * width) + tokens * of_token) as u64
    }
}

impl Llama {
    /// Rows and columns of the matrices of each layer that adapters change.
    pub fn shapes(&self) -> Vec<[(usize, usize); 4]> {
        let shape = |matrix: &Matrix| (matrix.rows(), matrix.columns());
        let of = |layer: &super::Layer| [&layer.looks, &layer.mix, &layer.gate_up, &layer.down].map(shape);
        self.layers.iter().map(of).collect()
    }

    /// The loss of each text's answer under some adapters, and where `gradient` is given, the derivative of the mean loss of
    /// a token, added to it.
    ///
    /// # Errors
    /// A cancel.
    pub fn losses(
        &self,
        examples: &[Example],
        adapters: &Adapters,
        gradient: Option<&mut Adapters>,
        context: &JobContext,
    ) -> Result<Vec<AnswerLoss>> {
        let mut spans = Vec::new();
        let mut tokens = Vec::new();
        for example in examples {
            // The last token predicts nothing.
            let read = &example.tokens[..example.tokens.len().saturating_sub(1)];
            spans.push(tokens.len()..tokens.len() + read.len());
            tokens.extend(read.iter().map(|token| (*token as usize).min(self.words() - 1)));
        }
        let mut pass = Pass {
            llama: self,
            adapters,
            rows: tokens.len(),
            spans,
            pack: Pack::default(),
            weights: Vec::new(),
        };
        let mut states: Vec<f32> = tokens.iter().flat_map(|token| self.words.row(*token)).collect();
        let mut kept = Vec::new();
        for at in 0..self.layers.len() {
            context.check()?;
            let next = pass.forward(at, &states).1;
            let before = std::mem::replace(&mut states, next);
            if gradient.is_some() {
                kept.push(before);
            }
        }
        let (losses, of_states) = pass.scored(examples, &states, gradient.is_some(), context)?;
        if let Some(gradient) = gradient {
            let mut back = of_states;
            for at in (0..self.layers.len()).rev() {
                context.check()?;
                back = pass.backward(at, &kept[at], &back, &mut gradient.layers[at]);
            }
        }
        Ok(losses)
    }
}

impl Pass<'_> {
    /// `[rows, outputs]` of inputs `[rows, columns]`.
    fn linear(&mut self, matrix: &Matrix, adapter: &Adapter, x: &[f32]) -> Vec<f32> {
        let (outputs, columns, n) = (matrix.rows(), matrix.columns(), self.rows);
        self.read(matrix);
        let mut out = vec![0.0; n * outputs];
        let weights = View::rows(&self.weights, columns).transposed();
        product(
            [n, outputs, columns],
            View::rows(x, columns),
            weights,
            &mut out,
            Finish::Set,
            &mut self.pack,
        );
        let thin = self.thin(adapter, x);
        let up = View::rows(&adapter.up, adapter.rank).transposed();
        let thin = View::rows(&thin, adapter.rank);
        product([n, outputs, adapter.rank], thin, up, &mut out, Finish::Add, &mut self.pack);
        out
    }

    /// `down x`, `[rows, rank]`.
    fn thin(&mut self, adapter: &Adapter, x: &[f32]) -> Vec<f32> {
        let (columns, rank) = (adapter.shape.1, adapter.rank);
        let mut thin = vec![0.0; self.rows * rank];
        let down = View::rows(&adapter.down, columns).transposed();
        product(
            [self.rows, rank, columns],
            View::rows(x, columns),
            down,
            &mut thin,
            Finish::Set,
            &mut self.pack,
        );
        thin
    }

    /// The derivative by the inputs of [`linear`](Self::linear), from that by its outputs; that by the adapter is added to
    /// `into`.
    fn linear_back(
        &mut self,
        (matrix, adapter): (&Matrix, &Adapter),
        (x, of_out): (&[f32], &[f32]),
        into: &mut Adapter,
    ) -> Vec<f32> {
        let (outputs, columns, n, rank) = (matrix.rows(), matrix.columns(), self.rows, adapter.rank);
        let thin = self.thin(adapter, x);
        let back = View::rows(of_out, outputs);
        let pack = &mut self.pack;
        product(
            [outputs, rank, n],
            back.transposed(),
            View::rows(&thin, rank),
            &mut into.up,
            Finish::Add,
            pack,
        );
        let mut of_thin = vec![0.0; n * rank];
        product([n, rank, outputs], back, View::rows(&adapter.up, rank), &mut of_thin, Finish::Set, pack);
        let of_thin = View::rows(&of_thin, rank);
        product(
            [rank, columns, n],
            of_thin.transposed(),
            View::rows(x, columns),
            &mut into.down,
            Finish::Add,
            pack,
        );
        self.read(matrix);
        let mut of_x = vec![0.0; n * columns];
        let weights = View::rows(&self.weights, columns);
        product([n, columns, outputs], back, weights, &mut of_x, Finish::Set, &mut self.pack);
        let down = View::rows(&adapter.down, columns);
        product([n, columns, rank], of_thin, down, &mut of_x, Finish::Add, &mut self.pack);
        of_x
    }

    /// Puts the numbers of a matrix into `weights`.
    fn read(&mut self, matrix: &Matrix) {
        let columns = matrix.columns();
        self.weights.resize(matrix.rows() * columns, 0.0);
        self.weights.par_chunks_exact_mut(columns).enumerate().for_each(|(row, out)| {
            out.iter_mut().zip(matrix.row(row)).for_each(|(out, value)| *out = value);
        });
    }

    /// What a layer makes of its input.
    fn forward(&mut self, at: usize, states: &[f32]) -> (Kept, Vec<f32>) {
        let (llama, adapters) = (self.llama, &self.adapters.layers[at]);
        let layer = &llama.layers[at];
        let mut normal = states.to_vec();
        llama.normalised(&mut normal, &layer.attention_norm);
        let looks = self.linear(&layer.looks, &adapters[0], &normal);
        let (all, few) = (llama.heads * llama.head, llama.key_width());
        let (mut queries, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for span in &self.spans {
            for (place, row) in looks[span.start * (all + 2 * few)..span.end * (all + 2 * few)]
                .chunks_exact(all + 2 * few)
                .enumerate()
            {
                let (asked, known) = (queries.len(), keys.len());
                queries.extend(&row[..all]);
                llama.turn(&mut queries[asked..], place);
                keys.extend(&row[all..all + few]);
                llama.turn(&mut keys[known..], place);
                values.extend(&row[all + few..]);
            }
        }
        let mut attended = vec![0.0; queries.len()];
        for span in &self.spans {
            let (wide, narrow) = (span.start * all..span.end * all, span.start * few..span.end * few);
            let own = llama.attend(&queries[wide.clone()], &keys[narrow.clone()], &values[narrow], 0);
            attended[wide].copy_from_slice(&own);
        }
        let mut between = self.linear(&layer.mix, &adapters[1], &attended);
        between.iter_mut().zip(states).for_each(|(out, state)| *out += state);
        let mut second = between.clone();
        llama.normalised(&mut second, &layer.norm);
        let gate_up = self.linear(&layer.gate_up, &adapters[2], &second);
        let wide = layer.down.columns();
        let through: Vec<f32> = gate_up
            .chunks_exact(2 * wide)
            .flat_map(|row| {
                let (gate, up) = row.split_at(wide);
                gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + exp(-*gate)) * up)
            })
            .collect();
        let mut out = self.linear(&layer.down, &adapters[3], &through);
        out.iter_mut().zip(&between).for_each(|(out, state)| *out += state);
        (Kept { normal, queries, keys, values, attended, between, second, gate_up, through }, out)
    }

    /// The derivative by a layer's input from that by its output.
    fn backward(&mut self, at: usize, states: &[f32], back: &[f32], into: &mut [Adapter; 4]) -> Vec<f32> {
        let (llama, adapters) = (self.llama, &self.adapters.layers[at]);
        let layer = &llama.layers[at];
        let (kept, _) = self.forward(at, states);
        let [of_looks, of_mix, of_gate_up, of_down] = into;
        let of_through = self.linear_back((&layer.down, &adapters[3]), (&kept.through, back), of_down);
        let wide = layer.down.columns();
        let mut of_gated = Vec::with_capacity(kept.gate_up.len());
        for (row, of_row) in kept.gate_up.chunks_exact(2 * wide).zip(of_through.chunks_exact(wide)) {
            let (gate, up) = row.split_at(wide);
            // x s(x) has the derivative s (1 + x (1 - s)).
            of_gated.extend(gate.iter().zip(up).zip(of_row).map(|((x, up), d)| {
                let s = 1.0 / (1.0 + exp(-*x));
                d * up * s * (1.0 + x * (1.0 - s))
            }));
            of_gated.extend(gate.iter().zip(of_row).map(|(x, d)| d * x / (1.0 + exp(-*x))));
        }
        let of_second =
            self.linear_back((&layer.gate_up, &adapters[2]), (&kept.second, &of_gated), of_gate_up);
        let mut of_between = back.to_vec();
        llama.normalised_back(&kept.between, &layer.norm, &of_second, &mut of_between);
        let of_attended = self.linear_back((&layer.mix, &adapters[1]), (&kept.attended, &of_between), of_mix);
        let of_heads = self.attend_back(&kept, &of_attended);
        let of_normal = self.linear_back((&layer.looks, &adapters[0]), (&kept.normal, &of_heads), of_looks);
        let mut of_states = of_between;
        llama.normalised_back(states, &layer.attention_norm, &of_normal, &mut of_states);
        of_states
    }

    /// The derivative by queries, keys and values before they were turned, side by side as `looks` gives them.
    fn attend_back(&self, kept: &Kept, of_attended: &[f32]) -> Vec<f32> {
        let llama = self.llama;
        let (all, few) = (llama.heads * llama.head, llama.key_width());
        let mut of_looks = vec![0.0; self.rows * (all + 2 * few)];
        let mut rest = of_looks.as_mut_slice();
        let mut parts = Vec::new();
        for span in &self.spans {
            let (own, others) = rest.split_at_mut(span.len() * (all + 2 * few));
            parts.push((span, own));
            rest = others;
        }
        parts.into_par_iter().for_each(|(span, out)| {
            let (wide, narrow) = (span.start * all..span.end * all, span.start * few..span.end * few);
            let (keys, values) = (&kept.keys[narrow.clone()], &kept.values[narrow]);
            let sides = (&kept.queries[wide.clone()], keys, values, &of_attended[wide]);
            llama.attend_back(sides, out);
        });
        of_looks
    }

    /// The losses, and the derivative of the mean loss of a token by the last states.
    fn scored(
        &mut self,
        examples: &[Example],
        states: &[f32],
        is_wanted: bool,
        context: &JobContext,
    ) -> Result<(Vec<AnswerLoss>, Vec<f32>)> {
        let llama = self.llama;
        let width = llama.width;
        let mut normal = states.to_vec();
        llama.normalised(&mut normal, &llama.norm);
        // Each place whose next token counts: its row, the token, its text.
        let mut places = Vec::new();
        for (text, (example, span)) in examples.iter().zip(&self.spans).enumerate() {
            for at in example.from.max(1)..example.tokens.len() {
                places.push((span.start + at - 1, example.tokens[at] as usize, text));
            }
        }
        let share = 1.0 / places.len().max(1) as f32;
        let out = llama.out.as_ref().unwrap_or(&llama.words);
        self.read(out);
        let words = out.rows();
        let mut losses = vec![AnswerLoss { nats: 0.0, tokens: 0 }; examples.len()];
        let mut of_normal = vec![0.0; if is_wanted { normal.len() } else { 0 }];
        for some in places.chunks(SCORED) {
            context.check()?;
            let inputs: Vec<f32> =
                some.iter().flat_map(|(row, ..)| &normal[row * width..(row + 1) * width]).copied().collect();
            let mut scores = vec![0.0; some.len() * words];
            let weights = View::rows(&self.weights, width);
            let shape = [some.len(), words, width];
            product(
                shape,
                View::rows(&inputs, width),
                weights.transposed(),
                &mut scores,
                Finish::Set,
                &mut self.pack,
            );
            for ((_, token, text), scores) in some.iter().zip(scores.chunks_exact_mut(words)) {
                let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let own = f64::from(scores[*token] - most);
                scores.iter_mut().for_each(|score| *score = exp(*score - most));
                let total: f64 = scores.iter().map(|score| f64::from(*score)).sum();
                losses[*text].nats += total.ln() - own;
                losses[*text].tokens += 1;
                // The derivative of the loss by the scores: p, less 1 at the token.
                let scale = share / total as f32;
                scores.iter_mut().for_each(|score| *score *= scale);
                scores[*token] -= share;
            }
            if is_wanted {
                let mut back = vec![0.0; some.len() * width];
                let shape = [some.len(), width, words];
                product(shape, View::rows(&scores, words), weights, &mut back, Finish::Set, &mut self.pack);
                for ((row, ..), back) in some.iter().zip(back.chunks_exact(width)) {
                    of_normal[row * width..(row + 1) * width].copy_from_slice(back);
                }
            }
        }
        let mut of_states = vec![0.0; of_normal.len()];
        if is_wanted {
            llama.normalised_back(states, &llama.norm, &of_normal, &mut of_states);
        }
        Ok((losses, of_states))
    }
}

impl Llama {
    /// Adds the derivative by the rows before [`normalised`](Self::normalised) to `into`, from that by the rows after it.
    fn normalised_back(&self, rows: &[f32], weight: &[f32], back: &[f32], into: &mut [f32]) {
        let each = rows.chunks_exact(self.width).zip(back.chunks_exact(self.width));
        for ((row, back), into) in each.zip(into.chunks_exact_mut(self.width)) {
            let scale = 1.0 / (inner_product(row, row) / self.width as f32 + self.epsilon).sqrt();
            let along: f32 = row.iter().zip(back).zip(weight).map(|((x, d), w)| x * d * w).sum();
            let shrink = along * scale.powi(3) / self.width as f32;
            for (((into, x), d), w) in into.iter_mut().zip(row).zip(back).zip(weight) {
                *into += scale * w * d - shrink * x;
            }
        }
    }

    /// The way back through the attention of one text: from the derivative by what was attended to that by queries, keys
    /// and values, written side by side.
    fn attend_back(&self, (queries, keys, values, back): (&[f32], &[f32], &[f32], &[f32]), out: &mut [f32]) {
        let (head, all, few) = (self.head, self.heads * self.head, self.key_width());
        let (each, n) = (self.heads / self.key_heads, queries.len() / all);
        let scale = 1.0 / (head as f32).sqrt();
        let mut of_queries = vec![0.0f32; queries.len()];
        let (mut of_keys, mut of_values) = (vec![0.0f32; keys.len()], vec![0.0f32; values.len()]);
        for token in 0..n {
            for own in 0..self.heads {
                let from = own / each * head;
                let place = token * all + own * head..token * all + (own + 1) * head;
                let (query, back) = (&queries[place.clone()], &back[place.clone()]);
                let row = |other: usize| other * few + from..other * few + from + head;
                let mut p: Vec<f32> =
                    (0..=token).map(|other| inner_product(query, &keys[row(other)]) * scale).collect();
                let most = p.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                p.iter_mut().for_each(|weight| *weight = exp(*weight - most));
                let total: f32 = p.iter().sum();
                p.iter_mut().for_each(|weight| *weight /= total);
                let of_p: Vec<f32> =
                    (0..=token).map(|other| inner_product(back, &values[row(other)])).collect();
                let mean: f32 = p.iter().zip(&of_p).map(|(p, d)| p * d).sum();
                for (other, (p, d)) in p.iter().zip(&of_p).enumerate() {
                    let of_score = p * (d - mean) * scale;
                    let place_of = row(other);
                    add_rows(&[(0, *p)], back, &mut of_values[place_of.clone()]);
                    add_rows(&[(0, of_score)], &keys[place_of.clone()], &mut of_queries[place.clone()]);
                    add_rows(&[(0, of_score)], query, &mut of_keys[place_of]);
                }
            }
        }
        for (token, out) in out.chunks_exact_mut(all + 2 * few).enumerate() {
            let (of_query, rest) = out.split_at_mut(all);
            of_query.copy_from_slice(&of_queries[token * all..(token + 1) * all]);
            self.turn_back(of_query, token);
            let (of_key, of_value) = rest.split_at_mut(few);
            of_key.copy_from_slice(&of_keys[token * few..(token + 1) * few]);
            self.turn_back(of_key, token);
            of_value.copy_from_slice(&of_values[token * few..(token + 1) * few]);
        }
    }

    /// Undoes [`turn`](Self::turn): a turn's transpose is the turn back.
    fn turn_back(&self, heads: &mut [f32], place: usize) {
        for head in heads.chunks_exact_mut(self.head) {
            for (pair, angle) in head.chunks_exact_mut(2).zip(&self.angles) {
                let (sin, cos) = (place as f64 * angle).sin_cos();
                let (x, y) = (f64::from(pair[0]), f64::from(pair[1]));
                pair[0] = (x * cos + y * sin) as f32;
                pair[1] = (y * cos - x * sin) as f32;
            }
        }
    }
}
