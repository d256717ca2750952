//! How do past behaviours and the ad explain each other? A Transformer over the behaviour sequence with the ad in it.
//!
//! Chen et al., DLP-KDD 2019 (arXiv 1905.06874): the ad joins the sequence, each member gets a vector for how long ago it
//! was, and Transformer layers let all members look at each other. What the ad has become joins all other fields in a
//! deep network (the authors keep every member; the ad's suffices for a history of any length). A linear part beside it
//! learns plain rates.

use super::features::{
    DROPOUT, EMBEDDING_FLOW, EMBEDDING_START, EMBEDDING_WIDTH, FieldRows, GENTLE_STEPS, HIDDEN_LAYERS,
    HIDDEN_UNITS, LINEAR_FLOW, LinearPart, NEEDS_SEQUENCE, NORMALISE, TAPER, deep_shape, need_even_heads,
    need_features, need_sequence, side_by_side,
};
use super::{Flow, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::batch::SequenceBatch;
use crate::data::{Batch, Encoder};
use crate::nn::mlp::Mlp;
use crate::nn::probe::Members;
use crate::nn::tables::Lookup;
use crate::nn::transformer::TransformerLayer;
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};
use candle_core::Tensor;

/// Transformer over behaviour and ad.
#[derive(Debug)]
pub struct Bst;

const PARAMS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    ParamSpec::integer(
        "transformer_layers",
        "Transformer layers",
        (1, 1, 4),
        "The authors found one layer best; more see longer chains.",
    ),
    ParamSpec::integer(
        "attention_heads",
        "Attention heads",
        (1, 2, 8),
        "Different looks at the same past; must divide the embedding width.",
    ),
    HIDDEN_UNITS,
    HIDDEN_LAYERS,
    TAPER,
    DROPOUT,
    NORMALISE,
];

impl ModelKind for Bst {
    fn id(&self) -> &'static str {
        "bst"
    }

    fn label(&self) -> &'static str {
        "Behaviour sequence transformer"
    }

    fn summary(&self) -> &'static str {
        "Lets a user's past behaviours and the ad look at each other, and knows how long ago each was."
    }

    fn needs(&self) -> &'static str {
        NEEDS_SEQUENCE
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("past", &["embedding"], "past behaviour and ad attend to each other"),
                Flow::of("deep", &["embedding", "past", "numbers"], "hidden layers"),
                Flow::click(&["linear", "deep"]),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        GENTLE_STEPS
    }

    fn exposes_attention(&self) -> bool {
        true
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_features(encoder)?;
        need_sequence(encoder, "bst", "it attends to a behaviour sequence")
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let heads = params.count("attention_heads")?;
        need_even_heads(self.id(), width, heads)?;
        let linear = LinearPart::new(encoder, builder)?;
        let init = Init::Normal(EMBEDDING_START);
        let rows = FieldRows::new(encoder, builder, "embedding", width, init)?;
        let layers = params.count("transformer_layers")?;
        let pasts = encoder
            .sequences
            .iter()
            .enumerate()
            .map(|(place, sequence)| {
                let name = format!("past.{place}");
                Ok(Past {
                    target: sequence.target,
                    ago: builder.parameter(&format!("{name}.ago"), &[sequence.max_len + 1, width], init)?,
                    layers: (0..layers)
                        .map(|layer| TransformerLayer::new(builder, &format!("{name}.{layer}"), width, heads))
                        .collect::<Result<_>>()?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let inputs = (rows.count() + pasts.len()) * width + encoder.numeric.len();
        let deep = Mlp::new(builder, "deep", inputs, deep_shape(params)?)?;
        Ok(Box::new(Network { linear, rows, pasts, deep }))
    }
}

struct Network {
    linear: LinearPart,
    rows: FieldRows,
    pasts: Vec<Past>,
    deep: Mlp,
}

/// What reads one sequence.
struct Past {
    /// The categorical field whose vocabulary the sequence shares.
    target: usize,
    /// `[longest + 1, width]`: what it means to be so many events ago; 0 is the ad shown now.
    ago: Tensor,
    layers: Vec<TransformerLayer>,
}

impl Past {
    /// The ad's vector after all layers `[rows, width]` and, in passes that only score, what it looked at in the last one, `[rows,
    /// positions]`; the ad itself stands first among the members and is left out of these weights.
    fn forward(
        &self,
        (history, target): (&Tensor, &Tensor),
        sequence: &SequenceBatch,
        pass: &mut Pass<'_>,
    ) -> Computed<(Tensor, Option<Tensor>)> {
        let (rows, positions, width) = history.dims3()?;
        let ago =
            Tensor::from_vec(how_long_ago(sequence, positions), rows * (positions + 1), history.device())?;
        let ago = self.ago.index_select(&ago, 0)?.reshape((rows, positions + 1, width))?;
        let mut members = (Tensor::cat(&[&target.unsqueeze(1)?, history], 1)? + ago)?;
        let lengths: Vec<u32> = sequence.lengths.iter().map(|length| length + 1).collect();
        let mut shown = None;
        for layer in &self.layers {
            (members, shown) = layer.forward(&members, &lengths, pass)?;
        }
        let of_past = shown.map(|weights| weights.narrow(1, 1, positions)).transpose()?;
        Ok((members.narrow(1, 0, 1)?.squeeze(1)?, of_past))
    }
}

/// For each member, the ad first: how many events before now it was. Padding counts as now; it is not looked at.
fn how_long_ago(sequence: &SequenceBatch, positions: usize) -> Vec<u32> {
    let members = positions + 1;
    let mut ago = vec![0; sequence.lengths.len() * members];
    for (ago, &length) in ago.chunks_exact_mut(members).zip(&sequence.lengths) {
        for (position, ago) in ago[1..].iter_mut().take(length as usize).enumerate() {
            *ago = length - position as u32;
        }
    }
    ago
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let mut lookups = vec![self.linear.lookup(batch), self.rows.each(batch)];
        for (sequence, past) in batch.sequences.iter().zip(&self.pasts) {
            lookups.push(self.rows.positions(sequence, past.target));
            lookups.push(self.rows.one(batch, past.target));
        }
        lookups
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let linear = self.linear.forward(&inputs.gathered[0], &inputs.numeric)?;
        let mut parts = vec![inputs.gathered[1].flatten_from(1)?, inputs.numeric.clone()];
        let mut attention = Vec::with_capacity(self.pasts.len());
        let pairs = inputs.gathered[2..].chunks_exact(2);
        let pasts = self.pasts.iter().zip(&inputs.batch.sequences).zip(pairs).enumerate();
        for (place, ((past, sequence), pair)) in pasts {
            pass.looks_among(Members::AdThenPast(place));
            let (state, weights) = past.forward((&pair[0], &pair[1]), sequence, pass)?;
            parts.push(state);
            attention.extend(weights);
        }
        let deep = self.deep.forward(&side_by_side(&parts)?, pass)?;
        Ok(Output { attention, ..Output::of((linear + deep)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::check::{Weights, dot, equals_loops, tiny};

    const WIDTH: usize = 4;
    const HEADS: usize = 2;

    fn norm(weights: &Weights, name: &str, x: &[f64]) -> Vec<f64> {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let (gain, bias) = (weights.of(&format!("{name}.gain")), weights.of(&format!("{name}.bias")));
        (0..x.len()).map(|k| gain[k] * (x[k] - mean) / (variance + 1e-5).sqrt() + bias[k]).collect()
    }

    /// What the first member becomes in one layer.
    fn first_after(weights: &Weights, members: &[Vec<f64>]) -> Vec<f64> {
        let packed: Vec<_> = members.iter().map(|m| weights.linear("past.0.0.heads", m)).collect();
        let part = |member: usize, part: usize, head: usize| -> &[f64] {
            &packed[member][(part * HEADS + head) * WIDTH / HEADS..][..WIDTH / HEADS]
        };
        let mut answer = Vec::new();
        for head in 0..HEADS {
            let scale = ((WIDTH / HEADS) as f64).sqrt();
            let power = |of| (dot(part(0, 0, head), part(of, 1, head)) / scale).exp();
            let total: f64 = (0..members.len()).map(power).sum();
            let sum =
                |k: usize| (0..members.len()).map(|of| power(of) / total * part(of, 2, head)[k]).sum::<f64>();
            answer.extend((0..WIDTH / HEADS).map(sum));
        }
        let added = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<f64>>();
        let joined = weights.linear("past.0.0.joined", &answer);
        let x = norm(weights, "past.0.0.norm.0", &added(&members[0], &joined));
        let inner: Vec<f64> =
            weights.linear("past.0.0.inner", &x).into_iter().map(|v| v.max(0.01 * v)).collect();
        norm(weights, "past.0.0.norm.1", &added(&x, &weights.linear("past.0.0.outer", &inner)))
    }

    #[test]
    fn equals_the_layer_written_as_loops() {
        let settings = [("embedding_width", "4"), ("hidden_units", "5")];
        equals_loops("bst", &settings, |weights, batch, row| {
            let fields = weights.embeddings(batch, row)[..3].to_vec();
            let past = weights.history(batch, row);
            let mut members = vec![fields[1].clone()];
            members.extend(past.iter().cloned());
            for (place, member) in members.iter_mut().enumerate() {
                let ago = if place == 0 { 0 } else { past.len() + 1 - place };
                let shift = weights.row("past.0.ago", ago as u32);
                member.iter_mut().zip(shift).for_each(|(v, s)| *v += s);
            }
            let mut all = fields.concat();
            all.push(f64::from(batch.numeric[0][row]));
            all.extend(first_after(weights, &members));
            weights.linear_part(batch, row) + weights.deep("deep", &all)[0]
        });
    }

    #[test]
    fn the_last_event_is_one_ago_and_heads_that_do_not_divide_are_refused() {
        let (encoder, batch) = tiny();
        assert_eq!(how_long_ago(&batch.sequences[0], 3), [0, 3, 2, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
        let mut params = Params::defaults(Bst.params());
        params.set(Bst.params(), "attention_heads", "3").unwrap();
        let mut builder = Builder::new(1, candle_core::Device::Cpu);
        let failure = Bst.build(&encoder, &params, &mut builder).err().unwrap();
        assert!(failure.why.contains("3 heads"), "{failure}");
    }
}
