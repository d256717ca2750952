//! Which two values go together, field by field? Field-aware factorisation machine.
//!
//! Juan, Zhuang, Chin & Lin, RecSys 2016: score = bias + linear + sum over pairs `<v_i for field j, v_j for field i>`.
//! Each value has one vector for every other field, so memory and work grow with the square of the fields.

use super::direct::{DirectModel, Weights};
use super::features::{FieldVectors, LINEAR_FLOW, LinearAndVectors};
use super::on_vectors::OnVectors;
use super::{Flow, Gradients, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::tables::Lookup;
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass, interact};

/// Linear part + products of field-aware pairs.
#[derive(Debug)]
pub struct Ffm;

const PARAMS: &[ParamSpec] = &[ParamSpec::integer(
    "vector_width",
    "Vector width",
    (1, 4, 32),
    "Numbers in each vector; every value has one vector per field, so 4 here costs what 4 x fields costs elsewhere.",
)];

impl ModelKind for Ffm {
    fn id(&self) -> &'static str {
        "ffm"
    }

    fn label(&self) -> &'static str {
        "Field-aware factorisation machine"
    }

    fn summary(&self) -> &'static str {
        "Learns pairs of values with a vector per other field. Memory and time grow with the square of the fields."
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                Flow::of(
                    "embedding",
                    &["fields", "histories"],
                    "a vector for every value, for each field that it meets",
                ),
                Flow::of("pairs", &["embedding", "numbers"], "dot products of all pairs"),
                Flow::click(&["linear", "pairs"]),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("vector_width")?;
        let fields = FieldVectors::count(encoder, true);
        Ok(Box::new(Network { input: LinearAndVectors::new(encoder, builder, fields * width, true)?, width }))
    }
}

struct Network {
    input: LinearAndVectors,
    /// Each of the row's fields with its vectors for all fields side by side.
    width: usize,
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        self.input.lookups(batch)
    }

    fn forward(&self, inputs: &Inputs<'_>, _pass: &mut Pass<'_>) -> Computed<Output> {
        let (linear, vectors) = self.input.forward(inputs)?;
        let pairs = interact::field_pairs(&vectors, self.width)?;
        Ok(Output::of((linear + pairs)?))
    }

    fn direct(&self) -> Option<Box<dyn DirectModel>> {
        Some(Box::new(Direct { vectors: self.input.direct(Vec::new()), width: self.width }))
    }
}

/// The same without a graph.
struct Direct {
    vectors: OnVectors,
    width: usize,
}

impl DirectModel for Direct {
    fn forward(&mut self, weights: Weights<'_>, batch: &Batch, _pass: &mut Pass<'_>, logits: &mut [f32]) {
        self.vectors.read(weights, batch, logits);
        for set in &self.vectors.sets {
            interact::add_field_pairs(&set.x, set.count(), self.width, logits);
        }
    }

    fn backward(&mut self, _weights: Weights<'_>, batch: &Batch, of_logits: &[f32], out: &mut Gradients) {
        for set in &mut self.vectors.sets {
            let count = set.count();
            interact::field_pairs_gradient(&set.x, of_logits, count, self.width, &mut set.of_x);
        }
        self.vectors.collect(batch, of_logits, out);
    }
}

#[cfg(test)]
mod tests {
    use crate::models::check::{dot, equals_loops};

    #[test]
    fn equals_the_double_loop_over_pairs() {
        const WIDTH: usize = 2;
        equals_loops("ffm", &[("vector_width", "2")], |weights, batch, row| {
            let mut vectors = weights.embeddings(batch, row);
            let x = f64::from(batch.numeric[0][row]);
            vectors.push(weights.row("numeric.embedding", 0).iter().map(|v| x * v).collect());
            let of = |i: usize, j: usize| &vectors[i][j * WIDTH..][..WIDTH];
            let mut score = weights.linear_part(batch, row);
            for i in 0..vectors.len() {
                for j in i + 1..vectors.len() {
                    score += dot(of(i, j), of(j, i));
                }
            }
            score
        });
    }
}
