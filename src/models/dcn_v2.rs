//! Which values go together in any number, at little cost? Deep & cross network, second version.
//!
//! Wang et al., WWW 2021 (arXiv 2008.13535): `x_{l+1} = x_0 (W x_l + b) + x_l`, product by product, so layer `l` holds
//! combinations of up to `l + 1` fields; `W` may be of low rank, `U Vᵀ`. A linear part beside it learns plain rates.

use super::features::{
    DROPOUT, EMBEDDING_WIDTH, FieldVectors, GENTLE_PENALTY, HIDDEN_LAYERS, HIDDEN_UNITS, LinearPart,
    NORMALISE, deep_shape, need_features, side_by_side,
};
use super::{Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::cross::CrossLayer;
use crate::nn::linear::Linear;
use crate::nn::mlp::Mlp;
use crate::nn::tables::Lookup;
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass};

/// Cross layers with a deep network beside or above them.
#[derive(Debug)]
pub struct DcnV2;

const PARAMS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    ParamSpec::integer(
        "cross_layers",
        "Cross layers",
        (1, 2, 6),
        "Each layer lets one more field join a combination.",
    ),
    ParamSpec::integer(
        "cross_rank",
        "Cross rank",
        (0, 0, 512),
        "0: each layer's weights are a full matrix. Else the product of two thin ones of this rank: fewer weights.",
    ),
    ParamSpec::choice(
        "structure",
        "Structure",
        &["parallel", "stacked"],
        "parallel: deep part beside the cross layers. stacked: deep part on top of them.",
    ),
    HIDDEN_UNITS,
    HIDDEN_LAYERS,
    DROPOUT,
    NORMALISE,
];

impl ModelKind for DcnV2 {
    fn id(&self) -> &'static str {
        "dcn_v2"
    }

    fn label(&self) -> &'static str {
        "Deep & cross network v2"
    }

    fn summary(&self) -> &'static str {
        "Multiplies fields layer by layer, so it learns combinations of three and more values explicitly."
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        GENTLE_PENALTY
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_features(encoder)
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let inputs = FieldVectors::count(encoder, false) * width + encoder.numeric.len();
        let rank = params.count("cross_rank")?;
        let linear = LinearPart::new(encoder, builder)?;
        let vectors = FieldVectors::new(encoder, builder, width, false)?;
        let cross = (0..params.count("cross_layers")?)
            .map(|layer| CrossLayer::new(builder, &format!("cross.{layer}"), inputs, rank))
            .collect::<Result<Vec<_>>>()?;
        let of_cross = match params.choice("structure")? {
            "stacked" => None,
            _ => Some(builder.linear("cross.out", inputs, 1)?),
        };
        let deep = Mlp::new(builder, "deep", inputs, deep_shape(params)?)?;
        Ok(Box::new(Network { linear, vectors, cross, of_cross, deep }))
    }
}

struct Network {
    linear: LinearPart,
    vectors: FieldVectors,
    cross: Vec<CrossLayer>,
    /// From the last cross layer to the score; `None` when the deep part stands on it.
    of_cross: Option<Linear>,
    deep: Mlp,
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let mut lookups = vec![self.linear.lookup(batch)];
        lookups.extend(self.vectors.lookups(batch));
        lookups
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let linear = self.linear.forward(&inputs.gathered[0], &inputs.numeric)?;
        let vectors = self.vectors.forward(&inputs.gathered[1..], &inputs.numeric)?;
        let start = side_by_side(&[vectors.flatten_from(1)?, inputs.numeric.clone()])?;
        let mut crossed = start.clone();
        for layer in &self.cross {
            crossed = layer.forward(&start, &crossed)?;
        }
        let rest = match &self.of_cross {
            None => self.deep.forward(&crossed, pass)?,
            Some(of_cross) => (of_cross.forward(&crossed)?.squeeze(1)? + self.deep.forward(&start, pass)?)?,
        };
        Ok(Output { logits: (linear + rest)?, attention: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use crate::models::check::{dot, equals_loops};

    #[test]
    fn equals_the_layers_written_as_loops() {
        for rank in ["0", "2"] {
            for structure in ["parallel", "stacked"] {
                let settings = [
                    ("embedding_width", "3"),
                    ("cross_rank", rank),
                    ("structure", structure),
                    ("hidden_units", "4"),
                ];
                equals_loops("dcn_v2", &settings, |weights, batch, row| {
                    let mut start = weights.embeddings(batch, row).concat();
                    start.push(f64::from(batch.numeric[0][row]));
                    let mut x = start.clone();
                    for layer in ["cross.0", "cross.1"] {
                        let inner = if rank == "0" {
                            x.clone()
                        } else {
                            let down = |k| dot(weights.row(&format!("{layer}.down"), k), &x);
                            vec![down(0), down(1)]
                        };
                        let scaled = weights.linear(layer, &inner);
                        x = (0..x.len()).map(|i| start[i] * scaled[i] + x[i]).collect();
                    }
                    let rest = match structure {
                        "stacked" => weights.deep("deep", &x)[0],
                        _ => weights.linear("cross.out", &x)[0] + weights.deep("deep", &start)[0],
                    };
                    weights.linear_part(batch, row) + rest
                });
            }
        }
    }
}
