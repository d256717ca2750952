//! Can two plain networks do what designed interactions do? Two streams that look at different sides, fused bilinearly.
//!
//! Mao et al., AAAI 2023 (arXiv 2304.00902): each stream gates the features by what it is conditioned on (equations 3
//! and 4; here the user's side and the ad's), and its network's output meets the other's in a bilinear form, head by
//! head (equations 6 to 9). A linear part stands beside them, as in all kinds here.

use super::features::{
    DROPOUT, EMBEDDING_FLOW, EMBEDDING_WIDTH, FieldVectors, GENTLE_PENALTY, HIDDEN_LAYERS, HIDDEN_UNITS,
    LINEAR_FLOW, LinearAndVectors, NORMALISE, TAPER, deep_shape, side_by_side,
};
use super::{Flow, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::encode::Side;
use crate::data::{Batch, Encoder};
use crate::nn::linear::Linear;
use crate::nn::mlp::Mlp;
use crate::nn::tables::Lookup;
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};
use candle_core::{D, Tensor};
use candle_nn::ops::sigmoid;

/// Two gated streams and their bilinear fusion.
#[derive(Debug)]
pub struct FinalMlp;

const HEADS: ParamSpec = ParamSpec::integer(
    "heads",
    "Heads",
    (1, 2, 16),
    "Parts in which the streams' outputs meet; more parts are fewer weights.",
);

const PARAMS: &[ParamSpec] =
    &[EMBEDDING_WIDTH, HIDDEN_UNITS, HIDDEN_LAYERS, TAPER, DROPOUT, NORMALISE, HEADS];

impl ModelKind for FinalMlp {
    fn id(&self) -> &'static str {
        "final_mlp"
    }

    fn label(&self) -> &'static str {
        "FinalMLP"
    }

    fn summary(&self) -> &'static str {
        "Two networks, one led by the user and one by the ad, whose outputs are multiplied."
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("first", &["embedding", "numbers"], "a network behind a gate of the user"),
                Flow::of("second", &["embedding", "numbers"], "a network behind a gate of the ad"),
                Flow::of("fusion", &["first", "second"], "products of both, in heads"),
                Flow::of("sum", &["first", "second"], "weighs both"),
                Flow::click(&["linear", "fusion", "sum"]),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        GENTLE_PENALTY
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let heads = params.count("heads")?;
        // Each head has the same number of outputs.
        let outputs = params.count("hidden_units")?.div_ceil(heads) * heads;
        let input = LinearAndVectors::new(encoder, builder, width, false)?;
        let stream = |builder: &mut Builder, name: &str, side| {
            Stream::new(encoder, params, builder, name, side, outputs)
        };
        let size = outputs / heads;
        let deviation = 1.0 / size as f64;
        Ok(Box::new(Network {
            input,
            first: stream(builder, "first", Side::User)?,
            second: stream(builder, "second", Side::Ad)?,
            // Both streams' outputs side by side.
            sum: builder.linear("sum", 2 * outputs, 1)?,
            fusion: builder.parameter("fusion.weight", &[heads, size, size], Init::Normal(deviation))?,
        }))
    }
}

struct Network {
    input: LinearAndVectors,
    first: Stream,
    second: Stream,
    sum: Linear,
    /// `[heads, size, size]`.
    fusion: Tensor,
}

/// A network on all features, gated by those of one side.
struct Stream {
    /// The vectors that the gate looks at; all where the side has none.
    context: Vec<u32>,
    /// Two layers of the gate.
    gate: [Linear; 2],
    deep: Mlp,
}

impl Stream {
    fn new(
        encoder: &Encoder,
        params: &Params,
        builder: &mut Builder,
        name: &str,
        side: Side,
        outputs: usize,
    ) -> Result<Self> {
        let width = params.count("embedding_width")?;
        let inputs = LinearAndVectors::flat_width(encoder, width);
        let of_side = (0_u32..).zip(&encoder.categorical).filter(|(_, field)| field.side == side);
        let mut context: Vec<u32> = of_side.map(|(place, _)| place).collect();
        if context.is_empty() {
            context = (0..FieldVectors::count(encoder, false) as u32).collect();
        }
        let units = params.count("hidden_units")?;
        Ok(Self {
            gate: [
                builder.linear(&format!("{name}.gate.0"), context.len() * width, units)?,
                builder.linear(&format!("{name}.gate.1"), units, inputs)?,
            ],
            deep: Mlp::tower(builder, name, inputs, deep_shape(params)?, outputs)?,
            context,
        })
    }

    /// `[rows, outputs]` from all features `[rows, inputs]` and the vectors `[rows, count, width]`.
    fn forward(&self, all: &Tensor, vectors: &Tensor, pass: &mut Pass<'_>) -> Computed<Tensor> {
        let [first, second] = &self.gate;
        let gated = if self.context.is_empty() {
            all.clone()
        } else {
            let places = Tensor::from_slice(&self.context, self.context.len(), vectors.device())?;
            let context = vectors.index_select(&places, 1)?.flatten_from(1)?;
            // 2 sigmoid: a fresh gate lets everything pass as it is.
            let gate = (sigmoid(&second.forward(&first.forward_relu(&context)?)?)? * 2.0)?;
            (all * gate)?
        };
        self.deep.vectors(&gated, pass)
    }
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        self.input.lookups(batch)
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let (linear, vectors) = self.input.forward(inputs)?;
        let all = side_by_side(&[vectors.flatten_from(1)?, inputs.numeric.clone()])?;
        let first = self.first.forward(&all, &vectors, pass)?;
        let second = self.second.forward(&all, &vectors, pass)?;
        let (heads, size, _) = self.fusion.dims3()?;
        // [heads, rows, size]
        let by_head = |x: &Tensor| x.reshape((x.dim(0)?, heads, size))?.transpose(0, 1)?.contiguous();
        let met = (by_head(&first)?.matmul(&self.fusion)? * by_head(&second)?)?;
        let met = met.sum(D::Minus1)?.sum(0)?;
        let sum = self.sum.forward(&Tensor::cat(&[&first, &second], 1)?)?.squeeze(1)?;
        Ok(Output::of(((linear + sum)? + met)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::data::Batch;
    use crate::models::check::{Weights, dot, equals_loops};

    fn stream(weights: &Weights, batch: &Batch, row: usize, name: &str, context: &[f64]) -> Vec<f64> {
        let linear = |part: &str, x: &[f64]| weights.linear(&format!("{name}.{part}"), x);
        let relu = |x: Vec<f64>| x.into_iter().map(|v| v.max(0.0)).collect::<Vec<_>>();
        let gate = linear("gate.1", &relu(linear("gate.0", context)));
        let all = weights.inputs(batch, row);
        let gated: Vec<f64> = all.iter().zip(gate).map(|(x, g)| x * 2.0 / (1.0 + (-g).exp())).collect();
        weights.deep(name, &gated)
    }

    #[test]
    fn equals_two_gated_streams_and_their_products() {
        let settings =
            [("embedding_width", "3"), ("hidden_units", "4"), ("hidden_layers", "2"), ("heads", "2")];
        equals_loops("final_mlp", &settings, |weights, batch, row| {
            let vectors = weights.embeddings(batch, row);
            let first = stream(weights, batch, row, "first", &vectors[0]);
            let second = stream(weights, batch, row, "second", &vectors[1]);
            let fusion = weights.of("fusion.weight");
            let met: f64 = (0..2)
                .flat_map(|head| (0..2).flat_map(move |i| (0..2).map(move |j| (head, i, j))))
                .map(|(head, i, j)| {
                    first[head * 2 + i] * fusion[(head * 2 + i) * 2 + j] * second[head * 2 + j]
                })
                .sum();
            let sum =
                dot(weights.row("sum.weight", 0), &[first, second].concat()) + weights.of("sum.bias")[0];
            weights.linear_part(batch, row) + sum + met
        });
    }
}
