//! What would this user want next? The last past event, after it has looked back at all before it, beside the ad's vector.
//!
//! SASRec (Kang & McAuley, ICDM 2018, arXiv 1808.09781): each event asks itself and those before it, so that no layer sees
//! what came later; the score is the product of the last event's state with the vector of what is offered (equation 6),
//! which stands in the same table as the past. The layers are those of [`bst`](super::bst). A linear part beside it learns
//! plain rates; without a past there is nothing else.

use super::features::{
    EMBEDDING_FLOW, EMBEDDING_START, EMBEDDING_WIDTH, FieldRows, GENTLE_STEPS, LINEAR_FLOW, LinearPart,
    NEEDS_SEQUENCE, longest, need_even_heads, need_features, need_sequence,
};
use super::{Flow, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::batch::SequenceBatch;
use crate::data::{Batch, Encoder};
use crate::nn::probe::Members;
use crate::nn::tables::Lookup;
use crate::nn::transformer::TransformerLayer;
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};
use candle_core::Tensor;

/// Self-attention over the past, for what comes next.
#[derive(Debug)]
pub struct SasRec;

impl ModelKind for SasRec {
    fn id(&self) -> &'static str {
        "sas_rec"
    }

    fn label(&self) -> &'static str {
        "SASRec"
    }

    fn summary(&self) -> &'static str {
        "Lets each past event look back at those before it, and offers what the last one points at."
    }

    fn params(&self) -> &'static [ParamSpec] {
        const {
            &[
                EMBEDDING_WIDTH,
                ParamSpec::integer(
                    "transformer_layers",
                    "Transformer layers",
                    (1, 2, 4),
                    "The authors found two best; more see longer chains.",
                ),
                ParamSpec::integer(
                    "attention_heads",
                    "Attention heads",
                    (1, 1, 8),
                    "Different looks at the same past; must divide the embedding width.",
                ),
            ]
        }
    }

    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        GENTLE_STEPS
    }

    fn needs(&self) -> &'static str {
        NEEDS_SEQUENCE
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("past", &["embedding"], "each event looks back; the last one's state, times the ad"),
                Flow::click(&["linear", "past"]),
            ]
        }
    }

    fn exposes_attention(&self) -> bool {
        true
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_features(encoder)?;
        need_sequence(encoder, "sas_rec", "it attends to a behaviour sequence")
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let (width, heads) = (params.count("embedding_width")?, params.count("attention_heads")?);
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
                let layer = |layer| {
                    let layer = TransformerLayer::new(builder, &format!("{name}.{layer}"), width, heads)?;
                    Ok(layer.looking_back())
                };
                let layers = (0..layers).map(layer).collect::<Result<_>>()?;
                let ago = builder.parameter(&format!("{name}.ago"), &[sequence.max_len, width], init)?;
                Ok(Past { target: sequence.target, ago, layers })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Box::new(Network { linear, rows, pasts }))
    }
}

struct Network {
    linear: LinearPart,
    rows: FieldRows,
    pasts: Vec<Past>,
}

/// What reads one sequence.
struct Past {
    /// The categorical field whose vocabulary the sequence shares.
    target: usize,
    /// `[longest, width]`: what it means to be so many events before the last.
    ago: Tensor,
    layers: Vec<TransformerLayer>,
}

impl Past {
    /// The last event's state `[rows, width]`, zero without a past, and, to show, what it looked at in the last layer,
    /// `[rows, positions]` with the oldest event first.
    fn forward(
        &self,
        newest_first: &Tensor,
        sequence: &SequenceBatch,
        pass: &mut Pass<'_>,
    ) -> Computed<(Tensor, Option<Tensor>)> {
        let (rows, positions, _) = newest_first.dims3()?;
        let mut members = newest_first.broadcast_add(&self.ago.narrow(0, 0, positions)?.unsqueeze(0)?)?;
        let mut shown = None;
        for layer in &self.layers {
            (members, shown) = layer.forward(&members, &sequence.lengths, pass)?;
        }
        let has_past: Vec<f32> = sequence.lengths.iter().map(|length| f32::from(*length > 0)).collect();
        let has_past = Tensor::from_vec(has_past, (rows, 1), members.device())?;
        let state = members.narrow(1, 0, 1)?.squeeze(1)?.broadcast_mul(&has_past)?;
        Ok((state, shown.map(|weights| oldest_first(&weights, sequence)).transpose()?))
    }
}

/// Weights of events, with the oldest and not the newest first.
fn oldest_first(weights: &Tensor, sequence: &SequenceBatch) -> Computed<Tensor> {
    let positions = longest(sequence);
    let mut weights = weights.flatten_all()?.to_vec1::<f32>()?;
    for (weights, length) in weights.chunks_exact_mut(positions).zip(&sequence.lengths) {
        weights[..*length as usize].reverse();
    }
    Tensor::from_vec(weights, (sequence.lengths.len(), positions), &candle_core::Device::Cpu)
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let mut lookups = vec![self.linear.lookup(batch)];
        for (sequence, past) in batch.sequences.iter().zip(&self.pasts) {
            lookups.push(self.rows.newest_first(sequence, past.target));
            lookups.push(self.rows.one(batch, past.target));
        }
        lookups
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let mut logits = self.linear.forward(&inputs.gathered[0], &inputs.numeric)?;
        let mut attention = Vec::with_capacity(self.pasts.len());
        let pairs = inputs.gathered[1..].chunks_exact(2);
        let pasts = self.pasts.iter().zip(&inputs.batch.sequences).zip(pairs).enumerate();
        for (place, ((past, sequence), pair)) in pasts {
            pass.looks_among(Members::NewestFirst(place));
            let (state, weights) = past.forward(&pair[0], sequence, pass)?;
            logits = (logits + (state * &pair[1])?.sum(1)?)?;
            attention.extend(weights);
        }
        Ok(Output { attention, ..Output::of(logits) })
    }
}

#[cfg(test)]
mod tests {
    use crate::models::check::{Weights, dot, equals_loops};

    const WIDTH: usize = 4;

    /// `(x - mean) / deviation * gain + bias`.
    fn norm(weights: &Weights, name: &str, x: &[f64]) -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let scaled = x.iter().map(|v| (v - mean) / (variance + 1e-5).sqrt());
        let gain = weights.of(&format!("{name}.gain"));
        scaled
            .zip(gain.iter().zip(weights.of(&format!("{name}.bias"))))
            .map(|(v, (g, b))| v * g + b)
            .collect()
    }

    /// A layer of one head over events, oldest first: each looks at itself and those before it.
    fn layer(weights: &Weights, name: &str, events: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let packed: Vec<_> = events.iter().map(|x| weights.linear(&format!("{name}.heads"), x)).collect();
        let part = |event: usize, part: usize| &packed[event][part * WIDTH..][..WIDTH];
        let added = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<f64>>();
        let after = |now: usize| {
            let power = |of| (dot(part(now, 0), part(of, 1)) / (WIDTH as f64).sqrt()).exp();
            let total: f64 = (0..=now).map(power).sum();
            let answer: Vec<f64> =
                (0..WIDTH).map(|k| (0..=now).map(|of| power(of) / total * part(of, 2)[k]).sum()).collect();
            let joined = weights.linear(&format!("{name}.joined"), &answer);
            let x = norm(weights, &format!("{name}.norm.0"), &added(&events[now], &joined));
            let inner = weights.linear(&format!("{name}.inner"), &x);
            let inner: Vec<f64> = inner.into_iter().map(|v| v.max(0.01 * v)).collect();
            let outer = weights.linear(&format!("{name}.outer"), &inner);
            norm(weights, &format!("{name}.norm.1"), &added(&x, &outer))
        };
        (0..events.len()).map(after).collect()
    }

    #[test]
    fn equals_two_layers_that_look_back_written_as_loops() {
        equals_loops("sas_rec", &[("embedding_width", "4")], |weights, batch, row| {
            let mut events = weights.history(batch, row);
            let count = events.len();
            for (place, event) in events.iter_mut().enumerate() {
                let shift = weights.row("past.0.ago", (count - 1 - place) as u32);
                event.iter_mut().zip(shift).for_each(|(v, s)| *v += s);
            }
            for name in ["past.0.0", "past.0.1"] {
                events = layer(weights, name, &events);
            }
            let ad = weights.row("embedding.ad", batch.categorical[1][row]);
            let next = events.last().map_or(0.0, |state| dot(state, ad));
            weights.linear_part(batch, row) + next
        });
    }
}
