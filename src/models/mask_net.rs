//! Which features matter for this very impression? Blocks that multiply them by a mask made of all features.
//!
//! Wang et al., DLP-KDD 2021 (arXiv 2102.07619), the parallel form: a block is `relu(LN(W (m * LN(e))))` with the mask
//! `m = W2 relu(W1 e + b1) + b2` over the embeddings `e` (equations 4 to 7); a deep network reads all blocks side by
//! side.

use super::features::{
    DROPOUT, EMBEDDING_FLOW, EMBEDDING_WIDTH, GENTLE_PENALTY, HIDDEN_LAYERS, HIDDEN_UNITS, LINEAR_FLOW,
    LinearAndVectors, NORMALISE, TAPER, deep_shape,
};
use super::{Flow, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::linear::Linear;
use crate::nn::mlp::Mlp;
use crate::nn::normalise::layer_norm;
use crate::nn::tables::Lookup;
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};
use candle_core::Tensor;

/// Masked blocks side by side under a deep network.
#[derive(Debug)]
pub struct MaskNet;

const BLOCKS: ParamSpec = ParamSpec::integer(
    "blocks",
    "Mask blocks",
    (1, 3, 8),
    "Masks that are made side by side, each with an eye of its own for what matters.",
);

const PARAMS: &[ParamSpec] =
    &[EMBEDDING_WIDTH, BLOCKS, HIDDEN_UNITS, HIDDEN_LAYERS, TAPER, DROPOUT, NORMALISE];

impl ModelKind for MaskNet {
    fn id(&self) -> &'static str {
        "mask_net"
    }

    fn label(&self) -> &'static str {
        "MaskNet"
    }

    fn summary(&self) -> &'static str {
        "Weighs every feature anew for each impression before a deep network sees it."
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("norm", &["embedding", "numbers"], "puts all on one scale"),
                Flow::of("block", &["norm", "embedding"], "masks that the input draws over itself"),
                Flow::of("deep", &["block"], "hidden layers"),
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

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let units = params.count("hidden_units")?;
        let inputs = LinearAndVectors::flat_width(encoder, width);
        let blocks = params.count("blocks")?;
        Ok(Box::new(Network {
            input: LinearAndVectors::new(encoder, builder, width, false)?,
            norm: Norm::new(builder, "norm", inputs)?,
            blocks: (0..blocks)
                .map(|block| Block::new(builder, &format!("block.{block}"), inputs, units))
                .collect::<Result<_>>()?,
            deep: Mlp::new(builder, "deep", blocks * units, deep_shape(params)?)?,
        }))
    }
}

struct Network {
    input: LinearAndVectors,
    norm: Norm,
    blocks: Vec<Block>,
    deep: Mlp,
}

/// Gain and bias of a layer normalisation.
struct Norm {
    gain: Tensor,
    bias: Tensor,
}

impl Norm {
    fn new(builder: &mut Builder, name: &str, width: usize) -> Result<Self> {
        Ok(Self {
            gain: builder.parameter(&format!("{name}.gain"), &[width], Init::Constant(1.0))?,
            bias: builder.parameter(&format!("{name}.bias"), &[width], Init::Constant(0.0))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Computed<Tensor> {
        layer_norm(x, &self.gain, &self.bias)
    }
}

struct Block {
    /// Two layers that make the mask.
    mask: [Linear; 2],
    linear: Linear,
    norm: Norm,
}

impl Block {
    fn new(builder: &mut Builder, name: &str, inputs: usize, units: usize) -> Result<Self> {
        // The mask's middle is wider than its ends; the authors' best was about twice.
        let middle = 2 * inputs;
        Ok(Self {
            mask: [
                builder.linear(&format!("{name}.mask.0"), inputs, middle)?,
                builder.linear(&format!("{name}.mask.1"), middle, inputs)?,
            ],
            linear: builder.linear(&format!("{name}.linear"), inputs, units)?,
            norm: Norm::new(builder, &format!("{name}.norm"), units)?,
        })
    }

    /// `[rows, units]` from the features `[rows, inputs]` and the same normalised.
    fn forward(&self, all: &Tensor, normalised: &Tensor) -> Computed<Tensor> {
        let [first, second] = &self.mask;
        let mask = second.forward(&first.forward_relu(all)?)?;
        self.norm.forward(&self.linear.forward(&(mask * normalised)?)?)?.relu()
    }
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        self.input.lookups(batch)
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let (linear, all) = self.input.flat(inputs)?;
        let normalised = self.norm.forward(&all)?;
        let blocks = self.blocks.iter().map(|block| block.forward(&all, &normalised));
        let blocks = Tensor::cat(&blocks.collect::<Computed<Vec<_>>>()?, 1)?;
        Ok(Output::of((linear + self.deep.forward(&blocks, pass)?)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::models::check::{Weights, equals_loops};

    fn norm(weights: &Weights, name: &str, x: &[f64]) -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let scaled = x.iter().map(|v| (v - mean) / (variance + 1e-5).sqrt());
        let gain = weights.of(&format!("{name}.gain"));
        scaled.zip(gain).zip(weights.of(&format!("{name}.bias"))).map(|((v, g), b)| v * g + b).collect()
    }

    fn relu(x: Vec<f64>) -> Vec<f64> {
        x.into_iter().map(|v| v.max(0.0)).collect()
    }

    #[test]
    fn equals_its_equations() {
        let settings =
            [("embedding_width", "3"), ("hidden_units", "4"), ("hidden_layers", "2"), ("blocks", "2")];
        equals_loops("mask_net", &settings, |weights, batch, row| {
            let all = weights.inputs(batch, row);
            let normalised = norm(weights, "norm", &all);
            let mut blocks = Vec::new();
            for block in ["block.0", "block.1"] {
                let part = |name: &str| format!("{block}.{name}");
                let mask = weights.linear(&part("mask.1"), &relu(weights.linear(&part("mask.0"), &all)));
                let masked: Vec<f64> = mask.iter().zip(&normalised).map(|(m, x)| m * x).collect();
                blocks.extend(relu(norm(weights, &part("norm"), &weights.linear(&part("linear"), &masked))));
            }
            weights.linear_part(batch, row) + weights.deep("deep", &blocks)[0]
        });
    }
}
