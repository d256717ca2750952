//! Which values go together in any number, at little cost? Deep & cross network, second version.
//!
//! Wang et al., WWW 2021 (arXiv 2008.13535): `x_{l+1} = x_0 (W x_l + b) + x_l`, product by product, so layer `l` holds
//! combinations of up to `l + 1` fields; `W` may be of low rank, `U Vᵀ`. A linear part beside it learns plain rates.

use super::direct::{DirectModel, Weights};
use super::features::{
    DROPOUT, EMBEDDING_FLOW, EMBEDDING_WIDTH, GENTLE_PENALTY, HIDDEN_LAYERS, HIDDEN_UNITS, LINEAR_FLOW,
    LinearAndVectors, NORMALISE, TAPER, deep_shape,
};
use super::on_vectors::OnVectors;
use super::{Flow, Gradients, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::cross::{CrossLayer, CrossPass};
use crate::nn::deep::{DeepPass, Plain};
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
    TAPER,
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

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("cross", &["embedding", "numbers"], "products with the input, layer by layer"),
                Flow::of("deep", &["embedding", "numbers"], "hidden layers"),
                Flow::click(&["linear", "cross", "deep"]),
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
        let inputs = LinearAndVectors::flat_width(encoder, width);
        let rank = params.count("cross_rank")?;
        let input = LinearAndVectors::new(encoder, builder, width, false)?;
        let cross = (0..params.count("cross_layers")?)
            .map(|layer| CrossLayer::new(builder, &format!("cross.{layer}"), inputs, rank))
            .collect::<Result<Vec<_>>>()?;
        let of_cross = match params.choice("structure")? {
            "stacked" => None,
            _ => Some((builder.parameters.len(), builder.linear("cross.out", inputs, 1)?)),
        };
        let deep = Mlp::new(builder, "deep", inputs, deep_shape(params)?)?;
        let numbers = encoder.numeric.len();
        Ok(Box::new(Network { input, cross, of_cross, deep, numbers }))
    }
}

struct Network {
    input: LinearAndVectors,
    cross: Vec<CrossLayer>,
    /// From the last cross layer to the score, with its place among the parameters; `None` when the deep part stands on it.
    of_cross: Option<(usize, Linear)>,
    deep: Mlp,
    numbers: usize,
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        self.input.lookups(batch)
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let (linear, start) = self.input.flat(inputs)?;
        let mut crossed = start.clone();
        for (place, layer) in self.cross.iter().enumerate() {
            crossed = layer.forward(&start, &crossed)?;
            pass.value(&format!("cross.{place}"), &crossed);
        }
        let rest = match &self.of_cross {
            None => self.deep.forward(&crossed, pass)?,
            Some((_, of_cross)) => {
                (of_cross.forward(&crossed)?.squeeze(1)? + self.deep.forward(&start, pass)?)?
            }
        };
        Ok(Output::of((linear + rest)?))
    }

    fn direct(&self) -> Option<Box<dyn DirectModel>> {
        let plain = (0..self.numbers).collect();
        Some(Box::new(Direct {
            vectors: self.input.direct(plain),
            cross: self.cross.iter().map(CrossLayer::direct).collect(),
            of_cross: self.of_cross.as_ref().map(|(place, _)| *place),
            deep: self.deep.direct(),
            of_crossed: Vec::new(),
        }))
    }
}

/// The same without a graph.
struct Direct {
    vectors: OnVectors,
    cross: Vec<CrossPass>,
    /// Place of the weights from the last cross layer to the score.
    of_cross: Option<usize>,
    deep: DeepPass,
    /// The gradient by the last cross layer.
    of_crossed: Vec<f32>,
}

impl DirectModel for Direct {
    fn forward(&mut self, weights: Weights<'_>, batch: &Batch, pass: &mut Pass<'_>, logits: &mut [f32]) {
        let Self { vectors, cross, of_cross, deep, .. } = self;
        vectors.read(weights, batch, logits);
        for set in &vectors.sets {
            let width = set.stride();
            for layer in 0..cross.len() {
                let (below, rest) = cross.split_at_mut(layer);
                let x = below.last().map_or(&set.x, |below| &below.out);
                rest[0].forward(weights.dense, &set.x, x, width);
            }
            let crossed = cross.last().map_or(&set.x, |last| &last.out);
            let stands_on = match of_cross {
                None => crossed,
                Some(place) => {
                    let (weight, bias) = (&weights.dense[*place].values, weights.dense[*place + 1].values[0]);
                    for (logit, x) in logits.iter_mut().zip(crossed.chunks_exact(width)) {
                        *logit += bias + x.iter().zip(weight).map(|(x, w)| x * w).sum::<f32>();
                    }
                    &set.x
                }
            };
            let mut input = Plain { x: stands_on, width, of_x: None };
            let deep = deep.forward(weights.dense, &mut input, batch.rows, pass);
            logits.iter_mut().zip(deep).for_each(|(logit, deep)| *logit += deep);
        }
    }

    fn backward(&mut self, weights: Weights<'_>, batch: &Batch, of_logits: &[f32], out: &mut Gradients) {
        let Self { vectors, cross, of_cross, deep, of_crossed } = self;
        for set in &mut vectors.sets {
            let width = set.stride();
            of_crossed.resize(set.x.len(), 0.0);
            let crossed = cross.last().map_or(&set.x, |last| &last.out);
            match of_cross {
                None => {
                    set.of_x.fill(0.0);
                    let mut input = Plain { x: crossed, width, of_x: Some(of_crossed) };
                    deep.backward(weights.dense, &mut input, of_logits, &mut out.dense);
                }
                Some(place) => {
                    let mut input = Plain { x: &set.x, width, of_x: Some(&mut set.of_x) };
                    deep.backward(weights.dense, &mut input, of_logits, &mut out.dense);
                    let weight = &weights.dense[*place].values;
                    out.dense[*place].fill(0.0);
                    let rows = of_crossed.chunks_exact_mut(width).zip(crossed.chunks_exact(width));
                    for ((to, x), g) in rows.zip(of_logits) {
                        to.iter_mut().zip(weight).for_each(|(to, w)| *to = g * w);
                        out.dense[*place].iter_mut().zip(x).for_each(|(to, x)| *to += g * x);
                    }
                    out.dense[*place + 1][0] = of_logits.iter().sum();
                }
            }
            for layer in (0..cross.len()).rev() {
                let (below, rest) = cross.split_at_mut(layer);
                let x = below.last().map_or(&set.x, |below| &below.out);
                rest[0].backward(weights.dense, (&set.x, x), of_crossed, &mut set.of_x, &mut out.dense);
            }
            set.of_x.iter_mut().zip(&*of_crossed).for_each(|(to, from)| *to += from);
        }
        vectors.collect(batch, of_logits, out);
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
