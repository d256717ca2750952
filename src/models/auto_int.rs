//! Which fields should look at each other? Self-attention over the fields of a row.
//!
//! Song et al., CIKM 2019 (arXiv 1810.11921): each layer lets every field ask all fields in several heads,
//! `relu(heads + W_res e)`; the last layer's fields, side by side, give the score. Numbers take part as `x v`, a
//! behaviour sequence as the mean of its embeddings. A linear part beside it learns plain rates.

use super::features::{
    EMBEDDING_FLOW, EMBEDDING_WIDTH, FieldVectors, GENTLE_STEPS, LINEAR_FLOW, LinearAndVectors,
};
use super::{Flow, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::heads::SelfAttention;
use crate::nn::linear::Linear;
use crate::nn::tables::Lookup;
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};
use candle_core::Tensor;

/// Linear part + attention among fields.
#[derive(Debug)]
pub struct AutoInt;

const PARAMS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    ParamSpec::integer(
        "attention_layers",
        "Attention layers",
        (1, 2, 6),
        "Each layer lets combinations of fields combine once more.",
    ),
    ParamSpec::integer(
        "attention_heads",
        "Attention heads",
        (1, 2, 8),
        "Different looks at the same fields.",
    ),
    ParamSpec::integer(
        "head_width",
        "Head width",
        (2, 8, 64),
        "Numbers in which a field asks, is asked and answers, per head.",
    ),
];

impl ModelKind for AutoInt {
    fn id(&self) -> &'static str {
        "auto_int"
    }

    fn label(&self) -> &'static str {
        "AutoInt"
    }

    fn summary(&self) -> &'static str {
        "Lets the fields of a row look at each other and so finds which of them matter together."
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("attention", &["embedding", "numbers"], "every field attends to all others"),
                Flow::of("out", &["attention"], "weighs what was attended"),
                Flow::click(&["linear", "out"]),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        GENTLE_STEPS
    }

    fn has_heads(&self) -> bool {
        true
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let heads = (params.count("attention_heads")?, params.count("head_width")?);
        let input = LinearAndVectors::new(encoder, builder, width, true)?;
        let mut inputs = width;
        let mut layers = Vec::new();
        for layer in 0..params.count("attention_layers")? {
            let outputs = heads.0 * heads.1;
            let start = Init::Normal((2.0 / (inputs + outputs) as f64).sqrt());
            layers.push(Layer {
                attention: SelfAttention::new(builder, &format!("attention.{layer}"), inputs, heads, false)?,
                past: builder.parameter(&format!("attention.{layer}.past"), &[outputs, inputs], start)?,
            });
            inputs = outputs;
        }
        let output = builder.linear("out", FieldVectors::count(encoder, true) * inputs, 1)?;
        Ok(Box::new(Network { input, layers, output }))
    }
}

struct Network {
    input: LinearAndVectors,
    layers: Vec<Layer>,
    output: Linear,
}

/// Attention with a way past it.
struct Layer {
    attention: SelfAttention,
    /// `[outputs, inputs]`: `W_res`.
    past: Tensor,
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        self.input.lookups(batch)
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let (linear, mut fields) = self.input.forward(inputs)?;
        let (rows, count, _) = fields.dims3()?;
        let lengths = vec![count as u32; rows];
        for layer in &self.layers {
            let (heads, _) = layer.attention.forward(&fields, &lengths, pass)?;
            let flat = fields.reshape((rows * count, ()))?;
            let past = flat.matmul(&layer.past.t()?)?.reshape((rows, count, ()))?;
            fields = (heads + past)?.relu()?;
            pass.value(layer.attention.name(), &fields);
        }
        let score = self.output.forward(&fields.flatten_from(1)?)?.squeeze(1)?;
        Ok(Output::of((linear + score)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::models::check::{dot, equals_loops};

    #[test]
    fn equals_the_layers_written_as_loops() {
        const HEADS: usize = 2;
        const WIDTH: usize = 3;
        let settings = [("embedding_width", "3"), ("attention_heads", "2"), ("head_width", "3")];
        equals_loops("auto_int", &settings, |weights, batch, row| {
            let mut fields = weights.embeddings(batch, row);
            let x = f64::from(batch.numeric[0][row]);
            fields.push(weights.row("numeric.embedding", 0).iter().map(|v| x * v).collect());
            for layer in ["attention.0", "attention.1"] {
                let packed: Vec<Vec<f64>> = fields.iter().map(|field| weights.linear(layer, field)).collect();
                let part = |field: usize, part: usize, head: usize| {
                    &packed[field][(part * HEADS + head) * WIDTH..][..WIDTH]
                };
                let next = |asks: usize| {
                    let mut answer = Vec::new();
                    for head in 0..HEADS {
                        let power = |of| dot(part(asks, 0, head), part(of, 1, head)).exp();
                        let total: f64 = (0..fields.len()).map(power).sum();
                        answer.extend((0..WIDTH).map(|k| {
                            (0..fields.len()).map(|of| power(of) / total * part(of, 2, head)[k]).sum::<f64>()
                        }));
                    }
                    for (unit, value) in answer.iter_mut().enumerate() {
                        let past = dot(weights.row(&format!("{layer}.past"), unit as u32), &fields[asks]);
                        *value = (*value + past).max(0.0);
                    }
                    answer
                };
                fields = (0..fields.len()).map(next).collect();
            }
            weights.linear_part(batch, row) + weights.linear("out", &fields.concat())[0]
        });
    }
}
