//! What in a user's past answers this ad, asked more than once? A memory network over the behaviour sequence.
//!
//! Sukhbaatar et al., NeurIPS 2015 (arXiv 1503.08895), over users' histories as in Chen et al., WSDM 2018. The ad is the
//! question. Each past behaviour is a memory with a key and a value, both linear in its embedding, plus what it means to be so
//! many events ago. A hop weighs all memories by `softmax(q . key)` and goes on with `q <- H q + sum weight value`, so that
//! a later hop looks for what the earlier ones found. What the question has become joins all other fields in a deep
//! network, and a linear part beside it learns plain rates.

use super::features::{
    DROPOUT, EMBEDDING_FLOW, EMBEDDING_START, EMBEDDING_WIDTH, FieldRows, GENTLE_PENALTY, HIDDEN_LAYERS,
    HIDDEN_UNITS, LINEAR_FLOW, LinearPart, NEEDS_SEQUENCE, NORMALISE, TAPER, deep_shape, need_features,
    need_sequence, side_by_side,
};
use super::{Flow, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::batch::SequenceBatch;
use crate::data::{Batch, Encoder};
use crate::nn::attention::mask;
use crate::nn::linear::Linear;
use crate::nn::mlp::Mlp;
use crate::nn::normalise::masked_softmax;
use crate::nn::probe::Members;
use crate::nn::tables::Lookup;
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};
use candle_core::Tensor;

/// Hops over a memory of past behaviour.
#[derive(Debug)]
pub struct MemoryNetwork;

const PARAMS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    ParamSpec::integer(
        "hops",
        "Hops",
        (1, 2, 6),
        "How often the past is asked; each question holds what the ones before found.",
    ),
    HIDDEN_UNITS,
    HIDDEN_LAYERS,
    TAPER,
    DROPOUT,
    NORMALISE,
];

impl ModelKind for MemoryNetwork {
    fn id(&self) -> &'static str {
        "memory"
    }

    fn label(&self) -> &'static str {
        "Memory network"
    }

    fn summary(&self) -> &'static str {
        "Asks a user's past about the ad several times over, each time with what it found before, and shows the weights."
    }

    fn needs(&self) -> &'static str {
        NEEDS_SEQUENCE
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("memory", &["embedding"], "asks past behaviour, hop by hop"),
                Flow::of("deep", &["embedding", "memory", "numbers"], "hidden layers"),
                Flow::click(&["linear", "deep"]),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        GENTLE_PENALTY
    }

    fn exposes_attention(&self) -> bool {
        true
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_features(encoder)?;
        need_sequence(encoder, "memory", "its memory is a behaviour sequence")
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let linear = LinearPart::new(encoder, builder)?;
        let init = Init::Normal(EMBEDDING_START);
        let rows = FieldRows::new(encoder, builder, "embedding", width, init)?;
        let hops = params.count("hops")?;
        let memories = encoder
            .sequences
            .iter()
            .enumerate()
            .map(|(place, sequence)| {
                let name = format!("memory.{place}");
                let mut side = |side: &str| -> Result<Side> {
                    let (weight, ago) = (format!("{name}.{side}.weight"), format!("{name}.{side}.ago"));
                    let start = Init::Normal((1.0 / width as f64).sqrt());
                    Ok(Side {
                        weight: builder.parameter(&weight, &[width, width], start)?,
                        ago: builder.parameter(&ago, &[sequence.max_len + 1, width], init)?,
                    })
                };
                let (key, value) = (side("key")?, side("value")?);
                let question = builder.linear(&format!("{name}.question"), width, width)?;
                Ok(Memory { target: sequence.target, key, value, question, name, hops })
            })
            .collect::<Result<Vec<_>>>()?;
        // Per sequence: the last question, and its product with the ad.
        let inputs = (rows.count() + 2 * memories.len()) * width + encoder.numeric.len();
        let deep = Mlp::new(builder, "deep", inputs, deep_shape(params)?)?;
        Ok(Box::new(Network { linear, rows, memories, deep }))
    }
}

struct Network {
    linear: LinearPart,
    rows: FieldRows,
    memories: Vec<Memory>,
    deep: Mlp,
}

/// One sequence as a memory.
struct Memory {
    name: String,
    /// The categorical field whose vocabulary the sequence shares.
    target: usize,
    key: Side,
    value: Side,
    /// What becomes of a question from hop to hop.
    question: Linear,
    hops: usize,
}

/// Keys or values of memories.
struct Side {
    /// `[width, width]`; a bias would add the same to all keys, which the softmax does not see.
    weight: Tensor,
    /// `[longest + 1, width]`: what it means to be so many events ago.
    ago: Tensor,
}

impl Side {
    /// `[rows, positions, width]` of a history of that shape.
    fn of(&self, history: &Tensor, ago: &Tensor) -> Computed<Tensor> {
        let (rows, positions, width) = history.dims3()?;
        let of_events = history.reshape((rows * positions, width))?.matmul(&self.weight.t()?)?;
        (of_events + self.ago.index_select(ago, 0)?)?.reshape((rows, positions, width))
    }
}

impl Memory {
    /// The last question `[rows, width]`, and how the last hop weighed the past, `[rows, positions]`.
    fn forward(
        &self,
        (history, ad): (&Tensor, &Tensor),
        sequence: &SequenceBatch,
        pass: &mut Pass<'_>,
    ) -> Computed<(Tensor, Tensor)> {
        let (rows, positions, _) = history.dims3()?;
        let device = history.device();
        let ago = Tensor::from_vec(events_ago(sequence, positions), rows * positions, device)?;
        let (keys, values) = (self.key.of(history, &ago)?, self.value.of(history, &ago)?);
        let mask = mask(&sequence.lengths, positions, device)?;
        let mut question = ad.clone();
        let mut weights = mask.clone();
        for hop in 0..self.hops {
            let scores = keys.matmul(&question.unsqueeze(2)?)?.squeeze(2)?;
            weights = masked_softmax(&scores, &mask)?;
            let name = format!("{}.{hop}", self.name);
            let gated = pass.heads(&name, weights.reshape((rows, 1, 1, positions))?, &sequence.lengths)?;
            let answer = gated.reshape((rows, 1, positions))?.matmul(&values)?.squeeze(1)?;
            question = (self.question.forward(&question)? + answer)?;
        }
        Ok((question, weights))
    }
}

/// For each position, how many events before now it was; 0 on padding, which is not looked at.
fn events_ago(sequence: &SequenceBatch, positions: usize) -> Vec<u32> {
    let mut ago = vec![0; sequence.lengths.len() * positions];
    for (ago, length) in ago.chunks_exact_mut(positions.max(1)).zip(&sequence.lengths) {
        ago.iter_mut().zip(0..*length).for_each(|(ago, position)| *ago = length - position);
    }
    ago
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let mut lookups = vec![self.linear.lookup(batch), self.rows.each(batch)];
        for (sequence, memory) in batch.sequences.iter().zip(&self.memories) {
            lookups.push(self.rows.positions(sequence, memory.target));
            lookups.push(self.rows.one(batch, memory.target));
        }
        lookups
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let linear = self.linear.forward(&inputs.gathered[0], &inputs.numeric)?;
        let mut parts = vec![inputs.gathered[1].flatten_from(1)?, inputs.numeric.clone()];
        let mut attention = Vec::with_capacity(self.memories.len());
        let pairs = inputs.gathered[2..].chunks_exact(2);
        let memories = self.memories.iter().zip(&inputs.batch.sequences).zip(pairs).enumerate();
        for (place, ((memory, sequence), pair)) in memories {
            let (history, ad) = (&pair[0], &pair[1]);
            pass.looks_among(Members::PastForAd(place));
            let (question, weights) = memory.forward((history, ad), sequence, pass)?;
            parts.push((&question * ad)?);
            parts.push(question);
            attention.push(weights);
        }
        let deep = self.deep.forward(&side_by_side(&parts)?, pass)?;
        Ok(Output { attention, ..Output::of((linear + deep)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::check::{Weights, dot, equals_loops, tiny};

    fn added(one: &[f64], other: &[f64]) -> Vec<f64> {
        one.iter().zip(other).map(|(one, other)| one + other).collect()
    }

    /// The questions after so many hops, by equations 1 to 5 of Sukhbaatar et al.
    fn asked(weights: &Weights, past: &[Vec<f64>], ad: &[f64], hops: usize) -> Vec<f64> {
        let side = |side: &str| -> Vec<Vec<f64>> {
            let of_event = |(position, event): (usize, &Vec<f64>)| {
                let ago = weights.row(&format!("memory.0.{side}.ago"), (past.len() - position) as u32);
                let row = |at: usize| weights.row(&format!("memory.0.{side}.weight"), at as u32);
                let of_event: Vec<f64> = (0..event.len()).map(|at| dot(row(at), event)).collect();
                added(&of_event, ago)
            };
            past.iter().enumerate().map(of_event).collect()
        };
        let (keys, values) = (side("key"), side("value"));
        let mut question = ad.to_vec();
        for _ in 0..hops {
            let odds: Vec<f64> = keys.iter().map(|key| dot(key, &question).exp()).collect();
            let sum: f64 = odds.iter().sum();
            question = weights.linear("memory.0.question", &question);
            for (odds, value) in odds.iter().zip(&values) {
                let part: Vec<f64> = value.iter().map(|x| x * odds / sum).collect();
                question = added(&question, &part);
            }
        }
        question
    }

    #[test]
    fn equals_hops_written_as_loops() {
        for (hops, settings) in [(1, "1"), (3, "3")] {
            let settings = [("embedding_width", "3"), ("hidden_units", "4"), ("hops", settings)];
            equals_loops("memory", &settings, |weights, batch, row| {
                let vectors = weights.embeddings(batch, row);
                let question = asked(weights, &weights.history(batch, row), &vectors[1], hops);
                let mut all = vectors[..3].concat();
                all.push(f64::from(batch.numeric[0][row]));
                all.extend(question.iter().zip(&vectors[1]).map(|(q, ad)| q * ad));
                all.extend(question);
                weights.linear_part(batch, row) + weights.deep("deep", &all)[0]
            });
        }
    }

    #[test]
    fn how_long_ago_counts_back_from_now() {
        let (_, batch) = tiny();
        assert_eq!(events_ago(&batch.sequences[0], 3), [3, 2, 1, 1, 0, 0, 0, 0, 0]);
        let (mut encoder, _) = tiny();
        encoder.sequences.clear();
        assert!(MemoryNetwork.check(&encoder).unwrap_err().why.contains("its memory"));
    }
}
