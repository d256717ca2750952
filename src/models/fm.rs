//! Which two values go together? Factorisation machine: the strength of a pair is the product of two vectors.
//!
//! Rendle, ICDM 2010: score = bias + linear + sum over pairs `<v_i, v_j> x_i x_j`. A behaviour sequence takes part as
//! one more field, the mean of its vectors; a number as its vector times its value.

use super::direct::{DirectModel, Weights};
use super::features::{EMBEDDING_FLOW, EMBEDDING_WIDTH, LINEAR_FLOW, LinearAndVectors};
use super::on_vectors::OnVectors;
use super::{Flow, Gradients, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::tables::Lookup;
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass, interact};

/// Linear part + products of all pairs of fields.
#[derive(Debug)]
pub struct Fm;

impl ModelKind for Fm {
    fn id(&self) -> &'static str {
        "fm"
    }

    fn label(&self) -> &'static str {
        "Factorisation machine"
    }

    fn summary(&self) -> &'static str {
        "Learns which two values go together, also for pairs that were never seen. Fast, and easy to read."
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("pairs", &["embedding", "numbers"], "dot products of all pairs"),
                Flow::click(&["linear", "pairs"]),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[EMBEDDING_WIDTH]
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        Ok(Box::new(Network { input: LinearAndVectors::new(encoder, builder, width, true)? }))
    }
}

struct Network {
    input: LinearAndVectors,
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        self.input.lookups(batch)
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let (linear, vectors) = self.input.forward(inputs)?;
        pass.pairs(&vectors);
        Ok(Output::of((linear + interact::pairwise(&vectors)?)?))
    }

    fn direct(&self) -> Option<Box<dyn DirectModel>> {
        Some(Box::new(Direct(self.input.direct(Vec::new()))))
    }
}

/// The same without a graph.
struct Direct(OnVectors);

impl DirectModel for Direct {
    fn forward(&mut self, weights: Weights<'_>, batch: &Batch, _pass: &mut Pass<'_>, logits: &mut [f32]) {
        self.0.read(weights, batch, logits);
        for set in &self.0.sets {
            interact::add_pairwise(&set.x, set.count(), set.width, logits);
        }
    }

    fn backward(&mut self, _weights: Weights<'_>, batch: &Batch, of_logits: &[f32], out: &mut Gradients) {
        for set in &mut self.0.sets {
            let count = set.count();
            interact::pairwise_gradient(&set.x, of_logits, count, set.width, &mut set.of_x);
        }
        self.0.collect(batch, of_logits, out);
    }
}

#[cfg(test)]
mod tests {
    use crate::models::check::{dot, equals_loops};

    #[test]
    fn equals_the_double_loop_over_pairs() {
        equals_loops("fm", &[("embedding_width", "3")], |weights, batch, row| {
            let mut vectors = weights.embeddings(batch, row);
            let x = f64::from(batch.numeric[0][row]);
            vectors.push(weights.row("numeric.embedding", 0).iter().map(|v| x * v).collect());
            let mut score = weights.linear_part(batch, row);
            for i in 0..vectors.len() {
                for j in i + 1..vectors.len() {
                    score += dot(&vectors[i], &vectors[j]);
                }
            }
            score
        });
    }
}
