//! Can a model both remember and generalise? Wide & Deep: plain rates beside a deep network.
//!
//! Cheng et al., DLRS 2016 (arXiv 1606.07792): score = linear + MLP over embeddings. The crossed columns that the
//! authors chose by hand for the wide part are not made up here; the other kinds learn crossings.

use super::direct::{DirectModel, Weights};
use super::features::{
    DEEP_KNOBS, EMBEDDING_FLOW, GENTLE_PENALTY, LINEAR_FLOW, LinearAndVectors, deep_shape,
};
use super::on_vectors::OnVectors;
use super::{Flow, Gradients, Inputs, Model, ModelKind, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::{Batch, Encoder};
use crate::nn::deep::{DeepPass, Plain};
use crate::nn::mlp::Mlp;
use crate::nn::tables::Lookup;
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass};

/// Linear part + deep network.
#[derive(Debug)]
pub struct WideDeep;

impl ModelKind for WideDeep {
    fn id(&self) -> &'static str {
        "wide_deep"
    }

    fn label(&self) -> &'static str {
        "Wide & Deep"
    }

    fn summary(&self) -> &'static str {
        "Remembers the rate of each value and lets a deep network find any combination."
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("deep", &["embedding", "numbers"], "hidden layers"),
                Flow::click(&["linear", "deep"]),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        DEEP_KNOBS
    }

    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        GENTLE_PENALTY
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let inputs = LinearAndVectors::flat_width(encoder, width);
        Ok(Box::new(Network {
            input: LinearAndVectors::new(encoder, builder, width, false)?,
            deep: Mlp::new(builder, "deep", inputs, deep_shape(params)?)?,
            numbers: encoder.numeric.len(),
        }))
    }
}

struct Network {
    input: LinearAndVectors,
    deep: Mlp,
    numbers: usize,
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        self.input.lookups(batch)
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let (linear, all) = self.input.flat(inputs)?;
        Ok(Output::of((linear + self.deep.forward(&all, pass)?)?))
    }

    fn direct(&self) -> Option<Box<dyn DirectModel>> {
        let plain = (0..self.numbers).collect();
        Some(Box::new(Direct { vectors: self.input.direct(plain), deep: self.deep.direct() }))
    }
}

/// The same without a graph.
struct Direct {
    vectors: OnVectors,
    deep: DeepPass,
}

impl DirectModel for Direct {
    fn forward(&mut self, weights: Weights<'_>, batch: &Batch, pass: &mut Pass<'_>, logits: &mut [f32]) {
        self.vectors.read(weights, batch, logits);
        for set in &self.vectors.sets {
            let mut input = Plain { x: &set.x, width: set.stride(), of_x: None };
            let deep = self.deep.forward(weights.dense, &mut input, batch.rows, pass);
            logits.iter_mut().zip(deep).for_each(|(logit, deep)| *logit += deep);
        }
    }

    fn backward(&mut self, weights: Weights<'_>, batch: &Batch, of_logits: &[f32], out: &mut Gradients) {
        for set in &mut self.vectors.sets {
            let width = set.stride();
            let mut input = Plain { x: &set.x, width, of_x: Some(&mut set.of_x) };
            self.deep.backward(weights.dense, &mut input, of_logits, &mut out.dense);
        }
        self.vectors.collect(batch, of_logits, out);
    }
}

#[cfg(test)]
mod tests {
    use crate::models::check::equals_loops;

    #[test]
    fn equals_linear_plus_deep() {
        let settings = [("embedding_width", "3"), ("hidden_units", "4"), ("hidden_layers", "2")];
        equals_loops("wide_deep", &settings, |weights, batch, row| {
            weights.linear_part(batch, row) + weights.deep("deep", &weights.inputs(batch, row))[0]
        });
    }
}
