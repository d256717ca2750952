//! What in a user's past makes this ad interesting? Deep interest network: attention from the ad to the history.
//!
//! Zhou et al., KDD 2018 (arXiv 1706.06978). Each past behaviour is weighed against what is shown now; the pooled
//! interest joins all other fields in a deep network. A linear part beside it (Cheng et al. 2016) learns plain rates.

use super::features::{
    DROPOUT, EMBEDDING_START, EMBEDDING_WIDTH, FieldRows, GENTLE_PENALTY, HIDDEN_LAYERS, HIDDEN_UNITS,
    LinearPart, NORMALISE, deep_shape, need_features, need_sequence, side_by_side,
};
use super::{Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::attention::{TargetAttention, Weighting};
use crate::nn::mlp::Mlp;
use crate::nn::tables::Lookup;
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};

/// Target attention over behaviour sequences.
#[derive(Debug)]
pub struct Din;

const PARAMS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    ParamSpec::integer(
        "attention_units",
        "Attention units",
        (2, 16, 256),
        "Hidden units of the network that weighs one past behaviour against the ad.",
    ),
    ParamSpec::choice(
        "attention_weights",
        "Attention weights",
        &["softmax", "sigmoid"],
        "softmax: a row's weights add up to 1. sigmoid: each counts on its own, so much interest weighs more.",
    ),
    HIDDEN_UNITS,
    HIDDEN_LAYERS,
    DROPOUT,
    NORMALISE,
];

impl ModelKind for Din {
    fn id(&self) -> &'static str {
        "din"
    }

    fn label(&self) -> &'static str {
        "Deep interest network"
    }

    fn summary(&self) -> &'static str {
        "Weighs a user's past behaviours against the ad shown now, and shows the weights."
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
        need_sequence(encoder, "din", "it attends to a behaviour sequence")
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let weighting = match params.choice("attention_weights")? {
            "sigmoid" => Weighting::Sigmoid,
            _ => Weighting::Softmax,
        };
        let linear = LinearPart::new(encoder, builder)?;
        let init = Init::Normal(EMBEDDING_START);
        let rows = FieldRows::new(encoder, builder, "embedding", width, init)?;
        let units = params.count("attention_units")?;
        let interests = encoder
            .sequences
            .iter()
            .enumerate()
            .map(|(place, sequence)| {
                let name = format!("attention.{place}");
                Ok(Interest {
                    target: sequence.target,
                    attention: TargetAttention::new(builder, &name, width, units, weighting)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        // Per sequence: the pooled interest, and its product with the target.
        let inputs = (rows.count() + 2 * interests.len()) * width + encoder.numeric.len();
        Ok(Box::new(Network {
            deep: Mlp::new(builder, "deep", inputs, deep_shape(params)?)?,
            interests,
            width,
            linear,
            rows,
        }))
    }
}

struct Network {
    linear: LinearPart,
    rows: FieldRows,
    interests: Vec<Interest>,
    width: usize,
    deep: Mlp,
}

/// Attention over one sequence.
struct Interest {
    /// The categorical field that the sequence is weighed against.
    target: usize,
    attention: TargetAttention,
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let mut lookups = vec![self.linear.lookup(batch), self.rows.each(batch)];
        for (sequence, interest) in batch.sequences.iter().zip(&self.interests) {
            lookups.push(self.rows.positions(sequence, interest.target));
            lookups.push(self.rows.one(batch, interest.target));
        }
        lookups
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let rows = inputs.batch.rows;
        let linear = self.linear.forward(&inputs.gathered[0], &inputs.numeric)?;
        let fields = inputs.gathered[1].reshape((rows, self.rows.count() * self.width))?;
        let mut parts = vec![fields, inputs.numeric.clone()];
        let mut attention = Vec::with_capacity(self.interests.len());
        let pairs = inputs.gathered[2..].chunks_exact(2);
        for ((interest, sequence), pair) in self.interests.iter().zip(&inputs.batch.sequences).zip(pairs) {
            let (history, target) = (&pair[0], &pair[1]);
            let (pooled, weights) = interest.attention.forward(history, target, &sequence.lengths)?;
            parts.push((&pooled * target)?);
            parts.push(pooled);
            attention.push(weights);
        }
        let deep = self.deep.forward(&side_by_side(&parts)?, pass)?;
        Ok(Output { logits: (linear + deep)?, attention })
    }
}
